//! Equality and equivalence (FHIRPath N1, "Equality").

use super::{Evaluation, Result};
use crate::item::{Item, Node, read_decimal};
use crate::quantity::Quantity;
use rust_decimal::Decimal;
use std::cmp::Ordering;
use tacet_fhir::json::Json;

impl<'v> Evaluation<'_, 'v> {
    /// `=` of two collections; nothing where it is not known.
    pub(super) fn equal(&self, left: &[Item<'v>], right: &[Item<'v>]) -> Result<Option<bool>> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        let mut known = true;
        for (one, two) in left.iter().zip(right) {
            match self.equal_items(one, two)? {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => known = false,
            }
        }
        Ok(known.then_some(true))
    }

    /// `=` of two items.
    pub(super) fn equal_items(&self, left: &Item<'v>, right: &Item<'v>) -> Result<Option<bool>> {
        self.step(1)?;
        let (left, right) = (left.value(), right.value());
        Ok(match (left.as_ref(), right.as_ref()) {
            (Item::Boolean(left), Item::Boolean(right)) => Some(left == right),
            (Item::String(left), Item::String(right)) => {
                self.step(left.len().min(right.len()) / super::TEXT_BYTES_PER_STEP)?;
                Some(left == right)
            }
            (Item::Time(left), Item::Time(right)) => left.compare(right).map(Ordering::is_eq),
            (Item::Date(left) | Item::DateTime(left), Item::Date(right) | Item::DateTime(right)) => {
                left.compare(right).map(Ordering::is_eq)
            }
            (Item::Quantity(left), Item::Quantity(right)) => left.compare(right).map(Ordering::is_eq),
            (Item::Type(left), Item::Type(right)) => Some(left == right),
            (Item::Node(left), Item::Node(right)) => Some(self.same(left, right, false)?),
            (left, right) => match (number(left), number(right)) {
                (Some(left), Some(right)) => Some(left == right),
                _ => Some(false),
            },
        })
    }

    /// `~` of two collections: the order does not count.
    pub(super) fn equivalent(&self, left: &[Item<'v>], right: &[Item<'v>]) -> Result<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut open: Vec<&Item<'v>> = right.iter().collect();
        'items: for item in left {
            for (at, other) in open.iter().enumerate() {
                if self.equivalent_items(item, other)? {
                    open.swap_remove(at);
                    continue 'items;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }

    fn equivalent_items(&self, left: &Item<'v>, right: &Item<'v>) -> Result<bool> {
        self.step(1)?;
        let (left, right) = (left.value(), right.value());
        Ok(match (left.as_ref(), right.as_ref()) {
            (Item::String(left), Item::String(right)) => self.same_words(left, right)?,
            (Item::Quantity(left), Item::Quantity(right)) => Quantity::equivalent(left, right),
            (Item::Node(left), Item::Node(right)) => self.same(left, right, true)?,
            (left, right) => match (number(left), number(right)) {
                (Some(left), Some(right)) => same_number(left, right),
                _ => self.equal_items(left, right)? == Some(true),
            },
        })
    }

    /// Text without regard to case and to how much white space there is.
    fn same_words(&self, left: &str, right: &str) -> Result<bool> {
        self.step((left.len() + right.len()) / super::TEXT_BYTES_PER_STEP)?;
        let fold = |text: &str| -> String {
            let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ");
            spaced.chars().flat_map(char::to_lowercase).collect()
        };
        Ok(left == right || fold(left) == fold(right))
    }

    /// Whether two elements say the same.
    fn same(&self, left: &Node<'v>, right: &Node<'v>, loosely: bool) -> Result<bool> {
        if std::ptr::eq(left.json, right.json) && left.json.is_object() {
            return Ok(true);
        }
        if !self.same_json(left.json, right.json, loosely)? {
            return Ok(false);
        }
        // Of primitives without a value, what stands beside them is all there is.
        match (left.extra, right.extra) {
            (Some(left_extra), Some(right_extra)) if left.json.is_null() => {
                self.same_json(left_extra, right_extra, loosely)
            }
            _ => Ok(true),
        }
    }

    /// The recursion is bounded by the depth that the JSON parser allows.
    fn same_json(&self, left: &Json<'v>, right: &Json<'v>, loosely: bool) -> Result<bool> {
        self.step(1)?;
        match (left, right) {
            (Json::Object(left), Json::Object(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (name, value) in left {
                    let Some((_, other)) = right.iter().find(|(known, _)| known == name) else { return Ok(false) };
                    if !self.same_json(value, other, loosely)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Json::Array(left), Json::Array(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                if loosely {
                    return self.same_set(left, right);
                }
                for (one, two) in left.iter().zip(right) {
                    if !self.same_json(one, two, loosely)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Json::String(left), Json::String(right)) if loosely => self.same_words(left, right),
            (Json::Number(left), Json::Number(right)) => Ok(match (read_decimal(left), read_decimal(right)) {
                (Some(left), Some(right)) if loosely => same_number(left, right),
                (Some(left), Some(right)) => left == right,
                _ => left == right,
            }),
            _ => Ok(left == right),
        }
    }

    fn same_set(&self, left: &[Json<'v>], right: &[Json<'v>]) -> Result<bool> {
        let mut open: Vec<&Json<'v>> = right.iter().collect();
        'items: for item in left {
            for (at, other) in open.iter().enumerate() {
                if self.same_json(item, other, true)? {
                    open.swap_remove(at);
                    continue 'items;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }
}

/// A whole number or one with a fraction.
pub(super) fn number(item: &Item<'_>) -> Option<Decimal> {
    match item {
        Item::Integer(value) => Some(Decimal::from(*value)),
        Item::Decimal(value) => Some(*value),
        _ => None,
    }
}

/// Equal when rounded to the digits of the one that has fewer, trailing zeros aside.
fn same_number(left: Decimal, right: Decimal) -> bool {
    let (left, right) = (left.normalize(), right.normalize());
    let digits = left.scale().min(right.scale());
    left.round_dp(digits) == right.round_dp(digits)
}
