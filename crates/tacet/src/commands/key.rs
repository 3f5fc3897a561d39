//! `tacet key`: rotation, passphrase, shares, recovery.

use crate::args::{Global, KeyArgs, KeyCommand};
use crate::config::{Config, data_directory};
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use crate::{exit, passphrase};
use indicatif::ProgressBar;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tacet_ledger::PurposeOfUse;
use tacet_seal::SecureRng;
use tacet_seal::root::{PassphraseCost, RecoveryShare, RootFile, Split};
use tacet_store::Engine;
use tacet_vault::{EventKind, Outcome, Role, Vault};

/// Longest file of shares, in bytes: 255 shares of a line.
const SHARES_FILE_BYTES_MAX: u64 = 64 * 1024;

pub(crate) fn run(global: &Global, args: &KeyArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        KeyCommand::Rotate => rotate(global, output),
        KeyCommand::Passphrase { new_passphrase_file } => {
            let (mut root, held) = Held::unlock(global)?;
            let new = passphrase::new(new_passphrase_file.as_deref())?;
            root.change_passphrase(&new, PassphraseCost::DEFAULT, &SecureRng).map_err(CliError::Root)?;
            output.result("key passphrase", json!({}), "The passphrase is changed. The shares stay valid.");
            held.note(global, &root)
        }
        KeyCommand::Shares { shares, threshold } => {
            let (mut root, held) = Held::unlock(global)?;
            let split = Split::new(*threshold, *shares).map_err(CliError::Root)?;
            let made = root.new_shares(split, &SecureRng).map_err(CliError::Root)?;
            let texts: Vec<String> = made.iter().map(|share| share.to_text().to_string()).collect();
            let text = format!(
                "New recovery shares, shown this once; the old ones recover nothing any more:\n\n  {}",
                texts.join("\n  ")
            );
            // First of all: whatever fails from here on, somebody has the shares.
            output.result("key shares", json!({ "threshold": threshold, "shares": texts }), &text);
            held.note(global, &root)
        }
        KeyCommand::Recover { shares_file, new_passphrase_file } => {
            recover(global, shares_file, new_passphrase_file.as_deref(), output)
        }
    }
}

/// A store that no other process can open meanwhile. Taken before any key is changed: with a server running, the change could
/// not be written down.
struct Held {
    paths: Paths,
    engine: Arc<dyn Engine>,
}

impl Held {
    fn take(global: &Global) -> Result<Self, CliError> {
        let data = data_directory(global);
        let paths = Paths::of(&data);
        if !paths.root.exists() || !paths.store.exists() {
            return Err(CliError::NoStore(data));
        }
        crate::commands::restore::state::refuse_unfinished(&data)?;
        let engine = open::engine(&paths.store, &Config::load(global)?)?;
        Ok(Self { paths, engine })
    }

    /// Takes the store with its root key. A wrong passphrase touches nothing.
    fn unlock(global: &Global) -> Result<(RootFile, Self), CliError> {
        let data = data_directory(global);
        let paths = Paths::of(&data);
        if !paths.root.exists() {
            return Err(CliError::NoStore(data));
        }
        let root = RootFile::unlock(&paths.root, &passphrase::existing(global)?).map_err(CliError::Root)?;
        Ok((root, Self::take(global)?))
    }

    fn vault(&self, root: &RootFile) -> Result<Vault, CliError> {
        let keeper = open::keeper(root, MAINTENANCE_LIMITS);
        Vault::open(self.engine.clone(), keeper, open::vault_options()).map_err(CliError::Opening)
    }

    /// Writes a key event into the ledger.
    fn note(&self, global: &Global, root: &RootFile) -> Result<u8, CliError> {
        let vault = self.vault(root)?;
        let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
        open::wait(vault.note(&caller, EventKind::KeyEvent, Outcome::Success))?;
        vault.close()?;
        Ok(exit::OK)
    }
}

/// A rotation that was interrupted goes on where it stopped: the root file still holds both generations.
fn rotate(global: &Global, output: &Output) -> Result<u8, CliError> {
    let (mut root, held) = Held::unlock(global)?;
    let generation = root.begin_rotation(&SecureRng).map_err(CliError::Root)?;
    let vault = held.vault(&root)?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let spinner = if output.interactive() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let report = open::wait(vault.rewrap(&caller, &mut |keys| spinner.set_message(format!("{keys} keys"))))?;
    spinner.finish_and_clear();
    // Every key must be safe under the new root before the old one is dropped.
    vault.close()?;
    root.finish_rotation(&SecureRng).map_err(CliError::Root)?;
    let text = format!(
        "{} keys wrapped under root key {generation}; {} were already, {} are erased. Records were not rewritten. \
         The passphrase and the shares stay valid.",
        report.rewrapped, report.current, report.erased
    );
    let value = json!({
        "generation": generation, "rewrapped": report.rewrapped, "current": report.current, "erased": report.erased,
    });
    output.result("key rotate", value, &text);
    Ok(exit::OK)
}

fn recover(global: &Global, shares: &Path, new: Option<&Path>, output: &Output) -> Result<u8, CliError> {
    let unreadable = |error| CliError::file(shares, "the file of shares cannot be read")(error);
    if std::fs::metadata(shares).map_err(unreadable)?.len() > SHARES_FILE_BYTES_MAX {
        return Err(CliError::Usage(format!("the file of shares is longer than {SHARES_FILE_BYTES_MAX} bytes")));
    }
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(shares).map_err(unreadable)?);
    let shares: Vec<RecoveryShare> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(RecoveryShare::parse)
        .collect::<Result<_, _>>()
        .map_err(CliError::Root)?;
    let new = passphrase::new(new)?;
    let held = Held::take(global)?;
    let root = RootFile::recover(&held.paths.root, &shares, &new, &SecureRng).map_err(CliError::Root)?;
    output.result("key recover", json!({}), "The store opens with the new passphrase.");
    held.note(global, &root)
}
