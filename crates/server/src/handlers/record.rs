//! One record: read, vread, create, update, delete; and the Bundle that does several of them.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/http.html>; RFC 9110, section 13 (conditions).

use super::search::reads_ledger;
use super::{Call, INLINE_BYTES_MAX};
use crate::content;
use crate::error::ApiError;
use crate::negotiate::{self, BodyType, preference};
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CONTENT_DISPOSITION, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE,
};
use std::sync::Arc;
use tacet_fhir::outcome::{IssueType, operation_outcome_bytes};
use tacet_types::{RecordRef, ResourceType, Timestamp, VersionId};
use tacet_vault::{ConditionalCreate, Disclosed, Patch, ReturnPreference, Stored};

const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment");

const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");

pub(super) async fn read<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id) = (call.resource_type()?, call.id()?);
    refuse_write_conditions(call.headers)?;
    let disclosed = call.app.service.read(call.caller, resource_type, &id).await?;
    if call.form.native {
        return native_reply(call.headers, &disclosed);
    }
    Ok(disclosed_reply(call.headers, disclosed))
}

/// An AuditEvent: an entry of the ledger to whoever may read it there, a record to others.
pub(super) async fn read_audit<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    let id = call.id()?;
    let of_ledger = tacet_vault::is_audit_id(&id) && reads_ledger(call.caller.role);
    if !of_ledger {
        // Who reads the ledger alone sees no record.
        return if call.caller.role.may_read_records() { read(call).await } else { Err(ApiError::not_found()) };
    }
    call.query.only(&[])?;
    refuse_write_conditions(call.headers)?;
    let disclosed = call.app.service.read_audit(call.caller, &id, &call.app.base_url).await?;
    Ok(disclosed_reply(call.headers, disclosed))
}

pub(super) async fn vread<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id, version) = (call.resource_type()?, call.id()?, call.version()?);
    refuse_write_conditions(call.headers)?;
    let disclosed = call.app.service.vread(call.caller, resource_type, &id, version).await?;
    if call.form.native {
        return native_reply(call.headers, &disclosed);
    }
    Ok(disclosed_reply(call.headers, disclosed))
}

pub(super) async fn create<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let resource_type = call.resource_type()?;
    if let Some(criteria) = single(call.headers, IF_NONE_EXIST)? {
        return create_unless(call, resource_type, criteria).await;
    }
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let elsewhere = body.len() > INLINE_BYTES_MAX;
    let work = async move { app.service.create(&caller, resource_type, &body, &app.base_url).await };
    let stored = call.run(work, elsewhere).await?;
    Ok(stored_reply(call, stored))
}

/// A conditional create: `If-None-Exist` holds the criteria as the query of a search.
async fn create_unless<S: RecordService>(
    call: &Call<'_, S>,
    resource_type: ResourceType,
    criteria: &str,
) -> Result<Reply, ApiError> {
    let criteria = criteria_of(criteria.rsplit_once('?').map_or(criteria, |(_, query)| query))?;
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let work =
        async move { app.service.create_conditional(&caller, resource_type, &body, &app.base_url, &criteria).await };
    match call.run(work, true).await? {
        ConditionalCreate::Created(stored) => Ok(stored_reply(call, stored)),
        ConditionalCreate::Exists { record, last_updated } => {
            let base_url = &call.app.base_url;
            if preference(call.headers) == Some(ReturnPreference::Minimal) {
                return Ok(Reply::empty(StatusCode::OK).version(&record, last_updated).location(base_url, &record));
            }
            // Clients expect the record that is there. Showing it is a read, with its own entry.
            let shown = call.app.service.read(call.caller, record.resource_type, &record.id).await?;
            let reply = Reply::record(StatusCode::OK, shown.body).version(&shown.record, shown.last_updated);
            Ok(reply.location(base_url, &shown.record))
        }
    }
}

pub(super) async fn update_conditional<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    let (resource_type, criteria) = (call.resource_type()?, criteria(call)?);
    let if_match = if_match(call.headers)?;
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let work = async move {
        app.service.update_conditional(&caller, resource_type, &body, &app.base_url, &criteria, if_match).await
    };
    let stored = call.run(work, true).await?;
    Ok(stored_reply(call, stored))
}

pub(super) async fn delete_conditional<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    let (resource_type, criteria) = (call.resource_type()?, criteria(call)?);
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let work = async move { app.service.delete_conditional(&caller, resource_type, &app.base_url, &criteria).await };
    let deleted = call.run(work, true).await?;
    Ok(deleted_reply(call, deleted.first().and_then(|deleted| deleted.record.as_ref())))
}

pub(super) async fn patch<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id) = (call.resource_type()?, call.id()?);
    let if_match = if_match(call.headers)?;
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let kind = call.body_type.clone();
    let work = async move {
        let patch = patch_of(&kind, &body);
        app.service.patch(&caller, resource_type, &id, &patch, &app.base_url, if_match).await
    };
    let stored = call.run(work, true).await?;
    Ok(stored_reply(call, stored))
}

pub(super) async fn patch_conditional<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    let (resource_type, criteria) = (call.resource_type()?, criteria(call)?);
    let if_match = if_match(call.headers)?;
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let kind = call.body_type.clone();
    let work = async move {
        let patch = patch_of(&kind, &body);
        app.service.patch_conditional(&caller, resource_type, &criteria, &patch, &app.base_url, if_match).await
    };
    let stored = call.run(work, true).await?;
    Ok(stored_reply(call, stored))
}

/// The patch that a body is. Plain JSON is told by its shape: an array is a JSON Patch, a Parameters resource a FHIRPath Patch, and
/// any other object a merge patch (RFC 7396), which FHIR does not name but clients send.
fn patch_of<'a>(kind: &BodyType, body: &'a [u8]) -> Patch<'a> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match kind {
        BodyType::JsonPatch => Patch::Json(body),
        BodyType::MergePatch => Patch::Merge(body),
        _ if first == Some(&b'[') => Patch::Json(body),
        _ if is_parameters(body) => Patch::FhirPath(body),
        _ => Patch::Merge(body),
    }
}

fn is_parameters(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        resource_type: Option<String>,
    }
    serde_json::from_slice::<Head>(body).is_ok_and(|head| head.resource_type.as_deref() == Some("Parameters"))
}

/// The criteria of a conditional request: its query.
fn criteria<S>(call: &Call<'_, S>) -> Result<Vec<(String, String)>, ApiError> {
    criteria_from(call.query.search())
}

fn criteria_of(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    criteria_from(Query::parse(Some(query))?.search())
}

fn criteria_from(parameters: Vec<(String, String)>) -> Result<Vec<(String, String)>, ApiError> {
    if parameters.is_empty() {
        let message = "a conditional request needs criteria, such as `?identifier=system|value`";
        return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, IssueType::Required, message));
    }
    Ok(parameters)
}

pub(super) async fn update<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id) = (call.resource_type()?, call.id()?);
    let if_match = if_match(call.headers)?;
    let absent_only = match single(call.headers, IF_NONE_MATCH)? {
        None => false,
        Some("*") => true,
        Some(_) => return Err(ApiError::not_supported("an `If-None-Match` other than `*` on an update")),
    };
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let elsewhere = body.len() > INLINE_BYTES_MAX;
    let work = async move {
        app.service.update(&caller, resource_type, &id, &body, &app.base_url, if_match, absent_only).await
    };
    let stored = call.run(work, elsewhere).await?;
    Ok(stored_reply(call, stored))
}

pub(super) async fn delete<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id) = (call.resource_type()?, call.id()?);
    let if_match = if_match(call.headers)?;
    let deleted = call.app.service.delete(call.caller, resource_type, &id, if_match).await?;
    Ok(deleted_reply(call, deleted.record.as_ref()))
}

fn deleted_reply<S: RecordService>(call: &Call<'_, S>, deleted: Option<&RecordRef>) -> Reply {
    let reply = match preference(call.headers) {
        Some(ReturnPreference::OperationOutcome) => outcome_reply(call, StatusCode::OK),
        _ => Reply::empty(StatusCode::NO_CONTENT),
    };
    match deleted {
        Some(record) => reply.etag(record.version),
        None => reply,
    }
}

/// A batch or a transaction. Unlike a single change it answers without the records where nothing is preferred: whoever sends
/// thousands seldom wants thousands back.
pub(super) async fn bundle<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let prefer = preference(call.headers).unwrap_or(ReturnPreference::Minimal);
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let work = async move { app.service.bundle(&caller, &body, &app.base_url, prefer).await };
    Ok(Reply::record(StatusCode::OK, call.run(work, true).await?))
}

fn disclosed_reply(headers: &HeaderMap, disclosed: Disclosed) -> Reply {
    let Disclosed { record, last_updated, body } = disclosed;
    if is_unchanged(headers, record.version, last_updated) {
        return Reply::empty(StatusCode::NOT_MODIFIED).version(&record, last_updated);
    }
    Reply::record(StatusCode::OK, body).version(&record, last_updated)
}

/// What a Binary holds, as a file: a browser is not to run it.
fn native_reply(headers: &HeaderMap, disclosed: &Disclosed) -> Result<Reply, ApiError> {
    let refused = |message: &'static str| ApiError::new(StatusCode::NOT_ACCEPTABLE, IssueType::NotSupported, message);
    let (kind, bytes) = content::native(&disclosed.body).ok_or_else(|| refused("this Binary holds no content"))?;
    if !negotiate::takes(headers, &kind) {
        return Err(refused("the content of this Binary is of another type than those in `Accept`"));
    }
    let kind = HeaderValue::try_from(kind).map_err(|_| refused("the content of this Binary has no usable type"))?;
    let reply = Reply::text(StatusCode::OK, kind, Bytes::from_owner(bytes));
    Ok(reply.version(&disclosed.record, disclosed.last_updated).header(CONTENT_DISPOSITION, ATTACHMENT))
}

fn stored_reply<S: RecordService>(call: &Call<'_, S>, stored: Stored) -> Reply {
    let Stored { record, last_updated, body, created, .. } = stored;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let reply = match preference(call.headers).unwrap_or(ReturnPreference::Representation) {
        ReturnPreference::Minimal => Reply::empty(status),
        ReturnPreference::Representation => Reply::record(status, body),
        ReturnPreference::OperationOutcome => outcome_reply(call, status),
    };
    let reply = reply.version(&record, last_updated);
    if created { reply.location(&call.app.base_url, &record) } else { reply }
}

fn outcome_reply<S: RecordService>(call: &Call<'_, S>, status: StatusCode) -> Reply {
    Reply::fhir(status, operation_outcome_bytes(&[], Some(&call.caller.operation)))
}

/// Whether the client has this version already: `If-None-Match`, and only without it `If-Modified-Since` (RFC 9110, 13.2.2).
fn is_unchanged(headers: &HeaderMap, version: VersionId, last_updated: Timestamp) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let tags = tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        return tags.map(str::trim).any(|tag| tag == "*" || tagged_version(tag) == Some(version));
    }
    let since = headers.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let since = since.and_then(|text| Timestamp::parse_http_date(text).ok());
    // The header knows whole seconds only.
    since.is_some_and(|since| last_updated.as_ms().div_euclid(1000) <= since.as_ms().div_euclid(1000))
}

/// The version that an entity tag (`W/"3"` or `"3"`) names.
fn tagged_version(tag: &str) -> Option<VersionId> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    VersionId::parse(tag.strip_prefix('"')?.strip_suffix('"')?)
}

/// The version that a change is to be made over. A tag that no version of ours bears cannot be the current one.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<VersionId>, ApiError> {
    if headers.contains_key(IF_UNMODIFIED_SINCE) {
        return Err(ApiError::not_supported("`If-Unmodified-Since` (use `If-Match`)"));
    }
    let Some(tag) = single(headers, IF_MATCH)? else { return Ok(None) };
    if tag == "*" || tag.contains(',') {
        return Err(ApiError::not_supported("an `If-Match` that names not one version"));
    }
    let is_tag = tag.trim_start_matches("W/").len() >= 2 && tag.ends_with('"');
    match tagged_version(tag) {
        Some(version) => Ok(Some(version)),
        None if is_tag => {
            let message = "the resource is not at the version named in `If-Match`: read it again and repeat the change";
            Err(ApiError::new(StatusCode::PRECONDITION_FAILED, IssueType::Conflict, message))
        }
        None => Err(ApiError::invalid("`If-Match` must be an entity tag such as `W/\"3\"`")),
    }
}

/// A read under a condition that belongs to a write would be answered as if there were none.
fn refuse_write_conditions(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE) {
        return Err(ApiError::not_supported("`If-Match` or `If-Unmodified-Since` on a read"));
    }
    Ok(())
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::to_str);
    match (value, values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text.trim())),
        _ => Err(ApiError::invalid("a conditional header stands twice or is not ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{etag, http_date};

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn conditions_of_a_read() {
        let at = Timestamp::parse("1994-11-06T08:49:37.900Z").unwrap();
        let unchanged = |pairs: &[(HeaderName, &'static str)]| is_unchanged(&headers(pairs), VersionId(3), at);
        assert!(unchanged(&[(IF_NONE_MATCH, "W/\"3\"")]));
        assert!(unchanged(&[(IF_NONE_MATCH, "W/\"2\", \"3\"")]));
        assert!(unchanged(&[(IF_NONE_MATCH, "*")]));
        assert!(unchanged(&[(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")]));
        assert!(!unchanged(&[]));
        assert!(!unchanged(&[(IF_NONE_MATCH, "W/\"2\"")]));
        assert!(!unchanged(&[(IF_NONE_MATCH, "3")]));
        assert!(!unchanged(&[(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")]));
        assert!(!unchanged(&[(IF_MODIFIED_SINCE, "yesterday")]));
        let both = [(IF_NONE_MATCH, "W/\"2\""), (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert!(!unchanged(&both), "the tag decides");
    }

    #[test]
    fn conditions_of_a_write() {
        let read = |tag: &'static str| if_match(&headers(&[(IF_MATCH, tag)])).map_err(|e| e.public_face_status());
        assert_eq!(read("W/\"3\""), Ok(Some(VersionId(3))));
        assert_eq!(read("\"3\""), Ok(Some(VersionId(3))));
        assert_eq!(read("W/\"abc\""), Err(StatusCode::PRECONDITION_FAILED));
        assert_eq!(read("*"), Err(StatusCode::NOT_IMPLEMENTED));
        assert_eq!(read("\"1\", \"2\""), Err(StatusCode::NOT_IMPLEMENTED));
        assert_eq!(read("3"), Err(StatusCode::BAD_REQUEST));
        assert_eq!(if_match(&HeaderMap::new()).map_err(|e| e.public_face_status()), Ok(None));
    }

    impl ApiError {
        fn public_face_status(self) -> StatusCode {
            self.public_face(&tacet_types::OperationId([0; 16])).0
        }
    }

    #[test]
    fn tags_and_dates_are_written_as_they_are_read() {
        assert_eq!(tagged_version(etag(VersionId(12)).to_str().unwrap()), Some(VersionId(12)));
        let at = Timestamp::from_ms(1_700_000_000_000);
        assert_eq!(Timestamp::parse_http_date(http_date(at).to_str().unwrap()), Ok(at));
    }
}
