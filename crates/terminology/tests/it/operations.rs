//! The operations of R4's terminology service, with their parameters.

use crate::{SHIPS, call, codes, json, of, send, set, value};
use tacet_fhir::json::Json;
use tacet_terminology::{ErrorKind, Input, Kind, Membership, Terminology};

const SYSTEM: &str = "http://example.org/ships";
const ALL: &str = "http://example.org/ships/all";

fn expanded(compose: &str) -> Vec<String> {
    let url = "http://example.org/vs";
    let terminology = of(&[SHIPS, &set(url, compose)]);
    codes(&call(&terminology, Kind::ValueSet, "$expand", &[("url", url)]).expect("an expansion"))
}

fn filtered(property: &str, op: &str, value: &str) -> Vec<String> {
    expanded(&format!(
        r#"{{"include":[{{"system":"{SYSTEM}","filter":[{{"property":"{property}","op":"{op}","value":"{value}"}}]}}]}}"#
    ))
}

#[test]
fn every_filter_of_r4_chooses_its_concepts() {
    assert_eq!(filtered("concept", "is-a", "sail"), ["sail", "sloop", "brig", "galley", "hybrid"]);
    assert_eq!(filtered("concept", "descendent-of", "sail"), ["sloop", "brig", "galley", "hybrid"]);
    assert_eq!(filtered("concept", "is-not-a", "sail"), ["ship", "steam"]);
    assert_eq!(filtered("concept", "generalizes", "hybrid"), ["ship", "sail", "steam", "hybrid"]);
    assert_eq!(filtered("code", "regex", "s.*p"), ["ship", "sloop"]);
    assert_eq!(filtered("code", "regex", "s|brig"), ["brig"]);
    assert_eq!(filtered("masts", "=", "2"), ["brig", "galley"]);
    assert_eq!(filtered("rig", "in", "fore, square"), ["sloop", "brig"]);
    assert_eq!(filtered("code", "not-in", "ship,sail,sloop,brig"), ["galley", "steam", "hybrid"]);
    assert_eq!(filtered("masts", "exists", "true"), ["sloop", "brig", "galley", "hybrid"]);
    assert_eq!(filtered("masts", "exists", "false"), ["ship", "sail", "steam"]);
    assert_eq!(filtered("parent", "=", "ship"), ["sail", "steam", "hybrid"]);
    assert_eq!(filtered("child", "exists", "true"), ["ship", "sail", "steam"]);
    assert_eq!(filtered("inactive", "=", "true"), ["galley"]);
    assert_eq!(filtered("display", "=", "Steamer"), ["steam"]);
}

#[test]
fn includes_add_up_and_excludes_take_away_in_order() {
    let listed =
        format!(r#"{{"system":"{SYSTEM}","concept":[{{"code":"steam"}},{{"code":"brig"}},{{"code":"no-such"}}]}}"#);
    let sails = format!(r#"{{"system":"{SYSTEM}","filter":[{{"property":"concept","op":"is-a","value":"sail"}}]}}"#);
    assert_eq!(
        expanded(&format!(r#"{{"include":[{listed},{sails}]}}"#)),
        ["steam", "brig", "sail", "sloop", "galley", "hybrid"]
    );
    assert_eq!(
        expanded(&format!(r#"{{"include":[{sails}],"exclude":[{listed}],"inactive":false}}"#)),
        ["sail", "sloop", "hybrid"]
    );
    let other = r#"{"system":"http://example.org/none","concept":[{"code":"x","display":"Ex"},{"code":"x"}]}"#;
    assert_eq!(expanded(&format!(r#"{{"include":[{other},{other}]}}"#)), ["x"]);
}

#[test]
fn value_sets_in_one_include_must_all_hold() {
    let sails = set(
        "http://example.org/sails",
        &format!(
            r#"{{"include":[{{"system":"{SYSTEM}","filter":[{{"property":"concept","op":"is-a","value":"sail"}}]}}]}}"#
        ),
    );
    let steamers = set(
        "http://example.org/steamers",
        &format!(
            r#"{{"include":[{{"system":"{SYSTEM}","filter":[{{"property":"concept","op":"is-a","value":"steam"}}]}}]}}"#
        ),
    );
    let both = set(
        "http://example.org/both",
        r#"{"include":[{"valueSet":["http://example.org/sails|1","http://example.org/steamers"]}]}"#,
    );
    let either = set(
        "http://example.org/either",
        r#"{"include":[{"valueSet":["http://example.org/sails"]},{"valueSet":["http://example.org/steamers"]}]}"#,
    );
    let narrowed = set(
        "http://example.org/narrowed",
        &format!(
            r#"{{"include":[{{"system":"{SYSTEM}","concept":[{{"code":"brig"}},{{"code":"steam"}}],"valueSet":["http://example.org/sails"]}}]}}"#
        ),
    );
    let terminology = of(&[SHIPS, &sails, &steamers, &both, &either, &narrowed]);
    let codes = |url: &str| -> Vec<String> {
        terminology.codes_of(url).expect("codes").into_iter().map(|(_, code)| code).collect()
    };
    assert_eq!(codes("http://example.org/both"), ["hybrid"]);
    assert_eq!(codes("http://example.org/either"), ["sail", "sloop", "brig", "galley", "hybrid", "steam"]);
    assert_eq!(codes("http://example.org/narrowed"), ["brig"]);
    assert_eq!(codes(ALL).len(), 7);
    assert_eq!(codes("http://example.org/ships?fhir_vs=isa/steam"), ["steam", "hybrid"]);
    assert_eq!(terminology.codes_of("http://example.org/sails|9").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn an_expansion_has_pages_texts_languages_and_its_parameters() {
    let terminology = of(&[SHIPS]);
    let expand = |query: &[(&str, &str)]| {
        let mut all = vec![("url", ALL)];
        all.extend_from_slice(query);
        call(&terminology, Kind::ValueSet, "expand", &all).expect("an expansion")
    };
    let total = |value_set: &Json<'_>| value_set.get("expansion").unwrap().get("total").unwrap().as_i64();
    let page = expand(&[("offset", "2"), ("count", "2")]);
    assert_eq!((codes(&page), total(&page)), (vec!["sloop".to_owned(), "brig".to_owned()], Some(7)));
    let none = expand(&[("count", "0")]);
    assert_eq!((codes(&none), total(&none)), (vec![], Some(7)));
    assert_eq!(codes(&expand(&[("offset", "99")])), Vec::<String>::new());
    assert_eq!(codes(&expand(&[("filter", "VOILI")])), ["sail"]);
    assert_eq!(codes(&expand(&[("filter", "ship sail")])), ["sail"]);
    assert_eq!(codes(&expand(&[("activeOnly", "true"), ("excludeNotForUI", "true")])).len(), 5);
    assert_eq!(codes(&expand(&[("exclude-system", "http://example.org/ships|2")])), Vec::<String>::new());
    assert_eq!(codes(&expand(&[("exclude-system", "http://example.org/ships|1")])).len(), 7);

    let french = expand(&[("displayLanguage", "fr"), ("includeDesignations", "true"), ("designation", "fr")]);
    let expansion = french.get("expansion").unwrap();
    let entries = expansion.get("contains").unwrap().items();
    assert_eq!(entries[0].get_str("display"), Some("Navire"));
    assert_eq!(entries[1].get_str("display"), Some("Voilier"));
    assert_eq!(entries[2].get_str("display"), Some("Sloop"));
    assert_eq!(entries[0].get("abstract"), Some(&Json::Bool(true)));
    let designation = &entries[1].get("designation").unwrap().items()[0];
    assert_eq!(designation.get("use").unwrap().get_str("code"), Some("long"));
    assert!(expansion.get_str("identifier").unwrap().starts_with("urn:uuid:"));
    assert_eq!(expansion.get_str("timestamp"), Some("2023-11-14T22:13:20.000Z"));
    let used = expansion.get("parameter").unwrap().items();
    assert!(used.iter().any(|one| one.get_str("valueUri") == Some("http://example.org/ships|2")));
}

#[test]
fn the_definition_is_shown_only_when_asked_for_and_a_stored_expansion_is_used() {
    let url = "http://example.org/vs";
    let compose =
        format!(r#"{{"include":[{{"system":"{SYSTEM}","concept":[{{"code":"brig","display":"My brig"}}]}}]}}"#);
    let stored = r#"{"resourceType":"ValueSet","url":"http://example.org/stored","status":"active","expansion":{
        "timestamp":"2020-01-01","contains":[{"system":"http://example.org/far","code":"a","display":"A",
        "contains":[{"system":"http://example.org/far","code":"b","inactive":true}]}]}}"#;
    let terminology = of(&[SHIPS, &set(url, &compose), stored]);
    let plain = call(&terminology, Kind::ValueSet, "expand", &[("url", url)]).unwrap();
    assert_eq!(plain.get("compose"), None);
    let entry = &plain.get("expansion").unwrap().get("contains").unwrap().items()[0];
    assert_eq!(entry.get_str("display"), Some("My brig"));
    let full = call(&terminology, Kind::ValueSet, "expand", &[("url", url), ("includeDefinition", "true")]).unwrap();
    assert!(full.get("compose").is_some());
    let stored = call(&terminology, Kind::ValueSet, "expand", &[("url", "http://example.org/stored")]).unwrap();
    assert_eq!(codes(&stored), ["a", "b"]);
    let inline = json(&set("http://example.org/inline", &compose));
    let body = Json::object([
        ("resourceType", Json::from("Parameters")),
        (
            "parameter",
            Json::Array(vec![Json::object([("name", Json::from("valueSet")), ("resource", inline.clone())])]),
        ),
    ]);
    for (input, instance) in
        [(Input::Resource(&body), None), (Input::Resource(&inline), None), (Input::Query(&[]), Some(&inline))]
    {
        assert_eq!(codes(&send(&terminology, Kind::ValueSet, "expand", input, instance).unwrap()), ["brig"]);
    }
}

#[test]
fn the_newest_version_wins_and_another_can_be_asked_for() {
    let old = SHIPS.replace(r#""version":"2""#, r#""version":"1.10""#).replace("steam", "paddle");
    let url = "http://example.org/vs";
    let compose = format!(r#"{{"include":[{{"system":"{SYSTEM}"}}]}}"#);
    let pinned = format!(r#"{{"include":[{{"system":"{SYSTEM}","version":"1.10"}}]}}"#);
    let terminology = of(&[SHIPS, &old, &set(url, &compose), &set("http://example.org/pinned", &pinned)]);
    let has = |query: &[(&str, &str)], code: &str| {
        call(&terminology, Kind::ValueSet, "expand", query).map(|set| codes(&set).iter().any(|one| one == code))
    };
    assert_eq!(has(&[("url", url)], "steam"), Ok(true));
    assert_eq!(has(&[("url", "http://example.org/pinned")], "paddle"), Ok(true));
    assert_eq!(has(&[("url", url), ("system-version", "http://example.org/ships|1.10")], "paddle"), Ok(true));
    let pinned = "http://example.org/pinned";
    assert_eq!(has(&[("url", pinned), ("system-version", "http://example.org/ships|2")], "paddle"), Ok(true));
    assert_eq!(has(&[("url", pinned), ("force-system-version", "http://example.org/ships|2")], "steam"), Ok(true));
    let refused = has(&[("url", pinned), ("check-system-version", "http://example.org/ships|2")], "steam");
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
}

fn validated(terminology: &Terminology, kind: Kind, query: &[(&str, &str)]) -> (bool, Option<String>) {
    let answer = call(terminology, kind, "validate-code", query).expect("an answer");
    let display = value(&answer, "display").and_then(Json::as_str).map(str::to_owned);
    let result = value(&answer, "result").and_then(Json::as_bool).expect("a result");
    assert_eq!(result, value(&answer, "message").is_none());
    (result, display)
}

#[test]
fn codes_are_validated_with_their_display() {
    let terminology = of(&[SHIPS]);
    let system = |query: &[(&str, &str)]| {
        let mut all = vec![("url", SYSTEM)];
        all.extend_from_slice(query);
        validated(&terminology, Kind::CodeSystem, &all)
    };
    assert_eq!(system(&[("code", "brig")]), (true, Some("Brig".into())));
    assert_eq!(system(&[("code", "Brig")]), (false, None));
    assert_eq!(system(&[("code", "brig"), ("display", " BRIG ")]), (true, Some("Brig".into())));
    assert_eq!(system(&[("code", "brig"), ("display", "Sloop")]), (false, Some("Brig".into())));
    assert_eq!(
        system(&[("code", "sail"), ("display", "voilier"), ("displayLanguage", "fr")]),
        (true, Some("Voilier".into()))
    );
    assert_eq!(system(&[("code", "ship"), ("abstract", "false")]), (false, Some("Ship".into())));
    assert!(system(&[("code", "ship"), ("abstract", "true")]).0);
    let set = |query: &[(&str, &str)]| {
        let mut all = vec![("url", ALL)];
        all.extend_from_slice(query);
        validated(&terminology, Kind::ValueSet, &all)
    };
    assert_eq!(set(&[("code", "brig"), ("system", SYSTEM)]), (true, Some("Brig".into())));
    assert!(set(&[("code", "brig")]).0);
    assert!(!set(&[("code", "brig"), ("system", "http://example.org/other")]).0);
    assert!(!set(&[("code", "brig"), ("system", SYSTEM), ("systemVersion", "1")]).0);
    let concept = json(
        r#"{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"http://example.org/ships/all"},
        {"name":"codeableConcept","valueCodeableConcept":{"coding":[{"system":"http://example.org/other","code":"brig"},
        {"system":"http://example.org/ships","code":"brig","display":"Brig"}]}}]}"#,
    );
    let answer = send(&terminology, Kind::ValueSet, "validate-code", Input::Resource(&concept), None).unwrap();
    assert_eq!(value(&answer, "result"), Some(&Json::Bool(true)));
    let unknown = call(&terminology, Kind::ValueSet, "validate-code", &[("url", "http://x.example"), ("code", "a")]);
    assert_eq!(unknown.unwrap_err().kind, ErrorKind::NotFound);
    let without = call(&terminology, Kind::ValueSet, "validate-code", &[("url", ALL)]);
    assert_eq!(without.unwrap_err().kind, ErrorKind::Request);
}

#[test]
fn a_lookup_tells_names_properties_and_neighbours() {
    let supplement = r#"{"resourceType":"CodeSystem","url":"http://example.org/ships-sea","status":"active",
        "content":"supplement","supplements":"http://example.org/ships","property":[{"code":"crew","type":"integer"}],
        "concept":[{"code":"brig","designation":[{"language":"nl","value":"Brik"}],
        "property":[{"code":"crew","valueInteger":12}]}]}"#;
    let terminology = of(&[SHIPS, supplement]);
    let text = |query: &[(&str, &str)]| {
        let mut all = vec![("system", SYSTEM)];
        all.extend_from_slice(query);
        let answer = call(&terminology, Kind::CodeSystem, "lookup", &all).expect("an answer");
        String::from_utf8(tacet_fhir::json::write(&answer)).unwrap()
    };
    let brig = text(&[("code", "brig"), ("displayLanguage", "nl")]);
    for part in [
        r#""valueString":"Kinds of ships""#,
        r#""name":"version","valueString":"2""#,
        r#""name":"display","valueString":"Brik""#,
        r#""valueCode":"crew"},{"name":"value","valueInteger":12"#,
        r#""valueCode":"masts"},{"name":"value","valueInteger":2"#,
        r#""valueCode":"parent"},{"name":"value","valueCode":"sail"},{"name":"description","valueString":"Sailing ship""#,
    ] {
        assert!(brig.contains(part), "{part} in {brig}");
    }
    let narrow = text(&[("code", "brig"), ("property", "rig")]);
    assert!(narrow.contains("square") && !narrow.contains("masts") && !narrow.contains("Brik"));
    assert!(text(&[("code", "ship")]).contains("Something that floats"));
    assert!(text(&[("code", "galley")]).contains(r#"inactive"},{"name":"value","valueBoolean":true"#));
    let unknown = call(&terminology, Kind::CodeSystem, "lookup", &[("system", SYSTEM), ("code", "raft")]);
    assert_eq!(unknown.unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn subsumption_has_four_outcomes() {
    let terminology = of(&[SHIPS]);
    let outcome = |a: &str, b: &str| {
        let query = [("system", SYSTEM), ("codeA", a), ("codeB", b)];
        let answer = call(&terminology, Kind::CodeSystem, "$subsumes", &query).expect("an outcome");
        value(&answer, "outcome").and_then(Json::as_str).map(str::to_owned).expect("a code")
    };
    assert_eq!(outcome("brig", "brig"), "equivalent");
    assert_eq!(outcome("steam", "hybrid"), "subsumes");
    assert_eq!(outcome("hybrid", "sail"), "subsumed-by");
    assert_eq!(outcome("brig", "steam"), "not-subsumed");
    let instance = json(SHIPS);
    let query = [("codeA".to_owned(), "ship".to_owned()), ("codeB".to_owned(), "brig".to_owned())];
    let answer = send(&terminology, Kind::CodeSystem, "subsumes", Input::Query(&query), Some(&instance)).unwrap();
    assert_eq!(value(&answer, "outcome").and_then(Json::as_str), Some("subsumes"));
}

const MAP: &str = r#"{"resourceType":"ConceptMap","url":"http://example.org/map","version":"1","status":"active",
 "sourceUri":"http://example.org/ships/all","targetUri":"http://example.org/tolls","group":[{"source":"http://example.org/ships",
 "target":"http://example.org/toll","element":[
 {"code":"brig","target":[{"code":"T2","display":"Two masts","equivalence":"wider","product":[{"property":"http://example.org/fee","system":"http://example.org/coin","value":"7"}]},
  {"code":"T9","equivalence":"equal","dependsOn":[{"property":"http://example.org/flag","value":"x"}]}]},
 {"code":"steam","target":[{"equivalence":"unmatched"}]}],
 "unmapped":{"mode":"fixed","code":"T0","display":"Others"}}]}"#;

#[test]
fn codes_are_translated_both_ways() {
    let terminology = of(&[SHIPS, MAP]);
    let translate = |query: &[(&str, &str)]| {
        let answer = call(&terminology, Kind::ConceptMap, "translate", query).expect("an answer");
        let result = value(&answer, "result").and_then(Json::as_bool).expect("a result");
        (result, String::from_utf8(tacet_fhir::json::write(&answer)).unwrap())
    };
    let url = ("url", "http://example.org/map");
    let (found, text) = translate(&[url, ("system", SYSTEM), ("code", "brig")]);
    assert!(found && text.contains(r#""valueCode":"wider""#) && text.contains(r#""code":"T2""#), "{text}");
    assert!(text.contains(r#""valueUri":"http://example.org/fee""#) && !text.contains("T9"));
    let (found, text) = translate(&[url, ("system", SYSTEM), ("code", "steam")]);
    assert!(!found && text.contains("unmatched"));
    let (found, text) = translate(&[url, ("system", SYSTEM), ("code", "raft")]);
    assert!(found && text.contains("T0"));
    let back = [("system", "http://example.org/toll"), ("code", "T2"), ("reverse", "true")];
    let (found, text) = translate(&back);
    assert!(found && text.contains(r#""valueCode":"narrower""#) && text.contains(r#""code":"brig""#), "{text}");
    let (found, _) = translate(&[("system", "http://example.org/toll"), ("code", "T2")]);
    assert!(!found);
    let (found, _) = translate(&[("system", SYSTEM), ("code", "brig"), ("target", "http://example.org/other")]);
    assert!(!found);
    let (found, _) = translate(&[("system", SYSTEM), ("code", "brig"), ("target", "http://example.org/tolls")]);
    assert!(found);
}

#[test]
fn what_is_not_done_says_so() {
    let terminology = of(&[SHIPS]);
    for (kind, name, query) in [
        (Kind::ConceptMap, "$closure", vec![]),
        (Kind::CodeSystem, "expand", vec![("url", ALL)]),
        (Kind::ValueSet, "expand", vec![("url", ALL), ("context", "Patient.gender")]),
    ] {
        assert_eq!(call(&terminology, kind, name, &query).unwrap_err().kind, ErrorKind::NotSupported);
    }
    let bad = call(&terminology, Kind::ValueSet, "expand", &[("url", ALL), ("count", "-1")]);
    assert_eq!(bad.unwrap_err().kind, ErrorKind::Request);
    assert_eq!(terminology.member_of(ALL, Some(SYSTEM), "brig"), Membership::Yes);
}
