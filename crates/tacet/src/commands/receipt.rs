//! `tacet receipt`: proofs that an entry is in the ledger, to be carried away and verified by anybody.

use crate::args::{Global, ReceiptArgs, ReceiptCommand, TrustArgs};
use crate::commands::ledger_log;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tacet_ledger::{Entry, Opening, OpeningError, PurposeOfUse};
use tacet_tlog::policy::WitnessPolicy;
use tacet_tlog::receipt::RECEIPT_BYTES_MAX;
use tacet_tlog::{Quorum, Receipt, ReceiptError};
use tacet_vault::Role;

pub(crate) fn run(global: &Global, args: &ReceiptArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        ReceiptCommand::Make { entry, to } => make(global, *entry, to, output),
        ReceiptCommand::Verify { file, trust } => verify(file, trust, output),
    }
}

fn make(global: &Global, index: u64, path: &Path, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    let (origin, keys) = opened.vault.name_log(opened.config.ledger.origin.as_deref())?;
    let receipt = open::wait(opened.vault.receipt(&caller, index));
    opened.vault.close()?;
    let receipt = receipt?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(receipt.encode().as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(CliError::file(path, "cannot be written; it must not exist yet"))?;
    let size = receipt.checkpoint.checkpoint().size();
    let cosigned = receipt.checkpoint.note().signatures().len().saturating_sub(keys.len());
    let key = keys.last().map(ToString::to_string).unwrap_or_default();
    let text = format!(
        "A receipt for entry {index} of {origin}, proved in a checkpoint of {size} entries with {cosigned} cosignatures.\nTo verify it: \
         tacet receipt verify {} --key {key}\nIt tells what the entry says: give it only to whom that may be told.",
        path.display()
    );
    output.result("receipt make", json!({ "entry": index, "size": size, "cosignatures": cosigned, "key": key }), &text);
    Ok(exit::OK)
}

/// Why a receipt is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    #[error(transparent)]
    Opening(#[from] OpeningError),
    #[error("the receipt has nothing with it that says what the entry is")]
    Bare,
}

fn verify(path: &Path, trust: &TrustArgs, output: &Output) -> Result<u8, CliError> {
    let (log, policy) = ledger_log::trusted(trust)?;
    if log.is_empty() {
        return Err(CliError::Usage(
            "name the log's key with `--key`: without it anybody could have made the receipt".into(),
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(RECEIPT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(CliError::file(path, "cannot be read"))?;
    match verified(&bytes, &log, &policy) {
        Ok((receipt, entry, quorum)) => {
            let checkpoint = receipt.checkpoint.checkpoint();
            let witnesses: Vec<&str> = quorum.counted.iter().map(|one| one.witness.as_str()).collect();
            let text = format!(
                "Entry {} is in the log {}, of which {} entries were signed{}.\n{}",
                receipt.index,
                checkpoint.origin(),
                checkpoint.size(),
                if witnesses.is_empty() { String::new() } else { format!(" and seen by {}", witnesses.join(", ")) },
                crate::commands::ledger::entry_line(receipt.index, &entry).trim_end()
            );
            let value = json!({
                "valid": true, "origin": checkpoint.origin(), "size": checkpoint.size(), "witnesses": witnesses,
                "entry": tacet_ledger::listing::entry_json(receipt.index, &entry),
            });
            output.result("receipt verify", value, &text);
            Ok(exit::OK)
        }
        Err(refused) => {
            let value = json!({ "valid": false, "problem": refused.to_string() });
            output.result("receipt verify", value, &format!("NOT VALID: {refused}"));
            Ok(exit::FINDINGS)
        }
    }
}

/// The receipt, what its entry says, and the witnesses that count, if all of it is proved.
pub(crate) fn verified(
    bytes: &[u8],
    log: &[tacet_tlog::VerifierKey],
    policy: &WitnessPolicy,
) -> Result<(Receipt, Entry, Quorum), Refused> {
    let receipt = Receipt::parse(bytes)?;
    let opening = Opening::parse(receipt.extra.as_deref().ok_or(Refused::Bare)?)?;
    let now_s = u64::try_from(open::clock().now().as_ms() / 1000).unwrap_or_default();
    let quorum = receipt.verify(&opening.leaf(), log, policy, now_s)?;
    Ok((receipt, opening.entry()?, quorum))
}
