//! The newest copy of wrapped keys. It is read before there is a key to verify it with: what opens it is in it, for whoever has the shares. So it is
//! read first, opened, and then held against the key that came out.

use super::chain::{Chain, Listing, in_order, read};
use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::{Manifest, ManifestRef, SegmentInfo, Signed};
use crate::segment::{Row, SegmentIndex};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Target};
use base64::Engine as _;
use std::collections::BTreeMap;
use std::fmt;
use tacet_seal::root::RecoveryPart;
use tacet_types::EstablishmentId;

/// Bytes of keys and values in a copy of keys: 20 million patients.
const KEY_BYTES_MAX: u64 = 4 << 30;

/// Most copies that are looked at until one is found that opens.
const LOOKED_AT_MAX: usize = 10_000;

/// Wrapped keys as they stood when the newest copy of them was made.
pub struct KeyCopy {
    /// Rows by key.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the recovery shares open.
    pub recovery: RecoveryPart,
    chain: Chain,
    signed: Vec<Signed>,
}

/// The copies of keys on a target, before it is known which are ours: whoever may add to the place can put others above and beside them. The one that
/// opens with the shares gives the key by which the newest is told from one that somebody planted ([`KeyCopy::newest_signed`]).
pub struct KeyCopies<'a> {
    target: &'a dyn Target,
    listing: Listing,
    objects: Vec<ObjectName>,
}

impl<'a> KeyCopies<'a> {
    /// Those of a target, up to a number where one is given.
    ///
    /// # Errors
    /// The target fails, or has none.
    pub fn of(target: &'a dyn Target, up_to: Option<u64>) -> Result<Self, BackupError> {
        let listing = Listing::of(target, Class::Key, up_to)?;
        if listing.is_empty() {
            let none = "of keys: the target is empty, or it is not the one for keys";
            return Err(BackupError::NoSnapshot(none.to_owned()));
        }
        let objects = listing.descending().take(LOOKED_AT_MAX).cloned().collect();
        Ok(Self { target, listing, objects })
    }

    /// How many there are to look at.
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// What the recovery shares open in the copy at a place, the newest first, as its manifest has it, and the same as bytes that can be tried.
    ///
    /// # Errors
    /// There is none, or the target fails.
    pub fn part(&self, place: usize) -> Result<(String, RecoveryPart), BackupError> {
        let last = self.last(place)?;
        let name = last.unverified().name();
        // Where the root key's file could not be read any more, an earlier one has it, and comes later here. It is not looked for along the chain: whoever may add
        // could make each of many chains as long as all that is there.
        let text = last.unverified().recovery.clone();
        let text = text.ok_or_else(|| BackupError::damaged(&name, "it has no part for the recovery shares"))?;
        let part = part_of(&name, &text)?;
        Ok((text, part))
    }

    /// The copy at a place, its parts held against each other and against their hashes. Who signed it is not known: [`KeyCopy::verify`].
    ///
    /// # Errors
    /// It is not whole, or the target fails.
    pub fn copy(&self, place: usize) -> Result<KeyCopy, BackupError> {
        KeyCopy::read(self.target, &self.listing, self.last(place)?, None)
    }

    fn last(&self, place: usize) -> Result<Signed, BackupError> {
        let none = || BackupError::NoSnapshot("of keys at that place".to_owned());
        read(self.target, self.objects.get(place).ok_or_else(none)?, None)
    }
}

/// The last part for the shares in a chain: where the root key's file could not be read any more, none came after.
fn recovery_of(chain: &Chain) -> Option<&str> {
    chain.manifests.iter().rev().find_map(|manifest| manifest.recovery.as_deref())
}

fn part_of(name: &ObjectName, text: &str) -> Result<RecoveryPart, BackupError> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    let part = bytes.ok().and_then(|bytes| RecoveryPart::parse(&bytes).ok());
    part.ok_or_else(|| BackupError::damaged(name, "its part for the recovery shares cannot be read"))
}

impl KeyCopy {
    /// Reads the newest copy that a target lists. Its parts are held against each other and against their hashes; who signed it is not known yet:
    /// [`KeyCopy::verify`].
    ///
    /// # Errors
    /// There is none, or it is not whole.
    pub fn newest(target: &dyn Target) -> Result<Self, BackupError> {
        KeyCopies::of(target, None)?.copy(0)
    }

    /// Reads the newest copy that `key` signed, up to a number where one is given. What stands above it is named: somebody planted it, or it was damaged.
    ///
    /// # Errors
    /// There is none, or it is not whole, or the target fails.
    pub fn newest_signed(
        target: &dyn Target,
        key: &PublicKey,
        up_to: Option<u64>,
    ) -> Result<(Self, Vec<String>), BackupError> {
        let listing = Listing::of(target, Class::Key, up_to)?;
        let (newest, passed) = listing.newest_signed(target, key)?;
        let newest =
            newest.ok_or_else(|| BackupError::NoSnapshot("of keys that this establishment signed".to_owned()))?;
        let copy = Self::read(target, &listing, newest, Some(key))?;
        copy.verify(key)?;
        Ok((copy, passed))
    }

    /// The part for the recovery shares as its manifest has it.
    pub fn recovery_text(&self) -> &str {
        recovery_of(&self.chain).unwrap_or_default()
    }

    fn read(
        target: &dyn Target,
        listing: &Listing,
        last: Signed,
        key: Option<&PublicKey>,
    ) -> Result<Self, BackupError> {
        let (chain, signed) = listing.chain_to(target, last, key)?;
        if chain.bytes() > KEY_BYTES_MAX {
            return Err(BackupError::Settings("the copy of keys is larger than one can be".to_owned()));
        }
        let nothing = || BackupError::NoSnapshot("of keys".to_owned());
        let last = chain.last().ok_or_else(nothing)?.name();
        let text = recovery_of(&chain);
        let text = text.ok_or_else(|| BackupError::damaged(&last, "it has no part for the recovery shares"))?;
        let recovery = part_of(&last, text)?;
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
