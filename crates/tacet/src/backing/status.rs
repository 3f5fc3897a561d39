//! What the last step of a backup did, in a file that `tacet backup status` and monitoring read without a key. It names no record.

use serde::{Deserialize, Serialize};
use std::path::Path;
use tacet_backup::{Kind, Made};

/// Longest file, in bytes.
const STATUS_BYTES_MAX: u64 = 64 << 10;

/// How the backup stands.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// The target of content, for people.
    pub(crate) target: String,
    /// The target of keys, for people.
    pub(crate) keys_target: String,
    /// The key by which manifests are verified.
    pub(crate) public_key: String,
    /// The last snapshot.
    pub(crate) last: Option<Last>,
    /// Rows of the last whole snapshot.
    pub(crate) base_rows: u64,
    /// Tries in a row that failed.
    pub(crate) failures: u64,
    /// Why the last one did.
    pub(crate) problem: Option<String>,
    /// Bytes of rows that wait.
    pub(crate) waiting_bytes: u64,
    /// Snapshots that are not where they were put, by number.
    pub(crate) missing: Vec<u64>,
    /// When this was written.
    pub(crate) at: String,
}

/// A snapshot that was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) time: String,
    pub(crate) commits: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sent_bytes: u64,
}

impl From<&Made> for Last {
    fn from(made: &Made) -> Self {
        Self {
            number: made.reference.number,
            id: made.reference.id.clone(),
            kind: made.kind,
            time: made.time.to_string(),
            commits: made.to.commits,
            rows: made.rows,
            bytes: made.bytes,
            sent_bytes: made.sent_bytes,
        }
    }
}

impl Status {
    /// What was written last; none where nothing was.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let short = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= STATUS_BYTES_MAX);
        short.then(|| std::fs::read(path).ok()).flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// Writes it in the place of what was written.
    pub(crate) fn write(&self, path: &Path) {
        let temporary = path.with_extension("new");
        let written = serde_json::to_vec(self)
            .map_err(std::io::Error::other)
            .and_then(|bytes| std::fs::write(&temporary, bytes))
            .and_then(|()| std::fs::rename(&temporary, path));
        if let Err(error) = written {
            tracing::warn!(%error, "the status of the backup could not be written");
        }
    }
}
