//! What runs on other machines than the store's: pruning, and taking backups over SSH. Neither has a key that opens anything.

use crate::args::ReceiveArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::{exit, open};
use serde::Deserialize;
use serde_json::json;
use std::io;
use std::path::Path;
use tacet_backup::targets::{self, Folder, Receive, TargetSettings, receive as receive_objects};
use tacet_backup::{BackupError, Class, PublicKey, Rule, plan_pruning, prune as prune_objects};

/// Longest file of a rule, in bytes.
const RULE_BYTES_MAX: u64 = 64 << 10;

/// Days for which key copies are kept where the rule does not say.
const KEYS_KEEP_DAYS: u32 = 30;

/// A rule by which backups are pruned.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneRule {
    /// The public key of the backup.
    key: String,
    /// Where content is, with an account that may remove.
    target: Option<TargetSettings>,
    /// Where keys are, likewise.
    keys: Option<TargetSettings>,
    /// Days for which every snapshot is kept.
    #[serde(default = "all_days")]
    all_days: u32,
    /// Weeks beyond these for which one whole snapshot a week is kept, with what follows it.
    #[serde(default)]
    weekly: u32,
    /// Days for which key copies are kept.
    #[serde(default = "keys_keep_days")]
    keys_keep_days: u32,
}

fn all_days() -> u32 {
    30
}

fn keys_keep_days() -> u32 {
    KEYS_KEEP_DAYS
}

pub(super) fn prune(path: &Path, dry_run: bool, output: &Output) -> Result<u8, CliError> {
    let length = std::fs::metadata(path).map_err(CliError::file(path, "the rule cannot be read"))?.len();
    if length > RULE_BYTES_MAX {
        return Err(CliError::Usage(format!("a rule has at most {RULE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(CliError::file(path, "the rule cannot be read"))?;
    let rule: PruneRule = toml::from_str(&text)
        .map_err(|error| CliError::Config { path: path.to_owned(), problem: error.message().to_owned() })?;
    let key = PublicKey::parse(&rule.key)
        .ok_or_else(|| CliError::Usage("`key` is no public key: take what `tacet backup key` prints".to_owned()))?;
    let content = Rule { all_days: rule.all_days, weekly: rule.weekly };
    let keys = Rule { all_days: rule.keys_keep_days, weekly: 0 };
    let (mut values, mut text, mut findings) = (Vec::new(), String::new(), 0);
    for (name, class, settings, rule) in
        [("content", Class::Content, &rule.target, content), ("keys", Class::Key, &rule.keys, keys)]
    {
        let Some(settings) = settings else { continue };
        let target = targets::open_prunable(settings, open::clock(), open::rng()).map_err(BackupError::from)?;
        let plan = plan_pruning(target.as_ref(), class, rule, open::clock().now(), &key, None)?;
        let said = format!(
            "{name}: {} snapshots go ({} objects, {} bytes), {} stay",
            plan.removed.len(),
            plan.objects(),
            plan.bytes,
            plan.kept
        );
        // Before it is done.
        output.note(&said);
        let clock = open::clock();
        let done =
            if dry_run { None } else { Some(prune_objects(target.as_ref(), &plan, clock.as_ref(), &mut |_| {})?) };
        text.push_str(&said);
        text.push_str(if dry_run { " (nothing was removed).\n" } else { ".\n" });
        let refusals = done.as_ref().map(|done| done.refused.clone()).unwrap_or_default();
        refusals.iter().for_each(|line| text.push_str(&format!("  not let go: {line}\n")));
        plan.passed.iter().for_each(|line| text.push_str(&format!("  NOT OURS, stays: {line}\n")));
        let spared = done.as_ref().map_or(0, |done| done.spared);
        if spared > 0 {
            text.push_str(&format!("  {spared} segments stay: a snapshot that was made meanwhile needs them.\n"));
        }
        findings += refusals.len() as u64 + plan.passed_count;
        values.push(json!({
            "what": name, "kept": plan.kept, "snapshots": plan.removed, "objects": plan.objects(), "bytes": plan.bytes,
            "removed": done.map(|done| done.removed), "refused": refusals,
            "not_ours": plan.passed, "not_ours_count": plan.passed_count, "spared": spared,
        }));
    }
    if values.is_empty() {
        return Err(CliError::Usage("the rule names neither `[target]` nor `[keys]`".to_owned()));
    }
    output.result("backup prune", json!({ "dry_run": dry_run, "pruned": values }), &text);
    Ok(if findings == 0 { exit::OK } else { exit::FINDINGS })
}

/// Speaks the protocol on stdin and stdout; nothing else may be written there.
pub(super) fn receive(args: &ReceiveArgs) -> Result<u8, CliError> {
    let folder = Folder::open(&args.directory, open::clock(), open::rng()).map_err(BackupError::from)?;
    let options = Receive { prune: args.prune && !args.append_only, keep_free_bytes: args.keep_free };
    receive_objects(&folder, options, &mut io::stdin().lock(), &mut io::stdout().lock())
        .map_err(|error| CliError::other("the other side of the connection did not go by the protocol", error))?;
    Ok(exit::OK)
}
