//! The tasks: one that sees which subscriptions there are, and one for each of them, so that a slow endpoint delays nobody else's
//! notifications and each subscription's come in order.

use super::SubscriptionsConfig;
use super::client::{Client, Failure, Message};
use super::decide::{Delivery, Form, decide};
use super::notice::{self, About};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tacet_types::{Clock, RecordRef, ResourceId, Rng, Timestamp, VersionId};
use tacet_vault::{
    Announced, Notification, SubscriberEnd, Subscription, SubscriptionEnd, SubscriptionState, Vault, VaultError,
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How often a task looks at the clock, in milliseconds: for ends, heartbeats and what could not be done a moment ago.
const TICK_MS: u64 = 1_000;

/// Commits taken from the store at a time.
const BATCH_COMMITS: usize = 100;

/// Ticks between two notes of how far the quiet subscriptions have come.
const SETTLE_TICKS: u32 = 10;

/// Attempts at a handshake.
const HANDSHAKES_MAX: u32 = 3;

/// How often it is looked whether who asked still may be told something, where nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What stands in the resource where who asked may be told nothing any more.
fn gone(end: SubscriberEnd) -> &'static str {
    match end {
        SubscriberEnd::Token | SubscriberEnd::Replaced => {
            "the token with which it was asked for was revoked or has expired: store it again with another token"
        }
        SubscriberEnd::Grant => {
            "what let its app in has ended: it was taken back, the session is over, or its time is; start the app anew and store it again \
             (`offline_access` outlives a session)"
        }
        SubscriberEnd::Role => "who asked for it may not read records any more",
    }
}

/// What all tasks share.
pub(super) struct Shared {
    pub(super) vault: Vault,
    pub(super) config: SubscriptionsConfig,
    pub(super) base_url: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) client: Client,
    pub(super) sends: Semaphore,
    pub(super) news: watch::Sender<()>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Why a task has no more to do.
enum Over {
    /// It must end so.
    Error(String),
    /// Its time is over.
    Off,
    /// It is another by now, or the program stops.
    Gone,
}

/// Starts and ends the tasks until the program stops.
pub(super) async fn supervise(shared: Arc<Shared>) {
    let mut tasks: HashMap<ResourceId, (VersionId, JoinHandle<()>)> = HashMap::new();
    let mut news = shared.news.subscribe();
    let mut stopped = shared.stopped.clone();
    let (mut look, mut ticks) = (true, 0u32);
    while !*stopped.borrow_and_update() {
        look |= shared.vault.subscriptions_changed();
        if look {
            let vault = shared.vault.clone();
            match tokio::task::spawn_blocking(move || vault.subscriptions()).await {
                Ok(Ok(subscriptions)) => {
                    look = false;
                    bring_in_line(&shared, &mut tasks, subscriptions);
                }
                Ok(Err(error)) => tracing::error!(%error, "the subscriptions could not be read"),
                Err(_) => tracing::error!("reading the subscriptions broke off"),
            }
        }
        tokio::select! {
            _ = news.changed() => {}
            _ = stopped.changed() => {}
            () = sleep(Duration::from_millis(TICK_MS)) => {
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(SETTLE_TICKS)
                    && let Err(error) = shared.vault.settle_subscriptions(false).await
                {
                    tracing::warn!(%error, "how far subscriptions have come could not be noted");
                }
            }
        }
    }
    for (_, (_, task)) in tasks {
        let _ = task.await;
    }
}

fn bring_in_line(
    shared: &Arc<Shared>,
    tasks: &mut HashMap<ResourceId, (VersionId, JoinHandle<()>)>,
    subscriptions: Vec<Subscription>,
) {
    let mut there: HashMap<ResourceId, Subscription> =
        subscriptions.into_iter().map(|subscription| (subscription.id.clone(), subscription)).collect();
    tasks.retain(|id, (version, task)| {
        let served = there.get(id).is_some_and(|now| {
            let activated = now.state == SubscriptionState::Active && now.version == version.next();
            now.version == *version || activated
        });
        if served && !task.is_finished() {
            there.remove(id);
            return true;
        }
        if !served {
            task.abort();
        }
        false
    });
    for (id, subscription) in there {
        if matches!(subscription.state, SubscriptionState::Requested | SubscriptionState::Active) {
            let version = subscription.version;
            let task = Task { shared: Arc::clone(shared), id: id.clone(), version };
            tasks.insert(id, (version, tokio::spawn(task.run(subscription))));
        }
    }
}

/// One subscription in one version.
struct Task {
    shared: Arc<Shared>,
    id: ResourceId,
    version: VersionId,
}

impl Task {
    async fn run(mut self, subscription: Subscription) {
        let over = match self.serve(&subscription).await {
            Ok(()) => return,
            Err(over) => over,
        };
        let end = match &over {
            Over::Error(text) => SubscriptionEnd::Error(text),
            Over::Off => SubscriptionEnd::Off,
            Over::Gone => return,
        };
        let state = if matches!(over, Over::Off) { "off" } else { "error" };
        loop {
            match self.shared.vault.end_subscription(&self.id, self.version, end).await {
                Ok(()) => return tracing::info!(state, "a subscription has ended"),
                Err(VaultError::Conflict) => return,
                Err(error) => tracing::warn!(%error, "the end of a subscription could not be written"),
            }
            if self.rest(Duration::from_millis(TICK_MS)).await.is_err() {
                return;
            }
        }
    }

    async fn serve(&mut self, subscription: &Subscription) -> Result<(), Over> {
        let delivery =
            decide(&subscription.resource, &self.shared.config, &self.shared.base_url).map_err(Over::Error)?;
        self.not_past(&delivery)?;
        if subscription.state == SubscriptionState::Requested {
            self.activate(&delivery).await?;
            tracing::info!("a subscription is active");
        } else if !subscription.running {
            return Err(Over::Error("its criteria cannot be understood any more".to_owned()));
        }
        self.deliver(&delivery).await
    }

    fn not_past(&self, delivery: &Delivery) -> Result<(), Over> {
        if delivery.end.is_some_and(|end| end <= self.shared.clock.now()) { Err(Over::Off) } else { Ok(()) }
    }

    /// Waits, unless the program stops.
    async fn rest(&self, time: Duration) -> Result<(), Over> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            () = sleep(time) => Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => Err(Over::Gone),
        }
    }

    async fn activate(&mut self, delivery: &Delivery) -> Result<(), Over> {
        if delivery.topic.is_some() {
            let mut attempt = 1;
            loop {
                let message = notice::state(&self.about(delivery), "requested", "handshake", 0);
                let place = self.place().await?;
                let sent = self.send(delivery, &message).await?;
                drop(place);
                match sent {
                    Ok(()) => break,
                    Err(failure) if attempt >= HANDSHAKES_MAX => {
                        return Err(Over::Error(format!(
                            "the endpoint did not take the handshake: {}",
                            failure.words()
                        )));
                    }
                    Err(_) => self.rest(self.pause(attempt)).await?,
                }
                attempt += 1;
            }
        }
        loop {
            let Shared { vault, base_url, .. } = self.shared.as_ref();
            match vault.activate_subscription(&self.id, self.version, &delivery.criteria, base_url).await {
                Ok(version) => {
                    self.version = version;
                    return Ok(());
                }
                Err(VaultError::Conflict) => return Err(Over::Gone),
                // The index is not there yet, or the store cannot write.
                Err(error @ (VaultError::Indexing(_) | VaultError::Index(_) | VaultError::Unavailable(_))) => {
                    tracing::debug!(%error, "a subscription waits");
                }
                Err(error) => {
                    let issues = error.issues();
                    let why = issues.first().map(|issue| issue.message.clone()).unwrap_or_default();
                    return Err(Over::Error(format!("the criteria cannot be used: {why}")));
                }
            }
            self.rest(Duration::from_millis(TICK_MS)).await?;
        }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), Over> {
        let mut news = self.shared.news.subscribe();
        let mut stopped = self.shared.stopped.clone();
        let mut last_sent = Instant::now();
        let mut looked: Option<Instant> = None;
        loop {
            news.borrow_and_update();
            self.not_past(delivery)?;
            // Also where nothing happens: nobody is to think that something would be sent.
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                looked = Some(Instant::now());
                if let Some(over) = self.subscriber_gone()? {
                    return Err(over);
                }
            }
            let mut wait = Duration::from_millis(TICK_MS);
            if self.shared.vault.has_notifications(&self.id, self.version) {
                let (vault, id, version) = (self.shared.vault.clone(), self.id.clone(), self.version);
                let found = tokio::task::spawn_blocking(move || vault.notifications(&id, version, BATCH_COMMITS)).await;
                match found {
                    Ok(Ok(None)) => return Err(Over::Gone),
                    Ok(Ok(Some(batch))) => {
                        for notification in &batch {
                            self.not_past(delivery)?;
                            self.send_all(delivery, notification).await?;
                            last_sent = Instant::now();
                            if let Err(error) =
                                self.shared.vault.notified(&self.id, self.version, notification.sequence).await
                            {
                                tracing::warn!(%error, "a notification that was sent could not be noted: it may be sent again");
                            }
                        }
                        if !batch.is_empty() {
                            continue;
                        }
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "what is to be notified could not be looked up"),
                    Err(_) => tracing::error!("looking up what is to be notified broke off"),
                }
            }
            if let Some(period) = delivery.heartbeat {
                let quiet = last_sent.elapsed();
                if quiet >= period {
                    if let Some(over) = self.subscriber_gone()? {
                        return Err(over);
                    }
                    let sent = self.shared.vault.events_sent(&self.id, self.version).unwrap_or(0);
                    let message = notice::state(&self.about(delivery), "active", "heartbeat", sent);
                    // A missed one is made good by the next; an endpoint that is gone shows when there is something to say.
                    let place = self.place().await?;
                    let _ = self.send(delivery, &message).await?;
                    drop(place);
                    last_sent = Instant::now();
                } else {
                    wait = wait.min(period.saturating_sub(quiet));
                }
            }
            tokio::select! {
                _ = news.changed() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return Err(Over::Gone),
                () = sleep(wait) => {}
            }
        }
    }

    /// Sends what one commit changed, in as many messages as its form asks for.
    async fn send_all(&self, delivery: &Delivery, notification: &Notification) -> Result<(), Over> {
        let mut first = notification.number;
        for records in notification.records.chunks(delivery.events.max(1)) {
            self.send_stubbornly(delivery, records, first).await?;
            first = first.saturating_add(records.len() as u64);
        }
        Ok(())
    }

    /// Sends one message until it is taken. Each attempt is in the ledger before it is made.
    async fn send_stubbornly(&self, delivery: &Delivery, records: &[RecordRef], first: u64) -> Result<(), Over> {
        let mut failed: Option<(u32, Timestamp)> = None;
        loop {
            self.not_past(delivery)?;
            let why = match self.attempt(delivery, records, first).await? {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            let now = self.shared.clock.now();
            let (attempts, since) = failed.map_or((1, now), |(attempts, since)| (attempts + 1, since));
            failed = Some((attempts, since));
            let time = u64::try_from(now.as_ms().saturating_sub(since.as_ms())).unwrap_or(0);
            let Shared { config, .. } = self.shared.as_ref();
            if attempts >= config.attempts_max || time >= config.retry_ms_max {
                return Err(Over::Error(format!("a notification could not be sent in {attempts} attempts: {why}")));
            }
            tracing::warn!(why, attempts, "a notification was not taken");
            self.rest(self.pause(attempts)).await?;
        }
    }

    /// One attempt; says why it failed.
    async fn attempt(
        &self,
        delivery: &Delivery,
        records: &[RecordRef],
        first: u64,
    ) -> Result<Result<(), String>, Over> {
        // Before anything is opened: so many records are held at a time, and no more.
        let _place = self.place().await?;
        let content = delivery.form.content();
        let (there, shown) = match self.shared.vault.announce(&self.id, self.version, records, content).await {
            Ok(Announced::Send { there, shown }) => (there, shown),
            Ok(Announced::SubscriberGone) => {
                return Err(self
                    .subscriber_gone()?
                    .unwrap_or_else(|| Over::Error(gone(SubscriberEnd::Token).to_owned())));
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        // Numbers stay those of the records, whatever was erased before it could be sent.
        let numbered = records.iter().zip(first..).filter(|(record, _)| there.contains(record));
        let events: Vec<(&RecordRef, u64)> = numbered.collect();
        if events.is_empty() {
            return Ok(Ok(()));
        }
        let message = match delivery.form {
            Form::Bundle(content) => Some(notice::events(&self.about(delivery), content, &events, &shown)),
            Form::Ping | Form::Put => notice::plain(delivery, &shown),
        };
        let Some(message) = message else { return Ok(Ok(())) };
        drop(shown);
        Ok(self.send(delivery, &message).await?.map_err(Failure::words))
    }

    /// Why it must end, where who asked for it may be told nothing any more. Where that cannot be told now it is asked again.
    fn subscriber_gone(&self) -> Result<Option<Over>, Over> {
        match self.shared.vault.subscriber_end(&self.id, self.version) {
            Ok(None) => Ok(None),
            Ok(Some(SubscriberEnd::Replaced)) => Err(Over::Gone),
            Ok(Some(end)) => Ok(Some(Over::Error(gone(end).to_owned()))),
            Err(error) => {
                tracing::warn!(%error, "whether a subscription may go on could not be told");
                Ok(None)
            }
        }
    }

    /// A place among those that send.
    async fn place(&self) -> Result<Option<SemaphorePermit<'_>>, Over> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            place = self.shared.sends.acquire() => Ok(place.ok()),
            _ = stopped.wait_for(|stopped| *stopped) => Err(Over::Gone),
        }
    }

    async fn send(&self, delivery: &Delivery, message: &Message) -> Result<Result<(), Failure>, Over> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            sent = self.shared.client.send(&delivery.endpoint, &delivery.headers, message) => Ok(sent),
            _ = stopped.wait_for(|stopped| *stopped) => Err(Over::Gone),
        }
    }

    /// How long to wait after so many failed attempts: twice as long each time, up to a bound, less up to a half by chance, so that
    /// those who failed together do not come again together.
    fn pause(&self, attempts: u32) -> Duration {
        let Shared { config, rng, .. } = self.shared.as_ref();
        let doubled = config.retry_first_ms.saturating_mul(1 << attempts.saturating_sub(1).min(32));
        let wait = doubled.min(config.retry_wait_ms_max);
        Duration::from_millis(wait - rng.below(wait / 2 + 1))
    }

    fn about<'a>(&'a self, delivery: &'a Delivery) -> About<'a> {
        let Shared { base_url, clock, rng, .. } = self.shared.as_ref();
        let topic = delivery.topic.as_deref().unwrap_or_default();
        let ids = [ResourceId::random(rng.as_ref()), ResourceId::random(rng.as_ref())];
        About { id: &self.id, base_url, topic, now: clock.now(), ids }
    }
}
