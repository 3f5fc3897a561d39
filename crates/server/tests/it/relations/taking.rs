//! What people take away: copies of many records, in which a patient is or is not, and copies and imports of somebody else.

use super::Matrix;
use super::cases::{Kind, sees};
use super::cells::path_of;
use super::hospital::Hospital;
use crate::client::{Answer, Ask};
use hyper::Method;
use std::time::Duration;
use tacet_server::{Action, Route};
use tacet_vault::Role;

impl Hospital {
    /// Begins what is answered later; asks again where as many are made as may be.
    pub(super) async fn begun(&self, role: Role, ask: Ask) -> Answer {
        loop {
            let answer = self.ask(role, ask.clone().header("prefer", "respond-async")).await;
            if answer.status != 429 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for what was begun: where it is, and the last answer.
    pub(super) async fn made(&self, role: Role, begun: &Answer) -> (String, Answer) {
        assert_eq!(begun.status, 202, "{:?}", begun.body);
        let place = self.path_in(begun.header("content-location").unwrap());
        for _ in 0..6000 {
            let answer = self.ask(role, Ask::new("GET", &place)).await;
            if answer.status != 202 {
                return (place, answer);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{place} did not come to an end");
    }

    /// All that is in a copy, which ends with it.
    pub(super) async fn taken(&self, role: Role, begun: &Answer) -> String {
        let (place, manifest) = self.made(role, begun).await;
        assert_eq!(manifest.status, 200, "{:?}", manifest.body);
        let mut all = String::new();
        for file in manifest.value()["output"].as_array().unwrap() {
            let path = self.path_in(file["url"].as_str().unwrap());
            let file = self.ask(role, Ask::new("GET", &path)).await;
            assert_eq!(file.status, 200, "{:?}", file.body);
            all += std::str::from_utf8(&file.body).unwrap();
        }
        assert_eq!(self.ask(role, Ask::new("DELETE", &place)).await.status, 202);
        all
    }

    /// Begins a copy or an import as the role of machines, and waits for it: where it is.
    async fn of_a_machine(&self, copy: bool) -> String {
        let ask = match copy {
            true => Ask::new("GET", "/Patient/$export?_type=Patient"),
            false => {
                let line = r#"{"resourceType":"Basic","id":"imported","code":{"text":"x"}}"#;
                Ask::new("POST", "/$import").json(line).header("content-type", "application/fhir+ndjson")
            }
        };
        let begun = self.begun(Role::Integrator, ask).await;
        let (place, last) = self.made(Role::Integrator, &begun).await;
        assert_eq!(last.status, 200, "{:?}", last.body);
        place
    }
}

impl Matrix {
    /// Without a second person's word a copy is of what a machine sees: nobody else takes anything away, not even what they see.
    pub(super) async fn takes(&mut self, route: &Route, method: &Method, role: Role) {
        let named = route.action == Action::ExportGroup;
        let all: Vec<_> = self.of_role(role);
        for (case, patient) in &all {
            let path = format!("{}?_type=Observation", path_of(route.pattern, patient));
            let ask = Ask::new(method.as_str(), &path);
            let ask = if *method == Method::POST { ask.json(r#"{"resourceType":"Parameters"}"#) } else { ask };
            let begun = self.hospital.begun(role, ask).await;
            let name = format!("{method} {} as {role}", route.pattern);
            if named && !sees(role, *case, Kind::Group) {
                let right = begun.status == 404;
                self.expect(right, || format!("{name}, {case:?}: {} {:?}", begun.status, begun.body));
                continue;
            }
            if begun.status != 202 {
                let right = role != Role::Integrator && begun.status == 403;
                self.expect(right, || format!("{name}, {case:?}: {} {:?}", begun.status, begun.body));
                continue;
            }
            let taken = self.hospital.taken(role, &begun).await;
            for (case, other) in all.iter().filter(|(_, other)| !named || other == patient) {
                let is_in = taken.contains(&format!("\"o-{other}\""));
                self.expect(is_in == (role == Role::Integrator), || format!("{name}, {case:?}: {is_in}"));
            }
            if !named {
                return;
            }
        }
    }

    /// A copy and an import are there for who began them, and for nobody else: not for another machine either.
    pub(super) async fn whose(&mut self, route: &Route, method: &Method, role: Role) {
        let copy = matches!(route.action, Action::CopyStatus | Action::CopyFile | Action::CopyEnd);
        let key = (copy, *method == Method::DELETE && role == Role::Integrator);
        let place = match self.begun.get(&key) {
            Some(place) => place.clone(),
            None => self.hospital.of_a_machine(copy).await,
        };
        self.begun.insert(key, place.clone());
        let path = if route.action == Action::CopyFile { format!("{place}/0") } else { place };
        let ask = Ask::new(method.as_str(), &path);
        let mut answers = vec![(self.hospital.machine(ask.clone()).await, 404)];
        let own = if *method == Method::DELETE { 202 } else { 200 };
        answers.push((self.hospital.ask(role, ask).await, if role == Role::Integrator { own } else { 404 }));
        for (answer, expected) in answers {
            let name = format!("{method} {} as {role}", route.pattern);
            self.expect(answer.status == expected, || format!("{name}: {} {:?}", answer.status, answer.body));
        }
    }
}
