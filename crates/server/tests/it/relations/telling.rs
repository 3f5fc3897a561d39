//! What is told about a patient by other ways than records: by AuditEvents, reports of accesses, and subscriptions.

use super::cases::{Case, is_own, is_told_of_accesses};
use super::cells::{form, path_of};
use super::{But, Matrix};
use crate::client::Ask;
use hyper::Method;
use serde_json::{Value, json};
use tacet_server::{Action, Route};
use tacet_vault::Role;

/// An AuditEvent that another system stored about a patient.
pub(super) fn audit_event(patient: &str) -> Value {
    json!({"resourceType": "AuditEvent", "id": format!("ae-{patient}"), "recorded": "2026-03-02T09:00:00Z",
        "meta": {"tag": [{"system": "urn:matrix", "code": format!("audit-{patient}")}]},
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": true, "name": "another system"}], "source": {"observer": {"display": "another system"}},
        "entity": [{"what": {"reference": format!("Patient/{patient}")}}]})
}

/// A machine's subscription about a patient.
pub(super) fn subscription(patient: &str) -> Value {
    json!({"resourceType": "Subscription", "id": format!("s-{patient}"), "status": "requested", "reason": "matrix",
        "criteria": format!("Observation?patient={patient}"),
        "channel": {"type": "rest-hook", "endpoint": "https://elsewhere.example/hook"}})
}

impl Matrix {
    /// AuditEvents: of the ledger for who audits and for the patient, stored ones for machines.
    pub(super) async fn accesses(&mut self, route: &Route, method: &Method, role: Role, case: Case, patient: &str) {
        let name = format!("{method} {} as {role}, {case:?}", route.pattern);
        let told = is_told_of_accesses(role, case);
        let path = path_of(route.pattern, patient);
        if route.action == Action::AuditRead {
            let number = self.entries[patient];
            let stored = role == Role::Integrator;
            for (path, expected) in [(format!("/AuditEvent/l-{number}"), told), (path, stored)] {
                let answer = self.hospital.ask(role, Ask::new(method.as_str(), &path)).await;
                let right = answer.status == if expected { 200 } else { 404 };
                self.expect(right, || format!("{name}, {path}: {} {:?}", answer.status, answer.body));
            }
            return;
        }
        let ask = match *method == Method::POST {
            true => form(&path, format!("patient={patient}&_count=5")),
            false => Ask::new(method.as_str(), &format!("{path}?patient={patient}&_count=5")),
        };
        let answer = self.hospital.ask(role, ask).await;
        let mut right = answer.status == 200;
        if right && *method != Method::HEAD {
            let entries = answer.value()["entry"].as_array().cloned().unwrap_or_default();
            let events = entries.iter().filter(|entry| entry["resource"]["resourceType"] == "AuditEvent");
            let about = format!("Patient/{patient}\"");
            let (of_patient, others): (Vec<&Value>, Vec<&Value>) =
                events.partition(|event| event.to_string().contains(&about));
            right = others.is_empty() && of_patient.is_empty() != (told || role == Role::Integrator);
        }
        self.expect(right, || format!("{name}: {} {:?}", answer.status, answer.body));
    }

    /// Only machines change what other systems said of accesses, or add to it.
    pub(super) async fn changes_accesses(
        &mut self,
        route: &Route,
        method: &Method,
        role: Role,
        case: Case,
        patient: &str,
    ) {
        let id = format!("ae-{patient}");
        let mut changed = audit_event(patient);
        changed["language"] = json!("fr");
        let mut path = path_of(route.pattern, patient);
        if matches!(route.action, Action::ConditionalUpdate | Action::ConditionalPatch | Action::ConditionalDelete) {
            path = format!("{path}?_id={id}");
        }
        let ask = Ask::new(method.as_str(), &path);
        let patch = json!([{"op": "add", "path": "/language", "value": "fr"}]).to_string();
        let ask = match *method {
            Method::PATCH => ask.json(patch).header("content-type", "application/json-patch+json"),
            Method::DELETE => ask,
            _ => {
                if route.action == Action::Create {
                    changed.as_object_mut().unwrap().remove("id");
                }
                ask.json(changed.to_string())
            }
        };
        let before = self.hospital.version("AuditEvent", &id).await;
        let answer = self.hospital.ask(role, ask).await;
        let after = self.hospital.version("AuditEvent", &id).await;
        if before != after {
            self.hospital.put_all(&[audit_event(patient)]).await;
        }
        let made = answer.status == 201;
        let right = match (role == Role::Integrator, route.action == Action::Create) {
            (true, true) => made,
            (true, false) => before != after,
            (false, _) => before == after && before.is_some() && answer.status != 200 && !made,
        };
        self.expect(right, || {
            let name = format!("{method} {} as {role}, {case:?}", route.pattern);
            format!("{name}: {} {:?} {before:?} {after:?}", answer.status, answer.body)
        });
    }

    /// Who reached the record: told to the patient, and to who hands it to them.
    pub(super) async fn report(&mut self, route: &Route, method: &Method, role: Role, case: Case, patient: &str) {
        let ask = Ask::new(method.as_str(), &path_of(route.pattern, patient));
        let answer = self.hospital.ask(role, ask).await;
        let expected = match role {
            Role::Auditor | Role::SecurityOfficer => 200,
            // Who looked at what and when could tell of a transport.
            Role::Patient if is_own(role, case) && case.but != But::Detained => 200,
            Role::Patient => 404,
            _ => 403,
        };
        let name = format!("{method} {} as {role}, {case:?}", route.pattern);
        self.expect(answer.status == expected, || format!("{name}: {} {:?}", answer.status, answer.body));
    }

    /// Subscriptions are of machines: nobody else learns of one, or makes one.
    pub(super) async fn subscribes(&mut self, route: &Route, method: &Method, role: Role, case: Case, patient: &str) {
        let name = format!("{method} {} as {role}, {case:?}", route.pattern);
        let ask = Ask::new(method.as_str(), &path_of(route.pattern, patient));
        let ask = if *method == Method::POST { ask.json(r#"{"resourceType":"Parameters"}"#) } else { ask };
        let answer = self.hospital.ask(role, ask).await;
        let machine = role == Role::Integrator;
        let right = match route.pattern.contains("{id}") {
            true => answer.status == if machine { 200 } else { 404 },
            false => {
                let told = String::from_utf8_lossy(&answer.body).contains(&format!("Subscription/s-{patient}\""));
                answer.status == 200 && (*method == Method::HEAD || told == machine)
            }
        };
        self.expect(right, || format!("{name}: {} {:?}", answer.status, answer.body));
        if route.pattern.contains("{id}") || *method != Method::POST {
            return;
        }
        let mut own = subscription(patient);
        own.as_object_mut().unwrap().remove("id");
        let answer = self.hospital.ask(role, Ask::new("POST", "/Subscription").json(own.to_string())).await;
        let right = if machine { answer.status == 201 } else { [403, 404].contains(&answer.status) };
        self.expect(right, || format!("POST /Subscription as {role}, {case:?}: {} {:?}", answer.status, answer.body));
    }
}
