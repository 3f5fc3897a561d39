//! The record store: versions, transactions, disclosure. The only part that opens a seal over a record.
//!
//! ```text
//! read:   locate (ids and keys, nothing shown) ──> ledger entry, durable ──> Receipt ──> open
//! write:  parse, validate ──> plan (rows, preconditions, entries) ──> one commit ──> answer
//! ```
//!
//! Who may see what is decided by `tacet_policy`, from what the records say of care; here each record is held against it, whatever the
//! way to it. Nothing here listens on a network or prints.

mod absence;
mod access;
mod access_report;
mod audit;
mod backup;
mod bundle;
mod caller;
mod change;
mod check;
mod conditional;
mod copies;
mod deriving;
mod disclose;
mod drills;
mod erase;
mod error;
mod everything;
mod export;
mod feed_order;
mod finish_erasures;
#[cfg(test)]
mod format_page;
mod head;
mod history;
mod import;
#[cfg(test)]
mod in_memory;
mod index;
mod inline;
mod keys_locked;
mod knowledge;
mod layout;
mod ledger_index;
mod ledger_questions;
mod lockdown;
mod matching;
mod members;
mod meta;
mod mode;
mod noted;
mod owner;
mod patch;
mod plan;
mod references;
mod restored;
mod retention;
mod rewriting;
mod rotate;
mod rules;
mod search;
mod subscriptions;
mod tokens;
mod transfers;
mod transparency;
mod turns;
mod vault;
mod write;

pub use access::{
    AccessSettings, BREAK_GLASS_A_DAY_MAX, BREAK_GLASS_MINUTES_MAX, BREAK_GLASS_OPEN_MAX, BREAK_GLASS_TEXT_BYTES_MIN,
    BreakGlassDeclared, WARD_PATIENTS_MAX, WARD_RECORDS_MAX, Ward, WardGaps, WardPatient, WardRecords, usual_purpose,
};
pub use access_report::PatientLedger;
pub use audit::{AUDIT_LOOK_MAX, AUDIT_SCAN_MAX, FEED_ENTRIES_MAX, is_audit_id};
pub use backup::{BACKUPS_NAMED_MAX, BackupFigures};
pub use bundle::{BUNDLE_ENTRIES_MAX, ReturnPreference};
pub use caller::Caller;
pub use check::{CheckReport, Finding, INDEX_PLACE};
pub use conditional::{CONDITIONAL_DELETES_MAX, ConditionalCreate, Criteria};
pub use copies::{
    COPIES_KEPT_MAX, COPIES_RUNNING_MAX, COPY_LIFE_MS_MAX, CopyApproval, CopyFile, CopyReader, CopyRequest, CopyScope,
    CopyState, CopyStatus, FOUND_MAX,
};
pub use deriving::{DERIVED_A_SECOND_MAX, DERIVED_A_SECOND_MIN, DerivationFigures};
pub use disclose::Disclosed;
pub use drills::note::{DRILL_NOTE_BYTES_MAX, NoteId, drill_answer, drill_note};
pub use drills::{DRILL_FIGURES_BYTES_MAX, Drill, DrillNoted, DrillReport, DrillStanding, LedgerBack, Sample};
pub use erase::{ErasePreview, EraseReport};
pub use error::VaultError;
pub use everything::{Asked, EVERYTHING_PAGE_MAX, EverythingPage, EverythingQuery, WHOLE_RECORD_BYTES_MAX};
pub use export::{EXPORT_WINDOW_RECORDS, ExportReport};
pub use finish_erasures::FinishedErasures;
pub use head::Method;
pub use history::{HISTORY_PAGE_MAX, HistoryEntry, HistoryPage, HistoryQuery, HistoryScope};
pub use import::{IMPORT_UNIT_RECORDS_MAX, ImportOptions, ImportOutcome, ImportUnit, Rejected};
pub use index::{IndexSettings, IndexState};
pub use knowledge::{
    DEFINITIONS_OF_A_TYPE_MAX, Definition, DefinitionKind, OperationCall, OperationInput, RequiredProfile,
    ValidateCall, Validation, ValidationSettings, definition_id, is_definition,
};
pub use ledger_index::LedgerIndexStatistics;
pub use ledger_questions::{
    EXAMINED_MAX, LEDGER_PAGE_MAX, LedgerLine, LedgerOrder, LedgerPage, LedgerReading, PatientExtent, SessionExtent,
};
pub use lockdown::{
    LOCK_REASON_BYTES_MAX, LOCKS_MAX, LOCKS_WINDOW_MS, Lockdown, LockdownCause, LockdownLevel, LockdownLifted,
};
pub use matching::{Graded, MATCH_CANDIDATES_MAX, MATCH_COUNT_MAX, MatchCall, MatchGrade, MatchPage};
pub use meta::{LABELLED_MAX, LABELS_MAX, MetaChange, MetaScope};
pub use mode::ReadOnly;
pub use patch::Patch;
pub use restored::{LedgerHeld, LogSucceeded, Urgency, description_row, establishment_keys};
pub use retention::{
    KEEP_YEARS_DEFAULT, KEEP_YEARS_MAX, KEEP_YEARS_MIN, LedgerKept, LedgerRetention, MonthKey, MonthStep, NOTICE_DAYS,
    RETENTION_EVERY,
};
pub use rotate::RotationReport;
pub use rules::{PROPOSALS_MAX, RULES_BYTES_MAX, Rules, RulesError, RulesInForce, Settled};
pub use search::{
    CURSOR_LIFE_MS, INCLUDES_MAX, SEARCH_PAGE_DEFAULT, SEARCH_PAGE_MAX, SearchCall, SearchEntry, SearchMode, SearchPage,
};
pub use subscriptions::{
    Announced, EVENTS_AHEAD, EVENTS_KEPT_MAX, Notification, NotificationContent, SUBSCRIPTION_BYTES_MAX,
    SUBSCRIPTIONS_ACTIVE_MAX, SubscriberEnd, Subscription, SubscriptionEnd, SubscriptionEvent, SubscriptionEvents,
    SubscriptionEventsCall, SubscriptionState,
};
pub use tacet_ledger::{EventKind, Origin, Outcome, PurposeOfUse};
pub use tacet_search::IndexStatistics;
pub use tacet_search::request::{Handling, QueryLimits, Scope, Summary};
pub use tacet_types::Role;
pub use tokens::{NewToken, Token, TokenSecret};
pub use transparency::{Halt, LogFigures, RESUME_REASON_BYTES_MAX};
pub use vault::{Health, Limits, Vault, VaultOptions, VaultStatistics};
pub use write::{Deleted, Stored};
