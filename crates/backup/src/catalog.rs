//! What is on a target: its snapshots, and the chain that leads to one of them.

use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest, Signed, manifest_number, manifest_prefix};
use crate::restore::{Wanted, signed_chain};
use crate::signing::PublicKey;
use crate::target::{ObjectName, Target};
use std::ops::ControlFlow;
use tacet_types::Timestamp;

/// A snapshot in a listing. Its manifest is not read yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Number of the snapshot.
    pub number: u64,
    /// Its id.
    pub id: String,
    /// Its manifest's object.
    pub object: ObjectName,
    /// Length of that in bytes.
    pub bytes: u64,
}

/// Which snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// The newest.
    Newest,
    /// The one of this number.
    Number(u64),
    /// The newest that was made by then.
    Time(Timestamp),
}

/// The snapshots of a class, ascending by number. Two of one number, which two writers leave, are both listed.
///
/// # Errors
/// The target's.
pub fn list_snapshots(target: &dyn Target, class: Class) -> Result<Vec<Listing>, BackupError> {
    list_with(target, class, &manifest_prefix(class))
}

/// The snapshots of one number.
pub(crate) fn list_number(target: &dyn Target, class: Class, number: u64) -> Result<Vec<Listing>, BackupError> {
    list_with(target, class, &format!("{}{number:012}-", manifest_prefix(class)))
}

/// The snapshots whose objects' names begin with `prefix`.
pub(crate) fn list_with(target: &dyn Target, class: Class, prefix: &str) -> Result<Vec<Listing>, BackupError> {
    let mut listed = Vec::new();
    target.list(prefix, &mut |found| {
        if let Some((number, id)) = manifest_number(class, &found.name) {
            listed.push(Listing { number, id, object: found.name, bytes: found.bytes });
        }
        ControlFlow::Continue(())
    })?;
    listed.sort_by(|one, other| (one.number, &one.id).cmp(&(other.number, &other.id)));
    Ok(listed)
}

/// Reads a manifest. Its signature is not verified.
///
/// # Errors
/// The target's; or it is not what was written.
pub fn load(target: &dyn Target, object: &ObjectName) -> Result<Signed, BackupError> {
    let bytes = target.read(object, Some(0..MANIFEST_BYTES_MAX as u64 + 1))?;
    Signed::read(object, &bytes)
}

/// The snapshots from a base to the one that is asked for, the base first. With a key only what it signed counts, and whatever else stands on the target
/// is passed over; without one none is verified, which is only for finding the key in a key copy.
///
/// # Errors
/// A manifest is missing, was exchanged, or does not follow from the one before it; two of the number that is asked for are ours.
pub fn chain(target: &dyn Target, class: Class, at: At, key: Option<&PublicKey>) -> Result<Vec<Signed>, BackupError> {
    let wanted = match at {
        At::Newest => Wanted::Newest,
        At::Number(number) => Wanted::Number(number),
        At::Time(time) => Wanted::At(time),
    };
    signed_chain(target, class, wanted, key)
}

/// Whether a log follows from the snapshot before it.
pub(crate) fn follows(before: &Signed, log: &Manifest) -> Result<(), BackupError> {
    let one = before.unverified();
    let broken = |what: &str| Err(BackupError::Broken(format!("snapshot {} ({}) {what}", log.number, log.id)));
    if log.previous.as_ref() != Some(&before.reference()) {
        return broken("names another one before it: one of the two was exchanged");
    }
    if log.class() != one.class() || log.establishment() != one.establishment() {
        return broken("is of another store than the one before it");
    }
    if log.base != one.base || log.from != Some(one.to) || log.to.group < one.to.group {
        return broken("does not go on where the one before it ends");
    }
    Ok(())
}
