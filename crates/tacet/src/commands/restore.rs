//! `tacet restore`: a store made again on an empty machine, from a backup, the backup of its keys and recovery shares.
//!
//! ```text
//! shares ──> root key ──> establishment's key ──> key that signed the manifests ──> chain ──> rows ──> held against the manifest
//! ```
//!
//! Nothing is believed before it was verified, and nothing of an establishment is written before its keys opened. Killed anywhere, the same
//! command goes on where it stopped.

mod ending;
mod filling;
mod report;
mod room;
pub(crate) mod state;
mod unlocking;

use crate::args::{Global, RestoreArgs};
use crate::commands::init::private_directory;
use crate::config::{self, Config, data_directory};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use base64::Engine as _;
use ending::Ended;
pub(in crate::commands) use filling::FIRST;
use report::Expected;
pub(in crate::commands) use report::{Outcome, Progress};
use room::Room;
use state::State;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tacet_backup::restore::{Chain, KeyCopy, Restoring, Wanted, content_chain};
use tacet_backup::targets::{self, TargetSettings};
use tacet_backup::{BackupSigner, Manifest, Target};
use tacet_ledger::PurposeOfUse;
use tacet_seal::root::RootFile;
use tacet_seal::{EstablishmentKeys, SigningUse};
use tacet_types::Timestamp;
use tacet_vault::{Caller, Role, Vault};

/// Longest file that describes a target, in bytes.
const TARGET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Said where the store that came back has no backup of its own.
const NO_BACKUP: &str =
    "NO BACKUP is set up for this store, and none will be made: put `[backup]` into its tacet.toml (docs/backup.md)";

/// A restore that has its keys and its chain, and whose rows come.
struct Begun {
    config: Config,
    paths: Paths,
    root: RootFile,
    restoring: Arc<Restoring>,
    snapshot: Manifest,
    state: State,
}

pub(crate) fn run(global: &Global, args: &RestoreArgs, output: &Output) -> Result<u8, CliError> {
    bring_back(global, args, output).map_err(|error| room::told(&data_directory(global), error))
}

fn bring_back(global: &Global, args: &RestoreArgs, output: &Output) -> Result<u8, CliError> {
    let data = data_directory(global);
    let progress = Progress::new(output.interactive(), false);
    let begun = begin(global, args, &data, output)?;
    let now = open::clock().now();
    output.note(&report::lost(&begun.snapshot, begun.restoring.chain(), now));
    begun.restoring.take_logs(&mut |logs| {
        if logs.all > 0 && (logs.done == logs.all || logs.done % 100 == 0) {
            progress.step(&format!("{} of {} segments of changes", logs.done, logs.all));
        }
    })?;
    if args.read_only_now {
        return filling::serve_while_filling(global, args, begun, output);
    }
    if !begun.restoring.fill(&AtomicBool::new(false), &|filled| progress.filled(filled))? {
        return Err(CliError::Usage(
            "not everything of the backup could be brought back: run the same command again".to_owned(),
        ));
    }
    let Begun { config, root, restoring, snapshot, state, .. } = begun;
    let outcome = settle(global, args, &config, state, &restoring, &snapshot, &progress, || {
        let engine = Arc::new(restoring.engine().clone());
        let keeper = open::keeper(&root, MAINTENANCE_LIMITS);
        Vault::open(engine, keeper, open::vault_options()).map_err(CliError::Opening)
    })?;
    progress.end();
    let chain = restoring.chain();
    let text = report::text(&snapshot, chain, &outcome, open::clock().now());
    output.result("restore", report::value(&snapshot, chain, &outcome), &text);
    if !config.backup.is_on() {
        output.note(NO_BACKUP);
    }
    Ok(if outcome.is_sound() { exit::OK } else { exit::FINDINGS })
}

/// Counts, opens the vault, holds everything against the manifest, finishes erasures, and writes down that the store was restored.
#[expect(clippy::too_many_arguments, reason = "one step, from two callers' parts")]
fn settle(
    global: &Global,
    args: &RestoreArgs,
    config: &Config,
    mut state: State,
    restoring: &Restoring,
    snapshot: &Manifest,
    progress: &Progress,
    vault: impl FnOnce() -> Result<Vault, CliError>,
) -> Result<Outcome, CliError> {
    let (data, mut outcome) = (&data_directory(global), Outcome { expected: expected(args)?, ..Outcome::default() });
    if !state.counted {
        progress.step("rows are counted");
        outcome.counted = restoring.count()?;
        if !outcome.is_sound() {
            return Ok(outcome);
        }
        state.counted = true;
        state.write(data)?;
    }
    let vault = vault()?;
    let caller = operator(global);
    progress.step("sessions and tokens are ended");
    outcome.ended = end_once(args, data, &mut state, &vault, config, &caller)?;
    succeed_log(args, data, &mut state, &vault, &caller, snapshot)?;
    finish(&vault, &caller, snapshot, progress, &mut outcome)?;
    progress.step("every seal is opened");
    outcome.check = Some(open::wait(vault.check(&caller, &mut |_| {}))?);
    outcome.successor = state.successor;
    if outcome.is_sound() {
        open::wait(vault.note_restored(&caller, noted(snapshot, restoring.chain())))?;
    }
    vault.close()?;
    if outcome.is_sound() {
        State::remove(data)?;
    }
    Ok(outcome)
}

/// What is done once all rows are there, whether or not somebody is served meanwhile.
pub(in crate::commands) fn finish(
    vault: &Vault,
    caller: &Caller,
    snapshot: &Manifest,
    progress: &Progress,
    outcome: &mut Outcome,
) -> Result<(), CliError> {
    if let Some(ledger) = snapshot.ledger {
        progress.step("the ledger's tree is derived");
        let mut known = vec![(ledger.entries, ledger.root)];
        known.extend(outcome.expected.and_then(|expected| Some((expected.entries, expected.root?))));
        let held = vault.hold_ledger_at(&known, &mut |_, _| {})?;
        outcome.ledger_entries = held.entries;
        outcome.ledger_problems = held.problems;
    }
    progress.step("erasures are finished");
    outcome.finished = vault.finish_erasures(caller, &mut |_| {})?;
    Ok(())
}

/// Ends what came back, unless an earlier run of this restore did: who logged in since stays.
fn end_once(
    args: &RestoreArgs,
    data: &Path,
    state: &mut State,
    vault: &Vault,
    config: &Config,
    caller: &Caller,
) -> Result<Option<Ended>, CliError> {
    if state.ended {
        return Ok(None);
    }
    let ended = ending::end_what_came_back(vault, config, caller, args.keep_tokens)?;
    state.ended = true;
    state.write(data)?;
    Ok(Some(ended))
}

/// What somebody outside knows of the ledger: a witness, a receiver of it, a printed report.
fn expected(args: &RestoreArgs) -> Result<Option<Expected>, CliError> {
    let Some(entries) = args.expect_entries else { return Ok(None) };
    let root = args.expect_root.as_deref().map(|text| {
        root_of(text).ok_or_else(|| {
            let what =
                "`--expect-root` is the root as a checkpoint has it (44 characters of Base64) or 64 hexadecimal digits";
            CliError::Usage(what.to_owned())
        })
    });
    Ok(Some(Expected { entries, root: root.transpose()? }))
}

/// A root as a checkpoint has it, or in hexadecimal digits, as this program prints it.
fn root_of(text: &str) -> Option<[u8; 32]> {
    if let [first, ..] = text.as_bytes()
        && first.is_ascii_hexdigit()
        && text.len() == 64
    {
        let digit = |place: usize| text.get(place..place + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(digit).collect();
        return bytes?.try_into().ok();
    }
    base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok()
}

/// Refuses a snapshot whose ledger is shorter than what somebody outside has seen of it.
fn refuse_shorter(expected: Option<Expected>, chain: &Chain, snapshot: &Manifest) -> Result<(), CliError> {
    let (Some(expected), Some(ledger)) = (expected, snapshot.ledger) else { return Ok(()) };
    let missing = expected.entries.saturating_sub(ledger.entries);
    if missing == 0 {
        return Ok(());
    }
    let newest = match chain.newest == snapshot.number {
        true => "It is the newest on the target: what came after was never sent, or was taken away, or the target was set back".to_owned(),
        false => format!("The newest on the target is {}", chain.newest),
    };
    Err(CliError::Usage(format!(
        "snapshot {} of {} has {} ledger entries, {missing} fewer than the {} that are known outside. {newest}. To take it all the same, run this \
         without `--expect-entries`",
        snapshot.number,
        snapshot.time(),
        ledger.entries,
        expected.entries,
    )))
}

/// What the ledger says of a restore.
fn noted(snapshot: &Manifest, chain: &Chain) -> String {
    format!(
        "snapshot {} ({}) of {}, up to commit {} (group {}), ledger entry {}; the newest on the target was {}",
        snapshot.number,
        snapshot.id,
        snapshot.time(),
        snapshot.to.commits,
        snapshot.to.group,
        snapshot.ledger.map_or_else(|| "unknown".to_owned(), |ledger| ledger.entries.to_string()),
        chain.newest,
    )
}

fn operator(global: &Global) -> Caller {
    open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration)
}

/// Lets the published ledger go on under another name where that was asked, and asks for it where witnesses would stop everything otherwise.
fn succeed_log(
    args: &RestoreArgs,
    data: &Path,
    state: &mut State,
    vault: &Vault,
    caller: &Caller,
    snapshot: &Manifest,
) -> Result<(), CliError> {
    match &args.successor_log {
        Some(name) if state.successor.as_ref() != Some(name) => {
            let why = format!(
                "the store was restored from snapshot {} of {}, and what came after that is lost",
                snapshot.number,
                snapshot.time()
            );
            vault.succeed_log(caller, name, &why)?;
            state.successor = Some(name.clone());
            state.write(data)
        }
        None if state.successor.is_none() && !args.same_log && vault.log_was_cosigned()? => Err(CliError::Usage(
            "witnesses have cosigned this store's ledger, and may have seen entries that are not in the snapshot: then they would stop every \
             disclosure. Run this again with `--successor-log NAME` (the ledger goes on under another name), or with `--same-log` if nothing \
             was acknowledged after the snapshot. What was restored stays"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Finds keys and chain, verifies them, and makes the directory; or takes up one that was begun.
fn begin(global: &Global, args: &RestoreArgs, data: &Path, output: &Output) -> Result<Begun, CliError> {
    let (paths, before) = (Paths::of(data), State::read(data)?);
    if before.is_none() {
        refuse_occupied(data)?;
    }
    let (wanted, expected) = (wanted(args, before.as_ref())?, expected(args)?);
    // What cannot work is said before people are asked for their shares.
    hold_serving(args, &Config::load(global)?)?;
    let (content, keys) = (target(&args.from, "target")?, target(&args.keys, "keys")?);
    private_directory(data)?;
    let mut state = before.unwrap_or_else(|| State::new(open::clock().now().to_string()));
    state.write(data)?;
    let begun = (|| {
        let (root, established, copy) = unlocking::unlocked(args, global, &paths, keys.as_ref(), output)?;
        let public = BackupSigner::new(established.signing_seed(SigningUse::Backup)).public();
        let chain = content_chain(content.as_ref(), wanted, &public)?;
        unlocking::tell_passed(output, "the backup", &chain.passed);
        let snapshot = chain.last().cloned().ok_or_else(|| CliError::Usage("the backup is empty".to_owned()))?;
        if snapshot.establishment() != established.id || copy.establishment() != Some(established.id) {
            return Err(CliError::Usage("the backup and the keys are of two establishments".to_owned()));
        }
        for names_keys in [Some(&snapshot), chain.newest_manifest.as_ref()].into_iter().flatten() {
            copy.is_not_older_than(names_keys)?;
        }
        refuse_shorter(expected, &chain, &snapshot)?;
        hold_room(data, &state, &chain, output)?;
        Ok((root, chain, snapshot, copy))
    })();
    let (root, chain, snapshot, copy) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // Nothing was brought back yet: the directory is as empty as it was.
            if state.snapshot.is_none() {
                let _ = std::fs::remove_file(&paths.root);
                let _ = State::remove(data);
            }
            return Err(error);
        }
    };
    (state.snapshot, state.id) = (Some(snapshot.number), Some(snapshot.id.clone()));
    state.write(data)?;
    let config_file = data.join(config::FILE_NAME);
    if !config_file.exists() && global.config.is_none() {
        std::fs::write(&config_file, config::template(crate::args::EngineKind::default()))
            .map_err(CliError::file(&config_file, "the configuration file cannot be written"))?;
    }
    let config = Config::load(global)?;
    private_directory(&paths.store)?;
    let engine = open::engine(&paths.store, &config)?;
    let restoring = Arc::new(Restoring::begin(engine, content, chain, &copy)?);
    Ok(Begun { config, paths, root, restoring, snapshot, state })
}

/// Refuses a disk on which what comes does not fit. Of one that was begun a part is here already.
fn hold_room(data: &Path, state: &State, chain: &Chain, output: &Output) -> Result<(), CliError> {
    match room::held_against(data, room::free_bytes(data)?, chain.bytes()) {
        Room::None(says) if state.snapshot.is_none() => return Err(CliError::Usage(says)),
        Room::Short(says) | Room::None(says) if state.snapshot.is_none() => output.note(&format!("warning: {says}")),
        _ => {}
    }
    Ok(())
}

/// Refuses what the server would refuse once everything else was done.
fn hold_serving(args: &RestoreArgs, config: &Config) -> Result<(), CliError> {
    if !args.read_only_now {
        return Ok(());
    }
    let address = args.serve.listen.unwrap_or(config.server.listen);
    let files = match (&args.serve.tls_certificate, &args.serve.tls_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => config.server.tls.as_ref().map(|tls| (&tls.certificate, &tls.key)),
    };
    match files {
        Some((certificate, key)) => {
            for file in [certificate, key] {
                std::fs::File::open(file).map_err(CliError::file(file, "the file for TLS cannot be read"))?;
            }
            Ok(())
        }
        None if address.ip().is_loopback() => Ok(()),
        None => Err(CliError::Usage(format!(
            "`--read-only-now` would not listen on {address} without TLS: name `--tls-certificate` and `--tls-key`, or listen on 127.0.0.1"
        ))),
    }
}

/// Refuses a directory with anything in it but a configuration file, or what a restore leaves that was killed before it did anything.
fn refuse_occupied(data: &Path) -> Result<(), CliError> {
    let entries = match std::fs::read_dir(data) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(CliError::file(data, "the directory cannot be read"))?,
    };
    for entry in entries {
        let entry = entry.map_err(CliError::file(data, "the directory cannot be read"))?;
        if entry.file_name() != config::FILE_NAME && entry.path() != State::new_path(data) {
            return Err(CliError::Usage(format!(
                "`{}` is not empty: a restore goes into an empty directory (a `{}` may be in it)",
                data.display(),
                config::FILE_NAME
            )));
        }
    }
    Ok(())
}

fn wanted(args: &RestoreArgs, before: Option<&State>) -> Result<Wanted, CliError> {
    let asked = match (&args.at, args.snapshot) {
        (Some(at), _) => {
            let at = Timestamp::parse(at)
                .map_err(|_| CliError::Usage(format!("`{at}` is no instant: write it like `2026-11-22T02:10:00Z`")))?;
            Some(Wanted::At(at))
        }
        (None, Some(number)) => Some(Wanted::Number(number)),
        (None, None) => None,
    };
    // What was begun is gone on with, whatever came to the target since.
    let begun = before.and_then(|before| before.snapshot).map(Wanted::Number);
    Ok(asked.or(begun).unwrap_or(Wanted::Newest))
}

/// A target by its folder, or by a file that describes it: the table alone, or a whole configuration with `[backup.target]` and `[backup.keys]`.
fn target(place: &Path, table: &str) -> Result<Arc<dyn Target>, CliError> {
    let described = place.extension().is_some_and(|extension| extension == "toml") && place.is_file();
    let settings = if described {
        let unreadable = || CliError::file(place, "the description of the target cannot be read");
        if std::fs::metadata(place).map_err(unreadable())?.len() > TARGET_FILE_BYTES_MAX {
            return Err(CliError::Usage(format!("`{}` is no description of a target", place.display())));
        }
        let text = std::fs::read_to_string(place).map_err(unreadable())?;
        let wrong = |problem: &str| CliError::Config { path: place.to_owned(), problem: problem.to_owned() };
        let mut whole: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.message()))?;
        if let Some(toml::Value::Table(mut backup)) = whole.remove("backup") {
            let found = backup
                .remove(table)
                .and_then(|found| if let toml::Value::Table(found) = found { Some(found) } else { None });
            whole = found.ok_or_else(|| wrong(&format!("there is no `[backup.{table}]` in it")))?;
        }
        whole.try_into::<TargetSettings>().map_err(|error| wrong(error.message()))?
    } else {
        TargetSettings::Folder { path: place.to_owned() }
    };
    let opened = targets::open(&settings, open::clock(), open::rng());
    Ok(Arc::from(opened.map_err(|error| CliError::other("the backup target cannot be used", error))?))
}

/// The establishment's keys: the description is in the copy of keys, wrapped under the root key.
pub(in crate::commands) fn established(root: &RootFile, copy: &KeyCopy) -> Result<EstablishmentKeys, CliError> {
    let row = copy.rows.get(&tacet_vault::description_row());
    let row = row.ok_or_else(|| CliError::Usage("the copy of keys has no description of a store".to_owned()))?;
    let keeper = open::keeper(root, MAINTENANCE_LIMITS);
    tacet_vault::establishment_keys(row, keeper.as_ref())
        .map_err(|error| CliError::other("these recovery shares and this copy of keys do not belong together", error))
}
