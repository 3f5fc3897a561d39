//! What the server makes of a subscription: a new version of the resource, written in the store's own name.

use super::active::Active;
use super::row::{Definition, LastEvents, Reached};
use super::{SUBSCRIPTIONS_ACTIVE_MAX, SubscriptionEnd, SubscriptionState};
use crate::caller::Caller;
use crate::disclose::json_limits;
use crate::error::VaultError;
use crate::head::Method;
use crate::layout;
use crate::plan::Expect;
use crate::vault::{Inner, Vault};
use std::borrow::Cow;
use tacet_fhir::json::{self, Json};
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_store::{Commit, Precondition, StoreError};
use tacet_types::Role;
use tacet_types::{OperationId, ResourceId, ResourceType, Sequence, VersionId};

/// Name of the account in which the server changes a subscription's status.
const OWN_ACCOUNT: &str = "tacet";

/// Longest text in `Subscription.error`, in bytes.
const ERROR_BYTES_MAX: usize = 1000;

/// Commits after which it is written down that nothing of them was to be sent: as many are looked at again after a kill.
const SETTLED_COMMITS: u64 = 1000;

impl Vault {
    /// Makes a subscription active in the version that was decided about, and gives the version that it has from here on. What is
    /// committed after that is held against `criteria`.
    /// `base_url` (without `/` at the end): references below it are references to this store.
    ///
    /// [`VaultError::Search`] and the other errors of a search say that the criteria cannot be used.
    pub async fn activate_subscription(
        &self,
        id: &ResourceId,
        version: VersionId,
        criteria: &str,
        base_url: &str,
    ) -> Result<VersionId, VaultError> {
        let inner = &self.0;
        let subscribed = inner.subscribed()?;
        let definition = inner.decided(id, version)?;
        let compiled = inner.compile_criteria(criteria, base_url, &definition.subscriber)?;
        let next = version.next();
        let nothing = Reached { sequence: Sequence(0), events: 0 };
        if !subscribed.insert(id, Active::new(next, compiled, definition.subscriber.clone(), nothing)) {
            return Err(VaultError::TooLarge { what: "active subscriptions", max: SUBSCRIPTIONS_ACTIVE_MAX });
        }
        // Whatever is acknowledged after this is held against it.
        let reached = Reached { sequence: inner.store.last_sequence(), events: 0 };
        subscribed.with(id, next, |active| {
            active.sent(reached.sequence);
            active.reached = reached;
        });
        let evaluated = Some((criteria.to_owned(), base_url.to_owned()));
        let definition = Definition { state: SubscriptionState::Active, evaluated, ..definition };
        let written = inner.write_status(definition, version, None, Some((reached, None))).await;
        if written.is_err() {
            subscribed.remove(id, next);
        }
        written.map(|()| next)
    }

    /// Ends a subscription, if it still has the version that was decided about.
    pub async fn end_subscription(
        &self,
        id: &ResourceId,
        version: VersionId,
        end: SubscriptionEnd<'_>,
    ) -> Result<(), VaultError> {
        let definition = self.0.decided(id, version)?;
        let (state, error) = match end {
            SubscriptionEnd::Error(text) => (SubscriptionState::Error, Some(text)),
            SubscriptionEnd::Off => (SubscriptionState::Off, None),
        };
        // What was sent can still be asked for.
        let reached = match self.0.reached_of_subscription(id)? {
            Some(reached) => Some((reached, Some(self.0.last_events_of_subscription(id)?))),
            None => None,
        };
        self.0.write_status(Definition { state, evaluated: None, ..definition }, version, error, reached).await
    }

    /// Notes that everything up to this commit was sent.
    pub async fn notified(&self, id: &ResourceId, version: VersionId, sequence: Sequence) -> Result<(), VaultError> {
        let reached = self.0.subscribed()?.with(id, version, |active| active.sent(sequence));
        let Some((reached, records)) = reached else { return Ok(()) };
        let mut last = None;
        if !records.is_empty() {
            let mut events = self.0.last_events_of_subscription(id)?;
            let before = reached.events.saturating_sub(records.len() as u64);
            let records = records.into_iter();
            let rows = records.map(|of| (self.0.head_row(of.resource_type, &of.id), of.resource_type, of.version));
            events.add(before.saturating_add(1), rows);
            last = Some(events);
        }
        self.0.write_reached(id, version, reached, last).await
    }

    /// Notes how far the subscriptions have come for which there was nothing to send, so that little has to be looked at after a
    /// start. `all`: also where it is not far.
    pub async fn settle_subscriptions(&self, all: bool) -> Result<(), VaultError> {
        let Some(indexing) = self.0.indexing() else { return Ok(()) };
        let last = self.0.store.last_sequence();
        let far = |reached: Sequence| {
            let behind = last.0.saturating_sub(reached.0);
            behind >= SETTLED_COMMITS || (all && behind > 0)
        };
        if !indexing.subscribed.actives().values().any(|active| far(active.reached.sequence)) {
            return Ok(());
        }
        indexing.wait_for_commits();
        let mut settled = Vec::new();
        for (id, active) in indexing.subscribed.actives().iter_mut() {
            if far(active.reached.sequence) && active.is_done_up_to(last) {
                settled.push((id.clone(), active.version, active.sent(last).0));
            }
        }
        for (id, version, reached) in settled {
            self.0.write_reached(&id, version, reached, None).await?;
        }
        Ok(())
    }
}

impl Inner {
    /// The subscription, if it has the version that was decided about.
    fn decided(&self, id: &ResourceId, version: VersionId) -> Result<Definition, VaultError> {
        let found = self.definition_of_subscription(id)?.map(|(definition, _)| definition);
        found.filter(|definition| definition.version == version).ok_or(VaultError::Conflict)
    }

    /// Stores the subscription's next version with its new status.
    async fn write_status(
        &self,
        definition: Definition,
        version: VersionId,
        error: Option<&str>,
        reached: Option<(Reached, Option<LastEvents>)>,
    ) -> Result<(), VaultError> {
        let kind = ResourceType::parse("Subscription").ok_or(VaultError::NotFound)?;
        let status = definition.state.code();
        let error = error.map(|text| text.get(..ERROR_BYTES_MAX).unwrap_or(text));
        let caller = Caller::new(
            OWN_ACCOUNT,
            Role::Integrator,
            PurposeOfUse::SystemAdministration,
            Origin { address: None, channel: Channel::Internal },
            OperationId::random(self.rng.as_ref()),
        )
        .for_own_work();
        let stored = self.commit(&caller, None, |plan| {
            let mut value = json::parse(definition.resource.as_bytes(), &json_limits())?;
            value.set("status", Json::String(Cow::Borrowed(status)));
            match error {
                Some(text) => value.set("error", Json::String(Cow::Owned(text.to_owned()))),
                None => value.remove("error"),
            };
            let planned = plan.put(kind, &definition.id, &mut value, Method::Put, Expect::Version(version))?;
            // After what storing it brought: of two writes to a row the last counts.
            let resource = String::from_utf8_lossy(&planned.body).into_owned();
            plan.write(Definition { version: planned.record.version, resource, ..definition.clone() }.write(self)?);
            if let Some((reached, events)) = &reached {
                plan.write(reached.write(self, &definition.id)?);
                if let Some(events) = events {
                    plan.write(events.write(self, &definition.id)?);
                }
            }
            Ok(())
        });
        match stored.await {
            // Somebody stored another version meanwhile: that one is decided about.
            Err(VaultError::PreconditionFailed) => Err(VaultError::Conflict),
            other => other.map(|_| ()),
        }
    }

    /// Writes down how far a subscription has come and what was sent last, unless it is another by now.
    pub(super) async fn write_reached(
        &self,
        id: &ResourceId,
        version: VersionId,
        reached: Reached,
        last: Option<LastEvents>,
    ) -> Result<(), VaultError> {
        let Some((definition, value)) = self.definition_of_subscription(id)? else { return Ok(()) };
        if definition.version != version {
            return Ok(());
        }
        let key = layout::subscription(&self.keys.row_keys, id).to_vec();
        let preconditions = vec![Precondition::Unchanged { key, value }];
        let mut writes = vec![reached.write(self, id)?];
        if let Some(last) = last {
            writes.push(last.write(self, id)?);
        }
        match self.store.submit(Commit { preconditions, writes, feed: None, item: Vec::new() }).await {
            Ok(_) | Err(StoreError::PreconditionFailed { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
