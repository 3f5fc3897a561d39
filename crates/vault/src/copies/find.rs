//! What a `_typeFilter` means: the ids that a search finds, all of them, opened by nobody yet.

use super::{CopyRequest, Progress};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::search::Compiled;
use crate::vault::Inner;
use crate::{EventKind, Outcome};
use std::collections::{HashMap, HashSet};
use tacet_policy::Act;
use tacet_search::Page;
use tacet_search::request::{Handling, Scope, Total};
use tacet_types::{ResourceId, ResourceType};

/// Found at a time.
const PAGE_COUNT: usize = 1000;

/// Most resources that the filters of one copy may find together.
pub const FOUND_MAX: usize = 1_000_000;

/// Of the types named here, the resources that are wanted.
pub(super) type Found = HashMap<ResourceType, HashSet<ResourceId>>;

impl Inner {
    /// Whether the filters can be understood, so that who asks is told at once.
    pub(super) fn check_filters(&self, request: &CopyRequest) -> Result<(), VaultError> {
        for (resource_type, parameters) in &request.filters {
            let indexing = self.answering()?;
            let scope = Scope::Type(*resource_type);
            self.compile_search(indexing, &scope, parameters, Handling::Strict, &request.base_url)?;
        }
        Ok(())
    }

    /// What the filters find. Several of one type: what any of them finds. Each is written down as a search.
    pub(super) fn find(
        &self,
        caller: &Caller,
        request: &CopyRequest,
        progress: &Progress,
    ) -> Result<Found, VaultError> {
        let mut found = Found::new();
        let mut count = 0usize;
        for (resource_type, parameters) in &request.filters {
            let indexing = self.answering()?;
            let scope = Scope::Type(*resource_type);
            let compiled = self.compile_search(indexing, &scope, parameters, Handling::Strict, &request.base_url)?;
            let Compiled { request: search, query } = self.for_caller(caller, Act::Export, compiled)?;
            pollster::block_on(self.disclose_nothing(caller, EventKind::Search, &query, Outcome::Success, None))?;
            let of_type = found.entry(*resource_type).or_default();
            let mut page = Page { sort: Vec::new(), count: PAGE_COUNT, after: None, total: Total::None };
            loop {
                if progress.is_given_up() {
                    return Err(VaultError::Conflict);
                }
                let hits = self.ask_index(indexing, &search, &page)?;
                count = count.saturating_add(hits.keys.len());
                if count > FOUND_MAX {
                    return Err(VaultError::TooCostly {
                        what: "resources in the filters of an export",
                        max: FOUND_MAX,
                    });
                }
                of_type.extend(hits.keys.into_iter().map(|(key, _)| key.id));
                match hits.next {
                    Some(next) => page.after = Some(next),
                    None => break,
                }
            }
        }
        Ok(found)
    }
}
