//! The scratch directory of a drill: everything that the played hospital leaves lies below it.

use crate::commands::init::private_directory;
use crate::error::CliError;
use std::path::{Path, PathBuf};
use tacet_seal::SecureRng;
use tacet_types::Rng;

/// A directory of the drill's own, removed when dropped unless it is to be kept.
pub(super) struct Scratch {
    root: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes one below `parent`, or below the working directory.
    pub(super) fn create(parent: Option<&Path>, keep: bool) -> Result<Self, CliError> {
        let parent = parent.unwrap_or(Path::new("."));
        let parent = parent.canonicalize().map_err(CliError::file(parent, "the scratch directory cannot be made"))?;
        let mut name = [0; 6];
        SecureRng.fill(&mut name);
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let scratch = Self { root: parent.join(format!("tacet-drill-{name}")), keep };
        for area in Area::ALL {
            private_directory(&scratch.area(area))?;
        }
        Ok(scratch)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn area(&self, area: Area) -> PathBuf {
        self.root.join(area.name())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // Synthetic records only: what cannot be removed harms nobody, and there is nobody left to tell.
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// The places in a scratch directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Area {
    /// The data directory: root key file, configuration, store.
    Data,
    /// Where the processes put temporary files.
    Temporary,
    /// Where they ran: core files would fall here, and what they keep in a home directory.
    Working,
    /// What they said on stderr, the server's log with it.
    Logs,
    /// A copy that was made on purpose.
    Export,
    /// What goes to others in the daily run: packs, transfers, backups.
    Given,
}

impl Area {
    pub(super) const ALL: [Self; 6] =
        [Self::Data, Self::Temporary, Self::Working, Self::Logs, Self::Export, Self::Given];

    /// The folder's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Temporary => "tmp",
            Self::Working => "cwd",
            Self::Logs => "logs",
            Self::Export => "export",
            Self::Given => "given",
        }
    }
}

/// Every regular file below `folder`, in the order of the names. Links are not followed.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = || CliError::file(folder, "the folder cannot be read");
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            let kind = entry.file_type().map_err(unreadable())?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
