//! What is known at one moment: code systems, value sets and concept maps by address and version.
//!
//! ```text
//! Builder ── add_resource, add_system, remove ──> build ──> Terminology (immutable, shared)
//!    ▲                                                          │
//!    └────────────────────── Builder::from ─────────────────────┘   a changed resource costs only itself
//! ```
//!
//! Two layers: what the owner stored, and the definitions of the standard ([`crate::standard`]). An address that the
//! owner stored hides the standard's, unless the version asked for is only there. Within a layer the newest version
//! wins when none is asked for.

use crate::canonical::{compare_versions, split, version_matches};
use crate::concept_map::ConceptMap;
use crate::error::TerminologyError;
use crate::expansion::{Expansion, Membership, Pins, evaluate};
use crate::limits::{CACHED_CODES_MAX, CACHED_EXPANSIONS_MAX};
use crate::system::{CodeSystem, Content, Filter, FilterOperator, System, system_of};
use crate::value_set::ValueSet;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tacet_fhir::json::Json;

/// Most supplements that are used for one code system, and most versions of one definition.
const VERSIONS_MAX: usize = 256;

/// The versions of one definition, oldest first.
type Versions<T> = Vec<(Option<Box<str>>, Arc<T>)>;

/// Definitions by address.
#[derive(Debug)]
pub(crate) struct Shelf<T>(HashMap<Box<str>, Versions<T>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf(HashMap::new())
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Shelf(self.0.clone())
    }
}

impl<T> Shelf<T> {
    /// Puts a definition in, in the place of one of the same address and version.
    pub(crate) fn put(&mut self, url: &str, version: Option<&str>, value: Arc<T>) -> bool {
        let versions = self.0.entry(url.into()).or_default();
        if let Some(place) = versions.iter_mut().find(|(known, _)| known.as_deref() == version) {
            place.1 = value;
            return true;
        }
        if versions.len() >= VERSIONS_MAX {
            return false;
        }
        let at = versions.partition_point(|(known, _)| compare_versions(known.as_deref(), version).is_lt());
        versions.insert(at, (version.map(Into::into), value));
        true
    }

    fn take(&mut self, url: &str, version: Option<&str>) {
        if let Some(versions) = self.0.get_mut(url) {
            versions.retain(|(known, _)| known.as_deref() != version);
            if versions.is_empty() {
                self.0.remove(url);
            }
        }
    }

    pub(crate) fn get(&self, url: &str, version: Option<&str>) -> Option<&Arc<T>> {
        let versions = self.0.get(url)?;
        match version {
            None => versions.last().map(|(_, value)| value),
            Some(asked) => versions
                .iter()
                .rev()
                .find(|(known, _)| known.as_deref() == Some(asked))
                .or_else(|| versions.iter().rev().find(|(known, _)| version_matches(known.as_deref(), asked)))
                .map(|(_, value)| value),
        }
    }

    fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values().flatten().map(|(_, value)| value)
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

/// One layer of definitions.
#[derive(Default, Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) systems: Shelf<CodeSystem>,
    pub(crate) value_sets: Shelf<ValueSet>,
    pub(crate) maps: Shelf<ConceptMap>,
    /// Supplements by the address of the system they add to, in the order of their own address.
    supplements: HashMap<Box<str>, Vec<Arc<CodeSystem>>>,
    /// Systems by the address of the value set of all their codes.
    whole: HashMap<Box<str>, Box<str>>,
}

impl Layer {
    pub(crate) fn put_system(&mut self, system: CodeSystem) -> Result<(), TerminologyError> {
        let header = system.header.clone();
        let system = Arc::new(system);
        if header.content == Content::Supplement {
            let of = header.supplements.as_deref().map(|canonical| split(canonical).0).ok_or_else(|| {
                TerminologyError::invalid(format!("supplement `{}` does not say what it supplements", header.url))
            })?;
            let list = self.supplements.entry(of.into()).or_default();
            list.retain(|known| (&known.header.url, &known.header.version) != (&header.url, &header.version));
            if list.len() >= VERSIONS_MAX {
                return Err(too_many_versions(&header.url));
            }
            list.push(system);
            list.sort_by(|a, b| a.header.url.cmp(&b.header.url));
            return Ok(());
        }
        if let Some(value_set) = &header.value_set {
            self.whole.insert(split(value_set).0.into(), header.url.as_str().into());
        }
        match self.systems.put(&header.url, header.version.as_deref(), system) {
            true => Ok(()),
            false => Err(too_many_versions(&header.url)),
        }
    }

    fn remove_system(&mut self, url: &str, version: Option<&str>) {
        self.systems.take(url, version);
        for list in self.supplements.values_mut() {
            list.retain(|known| (known.header.url.as_str(), known.header.version.as_deref()) != (url, version));
        }
        self.supplements.retain(|_, list| !list.is_empty());
        self.whole.clear();
        for system in self.systems.values() {
            if let Some(value_set) = &system.header.value_set {
                self.whole.insert(split(value_set).0.into(), system.header.url.as_str().into());
            }
        }
    }
}

fn too_many_versions(url: &str) -> TerminologyError {
    TerminologyError::too_costly(format!("more than {VERSIONS_MAX} versions or supplements of `{url}`"))
}

#[derive(Debug)]
struct Inner {
    own: Layer,
    standard: Option<&'static Layer>,
    /// Supplements of each system, ready to be used.
    supplements: HashMap<Box<str>, Arc<[Arc<CodeSystem>]>>,
    expansions: RwLock<Kept>,
}

/// A canonical address and its version.
type Address = (Box<str>, Option<Box<str>>);

/// Expansions by the address in memory of their value set, which the snapshot holds.
#[derive(Debug, Default)]
struct Kept {
    expansions: HashMap<usize, Arc<Expansion>>,
    /// Those of implicit value sets, which nobody holds: by `url` and version.
    implicit: HashMap<Address, Arc<Expansion>>,
    codes: usize,
}

/// All terminology that is known, at one moment. Immutable; a copy costs a counter.
///
/// ```
/// use tacet_terminology::{Membership, Terminology};
///
/// let terminology = Terminology::standard();
/// let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
/// let system = Some("http://hl7.org/fhir/administrative-gender");
/// assert_eq!(terminology.member_of(gender, system, "female"), Membership::Yes);
/// assert_eq!(terminology.member_of(gender, system, "f"), Membership::No);
/// assert_eq!(terminology.member_of("http://example.org/unheard-of", system, "female"), Membership::Unknown);
/// ```
#[derive(Clone, Debug)]
pub struct Terminology(Arc<Inner>);

/// Makes a [`Terminology`].
#[derive(Debug)]
pub struct Builder {
    own: Layer,
    standard: Option<&'static Layer>,
}

impl Default for Builder {
    /// Starts from the definitions of the standard.
    fn default() -> Self {
        Self { own: Layer::default(), standard: Some(crate::standard::layer()) }
    }
}

impl From<&Terminology> for Builder {
    /// Starts from what a snapshot knows.
    fn from(terminology: &Terminology) -> Self {
        Self { own: terminology.0.own.clone(), standard: terminology.0.standard }
    }
}

impl Builder {
    /// Starts from nothing, without the definitions of the standard.
    pub fn empty() -> Self {
        Self { own: Layer::default(), standard: None }
    }

    /// Adds a CodeSystem, ValueSet or ConceptMap, in the place of one with the same address and version. Other types are
    /// passed over, and so is a value set or map without `url`: nobody can name it.
    ///
    /// # Errors
    /// A code system that cannot be used: without `url` or `content`, with a code twice, with a cycle, too large.
    /// Nothing was added then. Faults of a value set come out when it is used.
    pub fn add_resource(&mut self, resource: &Json<'_>) -> Result<(), TerminologyError> {
        match resource.resource_type() {
            Some("CodeSystem") => self.own.put_system(system_of(resource)?),
            Some("ValueSet") => {
                let value_set = ValueSet::of(resource)?;
                let Some(url) = value_set.url.clone() else { return Ok(()) };
                let version = value_set.version.clone();
                match self.own.value_sets.put(&url, version.as_deref(), Arc::new(value_set)) {
                    true => Ok(()),
                    false => Err(too_many_versions(&url)),
                }
            }
            Some("ConceptMap") => {
                let map = ConceptMap::of(resource)?;
                let Some(url) = map.url.clone() else { return Ok(()) };
                let version = map.version.clone();
                match self.own.maps.put(&url, version.as_deref(), Arc::new(map)) {
                    true => Ok(()),
                    false => Err(too_many_versions(&url)),
                }
            }
            _ => Ok(()),
        }
    }

    /// Adds a code system that was made without a resource.
    ///
    /// # Errors
    /// A supplement of nothing, or too many versions.
    pub fn add_system(&mut self, system: CodeSystem) -> Result<(), TerminologyError> {
        self.own.put_system(system)
    }

    /// Takes away what [`Builder::add_resource`] added from this resource (its type, `url` and `version` count).
    pub fn remove_resource(&mut self, resource: &Json<'_>) {
        let Some(url) = resource.get_str("url") else { return };
        let version = resource.get_str("version");
        match resource.resource_type() {
            Some("CodeSystem") => self.own.remove_system(url, version),
            Some("ValueSet") => self.own.value_sets.take(url, version),
            Some("ConceptMap") => self.own.maps.take(url, version),
            _ => {}
        }
    }

    /// The snapshot.
    pub fn build(self) -> Terminology {
        let mut supplements: HashMap<Box<str>, Vec<Arc<CodeSystem>>> = HashMap::new();
        for layer in std::iter::once(&self.own).chain(self.standard) {
            for (url, list) in &layer.supplements {
                supplements.entry(url.clone()).or_default().extend(list.iter().cloned());
            }
        }
        Terminology(Arc::new(Inner {
            own: self.own,
            standard: self.standard,
            supplements: supplements.into_iter().map(|(url, list)| (url, list.into())).collect(),
            expansions: RwLock::default(),
        }))
    }
}

impl Terminology {
    /// The definitions of the standard, and nothing else.
    pub fn standard() -> Self {
        Builder::default().build()
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.0.own).chain(self.0.standard)
    }

    /// A code system, by address and version.
    pub(crate) fn system(&self, url: &str, version: Option<&str>) -> Result<System, TerminologyError> {
        let base = self.layers().find_map(|layer| layer.systems.get(url, version)).ok_or_else(|| {
            TerminologyError::not_found(format!("code system `{url}` is not known here: store it first"))
        })?;
        let supplements = self.0.supplements.get(url).cloned().unwrap_or_else(|| Arc::from([]));
        let fits = |supplement: &Arc<CodeSystem>| {
            let asked = supplement.header.supplements.as_deref().and_then(|canonical| split(canonical).1);
            asked.is_none_or(|asked| version_matches(base.header.version.as_deref(), asked))
        };
        let supplements = match supplements.iter().all(fits) {
            true => supplements,
            false => supplements.iter().filter(|one| fits(one)).cloned().collect(),
        };
        Ok(System { base: Arc::clone(base), supplements })
    }

    /// A value set, by `url` or `url|version`; among them those that stand for all codes of a system.
    pub(crate) fn value_set(&self, canonical: &str) -> Result<Arc<ValueSet>, TerminologyError> {
        let (url, version) = split(canonical);
        if let Some(found) = self.layers().find_map(|layer| layer.value_sets.get(url, version)) {
            return Ok(Arc::clone(found));
        }
        self.implicit(url, version).map(Arc::new).ok_or_else(|| {
            TerminologyError::not_found(format!("value set `{canonical}` is not known here: store it first"))
        })
    }

    /// Value sets that nobody has to store: `CodeSystem.valueSet`, and the forms `?fhir_vs`, `?fhir_vs=isa/[code]` of
    /// SNOMED CT, and `http://loinc.org/vs` of LOINC (R4, "Using SNOMED CT with FHIR", "Using LOINC with FHIR").
    fn implicit(&self, url: &str, version: Option<&str>) -> Option<ValueSet> {
        if let Some(system) = self.layers().find_map(|layer| layer.whole.get(url)) {
            return Some(ValueSet::all_of(url, system, version, None));
        }
        if url == "http://loinc.org/vs" {
            return Some(ValueSet::all_of(url, "http://loinc.org", version, None));
        }
        let (system, kind) = url.split_once("?fhir_vs")?;
        match kind {
            "" => Some(ValueSet::all_of(url, system, version, None)),
            kind => {
                let value = kind.strip_prefix("=isa/")?;
                let filter = Filter { property: "concept".into(), operator: FilterOperator::IsA, value: value.into() };
                Some(ValueSet::all_of(url, system, version, Some(filter)))
            }
        }
    }

    pub(crate) fn map(&self, canonical: &str) -> Result<&Arc<ConceptMap>, TerminologyError> {
        let (url, version) = split(canonical);
        self.layers().find_map(|layer| layer.maps.get(url, version)).ok_or_else(|| {
            TerminologyError::not_found(format!("concept map `{canonical}` is not known here: store it first"))
        })
    }

    /// The newest version of each concept map, in the order of their addresses.
    pub(crate) fn maps(&self) -> Vec<&Arc<ConceptMap>> {
        let mut urls: Vec<&str> = self.layers().flat_map(|layer| layer.maps.urls()).collect();
        urls.sort_unstable();
        urls.dedup();
        urls.into_iter().filter_map(|url| self.map(url).ok()).collect()
    }

    /// Whether the snapshot itself holds this value set, so that its address in memory stays its own.
    pub(crate) fn holds(&self, value_set: &Arc<ValueSet>) -> bool {
        let Some(url) = value_set.url.as_deref() else { return false };
        let held = |layer: &Layer| {
            layer.value_sets.get(url, value_set.version.as_deref()).is_some_and(|known| Arc::ptr_eq(known, value_set))
        };
        self.layers().any(held)
    }

    /// The expansion of a value set, if it was kept.
    pub(crate) fn kept(&self, value_set: &Arc<ValueSet>) -> Option<Arc<Expansion>> {
        let kept = self.0.expansions.read().unwrap_or_else(PoisonError::into_inner);
        kept.expansions.get(&(Arc::as_ptr(value_set) as usize)).map(Arc::clone)
    }

    /// The expansion of a value set: the kept one, or a new one, kept if the snapshot holds the value set.
    pub(crate) fn expansion(&self, value_set: &Arc<ValueSet>, pins: &Pins) -> Result<Arc<Expansion>, TerminologyError> {
        if !pins.is_empty() {
            return evaluate(self, value_set, pins).map(Arc::new);
        }
        if let Some(kept) = self.kept(value_set) {
            return Ok(kept);
        }
        let held = self.holds(value_set);
        // Only implicit value sets are held by nobody and have no resource.
        let implicit = match (&value_set.url, held || value_set.resource.is_some()) {
            (Some(url), false) => Some((url.clone(), value_set.version.clone())),
            _ => None,
        };
        if let Some(key) = &implicit {
            let kept = self.0.expansions.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = kept.implicit.get(key) {
                return Ok(Arc::clone(kept));
            }
        }
        let made = Arc::new(evaluate(self, value_set, pins)?);
        if held || implicit.is_some() {
            let mut kept = self.0.expansions.write().unwrap_or_else(PoisonError::into_inner);
            let count = kept.expansions.len() + kept.implicit.len();
            if kept.codes + made.len() > CACHED_CODES_MAX || count >= CACHED_EXPANSIONS_MAX {
                *kept = Kept::default();
            }
            kept.codes += made.len();
            // INVARIANT: the key is the address of a value set that this snapshot holds until it is dropped.
            match implicit {
                Some(key) => kept.implicit.insert(key, Arc::clone(&made)),
                None => kept.expansions.insert(Arc::as_ptr(value_set) as usize, Arc::clone(&made)),
            };
        }
        Ok(made)
    }

    /// Whether a code is in a value set (`url` or `url|version`). Without a system, as for an element of type `code`: in
    /// any system of the value set.
    pub fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership {
        let expansion = self.value_set(value_set).and_then(|found| self.expansion(&found, &Pins::default()));
        expansion.map_or(Membership::Unknown, |expansion| expansion.membership(system, None, code))
    }

    /// Whether a value set is known here, by `url` or `url|version`.
    pub fn knows_value_set(&self, value_set: &str) -> bool {
        self.value_set(value_set).is_ok()
    }

    /// The version of a code system that is known here and its content, or `None`.
    pub fn system_header(&self, url: &str, version: Option<&str>) -> Option<crate::system::SystemHeader> {
        self.system(url, version).ok().map(|system| system.header().clone())
    }

    /// Whether a code exists in a code system: `Unknown` where the system, or that part of it, is not here.
    pub fn code_exists(&self, system: &str, version: Option<&str>, code: &str) -> Membership {
        match self.system(system, version) {
            Ok(found) if found.table().find(code).is_some() => Membership::Yes,
            Ok(found) if found.is_complete() => Membership::No,
            _ => Membership::Unknown,
        }
    }

    /// Whether a text is a display or designation of a code; `None` where that cannot be said.
    pub fn display_fits(&self, system: &str, code: &str, text: &str) -> Option<bool> {
        let system = self.system(system, None).ok()?;
        let concept = system.table().find(code)?;
        system.display_in(concept, None)?;
        Some(system.has_display(concept, text))
    }

    /// The codes of a value set, each `(system, code)`, in the order of the definition.
    ///
    /// # Errors
    /// The value set, or something that it takes codes from, is not known, is wrong or is too large.
    pub fn codes_of(&self, value_set: &str) -> Result<Vec<(String, String)>, TerminologyError> {
        let found = self.value_set(value_set)?;
        let expansion = self.expansion(&found, &Pins::default())?;
        if let Some(problem) = expansion.problem() {
            return Err(problem.clone());
        }
        Ok(expansion.members().map(|member| (member.slot.url.to_string(), member.code.to_owned())).collect())
    }

    /// A code and all codes under it in the hierarchy of its system; only itself if the system does not have it.
    ///
    /// # Errors
    /// The code system is not known.
    pub fn below(&self, system: &str, code: &str) -> Result<Vec<String>, TerminologyError> {
        self.related(system, code, |table, concept| table.below(concept))
    }

    /// A code and all codes above it in the hierarchy of its system; only itself if the system does not have it.
    ///
    /// # Errors
    /// The code system is not known.
    pub fn above(&self, system: &str, code: &str) -> Result<Vec<String>, TerminologyError> {
        self.related(system, code, |table, concept| table.above(concept))
    }

    fn related(
        &self,
        system: &str,
        code: &str,
        which: impl Fn(&crate::table::ConceptTable, u32) -> crate::bits::Bits,
    ) -> Result<Vec<String>, TerminologyError> {
        let (url, version) = split(system);
        let system = self.system(url, version)?;
        let table = system.table();
        let Some(concept) = table.find(code) else { return Ok(vec![code.to_owned()]) };
        Ok(which(table, concept).iter().map(|concept| table.code(concept).to_owned()).collect())
    }
}
