//! Signs that somebody is destroying a store: what a look at its files, at time and at the disk says, and what it says beside the look before.
//!
//! ```text
//! walk (whoever calls) ─> Look { files, seen so } ─> Watch::questions ─> heads and prints of what changed ─> Watch::judge ─> Alarm
//! ```
//!
//! Pure: no file is opened here and no clock is read. What files are ours, and which of them the program itself changes or takes away, is in
//! [`species`]. Sealed files look random from the first day, so how random a file is says nothing; what says something is a first byte that is
//! not the format's, a change in a file that is written once, a name that is nobody's, a text that is none any more, and decoys.

pub mod decoy;
mod gauges;
pub mod species;
mod watch;

pub use gauges::{ClockGauge, DiskGauge, RewriteGauge};
pub use watch::{Answer, FileSeen, Question, Watch, places, print};

use std::fmt;

/// How sure a sign is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Grade {
    /// Worth a look: it may have an innocent reason.
    Soft,
    /// Nothing in this program does this, and hardly anybody does it by mistake.
    Hard,
}

/// What was tripped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Wire {
    /// A decoy was changed.
    DecoyChanged,
    /// A decoy was taken away or renamed.
    DecoyGone,
    /// A file of ours does not begin as its format does.
    Overwritten,
    /// A file that is written once was changed.
    Rewritten,
    /// A file has another's name with something behind it, and the other is gone.
    Renamed,
    /// A file has a name as those have that ask for a ransom.
    Note,
    /// Files that are nobody's.
    Foreign,
    /// A file is gone that the program never takes away.
    Gone,
    /// Most of the store's bytes are gone.
    Shrunk,
    /// The settings are no text any more.
    SettingsUnreadable,
    /// The settings were changed.
    SettingsChanged,
    /// The directory cannot be read, or has far too many files.
    Unreadable,
    /// The clock was set.
    Clock,
    /// The disk is nearly full.
    DiskLow,
    /// One caller changes or deletes far more records than anybody does.
    MassRewriting,
    /// A backup is smaller than it was, or a snapshot is gone.
    BackupShrunk,
}

impl Wire {
    /// Every wire.
    pub const ALL: [Self; 16] = [
        Self::DecoyChanged,
        Self::DecoyGone,
        Self::Overwritten,
        Self::Rewritten,
        Self::Renamed,
        Self::Note,
        Self::Foreign,
        Self::Gone,
        Self::Shrunk,
        Self::SettingsUnreadable,
        Self::SettingsChanged,
        Self::Unreadable,
        Self::Clock,
        Self::DiskLow,
        Self::MassRewriting,
        Self::BackupShrunk,
    ];

    /// Its name in entries, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DecoyChanged => "decoy-changed",
            Self::DecoyGone => "decoy-gone",
            Self::Overwritten => "overwritten",
            Self::Rewritten => "rewritten",
            Self::Renamed => "renamed",
            Self::Note => "note",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
            Self::Shrunk => "shrunk",
            Self::SettingsUnreadable => "settings-unreadable",
            Self::SettingsChanged => "settings-changed",
            Self::Unreadable => "unreadable",
            Self::Clock => "clock",
            Self::DiskLow => "disk-low",
            Self::MassRewriting => "mass-rewriting",
            Self::BackupShrunk => "backup-shrunk",
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sign. It names no file that is not ours: such a name may be anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// What was tripped.
    pub wire: Wire,
    /// How sure it is.
    pub grade: Grade,
    /// How many files or changes it is about.
    pub count: u64,
    /// In words, with the directory or the file of ours: no personal data.
    pub detail: String,
}
