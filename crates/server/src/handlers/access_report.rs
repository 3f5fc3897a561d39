//! `GET /Patient/{id}/$access-report`: who reached this record, as page data or as a PDF. For the patient, and for who hands it to them. Documented in
//! `docs/patient-report.md`.

use super::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use hyper::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_LANGUAGE, HeaderValue};
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_fhir::outcome::IssueType;
use tacet_identity::AccountId;
use tacet_ledger::listing::parse_moment;
use tacet_report::{ACCESSES_MAX, AccessReport, Builder, DAYS_DEFAULT, Language, ReportError, Subject};
use tacet_types::{ResourceId, ResourceType, Role, Timestamp};
use tacet_vault::{LedgerLine, VaultError};

/// Accesses one by one on a page where nothing is said.
const COUNT_DEFAULT: usize = 100;

/// Most accesses one by one on a page.
const COUNT_MAX: usize = 1000;

const DAY_MS: i64 = 24 * 3_600_000;

const PDF: &str = "application/pdf";

/// What is asked for.
struct Asked {
    patient: ResourceId,
    from: Timestamp,
    to: Timestamp,
    language: Language,
    pdf: bool,
    offset: usize,
    count: usize,
}

pub(super) async fn report<S: RecordService>(call: Call<'_, S>) -> Result<Reply, ApiError> {
    let asked = asked(&call)?;
    let (language, pdf) = (asked.language, asked.pdf);
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    // The report opens entries and sets pages: never where connections are served.
    let work = async move {
        let report = made(&app, &caller, &asked).await?;
        let settings = &app.report;
        if asked.pdf {
            let paper = tacet_report::to_paper(&report, settings, asked.language).to_pdf();
            return paper.map_err(|error| match error {
                tacet_report::PaperError::TooLong { pages_max } => VaultError::TooLarge {
                    what: "pages of a report: ask for a shorter time with `from` and `to`",
                    max: pages_max,
                },
                other => VaultError::Internal(Box::new(other)),
            });
        }
        let mut page = tacet_report::page(&report, settings, asked.language, asked.offset, asked.count);
        let reached = asked.offset.saturating_add(asked.count);
        if reached < report.accesses.len()
            && let Some(accesses) = page.get_mut("accesses").and_then(serde_json::Value::as_object_mut)
        {
            let next = format!(
                "{}/Patient/{}/$access-report?from={}&to={}&_lang={}&_count={}&_offset={reached}",
                app.base_url,
                asked.patient.as_str(),
                asked.from,
                asked.to,
                asked.language.tag(),
                asked.count
            );
            accesses.insert("next".to_owned(), next.into());
        }
        Ok(page.to_string().into_bytes())
    };
    let body = call.run(work, true).await?;
    let kind = if pdf { PDF } else { "application/json; charset=utf-8" };
    let reply = Reply::text(StatusCode::OK, HeaderValue::from_static(kind), body)
        .header(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    if !pdf {
        return Ok(reply);
    }
    // Nothing of the patient in a name that stays in a list of downloads.
    Ok(reply.header(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"access-report.pdf\"")))
}

async fn made<S: RecordService>(
    app: &crate::app::App<S>,
    caller: &tacet_vault::Caller,
    asked: &Asked,
) -> Result<AccessReport, VaultError> {
    let name_of = |account: &str| {
        let people = app.people.as_ref()?;
        let account = people.identity.account(&AccountId::parse(account)?).ok().flatten()?;
        Some(account.display)
    };
    let subject = Subject { patient: asked.patient.clone(), name: None, from: asked.from, to: asked.to };
    let mut builder = Builder::new(&app.report, subject, name_of);
    let mut refused: Option<ReportError> = None;
    let told = app
        .service
        .patient_ledger(caller, &asked.patient, (asked.from, asked.to), &mut |line| {
            match line {
                LedgerLine::Entry { index, entry } => refused = builder.add(index, &entry).err(),
                LedgerLine::Expired { .. } => builder.expired(),
                LedgerLine::Damaged { .. } => builder.damaged(),
            }
            if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
    if refused.is_some() {
        let what = "accesses in one report: ask for a shorter time with `from` and `to`";
        return Err(VaultError::TooLarge { what, max: ACCESSES_MAX });
    }
    let mut report = builder.finish(told.began, told.kept_since, told.unread);
    report.subject.name = name_of_patient(app, caller, &asked.patient).await?;
    Ok(report)
}

/// What the patient is called, where who asks sees the record: an ordinary read, with its entry. Who reads the ledger sees no record, and has the number.
async fn name_of_patient<S: RecordService>(
    app: &crate::app::App<S>,
    caller: &tacet_vault::Caller,
    patient: &ResourceId,
) -> Result<Option<String>, VaultError> {
    if caller.role != Role::Patient {
        return Ok(None);
    }
    let Some(of) = ResourceType::parse("Patient") else { return Ok(None) };
    match app.service.read(caller, of, patient).await {
        Ok(disclosed) => Ok(tacet_report::name_in(&disclosed.body)),
        Err(VaultError::NotFound | VaultError::Gone { .. } | VaultError::Erased | VaultError::Forbidden) => Ok(None),
        Err(other) => Err(other),
    }
}

fn asked<S: RecordService>(call: &Call<'_, S>) -> Result<Asked, ApiError> {
    call.query.only(&["from", "to", "_lang", "_count", "_offset"])?;
    let patient = call.id()?;
    let moment = |name: &'static str| {
        let wrong = || ApiError::invalid(format!("`{name}` is an instant such as `2026-03-01T08:00:00Z`, or a date"));
        call.query.get(name)?.map(|text| parse_moment(text).ok_or_else(wrong)).transpose()
    };
    // The asking itself comes after what is told.
    let to = moment("to")?.unwrap_or_else(|| call.app.clock.now());
    let from = moment("from")?.unwrap_or_else(|| to.plus_ms(-DAYS_DEFAULT * DAY_MS));
    let offset = match call.query.get("_offset")? {
        None => 0,
        Some(text) => text.parse().map_err(|_| ApiError::invalid("`_offset` must be a number from 0"))?,
    };
    let count = call.query.count(COUNT_DEFAULT, COUNT_MAX)?;
    let pdf = wants_pdf(call)?;
    if !pdf && (call.form.native || call.form.is_xml()) {
        let message = "a report is `application/json` or `application/pdf`";
        return Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, IssueType::NotSupported, message));
    }
    Ok(Asked { patient, from, to, language: call.language()?, pdf, offset, count })
}

/// `_format` wins over `Accept`; a PDF is for who names it.
fn wants_pdf<S: RecordService>(call: &Call<'_, S>) -> Result<bool, ApiError> {
    if let Some(format) = call.query.get("_format")? {
        return Ok(matches!(format, "pdf" | PDF));
    }
    let accepted = call.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|line| line.split(',')).map(|kind| kind.split(';').next().unwrap_or("").trim());
    Ok(kinds.find(|kind| *kind == PDF || kind.ends_with("json")).is_some_and(|kind| kind == PDF))
}
