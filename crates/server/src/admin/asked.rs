//! What stands in the body of a request of administration, and how an approval is told.

use super::AdminCall;
use crate::error::ApiError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tacet_identity::{AccountId, Act, Approval, Identity, Kind, Request, Who};
use tacet_types::{Role, Timestamp};

/// When what is allowed ends where nothing is said, in milliseconds: a day.
const END_MS: i64 = 86_400_000;

/// What everybody writes who asks for a second person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Why {
    /// The ticket that it belongs to.
    pub(super) ticket: String,
    /// In words.
    pub(super) reason: String,
    /// When what is allowed ends: a time of FHIR.
    #[serde(default)]
    pub(super) end: Option<String>,
    /// Whether it may be used until then, and not just once.
    #[serde(default)]
    pub(super) until_end: bool,
}

impl Why {
    /// The request for this act.
    pub(super) fn request(self, act: Act, now: Timestamp) -> Result<Request, ApiError> {
        let end = self.end.as_deref().map(instant).transpose()?.unwrap_or(now.plus_ms(END_MS));
        Ok(Request { act, ticket: self.ticket, reason: self.reason, end, until_end: self.until_end })
    }
}

/// Reads a body: JSON of the form that the route asks for. What it holds is not repeated in the refusal.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8], form: &'static str) -> Result<T, ApiError> {
    // An object and nothing else: by its place in a list, a value says less plainly what it is.
    let object = bytes.trim_ascii_start().first() == Some(&b'{');
    let read = object.then(|| serde_json::from_slice(bytes).ok()).flatten();
    read.ok_or_else(|| ApiError::invalid(format!("the body must be a JSON object: {form}")))
}

/// A time in a body.
pub(super) fn instant(text: &str) -> Result<Timestamp, ApiError> {
    Timestamp::parse(text).map_err(|_| ApiError::invalid("a time must be written like `2026-11-22T14:30:00Z`"))
}

/// A role in a body.
pub(super) fn role(name: &str) -> Result<Role, ApiError> {
    Role::parse(name).ok_or_else(|| ApiError::invalid("there is no such role: docs/identity.md names them"))
}

/// The account that a path or a body names.
pub(super) fn account(id: &str) -> Result<AccountId, ApiError> {
    AccountId::parse(id).ok_or_else(ApiError::not_found)
}

/// A time as it is written in answers.
pub(super) fn at(ms: i64) -> String {
    Timestamp::from_ms(ms).to_string()
}

/// What somebody reads of approvals: with the names of the accounts in them, as far as they may know these. Accounts are looked up once.
pub(super) struct Reading<'a> {
    identity: &'a Identity,
    role: Role,
    own: Option<AccountId>,
    now: Timestamp,
    known: RefCell<BTreeMap<AccountId, Value>>,
}

impl<'a> Reading<'a> {
    /// For whoever asks.
    pub(super) fn of<S>(call: &'a AdminCall<'_, S>) -> Result<Self, ApiError> {
        let actor = call.actor()?;
        let known = RefCell::default();
        Ok(Self { identity: &call.people.identity, role: actor.role, own: actor.account, now: call.now(), known })
    }

    /// An account with its names as they are now. Who keeps accounts knows all of them, who decides those that they decide about, and everybody their
    /// own; others read its id.
    fn account(&self, id: &AccountId, kind: Kind) -> Result<Value, ApiError> {
        let may_know = self.role.may_keep_accounts() || kind.may_decide(self.role) || self.own.as_ref() == Some(id);
        if !may_know {
            return Ok(json!({ "account": id.as_str() }));
        }
        if let Some(known) = self.known.borrow().get(id) {
            return Ok(known.clone());
        }
        let named = match self.identity.account(id)? {
            Some(account) => json!({
                "account": id.as_str(), "login": account.login, "display": account.display, "role": account.role.as_str(),
                "state": account.state.as_str(),
            }),
            None => json!({ "account": id.as_str() }),
        };
        self.known.borrow_mut().insert(id.clone(), named.clone());
        Ok(named)
    }

    /// Who asked or decided: as they were then, with the names that the account has now.
    fn who(&self, who: &Who, kind: Kind) -> Result<Value, ApiError> {
        let mut told = json!({ "account": null, "name": who.name });
        if let (Some(id), Value::Object(members)) = (&who.account, &mut told)
            && let Value::Object(named) = self.account(id, kind)?
        {
            members
                .extend(named.into_iter().filter(|(name, _)| matches!(name.as_str(), "account" | "login" | "display")));
        }
        if let Value::Object(members) = &mut told {
            members.insert("role".into(), json!(who.role.as_str()));
            members.insert("at".into(), json!(at(who.at_ms)));
        }
        Ok(told)
    }

    /// The accounts of these ids.
    fn accounts(&self, ids: &[AccountId], kind: Kind) -> Result<Vec<Value>, ApiError> {
        ids.iter().map(|id| self.account(id, kind)).collect()
    }
}

/// An approval as people read it.
pub(super) fn approval_json(reading: &Reading<'_>, approval: &Approval) -> Result<Value, ApiError> {
    let (kind, now) = (approval.act.kind(), reading.now);
    let decision = match &approval.decision {
        None => None,
        Some(decision) => {
            let by = reading.who(&decision.by, kind)?;
            Some(json!({ "by": by, "allowed": decision.allowed, "remark": decision.remark }))
        }
    };
    let concerns = approval.account.as_ref().map(|id| reading.account(id, kind)).transpose()?;
    let gain = reading.accounts(approval.act.beneficiaries(), kind)?;
    Ok(json!({
        "id": approval.id.as_str(),
        "kind": approval.act.kind().as_str(),
        "act": act_json(&approval.act),
        "standing": approval.standing(now),
        "asked": reading.who(&approval.asked, kind)?,
        "ticket": approval.ticket,
        "reason": approval.reason,
        "pendingUntil": at(approval.pending_until_ms),
        "end": at(approval.end_ms),
        "untilEnd": approval.until_end,
        "decision": decision,
        "used": approval.used_ms.map(at),
        "account": approval.account.as_ref().map(AccountId::as_str),
        "concerns": concerns,
        "gain": gain,
    }))
}

/// What exactly is asked for: who decides must see all of it.
fn act_json(act: &Act) -> Value {
    match act {
        Act::NewAccount(draft) => json!({
            "login": draft.login, "display": draft.display, "role": draft.role.as_str(),
            "practitioner": draft.practitioner, "patients": draft.patients, "externalId": draft.external_id,
            "supplier": draft.supplier, "ends": draft.ends_ms.map(at),
        }),
        Act::Invite(account) | Act::Recovery(account) => json!({ "account": account.as_str() }),
        Act::Role { account, role, practitioner, patients } => json!({
            "account": account.as_str(), "role": role.as_str(), "practitioner": practitioner, "patients": patients,
        }),
        Act::Supplier { account, window } => {
            json!({ "account": account.as_str(), "from": at(window.from_ms), "until": at(window.until_ms) })
        }
        Act::Other { text, beneficiaries, .. } => {
            let beneficiaries: Vec<&str> = beneficiaries.iter().map(AccountId::as_str).collect();
            json!({ "text": text, "beneficiaries": beneficiaries })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_to_the_letter_and_not_repeated() {
        let why: Why = body(br#"{"ticket":"T-1","reason":"because"}"#, "x").unwrap();
        let now = Timestamp::from_ms(0);
        let act = Act::Recovery(AccountId::parse("a1").unwrap());
        let request = why.request(act.clone(), now).unwrap();
        assert_eq!((request.end, request.until_end), (now.plus_ms(END_MS), false));
        for wrong in [&b"{}"[..], b"", br#"["T-1","because"]"#, br#"{"ticket":"T","reason":"r","more":"Aubrac"}"#] {
            let refused = body::<Why>(wrong, "a ticket and a reason").err().unwrap();
            let (status, _, told) = refused.public_face(&tacet_types::OperationId([1; 16]));
            assert_eq!(status.as_u16(), 400);
            assert!(!String::from_utf8(told).unwrap().contains("Aubrac"));
        }
        let why = Why { ticket: "T".into(), reason: "r".into(), end: Some("tomorrow".into()), until_end: false };
        assert!(why.request(act, now).is_err());
    }
}
