//! `tacet ledger key`, `export-log`, `tiles` and `verify --files`: the ledger as a published log.

use crate::args::{Global, LedgerKeyArgs, LedgerVerifyArgs, TrustArgs};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use indicatif::ProgressBar;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tacet_ledger::PurposeOfUse;
use tacet_tlog::derive::{Derived, LogFiles, Trusted, verify_files};
use tacet_tlog::note::{NOTE_BYTES_MAX, SignatureType};
use tacet_tlog::policy::WitnessPolicy;
use tacet_tlog::tile::{Resource, resources};
use tacet_tlog::{SignedCheckpoint, VerifierKey};
use tacet_vault::{EventKind, Outcome, Role};

/// Prints the log's name and keys; makes them where there are none, and a further one where it is asked.
pub(crate) fn key(global: &Global, args: &LedgerKeyArgs, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let origin = args.origin.as_deref().or(opened.config.ledger.origin.as_deref());
    let (origin, mut keys) = opened.vault.name_log(origin)?;
    if args.rotate {
        let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
        open::wait(opened.vault.note(&caller, EventKind::KeyEvent, Outcome::Success))?;
        keys = opened.vault.rotate_log_key()?;
    }
    opened.vault.close()?;
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let text = format!("log {origin}\n{}", keys.iter().map(|key| format!("key {key}\n")).collect::<String>());
    output.result("ledger key", json!({ "origin": origin, "keys": keys }), text.trim_end());
    Ok(exit::OK)
}

/// Makes the kept hashes of the log again.
pub(crate) fn tiles(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    opened.vault.name_log(opened.config.ledger.origin.as_deref())?;
    opened.vault.remake_log_tiles()?;
    let signed = opened.vault.publish_now()?;
    opened.vault.close()?;
    let size = signed.map_or(0, |signed| signed.checkpoint().size());
    output.result("ledger tiles", json!({ "size": size }), &format!("The hashes over {size} entries were made again."));
    Ok(exit::OK)
}

/// Writes the files of the log into a new directory.
pub(crate) fn export(global: &Global, directory: &Path, cosigned: bool, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let (origin, keys) = opened.vault.name_log(opened.config.ledger.origin.as_deref())?;
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    open::wait(opened.vault.note(&caller, EventKind::LedgerAccess, Outcome::Success))?;
    let signed = opened.vault.publish_now()?;
    let signed = signed.ok_or_else(|| CliError::Usage("the ledger has no entry to be published".into()))?;
    let seen = opened.vault.cosigned_checkpoint()?;
    let signed = match (cosigned, seen) {
        (false, _) => signed,
        (true, Some(seen)) => seen,
        (true, None) => return Err(CliError::Usage("no witness has cosigned the ledger".into())),
    };
    std::fs::create_dir(directory).map_err(CliError::file(directory, "cannot be made; it must not exist yet"))?;
    let size = signed.checkpoint().size();
    let bar = if output.interactive() { ProgressBar::new(size) } else { ProgressBar::hidden() };
    for resource in resources(size) {
        write(directory, &resource, &opened.vault.log_file(&resource)?)?;
        if let Resource::Entries { index, width } = resource {
            bar.set_position(index * 256 + u64::from(width));
        }
    }
    // Last: a directory with a checkpoint is whole.
    write(directory, &Resource::Checkpoint, signed.encode().as_bytes())?;
    bar.finish_and_clear();
    opened.vault.close()?;
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    // What is not the log's own signature is a witness's.
    let cosignatures = signed.note().signatures().len().saturating_sub(keys.len());
    let newest = match cosignatures {
        0 => "No witness has cosigned them: with `--cosigned` they go as far as one did.\n",
        _ => "",
    };
    let text = format!(
        "{size} entries of {origin} are in {}, cosigned by {cosignatures} witnesses.\n{newest}To verify them: tacet ledger verify --files {} --key {}",
        directory.display(),
        directory.display(),
        keys.last().map(String::as_str).unwrap_or_default()
    );
    let value = json!({ "origin": origin, "size": size, "keys": keys, "cosignatures": cosignatures });
    output.result("ledger export-log", value, &text);
    Ok(exit::OK)
}

fn write(directory: &Path, resource: &Resource, bytes: &[u8]) -> Result<(), CliError> {
    let path = directory.join(resource.to_string());
    let written = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(bytes)
    };
    written().map_err(CliError::file(&path, "cannot be written"))
}

/// The keys and the policy that arguments name.
pub(crate) fn trusted(args: &TrustArgs) -> Result<(Vec<VerifierKey>, WitnessPolicy), CliError> {
    let parse = |keys: &[String], kind: SignatureType, whose: &str| -> Result<Vec<VerifierKey>, CliError> {
        let keys: Result<Vec<_>, _> = keys.iter().map(|key| VerifierKey::parse(key)).collect();
        let keys = keys.map_err(|error| CliError::Usage(error.to_string()))?;
        match keys.iter().all(|key| key.kind() == kind) {
            true => Ok(keys),
            false => Err(CliError::Usage(format!("a key that is named as {whose} is none"))),
        }
    };
    let log = parse(&args.key, SignatureType::Ed25519, "the log's")?;
    let witnesses = parse(&args.witness, SignatureType::CosignatureEd25519, "a witness's")?;
    let quorum = args.quorum.unwrap_or(witnesses.len());
    if quorum > witnesses.len() {
        return Err(CliError::Usage(format!("{quorum} witnesses cannot be asked where {} are named", witnesses.len())));
    }
    let age_s_max = args.max_age.as_deref().map(seconds).transpose()?;
    Ok((log, WitnessPolicy { witnesses, quorum, age_s_max }))
}

/// A time such as `90s`, `30m`, `48h` or `7d`, in seconds.
fn seconds(text: &str) -> Result<u64, CliError> {
    let wrong = || CliError::Usage(format!("`{text}` is no time: write it as `90s`, `30m`, `48h` or `7d`"));
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(*name).map(|number| (number, *unit)))
        .ok_or_else(wrong)?;
    // A sign or a space is none.
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| number.parse::<u64>().ok()).flatten().ok_or_else(wrong)?;
    number.checked_mul(unit).ok_or_else(wrong)
}

/// Whether enough witnesses have seen a log lately enough; why not otherwise. Who counts and how many was held already: here, how old it is.
fn timely(
    files: &Path,
    derived: &Derived,
    log: &[VerifierKey],
    policy: &WitnessPolicy,
) -> Result<Option<String>, CliError> {
    let Some(age_s) = policy.age_s_max else { return Ok(None) };
    let bytes = Directory(files.to_owned()).read(&Resource::Checkpoint, NOTE_BYTES_MAX);
    let bytes = bytes.map_err(CliError::file(files, "cannot be read"))?.unwrap_or_default();
    let signed = SignedCheckpoint::verified(&bytes, log).ok().filter(|found| *found.checkpoint() == derived.checkpoint);
    let Some(signed) = signed else { return Ok(Some("the checkpoint changed while it was verified".to_owned())) };
    let now_s = u64::try_from(open::clock().now().as_ms() / 1000).unwrap_or_default();
    let quorum = policy.count(&signed, now_s);
    let quorum = quorum.map_err(|error| CliError::other("a cosignature is not one of its witness", error))?;
    Ok((!quorum.is_met()).then(|| {
        format!(
            "{} of {} witnesses that must have cosigned did so within {age_s} seconds; {} cosignatures are older, or from the future",
            quorum.counted.len(),
            quorum.wanted,
            quorum.untimely.len()
        )
    }))
}

/// A log's files in a directory.
pub(crate) struct Directory(pub(crate) PathBuf);

impl LogFiles for Directory {
    type Error = io::Error;

    fn read(&mut self, resource: &Resource, bytes_max: usize) -> Result<Option<Vec<u8>>, io::Error> {
        let mut bytes = Vec::new();
        let limit = bytes_max as u64 + 1;
        match File::open(self.0.join(resource.to_string())) {
            Ok(file) => file.take(limit).read_to_end(&mut bytes).map(|_| Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Verifies the files of a published log: everything is derived from the entries.
pub(crate) fn verify(files: &Path, args: &LedgerVerifyArgs, output: &Output) -> Result<u8, CliError> {
    let (log, policy) = trusted(&args.trust)?;
    let mut known = Vec::new();
    for path in &args.known {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
            .map_err(CliError::file(path, "cannot be read"))?;
        let signed = SignedCheckpoint::verified(&bytes, &log)
            .map_err(|error| CliError::other("a known checkpoint is not one of this log", error))?;
        known.push(signed.checkpoint().clone());
    }
    let (witnesses, cosignatures_min) = (policy.witnesses.clone(), policy.quorum);
    let trusted = Trusted { log: log.clone(), witnesses, cosignatures_min, known };
    let bar = if output.interactive() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let derived = verify_files(&mut Directory(files.to_owned()), &trusted, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let late = derived.as_ref().ok().map(|derived| timely(files, derived, &log, &policy)).transpose()?.flatten();
    if let Some(late) = late {
        let value = json!({ "valid": false, "problem": late });
        output.result("ledger verify", value, &format!("WRONG {late}"));
        return Ok(exit::FINDINGS);
    }
    match derived {
        Ok(derived) => {
            let (size, root) = (derived.checkpoint.size(), derived.checkpoint.root().to_string());
            let text = format!(
                "{size} entries give root {root}, as the checkpoint of {} says; {} tiles are theirs; cosigned by {} witnesses that count.",
                derived.checkpoint.origin(),
                derived.tiles,
                derived.witnesses.len()
            );
            let value = json!({ "valid": true, "entries": size, "root": root, "tiles": derived.tiles, "witnesses": derived.witnesses });
            output.result("ledger verify", value, &text);
            Ok(exit::OK)
        }
        Err(wrong) => {
            output.result(
                "ledger verify",
                json!({ "valid": false, "problem": wrong.to_string() }),
                &format!("WRONG {wrong}"),
            );
            Ok(exit::FINDINGS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("48h", 172_800), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "s", "7", "7w", "-1s", "+1s", "1 s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
