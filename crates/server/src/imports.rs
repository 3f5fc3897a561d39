//! Imports: NDJSON stored in units of lines, at once or in the background, and what became of it.
//!
//! A unit is done once, whoever sends it: an import that was cut off is sent again, and goes on where it stopped. What is known of
//! an import stands in memory only, and names lines and places, never what stood there.

use crate::service::RecordService;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tacet_fhir::outcome::{Issue, IssueType, operation_outcome_bytes};
use tacet_types::{OperationId, ResourceType, Timestamp};
use tacet_vault::{Caller, ImportOptions, ImportUnit, Rejected, VaultError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Imports in the background at a time.
pub(crate) const IMPORTS_RUNNING_MAX: usize = 2;

/// Imports whose outcome is kept.
const IMPORTS_KEPT_MAX: usize = 100;

/// How long the outcome of an import is kept, in milliseconds: a day.
pub(crate) const IMPORT_LIFE_MS: i64 = 86_400_000;

/// Lines of a unit: enough to make a commit worth its sync, few enough for other writers to come in between.
const UNIT_LINES: usize = 256;

/// Bytes after which a unit is closed.
const UNIT_BYTES: usize = 4 << 20;

/// Lines left out that are told one by one; more are counted.
const REJECTED_LISTED_MAX: usize = 1000;

/// Longest wait for the key keeper before it is asked again, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;

/// When to come again where as many run as may, in milliseconds.
const BUSY_RETRY_MS: u64 = 10_000;

/// How long a stop waits for imports to come to the end of their unit, in milliseconds.
const STOP_MS: u64 = 30_000;

/// What became of an import.
#[derive(Default)]
pub(crate) struct Outcome {
    stored: BTreeMap<ResourceType, u64>,
    lines_before: u64,
    rejected: Vec<Rejected>,
    rejected_total: u64,
    /// The line from which on nothing was stored, and why.
    pub(crate) stopped: Option<(u64, VaultError)>,
}

impl Outcome {
    /// Of an import that ended with this before its first line.
    pub(crate) fn stopped(error: VaultError) -> Self {
        Self { stopped: Some((1, error)), ..Self::default() }
    }

    /// Whether it came to nothing: then its error is the answer.
    pub(crate) fn is_nothing(&self) -> bool {
        self.stored.is_empty() && self.lines_before == 0 && self.rejected_total == 0
    }

    /// As a Parameters resource. Of what was left out it tells the line and what is wrong, no value.
    pub(crate) fn parameters(&self, operation: &OperationId) -> Vec<u8> {
        let number = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
        let left_out = |name: &str, line: u64, issues: &[Issue]| {
            let outcome: Value =
                serde_json::from_slice(&operation_outcome_bytes(issues, Some(operation))).unwrap_or_default();
            json!({ "name": name, "part": [
                { "name": "line", "valueInteger": number(line) }, { "name": "outcome", "resource": outcome } ] })
        };
        let mut parameters: Vec<Value> = Vec::new();
        for (resource_type, count) in &self.stored {
            parameters.push(json!({ "name": "stored", "part": [
                { "name": "type", "valueCode": resource_type.as_str() }, { "name": "count", "valueInteger": number(*count) } ] }));
        }
        parameters.push(json!({ "name": "storedBefore", "valueInteger": number(self.lines_before) }));
        parameters.push(json!({ "name": "rejectedTotal", "valueInteger": number(self.rejected_total) }));
        parameters.extend(self.rejected.iter().map(|record| left_out("rejected", record.position, &record.issues)));
        parameters.extend(self.stopped.iter().map(|(line, error)| left_out("stopped", *line, &error.issues())));
        json!({ "resourceType": "Parameters", "parameter": parameters }).to_string().into_bytes()
    }
}

/// An import that is under way, or was.
#[derive(Default)]
pub(crate) struct Job {
    owner: String,
    account: Option<String>,
    all: u64,
    done: AtomicU64,
    given_up: AtomicBool,
    woken: Notify,
    /// When it ended, and how.
    ended: Mutex<Option<(Timestamp, Arc<Outcome>)>>,
}

impl Job {
    /// Of an import of `body`.
    pub(crate) fn new(caller: &Caller, body: &[u8]) -> Self {
        let (owner, account) = (caller.owner.clone(), caller.account.clone());
        Self { owner, account, all: lines(body).count() as u64, ..Self::default() }
    }

    /// Lines done, and lines in all.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all)
    }

    /// When and how it ended. None: it has not.
    pub(crate) fn ended(&self) -> Option<(Timestamp, Arc<Outcome>)> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn end(&self, at: Timestamp, outcome: Outcome) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Arc::new(outcome)));
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.woken.notify_one();
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.ended().is_some_and(|(at, _)| at.plus_ms(IMPORT_LIFE_MS) <= now)
    }

    /// Stores the lines, unit by unit, until it is given up or cannot go on. Where the key keeper lets out no more keys it waits.
    pub(crate) async fn run<S: RecordService>(
        &self,
        service: &S,
        caller: &Caller,
        body: &[u8],
        options: ImportOptions<'_>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut lines = lines(body).peekable();
        while let Some((first, _)) = lines.peek().copied() {
            let (mut unit, mut bytes) = (Vec::new(), 0usize);
            while let Some(line) = lines.next_if(|_| unit.len() < UNIT_LINES && bytes < UNIT_BYTES) {
                bytes = bytes.saturating_add(line.1.len());
                unit.push(line);
            }
            let count = unit.len() as u64;
            let unit = ImportUnit::Resources(unit);
            let done = loop {
                if self.given_up.load(Ordering::Relaxed) {
                    outcome.stopped = Some((first, given_up()));
                    return outcome;
                }
                match service.import(caller, &unit, options).await {
                    Err(VaultError::RateExceeded { retry_after_ms }) => {
                        let wait = Duration::from_millis(retry_after_ms.clamp(1, WAIT_MS_MAX));
                        let _ = timeout(wait, self.woken.notified()).await;
                    }
                    done => break done,
                }
            };
            match done {
                Ok(done) => outcome.add(done, count),
                Err(error) => {
                    outcome.stopped = Some((first, error));
                    return outcome;
                }
            }
            self.done.fetch_add(count, Ordering::Relaxed);
        }
        outcome
    }
}

impl Outcome {
    fn add(&mut self, unit: tacet_vault::ImportOutcome, lines: u64) {
        let rejected = unit.rejected.len() as u64;
        if unit.done_before {
            self.lines_before += lines.saturating_sub(rejected);
        }
        for (resource_type, count) in unit.stored {
            *self.stored.entry(resource_type).or_default() += count;
        }
        self.rejected_total += rejected;
        let room = REJECTED_LISTED_MAX.saturating_sub(self.rejected.len());
        self.rejected.extend(unit.rejected.into_iter().take(room));
    }
}

fn given_up() -> VaultError {
    let message = "the import was given up, or the server was stopped: send it again, and it goes on where it stopped";
    VaultError::Invalid(vec![Issue::error(IssueType::Incomplete, "", message.to_owned())])
}

/// The lines that are not blank, with their numbers from 1.
fn lines(body: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

/// The imports of a server.
pub(crate) struct Imports {
    places: Arc<Semaphore>,
    jobs: Mutex<HashMap<String, Arc<Job>>>,
}

impl Default for Imports {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(IMPORTS_RUNNING_MAX)), jobs: Mutex::default() }
    }
}

impl Imports {
    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for an import in the background. It lasts as long as what is returned.
    pub(crate) fn begin(&self, id: &str, job: &Arc<Job>, now: Timestamp) -> Result<OwnedSemaphorePermit, VaultError> {
        let busy = |_| VaultError::Busy { what: "imports that are under way", retry_after_ms: BUSY_RETRY_MS };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let mut jobs = self.jobs();
        jobs.retain(|_, job| !job.is_over(now));
        if jobs.len() >= IMPORTS_KEPT_MAX {
            let what = "imports whose outcome is kept (delete those that are read)";
            return Err(VaultError::TooLarge { what, max: IMPORTS_KEPT_MAX });
        }
        jobs.insert(id.to_owned(), Arc::clone(job));
        Ok(place)
    }

    /// The import of this id, if it is this caller's.
    pub(crate) fn find(&self, caller: &Caller, id: &str, now: Timestamp) -> Result<Arc<Job>, VaultError> {
        let job = self.jobs().get(id).cloned();
        job.filter(|job| caller.is(&job.owner, job.account.as_deref()) && !job.is_over(now)).ok_or(VaultError::NotFound)
    }

    /// Gives an import up, or forgets its outcome.
    pub(crate) fn end(&self, caller: &Caller, id: &str, now: Timestamp) -> Result<(), VaultError> {
        self.find(caller, id, now)?.give_up();
        self.jobs().remove(id);
        Ok(())
    }

    /// Forgets what is past its time.
    pub(crate) fn forget_old(&self, now: Timestamp) {
        self.jobs().retain(|_, job| !job.is_over(now));
    }

    /// Gives all up, and waits for the end of the unit that each is at.
    pub(crate) async fn stop(&self) {
        self.jobs().values().for_each(|job| job.give_up());
        let all = u32::try_from(IMPORTS_RUNNING_MAX).unwrap_or(u32::MAX);
        let _ = timeout(Duration::from_millis(STOP_MS), self.places.acquire_many(all)).await;
        self.places.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers() {
        let found: Vec<(u64, &[u8])> = lines(b"{}\r\n\n  \n {\"a\":1}\n").collect();
        assert_eq!(found, [(1, &b"{}"[..]), (4, &b"{\"a\":1}"[..])]);
        assert_eq!(lines(b"").count(), 0);
    }
}
