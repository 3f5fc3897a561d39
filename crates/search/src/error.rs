//! Why a search, or the index under it, did not do what it was asked. No variant carries a value of a resource or of a query.

use std::path::PathBuf;
use tacet_fhir::outcome::Issue;
use tacet_seal::SealError;
use tacet_types::Sequence;
use thiserror::Error;

/// Why a search, or the index under it, did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The query cannot be understood or is not supported; the issue says why and what to do, and may be shown to the client.
    #[error("the search is refused: {}", .0.message)]
    Refused(Box<Issue>),
    /// A bound on what one search may cost was exceeded.
    #[error("the search asks for too many {what}: at most {max}; narrow it")]
    TooCostly {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A value set or code system that the query names is not known, or cannot be expanded.
    #[error("a value set or code system of the search cannot be used: {0}")]
    Terminology(String),
    /// The index does not hold everything yet that the store held when the index was opened.
    #[error("the search index is being built and holds changes up to {at} of {last}: try again later")]
    NotReady {
        /// It holds everything up to here.
        at: u64,
        /// It answers from here on.
        last: u64,
    },
    /// Something on the disk is not what was written there. Nothing is answered from it again: build the index anew.
    #[error("the search index is damaged and refuses to answer: rebuild it with `tacet index rebuild`")]
    Damaged,
    /// It does not hold what it was told: its disk took nothing for too long, or too much changed while it was built. Its files are sound
    /// up to what it says of itself, so opening it again and feeding it what came since is enough.
    #[error(
        "the search index could not be written for too long: make room on its disk and start again, or rebuild it with \
         `tacet index rebuild`"
    )]
    Behind,
    /// Another process has the index open.
    #[error("the search index in {} is open in another process: stop that one first", directory.display())]
    Locked {
        /// The index's directory.
        directory: PathBuf,
    },
    /// The index was closed.
    #[error("the search index is closed: open it again")]
    Closed,
    /// A rebuild with other search parameters began while documents were made with those before.
    #[error("the search parameters have changed meanwhile: make the documents again with the new ones")]
    OtherParameters,
    /// Another rebuild goes on.
    #[error("the search index is being rebuilt already: wait until that has finished")]
    Rebuilding,
    /// The disk failed.
    #[error("the search index cannot be read or written; check the disk")]
    Io(#[from] std::io::Error),
    /// A file of the index cannot be sealed or opened.
    #[error("the search index cannot be sealed or opened")]
    Seal(#[from] SealError),
    /// The library that keeps the index failed. Its words stay out of here, since they may hold values.
    #[error("the search index failed while {0}: close it and open it again, and rebuild it if that does not help")]
    Engine(&'static str),
}

impl SearchError {
    /// Whether the index must be built anew before it answers again.
    pub fn asks_for_rebuild(&self) -> bool {
        matches!(self, Self::Damaged | Self::Behind)
    }

    /// Behind by what, for progress: (holds, needs). None for other errors.
    pub fn progress(&self) -> Option<(Sequence, Sequence)> {
        match self {
            Self::NotReady { at, last } => Some((Sequence(*at), Sequence(*last))),
            _ => None,
        }
    }
}
