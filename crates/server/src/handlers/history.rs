//! The versions of a record, of a type, of everything. FHIR R4, <https://hl7.org/fhir/R4/http.html#history>.

use super::{Call, INLINE_ENTRIES_MAX};
use crate::bundle::{self, Links};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::routes::Action;
use crate::service::RecordService;
use hyper::StatusCode;
use std::sync::Arc;
use tacet_vault::{HistoryQuery, HistoryScope};

pub(super) async fn history<S: RecordService>(action: Action, call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&["_since", "_at", "_count", "_cursor"])?;
    let scope = match action {
        Action::HistoryInstance => HistoryScope::Instance(call.resource_type()?, call.id()?),
        Action::HistoryType => HistoryScope::Type(call.resource_type()?),
        _ => HistoryScope::System,
    };
    let limits = &call.app.limits;
    let query = HistoryQuery {
        since: call.query.since()?,
        at: call.query.period("_at")?,
        count: call.query.count(limits.page_count_default, limits.page_count_max)?,
        cursor: call.query.get("_cursor")?.map(str::to_owned),
    };
    let base = &call.app.base_url;
    let path = match &scope {
        HistoryScope::Instance(resource_type, id) => format!("{base}/{resource_type}/{}/_history", id.as_str()),
        HistoryScope::Type(resource_type) => format!("{base}/{resource_type}/_history"),
        HistoryScope::System => format!("{base}/_history"),
    };
    // What a history costs does not follow from the length of its page: one of a type or of all, or one that looks for a
    // moment, may pass over tens of thousands of changes to find a single one.
    let one = matches!(scope, HistoryScope::Instance(..)) && query.since.is_none() && query.at.is_none();
    let elsewhere = !one || query.count > INLINE_ENTRIES_MAX;
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let page = call.run(async move { app.service.history(&caller, &scope, &query).await }, elsewhere).await?;
    let link = |cursor: Option<&str>| format!("{path}{}", call.query.link(cursor));
    let links = Links { this: link(None), next: page.next.as_deref().map(|cursor| link(Some(cursor))) };
    Ok(Reply::record(StatusCode::OK, bundle::history(&page, base, &links, call.app.clock.now())))
}
