//! Drills that were held, in the ledger: what was played, whether it passed, and its figures. The word of a rehearsed restore is held against the
//! ledger that it should have brought back before it is written down.
//!
//! It plays nothing: the command line does, and hands in what came of it, where the store is free directly and otherwise by a note that the running
//! server takes ([`note`]).

pub(crate) mod note;

use crate::error::VaultError;
use crate::vault::Vault;
use crate::{Caller, EventKind, Outcome};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::PoisonError;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, RowsError, Table};
use tacet_ledger::{DETAIL_BYTES_MAX, cut, log};
use tacet_seal::{OnBehalf, WrappedKey};
use tacet_tlog::TreeHash;
use tacet_tlog::merkle::proof::verify_consistency;
use tacet_types::Timestamp;

/// Longest figures of a drill, in bytes: what else an entry says of it has room beside them.
pub const DRILL_FIGURES_BYTES_MAX: usize = DETAIL_BYTES_MAX - 512;

/// How far ahead of this machine's clock a drill may say that it was held, in milliseconds.
const AHEAD_MS_MAX: i64 = 300_000;

/// Format of a row.
const VERSION: u8 = 1;

/// Heads looked at for one record of a sample: some are of deleted ones.
const LOOKED_AT_MAX: usize = 16;

/// A drill that there is. The names are in rows, entries and figures: one may be added, none may change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drill {
    /// The backup of the store itself is brought back into a scratch directory.
    Restore,
    /// A scratch hospital's machine is encrypted under load.
    Ransomware,
    /// A thief has every byte of a scratch hospital.
    StolenDisk,
    /// A thief has a session of a scratch hospital.
    StolenSession,
    /// An administrator of a scratch hospital goes for records.
    RogueAdmin,
    /// An intruder edits the ledger of a scratch hospital.
    BendTheLedger,
}

impl Drill {
    /// Every drill.
    pub const ALL: [Self; 6] =
        [Self::Restore, Self::Ransomware, Self::StolenDisk, Self::StolenSession, Self::RogueAdmin, Self::BendTheLedger];

    /// Its name, as the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Ransomware => "ransomware",
            Self::StolenDisk => "stolen-disk",
            Self::StolenSession => "stolen-session",
            Self::RogueAdmin => "rogue-admin",
            Self::BendTheLedger => "bend-the-ledger",
        }
    }
}

/// The ledger that a rehearsal brought back: its first entries, which must be the first of the one that goes on here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerBack {
    /// How many entries.
    pub entries: u64,
    /// The root over them.
    pub root: [u8; 32],
}

/// What came of a drill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillReport {
    /// Which.
    pub drill: Drill,
    /// When it ended, in milliseconds since 1970.
    pub held_ms: i64,
    /// Whether it found all as it must be.
    pub passed: bool,
    /// Its figures in a line, at most [`DRILL_FIGURES_BYTES_MAX`] of it are kept. No personal data.
    pub figures: String,
    /// For a rehearsed restore that came so far: the ledger that came back.
    pub ledger: Option<LedgerBack>,
}

/// What was written down of a drill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrillNoted {
    /// Whether it passed, the ledger's comparison included.
    pub passed: bool,
    /// The words of the entry.
    pub detail: String,
    /// Entries that the ledger here has beyond those that came back; none where nothing was compared, or it does not go on from there.
    pub behind: Option<u64>,
}

/// How it stands with a drill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillStanding {
    version: u8,
    /// Which.
    pub drill: Drill,
    /// When it was held last, in milliseconds since 1970.
    pub held_ms: i64,
    /// Whether it passed then.
    pub passed: bool,
    /// When it passed last, in milliseconds since 1970.
    pub passed_ms: Option<i64>,
}

/// Records that were opened to see that they open.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sample {
    /// Records that were tried.
    pub tried: u64,
    /// Of them, those that opened and are what their rows name.
    pub opened: u64,
}

impl Vault {
    /// Writes down that a drill was held, in the ledger and in a row; tells those who may do something about it where it did not pass. A restore that
    /// was rehearsed passes only if the ledger here goes on from the one that came back.
    ///
    /// # Errors
    /// It is not newer than what is written down of this drill, or of the future; or the store's.
    pub async fn note_drill(&self, caller: &Caller, report: &DrillReport) -> Result<DrillNoted, VaultError> {
        let now = self.0.clock.now();
        if report.held_ms > now.as_ms().saturating_add(AHEAD_MS_MAX) {
            return Err(VaultError::NotAllowed("a drill of the future: set the clocks right"));
        }
        let name = report.drill.as_str().as_bytes().to_vec();
        let row = self.get(Table::Drills, &name).map_err(rows_failed)?;
        // Of two that are written at once the later is refused, and what it says is held against the other's when it comes again.
        let expect = row.as_ref().map_or(Expect::Absent, |row| Expect::Revision(row.revision));
        let standing = row.and_then(|row| standing_in(&row.value));
        if standing.as_ref().is_some_and(|standing| standing.held_ms >= report.held_ms) {
            return Err(VaultError::NotAllowed("this drill, or a later one of its name, is written down already"));
        }
        let behind = report.ledger.map(|back| self.beyond(&back)).transpose()?;
        let goes_on = behind.is_none_or(|behind| behind.is_some());
        let passed = report.passed && goes_on;
        let outcome = if passed { "passed" } else { "NOT PASSED" };
        let mut detail = format!("{} {outcome}, held at {}", report.drill.as_str(), Timestamp::from_ms(report.held_ms));
        match (behind, report.ledger) {
            (Some(Some(behind)), Some(back)) => {
                detail += &format!("; its {} ledger entries are the first here, {behind} came after", back.entries);
            }
            (_, Some(back)) => {
                detail += &format!("; ITS {} LEDGER ENTRIES ARE NOT THE FIRST OF THIS LEDGER", back.entries);
            }
            (_, None) => {}
        }
        detail += "; ";
        detail += cut(&report.figures, DRILL_FIGURES_BYTES_MAX);
        let standing = DrillStanding {
            version: VERSION,
            drill: report.drill,
            held_ms: report.held_ms,
            passed,
            passed_ms: if passed { Some(report.held_ms) } else { standing.and_then(|standing| standing.passed_ms) },
        };
        let value = serde_json::to_vec(&standing).map_err(|error| VaultError::Internal(Box::new(error)))?;
        let mut writes = vec![RowWrite { table: Table::Drills, name, value: Some(value), expect }];
        if !passed {
            let kind = tacet_ledger::people::NoticeKind::DrillFailed;
            self.0.tell(&mut writes, kind, report.drill.as_str(), &detail, now)?;
        }
        let said = if passed { Outcome::Success } else { Outcome::Failed };
        let mut entry = caller.entry(now, EventKind::DrillHeld, said, None);
        entry.detail = Some(detail.clone());
        NotedRows::commit(self, writes, vec![entry]).await.map_err(rows_failed)?;
        *self.0.drills.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(DrillNoted { passed, detail, behind: behind.flatten() })
    }

    /// How it stands with each drill that was ever held, by name.
    ///
    /// # Errors
    /// The store's.
    pub fn drills_held(&self) -> Result<Vec<DrillStanding>, VaultError> {
        let mut held = self.0.drills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref() {
            return Ok(held.clone());
        }
        let mut found = Vec::new();
        self.scan(Table::Drills, &mut |row| {
            found.extend(standing_in(&row.value));
            ControlFlow::Continue(())
        })
        .map_err(rows_failed)?;
        found.sort_by_key(|standing| standing.drill);
        *held = Some(found.clone());
        Ok(found)
    }

    /// How many entries the ledger has beyond these. None: these are not its first.
    fn beyond(&self, back: &LedgerBack) -> Result<Option<u64>, VaultError> {
        let snapshot = self.0.store.snapshot()?;
        let Some(head) = tacet_ledger::head(snapshot.as_ref(), &self.0.ledger_keys)? else { return Ok(None) };
        let (size, root) = (head.size(), head.root());
        if back.entries > size {
            return Ok(None);
        }
        let proof = log::extension(snapshot.as_ref(), back.entries, size)?;
        let goes_on = verify_consistency(back.entries, &TreeHash(back.root), size, &root, &proof);
        Ok(goes_on.then(|| size - back.entries))
    }

    /// Opens up to `count` records, from anywhere in the store, to see that they open. None is shown, and only how many is said.
    ///
    /// # Errors
    /// A row cannot be read now. A record that does not open is in the answer.
    pub fn open_sample(&self, count: usize) -> Result<Sample, VaultError> {
        let inner = &self.0;
        let mut sample = Sample::default();
        for _ in 0..count {
            // Row keys are keyed hashes: whoever begins anywhere is anywhere.
            let mut from = vec![crate::layout::HEADS; 17];
            inner.rng.fill(from.get_mut(1..).unwrap_or_default());
            let (first, past) = crate::layout::bounds(crate::layout::HEADS);
            // Past the last that can be opened, it goes on with the first.
            let begins: [&[u8]; 2] = [&from, &first];
            'begins: for begin in begins {
                for (row, value) in inner.rows(begin, &past, LOOKED_AT_MAX)? {
                    let Some(opened) = inner.opens(&row, &value)? else { continue };
                    sample.tried += 1;
                    sample.opened += u64::from(opened);
                    break 'begins;
                }
            }
        }
        Ok(sample)
    }
}

impl crate::vault::Inner {
    /// Whether the record of a head row opens. None: there is nothing to open, as it was deleted or its patient was erased.
    fn opens(&self, row: &[u8], value: &[u8]) -> Result<Option<bool>, VaultError> {
        let Ok(row) = crate::layout::RowKey::try_from(row) else { return Ok(Some(false)) };
        let Ok(head) = self.open_head(&row, value) else { return Ok(Some(false)) };
        if head.is_deleted() {
            return Ok(None);
        }
        let record = &head.record;
        let Some(located) = self.locate_version(record.resource_type, &record.id, record.version)? else {
            return Ok(Some(false));
        };
        let owner = &located.meta.owner;
        let key_row = crate::layout::data_key(&self.keys.row_keys, &owner.label());
        let wrapped = match self.store.reader().get(&key_row)? {
            Some(value) if value == crate::layout::ERASED => return Ok(None),
            Some(value) => value,
            None => return Ok(Some(false)),
        };
        let key = WrappedKey::from_bytes(wrapped)
            .and_then(|wrapped| self.keeper.unwrap(&wrapped, &key_row, OnBehalf::Maintenance("rehearsal")));
        let Ok(key) = key else { return Ok(Some(false)) };
        Ok(Some(self.verify_content(&crate::disclose::content_sealer(owner, &key), &located).is_ok()))
    }
}

/// What a row says; nothing where it cannot be read.
fn standing_in(value: &[u8]) -> Option<DrillStanding> {
    let standing = serde_json::from_slice::<DrillStanding>(value).ok();
    standing.filter(|standing| standing.version == VERSION)
}

fn rows_failed(error: RowsError) -> VaultError {
    match error {
        RowsError::Conflict => VaultError::Conflict,
        RowsError::TooLarge { what, max } => VaultError::TooLarge { what, max },
        error @ RowsError::Store(_) => VaultError::Unavailable(Box::new(error)),
    }
}
