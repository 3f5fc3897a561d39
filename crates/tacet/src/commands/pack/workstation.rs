//! A ward's workstation: its key, the hospital's keys, and what was opened.

use super::write_new;
use crate::args::Global;
use crate::error::CliError;
use crate::exit;
use crate::open;
use crate::output::Output;
use crate::passphrase;
use age::secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tacet_continuity::container::About;
use tacet_tlog::VerifierKey;
use tacet_types::{OperationId, Timestamp};
use zeroize::Zeroizing;

const SEALED_IDENTITY: &str = "identity.age";
const PLAIN_IDENTITY: &str = "identity.txt";
const HOSPITAL_KEYS: &str = "hospital.keys";
const OPENED: &str = "opened";

/// Largest file of a workstation that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Longest text of one field of a trace, in bytes.
const FIELD_BYTES_MAX: usize = 200;

/// Mode of a workstation's files.
const MODE: u32 = 0o600;

pub(super) fn init(
    global: &Global,
    directory: &Path,
    hospital: &str,
    without_passphrase: bool,
    output: &Output,
) -> Result<u8, CliError> {
    let key = VerifierKey::parse(hospital)
        .map_err(|_| CliError::Usage("`--hospital` is the key that `tacet pack key` prints at the server".into()))?;
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let made = std::fs::DirBuilder::new().mode(0o700).create(directory);
    made.map_err(CliError::file(directory, "cannot be made; it must not exist yet"))?;
    if without_passphrase {
        write_new(&directory.join(PLAIN_IDENTITY), secret.expose_secret().as_bytes(), MODE)?;
        output.note(
            "the key lies there as it is: whoever copies it opens this ward's packs; encrypt this machine's disk",
        );
    } else {
        let passphrase = passphrase::new(global.passphrase_file.as_deref())?;
        let sealed = with_passphrase(&passphrase, secret.expose_secret().as_bytes())
            .map_err(|error| CliError::other("the workstation's key cannot be sealed", error))?;
        write_new(&directory.join(SEALED_IDENTITY), &sealed, MODE)?;
    }
    write_new(&directory.join(HOSPITAL_KEYS), format!("{key}\n").as_bytes(), MODE)?;
    let text = format!("The workstation's key, for `recipients` of its ward under `[packs.wards]`:\n{recipient}");
    output.result("pack workstation init", json!({ "recipient": recipient }), &text);
    Ok(exit::OK)
}

fn with_passphrase(passphrase: &str, secret: &[u8]) -> std::io::Result<Vec<u8>> {
    let encryptor = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.to_owned()));
    let mut sealed = Vec::new();
    let mut out = encryptor.wrap_output(&mut sealed)?;
    out.write_all(secret)?;
    out.finish()?;
    Ok(sealed)
}

/// A workstation that can open packs.
pub(super) struct Workstation {
    directory: PathBuf,
    identity: age::x25519::Identity,
    keys: Vec<VerifierKey>,
}

impl Workstation {
    pub(super) fn load(global: &Global, directory: &Path) -> Result<Self, CliError> {
        let plain = directory.join(PLAIN_IDENTITY);
        let secret = if plain.exists() {
            read(&plain)?
        } else {
            let path = directory.join(SEALED_IDENTITY);
            let sealed = read(&path)?;
            let passphrase = passphrase::existing(global)?;
            let wrong = |error: Box<dyn std::error::Error + Send + Sync>| CliError::Other {
                what: "the workstation's key does not open: check the passphrase",
                source: error,
            };
            let decryptor = age::Decryptor::new(sealed.as_slice()).map_err(|error| wrong(error.into()))?;
            let by = age::scrypt::Identity::new(SecretString::from(passphrase.to_string()));
            let by: &dyn age::Identity = &by;
            let mut opened = decryptor.decrypt(std::iter::once(by)).map_err(|error| wrong(error.into()))?;
            let mut secret = Zeroizing::new(Vec::new());
            opened.read_to_end(&mut secret).map_err(|error| wrong(error.into()))?;
            secret
        };
        let no_key = || CliError::Usage("the workstation's key is not one of age: make the workstation again".into());
        let text = std::str::from_utf8(&secret).map_err(|_| no_key())?;
        let identity = age::x25519::Identity::from_str(text.trim()).map_err(|_| no_key())?;
        let listed = read(&directory.join(HOSPITAL_KEYS))?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let keys: Result<Vec<_>, _> =
            listed.lines().filter(|line| !line.trim().is_empty()).map(|line| VerifierKey::parse(line.trim())).collect();
        let keys = keys.map_err(|error| CliError::Usage(format!("`{HOSPITAL_KEYS}`: {error}")))?;
        Ok(Self { directory: directory.to_owned(), identity, keys })
    }

    pub(super) fn identity(&self) -> &dyn age::Identity {
        &self.identity
    }

    pub(super) fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Adds a line to what was opened, on the disk before anything is shown.
    pub(super) fn note(&self, trace: &Trace) -> Result<(), CliError> {
        let path = self.directory.join(OPENED);
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(&path);
        let mut file = file.map_err(CliError::file(&path, "what is opened cannot be noted, so nothing is opened"))?;
        let line = serde_json::to_string(trace).map_err(|error| CliError::other("a trace cannot be written", error))?;
        let written = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all());
        written.map_err(CliError::file(&path, "what is opened cannot be noted, so nothing is opened"))
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let file = File::open(path).map_err(CliError::file(path, "a file of the workstation cannot be read"))?;
    let mut bytes = Zeroizing::new(Vec::new());
    let taken = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    taken.map_err(CliError::file(path, "a file of the workstation cannot be read"))?;
    Ok(bytes)
}

/// That a pack was opened.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    /// By chance, so that one that was brought twice is known.
    id: String,
    at: String,
    who: String,
    serial: String,
    ward: String,
    how: String,
}

impl Trace {
    pub(super) fn of(about: &About, how: &str, now: Timestamp, global: &Global) -> Self {
        let caller = open::caller(global, tacet_vault::Role::Operator, tacet_ledger::PurposeOfUse::Treatment);
        Self {
            id: OperationId::random(open::rng().as_ref()).to_string(),
            at: now.to_string(),
            who: caller.owner,
            serial: about.serial.clone(),
            ward: about.ward.clone(),
            how: how.to_owned(),
        }
    }

    /// As the ledger keeps it.
    pub(super) fn told(&self) -> String {
        let Self { id, at, who, serial, ward, how } = self;
        format!(
            "paper pack {serial} of {ward} was {how} on a workstation at {at} by {who}, as the workstation says ({id})"
        )
    }

    fn fits(&self) -> bool {
        let Self { id, at, who, serial, ward, how } = self;
        let short = |text: &String| text.len() <= FIELD_BYTES_MAX && !text.chars().any(char::is_control);
        [id, at, who, serial, ward, how].into_iter().all(short) && Timestamp::parse(at).is_ok()
    }
}

/// The traces of a workstation's file.
pub(super) fn traces(path: &Path) -> Result<Vec<Trace>, CliError> {
    let file = File::open(path).map_err(CliError::file(path, "the file cannot be read"))?;
    let mut traces = Vec::new();
    for (number, line) in BufReader::new(file.take(FILE_BYTES_MAX)).lines().enumerate() {
        let line = line.map_err(CliError::file(path, "the file cannot be read"))?;
        let trace: Option<Trace> = serde_json::from_str(&line).ok();
        let trace = trace.filter(Trace::fits).ok_or_else(|| {
            CliError::Usage(format!("line {} is no opening of a pack: nothing was written", number + 1))
        })?;
        traces.push(trace);
    }
    Ok(traces)
}
