//! Days in the life of the played hospital: founded, filled, used, crashed, started again, its keys rotated, a patient
//! erased, copies made for others, everything checked. What it leaves on the disk is looked at afterwards.

use super::child::{Children, ended_by};
use super::encodings::Depth;
use super::http::Client;
use super::needles::Needles;
use super::scratch::{Area, Scratch};
use super::stolen_disk::{Given, Receivers};
use super::traffic;
use crate::error::CliError;
use crate::exit;
use age::secrecy::ExposeSecret;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;
use tacet_seal::SecureRng;
use tacet_testkit::Hospital;
use tacet_types::Rng;
use zeroize::Zeroizing;

/// Days until the drill's export expires.
pub(super) const EXPORT_DAYS: u16 = 30;

/// Patients beyond the imported ones, whose records come by transactions.
pub(super) const ADMITTED: u64 = 3;

/// Who works in the played hospital. Their names are looked for as well.
const ADMINISTRATOR: &str = "Perpetue Quatresous-Lacepede";
const CLINICIAN: &str = "Dr Sémiramis Vertpré-Malicorne";
const MONITORING: &str = "Supervision Beauregard-Tintignac";

/// Who makes the copy. The note beside an export names its owner in clear, on purpose, so this name is not looked for.
const EXPORTER: &str = "drill";

/// What came of the play, apart from the bytes on the disk.
pub(super) struct Played {
    /// HTTP requests made.
    pub(super) requests: u64,
    /// Resources stored at the end, by `tacet check`.
    pub(super) check: Value,
    /// The crash left a core file, as the kernel says.
    pub(super) core_dumped: bool,
    /// The text of the export, opened with the recipient's key: the scanner must find names in it.
    pub(super) opened_export: Zeroizing<Vec<u8>>,
    /// Packs, a transfer and backups.
    pub(super) given: Given,
}

/// Plays it all. The secrets that come up are added to the needles.
pub(super) fn play(
    scratch: &Scratch,
    hospital: &Hospital,
    needles: &mut Needles,
    receivers: &Receivers,
    say: &dyn Fn(&str),
) -> Result<Played, CliError> {
    let patients = hospital.options().patients;
    let passphrase = Zeroizing::new(format!("drill {}", random_hex()));
    needles.add_secret("passphrase", &passphrase);
    for name in [ADMINISTRATOR, CLINICIAN, MONITORING] {
        needles.add("name of who reads", None, name, Depth::Every);
    }
    let children = Children::new(scratch, passphrase)?;

    say("making a store");
    let made = json_of(&children.run("init", ADMINISTRATOR, &["init", "--json"])?)?;
    let shares: Vec<&str> =
        made.get("shares").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if shares.is_empty() {
        return Err(unexpected("`tacet init --json` gave no shares"));
    }
    shares.iter().for_each(|share| needles.add_secret("recovery share", share));

    say(&format!("importing {patients} patients through a pipe"));
    import(&children, scratch, hospital)?;
    import_refused(&children, scratch, hospital)?;
    receivers.plant(needles);
    receivers.set_up(&children, scratch)?;
    let mistyped = format!("mistyped {}", random_hex());
    needles.add_secret("passphrase", &mistyped);
    children.try_with(&mistyped, "check-mistyped", ADMINISTRATOR, &["check"])?;
    // Sees every patient, as an interface of the hospital does: what is played here is the day, not who may see what.
    let token = token(&children, "token", CLINICIAN, "integrator")?;
    let operator = self::token(&children, "token-operator", MONITORING, "operator")?;
    needles.add_secret("token", &token);
    needles.add_secret("token", &operator);
    let wrong = format!("{}wrong", random_hex());
    needles.add_secret("refused token", &wrong);

    say("a day of reading and writing, then a crash");
    let server = children.serve("serve-1", ADMINISTRATOR)?;
    let client = Client { address: server.address, token, session: None };
    let mut requests = traffic::day(&client, hospital)?;
    requests += traffic::intruder(&client, hospital, &wrong)?;
    let metrics = Client { address: server.address, token: operator, session: None };
    requests += traffic::monitoring(&metrics)?;
    let (served, status) = traffic::storm(&client, hospital, || server.end(Signal::ABORT))?;
    requests += served;
    let (aborted, core_dumped) = ended_by(status, Signal::ABORT);
    if !aborted {
        return Err(unexpected("the server did not end by the signal it was sent"));
    }

    say("starting again after the crash");
    let server = children.serve("serve-2", ADMINISTRATOR)?;
    let client = Client { address: server.address, ..client };
    requests += traffic::day(&client, hospital)?;
    if !server.end(Signal::TERM)?.success() {
        return Err(unexpected("the server did not stop quietly"));
    }

    say("rotating the root key, erasing a patient, making a sealed copy, checking");
    children.run("key-rotate", ADMINISTRATOR, &["key", "rotate"])?;
    let erased = hospital.patient_id(1);
    children.run("patient-erase", ADMINISTRATOR, &["patient", "erase", &erased, "--confirm", &erased])?;
    let identity = age::x25519::Identity::generate();
    needles.add_secret("key of the copy's recipient", identity.to_string().expose_secret());
    let file = export(&children, scratch, &identity)?;
    say("making a pack for a ward, a transfer to another hospital, and a whole backup");
    let given = receivers.hand_out(&children, scratch, ADMINISTRATOR)?;
    let check = json_of(&children.run("check", ADMINISTRATOR, &["check", "--json"])?)?;
    Ok(Played { requests, check, core_dumped, opened_export: open_sealed(&file, &identity)?, given })
}

pub(super) fn token(children: &Children<'_>, name: &str, owner: &str, role: &str) -> Result<String, CliError> {
    let arguments = ["token", "create", "--owner", owner, "--role", role, "--expires", "1d", "--json"];
    let answer = json_of(&children.run(name, ADMINISTRATOR, &arguments)?)?;
    let token = answer.get("token").and_then(Value::as_str).map(str::to_owned);
    token.ok_or_else(|| unexpected("`tacet token create --json` gave no token"))
}

fn export(children: &Children<'_>, scratch: &Scratch, identity: &age::x25519::Identity) -> Result<PathBuf, CliError> {
    let file = scratch.area(Area::Export).join("records.ndjson.age");
    let (recipient, days) = (identity.to_public().to_string(), EXPORT_DAYS.to_string());
    let path = file.to_string_lossy();
    let arguments =
        ["export", "--output", &path, "--recipient", &recipient, "--expires-days", &days, "--purpose", "a drill"];
    children.run("export", EXPORTER, &arguments)?;
    Ok(file)
}

pub(super) fn open_sealed(path: &Path, identity: &age::x25519::Identity) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| CliError::Other {
        what: "what the drill sealed to somebody cannot be opened by its recipient",
        source: error,
    };
    let file = File::open(path).map_err(|error| unreadable(error.into()))?;
    let decryptor = age::Decryptor::new(std::io::BufReader::new(file)).map_err(|error| unreadable(error.into()))?;
    let identity: &dyn age::Identity = identity;
    let mut opened = decryptor.decrypt(std::iter::once(identity)).map_err(|error| unreadable(error.into()))?;
    let mut text = Zeroizing::new(Vec::new());
    opened.read_to_end(&mut text).map_err(|error| unreadable(error.into()))?;
    Ok(text)
}

/// Imports the hospital through a named pipe: its records never lie in a file.
pub(super) fn import(children: &Children<'_>, scratch: &Scratch, hospital: &Hospital) -> Result<(), CliError> {
    let stdout = import_through_pipe(children, scratch, "import", exit::OK, |pipe| {
        hospital.write_ndjson(0..hospital.options().patients, pipe)
    })?;
    let stored = json_of(&stdout)?.get("stored_total").and_then(Value::as_u64);
    if stored.is_none_or(|total| total < hospital.options().patients) {
        return Err(unexpected("the import stored less than the hospital has patients"));
    }
    Ok(())
}

/// Imports records that are refused, each with a patient's strings where a message might quote them.
fn import_refused(children: &Children<'_>, scratch: &Scratch, hospital: &Hospital) -> Result<(), CliError> {
    let bodies = traffic::refused_bodies(hospital);
    let stdout = import_through_pipe(children, scratch, "import-refused", exit::REJECTED, |pipe| {
        bodies.iter().try_for_each(|(_, body)| writeln!(pipe, "{body}"))
    })?;
    let left_out = json_of(&stdout)?.get("rejected_total").and_then(Value::as_u64);
    if left_out != Some(bodies.len() as u64) {
        return Err(unexpected("the import took records that it must refuse"));
    }
    Ok(())
}

pub(super) fn import_through_pipe(
    children: &Children<'_>,
    scratch: &Scratch,
    name: &str,
    expected: u8,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<Zeroizing<String>, CliError> {
    let pipe = scratch.area(Area::Working).join(format!("{name}.ndjson"));
    let unable = |error: std::io::Error| CliError::other("the pipe for the import cannot be made", error);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .map_err(|error| unable(error.into()))?;
    let path = pipe.to_string_lossy().into_owned();
    let outcome = children.run_beside(name, ADMINISTRATOR, &["import", &path, "--json"], expected, |child| {
        let Some(writer) = open_pipe(&pipe, child)? else { return Ok(()) }; // it ended, and says why itself
        let mut writer = BufWriter::new(writer);
        // A reader that went away says why itself.
        match write(&mut writer).and_then(|()| writer.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(unable(error)),
            _ => Ok(()),
        }
    });
    std::fs::remove_file(&pipe).map_err(unable)?;
    outcome
}

/// Opens a pipe for writing once somebody reads from it; none when that process has ended.
fn open_pipe(pipe: &Path, child: &mut Child) -> Result<Option<File>, CliError> {
    let unable = |error: std::io::Error| CliError::other("the pipe for the import cannot be opened", error);
    loop {
        match rustix::fs::open(pipe, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => {
                rustix::fs::fcntl_setfl(&opened, OFlags::empty()).map_err(|error| unable(error.into()))?;
                return Ok(Some(File::from(opened)));
            }
            Err(rustix::io::Errno::NXIO) if child.try_wait().map_err(unable)?.is_none() => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            Err(error) => return Err(unable(error.into())),
        }
    }
}

pub(super) fn random_hex() -> String {
    let mut bytes = [0; 16];
    SecureRng.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn json_of(text: &str) -> Result<Value, CliError> {
    serde_json::from_str(text).map_err(|error| CliError::other("a command of the drill printed no JSON", error))
}

fn unexpected(what: &str) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what}"))
}
