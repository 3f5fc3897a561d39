//! The name of a parameter: chains, modifiers and `_has`.
//!
//! ```text
//! key   := { link "." | "_has:" Type ":" name ":" } name [ ":" modifier ]
//! link  := name [ ":" Type ]
//! ```

use super::expression::Expression;
use super::fault::{Fault, Outcome, named};
use tacet_types::ResourceType;

/// One step to another resource.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Link {
    /// Along a reference of this resource.
    Forward {
        /// The reference parameter.
        name: String,
        /// The only type that it shall lead to.
        target: Option<ResourceType>,
        /// What else must hold there (`_filter`: `name[…].`).
        condition: Option<Box<Expression>>,
    },
    /// To those that refer to this one.
    Back {
        /// The type of the others.
        source: ResourceType,
        /// Their reference parameter.
        name: String,
    },
}

/// The name of a parameter, read.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Key<'q> {
    pub(super) links: Vec<Link>,
    pub(super) name: &'q str,
    pub(super) modifier: Option<&'q str>,
}

impl<'q> Key<'q> {
    /// Reads a name; `links_max` bounds how many resources it goes over.
    pub(super) fn read(text: &'q str, links_max: usize) -> Outcome<Self> {
        let mut links = Vec::new();
        let mut rest = text;
        loop {
            if links.len() > links_max {
                return Err(Fault::too_many("chained references", links_max));
            }
            if let Some(back) = rest.strip_prefix("_has:") {
                let mut parts = back.splitn(3, ':');
                let (Some(source), Some(name), Some(after)) = (parts.next(), parts.next(), parts.next()) else {
                    return Err(Fault::unknown(format!(
                        "the search parameter {} is not complete: write _has:Type:reference:parameter",
                        named(text)
                    )));
                };
                links.push(Link::Back { source: resource_type(source)?, name: name.to_owned() });
                rest = after;
            } else if let Some((link, after)) = rest.split_once('.') {
                let (name, target) = match link.split_once(':') {
                    Some((name, target)) => (name, Some(resource_type(target)?)),
                    None => (link, None),
                };
                links.push(Link::Forward { name: name.to_owned(), target, condition: None });
                rest = after;
            } else {
                let (name, modifier) = match rest.split_once(':') {
                    Some((name, modifier)) => (name, Some(modifier)),
                    None => (rest, None),
                };
                return Ok(Self { links, name, modifier });
            }
        }
    }
}

/// A type of resource by its name.
pub(super) fn resource_type(name: &str) -> Outcome<ResourceType> {
    ResourceType::parse(name).ok_or_else(|| Fault::unknown(format!("{} is not a type of resource", named(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Option<String> {
        let key = Key::read(text, 5).ok()?;
        let mut shown: String = key
            .links
            .iter()
            .map(|link| match link {
                Link::Forward { name, target, .. } => format!("{name}->{} ", target.map_or("*", ResourceType::as_str)),
                Link::Back { source, name } => format!("{source}.{name}-> "),
            })
            .collect();
        shown.push_str(key.name);
        key.modifier.into_iter().for_each(|modifier| shown.extend([" :", modifier]));
        Some(shown)
    }

    #[test]
    fn names_are_read() {
        for (text, expected) in [
            ("name", "name"),
            ("name:exact", "name :exact"),
            ("subject:Patient", "subject :Patient"),
            ("subject:Patient.name:exact", "subject->Patient name :exact"),
            ("patient.organization.name", "patient->* organization->* name"),
            ("_has:Observation:patient:code", "Observation.patient-> code"),
            (
                "_has:Observation:patient:_has:AuditEvent:entity:agent:not",
                "Observation.patient-> AuditEvent.entity-> agent :not",
            ),
            ("patient._has:Group:member:_id", "patient->* Group.member-> _id"),
            (
                "_has:Observation:patient:encounter:Encounter.status",
                "Observation.patient-> encounter->Encounter status",
            ),
            ("", ""),
            ("a:b:c", "a :b:c"),
        ] {
            assert_eq!(show(text).as_deref(), Some(expected));
        }
        for text in ["_has:Observation:patient", "_has:", "subject:patient.name", "_has:Nobody:x:y", "a.b.c.d.e.f.g.h"]
        {
            assert_eq!(show(text), None, "{text}");
        }
    }
}
