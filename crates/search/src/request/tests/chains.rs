//! Several resources: chains both ways, lists, hierarchies, compartments, and searches over all types.

use super::*;

fn hospital() -> Few {
    Few::of(&[
        r#"{"resourceType":"Organization","id":"top","name":"CHU"}"#,
        r#"{"resourceType":"Organization","id":"ward","name":"Cardiologie","partOf":{"reference":"Organization/top"}}"#,
        r#"{"resourceType":"Patient","id":"ann","name":[{"family":"Martin"}],"gender":"female","managingOrganization":{"reference":"Organization/ward"}}"#,
        r#"{"resourceType":"Patient","id":"bob","name":[{"family":"Durand"}],"gender":"male","managingOrganization":{"reference":"Organization/top"}}"#,
        r#"{"resourceType":"Group","id":"gr","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/bob"}}]}"#,
        r#"{"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/ann"},"code":{"coding":[{"code":"hr"}]}}"#,
        r#"{"resourceType":"Observation","id":"o2","status":"final","subject":{"reference":"Patient/bob"},"code":{"coding":[{"code":"bp"}]},"performer":[{"reference":"Patient/ann"}]}"#,
        r#"{"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"code":"hr"}]}}"#,
        r#"{"resourceType":"AuditEvent","id":"au","agent":[{"altId":"MyUserId","requestor":true}],"entity":[{"what":{"reference":"Observation/o1"}}]}"#,
        r#"{"resourceType":"List","id":"li","status":"current","mode":"working","entry":[{"item":{"reference":"Patient/ann"}},{"item":{"reference":"Observation/o2"}}]}"#,
        r#"{"resourceType":"Location","id":"site","managingOrganization":{"reference":"Organization/top"}}"#,
        r#"{"resourceType":"Location","id":"room","partOf":{"reference":"Location/site"}}"#,
        r#"{"resourceType":"Location","id":"bed","partOf":{"reference":"Location/room"}}"#,
        r#"{"resourceType":"Encounter","id":"en","status":"finished","class":{"code":"IMP"},"location":[{"location":{"reference":"Location/bed"}}]}"#,
    ])
}

#[test]
fn queries_over_several_resources() {
    let hospital = hospital();
    for (scope, query, found) in [
        // https://hl7.org/fhir/R4/search.html#chaining
        ("Observation", "subject:Patient.name=mar", "o1"),
        ("Observation", "patient.name=mar", "o1"),
        ("Observation", "subject.name=dur", "o2"),
        ("Observation", "patient.organization.name=chu", "o2"),
        ("Observation", "patient.organization.partof.name=chu", "o1"),
        ("Observation", "subject:Patient.gender:not=female", "o2"),
        ("Observation", "subject:missing=true", "o3"),
        ("Observation", "patient._id=ann", "o1"),
        ("Observation", "subject:Group.type=person", ""),
        ("Observation", "performer:Patient.gender=female", "o2"),
        // https://hl7.org/fhir/R4/search.html#has
        ("Patient", "_has:Observation:patient:code=hr", "ann"),
        ("Patient", "_has:Observation:patient:code=hr,bp", "ann bob"),
        ("Patient", "_has:Observation:patient:_has:AuditEvent:entity:type:missing=true", "ann"),
        ("Patient", "_has:Observation:patient:_has:AuditEvent:entity:altid=MyUserId", "ann"),
        ("Patient", "_has:Group:member:_id=gr", "bob"),
        ("Patient", "_has:Observation:performer:status=final", "ann"),
        ("Observation", "patient._has:Group:member:_id=gr", "o2"),
        // https://hl7.org/fhir/R4/search.html#list
        ("Patient", "_list=li", "ann"),
        ("Observation", "_list=li", "o2"),
        ("Observation", "_list=none", ""),
        ("Patient", "_list=li&gender=male", ""),
        // https://hl7.org/fhir/R4/search.html#recursive
        ("Encounter", "location:below=Location/site", "en"),
        ("Encounter", "location:below=site", "en"),
        ("Encounter", "location:below=Location/bed", "en"),
        ("Encounter", "location:below=Location/elsewhere", ""),
        ("Location", "partof:above=Location/bed", "bed room"),
        ("Patient", "organization:below=Organization/top", "ann bob"),
        ("Patient", "organization:below=Organization/ward", "ann"),
        // https://hl7.org/fhir/R4/search_filter.html
        ("Observation", r#"_filter=subject.name co "art""#, "o1"),
        ("Observation", r#"_filter=patient[gender eq male].name co "dur""#, "o2"),
        ("Observation", r#"_filter=patient[gender eq female].name co "dur""#, ""),
        ("Observation", "_filter=subject.id eq ann or status ne final", "o1"),
        ("Patient", "_filter=_has:Observation:patient:code eq bp", "bob"),
        // https://hl7.org/fhir/R4/search.html#all
        ("", "_type=Patient,Group&_id=ann,gr,o1", "ann gr"),
        ("", "_id=o1", "o1"),
        ("", "_type=Observation&code=hr", "o1 o3"),
        ("", "_type=Observation,AuditEvent&patient=Patient/ann", "o1"),
        ("", "_content=cardiologie", "ward"),
        // https://hl7.org/fhir/R4/compartmentdefinition.html
        ("Patient/ann/Observation", "", "o1 o2"),
        ("Patient/ann/Observation", "code=bp", "o2"),
        ("Patient/ann/*", "", "ann o1 o2"),
        ("Patient/ann/*", "_type=Patient", "ann"),
        ("Patient/bob/*", "", "bob gr o2"),
        ("Encounter/en/*", "", "en"),
    ] {
        let found: Vec<_> = found.split_whitespace().collect();
        assert_eq!(hospital.find(scope, query), found, "{scope}?{query}");
    }
}

#[test]
fn a_filter_over_types_says_which_it_is_for() {
    let request = ask("", "_type=Patient,Observation&identifier=x").unwrap();
    let Filter::All(all) = &request.filter else { panic!("types and the condition") };
    assert_eq!(all.first(), Some(&Filter::Types(request.types.clone())));
    assert_eq!(request.types.len(), 2);
    assert!(matches!(ask("", "name=x"), Err(SearchError::Refused(_))), "not all types have names");
    assert!(ask("", "_tag=x").is_ok());
    assert_eq!(ask("", "").unwrap().filter, Filter::Everything);
}
