//! `$import`: NDJSON that is stored line by line, at once or, with `Prefer: respond-async`, in the background.
//!
//! The lines come in the body. What the drafts of bulk import do instead, fetching them from URLs that the client names, Tacet does not:
//! there is no network client in it, so nobody can make it call into the hospital's network.

use super::Call;
use crate::error::ApiError;
use crate::imports::{IMPORT_LIFE_MS, Job, Outcome};
use crate::negotiate::wants_async;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use hyper::header::{CONTENT_LOCATION, EXPIRES, HeaderName, HeaderValue, RETRY_AFTER};
use std::sync::Arc;
use tacet_vault::{ImportOptions, VaultError};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// Random bytes in the id of an import.
const ID_BYTES: usize = 16;

/// Stores the lines of the body.
pub(super) async fn import<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&["_strict", "_again"])?;
    let (strict, again) = (flag(&call.query, "_strict")?, flag(&call.query, "_again")?);
    let (app, caller, body) = (Arc::clone(call.app), call.caller.clone(), call.body());
    let job = Arc::new(Job::new(&caller, &body));
    let operation = caller.operation;
    let work = {
        let (app, job) = (Arc::clone(&app), Arc::clone(&job));
        async move {
            let options = ImportOptions { strict, again, base_url: &app.base_url };
            Ok::<Outcome, VaultError>(job.run(&app.service, &caller, &body, options).await)
        }
    };
    if !wants_async(call.headers) {
        let mut outcome = call.run(work, true).await?;
        if outcome.is_nothing()
            && let Some((_, error)) = outcome.stopped.take()
        {
            return Err(error.into());
        }
        return Ok(Reply::fhir(StatusCode::OK, outcome.parameters(&operation)));
    }
    let mut id = [0; ID_BYTES];
    app.rng.fill(&mut id);
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let place = HeaderValue::try_from(format!("{}/_imports/{id}", app.base_url))
        .map_err(|_| ApiError::internal("the base URL is no header value"))?;
    let taken = app.imports.begin(&id, &job, app.clock.now())?;
    let (lease, runtime) = (Arc::clone(&call.lease), Handle::current());
    tokio::spawn(async move {
        let done = spawn_blocking(move || {
            let outcome = runtime.block_on(work);
            drop(lease);
            outcome
        });
        let outcome = done.await.unwrap_or_else(|_| Err(VaultError::Internal("an import ended in a panic".into())));
        let outcome = outcome.unwrap_or_else(Outcome::stopped);
        if let Some((_, error)) = &outcome.stopped {
            tracing::warn!(operation = %operation, status = error.http_status(), "an import was not brought to its end");
        }
        job.end(app.clock.now(), outcome);
        drop(taken);
    });
    Ok(Reply::empty(StatusCode::ACCEPTED).header(CONTENT_LOCATION, place))
}

/// How far an import is: 202 while it is under way, then what became of it.
pub(super) fn status<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = call.segment(1).unwrap_or_default();
    let job = call.app.imports.find(call.caller, &id, call.app.clock.now())?;
    if let Some((at, outcome)) = job.ended() {
        let reply = Reply::fhir(StatusCode::OK, outcome.parameters(&call.caller.operation));
        return Ok(match HeaderValue::try_from(at.plus_ms(IMPORT_LIFE_MS).http_date()) {
            Ok(expires) => reply.header(EXPIRES, expires),
            Err(_) => reply,
        });
    }
    let (done, all) = job.progress();
    let said = HeaderValue::try_from(format!("{done} of {all} lines")).unwrap_or(HeaderValue::from_static("working"));
    let reply = Reply::empty(StatusCode::ACCEPTED).header(X_PROGRESS, said);
    Ok(reply.header(RETRY_AFTER, HeaderValue::from_static("1")))
}

/// Gives an import up, or forgets its outcome. What is stored stays.
pub(super) fn end<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = call.segment(1).unwrap_or_default();
    call.app.imports.end(call.caller, &id, call.app.clock.now())?;
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

fn flag(query: &Query, name: &'static str) -> Result<bool, ApiError> {
    match query.get(name)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::invalid(format!("`{name}` must be `true` or `false`"))),
    }
}
