//! What is said of the server itself: what it can do, whether it is ready, its figures.

use crate::app::App;
use crate::error::ApiError;
use crate::negotiate::Form;
use crate::query::Query;
use crate::reply::Reply;
use crate::routes::Action;
use crate::service::RecordService;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue};
use tacet_ledger::{EventKind, Outcome};
use tacet_vault::{Caller, Health, IndexState, LockdownLevel};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers a route that needs no token.
pub(crate) fn public<S: RecordService>(
    app: &App<S>,
    action: Action,
    headers: &HeaderMap,
    query: &Query,
) -> Result<(Reply, Form), ApiError> {
    match action {
        Action::Metadata => metadata(app, headers, query),
        Action::Health => Ok((health(app), Form::DEFAULT)),
        _ => Err(ApiError::not_found()),
    }
}

fn metadata<S>(app: &App<S>, headers: &HeaderMap, query: &Query) -> Result<(Reply, Form), ApiError> {
    query.only(&["mode"])?;
    if !matches!(query.get("mode")?, None | Some("full")) {
        return Err(ApiError::not_supported("a `mode` other than `full`"));
    }
    let form = Form::of(headers, query, false)?;
    Ok((Reply::fhir(StatusCode::OK, app.capability.clone()), form))
}

/// Ready, locked or neither, and nothing more: anybody may ask.
///
/// Locked is 200: who lifts it must reach this server, past what sends requests to ready ones only, and what kills the unready ones would only make them wait.
fn health<S: RecordService>(app: &App<S>) -> Reply {
    let ready = app.service.health() == Health::Ready && !app.is_stopping();
    let locked = app.service.lockdown().is_some_and(|level| level >= LockdownLevel::Cut);
    let (status, text): (_, &'static [u8]) = match (ready, locked) {
        (true, false) => (StatusCode::OK, b"{\"status\":\"ready\"}"),
        (true, true) => (StatusCode::OK, b"{\"status\":\"locked\"}"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, b"{\"status\":\"not-ready\"}"),
    };
    Reply::text(status, JSON, text)
}

/// What the search index is at, and, where it is asked, that it is made anew. Nothing of it is of one patient.
pub(crate) async fn index<S: RecordService>(app: &App<S>, action: Action, caller: &Caller) -> Result<Reply, ApiError> {
    let mut status = StatusCode::OK;
    if action == Action::IndexRebuild {
        app.service.note(caller, EventKind::Check, Outcome::Success, None).await?;
        app.service.rebuild_index()?;
        status = StatusCode::ACCEPTED;
    }
    let Some((state, figures)) = app.service.index() else {
        return Err(ApiError::not_supported("search (this store was opened without an index)"));
    };
    let (state, done) = match state {
        IndexState::Ready => ("ready", None),
        IndexState::CatchingUp { done, .. } => ("catching-up", Some(done)),
        IndexState::Building { done } => ("building", Some(done)),
        IndexState::Rebuilding { done } => ("rebuilding", Some(done)),
        IndexState::Failed => ("failed", None),
    };
    let text = serde_json::json!({
        "state": state, "done": done, "documents": figures.documents, "disk_bytes": figures.disk_bytes,
        "memory_bytes": figures.memory_bytes, "uncommitted": figures.overlay_documents,
        "refusals": figures.refusals, "applied": figures.applied.0, "committed": figures.committed.0,
    });
    Ok(Reply::text(status, JSON, text.to_string()))
}

/// The figures of the server and of the store.
pub(crate) fn metrics<S: RecordService>(app: &App<S>) -> Result<Reply, ApiError> {
    let text = app.metrics.render(&app.service);
    let text = text.map_err(|_| ApiError::internal("the metrics could not be written"))?;
    Ok(Reply::text(StatusCode::OK, OPENMETRICS, text))
}
