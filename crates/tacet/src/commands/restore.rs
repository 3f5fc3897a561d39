//! `tacet restore`: a store made again on an empty machine, from a backup, the backup of its keys and recovery shares.
//!
//! ```text
//! shares ──> root key ──> establishment's key ──> key that signed the manifests ──> chain ──> rows ──> held against the manifest
//! ```
//!
//! Nothing is believed before it was verified, and nothing of an establishment is written before its keys opened. Killed anywhere, the same
//! command goes on where it stopped.

mod filling;
mod report;
pub(crate) mod state;

use crate::args::{Global, RestoreArgs};
use crate::commands::init::private_directory;
use crate::config::{self, Config, data_directory};
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use crate::{exit, passphrase};
use report::{Outcome, Progress};
use state::State;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tacet_backup::restore::{Chain, KeyCopy, Restoring, Wanted, content_chain};
use tacet_backup::targets::{self, TargetSettings};
use tacet_backup::{BackupSigner, Manifest, Target};
use tacet_ledger::PurposeOfUse;
use tacet_seal::root::{RecoveryShare, RootFile};
use tacet_seal::{EstablishmentKeys, SecureRng, SigningUse};
use tacet_types::Timestamp;
use tacet_vault::{Caller, Role, Vault};

/// Most copies of keys that are opened by trying: beyond, somebody has put so many there that people must look.
const KEY_COPIES_TRIED_MAX: usize = 100;

/// Longest file of shares, in bytes: 255 shares of a line.
const SHARES_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Longest file that describes a target, in bytes.
const TARGET_FILE_BYTES_MAX: u64 = 64 * 1024;

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
    let outcome = settle(global, args, &data, begun.state, &begun.restoring, &begun.snapshot, &progress, || {
        let engine = Arc::new(begun.restoring.engine().clone());
        let keeper = open::keeper(&begun.root, MAINTENANCE_LIMITS);
        Vault::open(engine, keeper, open::vault_options()).map_err(CliError::Opening)
    })?;
    progress.end();
    let chain = begun.restoring.chain();
    let text = report::text(&begun.snapshot, chain, &outcome, open::clock().now());
    output.result("restore", report::value(&begun.snapshot, chain, &outcome), &text);
    Ok(if outcome.is_sound() { exit::OK } else { exit::FINDINGS })
}

/// Counts, opens the vault, holds everything against the manifest, finishes erasures, and writes down that the store was restored.
#[expect(clippy::too_many_arguments, reason = "one step, from two callers' parts")]
fn settle(
    global: &Global,
    args: &RestoreArgs,
    data: &Path,
    mut state: State,
    restoring: &Restoring,
    snapshot: &Manifest,
    progress: &Progress,
    vault: impl FnOnce() -> Result<Vault, CliError>,
) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::default();
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
fn finish(
    vault: &Vault,
    caller: &Caller,
    snapshot: &Manifest,
    progress: &Progress,
    outcome: &mut Outcome,
) -> Result<(), CliError> {
    if let Some(ledger) = snapshot.ledger {
        progress.step("the ledger's tree is derived");
        let held = vault.hold_ledger(ledger.entries, ledger.root, &mut |_, _| {})?;
        outcome.ledger_entries = held.entries;
        outcome.ledger_problems = held.problems;
    }
    progress.step("erasures are finished");
    outcome.finished = vault.finish_erasures(caller, &mut |_| {})?;
    Ok(())
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
    let wanted = wanted(args, before.as_ref())?;
    let (content, keys) = (target(&args.from)?, target(&args.keys)?);
    private_directory(data)?;
    let mut state = before.unwrap_or_else(|| State::new(open::clock().now().to_string()));
    state.write(data)?;
    let begun = (|| {
        let (root, established, copy) = unlocked(args, global, &paths, keys.as_ref(), output)?;
        let public = BackupSigner::new(established.signing_seed(SigningUse::Backup)).public();
        let chain = content_chain(content.as_ref(), wanted, &public)?;
        let snapshot = chain.last().cloned().ok_or_else(|| CliError::Usage("the backup is empty".to_owned()))?;
        if snapshot.establishment() != established.id || copy.establishment() != Some(established.id) {
            return Err(CliError::Usage("the backup and the keys are of two establishments".to_owned()));
        }
        for names_keys in [Some(&snapshot), chain.newest_manifest.as_ref()].into_iter().flatten() {
            copy.is_not_older_than(names_keys)?;
        }
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

/// Refuses a directory with anything in it but a configuration file.
fn refuse_occupied(data: &Path) -> Result<(), CliError> {
    let entries = match std::fs::read_dir(data) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(CliError::file(data, "the directory cannot be read"))?,
    };
    for entry in entries {
        let entry = entry.map_err(CliError::file(data, "the directory cannot be read"))?;
        if entry.file_name() != config::FILE_NAME {
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

/// A target by its folder, or by a file that describes it.
fn target(place: &Path) -> Result<Arc<dyn Target>, CliError> {
    let described = place.extension().is_some_and(|extension| extension == "toml") && place.is_file();
    let settings = if described {
        let unreadable = || CliError::file(place, "the description of the target cannot be read");
        if std::fs::metadata(place).map_err(unreadable())?.len() > TARGET_FILE_BYTES_MAX {
            return Err(CliError::Usage(format!("`{}` is no description of a target", place.display())));
        }
        let text = std::fs::read_to_string(place).map_err(unreadable())?;
        toml::from_str::<TargetSettings>(&text)
            .map_err(|error| CliError::Config { path: place.to_owned(), problem: error.message().to_owned() })?
    } else {
        TargetSettings::Folder { path: place.to_owned() }
    };
    let opened = targets::open(&settings, open::clock(), open::rng());
    Ok(Arc::from(opened.map_err(|error| CliError::other("the backup target cannot be used", error))?))
}

/// What people give, asked for once.
#[derive(Default)]
struct Given {
    shares: Vec<RecoveryShare>,
    passphrase: Option<zeroize::Zeroizing<String>>,
}

/// Opens the newest copy of keys that the establishment signed. Whoever may add to the place can put others above and beside it, so the first that
/// opens gives the key, and the key tells which is the newest of ours.
fn unlocked(
    args: &RestoreArgs,
    global: &Global,
    paths: &Paths,
    keys: &dyn Target,
    output: &Output,
) -> Result<(RootFile, EstablishmentKeys, KeyCopy), CliError> {
    let before = paths.root.exists();
    let (mut given, mut tried, mut place, mut first) = (Given::default(), Vec::new(), 0, None);
    for _ in 0..KEY_COPIES_TRIED_MAX {
        let copy = match KeyCopy::candidate(keys, &tried, place) {
            Ok(Some(copy)) => copy,
            Ok(None) => break,
            Err(error) if error.may_pass() => return Err(error.into()),
            Err(error) => {
                first.get_or_insert(CliError::from(error));
                place += 1;
                continue;
            }
        };
        let root_file = match root(args, global, paths, &copy, &mut given, output) {
            Ok(root_file) => root_file,
            Err(error @ CliError::Root(_)) if !before => {
                // The shares do not open this part. Copies with the same one are no better.
                tried.push(copy.recovery_text().to_owned());
                place = 0;
                first.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let established_keys = match established(&root_file, &copy) {
            Ok(established_keys) => established_keys,
            Err(error) => {
                if !before {
                    let _ = std::fs::remove_file(&paths.root);
                }
                place += 1;
                first.get_or_insert(error);
                continue;
            }
        };
        let public = BackupSigner::new(established_keys.signing_seed(SigningUse::Backup)).public();
        let (newest, passed) = KeyCopy::newest_signed(keys, &public)?;
        for problem in passed {
            output.note(&format!("passed over in the copies of keys: {problem}"));
        }
        if newest.recovery_text() == copy.recovery_text() || before {
            let established_keys = established(&root_file, &newest)?;
            return Ok((root_file, established_keys, newest));
        }
        drop(root_file);
        let _ = std::fs::remove_file(&paths.root);
        let root_file = root(args, global, paths, &newest, &mut given, output)?;
        let established_keys = established(&root_file, &newest)?;
        return Ok((root_file, established_keys, newest));
    }
    Err(first.unwrap_or_else(|| CliError::Usage("there is no copy of keys that opens".to_owned())))
}

/// The root key: by the shares and a new passphrase, or by that passphrase where an earlier try made the file already.
fn root(
    args: &RestoreArgs,
    global: &Global,
    paths: &Paths,
    copy: &KeyCopy,
    given: &mut Given,
    output: &Output,
) -> Result<RootFile, CliError> {
    if paths.root.exists() {
        let passphrase = match (&args.new_passphrase_file, &given.passphrase) {
            (_, Some(passphrase)) => passphrase.clone(),
            (Some(file), None) => passphrase::new(Some(file))?,
            (None, None) => passphrase::existing(global)?,
        };
        let passphrase = given.passphrase.insert(passphrase);
        return RootFile::unlock(&paths.root, passphrase).map_err(CliError::Root);
    }
    if given.shares.is_empty() {
        given.shares = shares(args, copy.recovery.split().threshold(), output)?;
    }
    let passphrase = match given.passphrase.take() {
        Some(passphrase) => passphrase,
        None => passphrase::new(args.new_passphrase_file.as_deref())?,
    };
    let passphrase = given.passphrase.insert(passphrase);
    RootFile::restore(&paths.root, &copy.recovery, &given.shares, passphrase, &SecureRng).map_err(CliError::Root)
}

/// The shares, from files or typed one after the other.
fn shares(args: &RestoreArgs, threshold: u8, output: &Output) -> Result<Vec<RecoveryShare>, CliError> {
    if args.share_files.is_empty() {
        if !std::io::stdin().is_terminal() {
            return Err(CliError::Usage("no recovery shares were given: name a file with `--share-file`".to_owned()));
        }
        let mut shares = Vec::new();
        while shares.len() < usize::from(threshold) {
            let prompt = format!("Recovery share {} of {threshold}: ", shares.len() + 1);
            let typed = rpassword::prompt_password(prompt).map(zeroize::Zeroizing::new);
            match RecoveryShare::parse(&typed.map_err(|_| CliError::NoPassphrase)?) {
                Ok(share) => shares.push(share),
                Err(error) => output.note(&error.to_string()),
            }
        }
        return Ok(shares);
    }
    let mut shares = Vec::new();
    for file in &args.share_files {
        let unreadable = || CliError::file(file, "the file of shares cannot be read");
        if std::fs::metadata(file).map_err(unreadable())?.len() > SHARES_FILE_BYTES_MAX {
            return Err(CliError::Usage(format!("the file of shares is longer than {SHARES_FILE_BYTES_MAX} bytes")));
        }
        let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).map_err(unreadable())?);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        shares.extend(lines.map(RecoveryShare::parse).collect::<Result<Vec<_>, _>>().map_err(CliError::Root)?);
    }
    Ok(shares)
}

/// The establishment's keys: the description is in the copy of keys, wrapped under the root key.
fn established(root: &RootFile, copy: &KeyCopy) -> Result<EstablishmentKeys, CliError> {
    let row = copy.rows.get(&tacet_vault::description_row());
    let row = row.ok_or_else(|| CliError::Usage("the copy of keys has no description of a store".to_owned()))?;
    let keeper = open::keeper(root, MAINTENANCE_LIMITS);
    tacet_vault::establishment_keys(row, keeper.as_ref())
        .map_err(|error| CliError::other("these recovery shares and this copy of keys do not belong together", error))
}
