//! The configuration file: one TOML file, every setting with a sane default, nothing secret in it.

mod access;
mod places;

#[cfg(test)]
pub(crate) use access::CareConfig;
pub(crate) use access::{AccessConfig, OidcConfig, load_policies, load_rules};

use crate::args::{EngineKind, Global};
use crate::backing::BackupConfig;
use crate::error::CliError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tacet_seal::KeeperLimits;
use tacet_server::{LedgerConfig, PacksConfig, ServerConfig, SubscriptionsConfig, TripwiresConfig};
use tacet_types::ResourceType;
use tacet_vault::{IndexSettings, RequiredProfile, Validation, ValidationSettings};

/// Name of the configuration file in the data directory.
pub(crate) const FILE_NAME: &str = "tacet.toml";

/// Data directory where none is named.
const DATA_DEFAULT: &str = "tacet-data";

/// All settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) store: StoreConfig,
    pub(crate) index: IndexConfig,
    pub(crate) search: SearchConfig,
    pub(crate) validation: ValidationConfig,
    pub(crate) keeper: KeeperConfig,
    pub(crate) server: ServerConfig,
    pub(crate) subscriptions: SubscriptionsConfig,
    pub(crate) access: AccessConfig,
    pub(crate) oidc: BTreeMap<String, OidcConfig>,
    pub(crate) ledger: LedgerConfig,
    pub(crate) tripwires: TripwiresConfig,
    pub(crate) packs: PacksConfig,
    pub(crate) log: LogConfig,
    pub(crate) backup: BackupConfig,
    pub(crate) transfer: TransferConfig,
}

/// With which hospitals summaries are exchanged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TransferConfig {
    /// To whom summaries may be sealed: name and key, `age1…`.
    pub(crate) recipients: BTreeMap<String, String>,
    /// From whom summaries are taken: name and key, 64 hexadecimal digits.
    pub(crate) senders: BTreeMap<String, String>,
}

/// How records are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreConfig {
    /// Chosen by `tacet init`; to change it, copy the store.
    pub(crate) engine: EngineKind,
    /// Memory for blocks read from disk, in MiB.
    pub(crate) cache_mib: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { engine: EngineKind::default(), cache_mib: 128 }
    }
}

/// How the search index is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IndexConfig {
    /// Memory for it, in MiB.
    pub(crate) memory_mib: u64,
    /// How long a change may stay out of its files, in milliseconds.
    pub(crate) commit_ms: u64,
}

impl Default for IndexConfig {
    fn default() -> Self {
        let settings = IndexSettings::default();
        Self { memory_mib: settings.memory_bytes_max as u64 >> 20, commit_ms: settings.commit_interval_ms }
    }
}

impl IndexConfig {
    pub(crate) fn settings(&self, directory: &Path) -> IndexSettings {
        IndexSettings {
            directory: Some(directory.to_owned()),
            memory_bytes_max: usize::try_from(self.memory_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX),
            commit_interval_ms: self.commit_ms,
        }
    }
}

/// What may be searched for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SearchConfig {
    /// Patients only by `Patient/$match`, by their id or by a whole identifier.
    pub(crate) patients_only_by_match: bool,
}

/// What resources are held to when they are stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ValidationConfig {
    /// Creates, updates, patches and bundles.
    pub(crate) writes: ValidationLevel,
    /// Imports.
    pub(crate) imports: ValidationLevel,
    /// Profiles that every resource of a type must have, where the level is `profiles`.
    pub(crate) required: BTreeMap<String, Vec<String>>,
}

/// How far is looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ValidationLevel {
    Structure,
    Base,
    Profiles,
}

impl From<Validation> for ValidationLevel {
    fn from(level: Validation) -> Self {
        match level {
            Validation::Structure => Self::Structure,
            Validation::Base => Self::Base,
            Validation::Profiles => Self::Profiles,
        }
    }
}

impl From<ValidationLevel> for Validation {
    fn from(level: ValidationLevel) -> Self {
        match level {
            ValidationLevel::Structure => Self::Structure,
            ValidationLevel::Base => Self::Base,
            ValidationLevel::Profiles => Self::Profiles,
        }
    }
}

impl Default for ValidationConfig {
    fn default() -> Self {
        let settings = ValidationSettings::default();
        Self { writes: settings.writes.into(), imports: settings.imports.into(), required: BTreeMap::new() }
    }
}

impl ValidationConfig {
    pub(crate) fn settings(&self) -> Result<ValidationSettings, CliError> {
        let mut required = Vec::new();
        for (name, profiles) in &self.required {
            let resource_type = ResourceType::parse(name).ok_or_else(|| {
                CliError::Usage(format!(
                    "`[validation.required]` in the configuration: `{name}` is no resource type of R4"
                ))
            })?;
            required.extend(profiles.iter().map(|profile| RequiredProfile { resource_type, profile: profile.clone() }));
        }
        Ok(ValidationSettings { writes: self.writes.into(), imports: self.imports.into(), required })
    }
}

/// How fast the key keeper lets data keys out while serving: what a thief on the running server can open in an hour.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KeeperConfig {
    /// Keys a second in the long run.
    pub(crate) unwraps_per_second: u32,
    /// Keys at once after a quiet time.
    pub(crate) unwraps_burst: u32,
}

impl Default for KeeperConfig {
    fn default() -> Self {
        let limits = KeeperLimits::default();
        Self { unwraps_per_second: limits.per_second, unwraps_burst: limits.burst }
    }
}

impl KeeperConfig {
    pub(crate) fn limits(&self) -> KeeperLimits {
        KeeperLimits { burst: self.unwraps_burst, per_second: self.unwraps_per_second }
    }
}

/// How the server's log looks.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `error`, `warn`, `info` or `debug`. No level logs personal data.
    pub(crate) level: String,
    /// One JSON object a line instead of text.
    pub(crate) json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), json: true }
    }
}

/// The data directory of a command.
pub(crate) fn data_directory(global: &Global) -> PathBuf {
    global.data.clone().unwrap_or_else(|| PathBuf::from(DATA_DEFAULT))
}

impl Config {
    /// Reads the configuration of a command: the file that was named, or the one in the data directory, or defaults.
    pub(crate) fn load(global: &Global) -> Result<Self, CliError> {
        let named = global.config.is_some();
        let path = global.config.clone().unwrap_or_else(|| data_directory(global).join(FILE_NAME));
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let mut config = Self::parse(&text, &path)?;
                config.tripwires.kept = places::inside(&text, &data_directory(global));
                Ok(config)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(Self::default()),
            Err(error) => Err(CliError::file(path, "the configuration file cannot be read")(error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, CliError> {
        toml::from_str(text)
            .map_err(|error| CliError::Config { path: path.to_owned(), problem: error.message().to_owned() })
    }
}

/// What `tacet init` writes, so that there is something to edit.
pub(crate) fn template(engine: EngineKind) -> String {
    format!(
        "# Settings of this store. What is commented out shows the default; docs/configuration.md explains each.\n\n\
         [store]\nengine = \"{engine}\"\n# cache_mib = 128\n\n\
         [server]\n# listen = \"127.0.0.1:8443\"\n# base_url = \"https://records.example.org\"\n\
         # tls = {{ certificate = \"/etc/tacet/server.pem\", key = \"/etc/tacet/server.key\" }}\n\n\
         [index]\n# memory_mib = 512\n# commit_ms = 1000\n\n\
         [search]\n# patients_only_by_match = false\n\n\
         [validation]\n# writes = \"base\"\n# imports = \"structure\"\n\n\
         [keeper]\n# unwraps_per_second = 100\n# unwraps_burst = 5000\n\n\
         [subscriptions]\n# allowed = [\"https://ehr.example.org/hooks/\"]\n# payload_allowed = []\n\
         # roots = \"/etc/ssl/certs/ca-certificates.crt\"\n\n\
         [access]\n# name = \"Hospital\"\n# tokens_for_people = false\n# session_idle_minutes = 15\n# session_minutes_max = 600\n\
         # step_up_minutes = 5\n# propose_accounts = [\"Organization/hospital\"]\n# policies = \"/etc/tacet/policies\"\n\n\
         [ledger]\n# origin = \"records.example.org/_ledger/log\"\n\n\
         [backup]\n# target = {{ kind = \"ssh\", host = \"tacet-backup@vault.example.org\" }}\n\
         # keys = {{ kind = \"folder\", path = \"/mnt/keys\" }}\n# interval_seconds = 10\n# base_days = 7\n# locked_days = 0\n\n\
         [packs]\n# folders = [\"/srv/packs\"]\n# interval_seconds = 300\n# language = \"fr\"\n\
         # wards.emergency = {{ place = \"Location/emergency\", name = \"Emergency\", recipients = [\"age1...\"] }}\n\n\
         [transfer]\n# recipients = {{ \"Other hospital\" = \"age1...\" }}\n# senders = {{ \"Other hospital\" = \"64 hexadecimal digits\" }}\n\n\
         [tripwires]\n# lock = \"read-only\"\n# interval_ms = 2000\n\n\
         [log]\n# level = \"info\"\n# json = true\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration() {
        for engine in [EngineKind::Fjall, EngineKind::Redb] {
            let config = Config::parse(&template(engine), Path::new("x")).unwrap();
            assert_eq!(config.store.engine, engine);
            let uncommented: String = template(engine)
                .lines()
                .map(|line| {
                    line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n"
                })
                .collect();
            assert!(Config::parse(&uncommented, Path::new("x")).is_ok(), "{uncommented}");
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let error = Config::parse("[server]\nlisen = \"x\"\n", Path::new("x")).unwrap_err();
        assert!(error.to_string().contains("lisen"), "{error}");
    }
}
