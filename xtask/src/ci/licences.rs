//! Every package that is built may be used: its licence expression holds under the list that `deny.toml` allows. The
//! same question `cargo deny check licenses` answers from the licence texts; this asks the manifests and needs no tool.

use crate::{Outcome, workspace};
use std::collections::{BTreeSet, HashSet};
use std::process::Command;

/// Checks the packages of the whole workspace.
pub(crate) fn run() -> Outcome {
    let policy: toml::Table = std::fs::read_to_string(workspace::root().join("deny.toml"))?.parse()?;
    let allowed = policy.get("licenses").and_then(|licences| licences.get("allow")).and_then(toml::Value::as_array);
    let allowed: HashSet<&str> = allowed.into_iter().flatten().filter_map(toml::Value::as_str).collect();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(workspace::root())
        .output()?;
    if !output.status.success() {
        return Err(format!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(serde_json::Value::as_array).ok_or("no packages")?;
    let mut refused = BTreeSet::new();
    for package in packages {
        let field = |name: &str| package.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let licence = field("license");
        if !holds(licence, &allowed) {
            refused.insert(format!("{} {} has the licence `{licence}`", field("name"), field("version")));
        }
    }
    println!("{} packages", packages.len());
    if refused.is_empty() {
        return Ok(());
    }
    let refused: Vec<String> = refused.into_iter().collect();
    Err(format!("deny.toml does not allow: {}", refused.join("; ")).into())
}

/// Whether an SPDX expression holds when these licences are allowed. `/` is an old way to write `OR`; what cannot be read
/// does not hold.
fn holds(expression: &str, allowed: &HashSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) == Some(true) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &HashSet<&str>) -> Option<bool> {
    let mut holds = all_of(words, allowed)?;
    while take(words, "OR") {
        holds |= all_of(words, allowed)?;
    }
    Some(holds)
}

fn all_of(words: &mut &[&str], allowed: &HashSet<&str>) -> Option<bool> {
    let mut holds = one(words, allowed)?;
    while take(words, "AND") {
        holds &= one(words, allowed)?;
    }
    Some(holds)
}

/// A name, a name with an exception, or an expression in brackets.
fn one(words: &mut &[&str], allowed: &HashSet<&str>) -> Option<bool> {
    if take(words, "(") {
        let holds = any_of(words, allowed)?;
        return take(words, ")").then_some(holds);
    }
    let (name, rest) = words.split_first()?;
    *words = rest;
    if take(words, "WITH") {
        let (exception, rest) = words.split_first()?;
        *words = rest;
        return Some(allowed.contains(format!("{name} WITH {exception}").as_str()));
    }
    Some(allowed.contains(name))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_hold_as_they_are_written() {
        let allowed = HashSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
        let good = [
            "MIT",
            "MIT OR GPL-2.0-only",
            "GPL-2.0-only/MIT",
            "ISC AND (Apache-2.0 OR MIT)",
            "Apache-2.0 WITH LLVM-exception",
        ];
        for expression in good {
            assert!(holds(expression, &allowed), "{expression}");
        }
        let bad = [
            "",
            "GPL-2.0-only",
            "MIT AND GPL-2.0-only",
            "Apache-2.0",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT MIT",
            "ISC AND (Apache-2.0 OR Zlib)",
        ];
        for expression in bad {
            assert!(!holds(expression, &allowed), "{expression}");
        }
    }
}
