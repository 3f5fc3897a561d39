//! The authorisation matrix on the real vault: every route of the table, in every role, for patients to whom the role has each kind of
//! relation, or none. What is expected stands in small tables here; no policy is asked for it.

use crate::client::{Answer, Ask};
use crate::ward::{ACT_CODE, Chart, OWN_CODES, Ward, family, refusal};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use tacet_server::{Access, Action, ROUTES, Route};
use tacet_vault::Role;

/// What a patient has to do with everybody of the hospital.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    /// Nothing.
    Nothing,
    /// Lies in the ward of the clinician and the nurse.
    Ward,
    /// Everybody takes part in the stay.
    Participant,
    /// Everybody is in the team.
    CareTeam,
    /// As [`Case::Participant`], and the patient refused.
    Denied,
    /// Carers declared an emergency.
    BreakGlass,
    /// It is the patient's account.
    Own,
    /// There is an open order for the laboratory.
    Order,
    /// As [`Case::Ward`], and a known person.
    Vip,
    /// As [`Case::Ward`], and detained.
    Detained,
    /// As [`Case::Ward`], and works here.
    Staff,
    /// As [`Case::Ward`]; the Observation has a label for which only those in charge are cleared.
    Label,
}

const CASES: &[(Case, &str)] = &[
    (Case::Nothing, "p-none"),
    (Case::Ward, "p-ward"),
    (Case::Participant, "p-part"),
    (Case::CareTeam, "p-team"),
    (Case::Denied, "p-denied"),
    (Case::BreakGlass, "p-glass"),
    (Case::Own, "p-own"),
    (Case::Order, "p-order"),
    (Case::Vip, "p-vip"),
    (Case::Detained, "p-detained"),
    (Case::Staff, "p-staff"),
    (Case::Label, "p-label"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Patient,
    Encounter,
    Observation,
}

fn sees(role: Role, case: Case, kind: Kind) -> bool {
    use Case::{BreakGlass, CareTeam, Denied, Detained, Label, Order, Own, Participant, Staff, Vip, Ward};
    let labelled = case == Label && kind == Kind::Observation;
    match role {
        Role::Integrator => true,
        Role::Clinician | Role::Nurse => {
            matches!(case, Ward | Participant | CareTeam | BreakGlass | Label) && !labelled
        }
        Role::Pharmacist => matches!(case, Ward | Participant | CareTeam | Label) && !labelled,
        Role::Laboratory => case == Order && kind != Kind::Encounter,
        Role::Reception => kind != Kind::Observation && !matches!(case, Denied | Vip | Detained | Staff),
        Role::Patient => case == Own,
        Role::Feed | Role::Auditor | Role::SecurityOfficer | Role::Administrator | Role::Operator => false,
    }
}

fn changes_observations(role: Role, case: Case) -> bool {
    match role {
        Role::Pharmacist | Role::Reception | Role::Patient => false,
        role => sees(role, case, Kind::Observation),
    }
}

/// What a route is asked in the matrix. An action without a line does not compile.
enum Cell {
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
    /// A record of the patient is made.
    Creates,
    /// All that is seen, page after page.
    Lists,
    /// About no patient: only the role counts.
    Role,
}

fn cell(action: Action, pattern: &str) -> Cell {
    match action {
        // What the ledger says has its own tests; the routes of that type stand again beside those of all types.
        _ if pattern.starts_with("/AuditEvent") => Cell::Role,
        Action::Read | Action::Vread | Action::HistoryInstance => Cell::Shows(Kind::Observation),
        Action::Meta if pattern.contains("{id}") => Cell::Shows(Kind::Observation),
        Action::Everything if pattern.starts_with("/Patient") => Cell::Shows(Kind::Patient),
        Action::Everything => Cell::Shows(Kind::Encounter),
        Action::Summary if pattern.contains("{id}") => Cell::Shows(Kind::Patient),
        Action::Summary => Cell::Role,
        Action::SearchType | Action::SearchSystem | Action::SearchCompartment => Cell::Finds(Kind::Observation),
        Action::Match => Cell::Finds(Kind::Patient),
        Action::Bundle => Cell::Answers,
        Action::Update | Action::Patch | Action::Delete | Action::MetaAdd | Action::MetaDelete => Cell::Changes,
        Action::ConditionalUpdate | Action::ConditionalPatch | Action::ConditionalDelete => Cell::ChangesFound,
        Action::Create => Cell::Creates,
        Action::HistoryType | Action::HistorySystem => Cell::Lists,
        Action::Meta | Action::Validate | Action::Terminology => Cell::Role,
        Action::SubscriptionStatus | Action::SubscriptionEvents => Cell::Role,
        Action::ExportSystem | Action::ExportPatients | Action::ExportGroup => Cell::Role,
        Action::CopyStatus | Action::CopyFile | Action::CopyEnd => Cell::Role,
        Action::Import | Action::ImportStatus | Action::ImportEnd => Cell::Role,
        Action::Metadata | Action::Health | Action::WellKnown | Action::Metrics => Cell::Role,
        Action::IndexStatus | Action::IndexRebuild | Action::FeedAdt => Cell::Role,
        Action::LogFile | Action::AuditRead | Action::AuditSearch | Action::AccessReport => Cell::Role,
        Action::Auth(_) | Action::Admin(_) | Action::Absent(_) => Cell::Role,
    }
}

struct Matrix {
    ward: Ward,
    secrets: HashMap<Role, String>,
    cells: usize,
    wrong: Vec<String>,
}

fn observation(case: Case, patient: &str) -> Value {
    let mut record = Chart::of(patient).records().swap_remove(2);
    if case == Case::Label {
        record["meta"] = json!({"security": [{"system": ACT_CODE, "code": "HIV"}]});
    }
    record
}

const STAFF: &[&str] = &["dr-ward", "nurse-a", "pharma", "lab", "desk"];

impl Matrix {
    async fn open() -> Self {
        let ward = Ward::open().await;
        for (case, patient) in CASES {
            let away = Chart { ward: "ward-b", class: "AMB", ..Chart::of(patient) };
            let labels = |labels| Chart { labels, ..Chart::of(patient) };
            let chart = match case {
                Case::Nothing | Case::BreakGlass | Case::Own | Case::Order | Case::CareTeam => away,
                Case::Participant | Case::Denied => Chart { ward: "ward-b", participants: STAFF, ..Chart::of(patient) },
                Case::Ward | Case::Label => Chart::of(patient),
                Case::Vip => labels(&[(ACT_CODE, "CEL")]),
                Case::Detained => labels(&[(OWN_CODES, "detained")]),
                Case::Staff => labels(&[(ACT_CODE, "EMP")]),
            };
            let mut records = chart.records();
            records[2] = observation(*case, patient);
            let subject = json!({"reference": format!("Patient/{patient}")});
            match case {
                Case::Denied => records.push(refusal(patient)),
                Case::CareTeam => {
                    let member = |who: &&str| json!({"member": {"reference": format!("Practitioner/{who}")}});
                    let members: Vec<Value> = STAFF.iter().map(member).collect();
                    records.push(json!({"resourceType": "CareTeam", "id": "team", "status": "active", "subject": subject, "participant": members}));
                }
                Case::Order => records.push(json!({"resourceType": "ServiceRequest", "id": "order", "status": "active", "intent": "order",
                    "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "108252007"}]}], "code": {"text": "blood"}, "subject": subject})),
                _ => {}
            }
            ward.put_all(&records).await;
        }
        let mut secrets = HashMap::new();
        for role in Role::ALL {
            let practitioner = match role {
                Role::Clinician => Some("dr-ward"),
                Role::Nurse => Some("nurse-a"),
                Role::Pharmacist => Some("pharma"),
                Role::Laboratory => Some("lab"),
                Role::Reception => Some("desk"),
                _ => None,
            };
            let own: &[String] = if role == Role::Patient { &["p-own".to_owned()] } else { &[] };
            secrets.insert(role, ward.token(role, practitioner, own).await);
        }
        for role in [Role::Clinician, Role::Nurse] {
            ward.emergency(&secrets[&role], "p-glass").await;
        }
        Self { ward, secrets, cells: 0, wrong: Vec::new() }
    }

    async fn ask(&self, role: Role, ask: Ask) -> Answer {
        match role {
            Role::Integrator => ask.bearer(&self.secrets[&role]).send(self.ward.address()).await,
            _ => self.ward.ask_with(&self.secrets[&role], ask).await,
        }
    }

    async fn version(&self, patient: &str) -> Option<String> {
        let answer = self.ward.get("machine", &format!("/Observation/o-{patient}")).await;
        (answer.status == 200).then(|| answer.value()["meta"]["versionId"].as_str().unwrap().to_owned())
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.cells += 1;
        if !holds {
            self.wrong.push(what());
        }
    }

    async fn about(&mut self, route: &Route, method: &Method, role: Role, case: Case, patient: &str) {
        let kind = |kind: Kind| sees(role, case, kind);
        let cell = cell(route.action, route.pattern);
        let ask = request(route, method, case, patient);
        let name = format!("{method} {} as {role}, {case:?}", route.pattern);
        match cell {
            Cell::Shows(of) => {
                let answer = self.ask(role, ask).await;
                let expected = if kind(of) { 200 } else { 404 };
                self.expect(answer.status == expected, || format!("{name}: {} {:?}", answer.status, answer.body));
            }
            Cell::Finds(of) => {
                let answer = self.ask(role, ask).await;
                let found = method != Method::HEAD
                    && answer.value()["entry"].to_string().contains(&format!("-{}\"", &patient[2..]));
                // The compartment of a patient who is not there is not there.
                let nowhere = answer.status == 404 && !kind(Kind::Patient) && !found;
                let right = (method == Method::HEAD || found == kind(of)) && answer.status == 200;
                self.expect(right || (nowhere && !kind(of)), || format!("{name}: {} {:?}", answer.status, answer.body));
            }
            Cell::Answers => {
                let answer = self.ask(role, ask).await;
                let status = answer.value()["entry"][0]["response"]["status"].as_str().map(str::to_owned);
                let expected = if kind(Kind::Observation) { "200" } else { "404" };
                let right = status.as_deref().is_some_and(|status| status.starts_with(expected));
                self.expect(right, || format!("{name}: {:?}", answer.body));
            }
            Cell::Changes | Cell::ChangesFound => {
                self.ward.put_all(&[observation(case, patient)]).await;
                let before = self.version(patient).await;
                let answer = self.ask(role, ask).await;
                let after = self.version(patient).await;
                self.ward.put_all(&[observation(case, patient)]).await;
                let may = changes_observations(role, case);
                let right = match (may, kind(Kind::Observation)) {
                    (true, _) => [200, 204].contains(&answer.status),
                    (false, true) => answer.status == 403 && before == after,
                    // What a search does not find is nothing to delete.
                    (false, false) if matches!(cell, Cell::ChangesFound) => before == after && answer.status != 200,
                    // To delete what is not there is no mistake.
                    (false, false) => {
                        before == after && answer.status == if method == Method::DELETE { 204 } else { 404 }
                    }
                };
                self.expect(right, || format!("{name}: {} {:?} {before:?} {after:?}", answer.status, answer.body));
            }
            Cell::Creates => {
                let answer = self.ask(role, ask).await;
                let may = changes_observations(role, case);
                let right = if may { answer.status == 201 } else { [403, 404].contains(&answer.status) };
                self.expect(right, || format!("{name}: {} {:?}", answer.status, answer.body));
            }
            Cell::Lists | Cell::Role => {}
        }
    }

    /// Every page of a history: just the patients whose Observations are seen.
    async fn lists(&mut self, route: &Route, role: Role) {
        let mut next = Some(path_of(route.pattern, "p-none") + "?_count=100");
        let mut seen = String::new();
        while let Some(path) = next {
            let answer = self.ask(role, Ask::new("GET", &path)).await;
            assert_eq!(answer.status, 200, "{path} {:?}", answer.body);
            seen.push_str(&String::from_utf8_lossy(&answer.body));
            let links = answer.value()["link"].clone();
            let links = links.as_array().cloned().unwrap_or_default();
            let link = links.iter().find(|link| link["relation"] == "next");
            next =
                link.map(|link| link["url"].as_str().unwrap().strip_prefix(crate::ward::BASE_URL).unwrap().to_owned());
        }
        for (case, patient) in CASES {
            let found = seen.contains(&format!("\"o-{patient}\""));
            let expected = sees(role, *case, Kind::Observation);
            self.expect(found == expected, || format!("{} as {role}, {case:?}: {found}", route.pattern));
        }
    }
}

fn path_of(pattern: &str, patient: &str) -> String {
    let id = match pattern {
        _ if pattern.starts_with("/Patient/") => patient.to_owned(),
        _ if pattern.starts_with("/Encounter/") => format!("e-{patient}"),
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

fn request(route: &Route, method: &Method, case: Case, patient: &str) -> Ask {
    let path = path_of(route.pattern, patient);
    let find = format!("_id=o-{patient}");
    let json_ask = |path: &str, body: &Value| Ask::new(method.as_str(), path).json(body.to_string());
    let patch = json!([{"op": "add", "path": "/language", "value": "fr"}]);
    let patched = |path: &str| json_ask(path, &patch).header("content-type", "application/json-patch+json");
    let tag = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "urn:x", "code": "t"}]}}]});
    match route.action {
        Action::SearchType | Action::SearchCompartment if method == Method::POST => {
            Ask::new("POST", &path).json(find).header("content-type", "application/x-www-form-urlencoded")
        }
        Action::SearchSystem if method == Method::POST => Ask::new("POST", &path)
            .json(format!("_type=Observation&{find}"))
            .header("content-type", "application/x-www-form-urlencoded"),
        Action::SearchType | Action::SearchCompartment => Ask::new(method.as_str(), &format!("{path}?{find}")),
        Action::SearchSystem => Ask::new(method.as_str(), &format!("{path}?_type=Observation&{find}")),
        Action::Match => json_ask(
            &path,
            &json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {
            "resourceType": "Patient", "identifier": [{"system": "urn:ward:ins", "value": format!("INS-{patient}")}],
            "name": [{"family": family(patient), "given": ["Zelie"]}], "birthDate": "1970-05-17", "gender": "female"}}]}),
        ),
        Action::Bundle => json_ask(
            &path,
            &json!({"resourceType": "Bundle", "type": "batch",
            "entry": [{"request": {"method": "GET", "url": format!("Observation/o-{patient}")}}]}),
        ),
        Action::Update => {
            let mut record = observation(case, patient);
            record["language"] = json!("fr");
            json_ask(&path, &record)
        }
        Action::ConditionalUpdate => {
            let mut record = observation(case, patient);
            record["language"] = json!("fr");
            json_ask(&format!("{path}?{find}"), &record)
        }
        Action::Patch => patched(&path),
        Action::ConditionalPatch => patched(&format!("{path}?{find}")),
        Action::ConditionalDelete => Ask::new("DELETE", &format!("{path}?{find}")),
        Action::MetaAdd | Action::MetaDelete => json_ask(&path, &tag),
        Action::Meta | Action::Everything | Action::Summary if method == Method::POST => {
            json_ask(&path, &json!({"resourceType": "Parameters"}))
        }
        Action::Create => {
            let mut record = observation(case, patient);
            record.as_object_mut().unwrap().remove("id");
            record.as_object_mut().unwrap().remove("encounter");
            json_ask(&path, &record)
        }
        _ => Ask::new(method.as_str(), &path),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_goes_by_role_and_relation() {
    let mut matrix = Matrix::open().await;
    let roles = || Role::ALL.into_iter().filter(|role| role.may_read_records());
    // Lists first: what the changes below make is not told apart by them.
    for route in ROUTES.iter().filter(|route| matches!(cell(route.action, route.pattern), Cell::Lists)) {
        for role in roles() {
            matrix.lists(route, role).await;
        }
    }
    for route in ROUTES {
        let of_role = matches!(cell(route.action, route.pattern), Cell::Role | Cell::Lists);
        for method in route.methods {
            for role in Role::ALL {
                // Who is nobody near records is held off by role, for every route: that is the other matrix.
                let near = role.may_read_records();
                if near && !of_role {
                    for (case, patient) in CASES {
                        matrix.about(route, method, role, *case, patient).await;
                    }
                    continue;
                }
                let answer =
                    matrix.ask(role, Ask::new(method.as_str(), &path_of(route.pattern, "p-vip")).json("{}")).await;
                let name = format!("{method} {} as {role}: {} {:?}", route.pattern, answer.status, answer.body);
                let opens = answer.status < 300;
                let shows = String::from_utf8_lossy(&answer.body).contains("p-vip") && opens;
                let of_records = matches!(route.access, Access::Bearer(capability)
                    if [tacet_server::Capability::RecordsRead, tacet_server::Capability::RecordsWrite].contains(&capability));
                // Who audits reads who was asked about, and nothing of what stands in the records.
                let told = role == Role::Integrator
                    || (role == Role::Auditor && matches!(route.action, Action::AuditRead | Action::AuditSearch));
                let leaks = shows && !told;
                let reaches = of_records && !near && answer.status != 403;
                matrix.expect(answer.status != 500 && !leaks && !reaches, || name);
            }
        }
    }
    assert!(matrix.cells > 3_000, "{}", matrix.cells);
    let wrong = matrix.wrong;
    assert!(wrong.is_empty(), "{} of {} cells\n{}", wrong.len(), matrix.cells, wrong.join("\n"));
}
