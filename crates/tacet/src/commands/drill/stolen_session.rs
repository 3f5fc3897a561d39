//! `tacet drill stolen-session`: a thief has a physician's live session and walks everything that it can ask for.
//!
//! ```text
//!  stage (rules in force, HTTP) ──> whom to rob ──> truth: what the rules open to this account
//!                                                     │
//!   walk, counts, pairs, timing, emergencies ──> shown ┴──> leaks, differences, the ledger's list ──> report, exit code
//! ```
//!
//! How to read its result, and what it does not see: `docs/drills.md`.

mod emergency;
mod pairs;
mod report;
mod thief;
mod truth;
mod walk;
mod written;

use super::people;
use super::staged::Stage;
use crate::error::CliError;
use crate::exit;
use crate::output::Output;
use report::Report;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;
use tacet_identity::Draft;
use tacet_types::Role;
use thief::Thief;
use truth::{Marks, Truth};

pub(super) use super::encodings::for_url as encoded;

/// Somebody is robbed and others are not to be read.
const PATIENTS_MIN: u64 = 10;

#[expect(clippy::disallowed_methods, reason = "says how long the drill took")]
pub(super) fn run(patients: u64, seed: u64, scratch: Option<&Path>, output: &Output) -> Result<u8, CliError> {
    if patients < PATIENTS_MIN {
        return Err(CliError::Usage(format!("the drill needs at least {PATIENTS_MIN} patients")));
    }
    let started = Instant::now();
    let say = |what: &str| output.note(&format!("[{:>6.1} s] {what}", started.elapsed().as_secs_f64()));
    say(&format!("bringing {patients} patients into a hospital with rules"));
    let stage = Stage::build(patients, seed, scratch)?;
    say("choosing a physician to rob");
    let member = truth::whom_to_rob(&stage)?;
    let practitioner = truth::id_of(&member)?;
    let office = people::office(&stage)?;
    let mut draft = Draft::new("robbed", &member.display, Role::Clinician);
    draft.practitioner = Some(member.id.clone());
    let robbed = people::employ(&stage, &office, draft)?;
    let caller = stage.physician(robbed.person.account.as_str(), &practitioner);
    let truth = Truth::of(&stage, &caller)?;
    let strangers = truth::strangers(&stage, &member);
    // The rules are held to the charts: who is not named in a chart has no relation.
    let opened_by_the_rules: BTreeSet<u64> = truth.own.intersection(&strangers).copied().collect();
    let marks = Marks::of(&stage, &truth)?;
    let first = stage.ledger_size()?;

    let mut thief = Thief::new(&robbed.client, &marks);
    let wrong_counts = walk::walk(&mut thief, &stage, &truth, &say)?;
    say("the thief compares what is hidden with what is absent");
    let (pairs, differences) = pairs::pairs(&mut thief, &stage, &truth)?;
    let timing = pairs::timing(&mut thief, &stage, &truth)?;
    // Before anything is declared: what was shown without a declaration.
    let made = thief.made.clone();
    let leaked: BTreeSet<String> = thief
        .shown
        .iter()
        .map(|(place, _)| place.clone())
        .filter(|place| truth.is_closed(place) && !made.contains(place))
        .collect();
    let strings = thief.strings.clone();
    say("the thief declares emergencies to the cap");
    let emergencies = emergency::declare(&mut thief, &stage, &truth, &caller)?;
    say("reading what the ledger says");
    let written = written::read(&stage, first, robbed.badge(), &thief.shown, &thief.made, &truth)?;

    let report = Report {
        stage: &stage,
        truth: &truth,
        marks: &marks,
        thief: &thief,
        strangers: strangers.len() as u64,
        opened_by_the_rules,
        leaked,
        strings,
        wrong_counts,
        pairs,
        differences,
        timing,
        emergencies,
        written,
        seconds: started.elapsed().as_secs_f64(),
    };
    if !report.saw_own_patients() {
        return Err(CliError::Usage(
            "the drill is blind: the stolen account did not see its own patients, so that it could not see others either".into(),
        ));
    }
    output.result("drill stolen-session", report.json(), &report.text());
    Ok(if report.is_met() { exit::OK } else { exit::FINDINGS })
}

/// Some of these, spread evenly.
fn sampled(of: &BTreeSet<u64>, count: usize) -> Vec<u64> {
    let step = (of.len() / count.max(1)).max(1);
    of.iter().step_by(step).take(count).copied().collect()
}
