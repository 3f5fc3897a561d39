//! What is answered and how, what is refused, and what lenient handling passes over.

use super::*;
use tacet_fhir::search::parameter;

fn of(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

#[test]
fn results_are_what_was_asked_for() {
    let request = ask(
        "Observation",
        "_sort=-date,_lastUpdated,-_id&_count=20&_total=accurate&_summary=data&_elements=status,code&_elements=code&_contained=false",
    )
    .unwrap();
    let date = parameter(of("Observation"), "date").unwrap();
    let key = |parameter, descending| SortKey { parameter, descending };
    assert_eq!(
        request.sort,
        [key(SortBy::Parameter(vec![date]), true), key(SortBy::LastUpdated, false), key(SortBy::Id, true)]
    );
    assert_eq!((request.count, request.total, request.summary), (Some(20), Total::Accurate, Summary::Data));
    assert_eq!(request.elements, ["status", "code"]);
    assert_eq!(request.filter, Filter::Types(vec![of("Observation")]));
    assert_eq!(request.used.len(), 7);
    assert_eq!(ask("Patient", "_count=0").unwrap().count, Some(0));
    let sort = &ask("", "_type=Encounter,Observation&_sort=date").unwrap().sort;
    assert!(matches!(&sort[0].parameter, SortBy::Parameter(ids) if ids.len() == 1), "one parameter for both");
}

#[test]
fn includes_are_read() {
    let request = ask(
        "MedicationRequest",
        "_include=MedicationRequest:patient&_include:iterate=Patient:general-practitioner:Practitioner&_revinclude=Provenance:target&_include=*&_include:recurse=Patient:*",
    )
    .unwrap();
    let include = |reverse, source: Option<&str>, code: Option<&str>, target: Option<&str>, iterate| {
        let source = source.map(of);
        let parameter = code.map(|code| parameter(source.unwrap(), code).unwrap());
        Include { reverse, source, parameter, target: target.map(of), iterate }
    };
    assert_eq!(
        request.includes,
        [
            include(false, Some("MedicationRequest"), Some("patient"), None, false),
            include(false, Some("Patient"), Some("general-practitioner"), Some("Practitioner"), true),
            include(true, Some("Provenance"), Some("target"), None, false),
            include(false, None, None, None, false),
            include(false, Some("Patient"), None, None, true),
        ]
    );
}

#[test]
fn wrong_values_are_errors_however_they_are_handled() {
    for (scope, query) in [
        ("Patient", "birthdate=yesterday"),
        ("Patient", "birthdate=1972-13"),
        ("Patient", "birthdate=xx1972"),
        ("Patient", "birthdate=1972,"),
        ("Patient", "name= "),
        ("Patient", "name=,"),
        ("Patient", "gender=|"),
        ("Patient", "gender=a|b|c"),
        ("Patient", "name:missing=yes"),
        ("Patient", "identifier:of-type=a|b"),
        ("Patient", "identifier:text=.,"),
        ("Patient", "gender:in=http://other"),
        ("Patient", "gender:below=male"),
        ("Patient", "_id=a b"),
        ("Patient", "general-practitioner=Practitioner/d/_history/1"),
        ("Patient", "general-practitioner=a b"),
        ("Patient", "general-practitioner:Practitioner=a/b"),
        ("Patient", "general-practitioner:below=Practitioner/d"),
        ("Patient", "_list=$current-friends"),
        ("Patient", "_sort=_score"),
        ("Patient", "_list=a b"),
        ("Patient", "_query=x"),
        ("Patient", "_filter=name"),
        ("Patient", "_filter=birthdate co 19"),
        ("Patient", "_filter=gender gt male"),
        ("Patient", "_filter=name po 2020"),
        ("Patient", "_text=("),
        ("Patient", "_text=a)"),
        ("Patient", "_text=a or"),
        ("Patient", "_count=-1"),
        ("Patient", "_count=x"),
        ("Patient", "_count=99999999999"),
        ("Patient", "_count=1&_count=2"),
        ("Patient", "_total=all"),
        ("Patient", "_summary=yes"),
        ("Patient", "_elements=a.b"),
        ("Patient", "_contained=yes"),
        ("Patient", "_contained=true&_containedType=contained"),
        ("Patient", "_contained=both&_sort=birthdate"),
        ("Patient/p/Observation", "_contained=true"),
        ("Patient", "_sort=,"),
        ("Patient", "_include=Patient"),
        ("", "_type=Nobody"),
        ("Patient/p/Practitioner", ""),
        ("ValueSet", "url:below=urn:oid:1.2"),
        ("ValueSet", "url=a b"),
        ("RiskAssessment", "probability=1,5x"),
        ("RiskAssessment", "probability=1e9999"),
        ("Observation", "value-quantity=5|mg"),
        ("Observation", "value-quantity=x||mg"),
        ("Observation", "value-quantity=5|s|c|d"),
        ("Observation", "code-value-quantity=8480-6"),
        ("Observation", "code-value-quantity=8480-6$"),
        ("Observation", "code-value-quantity=a$1$2"),
        ("Location", "near=91|0"),
        ("Location", "near=0|0|5|kg"),
        ("Location", "near=0|0|-5"),
        ("Location", "near=0"),
    ] {
        for handling in [Handling::Strict, Handling::Lenient] {
            assert!(ask_with(scope, query, handling).is_err(), "{scope}?{query}");
        }
    }
}

#[test]
fn what_is_not_known_is_refused_or_passed_over() {
    for (scope, query) in [
        ("Patient", "nome=x"),
        ("Patient", "name:exactly=x"),
        ("Patient", "birthdate:exact=1972"),
        ("Patient", "gender:exact=male"),
        ("Patient", "name"),
        ("Patient", "gender.name=x"),
        ("Patient", "general-practitioner.nome=x"),
        ("Patient", "general-practitioner:Patient=x"),
        ("Patient", "_has:Observation:patient=x"),
        ("Patient", "_has:Observation:code:code=x"),
        ("Patient", "_has:Nobody:patient:code=x"),
        ("Patient", "_type=Patient"),
        ("Patient", "_sort=nome"),
        ("Patient", "_include=Patient:name"),
        ("Patient", "_include=Nobody:name"),
        ("Patient", "_revinclude=Observation:nobody"),
        ("Patient", "_filter=nome eq x"),
        ("Observation", "_sort=code-value-quantity"),
        ("", "name=x"),
        ("", "_type=Patient,Group&birthdate=1972"),
    ] {
        let secret = format!("{query}&_tag=secret");
        let Err(SearchError::Refused(issue)) = ask_with(scope, query, Handling::Strict) else { panic!("{query}") };
        assert!(!issue.message.is_empty());
        let request = ask_with(scope, &secret, Handling::Lenient).unwrap();
        assert_eq!(request.issues.len(), 1, "{query}");
        assert!(!request.issues[0].message.contains("secret"));
        assert!(request.used.iter().any(|(name, _)| name == "_tag"));
        let name = query.split('=').next().unwrap();
        if name != "_type" {
            assert!(request.used.iter().all(|(used, _)| used != name), "{query}");
        }
    }
}

#[test]
fn no_value_and_no_strange_name_stands_in_a_message() {
    let message = |query: &str| match ask("Patient", query) {
        Err(SearchError::Refused(issue)) => issue.message,
        other => panic!("{query}: {other:?}"),
    };
    for query in [
        "birthdate=Jeanne",
        "Jeanne Martin=x",
        "_id=Jeanne Martin",
        "name:Jeanne Martin=x",
        "_filter=Jeanne",
        "_include=Jeanne Martin:x",
    ] {
        assert!(!message(query).contains("Jeanne"), "{query}: {}", message(query));
    }
    assert!(message("nome=x").contains("`nome`"));
}

#[test]
fn limits_are_held() {
    let refused = |scope: &str, query: &str| matches!(ask(scope, query), Err(SearchError::TooCostly { .. }));
    let limits = QueryLimits::default();
    assert!(refused("Patient", &vec!["name=x"; limits.parameters_max + 1].join("&")));
    assert!(refused("Patient", &format!("name={}", "x".repeat(limits.bytes_max))));
    assert!(refused("Patient", &format!("name={}", vec!["x"; limits.values_max + 1].join(","))));
    assert!(refused("Patient", &format!("{}name=x", "link.".repeat(limits.chain_depth_max + 2))));
    assert!(refused("Patient", &format!("_filter={}name eq x{}", "(".repeat(40), ")".repeat(40))));
    assert!(refused("Patient", &format!("_text={}a", "not ".repeat(40))));
    assert!(refused("Patient", &format!("_sort={}", vec!["name"; limits.sort_keys_max + 1].join(","))));
    // Chains over all types cost what they open.
    assert!(refused("List", "item.subject.subject.subject.subject._id=x"));
    assert!(ask("Patient", &format!("name={}", vec!["x"; limits.values_max].join(","))).is_ok());
}
