//! What search asks of a terminology service: sets of codes for `:in`, `:above` and `:below`.

use crate::SearchError;
use crate::filter::CodeSet;
use std::sync::Arc;

/// Where the codes of value sets and the order of code systems are known.
///
/// An implementation fails with [`SearchError::Terminology`] for what it does not know; an empty set would be a wrong answer. The
/// error's text may name the value set or system, which are no personal data, and nothing else of the query.
pub trait Terminology {
    /// All codes of a value set, by its canonical url, with or without `|version`, or by `ValueSet/id`.
    fn expand(&self, value_set: &str) -> Result<Arc<CodeSet>, SearchError>;

    /// The code and all that it subsumes.
    fn below(&self, system: &str, code: &str) -> Result<Arc<CodeSet>, SearchError>;

    /// The code and all that subsume it.
    fn above(&self, system: &str, code: &str) -> Result<Arc<CodeSet>, SearchError>;
}

/// Knows nothing: searches that need a terminology are refused.
#[derive(Clone, Copy, Debug)]
pub struct NoTerminology;

fn nothing() -> Result<Arc<CodeSet>, SearchError> {
    Err(SearchError::Terminology("no terminology is loaded".to_owned()))
}

impl Terminology for NoTerminology {
    fn expand(&self, _: &str) -> Result<Arc<CodeSet>, SearchError> {
        nothing()
    }

    fn below(&self, _: &str, _: &str) -> Result<Arc<CodeSet>, SearchError> {
        nothing()
    }

    fn above(&self, _: &str, _: &str) -> Result<Arc<CodeSet>, SearchError> {
        nothing()
    }
}
