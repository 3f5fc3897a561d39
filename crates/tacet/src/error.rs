//! Why a command failed, and what to do next.

use crate::exit;
use miette::Diagnostic;
use std::error::Error;
use std::path::PathBuf;
use tacet_backup::{BackupError, TargetError};
use tacet_store::StoreError;
use tacet_vault::VaultError;

/// Why a command failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum CliError {
    #[error("there is no store in `{}`", .0.display())]
    #[diagnostic(help("make one with `tacet init`, or name another directory with `--data`"))]
    NoStore(PathBuf),

    #[error("`{}` holds a store already", .0.display())]
    #[diagnostic(help(
        "no record was touched; choose another directory with `--data`, or make new recovery shares with `tacet key shares`"
    ))]
    StoreExists(PathBuf),

    #[error("the root key file could not be used")]
    #[diagnostic(help("check the passphrase; with recovery shares a new one can be set: `tacet key recover`"))]
    Root(#[source] tacet_seal::root::RootError),

    #[error("no passphrase was given")]
    #[diagnostic(help("name a file with `--passphrase-file`, or run the command on a terminal"))]
    NoPassphrase,

    #[error("the store could not be opened")]
    #[diagnostic(help(
        "a running server or another command may have it: much is answered over HTTP meanwhile, the rest when it is stopped; a damaged store is restored from a backup"
    ))]
    Store(#[from] StoreError),

    #[error("the store could not be opened")]
    #[diagnostic(help("if it is damaged, keep this directory as it is and restore a copy: docs/operations.md"))]
    Opening(#[source] VaultError),

    #[error(transparent)]
    Vault(#[from] VaultError),

    #[error("the disk is full: {} MiB are free in `{}`", .free_bytes >> 20, path.display())]
    #[diagnostic(help("make room and run the same command again: it goes on where it stopped"))]
    DiskFull {
        path: PathBuf,
        free_bytes: u64,
        #[source]
        source: Box<CliError>,
    },

    #[error(transparent)]
    #[diagnostic(help(
        "docs/backup.md says how places for backups are set up and tried by hand, docs/restore.md what to do when a part of one is missing or is not what was written"
    ))]
    Backup(#[from] tacet_backup::BackupError),

    #[error("`{}`: {what}", path.display())]
    File {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: std::io::Error,
    },

    #[error("the configuration file `{}` is not right: {problem}", path.display())]
    #[diagnostic(help("docs/configuration.md lists every setting"))]
    Config { path: PathBuf, problem: String },

    #[error("{0}")]
    Usage(String),

    #[error("the server stopped")]
    Server(#[source] Box<dyn Error + Send + Sync>),

    #[error("{what}")]
    Other {
        what: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl From<tacet_ledger::LedgerError> for CliError {
    fn from(error: tacet_ledger::LedgerError) -> Self {
        Self::Vault(error.into())
    }
}

impl CliError {
    pub(crate) fn file(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, what, source }
    }

    pub(crate) fn other(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other { what, source: source.into() }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        // Damage is the same finding whichever part came upon it, and what is missing is as bad as what is bent.
        match causes(self).any(is_damage) {
            true => exit::FINDINGS,
            false => exit::FAILED,
        }
    }

    /// Whether a disk was full, as far as the error says.
    pub(crate) fn is_full_disk(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        causes(self).any(|error| {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            matches!(kind, Some(StorageFull | QuotaExceeded)) || matches!(store_error(error), Some(StoreError::Full))
        })
    }

    /// Whether the storage engine gave up, for whatever reason.
    pub(crate) fn is_of_engine(&self) -> bool {
        use StoreError::{Failed, Full, Io};
        causes(self).any(|error| matches!(store_error(error), Some(Failed | Full | Io(_))))
    }

    pub(crate) fn help_text(&self) -> Option<String> {
        self.help().map(|help| help.to_string())
    }
}

/// An error and what it comes from. What an error of the system wraps is looked at too: its own source is that of what it wraps.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(wrapped) = wrapped { Some(wrapped as &(dyn Error + 'static)) } else { error.source() }
    })
}

/// The store's error that this is, or that a transparent error has in it: such a one gives its source's source.
fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a StoreError> {
    match (error.downcast_ref(), backup_error(error)) {
        (Some(error), _) | (_, Some(BackupError::Store(error))) => Some(error),
        _ => None,
    }
}

fn backup_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BackupError> {
    match error.downcast_ref() {
        Some(CliError::Backup(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

fn is_damage(error: &(dyn Error + 'static)) -> bool {
    use BackupError::{Broken, Damaged, Signature, Target};
    let missing = |error: &TargetError| matches!(error, TargetError::Absent(_));
    match backup_error(error) {
        Some(Damaged { .. } | Broken(_) | Signature(_)) => return true,
        Some(Target(error)) if missing(error) => return true,
        _ => {}
    }
    let vault = match error.downcast_ref() {
        Some(CliError::Vault(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    matches!(vault, Some(VaultError::Damaged(_)))
        || error.downcast_ref().is_some_and(missing)
        || matches!(store_error(error), Some(StoreError::Corrupt { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_backup::ObjectName;

    #[test]
    fn a_full_disk_and_a_missing_object_are_known_through_whatever_wraps_them() {
        let enospc = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        for error in [
            CliError::Store(StoreError::Full),
            CliError::Backup(BackupError::Store(StoreError::Full)),
            CliError::Backup(BackupError::Store(StoreError::Io(enospc()))),
            CliError::Vault(VaultError::Unavailable(Box::new(StoreError::Full))),
            CliError::file("x", "cannot be written")(enospc()),
            CliError::other("x", BackupError::Store(StoreError::Full)),
        ] {
            assert!(error.is_full_disk() && error.exit_code() == exit::FAILED, "{error:?}");
        }
        let failed = CliError::Backup(BackupError::Store(StoreError::Failed));
        assert!(!failed.is_full_disk() && failed.is_of_engine());
        let unreachable = CliError::Backup(BackupError::Target(TargetError::Unavailable("x".to_owned())));
        assert!(!unreachable.is_full_disk() && !unreachable.is_of_engine() && unreachable.exit_code() == exit::FAILED);
        let absent = || BackupError::Target(TargetError::Absent(ObjectName::parse("a/b").unwrap()));
        let in_the_engine = StoreError::Io(std::io::Error::other(absent()));
        for error in [
            CliError::Backup(absent()),
            CliError::Vault(VaultError::Unavailable(Box::new(in_the_engine))),
            CliError::Vault(VaultError::Unavailable(Box::new(StoreError::Io(std::io::Error::other(
                BackupError::Broken("x".to_owned()),
            ))))),
        ] {
            assert_eq!(error.exit_code(), exit::FINDINGS, "{error:?}");
        }
    }

    #[test]
    fn damage_has_its_own_exit_code_wherever_it_was_found() {
        let corrupt = || StoreError::Corrupt { what: "the witness is missing".into(), missing_commits: None };
        let under_the_ledger = VaultError::Unavailable(Box::new(corrupt()));
        for error in [
            CliError::Store(corrupt()),
            CliError::Opening(under_the_ledger),
            CliError::Opening(VaultError::Damaged("its ledger was taken away")),
            CliError::Vault(VaultError::Damaged("a head row cannot be read")),
        ] {
            assert_eq!(error.exit_code(), exit::FINDINGS, "{error:?}");
        }
        assert_eq!(CliError::Store(StoreError::Full).exit_code(), exit::FAILED);
        assert_eq!(CliError::Vault(VaultError::NotFound).exit_code(), exit::FAILED);
    }
}
