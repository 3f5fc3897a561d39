//! The drills. That of the disk can fail: a program that does not encrypt is built, and `tacet drill stolen-disk` must catch it; that it
//! finds nothing in a normal program is among the tests. Those of accounts and of the ledger are played small with the normal program and must find nothing.

use super::cargo;
use crate::{Outcome, workspace};
use std::path::Path;
use std::process::Command;

/// Exit code of a drill that found something (`tacet --help`).
const FOUND: i32 = 3;

/// Builds, plays, and expects findings.
pub(crate) fn run() -> Outcome {
    // The whole workspace, as the tests were built, so that only our own crates above the seal are built again.
    let build = ["build", "--workspace", "--bins", "--locked", "--quiet"];
    cargo(&[&build[..], &["--features", "tacet/bench-unsealed"]].concat(), &[])?;
    let folder = workspace::target().join("drill");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("tacet-unsealed");
    let copied = std::fs::copy(workspace::target().join("debug/tacet"), &program);
    // The normal program takes its place again, whatever happened.
    cargo(&build, &[])?;
    copied?;
    let output = Command::new(&program)
        .args(["drill", "stolen-disk", "--patients", "3", "--scratch"])
        .arg(&folder)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    if output.status.code() == Some(FOUND) {
        return accounts(&folder);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "the drill on a program that does not encrypt ended with {} instead of findings: {}",
        output.status,
        said.trim()
    )
    .into())
}

/// A small drill of ransomware: a snapshot every second, some seconds of work.
const RANSOMWARE: [&str; 6] = ["--patients", "12", "--backup-seconds", "1", "--load-seconds", "4"];

/// Plays a stolen session, an administrator who goes for records, an intruder who edits the ledger and ransomware, on small hospitals.
fn accounts(folder: &Path) -> Outcome {
    play("stolen-session", &["--patients", "24"], folder)?;
    play("rogue-admin", &["--patients", "4"], folder)?;
    play("bend-the-ledger", &["--patients", "2"], folder)?;
    play("ransomware", &RANSOMWARE, folder)
}

/// Plays ransomware with the backup at the places that these files describe.
pub(super) fn ransomware_at(content: &Path, keys: &Path, folder: &Path) -> Outcome {
    let [content, keys] = [content, keys].map(|path| path.display().to_string());
    play("ransomware", &[&RANSOMWARE[..], &["--target", &content, "--keys-target", &keys]].concat(), folder)
}

/// Plays a drill with the normal program, which must find nothing.
fn play(drill: &str, more: &[&str], folder: &Path) -> Outcome {
    let program = workspace::target().join("debug/tacet");
    let mut command = Command::new(&program);
    command.args(["drill", drill]).args(more).arg("--scratch").arg(folder);
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the drill {drill} ended with {}: {}\n{}", output.status, said.trim(), error.trim()).into());
    }
    println!("{}", said.trim().lines().last().unwrap_or_default());
    Ok(())
}
