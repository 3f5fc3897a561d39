//! Paths of discriminators: a small part of FHIRPath, walked beside a resource and beside a profile
//! (<https://hl7.org/fhir/R4/profiling.html#discriminator>): member names, `$this`, `extension('url')`, `resolve()`,
//! `ofType(Type)`.

use super::{Check, Scope};
use crate::base::base;
use crate::instance::Instance;
use crate::packages::split_canonical;
use crate::profile::{NodeId, Profile, ROOT};
use std::sync::Arc;

/// Most steps of a path that are walked.
const STEPS_MAX: usize = 16;
/// Most elements that a path leads to: a slice is not told by a thousandth coding.
const ENDS_MAX: usize = 1000;

/// One step of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step<'p> {
    Name(&'p str),
    Extension(&'p str),
    Resolve,
    OfType(&'p str),
}

/// The steps of a path; `None` where it is not one of the simple ones.
pub(super) fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        if steps.len() >= STEPS_MAX {
            return None;
        }
        let end = end_of_step(rest)?;
        let (step, after) = (rest.get(..end)?, rest.get(end..)?);
        rest = after.strip_prefix('.').unwrap_or(after);
        if step == "$this" {
            continue;
        }
        steps.push(match step.split_once('(') {
            None => Step::Name(step.strip_suffix("[x]").unwrap_or(step)),
            Some((function, argument)) => {
                let argument = argument.strip_suffix(')')?.trim();
                match function {
                    "extension" => Step::Extension(argument.trim_matches(['\'', '"'])),
                    "resolve" => Step::Resolve,
                    "ofType" | "as" => Step::OfType(argument.strip_prefix("FHIR.").unwrap_or(argument)),
                    _ => return None,
                }
            }
        });
    }
    Some(steps)
}

/// Where the first step of a path ends: at a point outside of parentheses.
fn end_of_step(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '.' if depth == 0 => return (at > 0).then_some(at),
            _ => {}
        }
    }
    (depth == 0).then_some(text.len())
}

/// An element of a profile.
#[derive(Clone)]
pub(super) struct Definition {
    pub(super) profile: Arc<Profile>,
    pub(super) node: NodeId,
}

impl Definition {
    /// The types that may stand here.
    pub(super) fn types(&self) -> Vec<String> {
        let node = self.profile.node(self.node);
        if self.node == ROOT && node.types.is_empty() {
            return vec![self.profile.type_name.clone()];
        }
        node.types.iter().map(|rule| rule.code.clone()).collect()
    }
}

impl<'v> Check<'v> {
    /// The elements that a path leads to from an instance.
    pub(super) fn instances_at(
        &mut self,
        start: Instance<'v>,
        steps: &[Step<'_>],
        scope: &Scope<'v>,
    ) -> Vec<(Instance<'v>, Scope<'v>)> {
        let mut here = vec![(start, scope.clone())];
        for step in steps {
            let mut next = Vec::new();
            for (instance, scope) in here {
                match step {
                    Step::Name(name) => {
                        next.extend(instance.children(name).into_iter().map(|child| (child, scope.clone())));
                    }
                    Step::Extension(url) => {
                        let of_url = |item: &Instance<'v>| {
                            item.value.and_then(|value| value.get_str("url")).is_some_and(|known| known == *url)
                        };
                        let found = instance.children("extension").into_iter().filter(of_url);
                        next.extend(found.map(|child| (child, scope.clone())));
                    }
                    Step::Resolve => {
                        let text =
                            instance.text().or_else(|| instance.value.and_then(|value| value.get_str("reference")));
                        if let Some(found) = text.and_then(|text| self.resolve(text, &scope)) {
                            next.push((Instance::resource(found.resource), found.scope));
                        }
                    }
                    Step::OfType(name) => {
                        if base().is_a(instance.type_name(), name) {
                            next.push((instance, scope));
                        }
                    }
                }
            }
            next.truncate(ENDS_MAX);
            here = next;
        }
        here
    }

    /// The elements of a profile that a path leads to: slices of the elements on the way count as well.
    pub(super) fn definitions_at(&mut self, start: Definition, steps: &[Step<'_>]) -> Vec<Definition> {
        let mut here = vec![start];
        for step in steps {
            let mut next = Vec::new();
            for definition in here {
                match step {
                    Step::Name(name) => self.child_definitions(&definition, name, 0, &mut next),
                    Step::Extension(url) => {
                        let mut extensions = Vec::new();
                        self.child_definitions(&definition, "extension", 0, &mut extensions);
                        next.extend(extensions.into_iter().filter(|extension| is_extension(extension, url)));
                    }
                    Step::Resolve => {
                        let node = definition.profile.node(definition.node);
                        let targets: Vec<&String> = node.types.iter().flat_map(|rule| &rule.targets).collect();
                        for target in targets {
                            if let Some(profile) = self.packages.profile(target) {
                                next.push(Definition { profile, node: ROOT });
                            }
                        }
                    }
                    Step::OfType(name) => {
                        let types = definition.types();
                        if types.is_empty() || types.iter().any(|known| base().is_a(known, name)) {
                            next.push(definition);
                        }
                    }
                }
            }
            next.truncate(ENDS_MAX);
            here = next;
        }
        here
    }

    /// The children of a name, their slices, and what the profile on the type says about it.
    pub(super) fn child_definitions(
        &mut self,
        parent: &Definition,
        name: &str,
        level: usize,
        out: &mut Vec<Definition>,
    ) {
        let profile = &parent.profile;
        if let Some(child) = profile.child(parent.node, name) {
            let of = |node: NodeId| Definition { profile: Arc::clone(profile), node };
            let mut nodes = vec![child];
            let mut at = 0;
            while let Some(node) = nodes.get(at).copied() {
                nodes.extend(&profile.node(node).slices);
                at += 1;
            }
            // Slices say more than the element: they come first.
            out.extend(nodes.into_iter().rev().map(of));
        }
        if level >= STEPS_MAX {
            return;
        }
        let types = &profile.node(parent.node).types;
        for canonical in types.iter().flat_map(|rule| &rule.profiles) {
            if let Some(profile) = self.packages.profile(canonical) {
                self.child_definitions(&Definition { profile, node: ROOT }, name, level + 1, out);
            }
        }
    }
}

/// Whether a definition is of the extension with that address: by the profile on its type, or by a fixed `url`.
fn is_extension(definition: &Definition, url: &str) -> bool {
    let node = definition.profile.node(definition.node);
    let by_profile = node.types.iter().flat_map(|rule| &rule.profiles).any(|known| split_canonical(known).0 == url);
    let by_url = definition.profile.child(definition.node, "url").is_some_and(|child| {
        definition.profile.node(child).fixed.as_ref().and_then(|fixed| fixed.as_str()) == Some(url)
    });
    let says_nothing = node.types.iter().all(|rule| rule.profiles.is_empty())
        && definition.profile.child(definition.node, "url").is_none();
    by_profile || by_url || says_nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_outside_of_parentheses() {
        assert_eq!(steps("$this"), Some(vec![]));
        assert_eq!(
            steps("code.coding.value[x]"),
            Some(vec![Step::Name("code"), Step::Name("coding"), Step::Name("value")])
        );
        assert_eq!(
            steps("$this.extension('http://a.example/b.c').value.ofType(Coding)"),
            Some(vec![Step::Extension("http://a.example/b.c"), Step::Name("value"), Step::OfType("Coding")])
        );
        assert_eq!(
            steps("subject.resolve().code"),
            Some(vec![Step::Name("subject"), Step::Resolve, Step::Name("code")])
        );
        assert_eq!(steps("a.where(b = 1)"), None);
        assert_eq!(steps("a)"), None);
        assert_eq!(steps(".a"), None);
    }
}
