//! Everything that one session touched: the exact extent of a theft.

use super::{LedgerLine, LedgerOrder};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::Vault;
use crate::{EventKind, Outcome};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use tacet_ledger::Entry;
use tacet_ledger::index::Question;
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp};

/// Entries looked at between two steps.
const STEP_ENTRIES: usize = 4096;

/// Most records that are told apart. Beyond, each time a record was shown counts anew, and [`SessionExtent::records_exact`] says so.
const RECORDS_TOLD_APART_MAX: usize = 20_000_000;

/// Most addresses, devices and names that are kept; a session has one or a few.
const ORIGINS_MAX: usize = 1000;

/// What one session touched of one patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatientExtent {
    /// The type of what stands for the patient, nearly always `Patient`.
    pub resource_type: ResourceType,
    /// The id.
    pub id: ResourceId,
    /// Entries that showed or changed something.
    pub entries: u64,
    /// Records shown or changed, each once.
    pub records: u64,
    /// Entries of things that were refused or not there: nothing was shown.
    pub refused: u64,
    /// The categories of what was shown or changed.
    pub categories: BTreeSet<ResourceType>,
    /// First entry of all these.
    pub first: Timestamp,
    /// Last.
    pub last: Timestamp,
}

/// Everything that one session touched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionExtent {
    /// The short id that was asked for.
    pub session: String,
    /// Entries of it.
    pub entries: u64,
    /// The first.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
    /// Who: names that the entries give, and ids of accounts.
    pub people: BTreeSet<String>,
    /// Roles.
    pub roles: BTreeSet<String>,
    /// Network addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Short ids of devices.
    pub devices: BTreeSet<String>,
    /// Entries of each kind.
    pub kinds: BTreeMap<EventKind, u64>,
    /// Records shown, of each type, each once.
    pub shown: BTreeMap<ResourceType, u64>,
    /// Records changed, of each type, each once.
    pub changed: BTreeMap<ResourceType, u64>,
    /// Entries of things that were refused or not there.
    pub refused: u64,
    /// Each patient of whom something was shown, changed or tried, in the order of ids.
    pub patients: Vec<PatientExtent>,
    /// Whether each record was counted once. There are too many otherwise.
    pub records_exact: bool,
    /// Entries of the session whose key is gone.
    pub expired: u64,
    /// Entries of the session that do not open.
    pub damaged: u64,
    /// Entries of the ledger that nobody can attribute, because they did not open when the index was made.
    pub unread: u64,
    /// From when on entries can be read: of what the session touched before, nobody knows. None: all can.
    pub kept_since: Option<Timestamp>,
    /// Entries in the ledger when this was asked.
    pub size: u64,
}

impl SessionExtent {
    fn new(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            entries: 0,
            first: None,
            last: None,
            people: BTreeSet::new(),
            roles: BTreeSet::new(),
            addresses: BTreeSet::new(),
            devices: BTreeSet::new(),
            kinds: BTreeMap::new(),
            shown: BTreeMap::new(),
            changed: BTreeMap::new(),
            refused: 0,
            patients: Vec::new(),
            records_exact: true,
            expired: 0,
            damaged: 0,
            unread: 0,
            kept_since: None,
            size: 0,
        }
    }

    /// Patients of whom something was shown or changed.
    pub fn patients_touched(&self) -> usize {
        self.patients.iter().filter(|patient| patient.entries > 0).count()
    }
}

impl SessionExtent {
    /// As JSON: what both the command line and the server give.
    pub fn to_json(&self) -> serde_json::Value {
        let counts = |counts: &BTreeMap<ResourceType, u64>| -> serde_json::Map<String, serde_json::Value> {
            counts.iter().map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect()
        };
        let kinds: serde_json::Map<String, serde_json::Value> =
            self.kinds.iter().map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect();
        let patient = |patient: &PatientExtent| {
            json!({
                "patient": format!("{}/{}", patient.resource_type, patient.id.as_str()),
                "entries": patient.entries,
                "records": patient.records,
                "refused": patient.refused,
                "categories": patient.categories.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                "first": patient.first.to_string(),
                "last": patient.last.to_string(),
            })
        };
        json!({
            "session": self.session,
            "entries": self.entries,
            "first": self.first.map(|at| at.to_string()),
            "last": self.last.map(|at| at.to_string()),
            "people": self.people,
            "roles": self.roles,
            "addresses": self.addresses,
            "devices": self.devices,
            "kinds": kinds,
            "shown": counts(&self.shown),
            "changed": counts(&self.changed),
            "refused": self.refused,
            "patients_touched": self.patients_touched(),
            "patients": self.patients.iter().map(patient).collect::<Vec<_>>(),
            "records_exact": self.records_exact,
            "expired": self.expired,
            "damaged": self.damaged,
            "unread": self.unread,
            "kept_since": self.kept_since.map(|since| since.to_string()),
            "size": self.size,
        })
    }
}

/// Records that were counted, by hash: an eighth of what their ids would take. Two of one hash are counted as one, once in 10^5 sessions of a million
/// records.
#[derive(Default)]
struct Counted {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Counted {
    /// Whether it is counted for the first time.
    fn add(&mut self, changed: bool, record: &RecordRef) -> bool {
        if self.is_full() {
            return true;
        }
        self.seen.insert(self.hasher.hash_one((changed, record.resource_type.code(), record.id.as_str())))
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= RECORDS_TOLD_APART_MAX
    }
}

/// Puts entries together.
struct Adding {
    extent: SessionExtent,
    patients: BTreeMap<(u8, ResourceId), PatientExtent>,
    counted: Counted,
}

impl Adding {
    fn add(&mut self, entry: &Entry) {
        let extent = &mut self.extent;
        extent.entries += 1;
        extent.first = Some(extent.first.map_or(entry.at, |first| first.min(entry.at)));
        extent.last = Some(extent.last.map_or(entry.at, |last| last.max(entry.at)));
        let few = |set: &mut BTreeSet<String>, text: &String| {
            if set.len() < ORIGINS_MAX && !set.contains(text) {
                set.insert(text.clone());
            }
        };
        few(&mut extent.people, &entry.agent.owner);
        entry.account.iter().for_each(|account| few(&mut extent.people, account));
        few(&mut extent.roles, &entry.agent.role);
        entry.device.iter().for_each(|device| few(&mut extent.devices, device));
        if extent.addresses.len() < ORIGINS_MAX {
            extent.addresses.extend(entry.origin.address);
        }
        *extent.kinds.entry(entry.kind).or_default() += 1;

        let (shows, changes) = (entry.kind.discloses(), entry.kind.changes());
        let done = entry.outcome == Outcome::Success && (shows || changes);
        let tried = entry.outcome != Outcome::Success && (shows || changes);
        let mut records = 0;
        for record in entry.records.iter().filter(|_| done) {
            if self.counted.add(changes, record) {
                let counts = if changes { &mut extent.changed } else { &mut extent.shown };
                *counts.entry(record.resource_type).or_default() += 1;
                records += 1;
            }
        }
        extent.refused += u64::from(tried);
        let Some((resource_type, id)) = entry.patient.as_ref().filter(|_| done || tried) else { return };
        let patient = self.patients.entry((resource_type.code(), id.clone())).or_insert_with(|| PatientExtent {
            resource_type: *resource_type,
            id: id.clone(),
            entries: 0,
            records: 0,
            refused: 0,
            categories: BTreeSet::new(),
            first: entry.at,
            last: entry.at,
        });
        patient.entries += u64::from(done);
        patient.records += records;
        patient.refused += u64::from(tried);
        (patient.first, patient.last) = (patient.first.min(entry.at), patient.last.max(entry.at));
        if done {
            patient.categories.extend(entry.categories.iter().copied());
        }
    }

    fn finish(mut self) -> SessionExtent {
        self.extent.records_exact = !self.counted.is_full();
        self.extent.patients = self.patients.into_values().collect();
        self.extent
    }
}

impl Vault {
    /// Everything that one session touched, by the short id of the session or of the token: the patients, what of theirs, from where, from when to
    /// when. Names are not in it: who may see a patient's record asks for it. Written down before it is given.
    ///
    /// # Errors
    /// As [`Vault::ask_ledger`].
    pub async fn session_extent(&self, caller: &Caller, session: &str) -> Result<SessionExtent, VaultError> {
        let question = Question { session: Some(session.to_owned()), ..Question::default() };
        let mut reading = self.read_ledger(caller, &question, LedgerOrder::OldestFirst, None).await?;
        let (extent, patients, counted) = (SessionExtent::new(session), BTreeMap::new(), Counted::default());
        let mut adding = Adding { extent, patients, counted };
        while !reading.is_done() {
            for line in reading.next(STEP_ENTRIES)? {
                match line {
                    LedgerLine::Entry { entry, .. } => adding.add(&entry),
                    LedgerLine::Expired { .. } => adding.extent.expired += 1,
                    LedgerLine::Damaged { .. } => adding.extent.damaged += 1,
                }
            }
        }
        (adding.extent.size, adding.extent.unread) = (reading.size(), reading.unread());
        adding.extent.kept_since = self.0.ledger_kept()?.map(|kept| kept.since);
        Ok(adding.finish())
    }
}
