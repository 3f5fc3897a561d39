//! `Patient/$match`: the look-up of a patient by what is known of them.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/patient-operation-match.html>. By what patients are found is the record store's business; here are
//! the two forms that a request may have, and the Bundle of the answer.

use super::Call;
use crate::bundle::{self, Links};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use std::sync::Arc;
use tacet_vault::MatchCall;

pub(super) async fn find<S: RecordService>(call: Call<'_, S>) -> Result<Reply, ApiError> {
    // FHIR R4, operations.html#request: a Patient may be the body itself, and then the rest stands in the URL.
    call.query.only(&["onlyCertainMatches", "count"])?;
    let only_certain = match call.query.get("onlyCertainMatches")? {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(ApiError::invalid("`onlyCertainMatches` must be `true` or `false`")),
    };
    let count = match call.query.get("count")? {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| ApiError::invalid("`count` must be a number from 1"))?),
    };
    let base = call.app.base_url.clone();
    let asked = MatchCall { body: call.body().to_vec(), only_certain, count, base_url: base.clone() };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let page = call.run(async move { app.service.match_patients(&caller, &asked).await }, true).await?;
    // The link holds nothing of who was looked for: that was the body.
    let links = Links { this: format!("{base}/Patient/$match{}", call.query.link(None)), next: None };
    Ok(Reply::record(StatusCode::OK, bundle::matches(&page, &base, &links, call.app.clock.now())))
}
