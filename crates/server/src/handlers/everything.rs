//! `Patient/[id]/$everything` and `Encounter/[id]/$everything`: a patient, or a stay, with all that is in the compartment.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/operation-patient-everything.html> and
//! <https://hl7.org/fhir/R4/encounter-operation-everything.html>.

use super::Call;
use crate::bundle::{self, Links};
use crate::error::ApiError;
use crate::query::Query;
use crate::reply::Reply;
use crate::routes::is_kept;
use crate::service::RecordService;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use tacet_types::ResourceType;
use tacet_vault::{Asked, EverythingQuery};

/// Longest `Parameters` resource of a POST, in bytes.
pub(crate) const PARAMETERS_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn everything<S: RecordService>(mut call: Call<'_, S>) -> Result<Reply, ApiError> {
    let (of, id) = (call.resource_type()?, call.id()?);
    let of_patient = of.as_str() == "Patient";
    if call.method == Method::POST {
        let body = call.body();
        take_parameters(&body, &mut call.query)?;
    }
    match of_patient {
        true => call.query.only(&["_since", "_type", "_count", "start", "end", "_cursor"])?,
        false => call.query.only(&["_since", "_type", "_count", "_cursor"])?,
    }
    let limits = &call.app.limits;
    let query = EverythingQuery {
        since: call.query.since()?,
        start: call.query.period("start")?.map(|(first, _)| first),
        before: call.query.period("end")?.map(|(_, after)| after),
        types: types(&call.query)?,
        count: call.query.count(limits.page_count_default, limits.page_count_max)?,
        cursor: call.query.get("_cursor")?.map(str::to_owned),
        asked: Asked::Everything,
    };
    let base = &call.app.base_url;
    let path = format!("{base}/{of}/{}/$everything", id.as_str());
    let (app, caller) = (Arc::clone(call.app), call.caller.clone());
    let work = async move {
        match of_patient {
            true => app.service.everything(&caller, &id, &query).await,
            false => app.service.everything_of_encounter(&caller, &id, &query, &app.base_url).await,
        }
    };
    // Even a page of one record may pass over all that the patient has.
    let page = call.run(work, true).await?;
    let link = |cursor: Option<&str>| format!("{path}{}", call.query.link(cursor));
    let links = Links { this: link(None), next: page.next.as_deref().map(|cursor| link(Some(cursor))) };
    Ok(Reply::record(StatusCode::OK, bundle::everything(&page, base, &links, call.app.clock.now())))
}

/// `_type`: names of types, by commas or repeated.
fn types(query: &Query) -> Result<Vec<ResourceType>, ApiError> {
    let names = query.all("_type").flat_map(|value| value.split(','));
    names
        .map(|name| ResourceType::parse(name).filter(|kind| is_kept(*kind)))
        .collect::<Option<_>>()
        .ok_or_else(|| ApiError::invalid("`_type` must be names of resource types, separated by commas"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    resource_type: String,
    #[serde(default)]
    parameter: Vec<Parameter>,
}

/// A parameter with a value of one of the types that those of this operation have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameter {
    name: String,
    value_id: Option<String>,
    value_instant: Option<String>,
    value_date: Option<String>,
    value_code: Option<String>,
    value_string: Option<String>,
    value_integer: Option<u32>,
    value_canonical: Option<String>,
}

/// Reads a `Parameters` resource into the query, so that both ways of asking are one from there on.
pub(super) fn take_parameters(body: &[u8], query: &mut Query) -> Result<(), ApiError> {
    let refused = || {
        ApiError::invalid(
            "the body must be a Parameters resource with the parameters of this operation, each with one value",
        )
    };
    let parameters: Parameters = serde_json::from_slice(body).map_err(|_| refused())?;
    if parameters.resource_type != "Parameters" {
        return Err(refused());
    }
    for parameter in parameters.parameter {
        let number = parameter.value_integer.map(|number| number.to_string());
        let mut values = [
            parameter.value_id,
            parameter.value_instant,
            parameter.value_date,
            parameter.value_code,
            parameter.value_string,
            parameter.value_canonical,
            number,
        ]
        .into_iter()
        .flatten();
        match (values.next(), values.next()) {
            (Some(value), None) => query.push(&parameter.name, value)?,
            _ => return Err(refused()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_query() {
        let mut query = Query::default();
        let body = br#"{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":5},
            {"name":"_type","valueCode":"Condition"},{"name":"_type","valueCode":"Observation,Encounter"},
            {"name":"_since","valueInstant":"2024-01-01T00:00:00+01:00"}]}"#;
        take_parameters(body, &mut query).unwrap();
        assert_eq!(query.count(100, 100).unwrap(), 5);
        let names: Vec<_> = types(&query).unwrap().into_iter().map(ResourceType::as_str).collect();
        assert_eq!(names, ["Condition", "Observation", "Encounter"]);
        assert!(query.since().unwrap().is_some());
        for body in [
            "",
            "{}",
            r#"{"resourceType":"Patient"}"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"_count"}]}"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"_count","valueBoolean":true}]}"#,
        ] {
            assert!(take_parameters(body.as_bytes(), &mut Query::default()).is_err(), "{body}");
        }
        assert!(types(&Query::parse(Some("_type=Patient,Nonsense")).unwrap()).is_err());
    }
}
