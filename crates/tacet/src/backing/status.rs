//! What the last step of a backup did, in a file that `tacet backup status` and monitoring read without a key. It names no record.

use serde::{Deserialize, Serialize};
use std::path::Path;
use tacet_backup::{Kind, Made};
use tacet_types::Timestamp;

/// Intervals without a sign after which nobody seems to look, and how many milliseconds at least: a step may wait for a target.
const STALE_INTERVALS: i64 = 3;
const STALE_MS_MIN: i64 = 120_000;

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
    /// Segments that the last whole snapshot found not to be what was written.
    pub(crate) damaged: u64,
    /// Seconds between two steps.
    pub(crate) interval_seconds: u64,
    /// Whether who wrote this ended, with nothing left to send.
    pub(crate) stopped: bool,
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
    /// Whether nobody has looked for longer than can be: the server was killed, its thread is gone, or a target does not answer.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let interval_ms = i64::try_from(self.interval_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let longest_ms = interval_ms.saturating_mul(STALE_INTERVALS).max(STALE_MS_MIN);
        let Ok(at) = Timestamp::parse(&self.at) else { return true };
        !self.stopped && now.as_ms().saturating_sub(at.as_ms()) > longest_ms
    }

    /// Whether nothing is wrong that is known or can be told from the time.
    pub(crate) fn is_well(&self, now: Timestamp) -> bool {
        self.problem.is_none()
            && self.missing.is_empty()
            && self.damaged == 0
            && self.last.is_some()
            && !self.is_stale(now)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_noticed_and_a_clean_end_is_none() {
        let at = Timestamp::from_ms(1_790_000_000_000);
        let last = Last {
            number: 1,
            id: "00".repeat(8),
            kind: Kind::Base,
            time: at.to_string(),
            commits: 1,
            rows: 1,
            bytes: 1,
            sent_bytes: 1,
        };
        let well = Status { last: Some(last), interval_seconds: 60, at: at.to_string(), ..Status::default() };
        assert!(well.is_well(at) && well.is_well(at.plus_ms(180_000)) && !well.is_well(at.plus_ms(180_001)));
        assert!(well.is_well(at.plus_ms(-1_000_000)), "a clock that was set back is no silence");
        let often = Status { interval_seconds: 1, ..well.clone() };
        assert!(often.is_well(at.plus_ms(STALE_MS_MIN)) && !often.is_well(at.plus_ms(STALE_MS_MIN + 1)));
        assert!(Status { stopped: true, ..well.clone() }.is_well(at.plus_ms(i64::from(u32::MAX))));
        for bad in [
            Status { problem: Some("down".to_owned()), ..well.clone() },
            Status { missing: vec![7], ..well.clone() },
            Status { damaged: 1, ..well.clone() },
            Status { last: None, ..well.clone() },
            Status { at: String::new(), ..well.clone() },
        ] {
            assert!(!bad.is_well(at), "{bad:?}");
        }
        // One that a program of before wrote.
        let old: Status = serde_json::from_str(&format!("{{\"at\":\"{at}\",\"failures\":0}}")).unwrap();
        assert!(old.is_stale(at.plus_ms(STALE_MS_MIN + 1)));
    }
}
