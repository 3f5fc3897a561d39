//! The table of summaries: which elements of each resource and datatype the standard shows in a summary.

use super::structure::read_definitions;
use super::{Package, Table, items, text};
use crate::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const FORMAT: &str = "\
One line for each resource, datatype or part of one that has members in a summary:
  PATH NAME...     its members with isSummary, as the definition spells them ([x] for a choice)
A path that has no line has none, or is no group of members.";

/// Makes the table.
pub(super) fn table(package: &Package) -> Outcome<Table> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for definition in read_definitions(package)?.values() {
        if text(definition, "kind") == "primitive-type" {
            continue;
        }
        let elements = definition.get("snapshot").map(|snapshot| items(snapshot, "element")).unwrap_or_default();
        for element in elements.iter().filter(|element| element.get("isSummary").and_then(Value::as_bool) == Some(true))
        {
            if let Some((parent, name)) = text(element, "path").rsplit_once('.') {
                groups.entry(parent.to_owned()).or_default().insert(name.to_owned());
            }
        }
    }
    if groups.len() < 200 {
        return Err(format!("only {} groups with a summary: the package is not complete", groups.len()).into());
    }
    let mut lines = String::new();
    for (path, names) in groups {
        writeln!(lines, "{path} {}", names.into_iter().collect::<Vec<_>>().join(" "))?;
    }
    Ok(Table { file: "summary.txt", format: FORMAT, text: lines })
}
