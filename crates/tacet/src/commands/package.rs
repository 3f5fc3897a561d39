//! `tacet package add` and `tacet package list`: the definitions of FHIR packages, stored as resources like others.
//!
//! A package's dependencies are not fetched: Tacet goes to no registry. Each definition gets an id made of its type, address and
//! version, and its package's name as `meta.source`.

use crate::args::{Global, PackageArgs, PackageCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use tacet_conformance::each_file;
use tacet_fhir::json::{self, Json};
use tacet_fhir::resource;
use tacet_ledger::PurposeOfUse;
use tacet_types::ResourceType;
use tacet_vault::{Caller, ImportOptions, ImportUnit, Role, Vault, definition_id, is_definition};

/// Largest package, packed, in bytes.
const PACKAGE_BYTES_MAX: u64 = 512 << 20;

/// Definitions in one commit.
const UNIT_DEFINITIONS: usize = 256;

/// Bytes after which a commit is closed.
const UNIT_BYTES: usize = 4 << 20;

/// What `meta.source` of a definition begins with; the package's name and version follow, as `name#version`.
const SOURCE: &str = "urn:tacet:package:";

/// Longest name or version of a package that is taken as it is.
const NAME_BYTES_MAX: usize = 200;

/// What came of one package.
#[derive(Default)]
struct Added {
    name: String,
    stored: BTreeMap<ResourceType, u64>,
    passed_over: usize,
    done_before: u64,
    rejected: u64,
}

pub(crate) fn run(global: &Global, args: &PackageArgs, output: &Output) -> Result<u8, CliError> {
    let opened = open::open(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Integrator, PurposeOfUse::Operations);
    match &args.command {
        PackageCommand::Add { files, again } => {
            let mut rejected = 0;
            let (mut values, mut lines) = (Vec::new(), Vec::new());
            for file in files {
                let added = add(&opened.vault, &caller, file, *again, output)?;
                rejected += added.rejected;
                lines.push(said(&added));
                let stored: BTreeMap<&str, u64> =
                    added.stored.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
                values.push(json!({
                    "package": added.name, "stored": stored, "passed_over": added.passed_over,
                    "done_before": added.done_before, "rejected": added.rejected,
                }));
            }
            opened.vault.close()?;
            output.result("package add", json!({ "packages": values }), &lines.join("\n"));
            Ok(if rejected == 0 { exit::OK } else { exit::REJECTED })
        }
        PackageCommand::List => {
            let known = open::wait(opened.vault.definitions(&caller))?;
            opened.vault.close()?;
            let mut packages: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
            for definition in &known {
                let package = definition.source.as_deref().and_then(|source| source.strip_prefix(SOURCE));
                let package = package.unwrap_or("stored by itself").to_owned();
                *packages.entry(package).or_default().entry(definition.record.resource_type.as_str()).or_default() += 1;
            }
            let lines: Vec<String> = packages
                .iter()
                .map(|(package, counts)| {
                    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
                    format!("{package}: {}", counts.join(", "))
                })
                .collect();
            let text = if lines.is_empty() { "no definitions are stored".to_owned() } else { lines.join("\n") };
            output.result("package list", json!({ "packages": packages }), &text);
            Ok(exit::OK)
        }
    }
}

fn said(added: &Added) -> String {
    let stored: Vec<String> = added.stored.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let stored = if stored.is_empty() { "nothing new".to_owned() } else { stored.join(", ") };
    format!("{}: {stored}; {} files passed over, {} left out", added.name, added.passed_over, added.rejected)
}

/// The definitions of a package that wait for their commit.
struct Waiting<'a> {
    vault: &'a Vault,
    caller: &'a Caller,
    options: ImportOptions<'a>,
    output: &'a Output,
    texts: Vec<(String, Vec<u8>)>,
    bytes: usize,
    added: Added,
}

fn add(vault: &Vault, caller: &Caller, file: &Path, again: bool, output: &Output) -> Result<Added, CliError> {
    let unreadable = || CliError::file(file, "the package cannot be read");
    let length = std::fs::metadata(file).map_err(unreadable())?.len();
    if length > PACKAGE_BYTES_MAX {
        return Err(CliError::Usage(format!(
            "a package may have {PACKAGE_BYTES_MAX} bytes, and this one has more: split it"
        )));
    }
    let bytes = std::fs::read(file).map_err(unreadable())?;
    let refused = |error| CliError::other("the package cannot be used", error);
    let name = name_of(&bytes).map_err(refused)?;
    let options = ImportOptions { again, ..ImportOptions::default() };
    let added = Added { name, ..Added::default() };
    let mut waiting = Waiting { vault, caller, options, output, texts: Vec::new(), bytes: 0, added };
    let mut failed = None;
    let other_files = each_file(&bytes, &mut |name, text| {
        if failed.is_none() {
            failed = waiting.take(name, text).err();
        }
        Ok(())
    });
    waiting.added.passed_over += other_files.map_err(refused)?;
    match failed {
        Some(error) => Err(error),
        None => {
            waiting.store()?;
            Ok(waiting.added)
        }
    }
}

/// `name#version` from `package.json`.
fn name_of(bytes: &[u8]) -> Result<String, tacet_conformance::PackageError> {
    let mut found = None;
    each_file(bytes, &mut |name, text| {
        if name == "package.json"
            && let Ok(value) = json::parse(text, &json::Limits::default())
        {
            let part = |name| value.get_str(name).filter(|part| part.len() <= NAME_BYTES_MAX && is_plain(part));
            found = part("name").zip(part("version")).map(|(name, version)| format!("{name}#{version}"));
        }
        Ok(())
    })?;
    Ok(found.unwrap_or_else(|| "unnamed".to_owned()))
}

/// Whether a text may stand in a URI.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~@/+".contains(&byte))
}

impl Waiting<'_> {
    fn take(&mut self, name: &str, text: &[u8]) -> Result<(), CliError> {
        if matches!(name, "package.json" | ".index.json") {
            return Ok(());
        }
        let Ok(value) = json::parse(text, &json::Limits::default()) else {
            self.added.rejected += 1;
            self.output.note(&format!("left out: {name}: not acceptable JSON"));
            return Ok(());
        };
        let kind = resource::resource_type(&value).filter(|kind| is_definition(*kind));
        let (Some(kind), Some(url)) = (kind, value.get_str("url").map(str::to_owned)) else {
            self.added.passed_over += 1;
            return Ok(());
        };
        let Some(id) = definition_id(kind, &url, value.get_str("version")) else { return Ok(()) };
        let mut value = value.into_owned();
        let mut meta = value.get("meta").cloned().unwrap_or_else(|| Json::object([]));
        meta.set("source", Json::from(format!("{SOURCE}{}", self.added.name)));
        value.set("meta", meta);
        value.set("id", Json::from(id.as_str().to_owned()));
        let text = json::write(&value);
        self.bytes += text.len();
        self.texts.push((name.to_owned(), text));
        if self.texts.len() >= UNIT_DEFINITIONS || self.bytes >= UNIT_BYTES { self.store() } else { Ok(()) }
    }

    fn store(&mut self) -> Result<(), CliError> {
        if self.texts.is_empty() {
            return Ok(());
        }
        let lines = self.texts.iter().zip(0u64..).map(|((_, text), place)| (place, text.as_slice())).collect();
        let outcome = open::wait(self.vault.import(self.caller, &ImportUnit::Resources(lines), self.options))?;
        self.added.done_before += if outcome.done_before { self.texts.len() as u64 } else { 0 };
        for (kind, count) in outcome.stored {
            *self.added.stored.entry(kind).or_default() += count;
        }
        for rejected in outcome.rejected {
            self.added.rejected += 1;
            let place = usize::try_from(rejected.position).ok().and_then(|place| self.texts.get(place));
            let name = place.map_or("a file", |(name, _)| name.as_str());
            for issue in rejected.issues {
                self.output.note(&format!("left out: {name}: {} {}", issue.location, issue.message));
            }
        }
        self.texts.clear();
        self.bytes = 0;
        Ok(())
    }
}
