//! `tacet ledger resume`: what a witness or the slow derivation stopped goes on, because somebody looked into it.

use crate::args::Global;
use crate::commands::ledger::verified;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use serde_json::json;
use tacet_ledger::PurposeOfUse;
use tacet_vault::Role;

pub(crate) fn run(global: &Global, because: &str, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    if opened.vault.halts().is_empty() {
        opened.vault.close()?;
        output.result("ledger resume", json!({ "lifted": [], "problems": [] }), "Nothing stops disclosures.");
        return Ok(exit::OK);
    }
    let verification = verified(&opened.vault, output)?;
    if !verification.is_sound() {
        opened.vault.close()?;
        let problems: Vec<String> = verification.problems.iter().map(ToString::to_string).collect();
        let wrong: String = problems.iter().map(|problem| format!("WRONG {problem}\n")).collect();
        let text = format!(
            "{wrong}The ledger was altered: disclosures stay stopped. Keep the disk as it is, and restore the newest copy of the store in which it was not."
        );
        output.result("ledger resume", json!({ "lifted": [], "problems": problems }), &text);
        return Ok(exit::FINDINGS);
    }
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let lifted = opened.vault.resume_disclosures(&caller, because, &verification)?;
    opened.vault.close()?;
    let lifted: Vec<String> = lifted.iter().map(ToString::to_string).collect();
    let was: String = lifted.iter().map(|why| format!("taken back: {why}\n")).collect();
    let text = format!(
        "{was}The tree is the one its head says. The ledger has an entry of this, with your words. The next start asks the witnesses before it shows anything."
    );
    output.result("ledger resume", json!({ "lifted": lifted, "problems": [] }), &text);
    Ok(exit::OK)
}
