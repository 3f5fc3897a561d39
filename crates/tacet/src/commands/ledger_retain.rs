//! `tacet ledger retain`: the rule by which entries end, run by hand or only looked at.

use crate::args::Global;
use crate::commands::ledger::open_with_index;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use serde_json::json;
use tacet_ledger::{EpochState, PurposeOfUse};
use tacet_vault::{LedgerRetention, MonthKey, MonthStep, Role};

pub(crate) fn run(global: &Global, dry_run: bool, output: &Output) -> Result<u8, CliError> {
    let opened = match dry_run {
        true => open::open_without_index(global, Some(MAINTENANCE_LIMITS))?,
        // What is destroyed is to be forgotten by the index too.
        false => open_with_index(global, output)?,
    };
    let keep_years = opened.config.ledger.keep_years;
    let found = if dry_run {
        opened.vault.plan_retention(keep_years)?
    } else {
        let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
        open::wait(opened.vault.retain_ledger(&caller, keep_years))?
    };
    opened.vault.close()?;

    let month = |month: &MonthKey| {
        json!({
            "month": month.epoch.to_string(), "key": month.epoch.number(), "step": month.step.as_str(),
            "until": month.until.to_string(), "announced": month.announced.map(|at| at.to_string()),
            "damaged": month.state == EpochState::Damaged,
        })
    };
    let value = json!({
        "keep_years": keep_years, "dry_run": dry_run, "changed_from": found.changed_from,
        "months": found.months.iter().map(month).collect::<Vec<_>>(),
        "kept_since": found.kept.map(|kept| kept.since.to_string()),
        "past_their_time": found.kept.map_or(0, |kept| kept.first_entry),
        "ahead": found.ahead.map(|month| month.to_string()),
    });
    output.result("ledger retain", value, &text(&found, dry_run));
    Ok(exit::OK)
}

fn text(found: &LedgerRetention, dry_run: bool) -> String {
    let mut text = format!("Entries are kept for {} years after their month.\n", found.keep_years);
    if let Some(before) = found.changed_from {
        text += &format!("It was {before} years when the rule last ran.\n");
    }
    match found.kept {
        Some(kept) => {
            text += &format!("{} entries of before {} are past their time.\n", kept.first_entry, kept.since);
        }
        None => text += "No entry is past its time.\n",
    }
    let would = if dry_run { "would be " } else { "" };
    let list = |step: MonthStep| found.of(step).map(|month| month.epoch.to_string()).collect::<Vec<_>>().join(", ");
    for (step, words) in [
        (MonthStep::Destroy, format!("{would}destroyed now")),
        (MonthStep::Announce, format!("{would}announced now")),
        (MonthStep::Waits, "announced before, and waiting".to_owned()),
    ] {
        let months = list(step);
        if !months.is_empty() {
            text += &format!("Keys {words}: {months}\n");
        }
    }
    let damaged: Vec<String> = found
        .months
        .iter()
        .filter(|month| month.state == EpochState::Damaged)
        .map(|month| month.epoch.to_string())
        .collect();
    if !damaged.is_empty() {
        text += &format!("DAMAGED keys, to be restored from a copy of the keys: {}\n", damaged.join(", "));
    }
    if let Some(month) = found.ahead {
        text += &format!(
            "The clock was once ahead: until {month} entries are kept under that month's key, longer than they should be.\n"
        );
    }
    let stays = |month: &&MonthKey| !matches!(month.step, MonthStep::Gone | MonthStep::Destroy);
    if let Some(next) = found.months.iter().filter(stays).map(|month| month.until).min() {
        text += &format!("The next key can end on {next}.");
    }
    text
}
