//! The walk over the tree of a profile beside a resource.

use super::{Check, Scope, address};
use crate::base::base;
use crate::instance::Instance;
use crate::place::Place;
use crate::profile::{NodeId, Profile, ROOT, TypeRule};
use std::cmp::Ordering;
use std::sync::Arc;
use tacet_fhir::definitions::Kind;
use tacet_fhir::outcome::{IssueType, Severity};

/// Deepest nesting of profiles: a profile on a type inside a profile, a target inside a target.
const PROFILE_DEPTH_MAX: usize = 32;

impl<'v> Check<'v> {
    /// A profile by its address. `unknown` is how bad it is not to have it.
    pub(super) fn named_profile(
        &mut self,
        canonical: &str,
        instance: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
        unknown: Severity,
    ) {
        match self.packages.profile(canonical) {
            Some(profile) => self.profile(&profile, instance, scope, place),
            None => self.report(
                unknown,
                IssueType::NotFound,
                place,
                || "a profile that is asked for is not known: load the package that has it",
            ),
        }
    }

    /// An element or resource against a profile.
    pub(super) fn profile(
        &mut self,
        profile: &Arc<Profile>,
        instance: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let type_name = instance.type_name();
        if !base().is_a(type_name, &profile.type_name) && base().is_type(&profile.type_name) {
            return self
                .error(IssueType::Structure, place, || format!("the profile `{}` is not for this type", profile.url));
        }
        if profile.missing_base.is_some() {
            self.report(Severity::Warning, IssueType::NotFound, place, || {
                format!("the base of the profile `{}` is not known: its rules were not checked", profile.url)
            });
        }
        if profile.is_plain() {
            return;
        }
        let value = instance.value.or(instance.twin).map_or(0, address);
        let pair = (value, address(profile.as_ref()));
        if let Some(at) = self.open.iter().position(|open| *open == pair) {
            self.circle = self.circle.min(at);
            return;
        }
        if !self.is_probing && self.done.contains(&pair) {
            return;
        }
        if self.is_probing
            && let Some(holds) = self.tried.get(&pair)
        {
            self.has_failed |= !holds;
            return;
        }
        if self.profile_depth >= PROFILE_DEPTH_MAX {
            return self.report(
                Severity::Warning,
                IssueType::TooCostly,
                place,
                || "profiles are nested deeper than allowed: what is below was not checked",
            );
        }
        self.profile_depth += 1;
        let level = self.open.len();
        self.open.push(pair);
        if self.is_probing {
            let had_failed = std::mem::replace(&mut self.has_failed, false);
            self.node(profile, ROOT, instance, scope, place);
            // What was found inside a circle rests on what is still open above: it is remembered only for the outermost.
            if self.circle >= level || self.has_failed {
                self.tried.insert(pair, !self.has_failed);
            }
            self.has_failed |= had_failed;
        } else {
            self.done.insert(pair);
            self.node(profile, ROOT, instance, scope, place);
        }
        self.open.pop();
        if self.circle >= level {
            self.circle = usize::MAX;
        }
        self.profile_depth -= 1;
    }

    /// One instance against a node: its own value, then its members.
    pub(super) fn node(
        &mut self,
        profile: &Arc<Profile>,
        id: NodeId,
        instance: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        if self.is_decided() || !self.step(place) {
            return;
        }
        // Below a resource that stands in an element, that resource is what rules and references are about; the rules on
        // the element itself are about the resource around it.
        let around = scope;
        let own;
        let scope = match (instance.kind, instance.value) {
            (Kind::Resource, Some(value)) if !std::ptr::eq(value, scope.resource) => {
                own = self.scope_of(value, scope);
                &own
            }
            _ => scope,
        };
        let node = profile.node(id);
        self.values(node, instance, place);
        if id != ROOT {
            self.types(&node.types, instance, scope, place);
        }
        if !node.languages.is_empty() {
            self.languages(&node.languages, instance, scope, place);
        }
        if let Some(binding) = &node.binding {
            self.binding(binding, instance, place);
        }
        for rule in &node.rules {
            self.rule(rule, instance, if id == ROOT { scope } else { around }, place);
        }
        for child in &node.children {
            if self.is_decided() {
                return;
            }
            let items = instance.children(&profile.node(*child).name);
            self.element(profile, *child, &items, scope, place);
        }
    }

    /// All instances of an element: how many, each one, and its slices.
    fn element(
        &mut self,
        profile: &Arc<Profile>,
        id: NodeId,
        items: &[Instance<'v>],
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let node = profile.node(id);
        self.cardinality(profile, id, items.len(), place);
        for item in items {
            let here = place.child(&node.name, item.index);
            self.node(profile, id, *item, scope, &here);
        }
        if !node.slices.is_empty() {
            self.slices(profile, id, items, scope, place);
        }
    }

    /// How often an element or slice stands.
    pub(super) fn cardinality(&mut self, profile: &Profile, id: NodeId, count: usize, place: &Place<'_>) {
        let node = profile.node(id);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let slice = || if node.slice.is_empty() { String::new() } else { format!(" of the slice `{}`", node.slice) };
        if let Some(min) = node.min.filter(|min| count < *min) {
            let here = place.child(&node.name, None);
            self.error(IssueType::Required, &here, || {
                format!("at least {min}{} must be given (profile {})", slice(), profile.url)
            });
        }
        if let Some(max) = node.max.filter(|max| count > *max) {
            let here = place.child(&node.name, None);
            self.error(IssueType::Structure, &here, || {
                format!("at most {max}{} may be given (profile {})", slice(), profile.url)
            });
        }
    }

    /// The types that an element may have, and the profiles on them.
    fn types(&mut self, types: &[TypeRule], instance: Instance<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        if types.is_empty() {
            return;
        }
        let type_name = instance.type_name();
        let fits = |rule: &&TypeRule| {
            rule.code == type_name
                || base().is_a(type_name, &rule.code)
                || matches!(rule.code.as_str(), "Element" | "BackboneElement")
                || !base().is_type(&rule.code)
        };
        let fitting: Vec<&TypeRule> = types.iter().filter(fits).collect();
        if fitting.is_empty() {
            return self.error(IssueType::Structure, place, || "the profile does not allow this type here");
        }
        if type_name == "Reference" {
            self.targets(&fitting, instance, scope, place);
        }
        if fitting.iter().any(|rule| rule.profiles.is_empty()) {
            return;
        }
        let canonicals: Vec<&String> = fitting.iter().flat_map(|rule| &rule.profiles).collect();
        if let [only] = canonicals.as_slice() {
            return self.named_profile(only, instance, scope, place, Severity::Warning);
        }
        let mut is_unknown = false;
        for canonical in canonicals {
            match self.packages.profile(canonical) {
                Some(profile) => {
                    if self.holds(|check| check.profile(&profile, instance, scope, place)) {
                        return;
                    }
                }
                None => is_unknown = true,
            }
        }
        if !is_unknown {
            self.error(IssueType::Structure, place, || "matches none of the profiles that are allowed here");
        }
    }
}

/// Compares two numbers, dates or times of the same type, as far as they can be.
pub(super) fn compare(left: &str, right: &str, is_number: bool) -> Option<Ordering> {
    if is_number {
        return left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?);
    }
    // Dates and times of the same precision and zone sort as texts.
    let shared = left.len().min(right.len());
    Some(left.get(..shared)?.cmp(right.get(..shared)?))
}
