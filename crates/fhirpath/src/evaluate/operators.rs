//! Operators: logic, arithmetic, and those that others of this folder do the work of.

use super::equal::number;
use super::{Evaluation, Result, Scope, boolean, is_bare, single};
use crate::error::EvaluationError;
use crate::item::{Collection, Item, truth};
use crate::quantity::{Quantity, Unit};
use crate::syntax::{Expr, Link, Operator};
use crate::temporal::{CalendarUnit, Moment};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn chain(&self, first: &'v Expr, links: &'v [Link], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        let mut left = self.expr(first, scope)?;
        for link in links {
            left = match link {
                Link::Binary(operator, right) => self.binary(*operator, left, right, scope)?,
                Link::Is(name) => match single(&left, "is")? {
                    None => Vec::new(),
                    Some(item) => boolean(self.is_type(item, *name)?),
                },
                Link::As(name) => {
                    single(&left, "as")?;
                    self.of_type(left, *name)?
                }
            };
        }
        Ok(left)
    }

    fn binary(
        &self,
        operator: Operator,
        left: Collection<'v>,
        right: &'v Expr,
        scope: &Scope<'_, 'v>,
    ) -> Result<Collection<'v>> {
        let at = operator.name();
        if matches!(operator, Operator::And | Operator::Or | Operator::Xor | Operator::Implies) {
            let left = truth(&left, at)?;
            let known = logic(operator, left, None);
            let value = match known {
                // What the left side settles, the right side does not change.
                Some(value) => Some(value),
                None => logic(operator, left, truth(&self.expr(right, scope)?, at)?),
            };
            return Ok(value.map(Item::Boolean).into_iter().collect());
        }
        let right = self.expr(right, scope)?;
        let known = |value: Option<bool>| value.map(Item::Boolean).into_iter().collect();
        Ok(match operator {
            Operator::Equal => known(self.equal(&left, &right)?),
            Operator::NotEqual => known(self.equal(&left, &right)?.map(|equal| !equal)),
            Operator::Equivalent => boolean(self.equivalent(&left, &right)?),
            Operator::NotEquivalent => boolean(!self.equivalent(&left, &right)?),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                return self.comparison(operator, &left, &right);
            }
            Operator::Union => return self.union(left, right),
            Operator::In => match single(&left, at)? {
                None => Vec::new(),
                Some(item) => boolean(self.contains(&right, item)?),
            },
            Operator::Contains => match single(&right, at)? {
                None => Vec::new(),
                Some(item) => boolean(self.contains(&left, item)?),
            },
            Operator::Concatenate => {
                let side = |items: &[Item<'v>]| match single(items, at)? {
                    None => Ok(String::new()),
                    Some(item) if is_bare(item) => Ok(String::new()),
                    Some(item) => item.as_text().map(String::from).ok_or(EvaluationError::Type { at }),
                };
                let (mut text, right) = (side(&left)?, side(&right)?);
                if text.len() + right.len() > super::TEXT_BYTES_MAX {
                    return Err(EvaluationError::TooLarge);
                }
                text.push_str(&right);
                vec![self.text(text)?]
            }
            _ => {
                let (Some(left), Some(right)) = (single(&left, at)?, single(&right, at)?) else {
                    return Ok(Vec::new());
                };
                return Ok(self.arithmetic(operator, left, right)?.into_iter().collect());
            }
        })
    }

    /// A result that no number can hold is no result.
    fn arithmetic(&self, operator: Operator, left: &Item<'v>, right: &Item<'v>) -> Result<Option<Item<'v>>> {
        let at = operator.name();
        let (left, right) = (left.value(), right.value());
        Ok(match (left.as_ref(), right.as_ref()) {
            (Item::Integer(left), Item::Integer(right)) if operator != Operator::Divide => {
                let value = match operator {
                    Operator::Plus => left.checked_add(*right),
                    Operator::Minus => left.checked_sub(*right),
                    Operator::Multiply => left.checked_mul(*right),
                    Operator::Div => left.checked_div(*right),
                    _ => left.checked_rem(*right),
                };
                // Of 32 bits (N1, "Integer").
                value.filter(|value| i32::try_from(*value).is_ok()).map(Item::Integer)
            }
            (Item::String(left), Item::String(right)) if operator == Operator::Plus => {
                self.check_text(left.len() + right.len())?;
                Some(self.text(format!("{left}{right}"))?)
            }
            (Item::Quantity(left), Item::Quantity(right)) => quantities(operator, left, right)?.map(Item::Quantity),
            (Item::Quantity(quantity), other) | (other, Item::Quantity(quantity))
                if number(other).is_some() && matches!(operator, Operator::Multiply | Operator::Divide) =>
            {
                let other = number(other).unwrap_or_default();
                let quantity_left = matches!(left.as_ref(), Item::Quantity(_));
                let plain = Quantity::ucum(other, "1");
                match (operator, quantity_left) {
                    (Operator::Multiply, _) => {
                        quantity.value.checked_mul(other).map(|value| Quantity { value, unit: quantity.unit.clone() })
                    }
                    (_, true) => {
                        quantity.value.checked_div(other).map(|value| Quantity { value, unit: quantity.unit.clone() })
                    }
                    (_, false) => plain.over(quantity),
                }
                .map(Item::Quantity)
            }
            (Item::Date(moment), Item::Quantity(by)) => moved(operator, *moment, by, false)?.map(Item::Date),
            (Item::DateTime(moment), Item::Quantity(by)) => moved(operator, *moment, by, false)?.map(Item::DateTime),
            (Item::Time(moment), Item::Quantity(by)) => moved(operator, *moment, by, true)?.map(Item::Time),
            (left, right) => {
                let (Some(left), Some(right)) = (number(left), number(right)) else {
                    // An element without a value counts as nothing.
                    return if is_bare(left) || is_bare(right) { Ok(None) } else { Err(EvaluationError::Type { at }) };
                };
                decimals(operator, left, right)
            }
        })
    }

    pub(super) fn sign(&self, negate: bool, items: Collection<'v>) -> Result<Collection<'v>> {
        let at = if negate { "-" } else { "+" };
        let Some(item) = single(&items, at)? else { return Ok(Vec::new()) };
        Ok(match (item.value().as_ref(), negate) {
            _ if is_bare(item) => Vec::new(),
            (Item::Integer(value), true) => value.checked_neg().map(Item::Integer).into_iter().collect(),
            // Zero has no sign: `rust_decimal` would keep one.
            (Item::Decimal(value), true) if value.is_zero() => vec![Item::Decimal(value.abs())],
            (Item::Decimal(value), true) => vec![Item::Decimal(-value)],
            (Item::Quantity(quantity), true) => {
                vec![Item::Quantity(Quantity { value: -quantity.value, unit: quantity.unit.clone() })]
            }
            (value @ (Item::Integer(_) | Item::Decimal(_) | Item::Quantity(_)), false) => vec![value.clone()],
            _ => return Err(EvaluationError::Type { at }),
        })
    }
}

/// Three-valued logic (N1, "Boolean logic").
fn logic(operator: Operator, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (operator, left, right) {
        (Operator::And, Some(false), _) | (Operator::And, _, Some(false)) => Some(false),
        (Operator::And, Some(true), Some(true)) => Some(true),
        (Operator::Or, Some(true), _) | (Operator::Or, _, Some(true)) => Some(true),
        (Operator::Or, Some(false), Some(false)) => Some(false),
        (Operator::Xor, Some(left), Some(right)) => Some(left != right),
        (Operator::Implies, Some(false), _) | (Operator::Implies, _, Some(true)) => Some(true),
        (Operator::Implies, Some(true), Some(false)) => Some(false),
        _ => None,
    }
}

fn decimals<'v>(operator: Operator, left: Decimal, right: Decimal) -> Option<Item<'v>> {
    let value = match operator {
        Operator::Plus => left.checked_add(right),
        Operator::Minus => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        Operator::Div => {
            let whole = left.checked_div(right)?.trunc().to_i64()?;
            return i32::try_from(whole).ok().map(|whole| Item::Integer(i64::from(whole)));
        }
        _ => left.checked_rem(right),
    };
    value.map(Item::Decimal)
}

fn quantities<'v>(operator: Operator, left: &Quantity<'v>, right: &Quantity<'v>) -> Result<Option<Quantity<'v>>> {
    Ok(match operator {
        Operator::Plus => left.plus(right, false),
        Operator::Minus => left.plus(right, true),
        Operator::Multiply => left.times(right),
        Operator::Divide => left.over(right),
        _ => return Err(EvaluationError::Type { at: operator.name() }),
    })
}

/// A moment moved by a duration, in whole units.
fn moved(operator: Operator, moment: Moment, by: &Quantity<'_>, time_only: bool) -> Result<Option<Moment>> {
    if !matches!(operator, Operator::Plus | Operator::Minus) {
        return Err(EvaluationError::Type { at: operator.name() });
    }
    let unit = match &by.unit {
        Unit::Calendar(word) => CalendarUnit::parse(word),
        // A keyword between quotes is taken for the keyword, as the official suite has it.
        Unit::Ucum(code) => CalendarUnit::definite(code).or_else(|| CalendarUnit::parse(code)),
        Unit::Words(_) => None,
    };
    let unit = unit.ok_or(EvaluationError::Unit)?;
    let days = matches!(unit, CalendarUnit::Year | CalendarUnit::Month | CalendarUnit::Week | CalendarUnit::Day);
    if time_only && days {
        return Err(EvaluationError::Unit);
    }
    let amount = if operator == Operator::Minus { -by.value } else { by.value };
    Ok(amount.trunc().to_i64().and_then(|amount| moment.plus(amount, unit, time_only)))
}
