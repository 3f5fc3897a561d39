//! From a filter to what one segment must look up.

mod guard;
mod ranges;

use ranges::whole_passes;

use super::docs::Check;
use super::encode::{self, column};
use super::node::{Node, Of};
use super::segment::{Known, Segment, Types};
use super::terms::{self, GLOBAL, LAST_UPDATED, kind};
use super::{buckets, codec};
use crate::document::{Key, Value};
use crate::error::SearchError;
use crate::filter::{Comparison, Filter, Test, UnitTest};
use crate::matcher::{FILTER_DEPTH_MAX, compare, matches, passes};
use std::collections::HashMap;
use std::rc::Rc;
use tacet_fhir::search::{ParameterId, fold};
use tacet_types::Timestamp;
use tantivy::postings::TermInfo;
use tantivy::{DocId, u64_to_f64, u64_to_i64};

/// A date test: how it compares, and the range asked for.
type DateTest = (Comparison, i64, i64);

/// Compiles a prepared filter for a segment. Gives the types that what it means may be of, too.
pub(super) fn compile<'s>(filter: &Filter, segment: &'s Segment<'s>) -> Result<(Node<'s>, Types), SearchError> {
    let all = if let Filter::All(all) = filter { all.as_slice() } else { std::slice::from_ref(filter) };
    let types = match types_left(all) {
        Some(types) => types.into(),
        None => segment.types()?,
    };
    let node = Compiler { segment, types: &types }.filter(filter, 0)?;
    Ok((node, types))
}

/// The types that all of these filters leave, by those that name types; None where none does.
fn types_left(all: &[Filter]) -> Option<Vec<u8>> {
    let mut left: Option<Vec<u8>> = None;
    for filter in all {
        let Filter::Types(types) = filter else { continue };
        let mut codes: Vec<u8> = types.iter().map(|found| found.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        if let Some(left) = &left {
            codes.retain(|code| left.contains(code));
        }
        left = Some(codes);
    }
    left
}

/// A filter within what its surroundings leave: only documents of `types` need be right.
#[derive(Clone, Copy)]
struct Compiler<'s, 't> {
    segment: &'s Segment<'s>,
    types: &'t [u8],
}

/// Terms as they are found.
#[derive(Default)]
struct Found {
    infos: Vec<TermInfo>,
    /// Some of them stand under no type.
    any_type: bool,
    /// The types of those found so far.
    types: Vec<u8>,
    /// Two of them are of one type: a document may have both.
    twice: bool,
}

impl Found {
    fn push(&mut self, term: &[u8], info: &TermInfo) {
        self.infos.push(info.clone());
        match terms::type_of(term) {
            None => self.any_type = true,
            Some(_) if self.twice => {}
            Some(type_code) if self.types.contains(&type_code) => self.twice = true,
            Some(type_code) => self.types.push(type_code),
        }
    }

    fn node<'s>(self) -> Node<'s> {
        let of = match self {
            Self { any_type: true, .. } => Of::Any,
            Self { twice: true, .. } => Of::Types,
            Self { .. } => Of::TypesOnce,
        };
        Node::terms(self.infos, of)
    }
}

/// The number of a parameter in terms and columns.
fn number(parameter: ParameterId) -> u16 {
    // Parameters are counted by u16; one beyond could only have been made wrong, and has no terms.
    u16::try_from(parameter.index()).unwrap_or(LAST_UPDATED - 1)
}

impl<'s, 't> Compiler<'s, 't> {
    /// The same within fewer types.
    fn within<'u>(self, types: &'u [u8]) -> Compiler<'s, 'u>
    where
        't: 'u,
    {
        Compiler { segment: self.segment, types }
    }

    fn filter(self, filter: &Filter, depth: usize) -> Result<Node<'s>, SearchError> {
        if depth > FILTER_DEPTH_MAX {
            return Err(SearchError::TooCostly { what: "nested conditions", max: FILTER_DEPTH_MAX });
        }
        Ok(match filter {
            Filter::Everything => Node::Everything,
            Filter::Nothing => Node::Nothing,
            Filter::All(all) => self.all(all, depth)?,
            Filter::Any(any) => {
                Node::any(any.iter().map(|filter| self.filter(filter, depth + 1)).collect::<Result<_, _>>()?)
            }
            Filter::Not(inner) => self.filter(inner, depth + 1)?.not(),
            Filter::Types(types) => {
                let mut codes: Vec<u8> = types.iter().map(|found| found.code()).collect();
                codes.sort_unstable();
                codes.dedup();
                self.types(&codes)?
            }
            Filter::Keys(keys) => self.exact(keys.iter().map(terms::key))?,
            Filter::LastUpdated { comparison, low_ms, high_ms } => {
                self.last_updated(&[(*comparison, *low_ms, *high_ms)])?
            }
            Filter::Value(parameter, test) => self.value(*parameter, test)?,
            Filter::Present(parameter) => self.one(terms::head(number(*parameter), kind::PRESENT))?,
            Filter::NarrativeWords(words) => self.global_words(kind::NARRATIVE, words)?,
            Filter::ContentWords(words) => self.global_words(kind::CONTENT, words)?,
            Filter::Contains(inner) => self.contains(inner)?,
            Filter::Guard(guard) => self.guard(guard, u64::from(self.segment.max_doc()))?,
            Filter::Chain { .. } | Filter::Has { .. } | Filter::Members { .. } => {
                return Err(SearchError::Engine("evaluating a filter that was not prepared"));
            }
        })
    }

    /// Tests of the same dates are taken together: they leave a few days between them where each alone leaves years.
    fn all(self, all: &[Filter], depth: usize) -> Result<Node<'s>, SearchError> {
        let left = types_left(all).map(|mut left| {
            left.retain(|code| self.types.contains(code));
            left
        });
        let inner = self.within(left.as_deref().unwrap_or(self.types));
        let mut nodes = Vec::new();
        let mut dates: HashMap<ParameterId, Vec<DateTest>> = HashMap::new();
        let mut updated: Vec<DateTest> = Vec::new();
        let guard_of = |filter: &Filter| match filter {
            Filter::Guard(guard) => Some(guard.clone()),
            _ => None,
        };
        let guards: Vec<_> = all.iter().filter_map(guard_of).collect();
        for filter in all {
            match filter {
                Filter::Value(parameter, Test::Date(comparison, low, high)) => {
                    dates.entry(*parameter).or_default().push((*comparison, *low, *high));
                }
                Filter::LastUpdated { comparison, low_ms, high_ms } => updated.push((*comparison, *low_ms, *high_ms)),
                Filter::Types(_) | Filter::Guard(_) => {}
                filter => nodes.push(inner.filter(filter, depth + 1)?),
            }
            if guards.is_empty() && matches!(nodes.last(), Some(Node::Nothing)) {
                return Ok(Node::Nothing);
            }
        }
        for (parameter, tests) in dates {
            nodes.push(inner.dates(number(parameter), &tests)?);
        }
        if !updated.is_empty() {
            nodes.push(inner.last_updated(&updated)?);
        }
        // What is there and hidden would now be asked of the guard, and the rest of the search goes on from it: what is not there takes as long.
        let stand_in = if guards.is_empty() { None } else { inner.stand_in()? };
        let in_vain = !guards.is_empty() && nodes.iter().any(|node| matches!(node, Node::Nothing));
        if in_vain {
            let Some(stand_in) = stand_in else { return Ok(Node::Nothing) };
            nodes = vec![stand_in];
        }
        if !guards.is_empty() {
            // How to look depends on how many are left by what stands beside it.
            let mut candidates: Vec<u64> = nodes.iter().map(|node| node.estimate(self.segment.max_doc())).collect();
            if let Some(left) = &left {
                candidates.push(self.types(left)?.estimate(self.segment.max_doc()));
            }
            let least = candidates.into_iter().min().unwrap_or_else(|| u64::from(self.segment.max_doc()));
            for guard in &guards {
                nodes.push(if in_vain { inner.guard_in_vain(guard)? } else { inner.guard(guard, least)? });
            }
        }
        if let Some(left) = &left
            && !nodes.iter().any(Node::is_of_types)
        {
            let of_types = self.types(left)?;
            // A posting list of one type is long; where something else leads, the column answers sooner.
            let leads = nodes.iter().all(|node| matches!(node, Node::Everything | Node::Not(_)));
            nodes.push(match of_types {
                Node::Terms(_) if !leads => Node::check(of_types, self.type_check(left)?),
                node => node,
            });
        }
        Ok(Node::all(nodes))
    }

    /// Documents of these types.
    fn types(self, codes: &[u8]) -> Result<Node<'s>, SearchError> {
        let mut found = Vec::new();
        for code in codes {
            found.extend(self.segment.term(&terms::plain(GLOBAL, kind::TYPE, &[*code]))?);
        }
        let within = codes.iter().all(|code| self.types.contains(code));
        let candidates = Node::terms(found, if within { Of::TypesOnce } else { Of::Any });
        let all = u64::from(self.segment.max_doc());
        Ok(if candidates.estimate(self.segment.max_doc()) == all { Node::Everything } else { candidates })
    }

    fn type_check(self, codes: &[u8]) -> Result<Check<'s>, SearchError> {
        let mut wanted = [false; 256];
        for &code in codes {
            if let Some(wanted) = wanted.get_mut(usize::from(code)) {
                *wanted = true;
            }
        }
        let column = self.segment.fixed(encode::TYPE)?;
        Ok(Rc::new(move |doc| {
            let code = column.values.get_val(doc);
            usize::try_from(code).ok().and_then(|code| wanted.get(code)).copied().unwrap_or(false)
        }))
    }

    /// Some document of the types that are searched, the same each time: it stands where one would that is not there. None: there is none.
    fn stand_in(self) -> Result<Option<Node<'s>>, SearchError> {
        for &code in self.types {
            let (start, mut found) = (terms::plain(GLOBAL, kind::KEY, &[code]), None);
            self.segment.terms(&start, terms::end_of(&start).as_deref(), &mut |_, info| {
                found = Some(info.clone());
                false
            })?;
            if let Some(info) = found {
                return Ok(Some(Node::terms(vec![info], Of::Any)));
            }
        }
        Ok(None)
    }

    fn one(self, term: Vec<u8>) -> Result<Node<'s>, SearchError> {
        self.exact(std::iter::once(term))
    }

    fn exact(self, all: impl Iterator<Item = Vec<u8>>) -> Result<Node<'s>, SearchError> {
        let mut found = Found::default();
        for mut term in all {
            for &type_code in terms::types_of(&term, self.types) {
                terms::set_type(&mut term, type_code);
                if let Some(info) = self.segment.term(&term)? {
                    found.push(&term, &info);
                }
            }
        }
        Ok(found.node())
    }

    /// The terms from `start` to before `end` that are asked for.
    fn range(
        self,
        found: &mut Found,
        mut start: Vec<u8>,
        end: Option<Vec<u8>>,
        asked: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), SearchError> {
        // All terms of a kind come before the next kind, so there is an end.
        let mut end = end.unwrap_or_default();
        for &type_code in terms::types_of(&start, self.types) {
            terms::set_type(&mut start, type_code);
            terms::set_type(&mut end, type_code);
            self.segment.terms(&start, Some(&end), &mut |term, info| {
                if asked(term) {
                    found.push(term, info);
                }
                true
            })?;
        }
        Ok(())
    }

    /// All terms that begin with this.
    fn under(self, start: Vec<u8>) -> Result<Node<'s>, SearchError> {
        let mut found = Found::default();
        let end = terms::end_of(&start);
        self.range(&mut found, start, end, &mut |_| true)?;
        Ok(found.node())
    }

    /// Of the terms that begin with one of these, those whose value passes.
    fn passing(self, starts: impl Iterator<Item = Vec<u8>>, test: &Test) -> Result<Node<'s>, SearchError> {
        let mut found = Found::default();
        for start in starts {
            let end = terms::end_of(&start);
            let mut asked = |term: &[u8]| terms::value_of(term).is_some_and(|value| passes(test, &value));
            self.range(&mut found, start, end, &mut asked)?;
        }
        Ok(found.node())
    }

    fn global_words(self, kind: u8, words: &[Box<str>]) -> Result<Node<'s>, SearchError> {
        let nodes = words.iter().map(|word| self.one(terms::word(GLOBAL, kind, word)));
        Ok(Node::all(nodes.collect::<Result<_, _>>()?))
    }

    /// Documents with a resource within them that the filter means. Each that has some of the types is looked at whole.
    fn contains(self, filter: &Filter) -> Result<Node<'s>, SearchError> {
        let all = if let Filter::All(all) = filter { all.as_slice() } else { std::slice::from_ref(filter) };
        let types = types_left(all);
        let mut infos = Vec::new();
        self.segment.terms_under(&terms::head(GLOBAL, kind::CONTAINS), &mut |term, info| {
            if term.last().is_some_and(|code| types.as_ref().is_none_or(|types| types.contains(code))) {
                infos.push(info.clone());
            }
            true
        })?;
        let (segment, filter) = (self.segment, filter.clone());
        let updated = segment.fixed(encode::UPDATED)?;
        let check = move |doc| {
            if !segment.budget.contained() {
                return false;
            }
            let stored = Timestamp::from_ms(u64_to_i64(updated.values.get_val(doc)));
            let contained = segment.checked(segment.contained(doc, stored), Vec::new());
            contained.iter().any(|contained| matches(&filter, contained))
        };
        Ok(Node::check(Node::terms(infos, Of::Any), Rc::new(check)))
    }

    fn value(self, parameter: ParameterId, test: &Test) -> Result<Node<'s>, SearchError> {
        let p = number(parameter);
        let once = |term: Vec<u8>| std::iter::once(term);
        let node = match test {
            Test::TokenIs { code, .. } => self.passing(once(terms::with_text(p, kind::CODE, code)), test)?,
            Test::TokenOfSystem(system) => {
                use crate::document::System;
                let systems = [System::Uri(system.clone()), System::Implied];
                self.exact(systems.iter().filter_map(|system| terms::system(p, system)))?
            }
            Test::TokenAmong(codes) => {
                let mut all: Vec<&str> = codes.iter().map(|(_, code)| &**code).collect();
                all.sort_unstable();
                all.dedup();
                self.passing(all.into_iter().map(|code| terms::with_text(p, kind::CODE, code)), test)?
            }
            Test::TokenText(words) => self.texts(p, kind::TOKEN_WORD, words, test)?,
            Test::StringText(words) => self.texts(p, kind::STRING_WORD, words, test)?,
            Test::OfType { value, .. } => self.passing(once(terms::with_text(p, kind::OF_TYPE, value)), test)?,
            Test::StringStarts(start) => {
                let mut term = terms::head(p, kind::STRING);
                terms::escape(&mut term, start);
                self.under(term)?
            }
            Test::StringIs(exact) => self.passing(once(terms::with_text(p, kind::STRING, &fold(exact))), test)?,
            Test::StringEquals(folded) => self.passing(once(terms::with_text(p, kind::STRING, folded)), test)?,
            Test::StringContains(_) | Test::StringEnds(_) => self.passing(once(terms::head(p, kind::STRING)), test)?,
            Test::Date(comparison, low, high) => self.dates(p, &[(*comparison, *low, *high)])?,
            Test::Number(comparison, low, high) => self.numbers(p, *comparison, (*low, *high))?,
            Test::Quantity(comparison, low, high, unit) => self.quantities(p, *comparison, (*low, *high), unit)?,
            Test::ReferenceIs(key) => self.references(p, std::iter::once(key))?,
            Test::ReferenceAmong(keys) => {
                let mut keys: Vec<&Key> = keys.iter().collect();
                keys.sort_unstable();
                self.references(p, keys.into_iter())?
            }
            Test::ReferenceId(types, id) => {
                self.exact(types.iter().map(|resource_type| terms::reference(p, *resource_type, id)))?
            }
            Test::ReferenceType(resource_type) => {
                self.one(terms::plain(p, kind::REFERENCE_TYPE, &[resource_type.code()]))?
            }
            Test::ReferenceUrl(url) => self.one(terms::plain(p, kind::REFERENCE_URL, url.as_bytes()))?,
            Test::ReferenceIdentifier { value, .. } => {
                self.passing(once(terms::with_text(p, kind::REFERENCE_IDENTIFIER, value)), test)?
            }
            Test::Canonical(url, _) | Test::UriIs(url) => {
                self.passing(once(terms::with_text(p, kind::URI, url)), test)?
            }
            Test::UriBelow(uri) => {
                let mut term = terms::head(p, kind::URI);
                terms::escape(&mut term, uri.strip_suffix('/').unwrap_or(uri));
                self.passing(once(term), test)?
            }
            Test::UriAbove(uri) => {
                self.passing(ancestors(uri).iter().map(|above| terms::with_text(p, kind::URI, above.as_str())), test)?
            }
            Test::Composite(parts) => self.composite(p, parts, test)?,
            Test::Near { .. } => self.near(p, test)?,
        };
        self.or_long(node, parameter, test)
    }

    fn references<'k>(self, parameter: u16, keys: impl Iterator<Item = &'k Key>) -> Result<Node<'s>, SearchError> {
        self.exact(keys.map(|key| terms::reference(parameter, key.resource_type, key.id.as_str())))
    }

    /// Adds the documents that have a long value which passes.
    fn or_long(self, node: Node<'s>, parameter: ParameterId, test: &Test) -> Result<Node<'s>, SearchError> {
        let long = self.one(terms::head(number(parameter), kind::LONG))?;
        let (segment, test) = (self.segment, test.clone());
        let check = move |doc| {
            let values = segment.checked(segment.long_values(doc, parameter), Vec::new());
            values.iter().any(|value| passes(&test, value))
        };
        Ok(Node::any(vec![node, Node::check(long, Rc::new(check))]))
    }

    /// Texts with all these words in one of them.
    fn texts(self, p: u16, kind: u8, asked: &[Box<str>], test: &Test) -> Result<Node<'s>, SearchError> {
        let mut nodes = Vec::new();
        for word in asked {
            let mut start = terms::plain(p, kind, word.as_bytes());
            if word.is_empty() {
                // Any word; the empty one is there for every text.
                start.push(0);
                let (mut found, end) = (Found::default(), terms::end_of(&terms::head(p, kind)));
                self.range(&mut found, start, end, &mut |_| true)?;
                nodes.push(found.node());
            } else {
                nodes.push(self.under(start)?);
            }
        }
        if asked.is_empty() {
            return self.one(terms::head(p, kind));
        }
        let all = Node::all(nodes);
        if asked.len() == 1 || matches!(all, Node::Nothing) {
            return Ok(all);
        }
        // Where a document has several texts they are kept whole; where it has one, that has all the words.
        let Some(texts) = self.segment.texts(p, column::WHOLE)? else { return Ok(all) };
        let (segment, test, known) = (self.segment, test.clone(), Known::default());
        let several = move |doc| {
            let mut numbers = texts.term_ords(doc).peekable();
            numbers.peek().is_none()
                || numbers.any(|number| known.get(number, || whole_passes(segment, &texts, number, &test)))
        };
        // The check is not exact alone, so what the words say stays a condition beside it.
        Ok(Node::all(vec![all, Node::Check(Box::new(Node::Everything), Rc::new(several))]))
    }
}

/// The uri and those above it, each with and without a `/` at its end.
fn ancestors(uri: &str) -> Vec<String> {
    let ends = uri.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at).take(ANCESTORS_MAX).chain([uri.len()]);
    let above = ends.filter_map(|end| uri.get(..end));
    above.flat_map(|above| [above.to_owned(), format!("{above}/")]).collect()
}

/// Most slashes of a uri that are looked at: values with more are long ones, which are looked at whole.
const ANCESTORS_MAX: usize = 512;
