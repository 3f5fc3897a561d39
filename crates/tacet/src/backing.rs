//! Backups of a running store: a thread that makes snapshots, and what it says of them.
//!
//! ```text
//! tail ──(every interval, or a quarter full)──> Backup::make ──> target
//!                                                  ├─ made:    status, figures; the ledger names it (bases, and one each ten minutes)
//!                                                  └─ failed:  loud, tried again after 1 s to 5 min; what waits is bounded
//! ```
//!
//! The thread touches no record, and no request waits for it. A fault of the program in it is a try that failed.

mod settings;
mod status;

pub(crate) use settings::{BackupConfig, Files, NamedTargets};
pub(crate) use status::{Last, Status};

use crate::config::Config;
use crate::error::CliError;
use crate::open;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tacet_backup::{Backup, BackupError, Expected, Kind, Made, Source, TailBuffer, Want};
use tacet_seal::root::RecoveryPart;
use tacet_store::{Engine, TailedEngine};
use tacet_types::{Clock, Timestamp};
use tacet_vault::{BackupFigures, Caller, EventKind, Outcome, Vault};

/// The ledger names a log snapshot at most this often; each names all before it. In milliseconds.
const NAMED_EVERY_MS: i64 = 600_000;

/// What the log says each time that a backup fails.
pub(crate) const NO_BACKUP: &str = "NO BACKUP IS MADE: it is tried again";

/// How often it is looked whether something is wanted of the thread.
const LOOK: Duration = Duration::from_secs(1);

/// Shortest and longest time between a try that failed and the next, in milliseconds.
const AGAIN_MS: (i64, i64) = (1_000, 300_000);

/// Snapshots that are looked for: the newest that the ledger names, within a day of the last.
const LOOKED_FOR_MAX: usize = 10;

/// How long a stop waits for the last snapshot to go out, and between two looks, in milliseconds. Below what service managers wait before they kill.
const END_MS_MAX: u64 = 75_000;
const END_LOOK_MS: u64 = 20;

/// How much the thread stands back where everything wants the processor: of its share it keeps a third. Higher, and it could not keep up with a machine
/// that is busy for hours.
const NICE: i32 = 5;

/// How often a step that takes long says that it is at work.
const SAID_EVERY_MS: i64 = 5_000;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What follows a store's writes, from before the first of them.
pub(crate) struct Following {
    pub(crate) tail: Arc<TailBuffer>,
    pub(crate) engine: Arc<dyn Engine>,
}

impl Following {
    /// Around an engine that nobody writes to yet.
    pub(crate) fn new(engine: Arc<dyn Engine>, config: &BackupConfig) -> Result<Self, CliError> {
        let tail = Arc::new(TailBuffer::new(config.waiting_bytes()));
        let engine = Arc::new(TailedEngine::new(engine, tail.clone())?);
        Ok(Self { tail, engine })
    }
}

/// Makes the snapshots of an open store.
pub(crate) struct Maker {
    vault: Vault,
    caller: Caller,
    config: BackupConfig,
    data: PathBuf,
    following: Following,
    clock: Arc<dyn Clock>,
    backup: Option<Backup>,
    pub(crate) status: Status,
    named_at: Option<Timestamp>,
    missing: BTreeSet<u64>,
    keys_missing: BTreeSet<u64>,
    segments_missing: u64,
    shrunk: u64,
    /// A whole snapshot is due, because one before it is not whole any more.
    base_due: bool,
}

impl Maker {
    pub(crate) fn new(
        vault: Vault,
        caller: Caller,
        config: &Config,
        data: &Path,
        following: Following,
    ) -> Result<Self, CliError> {
        let files = Files::of(data);
        std::fs::create_dir_all(&files.folder).map_err(CliError::file(&files.folder, "cannot be made"))?;
        let before = Status::read(&files.status).unwrap_or_default();
        let mut status = Status {
            public_key: vault.backup_signer().public().to_string(),
            interval_seconds: config.backup.interval_seconds,
            stopped: false,
            damaged: 0,
            ..before
        };
        // One that cannot be reached now is tried again and again.
        if let Ok((target, keys)) = config.backup.targets() {
            status.last = status.last.filter(|_| status.target == target.describe());
            (status.target, status.keys_target) = (target.describe(), keys.describe());
        }
        let (config, data) = (config.backup.clone(), data.to_owned());
        let (clock, missing) = (open::clock(), BTreeSet::new());
        Ok(Self {
            vault,
            caller,
            config,
            data,
            following,
            clock,
            backup: None,
            status,
            named_at: None,
            missing,
            keys_missing: BTreeSet::new(),
            segments_missing: 0,
            shrunk: 0,
            base_due: false,
        })
    }

    /// Makes what is wanted. `adopt`: what is on the targets is believed, whatever was noted.
    pub(crate) fn make(&mut self, want: Want, adopt: bool) -> Result<Vec<Made>, CliError> {
        if adopt {
            self.backup = None;
        }
        let mut backup = match self.backup.take() {
            Some(backup) => backup,
            None => Backup::open(self.source(), self.config.plan(&self.data)?, adopt)?,
        };
        let (tail, clock, rate) = (&self.following.tail, &self.clock, self.config.base_mib_per_second << 20);
        let (status, file) = (&mut self.status, Files::of(&self.data).status);
        let begun = clock.now();
        let mut said = begun;
        let made = backup.make(want, &mut |sent| {
            let now = clock.now();
            if (now.as_ms() - said.as_ms()).abs() >= SAID_EVERY_MS {
                said = now;
                (status.at, status.waiting_bytes) = (now.to_string(), tail.bytes() as u64);
                status.write(&file);
            }
            // So that the disk and the line have room for those who work.
            let due_ms = sent.saturating_mul(1000).checked_div(rate).unwrap_or(0);
            let ahead = i64::try_from(due_ms).unwrap_or(i64::MAX) - (now.as_ms() - begun.as_ms());
            tail.pause(Duration::from_millis(u64::try_from(ahead).unwrap_or(0)))
        });
        self.missing.extend(backup.vanished().iter().map(|reference| reference.number));
        self.backup = Some(backup);
        let made = made?;
        for made in &made {
            tracing::debug!(
                number = made.reference.number,
                rows = made.rows,
                bytes = made.sent_bytes,
                "a snapshot was made"
            );
            if let Some(why) = made.why {
                tracing::info!(
                    number = made.reference.number,
                    bytes = made.bytes,
                    sent = made.sent_bytes,
                    why,
                    "a whole snapshot was made"
                );
            }
            self.hold_size(made);
            self.hold_segments(made);
            self.name(made);
        }
        if let Some(last) = made.last() {
            self.status.last = Some(Last::from(last));
        }
        Ok(made)
    }

    /// Says so where a whole snapshot has far fewer rows than the one before: nothing that the program does makes a store shrink so.
    fn hold_size(&mut self, made: &Made) {
        if made.kind != Kind::Base {
            return;
        }
        let before = std::mem::replace(&mut self.status.base_rows, made.rows);
        if made.rows < before / 2 {
            tracing::error!(
                number = made.reference.number,
                rows = made.rows,
                before,
                "THE STORE HAS SHRUNK: find out why before old snapshots go"
            );
            self.shrunk += 1;
        }
    }

    /// Says so where a whole snapshot found that segments of earlier ones are not what was written.
    fn hold_segments(&mut self, made: &Made) {
        if made.damaged == 0 {
            return;
        }
        self.status.damaged = made.damaged;
        let detail = format!("{} segments on the target are not what was written", made.damaged);
        tracing::error!(
            segments = made.damaged,
            "SEGMENTS OF EARLIER SNAPSHOTS ARE DAMAGED: they went out anew, and `tacet backup verify` names the snapshots that are not whole"
        );
        let note = self.vault.note_with(&self.caller, EventKind::BackupMissing, Outcome::Failed, Some(detail));
        if let Err(error) = open::wait(note) {
            tracing::warn!(%error, "the ledger could not name damaged segments");
        }
    }

    fn source(&self) -> Source {
        let root = open::Paths::of(&self.data).root;
        Source {
            engine: Arc::clone(&self.following.engine),
            tail: Arc::clone(&self.following.tail),
            establishment: self.vault.establishment(),
            signer: self.vault.backup_signer(),
            ledger: self.vault.backup_ledger(),
            recovery: Box::new(move || match RecoveryPart::read(&root) {
                Ok(part) => Some(part.as_bytes().to_vec()),
                Err(error) => {
                    tracing::error!(%error, "the root key's file cannot be read: a restore will need a copy of it");
                    None
                }
            }),
            clock: Arc::clone(&self.clock),
            rng: open::rng(),
        }
    }

    /// Names a snapshot in the ledger, if one is due.
    fn name(&mut self, made: &Made) {
        // In either direction: a clock that was set back must not keep the ledger from naming snapshots.
        let due = self.named_at.is_none_or(|at| (made.time.as_ms() - at.as_ms()).abs() >= NAMED_EVERY_MS);
        if made.kind == Kind::Log && !due {
            return;
        }
        match open::wait(self.vault.note_backup(&self.caller, made)) {
            Ok(()) => self.named_at = Some(made.time),
            // The next one is named instead; a store that closes or was locked takes no entry.
            Err(error) => tracing::warn!(%error, "the ledger could not name a snapshot"),
        }
    }

    /// Looks whether the snapshots that the ledger named last are where they were put.
    pub(crate) fn look(&mut self) -> Result<(), CliError> {
        let keys = self.backup.as_ref().map(Backup::keys_missing).transpose()?.unwrap_or_default();
        let gone: Vec<u64> = keys.into_iter().filter(|number| self.keys_missing.insert(*number)).collect();
        if let (Some(first), Some(last)) = (gone.first(), gone.last()) {
            tracing::error!(first, last, "KEY COPIES ARE MISSING from their target: a restore needs them");
            let detail = format!("key copies {first} to {last}");
            open::wait(self.vault.note_with(&self.caller, EventKind::BackupMissing, Outcome::Failed, Some(detail)))?;
            self.following.tail.hurry();
            self.base_due = true;
        }
        let segments = self.backup.as_mut().map(Backup::segments_missing).transpose()?.unwrap_or_default();
        if segments > 0 {
            let detail = format!("{segments} segments of the last whole snapshot");
            open::wait(self.vault.note_with(&self.caller, EventKind::BackupMissing, Outcome::Failed, Some(detail)))?;
            self.segments_missing += segments;
            self.following.tail.hurry();
            self.base_due = true;
        }
        let named = self.vault.backups_named()?;
        let Some(newest) = named.last().map(|expected| expected.time) else { return Ok(()) };
        let (target, _) = self.config.targets()?;
        let recent = |expected: &&Expected| newest.as_ms() - expected.time.as_ms() <= DAY_MS;
        for expected in named.iter().rev().filter(recent).take(LOOKED_FOR_MAX) {
            let number = expected.reference.number;
            if tacet_backup::is_there(target.as_ref(), &expected.reference)? || !self.missing.insert(number) {
                continue;
            }
            tracing::error!(
                number,
                id = expected.reference.id,
                "A SNAPSHOT IS MISSING from the backup's target, or is another one"
            );
            let detail = format!("snapshot {number} id {}", expected.reference.id);
            open::wait(self.vault.note_with(&self.caller, EventKind::BackupMissing, Outcome::Failed, Some(detail)))?;
            // What is left may not be enough.
            self.following.tail.hurry();
            self.base_due = true;
        }
        Ok(())
    }

    /// Says how things stand, where it is asked for.
    pub(crate) fn tell(&mut self, problem: Option<&CliError>) {
        self.status.failures = if problem.is_some() { self.status.failures + 1 } else { 0 };
        self.status.problem = problem.map(explain);
        self.status.waiting_bytes = self.following.tail.bytes() as u64;
        self.status.missing = self.missing.iter().copied().collect();
        self.status.at = self.clock.now().to_string();
        self.status.write(&Files::of(&self.data).status);
        let made = self.status.last.as_ref();
        self.vault.set_backup_figures(BackupFigures {
            snapshot: made.map_or(0, |last| last.number),
            made_s: made.and_then(|last| Timestamp::parse(&last.time).ok()).map_or(0, |time| time.as_ms() / 1000),
            waiting_bytes: self.status.waiting_bytes,
            failures: self.status.failures,
            missing: (self.missing.len() + self.keys_missing.len()) as u64
                + self.segments_missing
                + self.status.damaged,
            shrunk: self.shrunk,
            looked_s: self.clock.now().as_ms() / 1000,
        });
    }

    /// What was asked of the thread by a file; the file goes.
    fn wanted(&self) -> Option<(Want, bool)> {
        let path = Files::of(&self.data).wanted;
        let text = std::fs::read_to_string(&path).ok()?;
        let _ = std::fs::remove_file(&path);
        Some((if text.contains("base") { Want::Base } else { Want::Due }, text.contains("adopt")))
    }

    fn run(&mut self) {
        let (mut next, mut look_at, mut again_ms) = (self.clock.now(), self.clock.now(), AGAIN_MS.0);
        let interval_ms = i64::try_from(self.config.interval_seconds.max(1) * 1000).unwrap_or(i64::MAX);
        let look_ms = i64::from(self.config.look_hours.max(1)) * 3_600_000;
        while self.following.tail.wait(LOOK) {
            let (now, wanted) = (self.clock.now(), self.wanted());
            // Where the clock was set back, what is due would be due for long.
            next = next.min(now.plus_ms(interval_ms.max(AGAIN_MS.1)));
            look_at = look_at.min(now.plus_ms(look_ms));
            let filling = self.following.tail.is_filling() && self.status.failures == 0;
            if now < next && wanted.is_none() && !filling {
                continue;
            }
            let usual = if self.base_due { Want::Base } else { Want::Due };
            let (want, adopt) = wanted.unwrap_or((usual, false));
            let mut done = self.guarded(|maker| maker.make(want, adopt).map(|_| ()));
            self.base_due &= done.is_err() || want != Want::Base;
            if done.is_ok() && self.clock.now() >= look_at {
                done = self.guarded(Self::look);
                look_at = self.clock.now().plus_ms(look_ms);
            }
            let problem = done.err().filter(|error| !matches!(error, CliError::Backup(BackupError::Stopped)));
            if let Some(error) = &problem {
                tracing::error!(
                    problem = explain(error),
                    failures = self.status.failures + 1,
                    waiting_bytes = self.following.tail.bytes(),
                    "{NO_BACKUP}"
                );
                next = self.clock.now().plus_ms(again_ms);
                again_ms = (again_ms * 2).min(AGAIN_MS.1);
            } else {
                next = self.clock.now().plus_ms(interval_ms);
                again_ms = AGAIN_MS.0;
            }
            self.tell(problem.as_ref());
        }
    }

    /// Does a step. Where the program has a fault there, the step has failed: it is said as loudly, and tried again from what the targets have.
    fn guarded(&mut self, step: impl FnOnce(&mut Self) -> Result<(), CliError>) -> Result<(), CliError> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| step(self))) {
            Ok(done) => done,
            Err(_) => {
                // It may be in the middle of something.
                self.backup = None;
                let fault = std::io::Error::other("the log says where; please report it");
                Err(CliError::other("a fault of the program stopped the backup", fault))
            }
        }
    }

    /// Says that nothing more comes, and that nothing is left.
    pub(crate) fn stopped(&mut self, problem: Option<&CliError>) {
        self.status.stopped = problem.is_none();
        self.tell(problem);
    }

    /// The last log, once the store was closed.
    fn end(&mut self) {
        let problem = self.guarded(|maker| maker.make(Want::LogOnly, false).map(|_| ())).err();
        if let Some(error) = &problem {
            tracing::warn!(
                problem = explain(error),
                "the last changes did not go out: the next start makes a whole snapshot"
            );
        }
        self.stopped(problem.as_ref());
    }
}

/// An error with its causes, in a line.
pub(crate) fn explain(error: &CliError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// The thread of a running server.
pub(crate) struct Backing {
    tail: Arc<TailBuffer>,
    thread: JoinHandle<()>,
}

impl Backing {
    pub(crate) fn start(mut maker: Maker) -> Result<Self, CliError> {
        let tail = Arc::clone(&maker.following.tail);
        let thread = Builder::new()
            .name("backup".to_owned())
            .spawn(move || {
                // Of this thread alone. Where it may not, it does without.
                let _ = rustix::process::nice(NICE);
                maker.run();
                maker.end();
            })
            .map_err(|error| CliError::other("the thread of the backup could not be started", error))?;
        Ok(Self { tail, thread })
    }

    /// Stops it, and lets what the store wrote while it closed go out: then the next start goes on from there. Call it after the store was closed. A target
    /// that does not answer, such as a share that hangs, holds nobody up for longer than [`END_MS_MAX`].
    pub(crate) fn finish(self) {
        self.tail.stop();
        let mut waited_ms = 0;
        while !self.thread.is_finished() {
            if waited_ms >= END_MS_MAX {
                tracing::error!("the backup's target does not answer: the next start makes a whole snapshot");
                return;
            }
            std::thread::sleep(Duration::from_millis(END_LOOK_MS));
            waited_ms += END_LOOK_MS;
        }
        if self.thread.join().is_err() {
            tracing::error!("the backup failed: the next start makes a whole snapshot");
        }
    }
}
