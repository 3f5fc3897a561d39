//! `Patient/[id]/$summary` and `Patient/$summary?identifier=`: a patient's record as an International Patient Summary, as a document Bundle or as a PDF.
//!
//! IPS 2.0, <http://hl7.org/fhir/uv/ips/OperationDefinition/summary>.

use super::Call;
use super::everything::take_parameters;
use crate::app::App;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_LANGUAGE, HeaderValue};
use hyper::{Method, StatusCode};
use std::sync::Arc;
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::IssueType;
use tacet_summary::{COMPOSITION_PROFILE, IPS_VERSION, Language, Summary, SummarySettings, TYPES};
use tacet_types::{ResourceId, ResourceType};
use tacet_vault::{Asked, Caller, Handling, Scope, SearchCall, VaultError};
use zeroize::Zeroizing;

const PDF: &str = "application/pdf";

pub(super) async fn summary<S: RecordService>(mut call: Call<'_, S>) -> Result<Reply, ApiError> {
    if call.method == Method::POST {
        let body = call.body();
        // FHIR R4: an operation without parameters may be asked for without a body.
        if !body.is_empty() {
            take_parameters(&body, &mut call.query)?;
        }
    }
    let by_id = call.path.split('/').count() > 3;
    call.query.only(if by_id { &["profile", "_lang"] } else { &["identifier", "profile", "_lang"] })?;
    let profile = call.query.get("profile")?;
    let versioned = format!("{COMPOSITION_PROFILE}|{IPS_VERSION}");
    if profile.is_some_and(|asked| asked != COMPOSITION_PROFILE && asked != versioned) {
        return Err(ApiError::not_supported("a summary by another profile than that of IPS 2.0"));
    }
    let language = call.language()?;
    let pdf = wants_pdf(&call)?;
    if !pdf && call.form.native {
        let message = "a summary is `application/fhir+json`, `application/fhir+xml` or `application/pdf`";
        return Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, IssueType::NotSupported, message));
    }
    let patient = if by_id { call.id()? } else { by_identifier(&call).await? };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let work = async move {
        let summary = made(&app, &caller, &patient, language).await?;
        if !pdf {
            return Ok(Zeroizing::new(json::write(&summary.bundle)));
        }
        tacet_summary::to_paper(&summary)
            .to_pdf()
            .map(Zeroizing::new)
            .map_err(|error| VaultError::Internal(Box::new(error)))
    };
    // The whole record is opened, and pages are set: never where connections are served.
    let body = call.run(work, true).await?;
    let tag = HeaderValue::from_static(language.tag());
    if !pdf {
        return Ok(Reply::record(StatusCode::OK, body).header(CONTENT_LANGUAGE, tag));
    }
    // Nothing of the patient in a name that stays in a list of downloads.
    let name = HeaderValue::from_static("attachment; filename=\"patient-summary.pdf\"");
    let reply = Reply::text(StatusCode::OK, HeaderValue::from_static(PDF), body.to_vec());
    Ok(reply.header(CONTENT_LANGUAGE, tag).header(CONTENT_DISPOSITION, name))
}

async fn made<S: RecordService>(
    app: &App<S>,
    caller: &Caller,
    patient: &ResourceId,
    language: Language,
) -> Result<Summary, VaultError> {
    let types: Vec<ResourceType> = TYPES.iter().filter_map(|name| ResourceType::parse(name)).collect();
    let records = app.service.whole_record(caller, patient, &types, &Asked::Summary).await?;
    let limits = json::Limits { bytes_max: usize::MAX, values_max: usize::MAX, ..json::Limits::default() };
    let mut resources = Vec::with_capacity(records.len());
    for disclosed in &records {
        let parsed = json::parse(&disclosed.body, &limits).map_err(|_| VaultError::Damaged("a record is no JSON"))?;
        resources.push(parsed);
    }
    let is_it = |one: &&Json<'_>| one.resource_type() == Some("Patient") && one.get_str("id") == Some(patient.as_str());
    // Who may see what is about a patient and not who it is has no use for a summary, and no way to it.
    let subject = resources.iter().find(is_it).ok_or(VaultError::NotFound)?;
    let settings = SummarySettings {
        hospital: app.report.hospital.clone(),
        hospital_identifier: None,
        base: Some(app.base_url.clone()),
        language,
        now: app.clock.now(),
    };
    tacet_summary::summarize(subject, &resources, &settings, app.rng.as_ref()).map_err(|error| match error {
        tacet_summary::SummaryError::TooLarge { what, max } => VaultError::TooLarge { what, max },
        other => VaultError::Internal(Box::new(other)),
    })
}

/// The one patient with that identifier, as far as who asks may see.
async fn by_identifier<S: RecordService>(call: &Call<'_, S>) -> Result<ResourceId, ApiError> {
    let Some(identifier) = call.query.get("identifier")? else {
        return Err(ApiError::invalid("name the patient: `Patient/[id]/$summary`, or `identifier` as `system|value`"));
    };
    let scope = Scope::Type(ResourceType::parse("Patient").ok_or_else(ApiError::not_found)?);
    let parameters = [("identifier", identifier), ("_count", "2"), ("_elements", "id")];
    let search = SearchCall {
        scope,
        parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        handling: Handling::Strict,
        base_url: call.app.base_url.clone(),
        cursor: None,
    };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let page = call.run(async move { app.service.search(&caller, &search).await }, true).await?;
    let mut found = page.entries.into_iter().map(|entry| entry.disclosed.record.id);
    match (found.next(), found.next()) {
        (Some(patient), None) => Ok(patient),
        (None, _) => Err(ApiError::not_found()),
        (Some(_), Some(_)) => {
            let message = "several patients have this identifier: name the one by its id";
            Err(ApiError::new(StatusCode::PRECONDITION_FAILED, IssueType::MultipleMatches, message))
        }
    }
}

/// `_format` wins over `Accept`; a PDF is for who names it before the forms of FHIR.
fn wants_pdf<S: RecordService>(call: &Call<'_, S>) -> Result<bool, ApiError> {
    if let Some(format) = call.query.get("_format")? {
        return Ok(matches!(format, "pdf" | PDF));
    }
    let accepted = call.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|line| line.split(',')).map(|kind| kind.split(';').next().unwrap_or("").trim());
    let first = kinds.find(|kind| *kind == PDF || kind.ends_with("json") || kind.ends_with("xml"));
    Ok(first.is_some_and(|kind| kind == PDF))
}
