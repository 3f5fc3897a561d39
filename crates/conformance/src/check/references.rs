//! Resolving references: contained resources, the entries of the bundle around, and what a resolver has.

use super::{Check, Scope};
use crate::ValidationContext;
use crate::base::base;
use crate::instance::Instance;
use crate::place::Place;
use crate::profile::TypeRule;
use std::collections::HashMap;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;
use tacet_fhir::reference::{Reference, for_each_reference};

/// Most references of one resource that a resolver is asked for.
const FETCHED_MAX: usize = 1000;

/// What the resolver has of the resources that are referred to: asked once, before the walk.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    by_reference: HashMap<String, Json<'static>>,
}

impl Fetched {
    /// Asks the resolver, if there is one, for each target that is not inside the resource.
    pub(crate) fn of(resource: &Json<'_>, context: &ValidationContext<'_>) -> Self {
        let mut by_reference = HashMap::new();
        if let Some(resolver) = context.resolver {
            let mut asked = std::collections::HashSet::new();
            for_each_reference(resource, &mut |text| {
                let is_new = !text.starts_with('#') && asked.len() < FETCHED_MAX && asked.insert(text);
                if let Some(found) = is_new.then(|| resolver.resolve(text)).flatten() {
                    by_reference.insert(text.to_owned(), found);
                }
            });
        }
        Fetched { by_reference }
    }
}

/// Where the target of a reference stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Contained,
    Bundled,
    Referenced,
}

impl Standing {
    /// Its code in `ElementDefinition.type.aggregation`.
    fn code(self) -> &'static str {
        match self {
            Standing::Contained => "contained",
            Standing::Bundled => "bundled",
            Standing::Referenced => "referenced",
        }
    }
}

/// The target of a reference.
pub(super) struct Resolved<'v> {
    pub(super) resource: &'v Json<'v>,
    pub(super) scope: Scope<'v>,
    pub(super) standing: Standing,
}

impl<'v> Scope<'v> {
    /// The target of a reference, with where it stands.
    pub(crate) fn find(&self, text: &str, fetched: &'v Fetched) -> Option<(&'v Json<'v>, Option<&'v str>, bool)> {
        if let Some(id) = text.strip_prefix('#') {
            if id.is_empty() {
                return Some((self.root, self.full_url, true));
            }
            let contained = self.root.get("contained").map(Json::items).unwrap_or_default();
            return contained
                .iter()
                .find(|item| item.get_str("id") == Some(id))
                .map(|item| (item, self.full_url, true));
        }
        if let Some(bundle) = &self.bundle
            && let Some((found, full_url)) = bundle.find(text, self.full_url)
        {
            return Some((found, full_url, false));
        }
        fetched.by_reference.get(text).map(|found| (found, None, false))
    }
}

impl<'v> Check<'v> {
    /// The target of a reference, where it can be had.
    pub(super) fn resolve(&self, text: &str, scope: &Scope<'v>) -> Option<Resolved<'v>> {
        let (resource, full_url, is_contained) = scope.find(text, self.fetched)?;
        let is_bundled = scope.bundle.as_ref().is_some_and(|bundle| bundle.holds(resource));
        let standing = match (is_contained, is_bundled) {
            (true, _) => Standing::Contained,
            (_, true) => Standing::Bundled,
            _ => Standing::Referenced,
        };
        let root = if is_contained { scope.root } else { resource };
        let scope = Scope { resource, root, bundle: scope.bundle.clone(), full_url };
        Some(Resolved { resource, scope, standing })
    }

    /// The scope of a resource that stands inside of another one.
    pub(super) fn scope_of(&self, resource: &'v Json<'v>, around: &Scope<'v>) -> Scope<'v> {
        let contained = around.root.get("contained").map(Json::items).unwrap_or_default();
        let is_contained = contained.iter().any(|item| std::ptr::eq(item, resource));
        let mut own = around.clone();
        own.resource = resource;
        if !is_contained {
            own.root = resource;
            if around.resource.resource_type() == Some("Bundle") {
                let bundle = super::bundles::Entries::of(around.resource, around.bundle.clone());
                own.full_url = bundle.full_url_of(resource);
                own.bundle = Some(std::rc::Rc::new(bundle));
            }
        }
        own
    }

    /// The targets that a profile allows for a reference: their types, their profiles, and where they may be.
    pub(super) fn targets(
        &mut self,
        rules: &[&TypeRule],
        instance: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let Some(value) = instance.value else { return };
        let Some(text) = value.get_str("reference") else { return };
        let resolved = self.resolve(text, scope);
        let allowed: Vec<&str> = rules.iter().flat_map(|rule| &rule.aggregation).map(String::as_str).collect();
        if !allowed.is_empty() && rules.iter().all(|rule| !rule.aggregation.is_empty()) {
            let standing = resolved.as_ref().map_or(Standing::Referenced, |found| found.standing);
            if !allowed.contains(&standing.code()) {
                self.error(IssueType::Structure, place, || "the profile does not allow the target to be where it is");
            }
        }
        if rules.iter().any(|rule| rule.targets.is_empty()) {
            return;
        }
        let named = Reference::parse(text).resource_type().map(|named| named.as_str());
        let type_name = match &resolved {
            Some(found) => found.resource.resource_type(),
            None => named.or_else(|| value.get_str("type")),
        };
        let Some(type_name) = type_name else { return };
        let mut fits_type = false;
        let mut profiles = Vec::new();
        for canonical in rules.iter().flat_map(|rule| &rule.targets) {
            match self.packages.profile(canonical) {
                Some(profile) if base().is_a(type_name, &profile.type_name) => {
                    fits_type = true;
                    profiles.push(profile);
                }
                Some(_) => {}
                // A profile that is not known may be for any type: nothing can be said.
                None => return,
            }
        }
        if !fits_type {
            return self.error(IssueType::Structure, place, || "the profile does not allow a reference to this type");
        }
        let Some(found) = resolved else { return };
        if profiles.iter().any(|profile| profile.is_plain()) {
            return;
        }
        let target = Instance::resource(found.resource);
        let holds =
            profiles.iter().any(|profile| self.holds(|check| check.profile(profile, target, &found.scope, place)));
        if !holds {
            self.error(IssueType::Structure, place, || "the target has none of the profiles that are allowed for it");
        }
    }
}
