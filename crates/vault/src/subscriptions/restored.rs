//! Numbers of events after a restore. Those that were given after the snapshot are not known any more and would be given again: a subscriber who had seen
//! up to 120 takes the new 101 to 120 for what it has. So every subscription's numbers go on far ahead, and each subscriber sees a gap, which says that
//! there is something to be fetched (<https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html#event-numbering>).

use super::SubscriptionState;
use super::row::Reached;
use crate::error::VaultError;
use crate::vault::Vault;

/// How far ahead the numbers go on: more than were sent in between, whatever it was, and for thousands of restores still a number that every reader of JSON
/// holds exactly (2^53).
pub const EVENTS_AHEAD: u64 = 1_000_000_000_000;

/// Nothing where a row is there and cannot be read. What lies under the rows may fail for a while, and that is told.
pub(super) fn readable<T>(read: Result<T, VaultError>) -> Result<Option<T>, VaultError> {
    match read {
        Err(error @ VaultError::Unavailable(_)) => Err(error),
        read => Ok(read.ok()),
    }
}

impl Vault {
    /// Lets the numbers of the events of every active subscription go on [`EVENTS_AHEAD`] further than they stand. Gives how many subscriptions there are. Call it
    /// before anything is sent. One that cannot be read is sent nothing, and is passed over.
    ///
    /// # Errors
    /// The store's. Done again, the numbers go on still further.
    pub async fn advance_event_numbers(&self) -> Result<usize, VaultError> {
        let inner = &self.0;
        let mut advanced = 0;
        for definition in inner.readable_subscriptions()? {
            if definition.state != SubscriptionState::Active {
                continue;
            }
            let (id, version) = (&definition.id, definition.version);
            let in_memory = inner.indexing().and_then(|indexing| {
                indexing.subscribed.with(id, version, |active| {
                    active.reached.events = active.reached.events.saturating_add(EVENTS_AHEAD);
                    active.reached
                })
            });
            let reached = match in_memory {
                Some(reached) => Some(reached),
                None => readable(inner.reached_of_subscription(id))?
                    .flatten()
                    .map(|reached| Reached { events: reached.events.saturating_add(EVENTS_AHEAD), ..reached }),
            };
            if let Some(reached) = reached {
                inner.write_reached(id, version, reached, None).await?;
                advanced += 1;
            }
        }
        Ok(advanced)
    }
}
