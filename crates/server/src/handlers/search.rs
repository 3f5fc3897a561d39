//! Searches: among the records of a type, of a compartment, of all. What a search means and finds is the record store's
//! business; here are its parameters, its links and its Bundle.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/http.html#search>.

use super::Call;
use crate::bundle::{self, Links};
use crate::error::ApiError;
use crate::negotiate::{BodyType, is_strict};
use crate::query::Query;
use crate::reply::Reply;
use crate::routes::{Action, is_kept};
use crate::service::RecordService;
use hyper::{Method, StatusCode};
use std::sync::Arc;
use tacet_fhir::compartment::Compartment;
use tacet_search::request::{Handling, Scope};
use tacet_types::{ResourceId, ResourceType, Role};
use tacet_vault::SearchCall;

pub(super) async fn search<S: RecordService>(action: Action, mut call: Call<'_, S>) -> Result<Reply, ApiError> {
    let (scope, path) = scope(action, &call)?;
    if call.method == Method::POST {
        if call.body_type != BodyType::Form {
            return Err(ApiError::invalid("send the parameters as `application/x-www-form-urlencoded`"));
        }
        let body = call.body();
        call.query.push_form(&body)?;
    }
    let base = &call.app.base_url;
    // Unknown parameters are refused unless the client asks otherwise: a filter that is dropped shows more than was asked for.
    let handling = if is_strict(call.headers).unwrap_or(true) { Handling::Strict } else { Handling::Lenient };
    let cursor = call.query.get("_cursor")?.map(str::to_owned);
    let mut parameters = call.query.search();
    let count: Vec<(String, String)> = parameters.iter().filter(|(name, _)| name == "_count").cloned().collect();
    if cursor.is_some() {
        // The size of the page is in the cursor with the rest; that it stands beside it helps clients that look for it.
        parameters.retain(|(name, _)| name != "_count");
    }
    let search = SearchCall { scope, parameters, handling, base_url: base.clone(), cursor };
    let general = call.query.general();
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    // Who may read the ledger, and a patient, see its entries here; to others AuditEvents are records like any.
    let of_ledger = action == Action::AuditSearch && reads_ledger(caller.role);
    let finding = async move {
        match of_ledger {
            true => app.service.search_audit(&caller, &search).await,
            false => app.service.search(&caller, &search).await,
        }
    };
    let page = call.run(finding, true).await?;

    let link = |parameters: &[(String, String)], cursor: Option<&str>| {
        let all = parameters.iter().chain(&general).cloned().collect();
        format!("{base}{path}{}", Query::from_pairs(all).link(cursor))
    };
    // The link to the next page holds nothing of the query but the size of a page: it is all in the cursor, sealed.
    let next = page.next.as_deref().map(|cursor| link(&count, Some(cursor)));
    let links = Links { this: link(&page.used, None), next };
    Ok(Reply::record(StatusCode::OK, bundle::search(&page, base, &links, call.app.clock.now(), &call.caller.operation)))
}

/// Whether AuditEvents are entries of the ledger to this role.
pub(super) fn reads_ledger(role: Role) -> bool {
    role.may_read_ledger() || role == Role::Patient
}

/// What is searched, and the path of links.
fn scope<S: RecordService>(action: Action, call: &Call<'_, S>) -> Result<(Scope, String), ApiError> {
    match action {
        Action::SearchSystem => Ok((Scope::System, "/".to_owned())),
        Action::SearchType | Action::AuditSearch => {
            let resource_type = call.resource_type()?;
            Ok((Scope::Type(resource_type), format!("/{resource_type}")))
        }
        _ => {
            let (of, id): (ResourceType, ResourceId) = (call.resource_type()?, call.id()?);
            let name = call.segment(2).unwrap_or_default().into_owned();
            if name.starts_with('$') {
                return Err(ApiError::not_supported("this operation"));
            }
            let types = match name.as_str() {
                "*" => None,
                name => Some(ResourceType::parse(name).filter(|kind| is_kept(*kind)).ok_or_else(ApiError::not_found)?),
            };
            let compartment = Compartment::of(of).ok_or_else(ApiError::not_found)?;
            let path = format!("/{of}/{}/{name}", id.as_str());
            Ok((Scope::Compartment { compartment, id, types }, path))
        }
    }
}
