//! Bundles: which entry a reference means, and the rules about addresses and documents
//! (<https://hl7.org/fhir/R4/bundle.html#references>).

use super::Check;
use crate::place::Place;
use std::collections::HashMap;
use std::rc::Rc;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;
use tacet_fhir::reference::{Reference, for_each_reference, split_version};

/// Deepest nesting of bundles in bundles that references are looked up through.
const BUNDLES_MAX: usize = 8;

/// Most links that are held against each other; a page has at most five.
const LINKS_MAX: usize = 100;

/// The entries of a bundle, by address.
#[derive(Debug)]
pub(crate) struct Entries<'v> {
    /// Versions of a resource share its address.
    by_url: HashMap<&'v str, Vec<&'v Json<'v>>>,
    around: Option<Rc<Entries<'v>>>,
    level: usize,
}

impl<'v> Entries<'v> {
    /// Reads the addresses of the entries.
    pub(crate) fn of(bundle: &'v Json<'v>, around: Option<Rc<Entries<'v>>>) -> Self {
        let mut by_url = HashMap::new();
        for entry in bundle.get("entry").map(Json::items).unwrap_or_default() {
            if let (Some(url), Some(resource)) = (entry.get_str("fullUrl"), entry.get("resource")) {
                by_url.entry(url).or_insert_with(Vec::new).push(resource);
            }
        }
        let level = around.as_ref().map_or(0, |around| around.level + 1);
        Entries { by_url, around: around.filter(|around| around.level < BUNDLES_MAX), level }
    }

    /// The entry that a reference means, seen from the entry with that address, and its own address.
    pub(crate) fn find(&self, text: &str, from: Option<&str>) -> Option<(&'v Json<'v>, Option<&'v str>)> {
        let (plain, version) = split_version(text);
        let plain = plain.split('#').next().unwrap_or(plain);
        let known = |url: &str| {
            let (url, versions) = self.by_url.get_key_value(url)?;
            let of_version = |resource: &&Json<'_>| version.is_none_or(|version| is_of_version(resource, version));
            versions.iter().copied().find(of_version).map(|resource| (resource, Some(*url)))
        };
        let found = known(plain).or_else(|| {
            let (resource_type, id) = Reference::parse(plain).target()?;
            // Relative to the server that the referring entry came from.
            let base = from.and_then(rest_base)?;
            known(&format!("{base}/{resource_type}/{id}"))
        });
        found.or_else(|| self.around.as_ref().and_then(|around| around.find(text, from)))
    }

    /// The address of a resource of this bundle.
    pub(crate) fn full_url_of(&self, resource: &Json<'_>) -> Option<&'v str> {
        let is_it = |known: &&Json<'_>| std::ptr::eq(*known, resource);
        self.by_url.iter().find(|(_, known)| known.iter().any(is_it)).map(|(url, _)| *url)
    }

    /// Whether a reference that names no version means an entry of which the bundle has several.
    fn is_ambiguous(&self, text: &str, from: Option<&str>) -> bool {
        let url = self.find(text, from).and_then(|(_, url)| url);
        split_version(text).1.is_none() && url.and_then(|url| self.by_url.get(url)).is_some_and(|known| known.len() > 1)
    }

    /// Whether an id that a relative reference names is that of an entry of another type, which has a UUID as its address.
    fn is_of_other_type(&self, text: &str) -> bool {
        let Some((resource_type, id)) = Reference::parse(text).target() else { return false };
        let known = self.by_url.get(format!("urn:uuid:{id}").as_str()).map(Vec::as_slice).unwrap_or_default();
        !known.is_empty() && known.iter().all(|known| known.resource_type() != Some(resource_type.as_str()))
    }

    /// Whether a resource is an entry of this bundle or of one around it.
    pub(crate) fn holds(&self, resource: &Json<'_>) -> bool {
        self.full_url_of(resource).is_some() || self.around.as_ref().is_some_and(|around| around.holds(resource))
    }
}

/// Whether a resource is, as far as it says, the version that a reference names.
fn is_of_version(resource: &Json<'_>, version: &str) -> bool {
    let own = resource.get("meta").and_then(|meta| meta.get_str("versionId"));
    own.is_none_or(|own| own == version)
}

/// The address of the server in a REST address: what is before `Type/id`.
fn rest_base(url: &str) -> Option<&str> {
    let (rest, _id) = url.rsplit_once('/')?;
    let (base, name) = rest.rsplit_once('/')?;
    tacet_types::ResourceType::parse(name).map(|_| base)
}

impl<'v> Check<'v> {
    /// The rules of a bundle that its invariants do not say.
    pub(super) fn bundle(&mut self, bundle: &'v Json<'v>, entries: &Rc<Entries<'v>>, place: &Place<'_>) {
        let kind = bundle.get_str("type").unwrap_or_default();
        let items = bundle.get("entry").map(Json::items).unwrap_or_default();
        for (index, entry) in items.iter().enumerate() {
            let here = place.child("entry", Some(index));
            self.full_url(entry, kind, &here);
            let mut is_wrong = false;
            let Some(resource) = entry.get("resource") else { continue };
            let from = entry.get_str("fullUrl");
            for_each_reference(resource, &mut |text| {
                is_wrong |= entries.is_of_other_type(text) && entries.find(text, from).is_none();
            });
            if is_wrong {
                let here = here.child("resource", None);
                self.error(
                    IssueType::Value,
                    &here,
                    || "a reference names another type than that of the entry with its id",
                );
            }
        }
        let links = bundle.get("link").map(Json::items).unwrap_or_default();
        for (index, link) in links.iter().enumerate() {
            let relation = link.get_str("relation");
            if links.iter().take(index).take(LINKS_MAX).any(|before| before.get_str("relation") == relation) {
                let here = place.child("link", Some(index));
                self.error(IssueType::Structure, &here, || "there is another link with this relation");
            }
        }
        if kind == "searchset" {
            self.search_results(items, place);
        }
        if matches!(kind, "document" | "message") {
            self.references_of_document(items, entries, place);
        }
    }

    /// What a search gives has an id, and its outcome is an OperationOutcome.
    fn search_results(&mut self, items: &'v [Json<'v>], place: &Place<'_>) {
        for (index, entry) in items.iter().enumerate() {
            let Some(resource) = entry.get("resource") else { continue };
            let entry_place = place.child("entry", Some(index));
            let here = entry_place.child("resource", None);
            let is_outcome = resource.resource_type() == Some("OperationOutcome");
            let mode = entry.get("search").and_then(|search| search.get_str("mode"));
            if resource.get("id").is_none() && !is_outcome {
                self.error(IssueType::Required, &here, || "a resource that a search gives has an id");
            }
            if mode == Some("outcome") && !is_outcome {
                self.error(IssueType::Structure, &here, || "the outcome of a search is an OperationOutcome");
            }
        }
    }

    /// An address is absolute, and says the type and id of what it is the address of.
    fn full_url(&mut self, entry: &'v Json<'v>, kind: &str, place: &Place<'_>) {
        let here = place.child("fullUrl", None);
        let Some(url) = entry.get_str("fullUrl") else {
            let needs_one = matches!(kind, "document" | "message");
            if needs_one && entry.get("resource").is_some() {
                let message = "an entry of a document or message has a fullUrl";
                self.error(IssueType::Required, &here, || message);
            }
            return;
        };
        let is_absolute = url.split_once(':').is_some_and(|(scheme, rest)| !scheme.contains('/') && !rest.is_empty());
        if !is_absolute {
            return self.error(IssueType::Value, &here, || "must be an absolute address");
        }
        let Some(resource) = entry.get("resource") else { return };
        if kind == "document" && rest_base(url).is_some() && url.starts_with("http") && resource.get("id").is_none() {
            self.error(IssueType::Required, place, || "the address names an id, and the resource has none");
        }
        if let Some(base) = rest_base(url)
            && let Some(id) = resource.get_str("id")
            && url.starts_with("http")
        {
            let end = url.get(base.len() + 1..).unwrap_or_default();
            let own = resource.resource_type().unwrap_or_default();
            if end.split_once('/') != Some((own, id)) {
                self.error(IssueType::Value, &here, || "does not end in the type and id of the resource");
            }
        }
    }

    /// What the first entry of a document or message refers to is in the bundle.
    fn references_of_document(&mut self, items: &'v [Json<'v>], entries: &Rc<Entries<'v>>, place: &Place<'_>) {
        let Some(first) = items.first() else { return };
        let Some(resource) = first.get("resource") else { return };
        let from = first.get_str("fullUrl");
        let mut missing = false;
        let mut ambiguous = false;
        for_each_reference(resource, &mut |text| {
            let inside = match Reference::parse(text) {
                Reference::Fragment(_) => true,
                Reference::Relative { .. } | Reference::Urn(_) => entries.find(text, from).is_some(),
                _ => true,
            };
            missing |= !inside;
            ambiguous |= entries.is_ambiguous(text, from);
        });
        let entry = place.child("entry", Some(0));
        let here = entry.child("resource", None);
        if ambiguous {
            self.error(
                IssueType::MultipleMatches,
                &here,
                || "refers to a resource of which the bundle has several versions",
            );
        }
        if missing {
            self.error(IssueType::NotFound, &here, || "refers to a resource that is not in the bundle");
        }
    }
}
