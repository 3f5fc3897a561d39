//! `tacet transfer open`, and reading a transfer for it and for `take`.

use super::identity::Identity;
use super::{closing, told};
use crate::args::{Global, TransferOpenArgs};
use crate::commands::init::private_directory;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tacet_fhir::json::Json;
use tacet_ledger::PurposeOfUse;
use tacet_transfer::{FILE_BYTES_MAX, PublicKey};
use tacet_vault::Role;

/// Mode of what is written in clear: its owner's alone.
const FILE_MODE: u32 = 0o600;

pub(super) fn run(global: &Global, args: &TransferOpenArgs, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    closing(opened, |opened| {
        let transfer = read(opened, &args.file)?;
        let manifest = &transfer.manifest;
        let caller = open::caller(global, Role::Operator, PurposeOfUse::Treatment);
        let how = if args.output.is_some() { "opened and written in clear" } else { "opened" };
        let note = format!("transfer {} from {} {how}: {} patients", manifest.id, transfer.sender, transfer.patients());
        // In the ledger before anybody reads a name.
        open::wait(opened.vault.note_transfer_taken(&caller, None, Vec::new(), note))?;
        let (mut listed, mut lines) = (Vec::new(), String::new());
        for at in 0..transfer.patients() {
            let (Some(bundle), Some(pdf)) = (transfer.bundle(at), transfer.pdf(at)) else { continue };
            let identity = Identity::of(bundle);
            if let Some(folder) = &args.output {
                private_directory(folder)?;
                write(&folder.join(format!("{:03}-summary.json", at + 1)), bundle)?;
                write(&folder.join(format!("{:03}-summary.pdf", at + 1)), pdf)?;
            }
            lines += &format!("\n  {}  {}", at + 1, identity.line());
            listed.push(identity.told(at + 1, manifest.patients.get(at)));
        }
        let text = format!(
            "From {} (key {}), by {}, made {}, to be taken until {}, for {}: {}{}",
            transfer.sender,
            manifest.from.key,
            manifest.by,
            manifest.made,
            manifest.expires,
            manifest.purpose,
            manifest.reason,
            lines
        );
        let value = json!({
            "transfer": manifest.id, "sender": transfer.sender, "sender_key": manifest.from.key, "by": manifest.by, "made": manifest.made,
            "expires": manifest.expires, "purpose": manifest.purpose, "reason": manifest.reason, "patients": listed,
            "written_to": args.output,
        });
        output.result("transfer open", value, &text);
        Ok(exit::OK)
    })
}

/// Reads and verifies a transfer by this hospital's key and the senders that are listed.
pub(super) fn read(opened: &Opened, path: &Path) -> Result<tacet_transfer::Opened, CliError> {
    let unreadable = || CliError::file(path, "the transfer cannot be read");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable())?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable())?;
    let mut senders = Vec::new();
    for (name, key) in &opened.config.transfer.senders {
        let key = PublicKey::parse(key).ok_or_else(|| {
            CliError::Usage(format!("`[transfer.senders]`: the key of `{name}` is not 64 hexadecimal digits"))
        })?;
        senders.push((name.clone(), key));
    }
    tacet_transfer::open(&bytes, &opened.vault.transfer_keys(), &senders, open::clock().now()).map_err(told)
}

/// The Patient of a document.
pub(super) fn patient<'d>(document: &'d Json<'_>) -> Option<&'d Json<'d>> {
    let entries = document.get("entry")?.items();
    let mut resources = entries.iter().filter_map(|entry| entry.get("resource"));
    resources.find(|one| one.resource_type() == Some("Patient"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = || CliError::file(path, "this cannot be written; it must not exist yet");
    let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    made.and_then(|mut file| file.write_all(bytes)).map_err(failed())
}
