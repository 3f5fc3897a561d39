//! The watcher: looks at the data directory every few seconds, plants decoys, takes orders to lock, and does what follows from an alarm.
//!
//! What a sign is, is said in `tacet_tripwire`; here files are read. An alarm is a line in the log, a figure, an entry of the ledger (and so goes to
//! the hospital's SIEM), notices to security officers and administrators, and, where it is a hard one and so configured, a lockdown. Polling a bounded
//! walk is the same on every system and cannot be outrun: a look says what differs from the look before, whenever it happened.

mod decoys;
mod orders;
mod walk;

pub use orders::{LOCK_ORDER_FILE, LockOrder, take_lock_order};

use crate::app::Environment;
use decoys::Decoys;
use rustix::fs::OFlags;
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_tripwire::{Alarm, ClockGauge, DiskGauge, Grade, RewriteGauge, Watch, Wire};
use tacet_types::{OperationId, Role};
use tacet_vault::{Caller, LockdownCause, LockdownLevel, Vault, VaultError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, interval};

/// How often it is looked whether there is an order to lock, in milliseconds.
const ORDER_MS: u64 = 250;

/// Shortest time between two looks at the directory, in milliseconds.
const LOOK_MS_MIN: u64 = 250;

/// How long a wire is silent in the ledger after it was written down, in milliseconds. What it locks, it locks at once.
const SILENCE_MS: i64 = 60_000;

/// The same for what lasts until somebody mends it: a folder that cannot be read.
const SILENCE_LASTING_MS: i64 = 60 * SILENCE_MS;

/// Alarms of others that wait to be told. Beyond, they are counted as told: the first ones say it.
const WAITING_MAX: usize = 64;

/// Under which name the ledger has what is done here.
const NAME: &str = "tacet: tripwires";

/// What is watched, and what follows.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TripwiresConfig {
    /// Whether anything is.
    pub on: bool,
    /// Milliseconds between two looks at the data directory.
    pub interval_ms: u64,
    /// Whether decoys are planted.
    pub decoys: bool,
    /// Further directories for decoys: shares, home directories.
    pub decoys_beside: Vec<PathBuf>,
    /// What a hard sign does by itself.
    pub lock: TripwireLock,
    /// Records that one caller may change or delete within ten minutes before that is a sign; 0: any number.
    pub rewrites_max: u64,
    /// Places in the data directory, relative to it, that the settings name for something else (packs, a backup, certificates): what lies there is
    /// the operator's. Filled in by who reads the settings.
    #[serde(skip)]
    pub kept: Vec<String>,
}

impl Default for TripwiresConfig {
    fn default() -> Self {
        Self {
            on: true,
            interval_ms: 2_000,
            decoys: true,
            decoys_beside: Vec::new(),
            lock: TripwireLock::ReadOnly,
            rewrites_max: 10_000,
            kept: Vec::new(),
        }
    }
}

/// What a hard sign does by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripwireLock {
    /// Nothing but the alarm.
    Off,
    /// A lockdown of this level.
    ReadOnly,
    /// The same.
    Cut,
    /// The same.
    Sealed,
}

impl TripwireLock {
    fn level(self) -> Option<LockdownLevel> {
        match self {
            Self::Off => None,
            Self::ReadOnly => Some(LockdownLevel::ReadOnly),
            Self::Cut => Some(LockdownLevel::Cut),
            Self::Sealed => Some(LockdownLevel::Sealed),
        }
    }
}

/// Where others put what they saw.
#[derive(Clone, Default)]
pub struct Alarms(Arc<Mutex<VecDeque<Alarm>>>);

impl Alarms {
    /// Tells of a sign; what follows is done by the watcher.
    pub fn raise(&self, alarm: Alarm) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push_back(alarm);
        }
    }

    /// Tells that a backup is smaller than it was, or that a snapshot is gone. `detail` holds no personal data.
    pub fn backup_shrunk(&self, detail: &str) {
        self.raise(Alarm { wire: Wire::BackupShrunk, grade: Grade::Soft, count: 1, detail: detail.to_owned() });
    }

    fn next(&self) -> Option<Alarm> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// The watcher of a running server.
pub struct Tripwires {
    alarms: Alarms,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Tripwires {
    /// Takes an order that waits, plants the decoys, and begins to watch. What is wrong already at this moment is told before it returns.
    ///
    /// # Errors
    /// The store's, where a waiting order could not be carried out: then nothing may be served.
    pub async fn start(
        vault: &Vault,
        data: &Path,
        config: &TripwiresConfig,
        environment: &Environment,
    ) -> Result<Self, VaultError> {
        let mut stuck = orders::Stuck::default();
        orders::take(vault, data, environment, &mut stuck).await?;
        let alarms = Alarms::default();
        let mut watcher = Watcher {
            vault: vault.clone(),
            data: data.to_owned(),
            config: config.clone(),
            environment: environment.clone(),
            told: BTreeMap::new(),
            alarms: alarms.clone(),
            backups: (0, 0),
            stuck,
        };
        let mut looking = Looking::new(data, config, environment);
        if config.on {
            let (mut rewrites, alarms, clock) =
                (RewriteGauge::new(config.rewrites_max), alarms.clone(), Arc::clone(&environment.clock));
            let gauge = Mutex::new(move |caller: &str, changes: u64| {
                if let Some(alarm) = rewrites.changed(clock.now().as_ms(), caller, changes) {
                    alarms.raise(alarm);
                }
            });
            vault.watch_rewriting(move |caller, changes| {
                gauge.lock().unwrap_or_else(PoisonError::into_inner)(caller, changes);
            });
            let found;
            (looking, found) = look(looking).await;
            watcher.tell_all(found).await;
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(watcher.run(looking, stopped));
        Ok(Self { alarms, stop, task })
    }

    /// Where others put what they saw.
    pub fn alarms(&self) -> Alarms {
        self.alarms.clone()
    }

    /// Stops watching.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

/// What looks at the machine. It blocks, and so it goes to and fro between threads.
struct Looking {
    data: PathBuf,
    environment: Environment,
    watch: Watch,
    decoys: Decoys,
    clock: ClockGauge,
    disk: DiskGauge,
    began: Instant,
    config: TripwiresConfig,
    /// Whether the directory was walked to its end before.
    walked: bool,
}

impl Looking {
    fn new(data: &Path, config: &TripwiresConfig, environment: &Environment) -> Self {
        Self {
            data: data.to_owned(),
            environment: environment.clone(),
            watch: Watch::default(),
            decoys: Decoys::new(data, config),
            clock: ClockGauge::default(),
            disk: DiskGauge::default(),
            began: Instant::now(),
            config: config.clone(),
            walked: false,
        }
    }

    fn look(&mut self) -> Vec<Alarm> {
        let now_ms = self.environment.clock.now().as_ms();
        let mut alarms = self.decoys.look(&*self.environment.rng);
        match walk::files(&self.data, &self.config.kept) {
            Ok(files) => {
                self.walked = true;
                let answers = walk::answers(&self.data, self.watch.questions(&files));
                alarms.extend(self.watch.judge(now_ms, &files, &answers));
            }
            Err(error) => alarms.push(Alarm {
                wire: Wire::Unreadable,
                // So many files in a directory that had far fewer: nothing here makes them, and they would hide what else is done.
                grade: if self.walked && error.kind() == io::ErrorKind::QuotaExceeded {
                    Grade::Hard
                } else {
                    Grade::Soft
                },
                count: 1,
                detail: format!("the data directory cannot be looked at: {:?}", error.kind()),
            }),
        }
        let steady_ms = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        alarms.extend(self.clock.look(now_ms, steady_ms));
        if let Ok(room) = rustix::fs::statvfs(&self.data) {
            let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
            alarms.extend(self.disk.look(now_ms, bytes(room.f_bavail), bytes(room.f_blocks)));
        }
        alarms
    }
}

async fn look(mut looking: Looking) -> (Looking, Vec<Alarm>) {
    let (data, environment, config) = (looking.data.clone(), looking.environment.clone(), looking.config.clone());
    let done = spawn_blocking(move || {
        let alarms = looking.look();
        (looking, alarms)
    })
    .await;
    done.unwrap_or_else(|_| {
        tracing::error!("a look at the data directory ended in a panic: what was known of it is learned anew");
        (Looking::new(&data, &config, &environment), Vec::new())
    })
}

struct Watcher {
    vault: Vault,
    data: PathBuf,
    config: TripwiresConfig,
    environment: Environment,
    /// When each wire was written down last.
    told: BTreeMap<Wire, i64>,
    alarms: Alarms,
    /// An order that was carried out and cannot be taken away.
    stuck: orders::Stuck,
    /// Snapshots that were missing, and that were far smaller than the one before, when it was last looked.
    backups: (u64, u64),
}

impl Watcher {
    async fn run(mut self, mut looking: Looking, mut stopped: watch::Receiver<bool>) {
        let mut ticks = interval(Duration::from_millis(ORDER_MS));
        let every = Duration::from_millis(self.config.interval_ms.max(LOOK_MS_MIN));
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = orders::take(&self.vault, &self.data, &self.environment, &mut self.stuck).await {
                tracing::error!(%error, "an order to lock could not be written down; the store is locked until it is opened again");
            }
            self.look_at_backups();
            while let Some(alarm) = self.alarms.next() {
                self.tell(alarm).await;
            }
            if self.config.on && looked.elapsed() >= every {
                let found;
                (looking, found) = look(looking).await;
                self.tell_all(found).await;
                looked = Instant::now();
            }
        }
    }

    /// Backups are made beside the server; what their figures say is told like what else was seen.
    fn look_at_backups(&mut self) {
        let Some(figures) = self.vault.backup_figures().filter(|_| self.config.on) else { return };
        let ((missing, shrunk), before) = ((figures.missing, figures.shrunk), self.backups);
        self.backups = (missing, shrunk);
        if missing > before.0 {
            self.alarms.backup_shrunk(&format!("{missing} snapshots are not where they were put"));
        }
        if shrunk > before.1 {
            self.alarms.backup_shrunk("a whole snapshot has far fewer rows than the one before");
        }
    }

    async fn tell_all(&mut self, alarms: Vec<Alarm>) {
        for alarm in alarms {
            self.tell(alarm).await;
        }
    }

    async fn tell(&mut self, alarm: Alarm) {
        let Alarm { wire, grade, count, detail } = alarm;
        let origin = Origin { address: None, channel: Channel::Internal };
        let operation = OperationId::random(&*self.environment.rng);
        let caller = Caller::new(NAME, Role::Operator, PurposeOfUse::SystemAdministration, origin, operation);
        let level = self.config.lock.level().filter(|_| grade == Grade::Hard);
        // First: what is written down meanwhile is lost to whoever destroys.
        if let Some(level) = level {
            let reason = format!("tripwire {wire}: {detail}");
            if let Err(error) = self.vault.lock(&caller, level, LockdownCause::Tripwire, &reason).await {
                tracing::error!(%error, "the store was locked by a tripwire, and that could not be written down");
            }
        }
        match grade {
            Grade::Hard => {
                tracing::error!(%wire, count, detail, "TRIPWIRE: somebody seems to be destroying the store (docs/lockdown.md)");
            }
            Grade::Soft => tracing::warn!(%wire, count, detail, "tripwire"),
        }
        let now_ms = self.environment.clock.now().as_ms();
        let silence_ms = if wire == Wire::Unreadable && grade == Grade::Soft { SILENCE_LASTING_MS } else { SILENCE_MS };
        if self.told.get(&wire).is_some_and(|told| now_ms.saturating_sub(*told) < silence_ms) {
            return;
        }
        self.told.insert(wire, now_ms);
        let word = if grade == Grade::Hard { "hard" } else { "soft" };
        if let Err(error) = self.vault.note_tripwire(&caller, wire.as_str(), &format!("{word}, {detail}")).await {
            tracing::error!(%error, "an alarm could not be written into the ledger");
        }
    }
}

/// Opens a file of which somebody else may have made a pipe: that is opened, and empty, and nobody waits for it.
fn open_at_once(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// What an I/O error is, for those that are told by what they mean.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
