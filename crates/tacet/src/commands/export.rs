//! `tacet export`: NDJSON sealed to age recipients, with an owner, a purpose and an end.

use crate::args::{ExportArgs, Global};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use crate::people;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tacet_identity::Kind;
use tacet_ledger::{PurposeOfUse, QUERY_BYTES_MAX};
use tacet_types::ResourceType;
use tacet_vault::{Caller, ExportReport, Role, Vault};

/// Mode of an export: its owner's alone.
const FILE_MODE: u32 = 0o600;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

pub(crate) fn run(global: &Global, args: &ExportArgs, output: &Output) -> Result<u8, CliError> {
    let recipients = args
        .recipient
        .iter()
        .map(|text| {
            age::x25519::Recipient::from_str(text)
                .map_err(|why| CliError::Usage(format!("`{text}` is no age recipient ({why}): expected `age1…`")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let types = args
        .types
        .iter()
        .map(|name| {
            ResourceType::parse(name).ok_or_else(|| CliError::Usage(format!("`{name}` is no resource type of FHIR R4")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Integrator, PurposeOfUse::Operations);
    let now = open::clock().now();
    let expires = now.plus_ms(i64::from(args.expires_days) * DAY_MS);
    let sealed_to = if recipients.is_empty() { "nobody: in clear".to_owned() } else { args.recipient.join(", ") };
    let note = format!("export for {}, sealed to {sealed_to}, to be destroyed by {expires}", args.purpose);
    if note.len() > QUERY_BYTES_MAX {
        let message =
            format!("purpose and recipients are longer than the {QUERY_BYTES_MAX} bytes that the ledger keeps");
        return Err(CliError::Usage(message));
    }
    let mut text = format!("tacet export for {}, sealed to {sealed_to}", args.purpose);
    if !args.types.is_empty() {
        text += &format!(", only {}", args.types.join(", "));
    }
    let approval = args.approval.as_deref();
    let allowed = people::require_named(&opened, Kind::BulkExport, &text, approval)
        .and_then(|()| people::use_approval(&opened, &caller, Kind::BulkExport, &text, approval));
    if let Err(error) = allowed {
        opened.vault.close()?;
        return Err(error);
    }
    // Whose copy this is stands beside it before there is anything to own.
    let copy = json!({
        "owner": caller.owner, "purpose": args.purpose, "recipients": args.recipient,
        "made": now.to_string(), "expires": expires.to_string(),
    });
    let beside = PathBuf::from(format!("{}.copy.json", args.output.display()));
    let file = create(&args.output)?;
    if let Err(error) = write_note(&beside, &copy) {
        let _ = std::fs::remove_file(&args.output);
        return Err(error);
    }
    let written = write(&opened.vault, &caller, &types, &note, &recipients, file);
    let report = match written {
        Ok(report) => report,
        Err(error) => {
            // A part of an export is of no use to anyone but a thief.
            let _ = std::fs::remove_file(&args.output);
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
    };
    opened.vault.close()?;

    let total: u64 = report.exported.values().sum();
    let how = if recipients.is_empty() { "IN CLEAR" } else { "sealed" };
    let text = format!(
        "{total} resources, {how}, in `{}`. Destroy this copy by {expires}; `{}` says whose it is.",
        args.output.display(),
        beside.display()
    );
    let exported: serde_json::Map<String, serde_json::Value> =
        report.exported.iter().map(|(name, count)| (name.to_string(), json!(count))).collect();
    let value = json!({
        "file": args.output, "sealed": !recipients.is_empty(), "exported": exported, "exported_total": total,
        "copy": copy,
    });
    output.result("export", value, &text);
    Ok(exit::OK)
}

fn write_note(path: &Path, copy: &serde_json::Value) -> Result<(), CliError> {
    let mut file = create(path)?;
    file.write_all(format!("{copy}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(CliError::file(path, "the note cannot be written"))
}

fn create(path: &Path) -> Result<File, CliError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(CliError::file(path, "the export cannot be made here; it must not exist yet"))
}

fn write(
    vault: &Vault,
    caller: &Caller,
    types: &[ResourceType],
    note: &str,
    recipients: &[age::x25519::Recipient],
    file: File,
) -> Result<ExportReport, CliError> {
    let failed = |error: std::io::Error| CliError::other("the export cannot be written", error);
    if recipients.is_empty() {
        let mut out = BufWriter::new(file);
        let report = lines(vault, caller, types, note, &mut out)?;
        out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        return Ok(report);
    }
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient))
        .map_err(|error| CliError::other("the export cannot be sealed", error))?;
    let mut out = encryptor.wrap_output(file).map_err(failed)?;
    let report = lines(vault, caller, types, note, &mut out)?;
    out.finish().map_err(failed)?.sync_all().map_err(failed)?;
    Ok(report)
}

fn lines(
    vault: &Vault,
    caller: &Caller,
    types: &[ResourceType],
    note: &str,
    out: &mut (dyn Write + Send),
) -> Result<ExportReport, CliError> {
    let report = open::wait(vault.export(caller, types, note, &mut |disclosed| {
        out.write_all(&disclosed.body)?;
        out.write_all(b"\n")
    }))?;
    Ok(report)
}
