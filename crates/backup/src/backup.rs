//! Making snapshots: what is due, in which order it goes out, and where the chains stand.
//!
//! ```text
//! base:  tail begins ── engine's snapshot at mark M ── keys: base ── content: segments ── manifest ── logs that came meanwhile
//! log:   tail taken (from the last mark) ── content: segments ── keys: log, if a key row changed ── manifest
//! ```
//!
//! A manifest comes last, and the key copy that it names before it. So a snapshot that is listed is whole, and what was cut off is segments that no
//! manifest names. A step that fails is repeated; what it had sent is there already.

use self::rows::BatchReader;
use self::whole::Known;
use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::{Kind, LedgerState, ManifestRef, MarkText, SegmentInfo, SpaceRows};
use crate::sending::Sending;
use crate::signing::BackupSigner;
use crate::state::{State, StateFile};
use crate::tail::{Batch, TailBuffer, Taken};
use crate::target::Target;
use std::sync::Arc;
use tacet_store::{Engine, Mark, Reader, StoreError, mark_of};
use tacet_types::{Clock, EstablishmentId, Rng, Timestamp};

mod finding;
mod publishing;
mod rows;
mod whole;

pub use rows::is_there;

/// Reads the ledger's size and root from rows; none where they have no head of it.
pub type ReadLedger = Box<dyn Fn(&dyn Reader) -> Result<Option<LedgerState>, StoreError> + Send>;

/// Gives the part of the root key's file that the recovery shares open; none where there is no such file.
pub type ReadRecovery = Box<dyn Fn() -> Option<Vec<u8>> + Send>;

/// What is backed up.
pub struct Source {
    /// The rows.
    pub engine: Arc<dyn Engine>,
    /// What follows their writes; around the same engine.
    pub tail: Arc<TailBuffer>,
    /// Whose they are.
    pub establishment: EstablishmentId,
    /// Signs manifests.
    pub signer: BackupSigner,
    /// Reads the ledger's head.
    pub ledger: ReadLedger,
    /// Reads the sealed part of the root key's file.
    pub recovery: ReadRecovery,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub rng: Arc<dyn Rng>,
}

/// Where backups go, and how.
pub struct Plan {
    /// Where content goes.
    pub target: Arc<dyn Target>,
    /// Where key copies go: another place.
    pub keys: Arc<dyn Target>,
    /// Milliseconds after which a chain ends and a new base is made.
    pub base_every_ms: i64,
    /// Milliseconds for which targets are asked to let nobody remove what is put; none: not.
    pub locked_ms: Option<i64>,
    /// Where it is kept how far the chains are.
    pub state: StateFile,
}

/// What is wanted of [`Backup::make`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// A log, or a base if one is due.
    Due,
    /// A base.
    Base,
    /// A log or nothing: there is no time for a base.
    LogOnly,
}

/// A snapshot that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Which.
    pub reference: ManifestRef,
    /// Whether it stands alone.
    pub kind: Kind,
    /// When.
    pub time: Timestamp,
    /// Up to where the store's commits are in it.
    pub to: Mark,
    /// Segments of its content.
    pub segments: u64,
    /// Rows of its content.
    pub rows: u64,
    /// Bytes of its content.
    pub bytes: u64,
    /// Bytes of its content that were not on the target before.
    pub sent_bytes: u64,
    /// Segments of earlier snapshots that it would have taken up again and that are not what was written: they went out anew.
    pub damaged: u64,
    /// The newest key copy.
    pub keys: ManifestRef,
    /// Why it is a base; none for a log.
    pub why: Option<&'static str>,
}

/// Where a chain stands.
#[derive(Clone)]
struct Latest {
    reference: ManifestRef,
    to: MarkText,
    base: u64,
    base_time: Timestamp,
    ledger: Option<LedgerState>,
    recovery: Option<String>,
}

/// A row that is set, or removed.
type OwnedRow = (Vec<u8>, Option<Vec<u8>>);

/// The content of a log that was sent, without its manifest.
struct Prepared {
    from: Mark,
    to: Mark,
    segments: Vec<SegmentInfo>,
    rows: Vec<SpaceRows>,
    sent_bytes: u64,
    ledger: Option<LedgerState>,
    keys: Vec<OwnedRow>,
    keys_done: bool,
}

/// Makes the snapshots of one store. One thread has it.
pub struct Backup {
    source: Source,
    plan: Plan,
    content: Option<Latest>,
    keys: Option<Latest>,
    batch: Option<Batch>,
    prepared: Vec<Prepared>,
    base_due: Option<&'static str>,
    /// Segments on the targets, as far as is known.
    known: Known,
    known_keys: Known,
    /// Whole snapshots that were made: which part of what is taken up again is read by the next one.
    bases: u64,
    /// When it is looked whether the last base is whole on its target.
    looks: Vec<Timestamp>,
    vanished: Vec<ManifestRef>,
    highest_content: u64,
    highest_keys: u64,
    /// Manifests that were sent and of which it is not known whether they are there.
    content_next: Option<ManifestRef>,
    keys_next: Option<ManifestRef>,
}

impl Backup {
    /// Finds out where the chains stand: from what was noted of them, or from the targets. With `adopt` the targets are believed, whatever was
    /// noted: after a restore, or when somebody else wrote there and it was found out why.
    ///
    /// # Errors
    /// A target cannot be used, is one place for both, or has the backup of somebody else.
    pub fn open(source: Source, plan: Plan, adopt: bool) -> Result<Self, BackupError> {
        if plan.target.describe() == plan.keys.describe() {
            let text = "content and keys go to the same place: give the keys a target of their own (`[backup.keys]`)";
            return Err(BackupError::Settings(text.to_owned()));
        }
        let noted =
            if adopt { State::default() } else { plan.state.read(&plan.target.describe(), &plan.keys.describe()) };
        let mut backup = Self {
            source,
            plan,
            content: None,
            keys: None,
            batch: None,
            prepared: Vec::new(),
            base_due: None,
            known: Known::default(),
            known_keys: Known::default(),
            bases: noted.bases,
            looks: Vec::new(),
            vanished: Vec::new(),
            highest_content: 0,
            highest_keys: 0,
            content_next: noted.content_next,
            keys_next: noted.keys_next,
        };
        backup.content = backup.find(Class::Content, noted.content)?;
        backup.keys = backup.find(Class::Key, noted.keys)?;
        backup.settle_next()?;
        if backup.content.is_none() || backup.keys.is_none() {
            backup.base_due = Some("there is no snapshot of this store yet");
        } else if !backup.vanished.is_empty() {
            backup.base_due = Some("a snapshot is missing from its target");
        } else if !backup.goes_on()? {
            backup.base_due = Some("what was written after the last snapshot was not followed");
        }
        Ok(backup)
    }

    /// Whether the tail begins where the last snapshot ends.
    fn goes_on(&self) -> Result<bool, BackupError> {
        let tail = &self.source.tail;
        let at = match tail.first() {
            Some(at) => at,
            // Nothing came yet; or the first group does just now.
            None => {
                let mark = mark_of(self.source.engine.as_ref())?;
                tail.first().unwrap_or(mark)
            }
        };
        Ok(self.content.as_ref().is_some_and(|latest| Mark::from(latest.to) == at))
    }

    fn target(&self, class: Class) -> Arc<dyn Target> {
        Arc::clone(if class == Class::Key { &self.plan.keys } else { &self.plan.target })
    }

    /// Snapshots that were made and are not on their targets any more, as far as was seen.
    pub fn vanished(&self) -> &[ManifestRef] {
        &self.vanished
    }

    /// The last snapshot of content, and where it ends.
    pub fn last(&self) -> Option<(&ManifestRef, Mark)> {
        self.content.as_ref().map(|latest| (&latest.reference, latest.to.into()))
    }

    /// Makes what is wanted. `between` is told after each segment of a base how many bytes were sent, or read of what is there already; it may
    /// wait, and says whether to go on. After an error that may pass ([`BackupError::may_pass`]) the same can be
    /// asked again; nothing is lost.
    ///
    /// # Errors
    /// A target's or the store's; or somebody else writes to the target.
    pub fn make(&mut self, want: Want, between: &mut dyn FnMut(u64) -> bool) -> Result<Vec<Made>, BackupError> {
        let mut made = Vec::new();
        self.settle_next()?;
        self.look_at_last_base()?;
        let now = self.source.clock.now();
        let old = self
            .content
            .as_ref()
            .is_some_and(|latest| now.as_ms().saturating_sub(latest.base_time.as_ms()) >= self.plan.base_every_ms);
        let mut why = match want {
            Want::Base => Some("it was asked for"),
            _ => self.base_due.or(old.then_some("the last one is as old as is configured")),
        };
        if why.is_none() {
            why = self.prepare_log()?;
        }
        let Some(why) = why else {
            self.finish_logs(&mut made)?;
            return Ok(made);
        };
        if want == Want::LogOnly {
            return Ok(made);
        }
        // Until it is there: a base that is cut off leaves a tail from which no log can be made.
        self.base_due = Some(why);
        self.make_base(why, &mut made, between)?;
        self.finish_logs(&mut made)?;
        Ok(made)
    }

    /// Sends what the tail has. Says why a base is needed instead, if one is.
    fn prepare_log(&mut self) -> Result<Option<&'static str>, BackupError> {
        if self.batch.is_none() {
            self.batch = match self.source.tail.take() {
                Taken::Batch(batch) => Some(batch),
                Taken::Nothing => None,
                Taken::Broken(why) => return Ok(Some(why)),
            };
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let end =
            self.prepared.last().map(|prepared| prepared.to).or(self.content.as_ref().map(|latest| latest.to.into()));
        if end != Some(batch.from) {
            return Ok(Some("the store does not go on where the last snapshot ends"));
        }
        let mut sending = Sending::new(self.plan.target.as_ref(), Class::Content, self.keep_until());
        sending.log(batch.writes.iter())?;
        let sent_bytes = sending.sent_bytes;
        let ledger = (self.source.ledger)(&BatchReader(&batch.writes))?;
        let before = self
            .prepared
            .last()
            .map_or(self.content.as_ref().and_then(|latest| latest.ledger), |prepared| prepared.ledger);
        let (segments, rows) = sending.into_parts();
        let keys = batch
            .writes
            .iter()
            .filter(|(key, _)| key.first().is_some_and(|space| class_of(*space) == Some(Class::Key)));
        let keys = keys.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        let (from, to) = (batch.from, batch.to);
        self.prepared.push(Prepared {
            from,
            to,
            segments,
            rows,
            sent_bytes,
            ledger: ledger.or(before),
            keys,
            keys_done: false,
        });
        if let Some(batch) = self.batch.take() {
            self.source.tail.release(&batch);
        }
        Ok(None)
    }

    /// Writes the manifests of logs that were sent.
    fn finish_logs(&mut self, made: &mut Vec<Made>) -> Result<(), BackupError> {
        while !self.prepared.is_empty() {
            let mut prepared = self.prepared.remove(0);
            // It went out, and something failed after that: a second one would not follow from it.
            if self.content.as_ref().is_some_and(|latest| Mark::from(latest.to) == prepared.to) {
                continue;
            }
            match self.finish_log(&mut prepared) {
                Ok(done) => made.push(done),
                Err(error) => {
                    self.prepared.insert(0, prepared);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn finish_log(&mut self, prepared: &mut Prepared) -> Result<Made, BackupError> {
        let (Some(content), Some(keys)) = (self.content.clone(), self.keys.clone()) else {
            return Err(BackupError::Broken("there is no base".to_owned()));
        };
        let recovery = self.recovery(Some(&keys));
        if !prepared.keys_done && (!prepared.keys.is_empty() || recovery != keys.recovery) {
            let mut sending = Sending::new(self.plan.keys.as_ref(), Class::Key, self.keep_until());
            sending.log(prepared.keys.iter().map(|(key, value)| (key.as_slice(), value.as_deref())))?;
            let (segments, rows) = sending.into_parts();
            let mut manifest = self.manifest(Class::Key, prepared.to, Some(&keys));
            (manifest.segments, manifest.rows, manifest.recovery) = (segments, rows, recovery);
            self.publish(Class::Key, manifest)?;
        }
        prepared.keys_done = true;
        let mut manifest = self.manifest(Class::Content, prepared.to, Some(&content));
        manifest.segments.clone_from(&prepared.segments);
        manifest.rows.clone_from(&prepared.rows);
        manifest.from = Some(prepared.from.into());
        manifest.ledger = prepared.ledger;
        manifest.keys = self.keys.as_ref().map(|latest| latest.reference.clone());
        self.publish_content(manifest, (prepared.sent_bytes, 0), None)
    }
}

#[cfg(test)]
pub(crate) mod hospital;
#[cfg(test)]
mod tests;
