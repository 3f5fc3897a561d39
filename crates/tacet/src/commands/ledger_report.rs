//! `tacet ledger report`: who reached a patient's record, to be handed to the patient.

use crate::args::{Global, LedgerReportArgs};
use crate::commands::ledger::open_with_index;
use crate::commands::ledger_paper;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, Opened};
use crate::output::Output;
use std::ops::ControlFlow;
use tacet_identity::AccountId;
use tacet_ledger::PurposeOfUse;
use tacet_ledger::listing::parse_moment;
use tacet_report::{AccessReport, Builder, DAYS_DEFAULT, Language, ReportError, Subject};
use tacet_types::{ResourceId, ResourceType, Timestamp};
use tacet_vault::{LedgerLine, Role, VaultError};

const DAY_MS: i64 = 24 * 3_600_000;

pub(crate) fn run(global: &Global, args: &LedgerReportArgs, output: &Output) -> Result<u8, CliError> {
    let patient =
        ResourceId::parse(&args.patient).map_err(|_| CliError::Usage("this can be no id of a Patient".to_owned()))?;
    let language = Language::parse(&args.lang).ok_or_else(|| CliError::Usage("`--lang` is `fr` or `en`".to_owned()))?;
    let moment = |text: &Option<String>| {
        let wrong = || CliError::Usage("a moment is an instant such as `2026-03-01T08:00:00Z`, or a date".to_owned());
        text.as_ref().map(|text| parse_moment(text).ok_or_else(wrong)).transpose()
    };
    let to = moment(&args.to)?.unwrap_or_else(|| open::clock().now());
    let from = moment(&args.from)?.unwrap_or_else(|| to.plus_ms(-DAYS_DEFAULT * DAY_MS));
    let opened = open_with_index(global, output)?;
    let settings = opened.config.ledger.report.settings(&opened.config.access.name);
    let report = made(global, &opened, &settings, patient, (from, to), args.name);
    opened.vault.close()?;
    let report = report?;
    let page = tacet_report::page(&report, &settings, language, 0, usize::MAX);
    let summary = report.summary;
    let mut text = format!(
        "{} accesses: {} by {} persons, {} by the patient, {} by machines; {} emergencies, {} copies or prints, {} refused.",
        summary.accesses,
        summary.by_persons,
        summary.persons,
        summary.by_patient,
        summary.by_machines,
        summary.emergencies,
        summary.exports,
        summary.refused
    );
    let gaps = page.get("gaps").and_then(serde_json::Value::as_array).into_iter().flatten();
    for gap in gaps.filter_map(|gap| gap.get("text").and_then(serde_json::Value::as_str)) {
        text += &format!("\n- {gap}");
    }
    if let Some(path) = &args.pdf {
        let paper = tacet_report::to_paper(&report, &settings, language).to_pdf();
        ledger_paper::write(
            path,
            &paper.map_err(|error| CliError::other("the report could not be put on paper", error))?,
        )?;
        text += &format!("\nWritten to {}. Hand it to the patient, and to nobody else.", path.display());
    }
    output.result("ledger report", page, &text);
    Ok(exit::OK)
}

fn made(
    global: &Global,
    opened: &Opened,
    settings: &tacet_report::ReportSettings,
    patient: ResourceId,
    (from, to): (Timestamp, Timestamp),
    with_name: bool,
) -> Result<AccessReport, CliError> {
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::PatientRequest);
    let (vault, identity) = (&opened.vault, crate::people::identity(opened)?);
    let name_of = |account: &str| Some(identity.account(&AccountId::parse(account)?).ok().flatten()?.display);
    let subject = Subject { patient: patient.clone(), name: None, from, to };
    let mut builder = Builder::new(settings, subject, name_of);
    let mut refused: Option<ReportError> = None;
    let told = open::wait(vault.patient_ledger(&caller, &patient, (from, to), &mut |line| {
        match line {
            LedgerLine::Entry { index, entry } => refused = builder.add(index, &entry).err(),
            LedgerLine::Expired { .. } => builder.expired(),
            LedgerLine::Damaged { .. } => builder.damaged(),
        }
        if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }))?;
    if let Some(error) = refused {
        return Err(CliError::other("the report could not be made", error));
    }
    let mut report = builder.finish(told.began, told.kept_since, told.unread);
    let of = ResourceType::parse("Patient");
    if let (true, Some(of)) = (with_name, of) {
        // An ordinary disclosure, with its entry: telling patients about their own record is part of running the hospital.
        let reader = open::caller(global, Role::Integrator, PurposeOfUse::PatientRequest);
        report.subject.name = match open::wait(vault.read(&reader, of, &patient)) {
            Ok(disclosed) => tacet_report::name_in(&disclosed.body),
            Err(VaultError::NotFound | VaultError::Gone { .. } | VaultError::Erased) => None,
            Err(other) => return Err(other.into()),
        };
    }
    Ok(report)
}
