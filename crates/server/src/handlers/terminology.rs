//! Operations on code systems, value sets and concept maps.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/terminology-service.html>. What they answer is the record store's business; here are the path,
//! the parameters and the answer.

use super::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::{Method, StatusCode};
use std::sync::Arc;
use tacet_types::ResourceId;
use tacet_vault::{DefinitionKind, OperationCall, OperationInput};

pub(super) async fn operate<S: RecordService>(call: Call<'_, S>) -> Result<Reply, ApiError> {
    let kind = DefinitionKind::of(call.resource_type()?).ok_or_else(ApiError::not_found)?;
    let (id, name) = place(&call)?;
    let input = if call.method == Method::POST {
        // What stands in two places could contradict itself.
        call.query.only(&[])?;
        OperationInput::Body(call.body().to_vec())
    } else {
        OperationInput::Query(call.query.search())
    };
    let operation = OperationCall { kind, id, name, input };
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    // An expansion may look at millions of concepts.
    let answer = call.run(async move { app.service.terminology(&caller, &operation).await }, true).await?;
    Ok(Reply::record(StatusCode::OK, answer))
}

/// The id in the path, if there is one, and the operation's name without `$`.
fn place<S: RecordService>(call: &Call<'_, S>) -> Result<(Option<ResourceId>, String), ApiError> {
    let second = call.segment(1).unwrap_or_default();
    match second.strip_prefix('$') {
        Some(name) => Ok((None, name.to_owned())),
        None => {
            let third = call.segment(2).unwrap_or_default();
            let name = third.strip_prefix('$').ok_or_else(ApiError::not_found)?;
            Ok((Some(call.id()?), name.to_owned()))
        }
    }
}
