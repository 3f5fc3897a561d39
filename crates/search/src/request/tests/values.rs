//! One resource, one query: the types of parameters, their prefixes and modifiers.

use super::*;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,"gender":"male","birthDate":"1972-11-30",
    "meta":{"tag":[{"system":"http://t","code":"x"}],"profile":["http://p/one|2.0"],"source":"http://s/1","security":[{"code":"R"}]},
    "identifier":[{"system":"http://i","value":"A,1","type":{"coding":[{"system":"http://k","code":"MR"}],"text":"Dossier Médical"}},{"value":"B|2"}],
    "name":[{"family":"van der Berg-Müller","given":["Éloïse","Jan"]}],
    "telecom":[{"system":"phone","value":"0612"}],"address":[{"city":"Saint-Étienne","postalCode":"42000"}],
    "text":{"status":"generated","div":"<div>Fracture of the <b>ti</b>bia</div>"},
    "managingOrganization":{"identifier":{"system":"http://o","value":"7"}},"generalPractitioner":[{"reference":"Practitioner/d"},{"reference":"https://elsewhere/Practitioner/e"}]}"#;

/// <https://hl7.org/fhir/R4/search.html#string>
#[test]
fn strings() {
    table(
        PATIENT,
        &[
            ("name=eloise", true),
            ("name=ÉLO", true),
            ("name=loi", false),
            ("name=van der", true),
            ("name=VAN  DER BERG", true),
            ("name=der", false),
            ("name=vander", false),
            ("family=van", true),
            ("given=van", false),
            ("given=x,jan", true),
            ("given=jan&given=elo", true),
            ("given=jan&given=x", false),
            ("family:exact=van der Berg-Müller", true),
            ("family:exact=van der Berg", false),
            ("family:exact=van der Berg-Muller", false),
            ("family:contains=muller", true),
            ("family:contains=rg-mü", true),
            ("family:contains=xyz", false),
            ("family:text=berg", true),
            ("family:text=mul ber", true),
            ("family:text=erg", false),
            ("address-city=saint-etienne", true),
            ("address=42", true),
            ("name:missing=false", true),
            ("name:missing=true", false),
            ("address-country:missing=true", true),
        ],
    );
}

/// <https://hl7.org/fhir/R4/search.html#token>
#[test]
fn tokens() {
    table(
        PATIENT,
        &[
            ("gender=male", true),
            ("gender=MALE", false),
            ("gender=http://hl7.org/fhir/administrative-gender|male", true),
            ("gender=|male", true),
            ("gender=female,male", true),
            ("gender:not=female", true),
            ("gender:not=male", false),
            ("gender:not=female,male", false),
            ("address-use:not=home", true),
            ("active=true", true),
            ("active=false", false),
            ("deceased=false", true),
            (r"identifier=A\,1", true),
            ("identifier=A,1", false),
            (r"identifier=http://i|A\,1", true),
            (r"identifier=|A\,1", false),
            (r"identifier=|B\|2", true),
            (r"identifier=B\|2", true),
            ("identifier=http://i|", true),
            ("identifier=http://j|", false),
            (r"identifier:of-type=http://k|MR|A\,1", true),
            (r"identifier:of-type=http://k|SS|A\,1", false),
            ("identifier:text=medical", true),
            ("identifier:text=dossier med", true),
            ("identifier:text=edical", false),
            ("phone=0612", true),
            ("email=0612", false),
            ("gender:in=http://vs", true),
            ("gender:not-in=http://vs", false),
            ("identifier:in=http://vs", false),
            ("identifier:not-in=http://vs", true),
            ("_tag=http://t|x", true),
            ("_tag:not=http://t|y", true),
            ("_security=R", true),
            ("_id=p", true),
            ("_id=q", false),
            ("_id=q,p", true),
            ("_id:not=p", false),
            ("_id:missing=false", true),
        ],
    );
    let condition = r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":{"coding":[{"system":"http://s","code":"child","display":"Acute Headache"}],"text":"mal de tête"}}"#;
    table(
        condition,
        &[
            ("code:below=http://s|parent", true),
            ("code:below=http://s|child", true),
            ("code:above=http://s|parent", false),
            ("code:above=http://s|child", true),
            ("code:text=headache", true),
            ("code:text=mal", true),
            ("code:text=tete", true),
            ("code=child", true),
            ("code:not=parent", true),
        ],
    );
}

/// <https://hl7.org/fhir/R4/search.html#date>, <https://hl7.org/fhir/R4/search.html#prefix>
#[test]
fn dates() {
    table(
        PATIENT,
        &[
            ("birthdate=1972-11-30", true),
            ("birthdate=1972-11", true),
            ("birthdate=1972", true),
            ("birthdate=1972-11-30T08:00Z", false),
            ("birthdate=ne1972", false),
            ("birthdate=ne1973", true),
            ("birthdate=gt1972-11-29", true),
            ("birthdate=gt1972-11-30", false),
            ("birthdate=ge1972-11-30", true),
            ("birthdate=lt1972-11-30", false),
            ("birthdate=lt1972-12", true),
            ("birthdate=le1972-11", true),
            ("birthdate=sa1972-11-29", true),
            ("birthdate=sa1972-11", false),
            ("birthdate=eb1972-12", true),
            ("birthdate=eb1972", false),
            ("birthdate=ap1970", true),
            ("birthdate=ap1960", false),
            ("birthdate=ge1970&birthdate=lt1980", true),
            ("birthdate:missing=true", false),
            ("death-date:missing=true", true),
            ("_lastUpdated=2026-02-03", true),
            ("_lastUpdated=gt2026-02-03", false),
            ("_lastUpdated=ge2026-02", true),
            ("_lastUpdated=le2026-02-03T12:00:00Z", true),
            ("_lastUpdated=lt2026-02-03T12:00:00Z", false),
            ("_lastUpdated=2026-02-03T13:00:00+01:00", true),
            // A `+` that was not escaped in the url.
            ("_lastUpdated=2026-02-03T13:00:00 01:00", true),
            ("_lastUpdated=2020,2026", true),
        ],
    );
    // The page's examples of a procedure that goes over a period.
    let procedure = r#"{"resourceType":"Procedure","id":"x","status":"completed","subject":{"reference":"Patient/p"},"performedPeriod":{"start":"2013-01-02","end":"2013-01-20"}}"#;
    table(
        procedure,
        &[
            ("date=2013-01", true),
            ("date=2013-01-14", false),
            ("date=gt2013-01-14", true),
            ("date=lt2013-01-14", true),
            ("date=sa2013-01-14", false),
            ("date=sa2013-01-01", true),
            ("date=eb2013-01-21", true),
            ("date=eb2013-01-20", false),
            ("date=ap2013-01-14", true),
        ],
    );
    let open = r#"{"resourceType":"Procedure","id":"x","status":"completed","subject":{"reference":"Patient/p"},"performedPeriod":{"start":"2013-01-02T10:00:00+02:00"}}"#;
    table(
        open,
        &[
            ("date=gt2090", true),
            ("date=sa2013-01-02T07:59:59Z", true),
            ("date=ge2013-01-02T08:00:00Z", true),
            ("date=lt2013-01-02T08:00:00Z", false),
            ("date=eb2090", false),
            ("date=2013", false),
        ],
    );
}

/// <https://hl7.org/fhir/R4/search.html#number>: digits imply a range in the query, and the resource's number is itself.
#[test]
fn numbers() {
    let risk = |probability: &str| {
        format!(
            r#"{{"resourceType":"RiskAssessment","id":"r","status":"final","subject":{{"reference":"Patient/p"}},"prediction":[{{"probabilityDecimal":{probability}}}]}}"#
        )
    };
    table(
        &risk("100"),
        &[
            ("probability=100", true),
            ("probability=100.00", true),
            ("probability=1e2", true),
            ("probability=gt100", false),
            ("probability=ge100", true),
            ("probability=lt100", false),
            ("probability=le100", true),
            ("probability=ne100", false),
            ("probability=ne101", true),
            ("probability=sa99.9", true),
            ("probability=eb100", false),
            ("probability=ap110", true),
            ("probability=ap120", false),
            ("probability=99", false),
            ("probability=gt-5", true),
        ],
    );
    table(&risk("99.5"), &[("probability=100", true), ("probability=99.4", false), ("probability=gt99.4", true)]);
    table(&risk("100.5"), &[("probability=100", false), ("probability=101", true), ("probability=ne100", true)]);
    table(&risk("1e-3"), &[("probability=0.001", true), ("probability=0.0010", true), ("probability=lt0.002", true)]);
}

fn observation(quantity: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"8480-6"}}]}},"valueQuantity":{quantity}}}"#
    )
}

/// <https://hl7.org/fhir/R4/search.html#quantity>
#[test]
fn quantities() {
    const UCUM: &str = "http://unitsofmeasure.org";
    let mg = observation(&format!(r#"{{"value":5.4,"unit":"milligram","system":"{UCUM}","code":"mg"}}"#));
    let with_ucum = |query: &str| query.replace('~', UCUM);
    let cases = [
        ("value-quantity=5.4", true),
        ("value-quantity=5.4|~|mg", true),
        ("value-quantity=5.40|~|mg", true),
        ("value-quantity=5.4||mg", true),
        ("value-quantity=5.4||milligram", true),
        ("value-quantity=5.4||g", false),
        ("value-quantity=5.40e-3|~|g", true),
        ("value-quantity=0.0054|~|g", true),
        ("value-quantity=gt0.0054|~|g", false),
        ("value-quantity=ge0.0054|~|g", true),
        ("value-quantity=le5400|~|ug", true),
        ("value-quantity=lt5400|~|ug", false),
        ("value-quantity=5.4|~|mL", false),
        ("value-quantity=5.4|http://other|mg", false),
        ("value-quantity=ap5.8|~|mg", true),
        ("value-quantity=ap6.5|~|mg", false),
        ("value-quantity=ne5.4|~|mg", false),
        ("value-quantity=ne5.5|~|mg", true),
        ("value-quantity=5", true),
        ("value-quantity=gt5", true),
    ];
    for (query, expected) in cases {
        table(&mg, &[(&with_ucum(query), expected)]);
    }
    let below = observation(&format!(r#"{{"value":5,"comparator":"<","system":"{UCUM}","code":"mg"}}"#));
    table(&below, &[("value-quantity=lt5", true), ("value-quantity=gt5", false), ("value-quantity=3", false)]);
    let celsius = observation(&format!(r#"{{"value":37.0,"system":"{UCUM}","code":"Cel"}}"#));
    table(
        &celsius,
        &[(&with_ucum("value-quantity=98.6|~|[degF]"), true), (&with_ucum("value-quantity=gt310|~|K"), true)],
    );
    let local = observation(r#"{"value":3,"system":"http://local","code":"tab"}"#);
    table(&local, &[("value-quantity=3|http://local|tab", true), ("value-quantity=3|http://local|cap", false)]);
}

/// <https://hl7.org/fhir/R4/search.html#reference>
#[test]
fn references() {
    table(
        PATIENT,
        &[
            ("general-practitioner=Practitioner/d", true),
            ("general-practitioner=d", true),
            ("general-practitioner:Practitioner=d", true),
            ("general-practitioner:Organization=d", false),
            ("general-practitioner=https://h.example/fhir/Practitioner/d", true),
            ("general-practitioner=https://elsewhere/Practitioner/e", true),
            ("general-practitioner=e", false),
            ("general-practitioner=Practitioner/e", false),
            ("organization:identifier=http://o|7", true),
            ("organization:identifier=7", true),
            ("organization:identifier=|7", false),
            ("organization=7", false),
        ],
    );
    let absolute =
        r#"{"resourceType":"Condition","id":"c","subject":{"reference":"https://h.example/fhir/Patient/p"}}"#;
    table(
        absolute,
        &[("subject=Patient/p", true), ("subject=p", true), ("subject:Patient=p", true), ("patient=Patient/p", true)],
    );
    let versioned = r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p/_history/3"}}"#;
    table(versioned, &[("subject=Patient/p", true)]);
    let canonical =
        r#"{"resourceType":"QuestionnaireResponse","id":"q","status":"completed","questionnaire":"http://q/1|2.0"}"#;
    table(
        canonical,
        &[
            ("questionnaire=http://q/1", true),
            ("questionnaire=http://q/1|2.0", true),
            ("questionnaire=http://q/1|3.0", false),
        ],
    );
}

/// <https://hl7.org/fhir/R4/search.html#uri>
#[test]
fn uris() {
    table(
        r#"{"resourceType":"ValueSet","id":"v","status":"active","url":"http://acme.org/fhir/ValueSet/123"}"#,
        &[
            ("url=http://acme.org/fhir/ValueSet/123", true),
            ("url=http://acme.org/fhir/ValueSet/12", false),
            ("url=HTTP://acme.org/fhir/ValueSet/123", false),
            ("url:below=http://acme.org/fhir/", true),
            ("url:below=http://acme.org/fhir", true),
            ("url:below=http://acme.org/fh", false),
            ("url:below=http://acme.org/fhir/ValueSet/123", true),
            ("url:above=http://acme.org/fhir/ValueSet/123/_history/5", true),
            ("url:above=http://acme.org/fhir/ValueSet/1234", false),
            ("url:above=http://acme.org/fhir", false),
        ],
    );
    table(
        PATIENT,
        &[
            ("_profile=http://p/one", true),
            ("_profile=http://p/one|2.0", true),
            ("_profile=http://p/one|3.0", false),
            ("_profile:below=http://p", true),
            ("_source=http://s/1", true),
            ("_source=http://s/2", false),
        ],
    );
    let oid = r#"{"resourceType":"ValueSet","id":"v","status":"active","url":"urn:oid:1.2.3"}"#;
    table(oid, &[("url=urn:oid:1.2.3", true), ("url=urn:oid:1.2", false)]);
}

/// <https://hl7.org/fhir/R4/search.html#composite>
#[test]
fn composites() {
    let pressure = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},
        "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
        {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":60,"system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#;
    table(
        pressure,
        &[
            ("component-code-value-quantity=http://loinc.org|8480-6$gt100", true),
            ("component-code-value-quantity=http://loinc.org|8480-6$lt100", false),
            ("component-code-value-quantity=8462-4$lt100", true),
            ("combo-code-value-quantity=8480-6$107||mm[Hg],8480-6$1", true),
            ("component-code-value-quantity=8462-4$gt100", false),
        ],
    );
    let document = r#"{"resourceType":"DocumentReference","id":"d","status":"current","relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/e"}}]}"#;
    table(
        document,
        &[
            ("relationship=DocumentReference/e$replaces", true),
            ("relationship=e$replaces", true),
            ("relationship=e$appends", false),
            ("relationship=x$replaces", false),
        ],
    );
}

/// <https://hl7.org/fhir/R4/location.html#positional>
#[test]
fn positions() {
    table(
        r#"{"resourceType":"Location","id":"l","position":{"longitude":2.3522,"latitude":48.8566}}"#,
        &[
            ("near=48.85|2.35", true),
            ("near=45.764|4.8357|400", true),
            ("near=45.764|4.8357|400|km", true),
            ("near=45.764|4.8357|300|km", false),
            ("near=45.764|4.8357|250|[mi_i]", true),
            ("near=45.764|4.8357|400|m", false),
        ],
    );
}

/// <https://hl7.org/fhir/R4/search.html#content>
#[test]
fn texts() {
    table(
        PATIENT,
        &[
            ("_text=tibia", true),
            ("_text=fracture tibia", true),
            ("_text=fracture and femur", false),
            ("_text=(femur OR tibia) and fracture", true),
            ("_text=fracture not femur", true),
            ("_text=not fracture", false),
            ("_text=femur,tibia", true),
            ("_text=\"fracture of\"", true),
            ("_text=eloise", false),
            ("_content=eloise", true),
            ("_content=tibia", true),
            ("_content=nothing", false),
        ],
    );
}

/// <https://hl7.org/fhir/R4/search_filter.html>
#[test]
fn filters() {
    table(
        PATIENT,
        &[
            (r#"_filter=name co "der berg""#, true),
            (r#"_filter=name ew "muller""#, true),
            (r#"_filter=name sw "elo" and birthdate ge 1970-01-01"#, true),
            (r#"_filter=given eq "jan""#, true),
            (r#"_filter=given eq "ja""#, false),
            (r#"_filter=given ne "jan""#, false),
            ("_filter=gender eq male and not (active eq false)", true),
            ("_filter=gender eq female or active eq true and name sw x", false),
            ("_filter=(gender eq female or active eq true) and name sw van", true),
            ("_filter=gender ne female", true),
            ("_filter=address-country ne FR", false),
            ("_filter=address-country pr false", true),
            ("_filter=birthdate pr true", true),
            ("_filter=birthdate po 1972", true),
            ("_filter=birthdate lt 1972", false),
            ("_filter=birthdate ap 1970", true),
            ("_filter=gender in http://vs", true),
            ("_filter=gender ni http://vs", false),
            ("_filter=general-practitioner re Practitioner/d", true),
            ("_filter=general-practitioner re Practitioner/x", false),
            (r#"_filter=identifier eq "A,1""#, true),
            ("_filter=identifier eq http://i|A,1", true),
            ("_filter=id eq p", true),
            ("_filter=_lastUpdated gt 2026-02-02", true),
            ("_filter=_profile ss http://p", true),
        ],
    );
    let child = r#"{"resourceType":"Condition","id":"c","code":{"coding":[{"system":"http://s","code":"child"}]}}"#;
    table(
        child,
        &[
            ("_filter=code ss http://s|parent", true),
            ("_filter=code sb http://s|child", true),
            ("_filter=code sb http://s|parent", false),
        ],
    );
    let mg = observation(r#"{"value":5.4,"system":"http://unitsofmeasure.org","code":"mg"}"#);
    table(
        &mg,
        &[
            ("_filter=value-quantity gt 5|http://unitsofmeasure.org|mg", true),
            ("_filter=value-quantity lt 5", false),
            ("_filter=code-value-quantity eq 8480-6$ge5|http://unitsofmeasure.org|mg", true),
        ],
    );
}
