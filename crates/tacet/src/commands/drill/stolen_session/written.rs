//! What the ledger says of the thief, held against what the thief was shown.

use super::thief::Shown;
use super::truth::Truth;
use crate::commands::drill::staged::Stage;
use crate::error::CliError;
use std::collections::{BTreeMap, BTreeSet};
use tacet_vault::Outcome;

/// What the ledger says.
#[derive(Default)]
pub(super) struct Written {
    /// Entries of the stolen account.
    pub(super) entries: u64,
    /// Versions that it names as disclosed or changed.
    pub(super) versions: u64,
    /// Shown, and not in the ledger.
    pub(super) not_written: Vec<String>,
    /// In the ledger, and not shown.
    pub(super) not_shown: Vec<String>,
    /// Entries of refusals.
    pub(super) refused: u64,
    /// Patients whom refusals name: whose hidden records were asked for.
    pub(super) patients_asked_for: u64,
    /// By how many grounds something was shown, and how many versions each.
    pub(super) grounds: BTreeMap<String, u64>,
}

impl Written {
    /// Whether the list is the one of what was shown.
    pub(super) fn is_exact(&self) -> bool {
        self.not_written.is_empty() && self.not_shown.is_empty()
    }
}

/// Reads the account's entries since the drill began.
pub(super) fn read(
    stage: &Stage,
    first: u64,
    badge: &str,
    shown: &Shown,
    made: &BTreeSet<String>,
    truth: &Truth,
) -> Result<Written, CliError> {
    let mut written = Written::default();
    let mut named = Shown::new();
    let mut asked_for = BTreeSet::new();
    let entries = stage.entries_from(first)?;
    for entry in entries.iter().filter(|entry| entry.agent.token.as_deref() == Some(badge)) {
        written.entries += 1;
        match entry.outcome {
            Outcome::Success => {
                for record in &entry.records {
                    let place = format!("{}/{}", record.resource_type, record.id.as_str());
                    named.insert((place, record.version.0));
                }
                if let Some(basis) = &entry.basis {
                    *written.grounds.entry(basis.clone()).or_default() += entry.records.len() as u64;
                }
            }
            _ => {
                written.refused += 1;
                asked_for.extend(entry.patient.as_ref().map(|(_, id)| id.as_str().to_owned()));
            }
        }
    }
    written.versions = named.len() as u64;
    let closed: BTreeSet<String> = truth.closed.iter().map(|n| stage.hospital.patient_id(*n)).collect();
    written.patients_asked_for = asked_for.intersection(&closed).count() as u64;
    // What the thief made is named where it was made, and comes back without being read.
    let of_others = |(place, _): &&(String, u64)| !made.contains(place);
    let name = |(place, version): &(String, u64)| format!("{place}/_history/{version}");
    written.not_written = shown.difference(&named).filter(of_others).map(name).collect();
    written.not_shown = named.difference(shown).filter(of_others).map(name).collect();
    Ok(written)
}
