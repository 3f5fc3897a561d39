//! What the queue in memory does not hold: after a start, and where more waited than fits, commits are looked up in the change feed
//! and their records opened, under an entry of the ledger, to see which of them match.

use super::active::{Active, Criteria};
use super::row::{Definition, Subscriber};
use super::{Notification, SubscriptionState};
use crate::error::VaultError;
use crate::head::Method;
use crate::index::{Indexing, Keys};
use crate::search::Compiled;
use crate::vault::Inner;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_search::SearchError;
use tacet_search::document::{Document, Key};
use tacet_search::filter::Filter;
use tacet_search::matcher::{World, prepare};
use tacet_search::parameters::Parameters;
use tacet_search::request::{Handling, Scope, Summary, Total};
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, Sequence, VersionId};

/// Rows of the feed looked at before what was found is handed out.
const FEED_ROWS_MAX: usize = 256;

/// Rows of the feed fetched at once. Few: the row of a large import takes half a megabyte.
const FEED_FETCH: usize = 32;

/// Commits with the versions in them that match.
type Found = Vec<(Sequence, Vec<RecordRef>)>;

/// Criteria must hold for a resource by itself: what they say of others could come to hold without any change of it.
struct NoOthers;

impl NoOthers {
    fn refused() -> SearchError {
        let message = "criteria of a subscription must be about the resource itself: no chains, `_has` or `_list`";
        SearchError::Refused(Box::new(Issue::error(IssueType::NotSupported, "Subscription.criteria", message)))
    }
}

impl World for NoOthers {
    fn matching(&self, _: &Filter) -> Result<std::collections::HashSet<Key>, SearchError> {
        Err(Self::refused())
    }

    fn document(&self, _: &Key) -> Option<Document> {
        None
    }

    fn references(
        &self,
        _: &std::collections::HashSet<Key>,
        _: tacet_fhir::search::ParameterId,
    ) -> Result<std::collections::HashSet<Key>, SearchError> {
        Err(Self::refused())
    }
}

fn refused(message: &str) -> VaultError {
    VaultError::Search(vec![Issue::error(IssueType::Invalid, "Subscription.criteria", message)])
}

impl Inner {
    /// Understands criteria (`Observation?code=1234-5`).
    pub(super) fn compile_criteria(
        &self,
        criteria: &str,
        base_url: &str,
        subscriber: &Subscriber,
    ) -> Result<Criteria, VaultError> {
        let none =
            VaultError::NotSupported("subscriptions need the search index, and this store was opened without one");
        let indexing = self.indexing().ok_or(none)?;
        let (name, query) = criteria.split_once('?').unwrap_or((criteria, ""));
        let resource_type = ResourceType::parse(name)
            .ok_or_else(|| refused("criteria begin with a type of resource: `Observation?code=1234-5`"))?;
        let parameters = crate::bundle::decode_query(query)?;
        let scope = Scope::Type(resource_type);
        let Compiled { request, query } =
            self.compile_search(indexing, &scope, &parameters, Handling::Strict, base_url)?;
        let shapes = !request.sort.is_empty()
            || !request.includes.is_empty()
            || !request.elements.is_empty()
            || request.count.is_some()
            || request.summary != Summary::False
            || request.total == Total::Accurate;
        if shapes {
            return Err(refused(
                "criteria say which resources: parameters that shape a page of results mean nothing here",
            ));
        }
        Ok(Criteria {
            filter: Arc::new(prepare(&request.filter, &NoOthers)?),
            seen: self.seen_by(subscriber.caller(OperationId::random(self.rng.as_ref()))),
            types: request.types.into(),
            fingerprint: indexing.index.parameters().fingerprint(),
            query: query.into(),
            written: Arc::new((criteria.to_owned(), base_url.to_owned())),
        })
    }

    /// Takes up the active subscriptions where they were left, before anybody writes.
    pub(crate) fn resume_subscriptions(&self, indexing: &Indexing) -> Result<(), VaultError> {
        let last = self.store.last_sequence();
        for definition in self.definitions_of_subscriptions()? {
            let Definition { id, version, state: SubscriptionState::Active, subscriber, evaluated, .. } = definition
            else {
                continue;
            };
            let (Some((criteria, base_url)), Some(reached)) = (evaluated, self.reached_of_subscription(&id)?) else {
                continue;
            };
            // One that cannot be understood any more is not taken up; the server sees that, and ends it.
            let Ok(criteria) = self.compile_criteria(&criteria, &base_url, &subscriber) else { continue };
            let mut active = Active::new(version, criteria, subscriber, reached);
            if reached.sequence < last {
                active.unseen = Some((Sequence(reached.sequence.0.saturating_add(1)), last));
            }
            indexing.subscribed.insert(&id, active);
        }
        Ok(())
    }

    pub(super) fn pending_notifications(
        &self,
        id: &ResourceId,
        version: VersionId,
        max: usize,
    ) -> Result<Option<Vec<Notification>>, VaultError> {
        let Some(indexing) = self.indexing() else { return Ok(None) };
        let subscribed = &indexing.subscribed;
        // What is acknowledged up to here, and held against the filters too: nothing older comes into the queue later.
        let last = self.store.last_sequence();
        indexing.wait_for_commits();
        loop {
            let looked = subscribed.with(id, version, |active| {
                let ready = active.ready(last, max);
                let unseen = active.unseen.filter(|(from, _)| *from <= last).filter(|_| ready.is_empty());
                (ready, unseen, active.criteria.clone(), active.subscriber.clone(), active.room())
            });
            let Some((ready, unseen, criteria, subscriber, room)) = looked else { return Ok(None) };
            let Some((from, to)) = unseen else { return Ok(Some(ready)) };
            // Under parameters of now: they may have changed since it was compiled.
            let criteria = if criteria.fingerprint == indexing.parameters().fingerprint() {
                criteria
            } else {
                let again = self.compile_criteria(&criteria.written.0, &criteria.written.1, &subscriber)?;
                subscribed.with(id, version, |active| active.criteria = again.clone());
                again
            };
            let (found, next) = self.look_up(&criteria, from, to.min(last), room.max(1))?;
            subscribed.with(id, version, |active| {
                // Before what is put back, or the queue would send it to the feed again.
                active.unseen = active.unseen.map(|(_, to)| (next, to)).filter(|(from, to)| from <= to);
                for (sequence, records) in found {
                    active.put(sequence, records);
                }
            });
        }
    }

    /// Holds the commits from `from` to `to` against criteria. Gives what matched, and the first commit that was not looked at.
    fn look_up(
        &self,
        criteria: &Criteria,
        from: Sequence,
        to: Sequence,
        room: usize,
    ) -> Result<(Found, Sequence), VaultError> {
        let stop = AtomicBool::new(false);
        let mut keys = None;
        let (mut found, mut next, mut looked) = (Vec::new(), from, 0);
        while next <= to && looked < FEED_ROWS_MAX && found.len() < room {
            let rows = self.store.feed(Sequence(next.0.saturating_sub(1)), FEED_FETCH)?;
            let Some((first, _)) = rows.first() else { return Ok((found, Sequence(to.0.saturating_add(1)))) };
            if *first > to {
                return Ok((found, Sequence(to.0.saturating_add(1))));
            }
            for (sequence, sealed) in rows {
                if sequence > to || found.len() >= room {
                    break;
                }
                let mut records = Vec::new();
                for change in self.open_change_set(&sealed)?.changes {
                    if change.method == Method::Delete || !criteria.types.contains(&change.resource_type) {
                        continue;
                    }
                    let Some(head) = self.store.reader().get(&change.head)? else { continue };
                    let head = self.open_head(&change.head, &head)?;
                    let Some(located) = self.locate_version(change.resource_type, &head.record.id, change.version)?
                    else {
                        continue;
                    };
                    if keys.is_none() {
                        self.note_own_work("subscriptions: records are opened to see whether they match")?;
                    }
                    let keys = keys.get_or_insert_with(|| Keys::new(self, &stop));
                    let Some(sealer) = keys.of(&located.meta.owner)? else { continue };
                    let parameters =
                        self.indexing().map_or_else(Parameters::standard, |indexing| indexing.parameters());
                    if criteria.fit(&self.document_of(&sealer, &located, &parameters)?) {
                        records.push(located.record);
                    }
                }
                if !records.is_empty() {
                    found.push((sequence, records));
                }
                next = Sequence(sequence.0.saturating_add(1));
                looked += 1;
            }
        }
        Ok((found, next))
    }
}
