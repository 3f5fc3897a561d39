//! Four eyes: asking for a second person, deciding, and using what was allowed.

use super::accounts::asked_for;
use super::asked::{Reading, Why, account, approval_json, body, instant, role};
use super::{AdminCall, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_identity::{Act, Approval, ApprovalId, Kind, Window};

/// What is asked for. Accounts are asked for under `/_accounts` too: it is the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    kind: String,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    practitioner: Option<String>,
    #[serde(default)]
    patients: Vec<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    beneficiaries: Vec<String>,
    why: Why,
}

/// What somebody decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    allowed: bool,
    #[serde(default)]
    remark: String,
}

const WANTED: &str = "`kind`, what it is about (`account`, `role`, `from` and `until`, or the `text` that the refusal named), and `why` with \
                      `ticket` and `reason`";
const DECIDED: &str = "`allowed`, true or false, and a `remark` where there is something to say";

/// Approvals that this person asked for or may decide on; `standing=pending`: those that wait.
pub(super) fn list<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&["standing"])?;
    let pending = match call.query.get("standing")? {
        None => false,
        Some("pending") => true,
        Some(_) => return Err(ApiError::invalid("`standing` must be `pending`, or be left out")),
    };
    let reading = Reading::of(call)?;
    let approvals = call.people.identity.approvals(&call.actor()?, pending)?;
    let told = approvals.iter().map(|approval| approval_json(&reading, approval));
    let approvals: Vec<Value> = told.collect::<Result<_, _>>()?;
    Ok(json_reply(StatusCode::OK, &json!({ "approvals": approvals })))
}

/// Asks.
pub(super) async fn ask<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    let wanted: Wanted = body(&call.body, WANTED)?;
    let kind = Kind::parse(&wanted.kind).ok_or_else(|| {
        ApiError::invalid(format!("`kind` must be one of {}", Kind::ALL.map(Kind::as_str).join(", ")))
    })?;
    let missing = || ApiError::invalid(format!("something is missing: {WANTED}"));
    let of = || wanted.account.as_deref().ok_or_else(missing).and_then(account);
    let act = match kind {
        Kind::NewAccount => Act::Invite(of()?),
        Kind::Recovery => Act::Recovery(of()?),
        Kind::RoleChange => Act::Role {
            account: of()?,
            role: role(wanted.role.as_deref().ok_or_else(missing)?)?,
            practitioner: wanted.practitioner.clone(),
            patients: wanted.patients.clone(),
        },
        Kind::SupplierSession => {
            let time = |text: &Option<String>| instant(text.as_deref().ok_or_else(missing)?);
            let window = Window { from_ms: time(&wanted.from)?.as_ms(), until_ms: time(&wanted.until)?.as_ms() };
            Act::Supplier { account: of()?, window }
        }
        _ => Act::Other {
            kind,
            text: wanted.text.clone().ok_or_else(missing)?,
            beneficiaries: wanted.beneficiaries.iter().map(|id| account(id)).collect::<Result<_, _>>()?,
        },
    };
    asked_for(call, act, wanted.why).await
}

/// One approval: for whoever asked, and for who may decide on it.
pub(super) fn read<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    Ok(json_reply(StatusCode::OK, &approval_json(&Reading::of(call)?, &known(call)?)?))
}

/// Decides, or takes up what a machine proposed. Where that makes an invitation, the answer has its second code: shown once, to whoever decided.
pub(super) async fn decide<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    let Decided { allowed, remark } = body(&call.body, DECIDED)?;
    let id = known(call)?.id;
    let decided = call.people.identity.decide(&call.actor()?, &id, allowed, &remark).await?;
    // Another role or new passkeys: what the account gave to apps in its former life ends.
    if let Some(changed) = decided.approval.account.as_ref().filter(|_| allowed) {
        call.revoke(changed).await?;
    }
    let mut answer = approval_json(&Reading::of(call)?, &decided.approval)?;
    if let (Some(code), Value::Object(members)) = (&decided.second_code, &mut answer) {
        members.insert("secondCode".into(), json!(code.reveal()));
    }
    Ok(json_reply(StatusCode::OK, &answer))
}

/// The approval that the path names. To whoever neither asked nor may decide it is not there.
fn known<S>(call: &AdminCall<'_, S>) -> Result<Approval, ApiError> {
    let id = ApprovalId::parse(call.segment(1)).ok_or_else(ApiError::not_found)?;
    concerning(call, &id)
}

/// The approval of this id. To whoever neither asked nor may decide it is not there.
pub(super) fn concerning<S>(call: &AdminCall<'_, S>, id: &ApprovalId) -> Result<Approval, ApiError> {
    let actor = call.actor()?;
    let found = call.people.identity.approval(id)?;
    let concerns = |approval: &Approval| {
        let asked = actor.account.is_some() && approval.asked.account == actor.account;
        asked || approval.act.kind().may_decide(actor.role)
    };
    found.filter(concerns).ok_or_else(ApiError::not_found)
}
