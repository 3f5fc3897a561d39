//! Bulk export: `$export`, its status, its files, its end. What is exported is a copy with an owner, a purpose, recipients and
//! an end; only its owner sees that it is there.
//!
//! HL7 Bulk Data Access, <https://hl7.org/fhir/uv/bulkdata/STU2/export.html>.

use super::Call;
use crate::error::ApiError;
use crate::negotiate::wants_async;
use crate::reply::Reply;
use crate::routes::{Action, is_kept};
use crate::service::RecordService;
use bytes::Bytes;
use hyper::header::{CONTENT_LOCATION, EXPIRES, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tacet_fhir::json::{self as fhir_json};
use tacet_fhir::reference::Reference;
use tacet_types::{ResourceId, ResourceType};
use tacet_vault::{CopyRequest, CopyScope, CopyState, CopyStatus, VaultError};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

const NDJSON: HeaderValue = HeaderValue::from_static("application/fhir+ndjson");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// How long a copy is kept where nothing is said, and at most, in days.
const LIFE_DAYS_DEFAULT: i64 = 1;
const LIFE_DAYS_MAX: i64 = 30;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Pieces of a file that wait for a slow client.
const PIECES_WAITING: usize = 2;

/// Filters in one request.
const TYPE_FILTERS_MAX: usize = 20;

/// Patients of one Group.
const GROUP_MEMBERS_MAX: usize = 100_000;

/// Begins an export.
pub(super) async fn export<S: RecordService>(action: Action, mut call: Call<'_, S>) -> Result<Reply, ApiError> {
    if call.method == Method::POST {
        let body = call.body();
        super::everything::take_parameters(&body, &mut call.query)?;
    }
    call.query.only(&[
        "_outputFormat",
        "_since",
        "_type",
        "_typeFilter",
        "_copyPurpose",
        "_copyRecipient",
        "_copyDays",
    ])?;
    if !wants_async(call.headers) {
        return Err(ApiError::invalid("an export is answered later: send `Prefer: respond-async`"));
    }
    let format = call.query.get("_outputFormat")?.unwrap_or("ndjson").replace(' ', "+");
    if !["ndjson", "application/ndjson", "application/fhir+ndjson"].contains(&format.as_str()) {
        return Err(ApiError::not_supported("an `_outputFormat` other than `application/fhir+ndjson`"));
    }
    let base = &call.app.base_url;
    let (scope, path) = match action {
        Action::ExportSystem => (CopyScope::System, "/$export".to_owned()),
        Action::ExportPatients => (CopyScope::Patients, "/Patient/$export".to_owned()),
        _ => {
            let id = call.id()?;
            let path = format!("/Group/{}/$export", id.as_str());
            (CopyScope::PatientsIn(members(&call, &id).await?), path)
        }
    };
    let days = match call.query.get("_copyDays")? {
        None => LIFE_DAYS_DEFAULT,
        Some(text) => text.parse().ok().filter(|days| (1..=LIFE_DAYS_MAX).contains(days)).ok_or_else(|| {
            ApiError::invalid(format!("`_copyDays` must be a number of days from 1 to {LIFE_DAYS_MAX}"))
        })?,
    };
    let purpose = call.query.get("_copyPurpose")?;
    let request = CopyRequest {
        scope,
        types: types(&call)?,
        since: call.query.since()?,
        only: filtered(&call).await?,
        note: purpose.map_or_else(|| format!("purpose of use {}", call.caller.purpose.as_str()), str::to_owned),
        recipients: call.query.all("_copyRecipient").map(str::to_owned).collect(),
        life_ms: days * DAY_MS,
        request: format!("{base}{path}{}", call.query.link(None)),
    };
    let id = call.app.service.begin_copy(call.caller, request).await?;
    let place = format!("{base}/_copies/{id}");
    let place = HeaderValue::try_from(place).map_err(|_| ApiError::internal("the base URL is no header value"))?;
    Ok(Reply::empty(StatusCode::ACCEPTED).header(CONTENT_LOCATION, place))
}

/// How far an export is: 202 while it is made, then its manifest.
pub(super) async fn status<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = call.segment(1).unwrap_or_default().into_owned();
    let status = call.app.service.copy(call.caller, &id)?;
    match &status.state {
        CopyState::Working => {
            let (done, all) = status.progress;
            let said = HeaderValue::try_from(format!("{done} of {all} patients"));
            let said = said.unwrap_or(HeaderValue::from_static("working"));
            let again = HeaderValue::from_static("1");
            Ok(Reply::empty(StatusCode::ACCEPTED).header(X_PROGRESS, said).header(hyper::header::RETRY_AFTER, again))
        }
        CopyState::Failed(why) => Err(ApiError::internal_said(why.clone())),
        CopyState::Done => Ok(manifest(&call.app.base_url, &status)),
    }
}

fn manifest(base: &str, status: &CopyStatus) -> Reply {
    let output = status.files.iter().enumerate().map(|(number, file)| {
        json!({
            "type": file.resource_type.as_str(), "url": format!("{base}/_copies/{}/{number}", status.id), "count": file.count,
        })
    });
    let manifest = json!({
        "transactionTime": status.created.to_string(),
        "request": status.request,
        "requiresAccessToken": true,
        "output": output.collect::<Vec<_>>(),
        "error": [],
        "extension": {
            "expires": status.expires.to_string(), "purpose": status.note, "recipients": status.recipients,
        },
    });
    let reply = Reply::text(StatusCode::OK, JSON, manifest.to_string());
    match HeaderValue::try_from(status.expires.http_date()) {
        Ok(expires) => reply.header(EXPIRES, expires),
        Err(_) => reply,
    }
}

/// A file of an export, as it is opened piece by piece.
pub(super) async fn file<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = call.segment(1).unwrap_or_default().into_owned();
    let number = call.segment(2).and_then(|number| number.parse().ok()).ok_or_else(ApiError::not_found)?;
    let mut reader = call.app.service.read_copy(call.caller, &id, number).await?;
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let operation = call.caller.operation;
    spawn_blocking(move || {
        loop {
            let piece = match reader.piece() {
                Ok(Some(piece)) => Ok(Bytes::from_owner(piece)),
                Ok(None) => return,
                Err(_) => {
                    tracing::error!(operation = %operation, "a file of an export cannot be read");
                    Err(std::io::Error::other("the file cannot be read"))
                }
            };
            let last = piece.is_err();
            // The client has gone.
            if sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    Ok(Reply::stream(StatusCode::OK, NDJSON, receiver))
}

/// Ends an export, made or not.
pub(super) async fn end<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = call.segment(1).unwrap_or_default().into_owned();
    call.app.service.end_copy(call.caller, &id).await?;
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

fn types<S: RecordService>(call: &Call<'_, S>) -> Result<Vec<ResourceType>, ApiError> {
    let names = call.query.all("_type").flat_map(|value| value.split(','));
    names
        .map(|name| ResourceType::parse(name).filter(|kind| is_kept(*kind)))
        .collect::<Option<_>>()
        .ok_or_else(|| ApiError::invalid("`_type` must be names of resource types, separated by commas"))
}

/// `_typeFilter`: of a type only what these searches find.
async fn filtered<S: RecordService>(
    call: &Call<'_, S>,
) -> Result<HashMap<ResourceType, HashSet<ResourceId>>, ApiError> {
    let mut only: HashMap<ResourceType, HashSet<ResourceId>> = HashMap::new();
    let filters: Vec<&str> = call.query.all("_typeFilter").flat_map(split_filters).collect();
    if filters.len() > TYPE_FILTERS_MAX {
        return Err(ApiError::invalid(format!("more than {TYPE_FILTERS_MAX} filters in `_typeFilter`")));
    }
    for filter in filters {
        let refused = || ApiError::invalid("`_typeFilter` must be searches such as `Observation?status=final`");
        let (name, query) = filter.split_once('?').ok_or_else(refused)?;
        let kind = ResourceType::parse(name).filter(|kind| is_kept(*kind)).ok_or_else(refused)?;
        let (app, caller) = (Arc::clone(call.app), call.caller.clone());
        let parameters = crate::query::Query::parse(Some(query))?.search();
        let work = async move { app.service.find(&caller, kind, &parameters, &app.base_url).await };
        only.entry(kind).or_default().extend(call.run(work, true).await?);
    }
    Ok(only)
}

/// Filters by commas; a comma within a filter follows its `?` and a name without one, so a new filter begins at `Type?`.
fn split_filters(text: &str) -> Vec<&str> {
    let mut filters = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(',') {
        let next = text.get(at + 1..).unwrap_or_default();
        let begins = next.split_once('?').is_some_and(|(name, _)| ResourceType::parse(name).is_some());
        if begins {
            filters.extend(text.get(start..at));
            start = at + 1;
        }
    }
    filters.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    filters
}

/// The patients of a Group.
async fn members<S: RecordService>(call: &Call<'_, S>, id: &ResourceId) -> Result<Vec<ResourceId>, ApiError> {
    let group = ResourceType::parse("Group").ok_or_else(ApiError::not_found)?;
    let disclosed = call.app.service.read(call.caller, group, id).await?;
    let group = fhir_json::parse(&disclosed.body, &fhir_json::Limits::default()).map_err(VaultError::from)?;
    let mut patients = Vec::new();
    for member in group.get("member").map(fhir_json::Json::items).unwrap_or_default() {
        let inactive = member.get("inactive").and_then(fhir_json::Json::as_bool).unwrap_or_default();
        let target = member.get("entity").and_then(|entity| entity.get_str("reference")).map(Reference::parse);
        if let Some((kind, patient)) = target.and_then(|target| target.target_id())
            && kind.as_str() == "Patient"
            && !inactive
        {
            patients.push(patient);
        }
    }
    if patients.len() > GROUP_MEMBERS_MAX {
        return Err(ApiError::invalid(format!("the group has more than {GROUP_MEMBERS_MAX} patients")));
    }
    Ok(patients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_told_apart() {
        assert_eq!(split_filters("Observation?code=a,b"), ["Observation?code=a,b"]);
        assert_eq!(
            split_filters("Observation?code=a,b,Patient?active=true"),
            ["Observation?code=a,b", "Patient?active=true"]
        );
        assert_eq!(split_filters(""), Vec::<&str>::new());
        assert_eq!(split_filters(",Patient?a=b"), ["", "Patient?a=b"]);
    }
}
