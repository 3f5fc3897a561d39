//! Lists of what does not pass, with the reason: right in both directions, or the test fails.

use std::collections::{BTreeMap, BTreeSet};

/// Compares a list (`case<tab>reason` a line, `#` before remarks) with what did not pass.
pub(crate) fn compare(name: &str, list: &str, failed: &BTreeMap<String, String>, run: &BTreeSet<String>) {
    let mut listed = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (case, reason) = line.split_once('\t').unwrap_or_else(|| panic!("{name}: no tab in {line}"));
        assert!(!reason.trim().is_empty(), "{name}: {case} has no reason");
        assert!(listed.insert(case, reason).is_none(), "{name}: {case} is listed twice");
    }
    let mut wrong = Vec::new();
    for (case, why) in failed.iter().filter(|(case, _)| !listed.contains_key(case.as_str())) {
        wrong.push(format!("not passed and not listed: {case}\t{why}"));
    }
    for case in listed.keys().filter(|case| !failed.contains_key(**case)) {
        let why = if run.contains(*case) { "passes" } else { "there is no such case" };
        wrong.push(format!("listed: {case}: {why}"));
    }
    println!("{name}: {} of {} pass", run.len() - failed.len(), run.len());
    assert!(wrong.is_empty(), "{name}: {} of {} pass\n{}", run.len() - failed.len(), run.len(), wrong.join("\n"));
}
