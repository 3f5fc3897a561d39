//! Create, update and delete of single resources, and the loop that plans again when another writer was faster.

use crate::EventKind;
use crate::access::CareNews;
use crate::caller::Caller;
use crate::error::VaultError;
use crate::head::Method;
use crate::index::{Applying, Indexing};
use crate::plan::{Expect, Plan, Planned, Unwrapped};
use crate::references::resolve_alone;
use crate::turns::Lines;
use crate::vault::{Inner, Vault};
use std::sync::atomic::Ordering;
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_fhir::resource;
use tacet_ledger::Receipt;
use tacet_store::StoreError;
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp, VersionId};
use zeroize::Zeroizing;

/// How often a commit is planned anew because somebody else changed the same records. After the first time it lines up with
/// the others, so it takes a commit too large for a line, or ever new writers who try their luck, to come so far.
pub(crate) const COMMIT_ATTEMPTS_MAX: usize = 64;

/// A resource that was stored.
#[derive(Clone)]
pub struct Stored {
    /// Type, id and the new version.
    pub record: RecordRef,
    /// When it was written.
    pub last_updated: Timestamp,
    /// The resource as it was stored.
    pub body: Zeroizing<Vec<u8>>,
    /// Whether there was none before.
    pub created: bool,
}

/// The outcome of a deletion.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// The version that deleted it. None: there was nothing to delete.
    pub record: Option<RecordRef>,
}

impl From<Planned> for Stored {
    fn from(planned: Planned) -> Self {
        Self {
            record: planned.record,
            last_updated: planned.last_updated,
            body: planned.body,
            created: planned.created,
        }
    }
}

impl Vault {
    /// Stores a new resource under an id that the server chooses. An id in the body is not kept, as FHIR says.
    ///
    /// `base_url` (without a slash at the end) is what absolute references to this server begin with.
    pub async fn create(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
    ) -> Result<Stored, VaultError> {
        let mut value = self.0.accept(caller, resource_type, body, base_url)?;
        let id = ResourceId::random(self.0.rng.as_ref());
        let (planned, _) = self
            .0
            .commit(caller, None, |plan| plan.put(resource_type, &id, &mut value, Method::Post, Expect::Absent))
            .await?;
        Ok(planned.into())
    }

    /// Stores a resource under this id: a new version, or the first. `if_match` names the version that must be current;
    /// `if_none_match_any` says that there must be none. `base_url` is as in [`Vault::create`].
    #[expect(
        clippy::too_many_arguments,
        reason = "who, what, where and under which conditions: FHIR's update has so many"
    )]
    pub async fn update(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        body: &[u8],
        base_url: &str,
        if_match: Option<VersionId>,
        if_none_match_any: bool,
    ) -> Result<Stored, VaultError> {
        let mut value = self.0.accept(caller, resource_type, body, base_url)?;
        if value.get("id").and_then(Json::as_str) != Some(id.as_str()) {
            return Err(VaultError::IdMismatch);
        }
        let expect = match (if_match, if_none_match_any) {
            (Some(version), _) => Expect::Version(version),
            (None, true) => Expect::Absent,
            (None, false) => Expect::Any,
        };
        let (planned, _) =
            self.0.commit(caller, None, |plan| plan.put(resource_type, id, &mut value, Method::Put, expect)).await?;
        Ok(planned.into())
    }

    /// Deletes a resource: a last version without content. Earlier versions stay readable by their number.
    pub async fn delete(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        if_match: Option<VersionId>,
    ) -> Result<Deleted, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let expect = if_match.map_or(Expect::Any, Expect::Version);
        let (deleted, _) = self.0.commit(caller, None, |plan| plan.delete(resource_type, id, expect)).await?;
        Ok(Deleted { record: deleted.map(|(record, _)| record) })
    }
}

impl Inner {
    /// Parses and validates a body that must be a resource of this type. Its references come out final.
    pub(crate) fn accept<'b>(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &'b [u8],
        base_url: &str,
    ) -> Result<Json<'b>, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        refuse_unkept(resource_type)?;
        let mut value = json::parse(body, &self.limits.json)?;
        self.check_rules(&value)?;
        if resource::resource_type(&value) != Some(resource_type) {
            return Err(VaultError::IdMismatch);
        }
        resolve_alone(&mut value, base_url)?;
        Ok(value)
    }

    /// Plans and commits; plans again, in turn, where another writer changed what the plan looked at.
    pub(crate) async fn commit<T>(
        &self,
        caller: &Caller,
        kind: Option<EventKind>,
        mut build: impl FnMut(&mut Plan<'_>) -> Result<T, VaultError>,
    ) -> Result<(T, Vec<Receipt>), VaultError> {
        let mut unwrapped = Unwrapped::new();
        let (mut turns, mut held) = (Vec::new(), Lines::default());
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            self.plans.fetch_add(1, Ordering::Relaxed);
            let place = self.indexing().map(Indexing::enter);
            // Goes when the commit is through: then definitions that it changed are read again.
            let mut _redefining = None;
            let mut rewrites = 0;
            let (planned, refusal) = {
                let mut plan = Plan::new(self, caller, &mut unwrapped)?;
                match build(&mut plan).and_then(|built| plan.confirm().map(|()| built)) {
                    Ok(built) => {
                        let refusal = plan.refusal(kind)?;
                        _redefining = plan.redefines();
                        rewrites = plan.rewrites();
                        (Ok((built, plan.finish(kind)?)), refusal)
                    }
                    Err(
                        error @ (VaultError::PreconditionFailed
                        | VaultError::Erased
                        | VaultError::NotFound
                        | VaultError::NotAllowed(_)),
                    ) => (Err(error), plan.refusal(kind)?),
                    Err(error) => return Err(error),
                }
            };
            let (built, (commit, changes, care)) = match planned {
                Ok((built, (commit, changes, care))) if !commit.writes.is_empty() || !commit.item.is_empty() => {
                    (built, (commit, changes, care))
                }
                // Nothing was changed, or nothing may be: that is told only once it is written down.
                other => {
                    if let Some(refusal) = refusal {
                        refusal.even_out(self)?;
                        self.record(vec![refusal.entry]).await?;
                    }
                    return other.map(|(built, _)| (built, Vec::new()));
                }
            };
            let lines = Lines::of(&commit);
            if turns.is_empty() && self.turns.taken(&lines) {
                // Others have lined up for the same rows: a commit now would only cost them their attempt.
                drop(place);
                turns = self.turns.take(&lines).await;
                held = lines;
                continue;
            }
            // Bulk commits give way to interactive ones, so that an import never halts a ward. One for which others stand in
            // line does not let pass who came after them.
            let ticket = match kind {
                Some(EventKind::Import) if turns.is_empty() => self.store.submit_bulk(commit),
                _ => self.store.submit(commit),
            };
            match Applying::new(ticket, changes, CareNews::of(self, care), place).await {
                Ok(committed) => {
                    self.rewritten(caller, rewrites);
                    return Ok((built, committed.outcome));
                }
                // Who has the turn keeps it, and those who were under way run out; unless other rows are in question by now.
                Err(StoreError::PreconditionFailed { .. }) if lines == held => {}
                Err(StoreError::PreconditionFailed { .. }) => {
                    drop(std::mem::take(&mut turns));
                    turns = self.turns.take(&lines).await;
                    held = lines;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(VaultError::Conflict)
    }
}

/// FHIR R4 gives `Parameters` no endpoint: it carries what operations take and give, and nothing would find it again.
pub(crate) fn refuse_unkept(resource_type: ResourceType) -> Result<(), VaultError> {
    if resource_type.as_str() == "Parameters" {
        let message =
            "`Parameters` is not stored, as FHIR gives it no endpoint: send it to the operation that it is for";
        return Err(VaultError::Invalid(vec![Issue::error(IssueType::NotSupported, "Parameters", message)]));
    }
    Ok(())
}
