//! What is known of care, in memory: fed by every commit in the moment in which it counts, and read from its rows at the start.
//!
//! Beside a record that says something of relations or restrictions (an encounter, a consent, a label on a patient) lies a small row with
//! what it says, sealed with the establishment's key and written in the record's own commit. So a start opens no record, and unwraps no
//! patient's key.

use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::noted::STEP_BYTES;
use crate::vault::{Inner, Vault};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use tacet_fhir::json::Json;
use tacet_ledger::noted::{RowWrite, Table};
use tacet_ledger::people::BreakGlassRow;
use tacet_policy::{BreakGlass, BtgReason, CareData, CareSettings, FORGET_EACH_MAX, Facts};
use tacet_seal::Purpose;
use tacet_store::{Commit, Write};
use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};

/// Rows read at once.
const ROWS_FETCH: usize = 1000;

/// Rows taken away in one commit, because what they say is over.
const FORGET_EACH: usize = 1000;

/// How long ago an emergency may have been declared that is read at the start, in milliseconds: longer than any lasts.
const DECLARED_READ_MS: i64 = 30 * 86_400_000;

/// How long a declared emergency counts towards what one account may declare, in milliseconds: a day.
pub(crate) const DECLARED_WITHIN_MS: i64 = 86_400_000;

/// Bytes that the sealed form of a row may not exceed, opened. A Group or a CareTeam of thousands fits.
const FACTS_BYTES_MAX: usize = 4 << 20;

/// The types whose records may say something of care: of the others no row is looked at.
const SPEAKING: [&str; 17] = [
    "Appointment",
    "CareTeam",
    "Consent",
    "Encounter",
    "EpisodeOfCare",
    "Flag",
    "Group",
    "Location",
    "MedicationRequest",
    "Organization",
    "Patient",
    "Person",
    "Practitioner",
    "PractitionerRole",
    "Schedule",
    "ServiceRequest",
    "Slot",
];

/// First byte of a row with what a record says.
const SAID: u8 = 1;

/// First byte of a row that says who put a patient on file.
const REGISTERED: u8 = 2;

/// A record, whatever its version.
type RecordKey = (ResourceType, ResourceId);

/// All that is known of care.
#[derive(Default)]
pub(crate) struct Care {
    pub(crate) data: CareData,
    /// The newest version of each record that was taken in: commits come in any order.
    versions: HashMap<RecordKey, VersionId>,
    /// Records that say nothing since lately, and since a while ago: no older version of these comes in any more.
    silent: Vec<RecordKey>,
    long_silent: Vec<RecordKey>,
    /// When each account declared which emergency, lately.
    declared: HashMap<String, BTreeSet<(Timestamp, String)>>,
}

/// What a commit says of care.
#[derive(Clone)]
pub(crate) enum CareChange {
    /// A record says this from here on; none: nothing, or it is gone.
    Says { resource_type: ResourceType, id: ResourceId, version: VersionId, facts: Option<Box<Facts>> },
    /// A record is gone for good, and its id may begin anew.
    Erased { resource_type: ResourceType, id: ResourceId },
    /// A patient is gone for good.
    ErasedPatient(ResourceId),
    /// A practitioner put a patient on file.
    Registered { patient: ResourceId, practitioner: ResourceId, at: Timestamp },
    /// An emergency was declared, made longer or ended.
    Emergency(Box<BreakGlassRow>),
    /// The row of an emergency, of this id, is gone.
    NoEmergency(String),
}

#[derive(Serialize, Deserialize)]
struct SaidForm {
    kind: String,
    id: String,
    version: u64,
    facts: Facts,
}

#[derive(Serialize, Deserialize)]
struct RegisteredForm {
    patient: String,
    practitioner: String,
    at_ms: i64,
}

impl Care {
    pub(crate) fn take_in(&mut self, change: CareChange) {
        match change {
            CareChange::Says { resource_type, id, version, facts } => {
                let key = (resource_type, id);
                let newest = self.versions.entry(key.clone()).or_insert(version);
                if version >= *newest {
                    *newest = version;
                    if facts.is_none() {
                        self.silent.push(key.clone());
                    }
                    self.data.put(key, facts.map(|facts| *facts));
                }
            }
            CareChange::Erased { resource_type, id } => {
                let key = (resource_type, id);
                self.versions.remove(&key);
                self.data.put(key, None);
            }
            CareChange::Registered { patient, practitioner, at } => {
                self.data.put_registration(patient, practitioner, at);
            }
            CareChange::Emergency(row) => self.emergency(&row),
            CareChange::NoEmergency(id) => drop(self.data.end_break_glass(&id)),
            CareChange::ErasedPatient(patient) => self.data.erase(&patient),
        }
    }

    /// Lets go of what is over, a part at a time: `true` if there may be more. What has said nothing since the time before is let go of
    /// for good, so it is to be called no more often than commits may take to come in.
    pub(crate) fn forget(&mut self, now: Timestamp) -> bool {
        for key in std::mem::take(&mut self.long_silent) {
            if !self.data.knows(key.0, &key.1) {
                self.versions.remove(&key);
            }
        }
        let over = self.data.forget(now);
        let more = over.len() >= FORGET_EACH_MAX;
        self.long_silent = std::mem::take(&mut self.silent);
        self.long_silent.extend(over);
        more
    }

    /// Notes that an account tried to declare an emergency, and could not: it counts as if it had.
    pub(crate) fn tried_to_declare(&mut self, account: &str, at: Timestamp) {
        let times = self.declared.entry(account.to_owned()).or_default();
        times.retain(|(then, _)| then.plus_ms(DECLARED_WITHIN_MS) >= at);
        let try_of = format!("try {}", times.len());
        times.insert((at, try_of));
    }

    fn emergency(&mut self, row: &BreakGlassRow) {
        let Ok(patient) = ResourceId::parse(&row.patient) else { return };
        // A row's end is the first moment at which it does not hold any more.
        let until = Timestamp::from_ms(row.until_ms.saturating_sub(1));
        let from = Timestamp::from_ms(row.from_ms);
        let times = self.declared.entry(row.account.clone()).or_default();
        times.insert((from, row.id.clone()));
        times.retain(|(at, _)| at.plus_ms(DECLARED_WITHIN_MS) >= from);
        if row.ended_ms.is_some() {
            let _ = self.data.end_break_glass(&row.id);
        } else {
            let (id, account, text) = (row.id.clone(), row.account.clone(), row.text.clone());
            let reason = BtgReason::parse(&row.reason).unwrap_or(BtgReason::Other);
            self.data.put_break_glass(BreakGlass { id, account, patient, reason, text, from, until });
        }
    }

    /// How many emergencies an account has declared within a day.
    pub(crate) fn declared_lately(&self, account: &str, now: Timestamp) -> usize {
        let times = self.declared.get(account).into_iter().flatten();
        times.filter(|(at, _)| at.plus_ms(DECLARED_WITHIN_MS) > now).count()
    }
}

impl Vault {
    /// Whether a record is there that says something of care, and no Practitioner wrote it last: a machine did, or an account that stands for
    /// none. Nobody is shown anything by it.
    ///
    /// # Errors
    /// The store's.
    pub fn is_said_by_machine(&self, resource_type: ResourceType, id: &ResourceId) -> Result<bool, VaultError> {
        let keys = &self.0.keys.row_keys;
        let row = layout::facts(keys, &layout::head(keys, resource_type, id));
        Ok(self.0.said_before(&row)?.is_some_and(|facts| !facts.is_of_practitioner()))
    }
}

impl Inner {
    /// What a version says of care, with the write of its row. None: records of this type never say anything. `writer`: who writes it, where
    /// that is somebody whom it may name.
    pub(crate) fn care_of(
        &self,
        head: RowKey,
        (resource_type, id): (ResourceType, &ResourceId),
        version: VersionId,
        (resource, writer): (Option<&Json<'_>>, Option<&ResourceId>),
        now: Timestamp,
    ) -> Result<Option<(CareChange, Write)>, VaultError> {
        if !SPEAKING.contains(&resource_type.as_str()) {
            return Ok(None);
        }
        let facts = resource.and_then(|resource| tacet_policy::facts_of(resource_type, id, resource));
        let facts = facts.filter(|facts| !is_over(facts.ends(), now));
        let row = layout::facts(&self.keys.row_keys, &head);
        let facts = match (facts, writer) {
            (Some(facts), Some(writer)) => Some(facts.written_by(writer, self.said_before(&row)?)),
            (facts, _) => facts,
        };
        let write = match &facts {
            None => Write::Delete { key: row.to_vec() },
            Some(facts) => {
                let (kind, id) = (resource_type.as_str().to_owned(), id.as_str().to_owned());
                let form = SaidForm { kind, id, version: version.0, facts: facts.clone() };
                Write::Put { key: row.to_vec(), value: self.seal_care(&row, SAID, &form)? }
            }
        };
        let facts = facts.map(Box::new);
        Ok(Some((CareChange::Says { resource_type, id: id.clone(), version, facts }, write)))
    }

    /// What the current version says, by its row: it was written with the version, so whoever plans on that version reads what it says.
    fn said_before(&self, row: &RowKey) -> Result<Option<Facts>, VaultError> {
        let Some(value) = self.store.reader().get(row)? else { return Ok(None) };
        let plain = self.open_structure(Purpose::State, row, &value)?;
        match read_form(&plain) {
            Some((SAID, json)) => {
                let damaged = |_| VaultError::Damaged("a row of what is known of care cannot be read");
                let form: SaidForm = serde_json::from_slice(json).map_err(damaged)?;
                Ok(Some(form.facts))
            }
            _ => Ok(None),
        }
    }

    /// Notes who puts a patient on file.
    pub(crate) fn care_of_registration(
        &self,
        patient: &ResourceId,
        practitioner: &ResourceId,
        at: Timestamp,
    ) -> Result<(CareChange, Write), VaultError> {
        let row = layout::registered(&self.keys.row_keys, patient);
        let text = |id: &ResourceId| id.as_str().to_owned();
        let form = RegisteredForm { patient: text(patient), practitioner: text(practitioner), at_ms: at.as_ms() };
        let write = Write::Put { key: row.to_vec(), value: self.seal_care(&row, REGISTERED, &form)? };
        Ok((CareChange::Registered { patient: patient.clone(), practitioner: practitioner.clone(), at }, write))
    }

    fn seal_care(&self, row: &RowKey, first: u8, form: &impl Serialize) -> Result<Vec<u8>, VaultError> {
        let json = serde_json::to_vec(form).map_err(|error| VaultError::Internal(Box::new(error)))?;
        if json.len() > FACTS_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes that a record says of care", max: FACTS_BYTES_MAX });
        }
        let mut plain = vec![first];
        plain.extend((json.len() as u32).to_be_bytes());
        plain.extend(json);
        plain.resize(plain.len().next_multiple_of(STEP_BYTES), 0);
        self.seal_structure(Purpose::State, row, &plain)
    }

    /// Reads what is known of care. In bounded time: one small row for each record that says something, and what is long over is taken
    /// away on the way.
    pub(crate) fn read_care(&self, settings: &CareSettings) -> Result<Care, VaultError> {
        let now = self.clock.now();
        let mut care = Care::default();
        let mut over: Vec<Write> = Vec::new();
        let (from, to) = layout::bounds(layout::FACTS);
        let mut from = from.to_vec();
        loop {
            let rows = self.rows(&from, &to, ROWS_FETCH)?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in rows {
                let plain = self.open_structure(Purpose::State, &key, &value)?;
                let damaged = VaultError::Damaged("a row of what is known of care cannot be read");
                let (change, ends) = decode(&plain, settings).ok_or(damaged)?;
                if is_over(ends, now) {
                    over.push(Write::Delete { key });
                } else {
                    care.take_in(change);
                }
            }
            if over.len() >= FORGET_EACH {
                self.forget_care(std::mem::take(&mut over))?;
            }
        }
        self.forget_care(over)?;
        self.scan_noted(Table::BreakGlass, &mut |row| {
            if let Ok(row) = BreakGlassRow::decode(&row.value)
                && row.from_ms > now.plus_ms(-DECLARED_READ_MS).as_ms()
            {
                care.take_in(CareChange::Emergency(Box::new(row)));
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(care)
    }

    fn forget_care(&self, writes: Vec<Write>) -> Result<(), VaultError> {
        if !writes.is_empty() {
            self.store
                .submit_bulk(Commit { preconditions: Vec::new(), writes, feed: None, item: Vec::new() })
                .wait()?;
        }
        Ok(())
    }
}

/// Whether nothing of it can count any more.
fn is_over(ends: Option<Timestamp>, now: Timestamp) -> bool {
    ends.is_some_and(|ends| ends < now)
}

/// The first byte of a row, opened, and the JSON in it.
fn read_form(plain: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = plain.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (json, _) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((*first, json))
}

fn decode(plain: &[u8], settings: &CareSettings) -> Option<(CareChange, Option<Timestamp>)> {
    let (first, json) = read_form(plain)?;
    match first {
        SAID => {
            let SaidForm { kind, id, version, facts } = serde_json::from_slice(json).ok()?;
            let (resource_type, id) = (ResourceType::parse(&kind)?, ResourceId::parse(&id).ok()?);
            let (ends, version) = (facts.ends(), VersionId(version));
            Some((CareChange::Says { resource_type, id, version, facts: Some(Box::new(facts)) }, ends))
        }
        REGISTERED => {
            let RegisteredForm { patient, practitioner, at_ms } = serde_json::from_slice(json).ok()?;
            let (patient, practitioner) = (ResourceId::parse(&patient).ok()?, ResourceId::parse(&practitioner).ok()?);
            let at = Timestamp::from_ms(at_ms);
            let ends = at.plus_ms(i64::from(settings.registered_hours) * 3_600_000);
            Some((CareChange::Registered { patient, practitioner, at }, Some(ends)))
        }
        _ => None,
    }
}

/// What rows of the table of emergencies say of care.
pub(crate) fn of_declared(writes: &[RowWrite]) -> Vec<CareChange> {
    let declared = writes.iter().filter(|write| write.table == Table::BreakGlass);
    let change = |write: &RowWrite| match &write.value {
        Some(value) => BreakGlassRow::decode(value).ok().map(|row| CareChange::Emergency(Box::new(row))),
        None => Some(CareChange::NoEmergency(String::from_utf8(write.name.clone()).ok()?)),
    };
    declared.filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    fn says(name: &str, id: &str, version: u64, text: &str) -> CareChange {
        let json = parse_str(text, &Limits::default()).unwrap();
        let (resource_type, id) = (ResourceType::parse(name).unwrap(), ResourceId::parse(id).unwrap());
        let facts = tacet_policy::facts_of(resource_type, &id, &json).map(Box::new);
        CareChange::Says { resource_type, id, version: VersionId(version), facts }
    }

    #[test]
    fn what_is_over_is_forgotten_and_nothing_older_comes_back() {
        let slot = |status: &str| {
            format!(
                r#"{{"resourceType":"Slot","status":"{status}","schedule":{{"reference":"Schedule/s"}},"start":"2026-03-01T18:00:00Z","end":"2026-03-02T08:00:00Z"}}"#
            )
        };
        let now = Timestamp::parse("2026-03-02T09:00:00Z").unwrap();
        let mut care = Care::default();
        for id in ["over", "free"] {
            care.take_in(says("Slot", id, 1, &slot("busy")));
        }
        let place = r#"{"resourceType":"Location","partOf":{"reference":"Location/house"}}"#;
        care.take_in(says("Location", "ward", 1, place));
        care.take_in(says("Slot", "free", 2, &slot("free")));
        assert_eq!((care.data.len(), care.versions.len()), (2, 3));
        assert!(!care.forget(now));
        assert_eq!((care.data.len(), care.versions.len()), (1, 3), "an older version may still come in");
        care.take_in(says("Slot", "free", 1, &slot("busy")));
        assert_eq!(care.data.len(), 1, "and is not taken");
        care.forget(now.plus_ms(60_000));
        assert_eq!((care.data.len(), care.versions.len()), (1, 1));
        // One that speaks again meanwhile stays.
        care.take_in(says("Slot", "free", 3, &slot("free")));
        care.forget(now.plus_ms(120_000));
        care.take_in(says("Slot", "free", 4, &slot("busy").replace("2026", "2027")));
        care.forget(now.plus_ms(180_000));
        assert_eq!((care.data.len(), care.versions.len()), (2, 2));
    }
}
