//! What a restore that was not finished leaves in the data directory: a file that says which snapshot it is about. As long as it is there, nothing but
//! `tacet restore` opens the store.

use crate::error::CliError;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the file in the data directory.
pub(crate) const FILE_NAME: &str = "restore-unfinished";

/// Longest such file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// How far a restore is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    format: u32,
    /// Number of the snapshot, once it is known to be right.
    pub(crate) snapshot: Option<u64>,
    /// Its id.
    pub(crate) id: Option<String>,
    /// When the restore was begun first.
    pub(crate) begun: String,
    /// Whether all rows are there and were counted.
    pub(crate) counted: bool,
    /// The name under which the published ledger goes on already.
    pub(crate) successor: Option<String>,
    /// Whether the sessions and tokens that came back were ended. Said of what an earlier program began too: it had not.
    #[serde(default)]
    pub(crate) ended: bool,
}

impl State {
    pub(crate) fn new(begun: String) -> Self {
        Self { format: FORMAT, snapshot: None, id: None, begun, counted: false, successor: None, ended: false }
    }

    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join(FILE_NAME)
    }

    /// Where the state is while it is being written. All that a restore leaves that was killed in its first moment.
    pub(super) fn new_path(data: &Path) -> PathBuf {
        data.join(format!(".{FILE_NAME}.new"))
    }

    /// What an earlier try left; none where there was none.
    pub(crate) fn read(data: &Path) -> Result<Option<Self>, CliError> {
        let path = Self::path(data);
        let unreadable = || CliError::file(&path, "the state of a restore cannot be read");
        let size = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(unreadable())?.len(),
        };
        let damaged = || {
            let path = path.display();
            CliError::Usage(format!("`{path}` is not what a restore leaves: begin again in an empty directory"))
        };
        if size > FILE_BYTES_MAX {
            return Err(damaged());
        }
        let text = std::fs::read_to_string(&path).map_err(unreadable())?;
        let state: Self = serde_json::from_str(&text).map_err(|_| damaged())?;
        if state.format == FORMAT { Ok(Some(state)) } else { Err(damaged()) }
    }

    /// Durable when this returns; killed on the way, the file is as it was.
    pub(crate) fn write(&self, data: &Path) -> Result<(), CliError> {
        let path = Self::path(data);
        let unwritable = || CliError::file(&path, "the state of the restore cannot be written");
        let text =
            serde_json::to_string(self).map_err(|error| CliError::other("the state cannot be written", error))?;
        let new = Self::new_path(data);
        let mut file = std::fs::File::create(&new).map_err(unwritable())?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable())?;
        std::fs::rename(&new, &path).map_err(unwritable())?;
        sync(data)
    }

    pub(crate) fn remove(data: &Path) -> Result<(), CliError> {
        let path = Self::path(data);
        std::fs::remove_file(&path).map_err(CliError::file(&path, "the state of the restore cannot be taken away"))?;
        sync(data)
    }
}

fn sync(data: &Path) -> Result<(), CliError> {
    let synced = std::fs::File::open(data).and_then(|directory| directory.sync_all());
    synced.map_err(CliError::file(data, "the directory cannot be synced"))
}

/// Refuses a directory in which a restore is under way: rows that are not there yet would be taken for rows that are nowhere.
pub(crate) fn refuse_unfinished(data: &Path) -> Result<(), CliError> {
    if State::path(data).exists() {
        return Err(CliError::Usage(format!(
            "a restore into `{}` is not finished: run the same `tacet restore` again, it goes on where it stopped",
            data.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_and_other_files_are_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(State::read(directory.path()).unwrap(), None);
        assert!(refuse_unfinished(directory.path()).is_ok());
        let mut state = State::new("2026-11-22T02:10:00.000Z".to_owned());
        state.write(directory.path()).unwrap();
        state.snapshot = Some(7);
        (state.counted, state.ended) = (true, true);
        state.write(directory.path()).unwrap();
        assert_eq!(State::read(directory.path()).unwrap(), Some(state));
        assert!(refuse_unfinished(directory.path()).is_err());
        std::fs::write(State::path(directory.path()), "{}").unwrap();
        assert!(State::read(directory.path()).is_err());
        State::remove(directory.path()).unwrap();
        assert!(refuse_unfinished(directory.path()).is_ok());
    }
}
