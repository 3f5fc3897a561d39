//! Where backups go: a place that can be added to, read and listed, and that never changes what it has.

use std::fmt;
use std::ops::{ControlFlow, Range};
use tacet_types::Timestamp;

/// Longest name of an object in bytes. Ours have up to 90; every target takes this.
pub const OBJECT_NAME_BYTES_MAX: usize = 200;

/// Name of an object: parts of `a-z`, `0-9`, `-` and `.` joined by `/`. No part is empty or begins with a dot, so none can leave a folder or be
/// taken for a temporary file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Reads a name; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let part_ok = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        };
        (text.len() <= OBJECT_NAME_BYTES_MAX && text.split('/').all(part_ok)).then(|| Self(text.to_owned()))
    }

    /// The name as text, such as `segments/<64 hexadecimal digits>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl serde::Serialize for ObjectName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ObjectName {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the name of an object"))
    }
}

/// What became of an object that was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It was not there and is there now, durably.
    Written,
    /// It was there already, with the same bytes.
    Same,
}

/// An object in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Why a target did not do what it was asked. Texts hold no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no such object.
    #[error("the backup target has no object `{0}`")]
    Absent(ObjectName),
    /// An object of this name is there with other bytes; it was left as it is.
    #[error("the backup target has another object under the name `{0}`: find out who wrote it")]
    Different(ObjectName),
    /// The target does not allow this.
    #[error("the backup target refused: {0}; check the account and its rights")]
    Refused(String),
    /// The target could not be reached, or failed. Worth trying again.
    #[error("the backup target cannot be used now: {0}")]
    Unavailable(String),
    /// The settings of the target make no sense.
    #[error("the backup target cannot be used: {0}")]
    Settings(String),
}

impl TargetError {
    /// Whether trying again later can help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Refused(_))
    }
}

/// A place for backups. Calls block. The credential behind it can add, read and list; it cannot change or remove.
pub trait Target: Send + Sync {
    /// Puts an object that is not there yet; it is durable when this returns. `keep_until`: the place is asked to let nobody remove it before,
    /// where it can.
    ///
    /// # Errors
    /// [`TargetError::Different`] where an object of this name has other bytes; whatever the target's state makes impossible.
    fn put_new(&self, name: &ObjectName, bytes: &[u8], keep_until: Option<Timestamp>) -> Result<Put, TargetError>;

    /// The bytes of an object, or of a range of it (from, included, to, not). A range past the end gives what there is.
    ///
    /// # Errors
    /// [`TargetError::Absent`] where there is no such object; whatever the target's state makes impossible.
    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError>;

    /// Shows the objects whose names begin with `prefix`, in the order of their names, until `visit` breaks.
    ///
    /// # Errors
    /// Whatever the target's state makes impossible.
    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), TargetError>;

    /// The place, for people: no credentials.
    fn describe(&self) -> String;

    /// Whether [`Target::put_new`] finds out without sending an object that its bytes are there already.
    fn compares(&self) -> bool {
        false
    }
}

/// A target opened with a credential that may remove: another than the server's.
pub trait Prunable: Target {
    /// Removes an object; nothing happens where there is none.
    ///
    /// # Errors
    /// [`TargetError::Refused`] where it is locked; whatever the target's state makes impossible.
    fn remove(&self, name: &ObjectName) -> Result<(), TargetError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_folder_are_none() {
        for good in ["a", "segments/00ff", "snapshots/000000000001-ab.json"] {
            assert_eq!(ObjectName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "a/../b",
            ".tmp",
            "a/.b",
            "A",
            "a b",
            "a\\b",
            "é",
            "a\0",
            &"a".repeat(201),
        ] {
            assert!(ObjectName::parse(bad).is_none(), "{bad:?}");
        }
    }
}
