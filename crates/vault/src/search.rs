//! Search: what is found is written down, then opened, then shown.
//!
//! ```text
//! compile ──> index: keys and versions ──> locate ──> one entry a patient, durable, the query inside ──> open ──> page
//! ```
//!
//! A search shows each record in the version that the index found, which was current when the search began. What was erased
//! meanwhile is left out. A number without records is a disclosure too, and so is finding nothing: each has its entry.

mod cursor;
mod includes;
mod policy;

pub use cursor::CURSOR_LIFE_MS;
pub use includes::INCLUDES_MAX;

use crate::absence::{Hidden, Sought};
use crate::access::{Look, Sights};
use crate::caller::Caller;
use crate::conditional::Fitting;
use crate::disclose::{Disclosed, Located, SHOWN_BYTES_MAX, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::index::{IndexState, Indexing};
use crate::knowledge::SearchCodes;
use crate::matching::Graded;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::sync::Arc;
use tacet_fhir::compartment::Compartment;
use tacet_fhir::json;
use tacet_fhir::outcome::Issue;
use tacet_fhir::summary::{Part, part};
use tacet_ledger::QUERY_BYTES_MAX;
use tacet_policy::Act;
use tacet_search::SearchError;
use tacet_search::parameters::Parameters;
use tacet_search::request::{self, Call, Handling, Scope, SearchRequest, Summary, Total};
use tacet_search::{Hits, Page, Position};
use tacet_types::ResourceType;
use zeroize::Zeroizing;

/// Most matches on one page. With what comes along, a page never needs more entries than one commit may hold.
pub const SEARCH_PAGE_MAX: usize = 500;

/// Matches on a page where the search does not say.
pub const SEARCH_PAGE_DEFAULT: usize = 50;

const _: () = assert!(SEARCH_PAGE_MAX + INCLUDES_MAX <= tacet_ledger::ENTRIES_MAX, "one entry for each patient");

/// A search as the server has it.
#[derive(Clone, Debug)]
pub struct SearchCall {
    /// Where it looks.
    pub scope: Scope,
    /// Names and values, decoded, in their order; without what is the server's own (`_format`, `_pretty`).
    pub parameters: Vec<(String, String)>,
    /// What becomes of parameters that are not known.
    pub handling: Handling,
    /// The address of this server, without `/` at the end.
    pub base_url: String,
    /// What a page before gave as [`SearchPage::next`]. The parameters are in it: those given here must be none, or the same.
    pub cursor: Option<String>,
}

/// Why a record is on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchMode {
    /// It matches.
    Match,
    /// It came along (`_include`, `_revinclude`).
    Include,
}

/// A record on a page.
pub struct SearchEntry {
    /// The record, or the part of it that was asked for.
    pub disclosed: Disclosed,
    /// Why it is here.
    pub mode: SearchMode,
    /// How well it matches, where that was weighed (`Patient/$match`).
    pub graded: Option<Graded>,
}

/// A page of results.
pub struct SearchPage {
    /// Matches in their order, then what came along.
    pub entries: Vec<SearchEntry>,
    /// How many match in all, if that was asked for.
    pub total: Option<u64>,
    /// Where the next page begins, sealed: it tells nothing, and is good for this caller and an hour. None: this is the last.
    pub next: Option<String>,
    /// What was understood, for the self link.
    pub used: Vec<(String, String)>,
    /// What lenient handling passed over.
    pub issues: Vec<Issue>,
    /// Which part of each record this shows.
    pub summary: Summary,
    /// Which elements of each match this shows; empty for all.
    pub elements: Vec<String>,
}

/// A compiled search with what the ledger says of it.
pub(crate) struct Compiled {
    pub(crate) request: SearchRequest,
    pub(crate) query: String,
}

/// What one page shows, before it is written down.
struct Gathered {
    located: Vec<Located>,
    /// Where each match stands.
    positions: Vec<Position>,
    matches: usize,
    next: Option<Position>,
    total: Option<u64>,
}

impl Vault {
    /// A page of what a search finds.
    pub async fn search(&self, caller: &Caller, call: &SearchCall) -> Result<SearchPage, VaultError> {
        let inner = &self.0;
        let sights = inner.sights(caller, Act::Read)?;
        let (parameters, handling, after) = match &call.cursor {
            None => (call.parameters.clone(), call.handling, None),
            Some(cursor) => {
                let opened = inner.open_cursor(caller, call, cursor)?;
                (opened.parameters, opened.handling, Some(opened.position))
            }
        };
        let indexing = inner.answering()?;
        let compiled = inner.compile_search(indexing, &call.scope, &parameters, handling, &call.base_url)?;
        let Compiled { request, query } = inner.for_caller(caller, Act::Read, compiled)?;
        let mut count = request.count.unwrap_or(SEARCH_PAGE_DEFAULT).min(SEARCH_PAGE_MAX);
        if request.summary == Summary::Count {
            count = 0;
        }
        loop {
            let gathered = inner.gather(indexing, sights.as_ref(), &request, count, after.clone())?;
            let Gathered { located, positions, matches, mut next, total } = gathered;
            let shown = if located.is_empty() {
                inner.disclose_none_of(caller, sights.as_ref(), &call.scope, &query).await?;
                Default::default()
            } else {
                inner.disclose_all(caller, EventKind::Search, Some(&query), located).await?
            };
            if let Some(cut) = shown.cut {
                if !request.includes.is_empty() {
                    // What comes along with the matches that had room had none itself: show fewer matches with all of theirs.
                    if count <= 1 {
                        let what = "bytes that come along with one match";
                        return Err(VaultError::TooCostly { what, max: SHOWN_BYTES_MAX });
                    }
                    count = (cut.min(matches) / 2).max(1);
                    continue;
                }
                next = cut.checked_sub(1).and_then(|last| positions.get(last)).cloned();
            }
            let mut entries = Vec::with_capacity(shown.disclosed.len());
            for (place, disclosed) in shown.disclosed {
                let mode = if place < matches { SearchMode::Match } else { SearchMode::Include };
                entries.push(SearchEntry { disclosed: shaped(disclosed, &request, mode)?, mode, graded: None });
            }
            let next = match next {
                Some(position) => Some(inner.seal_cursor(caller, call, &parameters, handling, &position)?),
                None => None,
            };
            let SearchRequest { used, issues, summary, elements, .. } = request;
            return Ok(SearchPage { entries, total, next, used, issues, summary, elements });
        }
    }
}

impl Inner {
    /// Understands a search that may be made, and says how the ledger is to name it.
    pub(crate) fn compile_search(
        &self,
        indexing: &Indexing,
        scope: &Scope,
        parameters: &[(String, String)],
        handling: Handling,
        base_url: &str,
    ) -> Result<Compiled, VaultError> {
        let compiled = self.compile_any_search(indexing, scope, parameters, handling, base_url)?;
        if self.limits.patients_only_by_match {
            policy::refuse_looking_for_patients(scope, &compiled.request)?;
        }
        Ok(compiled)
    }

    /// Understands a search whether or not the settings allow a caller to make it.
    pub(crate) fn compile_any_search(
        &self,
        indexing: &Indexing,
        scope: &Scope,
        parameters: &[(String, String)],
        handling: Handling,
        base_url: &str,
    ) -> Result<Compiled, VaultError> {
        let query = query_text(scope, parameters);
        if query.len() > QUERY_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in the criteria of a search", max: QUERY_BYTES_MAX });
        }
        let now = self.clock.now();
        let call = Call { scope: scope.clone(), parameters, handling, base_url, now };
        let codes = SearchCodes(&self.knowing);
        let compile = |known: Parameters| request::compile(&call, &known, &codes, &self.limits.queries);
        let compiled = compile(indexing.index.parameters());
        if indexing.parameters_change() {
            // What a parameter of a SearchParameter resource finds is not known before the index is there: only searches that mean the
            // same without any such resource go on.
            let same = |other: Result<SearchRequest, SearchError>| match (&compiled, &other) {
                (Ok(now), Ok(other)) => now.means_the_same(other),
                (Err(_), Err(_)) => true,
                _ => false,
            };
            let soon_known = compiled.is_err() && indexing.parameters_pending();
            if soon_known || !same(compile(Parameters::standard())) || !same(compile(indexing.parameters())) {
                let state = match indexing.state() {
                    IndexState::Ready => IndexState::Rebuilding { done: 0 },
                    state => state,
                };
                return Err(VaultError::Indexing(state));
            }
        }
        let request = compiled.map_err(|error| match error {
            // Nothing but the definitions is asked while a search is understood.
            SearchError::NotReady { .. } => VaultError::Definitions,
            other => other.into(),
        })?;
        Ok(Compiled { request, query })
    }

    /// Asks the index; an index that turns out to be damaged is made anew.
    pub(crate) fn ask_index(
        &self,
        indexing: &Indexing,
        request: &SearchRequest,
        page: &Page,
    ) -> Result<Hits, VaultError> {
        indexing.index.search_made_with(&request.filter, page, &request.made_with).map_err(|error| {
            if error.asks_for_rebuild() {
                indexing.failed("searching", &error);
            }
            match error {
                // The index with other search parameters came into use between the compiling and the asking: asked again, it means what
                // it says.
                SearchError::OtherParameters => VaultError::Indexing(IndexState::Rebuilding { done: 0 }),
                other => other.into(),
            }
        })
    }

    /// Finds what a page shows and opens nothing.
    fn gather(
        &self,
        indexing: &Indexing,
        sights: Option<&Arc<Sights>>,
        request: &SearchRequest,
        count: usize,
        after: Option<Position>,
    ) -> Result<Gathered, VaultError> {
        // What is cheap to count depends on how much there is that the caller does not see.
        let guarded = sights.is_some_and(|sights| !sights.is_everything());
        let total = match request.total {
            Total::Estimate if guarded => Total::Accurate,
            _ if count == 0 => Total::Accurate,
            total => total,
        };
        let page = Page { sort: request.sort.clone(), count, after, total };
        let hits = self.ask_index(indexing, request, &page)?;
        let mut gathered =
            Gathered { located: Vec::new(), positions: Vec::new(), matches: 0, next: hits.next, total: hits.total };
        if count == 0 {
            gathered.next = None;
            return Ok(gathered);
        }
        let (mut keys, mut bytes, all) = (Vec::new(), 0usize, hits.keys.len());
        for (place, ((key, version), position)) in hits.keys.into_iter().zip(hits.positions).enumerate() {
            let found = self.locate_version(key.resource_type, &key.id, version)?;
            let there =
                |found: &Located| found.meta.method != Method::Delete && self.look_at(sights, found) != Look::Hidden;
            if let Some(found) = found.filter(there) {
                bytes = bytes.saturating_add(found.sealed_bytes());
                gathered.located.push(found);
                gathered.positions.push(position.clone());
                keys.push(key);
            }
            if bytes >= SHOWN_BYTES_MAX && place + 1 < all {
                gathered.next = Some(position);
                break;
            }
        }
        gathered.matches = gathered.located.len();
        for key in self.included(indexing, sights, request, keys)? {
            let row = self.head_row(key.resource_type, &key.id);
            if let Some(found) = self.locate_row(&row)?.filter(|found| found.meta.method != Method::Delete) {
                gathered.located.push(found);
            }
        }
        Ok(gathered)
    }

    /// Writes down that a search showed nothing. Where it looked in the compartment of a patient, the entry names the patient: the answer
    /// tells of them if the caller sees them, and of nobody if they are hidden or not there.
    async fn disclose_none_of(
        &self,
        caller: &Caller,
        sights: Option<&Arc<Sights>>,
        scope: &Scope,
        query: &str,
    ) -> Result<(), VaultError> {
        let (kind, success) = (EventKind::Search, Outcome::Success);
        let patient = match scope {
            Scope::Compartment { compartment: Compartment::Patient, id, .. } => {
                ResourceType::parse("Patient").zip(Some(id))
            }
            _ => None,
        };
        let Some((patient_type, id)) = patient else {
            return self.disclose_nothing(caller, kind, query, success, None).await;
        };
        match self.seek(sights, patient_type, id)? {
            Sought::Seen(head) => self.disclose_nothing(caller, kind, query, success, Some(&head.current.owner)).await,
            Sought::Missed(head) => {
                self.missed(caller, kind, Some(query), success, head.as_ref().map(Hidden::head)).await
            }
        }
    }

    /// Writes down that criteria found this one record, which is named to the caller and not shown.
    pub(crate) async fn note_found(&self, caller: &Caller, query: &str, found: &Fitting) -> Result<(), VaultError> {
        let Fitting { record, owner, ground, .. } = found;
        let mut entry = caller.entry(self.clock.now(), EventKind::Search, Outcome::Success, owner.ledger_patient());
        entry.basis = ground.as_ref().map(|ground| ground.to_string());
        entry.query = Some(query.to_owned());
        entry.records.push(record.clone());
        entry.categories.push(record.resource_type);
        self.record(vec![entry]).await.map(|_| ())
    }
}

/// The part of a record that was asked for.
pub(crate) fn shaped(disclosed: Disclosed, request: &SearchRequest, mode: SearchMode) -> Result<Disclosed, VaultError> {
    let wanted = match request.summary {
        Summary::True => Part::Summary,
        Summary::Text => Part::Text,
        Summary::Data => Part::Data,
        Summary::False | Summary::Count if request.elements.is_empty() || mode == SearchMode::Include => {
            return Ok(disclosed);
        }
        Summary::False | Summary::Count => Part::Elements(&request.elements),
    };
    let body = Zeroizing::new(json::write(&part(json::parse(&disclosed.body, &json_limits())?, wanted)));
    Ok(Disclosed { body, ..disclosed })
}

/// How the ledger names a search: as it would stand in a URL, with only `%` and `&` escaped.
pub(crate) fn query_text(scope: &Scope, parameters: &[(String, String)]) -> String {
    let mut text = scope_text(scope);
    for (place, (name, value)) in parameters.iter().enumerate() {
        text.push(if place == 0 { '?' } else { '&' });
        text += &escaped(name);
        text.push('=');
        text += &escaped(value);
    }
    text
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('&', "%26")
}

/// Where a search looks, as the path of its URL.
pub(crate) fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::System => String::new(),
        Scope::Type(resource_type) => resource_type.to_string(),
        Scope::Compartment { compartment, id, types } => {
            let types = types.map_or_else(|| "*".to_owned(), |resource_type| resource_type.to_string());
            format!("{}/{}/{types}", compartment.as_str(), id.as_str())
        }
    }
}
