//! One feed: from its place on, over one connection after the other.

use super::config::{AuditFeedConfig, AuditFeedStart};
use super::link::{Broken, Connection, Link, Taken};
use super::{AuditFeedFigures, place, render};
use crate::app::Environment;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tacet_audit::Site;
use tacet_ledger::{Agent, Entry, EventKind, Outcome};
use tacet_types::OperationId;
use tacet_vault::{Caller, Vault};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// Entries read at once.
pub(super) const BATCH_ENTRIES: usize = 256;

/// Bytes after which a batch is sent before it is full.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// How often the ledger is looked at for new entries, in milliseconds.
const LOOK_MS: u64 = 250;

/// Least time between two writes of the place, in milliseconds: each is a commit.
const SAVE_MS: u64 = 1_000;

/// Batches that are remembered as sent and not settled. With more, the oldest are held together, and settle with the youngest of them.
const UNSETTLED_MAX: usize = 4_096;

pub(super) struct Feed {
    pub(super) name: String,
    pub(super) config: AuditFeedConfig,
    pub(super) link: Link,
    pub(super) vault: Vault,
    pub(super) site: Site,
    pub(super) environment: Environment,
    pub(super) caller: Caller,
    pub(super) figures: Arc<AuditFeedFigures>,
    pub(super) stopped: watch::Receiver<bool>,
    /// Entries that are sent at once: fewer after a receiver refused what is in them, so that one that it does not take holds up none before
    /// it, and so that what is too much for it at once goes in parts.
    pub(super) entries_max: usize,
}

/// How a connection ended.
enum Ended {
    /// It was told to stop.
    Stopped,
    /// It broke.
    Broken(Broken),
}

/// What was sent on this connection and has not settled: up to which entry, and when.
#[derive(Default)]
struct Sent(VecDeque<(u64, Instant)>);

impl Sent {
    fn add(&mut self, next: u64, at: Instant) {
        if self.0.len() >= UNSETTLED_MAX {
            self.0.pop_back();
        }
        self.0.push_back((next, at));
    }

    /// Up to where it has settled by now, if that is further than before.
    fn settled(&mut self, now: Instant, after: Duration) -> Option<u64> {
        let mut settled = None;
        while let Some((next, at)) = self.0.front()
            && now.duration_since(*at) >= after
        {
            settled = Some(*next);
            self.0.pop_front();
        }
        settled
    }
}

impl Feed {
    pub(super) async fn run(mut self) {
        let mut wait = self.config.retry_first_ms;
        let mut next = loop {
            match self.begin().await {
                Some(next) => break next,
                None if self.pause(wait).await => return,
                None => wait = self.longer(wait),
            }
        };
        wait = self.config.retry_first_ms;
        loop {
            self.figures.next.store(next, Ordering::Relaxed);
            let before = next;
            let ended = self.connection(&mut next).await;
            self.figures.connected.store(false, Ordering::Relaxed);
            let Ended::Broken(broken) = ended else { return };
            self.figures.breaks.fetch_add(1, Ordering::Relaxed);
            if matches!(broken, Broken::Status(400 | 413 | 422)) {
                self.entries_max = (self.entries_max / 2).max(1);
            }
            if next > before {
                wait = self.config.retry_first_ms;
            }
            tracing::warn!(
                feed = self.name,
                entry = next,
                retry_ms = wait,
                reason = broken.words(),
                "an audit feed is not connected"
            );
            if self.pause(wait).await {
                return;
            }
            wait = self.longer(wait);
        }
    }

    fn longer(&self, wait: u64) -> u64 {
        wait.saturating_mul(2).min(self.config.retry_wait_ms_max.max(self.config.retry_first_ms))
    }

    /// Waits; true: it is to stop.
    async fn pause(&mut self, ms: u64) -> bool {
        if *self.stopped.borrow() {
            return true;
        }
        tokio::select! {
            () = sleep(Duration::from_millis(ms)) => *self.stopped.borrow(),
            changed = self.stopped.changed() => changed.is_err() || *self.stopped.borrow(),
        }
    }

    /// The place of this feed; where it has none, it gets one.
    async fn begin(&self) -> Option<u64> {
        let found = place::read(&self.vault, &self.name);
        let size = self.vault.ledger_head().map(|head| head.map_or(0, |head| head.size()));
        let begun = match (found, size) {
            // A place beyond the ledger is of another ledger: an older one was brought back.
            (Ok(Some(next)), Ok(size)) => return Some(next.min(size)),
            (Ok(None), Ok(size)) => match self.config.start {
                AuditFeedStart::Now => size,
                AuditFeedStart::Beginning => 0,
            },
            _ => {
                tracing::error!(feed = self.name, "the place of an audit feed cannot be read");
                return None;
            }
        };
        let entry =
            self.entry(Outcome::Success, format!("audit feed {} is new and begins at entry {begun}", self.name));
        match place::write(&self.vault, &self.name, begun, vec![entry]).await {
            Ok(()) => Some(begun),
            Err(_) => {
                tracing::error!(feed = self.name, "the place of an audit feed cannot be written");
                None
            }
        }
    }

    /// Sends over one connection until it breaks or there is to be a stop. `next` follows what has settled.
    async fn connection(&mut self, next: &mut u64) -> Ended {
        let mut stopped = self.stopped.clone();
        let connecting = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let mut connection = tokio::select! {
            connected = self.link.connect() => match connected {
                Ok(connection) => connection,
                Err(broken) => return Ended::Broken(broken),
            },
            () = connecting => return Ended::Stopped,
        };
        // Before anything is sent.
        let began =
            self.entry(Outcome::Success, format!("audit feed {} is connected and sends from entry {next}", self.name));
        if place::write(&self.vault, &self.name, *next, vec![began]).await.is_err() {
            return Ended::Broken(Broken::Store);
        }
        self.figures.connected.store(true, Ordering::Relaxed);
        tracing::info!(feed = self.name, entry = *next, "an audit feed is connected");
        let mut sent_to = *next;
        let ended = self.send(&mut connection, next, &mut sent_to).await;
        let (outcome, why) = match &ended {
            Ended::Stopped => {
                // A receiver that closes after it has read to the end has all of it.
                if connection.finish().await {
                    *next = sent_to;
                }
                (Outcome::Success, "the server stops".to_owned())
            }
            Ended::Broken(broken) => (Outcome::Failed, broken.words()),
        };
        let words =
            format!("audit feed {} ends, sent to before entry {sent_to}, goes on at entry {next}: {why}", self.name);
        // Where the store has failed this cannot be written; the place is then the last one that was.
        let _ = place::write(&self.vault, &self.name, *next, vec![self.entry(outcome, words)]).await;
        self.figures.next.store(*next, Ordering::Relaxed);
        ended
    }

    async fn send(&mut self, connection: &mut Connection, next: &mut u64, sent_to: &mut u64) -> Ended {
        let settle = Duration::from_millis(self.config.settle_ms);
        let (mut sent, mut saved, mut saved_at) = (Sent::default(), *next, Instant::now());
        loop {
            if *self.stopped.borrow() {
                return Ended::Stopped;
            }
            if let Some(settled) = sent.settled(Instant::now(), settle).filter(|settled| *settled > *next) {
                *next = settled;
                self.figures.next.store(settled, Ordering::Relaxed);
            }
            if *next != saved && saved_at.elapsed() >= Duration::from_millis(SAVE_MS) {
                if place::write(&self.vault, &self.name, *next, Vec::new()).await.is_err() {
                    return Ended::Broken(Broken::Store);
                }
                (saved, saved_at) = (*next, Instant::now());
            }
            let Ok((bytes, to)) = self.batch(*sent_to).await else { return Ended::Broken(Broken::Store) };
            if to == *sent_to {
                let mut stopped = self.stopped.clone();
                tokio::select! {
                    () = sleep(Duration::from_millis(LOOK_MS)) => {}
                    broken = connection.closed() => return Ended::Broken(broken),
                    _ = stopped.changed() => {}
                }
                continue;
            }
            let entries = to - *sent_to;
            let taken = match bytes.is_empty() {
                true => Taken::Unknown,
                false => match connection.send(bytes).await {
                    Ok(taken) => taken,
                    Err(broken) => return Ended::Broken(broken),
                },
            };
            *sent_to = to;
            self.figures.sent.fetch_add(entries, Ordering::Relaxed);
            match taken {
                Taken::Unknown => sent.add(to, Instant::now()),
                Taken::Said => {
                    self.entries_max = self.entries_max.saturating_mul(2).min(BATCH_ENTRIES);
                    *next = to;
                    self.figures.next.store(to, Ordering::Relaxed);
                }
            }
        }
    }

    /// The messages of the next entries, and up to where they go.
    async fn batch(&self, from: u64) -> Result<(Vec<u8>, u64), ()> {
        let (vault, config, site) = (self.vault.clone(), self.config.clone(), self.site.clone());
        let (name, max) = (self.name.clone(), self.entries_max);
        let made = spawn_blocking(move || {
            let entries = vault.feed_entries(from, max).map_err(|error| {
                tracing::error!(feed = name, %error, "an audit feed cannot read the ledger");
            })?;
            let (mut messages, mut bytes, mut to) = (Vec::new(), 0, from);
            for (index, entry) in entries {
                // What is past its retention opens for nobody.
                if let Some(entry) = entry {
                    let message = render::message(index, &entry, &config, &site, &vault);
                    bytes += message.len();
                    messages.push(message);
                }
                to = index + 1;
                if bytes >= BATCH_BYTES_MAX {
                    break;
                }
            }
            let together = if messages.is_empty() { Vec::new() } else { render::together(&messages, &config) };
            Ok((together, to))
        });
        made.await.unwrap_or(Err(()))
    }

    /// What the ledger says of this feed: the ledger was read, by whom it is sent, in whose name.
    fn entry(&self, outcome: Outcome, words: String) -> Entry {
        let caller = &self.caller;
        let agent = Agent { owner: caller.owner.clone(), role: caller.role.as_str().to_owned(), token: None };
        let operation = OperationId::random(&*self.environment.rng);
        let now = self.environment.clock.now();
        let mut entry = Entry::new(now, EventKind::LedgerAccess, agent, caller.purpose, operation);
        entry.origin = caller.origin;
        entry.outcome = outcome;
        entry.detail = Some(words);
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_what_lies_sent_long_enough() {
        let (start, after) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut sent = Sent::default();
        for (next, second) in [(5, 0), (9, 4), (12, 8)] {
            sent.add(next, at(second));
        }
        assert_eq!(sent.settled(at(9), after), None);
        assert_eq!(sent.settled(at(14), after), Some(9));
        assert_eq!(sent.settled(at(14), after), None);
        assert_eq!(sent.settled(at(99), after), Some(12));
        // Too many to remember settle late, never early.
        for next in 0..UNSETTLED_MAX as u64 + 10 {
            sent.add(next, at(next));
        }
        assert_eq!(sent.0.len(), UNSETTLED_MAX);
        assert_eq!(sent.settled(at(UNSETTLED_MAX as u64 + 30), after), Some(UNSETTLED_MAX as u64 + 9));
    }
}
