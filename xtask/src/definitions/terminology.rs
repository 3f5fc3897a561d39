//! The code systems and value sets that FHIR R4 itself defines: `crates/terminology/definitions/terminology.txt`.
//!
//! Only what HL7 owns and gives away goes in (CC0): systems under `http://hl7.org/fhir/` and
//! `http://terminology.hl7.org/` whose copyright note names nobody else. Codes, displays, hierarchy; no definitions, no
//! designations. A value set that writes out, or filters by, codes of anybody else's system is left out whole: it would
//! otherwise be a wrong one.

use super::{Package, Table, items, text};
use crate::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FORMAT: &str = "fields are separated by tabs; trailing empty fields are left out\n\
    system  url  version  name  content (empty: complete)  `i` (letter case does not count)  value set of all codes\n\
    0, 1, ..  code  display (empty: the code)  flags (`a` abstract, `i` inactive)  codes of further parents\n\
    set  url  version  name\n\
    active    (inactive codes do not count)\n\
    +  system  version  value sets    an include, then its codes and filters; `-` an exclude\n\
    =  code  display\n\
    ?  property  operator  value";

/// Where HL7's own definitions live.
const OWN: [&str; 2] = ["http://hl7.org/fhir/", "http://terminology.hl7.org/"];
/// Lists that HL7 only republishes: licences of SPDX, and addresses that HL7 gave to systems of others.
const NOT_OWN: [&str; 2] = ["http://hl7.org/fhir/spdx-license", "http://hl7.org/fhir/sid/"];
/// A branch of HL7's `v3-ActCode` whose codes are those of LOINC.
const NOT_OWN_BRANCH: &str = "_LOINCObservationActContextAgeType";
/// Words of a copyright note that say that content belongs to somebody else.
const OTHERS: [&str; 9] = ["©", "®", "copyright", "excerpt", "appropriated", "owned", "ASTM", "SNOMED", "LOINC"];

fn is_own(url: &str) -> bool {
    OWN.iter().any(|own| url.starts_with(own)) && !NOT_OWN.iter().any(|other| url.starts_with(other))
}

fn is_of_others(resource: &Value) -> bool {
    let copyright = text(resource, "copyright");
    OTHERS.iter().any(|word| copyright.contains(word))
}

/// The table.
pub(super) fn table(package: &Package) -> Outcome<Table> {
    let mut systems = BTreeMap::new();
    let mut foreign = BTreeSet::new();
    for system in package.resources("CodeSystem") {
        let system = system?;
        let url = text(&system, "url").to_owned();
        let content = text(&system, "content");
        if is_own(&url) && !is_of_others(&system) && content != "supplement" && content != "not-present" {
            systems.insert(url, system);
        } else {
            foreign.insert(url);
        }
    }
    let mut sets = BTreeMap::new();
    for set in package.resources("ValueSet") {
        let set = set?;
        let url = text(&set, "url").to_owned();
        if is_own(&url) && set.get("compose").is_some() && uses_own(&set, &systems) {
            sets.insert(url, set);
        }
    }
    let mut lines = String::new();
    for (url, system) in &systems {
        write_system(&mut lines, url, system);
    }
    for (url, set) in &sets {
        write_set(&mut lines, url, set);
    }
    Ok(Table { file: "../../terminology/definitions/terminology.txt", format: FORMAT, text: lines })
}

fn clauses<'v>(set: &'v Value, kind: &str) -> &'v [Value] {
    set.get("compose").map(|compose| items(compose, kind)).unwrap_or_default()
}

/// Whether all codes that the set writes out are HL7's. Whole systems of others may be named: they hold no content.
fn uses_own(set: &Value, systems: &BTreeMap<String, Value>) -> bool {
    ["include", "exclude"].iter().flat_map(|kind| clauses(set, kind)).all(|clause| {
        let names_codes = !items(clause, "concept").is_empty() || !items(clause, "filter").is_empty();
        !names_codes || systems.contains_key(text(clause, "system"))
    })
}

fn line(lines: &mut String, fields: &[&str]) {
    let cleaned: Vec<String> =
        fields.iter().map(|field| field.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.push_str(cleaned.join("\t").trim_end_matches('\t'));
    lines.push('\n');
}

fn write_system(lines: &mut String, url: &str, system: &Value) {
    let content = Some(text(system, "content")).filter(|content| *content != "complete").unwrap_or_default();
    let case = if system.get("caseSensitive").and_then(Value::as_bool) == Some(false) { "i" } else { "" };
    // A set of the same address is written itself, so only the others are worth a field.
    line(
        lines,
        &["system", url, text(system, "version"), text(system, "name"), content, case, text(system, "valueSet")],
    );
    let mut extra: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut concepts: Vec<(&Value, usize)> = Vec::new();
    let mut waiting: Vec<(&Value, usize)> = items(system, "concept").iter().rev().map(|concept| (concept, 0)).collect();
    while let Some((concept, depth)) = waiting.pop() {
        if text(concept, "code") == NOT_OWN_BRANCH {
            continue;
        }
        concepts.push((concept, depth));
        waiting.extend(items(concept, "concept").iter().rev().map(|child| (child, depth + 1)));
        for property in items(concept, "property").iter().filter(|property| text(property, "code") == "child") {
            extra.entry(text(property, "valueCode")).or_default().push(text(concept, "code"));
        }
    }
    for (concept, depth) in concepts {
        let code = text(concept, "code");
        let display = Some(text(concept, "display")).filter(|display| *display != code).unwrap_or_default();
        let mut flags = String::new();
        for property in items(concept, "property") {
            let on = property.get("valueBoolean").and_then(Value::as_bool) == Some(true);
            let flag = match (text(property, "code"), text(property, "valueCode")) {
                ("notSelectable" | "abstract", _) if on => 'a',
                ("inactive", _) if on => 'i',
                ("status", "retired" | "inactive") => 'i',
                _ => continue,
            };
            if !flags.contains(flag) {
                flags.push(flag);
            }
        }
        let depth = depth.to_string();
        let mut fields = vec![depth.as_str(), code, display, &flags];
        fields.extend(extra.get(code).into_iter().flatten());
        line(lines, &fields);
    }
}

fn write_set(lines: &mut String, url: &str, set: &Value) {
    line(lines, &["set", url, text(set, "version"), text(set, "name")]);
    if set.get("compose").and_then(|compose| compose.get("inactive")).and_then(Value::as_bool) == Some(false) {
        line(lines, &["active"]);
    }
    for (kind, mark) in [("include", "+"), ("exclude", "-")] {
        for clause in clauses(set, kind) {
            let mut fields = vec![mark, text(clause, "system"), text(clause, "version")];
            fields.extend(items(clause, "valueSet").iter().filter_map(Value::as_str));
            line(lines, &fields);
            for concept in items(clause, "concept") {
                line(lines, &["=", text(concept, "code"), text(concept, "display")]);
            }
            for filter in items(clause, "filter") {
                line(lines, &["?", text(filter, "property"), text(filter, "op"), text(filter, "value")]);
            }
        }
    }
}
