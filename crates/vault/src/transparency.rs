//! The ledger as a published log: signing its head, giving its files and receipts, and stopping disclosures where it cannot be what it was.
//!
//! ```text
//! publish_now ── head goes on from the latest checkpoint? ──yes──> tiles, then checkpoint, committed ──> witnesses (server)
//!                             │ no
//!                             ▼
//!                halted: nothing is shown any more; the ledger is kept, and every refused attempt stands in it
//! ```
//!
//! What stops disclosures: a ledger that is older than, or no continuation of, what was signed; entries that are not those that were written; a witness
//! that has seen more, or otherwise; and, where the operator wants it, witnesses that have not been heard of for too long. Only the last one heals by
//! itself. What a start does not find again by itself is kept in a row ([`halts`]).

mod halts;

pub use halts::{Halt, RESUME_REASON_BYTES_MAX};

use crate::error::VaultError;
use crate::vault::{Inner, Vault};
use crate::{Caller, EventKind, Outcome};
use halts::Halts;
use std::sync::{Mutex, PoisonError};
use tacet_ledger::log::{self, Change, LogIdentity, LogRows};
use tacet_ledger::{Entry, LedgerError};
use tacet_store::Commit;
use tacet_tlog::tile::Resource;
use tacet_tlog::{Receipt, SignedCheckpoint, TreeHash, VerifierKey};

/// What a vault knows of its published log.
#[derive(Default)]
pub(crate) struct Transparency {
    pub(crate) halts: Halts,
    /// Held while something is published, kept or named: one at a time.
    pub(crate) publishing: Mutex<()>,
    /// The latest checkpoint, once it is durable. INVARIANT: nobody outside is given another one. The store's reader shows rows before they are
    /// synced, and a checkpoint that a power loss takes back would prove, to whoever has it, that history was changed.
    latest: Mutex<Option<SignedCheckpoint>>,
    /// Entries of the latest checkpoint, and when enough witnesses last saw the log, in seconds since 1970; for the figures.
    figures: Mutex<LogFigures>,
}

/// Figures of the published log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogFigures {
    /// Entries of the latest checkpoint.
    pub published: u64,
    /// Witnesses that have cosigned within the time that is asked.
    pub witnesses: u64,
    /// Whether disclosures are stopped.
    pub halted: bool,
    /// Whether this start found that the ledger is published less than before.
    pub less: bool,
}

/// Makes refusals of the entries before which something would be shown; whether there were any.
pub(crate) fn refuse(entries: &mut [Entry], why: &str) -> bool {
    let mut any = false;
    for entry in entries.iter_mut().filter(|entry| entry.kind.shows()) {
        entry.outcome = Outcome::Refused;
        entry.records.clear();
        entry.detail = Some(format!("disclosures are stopped: {why}"));
        any = true;
    }
    any
}

impl Transparency {
    /// Refuses where something would be shown and must not be; makes of such entries what they are then: refusals.
    pub(crate) fn judge(&self, entries: &mut [Entry]) -> Option<Halt> {
        if !entries.iter().any(|entry| entry.kind.shows()) {
            return None;
        }
        let halt = self.halts.first()?;
        refuse(entries, &halt.to_string());
        Some(halt)
    }
}

impl Inner {
    /// Holds the ledger against what was signed, once, at the start.
    pub(crate) fn hold_log(&self) -> Result<(), VaultError> {
        let reader = self.store.reader();
        let Some(identity) = log::identity(reader, &self.ledger_keys)? else { return Ok(()) };
        match log::hold(reader, &self.ledger_keys, &identity) {
            Ok(latest) => {
                self.note_published(latest);
                Ok(())
            }
            Err(error) => {
                // What was signed is still given out: it proves what was lost.
                self.note_published(log::latest(reader, &self.ledger_keys, &identity).ok().flatten());
                self.halt_for(error)
            }
        }
    }

    /// Stops disclosures for what the ledger found; other errors are given back.
    fn halt_for(&self, error: LedgerError) -> Result<(), VaultError> {
        let halt = match error {
            LedgerError::LogSetBack { size, signed } => Halt::SetBack { size, signed },
            LedgerError::LogForked { signed } => Halt::Forked { signed },
            // Rows that the proof asks for are not there, or the checkpoint is not the log's.
            LedgerError::NoEntry { index } => Halt::Forked { signed: index },
            other => return Err(other.into()),
        };
        self.halt(&halt);
        Ok(())
    }

    /// Remembers a checkpoint whose row is durable.
    pub(crate) fn note_published(&self, latest: Option<SignedCheckpoint>) {
        let published = latest.as_ref().map_or(0, |latest| latest.checkpoint().size());
        *self.transparency.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
        self.transparency.figures.lock().unwrap_or_else(PoisonError::into_inner).published = published;
    }

    /// Whether something was signed.
    pub(crate) fn is_published(&self) -> bool {
        self.transparency.latest.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn identity(&self) -> Result<LogIdentity, VaultError> {
        log::identity(self.store.reader(), &self.ledger_keys)?.ok_or_else(|| LedgerError::LogUnnamed.into())
    }

    pub(crate) fn commit_log(&self, change: Change) -> Result<(), VaultError> {
        let Change { preconditions, writes } = change;
        if writes.is_empty() {
            return Ok(());
        }
        let commit = Commit { preconditions, writes, feed: None, item: Vec::new() };
        self.store.submit(commit).wait()?;
        Ok(())
    }
}

impl Vault {
    /// In what the ledger is published less than at the last start that was [kept](Vault::keep_publication); each in words. Logs it.
    pub fn published_less(&self, now: &log::Publication) -> Result<Vec<String>, VaultError> {
        let before = log::publication(self.0.store.reader(), &self.0.ledger_keys)?;
        let less = before.map_or_else(Vec::new, |before| now.less_than(&before));
        for what in &less {
            tracing::error!(
                what,
                "THE LEDGER IS PUBLISHED LESS THAN BEFORE: whoever changed the settings should have said so"
            );
        }
        self.0.transparency.figures.lock().unwrap_or_else(PoisonError::into_inner).less = !less.is_empty();
        Ok(less)
    }

    /// Keeps how the ledger is published, for the next start to be held against. May block.
    pub fn keep_publication(&self, now: &log::Publication) -> Result<(), VaultError> {
        let before = log::publication(self.0.store.reader(), &self.0.ledger_keys)?;
        if before.as_ref() == Some(now) {
            return Ok(());
        }
        self.0.commit_log(log::keep_publication(&self.0.ledger_keys, now, self.0.rng.as_ref())?)
    }

    /// Figures of the published log.
    pub fn log_figures(&self) -> LogFigures {
        let figures = *self.0.transparency.figures.lock().unwrap_or_else(PoisonError::into_inner);
        LogFigures { halted: self.halted().is_some(), ..figures }
    }

    /// Gives the log its name and its first key, if it has none yet; returns name and keys, the newest key last. May block.
    ///
    /// # Errors
    /// The log has another name, or the name cannot be one.
    pub fn name_log(&self, origin: Option<&str>) -> Result<(String, Vec<VerifierKey>), VaultError> {
        let _one = self.0.transparency.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = log::identity(self.0.store.reader(), &self.0.ledger_keys)? {
            if origin.is_some_and(|origin| origin != identity.origin()) {
                return Err(LedgerError::LogNamed { found: identity.origin().to_owned() }.into());
            }
            return Ok((identity.origin().to_owned(), identity.keys()));
        }
        let id: String = self.establishment().0.iter().map(|byte| format!("{byte:02x}")).collect();
        // A name that nobody else has and that is nobody's address.
        let default = format!("tacet.invalid/ledger/{id}");
        let (identity, change) = log::name(&self.0.ledger_keys, origin.unwrap_or(&default), self.0.rng.as_ref())?;
        self.0.commit_log(change)?;
        Ok((identity.origin().to_owned(), identity.keys()))
    }

    /// Adds a key to the log; returns all of them, the newest last. May block.
    ///
    /// # Errors
    /// The log has no name yet.
    pub fn rotate_log_key(&self) -> Result<Vec<VerifierKey>, VaultError> {
        let _one = self.0.transparency.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, change) = log::rotate(self.0.store.reader(), &self.0.ledger_keys, self.0.rng.as_ref())?;
        self.0.commit_log(change)?;
        Ok(identity.keys())
    }

    /// Signs the ledger's head if it has moved, and returns the latest checkpoint; `None` where there is none. May block: for long where
    /// much was added since.
    ///
    /// # Errors
    /// The ledger does not go on from what was signed: then disclosures are stopped.
    pub fn publish_now(&self) -> Result<Option<SignedCheckpoint>, VaultError> {
        let inner = &self.0;
        let _one = inner.transparency.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = inner.identity()?;
        let head = tacet_ledger::head(inner.store.reader(), &inner.ledger_keys)?;
        // Tiles first: a checkpoint is published once its files can be had quickly.
        while let Some(tiles) = log::next_tiles(inner.store.reader(), head.as_ref().map_or(0, |head| head.size()))? {
            inner.commit_log(tiles)?;
        }
        let snapshot = inner.store.snapshot()?;
        match log::sign_head(snapshot.as_ref(), &inner.ledger_keys, &identity, inner.rng.as_ref()) {
            Ok(Some((signed, change))) => {
                drop(snapshot);
                inner.commit_log(change)?;
                inner.note_published(Some(signed.clone()));
                Ok(Some(signed))
            }
            Ok(None) => self.checkpoint(),
            Err(error) => {
                inner.halt_for(error)?;
                self.halted().map_or(Ok(None), |halt| Err(VaultError::Halted(halt)))
            }
        }
    }

    /// Throws the kept tiles away, which the next publication makes again from the entries. May block.
    pub fn remake_log_tiles(&self) -> Result<(), VaultError> {
        let _one = self.0.transparency.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(change) = log::forget_tiles(self.0.store.reader())? {
            self.0.commit_log(change)?;
        }
        Ok(())
    }

    /// The latest checkpoint that was signed and is durable, with its cosignatures.
    pub fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, VaultError> {
        self.0.identity()?;
        Ok(self.0.transparency.latest.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The latest checkpoint that a witness cosigned.
    pub fn cosigned_checkpoint(&self) -> Result<Option<SignedCheckpoint>, VaultError> {
        Ok(log::cosigned(self.0.store.reader(), &self.0.ledger_keys, &self.0.identity()?)?)
    }

    /// Keeps a checkpoint with cosignatures, which the caller has verified. May block.
    pub fn keep_cosigned(&self, signed: &SignedCheckpoint) -> Result<(), VaultError> {
        let inner = &self.0;
        let _one = inner.transparency.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (reader, now) = (inner.store.reader(), inner.clock.now());
        let change = log::keep(reader, &inner.ledger_keys, &inner.identity()?, signed, now, inner.rng.as_ref())?;
        inner.commit_log(change)?;
        let mut latest = inner.transparency.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.as_ref().is_some_and(|latest| latest.checkpoint() == signed.checkpoint()) {
            *latest = Some(signed.clone());
        }
        Ok(())
    }

    /// The proof that a checkpoint of `size` entries goes on from one of `old`.
    pub fn log_consistency(&self, old: u64, size: u64) -> Result<Vec<TreeHash>, VaultError> {
        Ok(log::extension(self.0.store.reader(), old, size)?)
    }

    /// A file of the log as of its latest checkpoint. Entries in it are sealed. May block.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] where the log has no such file.
    pub fn log_file(&self, resource: &Resource) -> Result<Vec<u8>, VaultError> {
        let latest = self.checkpoint()?.ok_or(VaultError::NotFound)?;
        match resource {
            Resource::Checkpoint => Ok(latest.encode().into_bytes()),
            other if other.is_in(latest.checkpoint().size()) => Ok(LogRows(self.0.store.reader()).file(other)?),
            _ => Err(VaultError::NotFound),
        }
    }

    /// A receipt for an entry, which shows to anybody who has it what the entry says. Reading the ledger, it is written down on the account of
    /// `caller` before; whether they may is the caller's to decide. May block.
    pub async fn receipt(&self, caller: &Caller, index: u64) -> Result<Receipt, VaultError> {
        let mut entry = caller.entry(self.0.clock.now(), EventKind::LedgerAccess, Outcome::Success, None);
        entry.detail = Some(format!("receipt for entry {index}"));
        self.0.record(vec![entry]).await?;
        let covers = |signed: &SignedCheckpoint| index < signed.checkpoint().size();
        // One that witnesses have seen is worth more than a newer one.
        let signed = match self.cosigned_checkpoint()?.filter(covers) {
            Some(signed) => signed,
            None => self.publish_now()?.filter(covers).ok_or(VaultError::NotFound)?,
        };
        let reader = self.0.store.reader();
        let opening = tacet_ledger::opening(reader, &self.0.ledger_keys, index)?;
        let proof = log::inclusion(reader, index, signed.checkpoint().size())?;
        Ok(Receipt { extra: Some(opening.encode()), index, proof, checkpoint: signed })
    }
}
