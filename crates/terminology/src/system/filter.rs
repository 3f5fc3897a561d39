//! Filters of a value set's `include`: which concepts of a system have a property that fits.
//!
//! The operators are those of the code system `filter-operator` (R4, "Value Set Filters").

use super::{NamedProperty, System};
use crate::bits::Bits;
use crate::error::TerminologyError;
use crate::limits::{LIST_ITEMS_MAX, REGEX_BYTES_MAX, REGEX_PROGRAM_BYTES_MAX};
use crate::table::{ABSTRACT, INACTIVE, PropertyKind};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::collections::HashSet;
use tacet_fhir::json::{Json, Limits, parse_str};

/// An operator of a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FilterOperator {
    Equal,
    IsA,
    DescendentOf,
    IsNotA,
    Regex,
    In,
    NotIn,
    Generalizes,
    Exists,
}

impl FilterOperator {
    pub(crate) fn of(code: &str) -> Option<Self> {
        Some(match code {
            "=" => Self::Equal,
            "is-a" => Self::IsA,
            "descendent-of" => Self::DescendentOf,
            "is-not-a" => Self::IsNotA,
            "regex" => Self::Regex,
            "in" => Self::In,
            "not-in" => Self::NotIn,
            "generalizes" => Self::Generalizes,
            "exists" => Self::Exists,
            _ => return None,
        })
    }
}

/// A filter as a value set states it.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) property: Box<str>,
    pub(crate) operator: FilterOperator,
    pub(crate) value: Box<str>,
}

/// The work that is left before it becomes too much.
#[derive(Debug)]
pub(crate) struct Steps(pub(crate) usize);

impl Steps {
    /// Takes `count` steps.
    pub(crate) fn take(&mut self, count: usize) -> Result<(), TerminologyError> {
        match self.0.checked_sub(count) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(TerminologyError::too_costly(
                "the expansion looks at too many concepts: narrow the value set by fewer or smaller includes",
            )),
        }
    }
}

/// What is wrong with a filter: the filter itself, or that it is too much work.
#[derive(Debug)]
pub(crate) enum FilterError {
    Filter(TerminologyError),
    TooCostly(TerminologyError),
}

/// Properties that every concept has, whatever its system defines (R4, "Concept properties").
#[derive(Clone, Copy)]
enum Source<'f> {
    Code,
    Display,
    Definition,
    Parent,
    Child,
    Flag(u8),
    Named(&'f str),
}

/// How a value is judged.
enum Test<'f> {
    Equal(&'f str),
    OneOf(HashSet<&'f str>),
    Matches(Regex),
}

impl Test<'_> {
    fn holds(&self, value: &str) -> bool {
        match self {
            Test::Equal(wanted) => *wanted == value,
            Test::OneOf(wanted) => wanted.contains(value),
            Test::Matches(regex) => regex.is_match(value),
        }
    }
}

impl System {
    /// The concepts for which the filter holds.
    pub(crate) fn filtered(&self, filter: &Filter, steps: &mut Steps) -> Result<Bits, FilterError> {
        let table = self.table();
        steps.take(table.len() + 1).map_err(FilterError::TooCostly)?;
        let concept = || {
            table.find(&filter.value).ok_or_else(|| {
                FilterError::Filter(TerminologyError::invalid(format!(
                    "a filter of the value set names a concept that code system `{}` does not have",
                    self.header().url
                )))
            })
        };
        Ok(match filter.operator {
            FilterOperator::IsA => table.below(concept()?),
            FilterOperator::IsNotA => table.below(concept()?).inverted(),
            FilterOperator::Generalizes => table.above(concept()?),
            FilterOperator::DescendentOf => {
                let concept = concept()?;
                let mut below = table.below(concept);
                below.remove(concept);
                below
            }
            FilterOperator::Equal => self.having(filter, &Test::Equal(&filter.value), steps)?,
            FilterOperator::Regex => self.having(filter, &Test::Matches(regex(&filter.value)?), steps)?,
            FilterOperator::In => self.having(filter, &Test::OneOf(list(&filter.value)?), steps)?,
            FilterOperator::NotIn => self.having(filter, &Test::OneOf(list(&filter.value)?), steps)?.inverted(),
            FilterOperator::Exists => {
                let exists = self.existing(self.source(filter)?);
                match &*filter.value {
                    "true" => exists,
                    "false" => exists.inverted(),
                    _ => return Err(invalid("a filter with `exists` has a value other than `true` and `false`")),
                }
            }
        })
    }

    fn source<'f>(&'f self, filter: &'f Filter) -> Result<Source<'f>, FilterError> {
        Ok(match (&*filter.property, self.property(&filter.property)) {
            ("code" | "concept", None) => Source::Code,
            ("display", None) => Source::Display,
            ("definition", None) => Source::Definition,
            ("parent", _) => Source::Parent,
            ("child", _) => Source::Child,
            ("inactive", _) => Source::Flag(INACTIVE),
            ("notSelectable" | "abstract", _) => Source::Flag(ABSTRACT),
            (_, Some(known)) => {
                let listed =
                    matches!(filter.operator, FilterOperator::Equal | FilterOperator::In | FilterOperator::NotIn);
                if known.kind == PropertyKind::Coding && listed && !filter.value.contains('#') {
                    return Err(invalid("a filter on a property of type Coding needs a value `system#code`"));
                }
                Source::Named(&known.code)
            }
            (_, None) => {
                return Err(invalid(format!(
                    "a filter uses a property that code system `{}` does not define",
                    self.header().url
                )));
            }
        })
    }

    fn having(&self, filter: &Filter, test: &Test<'_>, steps: &mut Steps) -> Result<Bits, FilterError> {
        let source = self.source(filter)?;
        let table = self.table();
        let mut bits = Bits::none(table.len());
        for concept in 0..table.len() as u32 {
            let holds = match source {
                Source::Code => test.holds(table.code(concept)),
                Source::Display => self.display_in(concept, None).is_some_and(|text| test.holds(text)),
                Source::Definition => table.definition(concept).is_some_and(|text| test.holds(text)),
                Source::Parent => table.parents(concept).iter().any(|parent| test.holds(table.code(*parent))),
                Source::Child => table.children(concept).iter().any(|child| test.holds(table.code(*child))),
                Source::Flag(flag) => test.holds(if table.is(concept, flag) { "true" } else { "false" }),
                Source::Named(name) => {
                    self.properties(concept).any(|property| property.name == name && test.holds(&filter_text(property)))
                }
            };
            if holds {
                bits.insert(concept);
            }
            // Supplements are looked at for each concept: each is a step of its own.
            steps.take(self.supplements.len()).map_err(FilterError::TooCostly)?;
        }
        Ok(bits)
    }

    fn existing(&self, source: Source<'_>) -> Bits {
        let table = self.table();
        let mut bits = Bits::none(table.len());
        for concept in 0..table.len() as u32 {
            let exists = match source {
                Source::Code => true,
                Source::Display => table.display(concept).is_some(),
                Source::Definition => table.definition(concept).is_some(),
                Source::Parent => !table.parents(concept).is_empty(),
                Source::Child => !table.children(concept).is_empty(),
                Source::Flag(flag) => table.is(concept, flag),
                Source::Named(name) => self.properties(concept).any(|property| property.name == name),
            };
            if exists {
                bits.insert(concept);
            }
        }
        bits
    }
}

/// A property's value as filters write it: a Coding is `system#code`.
fn filter_text(property: NamedProperty<'_>) -> Cow<'_, str> {
    if property.kind != PropertyKind::Coding {
        return Cow::Borrowed(property.value);
    }
    let coding = parse_str(property.value, &Limits::default()).unwrap_or(Json::Null);
    let text = |name| coding.get_str(name).unwrap_or_default();
    Cow::Owned(format!("{}#{}", text("system"), text("code")))
}

fn invalid(message: impl Into<String>) -> FilterError {
    FilterError::Filter(TerminologyError::invalid(message))
}

/// The expression must match the whole value, as the `matches` of formats in FHIR does.
fn regex(text: &str) -> Result<Regex, FilterError> {
    if text.len() > REGEX_BYTES_MAX {
        return Err(invalid(format!("a filter's regular expression is longer than {REGEX_BYTES_MAX} bytes")));
    }
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(REGEX_PROGRAM_BYTES_MAX)
        .dfa_size_limit(REGEX_PROGRAM_BYTES_MAX)
        .nest_limit(32)
        .build()
        .map_err(|_| invalid("a filter's regular expression is malformed, or too large when compiled"))
}

/// The codes of a list: separated by commas (R4, `in` and `not-in`).
fn list(text: &str) -> Result<HashSet<&str>, FilterError> {
    let items: HashSet<&str> = text.split(',').map(str::trim).take(LIST_ITEMS_MAX + 1).collect();
    if items.len() > LIST_ITEMS_MAX {
        return Err(invalid(format!("a filter's list has more than {LIST_ITEMS_MAX} codes")));
    }
    Ok(items)
}
