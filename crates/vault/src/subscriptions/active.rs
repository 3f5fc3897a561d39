//! The active subscriptions in memory: filters that each commit is held against, and what waits to be sent.

use super::Notification;
use super::row::{Reached, Subscriber};
use crate::access::Seen;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tacet_search::Change;
use tacet_search::document::Document;
use tacet_search::filter::Filter;
use tacet_search::matcher::matches;
use tacet_search::parameters::Parameters;
use tacet_types::{RecordRef, ResourceId, ResourceType, Sequence, Timestamp, VersionId};

/// Commits that wait for one subscription in memory. Later ones are found in the change feed when these are sent.
const WAITING_MAX: usize = 1000;

/// Who is to be woken.
type Wake = Box<dyn Fn() + Send + Sync>;

/// Who tells whether what somebody's rights hang on still stands. None: that cannot be told now.
pub(super) type Judge = Arc<dyn Fn(&str) -> Option<bool> + Send + Sync>;

/// A subscription's criteria, ready to be evaluated.
#[derive(Clone)]
pub(super) struct Criteria {
    pub(super) filter: Arc<Filter>,
    /// What who asked may see at the moment at which it is asked; none: everything.
    pub(super) seen: Option<Seen>,
    pub(super) types: Arc<[ResourceType]>,
    /// Of the parameters that it was compiled with.
    pub(super) fingerprint: [u8; 16],
    /// As the ledger names it.
    pub(super) query: Arc<str>,
    /// As it stands in the row, with the address of this server.
    pub(super) written: Arc<(String, String)>,
}

impl Criteria {
    /// Whether who asked is to be told of this.
    pub(super) fn fit(&self, document: &Document) -> bool {
        matches(&self.filter, document) && self.seen.as_ref().is_none_or(|seen| seen(document))
    }
}

/// An active subscription.
pub(super) struct Active {
    pub(super) version: VersionId,
    pub(super) criteria: Criteria,
    pub(super) subscriber: Subscriber,
    pub(super) reached: Reached,
    /// What is to be sent, by commit.
    waiting: BTreeMap<Sequence, Vec<RecordRef>>,
    /// Commits, first and last, that are looked up in the change feed before anything after the first of them is sent.
    pub(super) unseen: Option<(Sequence, Sequence)>,
    /// Until when it need not be looked up again whether who asked still may.
    pub(super) good_until: Timestamp,
}

impl Active {
    pub(super) fn new(version: VersionId, criteria: Criteria, subscriber: Subscriber, reached: Reached) -> Self {
        let good_until = Timestamp::from_ms(0);
        Self { version, criteria, subscriber, reached, waiting: BTreeMap::new(), unseen: None, good_until }
    }

    /// Takes in a commit; says whether there is something new.
    fn take_in(&mut self, sequence: Sequence, changes: &[Change], fingerprint: &[u8; 16]) -> bool {
        if sequence <= self.reached.sequence {
            return false;
        }
        let of_its_types = |change: &&Change| self.criteria.types.contains(&change.key.resource_type);
        if self.criteria.fingerprint != *fingerprint {
            // Compiled with other parameters than the documents were made with: it is compiled again when it is looked up.
            let concerned = changes.iter().any(|change| of_its_types(&change) && change.document.is_some());
            if concerned {
                self.look_up(sequence);
            }
            return concerned;
        }
        let fits = |change: &&Change| change.document.as_ref().is_some_and(|document| self.criteria.fit(document));
        let records: Vec<RecordRef> = changes.iter().filter(of_its_types).filter(fits).map(record).collect();
        let found = !records.is_empty();
        if found {
            self.put(sequence, records);
        }
        found
    }

    /// Puts what a commit changed into the queue, or leaves it to the change feed.
    pub(super) fn put(&mut self, sequence: Sequence, records: Vec<RecordRef>) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(sequence, records);
        } else {
            self.look_up(sequence);
        }
    }

    /// Has a commit looked up in the change feed.
    fn look_up(&mut self, sequence: Sequence) {
        let (from, to) = self.unseen.unwrap_or((sequence, sequence));
        self.unseen = Some((from.min(sequence), to.max(sequence)));
    }

    /// What can be sent: it comes before all that has to be looked up, and not after `last`.
    pub(super) fn ready(&self, last: Sequence, max: usize) -> Vec<Notification> {
        let mut number = self.reached.events;
        let before = |sequence: &Sequence| self.unseen.is_none_or(|(from, _)| *sequence < from);
        let ready = self.waiting.iter().take_while(|(sequence, _)| **sequence <= last && before(sequence)).take(max);
        let numbered = ready.map(|(sequence, records)| {
            let first = number.saturating_add(1);
            number = number.saturating_add(records.len() as u64);
            Notification { sequence: *sequence, records: records.clone(), number: first }
        });
        numbered.collect()
    }

    /// Room for what is looked up.
    pub(super) fn room(&self) -> usize {
        WAITING_MAX.saturating_sub(self.waiting.len())
    }

    /// Everything up to this commit was sent; gives what that was, too.
    pub(super) fn sent(&mut self, sequence: Sequence) -> (Reached, Vec<RecordRef>) {
        let mut records = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= sequence) {
            records.extend(first.remove());
        }
        self.reached.events = self.reached.events.saturating_add(records.len() as u64);
        self.reached.sequence = self.reached.sequence.max(sequence);
        (self.reached, records)
    }

    /// Whether nothing up to `last` waits.
    pub(super) fn is_done_up_to(&self, last: Sequence) -> bool {
        self.unseen.is_none() && self.waiting.first_key_value().is_none_or(|(first, _)| *first > last)
    }
}

fn record(change: &Change) -> RecordRef {
    RecordRef { resource_type: change.key.resource_type, id: change.key.id.clone(), version: change.version }
}

/// All active subscriptions.
#[derive(Default)]
pub(crate) struct Subscribed {
    actives: Mutex<HashMap<ResourceId, Active>>,
    /// Whether there are any: what a writer looks at where there are none.
    any: AtomicBool,
    /// A Subscription was stored or deleted.
    changed: AtomicBool,
    wake: Mutex<Option<Wake>>,
    judge: Mutex<Option<Judge>>,
}

impl Subscribed {
    pub(super) fn actives(&self) -> MutexGuard<'_, HashMap<ResourceId, Active>> {
        self.actives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a commit. Its writer waits for this, so where nobody subscribed it costs next to nothing.
    pub(crate) fn take_in(&self, sequence: Sequence, changes: &[Change], parameters: impl FnOnce() -> Parameters) {
        let own = |change: &&Change| change.key.resource_type.as_str() == "Subscription";
        let mut news = changes.iter().any(|change| own(&change));
        if !news && !self.any.load(Ordering::SeqCst) {
            return;
        }
        let mut actives = self.actives();
        for change in changes.iter().filter(own) {
            if actives.get(&change.key.id).is_some_and(|active| active.version < change.version) {
                actives.remove(&change.key.id);
            }
        }
        if news {
            self.changed.store(true, Ordering::SeqCst);
            self.any.store(!actives.is_empty(), Ordering::SeqCst);
        }
        if !actives.is_empty() {
            let fingerprint = parameters().fingerprint();
            for active in actives.values_mut() {
                news |= active.take_in(sequence, changes, &fingerprint);
            }
        }
        drop(actives);
        if news {
            self.wake();
        }
    }

    pub(super) fn watch(&self, wake: Wake) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    pub(super) fn set_judge(&self, judge: Judge) {
        *self.judge.lock().unwrap_or_else(PoisonError::into_inner) = Some(judge);
    }

    pub(super) fn judge(&self) -> Option<Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wake(&self) {
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed.swap(false, Ordering::SeqCst)
    }

    pub(super) fn is_running(&self, id: &ResourceId, version: VersionId) -> bool {
        self.actives().get(id).is_some_and(|active| active.version == version)
    }

    pub(super) fn has_something(&self, id: &ResourceId, version: VersionId) -> bool {
        match self.actives().get(id).filter(|active| active.version == version) {
            Some(active) => active.unseen.is_some() || !active.waiting.is_empty(),
            // Whoever looks finds out that it is over.
            None => true,
        }
    }

    /// Has commits held against a subscription from here on. False: there are too many.
    pub(super) fn insert(&self, id: &ResourceId, active: Active) -> bool {
        let mut actives = self.actives();
        if actives.len() >= super::SUBSCRIPTIONS_ACTIVE_MAX && !actives.contains_key(id) {
            return false;
        }
        actives.insert(id.clone(), active);
        self.any.store(true, Ordering::SeqCst);
        true
    }

    /// Ends that, if it is still about this version.
    pub(super) fn remove(&self, id: &ResourceId, version: VersionId) {
        let mut actives = self.actives();
        if actives.get(id).is_some_and(|active| active.version == version) {
            actives.remove(id);
        }
        self.any.store(!actives.is_empty(), Ordering::SeqCst);
    }

    /// Does something with one, if it is active in this version.
    pub(super) fn with<T>(&self, id: &ResourceId, version: VersionId, act: impl FnOnce(&mut Active) -> T) -> Option<T> {
        self.actives().get_mut(id).filter(|active| active.version == version).map(act)
    }
}
