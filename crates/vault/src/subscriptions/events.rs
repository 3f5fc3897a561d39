//! What a client asks of a subscription: how it stands (`$status`), and what it may have missed (`$events`), as the backport of
//! topic-based subscriptions has them (<https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html#operations>).
//!
//! Who asks is shown the records with their own rights and in their own name, not with those of the subscription.

use super::row::Definition;
use super::{EVENTS_KEPT_MAX, NotificationContent, Subscription, SubscriptionState};
use crate::access::{Look, Sights};
use crate::caller::Caller;
use crate::disclose::{Disclosed, Located, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::json;
use tacet_ledger::RECORDS_MAX;
use tacet_policy::Act;
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp};

/// Most events in one answer: those that are kept, and as many that wait.
const EVENTS_SHOWN_MAX: usize = 2 * EVENTS_KEPT_MAX;

/// Which events of a subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionEventsCall {
    /// The subscription.
    pub id: ResourceId,
    /// The first number that is wanted.
    pub since: Option<u64>,
    /// The last one.
    pub until: Option<u64>,
    /// How much of the records.
    pub content: NotificationContent,
}

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionEvent {
    /// Its number among the events of its subscription, from 1.
    pub number: u64,
    /// The version that came about.
    pub record: RecordRef,
    /// When.
    pub at: Timestamp,
}

/// Events of a subscription.
pub struct SubscriptionEvents {
    /// The subscription.
    pub subscription: Subscription,
    /// How many events there were, sent or not.
    pub total: u64,
    /// Those that were asked for and are still known, by their numbers. What was deleted meanwhile is there in its version; what was erased
    /// is not.
    pub events: Vec<SubscriptionEvent>,
    /// Their records, where they were asked for: as many as one answer holds.
    pub shown: Vec<Disclosed>,
}

impl Vault {
    /// The subscription of this id, or all of them, each with the number of its events that were sent. A line in the ledger names those that
    /// are told of.
    pub async fn subscription_status(
        &self,
        caller: &Caller,
        id: Option<&ResourceId>,
    ) -> Result<Vec<(Subscription, u64)>, VaultError> {
        let inner = &self.0;
        let sights = inner.sights(caller, Act::Read)?;
        let definitions: Vec<Definition> = match id {
            Some(id) => inner.definition_of_subscription(id)?.map(|(definition, _)| definition).into_iter().collect(),
            None => inner.definitions_of_subscriptions()?,
        };
        let mut subscriptions = Vec::with_capacity(definitions.len());
        for definition in definitions {
            if !inner.sees_subscription(sights.as_ref(), &definition.id)? {
                continue;
            }
            let events = inner.reached_of_subscription(&definition.id)?.map_or(0, |reached| reached.events);
            let subscription = self.subscription_of(definition)?;
            let sent = self.events_sent(&subscription.id, subscription.version).unwrap_or(events);
            subscriptions.push((subscription, sent));
        }
        inner.note_status(caller, "Subscription/$status", &subscriptions).await?;
        if id.is_some() && subscriptions.is_empty() { Err(VaultError::NotFound) } else { Ok(subscriptions) }
    }

    /// Events of a subscription, those that wait to be sent too. May block, as [`Vault::notifications`] does.
    pub async fn subscription_events(
        &self,
        caller: &Caller,
        call: &SubscriptionEventsCall,
    ) -> Result<SubscriptionEvents, VaultError> {
        let (inner, id) = (&self.0, &call.id);
        let sights = inner.sights(caller, Act::Read)?;
        let query = format!("Subscription/{}/$events", id.as_str());
        let definition = inner.definition_of_subscription(id)?;
        let seen = inner.sees_subscription(sights.as_ref(), id)?;
        let Some((definition, _)) = definition.filter(|_| seen) else {
            inner.disclose_nothing(caller, EventKind::Search, &query, Outcome::Failed, None).await?;
            return Err(VaultError::NotFound);
        };
        let mut total = inner.reached_of_subscription(id)?.map_or(0, |reached| reached.events);
        let mut located: Vec<(u64, Located)> = Vec::new();
        let wanted = |number: u64| {
            call.since.is_none_or(|since| number >= since) && call.until.is_none_or(|until| number <= until)
        };
        let last = inner.last_events_of_subscription(id)?;
        for (number, (row, resource_type, version)) in (last.first..).zip(last.events) {
            // The head says the id; where it is gone, the record was erased.
            let Some(head) = inner.store.reader().get(&row)?.filter(|_| wanted(number)) else { continue };
            let record = inner.open_head(&row, &head)?.record;
            let found = inner.locate_version(resource_type, &record.id, version)?;
            let found = inner.still_seen(sights.as_ref(), found)?;
            located.extend(found.map(|found| (number, found)));
        }
        if definition.state == SubscriptionState::Active {
            let waiting = inner.pending_notifications(id, definition.version, EVENTS_KEPT_MAX)?.unwrap_or_default();
            for notification in waiting {
                for (number, record) in (notification.number..).zip(notification.records) {
                    total = total.max(number);
                    // What was sent and noted a moment ago may be in both.
                    let known = located.last().is_some_and(|(last, _)| *last >= number);
                    if !wanted(number) || known || located.len() >= EVENTS_SHOWN_MAX {
                        continue;
                    }
                    let found = inner.locate_version(record.resource_type, &record.id, record.version)?;
                    let found = inner.still_seen(sights.as_ref(), found)?;
                    located.extend(found.map(|found| (number, found)));
                }
            }
        }
        located.retain(|(_, found)| found.meta.method != Method::Delete);
        let event = |(number, found): &(u64, Located)| SubscriptionEvent {
            number: *number,
            record: found.record.clone(),
            at: found.meta.last_updated,
        };
        let mut events: Vec<SubscriptionEvent> = located.iter().map(event).collect();
        let located: Vec<Located> = located.into_iter().map(|(_, found)| found).collect();
        let subscription = self.subscription_of(definition)?;
        let mut shown = Vec::new();
        if located.is_empty() {
            inner.disclose_nothing(caller, EventKind::Search, &query, Outcome::Success, None).await?;
        } else if call.content == NotificationContent::Full {
            let disclosed = inner.disclose_all(caller, EventKind::Vread, Some(&query), located).await?;
            if let Some(cut) = disclosed.cut {
                events.truncate(cut);
            }
            shown = disclosed.disclosed.into_iter().map(|(_, one)| one).collect();
            // What could not be opened was erased a moment ago.
            let there: HashSet<&RecordRef> = shown.iter().map(|one: &Disclosed| &one.record).collect();
            events.retain(|event| there.contains(&event.record));
        } else {
            inner.note_announced(caller, &query, "events of a subscription", located).await?;
        }
        Ok(SubscriptionEvents { subscription, total, events, shown })
    }

    fn subscription_of(&self, definition: Definition) -> Result<Subscription, VaultError> {
        let Definition { id, version, state, resource, .. } = definition;
        let running = self.0.indexing().is_some_and(|indexing| indexing.subscribed.is_running(&id, version));
        let resource = json::parse(resource.as_bytes(), &json_limits())?.into_owned();
        Ok(Subscription { id, version, state, running, resource })
    }

    /// Every Subscription that is not deleted, whatever its state.
    pub fn subscriptions(&self) -> Result<Vec<Subscription>, VaultError> {
        let definitions = self.0.definitions_of_subscriptions()?;
        definitions.into_iter().map(|definition| self.subscription_of(definition)).collect()
    }
}

impl Inner {
    fn sees_subscription(&self, sights: Option<&Arc<Sights>>, id: &ResourceId) -> Result<bool, VaultError> {
        let kind = ResourceType::parse("Subscription").ok_or(VaultError::NotFound)?;
        let head = self.head_of(kind, id)?;
        Ok(head.is_some_and(|head| self.look(sights, kind, id, &head.current) != Look::Hidden))
    }

    /// Writes down which subscriptions somebody is told of.
    async fn note_status(&self, caller: &Caller, query: &str, told: &[(Subscription, u64)]) -> Result<(), VaultError> {
        let kind = ResourceType::parse("Subscription").ok_or(VaultError::NotFound)?;
        let mut entries = Vec::new();
        for told in told.chunks(RECORDS_MAX) {
            let mut entry = caller.entry(self.clock.now(), EventKind::Search, Outcome::Success, None);
            entry.query = Some(query.to_owned());
            entry.categories = vec![kind];
            entry.records = told
                .iter()
                .map(|(one, _)| RecordRef { resource_type: kind, id: one.id.clone(), version: one.version })
                .collect();
            entries.push(entry);
        }
        if entries.is_empty() {
            return self.disclose_nothing(caller, EventKind::Search, query, Outcome::Success, None).await;
        }
        for entries in entries.chunks(tacet_ledger::ENTRIES_MAX) {
            self.record(entries.to_vec()).await?;
        }
        Ok(())
    }
}
