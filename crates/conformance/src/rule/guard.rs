//! When a rule can be passed over without evaluating it.
//!
//! Most rules of R4 say something about two or three members, and most elements have none of them. A rule that reads
//! only members of its element gives, on an element that has none of these, what it gives on an empty one. So each rule
//! is evaluated once on an empty element; where that holds, elements without the members are passed over.

use super::Rule;
use std::sync::OnceLock;
use tacet_fhir::definitions::{Group, Kind, Member};
use tacet_fhir::json::{Json, Member as Given};

/// Functions and variables that look at more than the members they name.
const WHOLE: [&str; 8] =
    ["children", "descendants", "htmlChecks", "resolve", "conformsTo", "repeat", "type", "memberOf"];

/// Rules of R4 that read the resource around, and hold where one member of theirs is not there: obs-7 forbids components
/// of some code.
const ABOUT: [(&str, &str); 1] = [("obs-7", "component")];

/// When a rule need not be evaluated.
#[derive(Debug)]
pub(crate) enum Guard {
    /// It must always be.
    Never,
    /// Where the elements that stand are a set on which it holds: it asks only whether they are there.
    Presence {
        /// JSON names by element, with the names of a choice one by one.
        elements: Vec<Vec<&'static Member>>,
        /// What it is about.
        group: &'static Group,
        /// For each set of elements, as a number of bits, whether it holds: found out on first use.
        holds: OnceLock<u64>,
    },
    /// Where none of these members stands, if it holds on an empty element.
    Without {
        /// JSON names, with the names of a choice one by one.
        members: Vec<&'static str>,
        /// What it is about.
        group: &'static Group,
        /// Whether it holds on an empty element: found out on first use.
        holds_on_empty: OnceLock<bool>,
    },
}

impl Guard {
    /// The guard of a rule on a group of members.
    pub(crate) fn of(rule: &Rule, group: &'static Group) -> Self {
        if let Some((_, member)) = ABOUT.iter().find(|(key, _)| *key == rule.key) {
            return Guard::Without { members: vec![member], group, holds_on_empty: OnceLock::new() };
        }
        let Some(names) = names(rule.text()) else { return Guard::Never };
        if let Some(elements) = asked_for_presence(rule.text(), group) {
            return Guard::Presence { elements, group, holds: OnceLock::new() };
        }
        let members = group
            .members()
            .iter()
            .filter(|member| names.contains(&group.element(member).name()) || names.contains(&member.name()))
            .map(|member| member.name())
            .collect();
        Guard::Without { members, group, holds_on_empty: OnceLock::new() }
    }

    /// Whether the rule surely holds on an element with these members.
    pub(crate) fn passes(&self, present: &[Given<'_>], rule: &Rule) -> bool {
        let (members, group, holds_on_empty) = match self {
            Guard::Never => return false,
            Guard::Presence { elements, group, holds } => {
                let Some(set) = set_of(present, elements) else { return false };
                let holds = holds.get_or_init(|| holds_on_sets(rule, elements, group));
                return holds >> set & 1 == 1;
            }
            Guard::Without { members, group, holds_on_empty } => (members, group, holds_on_empty),
        };
        let is_there = present.iter().any(|(name, _)| {
            let name = name.strip_prefix('_').unwrap_or(name);
            members.contains(&name)
        });
        !is_there && *holds_on_empty.get_or_init(|| rule.holds_on(&EMPTY, group))
    }
}

/// An element without members.
static EMPTY: Json<'static> = Json::Object(Vec::new());

/// Most elements of a rule that is known by the set of them: its sets are the bits of one number.
const ELEMENTS_MAX: usize = 6;

/// The elements of a rule that only asks whether elements are there, `a.exists()` or `a.empty()`, and joins the answers.
fn asked_for_presence(text: &str, group: &'static Group) -> Option<Vec<Vec<&'static Member>>> {
    let mut elements: Vec<(&str, Vec<&'static Member>)> = Vec::new();
    for word in text.split([' ', '(', ')']).filter(|word| !matches!(*word, "" | "and" | "or" | "xor" | "implies")) {
        let (name, asks) = word.split_once('.')?;
        if name.is_empty() {
            // `.not()` of what stands in parentheses before it.
            if asks != "not" {
                return None;
            }
            continue;
        }
        if !matches!(asks, "exists" | "empty") {
            return None;
        }
        if elements.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let members: Vec<_> = group.members().iter().filter(|member| group.element(member).name() == name).collect();
        if members.is_empty() || elements.len() == ELEMENTS_MAX {
            return None;
        }
        elements.push((name, members));
    }
    (!elements.is_empty()).then(|| elements.into_iter().map(|(_, members)| members).collect())
}

/// Which of the elements stand, a bit for each; `None` where one has only extensions or a shape that it cannot have, so
/// that the rule itself must tell.
fn set_of(present: &[Given<'_>], elements: &[Vec<&'static Member>]) -> Option<u32> {
    let mut set = 0;
    for (name, value) in present {
        let bare = name.strip_prefix('_').unwrap_or(name);
        let Some(at) = elements.iter().position(|members| members.iter().any(|member| member.name() == bare)) else {
            continue;
        };
        let is_plain = bare.len() == name.len()
            && match value {
                Json::Null => false,
                Json::Object(members) => !members.is_empty(),
                Json::Array(items) => items.first().is_some_and(|first| !first.is_null()),
                _ => true,
            };
        if !is_plain {
            return None;
        }
        set |= 1 << at;
    }
    Some(set)
}

/// On which sets of elements a rule holds: evaluated on elements made for it.
fn holds_on_sets(rule: &Rule, elements: &[Vec<&'static Member>], group: &'static Group) -> u64 {
    let sets = 1_u32 << elements.len().min(ELEMENTS_MAX);
    (0..sets)
        .filter(|set| {
            let given = elements.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
            let members = given.filter_map(|(_, members)| members.first()).map(|member| {
                let value = match member.kind() {
                    Kind::Primitive(_) => Json::String("1".into()),
                    _ => Json::Object(vec![("id".into(), Json::String("1".into()))]),
                };
                let value = if group.element(member).is_many() { Json::Array(vec![value]) } else { value };
                (member.name().into(), value)
            });
            rule.holds_on(&Json::Object(members.collect()), group)
        })
        .fold(0, |holds, set| holds | 1 << set)
}

/// The names in an expression, or `None` where it looks at more than the members that it names.
fn names(text: &str) -> Option<Vec<&str>> {
    if text.contains(['%', '$']) {
        return None;
    }
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            // A string ends at the next quote that no backslash stands before.
            let mut is_escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, letter)| {
                let ends = *letter == '\'' && !is_escaped;
                is_escaped = *letter == '\\' && !is_escaped;
                ends
            });
            rest = rest.get(end?.0 + 1..)?;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if WHOLE.contains(&name) {
                return None;
            }
            names.push(name);
            rest = after;
        } else {
            rest = rest.get(first.len_utf8()..)?;
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_on_presence_are_known_by_what_stands() {
        let group = tacet_fhir::definitions::tables().find("Quantity").expect("a type");
        let rule = Rule::new("q", tacet_fhir::outcome::Severity::Error, "", "code.empty() or system.exists()");
        let guard = Guard::of(&rule, group);
        assert!(matches!(guard, Guard::Presence { .. }));
        let passes = |text: &str| {
            let value = tacet_fhir::json::parse_str(text, &tacet_fhir::json::Limits::default()).expect("well-formed");
            guard.passes(value.members(), &rule)
        };
        assert!(passes(r#"{"value":1}"#) && passes(r#"{"system":"s"}"#) && passes(r#"{"code":"c","system":"s"}"#));
        assert!(!passes(r#"{"code":"c"}"#) && !passes(r#"{"code":"c","_system":{"id":"1"}}"#));
        assert!(!passes(r#"{"code":[],"system":"s"}"#));
        assert!(asked_for_presence("code.exists() and value > 1", group).is_none());
        assert!(asked_for_presence("unknown.exists()", group).is_none());
    }

    #[test]
    fn names_are_read_outside_of_strings() {
        assert_eq!(names("a.empty() or (b = 'c\\'d e')"), Some(vec!["a", "empty", "or", "b"]));
        assert_eq!(names("a in %resource.b"), None);
        assert_eq!(names("children().count() > 1"), None);
        assert_eq!(names("'open"), None);
    }
}
