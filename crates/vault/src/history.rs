//! History: of one resource, of a type, of everything. Newest first.
//!
//! One resource's versions are found by their numbers. A type's and the system's are found by walking the change feed
//! back, which names rows only; each page opens just the records that it shows, each under its ledger entry.

use crate::absence::{Hidden, Sought};
use crate::access::{Look, Sights};
use crate::caller::Caller;
use crate::change::ChangeSet;
use crate::disclose::{Disclosed, Located, SHOWN_BYTES_MAX};
use crate::error::VaultError;
use crate::head::{Head, Method};
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::HashMap;
use std::sync::Arc;
use tacet_policy::Act;
use tacet_seal::Purpose;
use tacet_types::{RecordRef, ResourceId, ResourceType, Sequence, Timestamp, VersionId};
use zeroize::Zeroizing;

/// Most entries in one page of history.
pub const HISTORY_PAGE_MAX: usize = 1000;

/// Most rows of the feed, or versions, that are looked at for one page. A page may come back short, with a link to go on.
const SCAN_MAX: usize = 50_000;

/// Most versions of one resource that are looked at to tell how many of them the caller sees.
const COUNTED_MAX: u64 = 1_000;

/// How the ledger names what was asked.
const QUERY: &str = "_history";

/// What the seal of a place in the feed is bound to.
const FEED_PLACE: &[u8] = b"place in the feed";

/// Feed rows fetched at once. Few: the row of a large import takes half a megabyte.
const FEED_FETCH: usize = 32;

/// How far a commit's time may lie from its place in the feed: a commit takes its time when it is planned, and waits in
/// the queue. Ten times the longest request.
pub(crate) const FEED_SKEW_MS: i64 = 300_000;

/// Whose history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HistoryScope {
    /// Of one resource.
    Instance(ResourceType, ResourceId),
    /// Of all resources of a type.
    Type(ResourceType),
    /// Of everything.
    System,
}

/// Which part of a history.
#[derive(Clone, Default, Debug)]
pub struct HistoryQuery {
    /// Only versions written at this moment or later (`_since`).
    pub since: Option<Timestamp>,
    /// Only versions that were current at some moment from the first (included) to the second (excluded) (`_at`).
    pub at: Option<(Timestamp, Timestamp)>,
    /// Entries in a page; 0 means the most there may be.
    pub count: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// One page of a history.
pub struct HistoryPage {
    /// Newest first.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page begins. None: this is the end.
    pub next: Option<String>,
    /// How many versions there are, where that is known without walking: one resource without a condition.
    pub total: Option<u64>,
}

/// One version in a history.
pub struct HistoryEntry {
    /// Type, id and version.
    pub record: RecordRef,
    /// When it was written.
    pub last_updated: Timestamp,
    /// How it came to be.
    pub method: Method,
    /// The resource; none for a deletion.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

/// Versions that were found for a page.
#[derive(Default)]
struct Found {
    located: Vec<Located>,
    /// For each of them the cursor of a page that begins with it.
    cursors: Vec<String>,
    /// What they take, sealed.
    bytes: usize,
    next: Option<String>,
    total: Option<u64>,
    /// Whose history it is, where it is one resource's.
    owner: Option<Owner>,
}

impl Found {
    fn is_full(&self, count: usize) -> bool {
        self.located.len() >= count || self.bytes >= SHOWN_BYTES_MAX
    }

    fn push(&mut self, located: Located, cursor: String) {
        self.bytes = self.bytes.saturating_add(located.sealed_bytes());
        self.located.push(located);
        self.cursors.push(cursor);
    }
}

impl Vault {
    /// A page of history.
    pub async fn history(
        &self,
        caller: &Caller,
        scope: &HistoryScope,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, VaultError> {
        let sights = self.0.sights(caller, Act::Read)?;
        let sights = sights.as_ref();
        let count = if query.count == 0 { HISTORY_PAGE_MAX } else { query.count.min(HISTORY_PAGE_MAX) };
        let found = match scope {
            HistoryScope::Instance(resource_type, id) => match self.0.seek(sights, *resource_type, id)? {
                Sought::Seen(current) => self.0.instance_history(sights, &current, query, count)?,
                // Before anything of the question is looked at: nothing is answered otherwise than for what is not there.
                Sought::Missed(head) => {
                    let hidden = head.as_ref().map(Hidden::head);
                    self.0.missed(caller, EventKind::History, Some(QUERY), Outcome::Failed, hidden).await?;
                    return Err(VaultError::NotFound);
                }
            },
            HistoryScope::Type(resource_type) => self.0.feed_history(sights, Some(*resource_type), query, count)?,
            HistoryScope::System => self.0.feed_history(sights, None, query, count)?,
        };
        let Found { located, cursors, mut next, total, owner, .. } = found;
        if located.is_empty() {
            self.0.disclose_nothing(caller, EventKind::History, QUERY, Outcome::Success, owner.as_ref()).await?;
        }
        let mut versions: Vec<(RecordRef, Timestamp, Method)> =
            located.iter().map(|found| (found.record.clone(), found.meta.last_updated, found.meta.method)).collect();
        let shown = self.0.disclose_all(caller, EventKind::History, Some(QUERY), located).await?;
        if let Some(cut) = shown.cut {
            versions.truncate(cut);
            next = cursors.get(cut).cloned();
        }
        // A place in the feed counts what others wrote; a version's number stands in its ETag anyway.
        if !matches!(scope, HistoryScope::Instance(..)) {
            next = next.map(|place| self.0.seal_place(FEED_PLACE, &place)).transpose()?;
        }
        let mut bodies: HashMap<usize, Disclosed> = shown.disclosed.into_iter().collect();
        let entries = versions.into_iter().enumerate().filter_map(|(place, (record, last_updated, method))| {
            let body = bodies.remove(&place).map(|disclosed| disclosed.body);
            // A record whose key was destroyed between finding and opening is as if it had not been found.
            (body.is_some() || method == Method::Delete).then_some(HistoryEntry { record, last_updated, method, body })
        });
        Ok(HistoryPage { entries: entries.collect(), next, total })
    }
}

impl Inner {
    /// Of a record that is seen as it is now.
    fn instance_history(
        &self,
        sights: Option<&Arc<Sights>>,
        current: &Head,
        query: &HistoryQuery,
        count: usize,
    ) -> Result<Found, VaultError> {
        let RecordRef { resource_type, id, .. } = &current.record;
        let resource_type = *resource_type;
        let newest = current.record.version.0;
        let from = match &query.cursor {
            Some(cursor) => cursor.parse::<u64>().map_err(|_| unknown_cursor())?.min(newest),
            None => newest,
        };
        let total = match query.since.is_none() && query.at.is_none() {
            true => self.versions_seen(sights, current)?,
            false => None,
        };
        let mut found = Found { total, owner: Some(current.current.owner.clone()), ..Found::default() };
        // When the version after the one at hand was written; the newest is current until forever.
        let mut superseded = match from {
            from if from < newest => self.written_at(resource_type, id, VersionId(from + 1))?,
            _ => None,
        };
        for version in (1..=from).rev().take(SCAN_MAX) {
            if found.is_full(count) {
                found.next = Some(version.to_string());
                return Ok(found);
            }
            let Some(located) = self.locate_version(resource_type, id, VersionId(version))? else { continue };
            let written = located.meta.last_updated;
            if query.since.is_some_and(|since| written < since) {
                return Ok(found);
            }
            let wanted = query.at.is_none_or(|(low, high)| written < high && superseded.is_none_or(|end| end > low));
            superseded = Some(written);
            if wanted && self.look_back(sights, &located, &current.current) != Look::Hidden {
                found.push(located, version.to_string());
            }
        }
        if from > SCAN_MAX as u64 {
            found.next = Some((from - SCAN_MAX as u64).to_string());
        }
        Ok(found)
    }

    /// How many of the versions up to this one the caller sees. None: there are too many to look at each.
    fn versions_seen(&self, sights: Option<&Arc<Sights>>, current: &Head) -> Result<Option<u64>, VaultError> {
        let RecordRef { resource_type, id, version: VersionId(newest) } = &current.record;
        let newest = *newest;
        if sights.is_none_or(|sights| sights.is_everything()) {
            return Ok(Some(newest));
        }
        if newest > COUNTED_MAX {
            return Ok(None);
        }
        let mut seen = 0;
        for version in 1..=newest {
            let located = self.locate_version(*resource_type, id, VersionId(version))?;
            let looks = located.map(|located| self.look_back(sights, &located, &current.current));
            seen += u64::from(looks.is_some_and(|look| look != Look::Hidden));
        }
        Ok(Some(seen))
    }

    fn written_at(
        &self,
        resource_type: ResourceType,
        id: &ResourceId,
        version: VersionId,
    ) -> Result<Option<Timestamp>, VaultError> {
        Ok(self.locate_version(resource_type, id, version)?.map(|located| located.meta.last_updated))
    }

    fn feed_history(
        &self,
        sights: Option<&Arc<Sights>>,
        only: Option<ResourceType>,
        query: &HistoryQuery,
        count: usize,
    ) -> Result<Found, VaultError> {
        let (mut before, mut skip) = match &query.cursor {
            Some(cursor) => parse_cursor(&self.open_place(FEED_PLACE, cursor).ok_or_else(unknown_cursor)?)?,
            None => (Sequence(u64::MAX), 0),
        };
        let mut found = Found::default();
        let mut scanned = 0;
        loop {
            let rows = self.store.feed_rev(before, FEED_FETCH)?;
            if rows.is_empty() {
                return Ok(found);
            }
            for (sequence, sealed) in rows {
                let set = self.open_change_set(&sealed)?;
                if query.since.is_some_and(|since| set.at.plus_ms(FEED_SKEW_MS) < since) {
                    return Ok(found);
                }
                for (place, change) in set.changes.iter().rev().enumerate().skip(skip) {
                    let cursor = || format!("{}.{place}", sequence.0.saturating_add(1));
                    if found.is_full(count) || scanned >= SCAN_MAX {
                        found.next = Some(cursor());
                        return Ok(found);
                    }
                    scanned += 1;
                    let in_time = query.since.is_none_or(|since| set.at >= since)
                        && query.at.is_none_or(|(_, high)| set.at < high);
                    if !in_time || only.is_some_and(|only| only != change.resource_type) {
                        continue;
                    }
                    let Some(head) = self.store.reader().get(&change.head)? else { continue };
                    let Head { record: RecordRef { resource_type, id, .. }, current, .. } =
                        &self.open_head(&change.head, &head)?;
                    if self.look(sights, *resource_type, id, current) == Look::Hidden {
                        continue;
                    }
                    if let Some((low, _)) = query.at {
                        let end = self.written_at(*resource_type, id, change.version.next())?;
                        if end.is_some_and(|end| end <= low) {
                            continue;
                        }
                    }
                    let located = self.locate_version(*resource_type, id, change.version)?;
                    if let Some(located) =
                        located.filter(|found| self.look_back(sights, found, current) != Look::Hidden)
                    {
                        found.push(located, cursor());
                    }
                }
                skip = 0;
                before = sequence;
            }
        }
    }

    pub(crate) fn open_change_set(&self, sealed: &[u8]) -> Result<ChangeSet, VaultError> {
        let plain = self.open_structure(Purpose::Feed, b"feed", sealed)?;
        ChangeSet::decode(&plain).ok_or(VaultError::Damaged("a row of the change feed cannot be read"))
    }
}

/// A cursor of the feed: the sequence before which to look, and how many changes of the first row were shown.
fn parse_cursor(cursor: &str) -> Result<(Sequence, usize), VaultError> {
    let (sequence, place) = cursor.split_once('.').ok_or_else(unknown_cursor)?;
    match (sequence.parse(), place.parse()) {
        (Ok(sequence), Ok(place)) => Ok((Sequence(sequence), place)),
        _ => Err(unknown_cursor()),
    }
}

pub(crate) fn unknown_cursor() -> VaultError {
    VaultError::NotSupported("this `_cursor` was not given by this server: follow the `next` link as it is")
}
