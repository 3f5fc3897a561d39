//! `tacet ledger`.

use crate::args::{Global, LedgerArgs, LedgerCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use indicatif::ProgressBar;
use serde_json::json;
use tacet_ledger::{Entry, PurposeOfUse};
use tacet_vault::{EventKind, Outcome, Role};

pub(crate) fn run(global: &Global, args: &LedgerArgs, output: &Output) -> Result<u8, CliError> {
    match args.command {
        LedgerCommand::Verify => verify(global, output),
        LedgerCommand::List { count } => list(global, count, output),
    }
}

fn verify(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let bar = if output.interactive() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let verification = opened.vault.verify_ledger(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    open::wait(opened.vault.note(&caller, EventKind::LedgerAccess, Outcome::Success))?;
    opened.vault.close()?;

    let size = verification.head.as_ref().map_or(0, |head| head.size());
    let root = verification.derived_root.as_ref().map(ToString::to_string);
    let problems: Vec<String> = verification.problems.iter().map(ToString::to_string).collect();
    let mut text = format!("{size} entries, root {}\n", root.as_deref().unwrap_or("not derivable"));
    for problem in &problems {
        text += &format!("WRONG {problem}\n");
    }
    text += if verification.is_sound() {
        "The tree is the one its head says; every entry opens."
    } else {
        "The ledger was altered."
    };
    let value = json!({
        "entries": size, "root": root, "opened": verification.opened, "without_key": verification.without_key,
        "problems": problems, "problems_total": verification.problems_total,
    });
    output.result("ledger verify", value, &text);
    Ok(if verification.is_sound() { exit::OK } else { exit::FINDINGS })
}

fn list(global: &Global, count: usize, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    // Who reads the ledger is in the ledger, before it is shown.
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    open::wait(opened.vault.note(&caller, EventKind::LedgerAccess, Outcome::Success))?;
    let size = opened.vault.ledger_head()?.map_or(0, |head| head.size());
    let mut entries = Vec::new();
    let mut text = String::new();
    for index in (0..size).rev().take(count) {
        let entry = opened.vault.ledger_entry(index)?;
        text += &line(index, &entry);
        entries.push(value(index, &entry));
    }
    opened.vault.close()?;
    output.result("ledger list", json!({ "size": size, "entries": entries }), &text);
    Ok(exit::OK)
}

fn line(index: u64, entry: &Entry) -> String {
    let patient = entry.patient.as_ref().map(|(kind, id)| format!(" {kind}/{}", id.as_str())).unwrap_or_default();
    let detail = entry.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!(
        "{index} {} {} {} by {} ({}) for {}{patient}, {} records{detail}\n",
        entry.at,
        entry.kind,
        entry.outcome,
        entry.agent.owner,
        entry.agent.role,
        entry.purpose,
        entry.records.len()
    )
}

fn value(index: u64, entry: &Entry) -> serde_json::Value {
    let name = |kind: &tacet_types::ResourceType, id: &tacet_types::ResourceId| format!("{kind}/{}", id.as_str());
    let records: Vec<String> = entry
        .records
        .iter()
        .map(|record| format!("{}/_history/{}", name(&record.resource_type, &record.id), record.version))
        .collect();
    json!({
        "index": index, "at": entry.at.to_string(), "kind": entry.kind.as_str(), "outcome": entry.outcome.as_str(),
        "owner": entry.agent.owner, "role": entry.agent.role, "token": entry.agent.token,
        "on_behalf_of": entry.on_behalf_of, "patient": entry.patient.as_ref().map(|(kind, id)| name(kind, id)),
        "records": records, "categories": entry.categories.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "purpose": entry.purpose.as_str(), "address": entry.origin.address, "channel": entry.origin.channel.as_str(),
        "operation": entry.operation.to_string(), "query": entry.query, "detail": entry.detail,
    })
}
