//! Disclosure: the only way from a sealed record to its text, and it goes through the ledger.
//!
//! [`Located`] is what is known of a record before anybody is shown anything: where it stands, whose it is. To open it
//! takes an [`Opener`], which takes a [`Receipt`], which exists only once its ledger entry is durable. One receipt
//! unwraps one data key, once, so that the keeper's count and the ledger's can be compared.

mod opening;

pub(crate) use opening::content_sealer;

use crate::absence::{Hidden, Sought};
use crate::access::{Ground, Look, Sights, is_emergency};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::head::{Head, Method, VersionMeta};
use crate::layout::RowKey;
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome, PurposeOfUse};
use opening::Opener;
use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;
use tacet_fhir::json;
use tacet_ledger::{ENTRIES_MAX, Entry, RECORDS_MAX, Receipt};
use tacet_policy::Act;
use tacet_types::{Labels, RecordRef, ResourceId, ResourceType, Timestamp, VersionId};
use zeroize::Zeroizing;

/// Largest record, opened, in bytes. Above the largest body that the server takes.
pub(crate) const CONTENT_BYTES_MAX: usize = 128 << 20;

/// Bytes of opened records after which an answer is full: a page holds so much and one record more. A compressed record
/// is opened before its length is known, so records are bounded both as they lie sealed and as they are opened.
pub(crate) const SHOWN_BYTES_MAX: usize = 32 << 20;

/// A record that was shown: its text, and the version that it is.
#[derive(Clone)]
pub struct Disclosed {
    /// Type, id and version.
    pub record: RecordRef,
    /// When this version was written.
    pub last_updated: Timestamp,
    /// The resource as JSON, `meta` inside.
    pub body: Zeroizing<Vec<u8>>,
}

/// A version that was found but not opened.
pub(crate) struct Located {
    pub(crate) record: RecordRef,
    pub(crate) meta: VersionMeta,
    row: RowKey,
    value: Vec<u8>,
}

impl Located {
    /// Bytes that it takes while it is not opened.
    pub(crate) fn sealed_bytes(&self) -> usize {
        self.value.len()
    }
}

/// What was opened of a list, each with its place in it.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) disclosed: Vec<(usize, Disclosed)>,
    /// What the answer had no room for: the rest of the list from the first of them on. It is in the ledger as if it had
    /// been shown, which errs on the side of the patient.
    pub(crate) rest: Vec<Located>,
    /// The place of the first of the rest.
    pub(crate) cut: Option<usize>,
    /// What does not open, where it is gone on without that. It is in the ledger as if it had been shown.
    pub(crate) unreadable: Vec<RecordRef>,
    /// When the keeper lets more through, in milliseconds: what is left is the rest.
    pub(crate) retry_after_ms: Option<u64>,
}

/// What is done about a record that does not open, and where the keeper lets no more through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unopened {
    /// Nothing is shown.
    Fail,
    /// The others are shown, and it is said what is missing or left.
    GoOn,
}

/// A data key of a list's records.
enum Opening<'a> {
    Open(Opener<'a>),
    /// It was destroyed: nothing is missing.
    Destroyed,
    /// It does not open.
    Unreadable,
}

impl Vault {
    /// Reads the current version of a resource.
    pub async fn read(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
    ) -> Result<Disclosed, VaultError> {
        let sights = self.0.sights(caller, Act::Read)?;
        let found = match self.0.seek(sights.as_ref(), resource_type, id)? {
            Sought::Seen(head) => self.0.locate_version(resource_type, id, head.record.version)?,
            Sought::Missed(head) => return self.missed(caller, EventKind::Read, head.as_ref().map(Hidden::head)).await,
        };
        self.disclose_one(caller, EventKind::Read, sights, found).await
    }

    /// Reads one version of a resource.
    pub async fn vread(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        version: VersionId,
    ) -> Result<Disclosed, VaultError> {
        // Whoever may not see a record as it is now sees no earlier version of it either.
        let sights = self.0.sights(caller, Act::Read)?;
        let current = match self.0.seek(sights.as_ref(), resource_type, id)? {
            Sought::Seen(head) => head,
            Sought::Missed(head) => {
                return self.missed(caller, EventKind::Vread, head.as_ref().map(Hidden::head)).await;
            }
        };
        let found = self.0.locate_version(resource_type, id, version)?;
        if let Some(found) = &found
            && self.0.look_back(sights.as_ref(), found, &current.current) == Look::Hidden
        {
            return self.missed(caller, EventKind::Vread, Some(Hidden::version(found))).await;
        }
        self.disclose_one(caller, EventKind::Vread, sights, found).await
    }

    /// Writes down that nothing was shown, and says so. What is not there is written down too: it takes as long, and tells of probing.
    async fn missed(
        &self,
        caller: &Caller,
        kind: EventKind,
        hidden: Option<Hidden<'_>>,
    ) -> Result<Disclosed, VaultError> {
        self.0.missed(caller, kind, None, Outcome::Failed, hidden).await?;
        Err(VaultError::NotFound)
    }

    /// Writes the entry and opens.
    async fn disclose_one(
        &self,
        caller: &Caller,
        kind: EventKind,
        sights: Option<Arc<Sights>>,
        found: Option<Located>,
    ) -> Result<Disclosed, VaultError> {
        let Some(located) = found else { return self.missed(caller, kind, None).await };
        // INVARIANT: whatever found it, what this caller may not see is not opened here. Whoever asked is told that it is not there; who
        // reads the ledger is told that it was, and who asked.
        let Look::Seen(ground) = self.0.look_at(sights.as_ref(), &located) else {
            return self.missed(caller, kind, Some(Hidden::version(&located))).await;
        };
        let owner = &located.meta.owner;
        let mut entry = disclosure(caller, self.0.clock.now(), kind, owner, ground.as_ref(), [&located.record]);
        // That it was there is told, so the entry names it; nothing is opened.
        if located.meta.method == Method::Delete {
            entry.outcome = Outcome::Failed;
        }
        let receipts = self.0.record(vec![entry]).await?;
        if located.meta.method == Method::Delete {
            return Err(VaultError::Gone { record: located.record, last_updated: located.meta.last_updated });
        }
        let receipt = receipts.first().ok_or(VaultError::Internal("the ledger gave no receipt".into()))?;
        let shown = shown_of(sights.as_ref(), &located);
        let opener = self.0.opener(receipt, &located.meta.owner)?.ok_or(VaultError::NotFound)?;
        masked(opener.open(located)?, shown)
    }
}

/// An entry that discloses these records of one owner.
fn disclosure<'a>(
    caller: &Caller,
    at: Timestamp,
    kind: EventKind,
    owner: &Owner,
    ground: Option<&Ground>,
    records: impl IntoIterator<Item = &'a RecordRef>,
) -> Entry {
    let mut entry = caller.entry(at, kind, Outcome::Success, owner.ledger_patient());
    entry.basis = ground.map(|ground| ground.to_string());
    if is_emergency(ground) {
        entry.purpose = PurposeOfUse::BreakTheGlass;
    }
    entry.records = records.into_iter().cloned().collect();
    entry.categories = entry.records.iter().map(|record| record.resource_type).collect();
    entry.categories.sort_unstable();
    entry.categories.dedup();
    entry
}

impl Inner {
    /// Finds the current version of a resource. Deleted ones are found too.
    pub(crate) fn locate(&self, resource_type: ResourceType, id: &ResourceId) -> Result<Option<Located>, VaultError> {
        let row = self.head_row(resource_type, id);
        self.locate_row(&row)
    }

    /// Finds the current version behind a head row.
    pub(crate) fn locate_row(&self, head_row: &RowKey) -> Result<Option<Located>, VaultError> {
        let Some(value) = self.store.reader().get(head_row)? else {
            // Looked for all the same: what is hidden takes two looks, and must not take longer than what is not there.
            self.store.reader().get(&self.version_row(head_row, VersionId::FIRST))?;
            return Ok(None);
        };
        let head = self.open_head(head_row, &value)?;
        let row = self.version_row(head_row, head.record.version);
        match self.store.reader().get(&row)? {
            Some(value) => Ok(Some(Located { record: head.record, meta: head.current, row, value })),
            // An erasure may have come between the two gets; `tacet check` tells a lost row from that.
            None => Ok(None),
        }
    }

    /// Finds one version of a resource.
    pub(crate) fn locate_version(
        &self,
        resource_type: ResourceType,
        id: &ResourceId,
        version: VersionId,
    ) -> Result<Option<Located>, VaultError> {
        let row = self.version_row(&self.head_row(resource_type, id), version);
        let Some(value) = self.store.reader().get(&row)? else { return Ok(None) };
        let (meta, _) = self.open_version_meta(&row, &value)?;
        Ok(Some(Located { record: RecordRef { resource_type, id: id.clone(), version }, meta, row, value }))
    }

    /// Writes one entry for each owner (more where the records exceed an entry's bound), then opens everything in the
    /// order in which it was asked, until the answer is full. Deletions are written down and have nothing to open; a
    /// record whose key was destroyed meanwhile is left out.
    pub(crate) async fn disclose_all(
        &self,
        caller: &Caller,
        kind: EventKind,
        query: Option<&str>,
        located: Vec<Located>,
    ) -> Result<Shown, VaultError> {
        // A copy has rules of its own: what somebody sees in care they may not take away, and the other way round.
        let act = if kind == EventKind::Export { Act::Export } else { Act::Read };
        let sights = self.sights(caller, act)?;
        self.disclose_by(caller, kind, query, located, (sights, Unopened::Fail)).await
    }

    /// The same, by what a ward sees, or whoever else the caller works for. What does not open keeps nothing else from being shown, and where the keeper lets
    /// no more through, the rest is given back.
    pub(crate) async fn disclose_what_opens(
        &self,
        caller: &Caller,
        kind: EventKind,
        query: Option<&str>,
        located: Vec<Located>,
        sights: Option<Arc<Sights>>,
    ) -> Result<Shown, VaultError> {
        self.disclose_by(caller, kind, query, located, (sights, Unopened::GoOn)).await
    }

    async fn disclose_by(
        &self,
        caller: &Caller,
        kind: EventKind,
        query: Option<&str>,
        located: Vec<Located>,
        (sights, unopened): (Option<Arc<Sights>>, Unopened),
    ) -> Result<Shown, VaultError> {
        // INVARIANT: whatever found them, what this caller may not see is neither opened nor named here.
        let looks: Vec<Look> = located.iter().map(|found| self.look_at(sights.as_ref(), found)).collect();
        type Group<'a> = (&'a Owner, bool, Option<&'a Ground>);
        let mut by_owner: BTreeMap<Group<'_>, Vec<usize>> = BTreeMap::new();
        for (place, (found, look)) in located.iter().zip(&looks).enumerate() {
            if let Look::Seen(ground) = look {
                let group = (&found.meta.owner, found.meta.method == Method::Delete, ground.as_ref());
                by_owner.entry(group).or_default().push(place);
            }
        }
        let now = self.clock.now();
        let mut entries = Vec::new();
        // None: hidden.
        let mut entry_of: Vec<Option<usize>> = vec![None; located.len()];
        for ((owner, deletions, ground), places) in by_owner {
            for places in places.chunks(RECORDS_MAX) {
                for place in places {
                    entry_of.get_mut(*place).into_iter().for_each(|entry| *entry = Some(entries.len()));
                }
                let records = places.iter().filter_map(|place| Some(&located.get(*place)?.record));
                let mut entry = disclosure(caller, now, kind, owner, ground, records);
                entry.query = query.map(str::to_owned);
                if deletions {
                    entry.outcome = Outcome::Failed;
                    entry.detail = Some("deletions: there was nothing to open".to_owned());
                }
                entries.push(entry);
            }
        }
        if entries.len() > ENTRIES_MAX {
            return Err(VaultError::TooLarge { what: "patients shown at once", max: ENTRIES_MAX });
        }
        if entries.is_empty() {
            return Ok(Shown::default());
        }
        let receipts = self.record(entries).await?;
        self.open_each(located.into_iter().zip(entry_of), &receipts, (sights.as_ref(), unopened))
    }

    /// Opens located records under these receipts, each beside the place of its own; none: it is hidden.
    fn open_each(
        &self,
        located: impl Iterator<Item = (Located, Option<usize>)>,
        receipts: &[Receipt],
        (sights, unopened): (Option<&Arc<Sights>>, Unopened),
    ) -> Result<Shown, VaultError> {
        let goes_on = unopened == Unopened::GoOn;
        let mut openings: BTreeMap<usize, Opening<'_>> = BTreeMap::new();
        let (mut shown, mut bytes) = (Shown::default(), 0usize);
        for (place, (found, entry)) in located.enumerate() {
            let Some(entry) = entry else { continue };
            if bytes >= SHOWN_BYTES_MAX || shown.retry_after_ms.is_some() {
                shown.cut.get_or_insert(place);
                shown.rest.push(found);
                continue;
            }
            if found.meta.method == Method::Delete {
                continue;
            }
            let opening = match openings.entry(entry) {
                btree_map::Entry::Occupied(opening) => opening.into_mut(),
                btree_map::Entry::Vacant(vacant) => {
                    let receipt =
                        receipts.get(entry).ok_or(VaultError::Internal("the ledger gave no receipt".into()))?;
                    vacant.insert(match self.opener(receipt, &found.meta.owner) {
                        Ok(Some(opener)) => Opening::Open(opener),
                        Ok(None) => Opening::Destroyed,
                        Err(VaultError::RateExceeded { retry_after_ms }) if goes_on => {
                            shown.retry_after_ms = Some(retry_after_ms);
                            shown.cut.get_or_insert(place);
                            shown.rest.push(found);
                            continue;
                        }
                        Err(error) if goes_on && is_of_one(&error) => Opening::Unreadable,
                        Err(error) => return Err(error),
                    })
                }
            };
            let opener = match opening {
                Opening::Open(opener) => opener,
                Opening::Destroyed => continue,
                Opening::Unreadable => {
                    shown.unreadable.push(found.record);
                    continue;
                }
            };
            let (part, record) = (shown_of(sights, &found), found.record.clone());
            match opener.open(found).and_then(|disclosed| masked(disclosed, part)) {
                Ok(disclosed) => {
                    bytes = bytes.saturating_add(disclosed.body.len());
                    shown.disclosed.push((place, disclosed));
                }
                Err(error) if goes_on && is_of_one(&error) => shown.unreadable.push(record),
                Err(error) => return Err(error),
            }
        }
        Ok(shown)
    }

    /// Whether a located version is seen.
    pub(crate) fn look_at(&self, sights: Option<&Arc<Sights>>, located: &Located) -> Look {
        self.look(sights, located.record.resource_type, &located.record.id, &located.meta)
    }

    /// The head of a resource as it is now.
    pub(crate) fn head_of(&self, resource_type: ResourceType, id: &ResourceId) -> Result<Option<Head>, VaultError> {
        let row = self.head_row(resource_type, id);
        self.store.reader().get(&row)?.map(|value| self.open_head(&row, &value)).transpose()
    }

    /// Writes down that something was looked for and nothing found to show.
    pub(crate) async fn disclose_nothing(
        &self,
        caller: &Caller,
        kind: EventKind,
        query: &str,
        outcome: Outcome,
        owner: Option<&Owner>,
    ) -> Result<(), VaultError> {
        let mut entry = caller.entry(self.clock.now(), kind, outcome, owner.and_then(Owner::ledger_patient));
        entry.query = Some(query.to_owned());
        self.record(vec![entry]).await.map(|_| ())
    }
}

/// Whether an error is one of a single record or patient: that the others open is not in question.
pub(crate) fn is_of_one(error: &VaultError) -> bool {
    !matches!(
        error,
        VaultError::Halted(_)
            | VaultError::Sealed
            | VaultError::Unavailable(_)
            | VaultError::RateExceeded { .. }
            | VaultError::Forbidden
    )
}

/// Which labelled elements of a record are shown, and whether it is said that others are withheld. None: all there are.
fn shown_of(sights: Option<&Arc<Sights>>, located: &Located) -> Option<(Labels, bool)> {
    let sights = sights.filter(|sights| !sights.is_everything())?;
    located.meta.labels.meets(Labels::INLINE).then(|| sights.cleared(located.record.resource_type, &located.meta))
}

/// The record without what is withheld from this caller.
fn masked(disclosed: Disclosed, shown: Option<(Labels, bool)>) -> Result<Disclosed, VaultError> {
    let Some((labels, told)) = shown else { return Ok(disclosed) };
    let value = json::parse(&disclosed.body, &json_limits())?;
    let body = Zeroizing::new(json::write(&tacet_fhir::security::without_inline(value, labels, told)));
    Ok(Disclosed { body, ..disclosed })
}

/// What was accepted once is read back whatever the bounds are now.
pub(crate) fn json_limits() -> json::Limits {
    json::Limits {
        bytes_max: CONTENT_BYTES_MAX,
        depth_max: json::DEPTH_CEILING,
        values_max: usize::MAX,
        members_max: usize::MAX,
    }
}
