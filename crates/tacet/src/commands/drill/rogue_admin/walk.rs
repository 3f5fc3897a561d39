//! Every line of the table of routes, every method, each role that administers; about one patient.

use crate::commands::drill::http::{Answer, Client};
use crate::commands::drill::staged::Stage;
use crate::error::CliError;
use aho_corasick::AhoCorasick;
use std::collections::{BTreeMap, BTreeSet};
use tacet_server::ROUTES;
use tacet_testkit::PlantedKind;

/// Methods that are tried on every path, whether or not the table has them.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What tells of a patient: all strings of the charts that lead to one.
pub(super) struct Marks {
    automaton: AhoCorasick,
    pub(super) strings: Vec<String>,
}

impl Marks {
    pub(super) fn of(stage: &Stage) -> Result<Self, CliError> {
        let mut strings = BTreeSet::new();
        for n in &stage.roster {
            for planted in stage.hospital.planted(*n) {
                // The id of the Patient is what the attacker begins with.
                if planted.is_distinctive() && planted.kind != PlantedKind::PatientId {
                    strings.insert(planted.text);
                }
            }
        }
        // What the hospital itself says (its addresses, namesakes on the staff) is no patient's.
        let hospital: String =
            stage.records.iter().filter(|record| record.patient.is_none()).map(|record| record.json.as_str()).collect();
        let strings: Vec<String> = strings.into_iter().filter(|text| !hospital.contains(text.as_str())).collect();
        let automaton =
            AhoCorasick::new(&strings).map_err(|error| CliError::other("the drill's scanner cannot be made", error))?;
        Ok(Self { automaton, strings })
    }

    /// How many strings of patients stand in an answer.
    pub(super) fn within(&self, answer: &Answer) -> usize {
        let (head, _) = answer.parts();
        let body = answer.body();
        self.count(head.as_ref()) + self.count(body.as_ref())
    }

    /// A number counts where it stands alone: in the digits of a longer one (0.28 seconds, as a computer writes them) it is nobody's.
    fn count(&self, text: &[u8]) -> usize {
        let is_digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
        let alone = |found: &aho_corasick::Match| {
            let number = text.get(found.range()).is_some_and(|found| found.iter().all(u8::is_ascii_digit));
            !number || !is_digit(found.start().checked_sub(1)) && !is_digit(Some(found.end()))
        };
        self.automaton.find_overlapping_iter(text).filter(alone).count()
    }
}

/// What came of the walk.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) requests: u64,
    /// Answers by role and kind of status.
    pub(super) statuses: BTreeMap<(&'static str, u16), u64>,
    /// Where a patient's strings came up: role, method and pattern.
    pub(super) leaks: BTreeSet<(&'static str, &'static str, &'static str)>,
    /// Where a route of records answered as if it were allowed.
    pub(super) opened: BTreeSet<(&'static str, &'static str, &'static str)>,
}

/// What an interface sees of the patients, by which the scanner is known to see.
pub(super) fn control(interface: &Client, stage: &Stage, marks: &Marks) -> Result<usize, CliError> {
    let Some(n) = stage.roster.first() else { return Ok(0) };
    let path = format!("/Patient/{}", stage.hospital.patient_id(*n));
    Ok(marks.within(&ask(interface, "GET", &path, "")?))
}

/// Walks.
pub(super) fn walk(stage: &Stage, marks: &Marks, holders: &[(&'static str, &Client)]) -> Result<Walked, CliError> {
    let mut walked = Walked::default();
    let Some(n) = stage.roster.first() else { return Ok(walked) };
    let id = stage.hospital.patient_id(*n);
    let mut patterns: Vec<&'static str> = ROUTES.iter().map(|route| route.pattern).collect();
    patterns.dedup();
    for (role, client) in holders {
        for pattern in &patterns {
            // Its own session is not ended: it is needed for the rest.
            if *pattern == "/auth/logout" {
                continue;
            }
            for path in paths(pattern, &id) {
                for method in METHODS {
                    let body = body(pattern, method, &id);
                    let answer = ask(client, method, &path, &body)?;
                    walked.requests += 1;
                    *walked.statuses.entry((role, answer.status)).or_default() += 1;
                    if marks.within(&answer) > 0 {
                        walked.leaks.insert((role, method, pattern));
                    }
                    if of_records(pattern, method) && (200..400).contains(&answer.status) {
                        walked.opened.insert((role, method, pattern));
                    }
                }
            }
        }
    }
    Ok(walked)
}

/// Whether the line of the table is for who may read or write records.
fn of_records(pattern: &str, method: &str) -> bool {
    use tacet_server::{Access, Capability};
    ROUTES.iter().any(|route| {
        let of = matches!(route.access, Access::Bearer(Capability::RecordsRead | Capability::RecordsWrite));
        of && route.pattern == pattern && route.methods.iter().any(|known| known.as_str() == method)
    })
}

/// The pattern about this patient: each placeholder filled so that it leads to the record.
fn paths(pattern: &str, id: &str) -> Vec<String> {
    let types: &[&str] = if pattern.contains("{type}") { &["Patient", "Observation"] } else { &["Patient"] };
    let operations: &[&str] =
        if pattern.contains("{operation}") { &["Observation", "*", "$everything", "$export"] } else { &[""] };
    let mut paths = Vec::new();
    for kind in types {
        for operation in operations {
            let mut path = String::new();
            for part in pattern.split('/').skip(1) {
                path.push('/');
                path += match part {
                    "{type}" => kind,
                    "{id}" => id,
                    "{version}" => "1",
                    "{operation}" => operation,
                    "{file}" => "0",
                    _ if part.starts_with('{') => id,
                    _ => part,
                };
            }
            // What leads to the patient where the path does not.
            let query = match *kind {
                "Observation" => format!("?patient={id}"),
                _ => format!("?_id={id}"),
            };
            let searches = ["/{type}", "/{type}/_search", "/_search", "/"].contains(&pattern);
            paths.push(if searches { format!("{path}{query}&_type=Patient") } else { path.clone() });
            if searches {
                paths.push(path);
            }
        }
    }
    paths
}

fn body(pattern: &str, method: &str, id: &str) -> String {
    if !matches!(method, "POST" | "PUT" | "PATCH") {
        return String::new();
    }
    if pattern == "/" {
        return format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"request":{{"method":"GET","url":"Patient/{id}"}}}}]}}"#
        );
    }
    if method == "PATCH" {
        return r#"[{"op":"add","path":"/language","value":"fr"}]"#.to_owned();
    }
    if pattern.starts_with("/_policy") {
        return format!(r#"{{"account":"{id}","type":"Patient","id":"{id}","act":"read"}}"#);
    }
    if pattern.contains('$') {
        return r#"{"resourceType":"Parameters"}"#.to_owned();
    }
    format!(r#"{{"resourceType":"Patient","id":"{id}","active":true}}"#)
}

pub(super) fn ask(client: &Client, method: &str, path: &str, body: &str) -> Result<Answer, CliError> {
    client.ask(method, path, &[], body).map_err(|error| {
        CliError::Usage(format!("the drill could not be played: {method} of a route was not answered ({error})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0.28000000000000003` in the metrics held the hospital's number of its first patient.
    #[test]
    fn a_number_within_a_longer_one_is_nobodys() {
        let strings = vec!["80000000000".to_owned(), "Lefèvre".to_owned()];
        let marks = Marks { automaton: AhoCorasick::new(&strings).unwrap(), strings };
        assert_eq!(marks.count("sum 0.28000000000000003\n".as_bytes()), 0);
        assert_eq!(marks.count("80000000000, MLefèvre1 \"80000000000\"".as_bytes()), 3);
    }

    #[test]
    fn every_placeholder_is_filled() {
        for route in ROUTES {
            for path in paths(route.pattern, "p-1") {
                assert!(path.starts_with('/') && !path.contains('{'), "{path}");
            }
        }
    }
}
