//! What kind of event the ledger keeps where somebody tried what their role does not allow.

use crate::routes::Action;
use tacet_ledger::EventKind;

impl Action {
    /// What was tried; `None` where no record is concerned.
    pub(crate) fn event(self) -> Option<EventKind> {
        Some(match self {
            Self::Read => EventKind::Read,
            Self::Vread => EventKind::Vread,
            Self::HistoryInstance | Self::HistoryType | Self::HistorySystem => EventKind::History,
            Self::Everything => EventKind::Everything,
            Self::Create => EventKind::Create,
            Self::Update
            | Self::ConditionalUpdate
            | Self::Patch
            | Self::ConditionalPatch
            | Self::MetaAdd
            | Self::MetaDelete
            | Self::Bundle => EventKind::Update,
            Self::Delete | Self::ConditionalDelete => EventKind::Delete,
            Self::SearchType | Self::SearchSystem | Self::SearchCompartment | Self::Match | Self::Absent(_) => {
                EventKind::Search
            }
            Self::Terminology | Self::Validate | Self::SubscriptionStatus | Self::SubscriptionEvents => {
                EventKind::Search
            }
            Self::Meta => EventKind::Read,
            Self::ExportSystem
            | Self::ExportPatients
            | Self::ExportGroup
            | Self::CopyStatus
            | Self::CopyFile
            | Self::CopyEnd => EventKind::Export,
            Self::Import | Self::ImportStatus | Self::ImportEnd | Self::FeedAdt => EventKind::Import,
            Self::AuditRead | Self::AuditSearch => EventKind::LedgerAccess,
            Self::Metadata
            | Self::Health
            | Self::WellKnown
            | Self::Metrics
            | Self::IndexStatus
            | Self::Auth(_)
            | Self::Admin(_)
            | Self::IndexRebuild
            | Self::LogFile => return None,
        })
    }
}
