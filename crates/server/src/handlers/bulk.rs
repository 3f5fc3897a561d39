//! Bulk export: `$export`, its status, its files, its end. What is exported is a copy with an owner, a purpose, recipients and
//! an end; only its owner sees that it is there.
//!
//! HL7 Bulk Data Access, <https://hl7.org/fhir/uv/bulkdata/STU2/export.html>.

use super::Call;
use crate::admin::second::{self, Allowed};
use crate::content::Packer;
use crate::error::ApiError;
use crate::negotiate::wants_async;
use crate::query::Query;
use crate::reply::Reply;
use crate::routes::{Action, is_kept};
use crate::service::RecordService;
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LOCATION, EXPIRES, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use tacet_fhir::json::{self as fhir_json};
use tacet_fhir::reference::Reference;
use tacet_identity::Kind;
use tacet_types::{Labels, ResourceId, ResourceType, Role};
use tacet_vault::{CopyApproval, CopyReader, CopyRequest, CopyScope, CopyState, CopyStatus, VaultError};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

const NDJSON: HeaderValue = HeaderValue::from_static("application/fhir+ndjson");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// The special confidentiality that a person's copy shall hold, by the names of labels: without it, none.
const CONFIDENTIAL: &str = "_copyConfidential";

/// How long a copy is kept where nothing is said, and at most, in days.
const LIFE_DAYS_DEFAULT: i64 = 1;
const LIFE_DAYS_MAX: i64 = 30;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Pieces of a file that wait for a slow client.
const PIECES_WAITING: usize = 2;

/// When to come again where as many files are sent as may be, in milliseconds.
const BUSY_RETRY_MS: u64 = 1000;

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
        CONFIDENTIAL,
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
    let labels = confidential(&call)?;
    let what = format!("{path}{}, purpose of use {}", call.query.link(None), call.caller.purpose.as_str());
    let allowed = match call.caller.may_export {
        true => None,
        false => second::required(call.app, call.caller, call.headers, Kind::BulkExport, &what)?,
    };
    let approval =
        allowed.map(|Allowed { using, words }| CopyApproval { labels, words, write: using.write, entry: using.entry });
    let purpose = call.query.get("_copyPurpose")?;
    let request = CopyRequest {
        approval,
        scope,
        types: types(&call)?,
        since: call.query.since()?,
        filters: filters(&call.query)?,
        base_url: base.clone(),
        note: purpose.map_or_else(|| format!("purpose of use {}", call.caller.purpose.as_str()), str::to_owned),
        recipients: call.query.all("_copyRecipient").map(str::to_owned).collect(),
        life_ms: days * DAY_MS,
        request: format!("{base}{path}{}", call.query.link(None)),
    };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let id = call.run(async move { app.service.begin_copy(&caller, request).await }, true).await?;
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
            let said = HeaderValue::try_from(format!("{} %", status.progress_percent));
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
        "transactionTime": status.complete_until.to_string(),
        "request": status.request,
        "requiresAccessToken": true,
        "output": output.collect::<Vec<_>>(),
        "error": [],
        "extension": {
            "requested": status.created.to_string(), "expires": status.expires.to_string(), "purpose": status.note, "recipients": status.recipients,
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
    let busy = |_| VaultError::Busy { what: "files that are sent", retry_after_ms: BUSY_RETRY_MS };
    let place = Arc::clone(&call.app.downloads).try_acquire_owned().map_err(busy)?;
    let reader = call.app.service.read_copy(call.caller, &id, number).await?;
    let reader = Source { reader, packer: call.form.gzip.then(Packer::new) };
    // The first piece before anything is answered, so that a file that was changed is refused and not broken off.
    let (mut reader, first) = piece(reader).await?;
    let mut next = first?;
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let operation = call.caller.operation;
    // A piece is opened when there is room for it: a slow client holds no thread.
    tokio::spawn(async move {
        let _place = place;
        while let Some(text) = next.take() {
            if sender.send(Ok(Bytes::from_owner(text))).await.is_err() {
                return; // the client has gone
            }
            let Ok(room) = sender.reserve().await else { return };
            next = match piece(reader).await {
                Ok((again, Ok(text))) => {
                    reader = again;
                    text
                }
                _ => {
                    tracing::error!(operation = %operation, "a file of an export could not be sent to its end");
                    room.send(Err(std::io::Error::other("the file cannot be read")));
                    return;
                }
            };
        }
    });
    let reply = Reply::stream(StatusCode::OK, NDJSON, receiver);
    Ok(if call.form.gzip { reply.header(CONTENT_ENCODING, HeaderValue::from_static("gzip")) } else { reply })
}

type Piece = Result<Option<Zeroizing<Vec<u8>>>, VaultError>;

/// A file that is sent, packed where the client takes that.
struct Source {
    reader: CopyReader,
    packer: Option<Packer>,
}

impl Source {
    /// The next piece, never an empty one. None: this was the last.
    fn next(&mut self) -> Piece {
        loop {
            let read = self.reader.piece()?;
            let piece = match (read, &mut self.packer) {
                (Some(text), Some(packer)) => packer.piece(&text),
                (Some(text), None) => text,
                (None, packer) => return Ok(packer.take().map(Packer::end)),
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}

async fn piece(mut source: Source) -> Result<(Source, Piece), ApiError> {
    let read = spawn_blocking(move || {
        let piece = source.next();
        (source, piece)
    });
    read.await.map_err(|_| ApiError::internal("reading a file of an export ended in a panic"))
}

/// Ends an export, made or not.
pub(super) async fn end<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = call.segment(1).unwrap_or_default().into_owned();
    call.app.service.end_copy(call.caller, &id).await?;
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

/// The labels that the request names. A second person reads them in it.
fn confidential<S: RecordService>(call: &Call<'_, S>) -> Result<Labels, ApiError> {
    let mut names = call.query.all(CONFIDENTIAL).flat_map(|value| value.split(',')).peekable();
    if names.peek().is_some() && call.caller.role == Role::Integrator {
        return Err(ApiError::invalid(format!("`{CONFIDENTIAL}` is for people: a machine's copy leaves nothing out")));
    }
    names.try_fold(Labels::NONE, |all, name| Labels::parse(name).map(|label| all.and(label))).ok_or_else(|| {
        let known: Vec<&str> = Labels::ALL.iter().map(|(_, name)| *name).collect();
        ApiError::invalid(format!("`{CONFIDENTIAL}` must be labels, separated by commas: {}", known.join(", ")))
    })
}

fn types<S: RecordService>(call: &Call<'_, S>) -> Result<Vec<ResourceType>, ApiError> {
    let names = call.query.all("_type").flat_map(|value| value.split(','));
    names
        .map(|name| ResourceType::parse(name).filter(|kind| is_kept(*kind)))
        .collect::<Option<_>>()
        .ok_or_else(|| ApiError::invalid("`_type` must be names of resource types, separated by commas"))
}

/// A type, and the parameters of a search for it.
type Filter = (ResourceType, Vec<(String, String)>);

/// `_typeFilter`: of a type only what these searches find.
fn filters(query: &Query) -> Result<Vec<Filter>, ApiError> {
    let texts: Vec<&str> = query.all("_typeFilter").flat_map(split_filters).collect();
    if texts.len() > TYPE_FILTERS_MAX {
        return Err(ApiError::invalid(format!("more than {TYPE_FILTERS_MAX} filters in `_typeFilter`")));
    }
    let mut filters = Vec::with_capacity(texts.len());
    for text in texts {
        let refused = || ApiError::invalid("`_typeFilter` must be searches such as `Observation?status=final`");
        let (name, criteria) = text.split_once('?').ok_or_else(refused)?;
        let kind = ResourceType::parse(name).filter(|kind| is_kept(*kind)).ok_or_else(refused)?;
        filters.push((kind, Query::parse(Some(criteria))?.search()));
    }
    Ok(filters)
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
    let mut patients = BTreeSet::new();
    for member in group.get("member").map(fhir_json::Json::items).unwrap_or_default() {
        let inactive = member.get("inactive").and_then(fhir_json::Json::as_bool).unwrap_or_default();
        let target = member.get("entity").and_then(|entity| entity.get_str("reference")).map(Reference::parse);
        let Some((kind, id)) = target.and_then(|target| target.target_id()).filter(|_| !inactive) else { continue };
        match kind.as_str() {
            "Patient" => {
                patients.insert(id);
            }
            "Group" => return Err(ApiError::not_supported("an export of a Group that has other Groups as members")),
            _ => {} // a device or a practitioner has no compartment of a patient
        }
    }
    if patients.len() > GROUP_MEMBERS_MAX {
        return Err(ApiError::invalid(format!("the group has more than {GROUP_MEMBERS_MAX} patients")));
    }
    Ok(patients.into_iter().collect())
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
