//! Other rules on who may see what: proposed by one, looked at and allowed by another, put in force by who proposed them.
//!
//! What applies is what two people have read, kept under the seal: no file of the machine takes its place.

use super::asked::{Reading, Why, approval_json, body};
use super::emergencies::vault;
use super::{AdminCall, created, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tacet_identity::{Act, Approval, ApprovalId, Kind};
use tacet_policy::{Policies, PolicyInfo, simulate};
use tacet_vault::{Rules, RulesInForce};
use tokio::task::spawn_blocking;

/// Other rules, as they are proposed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Proposed {
    /// Texts by file name. They stand alone: what is left out is left out.
    #[serde(default)]
    files: Option<BTreeMap<String, String>>,
    /// In place of files: those that come with the program.
    #[serde(default)]
    built_in: bool,
    why: Why,
}

const PROPOSED: &str =
    "`files` (texts by name, such as `care.cedar`) or `builtIn` true, and `why` with `ticket` and `reason`";

/// What is in force, for the list of rules.
pub(super) fn in_force(found: Option<&RulesInForce>) -> Value {
    found.map_or(Value::Null, |found| {
        json!({
            "fingerprint": found.rules.fingerprint(), "builtIn": found.rules.is_built_in(), "since": found.since.to_string(), "by": found.by,
        })
    })
}

/// Proposes other rules, and asks a second person.
pub(super) async fn ask<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Proposed { files, built_in, why } = body(&call.body, PROPOSED)?;
    let actor = call.actor()?;
    if !Kind::PolicyChange.may_ask(actor.role) {
        return Err(ApiError::forbidden());
    }
    let rules = match (files, built_in) {
        (Some(files), false) => {
            Rules::of(files.into_iter().collect()).map_err(|error| ApiError::invalid(error.to_string()))?
        }
        (None, true) => Rules::built_in(),
        _ => return Err(ApiError::invalid(format!("the body must be a JSON object: {PROPOSED}"))),
    };
    let (vault, identity, now) = (vault(call)?, &call.people.identity, call.now());
    let act = Act::Other { kind: Kind::PolicyChange, text: rules.words(), beneficiaries: Vec::new() };
    let request = why.request(act, now)?;
    let mut waiting = identity.words_waiting(Kind::PolicyChange)?;
    waiting.push(rules.words());
    // The texts first: an approval without what it is about would be of no use, texts that nobody asked about go with the next proposal.
    vault.propose_rules(&call.caller()?, &rules, &waiting).await?;
    let approval = identity.ask(&actor, request).await?;
    let place = format!("{}/_policy/changes/{}", call.app.base_url, approval.id);
    created(StatusCode::ACCEPTED, &place, &approval_json(&Reading::of(call)?, &approval)?)
}

/// What is proposed, beside what is in force: for who asked and for who may decide. `simulate=true` says also what it gives and takes.
pub(super) async fn read<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&["simulate"])?;
    let simulated = match call.query.get("simulate")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ApiError::invalid("`simulate` must be `true`, or be left out")),
    };
    let (approval, words) = known(call)?;
    let vault = vault(call)?;
    let rules = vault.proposed_rules(&words)?.ok_or_else(ApiError::not_found)?;
    let now = vault.policies().ok_or_else(|| ApiError::not_supported("rules on who may see what"))?;
    let then = rules.policies().map_err(|error| ApiError::invalid(error.to_string()))?;
    let files: BTreeMap<&str, &str> = rules.files().iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let before = vault.rules_in_force()?;
    let old: BTreeMap<&str, &str> = before
        .iter()
        .flat_map(|found| found.rules.files().iter().map(|(name, text)| (name.as_str(), text.as_str())))
        .collect();
    let mut answer = json!({
        "approval": approval_json(&Reading::of(call)?, &approval)?, "fingerprint": rules.fingerprint(), "builtIn": rules.is_built_in(),
        "files": files, "inForce": in_force(before.as_ref()), "filesInForce": old,
        "added": absent_from(&then, &now), "removed": absent_from(&now, &then),
    });
    if simulated {
        let told = spawn_blocking(move || simulate(&now, &then)).await;
        let told = told.map_err(|_| ApiError::internal("simulating policies ended in a panic"))?;
        let lines = |changes: &[tacet_policy::Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
        if let Value::Object(members) = &mut answer {
            let told = json!({ "tried": told.tried, "gained": lines(&told.gained), "lost": lines(&told.lost) });
            members.insert("simulation".into(), told);
        }
    }
    Ok(json_reply(StatusCode::OK, &answer))
}

/// Puts in force what was proposed and allowed. It applies to every request that begins after the answer.
pub(super) async fn apply<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let (approval, words) = known(call)?;
    let vault = vault(call)?;
    let identity = &call.people.identity;
    // Before it is looked for what was proposed: of what is used up, nothing is left.
    let using = identity.using(&call.actor()?, &approval.id, Kind::PolicyChange, &words)?;
    let rules = vault.proposed_rules(&words)?.ok_or_else(ApiError::not_found)?;
    let decided = approval.decision.as_ref().map_or("nobody", |decision| decision.by.name.as_str());
    let by = format!("approval {}, asked for by {}, allowed by {decided}", approval.id, approval.asked.name);
    vault.put_rules_in_force(&call.caller()?, &rules, &by, Some((using.write, using.entry))).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "inForce": in_force(vault.rules_in_force()?.as_ref()) })))
}

/// Ids of policies that are in the first and not in the second. What changed within one, the texts show.
fn absent_from(first: &Policies, second: &Policies) -> Vec<String> {
    let absent = |info: &&PolicyInfo| second.info(&info.id).is_none();
    first.infos().filter(absent).map(|info| info.id.to_string()).collect()
}

/// The approval that the path names, with its words. To whoever neither asked nor may decide it is not there.
fn known<S>(call: &AdminCall<'_, S>) -> Result<(Approval, String), ApiError> {
    let id = ApprovalId::parse(call.segment(2)).ok_or_else(ApiError::not_found)?;
    let approval = super::approvals::concerning(call, &id)?;
    match &approval.act {
        Act::Other { kind: Kind::PolicyChange, text, .. } => {
            let words = text.clone();
            Ok((approval, words))
        }
        _ => Err(ApiError::not_found()),
    }
}
