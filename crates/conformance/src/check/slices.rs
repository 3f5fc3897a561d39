//! Slicing: which slice each item of an element is of, and what the slices ask for.

use super::paths::{Definition, Step, steps};
use super::{Check, Scope};
use crate::base::base;
use crate::instance::Instance;
use crate::place::Place;
use crate::profile::{Discriminator, DiscriminatorKind, NodeId, Profile, Slicing, SlicingRules, Strength};
use std::sync::Arc;
use tacet_fhir::outcome::{IssueType, Severity};

/// The slice for what is of no other (<https://hl7.org/fhir/R4/profiling.html#default-slice>).
const DEFAULT: &str = "@default";
/// Deepest nesting of what a discriminator looks at.
const FACTS_DEPTH_MAX: usize = 16;

impl<'v> Check<'v> {
    /// The slices of an element, or of a slice.
    pub(super) fn slices(
        &mut self,
        profile: &Arc<Profile>,
        id: NodeId,
        items: &[Instance<'v>],
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let node = profile.node(id);
        let slicing = node.slicing.clone().unwrap_or_else(|| usual_slicing(profile, id));
        if slicing.discriminators.is_empty() && !items.is_empty() {
            // Nothing tells the slices apart, so nothing can be said about them.
            return;
        }
        let slices: Vec<NodeId> =
            node.slices.iter().copied().filter(|slice| profile.node(*slice).slice != DEFAULT).collect();
        let default = node.slices.iter().copied().find(|slice| profile.node(*slice).slice == DEFAULT);
        let mut of_slice: Vec<Vec<Instance<'v>>> = vec![Vec::new(); slices.len()];
        let mut unmatched: Vec<Instance<'v>> = Vec::new();
        let mut last = 0;
        for item in items {
            if self.is_decided() || !self.step(place) {
                return;
            }
            let found = slices
                .iter()
                .position(|slice| self.is_of_slice(profile, *slice, &slicing.discriminators, *item, scope, place));
            let here = place.child(&node.name, item.index);
            match found {
                Some(at) => {
                    if slicing.ordered && at < last {
                        let message = "the slices do not stand in the order of the profile";
                        self.error(IssueType::Structure, &here, || message);
                    }
                    if slicing.rules == SlicingRules::OpenAtEnd && !unmatched.is_empty() {
                        let message = "what is of no slice may stand only after all that is";
                        self.error(IssueType::Structure, &here, || message);
                    }
                    last = last.max(at);
                    if let Some(list) = of_slice.get_mut(at) {
                        list.push(*item);
                    }
                }
                None => {
                    if slicing.rules == SlicingRules::Closed && default.is_none() {
                        self.error(IssueType::Structure, &here, || {
                            format!("is of none of the slices, and the profile {} allows no others", profile.url)
                        });
                    }
                    unmatched.push(*item);
                }
            }
        }
        for (slice, found) in slices.into_iter().zip(of_slice) {
            self.slice(profile, slice, &found, scope, place);
        }
        if let Some(default) = default {
            self.slice(profile, default, &unmatched, scope, place);
        }
    }

    fn slice(
        &mut self,
        profile: &Arc<Profile>,
        id: NodeId,
        items: &[Instance<'v>],
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        self.cardinality(profile, id, items.len(), place);
        let node = profile.node(id);
        for item in items {
            let here = place.child(&node.name, item.index);
            self.node(profile, id, *item, scope, &here);
        }
        if !node.slices.is_empty() {
            self.slices(profile, id, items, scope, place);
        }
    }

    fn is_of_slice(
        &mut self,
        profile: &Arc<Profile>,
        slice: NodeId,
        discriminators: &[Discriminator],
        item: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) -> bool {
        let start = Definition { profile: Arc::clone(profile), node: slice };
        let mut is_told = false;
        for discriminator in discriminators {
            let Some(steps) = steps(&discriminator.path) else {
                self.report(Severity::Warning, IssueType::NotSupported, place, || {
                    format!("a slicing of the profile {} cannot be evaluated", profile.url)
                });
                return false;
            };
            match self.discriminates(discriminator.kind, &steps, &start, item, scope, place) {
                Some(true) => is_told = true,
                Some(false) => return false,
                // The slice says nothing about what this one looks at; another has to tell it.
                None => {}
            }
        }
        // A slice that says nothing itself, and is there to be sliced again, is told by its slices.
        let slices = if is_told { &[][..] } else { profile.node(slice).slices.as_slice() };
        is_told || slices.iter().any(|inner| self.is_of_slice(profile, *inner, discriminators, item, scope, place))
    }

    fn discriminates(
        &mut self,
        kind: DiscriminatorKind,
        steps: &[Step<'_>],
        start: &Definition,
        item: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) -> Option<bool> {
        // The address of an extension is that of the profile on it.
        if let [Step::Name("url")] = steps
            && let Some(url) = item.value.filter(|_| item.type_name() == "Extension").and_then(|is| is.get_str("url"))
        {
            let node = start.profile.node(start.node);
            let profiles: Vec<&String> = node.types.iter().flat_map(|rule| &rule.profiles).collect();
            if !profiles.is_empty() {
                return Some(profiles.iter().any(|known| crate::packages::split_canonical(known).0 == url));
            }
        }
        let found = self.instances_at(item, steps, scope);
        let definitions = self.definitions_at(start.clone(), steps);
        if definitions.is_empty() {
            return None;
        }
        Some(match kind {
            DiscriminatorKind::Exists => {
                let min = |definition: &Definition| definition.profile.node(definition.node).min.unwrap_or(0);
                let max = |definition: &Definition| definition.profile.node(definition.node).max;
                if definitions.iter().any(|definition| max(definition) == Some(0)) {
                    found.is_empty()
                } else if definitions.iter().any(|definition| min(definition) > 0) {
                    !found.is_empty()
                } else {
                    // Neither asked for nor forbidden: the slice does not care.
                    true
                }
            }
            DiscriminatorKind::Type => {
                let types: Vec<String> = definitions.iter().flat_map(Definition::types).collect();
                found.iter().any(|(instance, _)| types.iter().any(|known| base().is_a(instance.type_name(), known)))
            }
            DiscriminatorKind::Profile => found.into_iter().any(|(instance, scope)| {
                definitions.iter().any(|definition| self.has_profile(definition, steps, instance, &scope, place))
            }),
            DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
                if found.is_empty() {
                    let is_none = |known: &Definition| known.profile.node(known.node).max == Some(0);
                    return Some(definitions.iter().any(is_none));
                }
                found
                    .into_iter()
                    .any(|(instance, _)| definitions.iter().any(|known| self.facts(known, instance, 0) == Some(true)))
            }
        })
    }

    /// Whether an element has the profile that a definition asks for: that on its type, or the target's own.
    fn has_profile(
        &mut self,
        definition: &Definition,
        steps: &[Step<'_>],
        instance: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) -> bool {
        let node = definition.profile.node(definition.node);
        if steps.last() == Some(&Step::Resolve) {
            return self.holds(|check| check.profile(&definition.profile, instance, scope, place));
        }
        node.types.iter().flat_map(|rule| &rule.profiles).any(|canonical| {
            let Some(profile) = self.packages.profile(canonical) else { return false };
            self.holds(|check| check.profile(&profile, instance, scope, place))
        })
    }

    /// Whether an element has the values by which a definition tells it; `None` where the definition says nothing that
    /// would tell.
    fn facts(&mut self, definition: &Definition, instance: Instance<'v>, depth: usize) -> Option<bool> {
        if depth > FACTS_DEPTH_MAX || !self.step(&Place::root("")) {
            return None;
        }
        let profile = &definition.profile;
        let node = profile.node(definition.node);
        let mut result = None;
        let mut note = |fact: bool| result = Some(result.unwrap_or(true) && fact);
        if let Some(fixed) = &node.fixed {
            note(instance.value.is_some_and(|value| super::values::is_same(value, fixed, 0)));
        }
        if let Some(pattern) = &node.pattern {
            note(instance.value.is_some_and(|value| super::values::fits(value, pattern, 0)));
        }
        if let Some(binding) = node.binding.as_ref().filter(|binding| binding.strength == Strength::Required)
            && node.fixed.is_none()
            && node.pattern.is_none()
        {
            note(self.is_bound(&binding.value_set, instance));
        }
        if result == Some(false) {
            return result;
        }
        for child in &node.children {
            let items = instance.children(&profile.node(*child).name);
            let mut of_child = vec![*child];
            of_child.extend(&profile.node(*child).slices);
            for id in of_child {
                let known = Definition { profile: Arc::clone(profile), node: id };
                let min = profile.node(id).min.unwrap_or(0);
                let facts: Vec<Option<bool>> = items.iter().map(|item| self.facts(&known, *item, depth + 1)).collect();
                let holds = facts.contains(&Some(true));
                let says = facts.iter().any(Option::is_some) || (items.is_empty() && has_facts(profile, id, 0));
                if says && (holds || min > 0 || (!items.is_empty() && profile.node(id).slice.is_empty())) {
                    result = Some(result.unwrap_or(true) && holds);
                }
            }
            if result == Some(false) {
                return result;
            }
        }
        if result.is_none() {
            let canonicals: Vec<&String> = node.types.iter().flat_map(|rule| &rule.profiles).collect();
            if let [only] = canonicals.as_slice()
                && let Some(profile) = self.packages.profile(only)
            {
                let root = Definition { profile, node: crate::profile::ROOT };
                return self.facts(&root, instance, depth + 1);
            }
        }
        result
    }
}

/// Whether a node or one below it fixes something.
fn has_facts(profile: &Profile, id: NodeId, depth: usize) -> bool {
    let node = profile.node(id);
    node.fixed.is_some()
        || node.pattern.is_some()
        || (depth < FACTS_DEPTH_MAX && node.children.iter().any(|child| has_facts(profile, *child, depth + 1)))
}

/// What tells slices apart where the profile does not say: the address of extensions, the type of choices.
fn usual_slicing(profile: &Profile, id: NodeId) -> Slicing {
    let node = profile.node(id);
    let discriminators = if matches!(node.name.as_str(), "extension" | "modifierExtension") {
        vec![Discriminator { kind: DiscriminatorKind::Value, path: "url".to_owned() }]
    } else if node.slices.iter().all(|slice| !profile.node(*slice).types.is_empty()) {
        vec![Discriminator { kind: DiscriminatorKind::Type, path: "$this".to_owned() }]
    } else {
        Vec::new()
    };
    Slicing { discriminators, rules: SlicingRules::Open, ordered: false }
}
