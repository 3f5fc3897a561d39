//! The ledger as a published transparency log: its name and keys, the checkpoints that were signed, and its files made from rows.
//!
//! ```text
//! 0x12 00                      origin and keys                              sealed
//! 0x12 01                      the latest checkpoint that was signed        sealed
//! 0x12 02                      the latest that a witness cosigned           sealed
//! 0x12 03 level (1) index (8)  tile of level 1 and above                    hashes: a cache, derived again in a verification
//! 0x12 04 size (8)             cosigned ones that are kept, one an hour     sealed
//! 0x12 05                      how it was published at the last start       sealed
//! ```
//!
//! Nothing here writes: a [`Change`] is what the store's owner commits. One at a time: whoever publishes holds a lock.

mod publication;
mod tiles;
mod walk;

pub use publication::{Publication, keep_publication, publication};
pub(crate) use tiles::kept_tile;
pub use tiles::{LogRows, forget_tiles, next_tiles};
pub use walk::{Walk, Walked};

use crate::error::LedgerError;
use crate::keys::LedgerKeys;
use crate::sequencer::head;
use std::ops::ControlFlow;
use tacet_store::{Precondition, Reader, Write};
use tacet_tlog::merkle::proof::{consistency, verify_consistency};
use tacet_tlog::note::SignatureType;
use tacet_tlog::tile::TileHashes;
use tacet_tlog::{Checkpoint, SignedCheckpoint, SignerKey, TreeHash, VerifierKey};
use tacet_types::{Rng, Timestamp};
use zeroize::Zeroizing;

/// First byte of the keys of the log's rows.
pub const SPACE_LOG: u8 = 0x12;

const IDENTITY_ROW: [u8; 2] = [SPACE_LOG, 0];
const LATEST_ROW: [u8; 2] = [SPACE_LOG, 1];
const COSIGNED_ROW: [u8; 2] = [SPACE_LOG, 2];
const KEPT: u8 = 4;

/// Keys that sign at a time: the newest, and older ones that witnesses may still be configured with.
const KEYS_MAX: usize = 3;

/// The format of the identity that is written, and the only one that is read.
const FORMAT: u8 = 1;

/// Cosigned checkpoints are kept for good, at most one in this time, in milliseconds.
const KEPT_EVERY_MS: i64 = 3_600_000;

/// Rows to be committed together.
#[derive(Debug)]
pub struct Change {
    /// What must hold.
    pub preconditions: Vec<Precondition>,
    /// What is written.
    pub writes: Vec<Write>,
}

/// The log's name, and the keys that it signs with.
#[derive(Debug)]
pub struct LogIdentity {
    origin: String,
    /// INVARIANT: not empty; the newest last.
    keys: Vec<SignerKey>,
}

impl LogIdentity {
    /// The name by which witnesses know it: the first line of its checkpoints, and the name of its keys.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The public halves of its keys, the newest last. For witnesses, and for whoever verifies.
    pub fn keys(&self) -> Vec<VerifierKey> {
        self.keys.iter().map(SignerKey::verifier).collect()
    }

    fn sign(&self, size: u64, root: TreeHash) -> Result<SignedCheckpoint, LedgerError> {
        let checkpoint = Checkpoint::new(&self.origin, size, root)?;
        let mut newest_first = self.keys.iter().rev();
        let newest = newest_first.next().ok_or(LedgerError::LogRow("no key"))?;
        let mut signed = SignedCheckpoint::sign(checkpoint, newest)?;
        for older in newest_first {
            let signature = older.sign(signed.note().text().as_bytes())?;
            if !signed.add(signature) {
                return Err(LedgerError::LogRow("too many keys"));
            }
        }
        Ok(signed)
    }

    /// `format=1  length (1)  origin  number (1)  { seed (32) }*`
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![FORMAT, u8::try_from(self.origin.len()).unwrap_or(u8::MAX)]);
        out.extend(self.origin.as_bytes());
        out.push(u8::try_from(self.keys.len()).unwrap_or(u8::MAX));
        self.keys.iter().for_each(|key| out.extend(key.seed()));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, LedgerError> {
        let wrong = || LedgerError::LogRow("its name and keys");
        let Some((&[FORMAT, length], rest)) = bytes.split_first_chunk::<2>() else { return Err(wrong()) };
        let (origin, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(wrong)?;
        let origin = std::str::from_utf8(origin).map_err(|_| wrong())?;
        let (number, seeds) = rest.split_first().ok_or_else(wrong)?;
        let (seeds, left_over) = seeds.as_chunks::<32>();
        let fits = seeds.len() == usize::from(*number) && (1..=KEYS_MAX).contains(&seeds.len()) && left_over.is_empty();
        if !fits {
            return Err(wrong());
        }
        let key = |seed: &[u8; 32]| SignerKey::from_seed(origin, SignatureType::Ed25519, Zeroizing::new(*seed));
        Ok(Self { origin: origin.to_owned(), keys: seeds.iter().map(key).collect::<Result<_, _>>()? })
    }
}

/// The log's name and keys; `None` where it has none yet.
///
/// # Errors
/// The row does not open or cannot be read.
pub fn identity(reader: &dyn Reader, keys: &LedgerKeys) -> Result<Option<LogIdentity>, LedgerError> {
    let Some(row) = reader.get(&IDENTITY_ROW)? else { return Ok(None) };
    LogIdentity::decode(&keys.open_log(&IDENTITY_ROW, &row)?).map(Some)
}

/// Gives the log a name and a key, which it has none of yet. `rng` must be fit for keys.
///
/// # Errors
/// The origin cannot stand in a checkpoint and as the name of a key.
pub fn name(keys: &LedgerKeys, origin: &str, rng: &dyn Rng) -> Result<(LogIdentity, Change), LedgerError> {
    let key = SignerKey::generate(origin, SignatureType::Ed25519, rng)?;
    Checkpoint::new(origin, 0, tacet_tlog::merkle::empty_root())?;
    let identity = LogIdentity { origin: origin.to_owned(), keys: vec![key] };
    let row = keys.seal_log(&IDENTITY_ROW, &identity.encode(), rng)?;
    let absent = Precondition::Absent { key: IDENTITY_ROW.to_vec() };
    Ok((identity, Change { preconditions: vec![absent], writes: vec![Write::put(IDENTITY_ROW, row)] }))
}

/// Adds a key under the same name. Checkpoints are signed by the older ones too, of which at most two stay, so that witnesses can be given the
/// new key one after the other.
///
/// # Errors
/// The log has no name yet.
pub fn rotate(reader: &dyn Reader, keys: &LedgerKeys, rng: &dyn Rng) -> Result<(LogIdentity, Change), LedgerError> {
    let row = reader.get(&IDENTITY_ROW)?.ok_or(LedgerError::LogUnnamed)?;
    let mut identity = LogIdentity::decode(&keys.open_log(&IDENTITY_ROW, &row)?)?;
    identity.keys.push(SignerKey::generate(&identity.origin, SignatureType::Ed25519, rng)?);
    if identity.keys.len() > KEYS_MAX {
        identity.keys.remove(0);
    }
    let value = keys.seal_log(&IDENTITY_ROW, &identity.encode(), rng)?;
    let unchanged = Precondition::Unchanged { key: IDENTITY_ROW.to_vec(), value: row };
    Ok((identity, Change { preconditions: vec![unchanged], writes: vec![Write::put(IDENTITY_ROW, value)] }))
}

/// What a log was that goes on under another name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Predecessor {
    /// Its name.
    pub origin: String,
    /// Entries and root of the latest checkpoint that it signed, as far as is known here.
    pub signed: Option<(u64, TreeHash)>,
    /// Entries of the latest that a witness cosigned, as far as is known here.
    pub cosigned: Option<u64>,
}

/// Gives the log another name and another key, because it cannot go on under the one that it has: witnesses have seen entries that are lost. Nothing
/// is signed with the older keys from then on. The entries stay, so the new log's first checkpoint is over all of them.
///
/// # Errors
/// The log has no name yet, has this one, or the new one cannot stand in a checkpoint.
pub fn succeed(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    origin: &str,
    rng: &dyn Rng,
) -> Result<(LogIdentity, Predecessor, Change), LedgerError> {
    let row = reader.get(&IDENTITY_ROW)?.ok_or(LedgerError::LogUnnamed)?;
    let before = LogIdentity::decode(&keys.open_log(&IDENTITY_ROW, &row)?)?;
    if before.origin == origin {
        return Err(LedgerError::LogNamed { found: before.origin });
    }
    let checkpoint = |row: &[u8]| {
        let found = checkpoint_in(reader, keys, &before, row)?;
        Ok::<_, LedgerError>(found.map(|signed| (signed.checkpoint().size(), signed.checkpoint().root())))
    };
    let (signed, cosigned) = (checkpoint(&LATEST_ROW)?, checkpoint(&COSIGNED_ROW)?.map(|(size, _)| size));
    let (identity, Change { mut writes, .. }) = name(keys, origin, rng)?;
    writes.extend([LATEST_ROW, COSIGNED_ROW].map(Write::delete));
    let preconditions = vec![Precondition::Unchanged { key: IDENTITY_ROW.to_vec(), value: row }];
    let predecessor = Predecessor { origin: before.origin, signed, cosigned };
    Ok((identity, predecessor, Change { preconditions, writes }))
}

fn checkpoint_in(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    identity: &LogIdentity,
    row: &[u8],
) -> Result<Option<SignedCheckpoint>, LedgerError> {
    let Some(sealed) = reader.get(row)? else { return Ok(None) };
    let text = keys.open_log(row, &sealed)?;
    Ok(Some(SignedCheckpoint::verified(&text, &identity.keys())?))
}

/// The latest checkpoint that was signed, with the cosignatures that it has.
///
/// # Errors
/// Its row does not open, or is not a checkpoint of this log.
pub fn latest(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    identity: &LogIdentity,
) -> Result<Option<SignedCheckpoint>, LedgerError> {
    checkpoint_in(reader, keys, identity, &LATEST_ROW)
}

/// The latest checkpoint that a witness cosigned.
///
/// # Errors
/// Its row does not open, or is not a checkpoint of this log.
pub fn cosigned(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    identity: &LogIdentity,
) -> Result<Option<SignedCheckpoint>, LedgerError> {
    checkpoint_in(reader, keys, identity, &COSIGNED_ROW)
}

/// Every checkpoint that is kept, by size. Signed by the log as they may be with keys that it no longer has, they are as good as the seal of their rows.
pub(crate) fn kept(reader: &dyn Reader, keys: &LedgerKeys) -> Result<Vec<Checkpoint>, LedgerError> {
    let mut rows = Vec::new();
    for row in [LATEST_ROW, COSIGNED_ROW] {
        rows.extend(reader.get(&row)?.map(|value| (row.to_vec(), value)));
    }
    reader.range(&[SPACE_LOG, KEPT], &[SPACE_LOG, KEPT + 1], &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    let mut all = Vec::with_capacity(rows.len());
    for (key, value) in rows {
        let text = keys.open_log(&key, &value)?;
        let text = if key.get(1) == Some(&KEPT) { text.get(8..).unwrap_or_default() } else { &text };
        all.push(SignedCheckpoint::parse(text)?.checkpoint().clone());
    }
    all.sort_by_key(Checkpoint::size);
    Ok(all)
}

/// Holds the ledger against the latest checkpoint that was signed: it must be a continuation. Returns that checkpoint.
///
/// # Errors
/// [`LedgerError::LogSetBack`], [`LedgerError::LogForked`], or rows that cannot be read.
pub fn hold(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    identity: &LogIdentity,
) -> Result<Option<SignedCheckpoint>, LedgerError> {
    let Some(latest) = latest(reader, keys, identity)? else { return Ok(None) };
    let head = head(reader, keys)?;
    let (size, root) = head.map_or((0, tacet_tlog::merkle::empty_root()), |head| (head.size(), head.root()));
    let (signed, signed_root) = (latest.checkpoint().size(), latest.checkpoint().root());
    if size < signed {
        return Err(LedgerError::LogSetBack { size, signed });
    }
    let proof = extension(reader, signed, size)?;
    if !verify_consistency(signed, &signed_root, size, &root, &proof) {
        return Err(LedgerError::LogForked { signed });
    }
    Ok(Some(latest))
}

/// The proof that the first `old` entries are the beginning of the first `size`.
///
/// # Errors
/// There are not so many entries.
pub fn extension(reader: &dyn Reader, old: u64, size: u64) -> Result<Vec<TreeHash>, LedgerError> {
    let tiles = LogRows(reader);
    consistency(&TileHashes { tiles: &tiles, size }, old, size).map_err(tiles::from_proof)
}

/// The proof that entry `index` is in the tree of the first `size`.
///
/// # Errors
/// There are not so many entries.
pub fn inclusion(reader: &dyn Reader, index: u64, size: u64) -> Result<Vec<TreeHash>, LedgerError> {
    let tiles = LogRows(reader);
    tacet_tlog::merkle::proof::inclusion(&TileHashes { tiles: &tiles, size }, index, size).map_err(tiles::from_proof)
}

/// Signs the ledger's head, if it has moved since the latest checkpoint and goes on from there. Give a snapshot.
///
/// # Errors
/// As [`hold`]: then nothing is signed.
pub fn sign_head(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    identity: &LogIdentity,
    rng: &dyn Rng,
) -> Result<Option<(SignedCheckpoint, Change)>, LedgerError> {
    let latest = hold(reader, keys, identity)?;
    let Some(head) = head(reader, keys)? else { return Ok(None) };
    let signed_by_all = |signed: &SignedCheckpoint| {
        let by = signed.note().verify(&identity.keys());
        by.is_ok_and(|by| by.len() == identity.keys.len())
    };
    if latest.is_some_and(|latest| latest.checkpoint().size() == head.size() && signed_by_all(&latest)) {
        return Ok(None);
    }
    let signed = identity.sign(head.size(), head.root())?;
    let precondition = match reader.get(&LATEST_ROW)? {
        Some(value) => Precondition::Unchanged { key: LATEST_ROW.to_vec(), value },
        None => Precondition::Absent { key: LATEST_ROW.to_vec() },
    };
    let row = keys.seal_log(&LATEST_ROW, signed.encode().as_bytes(), rng)?;
    Ok(Some((signed, Change { preconditions: vec![precondition], writes: vec![Write::put(LATEST_ROW, row)] })))
}

/// Keeps a checkpoint of this log that witnesses cosigned. Their signatures were verified by the caller.
///
/// # Errors
/// Rows cannot be read or sealed.
pub fn keep(
    reader: &dyn Reader,
    keys: &LedgerKeys,
    identity: &LogIdentity,
    signed: &SignedCheckpoint,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Change, LedgerError> {
    signed.verify(&identity.keys())?;
    let mut writes = Vec::new();
    let text = signed.encode();
    let is_this = |other: &SignedCheckpoint| other.checkpoint() == signed.checkpoint();
    if latest(reader, keys, identity)?.is_some_and(|latest| is_this(&latest)) {
        writes.push(Write::put(LATEST_ROW, keys.seal_log(&LATEST_ROW, text.as_bytes(), rng)?));
    }
    let size = signed.checkpoint().size();
    if cosigned(reader, keys, identity)?.is_none_or(|before| before.checkpoint().size() <= size) {
        writes.push(Write::put(COSIGNED_ROW, keys.seal_log(&COSIGNED_ROW, text.as_bytes(), rng)?));
    }
    let mut last = None;
    reader.range_rev(&[SPACE_LOG, KEPT], &[SPACE_LOG, KEPT + 1], &mut |key, value| {
        last = Some((key.to_vec(), value.to_vec()));
        ControlFlow::Break(())
    })?;
    let last_ms = match last {
        Some((key, value)) => keys.open_log(&key, &value)?.first_chunk().map(|ms| i64::from_be_bytes(*ms)),
        None => None,
    };
    if last_ms.is_none_or(|last| now.as_ms().saturating_sub(last) >= KEPT_EVERY_MS) {
        let row = [&[SPACE_LOG, KEPT], size.to_be_bytes().as_slice()].concat();
        let plain = [now.as_ms().to_be_bytes().as_slice(), text.as_bytes()].concat();
        writes.push(Write::put(row.clone(), keys.seal_log(&row, &plain, rng)?));
    }
    Ok(Change { preconditions: Vec::new(), writes })
}
