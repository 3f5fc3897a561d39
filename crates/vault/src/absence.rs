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
//! A search for the records of a patient of whom nothing is seen is made for a patient who is not there: how many records the patient has
//! makes no difference. Where something else is asked for (a name, an identifier), the index asks its guard of what it finds, and asks it once in
//! vain where it finds nothing.

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
use tacet_fhir::compartment::Compartment;
use tacet_fhir::search::ParameterId;
use tacet_ledger::{Entry, SALT_BYTES};
use tacet_search::document::Key;
use tacet_search::filter::{Filter, Test};
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

/// An id of the usual length.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

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

    /// The filter, with patients of whom the caller sees nothing taken for a patient who is not there. It means the same to them: only those
    /// conditions are touched that make a record one of the patient's compartment, and such a record is seen only where all its patients are
    /// open.
    pub(crate) fn without_closed(&self, sights: &Sights, filter: Filter) -> Filter {
        if sights.is_everything() { filter } else { self.closed(sights, filter, None) }
    }

    fn closed(&self, sights: &Sights, filter: Filter, types: Option<&[ResourceType]>) -> Filter {
        match filter {
            Filter::All(all) => {
                let of = all.iter().find_map(|part| match part {
                    Filter::Types(types) => Some(types.clone()),
                    _ => None,
                });
                let types = of.as_deref().or(types);
                Filter::All(all.into_iter().map(|part| self.closed(sights, part, types)).collect())
            }
            Filter::Any(any) => Filter::Any(any.into_iter().map(|part| self.closed(sights, part, types)).collect()),
            Filter::Value(parameter, test) => {
                let types = types.filter(|types| types.iter().all(|of| names_patient(*of, parameter)));
                let instead = types.and_then(|types| self.nobody_in(sights, types, &test));
                let tests = instead.unwrap_or_else(|| vec![test]);
                match <[Test; 1]>::try_from(tests) {
                    Ok([test]) => Filter::Value(parameter, test),
                    Err(tests) => Filter::Any(tests.into_iter().map(|test| Filter::Value(parameter, test)).collect()),
                }
            }
            other => other,
        }
    }

    /// What is asked in place of a test for a patient of whom nothing is seen. None: it is none.
    fn nobody_in(&self, sights: &Sights, types: &[ResourceType], test: &Test) -> Option<Vec<Test>> {
        let patient_type = ResourceType::parse("Patient")?;
        let nobody = |id: &ResourceId| {
            // Nobody without the keys could give a record this id on purpose.
            let row = self.version_row(&self.head_row(patient_type, id), VersionId(0));
            let hex: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
            ResourceId::parse(&hex).ok().filter(|_| !sights.opens_some(types, id))
        };
        match test {
            Test::ReferenceIs(Key { resource_type, id }) if *resource_type == patient_type => {
                Some(vec![Test::ReferenceIs(Key { resource_type: patient_type, id: nobody(id)? })])
            }
            Test::ReferenceId(targets, id) if targets.contains(&patient_type) => {
                let nobody = nobody(&ResourceId::parse(id).ok()?)?;
                let others: Vec<ResourceType> = targets.iter().copied().filter(|of| *of != patient_type).collect();
                let mut tests = vec![Test::ReferenceId(vec![patient_type], nobody.as_str().into())];
                if !others.is_empty() {
                    tests.push(Test::ReferenceId(others, id.clone()));
                }
                Some(tests)
            }
            _ => None,
        }
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

/// The entry with what is hidden, if something is, and as long in the ledger as without. Both are made, and the one that is not kept is encoded
/// once more: the other will be, where it goes into the ledger.
pub(crate) fn filled(entry: Entry, hidden: Option<Hidden<'_>>) -> Result<Entry, VaultError> {
    let (mut named, nobody) = (entry.clone(), nobody());
    let of_nobody = nobody.as_ref().map(|(owner, record)| Hidden { owner, record });
    if let Some(Hidden { owner, record }) = hidden.or(of_nobody) {
        named.outcome = Outcome::Refused;
        named.patient = owner.ledger_patient();
        named.records.push(record.clone());
        named.categories.push(record.resource_type);
    }
    let lengths = (entry.encode()?.len(), named.encode()?.len());
    let target = steps(lengths.0 + NAMED_BYTES_MAX);
    let (mut entry, other, length) = match hidden {
        Some(_) => (named, entry, lengths.1),
        None => (entry, named, lengths.0),
    };
    black_box(other.encode()?);
    if steps(length) < target {
        // With its tag and its own length it is some bytes longer: far from the end of the step.
        let missing = ((target - 1) * STEP_BYTES + 1).saturating_sub(BEFORE_ENTRY_BYTES + length);
        entry.detail = Some(format!("{FILLING}{}", ".".repeat(missing.saturating_sub(FILLING.len()))));
    }
    Ok(entry)
}

/// Somebody who is not there, and a record of theirs.
fn nobody() -> Option<(Owner, RecordRef)> {
    let (resource_type, id) = (ResourceType::parse("Patient")?, ResourceId::parse(NOBODY).ok()?);
    Some((Owner::Patient(id.clone()), RecordRef { resource_type, id, version: VersionId::FIRST }))
}

/// Whether what a resource of this type refers to by this parameter is a patient in whose compartment it is.
fn names_patient(resource_type: ResourceType, parameter: ParameterId) -> bool {
    let codes = Compartment::Patient.parameters(resource_type);
    let is = |code: &str| tacet_fhir::search::parameter(resource_type, code) == Some(parameter);
    // `patient` is the patients among what the other two lead to, where the compartment goes by one of those.
    let is_patient = || codes.iter().any(|code| ["subject", "actor"].contains(code)) && is("patient");
    codes.iter().any(|code| is(code)) || is_patient()
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
