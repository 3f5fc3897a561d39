//! `tacet check`: every row, every seal, every link, and what is wrong in words. Opens records to see that they open;
//! shows none.

mod indexed;
mod months;

use crate::caller::Caller;
use crate::error::VaultError;
use crate::feed_order::FeedOrder;
use crate::head::{Head, Method};
use crate::layout::{self, ERASED, RowKey};
use crate::members::CHUNK_MEMBERS;
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use tacet_seal::{OnBehalf, Purpose, Sealer, WrappedKey};
use tacet_types::{ResourceId, ResourceType, Sequence, VersionId};

/// Findings told one by one; more are counted only.
const FINDINGS_MAX: usize = 1000;

/// Rows fetched at once.
const ROWS_FETCH: usize = 1000;

/// Data keys held at once while checking.
const SEALERS_MAX: usize = 10_000;

/// Place of a finding that concerns the search index, not the records.
pub const INDEX_PLACE: &str = "search index";

/// Rows between two calls of the progress function.
const PROGRESS_ROWS: u64 = 1000;

/// Something that is wrong. No personal data: rows are named by their keyed hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which row, in hexadecimal, or which part.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// What a check saw.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Current resources by type.
    pub resources: BTreeMap<ResourceType, u64>,
    /// Deleted resources.
    pub deleted: u64,
    /// Versions, deletions included.
    pub versions: u64,
    /// Data keys.
    pub data_keys: u64,
    /// Places of destroyed data keys.
    pub erased_keys: u64,
    /// Commits in the change feed.
    pub commits: u64,
    /// Ledger entries.
    pub ledger_entries: u64,
    /// Resources that the search index finds, if there is one and nothing was written meanwhile.
    pub indexed: Option<u64>,
    /// What is wrong: the first `FINDINGS_MAX`.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub findings_total: u64,
}

struct Check<'a> {
    inner: &'a Inner,
    report: CheckReport,
    sealers: HashMap<Owner, Option<Sealer>>,
    /// Heads seen, with their current version.
    heads: HashMap<RowKey, VersionId>,
    /// Those of them whose current version is a deletion.
    deleted: HashSet<RowKey>,
    /// Versions that are gone because their owner was erased.
    gone: u64,
    members: HashMap<ResourceId, HashSet<RowKey>>,
    rows: u64,
    progress: &'a mut (dyn FnMut(u64) + Send),
}

impl Vault {
    /// Checks everything. `progress` is told how many rows were looked at.
    pub async fn check(
        &self,
        caller: &Caller,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<CheckReport, VaultError> {
        // What the index still lacks is no finding while it is on its way.
        let state = self.wait_for_index(&mut |_| {});
        let begun = self.0.store.last_sequence();
        let report = {
            let mut check = Check {
                inner: &self.0,
                report: CheckReport::default(),
                sealers: HashMap::new(),
                heads: HashMap::new(),
                deleted: HashSet::new(),
                gone: 0,
                members: HashMap::new(),
                rows: 0,
                progress,
            };
            check.spaces()?;
            check.data_keys()?;
            check.heads()?;
            check.versions()?;
            check.feed()?;
            check.sealed_rows(layout::TOKENS, Purpose::Token)?;
            check.sealed_rows(layout::IMPORT_MARKS, Purpose::ImportMark)?;
            check.sealed_rows(layout::INDEX, Purpose::State)?;
            check.sealed_rows(layout::COPIES, Purpose::Export)?;
            check.sealed_rows(layout::SUBSCRIPTIONS, Purpose::State)?;
            check.sealed_rows(layout::NOTED, Purpose::State)?;
            check.sealed_rows(layout::FACTS, Purpose::State)?;
            check.index(begun, state)?;
            check.ledger()?;
            check.months()?;
            check.report
        };
        let outcome = if report.findings_total == 0 { Outcome::Success } else { Outcome::Failed };
        self.note(caller, EventKind::Check, outcome).await?;
        Ok(report)
    }
}

impl Check<'_> {
    fn found(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.report.findings_total += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { place: place.into(), problem: problem.into() });
        }
    }

    fn at_row(&mut self, row: &[u8], problem: impl Into<String>) {
        self.found(row.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), problem);
    }

    /// Calls `each` for every row of a space.
    fn scan(
        &mut self,
        space: u8,
        mut each: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let (from, to) = layout::bounds(space);
        let inner = self.inner;
        inner.each_row(&from, &to, &mut |key, value| {
            self.rows += 1;
            if self.rows.is_multiple_of(PROGRESS_ROWS) {
                (self.progress)(self.rows);
            }
            each(self, key, value).map(ControlFlow::Continue)
        })
    }

    /// No row stands outside of the known spaces.
    fn spaces(&mut self) -> Result<(), VaultError> {
        let known = [0x0a..=0x0a, 0x0f..=0x0f, 0x14..=0xff];
        for unknown in known {
            for space in unknown {
                let (from, to) = (vec![space], if space == 0xff { vec![0xff; 32] } else { vec![space + 1] });
                if let Some((key, _)) = self.inner.rows(&from, &to, 1)?.first() {
                    self.at_row(key, "a row in a space that Tacet does not use");
                }
            }
        }
        Ok(())
    }

    fn data_keys(&mut self) -> Result<(), VaultError> {
        self.scan(layout::DATA_KEYS, |check, key, value| {
            if value == ERASED {
                check.report.erased_keys += 1;
                return Ok(());
            }
            check.report.data_keys += 1;
            let unwrapped = WrappedKey::from_bytes(value.to_vec())
                .map_err(VaultError::from)
                .and_then(|wrapped| check.inner.unwrap_patiently(&wrapped, key));
            if let Err(error) = unwrapped {
                check.at_row(key, format!("a data key does not unwrap: {}", words(&error)));
            }
            Ok(())
        })
    }

    fn heads(&mut self) -> Result<(), VaultError> {
        self.scan(layout::HEADS, |check, key, value| {
            let Ok(row) = RowKey::try_from(key) else {
                check.at_row(key, "a head row has a key of a wrong length");
                return Ok(());
            };
            match check.inner.open_head(&row, value) {
                Ok(head) => check.head(row, &head),
                Err(error) => {
                    check.at_row(key, format!("a head does not open: {}", words(&error)));
                    Ok(())
                }
            }
        })
    }

    fn head(&mut self, row: RowKey, head: &Head) -> Result<(), VaultError> {
        self.heads.insert(row, head.record.version);
        match head.is_deleted() {
            true => {
                self.report.deleted += 1;
                self.deleted.insert(row);
            }
            false => *self.report.resources.entry(head.record.resource_type).or_default() += 1,
        }
        for number in 1..=head.record.version.0 {
            self.version(&row, head, VersionId(number))?;
        }
        if let Owner::Patient(patient) = &head.current.owner
            && !self.is_member(patient, &row)?
        {
            self.at_row(&row, "a resource is missing from its patient's members");
        }
        Ok(())
    }

    fn version(&mut self, head_row: &RowKey, head: &Head, version: VersionId) -> Result<(), VaultError> {
        let row = self.inner.version_row(head_row, version);
        let (resource_type, id) = (head.record.resource_type, &head.record.id);
        let located = match self.inner.locate_version(resource_type, id, version) {
            Ok(Some(located)) => located,
            Ok(None) if version == head.record.version => {
                self.at_row(&row, "the current version of a resource is missing");
                return Ok(());
            }
            // An earlier version goes when the patient whose key sealed it is erased.
            Ok(None) if self.report.erased_keys > 0 => {
                self.gone += 1;
                return Ok(());
            }
            Ok(None) => {
                self.at_row(&row, "an earlier version of a resource is missing");
                return Ok(());
            }
            Err(error) => {
                self.at_row(&row, format!("a version does not open: {}", words(&error)));
                return Ok(());
            }
        };
        self.report.versions += 1;
        if version == head.record.version && located.meta != head.current {
            self.at_row(&row, "the current version is not the one its head describes");
        }
        if located.meta.method == Method::Delete {
            return Ok(());
        }
        match self.sealer(&located.meta.owner)? {
            Some(sealer) => {
                if let Err(error) = self.inner.verify_content(&sealer, &located) {
                    self.at_row(&row, format!("a record does not open: {}", words(&error)));
                }
            }
            None => self.at_row(&row, "the key of a record is missing or was destroyed, the record was not"),
        }
        Ok(())
    }

    /// As many version rows as the heads account for.
    fn versions(&mut self) -> Result<(), VaultError> {
        let mut rows = 0;
        self.scan(layout::VERSIONS, |_, _, _| {
            rows += 1;
            Ok(())
        })?;
        if rows != self.report.versions {
            let problem = format!("{rows} version rows, but the heads account for {}", self.report.versions);
            self.found("versions", problem);
        }
        Ok(())
    }

    /// Every version stands in the change feed once, in the order that the ledger has too.
    fn feed(&mut self) -> Result<(), VaultError> {
        let mut order = FeedOrder::new(self.inner);
        let mut after = Sequence(0);
        let mut mentioned: u64 = 0;
        loop {
            let rows = self.inner.store.feed(after, ROWS_FETCH)?;
            let Some((last, _)) = rows.last() else { break };
            let last = *last;
            for (sequence, sealed) in &rows {
                self.report.commits += 1;
                if sequence.0 != after.0 + 1 {
                    self.found("feed", format!("rows between {} and {} are missing", after.0, sequence.0));
                }
                after = *sequence;
                match self.inner.open_change_set(sealed) {
                    Ok(set) => {
                        match order.follows(&set) {
                            Ok(true) => {}
                            Ok(false) => self
                                .found(format!("feed {}", sequence.0), "the ledger has another commit in this place"),
                            Err(error) => self.found("feed", format!("its order is not known: {}", words(&error))),
                        }
                        for change in &set.changes {
                            match self.heads.get(&change.head) {
                                Some(current) if change.version <= *current => mentioned += 1,
                                Some(_) => self.at_row(&change.head, "the feed names a version that is not there"),
                                None => {}
                            }
                        }
                    }
                    Err(error) => {
                        self.found(format!("feed {}", sequence.0), format!("does not open: {}", words(&error)))
                    }
                }
            }
            after = last;
        }
        let expected = self.report.versions + self.gone;
        // Once somebody was erased, an id may have begun anew: the feed then names its first versions twice.
        let erased = self.report.erased_keys > 0;
        if mentioned < expected || (mentioned > expected && !erased) {
            self.found("feed", format!("it names {mentioned} versions, {expected} are there"));
        }
        Ok(())
    }

    fn sealed_rows(&mut self, space: u8, purpose: Purpose) -> Result<(), VaultError> {
        self.scan(space, |check, key, value| {
            if let Err(error) = check.inner.open_structure(purpose, key, value) {
                check.at_row(key, format!("a row does not open: {}", words(&error)));
            }
            Ok(())
        })
    }

    fn ledger(&mut self) -> Result<(), VaultError> {
        let snapshot = self.inner.store.snapshot()?;
        let verification = tacet_ledger::verify(snapshot.as_ref(), &self.inner.ledger_keys, &mut |_, _| {})?;
        self.report.ledger_entries = verification.opened + verification.without_key;
        if verification.head.is_none() {
            self.found("ledger", "it has no head");
        }
        for problem in verification.problems {
            self.found("ledger", problem.to_string());
        }
        Ok(())
    }

    fn sealer(&mut self, owner: &Owner) -> Result<Option<Sealer>, VaultError> {
        if let Some(sealer) = self.sealers.get(owner) {
            return Ok(sealer.clone());
        }
        if self.sealers.len() >= SEALERS_MAX {
            self.sealers.clear();
        }
        let row = layout::data_key(&self.inner.keys.row_keys, &owner.label());
        let sealer = match self.inner.store.reader().get(&row)? {
            Some(value) if value != ERASED => {
                let key = self.inner.unwrap_patiently(&WrappedKey::from_bytes(value)?, &row);
                key.ok().map(|key| crate::disclose::content_sealer(owner, &key))
            }
            _ => None,
        };
        self.sealers.insert(owner.clone(), sealer.clone());
        Ok(sealer)
    }

    fn is_member(&mut self, patient: &ResourceId, row: &RowKey) -> Result<bool, VaultError> {
        if !self.members.contains_key(patient) {
            let mut members = HashSet::new();
            match self.inner.member_count(patient) {
                Ok(count) => {
                    for chunk in 0..count.div_ceil(CHUNK_MEMBERS as u64) {
                        members.extend(self.inner.members_in_chunk(patient, chunk).unwrap_or_default());
                    }
                    if (members.len() as u64) > count {
                        self.found("members", "a patient's list has more members than its count says");
                    }
                }
                Err(error) => self.found("members", format!("a patient's list does not open: {}", words(&error))),
            }
            self.members.insert(patient.clone(), members);
        }
        Ok(self.members.get(patient).is_some_and(|members| members.contains(row)))
    }
}

/// What went wrong, with what lay under it: "internal fault" alone tells an operator nothing. Faults of keys and seals hold
/// no personal data.
fn words(error: &VaultError) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

impl Inner {
    /// Unwraps a key for maintenance; where the keeper's rate is used up, waits for it instead of failing.
    pub(in crate::check) fn unwrap_patiently(
        &self,
        wrapped: &WrappedKey,
        context: &[u8],
    ) -> Result<tacet_seal::Key, VaultError> {
        loop {
            match self.keeper.unwrap(wrapped, context, OnBehalf::Maintenance("check")) {
                Err(tacet_seal::KeeperError::RateExceeded { retry_after_ms }) => {
                    std::thread::sleep(std::time::Duration::from_millis(retry_after_ms.clamp(1, 1000)));
                }
                other => return Ok(other?),
            }
        }
    }
}
