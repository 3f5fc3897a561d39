//! References: which record each leads to, what a document must hold besides what was chosen, and how they read inside of it.

use crate::{ENTRIES_MAX, SummaryError};
use std::collections::{HashMap, HashSet, VecDeque};
use tacet_fhir::json::Json;
use tacet_fhir::reference::{self, Reference};

/// Types that come along where something chosen refers to them.
const SUPPORTING: [&str; 8] = [
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Medication",
    "Device",
    "Specimen",
    "ImagingStudy",
    "Observation",
];

/// References without which the element that holds them makes no sense, or that R4 asks for: where the target is not in the document they stay, as absent.
const KEPT_AS_ABSENT: [&str; 9] =
    ["actor", "device", "individual", "link", "medicationReference", "other", "party", "reference", "subject"];

/// Why something that must stand is not there, <http://hl7.org/fhir/StructureDefinition/data-absent-reason>.
pub(crate) fn absent() -> Json<'static> {
    let extension = Json::object([
        ("url", Json::from("http://hl7.org/fhir/StructureDefinition/data-absent-reason")),
        ("valueCode", Json::from("unknown")),
    ]);
    Json::object([("extension", Json::Array(vec![extension]))])
}

/// The resources by `Type/id`.
pub(crate) struct Index<'r> {
    places: HashMap<String, usize>,
    resources: &'r [Json<'r>],
    base: Option<&'r str>,
}

impl<'r> Index<'r> {
    pub(crate) fn new(resources: &'r [Json<'r>], base: Option<&'r str>) -> Self {
        let mut places = HashMap::with_capacity(resources.len());
        for (at, resource) in resources.iter().enumerate() {
            if let (Some(kind), Some(id)) = (resource.resource_type(), resource.get_str("id")) {
                places.entry(format!("{kind}/{id}")).or_insert(at);
            }
        }
        Self { places, resources, base }
    }

    /// `Type/id` of what a reference leads to on this server.
    pub(crate) fn key(&self, text: &str) -> Option<String> {
        let local = self.base.and_then(|base| text.strip_prefix(base)?.strip_prefix('/')).unwrap_or(text);
        match Reference::parse(local) {
            Reference::Relative { resource_type, id, .. } => Some(format!("{resource_type}/{id}")),
            _ => None,
        }
    }

    pub(crate) fn place(&self, text: &str) -> Option<usize> {
        self.places.get(&self.key(text)?).copied()
    }

    pub(crate) fn find(&self, text: &str) -> Option<&'r Json<'r>> {
        self.resources.get(self.place(text)?)
    }

    /// What is chosen and all that it refers to, near things first, each once.
    pub(crate) fn closure(&self, chosen: impl Iterator<Item = usize>) -> Result<Vec<usize>, SummaryError> {
        let mut all: Vec<usize> = Vec::new();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut waiting: VecDeque<usize> = VecDeque::new();
        for at in chosen {
            if seen.insert(at) {
                waiting.push_back(at);
            }
        }
        while let Some(at) = waiting.pop_front() {
            if all.len() == ENTRIES_MAX {
                return Err(SummaryError::TooLarge { what: "resources in its summary", max: ENTRIES_MAX });
            }
            all.push(at);
            let Some(resource) = self.resources.get(at) else { continue };
            reference::for_each_reference(resource, &mut |text| {
                let Some(target) = self.place(text) else { return };
                let kind = self.resources.get(target).and_then(Json::resource_type).unwrap_or_default();
                if SUPPORTING.contains(&kind) && seen.insert(target) {
                    waiting.push_back(target);
                }
            });
        }
        Ok(all)
    }
}

/// The resource as it stands in the document: what is in it is referred to by its URN; of what is not, the words and the number stay, and the link goes, because
/// it would lead nowhere for the reader.
pub(crate) fn within(resource: &Json<'_>, index: &Index<'_>, urns: &HashMap<String, String>) -> Json<'static> {
    let mut resource = resource.clone().into_owned();
    reference::rewrite_references(&mut resource, &mut |text| urns.get(&index.key(text)?).cloned());
    strip(resource, true).unwrap_or_else(|| Json::Object(Vec::new()))
}

/// Takes out references that lead out of the document. None: nothing is left. The depth is that of the parsed resource, which is bounded.
fn strip(value: Json<'static>, root: bool) -> Option<Json<'static>> {
    match value {
        Json::Array(items) => {
            let kept: Vec<_> = items.into_iter().filter_map(|item| strip(item, false)).collect();
            (!kept.is_empty()).then_some(Json::Array(kept))
        }
        Json::Object(mut members) => {
            if !root && leads_out(&members) {
                members.retain(|(name, _)| name != "reference" && name != "_reference");
                let says = members.iter().any(|(name, _)| name == "display" || name == "identifier");
                if !says {
                    return None;
                }
            }
            let mut kept = Vec::with_capacity(members.len());
            for (name, member) in members {
                // What an extension says of a reference makes no sense without it.
                match strip(member, false) {
                    Some(member) => kept.push((name, member)),
                    None if KEPT_AS_ABSENT.contains(&name.as_ref()) => kept.push((name, absent())),
                    None => {}
                }
            }
            let only_url = kept.len() == 1 && kept.first().is_some_and(|(name, _)| name == "url");
            (root || !(kept.is_empty() || only_url)).then_some(Json::Object(kept))
        }
        scalar => Some(scalar),
    }
}

fn leads_out(members: &[tacet_fhir::json::Member<'_>]) -> bool {
    let reference = members.iter().find(|(name, _)| name == "reference").and_then(|(_, value)| value.as_str());
    reference.is_some_and(|text| !text.starts_with("urn:uuid:") && !text.starts_with('#'))
}
