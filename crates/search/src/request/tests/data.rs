//! Real resources: what a document holds is found by the query that asks for it.

use super::*;
use crate::document::{System, Value};
use std::path::{Path, PathBuf};
use tacet_fhir::json::Json;
use tacet_fhir::search::ParameterId;

/// Most files that are read; each of the examples has some twenty values.
const FILES_MAX: usize = 1500;

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("TACET_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join("r4-examples");
    if !folder.is_dir() {
        println!("skipped: no test data `r4-examples` (set TACET_TEST_DATA)");
        return None;
    }
    Some(folder)
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, ',' | '|' | '$' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A query that a value must answer; None where a query cannot say it.
fn query(code: &str, value: &Value) -> Option<String> {
    let said = |text: &str| !text.trim().is_empty();
    Some(match value {
        Value::Token { system, code: Some(token), .. } if said(token) => match system {
            System::Uri(system) => format!("{code}={}|{}", escape(system), escape(token)),
            System::Absent => format!("{code}=|{}", escape(token)),
            System::Implied => format!("{code}={}", escape(token)),
        },
        Value::Token { text: Some(text), .. } if !crate::document::words(text).is_empty() => {
            format!("{code}:text={}", escape(text))
        }
        Value::OfType { system: Some(system), code: kind, value } => {
            format!("{code}:of-type={}|{}|{}", escape(system), escape(kind), escape(value))
        }
        Value::String { exact, folded } if !folded.is_empty() => {
            // Both ways at once: exactly, and by the beginning.
            let start: String = exact.chars().take(exact.chars().count().div_ceil(2)).collect();
            if !said(&start) {
                return None;
            }
            format!("{code}:exact={}&{code}={}", escape(exact), escape(&start))
        }
        Value::Date { low_ms, .. } if *low_ms > 0 => format!("{code}=ge{}", Timestamp::from_ms(*low_ms)),
        Value::Number { low, high } if low == high => format!("{code}={low}"),
        Value::Quantity { low, high, system: Some(system), code: Some(unit), .. } if low == high => {
            format!(
                "{code}={low}|{}|{}&{code}=ge{low}|{}|{}",
                escape(system),
                escape(unit),
                escape(system),
                escape(unit)
            )
        }
        Value::Reference { target, .. } => format!("{code}={}/{}", target.resource_type, target.id.as_str()),
        Value::ReferenceUrl(url) if !url.contains('?') => format!("{code}={}", escape(url)),
        Value::ReferenceIdentifier { system: Some(system), value } => {
            format!("{code}:identifier={}|{}", escape(system), escape(value))
        }
        // A canonical must be a url to be asked for; the examples have some that are names.
        Value::Canonical { url, .. } if url.starts_with("http") => format!("{code}={}", escape(url)),
        Value::Uri(uri) if !uri.contains(char::is_whitespace) => format!("{code}={}", escape(uri)),
        Value::Position { latitude, longitude } => format!("{code}={latitude}|{longitude}|1|m"),
        _ => return None,
    })
}

#[test]
fn what_the_examples_hold_is_found() {
    let Some(folder) = folder() else { return };
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut asked, mut documents) = (0, 0);
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")).take(FILES_MAX) {
        let bytes = std::fs::read(&path).unwrap();
        let Ok(json) = tacet_fhir::json::parse(&bytes, &Limits::default()) else { continue };
        let Some(resource_type) = tacet_fhir::resource::resource_type(&json) else { continue };
        let Some(id) = tacet_fhir::resource::id(&json) else { continue };
        documents += 1;
        asked += check(&json, Key { resource_type, id }, &path);
    }
    println!("{asked} values of {documents} examples asked for");
    assert!(documents > 100 && asked > 2000, "{documents} {asked}");
}

fn check(json: &Json<'_>, key: Key, path: &Path) -> usize {
    let parameters = Parameters::standard();
    let scope = key.resource_type;
    let document = Document::of(json, key, VersionId::FIRST, now(), &parameters);
    let mut asked = 0;
    let mut seen: HashSet<(ParameterId, String)> = HashSet::new();
    for (parameter, value) in &document.values {
        let Some(query) = query(parameters.code(*parameter), value) else { continue };
        // What splits a query here stands in some texts.
        if format!("{value:?}").contains('&') {
            continue;
        }
        if !seen.insert((*parameter, query.clone())) {
            continue;
        }
        let request = ask(scope.as_str(), &query).unwrap_or_else(|error| panic!("{path:?}: {query}: {error}"));
        assert!(matches(&request.filter, &document), "{path:?}: {query}: {value:?}");
        asked += 1;
    }
    asked
}
