//! The rules of the types of R4 themselves: invariants, bindings, type hierarchy. Read once from the committed table.
//!
//! Rules are kept by the group of members that they are about ([`tacet_fhir::definitions`]), so that the walk over a
//! resource finds them by one lookup and passes over everything that has none.

use crate::rule::{Guard, Rule};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tacet_fhir::definitions::{Group, GroupKind, tables};
use tacet_fhir::outcome::Severity;

/// The committed table, made by `cargo xtask definitions`.
const BASE: &str = include_str!("../definitions/base.txt");

/// The prefix of the definitions of the standard itself.
pub(crate) const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Invariants that are checked elsewhere, with the reason:
/// those of contained resources, narratives and references with the structure (`tacet_fhir::validate`) or by a walk of
/// our own that does not grow with the square of the resource (`dom-3`).
const CHECKED_ELSEWHERE: [&str; 8] = ["dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "txt-1", "txt-2", "ref-1"];

/// Invariants whose expression in R4 is not what its words say: que-12 asks for more than one condition in words, and for
/// more than two in its expression (corrected in the versions after R4).
const CORRECTED: [(&str, &str); 1] = [("que-12", "enableWhen.count() > 1 implies enableBehavior.exists()")];

/// A binding of an element of the standard that the structure does not check.
#[derive(Debug)]
pub(crate) struct BaseBinding {
    /// `true` for required, `false` for extensible.
    pub(crate) required: bool,
    /// The value set's address, with its version.
    pub(crate) value_set: &'static str,
}

/// What the standard says about one element beyond its structure.
#[derive(Debug, Default)]
pub(crate) struct ElementRules {
    /// Invariants of the element.
    pub(crate) rules: Vec<Guarded>,
    /// Its binding.
    pub(crate) binding: Option<BaseBinding>,
    /// The profile that its values have (`SimpleQuantity`).
    pub(crate) profile: Option<&'static str>,
}

/// An invariant and when it can be passed over.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) rule: Arc<Rule>,
    pub(crate) guard: Guard,
}

/// What the standard says about a group of members.
#[derive(Debug, Default)]
pub(crate) struct GroupRules {
    /// Invariants of the whole.
    pub(crate) rules: Vec<Guarded>,
    /// By the element's name; few elements have any.
    elements: Vec<(&'static str, ElementRules)>,
}

impl GroupRules {
    /// The rules of an element.
    pub(crate) fn element(&self, name: &str) -> Option<&ElementRules> {
        self.elements.iter().find(|(known, _)| *known == name).map(|(_, rules)| rules)
    }

    /// Whether any element has rules.
    pub(crate) fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }
}

/// The whole table.
#[derive(Debug)]
pub(crate) struct Base {
    groups: HashMap<usize, GroupRules>,
    derived_from: HashMap<&'static str, &'static str>,
}

/// The table, read on first use.
pub(crate) fn base() -> &'static Base {
    static READ: LazyLock<Base> = LazyLock::new(Base::read);
    &READ
}

/// Groups live as long as the program, so where one stands is its name; comparing numbers costs less than hashing paths.
fn key(group: &'static Group) -> usize {
    std::ptr::from_ref(group).addr()
}

impl Base {
    fn read() -> Self {
        let mut base = Base { groups: HashMap::new(), derived_from: HashMap::new() };
        for line in BASE.lines() {
            let fields: Vec<&'static str> = line.split('\t').collect();
            match fields.as_slice() {
                ["D", name, ancestor] => {
                    base.derived_from.insert(name, ancestor);
                }
                ["I", path, key, severity, expression, words] if !CHECKED_ELSEWHERE.contains(key) => {
                    let severity = if *severity == "warning" { Severity::Warning } else { Severity::Error };
                    let corrected = CORRECTED.iter().find(|(corrected, _)| corrected == key);
                    let expression = corrected.map_or(*expression, |(_, expression)| expression);
                    let rule = Arc::new(Rule::new(key, severity, words, expression));
                    base.add_rule(path, rule);
                }
                ["B", path, strength, value_set] => {
                    if let Some((_, element)) = base.place(path) {
                        let required = *strength == "required";
                        element.binding = Some(BaseBinding { required, value_set });
                    }
                }
                ["P", path, profile] => {
                    if let Some((_, element)) = base.place(path) {
                        element.profile = Some(profile);
                    }
                }
                _ => {}
            }
        }
        base.drop_listed_bindings();
        base
    }

    fn add_rule(&mut self, path: &'static str, rule: Arc<Rule>) {
        if let Some(group) = tables().find(path) {
            let guard = Guard::of(&rule, group);
            self.groups.entry(key(group)).or_default().rules.push(Guarded { rule, guard });
        } else if let Some((_, element)) = self.place(path) {
            element.rules.push(Guarded { rule, guard: Guard::Never });
        }
    }

    /// The rules of the element at a path such as `Observation.component.value[x]`.
    fn place(&mut self, path: &'static str) -> Option<(&'static Group, &mut ElementRules)> {
        let (parent, name) = path.rsplit_once('.')?;
        let name = name.strip_suffix("[x]").unwrap_or(name);
        let group = tables().find(parent)?;
        let elements = &mut self.groups.entry(key(group)).or_default().elements;
        let at = elements.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            elements.push((name, ElementRules::default()));
            elements.len() - 1
        });
        elements.get_mut(at).map(|(_, rules)| (group, rules))
    }

    /// Required bindings to listed codes are checked with the structure.
    fn drop_listed_bindings(&mut self) {
        for group in tables().groups() {
            let Some(rules) = self.groups.get_mut(&key(group)) else { continue };
            for (name, element) in &mut rules.elements {
                let listed = group.elements().iter().any(|known| known.name() == *name && known.codes().is_some());
                if listed && element.binding.as_ref().is_some_and(|binding| binding.required) {
                    element.binding = None;
                }
            }
            rules.elements.retain(|(_, element)| {
                !element.rules.is_empty() || element.binding.is_some() || element.profile.is_some()
            });
        }
    }

    /// The rules of a group, if it has any.
    pub(crate) fn of(&self, group: &'static Group) -> Option<&GroupRules> {
        self.groups.get(&key(group))
    }

    /// Whether a type is another one or derived from it: `Age` is a `Quantity`, `Patient` is a `DomainResource`.
    pub(crate) fn is_a(&self, name: &str, ancestor: &str) -> bool {
        let mut current = name;
        // The longest chain of R4 has five types.
        for _ in 0..8 {
            if current == ancestor {
                return true;
            }
            match self.derived_from.get(current) {
                Some(next) => current = next,
                None => return false,
            }
        }
        false
    }

    /// Whether R4 has a type of that name, primitive types included.
    pub(crate) fn is_type(&self, name: &str) -> bool {
        self.derived_from.contains_key(name) || name == "Resource" || name == "Element"
    }

    /// Every invariant, with the path of its group: for the test that all of them compile.
    #[cfg(test)]
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.groups.values().flat_map(|group| {
            let elements = group.elements.iter().flat_map(|(_, element)| element.rules.iter());
            group.rules.iter().chain(elements).map(|guarded| &guarded.rule)
        })
    }
}

/// The name of the type of a group as profiles and FHIRPath have it: parts are `BackboneElement`.
pub(crate) fn type_name(group: &'static Group) -> &'static str {
    match group.kind() {
        GroupKind::Part => "BackboneElement",
        _ => group.path(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_compiles() {
        let rules: Vec<_> = base().rules().collect();
        assert!(rules.len() > 200, "only {}", rules.len());
        let broken: Vec<&str> =
            rules.iter().filter(|rule| rule.compiled().is_none()).map(|rule| rule.key.as_str()).collect();
        assert_eq!(broken, [""; 0]);
    }

    #[test]
    fn types_know_what_they_are_derived_from() {
        assert!(base().is_a("Age", "Quantity"));
        assert!(base().is_a("Patient", "Resource"));
        assert!(base().is_a("code", "string"));
        assert!(!base().is_a("Patient", "Observation"));
        assert!(base().is_type("HumanName") && !base().is_type("Nothing"));
    }
}
