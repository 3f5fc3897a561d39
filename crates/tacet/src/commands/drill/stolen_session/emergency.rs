//! Break-glass to the cap: the thief declares emergencies for as many patients as the rules let them, and reads what opens.

use super::thief::Thief;
use super::truth::{Truth, verdict, verdict_of};
use crate::commands::drill::staged::{Known, Stage};
use crate::error::CliError;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use tacet_ledger::noted::{NotedRows, Table};
use tacet_ledger::people::{NoticeKind, NoticeRow, NoticeTo};
use tacet_policy::Verdict;
use tacet_types::Role;
use tacet_vault::{BREAK_GLASS_A_DAY_MAX, Caller};

/// What the thief writes as the reason.
const TEXT: &str = "collapsed in the corridor, no history known";

/// The code of it.
const REASON: &str = "unable-to-consent";

/// For how long, in minutes.
const MINUTES: u32 = 30;

/// What came of it.
#[derive(Default)]
pub(super) struct Emergencies {
    /// Declarations that were let through.
    pub(super) declared: u64,
    /// Those that were refused, the last of them for the cap.
    pub(super) refused: u64,
    /// Whether the cap ended it.
    pub(super) capped: bool,
    /// Patients of whom something was read that was closed before.
    pub(super) opened: BTreeSet<u64>,
    /// Records read in emergencies.
    pub(super) records: BTreeSet<String>,
    /// Records shown that an emergency must not open.
    pub(super) too_much: BTreeSet<String>,
    /// Records still shown after the emergency was ended.
    pub(super) after_end: u64,
    /// Notices to the security officer.
    pub(super) officers_told: u64,
    /// Patients in whose record a notice stands.
    pub(super) patients_told: BTreeSet<String>,
}

impl Emergencies {
    /// Whether somebody was told of each.
    pub(super) fn all_told(&self) -> bool {
        self.officers_told == self.declared && self.patients_told.len() as u64 == self.declared
    }

    /// The most that the rules give.
    pub(super) fn cap() -> u64 {
        BREAK_GLASS_A_DAY_MAX as u64
    }
}

/// Declares until nothing more is given.
pub(super) fn declare(
    thief: &mut Thief<'_>,
    stage: &Stage,
    truth: &Truth,
    caller: &Caller,
) -> Result<Emergencies, CliError> {
    let mut result = Emergencies::default();
    let mut open: Vec<String> = Vec::new();
    let mut waiting: Vec<u64> = truth.closed.iter().rev().copied().collect();
    while let Some(n) = waiting.pop() {
        let body = json!({
            "patient": stage.hospital.patient_id(n), "reason": REASON, "text": TEXT, "minutes": MINUTES,
        });
        let headers = [("Content-Type", "application/json")];
        let answer = thief.ask("a declared emergency", "POST", "/_break-glass", &headers, &body.to_string())?;
        match answer.status {
            201 => {
                result.declared += 1;
                read(thief, stage, truth, caller, n, &mut result)?;
                open.extend(answer.json().get("id").and_then(Value::as_str).map(str::to_owned));
            }
            429 | 503 => {
                result.refused += 1;
                // No more at a time: one is ended for the next. None to end, or no use: the cap of the day.
                let another = if result.declared < Emergencies::cap() { open.pop() } else { None };
                let Some(id) = another else {
                    result.capped = true;
                    break;
                };
                end(thief, &id)?;
                waiting.push(n);
            }
            403 | 404 => result.refused += 1,
            status => {
                return Err(CliError::Usage(format!(
                    "the drill could not be played: an emergency was answered with {status}"
                )));
            }
        }
    }
    for id in open {
        end(thief, &id)?;
    }
    let opened = result.opened.clone();
    for n in opened {
        let answer = thief.get("a read after an emergency", &format!("/Patient/{}", stage.hospital.patient_id(n)))?;
        result.after_end += u64::from(answer.status == 200);
    }
    told(stage, &mut result)?;
    Ok(result)
}

fn end(thief: &mut Thief<'_>, id: &str) -> Result<(), CliError> {
    thief.ask("the end of an emergency", "DELETE", &format!("/_break-glass/{id}"), &[], "").map(|_| ())
}

fn read(
    thief: &mut Thief<'_>,
    stage: &Stage,
    truth: &Truth,
    caller: &Caller,
    n: u64,
    result: &mut Emergencies,
) -> Result<(), CliError> {
    let before = thief.shown.clone();
    let id = stage.hospital.patient_id(n);
    thief.pages("everything in an emergency", &format!("/Patient/{id}/$everything?_count=100"))?;
    let chart: Vec<&Known> = stage.records.iter().filter(|record| record.patient == Some(n)).collect();
    for record in &chart {
        thief.get("a read in an emergency", &format!("/{}", record.place()))?;
    }
    let new: BTreeSet<String> = thief
        .shown
        .difference(&before)
        .map(|(place, _)| place.clone())
        .filter(|place| truth.is_closed(place))
        .collect();
    for place in new {
        // What came to the patient after the hospital was filled is no part of the chart that the drill knows; the rules know it.
        let open = match chart.iter().find(|record| record.place() == place) {
            Some(record) => !matches!(verdict(stage, caller, record)?, Verdict::Closed),
            None => !matches!(verdict_of(stage, caller, &place)?, Verdict::Closed),
        };
        if open {
            result.opened.insert(n);
            result.records.insert(place);
        } else {
            result.too_much.insert(place);
        }
    }
    Ok(())
}

/// Who was told.
fn told(stage: &Stage, result: &mut Emergencies) -> Result<(), CliError> {
    let mut notices = Vec::new();
    let scanned = stage.vault.scan(Table::Notices, &mut |row| {
        notices.extend(NoticeRow::decode(&row.value));
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| CliError::other("the drill could not be played: notices cannot be read", error))?;
    for notice in notices.into_iter().filter(|notice| notice.kind == NoticeKind::BreakGlass) {
        match notice.to {
            NoticeTo::Role(role) if role == Role::SecurityOfficer.as_str() => result.officers_told += 1,
            NoticeTo::Patient(patient) => drop(result.patients_told.insert(patient)),
            NoticeTo::Role(_) | NoticeTo::Account(_) => {}
        }
    }
    Ok(())
}
