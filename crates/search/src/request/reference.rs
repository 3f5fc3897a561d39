//! Values of reference parameters (<https://hl7.org/fhir/R4/search.html#reference>).

use super::condition::{Compiler, any};
use super::escape::unescape;
use super::fault::{Fault, Outcome, named};
use super::key::resource_type;
use super::token::coding;
use crate::document::Key;
use crate::filter::{Filter, Test};
use tacet_fhir::reference::Reference;
use tacet_fhir::search::ParameterId;
use tacet_types::{ResourceId, ResourceType};

const FORMS: &str = "id, Type/id or a url";

/// How many levels `:above` and `:below` go. Hospitals, their poles, services, units, rooms and beds are six.
const HIERARCHY_LEVELS: usize = 8;

/// The types whose resources stand above each other, with the parameter that leads up (those of R4 that refer to their own type as
/// the whole that they are part of).
const HIERARCHIES: [(&str, &str); 6] = [
    ("Communication", "part-of"),
    ("Encounter", "part-of"),
    ("Location", "partof"),
    ("Organization", "partof"),
    ("Procedure", "part-of"),
    ("Task", "part-of"),
];

impl Compiler<'_> {
    /// One value without modifier.
    pub(super) fn reference(&mut self, parameter: ParameterId, name: &str, raw: &str) -> Outcome<Vec<Test>> {
        let text = unescape(raw);
        if let Ok(id) = ResourceId::parse(&text) {
            let targets = self.targets(parameter);
            let mut tests: Vec<_> = targets.iter().filter_map(|target| self.own_url(*target, &id)).collect();
            tests.push(Test::ReferenceId(targets, id.as_str().into()));
            return Ok(tests);
        }
        let (plain, version) = match text.split_once('|') {
            Some((url, version)) => (url, Some(version)),
            None => (&*text, None),
        };
        match (Reference::parse(plain).seen_from(self.call.base_url), version) {
            (Reference::Relative { version: Some(_), .. }, _) => {
                Err(Fault::invalid(name, "a reference without /_history, since versions are not searched"))
            }
            (Reference::Relative { resource_type, id, .. }, None) => {
                let id = ResourceId::parse(id).map_err(|_| Fault::invalid(name, FORMS))?;
                let mut tests: Vec<_> = self.own_url(resource_type, &id).into_iter().collect();
                // What refers by canonical may refer so, too.
                tests.push(Test::Canonical(format!("{resource_type}/{}", id.as_str()).into(), None));
                tests.push(Test::ReferenceIs(Key { resource_type, id }));
                Ok(tests)
            }
            (Reference::Absolute(url) | Reference::Urn(url), None) => {
                Ok(vec![Test::ReferenceUrl(url.into()), Test::Canonical(url.into(), None)])
            }
            (Reference::Absolute(url), Some(version)) if !version.is_empty() => {
                Ok(vec![Test::Canonical(url.into(), Some(version.into()))])
            }
            _ => Err(Fault::invalid(name, FORMS)),
        }
    }

    /// The test for the same resource, referred to by its full url on this server.
    fn own_url(&self, resource_type: ResourceType, id: &ResourceId) -> Option<Test> {
        let base = self.call.base_url;
        (!base.is_empty()).then(|| Test::ReferenceUrl(format!("{base}/{resource_type}/{}", id.as_str()).into()))
    }

    /// One value with a modifier: `:identifier` or `:Type`.
    pub(super) fn reference_with(
        &mut self,
        parameter: ParameterId,
        name: &str,
        modifier: &str,
        raw: &str,
    ) -> Outcome<Vec<Test>> {
        if modifier == "identifier" {
            let (system, value) = coding(name, raw)?;
            if value.is_empty() {
                return Err(Fault::invalid(name, "system|value, |value or value"));
            }
            return Ok(vec![Test::ReferenceIdentifier { system, value }]);
        }
        let Some(target) = ResourceType::parse(modifier) else { return Err(Fault::unknown_modifier(name, modifier)) };
        if !self.targets(parameter).contains(&target) {
            return Err(Fault::unknown(format!("the search parameter {} does not lead to {target}", named(name))));
        }
        let text = unescape(raw);
        let id = text.strip_prefix(target.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&text);
        let id = ResourceId::parse(id).map_err(|_| Fault::invalid(name, "the id of a resource of that type"))?;
        let mut tests: Vec<_> = self.own_url(target, &id).into_iter().collect();
        tests.push(Test::ReferenceIs(Key { resource_type: target, id }));
        Ok(tests)
    }

    /// `:below` and `:above` on a reference to something that stands in a hierarchy of its own type: the resource itself and, to the
    /// bound of levels, what is part of it or what it is part of.
    pub(super) fn hierarchy(&mut self, parameter: ParameterId, name: &str, below: bool, raw: &str) -> Outcome<Filter> {
        let targets = self.targets(parameter);
        let mut filters = Vec::new();
        for raw in self.alternatives(name, raw)? {
            self.spend(HIERARCHY_LEVELS)?;
            let text = unescape(raw);
            let key = match Reference::parse(&text).seen_from(self.call.base_url).target_id() {
                Some((resource_type, id)) => Key { resource_type, id },
                None => match (ResourceId::parse(&text), targets.as_slice()) {
                    (Ok(id), [target]) => Key { resource_type: *target, id },
                    _ => return Err(Fault::invalid(name, "Type/id")),
                },
            };
            let hierarchy = HIERARCHIES.iter().find(|(known, _)| *known == key.resource_type.as_str());
            let up = hierarchy.and_then(|(known, code)| self.parameters.find(resource_type(known).ok()?, code));
            let Some(up) = up else {
                return Err(Fault::unsupported(format!(
                    "the search parameter {} leads to nothing that has parts: :above and :below cannot be answered",
                    named(name)
                )));
            };
            let itself = Filter::Keys(vec![key.clone()]);
            let mut reached = itself.clone();
            for _ in 1..HIERARCHY_LEVELS {
                let of_type = Filter::Types(vec![key.resource_type]);
                let inner = Box::new(Filter::All(vec![of_type, reached]));
                let next = if below {
                    Filter::Chain { parameter: up, target: inner }
                } else {
                    Filter::Has { parameter: up, source: inner }
                };
                reached = Filter::Any(vec![itself.clone(), next]);
            }
            let target = Box::new(Filter::All(vec![Filter::Types(vec![key.resource_type]), reached]));
            // The resource itself need not be in this store to be referred to.
            filters.push(Filter::Value(parameter, Test::ReferenceIs(key)));
            filters.push(Filter::Chain { parameter, target });
        }
        Ok(any(filters))
    }
}
