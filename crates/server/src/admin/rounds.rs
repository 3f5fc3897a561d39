//! What is done without being asked, at the start and every hour: who left loses the account, security officers are reminded, what has ended
//! is cleared away. Each act has its entry in the ledger, under the program's own name.

use super::leavers;
use crate::people::{People, PeopleError};
use tacet_identity::Actor;
use tacet_ledger::{Channel, Origin};
use tacet_smart::Asked;
use tacet_types::{OperationId, Rng, Timestamp};

/// How often, in milliseconds.
pub(crate) const ROUND_MS: u64 = 3_600_000;

/// Under which name the ledger has what a round did.
const NAME: &str = "tacet: rounds";

/// Most sweeps of one round: what is left waits for the next.
const SWEEPS_MAX: usize = 64;

/// What a round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Round {
    /// Accounts that were closed.
    pub closed: usize,
    /// Reviews of which somebody was reminded.
    pub reminded: usize,
}

impl People {
    /// One round. A server makes one at its start and every hour.
    ///
    /// # Errors
    /// The store's. What was done before stays done.
    pub async fn round(&self, rng: &dyn Rng) -> Result<Round, PeopleError> {
        round(self, rng).await
    }
}

async fn round(people: &People, rng: &dyn Rng) -> Result<Round, PeopleError> {
    let origin = Origin { address: None, channel: Channel::Internal };
    let operation = OperationId::random(rng);
    let actor = Actor::machine(NAME, None, origin, operation);
    let (identity, smart) = (&people.identity, &people.smart);
    let closed = identity.close_due(&actor).await?;
    for due in &closed {
        smart.revoke_account(due.account.as_str(), NAME, Asked { origin, operation }).await?;
    }
    let reminded = identity.remind_overdue().await?;
    for _ in 0..SWEEPS_MAX {
        let (sessions, swept) = (identity.sweep_sessions().await?, smart.sweep().await?);
        if sessions == 0 && !swept.more {
            break;
        }
    }
    // Last: it asks the search index, and while that is being made nothing else is to wait.
    let left = leavers::follow(people, rng, None).await?;
    Ok(Round { closed: closed.len() + left, reminded })
}

/// Does at once what follows from what was stored of practitioners since.
pub(crate) async fn follow(people: &People, rng: &dyn Rng, since: Timestamp) {
    match leavers::follow(people, rng, Some(since)).await {
        Ok(0) => {}
        Ok(closed) => tracing::info!(closed, "accounts closed: their people have left"),
        Err(error) => tracing::error!(error = %error, "what changed of practitioners could not be looked at"),
    }
}

/// A round that says in the log how it went. A failure waits for the next: nothing depends on a round for being refused in time.
pub(crate) async fn make(people: &People, rng: &dyn Rng) {
    match round(people, rng).await {
        Ok(Round { closed, reminded }) if closed + reminded > 0 => {
            tracing::info!(closed, reminded, "accounts closed by rule, reviews overdue");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(error = %error, "a round over the accounts could not be finished"),
    }
}
