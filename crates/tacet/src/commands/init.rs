//! `tacet init`: root key, shares, empty store.

use crate::args::{Global, InitArgs};
use crate::config::{self, Config, data_directory};
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use crate::{exit, passphrase};
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use tacet_ledger::PurposeOfUse;
use tacet_seal::SecureRng;
use tacet_seal::root::{PassphraseCost, RecoveryShare, RootFile, Split};
use tacet_vault::{Role, Vault};

/// Mode of the data directory: its owner's alone.
const DIRECTORY_MODE: u32 = 0o700;

/// Where a store is made before it is moved to its place.
const UNFINISHED_DIRECTORY: &str = "init-unfinished";

pub(crate) fn run(global: &Global, args: &InitArgs, output: &Output) -> Result<u8, CliError> {
    let data = data_directory(global);
    let passphrase = passphrase::new(global.passphrase_file.as_deref())?;
    let split = Split::new(args.threshold, args.shares).map_err(CliError::Root)?;
    let shares = make(global, &data, &passphrase, split, args)?;
    let texts: Vec<String> = shares.iter().map(|share| share.to_text().to_string()).collect();
    let mut text = format!(
        "A new store is in `{}`.\n\nRecovery shares: any {} of these {} open the store without the passphrase.\n\
         They are shown this once. Give each to another person, on paper.\n\n",
        data.display(),
        args.threshold,
        args.shares
    );
    for share in &texts {
        text += &format!("  {share}\n");
    }
    text += "\nNext: `tacet token create`, `tacet import`, `tacet serve`.";
    output.result("init", json!({ "data": data, "threshold": args.threshold, "shares": texts }), &text);
    Ok(exit::OK)
}

/// Makes a store in `data`, which must hold none.
///
/// It is made beside its place and moved there when it is whole, so that an `init` that was killed can be run again.
pub(crate) fn make(
    global: &Global,
    data: &Path,
    passphrase: &str,
    split: Split,
    args: &InitArgs,
) -> Result<Vec<RecoveryShare>, CliError> {
    let (paths, unfinished) = (Paths::of(data), data.join(UNFINISHED_DIRECTORY));
    settle(&paths, &unfinished)?;
    if paths.root.exists() || paths.store.exists() {
        return Err(CliError::StoreExists(data.to_owned()));
    }
    private_directory(data)?;
    let config_file = data.join(config::FILE_NAME);
    if !config_file.exists() {
        std::fs::write(&config_file, config::template(args.engine.unwrap_or_default()))
            .map_err(CliError::file(&config_file, "the configuration file cannot be written"))?;
    }
    let config = Config::load(global)?;
    // Every later command goes by the configuration: a store made in another engine would not be found again.
    if let Some(engine) = args.engine.filter(|engine| *engine != config.store.engine) {
        let named = config.store.engine;
        return Err(CliError::Usage(format!(
            "the configuration file says `engine = \"{named}\"`, not {engine}: change it there, or leave `--engine` out"
        )));
    }
    let making = Paths::of(&unfinished);
    private_directory(&making.store)?;
    let (root, shares) = RootFile::create(&making.root, passphrase, split, PassphraseCost::DEFAULT, &SecureRng)
        .map_err(CliError::Root)?;
    let engine = open::engine(&making.store, &config)?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let keeper = open::keeper(&root, MAINTENANCE_LIMITS);
    let vault = open::wait(Vault::initialize(engine, keeper, open::vault_options(), &caller))?;
    vault.close()?;
    let immovable = || CliError::file(data, "the new store cannot be moved to its place");
    // The root key last: a store with its root key is whole.
    std::fs::rename(&making.store, &paths.store).map_err(immovable())?;
    std::fs::rename(&making.root, &paths.root).map_err(immovable())?;
    std::fs::File::open(data).and_then(|directory| directory.sync_all()).map_err(immovable())?;
    std::fs::remove_dir_all(&unfinished).map_err(immovable())?;
    Ok(shares)
}

/// Brings what a killed `init` left to an end: away with what was not whole, which nobody has shares or records of.
fn settle(paths: &Paths, unfinished: &Path) -> Result<(), CliError> {
    if paths.root.exists() || !unfinished.exists() {
        return Ok(());
    }
    let unsettled = || CliError::file(unfinished, "what an interrupted `tacet init` left cannot be cleared away");
    if !paths.store.exists() {
        return std::fs::remove_dir_all(unfinished).map_err(unsettled());
    }
    // Killed between the two moves: the store is whole, and its new shares are a matter of `tacet key shares`.
    match std::fs::rename(Paths::of(unfinished).root, &paths.root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unsettled()(error)),
        _ => Ok(()),
    }
}

pub(crate) fn private_directory(path: &Path) -> Result<(), CliError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(CliError::file(path, "the directory cannot be made"))
}
