//! Why a command failed, and what to do next.

use crate::exit;
use miette::Diagnostic;
use std::path::PathBuf;
use tacet_store::StoreError;
use tacet_vault::VaultError;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error, Diagnostic)]
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
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),

    #[error("{what}")]
    Other {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
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

    pub(crate) fn other(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other { what, source: source.into() }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        // Damage is the same finding whichever part came upon it.
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            let is_corrupt = matches!(error.downcast_ref(), Some(StoreError::Corrupt { .. }));
            use tacet_backup::BackupError::{Broken, Damaged, Signature};
            if let Some(Damaged { .. } | Broken(_) | Signature(_)) = error.downcast_ref() {
                return exit::FINDINGS;
            }
            if let Some(Self::Backup(Damaged { .. } | Broken(_) | Signature(_))) = error.downcast_ref() {
                return exit::FINDINGS;
            }
            if is_corrupt || matches!(error.downcast_ref(), Some(VaultError::Damaged(_))) {
                return exit::FINDINGS;
            }
            // A transparent variant gives its source's source; look at what it wraps first.
            if let Some(Self::Vault(VaultError::Damaged(_))) = error.downcast_ref() {
                return exit::FINDINGS;
            }
            next = error.source();
        }
        exit::FAILED
    }

    pub(crate) fn help_text(&self) -> Option<String> {
        self.help().map(|help| help.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
