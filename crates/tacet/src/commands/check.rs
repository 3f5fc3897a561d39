//! `tacet check`.

use crate::args::Global;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use indicatif::ProgressBar;
use serde_json::json;
use tacet_ledger::PurposeOfUse;
use tacet_vault::{INDEX_PLACE, Role};

pub(crate) fn run(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let spinner = if output.interactive() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let report = open::wait(opened.vault.check(&caller, &mut |rows| {
        spinner.set_position(rows);
        spinner.set_message(format!("{rows} rows"));
    }))?;
    spinner.finish_and_clear();
    opened.vault.close()?;

    let resources: serde_json::Map<String, serde_json::Value> =
        report.resources.iter().map(|(name, count)| (name.to_string(), json!(count))).collect();
    let findings: Vec<_> =
        report.findings.iter().map(|found| json!({ "place": found.place, "problem": found.problem })).collect();
    let total: u64 = report.resources.values().sum();
    let mut text = format!(
        "{total} resources, {} deleted, {} versions, {} data keys ({} erased), {} commits, {} ledger entries\n",
        report.deleted, report.versions, report.data_keys, report.erased_keys, report.commits, report.ledger_entries
    );
    if let Some(indexed) = report.indexed {
        text += &format!("{indexed} resources in the search index\n");
    }
    for (name, count) in &report.resources {
        text += &format!("  {name} {count}\n");
    }
    for found in &report.findings {
        text += &format!("WRONG {}: {}\n", found.place, found.problem);
    }
    let of_index = report.findings.iter().filter(|found| found.place == INDEX_PLACE).count() as u64;
    text += &match report.findings_total {
        0 => "Nothing is wrong.".to_owned(),
        count if of_index == count => {
            "The records are sound; the search index is not. Run `tacet index rebuild`.".to_owned()
        }
        count => format!("{count} things are wrong. Keep this directory as it is and restore a copy."),
    };
    let value = json!({
        "resources": resources, "deleted": report.deleted, "versions": report.versions,
        "data_keys": report.data_keys, "erased_keys": report.erased_keys, "commits": report.commits,
        "ledger_entries": report.ledger_entries, "indexed": report.indexed, "findings": findings, "findings_total": report.findings_total,
    });
    output.result("check", value, &text);
    Ok(if report.findings_total == 0 { exit::OK } else { exit::FINDINGS })
}
