//! How precise a value is, and what it may stand for (FHIRPath, "Utility functions": `lowBoundary` and its kin).

use super::{Evaluation, Result, Scope, boolean, single};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item};
use crate::quantity::Quantity;
use crate::syntax::Call;
use crate::temporal::{DATE_DIGITS, DATE_TIME_DIGITS, TIME_DIGITS};
use rust_decimal::{Decimal, RoundingStrategy};
use tacet_fhir::json::Json;

/// Digits after the point where none are asked for.
const DECIMAL_DIGITS: i64 = 8;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn boundary(&self, call: &'v Call, focus: &[Item<'v>], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        let at = call.function.name();
        let Some(item) = single(focus, at)? else { return Ok(Vec::new()) };
        let value = item.value();
        match call.function {
            Function::Comparable => {
                let other = self.argument(call, 0, scope)?;
                let Some(other) = single(&other, at)? else { return Ok(Vec::new()) };
                match (value.as_ref(), other.value().as_ref()) {
                    (Item::Quantity(left), Item::Quantity(right)) => Ok(boolean(left.comparable(right))),
                    _ => Err(EvaluationError::Type { at }),
                }
            }
            Function::Precision => {
                let digits = match value.as_ref() {
                    Item::Integer(value) => i64::try_from(value.unsigned_abs().to_string().len()).unwrap_or(i64::MAX),
                    Item::Decimal(value) => i64::from(value.scale()),
                    Item::Date(moment) | Item::DateTime(moment) => moment.digits(false),
                    Item::Time(moment) => moment.digits(true),
                    _ => return Err(EvaluationError::Type { at }),
                };
                Ok(vec![Item::Integer(digits)])
            }
            _ => {
                let high = call.function == Function::HighBoundary;
                let digits = self.integer_argument(call, 0, scope, at)?;
                let decimal = |value: Decimal, own: i64| limit(value, own, high, digits.unwrap_or(DECIMAL_DIGITS));
                let found = match value.as_ref() {
                    Item::Integer(value) => decimal(Decimal::from(*value), 0).map(Item::Decimal),
                    Item::Decimal(value) => decimal(*value, written_scale(item, *value)).map(Item::Decimal),
                    Item::Quantity(quantity) => decimal(quantity.value, i64::from(quantity.value.scale()))
                        .map(|value| Item::Quantity(Quantity { value, unit: quantity.unit.clone() })),
                    Item::Date(moment) => moment.boundary(high, digits.unwrap_or(DATE_DIGITS), false).map(Item::Date),
                    Item::DateTime(moment) => {
                        moment.boundary(high, digits.unwrap_or(DATE_TIME_DIGITS), false).map(Item::DateTime)
                    }
                    Item::Time(moment) => moment.boundary(high, digits.unwrap_or(TIME_DIGITS), true).map(Item::Time),
                    _ => return Err(EvaluationError::Type { at }),
                };
                Ok(found.into_iter().collect())
            }
        }
    }
}

/// The place of the last digit as written, after the point; before it when negative, as in `9.5e2`.
fn written_scale(item: &Item<'_>, value: Decimal) -> i64 {
    let plain = i64::from(value.scale());
    let Some(Json::Number(text)) = item.node().map(|node| node.json) else { return plain };
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else { return plain };
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent: i64 = exponent.parse().unwrap_or(0);
    i64::try_from(fraction).unwrap_or(0).saturating_sub(exponent)
}

/// Half a unit of the last digit below or above, to so many digits after the point: down for the lower bound, up for
/// the upper. Where the value itself vanishes at those digits the bound is zero, as the official suite has it.
fn limit(value: Decimal, own_digits: i64, high: bool, digits: i64) -> Option<Decimal> {
    let digits = u32::try_from(digits).ok().filter(|digits| *digits <= Decimal::MAX_SCALE)?;
    let half = match u32::try_from(own_digits) {
        Ok(scale) => Decimal::try_from_i128_with_scale(5, scale.checked_add(1)?).ok()?,
        Err(_) => {
            Decimal::try_from_i128_with_scale(5 * 10_i128.checked_pow(u32::try_from(-own_digits - 1).ok()?)?, 0).ok()?
        }
    };
    let exact = if high { value.checked_add(half)? } else { value.checked_sub(half)? };
    let mut bound = if exact.scale() > digits && value.round_dp(digits).is_zero() && value.scale() > digits {
        Decimal::ZERO
    } else {
        let strategy = if high { RoundingStrategy::ToPositiveInfinity } else { RoundingStrategy::ToNegativeInfinity };
        exact.round_dp_with_strategy(digits, strategy)
    };
    bound.rescale(digits);
    (bound.scale() == digits).then_some(bound)
}
