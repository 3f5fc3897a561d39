//! What each route is asked in the matrix, and how.

use super::cases::{Case, Kind};
use crate::client::Ask;
use crate::ward::family;
use hyper::Method;
use serde_json::{Value, json};
use tacet_server::{Action, AdminAction, Route};

/// What a route is asked in the matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cell {
    /// One record is shown, or is not there.
    Shows(Kind),
    /// It is among what is found, or nothing is.
    Finds(Kind),
    /// It is among a bundle's answers, or is not there.
    Answers,
    /// It is changed, or may not be, or is not there.
    Changes,
    /// It is changed where a search finds it.
    ChangesFound,
    /// A line of a body changes it, or is rejected.
    Imports,
    /// A record of the patient is made.
    Creates,
    /// All that is seen, page after page.
    Lists,
    /// The tags of all that is seen.
    Tags,
    /// What the ledger says of the patient, or AuditEvents that are stored.
    Accesses,
    /// An AuditEvent of the patient is changed, or made.
    ChangesAccesses,
    /// Who reached the record.
    Report,
    /// A subscription about the patient.
    Subscribes,
    /// A copy in which the patient is, or is not.
    Takes,
    /// A copy or an import that somebody else began.
    Whose,
    /// Somebody with a session is told of the patient, or not.
    Told,
    /// About no patient, which the text says: only the role counts.
    Once(&'static str),
}

/// The cell of a route. An action without a line does not compile.
pub(super) fn cell(route: &Route) -> Cell {
    let pattern = route.pattern;
    let audit = pattern.starts_with("/AuditEvent");
    match route.action {
        Action::AuditRead | Action::AuditSearch => Cell::Accesses,
        Action::Create | Action::Update | Action::Patch | Action::Delete if audit => Cell::ChangesAccesses,
        Action::ConditionalUpdate | Action::ConditionalPatch | Action::ConditionalDelete if audit => {
            Cell::ChangesAccesses
        }
        Action::Read | Action::Vread | Action::HistoryInstance => Cell::Shows(Kind::Observation),
        Action::Meta | Action::Validate if pattern.contains("{id}") => Cell::Shows(Kind::Observation),
        Action::Everything if pattern.starts_with("/Patient") => Cell::Shows(Kind::Patient),
        Action::Everything => Cell::Shows(Kind::Encounter),
        Action::Summary => Cell::Shows(Kind::Patient),
        Action::SearchType | Action::SearchSystem | Action::SearchCompartment => Cell::Finds(Kind::Observation),
        Action::Match => Cell::Finds(Kind::Patient),
        Action::Bundle => Cell::Answers,
        Action::Update | Action::Patch | Action::Delete | Action::MetaAdd | Action::MetaDelete => Cell::Changes,
        Action::ConditionalUpdate | Action::ConditionalPatch | Action::ConditionalDelete => Cell::ChangesFound,
        Action::Import => Cell::Imports,
        Action::Create => Cell::Creates,
        Action::HistoryType | Action::HistorySystem => Cell::Lists,
        Action::Meta => Cell::Tags,
        Action::AccessReport => Cell::Report,
        Action::SubscriptionStatus | Action::SubscriptionEvents => Cell::Subscribes,
        Action::ExportSystem | Action::ExportPatients | Action::ExportGroup => Cell::Takes,
        Action::CopyStatus | Action::CopyFile | Action::CopyEnd => Cell::Whose,
        Action::ImportStatus | Action::ImportEnd => Cell::Whose,
        Action::Validate => Cell::Once("what is sent, and nothing that is stored"),
        Action::Terminology => Cell::Once("codes"),
        Action::Metadata | Action::Health | Action::WellKnown => Cell::Once("the server"),
        Action::Metrics | Action::IndexStatus | Action::IndexRebuild => Cell::Once("the machine"),
        Action::LogFile => Cell::Once("hashes and sealed entries"),
        Action::FeedAdt => Cell::Once("who sends admissions is shown nothing"),
        Action::Auth(_) => Cell::Once("logins and apps"),
        Action::Admin(action) => cell_of_people(action),
        Action::Absent(_) => Cell::Once("not there"),
    }
}

/// The cell of a route for people with a session.
fn cell_of_people(action: AdminAction) -> Cell {
    match action {
        AdminAction::LedgerEntries | AdminAction::LedgerExtent => Cell::Told,
        AdminAction::PolicyExplain | AdminAction::BreakGlassDeclare => Cell::Told,
        AdminAction::BreakGlassEnd | AdminAction::BreakGlassOpen | AdminAction::BreakGlassReview => Cell::Told,
        AdminAction::Notices => Cell::Told,
        AdminAction::NoticeSeen => Cell::Once("one's own notices"),
        AdminAction::AccessReviews | AdminAction::AccessReviewPrepare | AdminAction::AccessReview => {
            Cell::Once("a period, of everybody, for who reviews it")
        }
        AdminAction::AccessReviewJudge | AdminAction::AccessReviewClose => Cell::Once("an item of a review"),
        AdminAction::Accounts | AdminAction::AccountAsk | AdminAction::Account => Cell::Once("accounts"),
        AdminAction::AccountChange | AdminAction::Invitation | AdminAction::Recovery => Cell::Once("accounts"),
        AdminAction::SessionsEnd | AdminAction::Scim(_) => Cell::Once("accounts"),
        AdminAction::Approvals | AdminAction::ApprovalAsk | AdminAction::Approval | AdminAction::Decision => {
            Cell::Once("what one person asked another for")
        }
        AdminAction::Clients | AdminAction::Client => Cell::Once("apps"),
        AdminAction::ClientEnd | AdminAction::ClientApproval => Cell::Once("apps"),
        AdminAction::Policy | AdminAction::PolicyAsk => Cell::Once("the rules"),
        AdminAction::PolicyProposed | AdminAction::PolicyApply => Cell::Once("the rules"),
        AdminAction::Lockdown | AdminAction::Lock | AdminAction::LockdownLift => Cell::Once("the store"),
    }
}

/// The path of a route about a patient.
pub(super) fn path_of(pattern: &str, patient: &str) -> String {
    let id = match pattern {
        _ if pattern.starts_with("/Patient/") => patient.to_owned(),
        _ if pattern.starts_with("/Encounter/") => format!("e-{patient}"),
        _ if pattern.starts_with("/Group/") => format!("g-{patient}"),
        _ if pattern.starts_with("/Subscription/") => format!("s-{patient}"),
        _ if pattern.starts_with("/AuditEvent/") => format!("ae-{patient}"),
        "/{type}/{id}/{operation}" | "/{type}/{id}/{operation}/_search" => patient.to_owned(),
        _ => format!("o-{patient}"),
    };
    let of_compartment = pattern.starts_with("/{type}/{id}/{operation}");
    pattern
        .replace("{type}", if of_compartment { "Patient" } else { "Observation" })
        .replace("{id}", &id)
        .replace("{version}", "1")
        .replace("{operation}", "Observation")
        .replace(['{', '}', '*'], "")
}

pub(super) fn form(path: &str, fields: String) -> Ask {
    Ask::new("POST", path).json(fields).header("content-type", "application/x-www-form-urlencoded")
}

/// The request of a route about a case's Observation, or its patient.
pub(super) fn request(route: &Route, method: &Method, case: Case, patient: &str) -> Ask {
    let path = path_of(route.pattern, patient);
    let find = format!("_id=o-{patient}");
    let json_ask = |path: &str, body: &Value| Ask::new(method.as_str(), path).json(body.to_string());
    let patch = json!([{"op": "add", "path": "/language", "value": "fr"}]);
    let patched = |path: &str| json_ask(path, &patch).header("content-type", "application/json-patch+json");
    let tag = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "urn:matrix", "code": format!("tag-{patient}")}]}}]});
    let parameters = json!({"resourceType": "Parameters"});
    let mut changed = case.observation(patient);
    changed["language"] = json!("fr");
    let similar = json!({"resourceType": "Patient", "identifier": [{"system": "urn:ward:ins", "value": format!("INS-{patient}")}],
        "name": [{"family": family(patient), "given": ["Zelie"]}], "birthDate": "1970-05-17", "gender": "female"});
    match route.action {
        Action::SearchType | Action::SearchCompartment if method == Method::POST => form(&path, find),
        Action::SearchSystem if method == Method::POST => form(&path, format!("_type=Observation&{find}")),
        Action::SearchType | Action::SearchCompartment => Ask::new(method.as_str(), &format!("{path}?{find}")),
        Action::SearchSystem => Ask::new(method.as_str(), &format!("{path}?_type=Observation&{find}")),
        Action::Match => {
            let parameter = json!({"name": "resource", "resource": similar});
            json_ask(&path, &json!({"resourceType": "Parameters", "parameter": [parameter]}))
        }
        Action::Bundle => {
            let entry = json!({"request": {"method": "GET", "url": format!("Observation/o-{patient}")}});
            json_ask(&path, &json!({"resourceType": "Bundle", "type": "batch", "entry": [entry]}))
        }
        Action::Update => json_ask(&path, &changed),
        Action::ConditionalUpdate => json_ask(&format!("{path}?{find}"), &changed),
        Action::Patch => patched(&path),
        Action::ConditionalPatch => patched(&format!("{path}?{find}")),
        Action::ConditionalDelete => Ask::new("DELETE", &format!("{path}?{find}")),
        Action::MetaAdd => {
            let mut other = tag;
            other["parameter"][0]["valueMeta"]["tag"][0]["code"] = json!("added");
            json_ask(&path, &other)
        }
        Action::MetaDelete => json_ask(&path, &tag),
        Action::Summary if route.pattern == "/Patient/$summary" => {
            let path = format!("{path}?identifier=urn:ward:ins%7CINS-{patient}");
            if method == Method::POST { json_ask(&path, &parameters) } else { Ask::new(method.as_str(), &path) }
        }
        Action::Meta | Action::Everything if method == Method::POST => json_ask(&path, &parameters),
        Action::Summary if method == Method::POST => json_ask(&path, &parameters),
        // Whether what is stored could be deleted.
        Action::Validate if method == Method::POST => json_ask(&format!("{path}?mode=delete"), &parameters),
        Action::Create => {
            let mut record = case.observation(patient);
            record.as_object_mut().unwrap().remove("id");
            record.as_object_mut().unwrap().remove("encounter");
            json_ask(&path, &record)
        }
        // What was stored before by the same lines would be passed over.
        Action::Import => {
            json_ask(&format!("{path}?_again=true"), &changed).header("content-type", "application/fhir+ndjson")
        }
        _ => Ask::new(method.as_str(), &path),
    }
}
