//! Rows that two parts write: a break-glass (declared by the vault, reviewed by `identity`) and a notice to people.
//!
//! They are kept by [`crate::noted::NotedRows`] in [`Table::BreakGlass`](crate::noted::Table::BreakGlass) and
//! [`Table::Notices`](crate::noted::Table::Notices), each under its id as text. A value is JSON with a version; times are milliseconds since 1970.
//! What a row may mean is not decided here. Fields: `docs/formats/identity.md`.

use serde::{Deserialize, Serialize};
use std::fmt;
use tacet_types::{Redacted, ResourceId, Rng, Timestamp};

/// The version of both rows' form.
pub const PEOPLE_ROW_VERSION: u16 = 1;

/// How long after its beginning a break-glass must have been reviewed: 72 hours, in milliseconds.
pub const REVIEW_WITHIN_MS: i64 = 72 * 3_600_000;

/// Longest text that a person gives (a reason, a remark of a review), in bytes.
pub const PEOPLE_TEXT_BYTES_MAX: usize = 2000;

/// Most accounts that are remembered to have seen one notice.
pub const SEEN_MAX: usize = 64;

/// Why a row cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PeopleRowError {
    /// It was written by a later program.
    #[error("this row has version {0}, which a later program wrote: use that program")]
    Version(u16),
    /// It is not such a row.
    #[error("this is no such row: run `tacet check`")]
    Malformed,
}

/// A break-glass: who reached past the ordinary rights, to whose record, why and until when; and its review.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRow {
    /// [`PEOPLE_ROW_VERSION`].
    pub version: u16,
    /// Random; also the row's name.
    pub id: String,
    /// The account that declared it: its id, or the owner of a token.
    pub account: String,
    /// The name that the ledger's entries give the account.
    pub owner: String,
    /// The account's role then.
    pub role: String,
    /// The logical id of the Patient.
    pub patient: String,
    /// Code of the reason.
    pub reason: String,
    /// The reason in words, at most [`PEOPLE_TEXT_BYTES_MAX`] bytes.
    pub text: String,
    /// When it was declared.
    pub from_ms: i64,
    /// When it ends by itself.
    pub until_ms: i64,
    /// When it was ended before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// The approval that made it longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_by: Option<String>,
    /// What its review came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<BreakGlassReview>,
}

/// What the review of a break-glass came to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassReview {
    /// The account of the security officer.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// The judgement.
    pub outcome: ReviewOutcome,
    /// What there is to say about it, at most [`PEOPLE_TEXT_BYTES_MAX`] bytes.
    pub text: String,
}

/// The judgement of a review.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewOutcome {
    /// It was needed.
    Justified,
    /// It was needed, but declared or used badly.
    JustifiedWithRemark,
    /// It was not needed: others decide what follows.
    Unjustified,
}

impl ReviewOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Justified, Self::JustifiedWithRemark, Self::Unjustified];

    /// Its name in rows, entries and forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::JustifiedWithRemark => "justified-with-remark",
            Self::Unjustified => "unjustified",
        }
    }

    /// The outcome of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

impl BreakGlassRow {
    /// A declaration under a new random id, not reviewed.
    #[expect(clippy::too_many_arguments, reason = "a declaration has this many parts, and each is a text")]
    pub fn declared(
        rng: &dyn Rng,
        account: &str,
        owner: &str,
        role: &str,
        patient: &ResourceId,
        reason: &str,
        text: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Self {
        Self {
            version: PEOPLE_ROW_VERSION,
            id: ResourceId::random(rng).as_str().to_owned(),
            account: account.to_owned(),
            owner: owner.to_owned(),
            role: role.to_owned(),
            patient: patient.as_str().to_owned(),
            reason: reason.to_owned(),
            text: text.to_owned(),
            from_ms: from.as_ms(),
            until_ms: until.as_ms(),
            ended_ms: None,
            extended_by: None,
            review: None,
        }
    }

    /// Whether it lifts anything at `now`.
    pub fn in_force(&self, now: Timestamp) -> bool {
        let now = now.as_ms();
        self.from_ms <= now && now < self.ended_ms.unwrap_or(i64::MAX).min(self.until_ms)
    }

    /// When its review is due.
    pub fn review_due(&self) -> Timestamp {
        Timestamp::from_ms(self.from_ms.saturating_add(REVIEW_WITHIN_MS))
    }

    /// Whether it should have been reviewed and was not.
    pub fn overdue(&self, now: Timestamp) -> bool {
        self.review.is_none() && now > self.review_due()
    }

    /// The row's value.
    ///
    /// # Errors
    /// [`PeopleRowError::Malformed`] where it cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, PeopleRowError> {
        encode(self)
    }

    /// Reads a row's value.
    ///
    /// # Errors
    /// What is no such row, or one of a later version.
    pub fn decode(value: &[u8]) -> Result<Self, PeopleRowError> {
        decode(value)
    }
}

impl fmt::Debug for BreakGlassRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakGlassRow")
            .field("id", &self.id)
            .field("patient", &Redacted::new(()))
            .field("reviewed", &self.review.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BreakGlassReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakGlassReview").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// Whom a notice is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NoticeTo {
    /// Everybody of this role, by its name: `security-officer`.
    Role(String),
    /// One account, by its id.
    Account(String),
    /// The record of this Patient: shown to the patient.
    Patient(String),
}

/// What a notice is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// A break-glass was declared; `about` is its id.
    BreakGlass,
    /// A break-glass was made longer; `about` is its id.
    BreakGlassExtended,
    /// The review of a break-glass is overdue; `about` is its id.
    ReviewOverdue,
    /// An access review was given to this account; `about` is its id.
    AccessReviewAssigned,
    /// An access review is overdue; `about` is its id.
    AccessReviewOverdue,
    /// A passkey's counter went back: it may have been copied; `about` is the account's id.
    PasskeyCopied,
    /// An account was locked after too many failed tries; `about` is its id.
    LockedOut,
    /// Somebody asks for a second person; `about` is the approval's id.
    ApprovalAsked,
    /// An account got new passkeys after a recovery; `about` is its id.
    Recovered,
    /// An account was made at the command line by who stands there, as one of the first; `about` is its id, the text its role.
    FirstAccount,
    /// The store was locked; `about` is the lockdown's id, the text its level and who.
    Locked,
    /// A lockdown was lifted; `about` is its id.
    LockdownLifted,
    /// Something looked like an attack on the store; `about` is what kind of thing, the text what was seen.
    Tripwire,
    /// A drill was held and did not pass; `about` is its name, the text what came of it.
    DrillFailed,
    /// Something else, as the text says.
    Other,
}

/// A notice to people.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeRow {
    /// [`PEOPLE_ROW_VERSION`].
    pub version: u16,
    /// Random; also the row's name.
    pub id: String,
    /// When.
    pub at_ms: i64,
    /// For whom.
    pub to: NoticeTo,
    /// About what.
    pub kind: NoticeKind,
    /// The id of what it is about.
    pub about: String,
    /// More in words, without clinical content; at most [`PEOPLE_TEXT_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Who marked it as seen, and when. At most [`SEEN_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
}

/// Who saw a notice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The account's id.
    pub by: String,
    /// When.
    pub at_ms: i64,
}

impl NoticeRow {
    /// A notice under a new random id, seen by nobody.
    pub fn new(rng: &dyn Rng, at: Timestamp, to: NoticeTo, kind: NoticeKind, about: &str, text: &str) -> Self {
        Self {
            version: PEOPLE_ROW_VERSION,
            id: ResourceId::random(rng).as_str().to_owned(),
            at_ms: at.as_ms(),
            to,
            kind,
            about: about.to_owned(),
            text: text.to_owned(),
            seen: Vec::new(),
        }
    }

    /// The row's value.
    ///
    /// # Errors
    /// [`PeopleRowError::Malformed`] where it cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, PeopleRowError> {
        encode(self)
    }

    /// Reads a row's value.
    ///
    /// # Errors
    /// What is no such row, or one of a later version.
    pub fn decode(value: &[u8]) -> Result<Self, PeopleRowError> {
        decode(value)
    }
}

impl fmt::Debug for NoticeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoticeRow").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for NoticeTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "Role({role})"),
            Self::Account(_) => f.write_str("Account(..)"),
            Self::Patient(_) => f.write_str("Patient(..)"),
        }
    }
}

/// The version alone, so that a row of a later program is told from a damaged one.
#[derive(Deserialize)]
struct Version {
    version: u16,
}

fn encode(row: &impl Serialize) -> Result<Vec<u8>, PeopleRowError> {
    serde_json::to_vec(row).map_err(|_| PeopleRowError::Malformed)
}

fn decode<'de, T: Deserialize<'de>>(value: &'de [u8]) -> Result<T, PeopleRowError> {
    let Version { version } = serde_json::from_slice(value).map_err(|_| PeopleRowError::Malformed)?;
    if version != PEOPLE_ROW_VERSION {
        return Err(PeopleRowError::Version(version));
    }
    serde_json::from_slice(value).map_err(|_| PeopleRowError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    fn row() -> BreakGlassRow {
        let from = Timestamp::from_ms(1_000_000);
        let patient = ResourceId::parse("p1").unwrap();
        BreakGlassRow::declared(
            &SeededRng::new(1),
            "a1",
            "Dr Aubrac",
            "clinician",
            &patient,
            "emergency",
            "found unconscious",
            from,
            from.plus_ms(3_600_000),
        )
    }

    #[test]
    fn rows_go_round_and_print_nothing() {
        let mut row = row();
        assert_eq!(BreakGlassRow::decode(&row.encode().unwrap()).unwrap(), row);
        for outcome in ReviewOutcome::ALL {
            assert_eq!(ReviewOutcome::parse(outcome.as_str()), Some(outcome));
            row.review = Some(BreakGlassReview { by: "s1".into(), at_ms: 5, outcome, text: "so".into() });
            let value = row.encode().unwrap();
            assert!(String::from_utf8(value.clone()).unwrap().contains(&format!("\"{}\"", outcome.as_str())));
            assert_eq!(BreakGlassRow::decode(&value).unwrap(), row);
        }
        assert!(!format!("{row:?}").contains("Aubrac") && !format!("{row:?}").contains("p1"));
        for to in [NoticeTo::Role("security-officer".into()), NoticeTo::Patient("p1".into())] {
            let at = Timestamp::from_ms(7);
            let mut notice = NoticeRow::new(&SeededRng::new(2), at, to, NoticeKind::BreakGlass, &row.id, "");
            notice.seen.push(Seen { by: "s1".into(), at_ms: 9 });
            assert_eq!(NoticeRow::decode(&notice.encode().unwrap()).unwrap(), notice);
            assert!(!format!("{notice:?} {:?}", notice.to).contains("p1"));
        }
    }

    #[test]
    fn a_row_of_a_later_program_and_a_damaged_one_are_told_apart() {
        let mut later = row();
        later.version = 2;
        assert!(matches!(BreakGlassRow::decode(&later.encode().unwrap()), Err(PeopleRowError::Version(2))));
        for bytes in [b"".as_slice(), b"{}", b"{\"version\":1}", b"[1]", b"{\"version\":1,\"id\":\"x\",\"more\":1}"] {
            assert!(matches!(BreakGlassRow::decode(bytes), Err(PeopleRowError::Malformed)));
            assert!(matches!(NoticeRow::decode(bytes), Err(PeopleRowError::Malformed)));
        }
    }

    #[test]
    fn a_break_glass_ends_and_its_review_falls_due() {
        let mut row = row();
        let from = Timestamp::from_ms(row.from_ms);
        assert!(row.in_force(from) && !row.in_force(from.plus_ms(-1)));
        assert!(row.in_force(from.plus_ms(3_599_999)) && !row.in_force(from.plus_ms(3_600_000)));
        row.ended_ms = Some(row.from_ms + 10);
        assert!(row.in_force(from.plus_ms(9)) && !row.in_force(from.plus_ms(10)));
        assert!(!row.overdue(from.plus_ms(REVIEW_WITHIN_MS)) && row.overdue(from.plus_ms(REVIEW_WITHIN_MS + 1)));
        let outcome = ReviewOutcome::Justified;
        row.review = Some(BreakGlassReview { by: "s1".into(), at_ms: 0, outcome, text: String::new() });
        assert!(!row.overdue(from.plus_ms(REVIEW_WITHIN_MS + 1)));
    }
}
