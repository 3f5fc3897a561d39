//! Definitions of the store: searches by value sets and hierarchies, terminology operations, validation when something is stored and by
//! itself, and what of all this stands in the ledger.

use crate::house::*;
use crate::searching::{found, search};
use pollster::block_on;
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, Severity};
use tacet_ledger::{EventKind, Outcome};
use tacet_vault::{
    DefinitionKind, ImportUnit, OperationCall, OperationInput, Patch, RequiredProfile, ReturnPreference, Role,
    ValidateCall, Validation, VaultError,
};

const SYSTEM: &str = "http://codes.example/organs";

fn code_system() -> String {
    format!(
        r#"{{"resourceType":"CodeSystem","id":"organs","url":"{SYSTEM}","version":"1","status":"active","content":"complete",
        "hierarchyMeaning":"is-a","concept":[{{"code":"heart","display":"Heart","concept":[{{"code":"valve","display":"Valve","concept":[
        {{"code":"mitral","display":"Mitral valve"}}]}}]}},{{"code":"lung","display":"Lung"}}]}}"#
    )
}

fn value_set(codes: &[&str]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| format!(r#"{{"code":"{code}"}}"#)).collect();
    format!(
        r#"{{"resourceType":"ValueSet","id":"some-organs","url":"http://codes.example/vs","status":"active",
        "compose":{{"include":[{{"system":"{SYSTEM}","concept":[{}]}}]}}}}"#,
        codes.join(",")
    )
}

fn condition(id: &str, code: &str) -> String {
    format!(
        r#"{{"resourceType":"Condition","id":"{id}","subject":{{"reference":"Patient/p"}},"code":{{"coding":[{{"system":"{SYSTEM}","code":"{code}"}}]}},
        "clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}}}}"#
    )
}

fn organs() -> House {
    let house = House::new();
    house.put("CodeSystem", "organs", &code_system()).unwrap();
    house.put("ValueSet", "some-organs", &value_set(&["valve", "lung"])).unwrap();
    for code in ["heart", "valve", "mitral", "lung"] {
        house.put("Condition", code, &condition(code, code)).unwrap();
    }
    assert!(house.vault.wait_for_definitions());
    house
}

fn assert_searches(house: &House) {
    let conditions = |codes: &[&str]| codes.iter().map(|code| format!("Condition/{code}")).collect::<Vec<_>>();
    assert_eq!(found(house, "Condition?code:in=http://codes.example/vs"), conditions(&["lung", "valve"]));
    assert_eq!(found(house, "Condition?code:in=ValueSet/some-organs"), conditions(&["lung", "valve"]));
    assert_eq!(found(house, "Condition?code:not-in=http://codes.example/vs"), conditions(&["heart", "mitral"]));
    let below = format!("Condition?code:below={SYSTEM}|valve");
    assert_eq!(found(house, &below), conditions(&["mitral", "valve"]));
    let above = format!("Condition?code:above={SYSTEM}|valve");
    assert_eq!(found(house, &above), conditions(&["heart", "valve"]));
}

#[test]
fn searches_go_by_value_sets_and_hierarchies() {
    let mut house = organs();
    assert_searches(&house);
    assert!(matches!(search(&house, "Condition?code:in=http://codes.example/other"), Err(VaultError::Search(_))));
    assert!(matches!(search(&house, "Condition?code:in=ValueSet/nobody"), Err(VaultError::Search(_))));
    assert!(matches!(search(&house, "Condition?code:below=http://x.example|a"), Err(VaultError::Search(_))));
    // What FHIR itself defines is there without anything stored.
    let fhirs = "Condition?clinical-status:in=http://hl7.org/fhir/ValueSet/condition-clinical";
    assert_eq!(found(&house, fhirs).len(), 4);

    house.reopen();
    assert!(house.vault.wait_for_definitions());
    house.vault.wait_for_index(&mut |_| {});
    assert_searches(&house);
    house.assert_sound();

    house.put("ValueSet", "some-organs", &value_set(&["heart"])).unwrap();
    assert!(house.vault.wait_for_definitions());
    assert_eq!(found(&house, "Condition?code:in=http://codes.example/vs"), ["Condition/heart"]);
    house.delete("ValueSet", "some-organs").unwrap();
    assert!(house.vault.wait_for_definitions());
    assert!(matches!(search(&house, "Condition?code:in=http://codes.example/vs"), Err(VaultError::Search(_))));
    house.assert_sound();
}

#[test]
fn definitions_are_opened_under_an_entry_of_the_stores_own() {
    let house = organs();
    let own: Vec<_> = house.ledger().into_iter().filter(|entry| entry.agent.owner == "tacet").collect();
    assert!(!own.is_empty());
    for entry in own {
        assert_eq!((entry.kind, entry.patient), (EventKind::Check, None));
        assert!(entry.detail.unwrap().starts_with("definitions: "));
    }
    let unread = House::new();
    unread.put("Patient", "p", &patient("p", "Müller")).unwrap();
    assert!(unread.vault.wait_for_definitions());
    assert!(unread.ledger().iter().all(|entry| entry.agent.owner != "tacet"), "nothing to read, nothing read");
}

#[test]
fn what_cannot_be_used_is_left_out_alone() {
    let house = organs();
    // A code twice, an address of nobody, a value set of a system that is not there.
    for (name, id, body) in [
        (
            "CodeSystem",
            "twice",
            r#"{"resourceType":"CodeSystem","id":"twice","url":"http://codes.example/twice","status":"active","content":"complete",
                "concept":[{"code":"a"},{"code":"a"}]}"#,
        ),
        ("ValueSet", "nameless", r#"{"resourceType":"ValueSet","id":"nameless","status":"active"}"#),
    ] {
        let unit = ImportUnit::Document(body.as_bytes());
        let outcome = block_on(house.vault.import(&clinician(), &unit, Default::default())).unwrap();
        assert!(outcome.rejected.is_empty(), "{name}/{id}: {:?}", outcome.rejected);
    }
    assert!(house.vault.wait_for_definitions());
    assert_searches(&house);
    let known = block_on(house.vault.definitions(&clinician())).unwrap();
    let known: Vec<_> = known.iter().map(|known| (known.record.id.as_str(), known.version.as_deref())).collect();
    assert_eq!(known, [("organs", Some("1")), ("some-organs", None)]);
    assert!(matches!(block_on(house.vault.definitions(&caller(Role::Operator))), Err(VaultError::Forbidden)));
    house.assert_sound();
}

fn call(kind: DefinitionKind, name: &str, query: &[(&str, &str)]) -> OperationCall {
    let pairs = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    OperationCall { kind, id: None, name: name.to_owned(), input: OperationInput::Query(pairs) }
}

fn operate(house: &House, call: &OperationCall) -> Result<Json<'static>, VaultError> {
    let answer = block_on(house.vault.terminology(&clinician(), call))?;
    Ok(json::parse(&answer, &json::Limits::default()).unwrap().into_owned())
}

fn parameter(answer: &Json<'_>, name: &str, value: &str) -> Json<'static> {
    let parameters = answer.get("parameter").unwrap().items();
    let parameter = parameters.iter().find(|parameter| parameter.get_str("name") == Some(name)).unwrap();
    parameter.get(value).unwrap().clone().into_owned()
}

#[test]
fn operations_answer_from_what_is_stored_and_are_written_down() {
    let house = organs();
    // No waiting: an operation has what was stored before it.
    house.put("ValueSet", "some-organs", &value_set(&["mitral", "lung", "heart"])).unwrap();
    let expand = call(DefinitionKind::ValueSet, "expand", &[("url", "http://codes.example/vs"), ("filter", "mitr")]);
    let expansion = operate(&house, &expand).unwrap();
    let codes = |expansion: &Json<'_>| {
        let contains = expansion.get("expansion").unwrap().get("contains").unwrap().items();
        contains.iter().map(|code| code.get_str("code").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&expansion), ["mitral"]);
    let entry = house.ledger().pop().unwrap();
    let (entry, own) = if entry.agent.owner == "tacet" {
        let ledger = house.ledger();
        (ledger[ledger.len() - 2].clone(), true)
    } else {
        (entry, false)
    };
    assert!(own, "the definitions were read for it, after the question was written down");
    assert_eq!((entry.kind, entry.outcome, entry.patient.is_none()), (EventKind::Search, Outcome::Success, true));
    assert_eq!(entry.query.as_deref(), Some("ValueSet/$expand?url=http://codes.example/vs&filter=mitr"));

    let instance = OperationCall { id: Some(rid("some-organs")), ..call(DefinitionKind::ValueSet, "expand", &[]) };
    assert_eq!(codes(&operate(&house, &instance).unwrap()).len(), 3);
    let entry = house.ledger().pop().unwrap();
    assert_eq!(entry.kind, EventKind::Read);
    assert_eq!(entry.records[0].id.as_str(), "some-organs");

    let system = DefinitionKind::CodeSystem;
    let lookup = operate(&house, &call(system, "lookup", &[("system", SYSTEM), ("code", "valve")])).unwrap();
    assert_eq!(parameter(&lookup, "display", "valueString").as_str(), Some("Valve"));
    let subsumes = [("system", SYSTEM), ("codeA", "heart"), ("codeB", "mitral")];
    let subsumes = operate(&house, &call(system, "subsumes", &subsumes)).unwrap();
    assert_eq!(parameter(&subsumes, "outcome", "valueCode").as_str(), Some("subsumes"));
    let body = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"url","valueUri":"http://codes.example/vs"}},
        {{"name":"coding","valueCoding":{{"system":"{SYSTEM}","code":"valve"}}}}]}}"#
    );
    let validate = OperationCall {
        input: OperationInput::Body(body.into_bytes()),
        ..call(DefinitionKind::ValueSet, "validate-code", &[])
    };
    assert_eq!(parameter(&operate(&house, &validate).unwrap(), "result", "valueBoolean"), Json::Bool(false));

    house
        .put(
            "ConceptMap",
            "m",
            &format!(
                r#"{{"resourceType":"ConceptMap","id":"m","url":"http://codes.example/map","status":"active","group":[{{"source":"{SYSTEM}",
                "target":"http://other.example","element":[{{"code":"lung","target":[{{"code":"L","equivalence":"equivalent"}}]}}]}}]}}"#
            ),
        )
        .unwrap();
    let translate = [("url", "http://codes.example/map"), ("system", SYSTEM), ("code", "lung")];
    let translated = operate(&house, &call(DefinitionKind::ConceptMap, "translate", &translate)).unwrap();
    assert_eq!(parameter(&translated, "result", "valueBoolean"), Json::Bool(true));

    let unknown = operate(&house, &call(DefinitionKind::ValueSet, "expand", &[("url", "http://nobody.example")]));
    assert_eq!(unknown.unwrap_err().http_status(), "404 Not Found");
    let other = operate(&house, &call(DefinitionKind::ConceptMap, "expand", &[]));
    assert_eq!(other.unwrap_err().http_status(), "501 Not Implemented");
    let nobody = OperationCall { id: Some(rid("nobody")), ..call(DefinitionKind::ValueSet, "expand", &[]) };
    assert!(matches!(operate(&house, &nobody), Err(VaultError::NotFound)));
    for role in [Role::Operator, Role::Auditor] {
        assert!(matches!(block_on(house.vault.terminology(&caller(role), &expand)), Err(VaultError::Forbidden)));
    }
}

/// Breaks pat-1: a contact says something of somebody.
const BROKEN: &str = r#"{"resourceType":"Patient","id":"b","contact":[{"gender":"female"}]}"#;

fn refused(result: Result<impl Sized, VaultError>) -> Vec<Issue> {
    match result {
        Err(VaultError::Invalid(issues)) => {
            issues.into_iter().filter(|issue| issue.severity <= Severity::Error).collect()
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was stored"),
    }
}

#[test]
fn writes_are_held_to_the_invariants_and_imports_are_not() {
    let mut house = House::new();
    let issues = refused(house.put("Patient", "b", BROKEN));
    assert_eq!(issues[0].location, "Patient.contact[0]");
    let transaction = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"resource":{{"resourceType":"Patient","id":"a"}},"request":{{"method":"PUT","url":"Patient/a"}}}},
            {{"resource":{BROKEN},"request":{{"method":"PUT","url":"Patient/b"}}}}]}}"#
    );
    let send = |house: &House, body: &str| {
        block_on(house.vault.bundle(&clinician(), body.as_bytes(), BASE_URL, ReturnPreference::Minimal))
    };
    assert_eq!(refused(send(&house, &transaction))[0].location, "Bundle.entry[1].resource.contact[0]");
    assert!(matches!(house.read("Patient", "a"), Err(VaultError::NotFound)), "all or nothing");
    let batch = send(&house, &transaction.replace("\"transaction\"", "\"batch\"")).unwrap();
    let batch = String::from_utf8(batch.to_vec()).unwrap();
    assert!(batch.contains("201 Created") && batch.contains("422 Unprocessable Entity"), "{batch}");
    let patch = br#"[{"op":"add","path":"/contact","value":[{"gender":"female"}]}]"#;
    let patched =
        block_on(house.vault.patch(&clinician(), kind("Patient"), &rid("a"), &Patch::Json(patch), BASE_URL, None));
    assert_eq!(refused(patched)[0].location, "Patient.contact[0]");

    let import = |house: &House| {
        let unit = ImportUnit::Document(BROKEN.as_bytes());
        block_on(house.vault.import(&clinician(), &unit, Default::default())).unwrap().rejected.len()
    };
    house.validation.imports = Validation::Base;
    house.reopen();
    assert_eq!(import(&house), 1);
    house.validation = Default::default();
    house.reopen();
    assert_eq!(import(&house), 0);
    house.validation.writes = Validation::Structure;
    house.reopen();
    house.put("Patient", "b", BROKEN).unwrap();
    send(&house, &transaction).unwrap();
}

const PROFILE: &str = r#"{"resourceType":"StructureDefinition","id":"born","url":"http://profiles.example/born","name":"Born","status":"active",
    "kind":"resource","abstract":false,"type":"Patient","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
    "differential":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}"#;

fn claiming(profile: &str, rest: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"q","meta":{{"profile":["{profile}"]}}{rest}}}"#)
}

#[test]
fn profiles_hold_where_they_are_asked_for() {
    let mut house = House::new();
    house.put("StructureDefinition", "born", PROFILE).unwrap();
    let unborn = claiming("http://profiles.example/born", "");
    house.put("Patient", "q", &unborn).unwrap();

    house.validation.writes = Validation::Profiles;
    house.reopen();
    assert!(house.vault.wait_for_definitions());
    let issues = refused(house.put("Patient", "q", &unborn));
    assert!(issues.iter().any(|issue| issue.location.starts_with("Patient")), "{issues:?}");
    house.put("Patient", "q", &claiming("http://profiles.example/born", r#","birthDate":"1980-01-02""#)).unwrap();
    // What a store does not know it cannot hold anybody to.
    house.put("Patient", "q", &claiming("http://profiles.example/unheard-of", "")).unwrap();

    let profile = "http://profiles.example/born".to_owned();
    house.validation.required = vec![RequiredProfile { resource_type: kind("Patient"), profile }];
    house.reopen();
    assert!(house.vault.wait_for_definitions());
    refused(house.put("Patient", "p", &patient("p", "Müller")));
    house.put("Observation", "o", &observation("o", "p", "1")).unwrap();
    house.validation.required[0].profile = "http://profiles.example/unheard-of".to_owned();
    house.reopen();
    assert!(house.vault.wait_for_definitions());
    refused(house.put("Patient", "p", r#"{"resourceType":"Patient","id":"p","birthDate":"1980-01-02"}"#));
}

fn errors(house: &House, call: &ValidateCall) -> Result<usize, VaultError> {
    let issues = block_on(house.vault.validate(&clinician(), call))?;
    Ok(issues.iter().filter(|issue| issue.severity <= Severity::Error).count())
}

#[test]
fn validate_says_what_is_wrong_and_stores_nothing() {
    let house = House::new();
    house.put("StructureDefinition", "born", PROFILE).unwrap();
    house.put("Patient", "p", &patient("p", "Müller")).unwrap();
    let plain = ValidateCall {
        resource_type: kind("Patient"),
        id: None,
        body: Some(BROKEN.as_bytes().to_vec()),
        mode: None,
        profiles: Vec::new(),
    };
    let before = house.ledger().len();
    assert_eq!(errors(&house, &plain).unwrap(), 1);
    let entry = house.ledger()[before].clone();
    assert_eq!((entry.kind, entry.query.as_deref()), (EventKind::Search, Some("Patient/$validate")));
    let good = ValidateCall { body: Some(patient("p", "Durand").into_bytes()), ..plain.clone() };
    assert_eq!(errors(&house, &good).unwrap(), 0);
    let born = vec!["http://profiles.example/born".to_owned()];
    assert_eq!(errors(&house, &ValidateCall { profiles: born.clone(), ..good.clone() }).unwrap(), 1);
    let wrapped = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{}}},{{"name":"mode","valueCode":"create"}},
        {{"name":"profile","valueUri":"http://profiles.example/born"}}]}}"#,
        patient("p", "Durand")
    );
    assert_eq!(errors(&house, &ValidateCall { body: Some(wrapped.into_bytes()), ..plain.clone() }).unwrap(), 1);
    let elsewhere = ValidateCall { resource_type: kind("Person"), ..good.clone() };
    assert!(errors(&house, &elsewhere).unwrap() >= 1);

    let stored = ValidateCall { id: Some(rid("p")), body: None, profiles: born, ..plain.clone() };
    assert_eq!(errors(&house, &stored).unwrap(), 1);
    let entry = house.ledger().pop().unwrap();
    assert_eq!((entry.kind, entry.records[0].id.as_str()), (EventKind::Read, "p"));
    let update = ValidateCall { id: Some(rid("other")), mode: Some("update".to_owned()), ..good.clone() };
    assert_eq!(errors(&house, &update).unwrap(), 1);
    let delete = ValidateCall { mode: Some("delete".to_owned()), profiles: Vec::new(), ..stored.clone() };
    assert_eq!(errors(&house, &delete).unwrap(), 0);
    assert!(house.read("Patient", "p").is_ok(), "nothing was deleted");
    let nobody = ValidateCall { id: Some(rid("nobody")), ..stored };
    assert!(matches!(errors(&house, &nobody), Err(VaultError::NotFound)));
    for wrong in [
        ValidateCall { mode: Some("destroy".to_owned()), ..good.clone() },
        ValidateCall { mode: Some("delete".to_owned()), ..good.clone() },
        ValidateCall { body: None, ..good.clone() },
        ValidateCall {
            body: Some(br#"{"resourceType":"Parameters","parameter":[{"name":"x"}]}"#.to_vec()),
            ..good.clone()
        },
    ] {
        assert_eq!(errors(&house, &wrong).unwrap_err().http_status(), "400 Bad Request", "{wrong:?}");
    }
    assert!(matches!(block_on(house.vault.validate(&caller(Role::Auditor), &good)), Err(VaultError::Forbidden)));
}

#[test]
fn the_international_patient_summary_is_held_to_its_profiles() {
    let (Some(definitions), Some(examples)) =
        (crate::real_data::data("ips-2.0.0/definitions"), crate::real_data::data("ips-2.0.0/examples"))
    else {
        return;
    };
    let house = House::new();
    let names = ["StructureDefinition-", "ValueSet-", "CodeSystem-", "ConceptMap-", "Questionnaire-"];
    let is_one = |file: &&std::path::PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy();
        names.iter().any(|start| name.starts_with(start))
    };
    let texts: Vec<Vec<u8>> = definitions.iter().filter(is_one).map(|file| std::fs::read(file).unwrap()).collect();
    let lines = texts.iter().zip(0u64..).map(|(text, place)| (place, text.as_slice())).collect();
    let outcome =
        block_on(house.vault.import(&clinician(), &ImportUnit::Resources(lines), Default::default())).unwrap();
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    let known = block_on(house.vault.definitions(&clinician())).unwrap();
    assert!(known.len() > 40, "{}", known.len());
    let bundle = examples.iter().find(|file| file.ends_with("Bundle-bundle-minimal.json")).unwrap();
    let text = std::fs::read_to_string(bundle).unwrap();
    let call = |text: &str| ValidateCall {
        resource_type: kind("Bundle"),
        id: None,
        body: Some(text.as_bytes().to_vec()),
        mode: None,
        profiles: vec!["http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips".to_owned()],
    };
    assert_eq!(errors(&house, &call(&text)).unwrap(), 0);
    // Without its first entry, the Composition, it is no summary any more.
    let mut broken = json::parse(text.as_bytes(), &json::Limits::default()).unwrap().into_owned();
    let entries = broken.get("entry").unwrap().items()[1..].to_vec();
    broken.set("entry", Json::Array(entries));
    let broken = String::from_utf8(json::write(&broken)).unwrap();
    assert!(errors(&house, &call(&broken)).unwrap() >= 1);
}
