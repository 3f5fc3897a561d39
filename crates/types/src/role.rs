//! What an account is for.

use std::fmt;

/// The role of an account. Administering is not reading: no role that sees records of patients holds a right to run the
/// machine, to keep accounts or to read the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// A physician, dentist or midwife: gives care, reads and writes records of their patients.
    Clinician,
    /// A nurse or another carer of a ward.
    Nurse,
    /// A pharmacist of the hospital.
    Pharmacist,
    /// Staff of the laboratory or of imaging.
    Laboratory,
    /// Admissions, secretaries, appointments: who the patients are and when they come, no clinical content.
    Reception,
    /// A patient, or who acts for one: their own record.
    Patient,
    /// A machine of the hospital that exchanges records: reads and writes.
    Integrator,
    /// A machine that sends messages of admissions, transfers and discharges, and nothing else: it reads nothing.
    Feed,
    /// Data protection: reads the ledger, never a record.
    Auditor,
    /// Looks into alerts and reviews break-glass: sees that something happened, never a record.
    SecurityOfficer,
    /// Keeps accounts and rights, never sees a record or the ledger.
    Administrator,
    /// Runs the machine: reads metrics, never a record, never the ledger.
    Operator,
}

impl Role {
    /// Every role, for tables and tests.
    pub const ALL: [Self; 12] = [
        Self::Clinician,
        Self::Nurse,
        Self::Pharmacist,
        Self::Laboratory,
        Self::Reception,
        Self::Patient,
        Self::Integrator,
        Self::Feed,
        Self::Auditor,
        Self::SecurityOfficer,
        Self::Administrator,
        Self::Operator,
    ];

    /// The role's name in accounts, tokens, policies, entries and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clinician => "clinician",
            Self::Nurse => "nurse",
            Self::Pharmacist => "pharmacist",
            Self::Laboratory => "laboratory",
            Self::Reception => "reception",
            Self::Patient => "patient",
            Self::Integrator => "integrator",
            Self::Feed => "feed",
            Self::Auditor => "auditor",
            Self::SecurityOfficer => "security-officer",
            Self::Administrator => "administrator",
            Self::Operator => "operator",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether this role may come near records at all. Which ones, the policy says.
    pub fn may_read_records(self) -> bool {
        match self {
            Self::Clinician
            | Self::Nurse
            | Self::Pharmacist
            | Self::Laboratory
            | Self::Reception
            | Self::Patient
            | Self::Integrator => true,
            Self::Feed | Self::Auditor | Self::SecurityOfficer | Self::Administrator | Self::Operator => false,
        }
    }

    /// Whether this role may change records at all. Which ones, the policy says.
    pub fn may_write_records(self) -> bool {
        self.may_read_records()
    }

    /// Whether this role may send messages of a feed.
    pub fn may_feed(self) -> bool {
        matches!(self, Self::Feed)
    }

    /// Whether this role is one of machines, which have tokens or client credentials and no account of a person.
    pub fn is_of_machines(self) -> bool {
        matches!(self, Self::Integrator | Self::Feed)
    }

    /// Whether this role may see metrics.
    pub fn may_read_metrics(self) -> bool {
        matches!(self, Self::Operator)
    }

    /// Whether this role may read the ledger.
    pub fn may_read_ledger(self) -> bool {
        matches!(self, Self::Auditor)
    }

    /// Whether this role may keep accounts and ask for rights for others.
    pub fn may_keep_accounts(self) -> bool {
        matches!(self, Self::Administrator)
    }

    /// Whether this role may review break-glass and be told of alerts.
    pub fn may_review(self) -> bool {
        matches!(self, Self::SecurityOfficer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administering_is_not_reading() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            let records = role.may_read_records() || role.may_write_records();
            let other =
                role.may_read_metrics() || role.may_read_ledger() || role.may_keep_accounts() || role.may_review();
            assert!(!(records && other), "{role}");
        }
        assert_eq!(Role::parse("root"), None);
    }
}
