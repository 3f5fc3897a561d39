//! The authorisation matrix on the real vault: every route of the table, in every role, for patients to whom the role has each relation that
//! there is, or none, and with what changes that: consents, emergencies, patients set apart, labels, a second person's word. What is
//! expected stands in small tables here (`cases.rs`); no policy is asked for it. A new action, relation or role without a line does not
//! compile, and a new route of an action that is there is asked as the others are.

mod cases;
mod cells;
mod hospital;
mod people;
mod taking;
mod telling;

use crate::client::{Answer, Ask};
use cases::{But, Case, Kind, changes_observations, sees};
use cells::{Cell, cell, path_of, request};
use hospital::Hospital;
use hyper::Method;
use std::collections::HashMap;
use tacet_server::{Access, Capability, ROUTES, Route};
use tacet_vault::Role;

struct Matrix {
    hospital: Hospital,
    /// An entry of the ledger about each patient.
    entries: HashMap<String, u64>,
    /// Copies and imports of a machine: whether it is a copy, and whether its end is asked for by the machine itself.
    begun: HashMap<(bool, bool), String>,
    cells: usize,
    wrong: Vec<String>,
}

impl Matrix {
    fn of(hospital: Hospital) -> Self {
        let size = hospital.vault.ledger_head().unwrap().map_or(0, |head| head.size());
        let entries = (0..size).filter_map(|index| {
            let (_, patient) = hospital.vault.ledger_entry(index).unwrap().patient?;
            Some((patient.as_str().to_owned(), index))
        });
        let entries = entries.collect();
        Self { hospital, entries, begun: HashMap::new(), cells: 0, wrong: Vec::new() }
    }

    /// Each case with its patient to a role.
    fn of_role(&self, role: Role) -> Vec<(Case, String)> {
        self.hospital.cases.iter().map(|case| (*case, case.patient(role))).collect()
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.cells += 1;
        if !holds {
            self.wrong.push(what());
        }
    }

    async fn about(&mut self, route: &Route, method: &Method, role: Role, case: Case, patient: &str) {
        let kind = |kind: Kind| sees(role, case, kind);
        let cell = cell(route);
        let ask = request(route, method, case, patient);
        let name = format!("{method} {} as {role}, {case:?}", route.pattern);
        let said = |answer: &Answer| format!("{name}: {} {:?}", answer.status, answer.body);
        match cell {
            Cell::Shows(of) => {
                let answer = self.hospital.ask(role, ask).await;
                let expected = if kind(of) { 200 } else { 404 };
                self.expect(answer.status == expected, || said(&answer));
            }
            Cell::Finds(of) => {
                let answer = self.hospital.ask(role, ask).await;
                let (_, id) = of.record(patient);
                let found =
                    method != Method::HEAD && answer.value()["entry"].to_string().contains(&format!("\"{id}\""));
                // The compartment of a patient who is not there is not there.
                let nowhere = answer.status == 404 && !kind(Kind::Patient) && !found;
                let right = (method == Method::HEAD || found == kind(of)) && answer.status == 200;
                self.expect(right || (nowhere && !kind(of)), || said(&answer));
            }
            Cell::Answers => {
                let answer = self.hospital.ask(role, ask).await;
                let status = answer.value()["entry"][0]["response"]["status"].as_str().map(str::to_owned);
                let expected = if kind(Kind::Observation) { "200" } else { "404" };
                let right = status.as_deref().is_some_and(|status| status.starts_with(expected));
                self.expect(right, || said(&answer));
            }
            Cell::Changes | Cell::ChangesFound | Cell::Imports => {
                let id = format!("o-{patient}");
                let before = self.hospital.version("Observation", &id).await;
                let answer = self.hospital.ask(role, ask).await;
                let after = self.hospital.version("Observation", &id).await;
                if before != after {
                    self.hospital.put_all(&[case.observation(patient)]).await;
                }
                let may = changes_observations(role, case);
                let right = match (may, kind(Kind::Observation)) {
                    (true, _) => [200, 204].contains(&answer.status) && before != after,
                    // What became of each line stands in the answer.
                    (false, _) if cell == Cell::Imports => before == after,
                    (false, true) => answer.status == 403 && before == after,
                    // What a search does not find is nothing to delete.
                    (false, false) if cell == Cell::ChangesFound => before == after && answer.status != 200,
                    // To delete what is not there is no mistake.
                    (false, false) => {
                        before == after && answer.status == if method == Method::DELETE { 204 } else { 404 }
                    }
                };
                self.expect(right, || format!("{} {before:?} {after:?}", said(&answer)));
            }
            Cell::Creates => {
                let answer = self.hospital.ask(role, ask).await;
                let may = changes_observations(role, case);
                let right = if may { answer.status == 201 } else { [403, 404].contains(&answer.status) };
                self.expect(right, || said(&answer));
            }
            Cell::Accesses => self.accesses(route, method, role, case, patient).await,
            Cell::ChangesAccesses => self.changes_accesses(route, method, role, case, patient).await,
            Cell::Report => self.report(route, method, role, case, patient).await,
            Cell::Subscribes => self.subscribes(route, method, role, case, patient).await,
            Cell::Lists | Cell::Tags | Cell::Takes | Cell::Whose | Cell::Told | Cell::Once(_) => {
                panic!("{name} is not asked for each patient")
            }
        }
    }

    /// Every page of a history, or the labels in use: of just the patients whose Observations are seen.
    async fn lists(&mut self, route: &Route, method: &Method, role: Role) {
        let tags = cell(route) == Cell::Tags;
        let path = path_of(route.pattern, "p-nothing");
        let mut next = Some(if tags { path } else { path + "?_count=100" });
        let mut seen = String::new();
        while let Some(path) = next {
            let ask = Ask::new(method.as_str(), &path);
            let ask = if method == Method::POST { ask.json(r#"{"resourceType":"Parameters"}"#) } else { ask };
            let answer = self.hospital.ask(role, ask).await;
            assert_eq!(answer.status, 200, "{path} {:?}", answer.body);
            if method == Method::HEAD {
                return;
            }
            seen.push_str(&String::from_utf8_lossy(&answer.body));
            let links = answer.value()["link"].as_array().cloned().unwrap_or_default();
            let link = links.iter().find(|link| link["relation"] == "next");
            next = link.map(|link| self.hospital.path_in(link["url"].as_str().unwrap()));
        }
        let audit = route.pattern.starts_with("/AuditEvent");
        for case in self.hospital.cases.clone() {
            for patient in case.patients() {
                // A patient whom somebody else put on file is nobody to this one, save to the desk.
                let theirs = case.patient(role) == patient;
                let other = Case { relation: None, ..case };
                let observation = sees(role, if theirs { case } else { other }, Kind::Observation);
                let (id, expected) = match (tags, audit) {
                    (false, false) => (format!("o-{patient}"), observation),
                    (true, false) => (format!("tag-{patient}"), observation),
                    (false, true) => (format!("ae-{patient}"), role == Role::Integrator),
                    (true, true) => (format!("audit-{patient}"), role == Role::Integrator),
                };
                let found = seen.contains(&format!("\"{id}\""));
                self.expect(found == expected, || {
                    format!("{method} {} as {role}, {case:?} {patient}: {found}", route.pattern)
                });
            }
        }
    }

    /// A route that is about no patient, or of which the role decides alone: it shows nobody.
    async fn once(&mut self, route: &Route, method: &Method, role: Role) {
        let Some((_, patient)) = self.of_role(role).into_iter().find(|(case, _)| case.relation.is_some()) else {
            return;
        };
        let near = role.may_read_records();
        let ask = Ask::new(method.as_str(), &path_of(route.pattern, &patient)).json("{}");
        let answer = self.hospital.ask(role, ask).await;
        let shows = String::from_utf8_lossy(&answer.body).contains(&patient) && answer.status < 300;
        let of_records = matches!(route.access, Access::Bearer(capability)
            if [Capability::RecordsRead, Capability::RecordsWrite].contains(&capability));
        let leaks = shows && role != Role::Integrator;
        let reaches = of_records && !near && answer.status != 403;
        self.expect(answer.status != 500 && !leaks && !reaches, || {
            format!("{method} {} as {role}: {} {:?}", route.pattern, answer.status, answer.body)
        });
    }

    async fn route(&mut self, route: &Route, method: &Method, role: Role) {
        // Who is nobody near records is held off by role, for every route: that is the other matrix.
        let near = role.may_read_records();
        let asked = match cell(route) {
            // Nothing is shown but to a person with a session (`people.rs`).
            Cell::Once(_) | Cell::Told => false,
            // Lists have been asked: what is changed since is not told apart by them.
            Cell::Lists | Cell::Tags if near => return,
            Cell::Takes if near => return self.takes(route, method, role).await,
            Cell::Whose if near => return self.whose(route, method, role).await,
            Cell::Accesses => near || role == Role::Auditor,
            Cell::Report => true,
            _ => near,
        };
        if !asked {
            return self.once(route, method, role).await;
        }
        // Another method of the same is asked for each relation, and not again for what changes one.
        let first = route.methods.first() == Some(method);
        for (case, patient) in self.of_role(role).into_iter().filter(|(case, _)| first || case.but == But::Plain) {
            self.about(route, method, role, case, &patient).await;
        }
    }

    /// Every kind of record, read.
    async fn kinds(&mut self, role: Role) {
        for (case, patient) in self.of_role(role) {
            for kind in Kind::ALL {
                let (of, id) = kind.record(&patient);
                let answer = self.hospital.ask(role, Ask::new("GET", &format!("/{of}/{id}"))).await;
                let expected = if sees(role, case, kind) { 200 } else { 404 };
                self.expect(answer.status == expected, || format!("{of} as {role}, {case:?}: {}", answer.status));
            }
        }
    }

    fn finish(self, cells_min: usize) {
        assert!(self.cells > cells_min, "{}", self.cells);
        let wrong = self.wrong;
        assert!(wrong.is_empty(), "{} of {} cells\n{}", wrong.len(), self.cells, wrong.join("\n"));
    }
}

fn near_records() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| role.may_read_records())
}

async fn every_route(cases: Vec<Case>, cells_min: usize) {
    let mut matrix = Matrix::of(Hospital::by_tokens(cases).await);
    for role in near_records() {
        matrix.kinds(role).await;
        for route in ROUTES.iter().filter(|route| matches!(cell(route), Cell::Lists | Cell::Tags)) {
            for method in route.methods {
                matrix.lists(route, method, role).await;
            }
        }
    }
    for route in ROUTES {
        for method in route.methods {
            for role in Role::ALL {
                matrix.route(route, method, role).await;
            }
        }
    }
    matrix.finish(cells_min);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_goes_by_role_and_relation() {
    every_route(cases::plain(), 13_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_goes_by_what_changes_a_relation() {
    every_route(cases::otherwise(), 11_500).await;
}
