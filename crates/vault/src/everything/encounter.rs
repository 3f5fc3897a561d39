//! `Encounter/[id]/$everything` (<https://hl7.org/fhir/R4/encounter-operation-everything.html>): the stay, what is in its compartment, and
//! what these directly refer to.
//!
//! Unlike a patient's, a stay's compartment has no list of its own: it is a search, with its entries, its order and its sealed links. Of
//! what is referred to, only what is the same patient's or nobody's comes along: a reference to somebody else's record opens nothing.

use super::{EverythingPage, EverythingQuery, QUERY, too_much_supporting};
use crate::caller::Caller;
use crate::disclose::{Disclosed, Located};
use crate::error::VaultError;
use crate::search::{SearchCall, SearchPage};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::HashSet;
use tacet_fhir::compartment::Compartment;
use tacet_policy::Act;
use tacet_search::Page;
use tacet_search::document::Key;
use tacet_search::filter::Filter;
use tacet_search::request::{Handling, Scope, Total};
use tacet_types::{RecordRef, ResourceId, ResourceType};

impl Vault {
    /// A page of all that belongs to a stay. `start` and `end` of the query are for patients only. `base_url` (without `/` at the end):
    /// references below it are references to this store.
    pub async fn everything_of_encounter(
        &self,
        caller: &Caller,
        encounter: &ResourceId,
        query: &EverythingQuery,
        base_url: &str,
    ) -> Result<EverythingPage, VaultError> {
        let sights = self.0.sights(caller, Act::Read)?;
        if query.start.is_some() || query.before.is_some() {
            return Err(VaultError::NotSupported("`start` and `end` are for `Patient/$everything`"));
        }
        let inner = &self.0;
        let resource_type = ResourceType::parse("Encounter").ok_or(VaultError::NotFound)?;
        let there = inner.seek(sights.as_ref(), resource_type, encounter)?;
        let there = inner.there(caller, EventKind::Everything, QUERY, there).await?;
        let scope = Scope::Compartment { compartment: Compartment::Encounter, id: encounter.clone(), types: None };
        let types: Vec<&ResourceType> = query.types.iter().filter(|of| Compartment::Encounter.holds(**of)).collect();
        if types.is_empty() && !query.types.is_empty() {
            // What the stay refers to comes along with what is shown of it: that is nothing.
            let owner = Some(&there.current.owner);
            inner.disclose_nothing(caller, EventKind::Everything, QUERY, Outcome::Success, owner).await?;
            return Ok(EverythingPage { entries: Vec::new(), next: None });
        }
        let mut parameters = Vec::new();
        if query.cursor.is_none() {
            if let Some(since) = query.since {
                parameters.push(("_lastUpdated".to_owned(), format!("ge{since}")));
            }
            if !types.is_empty() {
                let names: Vec<&str> = types.into_iter().map(|of| of.as_str()).collect();
                parameters.push(("_type".to_owned(), names.join(",")));
            }
            if query.count > 0 {
                parameters.push(("_count".to_owned(), query.count.to_string()));
            }
        }
        let (handling, base_url, cursor) = (Handling::Strict, base_url.to_owned(), query.cursor.clone());
        let call = SearchCall { scope: scope.clone(), parameters, handling, base_url, cursor };
        let SearchPage { entries, next, .. } = self.search(caller, &call).await?;
        let members: Vec<(usize, Disclosed)> = entries.into_iter().map(|entry| entry.disclosed).enumerate().collect();
        let known: HashSet<RecordRef> = members.iter().map(|(_, shown)| shown.record.clone()).collect();
        let supporting =
            inner.supporting(sights.as_ref(), &members, &known, &query.types, Some(&there.current.owner))?;
        let supporting = inner.outside(&scope, supporting)?;
        let supporting = inner.disclose_all(caller, EventKind::Everything, Some(QUERY), supporting).await?;
        if supporting.cut.is_some() {
            return Err(too_much_supporting());
        }
        let entries = members
            .into_iter()
            .map(|(_, shown)| (shown, true))
            .chain(supporting.disclosed.into_iter().map(|(_, shown)| (shown, false)));
        Ok(EverythingPage { entries: entries.collect(), next })
    }
}

impl Inner {
    /// Those of these records that are not in the compartment: what is in it is on a page of its own.
    fn outside(&self, scope: &Scope, located: Vec<Located>) -> Result<Vec<Located>, VaultError> {
        if located.is_empty() {
            return Ok(located);
        }
        let indexing = self.answering()?;
        let request = self.compile_any_search(indexing, scope, &[], Handling::Strict, "")?.request;
        let mut keys: Vec<Key> = located.iter().map(key_of).collect();
        keys.sort_unstable();
        let page = Page { sort: Vec::new(), count: keys.len(), after: None, total: Total::None };
        let filter = Filter::All(vec![request.filter.clone(), Filter::Keys(keys)]);
        let request = tacet_search::request::SearchRequest { filter, ..request };
        let inside: HashSet<Key> =
            self.ask_index(indexing, &request, &page)?.keys.into_iter().map(|(key, _)| key).collect();
        Ok(located.into_iter().filter(|found| !inside.contains(&key_of(found))).collect())
    }
}

fn key_of(found: &Located) -> Key {
    Key { resource_type: found.record.resource_type, id: found.record.id.clone() }
}
