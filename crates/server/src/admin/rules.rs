//! The rules on who may see what: which there are, and why somebody may see something or not. Nothing of a record is told but its labels'
//! effect, and the answer is in the ledger: who asks for a patient's explanations asks about a patient.

use super::asked::{account, body};
use super::changes::in_force;
use super::emergencies::vault;
use super::{AdminCall, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_ledger::noted::NotedRows;
use tacet_ledger::{Agent, Entry};
use tacet_policy::{Act, Explanation, Verdict};
use tacet_types::{ResourceId, ResourceType, Timestamp};
use tacet_vault::{Caller, EventKind, Outcome, PurposeOfUse};

/// Who shall do what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The account.
    account: String,
    /// `read` where nothing is said.
    #[serde(default)]
    act: Option<String>,
    /// `Observation/o1`.
    record: String,
}

const QUESTION: &str = "`account` (its id), `record` (like `Observation/o1`) and, where it is not `read`, `act`";

/// The rules that apply.
pub(super) fn list<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let vault = vault(call)?;
    let policies = vault.policies().ok_or_else(|| ApiError::not_supported("rules on who may see what"))?;
    let all: Vec<Value> = policies
        .infos()
        .map(|info| {
            json!({
                "id": &*info.id, "permits": info.permits, "reason": &*info.reason, "file": &*info.file, "line": info.line,
                "ground": info.ground.as_deref(),
            })
        })
        .collect();
    Ok(json_reply(StatusCode::OK, &json!({ "inForce": in_force(vault.rules_in_force()?.as_ref()), "policies": all })))
}

/// Why somebody may do something to a record, or may not.
pub(super) async fn explain<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let question: Question = body(&call.body, QUESTION)?;
    let wrong = || ApiError::invalid(format!("give {QUESTION}"));
    let act = question.act.as_deref().map_or(Some(Act::Read), Act::parse).ok_or_else(wrong)?;
    let (kind, id) = question.record.split_once('/').ok_or_else(wrong)?;
    let kind = ResourceType::parse(kind).ok_or_else(wrong)?;
    let id = ResourceId::parse(id).map_err(|_| wrong())?;
    let of = call.people.identity.account(&account(&question.account)?)?;
    let of = of.ok_or_else(ApiError::not_found)?;
    let asking = call.caller()?;
    let purpose = tacet_vault::usual_purpose(of.role);
    let mut about = Caller::new(of.login.clone(), of.role, purpose, asking.origin, asking.operation);
    about.practitioner = of.practitioner_id();
    about.patients = of.patient_ids();
    about.account = Some(of.id.as_str().to_owned());
    (about.strong, about.supplier) = (true, of.supplier);
    let vault = vault(call)?;
    let explained = vault.explain(&about, act, kind, &id);
    // Written down before it is told, like all that is told of a patient.
    let detail = format!("why account {} may or may not {act} {kind}/{}", of.id, id.as_str());
    NotedRows::commit(vault, Vec::new(), entries(&asking, call.now(), &detail, explained.as_ref().ok()))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let explanation = explained?;
    let verdict = match &explanation.verdict {
        Verdict::Open(basis) => json!({ "open": true, "basis": basis.to_string() }),
        Verdict::ContentDecides => json!({ "open": null }),
        Verdict::Closed => json!({ "open": false }),
    };
    let reasons: Vec<Value> =
        explanation.reasons.iter().map(|(id, reason)| json!({ "policy": id, "reason": reason })).collect();
    let answer = json!({ "verdict": verdict, "reasons": reasons, "text": explanation.to_string() });
    Ok(json_reply(StatusCode::OK, &answer))
}

/// One entry for each patient of the record; one without, where there is none.
fn entries(asking: &Caller, now: Timestamp, detail: &str, explanation: Option<&Explanation>) -> Vec<Entry> {
    let agent =
        || Agent { owner: asking.owner.clone(), role: asking.role.as_str().to_owned(), token: asking.token.clone() };
    let entry = |patient: Option<ResourceId>| {
        let mut entry = Entry::new(now, EventKind::Search, agent(), PurposeOfUse::Compliance, asking.operation);
        entry.origin = asking.origin;
        entry.account.clone_from(&asking.account);
        entry.session.clone_from(&asking.session);
        entry.device.clone_from(&asking.device);
        entry.outcome = if explanation.is_some() { Outcome::Success } else { Outcome::Failed };
        entry.patient = ResourceType::parse("Patient").zip(patient);
        entry.detail = Some(detail.to_owned());
        entry
    };
    let towards = explanation.map(|explanation| explanation.towards.as_slice()).unwrap_or_default();
    let mut patients: Vec<Option<ResourceId>> = towards.iter().map(|towards| towards.patient.clone()).collect();
    patients.truncate(tacet_ledger::ENTRIES_MAX);
    if patients.is_empty() {
        patients.push(None);
    }
    patients.into_iter().map(entry).collect()
}
