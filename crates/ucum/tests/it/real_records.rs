//! Every unit code of real records is read, or is in a list of those that are no codes of UCUM.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use tacet_ucum::parse;

/// What the official examples give for codes of UCUM and are not: words, and other spellings. Sorted.
const NO_CODES: [&str; 8] = ["TAB", "drop", "ea", "mEq", "mcg", "ml/hr", "month", "tbl"];

fn codes(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if members.get("system").and_then(Value::as_str) == Some("http://unitsofmeasure.org")
                && let Some(code) = members.get("code").and_then(Value::as_str)
            {
                found.insert(code.to_owned());
            }
            members.values().for_each(|member| codes(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| codes(item, found)),
        _ => {}
    }
}

fn codes_of(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, bytes) in tacet_testdata::each_file(folder, "") {
        if name.ends_with(".json") || name.ends_with(".json.gz") {
            codes(&serde_json::from_slice(&bytes).expect("JSON"), &mut found);
        }
    }
    found
}

#[test]
fn codes_of_the_official_examples_are_read() {
    let Some(folder) = tacet_testdata::folder("r4-examples") else { return };
    let found = codes_of(&folder);
    assert!(found.len() > 40, "{found:?}");
    let refused: Vec<_> = found.iter().filter(|code| parse(code).is_err()).collect();
    assert_eq!(refused, NO_CODES);
}

#[test]
fn codes_of_synthea_are_read() {
    let Some(folder) = tacet_testdata::folder("synthea-r4") else { return };
    let found = codes_of(&folder);
    assert!(found.len() > 20, "{found:?}");
    let refused: Vec<_> = found.iter().filter(|code| parse(code).is_err()).collect();
    // `{score}` is meant. (`pH` is read, for it is a code, though that of a picohenry.)
    assert_eq!(refused, ["(score)"]);
}
