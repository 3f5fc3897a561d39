//! The ledger's entries as AuditEvents: read by their number, searched as R4 searches AuditEvents. No record is opened.
//!
//! ```text
//! entries, newest first ──> whose? ──> AuditEvent ──> what the search engine makes of it ──> fits? ──> page
//! ```
//!
//! What a search means is what the search engine says it means: each candidate is looked at as if it were stored. Whoever reads the ledger
//! is in the ledger before anything is shown.

mod candidates;
mod feed;

pub use feed::FEED_ENTRIES_MAX;

use crate::caller::Caller;
use crate::disclose::{Disclosed, SHOWN_BYTES_MAX, json_limits};
use crate::error::VaultError;
use crate::knowledge::SearchCodes;
use crate::search::{
    SEARCH_PAGE_DEFAULT, SEARCH_PAGE_MAX, SearchCall, SearchEntry, SearchMode, SearchPage, query_text, shaped,
};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use candidates::{Candidates, Looked};
use std::collections::HashSet;
use tacet_audit::{Eyes, Shown, Site, audit_event, entry_index, event_id};
use tacet_fhir::json;
use tacet_fhir::outcome::{Issue, IssueType, Severity};
use tacet_fhir::search::ParameterId;
use tacet_ledger::{Entry, LedgerError, QUERY_BYTES_MAX};
use tacet_policy::{Access, Level};
use tacet_search::document::{Document, Key};
use tacet_search::filter::Filter;
use tacet_search::matcher::{World, matches, prepare};
use tacet_search::parameters::Parameters;
use tacet_search::request::{self, Call, Contained, Handling, SearchRequest, SortBy, Summary, Total};
use tacet_search::{Position, SearchError};
use tacet_types::{RecordRef, ResourceId, ResourceType, Role, Timestamp, VersionId};
use zeroize::Zeroizing;

/// Most entries that are passed over for one page. A page that comes to it ends there, with a link to where it goes on.
pub const AUDIT_SCAN_MAX: usize = 200_000;

/// Most events that are made and looked at for one page: each costs some ten times what an entry costs that is passed over.
pub const AUDIT_LOOK_MAX: usize = 20_000;

/// The name of the establishment where none was given.
const NAMELESS: &str = "Tacet";

/// Whose events somebody may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// Everybody's.
    Everybodys,
    /// Those about the records of these patients, as the patient sees them.
    Patients(Vec<ResourceId>),
}

impl Whose {
    /// Whose events this caller may see, and by its token may.
    pub(crate) fn of(caller: &Caller, access: Access) -> Result<Self, VaultError> {
        let of_type = ResourceType::parse("AuditEvent");
        let allowed = |level: Level| {
            caller.scopes.as_ref().is_none_or(|scopes| {
                scopes.iter().any(|scope| {
                    let of_type = scope.resource_type.is_none() || scope.resource_type == of_type;
                    scope.level == level && of_type && scope.allows(access) && scope.query.is_none()
                })
            })
        };
        if caller.role.may_read_ledger() {
            return if allowed(Level::User) { Ok(Self::Everybodys) } else { Err(VaultError::Forbidden) };
        }
        if caller.role != Role::Patient {
            return Err(VaultError::Forbidden);
        }
        let (user, patient) = (allowed(Level::User), allowed(Level::Patient));
        let may = |id: &&ResourceId| user || (patient && caller.launch_patient.as_ref() == Some(*id));
        Ok(Self::Patients(caller.patients.iter().filter(may).cloned().collect()))
    }

    fn are(&self, entry: &Entry) -> bool {
        match (self, &entry.patient) {
            (Self::Everybodys, _) => true,
            (Self::Patients(patients), Some((resource_type, id))) => {
                resource_type.as_str() == "Patient" && patients.contains(id)
            }
            (Self::Patients(_), None) => false,
        }
    }

    fn eyes(&self) -> Eyes<'static> {
        match self {
            Self::Everybodys => Eyes::Auditor,
            Self::Patients(_) => Eyes::Patient,
        }
    }
}

/// Whether an AuditEvent of this id is an entry of the ledger: nobody stores one under it.
pub fn is_audit_id(id: &ResourceId) -> bool {
    entry_index(id.as_str()).is_some()
}

/// The same of a record.
pub(crate) fn is_of_ledger(resource_type: ResourceType, id: &ResourceId) -> bool {
    resource_type.as_str() == "AuditEvent" && is_audit_id(id)
}

impl Vault {
    /// Says what the establishment is called: its name stands in each AuditEvent. The first name stays.
    pub fn call_establishment(&self, name: &str) {
        let _ = self.0.called.set(name.to_owned());
    }

    /// Who keeps this ledger, for the forms of its entries.
    pub fn audit_site(&self, base_url: &str) -> Site {
        self.0.audit_site(base_url)
    }

    /// The AuditEvent of one entry of the ledger.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] also for an entry that is not for this caller to see; [`VaultError::Forbidden`] where the role reads
    /// nothing of the ledger.
    pub async fn read_audit(&self, caller: &Caller, id: &ResourceId, base_url: &str) -> Result<Disclosed, VaultError> {
        let inner = &self.0;
        let whose = inner.whose(caller, Access::Read)?;
        let index = entry_index(id.as_str()).ok_or(VaultError::NotFound)?;
        let (found, past) = inner.ledger_entry_if_any(index)?;
        let found = found.filter(|entry| whose.are(entry));
        let patient = found.as_ref().and_then(|entry| entry.patient.clone());
        let outcome = if found.is_some() { Outcome::Success } else { Outcome::Failed };
        let mut entry = caller.entry(inner.clock.now(), EventKind::LedgerAccess, outcome, patient);
        entry.query = Some(format!("AuditEvent/{}", event_id(index)));
        inner.record(vec![entry]).await?;
        let entry = found.ok_or(match whose {
            Whose::Everybodys if past => VaultError::PastItsTime,
            // About whom an entry was that is past its time, nobody knows.
            Whose::Everybodys | Whose::Patients(_) => VaultError::NotFound,
        })?;
        told(index, &entry, whose.eyes(), &inner.audit_site(base_url))
    }

    /// A page of the entries that fit, newest first, as AuditEvents. A page may be short of what was asked for, or empty, and still have one
    /// after it: it ends where [`AUDIT_SCAN_MAX`] or [`AUDIT_LOOK_MAX`] does. May block.
    ///
    /// # Errors
    /// As [`Vault::search`]; what would need other resources (chains, `_has`, includes), another order than by date, or a number of all is
    /// not supported.
    pub async fn search_audit(&self, caller: &Caller, call: &SearchCall) -> Result<SearchPage, VaultError> {
        let inner = &self.0;
        let whose = inner.whose(caller, Access::Search)?;
        let (parameters, handling, before) = match &call.cursor {
            None => (call.parameters.clone(), call.handling, u64::MAX),
            Some(cursor) => {
                let opened = inner.open_cursor(caller, call, cursor)?;
                (opened.parameters, opened.handling, opened.position.order)
            }
        };
        let known = Parameters::standard();
        let compiled = inner.compile_audit(call, &parameters, handling, &known)?;
        let query = query_text(&call.scope, &parameters);
        let of_one = one_patient(&whose, &parameters);
        let site = inner.audit_site(&call.base_url);
        let count = compiled.request.count.unwrap_or(SEARCH_PAGE_DEFAULT).clamp(1, SEARCH_PAGE_MAX);
        let mut candidates = inner.audit_candidates(&patients_of(&whose, of_one.as_ref()), &parameters, before)?;
        let gathered = inner.gather_audit(&whose, &compiled, &mut candidates, &known, (before, count), &site)?;

        let patient = ResourceType::parse("Patient").zip(of_one);
        let mut entry = caller.entry(inner.clock.now(), EventKind::LedgerAccess, Outcome::Success, patient);
        entry.query = Some(query);
        entry.detail = Some(gathered.described());
        inner.record(vec![entry]).await?;

        let kept = inner.ledger_kept()?.map(|kept| kept.since);
        let left_out = gathered.left_out(kept.filter(|since| gathered.next.is_none() && candidates.asks_for(*since)));
        let Compiled { request, .. } = compiled;
        let mut entries = Vec::with_capacity(gathered.found.len());
        for disclosed in gathered.found {
            let disclosed = shaped(disclosed, &request, SearchMode::Match)?;
            entries.push(SearchEntry { disclosed, mode: SearchMode::Match, graded: None });
        }
        let next = match gathered.next {
            Some(order) => {
                let position = Position { values: Vec::new(), order, key: key_of(order)? };
                Some(inner.seal_cursor(caller, call, &parameters, handling, &position)?)
            }
            None => None,
        };
        let SearchRequest { used, mut issues, summary, elements, .. } = request;
        issues.extend(left_out);
        Ok(SearchPage { entries, total: None, next, used, issues, summary, elements })
    }
}

/// A search of events, ready to be asked about one at a time.
struct Compiled {
    request: SearchRequest,
    filter: Filter,
}

/// What a page holds.
struct Gathered {
    found: Vec<Disclosed>,
    /// Entries before this one are on the next page.
    next: Option<u64>,
    /// The newest and the oldest entry that was looked at.
    looked: Option<(u64, u64)>,
    /// Entries that were looked at and whose time is over.
    past: u64,
    /// Entries that were looked at and do not open.
    damaged: u64,
}

impl Gathered {
    fn described(&self) -> String {
        match self.looked {
            Some((newest, oldest)) => format!("{} events shown of entries {oldest} to {newest}", self.found.len()),
            None => "no entry was there to look at".to_owned(),
        }
    }

    /// What a page cannot show, in words. `kept`: from when on entries can be read, where the page is the last and earlier ones are asked for.
    fn left_out(&self, kept: Option<Timestamp>) -> Vec<Issue> {
        let issue = |severity, message: String| Issue {
            severity,
            code: IssueType::Incomplete,
            location: String::new(),
            message,
        };
        let mut issues = Vec::new();
        if self.damaged > 0 {
            let message = format!(
                "{} entries of the ledger that may answer do not open: they were altered or damaged, and the operator must run `tacet ledger verify`",
                self.damaged
            );
            issues.push(issue(Severity::Warning, message));
        }
        if self.past > 0 {
            let message = format!("{} entries that may answer are past their time: what they said is gone", self.past);
            issues.push(issue(Severity::Information, message));
        }
        if let Some(since) = kept {
            let message = format!("entries of before {since} are past their time, and what they said is gone");
            issues.push(issue(Severity::Information, message));
        }
        issues
    }
}

impl Inner {
    pub(crate) fn audit_site(&self, base_url: &str) -> Site {
        let name = self.called.get().map_or(NAMELESS, String::as_str).to_owned();
        Site { name, establishment: self.keys.id, base_url: base_url.to_owned() }
    }

    /// The entry of this number, where there is one that can be read; and whether there is one whose time is over.
    fn ledger_entry_if_any(&self, index: u64) -> Result<(Option<Entry>, bool), VaultError> {
        match tacet_ledger::read(self.store.reader(), &self.ledger_keys, index) {
            Ok(entry) => Ok((Some(entry), false)),
            Err(LedgerError::NoEntry { .. }) => Ok((None, false)),
            Err(LedgerError::KeyNotHeld { .. }) => Ok((None, true)),
            Err(other) => Err(other.into()),
        }
    }

    fn compile_audit(
        &self,
        call: &SearchCall,
        parameters: &[(String, String)],
        handling: Handling,
        known: &Parameters,
    ) -> Result<Compiled, VaultError> {
        if query_text(&call.scope, parameters).len() > QUERY_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in the criteria of a search", max: QUERY_BYTES_MAX });
        }
        let asked =
            Call { scope: call.scope.clone(), parameters, handling, base_url: &call.base_url, now: self.clock.now() };
        let codes = SearchCodes(&self.knowing);
        let request = request::compile(&asked, known, &codes, &self.limits.queries).map_err(|error| match error {
            SearchError::NotReady { .. } => VaultError::Definitions,
            other => other.into(),
        })?;
        let newest_first = request.sort.first().is_none_or(|key| key.descending && is_time(&key.parameter));
        let refused = [
            (!request.includes.is_empty(), "`_include` and `_revinclude` in a search of the ledger"),
            (request.contained != Contained::False, "`_contained` in a search of the ledger"),
            (!newest_first, "another order of the ledger than by `-date`: the newest stand first"),
            (request.total == Total::Accurate, "the number of all events that fit: ask for pages"),
            (
                request.summary == Summary::Count || request.count == Some(0),
                "the number of events alone: ask for pages",
            ),
        ];
        if let Some((_, what)) = refused.into_iter().find(|(asked, _)| *asked) {
            return Err(VaultError::NotSupported(what));
        }
        let filter = prepare(&request.filter, &NoOthers)?;
        Ok(Compiled { request, filter })
    }

    /// Finds what a page shows.
    fn gather_audit(
        &self,
        whose: &Whose,
        compiled: &Compiled,
        candidates: &mut Candidates,
        known: &Parameters,
        (mut before, count): (u64, usize),
        site: &Site,
    ) -> Result<Gathered, VaultError> {
        let mut gathered = Gathered { found: Vec::new(), next: None, looked: None, past: 0, damaged: 0 };
        let (mut scanned, mut made, mut bytes) = (0usize, 0usize, 0usize);
        loop {
            let listed = self.next_audit_candidates(candidates)?;
            if listed.is_empty() {
                return Ok(gathered);
            }
            for (index, looked) in listed {
                let full = gathered.found.len() >= count || bytes >= SHOWN_BYTES_MAX;
                if full || scanned >= AUDIT_SCAN_MAX || made >= AUDIT_LOOK_MAX {
                    gathered.next = Some(before);
                    return Ok(gathered);
                }
                scanned += 1;
                before = index;
                let newest = gathered.looked.map_or(index, |(newest, _)| newest);
                gathered.looked = Some((newest, index));
                let entry = match looked {
                    Looked::Opened(entry) if whose.are(&entry) && candidates.may_be(&entry) => entry,
                    Looked::Opened(_) => continue,
                    Looked::Past => {
                        gathered.past += 1;
                        continue;
                    }
                    Looked::Damaged => {
                        gathered.damaged += 1;
                        continue;
                    }
                };
                made += 1;
                let disclosed = told(index, &entry, whose.eyes(), site)?;
                if fits(compiled, &disclosed, known)? {
                    bytes = bytes.saturating_add(disclosed.body.len());
                    gathered.found.push(disclosed);
                }
            }
        }
    }
}

/// The patients whom a search can be about, where it is about some.
fn patients_of(whose: &Whose, of_one: Option<&ResourceId>) -> Option<Vec<ResourceId>> {
    match (whose, of_one) {
        (_, Some(one)) => Some(vec![one.clone()]),
        (Whose::Patients(patients), None) => Some(patients.clone()),
        (Whose::Everybodys, None) => None,
    }
}

/// The one patient whom a search is about, if it is about one: those it names, or the caller's own.
fn one_patient(whose: &Whose, parameters: &[(String, String)]) -> Option<ResourceId> {
    let named = parameters.iter().find(|(name, _)| name == "patient" || name == "patient:Patient");
    match (named, whose) {
        (Some((_, value)), _) => ResourceId::parse(value.strip_prefix("Patient/").unwrap_or(value)).ok(),
        (None, Whose::Patients(patients)) => match patients.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        },
        (None, Whose::Everybodys) => None,
    }
}

fn is_time(by: &SortBy) -> bool {
    match by {
        SortBy::LastUpdated => true,
        SortBy::Id => false,
        SortBy::Parameter(ids) => ids.iter().all(|id| id.parameter().code == "date"),
    }
}

fn key_of(index: u64) -> Result<Key, VaultError> {
    let internal = || VaultError::Internal("the id of an event cannot be made".into());
    let resource_type = ResourceType::parse("AuditEvent").ok_or_else(internal)?;
    Ok(Key { resource_type, id: ResourceId::parse(&event_id(index)).map_err(|_| internal())? })
}

/// The event of an entry, as these eyes see it.
fn told(index: u64, entry: &Entry, eyes: Eyes<'_>, site: &Site) -> Result<Disclosed, VaultError> {
    let Key { resource_type, id } = key_of(index)?;
    let body = Zeroizing::new(audit_event(&Shown::of(index, entry, eyes), site).to_string().into_bytes());
    Ok(Disclosed { record: RecordRef { resource_type, id, version: VersionId::FIRST }, last_updated: entry.at, body })
}

/// Whether an event is what the search means.
fn fits(compiled: &Compiled, event: &Disclosed, known: &Parameters) -> Result<bool, VaultError> {
    let value = json::parse(&event.body, &json_limits())?;
    let RecordRef { resource_type, id, version } = event.record.clone();
    let document = Document::of(&value, Key { resource_type, id }, version, event.last_updated, known);
    Ok(matches(&compiled.filter, &document))
}

/// The ledger knows no other resources.
struct NoOthers;

impl NoOthers {
    fn refused<T>() -> Result<T, SearchError> {
        let message = "a search of the ledger asks about nothing but its events: no chain, no `_has`, no `_list`";
        Err(SearchError::Refused(Box::new(Issue::error(IssueType::NotSupported, "", message.to_owned()))))
    }
}

impl World for NoOthers {
    fn matching(&self, _: &Filter) -> Result<HashSet<Key>, SearchError> {
        Self::refused()
    }

    fn document(&self, _: &Key) -> Option<Document> {
        None
    }

    fn references(&self, _: &HashSet<Key>, _: ParameterId) -> Result<HashSet<Key>, SearchError> {
        Self::refused()
    }
}
