//! The root key and the newest copy of keys, out of a place to which others may have added copies of theirs.
//!
//! ```text
//! copies, newest first ──> the part for the shares ──opens?──> root key ──> establishment's key ──> newest copy that it signed
//! ```
//!
//! Only manifests are read until the shares open one. Rubbish above ours costs a read each, and a part of somebody else's one try with the shares.

use super::established;
use crate::args::{Global, RestoreArgs};
use crate::error::CliError;
use crate::open::Paths;
use crate::output::Output;
use crate::passphrase;
use std::io::IsTerminal;
use tacet_backup::restore::{KeyCopies, KeyCopy};
use tacet_backup::{BackupSigner, Target};
use tacet_seal::root::{RecoveryPart, RecoveryShare, RootFile};
use tacet_seal::{EstablishmentKeys, SecureRng, SigningUse};

/// Most copies of keys whose part the shares are tried on, and as many that are read whole because it opened: beyond, somebody has put so many there that people
/// must look (`--key-copy`).
const KEY_COPIES_TRIED_MAX: usize = 1000;

/// What was passed over is named so often at most; the rest is counted.
const NAMED_MAX: usize = 20;

/// Longest file of shares, in bytes: 255 shares of a line.
const SHARES_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What people give, asked for once.
#[derive(Default)]
struct Given {
    shares: Vec<RecoveryShare>,
    passphrase: Option<zeroize::Zeroizing<String>>,
}

/// The newest copy of keys that the establishment signed, and what opens it.
pub(super) type Unlocked = (RootFile, EstablishmentKeys, KeyCopy);

/// Tells what stands on a place and was passed over.
pub(super) fn tell_passed(output: &Output, place: &str, passed: &[String]) {
    for problem in passed.iter().take(NAMED_MAX) {
        output.note(&format!("PASSED OVER in {place}: {problem}"));
    }
    if let Some(more) = passed.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        output.note(&format!("PASSED OVER in {place}: {more} more. Find out who puts objects there"));
    }
}

/// Opens the newest copy of keys that the establishment signed. Whoever may add to the place can put others above and beside it, so the first that
/// opens gives the key, and the key tells which is the newest of ours.
pub(super) fn unlocked(
    args: &RestoreArgs,
    global: &Global,
    paths: &Paths,
    keys: &dyn Target,
    output: &Output,
) -> Result<Unlocked, CliError> {
    let before = paths.root.exists();
    let copies = KeyCopies::of(keys, args.key_copy)?;
    let (mut given, mut refused, mut first, mut tried) = (Given::default(), Vec::new(), None, 0);
    for place in 0..copies.count() {
        if tried >= KEY_COPIES_TRIED_MAX {
            break;
        }
        let (text, part) = match copies.part(place) {
            Ok(part) => part,
            Err(error) if error.may_pass() => return Err(error.into()),
            Err(error) => {
                first.get_or_insert(CliError::from(error));
                continue;
            }
        };
        // Copies with a part that did not open are no better.
        if refused.contains(&text) {
            continue;
        }
        tried += 1;
        let root_file = match root(args, global, paths, &part, &mut given, output) {
            Ok(root_file) => root_file,
            Err(error @ CliError::Root(_)) if !before => {
                refused.push(text);
                first.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let opened = copies.copy(place).map_err(CliError::from).and_then(|copy| established(&root_file, &copy));
        let established_keys = match opened {
            Ok(established_keys) => established_keys,
            Err(CliError::Backup(error)) if error.may_pass() => return Err(error.into()),
            Err(error) => {
                if !before {
                    let _ = std::fs::remove_file(&paths.root);
                }
                first.get_or_insert(error);
                continue;
            }
        };
        let public = BackupSigner::new(established_keys.signing_seed(SigningUse::Backup)).public();
        let (newest, passed) = KeyCopy::newest_signed(keys, &public, args.key_copy)?;
        tell_passed(output, "the copies of keys", &passed);
        if newest.recovery_text() == text || before {
            let established_keys = established(&root_file, &newest)?;
            return Ok((root_file, established_keys, newest));
        }
        drop(root_file);
        let _ = std::fs::remove_file(&paths.root);
        let root_file = root(args, global, paths, &newest.recovery, &mut given, output)?;
        let established_keys = established(&root_file, &newest)?;
        return Ok((root_file, established_keys, newest));
    }
    if !before && let Some(CliError::Root(error)) = &first {
        let given = given.shares.len();
        return Err(CliError::Usage(format!(
            "{error} ({given} shares were given). Nothing was written: run it again with as many different shares of this store as it takes"
        )));
    }
    if tried >= KEY_COPIES_TRIED_MAX {
        return Err(CliError::Usage(format!(
            "{KEY_COPIES_TRIED_MAX} copies of keys do not open: somebody put them there. Name the newest that is yours with `--key-copy`"
        )));
    }
    Err(first.unwrap_or_else(|| CliError::Usage("there is no copy of keys that opens".to_owned())))
}

/// The root key: by the shares and a new passphrase, or by that passphrase where an earlier try made the file already.
fn root(
    args: &RestoreArgs,
    global: &Global,
    paths: &Paths,
    part: &RecoveryPart,
    given: &mut Given,
    output: &Output,
) -> Result<RootFile, CliError> {
    if paths.root.exists() {
        let passphrase = match (&args.new_passphrase_file, &given.passphrase) {
            (_, Some(passphrase)) => passphrase.clone(),
            (Some(file), None) => passphrase::new(Some(file))?,
            (None, None) => passphrase::existing(global)?,
        };
        let passphrase = given.passphrase.insert(passphrase);
        return RootFile::unlock(&paths.root, passphrase).map_err(CliError::Root);
    }
    if given.shares.is_empty() {
        given.shares = shares(args, part.split().threshold(), output)?;
    }
    let passphrase = match given.passphrase.take() {
        Some(passphrase) => passphrase,
        None => passphrase::new(args.new_passphrase_file.as_deref())?,
    };
    let passphrase = given.passphrase.insert(passphrase);
    RootFile::restore(&paths.root, part, &given.shares, passphrase, &SecureRng).map_err(CliError::Root)
}

/// The shares, from files or typed one after the other.
fn shares(args: &RestoreArgs, threshold: u8, output: &Output) -> Result<Vec<RecoveryShare>, CliError> {
    if args.share_files.is_empty() {
        if !std::io::stdin().is_terminal() {
            return Err(CliError::Usage("no recovery shares were given: name a file with `--share-file`".to_owned()));
        }
        let mut shares = Vec::new();
        while shares.len() < usize::from(threshold) {
            // How many it takes is said by the copy of keys, and it is not known yet whose that is: whoever types may end before.
            let prompt = format!("Recovery share {} of {threshold} (nothing: these are all): ", shares.len() + 1);
            let typed = rpassword::prompt_password(prompt).map(zeroize::Zeroizing::new);
            let typed = typed.map_err(|_| CliError::NoPassphrase)?;
            if typed.trim().is_empty() && !shares.is_empty() {
                break;
            }
            match RecoveryShare::parse(&typed) {
                Ok(share) if shares.iter().any(|known: &RecoveryShare| *known.to_text() == *share.to_text()) => {
                    output.note("this share was typed already: another one");
                }
                Ok(share) => shares.push(share),
                Err(error) => output.note(&error.to_string()),
            }
        }
        return Ok(shares);
    }
    let mut shares = Vec::new();
    for file in &args.share_files {
        let unreadable = || CliError::file(file, "the file of shares cannot be read");
        if std::fs::metadata(file).map_err(unreadable())?.len() > SHARES_FILE_BYTES_MAX {
            return Err(CliError::Usage(format!("the file of shares is longer than {SHARES_FILE_BYTES_MAX} bytes")));
        }
        let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).map_err(unreadable())?);
        for (line, typed) in (1..).zip(text.lines().map(str::trim)).filter(|(_, typed)| !typed.is_empty()) {
            let share = RecoveryShare::parse(typed).map_err(|error| {
                CliError::Usage(format!("line {line} of `{}` is not a recovery share: {error}", file.display()))
            })?;
            shares.push(share);
        }
    }
    Ok(shares)
}
