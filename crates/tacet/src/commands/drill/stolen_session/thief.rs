//! The thief's hands and eyes: asks, and keeps what each answer showed.

use super::truth::Marks;
use crate::commands::drill::http::{Answer, Client};
use crate::error::CliError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Instant;

/// Pages that are followed from one search. The goal is every page; the bound is for a server that never ends.
const PAGES_MAX: usize = 5_000;

/// Depth to which answers are looked through: a bundle of bundles with a resource within.
const DEPTH_MAX: usize = 40;

/// Versions of records that were shown: place and version.
pub(super) type Shown = BTreeSet<(String, u64)>;

/// Who walks.
pub(super) struct Thief<'a> {
    pub(super) client: &'a Client,
    marks: &'a Marks,
    /// Requests made.
    pub(super) asked: u64,
    /// Everything that was shown.
    pub(super) shown: Shown,
    /// Strings of closed patients that came up, with the request's name where they first did.
    pub(super) strings: BTreeMap<usize, &'static str>,
    /// Where each record was first shown.
    pub(super) first: BTreeMap<String, &'static str>,
    /// Records that the thief made.
    pub(super) made: BTreeSet<String>,
    /// Answers by their status.
    pub(super) statuses: BTreeMap<u16, u64>,
}

impl<'a> Thief<'a> {
    pub(super) fn new(client: &'a Client, marks: &'a Marks) -> Self {
        Self {
            client,
            marks,
            asked: 0,
            shown: Shown::new(),
            strings: BTreeMap::new(),
            first: BTreeMap::new(),
            made: BTreeSet::new(),
            statuses: BTreeMap::new(),
        }
    }

    /// As [`Thief::ask`], and says how long the answer took, without the looking at it.
    #[expect(clippy::disallowed_methods, reason = "measures how long answers take")]
    pub(super) fn timed_us(&mut self, method: &str, path: &str, body: &str) -> Result<f64, CliError> {
        let begun = Instant::now();
        let answer = self.client.ask(method, path, &[], body);
        let took_us = begun.elapsed().as_secs_f64() * 1e6;
        self.take("a timed request", answer, &[path, body])?;
        Ok(took_us)
    }

    /// Asks, and looks at the answer. `way` names the kind of request in the report.
    pub(super) fn ask(
        &mut self,
        way: &'static str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, CliError> {
        let answer = self.client.ask(method, path, headers, body);
        self.take(way, answer, &[path, body, &format!("{headers:?}")])
    }

    fn take<E: Display>(
        &mut self,
        way: &'static str,
        answer: Result<Answer, E>,
        said: &[&str],
    ) -> Result<Answer, CliError> {
        self.asked += 1;
        let answer = answer.map_err(|error| {
            CliError::Usage(format!("the drill could not be played: {way} was not answered ({error})"))
        })?;
        *self.statuses.entry(answer.status).or_default() += 1;
        self.look(way, &answer, said);
        Ok(answer)
    }

    pub(super) fn get(&mut self, way: &'static str, path: &str) -> Result<Answer, CliError> {
        self.ask(way, "GET", path, &[], "")
    }

    fn look(&mut self, way: &'static str, answer: &Answer, said: &[&str]) {
        let body = answer.body();
        let (head, _) = answer.parts();
        let found: Vec<usize> = self.marks.within(head).chain(self.marks.within(&body)).collect();
        for place in found {
            let Some((_, _, text)) = self.marks.strings.get(place) else { continue };
            // What the thief said comes back in links and messages.
            if !said.iter().any(|said| said.contains(text.as_str()) || said.contains(&super::encoded(text))) {
                self.strings.entry(place).or_insert(way);
            }
        }
        match serde_json::from_slice(&body) {
            Ok(value) => self.collect(way, &value, 0),
            // A file of a copy: a resource a line.
            Err(_) => {
                for line in body.split(|byte| *byte == b'\n') {
                    if let Ok(value) = serde_json::from_slice(line) {
                        self.collect(way, &value, 0);
                    }
                }
            }
        }
        if answer.status == 201
            && let Some(place) = answer.header("location").as_deref().and_then(place_in)
        {
            self.made.insert(place);
        }
    }

    fn collect(&mut self, way: &'static str, value: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(way, item, depth + 1)),
            Value::Object(members) => {
                let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
                if let (Some(kind), Some(id), Some(version)) =
                    (text("/resourceType"), text("/id"), text("/meta/versionId"))
                {
                    let place = format!("{kind}/{id}");
                    self.first.entry(place.clone()).or_insert(way);
                    self.shown.insert((place, version.parse().unwrap_or(0)));
                }
                members.values().for_each(|member| self.collect(way, member, depth + 1));
            }
            _ => {}
        }
    }

    /// Asks for a page and all that follow. Gives how many entries matched, and the total where the first page told one.
    pub(super) fn pages(&mut self, way: &'static str, path: &str) -> Result<(u64, Option<u64>), CliError> {
        let (mut matches, mut total, mut next) = (0, None, Some(path.to_owned()));
        for page in 0..PAGES_MAX {
            let Some(path) = next.take() else { break };
            let bundle = self.get(way, &path)?.json();
            if page == 0 {
                total = bundle.get("total").and_then(Value::as_u64);
            }
            let entries = bundle.get("entry").and_then(Value::as_array);
            let is_match = |entry: &&Value| entry.pointer("/search/mode").and_then(Value::as_str) == Some("match");
            matches += entries.into_iter().flatten().filter(is_match).count() as u64;
            next = next_of(&bundle);
        }
        Ok((matches, total))
    }

    /// What a count says; none where it was refused.
    pub(super) fn count(&mut self, way: &'static str, query: &str) -> Result<Option<u64>, CliError> {
        let mark = if query.contains('?') { '&' } else { '?' };
        let answer = self.get(way, &format!("{query}{mark}_summary=count"))?;
        Ok((answer.status == 200).then(|| answer.json().get("total").and_then(Value::as_u64)).flatten())
    }
}

/// Where the next page is, as a path.
pub(super) fn next_of(bundle: &Value) -> Option<String> {
    let links = bundle.get("link").and_then(Value::as_array)?;
    let next = links.iter().find(|link| link.get("relation").and_then(Value::as_str) == Some("next"))?;
    let url = next.get("url").and_then(Value::as_str)?;
    let (_, rest) = url.split_once("://")?;
    rest.find('/').and_then(|at| rest.get(at..)).map(str::to_owned)
}

/// `Patient/1` in `http://here/Patient/1/_history/1`.
fn place_in(location: &str) -> Option<String> {
    let (record, _) = location.split_once("/_history/")?;
    let mut parts = record.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    Some(format!("{kind}/{id}"))
}
