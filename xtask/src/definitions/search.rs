//! The tables of search parameters and compartments: what the SearchParameter, CompartmentDefinition and
//! StructureDefinition resources of the R4 package say, without their prose.

use super::{Package, Table, items, text};
use crate::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const SEARCH_PARAMETERS_FORMAT: &str = "\
Search parameters and the elements that their expressions walk. One record a line, fields separated by tabs:
P  id  code  type  base base ..  target target ..  expression
   a parameter, whose url is http://hl7.org/fhir/SearchParameter/ and its id; the target `*` is any type
C  id  expression
   a component of the composite above it: the parameter that defines it, and its path from the composite's elements
E  parent.name  type type ..
   an element; `name[x]` is a choice of types; a type with a dot is a backbone, named by its path
Left out: the 16 parameters without an expression (texts, queries, filters, an age, drafts for code systems).
";

const COMPARTMENTS_FORMAT: &str = "\
Compartments: the parameters by whose references a resource belongs to one. Fields separated by tabs:
compartment  resource type  parameter parameter ..
Left out: `{def}`, which says that a resource belongs to its own compartment, and the example definition.
";

/// More targets than this are "any": the package then lists each of the 140 and more resource types.
const TARGETS_MAX: usize = 100;

/// Parameters of the package that have no expression: they search texts (`_text`, `_content`), run named queries or
/// filters, or ask for computed or undefined things (an age; the extensions of code systems and value sets that the
/// package drafts).
const WITHOUT_EXPRESSION: usize = 16;

const PREFIX: &str = "http://hl7.org/fhir/SearchParameter/";

/// The two tables.
pub(super) fn tables(package: &Package) -> Outcome<[Table; 2]> {
    Ok([
        Table { file: "search-parameters.txt", format: SEARCH_PARAMETERS_FORMAT, text: search_parameters(package)? },
        Table { file: "compartments.txt", format: COMPARTMENTS_FORMAT, text: compartments(package)? },
    ])
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    items(value, name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn one_line(expression: &str) -> String {
    expression.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn search_parameters(package: &Package) -> Outcome<String> {
    let elements = Elements::new(package)?;
    let mut parameters = package.resources("SearchParameter").collect::<Outcome<Vec<Value>>>()?;
    parameters.sort_by(|a, b| text(a, "id").cmp(text(b, "id")));
    let mut without = 0;
    let mut walked = BTreeSet::new();
    let mut lines = Vec::new();
    for parameter in &parameters {
        let id = text(parameter, "id");
        if text(parameter, "url") != format!("{PREFIX}{id}") {
            return Err(format!("search parameter `{id}`: the url does not end in the id").into());
        }
        let expression = one_line(text(parameter, "expression"));
        if expression.is_empty() {
            without += 1;
            continue;
        }
        let (bases, targets) = (texts(parameter, "base"), texts(parameter, "target"));
        let targets = if targets.len() > TARGETS_MAX { "*".to_owned() } else { targets.join(" ") };
        let (code, kind) = (text(parameter, "code"), text(parameter, "type"));
        lines.push(format!("P\t{id}\t{code}\t{kind}\t{}\t{targets}\t{expression}", bases.join(" ")));
        let roots = elements.walk(&expression, &bases, &mut walked);
        for component in items(parameter, "component") {
            let definition = text(component, "definition").strip_prefix(PREFIX).unwrap_or_default();
            let expression = one_line(text(component, "expression"));
            if definition.is_empty() || expression.is_empty() {
                return Err(format!("search parameter `{id}`: a component without definition or expression").into());
            }
            elements.walk(&expression, &roots, &mut walked);
            lines.push(format!("C\t{definition}\t{expression}"));
        }
    }
    if without != WITHOUT_EXPRESSION {
        return Err(format!("{without} search parameters without an expression, expected {WITHOUT_EXPRESSION}").into());
    }
    for (parent, name) in walked {
        if let Some(element) = elements.get(&parent, &name) {
            let choice = if element.choice { "[x]" } else { "" };
            lines.push(format!("E\t{parent}.{name}{choice}\t{}", element.types.join(" ")));
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn compartments(package: &Package) -> Outcome<String> {
    let mut lines = Vec::new();
    for definition in package.resources("CompartmentDefinition") {
        let definition = definition?;
        if text(&definition, "id") == "example" {
            continue;
        }
        for resource in items(&definition, "resource") {
            let mut parameters = texts(resource, "param");
            parameters.retain(|parameter| parameter != "{def}");
            if !parameters.is_empty() {
                lines.push(format!(
                    "{}\t{}\t{}",
                    text(&definition, "code"),
                    text(resource, "code"),
                    parameters.join(" ")
                ));
            }
        }
    }
    lines.sort();
    Ok(lines.join("\n") + "\n")
}

/// An element as its parent sees it.
struct Element {
    choice: bool,
    types: Vec<String>,
}

/// Elements of all types by parent path and name.
struct Elements(BTreeMap<(String, String), Element>);

impl Elements {
    fn new(package: &Package) -> Outcome<Self> {
        let mut all = BTreeMap::new();
        for definition in package.resources("StructureDefinition") {
            let definition = definition?;
            if text(&definition, "derivation") == "constraint" || text(&definition, "kind") == "logical" {
                continue;
            }
            for element in definition.get("snapshot").map(|snapshot| items(snapshot, "element")).unwrap_or_default() {
                let path = text(element, "path");
                let Some((parent, name)) = path.rsplit_once('.') else { continue };
                let (name, choice) = name.strip_suffix("[x]").map_or((name, false), |name| (name, true));
                let types = match text(element, "contentReference").strip_prefix('#') {
                    Some(borrowed) => vec![borrowed.to_owned()],
                    None => types(element, path),
                };
                all.insert((parent.to_owned(), name.to_owned()), Element { choice, types });
            }
        }
        Ok(Self(all))
    }

    fn get(&self, parent: &str, name: &str) -> Option<&Element> {
        self.0.get(&(parent.to_owned(), name.to_owned()))
    }

    /// Follows the names in an expression from its types (or from `context`, if it is relative), notes the elements
    /// met, and returns the types at the ends. Casts and conditions are passed over, so that rather too much is noted
    /// than too little.
    fn walk(&self, expression: &str, context: &[String], walked: &mut BTreeSet<(String, String)>) -> Vec<String> {
        let mut ends = Vec::new();
        for alternative in expression.split(['|', '&']).flat_map(|part| part.split(" and ")) {
            let mut types = context.to_vec();
            for (place, name) in path_names(alternative).into_iter().enumerate() {
                if place == 0 && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    types = vec![name];
                    continue;
                }
                let found: Vec<(String, String)> = types.iter().map(|parent| (parent.clone(), name.clone())).collect();
                types = found.iter().filter_map(|key| self.0.get(key)).flat_map(|e| e.types.clone()).collect();
                types.sort();
                types.dedup();
                walked.extend(found.into_iter().filter(|key| self.0.contains_key(key)));
            }
            ends.extend(types);
        }
        ends.sort();
        ends.dedup();
        ends
    }
}

fn types(element: &Value, path: &str) -> Vec<String> {
    items(element, "type")
        .iter()
        .map(|kind| {
            // The ids of elements and resources have a type of FHIRPath; R4 notes the FHIR type in an extension.
            let code = text(kind, "code");
            let fhir = items(kind, "extension").iter().find_map(|extension| extension.get("valueUrl")?.as_str());
            match fhir.unwrap_or(code) {
                "BackboneElement" | "Element" => path.to_owned(),
                name => name.rsplit('.').next().unwrap_or(name).to_owned(),
            }
        })
        .collect()
}

/// The names of a path, without its casts, functions and indexes.
fn path_names(alternative: &str) -> Vec<String> {
    let mut names = Vec::new();
    let plain = alternative.trim().trim_start_matches('(');
    let plain = plain.split(" as ").next().unwrap_or(plain);
    let plain = plain.split(" != ").next().unwrap_or(plain);
    let mut depth = 0usize;
    let mut name = String::new();
    for c in plain.chars().chain(['.']) {
        match c {
            '(' => {
                depth += 1;
                name.clear();
            }
            ')' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                if !name.is_empty() {
                    names.push(std::mem::take(&mut name));
                }
            }
            _ if depth > 0 => {}
            '[' | ']' | ' ' => {}
            c if c.is_ascii_digit() && name.is_empty() => {}
            c => name.push(c),
        }
    }
    names.into_iter().map(|name| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).collect()
}
