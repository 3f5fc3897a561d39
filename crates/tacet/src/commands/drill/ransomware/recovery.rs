//! After the attack: paper on the ward, then a restore on an empty machine with the shares and nothing else, reading while it runs, and full service.

use super::attacker::Attacked;
use super::compare::{self, Compared};
use super::pages;
use super::places::Place;
use super::stage::{self, ADMINISTRATOR, ERASED, PACK_S, Stage, end, text};
use super::ward::Held;
use super::{cannot, now_ms, seconds_since};
use crate::commands::drill::child::{Children, Server};
use crate::commands::drill::http::Client;
use crate::commands::drill::play;
use crate::commands::drill::scratch::{Area, Scratch, files_below};
use crate::config::Config;
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tacet_backup::Manifest;
use tacet_seal::root::RootFile;
use tacet_types::Timestamp;
use tacet_vault::Vault;
use zeroize::Zeroizing;

/// Between two tries to read and to write while the restore runs.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Longest that the making of a ward's pack may take, and its way to the workstation, in seconds.
pub(super) const MAKING_S_MAX: f64 = 10.0;

/// What the restore says when it is through.
const BACK: &str = "everything is back and is what was backed up";

/// Every so many tries the log is looked at.
const BACK_EVERY: usize = 5;

/// Longest wait for full service, in seconds.
const SERVICE_S_MAX: f64 = 7200.0;

/// Milliseconds in a second.
const SECOND_MS: f64 = 1000.0;

/// Who restores.
const RESCUER: &str = "drill rescuer";

/// A vital sign that nobody wrote before: whether changes are taken again.
const PROBE: u64 = 77_777_777;

/// The pack on the ward.
pub(super) struct Paper {
    /// Seconds to the PDF.
    pub(super) seconds: f64,
    /// Sheets, by what the pack says of itself.
    pub(super) patients: u64,
    /// The sheets themselves, held against who lay there.
    pub(super) held: Held,
    /// Seconds from when it was begun to the first file that was encrypted.
    pub(super) age_s: f64,
    pub(super) pdf_bytes: u64,
}

impl Paper {
    pub(super) fn is_met(&self) -> bool {
        self.held.is_met() && self.pdf_bytes > 0
    }

    /// Whether nobody who came earlier than an interval, and the making of a pack, can have been missed.
    pub(super) fn is_fresh(&self) -> bool {
        (0.0..=PACK_S as f64 + MAKING_S_MAX).contains(&self.age_s)
    }
}

/// What the new machine gave.
pub(super) struct Recovered {
    /// The snapshot that came back.
    pub(super) snapshot: Manifest,
    pub(super) snapshots: u64,
    pub(super) backup_bytes: u64,
    pub(super) key_bytes: u64,
    /// Bytes of the chain that was read back.
    pub(super) chain_bytes: u64,
    pub(super) first_read_s: f64,
    pub(super) full_service_s: f64,
    /// Seconds until everything was back, held against the manifest.
    pub(super) rows_back_s: f64,
    /// Whether the lock of a tripwire came back too, and had to be lifted.
    pub(super) lifted: bool,
    /// Reads answered before full service.
    pub(super) reads_meanwhile: u64,
    /// Changes refused before full service.
    pub(super) refused_meanwhile: u64,
    /// What went otherwise meanwhile.
    pub(super) astray: Vec<String>,
    pub(super) compared: Compared,
    /// Status by which the erased patient is answered.
    pub(super) erased_status: u16,
    pub(super) ledger_problems: Vec<String>,
    pub(super) verify_code: Option<i32>,
    pub(super) check_code: Option<i32>,
    pub(super) resources: u64,
    pub(super) resources_expected: u64,
    /// Bytes of the restored store's files.
    pub(super) store_bytes: u64,
}

/// The workstation opens the pack that it has, with neither server nor network.
pub(super) fn paper(stage: &Stage, attacked: &Attacked) -> Result<Paper, CliError> {
    let children = Children::new(&stage.ward, Zeroizing::new("envelope".to_owned()))?;
    let pdf = stage.ward.area(Area::Export).join("ward.pdf");
    let begun = now_ms();
    let (pack, workstation) = (stage.kept_pack(), stage.workstation());
    let said = children.run(
        "pack-open",
        "nurse",
        &["pack", "open", text(&pack)?, "--workstation", text(&workstation)?, "--pdf", text(&pdf)?, "--json"],
    )?;
    let seconds = seconds_since(begun);
    let said = play::json_of(&said)?;
    let made = said.get("made").and_then(serde_json::Value::as_str).and_then(|made| Timestamp::parse(made).ok());
    let made = made.ok_or_else(|| cannot("`tacet pack open --json` does not say when the pack was made"))?;
    let pdf_text = std::fs::read(&pdf).map_err(CliError::file(&pdf, "cannot be read"))?;
    let is_pdf = pdf_text.starts_with(b"%PDF-");
    let patients = said.get("patients").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let held =
        Held::against(&pages::pages(&pdf_text), patients, made.as_ms(), &stage.on_ward, &attacked.day.admissions);
    Ok(Paper {
        seconds,
        patients,
        held,
        age_s: (attacked.begun_ms - made.as_ms()) as f64 / SECOND_MS,
        pdf_bytes: if is_pdf { pdf_text.len() as u64 } else { 0 },
    })
}

/// Another machine, and how the restore is called there.
struct NewMachine {
    machine: Scratch,
    passphrase: Zeroizing<String>,
    from: PathBuf,
    keys: PathBuf,
    shares: PathBuf,
}

impl NewMachine {
    fn build(stage: &Stage) -> Result<Self, CliError> {
        let machine = Scratch::create(Some(stage.root()), false)?;
        let working = machine.area(Area::Working);
        let [from, keys, shares] = ["from.toml", "keys.toml", "shares"].map(|name| working.join(name));
        write_private(&from, &stage.places.described(Place::Content)?)?;
        write_private(&keys, &stage.places.described(Place::Keys)?)?;
        write_private(&shares, &stage.shares)?;
        Ok(Self { machine, passphrase: Zeroizing::new(format!("new {}", play::random_hex())), from, keys, shares })
    }

    /// By its number, as the runbook has it where somebody planted a newer one.
    fn start(&self, children: &Children<'_>, snapshot: u64) -> Result<Server, CliError> {
        children.configure("[log]\nlevel = \"info\"\njson = true\n")?;
        let number = snapshot.to_string();
        let arguments = [
            "restore",
            "--read-only-now",
            // The drill goes on with the token that it had.
            "--keep-tokens",
            "--snapshot",
            &number,
            "--from",
            text(&self.from)?,
            "--keys",
            text(&self.keys)?,
            "--share-file",
            text(&self.shares)?,
            "--new-passphrase-file",
            "/dev/stdin",
            "--listen",
            "127.0.0.1:0",
        ];
        children.serve_by("restore", RESCUER, &arguments)
    }
}

pub(super) fn restore(stage: &Stage, attacked: &Attacked, say: &dyn Fn(&str)) -> Result<Recovered, CliError> {
    let manifests = stage.manifests(Place::Content, 2)?;
    let snapshot = manifests.last().cloned().ok_or_else(|| cannot("there is no snapshot"))?;
    let before = manifests.first().filter(|before| before.number < snapshot.number).cloned();
    let new = NewMachine::build(stage)?;
    let children = Children::new(&new.machine, new.passphrase.clone())?;

    let begun = now_ms();
    let mut server = new.start(&children, snapshot.number)?;
    let mut client = Client { address: server.address, token: stage.token.clone(), session: None };
    let mut meanwhile = Meanwhile::default();
    if meanwhile.until_full_service(stage, &client, &server, begun)? == Then::Locked {
        say("the lock of the tripwire came back with the store: whoever set it up lifts it");
        end(server)?;
        children.run("lift", ADMINISTRATOR, &["lockdown", "lift"])?;
        server = children.serve("again", RESCUER)?;
        client.address = server.address;
        meanwhile.lifted = true;
        meanwhile.until_full_service(stage, &client, &server, begun)?;
    }
    say(&format!("full service after {:.1} s; every write is read again", meanwhile.full_service_s));
    let compared = compare::compare(&client, attacked, &snapshot, before.as_ref())?;
    let erased = format!("/Patient/{}", stage.hospital.patient_id(ERASED));
    let erased_status = compare::get(&client, &erased)?.status;
    end(server)?;

    say("the ledger and every seal of the restored store are looked at");
    let ledger_problems = ledger(&new, &snapshot)?;
    let (verify_code, _) = children.ended("ledger-verify", ADMINISTRATOR, &["ledger", "verify", "--json"])?;
    let (check_code, check) = children.ended("check", ADMINISTRATOR, &["check", "--json"])?;
    let resources = play::json_of(&check).map_or(0, |check| stage::total(&check));
    // One is the probe's.
    let resources_expected = stage.resources + compared.present + 1;
    let chain = manifests_of_chain(stage, &snapshot)?;
    Ok(Recovered {
        snapshots: snapshot.number,
        chain_bytes: chain.iter().map(Manifest::bytes).sum(),
        backup_bytes: stage.places.bytes(Place::Content)?,
        key_bytes: stage.places.bytes(Place::Keys)?,
        store_bytes: bytes_below(&new.machine.area(Area::Data))?,
        snapshot,
        first_read_s: meanwhile.first_read_s,
        full_service_s: meanwhile.full_service_s,
        rows_back_s: meanwhile.rows_back_s,
        lifted: meanwhile.lifted,
        reads_meanwhile: meanwhile.reads,
        refused_meanwhile: meanwhile.refused,
        astray: meanwhile.astray,
        compared,
        erased_status,
        ledger_problems,
        verify_code,
        check_code,
        resources,
        resources_expected,
    })
}

fn manifests_of_chain(stage: &Stage, snapshot: &Manifest) -> Result<Vec<Manifest>, CliError> {
    let length = usize::try_from(snapshot.number - snapshot.base + 1).unwrap_or(usize::MAX);
    stage.manifests(Place::Content, length)
}

fn ask(client: &Client, method: &str, path: &str, body: &str) -> Result<u16, CliError> {
    let answer = client.ask(method, path, &[], body);
    answer.map(|answer| answer.status).map_err(|error| CliError::other("the restored server does not answer", error))
}

/// How a restore ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Full,
    /// Everything is back, and the store is locked as it was when it was backed up.
    Locked,
}

/// The time between the first answer and full service.
#[derive(Default)]
struct Meanwhile {
    first_read_s: f64,
    full_service_s: f64,
    rows_back_s: f64,
    lifted: bool,
    reads: u64,
    refused: u64,
    astray: Vec<String>,
}

impl Meanwhile {
    fn until_full_service(
        &mut self,
        stage: &Stage,
        client: &Client,
        server: &Server,
        begun: i64,
    ) -> Result<Then, CliError> {
        let probe = stage.hospital.vital_sign(3, PROBE).ok_or_else(|| cannot("there is no vital sign to write"))?;
        let probed = format!("/Observation/{}", probe.id);
        let patients = stage.hospital.options().patients;
        for k in 0.. {
            // Whoever lies on the ward first, then anybody.
            let n = match stage.lying.get(k) {
                Some(n) => *n,
                None => 2 + (k as u64 * 7919) % (patients - 2),
            };
            let path = format!("/Patient/{}", stage.hospital.patient_id(n));
            match ask(client, "GET", &path, "")? {
                200 if self.reads == 0 => {
                    self.first_read_s = seconds_since(begun);
                    self.reads = 1;
                }
                200 => self.reads += 1,
                status => self.astray.push(format!("a read was answered with {status}")),
            }
            // Looked at before the question, so that an answer after it counts.
            let back = k % BACK_EVERY == 0 && server.log().contains(BACK);
            match ask(client, "PUT", &probed, &probe.json)? {
                200 | 201 => {
                    self.full_service_s = seconds_since(begun);
                    if !self.lifted {
                        self.rows_back_s = self.full_service_s;
                    }
                    return Ok(Then::Full);
                }
                503 if back && !self.lifted => {
                    self.refused += 1;
                    self.rows_back_s = seconds_since(begun);
                    return Ok(Then::Locked);
                }
                503 => self.refused += 1,
                status => self.astray.push(format!("a change was answered with {status}")),
            }
            if seconds_since(begun) > SERVICE_S_MAX {
                return Err(cannot("the restored server did not come back to full service"));
            }
            std::thread::sleep(PROBE_EVERY);
        }
        Ok(Then::Full)
    }
}

/// Holds the restored ledger against the manifest, beside the restore that says it did.
fn ledger(new: &NewMachine, snapshot: &Manifest) -> Result<Vec<String>, CliError> {
    let Some(told) = snapshot.ledger else {
        return Ok(vec!["the manifest says nothing of the ledger".to_owned()]);
    };
    let paths = Paths::of(&new.machine.area(Area::Data));
    let root = RootFile::unlock(&paths.root, &new.passphrase).map_err(CliError::Root)?;
    let engine = open::engine(&paths.store, &Config::default())?;
    let vault = Vault::open(engine, open::keeper(&root, MAINTENANCE_LIMITS), open::vault_options())
        .map_err(CliError::Opening)?;
    let held = vault.hold_ledger(told.entries, told.root, &mut |_, _| {})?;
    vault.close()?;
    Ok(held.problems)
}

fn bytes_below(folder: &Path) -> Result<u64, CliError> {
    let mut bytes = 0;
    for path in files_below(folder)? {
        bytes += std::fs::metadata(&path).map_err(CliError::file(&path, "cannot be read"))?.len();
    }
    Ok(bytes)
}

fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(CliError::file(path, "cannot be made"))?;
    file.write_all(text.as_bytes()).map_err(CliError::file(path, "cannot be written"))
}
