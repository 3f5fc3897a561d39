//! `tacet transfer`: summaries of patients to another hospital, and from one. It works on the data directory, so without a server.

mod identity;
mod make;
mod read;
mod take;

use crate::args::{Global, TransferArgs, TransferCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use serde_json::json;
use tacet_transfer::TransferError;

pub(crate) fn run(global: &Global, args: &TransferArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        TransferCommand::Key => key(global, output),
        TransferCommand::Make(args) => make::run(global, args, output),
        TransferCommand::Open(args) => read::run(global, args, output),
        TransferCommand::Take(args) => take::run(global, args, output),
    }
}

fn key(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let (keys, name) = (opened.vault.transfer_keys(), opened.config.access.name.clone());
    opened.vault.close()?;
    let (recipient, sender) = (keys.recipient().to_string(), keys.public().to_string());
    let text = format!(
        "Others seal to:  {recipient}\nOthers know by:  {sender}\n\nThe other hospital lists both, after comparing them with you by \
         telephone:\n\n  [transfer.recipients]\n  \"{name}\" = \"{recipient}\"\n\n  [transfer.senders]\n  \"{name}\" = \"{sender}\""
    );
    output.result("transfer key", json!({ "recipient": recipient, "sender": sender }), &text);
    Ok(exit::OK)
}

/// What is wrong with a transfer, told to whoever runs the command.
fn told(error: TransferError) -> CliError {
    match error {
        TransferError::Sealing(_) => CliError::other("the transfer could not be sealed", error),
        other => CliError::Usage(other.to_string()),
    }
}

/// Does work on an opened vault, and closes it whatever came of it.
fn closing<T>(opened: Opened, work: impl FnOnce(&Opened) -> Result<T, CliError>) -> Result<T, CliError> {
    let done = work(&opened);
    let closed = opened.vault.close();
    let done = done?;
    closed?;
    Ok(done)
}
