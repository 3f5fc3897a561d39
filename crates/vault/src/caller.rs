//! On whose behalf the vault acts: who asks, in which role, what for, from where.

use tacet_ledger::{Agent, Entry, EventKind, Origin, Outcome, PurposeOfUse};
use tacet_types::{OperationId, ResourceId, ResourceType, Timestamp};

/// What an account may do at the vault. Administering is not reading: no role holds both.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A person who gives care: reads and writes records.
    Clinician,
    /// A machine of the hospital that exchanges records: reads and writes.
    Integrator,
    /// Data protection: reads the ledger, never a record.
    Auditor,
    /// Runs the machine: reads metrics, never a record, never the ledger.
    Operator,
}

impl Role {
    /// Every role, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Clinician, Self::Integrator, Self::Auditor, Self::Operator];

    /// The role's name in tokens, entries and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clinician => "clinician",
            Self::Integrator => "integrator",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether this role may see records.
    pub fn may_read_records(self) -> bool {
        matches!(self, Self::Clinician | Self::Integrator)
    }

    /// Whether this role may change records.
    pub fn may_write_records(self) -> bool {
        matches!(self, Self::Clinician | Self::Integrator)
    }

    /// Whether this role may see metrics.
    pub fn may_read_metrics(self) -> bool {
        matches!(self, Self::Operator)
    }

    /// Whether this role may read the ledger.
    pub fn may_read_ledger(self) -> bool {
        matches!(self, Self::Auditor)
    }
}

/// Who asks, and the circumstances that the ledger keeps.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account's owner: a named person or machine.
    pub owner: String,
    /// The account's role.
    pub role: Role,
    /// Public id of the token that was shown; none on the command line.
    pub token: Option<String>,
    /// What for.
    pub purpose: PurposeOfUse,
    /// From where.
    pub origin: Origin,
    /// The request or command.
    pub operation: OperationId,
    /// The person for whom a machine asks.
    pub on_behalf_of: Option<String>,
}

impl Caller {
    /// A ledger entry of this caller, without records yet.
    pub(crate) fn entry(
        &self,
        at: Timestamp,
        kind: EventKind,
        outcome: Outcome,
        patient: Option<(ResourceType, ResourceId)>,
    ) -> Entry {
        Entry {
            at,
            kind,
            agent: Agent { owner: self.owner.clone(), role: self.role.as_str().to_owned(), token: self.token.clone() },
            on_behalf_of: self.on_behalf_of.clone(),
            patient,
            records: Vec::new(),
            categories: Vec::new(),
            purpose: self.purpose,
            origin: self.origin,
            operation: self.operation,
            outcome,
            query: None,
            detail: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administering_is_not_reading() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            let reads = role.may_read_records() || role.may_write_records();
            assert!(!(reads && (role.may_read_metrics() || role.may_read_ledger())));
        }
        assert_eq!(Role::parse("root"), None);
    }
}
