//! What stops disclosures: in memory, where each entry is judged by it, and in rows, so that a start stays stopped.
//!
//! | what | found by | found again by a start | ends |
//! |---|---|---|---|
//! | set back, forked | the start, each publication | at once, from the rows | with another store, or another name of the log |
//! | altered | the slow derivation | within its period: so it has a row | [`Vault::resume_disclosures`] |
//! | ahead, disputed | a witness | if it can be reached: so it has a row | the same witness cosigns, or [`Vault::resume_disclosures`] |
//! | unreadable | a start, of a row | at once | [`Vault::resume_disclosures`] |
//! | unwitnessed | the server, counting | at once | witnesses answer again |
//!
//! A row comes with an entry and a notice to those who look after the house, and goes with an entry.

use crate::error::VaultError;
use crate::vault::{Inner, Vault};
use crate::{Caller, EventKind, Outcome};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError, RwLock};
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_ledger::people::NoticeKind;
use tacet_ledger::{Channel, DETAIL_BYTES_MAX, Entry, Origin, Prepared, PurposeOfUse, Verification, cut, one_line};
use tacet_store::{Commit, StoreError};
use tacet_types::{OperationId, Role};

/// Most that stop disclosures at a time: as many as there may be witnesses, and some.
const HALTS_MAX: usize = 64;

/// Longest reason for going on, in bytes.
pub const RESUME_REASON_BYTES_MAX: usize = 500;

/// Format of a row.
const VERSION: u8 = 1;

/// Why nothing is shown. Says nothing of anybody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Halt {
    /// The ledger has fewer entries than were signed.
    SetBack {
        /// Entries of the ledger.
        size: u64,
        /// Entries of the checkpoint.
        signed: u64,
    },
    /// The ledger is no continuation of what was signed.
    Forked {
        /// Entries of the checkpoint.
        signed: u64,
    },
    /// A witness has cosigned a larger checkpoint than the ledger has entries.
    Ahead {
        /// The witness's key, as text: only its cosignature can take this back.
        witness: String,
        /// What it has seen.
        seen: u64,
        /// Entries of the ledger.
        size: u64,
    },
    /// A witness has cosigned another history.
    Disputed {
        /// The witness's key, as text: only its cosignature can take this back.
        witness: String,
    },
    /// Of these entries at least one is not the one that was written: the slow derivation found it.
    Altered {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Too few witnesses have cosigned lately.
    Unwitnessed,
    /// A row that says why disclosures are stopped cannot be read: a later program wrote it, or it is damaged.
    Unreadable,
}

impl Halt {
    /// Whether it ends once witnesses answer again.
    pub fn heals(&self) -> bool {
        *self == Self::Unwitnessed
    }

    /// The name of its row; none: a start finds it again by itself, at once.
    fn row_name(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ahead { witness, .. } | Self::Disputed { witness } => Some(witness_row(witness)),
            Self::Altered { .. } => Some(b"altered".to_vec()),
            // Of no row, as it has whichever name it has: so that it ends as those do that have one.
            Self::Unreadable => Some(b"unreadable".to_vec()),
            Self::SetBack { .. } | Self::Forked { .. } | Self::Unwitnessed => None,
        }
    }

    /// Whether both say the same thing of the same: then the first that was found stays.
    fn is_of(&self, other: &Self) -> bool {
        let of_log = |halt: &Self| matches!(halt, Self::SetBack { .. } | Self::Forked { .. });
        match (self.row_name(), other.row_name()) {
            (None, None) => self == other || of_log(self) && of_log(other),
            (own, other) => own == other,
        }
    }
}

fn witness_row(witness: &str) -> Vec<u8> {
    // A key's text may be longer than a row's name: its name and the hash behind it tell keys apart, and the value has it whole.
    let end = witness.match_indices('+').nth(1).map_or(witness.len(), |(end, _)| end);
    [b"witness/", witness.as_bytes().get(..end).unwrap_or_default()].concat()
}

/// The name in a key's text.
fn name_of(witness: &str) -> &str {
    witness.split('+').next().unwrap_or_default()
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetBack { size, signed } => {
                write!(f, "the ledger has {size} entries and {signed} were signed: the store was set back")
            }
            Self::Forked { signed } => {
                write!(
                    f,
                    "the first {signed} entries of the ledger are not those that were signed: history was changed"
                )
            }
            Self::Ahead { witness, seen, size } => {
                let name = name_of(witness);
                write!(
                    f,
                    "the witness {name} has seen {seen} entries and the ledger has {size}: the store was set back"
                )
            }
            Self::Disputed { witness } => {
                let name = name_of(witness);
                write!(f, "the witness {name} has seen another history than the ledger's: history was changed")
            }
            Self::Altered { from, to } => {
                write!(
                    f,
                    "of the ledger's entries from {from} to {} at least one is not the one that was written, or is missing",
                    to.saturating_sub(1)
                )
            }
            Self::Unreadable => f.write_str(
                "why disclosures are stopped was written down and cannot be read: a later program wrote it, or it is damaged",
            ),
            Self::Unwitnessed => {
                f.write_str("too few witnesses have cosigned the ledger lately: see that they can be reached")
            }
        }
    }
}

/// A row.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u8,
    /// Since when, in milliseconds since 1970.
    since_ms: i64,
    halt: Halt,
}

/// What stops disclosures at present.
#[derive(Default)]
pub(crate) struct Halts {
    all: RwLock<Vec<Halt>>,
    /// Held by whoever changes rows and memory together.
    keeping: Mutex<()>,
}

impl Halts {
    /// The one that is told: what does not heal comes first.
    pub(super) fn first(&self) -> Option<Halt> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|halt| !halt.heals()).or_else(|| all.first()).cloned()
    }

    fn all(&self) -> Vec<Halt> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it was not there yet. Of one thing what was found first stays.
    fn add(&self, halt: &Halt) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        // Past the bound nothing is lost: disclosures are stopped by those that are there.
        if all.iter().any(|other| other.is_of(halt)) || all.len() >= HALTS_MAX {
            return false;
        }
        all.push(halt.clone());
        true
    }

    fn remove(&self, which: impl Fn(&Halt) -> bool) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).retain(|halt| !which(halt));
    }

    /// As after a start without rows.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.remove(|_| true);
    }
}

impl Inner {
    /// Stops disclosures. Whether a start will stay stopped: otherwise it is to be tried again. May block.
    pub(crate) fn halt(&self, halt: &Halt) -> bool {
        // INVARIANT: first in memory. From here on nothing is shown, whatever becomes of the row.
        if self.transparency.halts.add(halt) {
            tracing::error!(reason = %halt, "DISCLOSURES ARE STOPPED: run `tacet ledger verify`, and compare with what witnesses hold");
        }
        match self.keep_halt(halt) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "that disclosures are stopped could not be written down: a start shows records until it is found again");
                false
            }
        }
    }

    /// Goes by what was kept: at the start, before anything is shown.
    pub(crate) fn apply_halts(&self) -> Result<(), VaultError> {
        for (_, kept) in self.kept_halts()? {
            if self.transparency.halts.add(&kept.halt) {
                tracing::error!(reason = %kept.halt, "DISCLOSURES ARE STOPPED since before this start: see docs/ledger.md, `When disclosures stop`");
            }
        }
        Ok(())
    }

    fn kept_halts(&self) -> Result<Vec<(RowWrite, Kept)>, VaultError> {
        let mut rows = Vec::new();
        // What does not open at all has no name, and stops each start anew until another copy of the store is restored.
        if self.scan_readable_noted(Table::Halts, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })? > 0
        {
            self.transparency.halts.add(&Halt::Unreadable);
        }
        let read = |row: tacet_ledger::noted::NotedRow| {
            let kept: Option<Kept> = serde_json::from_slice(&row.value).ok();
            let kept = kept.filter(|kept| kept.version == VERSION);
            let kept = kept.unwrap_or(Kept { version: VERSION, since_ms: 0, halt: Halt::Unreadable });
            let expect = Expect::Revision(row.revision);
            (RowWrite { table: Table::Halts, name: row.name, value: None, expect }, kept)
        };
        Ok(rows.into_iter().map(read).collect())
    }

    fn keep_halt(&self, halt: &Halt) -> Result<(), VaultError> {
        let _one = self.transparency.halts.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = halt.row_name() else { return Ok(()) };
        if self.noted_row(Table::Halts, &name)?.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let kept = Kept { version: VERSION, since_ms: now.as_ms(), halt: halt.clone() };
        let value = serde_json::to_vec(&kept).map_err(|error| VaultError::Internal(Box::new(error)))?;
        let mut writes = vec![RowWrite { table: Table::Halts, name, value: Some(value), expect: Expect::Absent }];
        self.tell(&mut writes, NoticeKind::Tripwire, "disclosures", &halt.to_string(), now)?;
        let mut entry = self.own_entry(EventKind::Tripwire);
        entry.detail = Some(cut(&format!("disclosures are stopped: {halt}"), DETAIL_BYTES_MAX).to_owned());
        self.commit_halts(&writes, &[entry])
    }

    fn own_entry(&self, kind: EventKind) -> Entry {
        let origin = Origin { address: None, channel: Channel::Internal };
        let purpose = PurposeOfUse::SystemAdministration;
        let operation = OperationId::random(self.rng.as_ref());
        let caller = Caller::new("tacet: ledger", Role::Operator, purpose, origin, operation);
        caller.entry(self.clock.now(), kind, Outcome::Success, None)
    }

    fn commit_halts(&self, writes: &[RowWrite], entries: &[Entry]) -> Result<(), VaultError> {
        let mut commit = Commit { item: Prepared::all(entries)?, ..Commit::default() };
        for write in writes {
            let (precondition, change) = self.noted_write(write)?.ok_or(VaultError::Conflict)?;
            commit.preconditions.extend(precondition);
            commit.writes.push(change);
        }
        match self.store.submit(commit).wait() {
            Ok(_) => Ok(()),
            Err(StoreError::PreconditionFailed { .. }) => Err(VaultError::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes rows away with an entry, then what they say out of memory. What it was.
    fn lift_halts(
        &self,
        which: impl Fn(&Halt) -> bool,
        mut entry: Entry,
        because: &str,
    ) -> Result<Vec<Halt>, VaultError> {
        let _one = self.transparency.halts.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let (rows, kept): (Vec<_>, Vec<_>) =
            self.kept_halts()?.into_iter().filter(|(_, kept)| which(&kept.halt)).unzip();
        // Those whose rows could not be written stand in memory alone.
        let mut lifted: Vec<Halt> = kept.into_iter().map(|kept| kept.halt).collect();
        let all = self.transparency.halts.all();
        let alone: Vec<Halt> =
            all.into_iter().filter(|halt| which(halt) && !lifted.iter().any(|other| other.is_of(halt))).collect();
        lifted.extend(alone);
        if lifted.is_empty() {
            return Ok(lifted);
        }
        let was: Vec<String> = lifted.iter().map(ToString::to_string).collect();
        entry.detail = Some(
            cut(
                &format!("disclosures go on: {because}; they were stopped because {}", was.join("; and ")),
                DETAIL_BYTES_MAX,
            )
            .to_owned(),
        );
        self.commit_halts(&rows, &[entry])?;
        self.transparency.halts.remove(which);
        tracing::warn!(because, was = was.join("; "), "what stopped disclosures was taken back");
        Ok(lifted)
    }
}

impl Inner {
    /// What stopped disclosures because the log was behind or other than what was seen ends with the log's name: nobody has seen more of the next one.
    /// Entries that were altered are so under any name.
    pub(crate) fn end_halts_of_log(&self, caller: &Caller, origin: &str) -> Result<(), VaultError> {
        let of_log = |halt: &Halt| !matches!(halt, Halt::Altered { .. } | Halt::Unreadable | Halt::Unwitnessed);
        let entry = caller.entry(self.clock.now(), EventKind::ConfigurationChange, Outcome::Success, None);
        self.lift_halts(of_log, entry, &format!("the published log goes on as {origin}")).map(|_| ())
    }
}

impl Vault {
    /// Why nothing is shown; `None` where all is well.
    pub fn halted(&self) -> Option<Halt> {
        self.0.transparency.halts.first()
    }

    /// Everything for which nothing is shown.
    pub fn halts(&self) -> Vec<Halt> {
        self.0.transparency.halts.all()
    }

    /// Stops disclosures, for what a witness said. A start stays stopped. May block.
    pub fn halt(&self, halt: &Halt) {
        self.0.halt(halt);
    }

    /// Says that the witness with this key has cosigned the ledger at this size. Where it had objected, that is over: it was told what happened, and
    /// nobody else can say so. May block.
    ///
    /// # Errors
    /// The store cannot write it: then disclosures stay stopped.
    pub fn witness_agrees(&self, key: &str, size: u64) -> Result<(), VaultError> {
        let row = Some(witness_row(key));
        let of_it = |halt: &Halt| {
            halt.row_name() == row
                && matches!(halt, Halt::Ahead { witness, .. } | Halt::Disputed { witness } if witness == key)
        };
        if !self.0.transparency.halts.all().iter().any(of_it) {
            return Ok(());
        }
        let because = format!("the witness {} has cosigned the ledger of {size} entries", name_of(key));
        let entry = self.0.own_entry(EventKind::ConfigurationChange);
        self.0.lift_halts(of_it, entry, &because).map(|_| ())
    }

    /// Says how many witnesses have cosigned lately, and whether these are enough to show records.
    pub fn witnessed(&self, witnesses: u64, enough: bool) {
        let inner = &self.0;
        inner.transparency.figures.lock().unwrap_or_else(PoisonError::into_inner).witnesses = witnesses;
        if !enough {
            inner.halt(&Halt::Unwitnessed);
        } else if inner.transparency.halts.all().iter().any(Halt::heals) {
            tracing::warn!("witnesses cosign the ledger again: disclosures go on");
            inner.transparency.halts.remove(Halt::heals);
        }
    }

    /// Lets disclosures go on that a witness or the slow derivation stopped, because somebody looked into it. The entry names who, why, and what had
    /// stopped them. Witnesses are asked again by the next start before anything is shown. What was lifted; nothing where nothing was kept. May block.
    ///
    /// # Errors
    /// The ledger is not sound, is shorter than or another than what was signed, or the reason is empty or too long: then nothing is lifted.
    pub fn resume_disclosures(
        &self,
        caller: &Caller,
        because: &str,
        verification: &Verification,
    ) -> Result<Vec<Halt>, VaultError> {
        let because = &one_line(because);
        if because.is_empty() || because.len() > RESUME_REASON_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in the reason, or none", max: RESUME_REASON_BYTES_MAX });
        }
        if !verification.is_sound() {
            return Err(VaultError::NotAllowed(
                "the ledger was altered: restore the newest copy of the store in which it was not",
            ));
        }
        if self.halts().iter().any(|halt| halt.row_name().is_none() && !halt.heals()) {
            return Err(VaultError::NotAllowed(
                "the ledger does not go on from what was signed: restore a newer copy of the store, or let it go on under another name",
            ));
        }
        let entry = caller.entry(self.0.clock.now(), EventKind::ConfigurationChange, Outcome::Success, None);
        self.0.lift_halts(|halt| halt.row_name().is_some(), entry, because)
    }
}
