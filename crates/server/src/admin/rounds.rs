//! What is done without being asked, at the start and every hour: who left loses the account, who came is proposed, security officers are
//! reminded, what has ended is cleared away. Each act has its entry in the ledger, under the program's own name.

use super::{leavers, newcomers};
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
    /// Accounts that were proposed.
    pub proposed: usize,
}

impl People {
    /// One round. A server makes one at its start and every hour.
    ///
    /// # Errors
    /// The store's. What was done before stays done.
    pub async fn round(&self, rng: &dyn Rng) -> Result<Round, PeopleError> {
        round(self, rng).await
    }

    /// What follows at once from what was stored of practitioners since. A server looks every minute in which something was stored.
    ///
    /// # Errors
    /// The store's. What was done before stays done.
    pub async fn follow_practitioners(&self, rng: &dyn Rng, since: Timestamp) -> Result<Round, PeopleError> {
        let closed = leavers::follow(self, rng, Some(since)).await?;
        Ok(Round { closed, proposed: newcomers::propose(self, rng, Some(since)).await?, reminded: 0 })
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
    let proposed = newcomers::propose(people, rng, None).await?;
    Ok(Round { closed: closed.len() + left, reminded, proposed })
}

/// Does at once what follows from what was stored of practitioners since.
pub(crate) async fn follow(people: &People, rng: &dyn Rng, since: Timestamp) {
    match people.follow_practitioners(rng, since).await {
        Ok(Round { closed, proposed, .. }) if closed + proposed > 0 => {
            tracing::info!(closed, proposed, "accounts closed: their people have left; accounts proposed for who came");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(error = %error, "what changed of practitioners could not be looked at"),
    }
}

/// A round that says in the log how it went. A failure waits for the next: nothing depends on a round for being refused in time.
pub(crate) async fn make(people: &People, rng: &dyn Rng) {
    match round(people, rng).await {
        Ok(Round { closed, reminded, proposed }) if closed + reminded + proposed > 0 => {
            tracing::info!(closed, reminded, proposed, "accounts closed by rule, reviews overdue, accounts proposed");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(error = %error, "a round over the accounts could not be finished"),
    }
}
