//! Reaching for a right to read: every way that one person who administers could think of, alone.

use super::walk::Marks;
use crate::commands::drill::http::Client;
use crate::commands::drill::people::{Office, Somebody, account};
use crate::commands::drill::staged::Stage;
use crate::error::CliError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use tacet_identity::{Actor, Draft, State};
use tacet_ledger::noted::{NotedRows, Table};
use tacet_ledger::people::NoticeRow;
use tacet_seal::SecureRng;
use tacet_types::{OperationId, Role};

/// One try.
pub(super) struct Try {
    pub(super) what: String,
    pub(super) status: u16,
    /// Whether a right came of it.
    pub(super) gained: bool,
    /// Whether a second person is waited for.
    pub(super) asks: bool,
}

/// What came of all.
pub(super) struct Grasp {
    pub(super) tries: Vec<Try>,
    /// Answers with strings of a patient.
    pub(super) leaks: u64,
    /// Requests that wait for a second person.
    pub(super) waiting: u64,
    /// Accounts that can log in and may read records, beside the physician's.
    pub(super) readers: u64,
    /// Whether the physician's account is as it was.
    pub(super) physician_untouched: bool,
    /// Notices to people, by what they are about.
    pub(super) notices: BTreeMap<String, u64>,
}

struct Hands<'a> {
    marks: &'a Marks,
    tries: Vec<Try>,
    leaks: u64,
}

impl Hands<'_> {
    /// Asks for something that nobody may have alone: any success but "it waits for a second person" is a gain.
    fn reach(&mut self, what: &str, by: &Client, method: &str, path: &str, body: &Value) -> Result<Value, CliError> {
        self.reach_with(what, by, method, path, &[], body)
    }

    fn reach_with(
        &mut self,
        what: &str,
        by: &Client,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, CliError> {
        let fhir = path.starts_with("/Patient") || path.starts_with("/Observation") || path.starts_with("/$");
        let kind = if path.starts_with("/scim") { "application/scim+json" } else { "application/json" };
        let mut headers = more.to_vec();
        if !fhir {
            headers.push(("Content-Type", kind));
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = by.ask(method, path, &headers, &text).map_err(|error| {
            CliError::Usage(format!("the drill could not be played: {what} was not answered ({error})"))
        })?;
        let value = answer.json();
        // An approval that nobody decided on yet.
        let asks = value
            .pointer("/state")
            .or(value.pointer("/standing"))
            .and_then(Value::as_str)
            .is_some_and(|state| state == "pending")
            || answer.status == 202;
        let gained = (200..400).contains(&answer.status) && !asks;
        self.leaks += u64::from(self.marks.within(&answer) > 0);
        self.tries.push(Try { what: what.to_owned(), status: answer.status, gained, asks });
        Ok(value)
    }
}

/// Reaches.
pub(super) fn grasp(
    stage: &Stage,
    office: &Office,
    physician: &Somebody,
    directory: &Client,
    marks: &Marks,
) -> Result<Grasp, CliError> {
    let mut hands = Hands { marks, tries: Vec::new(), leaks: 0 };
    let before = account(stage, physician)?;
    alone(&mut hands, stage, office, physician)?;
    by_the_directory(&mut hands, stage, directory)?;
    with_an_app(&mut hands, office)?;
    at_the_records(&mut hands, stage, office, physician)?;
    let waiting = decide_oneself(&mut hands, stage, office)?;
    let root = Actor::command_line("rogue", OperationId::random(&SecureRng));
    let further = stage.wait(stage.identity().bootstrap(&root, Draft::new("third", "third", Role::Administrator)));
    let gained = further.is_ok();
    hands.tries.push(Try { what: "a further first account at the machine".into(), status: 0, gained, asks: false });

    let after = account(stage, physician)?;
    let accounts = stage.identity().accounts().map_err(|error| CliError::other("accounts cannot be read", error))?;
    let able = |account: &&tacet_identity::Account| {
        account.role.may_read_records() && account.state == State::Active && account.id != before.id
    };
    let unchanged = after.role == before.role && after.state == before.state;
    Ok(Grasp {
        leaks: hands.leaks,
        tries: hands.tries,
        waiting,
        readers: accounts.iter().filter(able).count() as u64,
        physician_untouched: unchanged && after.passkeys() == before.passkeys(),
        notices: notices(stage)?,
    })
}

fn why() -> Value {
    json!({ "ticket": "T-1", "reason": "because it is needed" })
}

/// With the administrator's own session.
fn alone(hands: &mut Hands<'_>, stage: &Stage, office: &Office, physician: &Somebody) -> Result<(), CliError> {
    let by = &office.administrator.client;
    let own = office.administrator.person.account.as_str();
    let practitioner = stage.hospital.staff().next().map(|member| member.id).unwrap_or_default();
    let role = |role: &str| json!({ "change": "role", "role": role, "practitioner": practitioner, "why": why() });
    hands.reach("a reading role for oneself", by, "PATCH", &format!("/_accounts/{own}"), &role("clinician"))?;
    let friend = office.second.person.account.as_str();
    hands.reach("a reading role for a colleague", by, "PATCH", &format!("/_accounts/{friend}"), &role("nurse"))?;
    for role in ["clinician", "administrator"] {
        let wanted = json!({
            "login": format!("own-{role}"), "display": "Second self", "role": role,
            "practitioner": (role == "clinician").then(|| practitioner.clone()), "why": why(),
        });
        hands.reach(&format!("a second account of one's own, {role}"), by, "POST", "/_accounts", &wanted)?;
    }
    let other = physician.person.account.as_str();
    hands.reach("new passkeys for a physician", by, "POST", &format!("/_accounts/{other}/recovery"), &why())?;
    hands.reach("an invitation for a physician", by, "POST", &format!("/_accounts/{other}/invitation"), &why())?;
    for kind in ["broad-rights", "bulk-export", "policy-change", "erasure"] {
        let wanted = json!({ "kind": kind, "text": "all of it", "why": why() });
        hands.reach(&format!("approval of {kind}"), by, "POST", "/_approvals", &wanted)?;
    }
    hands.reach("another policy", by, "PUT", "/_policy", &json!({ "policies": [] }))?;
    hands.reach("another policy", by, "POST", "/_policy", &json!({ "policies": [] }))?;
    hands.reach("a token", by, "POST", "/_tokens", &json!({ "role": "clinician" }))?;
    hands.reach("a launch", by, "POST", "/_launches", &json!({ "patient": stage.hospital.patient_id(0) }))?;
    let emergency = json!({
        "patient": stage.hospital.patient_id(0), "reason": "vital-emergency", "text": "collapsed in the corridor", "minutes": 30,
    });
    hands.reach("an emergency, by an administrator", by, "POST", "/_break-glass", &emergency)?;
    hands.reach("an emergency, by security", &office.security.client, "POST", "/_break-glass", &emergency)?;
    hands.reach("an emergency, by the auditor", &office.auditor.client, "POST", "/_break-glass", &emergency)?;
    Ok(())
}

/// With the machine that provisions accounts.
fn by_the_directory(hands: &mut Hands<'_>, stage: &Stage, directory: &Client) -> Result<(), CliError> {
    let practitioner = stage.hospital.staff().next().map(|member| member.id).unwrap_or_default();
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ghost", "externalId": "ghost-1",
        "displayName": "Ghost", "active": true, "roles": [{ "value": "clinician", "primary": true }],
        "urn:tacet:params:scim:schemas:extension:hospital:2.0:User": { "practitioner": practitioner },
    });
    let answer =
        directory.ask("POST", "/scim/v2/Users", &[("Content-Type", "application/scim+json")], &user.to_string());
    let answer =
        answer.map_err(|error| CliError::other("the drill could not be played: SCIM was not answered", error))?;
    // The directory may name people. Nobody logs in by that: whether somebody can is counted afterwards.
    hands.tries.push(Try {
        what: "an account by the directory (enrols nobody)".into(),
        status: answer.status,
        gained: false,
        asks: false,
    });
    hands.reach("a record, by the directory", directory, "GET", "/Patient", &Value::Null)?;
    hands.reach("an approval, by the directory", directory, "GET", "/_approvals", &Value::Null)?;
    Ok(())
}

/// An app of one's own with the widest scopes.
fn with_an_app(hands: &mut Hands<'_>, office: &Office) -> Result<(), CliError> {
    let by = &office.administrator.client;
    let wanted = json!({
        "client_name": "Harmless", "redirect_uris": ["https://app.example/cb"], "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt", "scope": "system/*.cruds",
        "jwks": { "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }] },
    });
    let answer = by.ask("POST", "/oauth/register", &[("Content-Type", "application/json")], &wanted.to_string());
    let answer =
        answer.map_err(|error| CliError::other("the drill could not be played: no answer to an app", error))?;
    // Anybody may register; what counts is whether it is let in.
    hands.tries.push(Try {
        what: "an app of one's own (registered, not let in)".into(),
        status: answer.status,
        gained: false,
        asks: answer.status < 300,
    });
    if let Some(id) = answer.json().get("client_id").and_then(Value::as_str) {
        hands.reach("letting one's own app in", by, "POST", &format!("/_clients/{id}/approval"), &why())?;
    }
    Ok(())
}

/// Straight at the records, with what a request can claim about itself.
fn at_the_records(hands: &mut Hands<'_>, stage: &Stage, office: &Office, physician: &Somebody) -> Result<(), CliError> {
    let path = format!("/Patient/{}", stage.hospital.patient_id(0));
    let name = physician.person.login.as_str();
    for (who, client) in [
        ("administrator", &office.administrator.client),
        ("security officer", &office.security.client),
        ("auditor", &office.auditor.client),
    ] {
        for (claim, header) in [
            ("as it is", ("Accept", "application/fhir+json")),
            ("for treatment", ("X-Purpose-Of-Use", "TREAT")),
            ("in an emergency", ("X-Purpose-Of-Use", "BTG")),
            ("on behalf of a physician", ("X-On-Behalf-Of", name)),
            ("with an approval", ("X-Approval", "00000000000000000000000000000000")),
        ] {
            hands.reach_with(
                &format!("a record, {claim}, by the {who}"),
                client,
                "GET",
                &path,
                &[header],
                &Value::Null,
            )?;
        }
        let export = [("Prefer", "respond-async")];
        hands.reach_with(&format!("a copy by the {who}"), client, "GET", "/$export", &export, &Value::Null)?;
    }
    Ok(())
}

/// Decides on everything that one asked for oneself. Gives how much waits.
fn decide_oneself(hands: &mut Hands<'_>, stage: &Stage, office: &Office) -> Result<u64, CliError> {
    let own = &office.administrator;
    let device = own.client.session.as_ref().map(|session| session.device.clone()).unwrap_or_default();
    let connection = tacet_identity::Connection::new(None, Some(&device), "drill", OperationId::random(&SecureRng));
    let actor = stage.identity().actor(&own.person, &connection);
    let waiting = stage.identity().approvals(&actor, true);
    let waiting = waiting.map_err(|error| CliError::other("approvals cannot be read", error))?;
    for approval in &waiting {
        let (what, path) = (approval.act.kind().as_str(), format!("/_approvals/{}/decision", approval.id));
        let allowed = json!({ "allowed": true, "remark": "fine" });
        hands.reach(&format!("letting oneself have {what}"), &own.client, "POST", &path, &allowed)?;
        let invited = json!({ "approval": approval.id.to_string() });
        let path = format!("/_accounts/{}/invitation", own.person.account);
        hands.reach(&format!("the first code of {what}, undecided"), &own.client, "POST", &path, &invited)?;
    }
    Ok(waiting.len() as u64)
}

fn notices(stage: &Stage) -> Result<BTreeMap<String, u64>, CliError> {
    let mut notices: BTreeMap<String, u64> = BTreeMap::new();
    let scanned = stage.vault.scan(Table::Notices, &mut |row| {
        if let Ok(notice) = NoticeRow::decode(&row.value) {
            *notices.entry(format!("{:?}", notice.kind)).or_default() += 1;
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| CliError::other("the drill could not be played: notices cannot be read", error))?;
    Ok(notices)
}
