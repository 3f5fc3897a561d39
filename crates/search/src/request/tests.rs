//! Queries against resources: what matches and what does not, by parameter type, and what is refused.

mod chains;
mod contained;
mod current;
mod data;
mod labelled;
mod noise;
mod results;
mod values;

use super::*;
use crate::SearchError;
use crate::document::{Document, Key};
use crate::filter::CodeSet;
use crate::matcher::{World, matches, prepare};
use crate::parameters::Parameters;
use crate::terminology::Terminology;
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::json::{Limits, parse_str};
use tacet_types::VersionId;

const BASE: &str = "https://h.example/fhir";

/// The time of all calls.
fn now() -> Timestamp {
    Timestamp::parse("2026-03-01T12:00:00Z").unwrap()
}

/// One value set, and two codes one above the other.
struct Small;

impl Terminology for Small {
    fn expand(&self, value_set: &str) -> Result<Arc<CodeSet>, SearchError> {
        if value_set != "http://vs" {
            return Err(SearchError::Terminology("not known".to_owned()));
        }
        let code = |system: Option<&str>, code: &str| (system.map(Box::from), Box::from(code));
        Ok(Arc::new(HashSet::from([code(Some("http://s"), "in"), code(Some("http://s"), "male")])))
    }

    fn below(&self, system: &str, code: &str) -> Result<Arc<CodeSet>, SearchError> {
        let mut set = HashSet::from([(Some(system.into()), code.into())]);
        if code == "parent" {
            set.insert((Some(system.into()), "child".into()));
        }
        Ok(Arc::new(set))
    }

    fn above(&self, system: &str, code: &str) -> Result<Arc<CodeSet>, SearchError> {
        let mut set = HashSet::from([(Some(system.into()), code.into())]);
        if code == "child" {
            set.insert((Some(system.into()), "parent".into()));
        }
        Ok(Arc::new(set))
    }
}

/// A store of a few documents.
struct Few(Vec<Document>);

impl World for Few {
    fn matching(&self, filter: &Filter) -> Result<HashSet<Key>, SearchError> {
        Ok(self.0.iter().filter(|document| matches(filter, document)).map(|document| document.key.clone()).collect())
    }

    fn document(&self, key: &Key) -> Option<Document> {
        self.0.iter().find(|document| document.key == *key).cloned()
    }
}

impl Few {
    /// Of resources in JSON, which must have ids. All were stored on 2026-02-03 at noon.
    fn of(resources: &[&str]) -> Self {
        let document = |text: &&str| {
            let json = parse_str(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
            let resource_type = tacet_fhir::resource::resource_type(&json).expect("a type");
            let key = Key { resource_type, id: tacet_fhir::resource::id(&json).expect("an id") };
            let stored = Timestamp::parse("2026-02-03T12:00:00Z").unwrap();
            Document::of(&json, key, VersionId::FIRST, stored, &Parameters::standard())
        };
        Self(resources.iter().map(document).collect())
    }

    /// The ids that a query finds, in order.
    fn find(&self, scope: &str, query: &str) -> Vec<String> {
        let request = ask(scope, query).unwrap_or_else(|error| panic!("{scope}?{query}: {error}"));
        let filter = prepare(&request.filter, self).unwrap();
        let mut found: Vec<_> = self
            .0
            .iter()
            .filter(|document| matches(&filter, document))
            .map(|document| document.key.id.as_str().to_owned())
            .collect();
        found.sort();
        found
    }
}

fn scope_of(scope: &str) -> Scope {
    let parse = |name: &str| ResourceType::parse(name).unwrap();
    match scope.split('/').collect::<Vec<_>>().as_slice() {
        [""] => Scope::System,
        [one] => Scope::Type(parse(one)),
        [owner, id, rest @ ..] => Scope::Compartment {
            compartment: Compartment::of(parse(owner)).unwrap(),
            id: ResourceId::parse(id).unwrap(),
            types: rest.first().filter(|name| **name != "*").map(|name| parse(name)),
        },
        [] => unreachable!(),
    }
}

fn ask_with(scope: &str, query: &str, handling: Handling) -> Result<SearchRequest, SearchError> {
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let call = Call { scope: scope_of(scope), parameters: &pairs, handling, base_url: BASE, now: now() };
    compile(&call, &Parameters::standard(), &Small, &QueryLimits::default())
}

fn ask(scope: &str, query: &str) -> Result<SearchRequest, SearchError> {
    ask_with(scope, query, Handling::Strict)
}

/// Holds each query to whether it finds the one resource.
fn table(resource: &str, cases: &[(&str, bool)]) {
    let few = Few::of(&[resource]);
    let scope = few.0[0].key.resource_type.as_str();
    for (query, expected) in cases {
        assert_eq!(!few.find(scope, query).is_empty(), *expected, "{query} on {resource}");
    }
}
