//! `tacet drill rogue-admin`: who keeps accounts, runs the machine, reviews or audits goes for a patient's record.
//!
//! ```text
//!  stage (rules in force, accounts, HTTP) ──> every route, every method, each role ──> strings of patients in any answer
//!                                        └──> tries to get a right to read ─────────> accounts as they are afterwards
//!                                        └──> the ledger and the notices: what was noticed
//! ```
//!
//! How to read its result, and what it does not see: `docs/drills.md`.

mod grasp;
mod report;
mod walk;

use super::people;
use super::staged::Stage;
use crate::error::CliError;
use crate::exit;
use crate::output::Output;
use report::Report;
use std::path::Path;
use std::time::Instant;
use tacet_identity::Draft;
use tacet_types::Role;

/// Somebody's records are gone for, and others are there.
const PATIENTS_MIN: u64 = 2;

#[expect(clippy::disallowed_methods, reason = "says how long the drill took")]
pub(super) fn run(patients: u64, seed: u64, scratch: Option<&Path>, output: &Output) -> Result<u8, CliError> {
    if patients < PATIENTS_MIN {
        return Err(CliError::Usage(format!("the drill needs at least {PATIENTS_MIN} patients")));
    }
    let started = Instant::now();
    let say = |what: &str| output.note(&format!("[{:>6.1} s] {what}", started.elapsed().as_secs_f64()));
    say(&format!("bringing {patients} patients into a hospital with rules"));
    let stage = Stage::build(patients, seed, scratch)?;
    let office = people::office(&stage)?;
    let member = stage.hospital.staff().find(|member| member.profession == "10");
    let member = member.ok_or_else(|| CliError::Usage("the drill could not be played: no physician".into()))?;
    let mut draft = Draft::new("physician", &member.display, Role::Clinician);
    draft.practitioner = Some(member.id.clone());
    let physician = people::employ(&stage, &office, draft)?;
    let operator = stage.machine("drill operator", Role::Operator)?;
    let directory = stage.machine("drill directory", Role::Administrator)?;

    let marks = walk::Marks::of(&stage)?;
    // Eyes first: who may read sees the strings that are looked for.
    let interface = stage.machine("drill interface", Role::Integrator)?;
    let control = walk::control(&interface, &stage, &marks)?;
    if control == 0 {
        return Err(CliError::Usage("the drill is blind: an interface that may read sees no patient either".into()));
    }
    let first = stage.ledger_size()?;
    say("going for a patient on every route, by every method, in every role that administers");
    let holders = [
        ("administrator", &office.administrator.client),
        ("security-officer", &office.security.client),
        ("auditor", &office.auditor.client),
        ("operator", &operator),
        ("directory (SCIM)", &directory),
    ];
    let walked = walk::walk(&stage, &marks, &holders)?;
    say("reaching for a right to read");
    let grasp = grasp::grasp(&stage, &office, &physician, &directory, &marks)?;
    let entries = stage.entries_from(first)?;
    let report = Report {
        stage: &stage,
        strings: marks.strings.len(),
        control,
        walked,
        grasp,
        entries: report::by_kind(&entries),
        seconds: started.elapsed().as_secs_f64(),
    };
    output.result("drill rogue-admin", report.json(), &report.text());
    Ok(if report.is_met() { exit::OK } else { exit::FINDINGS })
}
