//! Drills that were held, at the running server: it takes the notes that `tacet drill` leaves beside the store which it holds, and writes for
//! `tacet backup status`, `tacet doctor` and monitoring when each was held last. What is asked of it is sealed (docs/formats/drill-note.md); what it
//! writes for others to read names no record.

use crate::backing::BackupConfig;
use crate::error::CliError;
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tacet_types::Timestamp;
use tacet_vault::{DRILL_NOTE_BYTES_MAX, Drill, DrillStanding, NoteId, Vault, VaultError};

/// Folder in the data directory.
const FOLDER: &str = "drills";

/// How often it is looked for notes, and how long it is waited after one that could not be taken.
const LOOK: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(15);

/// Notes taken at one look.
const NOTES_MAX: usize = 16;

/// Notes that could not be taken at a look, until it is given up for a while: one that never can be keeps no other waiting.
const UNTAKEN_MAX: usize = 64;

/// Longest file that says when drills were held, in bytes.
const HELD_BYTES_MAX: u64 = 64 << 10;

/// How long an answer that nobody fetches is kept.
const ANSWER_KEPT: Duration = Duration::from_secs(86_400);

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What is kept of drills in the data directory.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
}

impl Files {
    pub(crate) fn of(data: &Path) -> Self {
        Self { folder: data.join(FOLDER) }
    }

    pub(crate) fn note(&self, id: NoteId) -> PathBuf {
        self.folder.join(format!("{id}.note"))
    }

    pub(crate) fn answer(&self, id: NoteId) -> PathBuf {
        self.folder.join(format!("{id}.answer"))
    }

    fn held(&self) -> PathBuf {
        self.folder.join("held.json")
    }

    /// Writes a file so that nobody sees half of it.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), CliError> {
        crate::commands::init::private_directory(&self.folder)?;
        let new = path.with_extension("new");
        fs::write(&new, bytes).and_then(|()| fs::rename(&new, path)).map_err(CliError::file(path, "cannot be written"))
    }

    /// Says when each drill was held last, for who has no key.
    pub(crate) fn tell(&self, vault: &Vault) -> Result<(), CliError> {
        let held = serde_json::to_vec(&vault.drills_held()?);
        self.put(&self.held(), &held.map_err(|error| CliError::other("drills cannot be written down", error))?)
    }

    /// When each drill was held last, as it was told; nothing where nothing was, or it cannot be read.
    pub(crate) fn told(&self) -> Vec<DrillStanding> {
        let path = self.held();
        let short = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= HELD_BYTES_MAX);
        let bytes = short.then(|| fs::read(&path).ok()).flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// What takes the notes, in a running server.
pub(crate) struct Drilled {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Drilled {
    pub(crate) fn start(vault: Vault, data: &Path) -> Result<Self, CliError> {
        let (files, stop) = (Files::of(data), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = Builder::new()
            .name("drills".to_owned())
            .spawn(move || {
                if let Err(error) = files.tell(&vault) {
                    tracing::warn!(%error, "it cannot be said when drills were held");
                }
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::park_timeout(if take_all(&files, &vault) { LOOK } else { AGAIN });
                }
            })
            .map_err(|error| CliError::other("the thread for drills could not be started", error))?;
        Ok(Self { stop, thread })
    }

    /// Call it before the store is closed.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}

/// Takes what lies there. False: something could not be taken now.
fn take_all(files: &Files, vault: &Vault) -> bool {
    let Ok(found) = fs::read_dir(&files.folder) else { return true };
    let (mut taken, mut untaken) = (0, 0);
    for entry in found.flatten() {
        let path = entry.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("note") if taken < NOTES_MAX && untaken < UNTAKEN_MAX => {}
            Some("answer") if is_old(&entry) => drop(fs::remove_file(&path)),
            _ => continue,
        }
        if path.extension().is_none_or(|extension| extension != "note") {
            continue;
        }
        match take(files, vault, &entry) {
            Ok(()) => taken += 1,
            Err(error) => {
                tracing::warn!(%error, "the note of a drill cannot be taken now; it is tried again");
                untaken += 1;
            }
        }
    }
    untaken == 0
}

fn is_old(entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
    written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > ANSWER_KEPT)
}

fn take(files: &Files, vault: &Vault, entry: &fs::DirEntry) -> Result<(), CliError> {
    let path = entry.path();
    let unreadable = || CliError::file(&path, "the note of a drill cannot be read");
    // Not through a link, and nothing that would be waited for.
    let metadata = fs::symlink_metadata(&path).map_err(unreadable())?;
    let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(NoteId::parse);
    let fits = metadata.is_file() && metadata.len() <= DRILL_NOTE_BYTES_MAX as u64;
    let answer = match id.filter(|_| fits) {
        Some(id) => match crate::open::wait(vault.take_drill_note(id, &fs::read(&path).map_err(unreadable())?)) {
            Err(VaultError::NotAllowed(_)) => None,
            answer => Some((id, answer?)),
        },
        None => None,
    };
    match answer {
        Some((id, answer)) => {
            files.put(&files.answer(id), &answer)?;
            tracing::info!("a drill was written down");
        }
        None => tracing::error!("a note of a drill that was not held with this store's root key is thrown away"),
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unreadable()(error)),
        _ => files.tell(vault)?,
    }
    Ok(())
}

/// How it stands with rehearsals of the backup.
pub(crate) struct Rehearsed {
    /// The last one is not longer ago than is set, and passed.
    pub(crate) good: bool,
    pub(crate) says: String,
    pub(crate) value: Value,
}

/// How it stands with rehearsals of the backup. None where there is no backup, or nobody wants to know.
pub(crate) fn rehearsed(data: &Path, config: &BackupConfig, now: Timestamp) -> Option<Rehearsed> {
    if !config.is_on() || config.rehearse_days == 0 {
        return None;
    }
    let held = Files::of(data).told().into_iter().find(|held| held.drill == Drill::Restore);
    let (good, says) = says(held.as_ref(), config.rehearse_days, now);
    let instant = |at_ms: i64| Timestamp::from_ms(at_ms).to_string();
    let value = json!({
        "good": good, "says": says, "held": held.as_ref().map(|held| instant(held.held_ms)),
        "passed": held.as_ref().and_then(|held| held.passed_ms).map(instant), "days": config.rehearse_days,
    });
    Some(Rehearsed { good, says, value })
}

fn says(held: Option<&DrillStanding>, days: u32, now: Timestamp) -> (bool, String) {
    const HOW: &str = "`tacet drill restore` (docs/drills.md)";
    let Some(held) = held else {
        return (false, format!("it was never brought back in rehearsal: {HOW}"));
    };
    let at = Timestamp::from_ms(held.held_ms);
    if !held.passed {
        return (
            false,
            format!("THE LAST REHEARSAL, of {at}, DID NOT PASS: see the entry `drill-held`, mend it, {HOW}"),
        );
    }
    let age_days = now.as_ms().saturating_sub(held.held_ms).max(0) / DAY_MS;
    match age_days >= i64::from(days) {
        true => (false, format!("the last rehearsal, of {at}, is {age_days} days ago, and {days} are set: {HOW}")),
        false => (true, format!("brought back in rehearsal on {at}, and it was what had been backed up")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(passed: bool, at_ms: i64) -> DrillStanding {
        let text = json!({ "version": 1, "drill": "restore", "held_ms": at_ms, "passed": passed, "passed_ms": null });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_rehearsal_is_good_for_as_long_as_is_set() {
        let now = Timestamp::from_ms(100 * DAY_MS);
        for (held, good, word) in [
            (None, false, "never"),
            (Some(held(true, 70 * DAY_MS)), true, "brought back"),
            (Some(held(true, 69 * DAY_MS)), false, "31 days ago"),
            (Some(held(false, 99 * DAY_MS)), false, "DID NOT PASS"),
            (Some(held(true, 101 * DAY_MS)), true, "brought back"),
        ] {
            let (is_good, said) = says(held.as_ref(), 31, now);
            assert!(is_good == good && said.contains(word), "{said}");
        }
    }

    #[test]
    fn what_was_told_is_read_back_and_other_files_are_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path());
        assert!(files.told().is_empty());
        let told = vec![held(true, 7)];
        files.put(&files.held(), &serde_json::to_vec(&told).unwrap()).unwrap();
        assert_eq!(files.told(), told);
        let mut config = BackupConfig::default();
        assert!(rehearsed(directory.path(), &config, Timestamp::from_ms(8)).is_none(), "there is no backup");
        config.target = Some(tacet_backup::targets::TargetSettings::Folder { path: "x".into() });
        assert!(rehearsed(directory.path(), &config, Timestamp::from_ms(8)).is_some_and(|rehearsed| rehearsed.good));
        config.rehearse_days = 0;
        assert!(rehearsed(directory.path(), &config, Timestamp::from_ms(8)).is_none(), "nobody wants to know");
        fs::write(files.held(), "nonsense").unwrap();
        assert!(files.told().is_empty());
    }
}
