//! `tacet restore --read-only-now`: served from the backup while the rest comes.
//!
//! What a vault needs to open comes first, then the server answers: reads go through the engine that fills, changes are refused. In the background come
//! the records of patients in care, then everything; then the store is held against its manifest and the server goes on in full service.

use super::report::{Expected, Outcome, Progress};
use super::state::State;
use super::{Begun, end_once, expected, finish, noted, operator, succeed_log};
use crate::args::{Global, RestoreArgs};
use crate::backing::{Backing, Following, Maker, explain};
use crate::commands::serve;
use crate::config::{Config, data_directory};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, Opened};
use crate::output::Output;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tacet_backup::Manifest;
use tacet_backup::restore::Restoring;
use tacet_store::Engine;
use tacet_vault::{Caller, Vault};

/// What a vault reads when it is opened, and what logging in needs: tokens, definitions' places, subscriptions, accounts and sessions, care data, the
/// ledger's head, the published log.
pub(in crate::commands) const FIRST: [u8; 7] = [0x06, 0x09, 0x0c, 0x0d, 0x0e, 0x11, 0x12];

/// Between two tries after the source failed for long.
const PAUSE: Duration = Duration::from_secs(30);

/// The backup that begins when everything is back.
struct After {
    following: Following,
    config: Config,
    backing: Arc<Mutex<Option<Backing>>>,
}

/// What the background needs.
struct Background {
    vault: Vault,
    expected: Option<Expected>,
    restoring: Arc<Restoring>,
    snapshot: Manifest,
    state: State,
    data: PathBuf,
    caller: Caller,
    after: Option<After>,
    stop: Arc<AtomicBool>,
}

pub(super) fn serve_while_filling(
    global: &Global,
    args: &RestoreArgs,
    begun: Begun,
    output: &Output,
) -> Result<u8, CliError> {
    let Begun { config, paths, root, restoring, snapshot, mut state } = begun;
    let data = data_directory(global);
    serve::start_log(&config.log)?;
    let progress = Progress::new(false, false);
    progress.step("accounts, sessions and care data come first");
    restoring.fill_spaces(&FIRST, &|_| ())?;
    let mut engine: Arc<dyn Engine> = Arc::new(restoring.engine().clone());
    // What is written from here on is followed, and backed up once everything is back.
    let following = config.backup.is_on().then(|| Following::new(Arc::clone(&engine), &config.backup)).transpose()?;
    if let Some(following) = &following {
        engine = Arc::clone(&following.engine);
    }
    let limits = config.keeper.limits();
    let vault = open::open_vault_over(engine, &paths, &config, &root, limits, true)?;
    vault.set_restoring(Some(restoring.filled().percent()));
    let caller = operator(global);
    // Before anybody is let in.
    if let Some(ended) = end_once(args, &data, &mut state, &vault, &config, &caller)? {
        output.note(&ended.text(&snapshot));
    }
    succeed_log(args, &data, &mut state, &vault, &caller, &snapshot)?;
    output.note("reading works from here on; changes are refused until everything is back");
    output.note(match following.is_some() {
        true => "no backup is made until everything is back: the first snapshot begins with full service",
        false => super::NO_BACKUP,
    });
    let stop = Arc::new(AtomicBool::new(false));
    let backing = Arc::new(Mutex::new(None));
    let after = following.map(|following| After { following, config: config.clone(), backing: Arc::clone(&backing) });
    let background = Background {
        vault: vault.clone(),
        expected: expected(args)?,
        restoring,
        snapshot,
        state,
        data,
        caller,
        after,
        stop: Arc::clone(&stop),
    };
    let thread = std::thread::Builder::new()
        .name("restore".to_owned())
        .spawn(move || background.run())
        .map_err(|error| CliError::other("the rest cannot be brought back in the background", error))?;
    let served = serve::run_opened(global, &args.serve, Opened { vault, config, root }, output);
    // What comes after the store was closed is refused by it, and what is brought into the engine is no harm.
    stop.store(true, Ordering::Relaxed);
    let _ = thread.join();
    if let Some(backing) = backing.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Backing::finish(backing);
    }
    served?;
    if super::state::State::path(&data_directory(global)).exists() {
        output.note("the restore is not finished: run the same command again, it goes on where it stopped");
    }
    Ok(exit::OK)
}

impl Background {
    fn run(mut self) {
        loop {
            match self.bring_back() {
                Ok(()) => return,
                Err(error) => {
                    let error = super::room::told(&self.data, error);
                    if matches!(error, CliError::DiskFull { .. }) {
                        tracing::error!(%error, "stop this, make room and run the same command again: what is here can be read, and stays");
                    }
                    let error = explain(&error);
                    tracing::error!(error, "the restore does not get on; it is tried again, and changes stay refused");
                    let pauses = PAUSE.as_millis() / 100;
                    for _ in 0..pauses {
                        if self.stop.load(Ordering::Relaxed) {
                            return;
                        }
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
            }
        }
    }

    fn bring_back(&mut self) -> Result<(), CliError> {
        self.patients_in_care()?;
        let progress = Progress::new(false, true);
        let whole = self.restoring.fill(&self.stop, &|filled| {
            // Not 100 before it was held against the manifest.
            self.vault.set_restoring(Some(filled.percent().min(99)));
        })?;
        if !whole {
            return Ok(());
        }
        let mut outcome = Outcome { expected: self.expected, ..Outcome::default() };
        if !self.state.counted {
            outcome.counted = self.restoring.count()?;
            self.state.counted = outcome.is_sound();
        }
        if outcome.is_sound() {
            self.state.write(&self.data)?;
            finish(&self.vault, &self.caller, &self.snapshot, &progress, &mut outcome)?;
        }
        if !outcome.is_sound() {
            for problem in outcome.problems() {
                tracing::error!(problem, "what came back is not what was backed up");
            }
            tracing::error!("changes stay refused: restore another snapshot into another directory");
            return Ok(());
        }
        open::wait(self.vault.note_restored(&self.caller, noted(&self.snapshot, self.restoring.chain())))?;
        State::remove(&self.data)?;
        self.vault.set_restoring(None);
        tracing::info!(
            entries = outcome.ledger_entries,
            erasures = outcome.finished.patients,
            "everything is back and is what was backed up: full service. Run `tacet check` at the next quiet hour"
        );
        if self.vault.read_only().is_some() {
            tracing::warn!(
                "the store was locked when it was backed up, and is: changes stay refused until two people lift that (docs/lockdown.md)"
            );
        }
        if self.after.is_none() {
            tracing::warn!("{}", super::NO_BACKUP);
        }
        if let Some(After { following, config, backing }) = self.after.take() {
            let begun = Maker::new(self.vault.clone(), self.caller.clone(), &config, &self.data, following)
                .and_then(Backing::start);
            match begun {
                Ok(begun) => {
                    tracing::info!("the backup of this store goes on: its first snapshot begins now");
                    *backing.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
                }
                Err(error) => {
                    tracing::error!(%error, "NO BACKUP is made: mend the settings of the backup and start again")
                }
            }
        }
        Ok(())
    }

    /// The records of those who are in care, the most urgent first.
    fn patients_in_care(&self) -> Result<(), CliError> {
        let patients = self.vault.patients_in_care();
        let mut records = 0;
        for (_, patient) in &patients {
            if self.stop.load(Ordering::Relaxed) || self.restoring.engine().is_full() {
                return Ok(());
            }
            records += self.vault.bring_near(patient)?;
            self.restoring.engine().fill_wanted()?;
        }
        tracing::info!(patients = patients.len(), records, "the records of patients in care are here");
        Ok(())
    }
}
