//! `$validate`: what is wrong with a resource, without storing it.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/resource-operation-validate.html>. The answer is an OperationOutcome with status 200 however many
//! errors there are: the question was answered.

use super::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use std::sync::Arc;
use tacet_fhir::outcome::operation_outcome_bytes;
use tacet_vault::ValidateCall;

pub(super) async fn validate<S: RecordService>(call: Call<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&["mode", "profile"])?;
    let resource_type = call.resource_type()?;
    let on_type = call.segment(1).is_some_and(|segment| segment.starts_with('$'));
    let id = if on_type { None } else { Some(call.id()?) };
    let body = call.body();
    let asked = ValidateCall {
        resource_type,
        id,
        body: (!body.is_empty()).then(|| body.to_vec()),
        mode: call.query.get("mode")?.map(str::to_owned),
        profiles: call.query.all("profile").map(str::to_owned).collect(),
    };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let issues = call.run(async move { app.service.validate(&caller, &asked).await }, true).await?;
    Ok(Reply::fhir(StatusCode::OK, operation_outcome_bytes(&issues, Some(&call.caller.operation))))
}
