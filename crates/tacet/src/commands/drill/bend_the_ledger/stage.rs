//! The hospital whose ledger is bent: two days of it, a witness that has seen both, and what people carried away.

use super::intruder::Intruder;
use super::outside::Published;
use crate::commands::drill::child::{Children, Server};
use crate::commands::drill::http::Client;
use crate::commands::drill::scratch::{Area, Scratch};
use crate::commands::init::private_directory;
use crate::config::Config;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{SecureRng, Zeroizing};
use tacet_testkit::{Hospital, HospitalOptions, Record};
use tacet_tlog::{Receipt, SignedCheckpoint, VerifierKey};
use tacet_types::{OperationId, ResourceId, ResourceType, Timestamp};
use tacet_vault::{Caller, EventKind, ImportOptions, ImportUnit, Role, Vault};

/// The present of the played charts: 1 March 2025, midnight UTC.
const HOSPITAL_NOW_MS: i64 = 1_740_787_200_000;

/// How often the drill's server publishes, in seconds.
pub(super) const PUBLISH_S: u64 = 1;

/// How old a cosignature may be in the drill, in seconds.
pub(super) const AGE_S: u64 = 4;

/// As good as never, in seconds.
pub(super) const NEVER_S: u64 = 1_000_000;

/// Entries before the first day: more than a tile of 256, so that old ones lie under hashes that are kept.
const ENTRIES_BEFORE: u64 = 280;

/// Requests of a day.
pub(super) const REQUESTS: u64 = 6;

/// Life of the drill's tokens, in milliseconds.
const TOKEN_LIFE_MS: i64 = 86_400_000;

/// Looks before a publication is given up, 50 ms apart.
const LOOKS_MAX: u32 = 600;

const OPERATOR: &str = "drill operator";
const COLLEAGUE: &str = "curious colleague";
const WITNESS: &str = "dpo.drill.invalid/witness";

/// What the attacks begin with.
pub(super) struct Base {
    scratch: Scratch,
    pub(super) passphrase: Zeroizing<String>,
    /// Of an interface that reads all day.
    pub(super) token: String,
    /// Of somebody who reads what is none of their business.
    pub(super) curious: String,
    /// `/Patient/…`
    pub(super) patient: String,
    pub(super) log: Vec<VerifierKey>,
    pub(super) witness: VerifierKey,
    /// The entry that the intruder wants gone.
    pub(super) target: usize,
    /// The patient's receipt for it.
    pub(super) receipt: Receipt,
    /// What an auditor wrote down.
    pub(super) known: SignedCheckpoint,
    /// Entries at the end.
    pub(super) entries: u64,
    pub(super) patients: u64,
    pub(super) seed: u64,
}

/// What lies in the base's directory.
#[derive(Clone, Copy)]
pub(super) enum Copy {
    Yesterday,
    Now,
    Witness,
}

fn cannot(what: &str) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what}"))
}

fn caller(role: Role, purpose: PurposeOfUse) -> Caller {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    Caller::new("drill", role, purpose, origin, OperationId::random(&SecureRng))
}

/// Where a witness keeps what it has seen: on another machine, as far as the intruder is concerned.
pub(super) fn witness_directory(scratch: &Scratch) -> PathBuf {
    scratch.root().join("witness")
}

/// Text of a path of the drill's own.
pub(super) fn text(path: &Path) -> Result<&str, CliError> {
    path.to_str().ok_or_else(|| cannot("the scratch directory's name is no text"))
}

/// The configuration of a server.
pub(super) fn settings(witness: SocketAddr, key: &VerifierKey, publish_s: u64) -> String {
    format!(
        "[ledger]\npublic = true\npublish_seconds = {publish_s}\nrequire_witnesses = true\nwitness_age_seconds = {AGE_S}\n\
         witnesses = [{{ url = \"http://{witness}\", key = \"{key}\" }}]\n[access]\ntokens_for_people = true\n\
         [access.outgoing]\nhosts = [\"{witness}\"]\n"
    )
}

/// Copies a directory and what is in it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), CliError> {
    let unable = || CliError::file(from, "cannot be copied");
    private_directory(to)?;
    for entry in std::fs::read_dir(from).map_err(unable())? {
        let path = entry.map_err(unable())?.path();
        let Some(name) = path.file_name() else { continue };
        match path.is_dir() {
            true => copy(&path, &to.join(name))?,
            false => std::fs::copy(&path, to.join(name)).map(drop).map_err(unable())?,
        }
    }
    Ok(())
}

impl Base {
    pub(super) fn root(&self) -> &Path {
        self.scratch.root()
    }

    pub(super) fn copy(&self, which: Copy) -> PathBuf {
        self.root().join(match which {
            Copy::Yesterday => "yesterday",
            Copy::Now => "now",
            Copy::Witness => "witness-then",
        })
    }

    pub(super) fn build(patients: u64, seed: u64, parent: Option<&Path>, say: &dyn Fn(&str)) -> Result<Self, CliError> {
        let scratch = Scratch::create(parent, false)?;
        let data = scratch.area(Area::Data);
        let passphrase = Zeroizing::new(format!("drill {}", OperationId::random(&SecureRng)));
        let Founded { token, curious, patient, log } = open::wait(found(&data, &passphrase, patients, seed))?;
        let children = Children::new(&scratch, passphrase.clone())?;
        let home = witness_directory(&scratch);
        let home = text(&home)?;
        let made = children.run("witness-init", "witness", &["witness", "init", home, "--name", WITNESS, "--json"])?;
        let made: serde_json::Value = serde_json::from_str(&made).unwrap_or_default();
        let key = made.get("key").and_then(serde_json::Value::as_str).and_then(|key| VerifierKey::parse(key).ok());
        let witness = key.ok_or_else(|| cannot("the witness has no key"))?;
        for key in &log {
            children.run("witness-trust", "witness", &["witness", "trust", home, &key.to_string()])?;
        }
        let serving = children.witness("witness", home)?;
        children.configure(&settings(serving.address, &witness, PUBLISH_S))?;

        say("a first day");
        let server = children.serve("yesterday", OPERATOR)?;
        day(&server, &token, &patient)?;
        end(server)?;
        copy(&data, &scratch.root().join("yesterday"))?;
        say("a second day, on which a colleague reads what is none of their business");
        let server = children.serve("today", OPERATOR)?;
        read(&server, &curious, &patient)?;
        let known = day(&server, &token, &patient)?;
        end(server)?;
        let (target, _) = Intruder::open(&data, &passphrase)?
            .entries()?
            .into_iter()
            .enumerate()
            .find(|(_, entry)| entry.kind == EventKind::Read && entry.agent.owner == COLLEAGUE)
            .ok_or_else(|| cannot("what the colleague read is not in the ledger"))?;
        let file = scratch.area(Area::Export).join("kept.tlog-proof");
        children.run("receipt", OPERATOR, &["receipt", "make", &target.to_string(), "--to", text(&file)?])?;
        let receipt = std::fs::read(&file).map_err(CliError::file(&file, "cannot be read"))?;
        let receipt = Receipt::parse(&receipt).map_err(|error| CliError::other("the receipt cannot be read", error))?;
        end(serving)?;
        copy(&data, &scratch.root().join("now"))?;
        copy(Path::new(home), &scratch.root().join("witness-then"))?;
        let entries = Intruder::open(&data, &passphrase)?.size()?;
        Ok(Self {
            scratch,
            passphrase,
            token,
            curious,
            patient,
            log,
            witness,
            target,
            receipt,
            known,
            entries,
            patients,
            seed,
        })
    }
}

/// Ends a server as its service manager does.
pub(super) fn end(server: Server) -> Result<(), CliError> {
    let status = server.end(Signal::TERM)?;
    match status.code() {
        Some(code) if code == i32::from(exit::OK) => Ok(()),
        _ => Err(cannot("a server did not end well")),
    }
}

/// Reads a record; it must be shown.
pub(super) fn read(server: &Server, token: &str, patient: &str) -> Result<(), CliError> {
    let client = Client { address: server.address, token: token.to_owned(), session: None };
    let answer =
        client.ask("GET", patient, &[], "").map_err(|error| CliError::other("a server does not answer", error))?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(CliError::Usage(format!("the drill could not be played: a read was answered with {}", answer.status)))
}

/// Some reads, until they are published and cosigned; gives that checkpoint.
fn day(server: &Server, token: &str, patient: &str) -> Result<SignedCheckpoint, CliError> {
    let published = Published::of(server.address);
    let before = published.checkpoint().map_or(0, |signed| signed.checkpoint().size());
    for _ in 0..REQUESTS {
        read(server, token, patient)?;
    }
    for _ in 0..LOOKS_MAX {
        if let Some(signed) = published.checkpoint()
            && signed.checkpoint().size() >= before + REQUESTS
            && signed.note().signatures().len() > 1
        {
            return Ok(signed);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(cannot("what was read was not published and cosigned"))
}

/// What a new store gives.
struct Founded {
    token: String,
    curious: String,
    patient: String,
    log: Vec<VerifierKey>,
}

async fn found(data: &Path, passphrase: &str, patients: u64, seed: u64) -> Result<Founded, CliError> {
    let paths = Paths::of(data);
    // The key file of a scratch store is worth no thief's time.
    let cost = PassphraseCost::DANGEROUSLY_CHEAP;
    let (root, _) =
        RootFile::create(&paths.root, passphrase, Split::DEFAULT, cost, &SecureRng).map_err(CliError::Root)?;
    private_directory(&paths.store)?;
    let engine = open::engine(&paths.store, &Config::default())?;
    let keeper = open::keeper(&root, MAINTENANCE_LIMITS);
    let operator = caller(Role::Operator, PurposeOfUse::SystemAdministration);
    let vault = Vault::initialize(engine, keeper, open::vault_options(), &operator).await?;
    let hospital = Hospital::new(HospitalOptions { seed, patients, now: Timestamp::from_ms(HOSPITAL_NOW_MS) });
    import(&vault, &hospital.foundation()).await?;
    let mut first = None;
    for file in hospital.patients() {
        import(&vault, &file.resources).await?;
        let of_patient = |record: &&Record| record.resource_type.as_str() == "Patient";
        first = first.or_else(|| file.resources.iter().find(of_patient).map(|record| record.id.clone()));
    }
    let id = first.ok_or_else(|| cannot("there is no patient"))?;
    let kind = ResourceType::parse("Patient").ok_or_else(|| cannot("there are no patients in FHIR"))?;
    let known = ResourceId::parse(&id).map_err(|error| CliError::other("a synthetic record has no id", error))?;
    let expires = open::clock().now().plus_ms(TOKEN_LIFE_MS);
    let (_, token) = vault.create_token(&operator, "drill interface", Role::Integrator, expires).await?;
    let (_, curious) = vault.create_token(&operator, COLLEAGUE, Role::Integrator, expires).await?;
    let interface = caller(Role::Integrator, PurposeOfUse::Operations);
    while vault.ledger_head()?.map_or(0, |head| head.size()) < ENTRIES_BEFORE {
        vault.read(&interface, kind, &known).await?;
    }
    let (_, log) = vault.name_log(None)?;
    vault.close()?;
    Ok(Founded {
        token: token.reveal().to_owned(),
        curious: curious.reveal().to_owned(),
        patient: format!("/Patient/{id}"),
        log,
    })
}

async fn import(vault: &Vault, records: &[Record]) -> Result<(), CliError> {
    let lines = records.iter().zip(1..).map(|(record, line)| (line, record.json.as_bytes())).collect();
    let options = ImportOptions { strict: true, ..ImportOptions::default() };
    let integrator = caller(Role::Integrator, PurposeOfUse::Operations);
    let outcome = vault.import(&integrator, &ImportUnit::Resources(lines), options).await?;
    match outcome.rejected.is_empty() {
        true => Ok(()),
        false => Err(cannot("the synthetic hospital was refused")),
    }
}
