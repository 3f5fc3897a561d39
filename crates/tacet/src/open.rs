//! Opening a data directory: root key, engine, vault.

use crate::args::{EngineKind, Global};
use crate::backing::Following;
use crate::commands::restore::state::refuse_unfinished;
use crate::config::{Config, data_directory};
use crate::error::CliError;
use crate::passphrase;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_policy::Policies;
use tacet_seal::root::RootFile;
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_server::{Environment, take_lock_order};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::redb::{RedbEngine, RedbOptions};
use tacet_store::{Engine, StoreOptions};
use tacet_types::{Clock, OperationId, Rng, SystemClock};
use tacet_vault::{AccessSettings, Caller, Limits, Role, Vault, VaultOptions};

/// Name of the root key file in the data directory.
pub(crate) const ROOT_FILE: &str = "root.key";

/// Name of the store's directory in the data directory.
pub(crate) const STORE_DIRECTORY: &str = "store";

/// The keeper's bound for commands that go over the whole store with the passphrase in hand, such as a check. They are in
/// the ledger, and whoever has the passphrase and the disk is bound by no process of ours.
pub(crate) const MAINTENANCE_LIMITS: KeeperLimits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };

/// Name of the search index's directory in the data directory.
pub(crate) const INDEX_DIRECTORY: &str = "index";

/// Name of the directory of what bulk exports make in the data directory.
pub(crate) const COPIES_DIRECTORY: &str = "copies";

/// Name of the directory of the ledger's index in the data directory.
pub(crate) const LEDGER_INDEX_DIRECTORY: &str = "ledger-index";

/// Where the parts of a data directory are.
pub(crate) struct Paths {
    pub(crate) root: PathBuf,
    pub(crate) store: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) copies: PathBuf,
    pub(crate) ledger_index: PathBuf,
}

impl Paths {
    pub(crate) fn of(data: &Path) -> Self {
        Self {
            root: data.join(ROOT_FILE),
            store: data.join(STORE_DIRECTORY),
            index: data.join(INDEX_DIRECTORY),
            copies: data.join(COPIES_DIRECTORY),
            ledger_index: data.join(LEDGER_INDEX_DIRECTORY),
        }
    }
}

/// An opened store.
pub(crate) struct Opened {
    pub(crate) vault: Vault,
    pub(crate) config: Config,
    pub(crate) root: RootFile,
}

/// Opens the store of a command with its passphrase. `limits` is the keeper's bound; the configured one where it is none.
pub(crate) fn open(global: &Global, limits: Option<KeeperLimits>) -> Result<Opened, CliError> {
    open_with(global, limits, true)
}

fn open_with(global: &Global, limits: Option<KeeperLimits>, with_index: bool) -> Result<Opened, CliError> {
    let config = Config::load(global)?;
    let data = data_directory(global);
    let paths = Paths::of(&data);
    if !paths.root.exists() || !paths.store.exists() {
        return Err(CliError::NoStore(data));
    }
    refuse_unfinished(&data)?;
    let passphrase = passphrase::existing(global)?;
    let root = RootFile::unlock(&paths.root, &passphrase).map_err(CliError::Root)?;
    let limits = limits.unwrap_or_else(|| config.keeper.limits());
    let vault = open_vault_over(engine(&paths.store, &config)?, &paths, &config, &root, limits, with_index)?;
    let environment = Environment { clock: clock(), rng: rng() };
    wait(take_lock_order(&vault, &data, &environment))?;
    Ok(Opened { vault, config, root })
}

/// As [`open`], with what the backup is made from, if one is set.
pub(crate) fn open_followed(global: &Global) -> Result<(Opened, Option<Following>), CliError> {
    let (config, data) = (Config::load(global)?, data_directory(global));
    if !config.backup.is_on() {
        return Ok((open(global, None)?, None));
    }
    // Settings that cannot be are told before anything is served.
    config.backup.check()?;
    let paths = Paths::of(&data);
    if !paths.root.exists() || !paths.store.exists() {
        return Err(CliError::NoStore(data));
    }
    refuse_unfinished(&data)?;
    let root = RootFile::unlock(&paths.root, &passphrase::existing(global)?).map_err(CliError::Root)?;
    let following = Following::new(engine(&paths.store, &config)?, &config.backup)?;
    let limits = config.keeper.limits();
    let vault = open_vault_over(Arc::clone(&following.engine), &paths, &config, &root, limits, true)?;
    let environment = Environment { clock: clock(), rng: rng() };
    wait(take_lock_order(&vault, &data, &environment))?;
    Ok((Opened { vault, config, root }, Some(following)))
}

/// As [`open`], for commands that neither search nor change records: the search index is left as it is, however far behind.
pub(crate) fn open_without_index(global: &Global, limits: Option<KeeperLimits>) -> Result<Opened, CliError> {
    open_with(global, limits, false)
}

/// As [`open`], with the rules on who may see what: for who asks about them.
pub(crate) fn open_by_rules(
    global: &Global,
    limits: Option<KeeperLimits>,
    policies: Arc<Policies>,
) -> Result<Opened, CliError> {
    let config = Config::load(global)?;
    let data = data_directory(global);
    let paths = Paths::of(&data);
    if !paths.root.exists() || !paths.store.exists() {
        return Err(CliError::NoStore(data));
    }
    refuse_unfinished(&data)?;
    let passphrase = passphrase::existing(global)?;
    let root = RootFile::unlock(&paths.root, &passphrase).map_err(CliError::Root)?;
    let limits = limits.unwrap_or_else(|| config.keeper.limits());
    let access = Some(AccessSettings { policies, care: config.access.care.settings() });
    let options = VaultOptions { access, ..vault_options() };
    let vault =
        Vault::open(engine(&paths.store, &config)?, keeper(&root, limits), options).map_err(CliError::Opening)?;
    Ok(Opened { vault, config, root })
}

/// Opens the vault with an unlocked root key.
pub(crate) fn open_vault(
    paths: &Paths,
    config: &Config,
    root: &RootFile,
    limits: KeeperLimits,
) -> Result<Vault, CliError> {
    open_vault_over(engine(&paths.store, config)?, paths, config, root, limits, true)
}

/// As [`open_vault`], over an engine that is open.
pub(crate) fn open_vault_over(
    engine: Arc<dyn Engine>,
    paths: &Paths,
    config: &Config,
    root: &RootFile,
    limits: KeeperLimits,
    with_index: bool,
) -> Result<Vault, CliError> {
    let mut options =
        VaultOptions { index: with_index.then(|| config.index.settings(&paths.index)), ..vault_options() };
    options.access = Some(config.access_settings()?);
    options.limits.validation = config.validation.settings()?;
    options.limits.patients_only_by_match = config.search.patients_only_by_match;
    let vault = Vault::open(engine, keeper(root, limits), options).map_err(CliError::Opening)?;
    // What two people agreed on, whatever the files say.
    vault.go_by_rules_in_force()?;
    Ok(vault)
}

pub(crate) fn keeper(root: &RootFile, limits: KeeperLimits) -> Arc<InProcessKeeper> {
    Arc::new(InProcessKeeper::new(root.keys(), clock(), rng(), limits))
}

/// What an engine keeps in the store's directory (docs/formats/store.md).
fn engine_file(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Fjall => "fjall",
        EngineKind::Redb => "rows.redb",
    }
}

pub(crate) fn engine(path: &Path, config: &Config) -> Result<Arc<dyn Engine>, CliError> {
    let engine = config.store.engine;
    let there = |kind: EngineKind| path.join(engine_file(kind)).exists();
    // Opening it with another engine would make an empty store beside the one that is there.
    if let Some(other) = [EngineKind::Fjall, EngineKind::Redb].into_iter().find(|kind| there(*kind) && !there(engine)) {
        return Err(CliError::Usage(format!(
            "this store was made with the engine {other}, but the configuration says {engine}: set `engine = \"{other}\"` \
             under `[store]`"
        )));
    }
    let cache_bytes = config.store.cache_mib.saturating_mul(1 << 20);
    Ok(match engine {
        EngineKind::Fjall => {
            Arc::new(FjallEngine::open(path, FjallOptions { cache_bytes, ..FjallOptions::default() })?)
        }
        EngineKind::Redb => {
            let cache_bytes = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
            Arc::new(RedbEngine::open(path, RedbOptions { cache_bytes, ..RedbOptions::default() })?)
        }
    })
}

/// Without a search index: what is changed so is found by the index when it is opened next.
pub(crate) fn vault_options() -> VaultOptions {
    let store = StoreOptions { durability: crate::measuring::durability(), ..StoreOptions::default() };
    VaultOptions { clock: clock(), rng: rng(), limits: Limits::default(), store, index: None, access: None }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn rng() -> Arc<dyn Rng> {
    Arc::new(SecureRng)
}

/// Who runs a command, for the ledger.
pub(crate) fn caller(global: &Global, role: Role, purpose: PurposeOfUse) -> Caller {
    let login = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let owner = global.operator.clone().or(login).filter(|name| !name.trim().is_empty());
    let owner = owner.unwrap_or_else(|| "unnamed operator".to_owned());
    let origin = Origin { address: None, channel: Channel::CommandLine };
    Caller::new(owner, role, purpose, origin, OperationId::random(&SecureRng))
}

/// Runs async work of the vault to its end.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}
