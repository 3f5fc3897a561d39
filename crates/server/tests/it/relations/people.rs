//! The matrix once more for people as they come: with sessions that began with a passkey, under the built-in policies as they are. And what only
//! they can ask: the ledger, the rules, emergencies, and copies that a second person allowed.

use super::cases::{But, Case, Kind, is_in_allowed_copy, is_own, practitioner, sees};
use super::cells::{Cell, cell, path_of};
use super::hospital::Hospital;
use super::{Matrix, near_records};
use crate::admin::{Staff, why};
use crate::client::{Answer, Ask};
use hyper::Method;
use serde_json::{Value, json};
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_policy::Relation;
use tacet_seal::SecureRng;
use tacet_server::{Action, AdminAction, ROUTES, Route};
use tacet_types::{OperationId, ResourceId, ResourceType};
use tacet_vault::{Caller, Role};

/// Fewer than by tokens: how a relation comes to be does not depend on the login.
const CASES: [(Option<Relation>, But); 9] = [
    (None, But::Plain),
    (Some(Relation::CareTeam), But::Plain),
    (Some(Relation::WardEncounter), But::Plain),
    (Some(Relation::Inpatient), But::Plain),
    (Some(Relation::OpenOrder), But::Plain),
    (Some(Relation::OwnRecord), But::Plain),
    (Some(Relation::WardEncounter), But::Vip),
    (Some(Relation::CareTeam), But::Labelled),
    (None, But::Emergency),
];

/// Asked of people too: what shows, finds and changes a record.
fn is_main(route: &Route) -> bool {
    let of_records = matches!(
        cell(route),
        Cell::Shows(_) | Cell::Finds(_) | Cell::Answers | Cell::Changes | Cell::ChangesFound | Cell::Creates
    );
    // The same handlers stand behind these once more, with other bodies.
    let again = matches!(route.action, Action::MetaAdd | Action::MetaDelete | Action::Validate);
    of_records && !again
}

/// Somebody with a session, of the staff that administers too.
async fn ask_as(hospital: &Hospital, staff: &Staff, role: Role, ask: Ask) -> Answer {
    let somebody = match role {
        Role::SecurityOfficer => &staff.sec,
        Role::Auditor => &staff.aud,
        Role::Administrator => &staff.adm1,
        _ => return hospital.ask(role, ask).await,
    };
    hospital.office().send(ask, somebody, None).await
}

impl Matrix {
    /// The routes for people that tell of a patient.
    async fn tells(&mut self, staff: &Staff, route: &Route, method: &Method, role: Role) {
        let Action::Admin(action) = route.action else { panic!("{} is no route of people", route.pattern) };
        let ledger = [Role::SecurityOfficer, Role::Auditor].contains(&role);
        for (case, patient) in self.of_role(role) {
            let name = format!("{method} {} as {role}, {case:?}", route.pattern);
            let said = |answer: &Answer| format!("{name}: {} {:?}", answer.status, answer.body);
            let ask = |path: &str| Ask::new(method.as_str(), path);
            match action {
                AdminAction::LedgerEntries => {
                    let answer = ask_as(
                        &self.hospital,
                        staff,
                        role,
                        ask(&format!("/_ledger/entries?patient={patient}&_count=5")),
                    )
                    .await;
                    let right = match ledger {
                        true => answer.status == 200 && !answer.value()["entries"].as_array().unwrap().is_empty(),
                        false => answer.status == 403,
                    };
                    self.expect(right, || said(&answer));
                }
                AdminAction::LedgerExtent => {
                    let session = self.session_of_the_doctor(staff).await;
                    let path = format!("/_ledger/sessions/{session}/extent");
                    let answer = ask_as(&self.hospital, staff, role, ask(&path)).await;
                    let right = match ledger {
                        true => answer.status == 200 && String::from_utf8_lossy(&answer.body).contains(&patient),
                        false => answer.status == 403,
                    };
                    self.expect(right, || said(&answer));
                }
                // What the rules say they do is what they do.
                AdminAction::PolicyExplain => {
                    for of in near_records() {
                        let Some(account) = self.hospital.account(of).map(|somebody| somebody.id.clone()) else {
                            continue;
                        };
                        let record = format!("Observation/o-{patient}");
                        let question = json!({"account": account, "record": record}).to_string();
                        let answer = ask_as(&self.hospital, staff, role, ask(route.pattern).json(question)).await;
                        let right = match ledger {
                            true => answer.value()["verdict"]["open"] == sees(of, case, Kind::Observation),
                            false => answer.status == 403,
                        };
                        self.expect(right, || format!("{} {of}", said(&answer)));
                    }
                }
                // Carers have declared theirs; nobody else declares one, and nothing is open after they tried.
                AdminAction::BreakGlassDeclare if [Role::Clinician, Role::Nurse].contains(&role) => {}
                AdminAction::BreakGlassDeclare => {
                    let text = "found unconscious in the corridor";
                    let body = json!({"patient": patient, "reason": "vital-emergency", "text": text, "minutes": 60});
                    let answer = ask_as(&self.hospital, staff, role, ask(route.pattern).json(body.to_string())).await;
                    let read = Ask::new("GET", &format!("/Observation/o-{patient}"));
                    let read = ask_as(&self.hospital, staff, role, read).await.status;
                    let refused = [403, 404].contains(&answer.status);
                    let right = refused && (read == 200) == sees(role, case, Kind::Observation);
                    self.expect(right, || format!("{} then {read}", said(&answer)));
                }
                AdminAction::BreakGlassOpen => {
                    let answer = ask_as(&self.hospital, staff, role, ask(route.pattern)).await;
                    let told = String::from_utf8_lossy(&answer.body).contains(&format!("\"{patient}\""));
                    let right = match role {
                        Role::SecurityOfficer if *method == Method::HEAD => answer.status == 200,
                        Role::SecurityOfficer => answer.status == 200 && told == case.is_emergency(),
                        _ => answer.status == 403,
                    };
                    self.expect(right, || said(&answer));
                }
                // Ended by who declared it, reviewed by a security officer.
                AdminAction::BreakGlassEnd | AdminAction::BreakGlassReview if case.is_emergency() => {
                    let open =
                        ask_as(&self.hospital, staff, Role::SecurityOfficer, Ask::new("GET", "/_break-glass")).await;
                    let reviews = open.value()["reviews"].as_array().unwrap().clone();
                    // Of the one who asks neither: the doctor's to the nurse, and the nurse's to everybody else.
                    let owner = if role == Role::Nurse { Role::Clinician } else { Role::Nurse };
                    let account = self.hospital.account(owner).unwrap().id.clone();
                    let of_owner = |review: &&Value| review.to_string().contains(&account);
                    let id = reviews.iter().find(of_owner).unwrap()["id"].as_str().unwrap();
                    let path = route.pattern.replace("{emergency}", id);
                    if action == AdminAction::BreakGlassReview && role == Role::SecurityOfficer {
                        continue;
                    }
                    let body = json!({"outcome": "justified", "text": "the ward confirms it"}).to_string();
                    let answer = ask_as(&self.hospital, staff, role, ask(&path).json(body)).await;
                    self.expect([403, 404].contains(&answer.status), || said(&answer));
                }
                AdminAction::BreakGlassEnd | AdminAction::BreakGlassReview => {}
                AdminAction::Notices => {
                    let answer = ask_as(&self.hospital, staff, role, ask(route.pattern)).await;
                    let told = String::from_utf8_lossy(&answer.body).contains(&format!("{patient}\""));
                    // An emergency is told to those who review; the patient here is nobody of whom one was declared.
                    let right = role == Role::SecurityOfficer || !told;
                    self.expect(right, || said(&answer));
                }
                other => panic!("{other:?} tells of no patient"),
            }
        }
    }

    /// The session by which the doctor has looked at everything.
    async fn session_of_the_doctor(&self, staff: &Staff) -> String {
        let account = self.hospital.account(Role::Clinician).unwrap().id.clone();
        let path = format!("/_ledger/entries?account={account}&kind=read&_count=1");
        let entries = ask_as(&self.hospital, staff, Role::Auditor, Ask::new("GET", &path)).await.value();
        entries["entries"][0]["session"].as_str().unwrap().to_owned()
    }

    /// Where people have passkeys, a token that was made at the machine for one of them is none that is good, whatever the relation.
    async fn token_is_no_passkey(&mut self, role: Role) {
        let case = Case { relation: Some(Relation::CareTeam), but: But::Plain };
        let patient = case.patient(role);
        let secret = self.hospital.token(role, std::slice::from_ref(&patient)).await;
        let ask = Ask::new("GET", &format!("/Observation/o-{patient}")).bearer(&secret);
        let answer = ask.send(self.hospital.office().address).await;
        let expected = if role == Role::Integrator { 200 } else { 401 };
        self.expect(answer.status == expected, || format!("token of {role}: {} {:?}", answer.status, answer.body));
    }

    /// Whoever is let in by a login that does not withstand phishing sees nothing by it, whatever the relation; nor does a supplier.
    async fn weak_login_opens_nothing(&mut self, role: Role) {
        let Some(somebody) = self.hospital.account(role) else { return };
        let origin = Origin { address: None, channel: Channel::Http };
        let purpose = match role {
            Role::Reception => PurposeOfUse::Operations,
            Role::Patient => PurposeOfUse::PatientRequest,
            _ => PurposeOfUse::Treatment,
        };
        let mut caller = Caller::new(role.as_str(), role, purpose, origin, OperationId::random(&SecureRng));
        caller.account = Some(somebody.id.clone());
        caller.practitioner = practitioner(role).map(|id| ResourceId::parse(id).unwrap());
        let of_role = self.of_role(role);
        let own = of_role.iter().filter(|(case, _)| is_own(role, *case));
        caller.patients = own.map(|(_, patient)| ResourceId::parse(patient).unwrap()).collect();
        let kind = ResourceType::parse("Patient").unwrap();
        for (case, patient) in of_role {
            let id = ResourceId::parse(&patient).unwrap();
            for (strong, supplier) in [(true, false), (false, false), (true, true)] {
                (caller.strong, caller.supplier) = (strong, supplier);
                let read = self.hospital.vault.read(&caller, kind, &id).await.is_ok();
                let expected = strong && !supplier && sees(role, case, Kind::Patient);
                self.expect(read == expected, || {
                    format!("Patient as {role}, {case:?}, strong {strong}, supplier {supplier}: {read}")
                });
            }
        }
    }

    /// A copy takes a second person. With their word it has what the word opens to the role, whatever the relation; without it there is none.
    async fn takes_with_approval(&mut self, staff: &Staff, route: &Route, role: Role) {
        let named = route.action == Action::ExportGroup;
        let all = self.of_role(role);
        for (case, patient) in &all {
            let path = format!("{}?_type=Observation", path_of(route.pattern, patient));
            let name = format!("{} as {role}", route.pattern);
            let bare = self.hospital.begun(role, Ask::new("GET", &path)).await;
            let machine = role == Role::Integrator;
            if named && !sees(role, *case, Kind::Group) {
                let right = [403, 404].contains(&bare.status);
                self.expect(right, || format!("{name}, {case:?}: {} {:?}", bare.status, bare.body));
                continue;
            }
            // The token of this machine was made for it.
            let begun = if machine {
                bare
            } else {
                self.expect(bare.status == 403, || format!("{name} alone: {} {:?}", bare.status, bare.body));
                let Some(approval) = self.allowed(staff, role, &bare).await else {
                    self.expect(!matches!(role, Role::Clinician | Role::Nurse), || format!("{name} cannot ask"));
                    return;
                };
                let ask = Ask::new("GET", &path).header("x-approval", &approval);
                self.hospital.begun(role, ask).await
            };
            if begun.status != 202 {
                let right = !is_in_allowed_copy(role, Case { relation: None, but: But::Plain });
                self.expect(right && begun.status == 403, || format!("{name}: {} {:?}", begun.status, begun.body));
                return;
            }
            let taken = self.hospital.taken(role, &begun).await;
            for (case, other) in all.iter().filter(|(_, other)| !named || other == patient) {
                let is_in = taken.contains(&format!("\"o-{other}\""));
                let expected = is_in_allowed_copy(role, *case);
                self.expect(is_in == expected, || format!("{name}, {case:?}: {is_in}"));
            }
            if !named {
                return;
            }
        }
    }

    /// Has what was refused allowed by a second person; none where the role may not even ask.
    async fn allowed(&self, staff: &Staff, role: Role, refused: &Answer) -> Option<String> {
        let said = refused.value()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
        let (_, text) = said.split_once("the text `")?;
        let (text, _) = text.split_once("`, then")?;
        let body = json!({"kind": "bulk-export", "text": text, "why": why()});
        let asked = self.hospital.ask(role, Ask::new("POST", "/_approvals").json(body.to_string())).await;
        if asked.status == 403 {
            return None;
        }
        assert_eq!(asked.status, 202, "{:?}", asked.body);
        let id = asked.value()["id"].as_str().unwrap().to_owned();
        let decided = self.hospital.office().decide(&staff.sec, &id, true).await;
        assert_eq!(decided.status, 200, "{:?}", decided.body);
        Some(id)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_a_passkey_go_by_role_and_relation() {
    let cases = CASES.map(|(relation, but)| Case { relation, but }).to_vec();
    let (hospital, staff) = Hospital::by_sessions(cases).await;
    let mut matrix = Matrix::of(hospital);
    for role in near_records() {
        matrix.kinds(role).await;
        matrix.token_is_no_passkey(role).await;
        matrix.weak_login_opens_nothing(role).await;
    }
    let of = |wanted: fn(&Route) -> bool| ROUTES.iter().filter(move |route| wanted(route));
    for route in of(|route| cell(route) == Cell::Takes) {
        for role in near_records() {
            matrix.takes_with_approval(&staff, route, role).await;
        }
    }
    for route in of(|route| cell(route) == Cell::Told) {
        for method in route.methods {
            for role in Role::ALL {
                matrix.tells(&staff, route, method, role).await;
            }
        }
    }
    for route in of(is_main) {
        // HEAD is GET without its body.
        for method in route.methods.iter().filter(|method| **method != Method::HEAD) {
            for role in near_records() {
                matrix.route(route, method, role).await;
            }
        }
    }
    matrix.finish(4_000);
}
