//! A record store in memory for the tests of the server: it keeps versions, writes down who asked, and has ids that bring
//! about each refusal. It knows nothing of FHIR.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_ledger::{EventKind, Outcome};
use tacet_server::RecordService;
use tacet_types::{Clock, ManualClock, RecordRef, ResourceId, ResourceType, Sequence, Timestamp, VersionId};
use tacet_vault::*;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// A moment for clocks to start at.
pub(crate) const START: i64 = 1_760_000_000_000;

/// The name that no log may show.
pub(crate) const PLANTED_NAME: &str = "Amieeplantedname";

type Versions = Vec<(Timestamp, Option<Vec<u8>>)>;

#[derive(Clone)]
pub(crate) struct Memory(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) clock: Arc<ManualClock>,
    records: Mutex<BTreeMap<(ResourceType, ResourceId), Versions>>,
    pub(crate) notes: Mutex<Vec<(EventKind, Outcome)>>,
    pub(crate) callers: Mutex<Vec<Caller>>,
    /// The threads on which pages were put together.
    pub(crate) page_threads: Mutex<Vec<ThreadId>>,
    /// A read of the id `slow` waits for a permit.
    pub(crate) slow: Semaphore,
    pub(crate) slow_started: Semaphore,
    pub(crate) failed: AtomicBool,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            clock: Arc::new(ManualClock::new(Timestamp::from_ms(START))),
            records: Mutex::default(),
            notes: Mutex::default(),
            callers: Mutex::default(),
            page_threads: Mutex::default(),
            slow: Semaphore::new(0),
            slow_started: Semaphore::new(0),
            failed: AtomicBool::new(false),
        }))
    }

    fn asked(&self, caller: &Caller) {
        self.0.callers.lock().unwrap().push(caller.clone());
    }

    fn look(&self, kind: ResourceType, id: &ResourceId, version: Option<VersionId>) -> Result<Disclosed, VaultError> {
        let records = self.0.records.lock().unwrap();
        let versions = records.get(&(kind, id.clone())).ok_or(VaultError::NotFound)?;
        let version = version.unwrap_or(VersionId(versions.len() as u64));
        let (last_updated, body) = versions.get(version.0 as usize - 1).ok_or(VaultError::NotFound)?;
        let record = RecordRef { resource_type: kind, id: id.clone(), version };
        match body {
            Some(body) => Ok(Disclosed { record, last_updated: *last_updated, body: Zeroizing::new(body.clone()) }),
            None => Err(VaultError::Gone { record, last_updated: *last_updated }),
        }
    }

    fn store(&self, kind: ResourceType, id: &ResourceId, body: &[u8]) -> Result<Stored, VaultError> {
        let mut body: Value = serde_json::from_slice(body).map_err(|error| VaultError::Internal(Box::new(error)))?;
        if body["resourceType"] != kind.as_str() {
            let issue = Issue::error(IssueType::Invariant, "Patient.name[0]", "must be something else");
            return Err(VaultError::Invalid(vec![issue]));
        }
        let mut records = self.0.records.lock().unwrap();
        let versions = records.entry((kind, id.clone())).or_default();
        let version = VersionId(versions.len() as u64 + 1);
        let last_updated = self.0.clock.now();
        body["id"] = json!(id.as_str());
        body["meta"] = json!({ "versionId": version.to_string(), "lastUpdated": last_updated.to_string() });
        let body = body.to_string().into_bytes();
        versions.push((last_updated, Some(body.clone())));
        let record = RecordRef { resource_type: kind, id: id.clone(), version };
        Ok(Stored { record, last_updated, body: Zeroizing::new(body), created: version == VersionId::FIRST })
    }
}

impl RecordService for Memory {
    async fn read(&self, caller: &Caller, kind: ResourceType, id: &ResourceId) -> Result<Disclosed, VaultError> {
        self.asked(caller);
        match id.as_str() {
            "unavailable" => return Err(VaultError::Unavailable(Box::new(std::io::Error::other(PLANTED_NAME)))),
            "internal" => {
                let quoting = serde_json::from_str::<u32>(&format!("\"{PLANTED_NAME}\"")).unwrap_err();
                return Err(VaultError::Internal(Box::new(quoting)));
            }
            "panic" => panic!("as asked"),
            "forbidden" => return Err(VaultError::Forbidden),
            "rate" => return Err(VaultError::RateExceeded { retry_after_ms: 1500 }),
            "conflict" => return Err(VaultError::Conflict),
            "erased" => return Err(VaultError::Erased),
            "absent" => return Err(VaultError::NotSupported("this thing")),
            "large" => return Err(VaultError::TooLarge { what: "entries", max: 5 }),
            "damaged" => return Err(VaultError::Damaged("a seal")),
            "mismatch" => return Err(VaultError::IdMismatch),
            "slow" => {
                self.0.slow_started.add_permits(1);
                self.0.slow.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        self.look(kind, id, None)
    }

    async fn vread(
        &self,
        caller: &Caller,
        kind: ResourceType,
        id: &ResourceId,
        version: VersionId,
    ) -> Result<Disclosed, VaultError> {
        self.asked(caller);
        self.look(kind, id, Some(version))
    }

    async fn create(&self, caller: &Caller, kind: ResourceType, body: &[u8], _: &str) -> Result<Stored, VaultError> {
        self.asked(caller);
        let count = self.0.records.lock().unwrap().len();
        self.store(kind, &ResourceId::parse(&format!("n{count}")).unwrap(), body)
    }

    async fn update(
        &self,
        caller: &Caller,
        kind: ResourceType,
        id: &ResourceId,
        body: &[u8],
        _: &str,
        if_match: Option<VersionId>,
        if_none_match_any: bool,
    ) -> Result<Stored, VaultError> {
        self.asked(caller);
        let current = self.look(kind, id, None).ok().map(|found| found.record.version);
        if (if_match.is_some() && current != if_match) || (if_none_match_any && current.is_some()) {
            return Err(VaultError::PreconditionFailed);
        }
        self.store(kind, id, body)
    }

    async fn delete(
        &self,
        caller: &Caller,
        kind: ResourceType,
        id: &ResourceId,
        if_match: Option<VersionId>,
    ) -> Result<Deleted, VaultError> {
        self.asked(caller);
        let current = self.look(kind, id, None).ok().map(|found| found.record.version);
        if if_match.is_some() && current != if_match {
            return Err(VaultError::PreconditionFailed);
        }
        if current.is_none() {
            return Ok(Deleted { record: None });
        }
        let mut records = self.0.records.lock().unwrap();
        let versions = records.get_mut(&(kind, id.clone())).unwrap();
        versions.push((self.0.clock.now(), None));
        let record = RecordRef { resource_type: kind, id: id.clone(), version: VersionId(versions.len() as u64) };
        Ok(Deleted { record: Some(record) })
    }

    async fn history(
        &self,
        caller: &Caller,
        scope: &HistoryScope,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, VaultError> {
        self.asked(caller);
        self.0.page_threads.lock().unwrap().push(std::thread::current().id());
        let records = self.0.records.lock().unwrap();
        let mut entries = Vec::new();
        for ((kind, id), versions) in records.iter() {
            let within = match scope {
                HistoryScope::Instance(of, one) => of == kind && one == id,
                HistoryScope::Type(of) => of == kind,
                HistoryScope::System => true,
            };
            for (place, (last_updated, body)) in versions.iter().enumerate().rev().filter(|_| within) {
                if query.since.is_some_and(|since| *last_updated < since) {
                    continue;
                }
                let version = VersionId(place as u64 + 1);
                entries.push(HistoryEntry {
                    record: RecordRef { resource_type: *kind, id: id.clone(), version },
                    last_updated: *last_updated,
                    method: if body.is_none() { Method::Delete } else { Method::Put },
                    body: body.clone().map(Zeroizing::new),
                });
            }
        }
        let total = entries.len() as u64;
        let from: usize = query.cursor.as_deref().map_or(0, |cursor| cursor.trim_matches('=').parse().unwrap());
        let more = entries.len() > from + query.count;
        let entries = entries.into_iter().skip(from).take(query.count).collect();
        let next = more.then(|| format!("{}=", from + query.count));
        Ok(HistoryPage { entries, next, total: Some(total) })
    }

    async fn bundle(
        &self,
        caller: &Caller,
        body: &[u8],
        base_url: &str,
        _: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.asked(caller);
        let text = json!({ "resourceType": "Bundle", "type": "batch-response",
            "link": [{ "relation": "self", "url": base_url }], "total": body.len() });
        Ok(Zeroizing::new(text.to_string().into_bytes()))
    }

    async fn everything(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        query: &EverythingQuery,
    ) -> Result<EverythingPage, VaultError> {
        self.asked(caller);
        self.0.page_threads.lock().unwrap().push(std::thread::current().id());
        let found = self.look(ResourceType::parse("Patient").unwrap(), patient, None)?;
        let next = (query.count == 1).then(|| query.types.len().to_string());
        Ok(EverythingPage { entries: vec![(found, true)], next })
    }

    /// Finds nothing; what searches mean is tested on the vault.
    async fn read_audit(&self, caller: &Caller, _: &ResourceId, _: &str) -> Result<Disclosed, VaultError> {
        self.asked(caller);
        Err(VaultError::NotFound)
    }

    async fn patient_ledger(
        &self,
        caller: &Caller,
        _: &ResourceId,
        _: (Timestamp, Timestamp),
        _: &mut (dyn FnMut(LedgerLine) -> ControlFlow<()> + Send),
    ) -> Result<PatientLedger, VaultError> {
        self.asked(caller);
        Ok(PatientLedger { began: None, unread: 0, kept_since: None })
    }

    async fn search_audit(&self, caller: &Caller, call: &SearchCall) -> Result<SearchPage, VaultError> {
        self.search(caller, call).await
    }

    async fn search(&self, caller: &Caller, call: &SearchCall) -> Result<SearchPage, VaultError> {
        self.asked(caller);
        Ok(SearchPage {
            entries: Vec::new(),
            total: Some(0),
            next: None,
            used: call.parameters.clone(),
            issues: Vec::new(),
            summary: tacet_search::request::Summary::False,
            elements: Vec::new(),
        })
    }

    async fn create_conditional(
        &self,
        caller: &Caller,
        kind: ResourceType,
        body: &[u8],
        base_url: &str,
        _: &Criteria,
    ) -> Result<ConditionalCreate, VaultError> {
        self.create(caller, kind, body, base_url).await.map(ConditionalCreate::Created)
    }

    async fn update_conditional(
        &self,
        caller: &Caller,
        kind: ResourceType,
        body: &[u8],
        base_url: &str,
        _: &Criteria,
        _: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        self.create(caller, kind, body, base_url).await
    }

    async fn delete_conditional(
        &self,
        caller: &Caller,
        _: ResourceType,
        _: &str,
        _: &Criteria,
    ) -> Result<Vec<Deleted>, VaultError> {
        self.asked(caller);
        Ok(Vec::new())
    }

    async fn patch(
        &self,
        caller: &Caller,
        kind: ResourceType,
        id: &ResourceId,
        _: &Patch<'_>,
        _: &str,
        _: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        self.asked(caller);
        let Disclosed { record, last_updated, body } = self.look(kind, id, None)?;
        Ok(Stored { record, last_updated, body, created: false })
    }

    async fn patch_conditional(
        &self,
        caller: &Caller,
        _: ResourceType,
        _: &Criteria,
        _: &Patch<'_>,
        _: &str,
        _: Option<VersionId>,
    ) -> Result<Stored, VaultError> {
        self.asked(caller);
        Err(VaultError::NotFound)
    }

    async fn import(
        &self,
        caller: &Caller,
        _: &ImportUnit<'_>,
        _: ImportOptions<'_>,
    ) -> Result<ImportOutcome, VaultError> {
        self.asked(caller);
        Ok(ImportOutcome::default())
    }

    async fn end_expired_copies(&self) -> Result<(), VaultError> {
        Ok(())
    }

    async fn terminology(&self, caller: &Caller, _: &OperationCall) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.asked(caller);
        Ok(Zeroizing::new(br#"{"resourceType":"Parameters"}"#.to_vec()))
    }

    async fn validate(&self, caller: &Caller, _: &ValidateCall) -> Result<Vec<Issue>, VaultError> {
        self.asked(caller);
        Ok(Vec::new())
    }

    async fn meta(&self, caller: &Caller, scope: &MetaScope) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.asked(caller);
        if let MetaScope::Record(kind, id) | MetaScope::Version(kind, id, _) = scope {
            self.look(*kind, id, None)?;
        }
        Ok(Zeroizing::new(br#"{"resourceType":"Parameters"}"#.to_vec()))
    }

    async fn change_meta(
        &self,
        caller: &Caller,
        kind: ResourceType,
        id: &ResourceId,
        _: MetaChange,
        _: &[u8],
        _: Option<VersionId>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.meta(caller, &MetaScope::Record(kind, id.clone())).await
    }

    async fn match_patients(&self, caller: &Caller, _: &MatchCall) -> Result<MatchPage, VaultError> {
        self.asked(caller);
        Ok(MatchPage { entries: Vec::new() })
    }

    async fn whole_record(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        _: &[ResourceType],
        _: &Asked,
    ) -> Result<Vec<Disclosed>, VaultError> {
        self.asked(caller);
        self.0.page_threads.lock().unwrap().push(std::thread::current().id());
        Ok(vec![self.look(ResourceType::parse("Patient").unwrap(), patient, None)?])
    }

    async fn everything_of_encounter(
        &self,
        caller: &Caller,
        _: &ResourceId,
        _: &EverythingQuery,
        _: &str,
    ) -> Result<EverythingPage, VaultError> {
        self.asked(caller);
        Ok(EverythingPage { entries: Vec::new(), next: None })
    }

    async fn subscription_status(
        &self,
        caller: &Caller,
        _: Option<&ResourceId>,
    ) -> Result<Vec<(Subscription, u64)>, VaultError> {
        self.asked(caller);
        Ok(Vec::new())
    }

    async fn subscription_events(
        &self,
        caller: &Caller,
        _: &SubscriptionEventsCall,
    ) -> Result<SubscriptionEvents, VaultError> {
        self.asked(caller);
        Err(VaultError::NotFound)
    }

    async fn begin_copy(&self, caller: &Caller, _: CopyRequest) -> Result<String, VaultError> {
        self.asked(caller);
        Ok("c1".to_owned())
    }

    fn copy(&self, caller: &Caller, _: &str) -> Result<CopyStatus, VaultError> {
        self.asked(caller);
        Err(VaultError::NotFound)
    }

    async fn read_copy(&self, caller: &Caller, _: &str, _: usize) -> Result<CopyReader, VaultError> {
        self.asked(caller);
        Err(VaultError::NotFound)
    }

    async fn end_copy(&self, caller: &Caller, _: &str) -> Result<(), VaultError> {
        self.asked(caller);
        Ok(())
    }

    async fn note(&self, _: &Caller, kind: EventKind, outcome: Outcome, _: Option<String>) -> Result<(), VaultError> {
        self.0.notes.lock().unwrap().push((kind, outcome));
        Ok(())
    }

    /// A role's name is a good token for it, `name-2` another; `expired` was one for a clinician.
    fn authenticate(&self, secret: &str) -> Result<Option<Token>, VaultError> {
        let now = self.0.clock.now();
        let first = secret.split('-').next().unwrap();
        let role = if first == "expired" { Some(Role::Clinician) } else { None };
        let Some(role) = role.or(Role::parse(secret)).or(Role::parse(first)) else { return Ok(None) };
        let expires = if secret == "expired" { Timestamp::from_ms(START) } else { now.plus_ms(1) };
        let token = Token {
            id: format!("id-{secret}"),
            owner: format!("the {secret}"),
            role,
            practitioner: None,
            patients: Vec::new(),
            may_export: false,
            supplier: false,
            created: Timestamp::from_ms(0),
            expires,
        };
        Ok((expires > now).then_some(token))
    }

    fn index(&self) -> Option<(IndexState, IndexStatistics)> {
        Some((IndexState::Ready, IndexStatistics::default()))
    }

    fn rebuild_index(&self) -> Result<(), VaultError> {
        Ok(())
    }

    fn log_file(&self, _: &tacet_tlog::tile::Resource) -> Result<Vec<u8>, VaultError> {
        Err(VaultError::NotFound)
    }

    fn statistics(&self) -> VaultStatistics {
        VaultStatistics {
            log: tacet_vault::LogFigures::default(),
            unwraps: Default::default(),
            ledger_entries: 4711,
            last_sequence: Sequence(12),
            plans: 13,
            backup: None,
            drills: Vec::new(),
            derived: Default::default(),
            locked: 0,
            tripwires: 0,
            engine: Default::default(),
        }
    }

    fn health(&self) -> Health {
        if self.0.failed.load(Ordering::Relaxed) { Health::Failed } else { Health::Ready }
    }
}
