//! What goes into a copy: records, owner by owner, so that one key is unwrapped for each patient and not one for each record.
//!
//! ```text
//! head rows, window by window ──> a Patient: all members of the compartment that the patient's key seals
//!                             ├─> of the establishment: itself (system only; else as a member of some compartment)
//!                             └─> of a patient without a Patient resource: itself
//! ```

use super::find::Found;
use super::{CopyRequest, CopyScope, Progress};
use crate::EventKind;
use crate::access::Look;
use crate::caller::Caller;
use crate::disclose::{Disclosed, Located, SHOWN_BYTES_MAX, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::layout::{self, RowKey};
use crate::members::CHUNK_MEMBERS;
use crate::owner::{Belonging, Owner};
use crate::vault::Inner;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tacet_fhir::json;
use tacet_policy::Act;
use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};

/// Records opened at once.
const WINDOW_RECORDS: usize = 1000;

/// Head rows read at once.
const WINDOW_ROWS: usize = 1000;

/// Longest single wait for the key keeper, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;

/// Records under another key than the patient's whose compartment they are in, in one copy: each is remembered, so that it
/// comes once.
const SHARED_MAX: usize = 1_000_000;

/// What is done with each record.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&Disclosed) -> Result<(), VaultError>;

/// Hands out the records of a request.
pub(super) struct Source<'a> {
    pub(super) inner: &'a Inner,
    pub(super) caller: &'a Caller,
    pub(super) request: &'a CopyRequest,
    /// What the filters found.
    pub(super) found: Found,
    pub(super) note: &'a str,
    pub(super) started: Timestamp,
    pub(super) progress: &'a Progress,
    /// Records of several compartments that were handed out.
    pub(super) shared: HashSet<RowKey>,
}

impl Source<'_> {
    /// Hands every record to `sink`, once.
    pub(super) fn run(&mut self, sink: Sink<'_>) -> Result<(), VaultError> {
        let request = self.request;
        let CopyScope::PatientsIn(patients) = &request.scope else { return self.heads(sink) };
        let all = patients.len().max(1);
        for (done, patient) in patients.iter().enumerate() {
            self.progress.reached(u32::try_from(done * 100 / all).unwrap_or(0));
            self.patient(patient, sink)?;
        }
        Ok(())
    }

    /// Everything, by the rows of heads.
    fn heads(&mut self, sink: Sink<'_>) -> Result<(), VaultError> {
        let (from, to) = layout::bounds(layout::HEADS);
        let mut from = from.to_vec();
        loop {
            self.go_on()?;
            let rows = self.inner.rows(&from, &to, WINDOW_ROWS)?;
            let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            let (mut patients, mut general, mut orphans) = (Vec::new(), Vec::new(), BTreeMap::new());
            let mut known: HashMap<ResourceId, bool> = HashMap::new();
            for (key, value) in &rows {
                let row =
                    RowKey::try_from(key.as_slice()).map_err(|_| VaultError::Damaged("a head row has a wrong key"))?;
                let head = self.inner.open_head(&row, value)?;
                if head.record.resource_type.as_str() == "Patient" {
                    patients.push(head.record.id);
                    continue;
                }
                match head.current.owner {
                    Owner::Establishment if self.request.scope == CopyScope::System => general.push(row),
                    Owner::Establishment => {}
                    Owner::Patient(patient) => {
                        let comes = match known.get(&patient) {
                            Some(comes) => *comes,
                            None => self.comes_by_itself(&patient, first)?,
                        };
                        known.insert(patient.clone(), comes);
                        if !comes {
                            orphans.entry(patient).or_insert_with(Vec::new).push(row);
                        }
                    }
                }
            }
            self.rows(&general, sink)?;
            for rows in orphans.values() {
                self.rows(rows, sink)?;
            }
            for patient in patients {
                self.patient(&patient, sink)?;
            }
            // Rows are keyed hashes and so spread evenly: how far the first byte is, is how far the whole is.
            let place = from.get(1).copied().unwrap_or(u8::MAX);
            self.progress.reached(u32::from(place) * 100 / 256);
        }
    }

    /// Whether a patient's records come with the Patient resource: it is still to come, or was there when the walk passed its
    /// place. Rows before `first` were passed.
    fn comes_by_itself(&self, patient: &ResourceId, first: &[u8]) -> Result<bool, VaultError> {
        let Some(patient_type) = ResourceType::parse("Patient") else { return Ok(false) };
        let row = self.inner.head_row(patient_type, patient);
        let Some(value) = self.inner.store.reader().get(&row)? else { return Ok(false) };
        let head = self.inner.open_head(&row, &value)?;
        let made_meanwhile = head.record.version == VersionId::FIRST && head.current.last_updated > self.started;
        Ok(row.as_slice() >= first || !made_meanwhile)
    }

    /// A patient's compartment.
    fn patient(&mut self, patient: &ResourceId, sink: Sink<'_>) -> Result<(), VaultError> {
        let owner = Owner::Patient(patient.clone());
        let total = self.inner.member_count(patient)?;
        let mut seen: HashSet<RowKey> = HashSet::new();
        let (mut own, mut bytes) = (Vec::new(), 0usize);
        for chunk in 0..total.div_ceil(CHUNK_MEMBERS as u64) {
            for row in self.inner.members_in_chunk(patient, chunk)? {
                if !seen.insert(row) {
                    continue;
                }
                let Some(found) = self.wanted(&row)? else { continue };
                if found.meta.owner == owner {
                    bytes = bytes.saturating_add(found.sealed_bytes());
                    own.push(found);
                    if own.len() == WINDOW_RECORDS || bytes >= SHOWN_BYTES_MAX {
                        self.show(std::mem::take(&mut own), sink)?;
                        bytes = 0;
                    }
                } else if self.is_shared(&found.meta.owner) && !self.shared.contains(&row) {
                    self.show_shared(row, found, patient, sink)?;
                }
            }
        }
        self.show(own, sink)
    }

    /// Whether a member under this other key comes with the compartment: it does where it does not come in another way.
    fn is_shared(&self, owner: &Owner) -> bool {
        match self.request.scope {
            CopyScope::System => false,
            CopyScope::Patients => *owner == Owner::Establishment,
            CopyScope::PatientsIn(_) => true,
        }
    }

    /// A record that is or was in a patient's compartment, under another key. The list of members does not say which, so it is
    /// opened, and left out where it is not in the compartment any more.
    fn show_shared(
        &mut self,
        row: RowKey,
        found: Located,
        patient: &ResourceId,
        sink: Sink<'_>,
    ) -> Result<(), VaultError> {
        let mut taken = false;
        self.show(vec![found], &mut |disclosed| {
            let value = json::parse(&disclosed.body, &json_limits())?;
            let record = &disclosed.record;
            taken = Belonging::of(record.resource_type, &record.id, &value).patients.contains(patient);
            if taken { sink(disclosed) } else { Ok(()) }
        })?;
        if taken {
            self.shared.insert(row);
        }
        if self.shared.len() > SHARED_MAX {
            return Err(VaultError::TooCostly { what: "records of several patients in an export", max: SHARED_MAX });
        }
        Ok(())
    }

    /// Records of one owner by their head rows.
    fn rows(&self, rows: &[RowKey], sink: Sink<'_>) -> Result<(), VaultError> {
        let (mut located, mut bytes) = (Vec::new(), 0usize);
        for row in rows {
            let Some(found) = self.wanted(row)? else { continue };
            bytes = bytes.saturating_add(found.sealed_bytes());
            located.push(found);
            if located.len() == WINDOW_RECORDS || bytes >= SHOWN_BYTES_MAX {
                self.show(std::mem::take(&mut located), sink)?;
                bytes = 0;
            }
        }
        self.show(located, sink)
    }

    fn show(&self, mut located: Vec<Located>, sink: Sink<'_>) -> Result<(), VaultError> {
        while !located.is_empty() {
            self.go_on()?;
            let pending: Vec<RowKey> =
                located.iter().map(|found| self.inner.head_row(found.record.resource_type, &found.record.id)).collect();
            let shown = self.inner.disclose_all(self.caller, EventKind::Export, Some(self.note), located);
            match pollster::block_on(shown) {
                Ok(shown) => {
                    for (_, disclosed) in &shown.disclosed {
                        sink(disclosed)?;
                    }
                    located = shown.rest;
                }
                // Nothing of these was handed out yet: they are looked up again, and the keeper is asked again.
                Err(VaultError::RateExceeded { retry_after_ms }) => {
                    self.progress.wait(Duration::from_millis(retry_after_ms.clamp(1, WAIT_MS_MAX)));
                    located = Vec::with_capacity(pending.len());
                    for row in &pending {
                        located.extend(self.wanted(row)?);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), VaultError> {
        if self.progress.is_given_up() { Err(VaultError::Conflict) } else { Ok(()) }
    }

    /// The record of a head row, if it was asked for.
    fn wanted(&self, row: &RowKey) -> Result<Option<Located>, VaultError> {
        let Some(found) = self.inner.locate_row(row)? else { return Ok(None) };
        let (resource_type, id) = (found.record.resource_type, &found.record.id);
        let wanted = found.meta.method != Method::Delete
            && (self.request.types.is_empty() || self.request.types.contains(&resource_type))
            && self.found.get(&resource_type).is_none_or(|ids| ids.contains(id))
            && self.request.since.is_none_or(|since| found.meta.last_updated >= since)
            && self.inner.look_at(self.inner.sights(self.caller, Act::Export)?.as_ref(), &found) != Look::Hidden;
        Ok(wanted.then_some(found))
    }
}
