//! `tacet drill restore`: the backup of the store that is in use, brought back where nobody needs it, to know that it can be.
//!
//! ```text
//! root key ──> newest key copy ──> newest snapshot ──> scratch directory ──> every check of `tacet restore`
//!                                                         │ read-only: a first record, a sample          │
//!                                                         └──> taken away again      the ledger that goes on <──┘
//! ```
//!
//! It differs from the night it happens in one thing: the root key comes from the file in use and not from shares, whose holders are not called for
//! this. That the shares' part in the backup is that of the file is looked at.

mod place;
mod report;
mod stoppable;

use super::recording::{Recorded, Recorder, WAITS};
use crate::args::{Global, RehearsalArgs};
use crate::backing::{BackupConfig, Files, Status, explain};
use crate::commands::restore::{FIRST, Outcome, Progress, established, finish};
use crate::commands::serve::stop_signal;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use place::{Leftovers, Place};
use report::Rehearsed;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stoppable::Stoppable;
use tacet_backup::restore::{KeyCopies, KeyCopy, Restoring, Wanted, content_chain};
use tacet_backup::targets::TargetSettings;
use tacet_backup::{BackupSigner, Target};
use tacet_seal::root::{RecoveryPart, RootFile};
use tacet_seal::{EstablishmentKeys, SigningUse};
use tacet_store::Engine;
use tacet_vault::{Drill, DrillReport, LedgerBack, Vault};

/// Most copies of keys that are looked at until one opens.
const KEY_COPIES_TRIED_MAX: usize = 100;

/// Room that must be free beyond what is read back, in bytes: journals, and what the engine writes twice.
const ROOM_BYTES: u64 = 512 << 20;

/// What is held against the ledger that goes on, and what else a rehearsal needs of the installation.
struct Rehearsal<'a> {
    recorder: &'a Recorder,
    args: &'a RehearsalArgs,
    place: &'a Place,
    stop: Arc<AtomicBool>,
    begun_ms: i64,
    output: &'a Output,
}

fn now_ms() -> i64 {
    open::clock().now().as_ms()
}

pub(super) fn run(global: &Global, args: &RehearsalArgs, output: &Output) -> Result<u8, CliError> {
    let recorder = Recorder::prepare(global)?;
    // Settings that cannot be are told before anything is touched; a target that does not answer is a finding.
    recorder.config.backup.check()?;
    let place = Place::take(&args.scratch, &away_from(&recorder))?;
    let mut found = Rehearsed::default();
    let begun_ms = now_ms();
    let rehearsal =
        Rehearsal { recorder: &recorder, args, place: &place, stop: watch_stop(place.leftovers())?, begun_ms, output };
    if let Err(error) = rehearsal.play(&mut found) {
        // What was being read then failed, and that says nothing.
        found.problems.push(explain(&rehearsal.go_on().err().unwrap_or(error)));
    }
    drop(rehearsal);
    found.all_ms = now_ms() - begun_ms;
    if let Err(error) = place.empty() {
        found.problems.push(explain(&error));
    }
    let report = DrillReport {
        drill: Drill::Restore,
        held_ms: now_ms(),
        passed: found.problems.is_empty(),
        figures: found.figures(),
        ledger: found.ledger,
    };
    let mut entered = false;
    match recorder.record(&report) {
        Ok(Recorded::Noted(noted)) => {
            (entered, found.behind) = (true, noted.behind);
            if report.passed && !noted.passed {
                found.problems.push(
                    "THE LEDGER THAT CAME BACK IS NOT THE BEGINNING OF THE ONE HERE: one of them was bent, or the backup is another store's".to_owned(),
                );
            }
        }
        Ok(Recorded::Waits) => found.problems.push(WAITS.to_owned()),
        Err(error) => found.problems.push(format!("NOT IN THE LEDGER: {}", explain(&error))),
    }
    output.result("drill restore", found.value(entered), &found.text(entered));
    Ok(if found.problems.is_empty() { exit::OK } else { exit::FINDINGS })
}

/// Where a rehearsal may not put anything: beside the store, and in folders of backups.
fn away_from(recorder: &Recorder) -> Vec<PathBuf> {
    let BackupConfig { target, keys, .. } = &recorder.config.backup;
    let folders = [target, keys].into_iter().flatten().filter_map(|settings| match settings {
        TargetSettings::Folder { path } => Some(path.clone()),
        _ => None,
    });
    folders.chain([recorder.data.clone()]).collect()
}

/// Set when the process is told to stop: then what was brought back is taken away first. Told once more, it takes that away at once and ends.
fn watch_stop(leftovers: Leftovers) -> Result<Arc<AtomicBool>, CliError> {
    let (stop, set) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::other("signals could not be watched", error))?;
    let (watched, ready) = (Arc::clone(&stop), Arc::clone(&set));
    std::thread::spawn(move || {
        runtime.block_on(async {
            let signal = stop_signal();
            ready.store(true, Ordering::Release);
            if let Ok(signal) = signal {
                signal.await;
                watched.store(true, Ordering::Relaxed);
            }
            if let Ok(again) = stop_signal() {
                again.await;
                let _ = leftovers.take_away();
                std::process::exit(i32::from(exit::FAILED));
            }
        });
    });
    while !set.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    Ok(stop)
}

impl Rehearsal<'_> {
    fn say(&self, what: &str) {
        self.output.note(&format!("[{:>6.1} s] {what}", (now_ms() - self.begun_ms) as f64 / 1000.0));
    }

    fn ms(&self) -> i64 {
        now_ms() - self.begun_ms
    }

    fn go_on(&self) -> Result<(), CliError> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(CliError::Usage("it was stopped before its end".to_owned())),
            false => Ok(()),
        }
    }

    fn play(&self, found: &mut Rehearsed) -> Result<(), CliError> {
        let Recorder { config, root, .. } = self.recorder;
        let (content, keys) = config.backup.targets()?;
        // Before the target is read: what came later need not be there.
        let noted = Status::read(&Files::of(&self.recorder.data).status);
        let made = noted.and_then(|status| status.last).map(|last| last.number);
        self.say("the newest copy of the keys, opened with the root key in use");
        let (established_keys, copy) = self.keys(root, keys.as_ref(), found)?;
        if RecoveryPart::read(&self.recorder.paths.root).map_err(CliError::Root)?.as_bytes() != copy.recovery.as_bytes()
        {
            found.problems.push(
                "the part for the recovery shares in the key copy is not that of the root key's file: make a snapshot, then rehearse again".to_owned(),
            );
        }
        let public = BackupSigner::new(established_keys.signing_seed(SigningUse::Backup)).public();
        let chain = content_chain(content.as_ref(), Wanted::Newest, &public)?;
        found.passed_over.extend(chain.passed.iter().cloned());
        let snapshot = chain.last().cloned().ok_or_else(|| CliError::Usage("the backup has no snapshot".to_owned()))?;
        if snapshot.establishment() != established_keys.id || copy.establishment() != Some(established_keys.id) {
            return Err(CliError::Usage("the backup and the keys are of two establishments".to_owned()));
        }
        copy.is_not_older_than(&snapshot)?;
        if let Some(made) = made.filter(|made| *made > snapshot.number) {
            found.problems.push(format!(
                "snapshot {made} was made, and the newest that can be used is {}: see what is passed over",
                snapshot.number
            ));
        }
        found.begin(&snapshot, &chain, open::clock().now());
        let free_bytes = self.place.free_bytes()?;
        if free_bytes < chain.bytes().saturating_add(ROOM_BYTES) {
            return Err(CliError::Usage(format!(
                "{} MiB are free in the scratch directory, and {} MiB come back: give it more room",
                free_bytes >> 20,
                (chain.bytes().saturating_add(ROOM_BYTES)) >> 20
            )));
        }
        self.say(&format!("snapshot {} of {}, {} bytes in its chain", snapshot.number, snapshot.time(), chain.bytes()));
        crate::commands::init::private_directory(&self.place.store())?;
        let engine = open::engine(&self.place.store(), config)?;
        let restoring = Restoring::begin(engine, content, chain, &copy)?;
        restoring.take_logs(&mut |_| {})?;
        self.go_on()?;
        restoring.fill_spaces(&FIRST, &|_| ())?;
        self.go_on()?;
        let engine: Arc<dyn Engine> = Arc::new(restoring.engine().clone());
        let engine = Arc::new(Stoppable::new(engine, Arc::clone(&self.stop)));
        let keeper = open::keeper(root, MAINTENANCE_LIMITS);
        let vault = Vault::open(engine, keeper, open::vault_options()).map_err(CliError::Opening)?;
        // Nothing but the end of erasures changes it.
        vault.set_restoring(Some(restoring.filled().percent()));
        vault.open_sample(1)?;
        found.first_read_ms = Some(self.ms());
        self.say("a first record opens; the rest comes");
        let looked = self.look(found, &restoring, &vault, &snapshot);
        let closed = vault.close();
        looked?;
        Ok(closed?)
    }

    /// Everything, and every check.
    fn look(
        &self,
        found: &mut Rehearsed,
        restoring: &Restoring,
        vault: &Vault,
        snapshot: &tacet_backup::Manifest,
    ) -> Result<(), CliError> {
        let whole = restoring.fill(&self.stop, &|_| ())?;
        self.go_on()?;
        if !whole {
            return Err(CliError::Usage("not everything of the backup could be brought back".to_owned()));
        }
        found.rows_back_ms = Some(self.ms());
        self.say("everything is back; rows are counted, the ledger's tree is derived, every seal is opened");
        let mut settled = Outcome::default();
        settled.counted = restoring.count()?;
        found.sample = vault.open_sample(self.args.sample)?;
        self.go_on()?;
        let caller = &self.recorder.caller;
        finish(vault, caller, snapshot, &Progress::new(false, true), &mut settled)?;
        self.go_on()?;
        settled.check = Some(open::wait(vault.check(caller, &mut |_| {}))?);
        found.checked_ms = Some(self.ms());
        found.settle(&settled, self.args.max_seconds);
        // The root of the derivation was held against the manifest's: so this is what came back.
        found.ledger = snapshot
            .ledger
            .filter(|_| settled.ledger_problems.is_empty())
            .map(|ledger| LedgerBack { entries: ledger.entries, root: ledger.root });
        if snapshot.ledger.is_none() {
            found.problems.push("the snapshot does not say how far its ledger was".to_owned());
        }
        Ok(())
    }

    /// The newest copy of keys that this establishment signed, and its keys.
    fn keys(
        &self,
        root: &RootFile,
        target: &dyn Target,
        found: &mut Rehearsed,
    ) -> Result<(EstablishmentKeys, KeyCopy), CliError> {
        let copies = KeyCopies::of(target, None)?;
        let mut first = None;
        for place in 0..copies.count().min(KEY_COPIES_TRIED_MAX) {
            let keys = match copies.copy(place) {
                Err(error) if error.may_pass() => return Err(error.into()),
                copy => copy.map_err(CliError::from).and_then(|copy| established(root, &copy)),
            };
            match keys {
                Ok(keys) => {
                    let public = BackupSigner::new(keys.signing_seed(SigningUse::Backup)).public();
                    let (newest, passed) = KeyCopy::newest_signed(target, &public, None)?;
                    found.passed_over.extend(passed);
                    return Ok((established(root, &newest)?, newest));
                }
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.unwrap_or_else(|| CliError::Usage("there is no copy of keys that opens".to_owned())))
    }
}
