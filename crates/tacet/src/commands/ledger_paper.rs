//! Answers of the ledger as PDF: `--pdf` of `tacet ledger list`, `who-saw`, `what-did` and `session`.

use crate::args::{Global, LedgerPaperArgs};
use crate::error::CliError;
use crate::open::{self, Opened};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tacet_ledger::PurposeOfUse;
use tacet_report::{Asked, Extent, ExtentPatient, Inquiry, Language, extent_to_paper};
use tacet_types::{ResourceId, ResourceType, Timestamp};
use tacet_vault::{Caller, LedgerLine, Role, SessionExtent, Vault, VaultError};

pub(crate) fn language(args: &LedgerPaperArgs) -> Result<Language, CliError> {
    Language::parse(&args.lang).ok_or_else(|| CliError::Usage("`--lang` is `fr` or `en`".to_owned()))
}

/// Who asks, now.
pub(crate) fn asked(caller: &Caller, size: u64, unread: u64, kept_since: Option<Timestamp>) -> Asked {
    Asked { at: open::clock().now(), by: caller.owner.clone(), size, unread, kept_since }
}

/// Puts a line of an answer into the paper.
pub(crate) fn add(inquiry: &mut Inquiry, line: LedgerLine) {
    match line {
        LedgerLine::Entry { index, entry } => inquiry.add(index, entry),
        LedgerLine::Expired { index } => inquiry.expired(index),
        LedgerLine::Damaged { index } => inquiry.damaged(index),
    }
}

/// Writes an answer.
pub(crate) fn inquiry(
    global: &Global,
    opened: &Opened,
    inquiry: &Inquiry,
    asked: &Asked,
    (path, args, language): (&Path, &LedgerPaperArgs, Language),
) -> Result<(), CliError> {
    let names = match args.names {
        true => names(global, &opened.vault, inquiry.listed_patients())?,
        false => BTreeMap::new(),
    };
    let settings = opened.config.ledger.report.settings(&opened.config.access.name);
    paper(path, &inquiry.to_paper(asked, &names, &settings, language))
}

/// Writes what a session touched.
pub(crate) fn extent(
    opened: &Opened,
    extent: &SessionExtent,
    asked: &Asked,
    names: &BTreeMap<String, String>,
    (path, language): (&Path, Language),
) -> Result<(), CliError> {
    let settings = opened.config.ledger.report.settings(&opened.config.access.name);
    let patients = extent.patients.iter().map(|patient| ExtentPatient {
        resource_type: patient.resource_type,
        id: patient.id.clone(),
        entries: patient.entries,
        records: patient.records,
        refused: patient.refused,
        categories: patient.categories.iter().copied().collect(),
        first: patient.first,
        last: patient.last,
    });
    let told = Extent {
        session: extent.session.clone(),
        entries: extent.entries,
        between: extent.first.zip(extent.last),
        people: extent.people.iter().cloned().collect(),
        roles: extent.roles.iter().cloned().collect(),
        addresses: extent.addresses.iter().map(ToString::to_string).collect(),
        devices: extent.devices.iter().cloned().collect(),
        kinds: extent.kinds.clone(),
        shown: extent.shown.clone(),
        changed: extent.changed.clone(),
        refused: extent.refused,
        patients: patients.collect(),
        records_exact: extent.records_exact,
        expired: extent.expired,
        damaged: extent.damaged,
    };
    paper(path, &extent_to_paper(&told, asked, names, &settings, language))
}

/// The name of each patient: an ordinary disclosure of each record, with its entry.
pub(crate) fn names(
    global: &Global,
    vault: &Vault,
    patients: impl IntoIterator<Item = (ResourceType, ResourceId)>,
) -> Result<BTreeMap<String, String>, CliError> {
    // To tell the people concerned is part of running the hospital.
    let reader = open::caller(global, Role::Integrator, PurposeOfUse::Operations);
    let mut names = BTreeMap::new();
    for (resource_type, id) in patients {
        match open::wait(vault.read(&reader, resource_type, &id)) {
            Ok(disclosed) => {
                names.insert(id.as_str().to_owned(), tacet_report::name_in(&disclosed.body).unwrap_or_default());
            }
            // Erased or deleted since, or tried under an id that is nobody's.
            Err(VaultError::NotFound | VaultError::Gone { .. } | VaultError::Erased) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(names)
}

/// What is said of a file that was written.
pub(crate) fn written_to(path: &Path) -> String {
    format!("Written to {}. It is for those who look after accesses, and for nobody else.", path.display())
}

fn paper(path: &Path, paper: &tacet_report::Paper) -> Result<(), CliError> {
    let pdf = paper.to_pdf().map_err(|error| CliError::other("the answer could not be put on paper", error))?;
    write(path, &pdf)
}

/// Writes a file that only this user reads.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(CliError::file(path, "cannot be written; it must not exist yet"))
}
