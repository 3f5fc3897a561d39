//! Who is logged in, and what is remembered of them in what they gave to a client.

use serde::{Deserialize, Serialize};
use std::fmt;
use tacet_ledger::{Agent, Entry, EventKind, Origin, Outcome, PurposeOfUse};
use tacet_types::{OperationId, ResourceId, Role, Timestamp};

/// A person with a live session, as the caller knows them. Who calls has checked the session.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// The account's id.
    pub account: String,
    /// The session, where what is given is to end with it.
    pub session: Option<String>,
    /// Their role.
    pub role: Role,
    /// Who they are in FHIR, relative: `Practitioner/p1`, `Patient/x`.
    pub fhir_user: Option<String>,
    /// Their Practitioner, where they have one.
    pub practitioner: Option<ResourceId>,
    /// Whose records they may open as their own: themselves, their children.
    pub patients: Vec<ResourceId>,
    /// When they logged in.
    pub auth_time: Timestamp,
    /// How: the authentication context class.
    pub acr: String,
    /// Whether that counts as strong.
    pub strong: bool,
    /// Whether it is a supplier's session.
    pub supplier: bool,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({}, ..)", self.role)
    }
}

/// From where and for which request something is done, for the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// From where.
    pub origin: Origin,
    /// The request.
    pub operation: OperationId,
}

/// [`Person`] as it is written into rows.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) account: String,
    pub(crate) session: Option<String>,
    pub(crate) role: String,
    pub(crate) fhir_user: Option<String>,
    pub(crate) practitioner: Option<String>,
    pub(crate) patients: Vec<String>,
    pub(crate) auth_time_ms: i64,
    pub(crate) acr: String,
    pub(crate) strong: bool,
    pub(crate) supplier: bool,
}

impl From<&Person> for Holder {
    fn from(person: &Person) -> Self {
        Self {
            account: person.account.clone(),
            session: person.session.clone(),
            role: person.role.as_str().to_owned(),
            fhir_user: person.fhir_user.clone(),
            practitioner: person.practitioner.as_ref().map(|id| id.as_str().to_owned()),
            patients: person.patients.iter().map(|id| id.as_str().to_owned()).collect(),
            auth_time_ms: person.auth_time.as_ms(),
            acr: person.acr.clone(),
            strong: person.strong,
            supplier: person.supplier,
        }
    }
}

impl Holder {
    /// An entry of what was done in the name of this person: of their account, in the session in which they let the client in.
    pub(crate) fn entry(
        &self,
        at: Timestamp,
        kind: EventKind,
        asked: Asked,
        outcome: Outcome,
        detail: String,
    ) -> Entry {
        let mut entry = entry(at, kind, (&self.account, &self.role), asked, outcome, detail);
        entry.account = Some(self.account.clone());
        entry.session.clone_from(&self.session);
        entry
    }

    /// The person again. None where the row is not what was written.
    pub(crate) fn person(&self) -> Option<Person> {
        let id = |text: &String| ResourceId::parse(text).ok();
        Some(Person {
            account: self.account.clone(),
            session: self.session.clone(),
            role: Role::parse(&self.role)?,
            fhir_user: self.fhir_user.clone(),
            practitioner: match &self.practitioner {
                Some(text) => Some(id(text)?),
                None => None,
            },
            patients: self.patients.iter().map(id).collect::<Option<_>>()?,
            auth_time: Timestamp::from_ms(self.auth_time_ms),
            acr: self.acr.clone(),
            strong: self.strong,
            supplier: self.supplier,
        })
    }
}

/// An entry about clients and tokens. It names no record.
pub(crate) fn entry(
    at: Timestamp,
    kind: EventKind,
    (owner, role): (&str, &str),
    asked: Asked,
    outcome: Outcome,
    detail: String,
) -> Entry {
    let agent = Agent { owner: owner.to_owned(), role: role.to_owned(), token: None };
    let mut entry = Entry::new(at, kind, agent, PurposeOfUse::SystemAdministration, asked.operation);
    entry.origin = asked.origin;
    entry.outcome = outcome;
    entry.detail = Some(detail);
    entry
}
