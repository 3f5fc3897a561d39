//! What searches ask of the definitions: the codes of a value set, and those above and below a code.

use super::{Knowing, Snapshot};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use tacet_search::SearchError;
use tacet_search::filter::CodeSet;
use tacet_search::terminology::Terminology;
use tacet_terminology::limits::EXPANSION_CODES_MAX;
use tacet_terminology::{ErrorKind, TerminologyError};

/// Codes in all the sets that a snapshot keeps ready for searches.
const KEPT_CODES_MAX: usize = 500_000;

/// Sets that a snapshot keeps ready.
const KEPT_SETS_MAX: usize = 1000;

/// Sets of codes by the value set's address.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: HashMap<String, Arc<CodeSet>>,
    codes: usize,
}

/// The definitions of now, as a search asks for them.
pub(crate) struct SearchCodes<'a>(pub(crate) &'a Knowing);

impl SearchCodes<'_> {
    /// There is no snapshot while the store's definitions are read for the first time.
    fn snapshot(&self) -> Result<Arc<Snapshot>, SearchError> {
        self.0.known().map_err(|_| SearchError::NotReady { at: 0, last: 1 })
    }
}

impl Terminology for SearchCodes<'_> {
    fn expand(&self, value_set: &str) -> Result<Arc<CodeSet>, SearchError> {
        self.snapshot()?.code_set(value_set)
    }

    fn below(&self, system: &str, code: &str) -> Result<Arc<CodeSet>, SearchError> {
        let codes = self.snapshot()?.terminology().below(system, code).map_err(refused)?;
        Ok(of_system(system, codes))
    }

    fn above(&self, system: &str, code: &str) -> Result<Arc<CodeSet>, SearchError> {
        let codes = self.snapshot()?.terminology().above(system, code).map_err(refused)?;
        Ok(of_system(system, codes))
    }
}

fn of_system(system: &str, codes: Vec<String>) -> Arc<CodeSet> {
    // What is stored names the system without its version.
    let system = system.split_once('|').map_or(system, |(url, _)| url);
    Arc::new(codes.into_iter().map(|code| (Some(system.into()), code.into())).collect())
}

fn refused(error: TerminologyError) -> SearchError {
    match error.kind {
        ErrorKind::TooCostly => SearchError::TooCostly { what: "codes of a value set", max: EXPANSION_CODES_MAX },
        _ => SearchError::Terminology(error.message),
    }
}

impl Snapshot {
    /// The codes of a value set: `url`, `url|version`, or `ValueSet/[id]`.
    fn code_set(&self, value_set: &str) -> Result<Arc<CodeSet>, SearchError> {
        let canonical = match value_set.strip_prefix("ValueSet/") {
            None => value_set,
            Some(id) => self
                .value_sets
                .iter()
                .find(|(known, _)| known.as_str() == id)
                .map(|(_, canonical)| canonical.as_str())
                .ok_or_else(|| SearchError::Terminology("no value set of this id is used here".to_owned()))?,
        };
        if let Some(set) = self.sets.read().unwrap_or_else(PoisonError::into_inner).sets.get(canonical) {
            return Ok(Arc::clone(set));
        }
        let codes = self.terminology().codes_of(canonical).map_err(refused)?;
        let set: CodeSet = codes.into_iter().map(|(system, code)| (Some(system.into()), code.into())).collect();
        let set = Arc::new(set);
        let mut kept = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if kept.codes + set.len() > KEPT_CODES_MAX || kept.sets.len() >= KEPT_SETS_MAX {
            *kept = Sets::default();
        }
        kept.codes += set.len();
        kept.sets.insert(canonical.to_owned(), Arc::clone(&set));
        Ok(set)
    }
}
