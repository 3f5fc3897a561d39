//! Settings of who is let in, and by what is decided who may see what.

use super::Config;
use crate::error::CliError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_policy::{CareSettings, Policies};
use tacet_server::{ForeignRule, OutgoingConfig, PeopleSettings};
use tacet_smart::foreign::{Provider, ProviderAuth, SubjectClaim};
use tacet_types::{Redacted, Zone};
use tacet_vault::{AccessSettings, Rules};

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
    /// For whose staff accounts are proposed: `Organization/ID`.
    pub(crate) propose_accounts: Vec<String>,
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
            propose_accounts: Vec::new(),
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
            rota_zone: self.zone_minutes.map_or(Zone::Paris, Zone::Fixed),
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
            propose_accounts: access.propose_accounts.clone(),
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
