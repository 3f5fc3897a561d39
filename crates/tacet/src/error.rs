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
    #[diagnostic(help("nothing was changed; choose another directory with `--data`"))]
    StoreExists(PathBuf),

    #[error("the root key file could not be used")]
    #[diagnostic(help("check the passphrase; with recovery shares a new one can be set: `tacet key recover`"))]
    Root(#[source] tacet_seal::root::RootError),

    #[error("no passphrase was given")]
    #[diagnostic(help("name a file with `--passphrase-file`, or run the command on a terminal"))]
    NoPassphrase,

    #[error("the store could not be opened")]
    #[diagnostic(help("another process may have it open; otherwise restore it from a copy"))]
    Store(#[from] StoreError),

    #[error(transparent)]
    Vault(#[from] VaultError),

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

impl CliError {
    pub(crate) fn file(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, what, source }
    }

    pub(crate) fn other(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Other { what, source: source.into() }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Vault(VaultError::Damaged(_)) | Self::Store(StoreError::Corrupt { .. }) => exit::FINDINGS,
            _ => exit::FAILED,
        }
    }

    pub(crate) fn help_text(&self) -> Option<String> {
        self.help().map(|help| help.to_string())
    }
}
