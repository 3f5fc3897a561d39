//! How a drill gets into the ledger of the store that is in use: directly where nobody has it open, and by a note to the server that has. All drills
//! go through here.

use crate::args::Global;
use crate::backing::explain;
use crate::commands::restore::state::refuse_unfinished;
use crate::config::{Config, data_directory};
use crate::drilled::Files;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use crate::passphrase;
use std::path::PathBuf;
use std::time::Duration;
use tacet_ledger::PurposeOfUse;
use tacet_seal::root::RootFile;
use tacet_server::{Environment, take_lock_order};
use tacet_store::StoreError;
use tacet_vault::{
    Caller, DRILL_NOTE_BYTES_MAX, Drill, DrillNoted, DrillReport, NoteId, Role, drill_answer, drill_note,
};

/// How often a running server is asked whether it has written a drill down, and how long.
const ASK: Duration = Duration::from_millis(200);
const ASKED_MAX: u32 = 450;

/// The store whose ledger is to say that a drill was held. Its passphrase is asked for before anything is played.
pub(super) struct Recorder {
    pub(super) config: Config,
    pub(super) data: PathBuf,
    pub(super) paths: Paths,
    pub(super) root: RootFile,
    pub(super) caller: Caller,
}

/// What became of a report.
pub(super) enum Recorded {
    /// It stands in the ledger.
    Noted(DrillNoted),
    /// The server that has the store did not answer; the note waits for it, or for the next start.
    Waits,
}

impl Recorder {
    pub(super) fn prepare(global: &Global) -> Result<Self, CliError> {
        let (config, data) = (Config::load(global)?, data_directory(global));
        let paths = Paths::of(&data);
        if !paths.root.exists() || !paths.store.exists() {
            return Err(CliError::NoStore(data));
        }
        refuse_unfinished(&data)?;
        let root = RootFile::unlock(&paths.root, &passphrase::existing(global)?).map_err(CliError::Root)?;
        let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
        Ok(Self { config, data, paths, root, caller })
    }

    /// Brings a report into the ledger.
    pub(super) fn record(&self, report: &DrillReport) -> Result<Recorded, CliError> {
        let engine = match open::engine(&self.paths.store, &self.config) {
            Err(CliError::Store(StoreError::Locked { .. })) => return self.leave(report),
            engine => engine?,
        };
        let (config, root) = (&self.config, &self.root);
        let vault = open::open_vault_over(engine, &self.paths, config, root, MAINTENANCE_LIMITS, false)?;
        let environment = Environment { clock: open::clock(), rng: open::rng() };
        open::wait(take_lock_order(&vault, &self.data, &environment))?;
        let noted = open::wait(vault.note_drill(&self.caller, report))?;
        let told = Files::of(&self.data).tell(&vault);
        vault.close()?;
        told?;
        Ok(Recorded::Noted(noted))
    }

    /// Leaves a note for the server that has the store, and waits for its answer.
    fn leave(&self, report: &DrillReport) -> Result<Recorded, CliError> {
        let (files, rng) = (Files::of(&self.data), open::rng());
        let keeper = open::keeper(&self.root, MAINTENANCE_LIMITS);
        let id = NoteId::random(rng.as_ref());
        let note = drill_note(keeper.as_ref(), rng.as_ref(), id, &self.caller.owner, report)?;
        files.put(&files.note(id), &note)?;
        let answer = files.answer(id);
        for _ in 0..ASKED_MAX {
            std::thread::sleep(ASK);
            let unreadable = || CliError::file(&answer, "the server's answer cannot be read");
            let size = match std::fs::metadata(&answer) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                found => found.map_err(unreadable())?.len(),
            };
            if size > DRILL_NOTE_BYTES_MAX as u64 {
                return Err(CliError::Usage("this is no answer of the server".to_owned()));
            }
            let bytes = std::fs::read(&answer).map_err(unreadable())?;
            let _ = std::fs::remove_file(&answer);
            let noted = drill_answer(keeper.as_ref(), id, &bytes)?;
            let noted = noted.map_err(|problem| CliError::Usage(format!("the server refused it: {problem}")))?;
            return Ok(Recorded::Noted(noted));
        }
        Ok(Recorded::Waits)
    }

    /// Brings what came of a drill on a scratch hospital into the ledger, and says so.
    pub(super) fn after(&self, drill: Drill, played: Result<u8, CliError>, output: &Output) -> Result<u8, CliError> {
        let figures = match &played {
            Ok(_) => output.last_line(),
            Err(error) => format!("it could not be played: {}", explain(error)),
        };
        let passed = matches!(played, Ok(exit::OK));
        let held_ms = open::clock().now().as_ms();
        let recorded = self.record(&DrillReport { drill, held_ms, passed, figures, ledger: None });
        match recorded {
            Ok(Recorded::Noted(noted)) => output.note(&format!("in the ledger: {}", noted.detail)),
            Ok(Recorded::Waits) => {
                output.note(WAITS);
                return played.map(|code| code.max(exit::FINDINGS));
            }
            // Why the drill could not be played is more to the point than why that is not written down.
            Err(error) if played.is_err() => output.note(&format!("not in the ledger: {}", explain(&error))),
            Err(error) => return Err(error),
        }
        played
    }
}

/// What is said where the server did not answer.
pub(super) const WAITS: &str = "NOT IN THE LEDGER YET: the process that has the store did not take the note; it is taken by the next `tacet serve`";
