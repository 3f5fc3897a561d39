//! `tacet lockdown`: stops changes, sessions or keys at once, with neither the passphrase nor a session; two people lift that.
//!
//! A running server holds the store, and a passphrase takes time that nobody has: so locking is an order, a file in the data directory, which the server
//! takes within a second and which whatever opens the store next takes before anything else.

use crate::args::{Global, LockdownArgs, LockdownCommand};
use crate::config::data_directory;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use crate::output::Output;
use crate::people;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use tacet_identity::Kind;
use tacet_ledger::PurposeOfUse;
use tacet_server::{LOCK_ORDER_FILE, LockOrder};
use tacet_types::Timestamp;
use tacet_vault::{LOCK_REASON_BYTES_MAX, Lockdown, LockdownLevel, Role};

/// How long a running server may take, and how often it is looked, in milliseconds.
const PATIENCE_MS: u64 = 5_000;
const LOOK_MS: u64 = 50;

pub(crate) fn run(global: &Global, args: &LockdownArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        None => lock(global, args, output),
        Some(LockdownCommand::Status) => status(global, output),
        Some(LockdownCommand::Lift { approval }) => lift(global, approval.as_deref(), output),
    }
}

fn lock(global: &Global, args: &LockdownArgs, output: &Output) -> Result<u8, CliError> {
    let level = LockdownLevel::parse(args.level.as_deref().unwrap_or_default())
        .ok_or_else(|| CliError::Usage("`--level` must be `read-only`, `cut` or `sealed`".into()))?;
    let reason = args.reason.trim();
    if reason.is_empty() || reason.len() > LOCK_REASON_BYTES_MAX {
        return Err(CliError::Usage(format!("`--reason` must be 1 to {LOCK_REASON_BYTES_MAX} bytes")));
    }
    let data = data_directory(global);
    let paths = Paths::of(&data);
    if !paths.root.exists() && !paths.store.exists() {
        return Err(CliError::NoStore(data));
    }
    let by = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration).owner;
    let order = LockOrder { level, reason: reason.to_owned(), by };
    let mut written = order.write(&data).map_err(CliError::file(&data, "the order to lock cannot be written"))?;
    let running = is_open(&paths.store);
    let taken = running && taken(&data.join(LOCK_ORDER_FILE));
    let in_force = if taken { LockOrder::in_force(&mut written) } else { None };
    let (text, code) = match (running, taken) {
        (_, true) => {
            let locked = match in_force {
                Some(in_force) if in_force > level => {
                    format!(
                        "locked: {in_force}, as it was before; the level is never lowered, so {level} changed nothing"
                    )
                }
                Some(in_force) => format!("locked: {in_force}"),
                None => format!("locked: {level}, or a higher level that was in force before"),
            };
            (format!("{locked}. Two people lift it (docs/lockdown.md)"), exit::OK)
        }
        (false, _) => (
            "no process has the store open: it is locked before anything is served or changed next".to_owned(),
            exit::OK,
        ),
        (true, false) => {
            let text = "the process that has the store open has not taken the order: stop it; the order stays, and counts at the next start";
            (text.to_owned(), exit::FAILED)
        }
    };
    let in_force = in_force.map(LockdownLevel::as_str);
    let value = json!({ "level": level.as_str(), "in_force": in_force, "running": running, "locked": taken });
    output.result("lockdown", value, &text);
    Ok(code)
}

/// Whether a process has the store open.
fn is_open(store: &Path) -> bool {
    let Ok(file) = File::open(store.join("LOCK")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

/// Whether the server takes the order in time.
fn taken(order: &Path) -> bool {
    for _ in 0..PATIENCE_MS / LOOK_MS {
        if !order.exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
    false
}

fn status(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let found = opened.vault.lockdown().and_then(|now| Ok((now, opened.vault.lifted_lockdowns()?)));
    opened.vault.close()?;
    let (now, lifted) = found?;
    let mut text = now.as_ref().map_or_else(|| "not locked\n".to_owned(), |now| line("locked", now));
    text.extend(lifted.iter().map(|lockdown| line("lifted", lockdown)));
    let words = now.as_ref().map(Lockdown::lift_words);
    let lifted: Vec<Value> = lifted.iter().map(told).collect();
    let value = json!({ "in_force": now.as_ref().map(told), "lift_words": words, "lifted": lifted });
    output.result("lockdown status", value, text.trim_end());
    Ok(exit::OK)
}

/// Lifts on what a second person allowed, as far as there are two people who can.
fn lift(global: &Global, approval: Option<&str>, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let done = opened.vault.lockdown().map_err(CliError::from).and_then(|found| {
        let found = found.ok_or_else(|| CliError::Usage("the store is not locked".into()))?;
        let words = found.lift_words();
        people::require_named(&opened, Kind::LiftLockdown, &words, approval)?;
        let with = people::using_approval(&opened, &caller, Kind::LiftLockdown, &words, approval)?;
        let by = approval.map_or_else(|| "who set the store up".to_owned(), |id| format!("approval {id}"));
        Ok(open::wait(opened.vault.lift(&caller, &by, with))?)
    });
    opened.vault.close()?;
    let lifted = done?;
    let value = json!({ "lifted": lifted.as_ref().map(|lifted| told(&lifted.lockdown)) });
    output.result("lockdown lift", value, "lifted: start the server");
    Ok(exit::OK)
}

fn line(word: &str, lockdown: &Lockdown) -> String {
    let since = Timestamp::from_ms(lockdown.since_ms);
    format!("{word} {} {} since {since} by {}: {}\n", lockdown.id, lockdown.level, lockdown.by, lockdown.reason)
}

fn told(lockdown: &Lockdown) -> Value {
    let at = |ms: i64| Timestamp::from_ms(ms).to_string();
    json!({
        "id": lockdown.id, "level": lockdown.level.as_str(), "since": at(lockdown.since_ms), "by": lockdown.by,
        "cause": lockdown.cause, "reason": lockdown.reason, "lifted": lockdown.lifted_ms.map(at), "lifted_by": lockdown.lifted_by,
    })
}
