//! One entry of the ledger: who did what to which records of whom, why, when, from where, and how it ended.
//!
//! An entry is personal data through and through: it prints without any (kind, outcome and counts only) and is stored
//! sealed. Its bytes are in [`crate::encoding`].

use crate::codes::{Channel, EventKind, Outcome, PurposeOfUse};
use std::fmt;
use std::net::IpAddr;
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, Timestamp};

/// Longest id of an account, in bytes.
pub const ACCOUNT_BYTES_MAX: usize = 256;

/// Longest short id of a session, in bytes.
pub const SESSION_BYTES_MAX: usize = 64;

/// Longest short id of a device, in bytes.
pub const DEVICE_BYTES_MAX: usize = 64;

/// Most records that one entry names. An answer with more is written down as several entries of the same operation.
pub const RECORDS_MAX: usize = 640;

/// Longest name of an account, in bytes.
pub const OWNER_BYTES_MAX: usize = 256;

/// Longest name of a role, in bytes.
pub const ROLE_BYTES_MAX: usize = 64;

/// Longest short id of a token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 64;

/// Longest name of who stands behind a request, in bytes.
pub const ON_BEHALF_OF_BYTES_MAX: usize = 256;

/// Longest search criteria, in bytes: longer ones are no request that a person made, and must be refused before the
/// search is run.
pub const QUERY_BYTES_MAX: usize = 8192;

/// Longest remark, in bytes.
pub const DETAIL_BYTES_MAX: usize = 2048;

/// Longest ground on which something was allowed, in bytes.
pub const BASIS_BYTES_MAX: usize = 256;

/// What somebody wrote (a reason, a ticket, a remark) as entries and the rows beside them keep it: trimmed, and in one line, so that in no list a part of
/// it looks like a line of the list. What breaks lines or steers a terminal is a blank in it. Never longer than `text`.
pub fn one_line(text: &str) -> String {
    let breaks = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    let parts: Vec<&str> = text.split(breaks).map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// The first `bytes_max` bytes of a text, or less where a character would be cut.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// One event that the ledger holds. Covers the fields of EHDS (Regulation (EU) 2025/327), Annex II, section 3.2; the
/// establishment is not a field, because it is bound into the seal of every entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Who did it.
    pub agent: Agent,
    /// For whom it was done, where that is somebody else: the clinician behind a machine account.
    pub on_behalf_of: Option<String>,
    /// Whose record it was, where it was one patient's: the `Patient`, or another type that stands for a patient.
    pub patient: Option<(ResourceType, ResourceId)>,
    /// The versions disclosed or changed. At most [`RECORDS_MAX`].
    pub records: Vec<RecordRef>,
    /// The categories of data concerned: a set, stored in the order of types.
    pub categories: Vec<ResourceType>,
    /// Why it was done.
    pub purpose: PurposeOfUse,
    /// From where it was asked.
    pub origin: Origin,
    /// The request or command that it belongs to.
    pub operation: OperationId,
    /// How it ended.
    pub outcome: Outcome,
    /// The search criteria as they were given.
    pub query: Option<String>,
    /// What else must be remembered: the reason of a break-glass, the setting changed, the token or key concerned.
    /// Never a secret.
    pub detail: Option<String>,
    /// On which ground it was allowed: the relation and the policy, such as `ward-encounter by clinician-care`.
    pub basis: Option<String>,
    /// The id of the account, where it has one beside its owner's name: names change hands, ids do not.
    pub account: Option<String>,
    /// The short id of the session in which it was done, or in which an app was given what it used: what an app did counts to the session
    /// that let it in.
    pub session: Option<String>,
    /// The short id of the device (a hash of what its browser keeps), where one was shown.
    pub device: Option<String>,
}

/// Who did something.
#[derive(Clone, PartialEq, Eq)]
pub struct Agent {
    /// The account's owner. Never empty.
    pub owner: String,
    /// The role that was used.
    pub role: String,
    /// The short id of the token that was shown (never the token).
    pub token: Option<String>,
}

/// From where something was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The network address, where there is one.
    pub address: Option<IpAddr>,
    /// The way.
    pub channel: Channel,
}

/// Why an entry cannot be written. Nothing may be disclosed for it then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EntryError {
    /// The entry does not say who.
    #[error("a ledger entry must name the account's owner")]
    NoOwner,
    /// A text is too long.
    #[error("the ledger entry's {field} has {bytes} bytes and may have {bytes_max}: shorten it or refuse the request")]
    TooLong {
        /// The field's name.
        field: &'static str,
        /// Its length, in bytes.
        bytes: usize,
        /// The longest allowed, in bytes.
        bytes_max: usize,
    },
    /// Too many records.
    #[error("the ledger entry names {records} records and may name {RECORDS_MAX}: split it into several entries")]
    TooManyRecords {
        /// How many it names.
        records: usize,
    },
}

impl Entry {
    /// An entry of `kind` by `agent` that says nothing else yet: outcome success, nobody's record, no address,
    /// purpose as given.
    pub fn new(at: Timestamp, kind: EventKind, agent: Agent, purpose: PurposeOfUse, operation: OperationId) -> Self {
        Self {
            at,
            kind,
            agent,
            on_behalf_of: None,
            patient: None,
            records: Vec::new(),
            categories: Vec::new(),
            purpose,
            origin: Origin { address: None, channel: Channel::Internal },
            operation,
            outcome: Outcome::Success,
            query: None,
            detail: None,
            basis: None,
            account: None,
            session: None,
            device: None,
        }
    }

    /// This entry, or as many as its records need: the same in all else, each with at most [`RECORDS_MAX`] of them, in
    /// their order. For answers that name many records (a patient's whole record, an import).
    #[must_use]
    pub fn in_parts(mut self) -> Vec<Self> {
        if self.records.len() <= RECORDS_MAX {
            return vec![self];
        }
        let records = std::mem::take(&mut self.records);
        records.chunks(RECORDS_MAX).map(|part| Self { records: part.to_vec(), ..self.clone() }).collect()
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// The first bound that the entry goes beyond.
    pub fn check(&self) -> Result<(), EntryError> {
        if self.agent.owner.is_empty() {
            return Err(EntryError::NoOwner);
        }
        if self.records.len() > RECORDS_MAX {
            return Err(EntryError::TooManyRecords { records: self.records.len() });
        }
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        [
            ("owner", self.agent.owner.len(), OWNER_BYTES_MAX),
            ("role", self.agent.role.len(), ROLE_BYTES_MAX),
            ("token id", optional(&self.agent.token), TOKEN_BYTES_MAX),
            ("on-behalf-of", optional(&self.on_behalf_of), ON_BEHALF_OF_BYTES_MAX),
            ("query", optional(&self.query), QUERY_BYTES_MAX),
            ("detail", optional(&self.detail), DETAIL_BYTES_MAX),
            ("basis", optional(&self.basis), BASIS_BYTES_MAX),
            ("account", optional(&self.account), ACCOUNT_BYTES_MAX),
            ("session", optional(&self.session), SESSION_BYTES_MAX),
            ("device", optional(&self.device), DEVICE_BYTES_MAX),
        ]
        .into_iter()
        .find(|(_, bytes, bytes_max)| bytes > bytes_max)
        .map_or(Ok(()), |(field, bytes, bytes_max)| Err(EntryError::TooLong { field, bytes, bytes_max }))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .field("outcome", &self.outcome)
            .field("operation", &self.operation)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agent(..)")
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({}, ..)", self.channel)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use tacet_types::{Rng, VersionId};

    /// A read of one record, with every field of format 1 set.
    pub(crate) fn full_entry() -> Entry {
        let id = |text: &str| ResourceId::parse(text).unwrap();
        let resource_type = |name: &str| ResourceType::parse(name).unwrap();
        Entry {
            at: Timestamp::parse("2026-03-01T08:00:00.123Z").unwrap(),
            kind: EventKind::Search,
            agent: Agent { owner: "Dr Zélie Aubrac".into(), role: "clinician".into(), token: Some("t-4711".into()) },
            on_behalf_of: Some("Ward 3".into()),
            patient: Some((resource_type("Patient"), id("7e5f0d3c-93b2-4a4e-9c0d-0123456789ab"))),
            records: vec![
                RecordRef {
                    resource_type: resource_type("Observation"),
                    id: id("7e5f0d3c-93b2-4a4e-9c0d-fedcba987654"),
                    version: VersionId(3),
                },
                RecordRef { resource_type: resource_type("Condition"), id: id("c.1"), version: VersionId(300) },
            ],
            categories: vec![resource_type("Condition"), resource_type("Observation")],
            purpose: PurposeOfUse::Treatment,
            origin: Origin { address: Some("192.0.2.7".parse().unwrap()), channel: Channel::Http },
            operation: OperationId(*b"operation number"),
            outcome: Outcome::Success,
            query: Some("Observation?code=94500-6".into()),
            detail: Some("rounds".into()),
            basis: None,
            account: None,
            session: None,
            device: None,
        }
    }

    /// A plain read by number: small, as most entries are.
    pub(crate) fn small_entry(number: u64) -> Entry {
        let rng = tacet_types::SeededRng::new(number);
        let agent = Agent { owner: format!("owner {}", rng.below(50)), role: "clinician".into(), token: None };
        let at = Timestamp::from_ms(1_772_352_000_000 + number as i64);
        let mut entry = Entry::new(
            at,
            EventKind::Read,
            agent,
            PurposeOfUse::Treatment,
            OperationId(u128::from(number).to_be_bytes()),
        );
        let patient = ResourceType::parse("Patient").unwrap();
        let id = ResourceId::random(&rng);
        entry.patient = Some((patient, id.clone()));
        entry.categories = vec![patient];
        entry.records = vec![RecordRef { resource_type: patient, id, version: VersionId(1 + rng.below(9)) }];
        entry
    }

    pub(crate) fn any_entry() -> impl Strategy<Value = Entry> {
        let id = || "[A-Za-z0-9.-]{1,64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        let id = move || id().prop_map(|text| ResourceId::parse(&text).unwrap());
        let resource_type = || (0..ResourceType::COUNT as u8).prop_map(|code| ResourceType::from_code(code).unwrap());
        let text = || proptest::option::of(".{0,16}");
        let record = (resource_type(), id(), any::<u64>()).prop_map(|(resource_type, id, version)| RecordRef {
            resource_type,
            id,
            version: VersionId(version),
        });
        let who = (".{1,40}", ".{0,16}", text(), text());
        let what = (
            proptest::option::of((resource_type(), id())),
            proptest::collection::vec(record, 0..12),
            proptest::collection::btree_set(resource_type(), 0..6),
        );
        let codes = (
            proptest::sample::select(EventKind::ALL),
            proptest::sample::select(PurposeOfUse::ALL),
            proptest::sample::select(Channel::ALL),
            proptest::sample::select(Outcome::ALL),
        );
        let rest = (any::<i64>(), any::<Option<IpAddr>>(), any::<[u8; 16]>(), text(), text(), text());
        let login = (text(), text(), text());
        (who, what, codes, rest, login).prop_map(|(who, what, codes, rest, login)| Entry {
            at: Timestamp::from_ms(rest.0),
            kind: codes.0,
            agent: Agent { owner: who.0, role: who.1, token: who.2 },
            on_behalf_of: who.3,
            patient: what.0,
            records: what.1,
            categories: what.2.into_iter().collect(),
            purpose: codes.1,
            origin: Origin { address: rest.1, channel: codes.2 },
            operation: OperationId(rest.2),
            outcome: codes.3,
            query: rest.3,
            detail: rest.4,
            basis: rest.5,
            account: login.0,
            session: login.1,
            device: login.2,
        })
    }

    #[test]
    fn nothing_personal_prints() {
        let entry = full_entry();
        let printed = format!("{entry:?} {:?} {:?}", entry.agent, entry.origin);
        for personal in ["Zélie", "t-4711", "Ward", "7e5f", "192.0", "94500", "rounds", "Condition"] {
            assert!(!printed.contains(personal), "{printed}");
        }
        assert!(printed.contains("Search") && printed.contains("records: 2"));
    }

    #[test]
    fn an_entry_with_many_records_goes_in_parts() {
        for records in [0, 1, RECORDS_MAX, RECORDS_MAX + 1, 2 * RECORDS_MAX, 2 * RECORDS_MAX + 7] {
            let mut entry = full_entry();
            let record =
                |number: usize| RecordRef { version: VersionId(number as u64), ..full_entry().records[0].clone() };
            entry.records = (0..records).map(record).collect();
            let parts = entry.clone().in_parts();
            assert_eq!(parts.len(), records.div_ceil(RECORDS_MAX).max(1));
            assert!(parts.iter().all(|part| part.check().is_ok() && part.operation == entry.operation));
            let together: Vec<_> = parts.into_iter().flat_map(|part| part.records).collect();
            assert!(together == entry.records);
        }
    }

    #[test]
    fn what_somebody_wrote_is_one_line() {
        for (written, kept) in [
            ("  found unconscious\n", "found unconscious"),
            ("no pulse\r\n\r\n7 2026-03-01 read\u{2028}x\u{85}y\u{1b}[2Jz", "no pulse 7 2026-03-01 read x y [2Jz"),
            ("Zoé  Łódź مريم", "Zoé  Łódź مريم"),
            ("\n\t \0", ""),
        ] {
            assert_eq!(one_line(written), kept);
        }
    }

    #[test]
    fn bounds_are_held() {
        let check = |change: fn(&mut Entry)| {
            let mut entry = full_entry();
            change(&mut entry);
            entry.check()
        };
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(check(|entry| entry.agent.owner.clear()), Err(EntryError::NoOwner));
        assert_eq!(check(|entry| entry.records = vec![entry.records[0].clone(); RECORDS_MAX]), Ok(()));
        assert_eq!(
            check(|entry| entry.records = vec![entry.records[0].clone(); RECORDS_MAX + 1]),
            Err(EntryError::TooManyRecords { records: RECORDS_MAX + 1 })
        );
        let too_long = |result: Result<(), EntryError>| match result {
            Err(EntryError::TooLong { field, bytes, bytes_max }) if bytes == bytes_max + 1 => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(too_long(check(|e| e.agent.owner = "x".repeat(OWNER_BYTES_MAX + 1))), "owner");
        assert_eq!(too_long(check(|e| e.agent.role = "x".repeat(ROLE_BYTES_MAX + 1))), "role");
        assert_eq!(too_long(check(|e| e.agent.token = Some("x".repeat(TOKEN_BYTES_MAX + 1)))), "token id");
        assert_eq!(too_long(check(|e| e.on_behalf_of = Some("x".repeat(ON_BEHALF_OF_BYTES_MAX + 1)))), "on-behalf-of");
        assert_eq!(too_long(check(|e| e.query = Some("x".repeat(QUERY_BYTES_MAX + 1)))), "query");
        assert_eq!(too_long(check(|e| e.detail = Some("x".repeat(DETAIL_BYTES_MAX + 1)))), "detail");
        assert_eq!(too_long(check(|e| e.basis = Some("x".repeat(BASIS_BYTES_MAX + 1)))), "basis");
        assert_eq!(too_long(check(|e| e.account = Some("x".repeat(ACCOUNT_BYTES_MAX + 1)))), "account");
        assert_eq!(too_long(check(|e| e.session = Some("x".repeat(SESSION_BYTES_MAX + 1)))), "session");
        assert_eq!(too_long(check(|e| e.device = Some("x".repeat(DEVICE_BYTES_MAX + 1)))), "device");
        assert_eq!(check(|e| e.query = Some("x".repeat(QUERY_BYTES_MAX))), Ok(()));
    }
}
