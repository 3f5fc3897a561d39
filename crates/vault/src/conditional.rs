//! Conditional interactions: what is to be changed is found by criteria (<https://hl7.org/fhir/R4/http.html#ccreate>).
//!
//! Between looking and changing nobody else with the same criteria gets through: two who say at the same time "create this patient if
//! there is none with this identifier" make one. That is a matter of turns, taken by the criteria; and what was found must still be in
//! the version that was found when the change is committed, or it is looked for again.

use crate::EventKind;
use crate::access::{Ground, Look};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::head::Method;
use crate::owner::Owner;
use crate::plan::Expect;
use crate::turns::{Lines, Turn};
use crate::vault::{Inner, Vault};
use crate::write::{COMMIT_ATTEMPTS_MAX, Deleted, Stored};
use aws_lc_rs::digest;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_fhir::resource;
use tacet_policy::Act;
use tacet_search::Page;
use tacet_search::request::{Handling, Scope, Total};
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp, VersionId};

/// Most resources that one conditional delete deletes, where several are allowed at all.
pub const CONDITIONAL_DELETES_MAX: usize = 1000;

/// Decoded names and values of criteria, in their order.
pub type Criteria = [(String, String)];

/// What became of a conditional create.
#[derive(Clone)]
pub enum ConditionalCreate {
    /// Nothing fitted the criteria, so it was stored.
    Created(Stored),
    /// One resource fits: nothing was changed.
    Exists {
        /// The one that fits.
        record: RecordRef,
        /// When it was written.
        last_updated: Timestamp,
    },
}

/// A resource that fits criteria.
#[derive(Clone)]
pub(crate) struct Fitting {
    pub(crate) record: RecordRef,
    pub(crate) last_updated: Timestamp,
    pub(crate) owner: Owner,
    /// Why the caller sees it.
    pub(crate) ground: Option<Ground>,
}

/// What fits criteria, and how the ledger names them.
pub(crate) struct Fit {
    pub(crate) found: Vec<Fitting>,
    pub(crate) query: String,
}

impl Fit {
    /// The one that fits, if there is one. Several are refused.
    pub(crate) fn one(self) -> Result<(Option<Fitting>, String), VaultError> {
        let Self { mut found, query } = self;
        match found.len() {
            0 | 1 => Ok((found.pop(), query)),
            _ => Err(VaultError::SeveralMatch),
        }
    }
}

impl Vault {
    /// Stores a new resource unless one fits the criteria (`If-None-Exist`).
    ///
    /// [`VaultError::SeveralMatch`] where several fit.
    pub async fn create_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
        criteria: &Criteria,
    ) -> Result<ConditionalCreate, VaultError> {
        let mut value = self.0.accept(caller, resource_type, body, base_url)?;
        self.0.create_unless(caller, resource_type, &mut value, base_url, criteria).await
    }

    /// Stores a resource in the place of the one that fits the criteria, or as a new one where none does. An id in the body must be the
    /// id of the one that fits; where none fits it is the new one's, which must not be taken.
    ///
    /// [`VaultError::SeveralMatch`] where several fit.
    pub async fn update_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
        criteria: &Criteria,
        if_match: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        let mut value = self.0.accept(caller, resource_type, body, base_url)?;
        self.0.update_by(caller, resource_type, &mut value, base_url, criteria, if_match).await
    }

    /// Deletes what fits the criteria: one resource, or several where [`crate::Limits::conditional_delete_several`] allows it. None:
    /// nothing fitted, which is no error.
    pub async fn delete_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        base_url: &str,
        criteria: &Criteria,
    ) -> Result<Vec<Deleted>, VaultError> {
        self.0.delete_by(caller, resource_type, base_url, criteria).await
    }
}

impl Inner {
    /// The turns of these criteria. Everything that was committed by who had them before is found from now on.
    pub(crate) async fn criteria_turns<'a>(
        &'a self,
        criteria: impl Iterator<Item = (ResourceType, &'a Criteria)>,
    ) -> Result<Vec<Turn<'a>>, VaultError> {
        let names: Vec<Vec<u8>> = criteria.map(|(resource_type, criteria)| name_of(resource_type, criteria)).collect();
        let turns = self.criteria.take(&Lines::of_names(names.iter().map(Vec::as_slice))).await;
        // Who had the turn may have gone away before the commit was done.
        self.answering()?.wait_for_left();
        Ok(turns)
    }

    /// What fits criteria, of what the caller sees: up to `max` and one more.
    pub(crate) fn fitting(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        base_url: &str,
        criteria: &Criteria,
        max: usize,
    ) -> Result<Fit, VaultError> {
        if criteria.is_empty() {
            let message = "criteria are needed, such as `identifier=system|value`";
            return Err(VaultError::Search(vec![Issue::error(IssueType::Required, "", message)]));
        }
        let indexing = self.answering()?;
        let sights = self.sights(caller, Act::Read)?;
        let scope = Scope::Type(resource_type);
        // FHIR R4: what is not understood would make criteria wider than they were meant.
        let compiled = self.compile_search(indexing, &scope, criteria, Handling::Strict, base_url)?;
        let compiled = self.for_caller(caller, Act::Read, compiled)?;
        let page = Page { sort: Vec::new(), count: max.saturating_add(1), after: None, total: Total::None };
        let hits = self.ask_index(indexing, &compiled.request, &page)?;
        let mut found = Vec::with_capacity(hits.keys.len());
        for (key, version) in hits.keys {
            let Some(located) = self.locate_version(key.resource_type, &key.id, version)? else { continue };
            if let Look::Seen(ground) = self.look_at(sights.as_ref(), &located) {
                let (record, last_updated) = (located.record, located.meta.last_updated);
                found.push(Fitting { record, last_updated, owner: located.meta.owner, ground });
            }
        }
        Ok(Fit { found, query: compiled.query })
    }

    pub(crate) async fn create_unless(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        value: &mut Json<'_>,
        base_url: &str,
        criteria: &Criteria,
    ) -> Result<ConditionalCreate, VaultError> {
        let _turns = self.criteria_turns(std::iter::once((resource_type, criteria))).await?;
        let (found, query) = self.fitting(caller, resource_type, base_url, criteria, 1)?.one()?;
        if let Some(found) = found {
            self.note_found(caller, &query, &found).await?;
            let Fitting { record, last_updated, .. } = found;
            return Ok(ConditionalCreate::Exists { record, last_updated });
        }
        let id = ResourceId::random(self.rng.as_ref());
        let (planned, _) = self
            .commit(caller, None, |plan| {
                plan.set_query(&query);
                plan.put(resource_type, &id, value, Method::Post, Expect::Absent)
            })
            .await?;
        Ok(ConditionalCreate::Created(planned.into()))
    }

    pub(crate) async fn update_by(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        value: &mut Json<'_>,
        base_url: &str,
        criteria: &Criteria,
        if_match: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        let _turns = self.criteria_turns(std::iter::once((resource_type, criteria))).await?;
        let given = given_id(value)?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let (found, query) = self.fitting(caller, resource_type, base_url, criteria, 1)?.one()?;
            let (id, method, expect) = match (&found, &given) {
                (Some(found), Some(given)) if found.record.id != *given => return Err(VaultError::IdMismatch),
                (Some(found), _) => (found.record.id.clone(), Method::Put, Expect::Version(found.record.version)),
                (None, Some(given)) => (given.clone(), Method::Put, Expect::Absent),
                (None, None) => (ResourceId::random(self.rng.as_ref()), Method::Post, Expect::Absent),
            };
            let versions = found.as_ref().map(|found| found.record.version);
            if if_match.is_some() && if_match != versions {
                if let Some(found) = &found {
                    self.note_found(caller, &query, found).await?;
                }
                return Err(VaultError::PreconditionFailed);
            }
            let done = self
                .commit(caller, None, |plan| {
                    plan.set_query(&query);
                    plan.put(resource_type, &id, value, method, expect)
                })
                .await;
            match done {
                // It was changed since it was found, and may not fit any more: it is looked for again.
                Err(VaultError::PreconditionFailed) if found.is_some() && if_match.is_none() => {}
                Ok((planned, _)) => return Ok(planned.into()),
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Conflict)
    }

    pub(crate) async fn delete_by(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        base_url: &str,
        criteria: &Criteria,
    ) -> Result<Vec<Deleted>, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let max = if self.limits.conditional_delete_several { CONDITIONAL_DELETES_MAX } else { 1 };
        let _turns = self.criteria_turns(std::iter::once((resource_type, criteria))).await?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let Fit { found, query } = self.fitting(caller, resource_type, base_url, criteria, max)?;
            if found.len() > max {
                return Err(match max {
                    1 => VaultError::SeveralMatch,
                    max => VaultError::TooCostly { what: "resources to delete at once", max },
                });
            }
            if found.is_empty() {
                self.disclose_nothing(caller, EventKind::Delete, &query, crate::Outcome::Failed, None).await?;
                return Ok(Vec::new());
            }
            let done = self
                .commit(caller, None, |plan| {
                    plan.set_query(&query);
                    let mut deleted = Vec::with_capacity(found.len());
                    for Fitting { record, .. } in &found {
                        let gone = plan.delete(record.resource_type, &record.id, Expect::Version(record.version))?;
                        deleted.push(Deleted { record: gone.map(|(record, _)| record) });
                    }
                    Ok(deleted)
                })
                .await;
            match done {
                Err(VaultError::PreconditionFailed) => {}
                Ok((deleted, _)) => return Ok(deleted),
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Conflict)
    }
}

/// The id in a body, if there is one.
pub(crate) fn given_id(value: &Json<'_>) -> Result<Option<ResourceId>, VaultError> {
    match value.get("id") {
        None => Ok(None),
        Some(_) => resource::id(value).map(Some).ok_or(VaultError::IdMismatch),
    }
}

/// What criteria are called among turns: the same whatever the order of the parameters.
fn name_of(resource_type: ResourceType, criteria: &Criteria) -> Vec<u8> {
    let mut parts: Vec<&(String, String)> = criteria.iter().collect();
    parts.sort_unstable();
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(resource_type.as_str().as_bytes());
    for (name, value) in parts {
        for part in [name, value] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    context.finish().as_ref().to_vec()
}
