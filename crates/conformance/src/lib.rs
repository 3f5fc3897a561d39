//! Profiles: packages of definitions, snapshots, and validation of a resource against them. No I/O.
//!
//! ```text
//! package.tgz, resources ──> Packages ── profiles, made when asked for ──┐
//! resource ── structure (tacet_fhir) ── base invariants ── meta.profile ─┴─> issues, each with its FHIRPath
//! ```
//!
//! What is checked and what is not: `docs/validation.md`. Messages name places and rules, never a value of the resource.
//!
//! Every validation is bounded by [`Limits`], whatever the resource and the profiles are.

mod base;
mod check;
mod codes;
pub mod ins;
mod instance;
mod packages;
mod place;
mod profile;
mod quantity;
mod rule;
mod snapshot;

pub use codes::{Codes, Membership, NoCodes};
pub use packages::{DEFINITIONS_MAX, EachFile, PackageError, Packages, Report, each_file};

use check::{Check, Fetched};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{Issue, Severity};
use tacet_types::Timestamp;

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// The structure and the invariants of R4: errors only. Cheap enough for every write.
    Invariants,
    /// All of it: profiles, extensions, bindings, and what is only a warning.
    Profiles,
}

/// How far a validation may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most issues reported; one more then says that there are others.
    pub issues_max: usize,
    /// Most steps of the walk: elements looked at, once for each profile and try of a slice.
    pub steps_max: u64,
    /// Deepest nesting of elements.
    pub depth_max: usize,
    /// Most steps of the evaluation of one rule on one element.
    pub rule_steps_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { issues_max: 100, steps_max: 5_000_000, depth_max: 128, rule_steps_max: 1_000_000 }
    }
}

/// Finds resources that are referred to and stand elsewhere.
pub trait Resolve {
    /// The resource that a reference names, as the caller may see it; `None` where there is none.
    fn resolve(&self, reference: &str) -> Option<Json<'static>>;
}

/// What a validation is given besides the resource and the profiles.
#[derive(Clone)]
pub struct ValidationContext<'c> {
    /// Knows the codes of value sets.
    pub terminology: &'c dyn Codes,
    /// Finds the targets of references; without one, targets outside of the resource are held to their type only.
    pub resolver: Option<&'c dyn Resolve>,
    /// How much is checked.
    pub level: Level,
    /// How bad an extension is whose definition is not known. Extensions are open to all in FHIR, so usually no more
    /// than information; [`Severity::Error`] holds a sender to the packages that are loaded.
    pub unknown_extensions: Severity,
    /// How far it may go.
    pub limits: Limits,
    /// What `now()` and `today()` tell in rules.
    pub now: Timestamp,
}

impl<'c> ValidationContext<'c> {
    /// Everything is checked, with the usual bounds and without a resolver.
    pub fn new(terminology: &'c dyn Codes, now: Timestamp) -> Self {
        ValidationContext {
            terminology,
            resolver: None,
            level: Level::Profiles,
            unknown_extensions: Severity::Information,
            limits: Limits::default(),
            now,
        }
    }
}

/// Validates a resource: its structure, the invariants of R4, the profiles in `meta.profile` and those in `profiles`
/// (canonical addresses, `|version` included or not).
///
/// The issues stand in the order in which they were found; one with [`Severity::Error`] or worse means that the resource
/// does not conform. A profile in `profiles` that is not known is an error, one in `meta.profile` a warning.
pub fn validate(
    resource: &Json<'_>,
    profiles: &[&str],
    packages: &Packages,
    context: &ValidationContext<'_>,
) -> Vec<Issue> {
    let options = tacet_fhir::validate::Options { issues_max: context.limits.issues_max };
    let structure = tacet_fhir::validate::validate(resource, &options);
    let fetched = Fetched::of(resource, context);
    Check::new(packages, context, &fetched, 0).run(resource, profiles, structure)
}
