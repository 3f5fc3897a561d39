//! What a ledger entry says with a code: the kind of event, its outcome, the purpose of use, the channel.
//!
//! The numbers are written into sealed entries and into `docs/formats/ledger.md`: one may be added, none may change
//! or be used again.

use std::fmt;

/// Makes an enum whose variants have a stable byte and a stable text.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $byte:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every code, in the order of their bytes' groups.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The byte that stands for this code in a sealed entry.
            pub fn byte(self) -> u8 {
                match self { $(Self::$variant => $byte),+ }
            }

            /// The code of this byte; `None` for a byte that no version up to this one gives out.
            pub fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$variant),)+ _ => None }
            }

            /// The code as text, for people and for JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The code of this text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

codes! {
    /// What happened. Finer than the sixteen event types that an audit of health records has to hold ([`AuditType`]).
    EventKind {
        /// Somebody was let in.
        Login = 0x01, "login";
        /// Somebody was not let in.
        LoginFailed = 0x02, "login-failed";
        /// Somebody left, or was sent out.
        Logout = 0x03, "logout";

        /// The present version of a record was disclosed.
        Read = 0x10, "read";
        /// A given version of a record was disclosed.
        Vread = 0x11, "vread";
        /// The versions of a record, a type or the whole store were disclosed.
        History = 0x12, "history";
        /// The records that fit criteria were disclosed, or their number.
        Search = 0x13, "search";
        /// The whole record of a patient was disclosed.
        Everything = 0x14, "everything";
        /// Records were shown past the ordinary rights, with a reason given.
        BreakGlass = 0x15, "break-glass";

        /// A record was made.
        Create = 0x20, "create";
        /// A record got a new version.
        Update = 0x21, "update";
        /// A record was deleted; its versions stay.
        Delete = 0x22, "delete";
        /// Records were taken in from files.
        Import = 0x23, "import";
        /// A patient's key was destroyed.
        Erase = 0x24, "erase";

        /// Records were copied out.
        Export = 0x30, "export";
        /// Records were printed.
        Print = 0x31, "print";
        /// A backup was made.
        Backup = 0x32, "backup";
        /// A backup was brought back.
        Restore = 0x33, "restore";
        /// A backup was held against what was written.
        BackupVerified = 0x34, "backup-verified";
        /// A backup that the ledger names is not on its target, or is another one.
        BackupMissing = 0x35, "backup-missing";

        /// Somebody's rights were changed.
        RightsChange = 0x40, "rights-change";
        /// An access token was made.
        TokenCreated = 0x41, "token-created";
        /// An access token was withdrawn.
        TokenRevoked = 0x42, "token-revoked";
        /// A setting was changed.
        ConfigurationChange = 0x43, "configuration-change";
        /// A second person was asked to allow something.
        ApprovalAsked = 0x44, "approval-asked";
        /// A second person allowed something, or did not.
        ApprovalDecided = 0x45, "approval-decided";
        /// An account, its means of login or its sessions were changed.
        AccountChange = 0x46, "account-change";
        /// Somebody looked into a break-glass afterwards.
        BreakGlassReviewed = 0x47, "break-glass-reviewed";
        /// A periodic review of accesses was begun, prepared, judged in an item, or closed.
        AccessReview = 0x48, "access-review";

        /// A key was made, unlocked by recovery shares, or given new shares or a new passphrase.
        KeyEvent = 0x50, "key-event";
        /// Data keys were wrapped under a new root key.
        KeyRotation = 0x51, "key-rotation";
        /// A ledger key was destroyed at the end of its retention: its entries keep their place in the tree and no
        /// longer open.
        LedgerKeyDestroyed = 0x52, "ledger-key-destroyed";

        /// A patient's summary was sealed to another hospital.
        TransferMade = 0x58, "transfer-made";
        /// A patient's summary was taken in from another hospital.
        TransferTaken = 0x59, "transfer-taken";

        /// Something in the data directory or about the store looked like an attack.
        Tripwire = 0x5a, "tripwire";
        /// Somebody, or a tripwire, locked the store.
        Lockdown = 0x5b, "lockdown";
        /// Two people lifted a lockdown.
        LockdownLifted = 0x5c, "lockdown-lifted";
        /// A drill was held: an attacker played on a scratch instance, or the backup brought back in rehearsal.
        DrillHeld = 0x5d, "drill-held";

        /// The ledger was read, listed or verified.
        LedgerAccess = 0x60, "ledger-access";
        /// The store was made or opened.
        Start = 0x61, "start";
        /// The store was closed.
        Stop = 0x62, "stop";
        /// The store was checked.
        Check = 0x63, "check";
    }
}

codes! {
    /// The sixteen event types that an audit of an electronic health record holds.
    AuditType {
        /// Login.
        Login = 1, "login";
        /// Failed login.
        LoginFailed = 2, "login-failed";
        /// Logout.
        Logout = 3, "logout";
        /// Read.
        Read = 4, "read";
        /// Create.
        Create = 5, "create";
        /// Update.
        Update = 6, "update";
        /// Delete.
        Delete = 7, "delete";
        /// Print or export.
        PrintOrExport = 8, "print-or-export";
        /// Query.
        Query = 9, "query";
        /// Break-glass.
        BreakGlass = 10, "break-glass";
        /// Change of rights.
        RightsChange = 11, "rights-change";
        /// Change of configuration.
        ConfigurationChange = 12, "configuration-change";
        /// Key event.
        KeyEvent = 13, "key-event";
        /// Backup.
        Backup = 14, "backup";
        /// Restore.
        Restore = 15, "restore";
        /// Access to the log.
        LogAccess = 16, "log-access";
    }
}

impl EventKind {
    /// The audit type this kind counts under; `None` for the store's own start, stop, check and drills.
    pub fn audit_type(self) -> Option<AuditType> {
        Some(match self {
            Self::Login => AuditType::Login,
            Self::LoginFailed => AuditType::LoginFailed,
            Self::Logout => AuditType::Logout,
            Self::Read | Self::Vread | Self::History | Self::Everything => AuditType::Read,
            Self::Search => AuditType::Query,
            Self::BreakGlass | Self::BreakGlassReviewed => AuditType::BreakGlass,
            Self::Create | Self::Import | Self::TransferTaken => AuditType::Create,
            Self::Update => AuditType::Update,
            Self::Delete | Self::Erase => AuditType::Delete,
            Self::Export | Self::Print | Self::TransferMade => AuditType::PrintOrExport,
            Self::Backup | Self::BackupVerified | Self::BackupMissing => AuditType::Backup,
            Self::Restore => AuditType::Restore,
            Self::RightsChange
            | Self::TokenCreated
            | Self::TokenRevoked
            | Self::ApprovalAsked
            | Self::ApprovalDecided
            | Self::AccountChange => AuditType::RightsChange,
            Self::ConfigurationChange | Self::Tripwire | Self::Lockdown | Self::LockdownLifted => {
                AuditType::ConfigurationChange
            }
            Self::KeyEvent | Self::KeyRotation | Self::LedgerKeyDestroyed => AuditType::KeyEvent,
            Self::LedgerAccess | Self::AccessReview => AuditType::LogAccess,
            Self::Start | Self::Stop | Self::Check | Self::DrillHeld => return None,
        })
    }

    /// Whether an entry of this kind stands before records are shown. These are what stops while disclosures are stopped.
    pub fn shows(self) -> bool {
        matches!(
            self,
            Self::Read
                | Self::Vread
                | Self::History
                | Self::Search
                | Self::Everything
                | Self::Export
                | Self::Print
                | Self::TransferMade
        )
    }

    /// Whether an event of this kind, where it succeeds, shows records to somebody, or opens what later ones show: a declared emergency. A receipt of
    /// another kind opens nothing.
    pub fn discloses(self) -> bool {
        self.shows() || self == Self::BreakGlass
    }

    /// Whether an event of this kind, where it succeeds, changes records.
    pub fn changes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete | Self::Import | Self::Erase | Self::Restore)
    }
}

codes! {
    /// How it ended, as far as is known when the entry is written: before the answer.
    Outcome {
        /// It was done.
        Success = 0, "success";
        /// It was not allowed.
        Refused = 1, "refused";
        /// It was allowed and did not work.
        Failed = 2, "failed";
    }
}

codes! {
    /// The way by which the request came.
    Channel {
        /// The HTTP interface.
        Http = 1, "http";
        /// The command line, on the machine itself.
        CommandLine = 2, "command-line";
        /// The store on its own account: a start, a timed job.
        Internal = 3, "internal";
    }
}

codes! {
    /// Why records are used: codes of HL7 v3 `PurposeOfUse`
    /// (<https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html>), with their text as there.
    PurposeOfUse {
        /// Treatment.
        Treatment = 0x01, "TREAT";
        /// Emergency treatment.
        EmergencyTreatment = 0x02, "ETREAT";
        /// Break the glass: emergency, past the ordinary rights.
        BreakTheGlass = 0x03, "BTG";
        /// Coordination of care.
        Coordination = 0x04, "COC";
        /// Management of care.
        CareManagement = 0x05, "CAREMGT";
        /// Payment.
        Payment = 0x10, "HPAYMT";
        /// Operations of a healthcare establishment.
        Operations = 0x20, "HOPERAT";
        /// Administration of patients.
        PatientAdministration = 0x21, "PATADMIN";
        /// Administration of systems.
        SystemAdministration = 0x22, "HSYSADMIN";
        /// Management of records.
        RecordsManagement = 0x23, "RECORDMGT";
        /// Improvement of quality.
        Quality = 0x24, "HQUALIMP";
        /// Compliance and audit.
        Compliance = 0x25, "HCOMPL";
        /// Legal proceedings.
        Legal = 0x26, "HLEGAL";
        /// Training.
        Training = 0x27, "TRAIN";
        /// Research.
        Research = 0x30, "HRESCH";
        /// Public health.
        PublicHealth = 0x40, "PUBHLTH";
        /// The patient asked.
        PatientRequest = 0x50, "PATRQT";
        /// A family member asked.
        FamilyRequest = 0x51, "FAMRQT";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Checks that bytes and texts are each used once and go round; gives the table as `byte text` lines.
    fn table<T: Copy + PartialEq + fmt::Debug>(
        all: &[T],
        byte: fn(T) -> u8,
        from_byte: fn(u8) -> Option<T>,
        text: fn(T) -> &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Vec<(u8, &'static str)> {
        for code in all {
            assert_eq!(from_byte(byte(*code)), Some(*code));
            assert_eq!(parse(text(*code)), Some(*code));
        }
        assert_eq!((0..=255).filter_map(from_byte).count(), all.len());
        assert_eq!(all.iter().map(|code| byte(*code)).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|code| text(*code)).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(parse("nonsense"), None);
        all.iter().map(|code| (byte(*code), text(*code))).collect()
    }

    macro_rules! table {
        ($name:ident) => {
            table($name::ALL, $name::byte, $name::from_byte, $name::as_str, $name::parse)
        };
    }

    /// The page that another program will be written from must list each code with its byte.
    #[test]
    fn every_code_is_in_the_format_document() {
        let page = include_str!("../../../docs/formats/ledger.md");
        let tables = [table!(EventKind), table!(Outcome), table!(Channel), table!(PurposeOfUse)];
        for (byte, text) in tables.into_iter().flatten() {
            assert!(page.contains(&format!("| `{byte:02x}` | `{text}` |")), "`{byte:02x}` | `{text}`");
        }
    }

    #[test]
    fn each_of_the_sixteen_audit_types_has_a_kind() {
        assert_eq!(table!(AuditType).len(), 16);
        let covered: BTreeSet<_> = EventKind::ALL.iter().filter_map(|kind| kind.audit_type()).collect();
        assert_eq!(covered.len(), 16);
    }

    #[test]
    fn nothing_both_discloses_and_changes() {
        assert!(EventKind::ALL.iter().all(|kind| !(kind.discloses() && kind.changes())));
        let disclosing = EventKind::ALL.iter().filter(|kind| kind.discloses()).count();
        let changing = EventKind::ALL.iter().filter(|kind| kind.changes()).count();
        assert_eq!((disclosing, changing), (9, 6));
    }
}
