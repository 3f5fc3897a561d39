//! The operators of `_filter` on one parameter.
//!
//! They ask for some value of the set that passes, as the page says, but for `ni`, and `ne` on what has no order: these hold when no
//! value is that one (and `ne` only when there is a value).

use super::condition::{Compiler, any};
use super::expression::Operator;
use super::fault::{Fault, Outcome};
use super::ordered::{date_range, number_test, quantity_test};
use super::string::folded;
use super::token::coding;
use super::value::boolean;
use crate::filter::{Comparison, Filter, SystemTest, Test};
use tacet_fhir::search::{ParameterId, ParameterType};

impl Compiler<'_> {
    /// `name operator value` for one parameter.
    pub(super) fn compare(
        &mut self,
        parameter: ParameterId,
        name: &str,
        operator: Operator,
        value: &str,
    ) -> Outcome<Filter> {
        use Operator as O;
        use ParameterType as P;
        let is = |test| Filter::Value(parameter, test);
        // The other functions take values as they stand in a query, where these separate and escape.
        let raw = || value.replace('\\', r"\\").replace(',', r"\,");
        let parameter_type = self.parameters.type_of(parameter);
        let test = match (parameter_type, operator) {
            (_, O::Pr) => {
                let present = Filter::Present(parameter);
                return Ok(if boolean(name, value)? { present } else { Filter::Not(Box::new(present)) });
            }
            (P::String, O::Eq | O::Ne) => Test::StringEquals(folded(name, value)?),
            (P::String, O::Co) => Test::StringContains(folded(name, value)?),
            (P::String, O::Sw) => Test::StringStarts(folded(name, value)?),
            (P::String, O::Ew) => Test::StringEnds(folded(name, value)?),
            // "The value subsumes a concept in the set": the concept stands below it.
            (P::Token, O::Ss | O::Sb) => {
                let (SystemTest::Is(system), code) = coding(name, &raw())? else {
                    return Err(Fault::invalid(name, "system|code"));
                };
                Test::TokenAmong(if operator == O::Ss {
                    self.terminology.below(&system, &code)?
                } else {
                    self.terminology.above(&system, &code)?
                })
            }
            (P::Token, O::In) => Test::TokenAmong(self.terminology.expand(value)?),
            (P::Token, O::Ni) => {
                return Ok(Filter::Not(Box::new(is(Test::TokenAmong(self.terminology.expand(value)?)))));
            }
            (P::Uri, O::Ss) => Test::UriBelow(value.into()),
            (P::Uri, O::Sb) => Test::UriAbove(value.into()),
            (P::Date, O::Po) => {
                let (_, low, high) = date_range(name, Comparison::Equal, value, self.call.now)?;
                Test::Date(Comparison::Approximately, low, high)
            }
            (P::Date, _) if let Some(comparison) = operator.comparison() => {
                let (comparison, low, high) = date_range(name, comparison, value, self.call.now)?;
                Test::Date(comparison, low, high)
            }
            (P::Number, _) if let Some(comparison) = operator.comparison() => number_test(name, comparison, value)?,
            (P::Quantity, _) if let Some(comparison) = operator.comparison() => {
                quantity_test(name, comparison, &raw())?
            }
            (P::Token | P::Uri | P::Reference | P::Composite, O::Eq | O::Ne) | (P::Reference, O::Re) => {
                let tests = self.plain(parameter, name, &raw())?;
                let filter = any(tests.into_iter().map(is).collect());
                return Ok(if operator == O::Ne { other(parameter, filter) } else { filter });
            }
            _ => return Err(Fault::invalid(name, operator.unfit())),
        };
        let filter = is(test);
        Ok(if operator == O::Ne && parameter_type == P::String { other(parameter, filter) } else { filter })
    }
}

/// There is a value, and none that passes.
fn other(parameter: ParameterId, filter: Filter) -> Filter {
    Filter::All(vec![Filter::Present(parameter), Filter::Not(Box::new(filter))])
}
