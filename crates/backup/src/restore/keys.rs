//! The newest copy of wrapped keys. It is read before there is a key to verify it with: what opens it is in it, for whoever has the shares. So it is
//! read first, opened, and then held against the key that came out.

use super::chain::{Chain, Listing, in_order};
use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::{Manifest, ManifestRef, SegmentInfo, Signed};
use crate::segment::{Row, SegmentIndex};
use crate::signing::PublicKey;
use crate::target::Target;
use base64::Engine as _;
use std::collections::BTreeMap;
use std::fmt;
use tacet_seal::root::RecoveryPart;
use tacet_types::EstablishmentId;

/// Bytes of keys and values in a copy of keys: 20 million patients.
const KEY_BYTES_MAX: u64 = 4 << 30;

/// Most copies that are looked at until one is found that opens.
const LOOKED_AT_MAX: usize = 1000;

/// Wrapped keys as they stood when the newest copy of them was made.
pub struct KeyCopy {
    /// Rows by key.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the recovery shares open.
    pub recovery: RecoveryPart,
    chain: Chain,
    signed: Vec<Signed>,
}

impl KeyCopy {
    /// Reads the newest copy that a target lists and whose part for the shares is none of `but`, without knowing who signed it: from whichever opens comes
    /// the key by which the newest is told from one that somebody planted ([`KeyCopy::newest_signed`]). `place`: how many such are passed over. None: there are
    /// no more.
    ///
    /// # Errors
    /// The target fails, or that one is not whole.
    pub fn candidate(target: &dyn Target, but: &[String], place: usize) -> Result<Option<Self>, BackupError> {
        let listing = Listing::of(target, Class::Key)?;
        let nothing =
            || BackupError::NoSnapshot("of keys: the target is empty, or it is not the one for keys".to_owned());
        listing.newest().ok_or_else(nothing)?;
        let mut wanted = listing.descending().take(LOOKED_AT_MAX).filter(|number| {
            but.is_empty()
                || listing
                    .read(target, *number, None)
                    .is_ok_and(|signed| signed.unverified().recovery.as_ref().is_none_or(|part| !but.contains(part)))
        });
        match wanted.nth(place) {
            Some(number) => Self::read(target, &listing, number, None).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the newest copy that a target lists. Its parts are held against each other and against their hashes; who signed it is not known yet:
    /// [`KeyCopy::verify`].
    ///
    /// # Errors
    /// There is none, or it is not whole.
    pub fn newest(target: &dyn Target) -> Result<Self, BackupError> {
        let none = || BackupError::NoSnapshot("of keys".to_owned());
        Self::candidate(target, &[], 0)?.ok_or_else(none)
    }

    /// Reads the newest copy that `key` signed. What stands above it is named: somebody planted it, or it was damaged.
    ///
    /// # Errors
    /// There is none, or it is not whole, or the target fails.
    pub fn newest_signed(target: &dyn Target, key: &PublicKey) -> Result<(Self, Vec<String>), BackupError> {
        let listing = Listing::of(target, Class::Key)?;
        let (newest, passed) = listing.newest_signed(target, key)?;
        let newest =
            newest.ok_or_else(|| BackupError::NoSnapshot("of keys that this establishment signed".to_owned()))?;
        let copy = Self::read(target, &listing, newest.unverified().number, Some(key))?;
        copy.verify(key)?;
        Ok((copy, passed))
    }

    /// The part for the recovery shares as its manifest has it.
    pub fn recovery_text(&self) -> &str {
        self.chain.manifests.iter().rev().find_map(|manifest| manifest.recovery.as_deref()).unwrap_or_default()
    }

    fn read(target: &dyn Target, listing: &Listing, number: u64, key: Option<&PublicKey>) -> Result<Self, BackupError> {
        let nothing = || BackupError::NoSnapshot(format!("{number} of keys"));
        let (chain, signed) = listing.chain_signed(target, number, key)?;
        if chain.bytes() > KEY_BYTES_MAX {
            return Err(BackupError::Settings("the copy of keys is larger than one can be".to_owned()));
        }
        let last = chain.last().ok_or_else(nothing)?;
        let damaged = |what| BackupError::damaged(last.name(), what);
        // The last that has one: where the root key's file could not be read any more, none came after.
        let text = chain.manifests.iter().rev().find_map(|manifest| manifest.recovery.as_ref());
        let text = text.ok_or_else(|| damaged("it has no part for the recovery shares"))?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        let recovery = bytes.ok().and_then(|bytes| RecoveryPart::parse(&bytes).ok());
        let recovery = recovery.ok_or_else(|| damaged("its part for the recovery shares cannot be read"))?;
        let segments: Vec<&SegmentInfo> = chain.manifests.iter().flat_map(|manifest| &manifest.segments).collect();
        let read = in_order(segments.len(), |place| match segments.get(place) {
            Some(segment) => rows_of(target, segment),
            None => Err(nothing()),
        })?;
        let mut rows = BTreeMap::new();
        for (segment, read) in segments.into_iter().zip(read) {
            for row in read {
                if row.key.first().and_then(|space| class_of(*space)) != Some(Class::Key) {
                    return Err(BackupError::damaged(&segment.object, "it has rows that are no keys"));
                }
                match row.value {
                    Some(value) => drop(rows.insert(row.key, value)),
                    None => drop(rows.remove(&row.key)),
                }
            }
        }
        Ok(Self { rows, recovery, chain, signed })
    }

    /// The manifest of the copy, if `key` signed it and every one before it in its chain.
    ///
    /// # Errors
    /// [`BackupError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<&Manifest, BackupError> {
        for signed in &self.signed {
            signed.verify(key)?;
        }
        self.chain.last().ok_or_else(|| BackupError::NoSnapshot("of keys".to_owned()))
    }

    /// Of which establishment it says that it is.
    pub fn establishment(&self) -> Option<EstablishmentId> {
        self.chain.last().map(Manifest::establishment)
    }

    /// Names it.
    pub fn reference(&self) -> ManifestRef {
        self.chain.wanted.clone()
    }

    /// Refuses keys that are older than those which a snapshot names: whoever puts old keys in their place brings back what was erased.
    ///
    /// # Errors
    /// [`BackupError::Broken`].
    pub fn is_not_older_than(&self, snapshot: &Manifest) -> Result<(), BackupError> {
        let Some(named) = &snapshot.keys else { return Ok(()) };
        let newest = self.reference();
        let other_one = newest.number == named.number && newest != *named;
        if newest.number < named.number || other_one {
            return Err(BackupError::Broken(format!(
                "snapshot {} belongs to the key copy {} and the newest on the target is {}{}: the keys were set back or exchanged, and old \
                 keys may open what was erased. Find the newest key copy before you go on",
                snapshot.number,
                named.number,
                newest.number,
                if other_one { ", another one" } else { "" },
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for KeyCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCopy({}, {} rows)", self.chain.wanted.number, self.rows.len())
    }
}

/// The rows of one segment, read whole.
pub(super) fn rows_of(target: &dyn Target, segment: &SegmentInfo) -> Result<Vec<Row>, BackupError> {
    let damaged = |what| BackupError::damaged(&segment.object, what);
    let object = target.read(&segment.object, None)?;
    if object.len() as u64 != segment.bytes {
        return Err(damaged("it has another length than its manifest says"));
    }
    let index = SegmentIndex::of(&segment.sha256, &object).map_err(damaged)?;
    let mut rows = Vec::new();
    index.rows(&object, &mut |row| rows.push(row)).map_err(damaged)?;
    let fits = rows.len() as u64 == segment.rows
        && rows.first().map(|row| &row.key) == Some(&segment.first)
        && rows.last().map(|row| &row.key) == Some(&segment.last);
    if fits { Ok(rows) } else { Err(damaged("it has other rows than its manifest says")) }
}
