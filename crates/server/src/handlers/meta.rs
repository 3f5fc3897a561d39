//! `$meta`, `$meta-add` and `$meta-delete`: the profiles, tags and security labels of a record, of one of its versions, or of all there
//! are.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/resource-operation-meta.html>.

use super::{Call, record};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use std::sync::Arc;
use tacet_vault::{MetaChange, MetaScope};

pub(super) async fn meta<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let scope = scope(call)?;
    // It takes no parameters: what a POST brings may be a Parameters resource with none.
    let body = call.body();
    if !body.is_empty() && !is_without_parameters(&body) {
        return Err(ApiError::invalid("`$meta` takes no parameters: send an empty body, or use GET"));
    }
    // Many records may have to be read to tell the labels of all.
    let elsewhere = matches!(scope, MetaScope::System | MetaScope::Type(_));
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let meta = call.run(async move { app.service.meta(&caller, &scope).await }, elsewhere).await?;
    Ok(Reply::record(StatusCode::OK, meta))
}

/// What the path is about: `/$meta`, `/[type]/$meta`, `/[type]/[id]/$meta` or `/[type]/[id]/_history/[version]/$meta`.
fn scope<S: RecordService>(call: &Call<'_, S>) -> Result<MetaScope, ApiError> {
    Ok(match call.path.split('/').skip(1).count() {
        1 => MetaScope::System,
        2 => MetaScope::Type(call.resource_type()?),
        3 => MetaScope::Record(call.resource_type()?, call.id()?),
        _ => MetaScope::Version(call.resource_type()?, call.id()?, call.version()?),
    })
}

pub(super) async fn change<S: RecordService>(change: MetaChange, call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id) = (call.resource_type()?, call.id()?);
    let if_match = record::if_match(call.headers)?;
    let body = call.body();
    let meta = call.app.service.change_meta(call.caller, resource_type, &id, change, &body, if_match).await?;
    Ok(Reply::record(StatusCode::OK, meta))
}

fn is_without_parameters(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        resource_type: String,
        #[serde(default)]
        parameter: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice(body)
        .is_ok_and(|body: Parameters| body.resource_type == "Parameters" && body.parameter.is_empty())
}
