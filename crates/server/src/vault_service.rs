//! The vault as the [`RecordService`] of a server: each method is the vault's own.

use crate::service::RecordService;
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
    SubscriptionEvents, SubscriptionEventsCall, Token, ValidateCall, Vault, VaultError, VaultStatistics,
};
use zeroize::Zeroizing;

impl RecordService for Vault {
    fn read(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
    ) -> impl Future<Output = Result<Disclosed, VaultError>> + Send {
        Vault::read(self, caller, resource_type, id)
    }

    fn vread(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        version: VersionId,
    ) -> impl Future<Output = Result<Disclosed, VaultError>> + Send {
        Vault::vread(self, caller, resource_type, id, version)
    }

    fn create(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send {
        Vault::create(self, caller, resource_type, body, base_url)
    }

    fn update(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        body: &[u8],
        base_url: &str,
        if_match: Option<VersionId>,
        if_none_match_any: bool,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send {
        Vault::update(self, caller, resource_type, id, body, base_url, if_match, if_none_match_any)
    }

    fn delete(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Deleted, VaultError>> + Send {
        Vault::delete(self, caller, resource_type, id, if_match)
    }

    fn history(
        &self,
        caller: &Caller,
        scope: &HistoryScope,
        query: &HistoryQuery,
    ) -> impl Future<Output = Result<HistoryPage, VaultError>> + Send {
        Vault::history(self, caller, scope, query)
    }

    fn bundle(
        &self,
        caller: &Caller,
        body: &[u8],
        base_url: &str,
        prefer: ReturnPreference,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send {
        Vault::bundle(self, caller, body, base_url, prefer)
    }

    fn everything(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        query: &EverythingQuery,
    ) -> impl Future<Output = Result<EverythingPage, VaultError>> + Send {
        Vault::everything(self, caller, patient, query)
    }

    fn whole_record(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        types: &[ResourceType],
        asked: &Asked,
    ) -> impl Future<Output = Result<Vec<Disclosed>, VaultError>> + Send {
        Vault::whole_record(self, caller, patient, types, asked)
    }

    fn everything_of_encounter(
        &self,
        caller: &Caller,
        encounter: &ResourceId,
        query: &EverythingQuery,
        base_url: &str,
    ) -> impl Future<Output = Result<EverythingPage, VaultError>> + Send {
        Vault::everything_of_encounter(self, caller, encounter, query, base_url)
    }

    fn subscription_status(
        &self,
        caller: &Caller,
        id: Option<&ResourceId>,
    ) -> impl Future<Output = Result<Vec<(Subscription, u64)>, VaultError>> + Send {
        Vault::subscription_status(self, caller, id)
    }

    fn subscription_events(
        &self,
        caller: &Caller,
        call: &SubscriptionEventsCall,
    ) -> impl Future<Output = Result<SubscriptionEvents, VaultError>> + Send {
        Vault::subscription_events(self, caller, call)
    }

    fn search(
        &self,
        caller: &Caller,
        call: &SearchCall,
    ) -> impl Future<Output = Result<SearchPage, VaultError>> + Send {
        Vault::search(self, caller, call)
    }

    fn read_audit(
        &self,
        caller: &Caller,
        id: &ResourceId,
        base_url: &str,
    ) -> impl Future<Output = Result<Disclosed, VaultError>> + Send {
        Vault::read_audit(self, caller, id, base_url)
    }

    fn search_audit(
        &self,
        caller: &Caller,
        call: &SearchCall,
    ) -> impl Future<Output = Result<SearchPage, VaultError>> + Send {
        Vault::search_audit(self, caller, call)
    }

    fn patient_ledger(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        between: (Timestamp, Timestamp),
        tell: &mut (dyn FnMut(LedgerLine) -> ControlFlow<()> + Send),
    ) -> impl Future<Output = Result<PatientLedger, VaultError>> + Send {
        Vault::patient_ledger(self, caller, patient, between, tell)
    }

    fn create_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
        criteria: &Criteria,
    ) -> impl Future<Output = Result<ConditionalCreate, VaultError>> + Send {
        Vault::create_conditional(self, caller, resource_type, body, base_url, criteria)
    }

    fn update_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        body: &[u8],
        base_url: &str,
        criteria: &Criteria,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send {
        Vault::update_conditional(self, caller, resource_type, body, base_url, criteria, if_match)
    }

    fn delete_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        base_url: &str,
        criteria: &Criteria,
    ) -> impl Future<Output = Result<Vec<Deleted>, VaultError>> + Send {
        Vault::delete_conditional(self, caller, resource_type, base_url, criteria)
    }

    fn patch(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        patch: &Patch<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send {
        Vault::patch(self, caller, resource_type, id, patch, base_url, if_match)
    }

    fn patch_conditional(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        criteria: &Criteria,
        patch: &Patch<'_>,
        base_url: &str,
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Stored, VaultError>> + Send {
        Vault::patch_conditional(self, caller, resource_type, criteria, patch, base_url, if_match)
    }

    fn import(
        &self,
        caller: &Caller,
        unit: &ImportUnit<'_>,
        options: ImportOptions<'_>,
    ) -> impl Future<Output = Result<ImportOutcome, VaultError>> + Send {
        Vault::import(self, caller, unit, options)
    }

    fn terminology(
        &self,
        caller: &Caller,
        call: &OperationCall,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send {
        Vault::terminology(self, caller, call)
    }

    fn validate(
        &self,
        caller: &Caller,
        call: &ValidateCall,
    ) -> impl Future<Output = Result<Vec<Issue>, VaultError>> + Send {
        Vault::validate(self, caller, call)
    }

    fn meta(
        &self,
        caller: &Caller,
        scope: &MetaScope,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send {
        Vault::meta(self, caller, scope)
    }

    fn change_meta(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        change: MetaChange,
        parameters: &[u8],
        if_match: Option<VersionId>,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, VaultError>> + Send {
        Vault::change_meta(self, caller, resource_type, id, change, parameters, if_match)
    }

    fn match_patients(
        &self,
        caller: &Caller,
        call: &MatchCall,
    ) -> impl Future<Output = Result<MatchPage, VaultError>> + Send {
        Vault::match_patients(self, caller, call)
    }

    fn begin_copy(
        &self,
        caller: &Caller,
        request: CopyRequest,
    ) -> impl Future<Output = Result<String, VaultError>> + Send {
        Vault::begin_copy(self, caller, request)
    }

    fn copy(&self, caller: &Caller, id: &str) -> Result<CopyStatus, VaultError> {
        Vault::copy(self, caller, id)
    }

    fn read_copy(
        &self,
        caller: &Caller,
        id: &str,
        file: usize,
    ) -> impl Future<Output = Result<CopyReader, VaultError>> + Send {
        Vault::read_copy(self, caller, id, file)
    }

    fn end_expired_copies(&self) -> impl Future<Output = Result<(), VaultError>> + Send {
        Vault::end_expired_copies(self)
    }

    fn end_copy(&self, caller: &Caller, id: &str) -> impl Future<Output = Result<(), VaultError>> + Send {
        Vault::end_copy(self, caller, id)
    }

    fn note(
        &self,
        caller: &Caller,
        kind: EventKind,
        outcome: Outcome,
        detail: Option<String>,
    ) -> impl Future<Output = Result<(), VaultError>> + Send {
        Vault::note_with(self, caller, kind, outcome, detail)
    }

    fn authenticate(&self, secret: &str) -> Result<Option<Token>, VaultError> {
        Vault::authenticate(self, secret)
    }

    fn index(&self) -> Option<(IndexState, IndexStatistics)> {
        self.index_state().zip(self.index_statistics())
    }

    fn rebuild_index(&self) -> Result<(), VaultError> {
        Vault::rebuild_index(self)
    }

    fn log_file(&self, resource: &tacet_tlog::tile::Resource) -> Result<Vec<u8>, VaultError> {
        Vault::log_file(self, resource)
    }

    fn statistics(&self) -> VaultStatistics {
        Vault::statistics(self)
    }

    fn rows(&self) -> Option<Arc<dyn NotedRows>> {
        Some(Arc::new(self.clone()))
    }

    fn lockdown(&self) -> Option<LockdownLevel> {
        self.lockdown_level()
    }

    fn health(&self) -> Health {
        Vault::health(self)
    }
}
