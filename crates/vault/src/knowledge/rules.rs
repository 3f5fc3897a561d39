//! What a resource is held to when it is stored.

use super::Snapshot;
use crate::error::VaultError;
use crate::vault::Inner;
use std::sync::LazyLock;
use tacet_conformance::{Level, NoCodes, Packages, ValidationContext};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{Issue, IssueType, Severity};
use tacet_fhir::{resource, validate};
use tacet_types::{ResourceType, Timestamp};

/// What a resource is held to when it is stored. Each holds what those before it hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Validation {
    /// Elements, cardinalities, primitives and required codes of R4.
    Structure,
    /// The invariants of R4.
    Base,
    /// The profiles in `meta.profile` that are known, and those that are required for its type.
    Profiles,
}

impl Validation {
    /// Every level, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Structure, Self::Base, Self::Profiles];

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Base => "base",
            Self::Profiles => "profiles",
        }
    }

    /// The level of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// A profile that every resource of a type must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequiredProfile {
    /// The type.
    pub resource_type: ResourceType,
    /// The profile's address, with or without `|version`. One that is not known refuses all resources of the type.
    pub profile: String,
}

/// How far resources are checked when they are stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidationSettings {
    /// Of creates, updates, patches and bundles.
    pub writes: Validation,
    /// Of imports.
    pub imports: Validation,
    /// Profiles for types, where the level is [`Validation::Profiles`].
    pub required: Vec<RequiredProfile>,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self { writes: Validation::Base, imports: Validation::Structure, required: Vec::new() }
    }
}

impl Inner {
    /// Holds a resource that somebody writes to the rules.
    pub(crate) fn check_rules(&self, value: &Json<'_>) -> Result<(), VaultError> {
        self.check_at(value, self.limits.validation.writes)?;
        self.check_late(value)
    }

    /// Holds what says that it was written on a sheet of paper first to that sheet's code and time (docs/paper-packs.md).
    fn check_late(&self, value: &Json<'_>) -> Result<(), VaultError> {
        let Some(wrong) = tacet_continuity::late::wrong(value, self.clock.now()) else { return Ok(()) };
        let place = value.resource_type().unwrap_or_default();
        Err(VaultError::Invalid(vec![Issue::error(IssueType::Invariant, place, wrong.told())]))
    }

    /// Holds a resource of an import to the rules.
    pub(crate) fn check_import(&self, value: &Json<'_>) -> Result<(), VaultError> {
        self.check_at(value, self.limits.validation.imports)
    }

    /// Holds a transaction to the structure of a bundle, with all that is in it. Its resources are held to the rest one by one
    /// ([`Inner::check_entry`]), each within the bounds of one resource.
    pub(crate) fn check_transaction(&self, bundle: &Json<'_>) -> Result<(), VaultError> {
        self.check_at(bundle, Validation::Structure)
    }

    /// Holds a resource of a transaction, whose structure is known to be right, to the rules. Places in it begin with `resource`.
    pub(crate) fn check_entry(&self, value: &Json<'_>) -> Result<(), VaultError> {
        if self.limits.validation.writes == Validation::Structure {
            return self.check_late(value);
        }
        let name = value.resource_type().unwrap_or_default();
        self.check_rules(value).map_err(|error| match error {
            VaultError::Invalid(mut issues) => {
                for issue in &mut issues {
                    if let Some(rest) = issue.location.strip_prefix(name) {
                        issue.location = format!("resource{rest}");
                    }
                }
                VaultError::Invalid(issues)
            }
            other => other,
        })
    }

    fn check_at(&self, value: &Json<'_>, level: Validation) -> Result<(), VaultError> {
        if !self.limits.validate {
            return Ok(());
        }
        let issues = match level {
            Validation::Structure => validate::validate(value, &validate::Options::default()),
            Validation::Base => base(value, self.clock.now()),
            Validation::Profiles => self.held_to_profiles(value, &[], self.knowing.known()?.as_ref()),
        };
        match issues.iter().any(|issue| issue.severity <= Severity::Error) {
            true => Err(VaultError::Invalid(issues)),
            false => Ok(()),
        }
    }

    /// Everything that is to be said of a resource: with its own profiles, those required for its type, and these.
    pub(super) fn held_to_profiles(&self, value: &Json<'_>, profiles: &[&str], snapshot: &Snapshot) -> Vec<Issue> {
        let resource_type = resource::resource_type(value);
        let required = self.limits.validation.required.iter();
        let required = required.filter(|required| Some(required.resource_type) == resource_type);
        let mut all: Vec<&str> = required.map(|required| required.profile.as_str()).collect();
        all.extend(profiles);
        let context = ValidationContext::new(snapshot.terminology(), self.clock.now());
        tacet_conformance::validate(value, &all, &snapshot.packages, &context)
    }
}

/// The structure and the invariants of R4. They ask for no code and no profile.
fn base(value: &Json<'_>, now: Timestamp) -> Vec<Issue> {
    static PACKAGES: LazyLock<Packages> = LazyLock::new(Packages::standard);
    let context = ValidationContext { level: Level::Invariants, ..ValidationContext::new(&NoCodes, now) };
    tacet_conformance::validate(value, &[], &PACKAGES, &context)
}
