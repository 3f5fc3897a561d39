//! `tacet pack`: a ward's paper pack, made here and opened on a workstation that has neither server nor network.
//!
//! ```text
//! <workstation>/identity.age    its key (X25519), sealed with a passphrase (age); `identity.txt` where it has none
//! <workstation>/hospital.keys   keys whose packs it opens, one a line
//! <workstation>/opened          what was opened, when, by whom: one JSON object a line, for `tacet pack account`
//! ```

mod workstation;

use crate::args::{Global, PackArgs, PackCommand, PackOpenArgs, WorkstationCommand};
use crate::error::CliError;
use crate::exit;
use crate::open;
use crate::output::Output;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tacet_continuity::container::{self, About, PACK_BYTES_MAX};
use tacet_ledger::PurposeOfUse;
use tacet_server::{Environment, PackMaker, PacksError};
use tacet_types::Timestamp;
use tacet_vault::Role;
use workstation::{Trace, Workstation};
use zeroize::Zeroizing;

/// Mode of a PDF in clear: its owner's alone.
const PDF_MODE: u32 = 0o600;

/// Mode of a sealed pack.
const PACK_MODE: u32 = 0o644;

pub(crate) fn run(global: &Global, args: &PackArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        PackCommand::Key => key(global, output),
        PackCommand::Make { ward, output: file } => make(global, ward, file.as_deref(), output),
        PackCommand::Workstation(args) => match &args.command {
            WorkstationCommand::Init { directory, hospital, without_passphrase } => {
                workstation::init(global, directory, hospital, *without_passphrase, output)
            }
        },
        PackCommand::Open(args) => open_pack(global, args, output),
        PackCommand::Account { file } => account(global, file, output),
    }
}

fn key(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, None)?;
    let key = opened.vault.pack_key().map_err(|error| CliError::other("the key cannot be made", error))?.to_string();
    opened.vault.close()?;
    output.result("pack key", json!({ "key": key }), &format!("The hospital's key for packs:\n{key}"));
    Ok(exit::OK)
}

fn failed(error: PacksError) -> CliError {
    match error {
        PacksError::Vault(error) => CliError::Vault(error),
        error @ (PacksError::Settings(_) | PacksError::NoWard { .. }) => CliError::Usage(error.to_string()),
        other => CliError::other("the pack could not be made", other),
    }
}

fn make(global: &Global, ward: &str, file: Option<&Path>, output: &Output) -> Result<u8, CliError> {
    let opened = open::open(global, None)?;
    let maker = PackMaker::new(&opened.config.packs, &opened.config.access.name).map_err(failed)?;
    if file.is_none() && opened.config.packs.folders.is_empty() {
        return Err(CliError::Usage("there is no folder under `[packs]`: name a file with `--output`".into()));
    }
    let environment = Environment { clock: open::clock(), rng: open::rng() };
    let begun = environment.clock.now();
    let pack = maker.make(&opened.vault, ward, &environment).map_err(failed)?;
    let ms = environment.clock.now().as_ms() - begun.as_ms();
    let place = match file {
        Some(path) => {
            let new = path.with_extension("new");
            write_new(&new, &pack.sealed, PACK_MODE)?;
            std::fs::rename(&new, path).map_err(CliError::file(path, "the pack cannot be put here"))?;
            path.display().to_string()
        }
        None => {
            let folders = maker.put(ward, &pack).map_err(failed)?;
            format!("{folders} folders")
        }
    };
    opened.vault.close()?;
    let About { serial, patients, until, .. } = &pack.about;
    let text = format!("Pack {serial}: {patients} patients, {} bytes, made in {ms} ms, in {place}", pack.sealed.len());
    let value = json!({
        "serial": serial, "patients": patients, "bytes": pack.sealed.len(), "pdf_bytes": pack.pdf_bytes, "ms": ms,
        "until": until.to_string(),
    });
    output.result("pack make", value, &text);
    Ok(exit::OK)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(CliError::file(path, "cannot be made; it must not exist yet"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(CliError::file(path, "cannot be written"))
}

fn open_pack(global: &Global, args: &PackOpenArgs, output: &Output) -> Result<u8, CliError> {
    let workstation = Workstation::load(global, &args.workstation)?;
    let signed = unseal(&args.file, &workstation)?;
    let opened =
        container::open(&signed, workstation.keys()).map_err(|error| CliError::other("the pack is not used", error))?;
    let now = open::clock().now();
    let how = match (&args.print, &args.pdf) {
        (Some(_), _) => "printed",
        (None, Some(_)) => "written",
        (None, None) => "looked at",
    };
    // What is opened leaves a trace first, as on the server.
    workstation.note(&Trace::of(&opened.about, how, now, global))?;
    let text = told(&opened.about, now);
    match (&args.print, &args.pdf) {
        (Some(command), _) => print(command, opened.pdf)?,
        (None, Some(path)) => {
            write_new(path, opened.pdf, PDF_MODE)?;
            let path = path.display();
            output.note(&format!("`{path}` holds records in clear: print it, then delete it"));
        }
        (None, None) => {}
    }
    let About { serial, ward, patients, made, until, .. } = &opened.about;
    let value = json!({
        "serial": serial, "ward": ward, "patients": patients, "made": made.to_string(), "until": until.to_string(),
        "minutes_old": (now.as_ms() - made.as_ms()) / 60_000, "trusted": now <= *until, "how": how,
    });
    output.result("pack open", value, &text);
    Ok(exit::OK)
}

/// How old a pack is, in words.
fn told(about: &About, now: Timestamp) -> String {
    let About { serial, ward, patients, made, until, .. } = about;
    let minutes = (now.as_ms() - made.as_ms()) / 60_000;
    let age = match minutes {
        ..-1 => "IT WAS MADE IN THE FUTURE: this workstation's clock is wrong".to_owned(),
        -1..=120 => format!("{} minutes old", minutes.max(0)),
        _ => format!("{} HOURS OLD", minutes / 60),
    };
    let late = if now > *until { "\nIT IS PAST ITS TIME: check each order before you follow it" } else { "" };
    format!("Pack {serial} of {ward}: {patients} patients, made {made}, {age}{late}\nThe hospital's signature holds.")
}

fn unseal(path: &Path, workstation: &Workstation) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let file = File::open(path).map_err(CliError::file(path, "the pack cannot be read"))?;
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| CliError::Other {
        what: "this workstation's key does not open the pack: is it of this ward, and whole?",
        source: error,
    };
    let decryptor = age::Decryptor::new(std::io::BufReader::new(file)).map_err(|error| unreadable(error.into()))?;
    let opened =
        decryptor.decrypt(std::iter::once(workstation.identity())).map_err(|error| unreadable(error.into()))?;
    let mut signed = Zeroizing::new(Vec::new());
    opened.take(PACK_BYTES_MAX as u64 + 1).read_to_end(&mut signed).map_err(|error| unreadable(error.into()))?;
    Ok(signed)
}

/// Gives the PDF to a program's standard input: no file of it is made here.
fn print(command: &str, pdf: &[u8]) -> Result<(), CliError> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| CliError::Usage("`--print` names no command".into()))?;
    let unprinted = |error: std::io::Error| CliError::other("the command that prints failed", error);
    let started = Command::new(program).args(words).stdin(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| {
        CliError::Usage(format!(
            "`{program}` cannot be started ({}): name another command with `--print COMMAND`, or write the pages with `--pdf FILE`",
            error.kind()
        ))
    })?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(pdf));
    let ended = child.wait().map_err(unprinted)?;
    written.map_err(unprinted)?;
    if ended.success() { Ok(()) } else { Err(CliError::Usage(format!("`{program}` did not print: {ended}"))) }
}

fn account(global: &Global, path: &Path, output: &Output) -> Result<u8, CliError> {
    let traces = workstation::traces(path)?;
    let opened = open::open_without_index(global, None)?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    for trace in &traces {
        open::wait(opened.vault.note_pack(Some(&caller), trace.told()))?;
    }
    opened.vault.close()?;
    let text = format!("{} openings are in the ledger; `{}` can go", traces.len(), path.display());
    output.result("pack account", json!({ "openings": traces.len() }), &text);
    Ok(exit::OK)
}
