//! Where the passphrase comes from: a file, or a person at the terminal. Never an argument or a variable, which others on
//! the machine can see.

use crate::args::Global;
use crate::error::CliError;
use std::io::IsTerminal;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest passphrase file, in bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// The passphrase of an existing root key.
pub(crate) fn existing(global: &Global) -> Result<Zeroizing<String>, CliError> {
    match &global.passphrase_file {
        Some(path) => from_file(path),
        None => ask("Passphrase: "),
    }
}

/// A new passphrase: from a file, or typed twice.
pub(crate) fn new(file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
    if let Some(path) = file {
        return from_file(path);
    }
    let first = ask("New passphrase: ")?;
    if *first != *ask("The same again: ")? {
        return Err(CliError::Usage("the two passphrases differ; nothing was changed".into()));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::NoPassphrase);
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|_| CliError::NoPassphrase)
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let size = std::fs::metadata(path).map_err(CliError::file(path, "the passphrase file cannot be read"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(CliError::Usage(format!("the passphrase file is longer than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(CliError::file(path, "the passphrase file cannot be read"))?;
    let text = Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { Err(CliError::NoPassphrase) } else { Ok(Zeroizing::new(line.to_owned())) }
}
