//! An account of a person: its row, and what may stand in it.

use crate::error::IdentityError;
use crate::id::AccountId;
use crate::rows::{Row, role_text};
use crate::secret::Hashed;
use serde::{Deserialize, Serialize};
use std::fmt;
use tacet_ledger::noted::Table;
use tacet_types::{ResourceId, Role, Timestamp};

/// Longest login, in bytes.
pub const LOGIN_BYTES_MAX: usize = 128;

/// Longest display name, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// Longest id that an outside directory gives, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 256;

/// Most patients that one account may act for.
pub const PATIENTS_MAX: usize = 16;

/// Most passkeys of one account.
pub const PASSKEYS_MAX: usize = 10;

/// Most sessions of one account at a time: another one ends the oldest.
pub const SESSIONS_MAX: usize = 8;

/// Whether an account may log in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody enrolled a passkey yet, or again after a recovery.
    Pending,
    /// In use.
    Active,
    /// Stopped for now: no login, no session.
    Suspended,
    /// Ended for good.
    Closed,
}

impl State {
    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }
}

/// When a supplier's account may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From when, in milliseconds since 1970.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

impl Window {
    /// Whether it is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        (self.from_ms..self.until_ms).contains(&now.as_ms())
    }
}

/// What an administrator fills in for a new account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The login: compared without regard to case.
    pub login: String,
    /// The name that others read.
    pub display: String,
    /// The role.
    #[serde(with = "role_text")]
    pub role: Role,
    /// The logical id of the person's Practitioner: only for roles that see records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner: Option<String>,
    /// Whose records: the logical ids of Patients. Only for the role patient.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// The person's id in the hospital's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether it is a supplier's: it may be used in windows that a second person allows.
    #[serde(default)]
    pub supplier: bool,
    /// When the person leaves, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<i64>,
}

impl Draft {
    /// A draft with what is always needed.
    pub fn new(login: &str, display: &str, role: Role) -> Self {
        Self {
            login: login.to_owned(),
            display: display.to_owned(),
            role,
            practitioner: None,
            patients: Vec::new(),
            external_id: None,
            supplier: false,
            ends_ms: None,
        }
    }

    /// Checks it, with the login in its compared form.
    ///
    /// # Errors
    /// The first field that does not hold.
    pub fn checked(mut self) -> Result<Self, IdentityError> {
        self.login = login_form(&self.login)?;
        check_display(&self.display)?;
        check_external_id(self.external_id.as_deref())?;
        check_links(self.role, self.practitioner.as_deref(), &self.patients)?;
        if self.role.is_of_machines() {
            return Err(invalid("role", "is for machines: make a token or register a client"));
        }
        Ok(self)
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("role", &self.role).finish_non_exhaustive()
    }
}

/// An account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What authenticators know it by: random, 32 hexadecimal digits.
    pub handle: String,
    /// The login, in lower case. What entries of the ledger name.
    pub login: String,
    /// The name that others read.
    pub display: String,
    /// The role.
    #[serde(with = "role_text")]
    pub role: Role,
    /// Whether it may log in.
    pub state: State,
    /// The person's Practitioner.
    pub practitioner: Option<String>,
    /// Whose records it may see as a patient or guardian.
    pub patients: Vec<String>,
    /// The person's id in the hospital's directory.
    pub external_id: Option<String>,
    /// Whether it is a supplier's.
    pub supplier: bool,
    /// When a supplier may use it.
    pub window: Option<Window>,
    /// When the person leaves.
    pub ends_ms: Option<i64>,
    /// When it was made.
    pub created_ms: i64,
    /// When it was changed last, other than by a login.
    pub changed_ms: i64,
    /// The last login.
    pub used_ms: Option<i64>,
    /// Failed tries since the last login or lock.
    pub failed: u32,
    /// Until when no try is accepted.
    pub locked_until_ms: Option<i64>,
    /// Whether the directory (and not a person) suspended it.
    pub suspended_by_feed: bool,
    /// Its passkeys, by the hash of the credential.
    pub(crate) passkeys: Vec<Hashed>,
    /// Its sessions, by the hash of the secret, oldest first.
    pub(crate) sessions: Vec<Hashed>,
}

impl Row for Account {
    const TABLE: Table = Table::Accounts;
    const WHAT: &'static str = "accounts";
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Account");
        out.field("id", &self.id).field("role", &self.role).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Account {
    pub(crate) fn of(draft: Draft, id: AccountId, handle: String, now: Timestamp) -> Self {
        Self {
            id,
            handle,
            login: draft.login,
            display: draft.display,
            role: draft.role,
            state: State::Pending,
            practitioner: draft.practitioner,
            patients: draft.patients,
            external_id: draft.external_id,
            supplier: draft.supplier,
            window: None,
            ends_ms: draft.ends_ms,
            created_ms: now.as_ms(),
            changed_ms: now.as_ms(),
            used_ms: None,
            failed: 0,
            locked_until_ms: None,
            suspended_by_feed: false,
            passkeys: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// How many passkeys it has.
    pub fn passkeys(&self) -> usize {
        self.passkeys.len()
    }

    /// Until when it is locked, if it is.
    pub fn locked(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until_ms.map(Timestamp::from_ms).filter(|until| now < *until)
    }

    /// Whether sessions of it count at `now`, apart from a lock: active, not past its end, a supplier's within the window.
    pub fn usable(&self, now: Timestamp) -> bool {
        self.state == State::Active
            && self.ends_ms.is_none_or(|end| now.as_ms() < end)
            && (!self.supplier || self.window.is_some_and(|window| window.is_open(now)))
    }

    /// When it stops being usable by itself, where that is known.
    pub(crate) fn usable_until_ms(&self) -> Option<i64> {
        let window = self.window.filter(|_| self.supplier).map(|window| window.until_ms);
        [self.ends_ms, window].into_iter().flatten().min()
    }

    /// The linked Practitioner.
    pub fn practitioner_id(&self) -> Option<ResourceId> {
        self.practitioner.as_deref().and_then(|id| ResourceId::parse(id).ok())
    }

    /// The linked Patients.
    pub fn patient_ids(&self) -> Vec<ResourceId> {
        self.patients.iter().filter_map(|id| ResourceId::parse(id).ok()).collect()
    }

    pub(crate) fn refuse_closed(&self) -> Result<(), IdentityError> {
        if self.state == State::Closed { Err(IdentityError::State("closed")) } else { Ok(()) }
    }
}

/// The refusal of a field.
pub(crate) fn invalid(field: &'static str, problem: &'static str) -> IdentityError {
    IdentityError::Invalid { field, problem }
}

/// A login in the form in which it is kept and compared.
///
/// # Errors
/// What is empty, too long, or holds control characters or white space.
pub fn login_form(login: &str) -> Result<String, IdentityError> {
    let login = login.trim().to_lowercase();
    let odd = |letter: char| letter.is_control() || letter.is_whitespace();
    if login.is_empty() || login.len() > LOGIN_BYTES_MAX || login.chars().any(odd) {
        return Err(invalid("login", "must be 1 to 128 bytes without white space"));
    }
    Ok(login)
}

pub(crate) fn check_display(display: &str) -> Result<(), IdentityError> {
    if display.trim().is_empty() || display.len() > NAME_BYTES_MAX || display.chars().any(char::is_control) {
        return Err(invalid("display name", "must be 1 to 200 bytes without control characters"));
    }
    Ok(())
}

pub(crate) fn check_external_id(id: Option<&str>) -> Result<(), IdentityError> {
    let odd = |id: &str| id.is_empty() || id.len() > EXTERNAL_ID_BYTES_MAX || id.chars().any(char::is_control);
    if id.is_some_and(odd) { Err(invalid("external id", "must be 1 to 256 bytes")) } else { Ok(()) }
}

/// Administering is not reading: who administers has no link to care, who is a patient no link to staff.
pub(crate) fn check_links(role: Role, practitioner: Option<&str>, patients: &[String]) -> Result<(), IdentityError> {
    if practitioner.is_some() && (!role.may_read_records() || role == Role::Patient) {
        return Err(invalid("practitioner", "is only for roles of care: this role has no link to care"));
    }
    if !patients.is_empty() && role != Role::Patient {
        return Err(invalid("patients", "are only for the role patient"));
    }
    if role == Role::Patient && patients.is_empty() {
        return Err(invalid("patients", "must name at least one: the role patient sees nothing else"));
    }
    if patients.len() > PATIENTS_MAX {
        return Err(invalid("patients", "may be 16 at most"));
    }
    let ids = practitioner.into_iter().chain(patients.iter().map(String::as_str));
    for id in ids {
        ResourceId::parse(id).map_err(|_| invalid("practitioner or patients", "must be logical ids"))?;
    }
    Ok(())
}

/// A row that says which account a login, an outside id or a practitioner belongs to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Owned {
    pub(crate) account: AccountId,
}

impl Row for Owned {
    const TABLE: Table = Table::Provisioned;
    const WHAT: &'static str = "logins";
}

/// The names of the rows that hold an account's place, so that no two have the same. Outside ids are hashed: they may be long.
pub(crate) fn places(account: &Account) -> Vec<(&'static str, Vec<u8>)> {
    let place = |kind: &'static str, of: &str| (kind, format!("{kind}/{}", Hashed::of(of.as_bytes()).as_str()).into());
    let mut places = vec![place("login", &account.login)];
    places.extend(account.external_id.as_deref().map(|id| place("external id", id)));
    places.extend(account.practitioner.as_deref().map(|id| place("practitioner", id)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_is_on_both_sides() {
        for role in Role::ALL {
            let mut draft = Draft::new("a", "A", role);
            draft.practitioner = Some("pr1".into());
            let allowed = draft.clone().checked().is_ok();
            let care = role.may_read_records() && !matches!(role, Role::Patient | Role::Integrator);
            assert_eq!(allowed, care, "{role}");
            draft.practitioner = None;
            draft.patients = vec!["p1".into()];
            assert_eq!(draft.checked().is_ok(), role == Role::Patient, "{role}");
        }
    }

    #[test]
    fn fields_are_bounded() {
        let good = Draft::new(" A.Aubrac@Hospital.example ", "Dr Aubrac", Role::Clinician).checked().unwrap();
        assert_eq!(good.login, "a.aubrac@hospital.example");
        for login in ["", " ", "a b", "a\u{7}b", &"x".repeat(129)] {
            assert!(Draft::new(login, "A", Role::Nurse).checked().is_err(), "{login}");
        }
        for display in ["", " ", "a\nb", &"x".repeat(201)] {
            assert!(Draft::new("a", display, Role::Nurse).checked().is_err());
        }
        let mut draft = Draft::new("a", "A", Role::Nurse);
        draft.external_id = Some("x".repeat(257));
        assert!(draft.clone().checked().is_err());
        draft.external_id = None;
        draft.practitioner = Some("no/id".into());
        assert!(draft.checked().is_err());
        assert!(Draft::new("a", "A", Role::Patient).checked().is_err());
        let mut many = Draft::new("a", "A", Role::Patient);
        many.patients = vec!["p".into(); PATIENTS_MAX + 1];
        assert!(many.checked().is_err());
    }
}
