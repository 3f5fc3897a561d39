//! PATCH: a change of some elements, by JSON Patch or FHIRPath Patch (<https://hl7.org/fhir/R4/http.html#patch>).
//!
//! The record is opened to be changed, under a ledger entry like any read, and comes back as a new version. If somebody else changed it
//! meanwhile, the patch is applied to what they left, unless `If-Match` names a version.

use crate::EventKind;
use crate::caller::Caller;
use crate::conditional::Criteria;
use crate::disclose::{Disclosed, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::plan::Expect;
use crate::references::resolve_alone;
use crate::vault::{Inner, Vault};
use crate::write::{COMMIT_ATTEMPTS_MAX, Stored, refuse_unkept};
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_fhir::resource;
use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};

/// A patch as it comes in.
#[derive(Clone, Copy, Debug)]
pub enum Patch<'a> {
    /// JSON Patch (RFC 6902).
    Json(&'a [u8]),
    /// FHIRPath Patch: a Parameters resource.
    FhirPath(&'a [u8]),
    /// JSON Merge Patch (RFC 7396), which FHIR R4 does not name and clients send.
    Merge(&'a [u8]),
}

/// A patch that was read.
pub(crate) enum PatchValue<'a> {
    Json(Json<'a>),
    FhirPath(Json<'a>),
    Merge(Json<'a>),
}

impl Vault {
    /// Changes some elements of a resource. `if_match` names the version that must be current.
    pub async fn patch(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        patch: &Patch<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        let patch = self.0.read_patch(patch)?;
        self.patch_with(caller, resource_type, id, &patch, base_url, if_match, None).await
    }

    /// Changes some elements of the resource that fits the criteria. Where none fits there is nothing to change.
    pub async fn patch_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        criteria: &Criteria,
        patch: &Patch<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        let patch = self.0.read_patch(patch)?;
        self.patch_by(caller, resource_type, criteria, &patch, base_url, if_match).await
    }

    pub(crate) async fn patch_by(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        criteria: &Criteria,
        patch: &PatchValue<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let _turns = self.0.criteria_turns(std::iter::once((resource_type, criteria))).await?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let (found, query) = self.0.fitting(caller, resource_type, base_url, criteria, 1)?.one()?;
            let Some(found) = found else {
                self.0.disclose_nothing(caller, EventKind::Search, &query, crate::Outcome::Success, None).await?;
                return Err(VaultError::NotFound);
            };
            if if_match.is_some_and(|version| version != found.record.version) {
                self.0.note_found(caller, &query, &found).await?;
                return Err(VaultError::PreconditionFailed);
            }
            let version = Some(found.record.version);
            let id = &found.record.id;
            match self.patch_with(caller, resource_type, id, patch, base_url, version, Some(&query)).await {
                // It may not fit any more: it is looked for again.
                Err(VaultError::PreconditionFailed) if if_match.is_none() => {}
                other => return other,
            }
        }
        Err(VaultError::Conflict)
    }

    #[expect(clippy::too_many_arguments, reason = "who, what, how and under which conditions")]
    pub(crate) async fn patch_with(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        patch: &PatchValue<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
        query: Option<&str>,
    ) -> Result<Stored, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        refuse_unkept(resource_type)?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let current = self.read(caller, resource_type, id).await?;
            let version = current.record.version;
            if if_match.is_some_and(|wanted| wanted != version) {
                return Err(VaultError::PreconditionFailed);
            }
            let mut value = self.0.patched(&current, patch, base_url)?;
            let done = self
                .0
                .commit(caller, None, |plan| {
                    if let Some(query) = query {
                        plan.set_query(query);
                    }
                    plan.put(resource_type, id, &mut value, Method::Put, Expect::Version(version))
                })
                .await;
            match done {
                Err(VaultError::PreconditionFailed) if if_match.is_none() => {}
                Ok((planned, _)) => return Ok(planned.into()),
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Conflict)
    }
}

impl Inner {
    pub(crate) fn read_patch<'b>(&self, patch: &Patch<'b>) -> Result<PatchValue<'b>, VaultError> {
        Ok(match patch {
            Patch::Json(body) => PatchValue::Json(json::parse(body, &self.limits.json)?),
            Patch::FhirPath(body) => PatchValue::FhirPath(json::parse(body, &self.limits.json)?),
            Patch::Merge(body) => PatchValue::Merge(json::parse(body, &self.limits.json)?),
        })
    }

    /// The record with the patch applied: valid, with its type, its id and final references.
    pub(crate) fn patched(
        &self,
        current: &Disclosed,
        patch: &PatchValue<'_>,
        base_url: &str,
    ) -> Result<Json<'static>, VaultError> {
        let before = json::parse(&current.body, &json_limits())?;
        let mut value = apply(&before, patch, self.clock.now())?;
        if resource::resource_type(&value) != Some(current.record.resource_type)
            || resource::id(&value).as_ref() != Some(&current.record.id)
        {
            return Err(refused("a patch cannot change the type or the id of a resource"));
        }
        self.check_rules(&value)?;
        resolve_alone(&mut value, base_url)?;
        Ok(value)
    }
}

fn apply(before: &Json<'_>, patch: &PatchValue<'_>, now: Timestamp) -> Result<Json<'static>, VaultError> {
    let patched = match patch {
        PatchValue::Json(patch) => tacet_patch::json_patch(before, patch),
        PatchValue::Merge(patch) => tacet_patch::merge_patch(before, patch),
        PatchValue::FhirPath(parameters) => tacet_patch::fhirpath_patch(before, parameters, now),
    };
    patched.map_err(|error| refused(&error.to_string()))
}

fn refused(why: &str) -> VaultError {
    VaultError::Patch(vec![Issue::error(IssueType::Processing, "", why)])
}
