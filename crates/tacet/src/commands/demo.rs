//! `tacet demo`: a synthetic hospital on the embedded store, with tokens and things to try.

use super::{init, serve};
use crate::args::{DemoArgs, EngineKind, Global, InitArgs};
use crate::config::{Config, LogConfig};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tacet_ledger::PurposeOfUse;
use tacet_seal::SecureRng;
use tacet_seal::root::{RootFile, Split};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::Rng;
use tacet_vault::{ImportOptions, ImportUnit, Role, Vault};

/// Where the demo lives when no directory is named.
const DATA_DEFAULT: &str = "demo-data";

/// Name of the file with the demo's passphrase. A real store's passphrase is never kept beside it.
const PASSPHRASE_FILE: &str = "passphrase";

/// Life of the demo's tokens, in milliseconds: a day.
const TOKEN_LIFE_MS: i64 = 86_400_000;

/// Patients shown in the things to try.
const PATIENTS_SHOWN: u64 = 3;

pub(crate) fn run(global: &Global, args: &DemoArgs, output: &Output) -> Result<u8, CliError> {
    let data = global.data.clone().unwrap_or_else(|| PathBuf::from(DATA_DEFAULT));
    let mut global = global.clone();
    global.data = Some(data.clone());
    global.operator.get_or_insert_with(|| "Tacet demo".to_owned());
    let passphrase_file = data.join(PASSPHRASE_FILE);
    if !Paths::of(&data).root.exists() {
        output.note(&format!("making a store in `{}` …", data.display()));
        make(&global, &data, &passphrase_file)?;
    }
    global.passphrase_file = Some(passphrase_file);

    let config = Config::load(&global)?;
    let passphrase = crate::passphrase::existing(&global)?;
    let paths = Paths::of(&data);
    let root = RootFile::unlock(&paths.root, &passphrase).map_err(CliError::Root)?;
    let vault = open::open_vault(&paths, &config, &root, MAINTENANCE_LIMITS)?;
    let hospital = Hospital::new(HospitalOptions {
        seed: args.seed,
        patients: args.patients,
        // A whole day, so that a second start on the same day finds everything stored.
        now: today(),
    });
    fill(&global, &vault, &hospital, output)?;
    let tokens = tokens(&global, &vault)?;

    serve::start_log(&LogConfig { level: "warn".to_owned(), json: false })?;
    let mut server = config.server.clone();
    server.listen = args.listen;
    // The demo serves with the keeper that every server has.
    vault.close()?;
    let vault = open::open_vault(&paths, &config, &root, config.keeper.limits())?;
    drop(root);
    let subscriptions = tacet_server::SubscriptionsConfig::default();
    serve::serve(&global, server, subscriptions, vault, |base| show(base, &data, &hospital, &tokens, output))?;
    Ok(exit::OK)
}

/// Midnight of today, UTC.
fn today() -> tacet_types::Timestamp {
    let now = open::clock().now().as_ms();
    tacet_types::Timestamp::from_ms(now - now.rem_euclid(86_400_000))
}

fn make(global: &Global, data: &Path, passphrase_file: &Path) -> Result<(), CliError> {
    init::private_directory(data)?;
    // A first attempt may have been cut off between the passphrase and the root key: then its passphrase serves.
    if !passphrase_file.exists() {
        write_passphrase(passphrase_file)?;
    }
    let passphrase = crate::passphrase::new(Some(passphrase_file))?;
    let args = InitArgs { shares: 5, threshold: 3, engine: Some(EngineKind::default()) };
    // The demo's shares are thrown away: nothing in it is worth recovering.
    init::make(global, data, &passphrase, Split::DEFAULT, &args).map(|_| ())
}

fn write_passphrase(path: &Path) -> Result<(), CliError> {
    let mut secret = [0u8; 16];
    SecureRng.fill(&mut secret);
    let passphrase: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{passphrase}"))
        .map_err(CliError::file(path, "the passphrase cannot be written"))
}

fn fill(global: &Global, vault: &Vault, hospital: &Hospital, output: &Output) -> Result<(), CliError> {
    let caller = open::caller(global, Role::Integrator, PurposeOfUse::RecordsManagement);
    let mut stored = 0;
    let mut import = |records: Vec<String>| -> Result<(), CliError> {
        let lines = records.iter().zip(1..).map(|(json, line)| (line, json.as_bytes())).collect();
        let unit = ImportUnit::Resources(lines);
        let outcome =
            open::wait(vault.import(&caller, &unit, ImportOptions { strict: true, ..ImportOptions::default() }))?;
        if !outcome.rejected.is_empty() {
            return Err(CliError::Usage(
                "the synthetic hospital broke a rule of FHIR; this is a fault of Tacet".into(),
            ));
        }
        stored += outcome.stored.values().sum::<u64>();
        Ok(())
    };
    import(hospital.foundation().into_iter().map(|record| record.json).collect())?;
    for file in hospital.patients() {
        import(file.resources.into_iter().map(|record| record.json).collect())?;
    }
    output.note(&format!("{stored} synthetic resources stored, {} patients", hospital.options().patients));
    Ok(())
}

/// New tokens for the three roles that the demo shows; those of earlier starts are ended.
fn tokens(global: &Global, vault: &Vault) -> Result<Vec<(Role, String)>, CliError> {
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    for token in vault.tokens()? {
        open::wait(vault.revoke_token(&caller, &token.id))?;
    }
    let expires = open::clock().now().plus_ms(TOKEN_LIFE_MS);
    [(Role::Clinician, "Dr Demo"), (Role::Integrator, "Demo integration engine"), (Role::Operator, "Demo operator")]
        .into_iter()
        .map(|(role, owner)| {
            let (_, secret) = open::wait(vault.create_token(&caller, owner, role, expires))?;
            Ok((role, secret.reveal().to_owned()))
        })
        .collect()
}

/// This program as it was called, to be called again.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "tacet".to_owned())
}

fn show(base: &str, data: &Path, hospital: &Hospital, tokens: &[(Role, String)], output: &Output) {
    let ids: Vec<String> =
        (0..PATIENTS_SHOWN.min(hospital.options().patients)).map(|n| hospital.patient_id(n)).collect();
    let secret = |wanted: Role| {
        tokens.iter().find(|(role, _)| *role == wanted).map(|(_, secret)| secret.as_str()).unwrap_or_default()
    };
    let first = ids.first().map(String::as_str).unwrap_or_default();
    let text = format!(
        "\nTacet serves a synthetic hospital at {base} (FHIR R4). Nobody in it is real.\n\n\
         Tokens, good for a day:\n  clinician   {clinician}\n  integrator  {integrator}\n  operator    {operator}\n\n\
         Patients: {patients}\n\n\
         Things to try, in another terminal:\n\n\
         export T={clinician}\n\
         curl {base}/metadata                                      # what this server can do\n\
         curl -H \"Authorization: Bearer $T\" {base}/Patient/{first}\n\
         curl -H \"Authorization: Bearer $T\" '{base}/Patient/{first}/$everything?_count=20&_pretty=true'\n\
         curl -H \"Authorization: Bearer $T\" '{base}/Patient/{first}/_history'\n\
         curl -H \"Authorization: Bearer $T\" -H 'Content-Type: application/fhir+json' \\\n\
         \x20    -d '{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"text\":\"Weight\"}},\"subject\":{{\"reference\":\"Patient/{first}\"}},\"valueQuantity\":{{\"value\":70.50,\"unit\":\"kg\"}}}}' \\\n\
         \x20    {base}/Observation\n\
         curl -i {base}/Patient/{first}                            # without a token: nothing\n\
         curl -H 'Authorization: Bearer {operator}' {base}/metrics\n\n\
         Stop with Ctrl-C, then look at what was written down, and at what a thief would find:\n\n\
         export TACET_DATA={data} TACET_PASSPHRASE_FILE={data}/passphrase\n\
         {tacet} ledger list      # every access above\n\
         {tacet} ledger verify\n\
         {tacet} check\n\
         grep -ra {first} {data}/store || echo nothing\n\
         {tacet} drill stolen-disk\n",
        tacet = program(),
        clinician = secret(Role::Clinician),
        integrator = secret(Role::Integrator),
        operator = secret(Role::Operator),
        patients = ids.join(" "),
        data = data.display(),
    );
    let named: serde_json::Map<String, serde_json::Value> =
        tokens.iter().map(|(role, secret)| (role.as_str().to_owned(), json!(secret))).collect();
    output.result("demo", json!({ "base_url": base, "tokens": named, "patients": ids }), &text);
}
