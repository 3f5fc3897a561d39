//! `Patient/[id]/$everything`: all that is in a patient's compartment, and what it directly refers to. For `Encounter/[id]/$everything`
//! see [`encounter`].
//!
//! Pages walk the patient's list of members, which only grows, so they stay stable while records change.

mod care;
mod encounter;
mod whole;

pub use whole::{Asked, WHOLE_RECORD_BYTES_MAX};

use crate::Outcome;
use crate::absence::Sought;
use crate::access::{Look, Sights};
use crate::caller::Caller;
use crate::disclose::{Disclosed, Located, SHOWN_BYTES_MAX, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::history::unknown_cursor;
use crate::layout::RowKey;
use crate::members::CHUNK_MEMBERS;
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use care::Care;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use tacet_fhir::json;
use tacet_fhir::reference::{self, Reference};
use tacet_policy::Act;
use tacet_search::Page;
use tacet_search::document::Key;
use tacet_search::request::Total;
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp};

/// Most records of the compartment in one page.
pub const EVERYTHING_PAGE_MAX: usize = 1000;

/// Most records outside of the compartment that the records of one page may refer to.
const SUPPORTING_MAX: usize = 2000;

/// How the ledger names what was asked, where it was no more than this.
const QUERY: &str = "$everything";

/// What the seal of a place in a patient's list of members is bound to.
const MEMBERS_PLACE: &[u8] = b"place among members";

fn too_much_supporting() -> VaultError {
    VaultError::TooLarge { what: "records that this page refers to (ask for fewer with `_count`)", max: SUPPORTING_MAX }
}

/// Which part of a patient's record.
#[derive(Clone, Default, Debug)]
pub struct EverythingQuery {
    /// Only what was written at this moment or later (`_since`).
    pub since: Option<Timestamp>,
    /// Only what concerns care at this moment or later (`start`).
    pub start: Option<Timestamp>,
    /// Only what concerns care before this moment (`end`): the first after the day or second that the client named.
    pub before: Option<Timestamp>,
    /// Only these types (`_type`); all where it is empty.
    pub types: Vec<ResourceType>,
    /// Records of the compartment in a page; 0 means the most there may be.
    pub count: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// What it is for, as the ledger has it.
    pub asked: Asked,
}

/// One page of a patient's record.
pub struct EverythingPage {
    /// The records; true for those of the compartment, false for those that they refer to.
    pub entries: Vec<(Disclosed, bool)>,
    /// Where the next page begins. None: this is the end.
    pub next: Option<String>,
}

/// Members that were found for a page.
struct PageOfMembers {
    located: Vec<Located>,
    /// For each of them its place in the list: where a page begins that begins with it.
    places: Vec<u64>,
    next: Option<String>,
}

impl Vault {
    /// A page of all that is known of a patient.
    pub async fn everything(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        query: &EverythingQuery,
    ) -> Result<EverythingPage, VaultError> {
        let (kind, asked) = (query.asked.kind(), query.asked.text());
        let sights = self.0.sights(caller, Act::Read)?;
        let sights = sights.as_ref();
        let patient_type = ResourceType::parse("Patient").ok_or(VaultError::NotFound)?;
        let there = self.0.seek(sights, patient_type, patient)?;
        let there = self.0.there(caller, kind, asked, there).await?;
        let PageOfMembers { located, places, mut next } = self.0.page_of_members(sights, patient, query)?;
        if located.is_empty() {
            let owner = Some(&there.current.owner);
            self.0.disclose_nothing(caller, kind, asked, Outcome::Success, owner).await?;
        }
        let known: HashSet<RecordRef> = located.iter().map(|found| found.record.clone()).collect();
        let members = self.0.disclose_all(caller, kind, Some(asked), located).await?;
        if let Some(cut) = members.cut {
            next = places.get(cut).map(u64::to_string);
        }
        // It counts what is hidden too.
        let next = next.map(|place| self.0.seal_place(MEMBERS_PLACE, &place)).transpose()?;
        let supporting = self.0.supporting(sights, &members.disclosed, &known, &query.types, None)?;
        let supporting = self.0.disclose_all(caller, kind, Some(asked), supporting).await?;
        if supporting.cut.is_some() {
            return Err(too_much_supporting());
        }
        let entries = members
            .disclosed
            .into_iter()
            .map(|(_, disclosed)| (disclosed, true))
            .chain(supporting.disclosed.into_iter().map(|(_, disclosed)| (disclosed, false)));
        Ok(EverythingPage { entries: entries.collect(), next })
    }
}

impl Inner {
    fn page_of_members(
        &self,
        sights: Option<&Arc<Sights>>,
        patient: &ResourceId,
        query: &EverythingQuery,
    ) -> Result<PageOfMembers, VaultError> {
        let page = if query.count == 0 { EVERYTHING_PAGE_MAX } else { query.count.min(EVERYTHING_PAGE_MAX) };
        let total = self.member_count(patient)?;
        let start = match &query.cursor {
            Some(cursor) => {
                let place = self.open_place(MEMBERS_PLACE, cursor).and_then(|place| place.parse::<u64>().ok());
                place.ok_or_else(unknown_cursor)?
            }
            None => 0,
        };
        let mut seen: HashSet<RowKey> = HashSet::new();
        let (mut located, mut places, mut bytes) = (Vec::new(), Vec::new(), 0usize);
        let mut chunk: (u64, Vec<RowKey>) = (u64::MAX, Vec::new());
        let care = Care::between(query.start, query.before);
        let mut in_time: Option<HashSet<RowKey>> = None;
        for place in 0..total {
            let (number, within) = (place / CHUNK_MEMBERS as u64, place % CHUNK_MEMBERS as u64);
            if number != chunk.0 {
                chunk = (number, self.members_in_chunk(patient, number)?);
                in_time = match &care {
                    Some(care) => Some(self.in_time(&chunk.1, care)?),
                    None => None,
                };
            }
            let Some(row) = chunk.1.get(within as usize) else { continue };
            // A record that left a compartment and came back is listed twice: the first place counts, on every page.
            if !seen.insert(*row) || place < start || in_time.as_ref().is_some_and(|rows| !rows.contains(row)) {
                continue;
            }
            if located.len() == page || bytes >= SHOWN_BYTES_MAX {
                return Ok(PageOfMembers { located, places, next: Some(place.to_string()) });
            }
            let Some(found) = self.locate_row(row)? else { continue };
            let wanted = found.meta.method != Method::Delete
                && query.since.is_none_or(|since| found.meta.last_updated >= since)
                && (query.types.is_empty() || query.types.contains(&found.record.resource_type))
                && self.look_at(sights, &found) != Look::Hidden;
            if wanted {
                bytes = bytes.saturating_add(found.sealed_bytes());
                located.push(found);
                places.push(place);
            }
        }
        Ok(PageOfMembers { located, places, next: None })
    }

    /// Which of these rows hold records of care in that time, as the index knows: nothing is opened.
    fn in_time(&self, rows: &[RowKey], care: &Care) -> Result<HashSet<RowKey>, VaultError> {
        let mut keys: BTreeMap<Key, RowKey> = BTreeMap::new();
        for row in rows {
            if let Some(found) = self.locate_row(row)? {
                let RecordRef { resource_type, id, .. } = found.record;
                keys.insert(Key { resource_type, id }, *row);
            }
        }
        let filter = care.filter(keys.keys().cloned().collect());
        let page = Page { sort: Vec::new(), count: rows.len().max(1), after: None, total: Total::None };
        let indexing = self.answering()?;
        let hits = indexing.index.search(&filter, &page).map_err(|error| {
            if error.asks_for_rebuild() {
                indexing.failed("searching", &error);
            }
            VaultError::from(error)
        })?;
        Ok(hits.keys.iter().filter_map(|(key, _)| keys.get(key).copied()).collect())
    }

    /// What the shown records refer to outside every patient's compartment: practitioners, organizations, locations. And what is `of`
    /// that patient, if one is named.
    fn supporting(
        &self,
        sights: Option<&Arc<Sights>>,
        members: &[(usize, Disclosed)],
        shown: &HashSet<RecordRef>,
        types: &[ResourceType],
        of: Option<&Owner>,
    ) -> Result<Vec<Located>, VaultError> {
        let mut wanted: BTreeSet<(ResourceType, ResourceId)> = BTreeSet::new();
        for (_, member) in members {
            let value = json::parse(&member.body, &json_limits())?;
            reference::for_each_reference(&value, &mut |text| {
                wanted.extend(Reference::parse(text).target_id());
            });
        }
        let (mut found, mut bytes) = (Vec::new(), 0usize);
        for (resource_type, id) in wanted {
            if !types.is_empty() && !types.contains(&resource_type) {
                continue;
            }
            let Sought::Seen(head) = self.seek(sights, resource_type, &id)? else { continue };
            let Some(located) = self.locate_version(resource_type, &id, head.record.version)? else { continue };
            let may_come = located.meta.owner == Owner::Establishment || of == Some(&located.meta.owner);
            let may_come = may_come && self.look_at(sights, &located) != Look::Hidden;
            if may_come && located.meta.method != Method::Delete && !shown.contains(&located.record) {
                bytes = bytes.saturating_add(located.sealed_bytes());
                if found.len() == SUPPORTING_MAX || bytes > SHOWN_BYTES_MAX {
                    return Err(too_much_supporting());
                }
                found.push(located);
            }
        }
        Ok(found)
    }
}
