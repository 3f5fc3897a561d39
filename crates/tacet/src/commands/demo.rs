//! `tacet demo`: a synthetic hospital on the embedded store, with tokens and things to try.

use super::{init, serve};
use crate::args::{DemoArgs, EngineKind, Global, InitArgs};
use crate::config::{Config, LogConfig};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tacet_fhir::json::{Limits, parse_str};
use tacet_identity::{Actor, Draft};
use tacet_ledger::PurposeOfUse;
use tacet_policy::{CareData, CareSettings, facts_of};
use tacet_seal::SecureRng;
use tacet_seal::root::{RootFile, Split};
use tacet_server::{People, PeopleSettings};
use tacet_testkit::{Hospital, HospitalOptions, Record, Standing};
use tacet_types::{OperationId, ResourceId, Rng};
use tacet_vault::{ImportOptions, ImportUnit, Role, Vault};

/// Where the demo lives when no directory is named.
const DATA_DEFAULT: &str = "demo-data";

/// Name of the file with the demo's passphrase. A real store's passphrase is never kept beside it.
const PASSPHRASE_FILE: &str = "passphrase";

/// Life of the demo's tokens, in milliseconds: a day.
const TOKEN_LIFE_MS: i64 = 86_400_000;

/// Patients shown in the things to try.
const PATIENTS_SHOWN: usize = 3;

/// The code of physicians in the French list of professions.
const PHYSICIAN: &str = "10";

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
    let tokens = tokens(&global, &vault, &hospital)?;

    serve::start_log(&LogConfig { level: "warn".to_owned(), json: false })?;
    let mut server = config.server.clone();
    server.listen = args.listen;
    if server.base_url.is_none() && args.listen.ip().is_loopback() && args.listen.port() != 0 {
        // Passkeys are bound to a name: this machine's, not its address.
        server.base_url = Some(format!("http://localhost:{}", args.listen.port()));
    }
    // Real staff log in with a passkey; in the demo a token at the command line is easier to try.
    let people = PeopleSettings { tokens_for_people: true, ..config.people_settings()? };
    // The demo serves with the keeper that every server has.
    vault.close()?;
    let vault = open::open_vault(&paths, &config, &root, config.keeper.limits())?;
    drop(root);
    let subscriptions = tacet_server::SubscriptionsConfig::default();
    serve::serve(
        &global,
        server,
        serve::Behind { subscriptions, ..serve::Behind::default() },
        &tacet_server::LedgerConfig::default(),
        people,
        vault,
        |base, people| {
            let invited = invite(people)?;
            show(base, &data, &hospital, &tokens, &invited, output);
            Ok(())
        },
    )?;
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
    let caller = open::caller(global, Role::Integrator, PurposeOfUse::Operations);
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

/// The physician of the hospital with the most patients in a bed of the ward, and those patients.
struct Seat {
    practitioner: String,
    patients: Vec<String>,
}

/// What the demo's tokens are.
struct Tokens {
    secrets: Vec<(Role, String)>,
    seat: Option<Seat>,
}

/// Finds the physician who has to do with the most patients at this hour, by the very relations that the rules go by. Of patients who are
/// set apart (prison, known, colleagues) or who let nobody see their records none is taken to show.
fn seat(hospital: &Hospital) -> Option<Seat> {
    let mut care = CareData::default();
    let mut put = |record: &Record| {
        let (Ok(id), Ok(json)) = (ResourceId::parse(&record.id), parse_str(&record.json, &Limits::default())) else {
            return;
        };
        let facts = facts_of(record.resource_type, &id, &json);
        care.put((record.resource_type, id), facts);
    };
    hospital.foundation().iter().for_each(&mut put);
    let mut ordinary: Vec<String> = Vec::new();
    for file in hospital.patients() {
        file.resources.iter().for_each(&mut put);
        if hospital.standing(file.n) == Standing::Ordinary && !file.refuses() {
            ordinary.push(file.id);
        }
    }
    let (now, settings) = (open::clock().now(), CareSettings::default());
    let physicians = hospital.staff().filter(|member| member.profession == PHYSICIAN);
    let seats = physicians.filter_map(|member| {
        let related = care.relations(&ResourceId::parse(&member.id).ok()?, now, &settings);
        let theirs = |id: &&String| ResourceId::parse(id).is_ok_and(|id| related.contains_key(&id));
        Some(Seat { practitioner: member.id, patients: ordinary.iter().filter(theirs).cloned().collect() })
    });
    seats.max_by_key(|seat| seat.patients.len())
}

/// New tokens for the roles that the demo shows; those of earlier starts are ended.
fn tokens(global: &Global, vault: &Vault, hospital: &Hospital) -> Result<Tokens, CliError> {
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    for token in vault.tokens()? {
        open::wait(vault.revoke_token(&caller, &token.id))?;
    }
    let expires = open::clock().now().plus_ms(TOKEN_LIFE_MS);
    let seat = seat(hospital);
    let practitioner = seat.as_ref().and_then(|seat| ResourceId::parse(&seat.practitioner).ok());
    let wanted = [
        (Role::Clinician, "Dr Demo", practitioner.as_ref()),
        (Role::Integrator, "Demo integration engine", None),
        (Role::Operator, "Demo operator", None),
    ];
    let secrets: Result<Vec<_>, CliError> = wanted
        .into_iter()
        .map(|(role, owner, practitioner)| {
            let (_, secret) = open::wait(vault.create_token_for(&caller, owner, role, expires, practitioner, &[]))?;
            Ok((role, secret.reveal().to_owned()))
        })
        .collect();
    Ok(Tokens { secrets: secrets?, seat })
}

/// Somebody who may enrol a passkey: login, first code, second code.
type Invitation = (String, String, String);

/// The first accounts, as long as nobody can log in: two who administer and a security officer.
fn invite(people: &People) -> Result<Vec<Invitation>, CliError> {
    let failed = |error| CliError::Server(Box::new(error));
    let identity = people.identity();
    let mut invited = Vec::new();
    if !identity.may_bootstrap().map_err(failed)? {
        return Ok(invited);
    }
    let actor = Actor::command_line("Tacet demo", OperationId::random(&SecureRng));
    // Codes are shown once: each start invites anew, under the next free number.
    let taken = identity.accounts().map_err(failed)?.len();
    // In the order in which they are to enrol: as soon as two administrators have, the codes of the others are of no use.
    for (number, role) in [Role::SecurityOfficer, Role::Administrator, Role::Administrator].into_iter().enumerate() {
        let login = format!("{role}-{}", taken + number + 1);
        let made = open::wait(identity.bootstrap(&actor, Draft::new(&login, &login, role))).map_err(failed)?;
        invited.push((login, made.first.reveal().to_owned(), made.second.reveal().to_owned()));
    }
    Ok(invited)
}

/// This program as it was called, to be called again.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "tacet".to_owned())
}

fn show(base: &str, data: &Path, hospital: &Hospital, tokens: &Tokens, invited: &[Invitation], output: &Output) {
    let mut ids: Vec<String> = tokens.seat.iter().flat_map(|seat| seat.patients.iter().cloned()).collect();
    if ids.is_empty() {
        ids = (0..hospital.options().patients).map(|n| hospital.patient_id(n)).collect();
    }
    ids.truncate(PATIENTS_SHOWN);
    // Somebody in the house with whom the physician has nothing to do.
    let stranger = (0..hospital.options().patients)
        .map(|n| hospital.patient_id(n))
        .find(|id| tokens.seat.as_ref().is_some_and(|seat| !seat.patients.contains(id)))
        .unwrap_or_default();
    let secret = |wanted: Role| {
        let found = tokens.secrets.iter().find(|(role, _)| *role == wanted);
        found.map(|(_, secret)| secret.as_str()).unwrap_or_default()
    };
    let first = ids.first().map(String::as_str).unwrap_or_default();
    let people: String = invited
        .iter()
        .map(|(login, first, second)| format!("  {login}: {base}/auth/enrol#{first} with the second code {second}\n"))
        .collect();
    let people = if people.is_empty() { format!("  log in at {base}/auth/login\n") } else { people };
    let text = format!(
        "\nTacet serves a synthetic hospital at {base} (FHIR R4). Nobody in it is real.\n\n\
         Tokens, good for a day:\n  clinician   {clinician}\n  integrator  {integrator}\n  operator    {operator}\n\n\
         The clinician is a physician of the hospital, and sees the patients in their care: {patients}\n\n\
         People log in with a passkey. To enrol one (a browser and a device that has passkeys):\n{people}\n\
         Things to try, in another terminal:\n\n\
         export T={clinician}\n\
         curl {base}/metadata                                      # what this server can do\n\
         curl -H \"Authorization: Bearer $T\" {base}/Patient/{first}\n\
         curl -H \"Authorization: Bearer $T\" '{base}/Patient/{first}/$everything?_count=20&_pretty=true'\n\
         curl -H \"Authorization: Bearer $T\" '{base}/Patient/{first}/_history'\n\
         curl -H \"Authorization: Bearer $T\" -H 'Content-Type: application/fhir+json' \\\n\
         \x20    -d '{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"text\":\"Weight\"}},\"subject\":{{\"reference\":\"Patient/{first}\"}},\"valueQuantity\":{{\"value\":70.50,\"unit\":\"kg\"}}}}' \\\n\
         \x20    {base}/Observation\n\
         curl -i -H \"Authorization: Bearer $T\" {base}/Observation?patient={stranger} # not a patient of theirs: nothing\n\
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
    let named: serde_json::Map<String, Value> =
        tokens.secrets.iter().map(|(role, secret)| (role.as_str().to_owned(), json!(secret))).collect();
    let invitations: Vec<Value> = invited
        .iter()
        .map(|(login, first, second)| json!({ "login": login, "first": first, "second": second }))
        .collect();
    let practitioner = tokens.seat.as_ref().map(|seat| seat.practitioner.as_str());
    let result = json!({
        "base_url": base, "tokens": named, "patients": ids, "practitioner": practitioner, "invitations": invitations,
    });
    output.result("demo", result, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of those that the demo printed answered 404: the patient lets nobody see the records.
    #[test]
    fn whoever_refuses_is_not_shown_as_in_care() {
        let hospital = Hospital::new(HospitalOptions { seed: 1, patients: 200, now: today() });
        let refusing: Vec<String> = hospital.patients().filter(|file| file.refuses()).map(|file| file.id).collect();
        let seat = seat(&hospital).unwrap();
        assert!(refusing.len() > 3 && seat.patients.len() > 3, "{} and {}", refusing.len(), seat.patients.len());
        assert!(seat.patients.iter().all(|id| !refusing.contains(id)));
    }
}
