//! Who does something here, and the ledger's entry of it.

use crate::error::IdentityError;
use crate::id::AccountId;
use tacet_ledger::{Agent, Channel, Entry, EventKind, Origin, PurposeOfUse};
use tacet_types::{OperationId, Role, Timestamp};

/// Who does something: a person with a session, a machine that provisions, or whoever stands at the command line.
#[derive(Clone)]
pub struct Actor {
    /// The account; none for a machine and the command line.
    pub account: Option<AccountId>,
    /// The name that entries give: the account's login, the token's owner.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The short id of the session or token.
    pub token: Option<String>,
    /// The short id of the device, where one was shown.
    pub device: Option<String>,
    /// From where.
    pub origin: Origin,
    /// The request.
    pub operation: OperationId,
    /// Whether a passkey was shown within the last minutes.
    pub fresh: bool,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Actor").field("role", &self.role).field("fresh", &self.fresh).finish_non_exhaustive()
    }
}

impl Actor {
    /// A machine that provisions accounts (SCIM, the hospital's directory), after its token was checked.
    pub fn machine(name: &str, token: Option<String>, origin: Origin, operation: OperationId) -> Self {
        Self {
            account: None,
            name: name.to_owned(),
            role: Role::Administrator,
            token,
            device: None,
            origin,
            operation,
            fresh: false,
        }
    }

    /// Whoever runs the program at the machine itself.
    pub fn command_line(name: &str, operation: OperationId) -> Self {
        let origin = Origin { address: None, channel: Channel::CommandLine };
        Self {
            account: None,
            name: name.to_owned(),
            role: Role::Operator,
            token: None,
            device: None,
            origin,
            operation,
            fresh: false,
        }
    }

    /// The account of a person: machines and the command line are none.
    pub(crate) fn person(&self) -> Result<&AccountId, IdentityError> {
        self.account.as_ref().ok_or(IdentityError::Role(self.role))
    }

    /// Refuses who did not show a passkey within the last minutes.
    pub(crate) fn require_fresh(&self) -> Result<(), IdentityError> {
        if self.fresh { Ok(()) } else { Err(IdentityError::StepUp) }
    }

    /// The same, but for what concerns one's own account. Machines and the command line have no passkey to show: their rights are their own.
    pub(crate) fn require_fresh_for(&self, account: &AccountId) -> Result<(), IdentityError> {
        match &self.account {
            Some(own) if own != account => self.require_fresh(),
            _ => Ok(()),
        }
    }

    /// Refuses who does not keep accounts.
    pub(crate) fn require_administrator(&self) -> Result<(), IdentityError> {
        if self.role.may_keep_accounts() { Ok(()) } else { Err(IdentityError::Role(self.role)) }
    }

    /// An entry of what this actor did.
    pub(crate) fn entry(&self, at: Timestamp, kind: EventKind, detail: String) -> Entry {
        let agent = Agent { owner: self.name.clone(), role: self.role.as_str().to_owned(), token: self.token.clone() };
        let mut entry = Entry::new(at, kind, agent, PurposeOfUse::SystemAdministration, self.operation);
        entry.origin = self.origin;
        entry.account = self.account.as_ref().map(|account| account.as_str().to_owned());
        // What a person shows is a session.
        entry.session = self.token.clone().filter(|_| self.account.is_some());
        entry.device.clone_from(&self.device);
        entry.detail = Some(detail);
        entry
    }
}
