//! Functions of numbers (FHIRPath N1, "Math"). What no number can hold is no result.

use super::equal::number;
use super::{Evaluation, Result, Scope, is_bare, single};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item};
use crate::quantity::Quantity;
use crate::syntax::Call;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};

/// Digits after the point that the series behind logarithms and powers are trusted to.
const SERIES_DIGITS: u32 = 15;
/// The largest exponent that is tried: a number of 96 bits leaves its range before.
const EXPONENT_MAX: i64 = 1000;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn math(&self, call: &'v Call, focus: &[Item<'v>], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        use Function as F;
        let at = call.function.name();
        let Some(item) = single(focus, at)? else { return Ok(Vec::new()) };
        let value = item.value();
        let wrong = EvaluationError::Type { at };
        if let Item::Quantity(quantity) = value.as_ref() {
            let changed = match call.function {
                F::Abs => quantity.value.abs(),
                F::Ceiling => quantity.value.ceil(),
                F::Floor => quantity.value.floor(),
                F::Truncate => quantity.value.trunc(),
                F::Round => self.round(call, quantity.value, scope)?,
                _ => return Err(wrong),
            };
            return Ok(vec![Item::Quantity(Quantity { value: changed, unit: quantity.unit.clone() })]);
        }
        let Some(x) = number(value.as_ref()) else {
            return if is_bare(item) { Ok(Vec::new()) } else { Err(wrong) };
        };
        // Of 32 bits (N1, "Integer").
        let whole = |value: Decimal| value.to_i32().map(|value| Item::Integer(i64::from(value)));
        let decimal = |value: Option<Decimal>| value.map(Item::Decimal);
        // A series takes some hundred multiplications.
        self.step(100)?;
        let result = match call.function {
            F::Abs => match value.as_ref() {
                Item::Integer(value) => value.checked_abs().map(Item::Integer),
                _ => Some(Item::Decimal(x.abs())),
            },
            F::Ceiling => whole(x.ceil()),
            F::Floor => whole(x.floor()),
            F::Truncate => whole(x.trunc()),
            F::Round => match value.as_ref() {
                Item::Integer(value) => Some(Item::Integer(*value)),
                _ => Some(Item::Decimal(self.round(call, x, scope)?)),
            },
            F::Exp => decimal(x.checked_exp().map(tidy)),
            F::Ln => decimal(x.checked_ln().map(tidy)),
            F::Sqrt => decimal(x.sqrt().map(tidy)),
            _ => {
                let argument = self.argument(call, 0, scope)?;
                let Some(argument) = single(&argument, at)? else { return Ok(Vec::new()) };
                let argument = argument.value();
                let Some(y) = number(argument.as_ref()) else { return Err(EvaluationError::Type { at }) };
                if call.function == F::Log {
                    let ratio = x.checked_ln().zip(y.checked_ln()).and_then(|(x, y)| x.checked_div(y));
                    decimal(ratio.map(tidy))
                } else {
                    power(value.as_ref(), argument.as_ref(), x, y)
                }
            }
        };
        Ok(result.into_iter().collect())
    }

    /// To so many digits after the point; halves go away from zero.
    fn round(&self, call: &'v Call, value: Decimal, scope: &Scope<'_, 'v>) -> Result<Decimal> {
        const AT: &str = "round()";
        let digits = self.integer_argument(call, 0, scope, AT)?.unwrap_or(0);
        let digits =
            u32::try_from(digits).map_err(|_| EvaluationError::Argument { at: AT, expected: "zero or more digits" })?;
        Ok(value.round_dp_with_strategy(digits.min(Decimal::MAX_SCALE), RoundingStrategy::MidpointAwayFromZero))
    }
}

fn tidy(value: Decimal) -> Decimal {
    value.round_dp(SERIES_DIGITS).normalize()
}

fn power<'v>(base: &Item<'_>, exponent: &Item<'_>, x: Decimal, y: Decimal) -> Option<Item<'v>> {
    if y.is_zero() {
        return Some(if matches!((base, exponent), (Item::Integer(_), Item::Integer(_))) {
            Item::Integer(1)
        } else {
            Item::Decimal(Decimal::ONE)
        });
    }
    if x.is_zero() && y.is_sign_negative() {
        return None;
    }
    if let Some(y) = y.is_integer().then(|| y.to_i64()).flatten() {
        if x.abs() != Decimal::ONE && !x.is_zero() && y.abs() > EXPONENT_MAX {
            return None;
        }
        // Of 1 and -1 only whether the exponent is even matters.
        let y = if y.abs() > EXPONENT_MAX { 2 + y.rem_euclid(2) } else { y };
        let value = x.checked_powi(y)?;
        if let (Item::Integer(_), Item::Integer(_), true) = (base, exponent, y >= 0) {
            return i32::try_from(value.to_i64()?).ok().map(|value| Item::Integer(i64::from(value)));
        }
        return Some(Item::Decimal(value));
    }
    if x.is_sign_negative() || y.abs() > Decimal::from(EXPONENT_MAX) {
        return None;
    }
    x.checked_powd(y).map(|value| Item::Decimal(tidy(value)))
}
