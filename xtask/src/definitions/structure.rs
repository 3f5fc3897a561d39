//! The table of elements: what members each resource and datatype has, how often, of what types, and the codes that
//! required bindings allow.

use super::{Package, Table, items, text};
use crate::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The prefix of the definitions of the standard itself.
const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";
/// The prefix of the value sets of the standard itself.
const VALUE_SET: &str = "http://hl7.org/fhir/ValueSet/";
/// The prefix of FHIRPath's own types, which stand for elements that take no extensions.
const SYSTEM_TYPE: &str = "http://hl7.org/fhirpath/System.";

const FORMAT: &str = "\
One line a thing:
  primitive NAME                       a primitive type
  codes SET<tab>SYSTEM<tab>CODE...     the codes of a required binding, a line for each code system
  group PATH KIND BASE                 the members of a resource, a datatype or a part of one, after those of BASE;
                                       KIND is resource, datatype, part or abstract, BASE is - where there is none
   NAME MIN MAX TYPE...                a member of the group above; a NAME ending in [x] is a choice of types
TYPE is a primitive or datatype, Reference(Target|Target), Resource for any resource, >PATH for the members of that
group, or =primitive for one that takes no extensions. A last word !SET is a required binding to those codes.";

/// Makes the table.
pub(super) fn table(package: &Package) -> Outcome<Table> {
    let definitions = read_definitions(package)?;
    let mut sets = CodeSets::read(package)?;
    let mut groups = String::new();
    for definition in definitions.values() {
        match text(definition, "kind") {
            "primitive-type" => {}
            _ => write_groups(definition, &definitions, &mut sets, &mut groups)?,
        }
    }
    let mut lines = String::new();
    for (name, definition) in &definitions {
        if text(definition, "kind") == "primitive-type" {
            writeln!(lines, "primitive {name}")?;
        }
    }
    sets.write(&mut lines)?;
    lines.push_str(&groups);
    Ok(Table { file: "structure.txt", format: FORMAT, text: lines })
}

/// The types of the standard by name: no profiles, no logical models.
pub(super) fn read_definitions(package: &Package) -> Outcome<BTreeMap<String, Value>> {
    let mut definitions = BTreeMap::new();
    for definition in package.resources("StructureDefinition") {
        let definition = definition?;
        let name = text(&definition, "type").to_owned();
        let own = text(&definition, "url").strip_prefix(DEFINITION) == Some(&name);
        let kind = matches!(text(&definition, "kind"), "resource" | "complex-type" | "primitive-type");
        if own && kind && text(&definition, "derivation") != "constraint" {
            definitions.insert(name, definition);
        }
    }
    if definitions.len() < 200 {
        return Err(format!("only {} types in the package: it is not complete", definitions.len()).into());
    }
    Ok(definitions)
}

/// Writes the group of a type and of each of its parts.
fn write_groups(
    definition: &Value,
    definitions: &BTreeMap<String, Value>,
    sets: &mut CodeSets,
    out: &mut String,
) -> Outcome {
    let elements = definition.get("snapshot").map(|snapshot| items(snapshot, "element")).unwrap_or_default();
    let parents: BTreeSet<&str> = elements
        .iter()
        .filter_map(|element| text(element, "path").rsplit_once('.'))
        .map(|(parent, _)| parent)
        .collect();
    for head in elements.iter().filter(|element| parents.contains(text(element, "path"))) {
        let path = text(head, "path");
        let root = !path.contains('.');
        let kind = match (root, definition.get("abstract").and_then(Value::as_bool), text(definition, "kind")) {
            (false, ..) => "part",
            (true, Some(true), _) => "abstract",
            (true, _, "resource") => "resource",
            (true, ..) => "datatype",
        };
        let base = if root {
            text(definition, "baseDefinition").strip_prefix(DEFINITION).unwrap_or("-")
        } else {
            items(head, "type").first().map_or("-", |first| text(first, "code"))
        };
        writeln!(out, "group {path} {kind} {base}")?;
        for element in elements {
            let element_path = text(element, "path");
            let Some((parent, name)) = element_path.rsplit_once('.') else { continue };
            if parent != path || is_inherited(element) {
                continue;
            }
            let has_members = parents.contains(element_path);
            let types = types(element, has_members, definitions).map_err(|error| format!("{element_path}: {error}"))?;
            let min = element.get("min").and_then(Value::as_u64).ok_or("an element without min")?;
            write!(out, " {name} {min} {} {types}", text(element, "max"))?;
            if let Some(set) = sets.required(element) {
                write!(out, " !{set}")?;
            }
            out.push('\n');
        }
    }
    Ok(())
}

/// Whether an element is as the base type has it, and so needs no line of its own.
fn is_inherited(element: &Value) -> bool {
    element.get("base").is_some_and(|base| {
        text(base, "path") != text(element, "path")
            && base.get("min") == element.get("min")
            && base.get("max") == element.get("max")
    })
}

fn types(element: &Value, has_members: bool, definitions: &BTreeMap<String, Value>) -> Outcome<String> {
    if has_members {
        return Ok(format!(">{}", text(element, "path")));
    }
    if let Some(reference) = text(element, "contentReference").strip_prefix('#') {
        return Ok(format!(">{reference}"));
    }
    let mut words = Vec::new();
    for kind in items(element, "type") {
        let code = text(kind, "code");
        if code.starts_with(SYSTEM_TYPE) {
            words.push(format!("={}", system_type(element, kind)?));
        } else if code == "Reference" {
            words.push(reference(kind, definitions)?);
        } else if definitions.contains_key(code) {
            words.push(code.to_owned());
        } else {
            return Err(format!("unknown type {code}").into());
        }
    }
    if words.is_empty() { Err("no type".into()) } else { Ok(words.join(" ")) }
}

/// What stands behind FHIRPath's `System.String`: an extension says so, except that it calls a resource's id a string.
fn system_type(element: &Value, kind: &Value) -> Outcome<String> {
    if element.get("base").is_some_and(|base| text(base, "path") == "Resource.id") {
        return Ok("id".to_owned());
    }
    let fhir_type = items(kind, "extension").iter().find(|extension| text(extension, "url").ends_with("fhir-type"));
    fhir_type.map(|extension| text(extension, "valueUrl").to_owned()).ok_or_else(|| "no FHIR type given".into())
}

fn reference(kind: &Value, definitions: &BTreeMap<String, Value>) -> Outcome<String> {
    let mut targets = BTreeSet::new();
    for target in items(kind, "targetProfile") {
        let name = target.as_str().and_then(|url| url.strip_prefix(DEFINITION)).unwrap_or_default();
        if !definitions.contains_key(name) {
            return Err(format!("unknown reference target {target}").into());
        }
        targets.insert(name);
    }
    if targets.is_empty() || targets.contains("Resource") {
        return Ok("Reference".to_owned());
    }
    Ok(format!("Reference({})", targets.into_iter().collect::<Vec<_>>().join("|")))
}

/// The value sets that the package can list, and which of them a required binding asks for.
struct CodeSets {
    /// Value set name, code system, codes.
    listed: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    used: BTreeSet<String>,
    unlisted: BTreeSet<String>,
}

impl CodeSets {
    fn read(package: &Package) -> Outcome<Self> {
        let mut systems = BTreeMap::new();
        for system in package.resources("CodeSystem") {
            let system = system?;
            if text(&system, "content") == "complete" {
                let mut codes = BTreeSet::new();
                collect_codes(items(&system, "concept"), &mut codes);
                systems.insert(text(&system, "url").to_owned(), codes);
            }
        }
        let mut listed = BTreeMap::new();
        for set in package.resources("ValueSet") {
            let set = set?;
            let Some(name) = text(&set, "url").strip_prefix(VALUE_SET) else { continue };
            if let Some(codes) = list(&set, &systems) {
                listed.insert(name.to_owned(), codes);
            }
        }
        Ok(CodeSets { listed, used: BTreeSet::new(), unlisted: BTreeSet::new() })
    }

    /// The name of the listed set that an element is bound to, if the binding is required.
    fn required(&mut self, element: &Value) -> Option<String> {
        let binding = element.get("binding").filter(|binding| text(binding, "strength") == "required")?;
        let url = text(binding, "valueSet");
        let name = url.split('|').next().and_then(|url| url.strip_prefix(VALUE_SET)).unwrap_or(url);
        let listed = self.listed.contains_key(name);
        (if listed { &mut self.used } else { &mut self.unlisted }).insert(name.to_owned());
        listed.then(|| name.to_owned())
    }

    fn write(&self, out: &mut String) -> Outcome {
        writeln!(
            out,
            "# Bound to, and not listed: {}",
            self.unlisted.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
        )?;
        for name in &self.used {
            for (system, codes) in self.listed.get(name).into_iter().flatten() {
                writeln!(
                    out,
                    "codes {name}\t{system}\t{}",
                    codes.iter().map(String::as_str).collect::<Vec<_>>().join("\t")
                )?;
            }
        }
        Ok(())
    }
}

/// The codes of a value set that consists of whole code systems and named codes; `None` for any other.
fn list(set: &Value, systems: &BTreeMap<String, BTreeSet<String>>) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let compose = set.get("compose")?;
    if !items(compose, "exclude").is_empty() {
        return None;
    }
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for include in items(compose, "include") {
        if !items(include, "filter").is_empty() || !items(include, "valueSet").is_empty() {
            return None;
        }
        let system = text(include, "system");
        let named = items(include, "concept");
        let of_system = codes.entry(system.to_owned()).or_default();
        if named.is_empty() {
            of_system.extend(systems.get(system)?.iter().cloned());
        } else {
            of_system.extend(named.iter().map(|concept| text(concept, "code").to_owned()));
        }
    }
    (!codes.is_empty()).then_some(codes)
}

/// The codes of a hierarchy of concepts, except those that the system marks as not selectable.
fn collect_codes(concepts: &[Value], codes: &mut BTreeSet<String>) {
    for concept in concepts {
        let abstract_only = items(concept, "property").iter().any(|property| {
            text(property, "code") == "notSelectable"
                && property.get("valueBoolean").and_then(Value::as_bool) == Some(true)
        });
        if !abstract_only {
            codes.insert(text(concept, "code").to_owned());
        }
        collect_codes(items(concept, "concept"), codes);
    }
}
