//! `tacet ledger succeed`: the published log goes on under another name.

use crate::args::Global;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use serde_json::json;
use tacet_ledger::PurposeOfUse;
use tacet_vault::Role;

pub(crate) fn run(global: &Global, name: &str, lost: &str, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let succeeded = opened.vault.succeed_log(&caller, name, lost)?;
    opened.vault.close()?;
    let keys: Vec<String> = succeeded.keys.iter().map(ToString::to_string).collect();
    let text = format!(
        "The published ledger goes on as {} in the place of {}; entry {} says so.\nIts key, for witnesses and whoever verifies:\n\n  {}\n\n\
         Witnesses of the log of before know nothing of this one: give it to each of them.",
        succeeded.origin,
        succeeded.before,
        succeeded.entry,
        keys.join("\n  ")
    );
    let value =
        json!({ "origin": succeeded.origin, "before": succeeded.before, "entry": succeeded.entry, "keys": keys });
    output.result("ledger succeed", value, &text);
    Ok(exit::OK)
}
