//! Terminology as its callers use it. All code systems here are invented.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects, in its support code too"
)]

mod hostile;
mod loaders;
mod model;
mod official;
mod operations;
mod standard;

use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_terminology::{Builder, Input, Kind, Moment, Operation, Terminology, TerminologyError};
use tacet_types::{ManualClock, SeededRng, Timestamp};

/// Reads JSON written in a test.
pub(crate) fn json(text: &str) -> Json<'static> {
    parse_str(text, &Limits::default()).expect("well-formed").into_owned()
}

/// A snapshot of these resources, without the standard's.
pub(crate) fn of(resources: &[&str]) -> Terminology {
    let mut builder = Builder::empty();
    for resource in resources {
        builder.add_resource(&json(resource)).expect("a definition");
    }
    builder.build()
}

/// Calls an operation with a query.
pub(crate) fn call(
    terminology: &Terminology,
    kind: Kind,
    name: &str,
    query: &[(&str, &str)],
) -> Result<Json<'static>, TerminologyError> {
    let query: Vec<(String, String)> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    send(terminology, kind, name, Input::Query(&query), None)
}

/// Calls an operation. Whatever comes back is a valid resource.
pub(crate) fn send(
    terminology: &Terminology,
    kind: Kind,
    name: &str,
    input: Input<'_>,
    instance: Option<&Json<'_>>,
) -> Result<Json<'static>, TerminologyError> {
    let clock = ManualClock::new(Timestamp::from_ms(1_700_000_000_000));
    let rng = SeededRng::new(1);
    let moment = Moment { clock: &clock, rng: &rng };
    let answer = terminology.operation(&Operation { name, kind, input, instance }, moment)?;
    assert_eq!(tacet_fhir::validate::validate(&answer, &tacet_fhir::validate::Options::default()), []);
    Ok(answer)
}

/// The codes of an expansion.
pub(crate) fn codes(value_set: &Json<'_>) -> Vec<String> {
    let contains = value_set.get("expansion").and_then(|expansion| expansion.get("contains"));
    let entries = contains.map(Json::items).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.get_str("code").map(str::to_owned)).collect()
}

/// A parameter's value.
pub(crate) fn value<'j>(parameters: &'j Json<'j>, name: &str) -> Option<&'j Json<'j>> {
    let list = parameters.get("parameter").map(Json::items).unwrap_or_default();
    let found = list.iter().find(|parameter| parameter.get_str("name") == Some(name))?;
    found.members().iter().find(|(member, _)| member.starts_with("value")).map(|(_, value)| value)
}

/// An invented classification of ships, used by many tests.
pub(crate) const SHIPS: &str = r#"{"resourceType":"CodeSystem","url":"http://example.org/ships","version":"2",
 "name":"Ships","title":"Kinds of ships","status":"active","content":"complete","caseSensitive":true,"hierarchyMeaning":"is-a",
 "valueSet":"http://example.org/ships/all",
 "property":[{"code":"masts","type":"integer"},{"code":"rig","type":"code"},{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"},
  {"code":"inactive","uri":"http://hl7.org/fhir/concept-properties#inactive","type":"boolean"},
  {"code":"notSelectable","uri":"http://hl7.org/fhir/concept-properties#notSelectable","type":"boolean"}],
 "concept":[{"code":"ship","display":"Ship","definition":"Something that floats","property":[{"code":"notSelectable","valueBoolean":true}],
   "designation":[{"language":"fr","value":"Navire"}],
   "concept":[
    {"code":"sail","display":"Sailing ship","designation":[{"language":"fr-FR","use":{"system":"http://example.org/use","code":"long"},"value":"Voilier"}],
     "concept":[
      {"code":"sloop","display":"Sloop","property":[{"code":"masts","valueInteger":1},{"code":"rig","valueCode":"fore"}]},
      {"code":"brig","display":"Brig","property":[{"code":"masts","valueInteger":2},{"code":"rig","valueCode":"square"}]},
      {"code":"galley","display":"Galley","property":[{"code":"inactive","valueBoolean":true},{"code":"masts","valueInteger":2}]}]},
    {"code":"steam","display":"Steamer"},
    {"code":"hybrid","display":"Auxiliary  schooner","property":[{"code":"parent","valueCode":"sail"},{"code":"parent","valueCode":"steam"},{"code":"masts","valueInteger":3}]}]}]}"#;

/// A value set of the ships' system.
pub(crate) fn set(url: &str, compose: &str) -> String {
    format!(
        r#"{{"resourceType":"ValueSet","url":"{url}","version":"1","name":"Set","status":"active","compose":{compose}}}"#
    )
}
