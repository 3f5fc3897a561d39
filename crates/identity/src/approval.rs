//! What needs a second person: kinds, who asks, who decides; and the row of a request.

use crate::account::{Draft, Window, check_display, check_links, invalid, login_form};
use crate::error::IdentityError;
use crate::id::{AccountId, ApprovalId};
use crate::rows::{Row, role_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use tacet_ledger::noted::Table;
use tacet_ledger::one_line;
use tacet_types::{Role, Timestamp};

/// Longest ticket, in bytes.
pub const TICKET_BYTES_MAX: usize = 100;

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1000;

/// Longest text of an act that another part carries out, in bytes.
pub const ACT_BYTES_MAX: usize = 1000;

/// Most accounts that an act may benefit by name.
pub const BENEFICIARIES_MAX: usize = 20;

/// What needs a second person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A new account, or an invitation for one that the directory made.
    NewAccount,
    /// Another role for an account.
    RoleChange,
    /// A right over the whole store: a machine's token, a wide scope.
    BroadRights,
    /// A copy of many records.
    BulkExport,
    /// New passkeys for who lost theirs.
    Recovery,
    /// Other policies or settings of access.
    PolicyChange,
    /// The erasure of a patient.
    Erasure,
    /// A window in which a supplier may log in.
    SupplierSession,
    /// A client of the authorization server.
    ClientRegistration,
    /// The end of a lockdown.
    LiftLockdown,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::NewAccount,
        Self::RoleChange,
        Self::BroadRights,
        Self::BulkExport,
        Self::Recovery,
        Self::PolicyChange,
        Self::Erasure,
        Self::SupplierSession,
        Self::ClientRegistration,
        Self::LiftLockdown,
    ];

    /// Its name in rows, entries and forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewAccount => "new-account",
            Self::RoleChange => "role-change",
            Self::BroadRights => "broad-rights",
            Self::BulkExport => "bulk-export",
            Self::Recovery => "recovery",
            Self::PolicyChange => "policy-change",
            Self::Erasure => "erasure",
            Self::SupplierSession => "supplier-session",
            Self::ClientRegistration => "client-registration",
            Self::LiftLockdown => "lift-lockdown",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether this role may ask.
    pub fn may_ask(self, role: Role) -> bool {
        match self {
            Self::NewAccount | Self::RoleChange | Self::Recovery | Self::SupplierSession | Self::ClientRegistration => {
                role == Role::Administrator
            }
            Self::BroadRights | Self::PolicyChange | Self::LiftLockdown => {
                matches!(role, Role::Administrator | Role::Operator | Role::SecurityOfficer)
            }
            Self::Erasure => matches!(role, Role::Administrator | Role::Operator),
            Self::BulkExport => {
                matches!(role, Role::Administrator | Role::Operator)
                    || (role.may_read_records() && role != Role::Patient)
            }
        }
    }

    /// Whether this role may decide. Nobody who sees records decides on anything.
    pub fn may_decide(self, role: Role) -> bool {
        match self {
            Self::NewAccount | Self::RoleChange | Self::Recovery | Self::SupplierSession | Self::ClientRegistration => {
                matches!(role, Role::Administrator | Role::SecurityOfficer)
            }
            Self::BroadRights | Self::PolicyChange | Self::BulkExport => {
                matches!(role, Role::SecurityOfficer | Role::Auditor)
            }
            // Whoever locked the store without need is one of these: any two others lift that.
            Self::LiftLockdown => matches!(role, Role::Administrator | Role::SecurityOfficer | Role::Auditor),
            Self::Erasure => role == Role::Auditor,
        }
    }
}

/// What exactly is asked for. Acts on accounts are carried out with the decision, in the same commit; others by whoever asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Makes an account and an invitation for it.
    NewAccount(Draft),
    /// Makes an invitation for an account that nobody enrolled for yet.
    Invite(AccountId),
    /// Gives an account another role, with the links that go with it. Its sessions end.
    Role {
        /// Which account.
        account: AccountId,
        /// The new role.
        #[serde(with = "role_text")]
        role: Role,
        /// The Practitioner, for roles of care.
        practitioner: Option<String>,
        /// The Patients, for the role patient.
        patients: Vec<String>,
    },
    /// Removes the passkeys of an account, ends its sessions and makes an invitation.
    Recovery(AccountId),
    /// Lets a supplier's account be used for a while.
    Supplier {
        /// Which account.
        account: AccountId,
        /// When.
        window: Window,
    },
    /// Something that another part does when the approval is used.
    Other {
        /// Its kind.
        kind: Kind,
        /// What exactly, in a text that the other part makes from its own parameters: the approval holds for this text only.
        text: String,
        /// Accounts that it benefits beside who asks.
        beneficiaries: Vec<AccountId>,
    },
}

impl Act {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NewAccount(_) | Self::Invite(_) => Kind::NewAccount,
            Self::Role { .. } => Kind::RoleChange,
            Self::Recovery(_) => Kind::Recovery,
            Self::Supplier { .. } => Kind::SupplierSession,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// The accounts whose holders gain by it: they neither ask nor decide.
    pub fn beneficiaries(&self) -> &[AccountId] {
        match self {
            Self::NewAccount(_) => &[],
            Self::Invite(account)
            | Self::Role { account, .. }
            | Self::Recovery(account)
            | Self::Supplier { account, .. } => std::slice::from_ref(account),
            Self::Other { beneficiaries, .. } => beneficiaries,
        }
    }

    pub(crate) fn checked(self) -> Result<Self, IdentityError> {
        match self {
            Self::NewAccount(draft) => Ok(Self::NewAccount(draft.checked()?)),
            Self::Role { role, .. } if role.is_of_machines() => {
                Err(invalid("role", "is for machines: make a token or register a client"))
            }
            Self::Role { account, role, practitioner, patients } => {
                check_links(role, practitioner.as_deref(), &patients)?;
                Ok(Self::Role { account, role, practitioner, patients })
            }
            Self::Supplier { account, window } if window.from_ms < window.until_ms => {
                Ok(Self::Supplier { account, window })
            }
            Self::Supplier { .. } => Err(invalid("window", "must end after it begins")),
            Self::Other { kind, text, beneficiaries } => {
                let own = [Kind::NewAccount, Kind::RoleChange, Kind::Recovery, Kind::SupplierSession];
                if own.contains(&kind) {
                    return Err(invalid("kind", "has an act of its own: ask for that"));
                }
                if text.trim().is_empty() || text.len() > ACT_BYTES_MAX {
                    return Err(invalid("act", "must be 1 to 1000 bytes"));
                }
                if beneficiaries.len() > BENEFICIARIES_MAX {
                    return Err(invalid("beneficiaries", "may be 20 at most"));
                }
                Ok(Self::Other { kind, text, beneficiaries })
            }
            other => Ok(other),
        }
    }

    /// The act in a few words for an entry, without names of people.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::NewAccount(draft) => format!("new account of role {}", draft.role),
            Self::Invite(account) => format!("invitation for account {account}"),
            Self::Role { account, role, .. } => format!("role {role} for account {account}"),
            Self::Recovery(account) => format!("recovery of account {account}"),
            Self::Supplier { account, window } => {
                format!("supplier account {account} until {}", Timestamp::from_ms(window.until_ms))
            }
            Self::Other { kind, text, .. } => format!("{}: {text}", kind.as_str()),
        }
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Act({})", self.kind().as_str())
    }
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What is asked for.
    pub act: Act,
    /// The ticket that it belongs to.
    pub ticket: String,
    /// Why.
    pub reason: String,
    /// When what is allowed ends. Held to the longest time that the settings allow.
    pub end: Timestamp,
    /// Whether it may be used again until then; otherwise once. Only for acts that another part carries out; never for a copy that a person
    /// of care takes away, nor for other rules.
    pub until_end: bool,
}

impl Request {
    pub(crate) fn checked(mut self, now: Timestamp, ms_max: i64) -> Result<Self, IdentityError> {
        self.act = self.act.checked()?;
        (self.ticket, self.reason) = (one_line(&self.ticket), one_line(&self.reason));
        if self.ticket.is_empty() || self.ticket.len() > TICKET_BYTES_MAX {
            return Err(invalid("ticket", "must be 1 to 100 bytes"));
        }
        if self.reason.is_empty() || self.reason.len() > REASON_BYTES_MAX {
            return Err(invalid("reason", "must be 1 to 1000 bytes"));
        }
        if self.end <= now {
            return Err(invalid("end", "must be in the future"));
        }
        self.end = self.end.min(now.plus_ms(ms_max));
        Ok(self)
    }
}

/// Who asked or decided.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// The account; none for a machine that provisions.
    pub account: Option<AccountId>,
    /// The name then.
    pub name: String,
    /// The role then.
    #[serde(with = "role_text")]
    pub role: Role,
    /// When.
    pub at_ms: i64,
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Who").field("role", &self.role).finish_non_exhaustive()
    }
}

/// What was decided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// By whom.
    pub by: Who,
    /// Whether it is allowed.
    pub allowed: bool,
    /// What there is to say about it.
    pub remark: String,
}

/// A request for a second person, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What is asked for.
    pub act: Act,
    /// Who asked.
    pub asked: Who,
    /// The ticket.
    pub ticket: String,
    /// Why.
    pub reason: String,
    /// Until when somebody must decide.
    pub pending_until_ms: i64,
    /// When what is allowed ends.
    pub end_ms: i64,
    /// Whether it may be used again until then.
    pub until_end: bool,
    /// What was decided.
    pub decision: Option<Decision>,
    /// Who asked took it back.
    pub withdrawn_ms: Option<i64>,
    /// When it was used first.
    pub used_ms: Option<i64>,
    /// The account that it made or concerns, for acts on accounts.
    pub account: Option<AccountId>,
}

impl Row for Approval {
    const TABLE: Table = Table::Approvals;
    const WHAT: &'static str = "approvals";
}

impl Approval {
    /// Whether somebody may still decide.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.decision.is_none() && self.withdrawn_ms.is_none() && now.as_ms() < self.pending_until_ms
    }

    /// Where it stands, in a word.
    pub fn standing(&self, now: Timestamp) -> &'static str {
        match &self.decision {
            _ if self.withdrawn_ms.is_some() => "withdrawn",
            None if now.as_ms() < self.pending_until_ms => "pending",
            None => "not decided in time",
            Some(decision) if !decision.allowed => "refused",
            Some(_) if self.used_ms.is_some() && !self.until_end => "used",
            Some(_) if now.as_ms() >= self.end_ms => "ended",
            Some(_) => "allowed",
        }
    }

    /// Refuses an approval that cannot be used at `now`.
    pub(crate) fn require_usable(&self, now: Timestamp) -> Result<(), IdentityError> {
        match self.standing(now) {
            "allowed" => Ok(()),
            "pending" => Err(IdentityError::Approval("was not decided yet")),
            "refused" => Err(IdentityError::Approval("was refused")),
            "used" => Err(IdentityError::Approval("was used already: ask for another")),
            "withdrawn" => Err(IdentityError::Approval("was taken back")),
            _ => Err(IdentityError::Approval("has ended: ask for another")),
        }
    }
}

/// Checks what a directory changes of an account's names.
pub(crate) fn check_names(login: &str, display: &str) -> Result<String, IdentityError> {
    check_display(display)?;
    login_form(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_sees_records_decides() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert!(Role::ALL.iter().any(|role| kind.may_ask(*role)), "{kind:?}");
            assert!(Role::ALL.iter().any(|role| kind.may_decide(*role)), "{kind:?}");
            for role in Role::ALL {
                assert!(!(kind.may_decide(role) && role.may_read_records()), "{kind:?} {role}");
                assert!(!(kind.may_ask(role) && role == Role::Patient), "{kind:?}");
            }
        }
        assert!(!Kind::Erasure.may_decide(Role::Administrator) && !Kind::BroadRights.may_decide(Role::Administrator));
    }

    #[test]
    fn acts_on_accounts_are_not_smuggled_in_as_texts() {
        for kind in Kind::ALL {
            let act = Act::Other { kind, text: "x".into(), beneficiaries: Vec::new() };
            let own = matches!(kind, Kind::NewAccount | Kind::RoleChange | Kind::Recovery | Kind::SupplierSession);
            assert_eq!(act.checked().is_err(), own, "{kind:?}");
        }
    }
}
