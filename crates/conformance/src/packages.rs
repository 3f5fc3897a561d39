//! Definitions by their canonical address: those of R4 itself, and those of packages and resources added to them.
//!
//! A [`Packages`] is filled first and then only read; profiles are made from their definitions when first asked for and
//! kept. The profiles and extensions of R4 are compiled in, and cost nothing before one of them is asked for.

mod archive;

pub use archive::{EachFile, each_file};

use crate::base::{self, DEFINITION};
use crate::profile::Profile;
use crate::snapshot;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use tacet_fhir::json::{self, Json};

/// The profiles and extensions of R4, made by `cargo xtask definitions`.
const PROFILES: &str = include_str!("../definitions/profiles.txt");

/// Most definitions that are held; the largest published packages have some ten thousand resources.
pub const DEFINITIONS_MAX: usize = 200_000;
/// Longest chain of profiles, each derived from the next.
const BASES_MAX: usize = 16;

/// Why a definition or a package was not added.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The archive cannot be unpacked.
    #[error("the package cannot be unpacked: give the .tgz file as the registry has it")]
    Archive(#[source] std::io::Error),
    /// The archive is larger than allowed.
    #[error("the package unpacks to more than {max} {unit}: split it")]
    TooLarge {
        /// What is allowed.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// The resource is none of those that define something.
    #[error("not a definition: it needs a `resourceType` and a `url`")]
    NotADefinition,
    /// There are too many.
    #[error("more than {DEFINITIONS_MAX} definitions: load fewer packages")]
    TooMany,
}

/// What came of adding a package.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// StructureDefinitions added.
    pub profiles: usize,
    /// CodeSystems, ValueSets and ConceptMaps added: see [`Packages::terminology`].
    pub terminology: usize,
    /// Other definitions kept (Questionnaires).
    pub others: usize,
    /// Files passed over: examples, pages, and what a validator has no use for.
    pub passed_over: usize,
    /// Names of files in it that are not acceptable JSON.
    pub unreadable: Vec<String>,
}

/// One version of a definition.
struct Stored {
    version: String,
    resource: Arc<Json<'static>>,
}

/// Definitions by canonical address and version.
#[derive(Default)]
pub struct Packages {
    definitions: HashMap<String, Vec<Stored>>,
    terminology: Vec<Arc<Json<'static>>>,
    count: usize,
    /// Profiles made so far, by the address they were asked for; `None` where there is none.
    made: RwLock<HashMap<String, Option<Arc<Profile>>>>,
}

impl std::fmt::Debug for Packages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packages").field("definitions", &self.count).finish_non_exhaustive()
    }
}

/// The lines of the committed profiles by address.
fn standard_lines() -> &'static HashMap<&'static str, &'static str> {
    static LINES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
        PROFILES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
    });
    &LINES
}

impl Packages {
    /// The definitions of R4 itself: its profiles and its extensions. Cheap: nothing is read before it is asked for.
    pub fn standard() -> Self {
        Packages::default()
    }

    /// Adds the rules of the French health identity (INS), under [`crate::ins::PATIENT`].
    ///
    /// # Errors
    /// [`PackageError::TooMany`].
    pub fn add_french_identity(&mut self) -> Result<(), PackageError> {
        for text in crate::ins::DEFINITIONS {
            if let Ok(definition) = json::parse_str(text, &json::Limits::default()) {
                self.add_resource(&definition)?;
            }
        }
        Ok(())
    }

    /// Adds one definition: a StructureDefinition, CodeSystem, ValueSet, ConceptMap or Questionnaire. A definition of
    /// the same address and version is replaced.
    ///
    /// # Errors
    /// [`PackageError::NotADefinition`] for a resource of another type or without `url`; [`PackageError::TooMany`].
    pub fn add_resource(&mut self, resource: &Json<'_>) -> Result<(), PackageError> {
        let (Some(kind), Some(url)) = (resource.resource_type(), resource.get_str("url")) else {
            return Err(PackageError::NotADefinition);
        };
        if !is_definition(kind) {
            return Err(PackageError::NotADefinition);
        }
        if self.count >= DEFINITIONS_MAX {
            return Err(PackageError::TooMany);
        }
        let version = resource.get_str("version").unwrap_or_default().to_owned();
        let url = url.to_owned();
        let is_terminology = is_terminology(kind);
        let mut kept = resource.clone().into_owned();
        if !is_terminology {
            for prose in ["text", "mapping"] {
                kept.remove(prose);
            }
        }
        let kept = Arc::new(kept);
        if is_terminology {
            self.terminology.push(Arc::clone(&kept));
        }
        let versions = self.definitions.entry(url).or_default();
        match versions.iter_mut().find(|known| known.version == version && known.resource.resource_type() == Some(kind))
        {
            Some(known) => known.resource = kept,
            None => {
                versions.push(Stored { version, resource: kept });
                self.count += 1;
            }
        }
        self.made.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Adds the definitions of a FHIR package: the bytes of its `.tgz`. Its dependencies are not fetched; add them, too.
    ///
    /// # Errors
    /// [`PackageError`]; what was read before stays added.
    pub fn add_package(&mut self, bytes: &[u8]) -> Result<Report, PackageError> {
        archive::read(self, bytes)
    }

    /// The CodeSystems, ValueSets and ConceptMaps that were added, for the terminology service.
    pub fn terminology(&self) -> impl Iterator<Item = &Json<'static>> {
        self.terminology.iter().map(Arc::as_ref)
    }

    /// The definition of that type and address, `|version` included or not; the last version where several are there.
    pub fn definition(&self, resource_type: &str, canonical: &str) -> Option<&Json<'static>> {
        let (url, version) = split_canonical(canonical);
        let versions = self.definitions.get(url)?;
        let of_type = || versions.iter().filter(|stored| stored.resource.resource_type() == Some(resource_type));
        let exact = version.and_then(|version| of_type().find(|stored| is_version(&stored.version, version)));
        let chosen = match version {
            Some(_) => exact,
            None => of_type().max_by(|a, b| compare_versions(&a.version, &b.version)),
        };
        chosen.map(|stored| stored.resource.as_ref())
    }

    /// Whether the address is that of something of another type.
    pub(crate) fn is_other(&self, resource_type: &str, canonical: &str) -> bool {
        let (url, _) = split_canonical(canonical);
        let known = self.definitions.get(url).map(Vec::as_slice).unwrap_or_default();
        !known.is_empty() && known.iter().all(|stored| stored.resource.resource_type() != Some(resource_type))
    }

    /// Whether a profile of that address is known, of R4 itself or added.
    pub fn has_profile(&self, canonical: &str) -> bool {
        self.profile(canonical).is_some()
    }

    /// The profile of an address, made from its definition when first asked for.
    pub(crate) fn profile(&self, canonical: &str) -> Option<Arc<Profile>> {
        if let Some(known) = self.made.read().unwrap_or_else(PoisonError::into_inner).get(canonical) {
            return known.clone();
        }
        let found = self.make(canonical, 0);
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        // Addresses come out of resources: what is unknown is remembered only as long as there is room.
        if found.is_some() || made.len() < DEFINITIONS_MAX {
            made.insert(canonical.to_owned(), found.clone());
        }
        found
    }

    fn make(&self, canonical: &str, level: usize) -> Option<Arc<Profile>> {
        if level > BASES_MAX {
            return None;
        }
        if let Some(definition) = self.definition("StructureDefinition", canonical) {
            return self.build(definition, level);
        }
        let (url, _) = split_canonical(canonical);
        if let Some(name) = url.strip_prefix(DEFINITION)
            && base::base().is_type(name)
        {
            return Some(Arc::new(Profile::of_type(name)));
        }
        let line = standard_lines().get(url)?;
        let definition = json::parse_str(line, &json::Limits::default()).ok()?;
        self.build(&definition, level)
    }

    /// A profile from its definition: the differential over the base where both are there, otherwise the snapshot.
    fn build(&self, definition: &Json<'_>, level: usize) -> Option<Arc<Profile>> {
        let type_name = definition.get_str("type")?;
        let elements = |name: &str| {
            let list = definition.get(name).and_then(|part| part.get("element"));
            list.map(Json::items).unwrap_or_default()
        };
        let is_own = definition.get_str("url").and_then(|url| url.strip_prefix(DEFINITION)) == Some(type_name);
        if definition.get_str("derivation") != Some("constraint") && (is_own || !base::base().is_type(type_name)) {
            // A type of its own. Those of R4 are known; others (logical models) have no rules here. What calls itself a
            // type and is of one of R4's is a constraint on it.
            return base::base().is_type(type_name).then(|| Arc::new(Profile::of_type(type_name)));
        }
        let base_url = definition.get_str("baseDefinition").unwrap_or_default();
        let base = self.make(base_url, level + 1);
        let differential = elements("differential");
        let made = match base {
            Some(base) if base.missing_base.is_none() && !differential.is_empty() => {
                snapshot::build(definition, Profile::clone(&base), differential)
            }
            base => {
                let snapshot = elements("snapshot");
                let missing = base.is_none() && snapshot.is_empty();
                let mut profile = Profile::of_type(type_name);
                if missing {
                    profile.missing_base = Some(base_url.to_owned());
                }
                let base = base.filter(|_| snapshot.is_empty()).map_or(profile, |base| Profile::clone(&base));
                snapshot::build(definition, base, if snapshot.is_empty() { differential } else { snapshot })
            }
        };
        made.ok().map(Arc::new)
    }
}

fn is_terminology(kind: &str) -> bool {
    matches!(kind, "CodeSystem" | "ValueSet" | "ConceptMap" | "NamingSystem")
}

fn is_definition(kind: &str) -> bool {
    is_terminology(kind)
        || matches!(kind, "StructureDefinition" | "Questionnaire" | "Measure" | "Library" | "SearchParameter")
}

/// An address and the version after `|`.
pub(crate) fn split_canonical(canonical: &str) -> (&str, Option<&str>) {
    canonical.split_once('|').map_or((canonical, None), |(url, version)| (url, Some(version)))
}

/// Whether a version is the one asked for: the same, or `4.0` for `4.0.1`.
fn is_version(known: &str, wanted: &str) -> bool {
    known == wanted || known.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}

/// Versions by their numbers, part by part; texts by their letters.
fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split(['.', '-']).take(8).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ROOT;

    fn read(text: &str) -> Json<'_> {
        json::parse_str(text, &json::Limits::default()).expect("well-formed")
    }

    #[test]
    fn every_profile_of_the_standard_is_made() {
        let packages = Packages::standard();
        assert!(standard_lines().len() > 400);
        for url in standard_lines().keys() {
            let profile = packages.profile(url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!(profile.missing_base, None, "{url}");
            assert_eq!(profile.url, *url);
        }
    }

    #[test]
    fn versions_are_told_apart_and_the_last_one_is_meant_without() {
        let mut packages = Packages::standard();
        for version in ["1.9.0", "1.10.0", "1.2.0"] {
            let text = format!(
                r#"{{"resourceType":"StructureDefinition","url":"http://a.example/p","version":"{version}","type":"Patient",
                    "derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
                    "differential":{{"element":[{{"path":"Patient.name","min":1}}]}}}}"#
            );
            packages.add_resource(&read(&text)).expect("a definition");
        }
        let version = |canonical: &str| {
            packages.definition("StructureDefinition", canonical).and_then(|found| found.get_str("version"))
        };
        assert_eq!(version("http://a.example/p"), Some("1.10.0"));
        assert_eq!(version("http://a.example/p|1.9"), Some("1.9.0"));
        assert_eq!(version("http://a.example/p|2"), None);
        let profile = packages.profile("http://a.example/p").expect("made");
        let name = profile.child(ROOT, "name").expect("an element");
        assert_eq!(profile.node(name).min, Some(1));
        assert!(packages.add_resource(&read(r#"{"resourceType":"Patient"}"#)).is_err());
    }

    #[test]
    fn a_circle_of_bases_ends() {
        let mut packages = Packages::standard();
        for (own, base) in [("a", "b"), ("b", "a")] {
            let text = format!(
                r#"{{"resourceType":"StructureDefinition","url":"http://c.example/{own}","type":"Patient","derivation":"constraint",
                    "baseDefinition":"http://c.example/{base}","differential":{{"element":[{{"path":"Patient"}}]}}}}"#
            );
            packages.add_resource(&read(&text)).expect("a definition");
        }
        let made = packages.profile("http://c.example/a").expect("made");
        assert!(made.missing_base.is_some());
    }
}
