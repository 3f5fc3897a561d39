//! Conversions between FHIRPath's own types (FHIRPath N1, "Conversion").

use super::{Evaluation, Result, Scope, boolean, single};
use crate::function::Function;
use crate::item::{Collection, Item};
use crate::quantity::Quantity;
use crate::syntax::Call;
use crate::temporal::{read_date, read_date_time, read_time};
use rust_decimal::Decimal;
use std::borrow::Cow;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn convert(&self, call: &'v Call, focus: &[Item<'v>], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        use Function as F;
        let at = call.function.name();
        let Some(item) = single(focus, at)? else { return Ok(Vec::new()) };
        let value = item.value();
        let value = value.as_ref();
        let converted = match call.function {
            F::ToBoolean | F::ConvertsToBoolean => to_boolean(value).map(Item::Boolean),
            F::ToInteger | F::ConvertsToInteger => to_integer(value).map(Item::Integer),
            F::ToDecimal | F::ConvertsToDecimal => to_decimal(value).map(Item::Decimal),
            F::ToDate | F::ConvertsToDate => match value {
                Item::Date(moment) | Item::DateTime(moment) => Some(Item::Date(moment.date())),
                Item::String(text) => read_date_time(text).map(|moment| Item::Date(moment.date())),
                _ => None,
            },
            F::ToDateTime | F::ConvertsToDateTime => match value {
                Item::Date(moment) | Item::DateTime(moment) => Some(Item::DateTime(*moment)),
                Item::String(text) => read_date_time(text).or_else(|| read_date(text)).map(Item::DateTime),
                _ => None,
            },
            F::ToTime | F::ConvertsToTime => match value {
                Item::Time(moment) => Some(Item::Time(*moment)),
                Item::String(text) => read_time(text.strip_prefix('T').unwrap_or(text)).map(Item::Time),
                _ => None,
            },
            F::ToQuantity | F::ConvertsToQuantity => {
                let quantity = to_quantity(value);
                match self.text_argument(call, 0, scope, at)? {
                    None => quantity,
                    Some(unit) => quantity.and_then(|quantity| quantity.in_unit(&unit)),
                }
                .map(Item::Quantity)
            }
            _ => item.to_text().map(Item::String),
        };
        let asks = matches!(
            call.function,
            F::ConvertsToBoolean
                | F::ConvertsToInteger
                | F::ConvertsToDecimal
                | F::ConvertsToDate
                | F::ConvertsToDateTime
                | F::ConvertsToTime
                | F::ConvertsToQuantity
                | F::ConvertsToString
        );
        Ok(if asks { boolean(converted.is_some()) } else { converted.into_iter().collect() })
    }
}

fn to_boolean(value: &Item<'_>) -> Option<bool> {
    match value {
        Item::Boolean(value) => Some(*value),
        Item::Integer(1) => Some(true),
        Item::Integer(0) => Some(false),
        Item::Decimal(value) if *value == Decimal::ONE => Some(true),
        Item::Decimal(value) if value.is_zero() => Some(false),
        Item::String(text) if text.len() <= "false".len() => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_integer(value: &Item<'_>) -> Option<i64> {
    match value {
        Item::Integer(value) => Some(*value),
        Item::Boolean(value) => Some(i64::from(*value)),
        Item::String(text) => text.parse::<i32>().ok().map(i64::from),
        _ => None,
    }
}

fn to_decimal(value: &Item<'_>) -> Option<Decimal> {
    match value {
        Item::Integer(value) => Some(Decimal::from(*value)),
        Item::Decimal(value) => Some(*value),
        Item::Boolean(value) => Some(if *value { Decimal::ONE } else { Decimal::ZERO }),
        Item::String(text) => {
            let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let well_formed = match unsigned.split_once('.') {
                Some((whole, fraction)) => digits(whole) && digits(fraction),
                None => digits(unsigned),
            };
            let text = text.strip_prefix('+').unwrap_or(text);
            well_formed.then(|| Decimal::from_str_exact(text).ok())?
        }
        _ => None,
    }
}

fn to_quantity<'v>(value: &Item<'v>) -> Option<Quantity<'v>> {
    match value {
        Item::Quantity(quantity) => Some(quantity.clone()),
        Item::String(text) => Quantity::read(text),
        Item::Integer(_) | Item::Decimal(_) | Item::Boolean(_) => {
            to_decimal(value).map(|value| Quantity::ucum(value, Cow::Borrowed("1")))
        }
        _ => None,
    }
}
