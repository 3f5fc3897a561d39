//! Subscriptions (<https://hl7.org/fhir/R4/subscription.html>): who is to be told of which changes, and how far that has come.
//!
//! ```text
//! Subscription stored ──> row: who asked ──> the server decides ──> active, or error
//! commit ──> its documents held against each active filter ──> queue in memory ──> the server sends ──> position, durable
//! ```
//!
//! The queue is memory only and nothing is lost with it: the row of each subscription says up to which commit everything was sent,
//! and what came after it is found again in the change feed. What was sent and not yet noted when the process was killed is sent again.
//!
//! Nothing here sends: which endpoints are allowed, and what goes to them, is the server's part.

mod active;
mod announce;
mod catch_up;
mod events;
mod restored;
mod row;
mod standing;
mod status;

pub use events::{SubscriptionEvent, SubscriptionEvents, SubscriptionEventsCall};
pub use restored::EVENTS_AHEAD;
pub use standing::SubscriberEnd;

pub(crate) use active::Subscribed;
pub(crate) use row::{forget, remember};

use crate::error::VaultError;
use crate::vault::{Inner, Vault};
use tacet_fhir::json::Json;
use tacet_types::{RecordRef, ResourceId, Sequence, VersionId};

/// Most subscriptions that are active at a time.
pub const SUBSCRIPTIONS_ACTIVE_MAX: usize = 1000;

/// Longest Subscription resource, in bytes.
pub const SUBSCRIPTION_BYTES_MAX: usize = 256 << 10;

/// Most events of a subscription that are kept after they were sent, for who asks for them again.
pub const EVENTS_KEPT_MAX: usize = 100;

/// What is the matter with a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubscriptionState {
    /// Somebody asked for it, and the server has not decided yet.
    Requested,
    /// Notifications are sent.
    Active,
    /// It was refused, or its endpoint could not be reached; the resource says why.
    Error,
    /// It is over.
    Off,
}

/// A Subscription resource as the server goes by it. It may hold secrets in its headers, so it prints nothing.
#[derive(Clone)]
pub struct Subscription {
    /// Its logical id.
    pub id: ResourceId,
    /// Its current version.
    pub version: VersionId,
    /// What is the matter with it.
    pub state: SubscriptionState,
    /// Whether changes are held against it now. An active one for which this is not so could not be understood any more.
    pub running: bool,
    /// The resource.
    pub resource: Json<'static>,
}

/// How a subscription ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubscriptionEnd<'a> {
    /// In an error, with the text for `Subscription.error`. No personal data, and nothing of the endpoint.
    Error(&'a str),
    /// Because its time is over.
    Off,
}

/// What one commit changed that a subscription asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// The commit.
    pub sequence: Sequence,
    /// The new versions, in the commit's order. Never empty.
    pub records: Vec<RecordRef>,
    /// The number of the first of them among all events of this subscription, from 1.
    pub number: u64,
}

/// How much of the records a notification is going to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotificationContent {
    /// That there is something. It tells of the criteria, so it is written down too.
    Empty,
    /// Which records.
    Ids,
    /// The records themselves.
    Full,
}

/// What the caller may send.
pub enum Announced {
    /// It is in the ledger.
    Send {
        /// The versions that are still there: those that were erased meanwhile are not among them.
        there: Vec<RecordRef>,
        /// Their contents, if they were asked for.
        shown: Vec<crate::Disclosed>,
    },
    /// Who asked for the subscription may be told nothing any more, for a reason that [`Vault::subscriber_end`] gives: nothing may be sent.
    SubscriberGone,
}

impl Vault {
    /// Calls `wake` whenever there is something to send or a Subscription has changed. It must be quick: it is called by writers.
    pub fn watch_subscriptions(&self, wake: impl Fn() + Send + Sync + 'static) {
        if let Some(indexing) = self.0.indexing() {
            indexing.subscribed.watch(Box::new(wake));
        }
    }

    /// Whether a Subscription was stored or deleted since this was asked last.
    pub fn subscriptions_changed(&self) -> bool {
        self.0.indexing().is_some_and(|indexing| indexing.subscribed.has_changed())
    }

    /// Whether a look with [`Vault::notifications`] is worth it. Quick.
    pub fn has_notifications(&self, id: &ResourceId, version: VersionId) -> bool {
        self.0.indexing().is_some_and(|indexing| indexing.subscribed.has_something(id, version))
    }

    /// How many events were sent since the subscription became active. None: it is not active in this version.
    pub fn events_sent(&self, id: &ResourceId, version: VersionId) -> Option<u64> {
        self.0.indexing()?.subscribed.with(id, version, |active| active.reached.events)
    }

    /// What is to be sent next, oldest first, at most `max` commits; the same again until [`Vault::notified`] is called. None: the
    /// subscription is not active in this version any more.
    ///
    /// Blocks: after a start it may open records to see which of them match.
    pub fn notifications(
        &self,
        id: &ResourceId,
        version: VersionId,
        max: usize,
    ) -> Result<Option<Vec<Notification>>, VaultError> {
        self.0.pending_notifications(id, version, max)
    }
}

impl Inner {
    fn subscribed(&self) -> Result<&Subscribed, VaultError> {
        let none =
            VaultError::NotSupported("subscriptions need the search index, and this store was opened without one");
        Ok(&self.indexing().ok_or(none)?.subscribed)
    }
}
