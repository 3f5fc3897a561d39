//! What the server asks of the record store behind it.
//!
//! The server speaks to a [`RecordService`], not to the vault itself, so that what stands between them later (policy,
//! watching) and what tests put in its place are ordinary implementations. It holds no rule of its own: who may see which
//! record is the service's business, and each of its answers has been written down in the ledger before it is given.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_fhir::outcome::Issue;
use tacet_ledger::noted::NotedRows;
use tacet_ledger::{EventKind, Outcome};
use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};
use tacet_vault::{
    Asked, Caller, ConditionalCreate, CopyReader, CopyRequest, CopyStatus, Criteria, Deleted, Disclosed,
    EverythingPage, EverythingQuery, Health, HistoryPage, HistoryQuery, HistoryScope, ImportOptions, ImportOutcome,
    ImportUnit, IndexState, IndexStatistics, LedgerLine, LockdownLevel, MatchCall, MatchPage, MetaChange, MetaScope,
    OperationCall, Patch, PatientLedger, ReturnPreference, SearchCall, SearchPage, Stored, Subscription,
    SubscriptionEvents, SubscriptionEventsCall, Token, ValidateCall, VaultError, VaultStatistics,
};
use zeroize::Zeroizing;

/// The record store as the server needs it. Each method that shows or changes a record takes the [`Caller`] on whose account
/// it goes into the ledger, and answers only once that entry is durable.
///
/// The futures need no runtime of their own; their work on the processor runs where they are polled, so the server polls those
/// of large bodies on a thread that may block.
pub trait RecordService: Send + Sync + 'static {
    /// The current version of a record.
    fn read(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
    ) -> impl Future<Output = Result<Disclosed, VaultError>> + Send;

    /// One version of a record.
    fn vread(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        version: VersionId,
    ) -> impl Future<Output = Result<Disclosed, VaultError>> + Send;

    /// Stores a new record under an id that the store chooses. `base_url`: what absolute references to this server begin with.
    fn create(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send;

    /// Stores a version of a record, or the first one. `if_match`: only over this version; `if_none_match_any`: only where
    /// nothing stands. `base_url` as in [`RecordService::create`].
    #[expect(
        clippy::too_many_arguments,
        reason = "who, what, where and under which conditions: FHIR's update has so many"
    )]
    fn update(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        body: &[u8],
        base_url: &str,
        if_match: Option<VersionId>,
        if_none_match_any: bool,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send;

    /// Deletes a record (its versions remain in its history).
    fn delete(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Deleted, VaultError>> + Send;

    /// Versions of a record, of a type or of all, the newest first.
    fn history(
        &self,
        caller: &Caller,
        scope: &HistoryScope,
        query: &HistoryQuery,
    ) -> impl Future<Output = Result<HistoryPage, VaultError>> + Send;

    /// Does a batch or a transaction; gives the response Bundle.
    fn bundle(
        &self,
        caller: &Caller,
        body: &[u8],
        base_url: &str,
        prefer: ReturnPreference,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send;

    /// A patient and all that is in the patient's compartment.
    fn everything(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        query: &EverythingQuery,
    ) -> impl Future<Output = Result<EverythingPage, VaultError>> + Send;

    /// All of a patient's record of these types, as the caller may see it.
    fn whole_record(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        types: &[ResourceType],
        asked: &Asked,
    ) -> impl Future<Output = Result<Vec<Disclosed>, VaultError>> + Send;

    /// A stay and all that is in its compartment. `base_url` as in [`RecordService::create`].
    fn everything_of_encounter(
        &self,
        caller: &Caller,
        encounter: &ResourceId,
        query: &EverythingQuery,
        base_url: &str,
    ) -> impl Future<Output = Result<EverythingPage, VaultError>> + Send;

    /// How a subscription stands, or all of them: each with the number of its events that were sent.
    fn subscription_status(
        &self,
        caller: &Caller,
        id: Option<&ResourceId>,
    ) -> impl Future<Output = Result<Vec<(Subscription, u64)>, VaultError>> + Send;

    /// Events of a subscription. May block.
    fn subscription_events(
        &self,
        caller: &Caller,
        call: &SubscriptionEventsCall,
    ) -> impl Future<Output = Result<SubscriptionEvents, VaultError>> + Send;

    /// A page of what a search finds.
    fn search(&self, caller: &Caller, call: &SearchCall)
    -> impl Future<Output = Result<SearchPage, VaultError>> + Send;

    /// The AuditEvent of an entry of the ledger.
    fn read_audit(
        &self,
        caller: &Caller,
        id: &ResourceId,
        base_url: &str,
    ) -> impl Future<Output = Result<Disclosed, VaultError>> + Send;

    /// A page of the ledger's entries as AuditEvents. May block.
    fn search_audit(
        &self,
        caller: &Caller,
        call: &SearchCall,
    ) -> impl Future<Output = Result<SearchPage, VaultError>> + Send;

    /// Tells the entries of the ledger about one patient, the oldest first. May block.
    fn patient_ledger(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        between: (Timestamp, Timestamp),
        tell: &mut (dyn FnMut(LedgerLine) -> ControlFlow<()> + Send),
    ) -> impl Future<Output = Result<PatientLedger, VaultError>> + Send;

    /// Stores a new record unless one fits the criteria.
    fn create_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
        criteria: &Criteria,
    ) -> impl Future<Output = Result<ConditionalCreate, VaultError>> + Send;

    /// Stores a version of the one record that fits the criteria, or a new record where none does.
    fn update_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
        criteria: &Criteria,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send;

    /// Deletes the record that fits the criteria.
    fn delete_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        base_url: &str,
        criteria: &Criteria,
    ) -> impl Future<Output = Result<Vec<Deleted>, VaultError>> + Send;

    /// Changes a part of a record.
    fn patch(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        patch: &Patch<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send;

    /// Changes a part of the one record that fits the criteria.
    fn patch_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        criteria: &Criteria,
        patch: &Patch<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send;

    /// Stores a unit of an import.
    fn import(
        &self,
        caller: &Caller,
        unit: &ImportUnit<'_>,
        options: ImportOptions<'_>,
    ) -> impl Future<Output = Result<ImportOutcome, VaultError>> + Send;

    /// Carries out an operation on code systems, value sets or concept maps; gives the resource that answers it. May block.
    fn terminology(
        &self,
        caller: &Caller,
        call: &OperationCall,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send;

    /// Says what is wrong with a resource, without storing it. May block.
    fn validate(
        &self,
        caller: &Caller,
        call: &ValidateCall,
    ) -> impl Future<Output = Result<Vec<Issue>, VaultError>> + Send;

    /// The `meta` of a record or a version, or the labels in use among many records, in a Parameters resource.
    fn meta(
        &self,
        caller: &Caller,
        scope: &MetaScope,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send;

    /// Adds profiles, tags and security labels to a record, or takes them away; gives the `meta` that it has then.
    fn change_meta(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        change: MetaChange,
        parameters: &[u8],
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send;

    /// Looks for a patient.
    fn match_patients(
        &self,
        caller: &Caller,
        call: &MatchCall,
    ) -> impl Future<Output = Result<MatchPage, VaultError>> + Send;

    /// Begins a copy; gives its id. May block.
    fn begin_copy(
        &self,
        caller: &Caller,
        request: CopyRequest,
    ) -> impl Future<Output = Result<String, VaultError>> + Send;

    /// What is known of a copy. To anybody but its owner it is not there.
    fn copy(&self, caller: &Caller, id: &str) -> Result<CopyStatus, VaultError>;

    /// Opens a file of a copy for reading.
    fn read_copy(
        &self,
        caller: &Caller,
        id: &str,
        file: usize,
    ) -> impl Future<Output = Result<CopyReader, VaultError>> + Send;

    /// Ends a copy.
    fn end_copy(&self, caller: &Caller, id: &str) -> impl Future<Output = Result<(), VaultError>> + Send;

    /// Ends the copies whose time is over.
    fn end_expired_copies(&self) -> impl Future<Output = Result<(), VaultError>> + Send;

    /// Writes an event that touches no record (a failed login, a refusal) into the ledger. `detail`: more in words, without personal data.
    fn note(
        &self,
        caller: &Caller,
        kind: EventKind,
        outcome: Outcome,
        detail: Option<String>,
    ) -> impl Future<Output = Result<(), VaultError>> + Send;

    /// The token of this secret; `None` where it is unknown, revoked or expired. Must be quick: it is asked at each request.
    fn authenticate(&self, secret: &str) -> Result<Option<Token>, VaultError>;

    /// What the search index is at. None: there is none.
    fn index(&self) -> Option<(IndexState, IndexStatistics)>;

    /// Makes the search index anew in the background.
    fn rebuild_index(&self) -> Result<(), VaultError>;

    /// A file of the published ledger. May block.
    fn log_file(&self, resource: &tacet_tlog::tile::Resource) -> Result<Vec<u8>, VaultError>;

    /// Figures for the metrics.
    fn statistics(&self) -> VaultStatistics;

    /// The sealed rows beside the records, if there are any.
    fn rows(&self) -> Option<Arc<dyn NotedRows>> {
        None
    }

    /// The level at which the store is locked; `None` where it is not. Must be quick: it is asked at each request.
    fn lockdown(&self) -> Option<LockdownLevel> {
        None
    }

    /// Whether the store can answer now.
    fn health(&self) -> Health;
}
