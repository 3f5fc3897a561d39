//! Parameters that look at a resource's head or texts and not at values: `_id`, `_lastUpdated`, `_list`, `_text`, `_content`.

use super::condition::{Compiler, Leaf, any};
use super::escape::{prefix, unescape};
use super::expression::Operator;
use super::fault::{Fault, Outcome, named};
use super::ordered::date_range;
use super::value::boolean;
use crate::document::{Key, words};
use crate::filter::{Comparison, Filter};
use tacet_types::{ResourceId, ResourceType};

/// Deepest nesting of a text search.
const TEXT_NESTING_MAX: usize = 8;

impl Compiler<'_> {
    /// The filter, if this is one of them.
    pub(super) fn head(&mut self, types: &[ResourceType], name: &str, leaf: Leaf<'_>) -> Outcome<Option<Filter>> {
        Ok(Some(match name {
            "_id" => self.by_id(types, name, leaf)?,
            "_lastUpdated" => self.last_updated(name, leaf)?,
            "_list" => self.list(name, plain(name, leaf)?)?,
            "_text" => self.texts(name, plain(name, leaf)?, &Filter::NarrativeWords)?,
            "_content" => self.texts(name, plain(name, leaf)?, &Filter::ContentWords)?,
            _ => return Ok(None),
        }))
    }

    fn by_id(&mut self, types: &[ResourceType], name: &str, leaf: Leaf<'_>) -> Outcome<Filter> {
        let (raw, negated) = match leaf {
            Leaf::Search { modifier: None, raw } => (raw, false),
            Leaf::Search { modifier: Some("not"), raw } => (raw, true),
            Leaf::Search { modifier: Some("missing"), raw } => return Ok(always(!boolean(name, raw)?)),
            Leaf::Search { modifier: Some(modifier), .. } => return Err(Fault::unknown_modifier(name, modifier)),
            Leaf::Compare { operator: Operator::Eq, value } => (value, false),
            Leaf::Compare { operator: Operator::Ne, value } => (value, true),
            Leaf::Compare { operator: Operator::Pr, value } => return Ok(always(boolean(name, value)?)),
            Leaf::Compare { operator, .. } => return Err(Fault::invalid(name, operator.unfit())),
        };
        let mut keys = Vec::new();
        for raw in self.alternatives(name, raw)? {
            let id = ResourceId::parse(&unescape(raw)).map_err(|_| Fault::invalid(name, "the id of a resource"))?;
            keys.extend(types.iter().map(|resource_type| Key { resource_type: *resource_type, id: id.clone() }));
        }
        keys.sort_unstable();
        keys.dedup();
        let filter = Filter::Keys(keys);
        Ok(if negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn last_updated(&mut self, name: &str, leaf: Leaf<'_>) -> Outcome<Filter> {
        let now = self.call.now;
        let filter = |comparison, text: &str| -> Outcome<Filter> {
            let (comparison, low_ms, high_ms) = date_range(name, comparison, text, now)?;
            Ok(Filter::LastUpdated { comparison, low_ms, high_ms })
        };
        match leaf {
            Leaf::Search { modifier: None, raw } => {
                let each = |raw: &str| {
                    let text = unescape(raw);
                    let (comparison, date) = prefix(&text);
                    filter(comparison.unwrap_or(Comparison::Equal), date)
                };
                let alternatives = self.alternatives(name, raw)?;
                self.spend(alternatives.len())?;
                Ok(any(alternatives.into_iter().map(each).collect::<Outcome<_>>()?))
            }
            Leaf::Search { modifier: Some("missing"), raw } => Ok(always(!boolean(name, raw)?)),
            Leaf::Search { modifier: Some(modifier), .. } => Err(Fault::unknown_modifier(name, modifier)),
            Leaf::Compare { operator: Operator::Pr, value } => Ok(always(boolean(name, value)?)),
            Leaf::Compare { operator, value } => match operator.comparison() {
                Some(comparison) => filter(comparison, value),
                None => Err(Fault::invalid(name, operator.unfit())),
            },
        }
    }

    /// `_list` (<https://hl7.org/fhir/R4/search.html#list>): what a List refers to, or what is on a list that is made up.
    fn list(&mut self, name: &str, raw: &str) -> Outcome<Filter> {
        let list = super::key::resource_type("List")?;
        let parameter = self.parameters.find(list, "item").ok_or_else(|| Fault::unknown_parameter(name))?;
        let mut filters = Vec::new();
        for raw in self.alternatives(name, raw)? {
            let text = unescape(raw);
            if text.starts_with('$') {
                let Some(filter) = self.current(&text)? else {
                    return Err(Fault::unsupported(format!(
                        "{} knows the id of a List, $current-problems, $current-medications and $current-allergies, and no other list",
                        named(name)
                    )));
                };
                filters.push(filter);
                continue;
            }
            let id = ResourceId::parse(text.strip_prefix("List/").unwrap_or(&text));
            let id = id.map_err(|_| Fault::invalid(name, "the id of a List"))?;
            filters.push(Filter::Members { of: Key { resource_type: list, id }, parameter });
        }
        self.spend(filters.len())?;
        Ok(any(filters))
    }

    fn texts(&mut self, name: &str, raw: &str, make: &dyn Fn(Vec<Box<str>>) -> Filter) -> Outcome<Filter> {
        let mut filters = Vec::new();
        for raw in self.alternatives(name, raw)? {
            let text = unescape(raw);
            let mut reader = TextReader { name, rest: &text, depth: 0, conditions: 0, make };
            let filter = reader.either()?;
            if !reader.rest.trim_start().is_empty() {
                return Err(reader.invalid());
            }
            let conditions = reader.conditions;
            filters.push(filter);
            self.spend(conditions)?;
        }
        Ok(any(filters))
    }
}

/// The raw value of a parameter that takes no modifier and no operator.
fn plain<'q>(name: &str, leaf: Leaf<'q>) -> Outcome<&'q str> {
    match leaf {
        Leaf::Search { modifier: None, raw } => Ok(raw),
        Leaf::Search { modifier: Some(modifier), .. } => Err(Fault::unknown_modifier(name, modifier)),
        Leaf::Compare { operator, .. } => Err(Fault::invalid(name, operator.unfit())),
    }
}

fn always(holds: bool) -> Filter {
    if holds { Filter::Everything } else { Filter::Nothing }
}

/// Reads what `_text` and `_content` ask for.
///
/// ```text
/// either := both { "or" both }
/// both   := one { [ "and" ] one }
/// one    := "not" one | "(" either ")" | word | "\"" words "\""
/// ```
struct TextReader<'q> {
    name: &'q str,
    rest: &'q str,
    depth: usize,
    conditions: usize,
    make: &'q dyn Fn(Vec<Box<str>>) -> Filter,
}

impl<'q> TextReader<'q> {
    fn invalid(&self) -> Fault {
        Fault::invalid(self.name, "words, with or without and, or, not and parentheses")
    }

    fn either(&mut self) -> Outcome<Filter> {
        let mut all = vec![self.both()?];
        while self.keyword("or") {
            all.push(self.both()?);
        }
        Ok(any(all))
    }

    fn both(&mut self) -> Outcome<Filter> {
        let mut all = vec![self.one()?];
        loop {
            let and = self.keyword("and");
            let next = self.rest.trim_start();
            if !and && (next.is_empty() || next.starts_with(')') || self.peek().eq_ignore_ascii_case("or")) {
                return Ok(super::condition::all(all));
            }
            all.push(self.one()?);
        }
    }

    fn one(&mut self) -> Outcome<Filter> {
        if self.depth > TEXT_NESTING_MAX {
            return Err(Fault::too_many("nested conditions of a text search", TEXT_NESTING_MAX));
        }
        self.conditions += 1;
        self.depth += 1;
        let filter = if self.keyword("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.symbol('(') {
            let inner = self.either()?;
            if !self.symbol(')') {
                return Err(self.invalid());
            }
            inner
        } else if self.symbol('"') {
            let (phrase, rest) = self.rest.split_once('"').ok_or_else(|| self.invalid())?;
            self.rest = rest;
            self.words(phrase)?
        } else {
            let word = self.peek();
            self.rest = self.rest.trim_start().get(word.len()..).unwrap_or_default();
            self.words(word)?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn words(&self, text: &str) -> Outcome<Filter> {
        let words = words(text);
        if words.is_empty() { Err(self.invalid()) } else { Ok((self.make)(words)) }
    }

    /// The next word, up to a blank, parenthesis or quote.
    fn peek(&self) -> &'q str {
        let rest = self.rest.trim_start();
        rest.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).next().unwrap_or_default()
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().eq_ignore_ascii_case(keyword);
        if found {
            self.rest = self.rest.trim_start().get(keyword.len()..).unwrap_or_default();
        }
        found
    }

    fn symbol(&mut self, symbol: char) -> bool {
        match self.rest.trim_start().strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}
