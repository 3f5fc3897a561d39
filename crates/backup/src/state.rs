//! How far the chains are, noted beside the store: so that a start need not list whole targets, and so that a store that was set back is noticed by
//! what its target has.

use crate::manifest::ManifestRef;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Longest file in bytes.
const STATE_BYTES_MAX: u64 = 64 << 10;

/// What is noted.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// The last snapshot of content.
    pub content: Option<ManifestRef>,
    /// The last key copy.
    pub keys: Option<ManifestRef>,
    /// A snapshot of content that is being put: after an end in between it is there, or it is not.
    pub content_next: Option<ManifestRef>,
    /// A key copy that is being put.
    pub keys_next: Option<ManifestRef>,
    /// Whole snapshots that were made.
    pub bases: u64,
    content_target: String,
    keys_target: String,
}

/// The file; or none, for measurements and tests, where a start lists the targets.
#[derive(Clone, Default, Debug)]
pub struct StateFile(pub Option<PathBuf>);

impl State {
    pub(crate) fn new(content: Option<ManifestRef>, keys: Option<ManifestRef>) -> Self {
        Self { content, keys, ..Self::default() }
    }

    /// With what is being put, and how many bases there were.
    pub(crate) fn with_next(
        self,
        content_next: Option<ManifestRef>,
        keys_next: Option<ManifestRef>,
        bases: u64,
    ) -> Self {
        Self { content_next, keys_next, bases, ..self }
    }
}

impl StateFile {
    /// What is noted of these targets; nothing where there is no file, or it is about others.
    pub fn read(&self, content_target: &str, keys_target: &str) -> State {
        let Some(path) = &self.0 else { return State::default() };
        let short = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= STATE_BYTES_MAX);
        let bytes = if short { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
        let mut state: State = serde_json::from_slice(&bytes).unwrap_or_default();
        if state.content_target != content_target {
            (state.content, state.content_next) = (None, None);
        }
        if state.keys_target != keys_target {
            (state.keys, state.keys_next) = (None, None);
        }
        state
    }

    /// Notes it, in the place of what was noted.
    pub(crate) fn write(&self, state: State, content_target: &str, keys_target: &str) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let (content_target, keys_target) = (content_target.to_owned(), keys_target.to_owned());
        let state = State { content_target, keys_target, ..state };
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(&state)?)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    }
}
