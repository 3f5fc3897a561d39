//! The bytes under a memory engine: a journal of batches, of which a part is synced, and the mark beside it.
//!
//! ```text
//! batch:  length of body (8) | SHA-256 of body (32) | body
//! body:   for each write: key length (4) | value length (4; all ones for a delete) | key | value
//! ```

use crate::engine::{Durability, Mark, Write};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows of a memory engine.
pub(super) type Rows = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// The value length that stands for a delete.
const DELETED: u32 = u32::MAX;

#[derive(Clone, Default)]
struct Bytes {
    journal: Vec<u8>,
    synced_bytes: usize,
    mark: Option<(Mark, bool)>,
    mark_synced: Option<(Mark, bool)>,
}

/// How much of what was written but not synced a crash leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// Nothing: the power failed at the worst moment.
    KeepSynced,
    /// Everything: only the process ended.
    KeepAll,
    /// So many bytes of the journal after the synced ones: the operating system was in the middle of writing.
    KeepBytes(usize),
}

/// What survives a memory engine. Clones are the same disk; [`Disk::crash`] makes another.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Bytes>>);

impl Disk {
    /// The disk as it would be found after a crash at this moment.
    #[must_use]
    pub fn crash(&self, crash: Crash) -> Self {
        let mut bytes = self.lock().clone();
        let kept = match crash {
            Crash::KeepSynced => bytes.synced_bytes,
            Crash::KeepAll => bytes.journal.len(),
            Crash::KeepBytes(more) => bytes.synced_bytes.saturating_add(more).min(bytes.journal.len()),
        };
        bytes.journal.truncate(kept);
        bytes.synced_bytes = bytes.synced_bytes.min(kept);
        match crash {
            Crash::KeepSynced => bytes.mark = bytes.mark_synced,
            Crash::KeepAll | Crash::KeepBytes(_) => bytes.mark_synced = bytes.mark,
        }
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// Length of the journal in bytes.
    pub fn journal_bytes(&self) -> usize {
        self.lock().journal.len()
    }

    /// Flips every bit of one byte of the journal: damage that a journalled engine takes for a torn end.
    pub fn damage(&self, at: usize) {
        if let Some(byte) = self.lock().journal.get_mut(at) {
            *byte ^= 0xff;
        }
    }

    /// Loses the mark beside the engine.
    pub fn forget_mark(&self) {
        let mut bytes = self.lock();
        (bytes.mark, bytes.mark_synced) = (None, None);
    }

    pub(super) fn append(&self, writes: &[Write], torn_after: Option<usize>) {
        let mut batch = encode(writes);
        batch.truncate(torn_after.unwrap_or(usize::MAX));
        self.lock().journal.extend_from_slice(&batch);
    }

    pub(super) fn sync(&self) {
        let mut bytes = self.lock();
        bytes.synced_bytes = bytes.journal.len();
    }

    pub(super) fn mark(&self) -> Option<(Mark, bool)> {
        self.lock().mark
    }

    pub(super) fn set_mark(&self, mark: Mark, clean: bool, durability: Durability) {
        let mut bytes = self.lock();
        bytes.mark = Some((mark, clean));
        if durability == Durability::Durable {
            bytes.mark_synced = bytes.mark;
        }
    }

    /// The rows of the whole batches from the journal's begin, cutting off what follows the last of them.
    pub(super) fn recover(&self) -> Rows {
        let mut bytes = self.lock();
        let mut rows = Rows::new();
        let mut valid = 0;
        while let Some((batch, length)) = bytes.journal.get(valid..).and_then(decode) {
            apply(&mut rows, &batch);
            valid += length;
        }
        bytes.journal.truncate(valid);
        bytes.synced_bytes = bytes.synced_bytes.min(valid);
        rows
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies a batch to rows.
pub(super) fn apply(rows: &mut Rows, writes: &[Write]) {
    for write in writes {
        match write.value() {
            Some(value) => drop(rows.insert(write.key().to_vec(), value.into())),
            None => drop(rows.remove(write.key())),
        }
    }
}

fn encode(writes: &[Write]) -> Vec<u8> {
    let mut body = Vec::new();
    for write in writes {
        let value_length = write.value().map_or(DELETED, |value| value.len() as u32);
        body.extend_from_slice(&(write.key().len() as u32).to_be_bytes());
        body.extend_from_slice(&value_length.to_be_bytes());
        body.extend_from_slice(write.key());
        body.extend_from_slice(write.value().unwrap_or_default());
    }
    let mut batch = (body.len() as u64).to_be_bytes().to_vec();
    batch.extend_from_slice(digest(&SHA256, &body).as_ref());
    batch.extend_from_slice(&body);
    batch
}

/// The batch at the begin of `bytes` and its length there; `None` where it is torn or damaged.
fn decode(bytes: &[u8]) -> Option<(Vec<Write>, usize)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
    let mut body = rest.get(..length)?;
    if digest(&SHA256, body).as_ref() != hash {
        return None;
    }
    let mut writes = Vec::new();
    while !body.is_empty() {
        let (key_length, rest) = body.split_first_chunk::<4>()?;
        let (value_length, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
        body = match u32::from_be_bytes(*value_length) {
            DELETED => {
                writes.push(Write::delete(key));
                rest
            }
            value_length => {
                let (value, rest) = rest.split_at_checked(value_length as usize)?;
                writes.push(Write::put(key, value));
                rest
            }
        };
    }
    Some((writes, 8 + 32 + length))
}
