//! The configuration file: one TOML file, every setting with a sane default, nothing secret in it.

use crate::args::{EngineKind, Global};
use crate::backing::BackupConfig;
use crate::error::CliError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_policy::{CareSettings, Policies, Zone};
use tacet_seal::KeeperLimits;
use tacet_server::{
    ForeignRule, LedgerConfig, OutgoingConfig, PacksConfig, PeopleSettings, ServerConfig, SubscriptionsConfig,
    TripwiresConfig,
};
use tacet_smart::foreign::{Provider, ProviderAuth, SubjectClaim};
use tacet_types::{Redacted, ResourceType};
use tacet_vault::{AccessSettings, IndexSettings, RequiredProfile, Rules, Validation, ValidationSettings};

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

/// Who is let in, and by what is decided who may see what.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessConfig {
    /// The hospital's name, as people read it when their device asks for a passkey.
    pub(crate) name: String,
    /// Directory of `*.cedar` files that stand in place of the rules that come with the program.
    pub(crate) policies: Option<PathBuf>,
    /// Whether tokens of the command line are taken where their role is one of people.
    pub(crate) tokens_for_people: bool,
    /// Minutes without use after which a session ends.
    pub(crate) session_idle_minutes: u32,
    /// Minutes after which a session ends at the latest.
    pub(crate) session_minutes_max: u32,
    /// Minutes within which a passkey counts as just shown.
    pub(crate) step_up_minutes: u32,
    /// For how long something makes a relation to a patient.
    pub(crate) care: CareConfig,
    /// What may be fetched from elsewhere.
    pub(crate) outgoing: OutgoingConfig,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            name: "Tacet".to_owned(),
            policies: None,
            tokens_for_people: false,
            session_idle_minutes: 15,
            session_minutes_max: 600,
            step_up_minutes: 5,
            care: CareConfig::default(),
            outgoing: OutgoingConfig::default(),
        }
    }
}

/// For how long something makes a relation (see `tacet_policy::CareSettings`).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CareConfig {
    pub(crate) appointment_days_before: u32,
    pub(crate) appointment_days_after: u32,
    pub(crate) encounter_days_after: u32,
    pub(crate) encounter_days_max: u32,
    pub(crate) order_days: u32,
    pub(crate) prescription_days: u32,
    pub(crate) registered_hours: u32,
    pub(crate) shift_margin_minutes: u32,
    /// Minutes east of Greenwich by whose clock working hours are written; absent: Central European Time.
    pub(crate) zone_minutes: Option<i16>,
}

impl Default for CareConfig {
    fn default() -> Self {
        let care = CareSettings::default();
        Self {
            appointment_days_before: care.appointment_days_before,
            appointment_days_after: care.appointment_days_after,
            encounter_days_after: care.encounter_days_after,
            encounter_days_max: care.encounter_days_max,
            order_days: care.order_days,
            prescription_days: care.prescription_days,
            registered_hours: care.registered_hours,
            shift_margin_minutes: care.shift_margin_minutes,
            zone_minutes: None,
        }
    }
}

impl CareConfig {
    pub(crate) fn settings(&self) -> CareSettings {
        CareSettings {
            appointment_days_before: self.appointment_days_before,
            appointment_days_after: self.appointment_days_after,
            encounter_days_after: self.encounter_days_after,
            encounter_days_max: self.encounter_days_max,
            order_days: self.order_days,
            prescription_days: self.prescription_days,
            registered_hours: self.registered_hours,
            shift_margin_minutes: self.shift_margin_minutes,
            rota_zone: self.zone_minutes.map_or(Zone::CentralEurope, Zone::Fixed),
        }
    }
}

/// A provider at which people may log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcConfig {
    /// Its name, as people read it.
    pub(crate) name: String,
    /// Its issuer, to the letter.
    pub(crate) issuer: String,
    /// Who we are there.
    pub(crate) client_id: String,
    /// File that holds the secret which we prove it with; absent: PKCE alone.
    #[serde(default)]
    pub(crate) secret_file: Option<PathBuf>,
    /// Whether the secret goes into the form rather than the header.
    #[serde(default)]
    pub(crate) secret_in_form: bool,
    /// Whether we prove it with a signature by this server's key, in the place of a secret.
    #[serde(default)]
    pub(crate) signs: bool,
    /// What is asked for besides `openid`.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Which kinds of login count, best first.
    #[serde(default)]
    pub(crate) acr_values: Vec<String>,
    /// The claim that says who somebody is; `psc` for Pro Santé Connect's rule.
    #[serde(default = "sub")]
    pub(crate) subject: String,
    /// Whose account it is here.
    #[serde(default)]
    pub(crate) account: OidcAccount,
}

fn sub() -> String {
    "sub".to_owned()
}

/// By what the account of a provider's person is found.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OidcAccount {
    #[default]
    ExternalId,
    Login,
}

impl Config {
    /// The texts of the policies that are configured.
    pub(crate) fn rules(&self) -> Result<Rules, CliError> {
        self.access.policies.as_deref().map_or_else(|| Ok(Rules::built_in()), load_rules)
    }

    /// By what is decided who may see what.
    pub(crate) fn access_settings(&self) -> Result<AccessSettings, CliError> {
        let policies = match &self.access.policies {
            None => Policies::built_in(),
            Some(directory) => Arc::new(load_policies(directory)?),
        };
        Ok(AccessSettings { policies, care: self.access.care.settings() })
    }

    /// How people are let in.
    pub(crate) fn people_settings(&self) -> Result<PeopleSettings, CliError> {
        const MINUTE_MS: i64 = 60_000;
        let access = &self.access;
        let providers: Result<Vec<_>, CliError> = self.oidc.iter().map(|(id, oidc)| oidc.provider(id)).collect();
        Ok(PeopleSettings {
            name: access.name.clone(),
            tokens_for_people: access.tokens_for_people,
            session_idle_ms: i64::from(access.session_idle_minutes) * MINUTE_MS,
            session_ms_max: i64::from(access.session_minutes_max) * MINUTE_MS,
            step_up_ms: i64::from(access.step_up_minutes) * MINUTE_MS,
            outgoing: access.outgoing.clone(),
            providers: providers?,
            ..PeopleSettings::default()
        })
    }
}

impl OidcConfig {
    fn provider(&self, id: &str) -> Result<(Provider, ForeignRule), CliError> {
        let secret = match &self.secret_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(CliError::file(path, "the secret of a provider cannot be read"))?;
                Some(Redacted::new(text.trim().to_owned()))
            }
        };
        let auth = match secret {
            Some(_) if self.signs => {
                let message = format!("`[oidc.{id}]` has both `secret_file` and `signs`: leave one of them out");
                return Err(CliError::Usage(message));
            }
            None if self.signs => ProviderAuth::PrivateKeyJwt,
            None => ProviderAuth::None,
            Some(secret) if self.secret_in_form => ProviderAuth::SecretPost(secret),
            Some(secret) => ProviderAuth::SecretBasic(secret),
        };
        let subject = match self.subject.as_str() {
            "sub" => SubjectClaim::Sub,
            "psc" => SubjectClaim::ProSanteConnect,
            name => SubjectClaim::Named(name.to_owned()),
        };
        let rule = match self.account {
            OidcAccount::ExternalId => ForeignRule::ExternalId,
            OidcAccount::Login => ForeignRule::Login,
        };
        let provider = Provider {
            id: id.to_owned(),
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            auth,
            redirect_uri: String::new(),
            logged_out_uri: String::new(),
            scopes: self.scopes.clone(),
            acr_values: self.acr_values.clone(),
            subject,
        };
        Ok((provider, rule))
    }
}

/// The policies of a directory.
pub(crate) fn load_policies(directory: &Path) -> Result<Policies, CliError> {
    let rules = load_rules(directory)?;
    let texts: Vec<(&str, &str)> = rules.files().iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Policies::load(&texts).map_err(|error| CliError::Usage(error.to_string()))
}

/// The texts of a directory's policies: every file that ends in `.cedar`, by name.
pub(crate) fn load_rules(directory: &Path) -> Result<Rules, CliError> {
    let unreadable = |error| CliError::file(directory, "the policies cannot be read")(error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let text = std::fs::read_to_string(&path).map_err(CliError::file(&path, "a policy cannot be read"))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.push((name, text));
        }
    }
    Rules::of(files).map_err(|error| CliError::Usage(error.to_string()))
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
            Ok(text) => Self::parse(&text, &path),
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
         # step_up_minutes = 5\n# policies = \"/etc/tacet/policies\"\n\n\
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
