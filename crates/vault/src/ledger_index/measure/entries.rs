//! The synthetic ledger that is measured: what entry has which number, what is asked about it, and which entries may answer.

use std::ops::Range;
use tacet_ledger::index::Question;
use tacet_ledger::{Agent, Channel, Entry, EventKind, Origin, Prepared, PurposeOfUse};
use tacet_store::Commit;
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, Timestamp, VersionId};

/// Staff at work at a time, each in a session.
const STAFF: u64 = 3000;

/// Entries of an ordinary session.
const SESSION_ENTRIES: u64 = 300;

/// Entries of a shift.
const SHIFT_ENTRIES: u64 = STAFF * SESSION_ENTRIES;

/// Patients on file.
const PATIENTS: u64 = 1_000_000;

/// Workstations.
const DEVICES: u64 = 1200;

/// Of these many entries one is the stolen session's.
const STOLEN_ONE_IN: u64 = 200;

/// Entries whose rows stay beside each of the stolen session's, this one too: as many as fill a block of the engine's files, so that no two of the
/// session's lie in one, as they would not if all rows were there.
const NEIGHBOURS: u64 = 10;

/// Between two entries, in milliseconds.
const STEP_MS: i64 = 40;

/// The first of March of 2026, in milliseconds since 1970.
const BEGIN_MS: i64 = 1_772_352_000_000;

const HOUR_ENTRIES: u64 = 3_600_000 / STEP_MS as u64;

const STOLEN: &str = "5701e50000000000";

fn mixed(number: u64) -> u64 {
    let mut value = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn is_stolen(number: u64) -> bool {
    number.is_multiple_of(STOLEN_ONE_IN)
}

/// The number of an ordinary session.
fn session_of(number: u64) -> u64 {
    number / SHIFT_ENTRIES * STAFF + number % STAFF
}

/// A clinician has thirty patients in a shift; the thief goes through everybody.
fn patient_of(number: u64) -> u64 {
    let seed = if is_stolen(number) { number } else { session_of(number) * 30 + number / STAFF % 30 };
    mixed(seed) % PATIENTS
}

fn at(number: u64) -> Timestamp {
    Timestamp::from_ms(BEGIN_MS + number as i64 * STEP_MS)
}

fn types() -> (ResourceType, ResourceType) {
    (ResourceType::parse("Patient").unwrap(), ResourceType::parse("Observation").unwrap())
}

pub(super) fn entry(number: u64) -> Entry {
    let (patient_type, observation) = types();
    let staff = number % STAFF;
    let session = if is_stolen(number) { STOLEN.to_owned() } else { format!("{:016x}", mixed(session_of(number))) };
    let agent = Agent {
        owner: format!("staff-{staff}"),
        role: "clinician".into(),
        token: Some(format!("{:08x}", mixed(number / 40) as u32)),
    };
    let kind = if number.is_multiple_of(4) { EventKind::Search } else { EventKind::Read };
    let operation = OperationId(u128::from(mixed(number)).to_be_bytes());
    let mut entry = Entry::new(at(number), kind, agent, PurposeOfUse::Treatment, operation);
    let id = |number: u64| ResourceId::parse(&format!("{:032x}", u128::from(mixed(number)))).ok();
    entry.patient = id(patient_of(number)).map(|id| (patient_type, id));
    let record = |id| RecordRef { resource_type: observation, id, version: VersionId(1) };
    entry.records = id(number + 1).map(record).into_iter().collect();
    entry.categories = vec![observation];
    entry.account = Some(format!("{:032x}", u128::from(mixed(staff))));
    entry.session = Some(session);
    entry.device = Some(format!("{:016x}", mixed(staff % DEVICES)));
    let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | (staff % DEVICES) as u32);
    entry.origin = Origin { address: Some(address.into()), channel: Channel::Http };
    entry.basis = Some("ward-encounter by clinician-care".into());
    entry
}

pub(super) fn commit(first: u64, entries: u64) -> Commit<Vec<Prepared>> {
    let item = (first..first + entries).map(|number| Prepared::new(&entry(number)).unwrap()).collect();
    Commit { item, ..Commit::default() }
}

/// What is asked of a ledger of some size: about somebody in the middle of it.
pub(super) struct Asked {
    someone: u64,
    hour: Range<u64>,
    day: Range<u64>,
}

impl Asked {
    pub(super) fn of(entries: u64) -> Self {
        let someone = entries / 2 + 1;
        Self { someone, hour: someone..someone + HOUR_ENTRIES, day: someone..someone + 24 * HOUR_ENTRIES }
    }

    pub(super) fn questions(&self) -> Vec<(&'static str, Question)> {
        let someone = entry(self.someone);
        let between = |range: &Range<u64>, question| Question {
            from: Some(at(range.start)),
            to: Some(at(range.end)),
            ..question
        };
        let person = Question { person: Some(someone.agent.owner.clone()), ..Question::default() };
        let device = Question { device: someone.device.clone(), ..Question::default() };
        vec![
            ("the stolen session", Question { session: Some(STOLEN.into()), ..Question::default() }),
            ("an ordinary session", Question { session: someone.session.clone(), ..Question::default() }),
            ("a patient", Question { patient: someone.patient.clone(), ..Question::default() }),
            ("a person, one hour", between(&self.hour, person)),
            ("a device, one day", between(&self.day, device.clone())),
            ("a device and a patient", Question { patient: someone.patient.clone(), ..device }),
        ]
    }

    /// Whether an entry may answer one of the questions.
    fn may_answer(&self, number: u64) -> bool {
        let staff = |of: u64| of % STAFF;
        session_of(number) == session_of(self.someone)
            || patient_of(number) == patient_of(self.someone)
            || (staff(number) == staff(self.someone) && self.hour.contains(&number))
            || (staff(number) % DEVICES == staff(self.someone) % DEVICES && self.day.contains(&number))
    }
}

/// Whether the row of an entry stays where not all do.
pub(super) fn stays(number: u64, asked: &[Asked]) -> bool {
    number % STOLEN_ONE_IN < NEIGHBOURS || asked.iter().any(|asked| asked.may_answer(number))
}
