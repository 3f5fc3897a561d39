//! Accounts of people: asking for one, reading, taking away, asking for more.
//!
//! What one person may do takes away, or gives back what is no right. All else is a request for a second person, and answered with it.

use super::asked::{Reading, Why, account, approval_json, at, body, instant, role};
use super::{AdminCall, created, json_reply};
use crate::error::ApiError;
use crate::reply::Reply;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_identity::{Account, AccountId, Act, ApprovalId, Draft, Window};
use tacet_types::Timestamp;

/// A new account, as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    login: String,
    display: String,
    role: String,
    #[serde(default)]
    practitioner: Option<String>,
    #[serde(default)]
    patients: Vec<String>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    supplier: bool,
    #[serde(default)]
    ends: Option<String>,
    why: Why,
}

/// What shall change of an account: one thing at a time, so that an answer says what became of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "change")]
enum Change {
    /// No login and no session from now on. One person may.
    Suspend { reason: String },
    /// Takes a suspension back.
    Resume {},
    /// Takes a lock-out back.
    Unlock {},
    /// Ended for good.
    Close { reason: String },
    /// Another role: a second person decides.
    Role {
        role: String,
        #[serde(default)]
        practitioner: Option<String>,
        #[serde(default)]
        patients: Vec<String>,
        why: Why,
    },
    /// When a supplier may log in: a second person decides.
    Window { from: String, until: String, why: Why },
}

const WANTED: &str = "`login`, `display`, `role`, and `why` with `ticket` and `reason`; for roles of care `practitioner`, for the role \
                      patient `patients`";
const CHANGE: &str = "`change` is `suspend` or `close` with a `reason`, `resume`, `unlock`, `role` with `role` and `why`, or `window` with \
                      `from`, `until` and `why`";
const WHY: &str = "`ticket`, `reason` and, where it is not a day, `end`";
const CODE_OR_WHY: &str =
    "`approval` for the first code of an invitation that was allowed, or `ticket` and `reason` to ask for one";

/// Every account, by login.
pub(super) fn list<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let now = call.now();
    let accounts: Vec<Value> = call.people.identity.accounts()?.iter().map(|account| of(account, now)).collect();
    Ok(json_reply(StatusCode::OK, &json!({ "accounts": accounts })))
}

/// Asks for a new one.
pub(super) async fn ask<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    let wanted: Wanted = body(&call.body, WANTED)?;
    let mut draft = Draft::new(&wanted.login, &wanted.display, role(&wanted.role)?);
    draft.practitioner = wanted.practitioner;
    draft.patients = wanted.patients;
    draft.external_id = wanted.external_id;
    draft.supplier = wanted.supplier;
    draft.ends_ms = wanted.ends.as_deref().map(instant).transpose()?.map(Timestamp::as_ms);
    asked_for(call, Act::NewAccount(draft), wanted.why).await
}

/// One account, with its sessions and the names of its passkeys.
pub(super) fn read<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = named(call)?;
    let identity = &call.people.identity;
    let account = identity.account(&id)?.ok_or_else(ApiError::not_found)?;
    let mut answer = of(&account, call.now());
    let sessions = identity.sessions(&id)?;
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|session| json!({ "session": session.session, "began": session.began.to_string(), "seen": session.seen.to_string() }))
        .collect();
    let passkeys = identity.passkeys(&id)?;
    let passkeys: Vec<Value> = passkeys
        .iter()
        .map(|key| {
            json!({
                "id": key.id, "label": key.label, "added": at(key.added_ms), "used": key.used_ms.map(at), "suspect": key.suspect,
            })
        })
        .collect();
    if let Value::Object(members) = &mut answer {
        members.insert("sessions".into(), json!(sessions));
        members.insert("passkeys".into(), json!(passkeys));
    }
    Ok(json_reply(StatusCode::OK, &answer))
}

/// Changes one, or asks for the change.
pub(super) async fn change<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    let change: Change = body(&call.body, CHANGE)?;
    let (id, identity) = (named(call)?, &call.people.identity);
    let actor = call.actor()?;
    let changed = match change {
        Change::Suspend { reason } => identity.suspend(&actor, &id, &reason).await,
        Change::Resume {} => identity.resume(&actor, &id).await,
        Change::Unlock {} => identity.unlock(&actor, &id).await,
        Change::Close { reason } => identity.close(&actor, &id, &reason).await,
        Change::Role { role: name, practitioner, patients, why } => {
            let act = Act::Role { account: id, role: role(&name)?, practitioner, patients };
            return asked_for(call, act, why).await;
        }
        Change::Window { from, until, why } => {
            let window = Window { from_ms: instant(&from)?.as_ms(), until_ms: instant(&until)?.as_ms() };
            return asked_for(call, Act::Supplier { account: id, window }, why).await;
        }
    };
    let changed = changed?;
    call.cut_off(&changed).await?;
    Ok(json_reply(StatusCode::OK, &of(&changed, call.now())))
}

/// The first code of an invitation, for whoever asked for it; or asks for an invitation.
pub(super) async fn invitation<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OfApproval {
        approval: String,
    }
    let id = named(call)?;
    let Ok(OfApproval { approval }) = serde_json::from_slice(&call.body) else {
        let why: Why = body(&call.body, CODE_OR_WHY)?;
        return asked_for(call, Act::Invite(id), why).await;
    };
    let approval = ApprovalId::parse(&approval).ok_or_else(ApiError::not_found)?;
    let identity = &call.people.identity;
    let found = identity.approval(&approval)?;
    if found.and_then(|found| found.account).as_ref() != Some(&id) {
        return Err(ApiError::not_found());
    }
    let first = identity.first_code(&call.actor()?, &approval).await?;
    // In the fragment: it is sent to no server and stands in no log.
    let link = format!("{}/auth/enrol#{}", call.app.base_url, first.reveal());
    Ok(json_reply(StatusCode::OK, &json!({ "account": id.as_str(), "code": first.reveal(), "link": link })))
}

/// Ends every session of an account, and what it gave to apps.
pub(super) async fn end_sessions<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let id = named(call)?;
    call.people.identity.end_sessions_of(&call.actor()?, &id).await?;
    call.revoke(&id).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Asks for the recovery of an account whose passkeys are lost.
pub(super) async fn recovery<S>(call: &AdminCall<'_, S>) -> Result<Reply, ApiError> {
    let why: Why = body(&call.body, WHY)?;
    asked_for(call, Act::Recovery(named(call)?), why).await
}

/// Asks a second person, and says so.
pub(super) async fn asked_for<S>(call: &AdminCall<'_, S>, act: Act, why: Why) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let now = call.now();
    let request = why.request(act, now)?;
    let approval = call.people.identity.ask(&call.actor()?, request).await?;
    let place = format!("{}/_approvals/{}", call.app.base_url, approval.id);
    created(StatusCode::ACCEPTED, &place, &approval_json(&Reading::of(call)?, &approval)?)
}

fn named<S>(call: &AdminCall<'_, S>) -> Result<AccountId, ApiError> {
    account(call.segment(1))
}

fn of(account: &Account, now: Timestamp) -> Value {
    let window = account.window.map(|window| json!({ "from": at(window.from_ms), "until": at(window.until_ms) }));
    json!({
        "id": account.id.as_str(),
        "login": account.login,
        "display": account.display,
        "role": account.role.as_str(),
        "state": account.state.as_str(),
        "practitioner": account.practitioner,
        "patients": account.patients,
        "externalId": account.external_id,
        "supplier": account.supplier,
        "window": window,
        "ends": account.ends_ms.map(at),
        "created": at(account.created_ms),
        "changed": at(account.changed_ms),
        "used": account.used_ms.map(at),
        "lockedUntil": account.locked(now).map(|until| until.to_string()),
        "suspendedByDirectory": account.suspended_by_feed,
        "passkeyCount": account.passkeys(),
    })
}
