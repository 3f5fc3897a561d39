//! Whether who asked for a subscription still may: by a token of this store, or by what somebody else let them in with (an app's grant, a session), who is asked
//! whether it stands.

use super::row::Subscriber;
use crate::error::VaultError;
use crate::vault::Vault;
use std::sync::Arc;
use tacet_types::{ResourceId, Timestamp, VersionId};

/// How long an answer is trusted without looking again, in milliseconds: what was revoked stops the sending within this time.
const TRUST_MS: i64 = 5_000;

/// Why nothing is sent any more in the name of who asked for a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubscriberEnd {
    /// Their token was revoked, or has expired.
    Token,
    /// What they were let in with stands no more.
    Grant,
    /// Their role reads no records.
    Role,
    /// It is another subscription by now, or none that is active.
    Replaced,
}

impl Vault {
    /// Has `judge` tell whether what somebody's rights hang on ([`crate::Caller::hangs_on`]) still stands; None where that cannot be told now. Without one nothing
    /// is sent to those whose rights hang on something else than a token of this store.
    pub fn judge_subscribers(&self, judge: impl Fn(&str) -> Option<bool> + Send + Sync + 'static) {
        if let Some(indexing) = self.0.indexing() {
            indexing.subscribed.set_judge(Arc::new(judge));
        }
    }

    /// Whether who asked for a subscription may be told nothing any more, and why.
    ///
    /// # Errors
    /// The store's; and where it cannot be told now, in which case nothing may be sent.
    pub fn subscriber_end(&self, id: &ResourceId, version: VersionId) -> Result<Option<SubscriberEnd>, VaultError> {
        let subscribed = self.0.subscribed()?;
        let asked = subscribed.with(id, version, |active| (active.subscriber.clone(), active.good_until));
        let Some((subscriber, good_until)) = asked else { return Ok(Some(SubscriberEnd::Replaced)) };
        if !subscriber.reads_records() {
            return Ok(Some(SubscriberEnd::Role));
        }
        let now = self.0.clock.now();
        // An answer that is trusted for longer is of before the clock was set back.
        if good_until > now && good_until <= now.plus_ms(TRUST_MS) {
            return Ok(None);
        }
        let good_until = match self.look_up(&subscriber, now)? {
            Ok(good_until) => good_until.min(now.plus_ms(TRUST_MS)),
            Err(end) => return Ok(Some(end)),
        };
        subscribed.with(id, version, |active| active.good_until = good_until);
        Ok(None)
    }

    /// Until when they certainly may, or why they may not.
    fn look_up(&self, subscriber: &Subscriber, now: Timestamp) -> Result<Result<Timestamp, SubscriberEnd>, VaultError> {
        if let Some(hangs_on) = subscriber.hangs_on() {
            let stands = self.0.subscribed()?.judge().and_then(|judge| judge(hangs_on));
            let unknown =
                || VaultError::Unavailable("nobody can tell whether what an app was given still stands".into());
            return Ok(if stands.ok_or_else(unknown)? { Ok(now.plus_ms(TRUST_MS)) } else { Err(SubscriberEnd::Grant) });
        }
        let Some(token) = subscriber.token.as_deref() else { return Ok(Ok(now.plus_ms(TRUST_MS))) };
        let ends = self.tokens()?.into_iter().find(|known| known.id == token).map(|known| known.expires);
        Ok(ends.filter(|ends| *ends > now).ok_or(SubscriberEnd::Token))
    }
}
