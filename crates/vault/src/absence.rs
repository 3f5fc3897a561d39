//! What is hidden costs what is absent costs: the same rows looked up and opened, an entry of the same length.
//!
//! ```text
//!           head row     opened           looked at        after that         entry
//! absent:   not there    a neighbour's    the neighbour    its neighbour      Failed, filled up
//! hidden:   there        its own          itself           a row not there    Refused, with whose it is
//! ```
//!
//! The neighbour of a row is the next head row of the store: row keys are keyed hashes, so it is a record drawn by lot, always the same for
//! one id, and as likely to be in memory as the one that is hidden. What is opened of it says where a record stands, is shown to nobody and
//! noted nowhere. Who sees a record pays for none of this, nor does who sees all there are: nothing is hidden from them.
//!
//! It holds for ids. That a search finds nothing because of what is hidden is seen by the index's guard, before rows are looked at.

use crate::access::{Look, Sights};
use crate::caller::Caller;
use crate::disclose::Located;
use crate::error::VaultError;
use crate::head::Head;
use crate::layout::{HEADS, RowKey, VERSIONS};
use crate::owner::Owner;
use crate::vault::Inner;
use crate::{EventKind, Outcome};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_ledger::{Entry, SALT_BYTES};
use tacet_types::{RecordRef, ResourceId, ResourceType, VersionId};

/// Steps of the length in which the ledger's rows are sealed, in bytes (docs/formats/seal.md). Long ones have longer steps, each of them some
/// of these: entries of as many of these have the same length on the disk.
const STEP_BYTES: usize = 256;

/// What a row has within its seal before the entry, in bytes: the seal's own six and the entry's salt.
const BEFORE_ENTRY_BYTES: usize = 6 + SALT_BYTES;

/// What an entry says at most of a record that is there, and not of one that is absent, in bytes: the patient (tag, length, type and an id of
/// 64 bytes), the record (the same and a version), its type.
const NAMED_BYTES_MAX: usize = 160;

/// What entries are filled up with.
const FILLING: &str = "nothing was shown";

/// What comes of looking for a record.
pub(crate) enum Sought {
    /// The caller sees it as it is now.
    Seen(Head),
    /// The caller is told that there is none: it is hidden, or there is none.
    Missed(Option<Head>),
}

/// A record that is hidden from whoever asked, as their entry names it.
#[derive(Clone, Copy)]
pub(crate) struct Hidden<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) record: &'a RecordRef,
}

impl<'a> Hidden<'a> {
    pub(crate) fn head(head: &'a Head) -> Self {
        Self { owner: &head.current.owner, record: &head.record }
    }

    pub(crate) fn version(located: &'a Located) -> Self {
        Self { owner: &located.meta.owner, record: &located.record }
    }
}

impl Inner {
    /// Looks for the head of a record that the caller asked for by its id.
    pub(crate) fn seek(
        &self,
        sights: Option<&Arc<Sights>>,
        resource_type: ResourceType,
        id: &ResourceId,
    ) -> Result<Sought, VaultError> {
        let row = self.head_row(resource_type, id);
        let head = self.store.reader().get(&row)?.map(|value| self.open_head(&row, &value)).transpose()?;
        match head {
            Some(head) if self.look(sights, resource_type, id, &head.current) != Look::Hidden => Ok(Sought::Seen(head)),
            head => {
                self.even_out(sights, &row, (resource_type, id), head.is_some())?;
                Ok(Sought::Missed(head))
            }
        }
    }

    /// Does, for a record that is not shown, what is done for the other kind of them: for one that is there what an absent one takes, and for
    /// one that is absent what a hidden one takes.
    pub(crate) fn even_out(
        &self,
        sights: Option<&Arc<Sights>>,
        row: &RowKey,
        (resource_type, id): (ResourceType, &ResourceId),
        is_there: bool,
    ) -> Result<(), VaultError> {
        let Some(sights) = sights.filter(|sights| !sights.is_everything()) else { return Ok(()) };
        let nowhere = self.version_row(row, VersionId(0));
        let neighbour = self.neighbour(row)?;
        if is_there {
            black_box(self.store.reader().get(&nowhere)?);
            return Ok(());
        }
        let Some(neighbour) = neighbour else { return Ok(()) };
        let Some(value) = self.store.reader().get(&neighbour)? else { return Ok(()) };
        // A neighbour that is damaged is no reason to answer otherwise.
        if let Ok(head) = self.open_head(&neighbour, &value) {
            black_box(self.look(Some(sights), resource_type, id, &head.current));
        }
        Ok(())
    }

    /// The head row after this one; after the last one the first. None: there is no other.
    fn neighbour(&self, row: &RowKey) -> Result<Option<RowKey>, VaultError> {
        let reader = self.store.reader();
        let mut found: Option<RowKey> = None;
        let mut take = |key: &[u8], _: &[u8]| {
            found = RowKey::try_from(key).ok();
            ControlFlow::Break(())
        };
        reader.range(&[row.as_slice(), &[0]].concat(), &[VERSIONS], &mut take)?;
        if found.is_none() {
            let mut take = |key: &[u8], _: &[u8]| {
                found = RowKey::try_from(key).ok();
                ControlFlow::Break(())
            };
            reader.range(&[HEADS], row, &mut take)?;
        }
        Ok(found)
    }

    /// The record that an operation is about; [`VaultError::NotFound`], written down, where it is deleted or not to be seen.
    pub(crate) async fn there(
        &self,
        caller: &Caller,
        kind: EventKind,
        query: &str,
        sought: Sought,
    ) -> Result<Head, VaultError> {
        let missed = match sought {
            Sought::Seen(head) if !head.is_deleted() => return Ok(head),
            Sought::Seen(_) => None,
            Sought::Missed(head) => head,
        };
        let hidden = missed.as_ref().map(Hidden::head);
        self.missed(caller, kind, Some(query), Outcome::Failed, hidden).await?;
        Err(VaultError::NotFound)
    }

    /// Writes down that a record was looked for and not shown. `absent`: the outcome where there is none.
    pub(crate) async fn missed(
        &self,
        caller: &Caller,
        kind: EventKind,
        query: Option<&str>,
        absent: Outcome,
        hidden: Option<Hidden<'_>>,
    ) -> Result<(), VaultError> {
        let mut entry = caller.entry(self.clock.now(), kind, absent, None);
        entry.query = query.map(str::to_owned);
        self.record(vec![filled(entry, hidden)?]).await.map(|_| ())
    }
}

/// The entry with what is hidden, if something is, and as long in the ledger as without.
pub(crate) fn filled(mut entry: Entry, hidden: Option<Hidden<'_>>) -> Result<Entry, VaultError> {
    let target = steps(entry.encode()?.len() + NAMED_BYTES_MAX);
    if let Some(Hidden { owner, record }) = hidden {
        entry.outcome = Outcome::Refused;
        entry.patient = owner.ledger_patient();
        entry.records.push(record.clone());
        entry.categories.push(record.resource_type);
    }
    let length = entry.encode()?.len();
    if steps(length) < target {
        // With its tag and its own length it is some bytes longer: far from the end of the step.
        let missing = ((target - 1) * STEP_BYTES + 1).saturating_sub(BEFORE_ENTRY_BYTES + length);
        entry.detail = Some(format!("{FILLING:.<missing$}"));
    }
    Ok(entry)
}

/// How many steps a row of the ledger has for an entry of so many bytes.
fn steps(length: usize) -> usize {
    (BEFORE_ENTRY_BYTES + length).div_ceil(STEP_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, PurposeOfUse};
    use tacet_ledger::Channel;
    use tacet_types::{OperationId, Role, SeededRng, Timestamp};

    #[test]
    fn entries_of_hidden_and_absent_records_have_one_length_in_the_ledger() {
        let origin = Origin { address: Some([10, 0, 0, 1].into()), channel: Channel::Http };
        let (mut filled_up, mut named) = (0, 0);
        for owner_bytes in 1..=250 {
            let operation = OperationId::random(&SeededRng::new(owner_bytes));
            let owner = "x".repeat(owner_bytes as usize);
            let caller = Caller::new(owner, Role::Clinician, PurposeOfUse::Treatment, origin, operation);
            let entry = || caller.entry(Timestamp::from_ms(0), EventKind::Read, Outcome::Failed, None);
            let absent = filled(entry(), None).unwrap();
            assert_eq!(absent.outcome, Outcome::Failed);
            for id in ["p", "447a5071-bbdf-4ccd-9939-1d45f7698cb0", &"y".repeat(64)] {
                let id = ResourceId::parse(id).unwrap();
                let resource_type = ResourceType::parse("Observation").unwrap();
                let record = RecordRef { resource_type, id: id.clone(), version: VersionId(u64::MAX) };
                for owner in [Owner::Patient(id), Owner::Establishment] {
                    let hidden = filled(entry(), Some(Hidden { owner: &owner, record: &record })).unwrap();
                    assert_eq!((hidden.outcome, hidden.records.len()), (Outcome::Refused, 1));
                    let lengths = [&hidden, &absent].map(|entry| entry.encode().unwrap().len());
                    assert_eq!(steps(lengths[0]), steps(lengths[1]), "{owner_bytes}: {lengths:?}");
                    named += 1;
                    filled_up += usize::from(hidden.detail.is_some());
                }
            }
        }
        assert!(filled_up > 0 && filled_up < named);
    }
}
