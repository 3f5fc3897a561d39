//! When a rule can be passed over without evaluating it.
//!
//! Most rules of R4 say something about two or three members, and most elements have none of them. A rule that reads
//! only members of its element gives, on an element that has none of these, what it gives on an empty one. So each rule
//! is evaluated once on an empty element; where that holds, elements without the members are passed over.

use super::Rule;
use std::sync::OnceLock;
use tacet_fhir::definitions::Group;
use tacet_fhir::json::Member;

/// Functions and variables that look at more than the members they name.
const WHOLE: [&str; 8] =
    ["children", "descendants", "htmlChecks", "resolve", "conformsTo", "repeat", "type", "memberOf"];

/// When a rule need not be evaluated.
#[derive(Debug)]
pub(crate) enum Guard {
    /// It must always be.
    Never,
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
        let Some(names) = names(rule.text()) else { return Guard::Never };
        let members = group
            .members()
            .iter()
            .filter(|member| names.contains(&group.element(member).name()) || names.contains(&member.name()))
            .map(|member| member.name())
            .collect();
        Guard::Without { members, group, holds_on_empty: OnceLock::new() }
    }

    /// Whether the rule surely holds on an element with these members.
    pub(crate) fn passes(&self, present: &[Member<'_>], rule: &Rule) -> bool {
        let Guard::Without { members, group, holds_on_empty } = self else { return false };
        let is_there = present.iter().any(|(name, _)| {
            let name = name.strip_prefix('_').unwrap_or(name);
            members.contains(&name)
        });
        !is_there && *holds_on_empty.get_or_init(|| rule.holds_on_empty(group))
    }
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
    fn names_are_read_outside_of_strings() {
        assert_eq!(names("a.empty() or (b = 'c\\'d e')"), Some(vec!["a", "empty", "or", "b"]));
        assert_eq!(names("a in %resource.b"), None);
        assert_eq!(names("children().count() > 1"), None);
        assert_eq!(names("'open"), None);
    }
}
