//! `tacet backup`.

mod elsewhere;

use crate::args::{BackupArgs, BackupCommand, Global};
use crate::backing::{Files, Following, Last, Maker, NamedTargets, Status, explain};
use crate::config::{Config, data_directory};
use crate::drilled::rehearsed;
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use crate::{exit, passphrase};
use indicatif::ProgressBar;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tacet_backup::{
    Class, Depth, Expected, Kind, Made, PublicKey, Signed, Target, Verification, Verified, Want, list_snapshots, load,
};
use tacet_ledger::PurposeOfUse;
use tacet_seal::root::RootFile;
use tacet_store::StoreError;
use tacet_types::Timestamp;
use tacet_vault::{Caller, EventKind, Outcome, Role, Vault};

/// How often a running server is asked whether it has done it.
const ASK: Duration = Duration::from_millis(200);

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

pub(crate) fn run(global: &Global, args: &BackupArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        BackupCommand::Now { base, adopt, wait } => now(global, *base, *adopt, *wait, output),
        BackupCommand::Status => status(global, output),
        BackupCommand::List { count } => list(global, *count, output),
        BackupCommand::Verify { key, listed, kept_days } => verify(global, key.as_deref(), *listed, *kept_days, output),
        BackupCommand::Key => key(global, output),
        BackupCommand::Prune { rule, dry_run } => elsewhere::prune(rule, *dry_run, output),
        BackupCommand::Receive(args) => elsewhere::receive(args),
    }
}

fn caller(global: &Global) -> Caller {
    open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration)
}

fn now(global: &Global, base: bool, adopt: bool, wait_s: u64, output: &Output) -> Result<u8, CliError> {
    let (config, data) = (Config::load(global)?, data_directory(global));
    let paths = Paths::of(&data);
    if !paths.root.exists() || !paths.store.exists() {
        return Err(CliError::NoStore(data));
    }
    // Before a passphrase is asked for: settings that cannot be, and a server that has the store.
    config.backup.targets()?;
    let engine = match open::engine(&paths.store, &config) {
        Err(CliError::Store(StoreError::Locked { .. })) => return ask(&data, base, adopt, wait_s, output),
        engine => engine?,
    };
    let following = Following::new(engine, &config.backup)?;
    let root = RootFile::unlock(&paths.root, &passphrase::existing(global)?).map_err(CliError::Root)?;
    let engine = std::sync::Arc::clone(&following.engine);
    let vault = open::open_vault_over(engine, &paths, &config, &root, MAINTENANCE_LIMITS, false)?;
    let mut maker = Maker::new(vault.clone(), caller(global), &config, &data, following)?;
    let made = maker.make(if base { Want::Base } else { Want::Due }, adopt);
    let problem = made.as_ref().err();
    maker.tell(problem);
    let made = made?;
    vault.close()?;
    // The entry that names it goes out too.
    let rest = maker.make(Want::LogOnly, false);
    maker.stopped(rest.as_ref().err());
    let made: Vec<Made> = made.into_iter().chain(rest?).collect();
    let whole = made.iter().find(|made| made.kind == Kind::Base).or(made.last());
    let Some(one) = whole else {
        let text = "Nothing was written since the last snapshot.";
        output.result("backup now", json!({ "made": 0, "status": maker.status }), text);
        return Ok(exit::OK);
    };
    let value = json!({ "made": made.len(), "snapshot": Last::from(one), "status": maker.status });
    output.result("backup now", value, &said(&Last::from(one)));
    Ok(exit::OK)
}

fn said(last: &Last) -> String {
    let kind = if last.kind == Kind::Base { "a whole one" } else { "what changed since the one before" };
    format!(
        "Snapshot {} ({}), {kind}: {} rows, {} bytes, of which {} were not on the target. Made at {}.",
        last.number, last.id, last.rows, last.bytes, last.sent_bytes, last.time
    )
}

/// Asks the server that has the store.
fn ask(data: &Path, base: bool, adopt: bool, wait_s: u64, output: &Output) -> Result<u8, CliError> {
    let files = Files::of(data);
    // None where a server has not made its first one yet.
    let before = Status::read(&files.status);
    if before.is_none() && !files.folder.exists() {
        return Err(CliError::Usage(
            "the store is in use by a process that makes no backups: set `[backup]` and start it again".to_owned(),
        ));
    }
    let words = format!("now{}{}", if base { " base" } else { "" }, if adopt { " adopt" } else { "" });
    std::fs::write(&files.wanted, words).map_err(CliError::file(&files.wanted, "cannot be written"))?;
    output.note("the server that has the store is asked to make it");
    let tries = wait_s.saturating_mul(1000) / ASK.as_millis() as u64;
    for _ in 0..tries {
        std::thread::sleep(ASK);
        // The file goes when the thread takes it up, the status is written when it is done.
        if files.wanted.exists() {
            continue;
        }
        let Some(after) =
            Status::read(&files.status).filter(|after| before.as_ref().is_none_or(|before| after.at != before.at))
        else {
            continue;
        };
        if let Some(problem) = &after.problem {
            return Err(CliError::Usage(format!("no snapshot was made: {problem}")));
        }
        let Some(last) = after.last.clone() else { continue };
        if base
            && last.kind != Kind::Base
            && before
                .as_ref()
                .is_none_or(|before| before.last.as_ref().is_some_and(|before| before.number + 1 >= last.number))
        {
            continue;
        }
        output.result("backup now", json!({ "made": 1, "snapshot": last, "status": after }), &said(&last));
        return Ok(exit::OK);
    }
    Err(CliError::Usage("the server has not made it in time: see `tacet backup status` and its log".to_owned()))
}

fn status(global: &Global, output: &Output) -> Result<u8, CliError> {
    let data = data_directory(global);
    let paths = Paths::of(&data);
    if !paths.root.exists() && !paths.store.exists() {
        return Err(CliError::NoStore(data));
    }
    let Some(status) = Status::read(&Files::of(&data).status) else {
        let on = Config::load(global)?.backup.is_on();
        let text = if on {
            "No backup was made yet."
        } else {
            "No backup is set up: name two places under `[backup]` (docs/backup.md)."
        };
        output.result("backup status", json!({ "configured": on, "status": null }), text);
        return Ok(exit::FINDINGS);
    };
    let mut text = status.last.as_ref().map_or_else(|| "No snapshot was made yet.".to_owned(), said);
    text.push_str(&format!("\nContent goes to {}, keys to {}.", status.target, status.keys_target));
    text.push_str(&format!("\n{} bytes wait to go out. Last looked at {}.", status.waiting_bytes, status.at));
    if let Some(problem) = &status.problem {
        text.push_str(&format!("\nTHE LAST {} TRIES FAILED: {problem}", status.failures));
    }
    if !status.missing.is_empty() {
        text.push_str(&format!("\nSNAPSHOTS ARE MISSING from the target: {:?}", status.missing));
    }
    if status.damaged > 0 {
        text.push_str(&format!(
            "\n{} SEGMENTS ON THE TARGET ARE NOT WHAT WAS WRITTEN: the last whole snapshot has them anew; `tacet backup verify` names those of before.",
            status.damaged
        ));
    }
    let now = open::clock().now();
    let stale = status.is_stale(now);
    if stale {
        text.push_str(
            "\nNOBODY HAS LOOKED SINCE: is the server running, and does the target answer? Its log says more.",
        );
    } else if status.stopped {
        text.push_str("\nWho made it has ended, and nothing was left to send.");
    }
    let rehearsed = rehearsed(&data, &Config::load(global)?.backup, now);
    if let Some(rehearsed) = &rehearsed {
        text.push_str(&format!("\nRehearsed restore: {}.", rehearsed.says));
    }
    let well = status.is_well(now);
    let rehearsal = rehearsed.map(|rehearsed| rehearsed.value);
    let value = json!({ "configured": true, "well": well, "stale": stale, "status": status, "rehearsal": rehearsal });
    output.result("backup status", value, &text);
    Ok(if well { exit::OK } else { exit::FINDINGS })
}

/// The key that was noted when a snapshot was made, for listings; `verify` without one asks the store.
fn noted_key(data: &Path) -> Option<PublicKey> {
    Status::read(&Files::of(data).status).and_then(|status| PublicKey::parse(&status.public_key))
}

fn list(global: &Global, count: usize, output: &Output) -> Result<u8, CliError> {
    let (config, data) = (Config::load(global)?, data_directory(global));
    let Some(target) = config.backup.named_targets()?.0 else {
        return Err(CliError::Usage(
            "snapshots are listed where content is: name it under `[backup.target]`".to_owned(),
        ));
    };
    let key = noted_key(&data);
    let listed = list_snapshots(target.as_ref(), Class::Content)?;
    let (mut rows, mut text, mut sound) = (Vec::new(), String::new(), true);
    for listing in listed.iter().rev().take(count).rev() {
        let read = load(target.as_ref(), &listing.object).and_then(|signed| {
            key.map(|key| signed.verify(&key).map(|_| ())).transpose()?;
            Ok(signed)
        });
        match read.as_ref().map(Signed::unverified) {
            Ok(manifest) => {
                let kind = if manifest.kind == Kind::Base { "whole" } else { "changes" };
                text.push_str(&format!(
                    "{:>8}  {}  {kind:<7}  {:>10} rows  {:>13} bytes  {}\n",
                    manifest.number,
                    manifest.time(),
                    manifest.row_count(),
                    manifest.bytes(),
                    manifest.id
                ));
                rows.push(json!({
                    "number": manifest.number, "id": manifest.id, "kind": manifest.kind, "time": manifest.time().to_string(),
                    "base": manifest.base, "rows": manifest.row_count(), "bytes": manifest.bytes(),
                    "segments": manifest.segments.len(), "commits": manifest.to.commits,
                    "ledger_entries": manifest.ledger.map(|ledger| ledger.entries), "verified": key.is_some(),
                }));
            }
            Err(error) => {
                sound = false;
                text.push_str(&format!("{:>8}  {error}\n", listing.number));
                rows.push(json!({ "number": listing.number, "id": listing.id, "problem": error.to_string() }));
            }
        }
    }
    if listed.is_empty() {
        text.push_str("There is no snapshot.\n");
    } else if key.is_none() {
        text.push_str("Signatures were not verified: no backup was made from here, so the key is not known.\n");
    }
    output.result("backup list", json!({ "snapshots": rows, "all": listed.len(), "target": target.describe() }), &text);
    Ok(if sound { exit::OK } else { exit::FINDINGS })
}

fn key(global: &Global, output: &Output) -> Result<u8, CliError> {
    let public = match open::open_without_index(global, Some(MAINTENANCE_LIMITS)) {
        Ok(opened) => {
            let public = opened.vault.backup_signer().public().to_string();
            opened.vault.close()?;
            public
        }
        // A running server has noted it.
        Err(error @ CliError::Store(StoreError::Locked { .. })) => {
            noted_key(&data_directory(global)).ok_or(error)?.to_string()
        }
        Err(error) => return Err(error),
    };
    output.result("backup key", json!({ "key": public }), &public);
    Ok(exit::OK)
}

fn verify(global: &Global, key: Option<&str>, listed: bool, kept_days: u32, output: &Output) -> Result<u8, CliError> {
    let config = Config::load(global)?;
    let depth = if listed { Depth::Listed } else { Depth::Everything };
    let before = open::clock().now().plus_ms(-i64::from(kept_days) * DAY_MS);
    let Some(text) = key else {
        let data = data_directory(global);
        if !Paths::of(&data).root.exists() {
            return Err(CliError::NoStore(data));
        }
        let (target, keys) = config.backup.targets()?;
        let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
        let (public, expected) = (opened.vault.backup_signer().public(), opened.vault.backups_named()?);
        let found = both(&(Some(target), Some(keys)), public, depth, &expected, before, output);
        let noted = note_verified(&opened.vault, &caller(global), &found);
        opened.vault.close()?;
        let found = found?;
        noted?;
        return Ok(report(&found, expected.len(), output));
    };
    let public = PublicKey::parse(text)
        .ok_or_else(|| CliError::Usage("this is no public key: take what `tacet backup key` prints".to_owned()))?;
    let found = both(&config.backup.named_targets()?, public, depth, &[], before, output)?;
    Ok(report(&found, 0, output))
}

/// What was found of content and of keys; none of what was not looked at.
type Found = (Option<Verified>, Option<Verified>);

fn note_verified(vault: &Vault, caller: &Caller, found: &Result<Found, CliError>) -> Result<(), CliError> {
    let (outcome, detail) = match found {
        Ok((content, keys)) => {
            let problems: u64 = content.iter().chain(keys).map(|found| found.problem_count).sum();
            let newest = content.as_ref().and_then(|content| content.newest.as_ref()).map_or(0, |newest| newest.number);
            let snapshots = content.as_ref().map_or(0, |content| content.snapshots);
            let outcome = if problems == 0 { Outcome::Success } else { Outcome::Failed };
            (outcome, format!("up to snapshot {newest}, {snapshots} snapshots, {problems} problems"))
        }
        Err(error) => (Outcome::Failed, format!("it could not be read: {}", explain(error))),
    };
    Ok(open::wait(vault.note_with(caller, EventKind::BackupVerified, outcome, Some(detail)))?)
}

fn both(
    (target, keys): &NamedTargets,
    key: PublicKey,
    depth: Depth,
    expected: &[Expected],
    pruned_before: Timestamp,
    output: &Output,
) -> Result<Found, CliError> {
    let of = |target: &Option<Arc<dyn Target>>, class, expected| {
        let Some(target) = target else { return Ok(None) };
        let bar = if output.interactive() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let target = target.as_ref();
        let verification = Verification { target, class, key, establishment: None, depth, expected, pruned_before };
        let found = verification.run(&mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        found.map(Some)
    };
    Ok((of(target, Class::Content, expected)?, of(keys, Class::Key, &[])?))
}

fn report((content, keys): &Found, expected: usize, output: &Output) -> u8 {
    let value = |found: &Verified| {
        let problems: Vec<_> =
            found.problems.iter().map(|problem| json!({ "object": problem.object, "what": problem.what })).collect();
        json!({
            "snapshots": found.snapshots, "chains": found.chains, "segments": found.segments, "bytes": found.bytes,
            "newest": found.newest.as_ref().map(|newest| newest.number),
            "newest_time": found.newest_time.map(|time| time.to_string()),
            "pruned": found.pruned, "unnamed": found.unnamed, "problem_count": found.problem_count, "problems": problems,
        })
    };
    let line = |name: &str, found: &Option<Verified>| {
        let Some(found) = found else { return format!("{name}: not named in the settings here, and not looked at.\n") };
        let newest = found.newest_time.map_or_else(|| "none".to_owned(), |time| time.to_string());
        let mut text = format!(
            "{name}: {} snapshots in {} chains, {} segments, {} bytes, the newest of {newest}; {} problems.\n",
            found.snapshots, found.chains, found.segments, found.bytes, found.problem_count
        );
        for problem in &found.problems {
            text.push_str(&format!("  {}: {}\n", problem.object, problem.what));
        }
        text
    };
    let sound = content.iter().chain(keys).all(|found| found.problem_count == 0 && found.snapshots > 0);
    let text = format!(
        "{}{}{expected} snapshots that the ledger names were looked for. {}",
        line("Content", content),
        line("Keys", keys),
        if sound { "The backup is what was written." } else { "THE BACKUP IS NOT WHAT WAS WRITTEN." }
    );
    let (content, keys) = (content.as_ref().map(value), keys.as_ref().map(value));
    let value = json!({ "sound": sound, "content": content, "keys": keys, "named_by_ledger": expected });
    output.result("backup verify", value, &text);
    if sound { exit::OK } else { exit::FINDINGS }
}
