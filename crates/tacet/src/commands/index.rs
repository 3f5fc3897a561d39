//! `tacet index rebuild` and `tacet index status`.

use crate::args::{Global, IndexArgs, IndexCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use indicatif::ProgressBar;
use serde_json::json;
use tacet_vault::{IndexState, Vault};

pub(crate) fn run(global: &Global, args: &IndexArgs, output: &Output) -> Result<u8, CliError> {
    let opened = open::open(global, Some(MAINTENANCE_LIMITS))?;
    let name = match args.command {
        IndexCommand::Rebuild => {
            // What it still lacks is in what it is made from; it is only one work at a time.
            settle(&opened.vault, output);
            opened.vault.rebuild_index()?;
            "index rebuild"
        }
        IndexCommand::Status => "index status",
    };
    let state = settle(&opened.vault, output);
    let statistics = opened.vault.index_statistics().unwrap_or_default();
    let last = opened.vault.statistics().last_sequence;
    opened.vault.close()?;
    let ready = state == Some(IndexState::Ready);
    let text = match ready {
        true => format!(
            "The search index is up to date: {} resources, {} MiB on disk.",
            statistics.documents,
            statistics.disk_bytes >> 20
        ),
        false => "The search index could not be brought up to date. Run `tacet check`.".to_owned(),
    };
    let value = json!({
        "ready": ready, "documents": statistics.documents, "disk_bytes": statistics.disk_bytes,
        "applied": statistics.applied.0, "last": last.0,
    });
    output.result(name, value, &text);
    Ok(if ready { exit::OK } else { exit::FINDINGS })
}

/// Waits until nothing is under way, and shows how far it is.
fn settle(vault: &Vault, output: &Output) -> Option<IndexState> {
    let spinner = if output.interactive() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let state = vault.wait_for_index(&mut |state| {
        spinner.set_message(match state {
            IndexState::CatchingUp { done, all } => format!("{done} of {all} commits"),
            IndexState::Building { done } | IndexState::Rebuilding { done } => format!("{done} records"),
            _ => String::new(),
        });
        spinner.tick();
    });
    spinner.finish_and_clear();
    state
}
