//! The tables of the validator: invariants, bindings and the hierarchy of the types, and the profiles and extensions
//! that the standard itself defines.

use super::{Package, Table, items, text};
use crate::Outcome;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The prefix of the definitions of the standard itself.
const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

const BASE_FORMAT: &str = "\
Rules of the types of R4 beyond their structure. One record a line, fields separated by tabs:
D  type  base                                     what a type is derived from
I  path  key  severity  expression  words         an invariant in FHIRPath
B  path  strength  value set                      a binding that is required or extensible
P  path  profile                                  the profile that the values of an element have
Left out: ele-1 and ext-1, which are checked with the structure, and the invariants of DomainResource repeated in each
resource: they stand under DomainResource only.
";

const PROFILES_FORMAT: &str = "\
The profiles and extensions that R4 itself defines, without their prose: the address, a tab, and a StructureDefinition
with the members of its differential that say a rule.
";

/// The two tables.
pub(super) fn tables(package: &Package) -> Outcome<[Table; 2]> {
    let mut base = Vec::new();
    let mut profiles = Vec::new();
    for definition in package.resources("StructureDefinition") {
        let definition = definition?;
        match (text(&definition, "derivation"), text(&definition, "kind")) {
            ("constraint", _) => profiles.push(profile(&definition)?),
            (_, "logical") => {}
            _ => write_base(&definition, &mut base)?,
        }
    }
    base.sort();
    profiles.sort();
    Ok([
        Table { file: "../../conformance/definitions/base.txt", format: BASE_FORMAT, text: base.join("\n") + "\n" },
        Table {
            file: "../../conformance/definitions/profiles.txt",
            format: PROFILES_FORMAT,
            text: profiles.join("\n") + "\n",
        },
    ])
}

/// One field of a line: no tab and no line break in it.
fn field(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_base(definition: &Value, lines: &mut Vec<String>) -> Outcome {
    let name = text(definition, "type");
    if let Some(base) = text(definition, "baseDefinition").strip_prefix(DEFINITION) {
        lines.push(format!("D\t{name}\t{base}"));
    }
    for element in definition.get("snapshot").map(|snapshot| items(snapshot, "element")).unwrap_or_default() {
        let path = text(element, "path");
        for constraint in items(element, "constraint") {
            let key = text(constraint, "key");
            let repeated = key.starts_with("dom-") && path != "DomainResource";
            if matches!(key, "ele-1" | "ext-1") || repeated {
                continue;
            }
            let mut line = format!("I\t{path}\t{key}");
            for member in ["severity", "expression", "human"] {
                write!(line, "\t{}", field(text(constraint, member)))?;
            }
            lines.push(line);
        }
        if let Some(binding) = element.get("binding") {
            let strength = text(binding, "strength");
            let value_set = text(binding, "valueSet");
            if matches!(strength, "required" | "extensible") && !value_set.is_empty() {
                lines.push(format!("B\t{path}\t{strength}\t{value_set}"));
            }
        }
        for kind in items(element, "type") {
            for profile in items(kind, "profile").iter().filter_map(Value::as_str) {
                lines.push(format!("P\t{path}\t{profile}"));
            }
        }
    }
    Ok(())
}

/// The members of a definition and of an element that say a rule; all others are prose or mappings.
fn profile(definition: &Value) -> Outcome<String> {
    let mut kept = Map::new();
    for name in ["url", "version", "name", "type", "kind", "abstract", "baseDefinition", "derivation", "context"] {
        if let Some(value) = definition.get(name) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    kept.insert("resourceType".to_owned(), Value::from("StructureDefinition"));
    let elements: Vec<Value> = definition
        .get("differential")
        .map(|differential| items(differential, "element"))
        .unwrap_or_default()
        .iter()
        .map(|element| Value::Object(rules(element)))
        .collect();
    let mut differential = Map::new();
    differential.insert("element".to_owned(), Value::from(elements));
    kept.insert("differential".to_owned(), Value::Object(differential));
    let url = text(definition, "url");
    if url.is_empty() || url.contains(char::is_whitespace) {
        return Err("a profile without a usable address".into());
    }
    Ok(format!("{url}\t{}", serde_json::to_string(&Value::Object(kept))?))
}

fn rules(element: &Value) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in element.as_object().into_iter().flatten() {
        let plain = matches!(
            name.as_str(),
            "id" | "path"
                | "sliceName"
                | "slicing"
                | "min"
                | "max"
                | "type"
                | "contentReference"
                | "isModifier"
                | "maxLength"
        );
        let chosen = ["fixed", "pattern", "minValue", "maxValue"].iter().any(|prefix| name.starts_with(prefix));
        match name.as_str() {
            "constraint" => {
                let constraints: Vec<Value> = value.as_array().into_iter().flatten().map(constraint).collect();
                kept.insert(name.clone(), Value::from(constraints));
            }
            "binding" => {
                let strength = text(value, "strength");
                if matches!(strength, "required" | "extensible") {
                    let mut binding = Map::new();
                    for member in ["strength", "valueSet", "extension"] {
                        if let Some(value) = value.get(member) {
                            binding.insert(member.to_owned(), value.clone());
                        }
                    }
                    kept.insert(name.clone(), Value::Object(binding));
                }
            }
            _ if plain || chosen => {
                kept.insert(name.clone(), value.clone());
            }
            _ => {}
        }
    }
    kept
}

fn constraint(value: &Value) -> Value {
    let mut kept = Map::new();
    for name in ["key", "severity", "human", "expression"] {
        if let Some(value) = value.get(name) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(kept)
}
