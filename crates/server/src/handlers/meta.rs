//! `$meta`, `$meta-add` and `$meta-delete`: the profiles, tags and security labels of a record.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/resource-operation-meta.html>.

use super::{Call, record};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use tacet_vault::MetaChange;

pub(super) async fn meta<S: RecordService>(call: &Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (resource_type, id) = (call.resource_type()?, call.id()?);
    // It takes no parameters on a record: what a POST brings may be a Parameters resource with none.
    let body = call.body();
    if !body.is_empty() && !is_without_parameters(&body) {
        return Err(ApiError::invalid("`$meta` of a record takes no parameters: send an empty body, or use GET"));
    }
    let meta = call.app.service.meta(call.caller, resource_type, &id).await?;
    Ok(Reply::record(StatusCode::OK, meta))
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
