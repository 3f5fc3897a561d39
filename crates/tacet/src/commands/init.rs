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
pub(crate) fn make(
    global: &Global,
    data: &Path,
    passphrase: &str,
    split: Split,
    args: &InitArgs,
) -> Result<Vec<RecoveryShare>, CliError> {
    let paths = Paths::of(data);
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
    let (root, shares) = RootFile::create(&paths.root, passphrase, split, PassphraseCost::DEFAULT, &SecureRng)
        .map_err(CliError::Root)?;
    private_directory(&paths.store)?;
    let engine = open::engine(&paths.store, &config)?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let keeper = open::keeper(&root, MAINTENANCE_LIMITS);
    let vault = open::wait(Vault::initialize(engine, keeper, open::vault_options(), &caller))?;
    vault.close()?;
    Ok(shares)
}

pub(crate) fn private_directory(path: &Path) -> Result<(), CliError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(CliError::file(path, "the directory cannot be made"))
}
