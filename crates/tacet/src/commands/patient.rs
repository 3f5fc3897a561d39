//! `tacet patient erase`.

use crate::args::{Global, PatientArgs, PatientCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use crate::people;
use serde_json::json;
use std::io::IsTerminal;
use tacet_identity::Kind;
use tacet_ledger::PurposeOfUse;
use tacet_types::ResourceId;
use tacet_vault::{ErasePreview, Role};

pub(crate) fn run(global: &Global, args: &PatientArgs, output: &Output) -> Result<u8, CliError> {
    let PatientCommand::Erase { id, confirm, approval } = &args.command;
    let patient = ResourceId::parse(id).map_err(|error| CliError::Usage(error.to_string()))?;
    let opened = open::open(global, Some(MAINTENANCE_LIMITS))?;
    // The text that a second person reads and allows.
    let (kind, text) = (Kind::Erasure, format!("erase Patient/{}", patient.as_str()));
    if let Err(error) = people::require_named(&opened, kind, &text, approval.as_deref()) {
        opened.vault.close()?;
        return Err(error);
    }
    let Some(preview) = opened.vault.preview_erase(&patient)? else {
        opened.vault.close()?;
        return Err(CliError::Usage("there is no key of such a patient: nothing to erase".into()));
    };
    if confirm.is_none() {
        // For the person who is asked. stderr of a script is kept as a log, and this tells what a patient had.
        output.note(&describe(&preview));
    }
    if !confirmed(id, confirm.as_deref(), output)? {
        opened.vault.close()?;
        return Err(CliError::Usage("not confirmed; nothing was erased".into()));
    }
    let caller = open::caller(global, Role::Operator, PurposeOfUse::PatientRequest);
    if let Err(error) = people::use_approval(&opened, &caller, kind, &text, approval.as_deref()) {
        opened.vault.close()?;
        return Err(error);
    }
    let report = open::wait(opened.vault.erase(&caller, &patient))?;
    opened.vault.close()?;
    let shared: Vec<String> = report.erased.shared.iter().map(|(kind, id)| format!("{kind}/{}", id.as_str())).collect();
    let text = format!(
        "The key is destroyed; ledger entry {}. Run `tacet key rotate` to make the wrapped key unreadable in old \
         copies of the disk too.",
        report.ledger_entry
    );
    let value = json!({
        "versions": report.erased.versions, "shared": shared, "ledger_entry": report.ledger_entry,
        "resources": report.erased.resources.values().sum::<u64>(),
    });
    output.result("patient erase", value, &text);
    Ok(exit::OK)
}

fn describe(preview: &ErasePreview) -> String {
    let mut text = format!("To be destroyed, for ever: {} versions of", preview.versions);
    for (kind, count) in &preview.resources {
        text += &format!(" {count} {kind}");
    }
    for (kind, id) in &preview.shared {
        text += &format!("\nShared with other patients, stays and still mentions this one: {kind}/{}", id.as_str());
    }
    text
}

fn confirmed(id: &str, confirm: Option<&str>, output: &Output) -> Result<bool, CliError> {
    if let Some(confirm) = confirm {
        return Ok(confirm == id);
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage("confirm with `--confirm` and the patient's id once more".into()));
    }
    output.note("Type the patient's id once more to go on:");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| CliError::other("the terminal cannot be read", error))?;
    Ok(line.trim() == id)
}
