//! The periodic review of accesses: what is looked at, by whom, until when, and what it came to.
//!
//! ```text
//!  begin ──> row with a seed, and its entry ──> Gathering <── entries of the period, oldest first
//!                                                  │ everything that must be looked at, and a sample that the seed draws
//!                                                  ▼
//!  decide, item by item <── reviewer <── finish: items, notice, entry ──> close
//! ```
//!
//! What it is: the rows, the drawing of the sample, and who may judge what. What it is not: it reads no ledger. Whoever reads it
//! hands the entries over, and is in the ledger for it. Rows: `docs/formats/identity.md`; rules: `docs/reviews.md`.
//!
//! # Why nobody chooses the sample
//!
//! The seed is random, and durable with its entry before the first access is looked at. A period of a scope has one review, whose id follows from
//! both: asking again gives the same seed. Which accesses are drawn follows from the seed and their numbers in the ledger, so that whoever has
//! the ledger can draw them again.

mod draw;
mod gather;
mod judge;
mod keep;
mod telling;

pub use draw::SampleRule;
pub use gather::Gathering;
pub use telling::{REVIEW_CSV_HEADER, item_csv, item_json, review_json};

use crate::account::{Account, invalid};
use crate::error::IdentityError;
use crate::id::AccountId;
use crate::rows::{Row, role_text};
use crate::secret::Hashed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use tacet_ledger::noted::Table;
use tacet_types::{Role, Timestamp};

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// Longest period of one review, in days.
pub const REVIEW_DAYS_MAX: i64 = 366;

/// Most items of one review. A period with more must be parted.
pub const REVIEW_ITEMS_MAX: usize = 20_000;

/// Most reviews that are kept for one establishment: a hundred years of months, several scopes each.
pub const ACCESS_REVIEWS_MAX: usize = 10_000;

/// Longest remark on an item or on a review, in bytes.
pub const REVIEW_COMMENT_BYTES_MAX: usize = 1000;

/// How long a reviewer has where nothing is said, in milliseconds: 30 days.
pub const REVIEW_DUE_MS: i64 = 30 * DAY_MS;

/// Longest time that a reviewer may be given, in milliseconds: 120 days.
const REVIEW_DUE_MS_MAX: i64 = 120 * DAY_MS;

/// Items in one row: with longest texts a row stays below its bound.
const CHUNK_ITEMS: usize = 16;

/// What is reviewed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The first moment of the period, in milliseconds since 1970: a midnight of UTC.
    pub from_ms: i64,
    /// The moment after the period: a midnight of UTC, not in the future.
    pub to_ms: i64,
    /// Only people and machines of this role.
    #[serde(default, with = "optional_role", skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Only this person: the name that entries give, or the id of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// How many of the accesses with a relation are drawn.
    pub rule: SampleRule,
    /// After how many days without use a right is dormant.
    pub dormant_days: u16,
    /// How many failed logins are passed over: more than these are an item.
    pub failed_logins: u32,
}

impl Terms {
    /// All of a period, by the proposed rules: 59 accesses of people, 90 days, 10 failed logins.
    pub fn of(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from_ms: from.as_ms(),
            to_ms: to.as_ms(),
            role: None,
            person: None,
            rule: SampleRule::FivePercent,
            dormant_days: 90,
            failed_logins: 10,
        }
    }

    fn check(&self, now: Timestamp) -> Result<(), IdentityError> {
        if self.from_ms.rem_euclid(DAY_MS) != 0 || self.to_ms.rem_euclid(DAY_MS) != 0 {
            return Err(invalid("period", "must begin and end with a day of UTC: give dates"));
        }
        let days = (self.to_ms.saturating_sub(self.from_ms)) / DAY_MS;
        if !(1..=REVIEW_DAYS_MAX).contains(&days) {
            return Err(invalid("period", "must have 1 to 366 days, and end after it begins"));
        }
        if self.to_ms > now.as_ms() {
            return Err(invalid("period", "must be over: what comes after the review would not be in it"));
        }
        let person = self.person.as_deref().unwrap_or("x");
        if person.is_empty() || person.len() > tacet_ledger::OWNER_BYTES_MAX {
            return Err(invalid("person", "must be 1 to 256 bytes"));
        }
        if self.dormant_days == 0 {
            return Err(invalid("dormant days", "must be at least one"));
        }
        Ok(())
    }

    /// The id of the review of this period and scope: by what rules is no part of it, so that nobody tries rules until a sample suits them.
    fn id(&self) -> String {
        let role = self.role.map_or("", Role::as_str);
        let person = self.person.as_deref().unwrap_or_default();
        let scope = format!("access review\n{}\n{}\n{role}\n{person}", self.from_ms, self.to_ms);
        Hashed::of(scope.as_bytes()).as_str().chars().take(24).collect()
    }

    fn has_role(&self, role: &str) -> bool {
        self.role.is_none_or(|wanted| wanted.as_str() == role)
    }

    fn has_person(&self, names: &[Option<&str>]) -> bool {
        self.person.as_deref().is_none_or(|person| names.contains(&Some(person)))
    }

    fn has_account(&self, account: &Account) -> bool {
        self.has_role(account.role.as_str()) && self.has_person(&[Some(&account.login), Some(account.id.as_str())])
    }

    /// The period in words.
    fn words(&self) -> String {
        let day = |ms| Timestamp::from_ms(ms).to_string().chars().take(10).collect::<String>();
        let mut words = format!("{} to {}", day(self.from_ms), day(self.to_ms));
        if let Some(role) = self.role {
            words += &format!(", role {role}");
        }
        if self.person.is_some() {
            words += ", one person";
        }
        words
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terms({})", self.words())
    }
}

/// Who judges.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewer {
    /// The account; none where nobody who may review has one, and the review is made at the command line.
    pub account: Option<AccountId>,
    /// The name that entries give.
    pub name: String,
}

/// How far a review is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewState {
    /// Its seed is drawn; the entries are being looked through.
    Preparing,
    /// Its items wait for the reviewer.
    Open,
    /// It is done.
    Closed,
}

impl ReviewState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// How a review ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewClosed {
    /// Who closed it.
    pub by: Reviewer,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What there is to say about it.
    pub text: String,
    /// Items by outcome.
    pub outcomes: BTreeMap<String, u64>,
}

/// A review, without its items.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessReview {
    /// Follows from period and scope.
    pub id: String,
    /// What is reviewed.
    pub terms: Terms,
    /// What draws the sample: 64 hexadecimal digits, as in its entry.
    pub seed: String,
    /// Which attempt to prepare it is the last: random.
    pub attempt: String,
    /// How far it is.
    pub state: ReviewState,
    /// Who judges.
    pub reviewer: Reviewer,
    /// Who had it prepared.
    pub prepared_by: String,
    /// When it was begun, in milliseconds since 1970.
    pub prepared_ms: i64,
    /// Until when it must be closed.
    pub due_ms: i64,
    /// How many items there are.
    pub items: usize,
    /// Items by section.
    pub sections: BTreeMap<String, u64>,
    /// Accesses of people from which the sample was drawn.
    pub accesses: u64,
    /// Accesses of machines from which theirs was drawn.
    pub machine_accesses: u64,
    /// Entries of the ledger that nobody can read any more, and that would be or may be of the period.
    pub untold: u64,
    /// How it ended.
    pub closed: Option<ReviewClosed>,
}

impl Row for AccessReview {
    const TABLE: Table = Table::AccessReviews;
    const WHAT: &'static str = "access reviews";
}

impl AccessReview {
    /// Whether it should have been closed and was not.
    pub fn overdue(&self, now: Timestamp) -> bool {
        self.state != ReviewState::Closed && now.as_ms() > self.due_ms
    }
}

impl fmt::Debug for AccessReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("AccessReview");
        out.field("id", &self.id).field("state", &self.state).field("items", &self.items).finish_non_exhaustive()
    }
}

/// Makes an enumeration with the names that rows, entries and answers use.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $name:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $type { $($(#[$variant_doc])* $name,)+ }

        impl $type {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The one of this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}
use named;

named! {
    /// Why something is in a review.
    Section {
        /// An emergency that was declared: all of them.
        BreakGlass = "break-glass",
        /// Accesses on no relation to the patient: all of them, one item for each person, patient and ground.
        WithoutRelation = "without-relation",
        /// Accesses on a relation that nobody but the person themselves wrote down: all of them, in the same way.
        SelfDeclared = "self-declared",
        /// What was copied out or printed: all of it, one item for each request.
        Export = "export",
        /// Accesses of people with a relation, drawn.
        Sample = "sample",
        /// Accesses of machines, drawn.
        MachineSample = "machine-sample",
        /// More failed logins than are passed over.
        FailedLogins = "failed-logins",
        /// An account that was not used for long and still has its right.
        DormantAccount = "dormant-account",
        /// A role whose holder was there and did nothing that the role is for.
        UnusedRole = "unused-role",
        /// A passkey that never opened a session.
        UnusedPasskey = "unused-passkey",
    }
}

named! {
    /// What an item came to.
    ItemOutcome {
        /// It was right, or the right stays.
        Justified = "justified",
        /// It was not right, or the right goes: others decide what follows.
        NotJustified = "not-justified",
        /// The person, or their superior, must be asked first. It may be judged later, also when the review is closed.
        ToBeAsked = "to-be-asked",
    }
}

/// One thing to judge.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewItem {
    /// Why it is there.
    pub section: Section,
    /// The account of whom it is about, where there is one.
    pub account: Option<String>,
    /// The name that entries give them.
    pub owner: String,
    /// The role then.
    pub role: String,
    /// Whose record: `Patient/..`.
    pub patient: Option<String>,
    /// When it was, or began, in milliseconds since 1970.
    pub first_ms: i64,
    /// When it was last.
    pub last_ms: i64,
    /// The number of its entry in the ledger, or of the first.
    pub entry: Option<u64>,
    /// How many entries it stands for.
    pub entries: u64,
    /// On which ground it was allowed.
    pub ground: Option<String>,
    /// What was done, or how things stand, in words.
    pub text: String,
    /// What it came to.
    pub judged: Option<ItemJudged>,
}

/// What an item came to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemJudged {
    /// Who judged.
    pub by: Reviewer,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The judgement.
    pub outcome: ItemOutcome,
    /// What there is to say about it.
    pub comment: String,
}

impl ReviewItem {
    /// Whether it is about this account or this name.
    fn is_about(&self, who: &Reviewer) -> bool {
        match (&self.account, &who.account) {
            (Some(about), Some(own)) => about == own.as_str(),
            _ => self.owner == who.name,
        }
    }

    /// Whether it is about what somebody saw or took, and not about how an account stands.
    fn is_access(&self) -> bool {
        match self.section {
            Section::BreakGlass
            | Section::WithoutRelation
            | Section::SelfDeclared
            | Section::Export
            | Section::Sample
            | Section::MachineSample => true,
            Section::FailedLogins | Section::DormantAccount | Section::UnusedRole | Section::UnusedPasskey => false,
        }
    }
}

impl fmt::Debug for ReviewItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReviewItem").field("section", &self.section).finish_non_exhaustive()
    }
}

/// Some items of a review, in one row.
#[derive(Serialize, Deserialize)]
struct Chunk {
    items: Vec<ReviewItem>,
}

impl Row for Chunk {
    const TABLE: Table = Table::AccessReviewItems;
    const WHAT: &'static str = "access reviews";
}

fn chunk_name(id: &str, chunk: usize) -> Vec<u8> {
    format!("{id}/{chunk:06}").into_bytes()
}

mod optional_role {
    use super::{Role, role_text};
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for this form")]
    pub(super) fn serialize<S: Serializer>(role: &Option<Role>, to: S) -> Result<S::Ok, S::Error> {
        match role {
            Some(role) => role_text::serialize(role, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Role>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else { return Ok(None) };
        Role::parse(&name).map(Some).ok_or_else(|| serde::de::Error::custom("not a role"))
    }
}
