//! What can be wrong with a root key file, a passphrase or a share, and what to do about it.

use std::io;

/// Why a root key file was not made, opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// There is a file already.
    #[error("a root key file exists already; move it away first if it is really not needed any more")]
    Exists,
    /// There is no file.
    #[error("no root key file; run `tacet init`, or give the path of the one that belongs to this store")]
    Missing,
    /// Others may read the file.
    #[error("the root key file is open to others (mode {mode:03o}); run `chmod 600` on it")]
    OpenToOthers {
        /// Permission bits found.
        mode: u32,
    },
    /// Not a root key file.
    #[error("not a root key file")]
    NotARootKeyFile,
    /// Written by a newer version.
    #[error("the root key file has format {found}, this version reads {supported}; use a newer tacet")]
    NewerFormat {
        /// Version found.
        found: u8,
        /// The newest that this version reads.
        supported: u8,
    },
    /// The checksum does not fit, or a field cannot be.
    #[error("the root key file is damaged; restore it from a copy")]
    Damaged,
    /// The work factor is beyond what this version accepts.
    #[error("the passphrase cost is out of bounds: {memory_kib} KiB, {passes} passes, {lanes} lanes")]
    CostOutOfBounds {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// The passphrase does not open the file.
    #[error("wrong passphrase; try again, or recover with {threshold} recovery shares")]
    WrongPassphrase {
        /// Shares that recovery takes.
        threshold: u8,
    },
    /// The new passphrase is too short.
    #[error("the passphrase has fewer than {characters_min} characters; choose a longer one")]
    PassphraseTooShort {
        /// The least number of characters.
        characters_min: usize,
    },
    /// Shares cannot be split like this.
    #[error("cannot split into {shares} shares of which {threshold} recover: at least 2 of 2, at most 255")]
    ImpossibleSplit {
        /// Shares needed.
        threshold: u8,
        /// Shares made.
        shares: u8,
    },
    /// A share is no share, or was mistyped.
    #[error("{}", match .place { Some(at) => format!("recovery share is mistyped near character {at}"), None => "recovery share is mistyped or incomplete: it has 80 letters and digits after `TACET-SHARE`, check them one by one".to_owned() })]
    MistypedShare {
        /// The first character, from 1, that cannot stand in a share.
        place: Option<usize>,
    },
    /// A share of a newer kind.
    #[error("recovery share has format {found}, which this version does not read; use a newer tacet")]
    NewerShare {
        /// Version found.
        found: u8,
    },
    /// A share of another file.
    #[error("recovery share {index} belongs to another root key file")]
    ForeignShare {
        /// The share's number.
        index: u8,
    },
    /// A share that newer ones have replaced.
    #[error("recovery share {index} was replaced when new shares were made; use the newer ones")]
    ReplacedShare {
        /// The share's number.
        index: u8,
    },
    /// Not enough different shares.
    #[error("recovery takes {needed} different shares, {given} given")]
    TooFewShares {
        /// Shares needed.
        needed: u8,
        /// Different shares given.
        given: usize,
    },
    /// The right number of right-looking shares, but they do not open the file.
    #[error("these recovery shares do not open the file: at least one is forged")]
    WrongShares,
    /// A rotation cannot begin or end now.
    #[error("root keys cannot be rotated now: generation {generation} is the last there can be")]
    GenerationsUsedUp {
        /// The newest generation.
        generation: u32,
    },
    /// Somebody else changed the file since it was opened.
    #[error("the root key file was changed by another process meanwhile; start again")]
    ChangedMeanwhile,
    /// Another process is writing the file.
    #[error("another process is writing the root key file; try again when it has finished")]
    Busy,
    /// The system failed.
    #[error("the root key file could not be read or written; what was there before is still there")]
    Io(#[from] io::Error),
    /// A part of the cryptography failed (memory for argon2, for example).
    #[error("the passphrase could not be turned into a key; is there enough memory?")]
    Derivation,
}
