//! One validation: what it knows, what it found, and how far it may go.
//!
//! ```text
//! structure (tacet_fhir) ──> base walk: invariants, extensions, bundles ──> profiles: the tree beside the resource
//! ```
//!
//! A check can be tried without reporting ([`Check::holds`]): slices, choices of profiles and targets of references are
//! decided that way. Every step counts against a bound, so that a profile made to explode ends in an issue.

mod addresses;
mod base_walk;
mod bindings;
mod bundles;
mod definitions;
mod extensions;
mod measures;
mod narratives;
mod paths;
mod profile_walk;
mod questionnaire;
mod references;
mod slices;
mod structures;
mod values;

pub(crate) use references::Fetched;

use crate::instance::Instance;
use crate::packages::Packages;
use crate::place::Place;
use crate::profile::Profile;
use crate::rule::{Outcome, Rule, World};
use crate::{Level, ValidationContext};
use bundles::Entries;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{Issue, IssueType, Severity};

/// Where an element stands: the resource it belongs to and what is around that.
#[derive(Clone)]
pub(crate) struct Scope<'v> {
    /// The nearest resource.
    pub(crate) resource: &'v Json<'v>,
    /// The resource that contains it, or the same.
    pub(crate) root: &'v Json<'v>,
    /// The bundle around it.
    pub(crate) bundle: Option<Rc<Entries<'v>>>,
    /// Its address in the bundle.
    pub(crate) full_url: Option<&'v str>,
}

/// A JSON value and a profile, by where they stand in memory: both outlive the validation.
type Pair = (usize, usize);

/// The state of one validation.
pub(crate) struct Check<'v> {
    pub(crate) packages: &'v Packages,
    pub(crate) context: &'v ValidationContext<'v>,
    pub(crate) fetched: &'v Fetched,
    issues: Vec<Issue>,
    seen: HashSet<(String, String)>,
    steps: u64,
    is_probing: bool,
    has_failed: bool,
    is_exhausted: bool,
    profile_depth: usize,
    /// Pairs that are being checked: a circle of references ends here.
    open: Vec<Pair>,
    /// The outermost place in `open` that a circle came back to.
    circle: usize,
    /// Pairs that were tried, with the result.
    tried: HashMap<Pair, bool>,
    /// Pairs that were checked and reported.
    done: HashSet<Pair>,
    /// How many validations this one is inside of: `conformsTo()` starts one.
    nested: usize,
}

impl<'v> Check<'v> {
    pub(crate) fn new(
        packages: &'v Packages,
        context: &'v ValidationContext<'v>,
        fetched: &'v Fetched,
        nested: usize,
    ) -> Self {
        Check {
            packages,
            context,
            fetched,
            issues: Vec::new(),
            seen: HashSet::new(),
            steps: 0,
            is_probing: false,
            has_failed: false,
            is_exhausted: false,
            profile_depth: 0,
            open: Vec::new(),
            circle: usize::MAX,
            tried: HashMap::new(),
            done: HashSet::new(),
            nested,
        }
    }

    /// Checks a resource against the rules of its type, what it says itself, and the profiles asked for.
    pub(crate) fn run(mut self, resource: &'v Json<'v>, profiles: &[&str], structure: Vec<Issue>) -> Vec<Issue> {
        for issue in structure {
            self.push(issue);
        }
        let Some(name) = Instance::resource(resource).group().map(|group| group.path()) else { return self.issues };
        let scope = Scope { resource, root: resource, bundle: None, full_url: None };
        let place = Place::root(name);
        self.resource(resource, &scope, &place);
        for canonical in profiles {
            self.named_profile(canonical, Instance::resource(resource), &scope, &place, Severity::Error);
        }
        self.issues
    }

    /// Whether a resource or element has a profile: what `conformsTo()` asks.
    pub(crate) fn conforms(mut self, profile: &Arc<Profile>, instance: Instance<'v>, scope: &Scope<'v>) -> bool {
        self.holds(|check| check.profile(profile, instance, scope, &Place::root("")))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.context.level == Level::Profiles
    }

    /// Counts a step; `false` when the bound is reached, which is reported once.
    pub(crate) fn step(&mut self, place: &Place<'_>) -> bool {
        self.steps += 1;
        if self.steps <= self.context.limits.steps_max && place.depth() <= self.context.limits.depth_max {
            return true;
        }
        if !self.is_exhausted {
            self.is_exhausted = true;
            let message = "the validation takes more steps than allowed: what follows was not checked";
            self.push(Issue::error(IssueType::TooCostly, place.to_string(), message));
        }
        self.has_failed = true;
        false
    }

    fn push(&mut self, issue: Issue) {
        let max = self.context.limits.issues_max;
        if self.issues.len() > max {
            return;
        }
        if self.issues.len() == max {
            let message = "there are more problems: correct these first";
            self.issues.push(Issue::error(IssueType::TooLong, "", message));
        } else if self.seen.insert((issue.location.clone(), issue.message.clone())) {
            self.issues.push(issue);
        }
    }

    /// Notes an issue; while trying, only that there is an error.
    pub(crate) fn report<M: Into<Cow<'static, str>>>(
        &mut self,
        severity: Severity,
        code: IssueType,
        place: &Place<'_>,
        message: impl FnOnce() -> M,
    ) {
        if self.is_probing {
            self.has_failed |= severity <= Severity::Error;
            return;
        }
        let message: Cow<'static, str> = message().into();
        self.push(Issue { severity, code, location: place.to_string(), message: message.into_owned() });
    }

    /// Notes an error.
    pub(crate) fn error<M: Into<Cow<'static, str>>>(
        &mut self,
        code: IssueType,
        place: &Place<'_>,
        message: impl FnOnce() -> M,
    ) {
        self.report(Severity::Error, code, place, message);
    }

    /// Whether a check finds no error, without reporting any.
    pub(crate) fn holds(&mut self, check: impl FnOnce(&mut Self)) -> bool {
        let before = (self.is_probing, self.has_failed);
        (self.is_probing, self.has_failed) = (true, false);
        check(self);
        let holds = !self.has_failed;
        (self.is_probing, self.has_failed) = before;
        holds
    }

    /// Whether nothing more needs to be found out: while trying, one error decides.
    pub(crate) fn is_decided(&self) -> bool {
        self.is_probing && self.has_failed || self.is_exhausted
    }

    /// Evaluates a rule on an element and reports when it is broken.
    pub(crate) fn rule(&mut self, rule: &Rule, instance: Instance<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        if !self.is_full() && rule.severity > Severity::Error {
            return;
        }
        let (packages, context, fetched) = (self.packages, self.context, self.fetched);
        let world = World { packages, context, fetched, scope, nested: self.nested };
        match rule.evaluate(instance, &world) {
            Outcome::Holds => {}
            Outcome::Fails => {
                let severity = rule.severity;
                self.report(severity, IssueType::Invariant, place, || format!("{} ({})", rule.words, rule.key));
            }
            Outcome::Undecided(why) => {
                if self.is_full() {
                    self.report(Severity::Warning, IssueType::NotSupported, place, || {
                        format!("the rule {} could not be evaluated: {why}", rule.key)
                    });
                }
            }
        }
    }
}

/// Where a value stands in memory.
pub(crate) fn address<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}
