//! Batch and transaction bundles.
//!
//! A transaction is one plan and one commit: all of it or nothing. Its references between entries are resolved to the
//! ids that the entries get. A batch is its entries one after the other, each with its own outcome.

mod criteria;
mod render;
mod step;

use crate::caller::Caller;
use crate::conditional::ConditionalCreate;
use crate::disclose::{Disclosed, SHOWN_BYTES_MAX};
use crate::error::VaultError;
use crate::head::Method;
use crate::plan::Expect;
use crate::references::{refuse_unresolved, resolve, resolve_alone};
use crate::vault::Vault;
use crate::write::Stored;
use criteria::Resolved;
pub(crate) use criteria::decode_query;
use render::{render, response_bundle};
use std::collections::{HashMap, HashSet};
use step::{Step, Target, Verb, entries_of, version_of};
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp};
use zeroize::Zeroizing;

/// Most entries in one bundle.
pub const BUNDLE_ENTRIES_MAX: usize = 10_000;

/// What a writer wants back (`Prefer: return=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReturnPreference {
    /// Only where it is and which version.
    #[default]
    Minimal,
    /// The resource as stored.
    Representation,
    /// An OperationOutcome.
    OperationOutcome,
}

/// What became of an entry.
enum Done {
    Stored(Stored),
    Deleted(Option<RecordRef>),
    Read(Disclosed),
    /// A create that found its resource there.
    Exists(RecordRef, Timestamp),
    /// A Bundle of what a search found.
    Found(Zeroizing<Vec<u8>>),
}

impl From<Resolved> for Done {
    fn from(resolved: Resolved) -> Self {
        match resolved {
            Resolved::Exists(record, last_updated) => Self::Exists(record, last_updated),
            Resolved::Nothing => Self::Deleted(None),
        }
    }
}

impl Done {
    /// Bytes of opened records in the answer.
    fn bytes(&self) -> usize {
        match self {
            Self::Read(disclosed) => disclosed.body.len(),
            Self::Found(bundle) => bundle.len(),
            Self::Stored(_) | Self::Deleted(_) | Self::Exists(..) => 0,
        }
    }
}

impl Vault {
    /// Carries out a batch or transaction bundle; gives the response bundle.
    ///
    /// `base_url` (without a slash at the end) is what absolute references to this server begin with.
    pub async fn bundle(
        &self,
        caller: &Caller,
        body: &[u8],
        base_url: &str,
        prefer: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let bundle = json::parse(body, &self.0.limits.json)?;
        let kind = bundle.get("type").and_then(Json::as_str).map(str::to_owned);
        if bundle.get("resourceType").and_then(Json::as_str) != Some("Bundle") {
            return Err(invalid("Bundle", "the body of a POST to the base must be a Bundle"));
        }
        match kind.as_deref() {
            Some("transaction") => self.transaction(caller, bundle, base_url, prefer).await,
            Some("batch") => self.batch(caller, bundle, base_url, prefer).await,
            _ => Err(invalid("Bundle.type", "only a bundle of type `batch` or `transaction` can be carried out")),
        }
    }

    async fn transaction(
        &self,
        caller: &Caller,
        bundle: Json<'_>,
        base_url: &str,
        prefer: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.0.check_transaction(&bundle)?;
        let entries = entries_of(bundle)?;
        let mut steps = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            let step = self.step(entry, base_url).map_err(|error| at_entry(error, place))?;
            if let (Verb::Create | Verb::Update, Some(resource)) = (&step.verb, &step.resource) {
                self.0.check_entry(resource).map_err(|error| at_entry(error, place))?;
            }
            steps.push(step);
        }
        let references = criteria::conditional_references(&steps)?;
        let said: Vec<Step<'_>> = steps.iter().map(Step::criteria_only).collect();
        // Held until all is committed: nobody else with the same criteria looks or writes meanwhile.
        let _turns = self.turns_of(&said, &references).await?;
        let mut resolved: HashMap<usize, Done> = HashMap::new();
        for (place, step) in steps.iter_mut().enumerate() {
            if let Some(found) = self.settle(caller, step, base_url).await.map_err(|error| at_entry(error, place))? {
                if let Resolved::Exists(record, _) = &found {
                    step.id = record.id.clone();
                }
                resolved.insert(place, found.into());
            } else if step.verb == Verb::Patch {
                self.settle_patch(caller, step, base_url).await.map_err(|error| at_entry(error, place))?;
            } else if let Target::Search(call) = &step.target {
                // What is no search is refused before anything is written.
                let indexing = self.0.answering()?;
                self.0
                    .compile_search(indexing, &call.scope, &call.parameters, call.handling, base_url)
                    .map_err(|error| at_entry(error, place))?;
            }
        }
        refuse_duplicates(&steps, &resolved)?;
        let mut targets: HashMap<String, String> = steps
            .iter()
            .filter(|step| matches!(step.verb, Verb::Create | Verb::Update))
            .filter_map(|step| Some((step.full_url.clone()?, format!("{}/{}", step.resource_type, step.id.as_str()))))
            .collect();
        targets.extend(self.lead(caller, &references, base_url).await?);
        for (place, step) in steps.iter_mut().enumerate() {
            if let Some(resource) = &mut step.resource
                && !resolved.contains_key(&place)
            {
                resolve(resource, &targets, base_url);
                refuse_unresolved(resource).map_err(|error| at_entry(error, place))?;
            }
        }
        // What is not written by this transaction reads the same before it, and may still refuse all of it.
        let written: HashSet<(ResourceType, &ResourceId)> =
            steps.iter().filter(|step| step.writes()).map(|step| (step.resource_type, &step.id)).collect();
        let (mut read, mut bytes) = (HashMap::new(), 0usize);
        for (place, step) in steps.iter().enumerate() {
            if matches!(step.verb, Verb::Read(_)) && !written.contains(&(step.resource_type, &step.id)) {
                let done = self.read_step(caller, step, bytes).await.map_err(|error| at_entry(error, place))?;
                bytes = bytes.saturating_add(done.bytes());
                read.insert(place, done);
            }
        }
        drop(written);
        // FHIR R4, http.html#trules: deletions, then creations, then updates, then reads.
        let mut order: Vec<usize> = (0..steps.len()).filter(|place| !resolved.contains_key(place)).collect();
        order.sort_by_key(|place| steps.get(*place).map(|step| rank(&step.verb)));
        let (written, _) = self
            .0
            .commit(caller, None, |plan| {
                plan.of_several();
                let mut written = HashMap::new();
                for place in &order {
                    let Some(step) = steps.get_mut(*place) else { continue };
                    let done = match (&step.verb, &mut step.resource) {
                        (Verb::Create, Some(resource)) => Done::Stored(
                            plan.put(step.resource_type, &step.id, resource, Method::Post, Expect::Absent)?.into(),
                        ),
                        (Verb::Update, Some(resource)) => Done::Stored(
                            plan.put(step.resource_type, &step.id, resource, Method::Put, step.expect)?.into(),
                        ),
                        (Verb::Delete, _) => Done::Deleted(
                            plan.delete(step.resource_type, &step.id, step.expect)?.map(|(record, _)| record),
                        ),
                        _ => continue,
                    };
                    written.insert(*place, done);
                }
                Ok(written)
            })
            .await?;
        let mut done = written;
        done.extend(read);
        done.extend(resolved);
        let mut responses = Vec::with_capacity(steps.len());
        for (place, step) in steps.iter().enumerate() {
            // From here on all is written: an entry that cannot be answered says so itself, and the others stand.
            let done = match done.remove(&place) {
                Some(done) => Ok(done),
                None if !step.writes() => self.read_step(caller, step, bytes).await, // searches too
                None => Err(VaultError::Internal("an entry of the bundle was not carried out".into())),
            };
            bytes = bytes.saturating_add(done.as_ref().map_or(0, Done::bytes));
            responses.push(render(&done, prefer, caller));
        }
        Ok(response_bundle("transaction-response", &responses))
    }

    async fn batch(
        &self,
        caller: &Caller,
        bundle: Json<'_>,
        base_url: &str,
        prefer: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (mut responses, mut bytes) = (Vec::new(), 0usize);
        for entry in entries_of(bundle)? {
            let done = match self.step(entry, base_url) {
                Ok(step) => self.carry_out(caller, step, base_url, bytes).await,
                Err(error) => Err(error),
            };
            bytes = bytes.saturating_add(done.as_ref().map_or(0, Done::bytes));
            responses.push(render(&done, prefer, caller));
        }
        Ok(response_bundle("batch-response", &responses))
    }

    async fn carry_out(
        &self,
        caller: &Caller,
        mut step: Step<'_>,
        base_url: &str,
        bytes: usize,
    ) -> Result<Done, VaultError> {
        let references = criteria::conditional_references(std::slice::from_ref(&step))?;
        if !references.is_empty() {
            let targets = self.lead(caller, &references, base_url).await?;
            if let Some(resource) = &mut step.resource {
                resolve(resource, &targets, base_url);
            }
        }
        if let Target::Criteria(criteria) = &step.target {
            let criteria = criteria.clone();
            return self.carry_out_conditional(caller, step, &criteria, base_url).await;
        }
        match (&step.verb, &mut step.resource) {
            (Verb::Read(_) | Verb::Search, _) => self.read_step(caller, &step, bytes).await,
            (Verb::Patch, _) => {
                let (patch, if_match) = (criteria::patch_of(&step)?, version_of(step.expect));
                let (of, id) = (step.resource_type, &step.id);
                Ok(Done::Stored(self.patch_with(caller, of, id, &patch, base_url, if_match, None).await?))
            }
            (Verb::Delete, _) => {
                let (deleted, _) =
                    self.0.commit(caller, None, |plan| plan.delete(step.resource_type, &step.id, step.expect)).await?;
                Ok(Done::Deleted(deleted.map(|(record, _)| record)))
            }
            (verb, Some(resource)) => {
                self.0.check_rules(resource)?;
                resolve_alone(resource, base_url)?;
                let (method, expect) = match verb {
                    Verb::Create => (Method::Post, Expect::Absent),
                    _ => (Method::Put, step.expect),
                };
                let (planned, _) = self
                    .0
                    .commit(caller, None, |plan| plan.put(step.resource_type, &step.id, resource, method, expect))
                    .await?;
                Ok(Done::Stored(planned.into()))
            }
            (_, None) => Err(invalid("resource", "an entry that creates or updates needs a resource")),
        }
    }

    /// Carries out an entry of a batch that goes by criteria.
    async fn carry_out_conditional(
        &self,
        caller: &Caller,
        mut step: Step<'_>,
        criteria: &[(String, String)],
        base_url: &str,
    ) -> Result<Done, VaultError> {
        let (of, if_match) = (step.resource_type, version_of(step.expect));
        match (&step.verb, &mut step.resource) {
            (Verb::Delete, _) => {
                let deleted = self.0.delete_by(caller, of, base_url, criteria).await?;
                Ok(Done::Deleted(deleted.into_iter().next().and_then(|deleted| deleted.record)))
            }
            (Verb::Patch, _) => {
                let patch = criteria::patch_of(&step)?;
                Ok(Done::Stored(self.patch_by(caller, of, criteria, &patch, base_url, if_match).await?))
            }
            (verb, Some(resource)) => {
                self.0.check_rules(resource)?;
                resolve_alone(resource, base_url)?;
                if *verb == Verb::Update {
                    let stored = self.0.update_by(caller, of, resource, base_url, criteria, if_match).await?;
                    return Ok(Done::Stored(stored));
                }
                Ok(match self.0.create_unless(caller, of, resource, base_url, criteria).await? {
                    ConditionalCreate::Created(stored) => Done::Stored(stored),
                    ConditionalCreate::Exists { record, last_updated } => Done::Exists(record, last_updated),
                })
            }
            (_, None) => Err(invalid("resource", "an entry that creates or updates needs a resource")),
        }
    }

    /// Carries out a read or a search, unless the answer is full: it holds `bytes` already.
    async fn read_step(&self, caller: &Caller, step: &Step<'_>, bytes: usize) -> Result<Done, VaultError> {
        if bytes >= SHOWN_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes read by one bundle", max: SHOWN_BYTES_MAX });
        }
        if let Target::Search(call) = &step.target {
            let page = self.search(caller, call).await?;
            return Ok(Done::Found(criteria::searchset(
                &page,
                &call.base_url,
                &crate::search::scope_text(&call.scope),
            )));
        }
        let disclosed = match step.verb {
            Verb::Read(Some(version)) => self.vread(caller, step.resource_type, &step.id, version).await?,
            _ => self.read(caller, step.resource_type, &step.id).await?,
        };
        Ok(Done::Read(disclosed))
    }
}

fn rank(verb: &Verb) -> u8 {
    match verb {
        Verb::Delete => 0,
        Verb::Create => 1,
        Verb::Update | Verb::Patch => 2,
        Verb::Read(_) | Verb::Search => 3,
    }
}

/// FHIR R4: "the identity of each resource must be unique" among those that a transaction writes.
fn refuse_duplicates(steps: &[Step<'_>], resolved: &HashMap<usize, Done>) -> Result<(), VaultError> {
    let mut seen = HashSet::new();
    let mut urls = HashSet::new();
    for (place, step) in steps.iter().enumerate() {
        let writes = step.writes();
        let twice = writes && !resolved.contains_key(&place) && !seen.insert((step.resource_type, &step.id));
        let url_twice = step.full_url.as_ref().is_some_and(|url| writes && !urls.insert(url));
        if twice || url_twice {
            let message = "another entry of this transaction writes the same resource";
            return Err(at_entry(invalid("", message), place));
        }
    }
    Ok(())
}

pub(crate) fn invalid(location: &str, message: &str) -> VaultError {
    VaultError::Invalid(vec![Issue::error(IssueType::Invalid, location, message)])
}

/// The same error, its locations inside of this entry.
fn at_entry(error: VaultError, place: usize) -> VaultError {
    match error {
        VaultError::Invalid(mut issues) => {
            for issue in &mut issues {
                let dot = if issue.location.is_empty() { "" } else { "." };
                issue.location = format!("Bundle.entry[{place}]{dot}{}", issue.location);
            }
            VaultError::Invalid(issues)
        }
        other => other,
    }
}
