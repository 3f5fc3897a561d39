//! `[backup]` in the settings, and the targets that it names.

use crate::error::CliError;
use crate::open;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_backup::targets::{self, TargetSettings};
use tacet_backup::{Plan, StateFile, Target};

/// The target of content, and that of keys.
pub(crate) type Targets = (Arc<dyn Target>, Arc<dyn Target>);

/// The same, of which one may be missing.
pub(crate) type NamedTargets = (Option<Arc<dyn Target>>, Option<Arc<dyn Target>>);

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Folder of what is noted of the backup, in the data directory.
const FOLDER: &str = "backup";

/// How backups are made.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BackupConfig {
    /// Where content goes. Without it there are no backups.
    pub(crate) target: Option<TargetSettings>,
    /// Where copies of the wrapped keys go: another place.
    pub(crate) keys: Option<TargetSettings>,
    /// Seconds between two snapshots.
    pub(crate) interval_seconds: u64,
    /// Days after which a whole snapshot is made again.
    pub(crate) base_days: u32,
    /// Memory for changes that wait to go out, in MiB.
    pub(crate) waiting_mib: u64,
    /// How fast a whole snapshot goes out at most, in MiB a second. 0: as fast as it can.
    pub(crate) base_mib_per_second: u64,
    /// Hours between two looks whether the snapshots that the ledger names are still there.
    pub(crate) look_hours: u32,
    /// Days for which targets that can are asked to let nobody remove what is put. 0: not asked.
    pub(crate) locked_days: u32,
    /// Days after which a rehearsal of the restore is due again. 0: nobody is reminded.
    pub(crate) rehearse_days: u32,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            target: None,
            keys: None,
            interval_seconds: 10,
            base_days: 7,
            waiting_mib: 256,
            base_mib_per_second: 50,
            look_hours: 24,
            locked_days: 0,
            rehearse_days: 31,
        }
    }
}

impl BackupConfig {
    /// Whether backups are to be made.
    pub(crate) fn is_on(&self) -> bool {
        self.target.is_some() || self.keys.is_some()
    }

    /// Bytes of changes that may wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        usize::try_from(self.waiting_mib.clamp(1, 1 << 20) << 20).unwrap_or(usize::MAX)
    }

    fn places(&self) -> Result<(&TargetSettings, &TargetSettings), CliError> {
        let (Some(target), Some(keys)) = (&self.target, &self.keys) else {
            let text =
                "backups need two places: name them under `[backup.target]` and `[backup.keys]` (docs/backup.md)";
            return Err(CliError::Usage(text.to_owned()));
        };
        if let Some(why) = target.shares_place_with(keys) {
            let text = format!(
                "`[backup.target]` and `[backup.keys]` are one place ({why}): give the keys another, kept by other people"
            );
            return Err(CliError::Usage(text));
        }
        Ok((target, keys))
    }

    /// Refuses settings that cannot be. A target that cannot be reached now is no reason not to serve.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        match self.targets() {
            Err(CliError::Backup(error)) if error.may_pass() => Ok(()),
            opened => opened.map(|_| ()),
        }
    }

    /// The target of content, and that of keys.
    pub(crate) fn targets(&self) -> Result<Targets, CliError> {
        let (target, keys) = self.places()?;
        Ok((opened(target)?, opened(keys)?))
    }

    /// Those of the two that are named, one at least: for whoever reads on the machine that has one of them.
    pub(crate) fn named_targets(&self) -> Result<NamedTargets, CliError> {
        if self.target.is_some() && self.keys.is_some() || !self.is_on() {
            return self.targets().map(|(target, keys)| (Some(target), Some(keys)));
        }
        Ok((self.target.as_ref().map(opened).transpose()?, self.keys.as_ref().map(opened).transpose()?))
    }

    /// Where backups go, and how.
    pub(crate) fn plan(&self, data: &Path) -> Result<Plan, CliError> {
        let (target, keys) = self.targets()?;
        Ok(Plan {
            target,
            keys,
            base_every_ms: i64::from(self.base_days.max(1)) * DAY_MS,
            locked_ms: (self.locked_days > 0).then(|| i64::from(self.locked_days) * DAY_MS),
            state: StateFile(Some(Files::of(data).state)),
        })
    }
}

fn opened(settings: &TargetSettings) -> Result<Arc<dyn Target>, CliError> {
    let target = targets::open(settings, open::clock(), open::rng()).map_err(tacet_backup::BackupError::from)?;
    Ok(Arc::from(target))
}

/// What is noted of the backup in the data directory.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    /// How far the chains are.
    pub(crate) state: PathBuf,
    /// What the last step did, for `tacet backup status`.
    pub(crate) status: PathBuf,
    /// What is asked of the running server.
    pub(crate) wanted: PathBuf,
}

impl Files {
    pub(crate) fn of(data: &Path) -> Self {
        let folder = data.join(FOLDER);
        let file = |name: &str| folder.join(name);
        Self { state: file("state.json"), status: file("status.json"), wanted: file("wanted"), folder }
    }
}
