//! Numbers with a unit: UCUM units and the calendar's durations.
//!
//! A quantity of a resource counts as one of UCUM when its system says so; with a unit in words only it compares with
//! the same words, and without any unit only with another such (FHIR R4, "Using FHIR types in expressions").

use crate::item::read_decimal;
use crate::temporal::CalendarUnit;
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use std::borrow::Cow;
use std::cmp::Ordering;
use tacet_fhir::json::Json;

/// The address of UCUM as a code system.
const UCUM: &str = "http://unitsofmeasure.org";

/// A number and its unit.
#[derive(Clone, PartialEq, Debug)]
pub struct Quantity<'v> {
    /// The number.
    pub value: Decimal,
    /// The unit.
    pub unit: Unit<'v>,
}

/// The unit of a [`Quantity`].
#[derive(Clone, PartialEq, Debug)]
pub enum Unit<'v> {
    /// A code of UCUM; `1` where there is no unit in an expression.
    Ucum(Cow<'v, str>),
    /// A duration of the calendar, by its keyword, singular.
    Calendar(&'static str),
    /// Words, or a code of another system (`None` where a resource gives nothing at all).
    Words(Option<(Option<&'v str>, &'v str)>),
}

/// Significant digits that a converted amount is given with: it is worked out as a floating-point number of about 15.
const CONVERTED_DIGITS: u32 = 12;

impl<'v> Quantity<'v> {
    /// A number with a unit of UCUM.
    pub(crate) fn ucum(value: Decimal, code: impl Into<Cow<'v, str>>) -> Self {
        Quantity { value, unit: Unit::Ucum(code.into()) }
    }

    /// The quantity that an element of type `Quantity` says.
    pub(crate) fn of(json: &'v Json<'v>) -> Option<Self> {
        // A comparator makes it a range, which has no one value.
        if json.get("comparator").is_some() {
            return None;
        }
        let value = read_decimal(json.get("value")?.as_number()?)?;
        let code = json.get_str("code");
        let system = json.get_str("system");
        let unit = match (code, system) {
            (Some(code), Some(UCUM)) => Unit::Ucum(Cow::Borrowed(code)),
            (Some(code), system) => Unit::Words(Some((system, code))),
            (None, _) => Unit::Words(json.get_str("unit").map(|words| (None, words))),
        };
        Some(Quantity { value, unit })
    }

    /// Reads what `toQuantity()` takes: a number, and a keyword of the calendar or a code between quotes.
    pub(crate) fn read(text: &str) -> Option<Quantity<'static>> {
        let text = text.trim();
        let digits = text.find(|letter: char| !matches!(letter, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
        let (number, rest) = text.split_at(digits);
        let number = number.strip_prefix('+').unwrap_or(number);
        if number.ends_with('.') || number.starts_with('.') || number.starts_with("-.") {
            return None;
        }
        let value = Decimal::from_str_exact(number).ok()?;
        let unit = rest.trim_start();
        if unit.is_empty() {
            return Some(Quantity::ucum(value, "1"));
        }
        if let Some(code) = unit.strip_prefix('\'') {
            let code = code.strip_suffix('\'').filter(|code| !code.is_empty() && !code.contains('\''))?;
            return Some(Quantity::ucum(value, code.to_owned()));
        }
        // A keyword stands apart from the number.
        let unit = CalendarUnit::parse(unit).filter(|_| rest.len() > unit.len())?;
        Some(Quantity { value, unit: Unit::Calendar(unit.word()) })
    }

    /// As text: `1 'mg'`, `4 days`.
    pub(crate) fn to_text(&self) -> String {
        match &self.unit {
            Unit::Ucum(code) => format!("{} '{code}'", self.value),
            Unit::Calendar(word) if self.value.abs() == Decimal::ONE => format!("{} {word}", self.value),
            Unit::Calendar(word) => format!("{} {word}s", self.value),
            Unit::Words(Some((_, words))) => format!("{} '{words}'", self.value),
            Unit::Words(None) => self.value.to_string(),
        }
    }

    /// The code of UCUM that the unit means exactly, or (where `loosely`) nearly.
    fn code(&self, loosely: bool) -> Option<&str> {
        match &self.unit {
            Unit::Ucum(code) => Some(code),
            Unit::Calendar(word) => {
                let unit = CalendarUnit::parse(word)?;
                (loosely || unit.is_definite()).then(|| unit.code())
            }
            Unit::Words(_) => None,
        }
    }

    /// Both numbers in one unit, the first one's or the base of both. `None` where the units do not compare.
    fn aligned(&self, other: &Quantity<'_>, loosely: bool) -> Option<(Decimal, Decimal)> {
        if same_unit(&self.unit, &other.unit) {
            return Some((self.value, other.value));
        }
        let (left, right) = (self.code(loosely)?, other.code(loosely)?);
        if left == right {
            return Some((self.value, other.value));
        }
        let (left, right) = (tacet_ucum::parse(left).ok()?, tacet_ucum::parse(right).ok()?);
        let converted = tacet_ucum::convert(other.value.to_f64()?, &right, &left).ok()?;
        Some((self.value, rounded(Decimal::from_f64(converted)?)))
    }

    /// How the two lie, where their units compare.
    pub(crate) fn compare(&self, other: &Quantity<'_>) -> Option<Ordering> {
        if same_unit(&self.unit, &other.unit) {
            return Some(self.value.cmp(&other.value));
        }
        // In base units, formed exactly and rounded once: equal amounts come out equal.
        let (left, right) = (self.code(false)?, other.code(false)?);
        let (left, right) = (tacet_ucum::parse(left).ok()?, tacet_ucum::parse(right).ok()?);
        if !left.comparable(&right) {
            return None;
        }
        let base = |unit: &tacet_ucum::Unit, value: Decimal| {
            unit.base_amount(value.mantissa(), -i32::try_from(value.scale()).ok()?)
        };
        base(&left, self.value)?.partial_cmp(&base(&right, other.value)?)
    }

    /// The same amount in another unit of UCUM or the calendar.
    pub(crate) fn in_unit(&self, unit: &str) -> Option<Quantity<'v>> {
        let unit = match CalendarUnit::parse(unit) {
            Some(known) => Unit::Calendar(known.word()),
            None => Unit::Ucum(Cow::Owned(unit.to_owned())),
        };
        let target = Quantity { value: Decimal::ONE, unit };
        let (_, value) = target.aligned(self, false)?;
        Some(Quantity { value, unit: target.unit })
    }

    /// The unit as text, where there is one.
    pub(crate) fn unit_text(&self) -> Option<Cow<'v, str>> {
        match &self.unit {
            Unit::Ucum(code) => Some(code.clone()),
            Unit::Calendar(word) => Some(Cow::Borrowed(word)),
            Unit::Words(words) => words.map(|(_, words)| Cow::Borrowed(words)),
        }
    }

    /// Whether the two are the same amount, near enough: to the digits of the one with fewer.
    pub(crate) fn equivalent(&self, other: &Quantity<'_>) -> bool {
        let (one, two) = if self.value.scale() <= other.value.scale() { (self, other) } else { (other, self) };
        one.aligned(two, true).is_some_and(|(left, right)| {
            let digits = one.value.normalize().scale();
            left.round_dp(digits) == right.round_dp(digits)
        })
    }

    /// Whether the units measure the same kind of thing.
    pub(crate) fn comparable(&self, other: &Quantity<'_>) -> bool {
        self.compare(other).is_some()
    }

    /// The sum, in the unit of the first.
    pub(crate) fn plus(&self, other: &Quantity<'_>, negate: bool) -> Option<Self> {
        let (left, right) = self.aligned(other, false)?;
        let right = if negate { -right } else { right };
        Some(Quantity { value: left.checked_add(right)?, unit: self.unit.clone() })
    }

    /// The product, in a unit made of both.
    pub(crate) fn times(&self, other: &Quantity<'_>) -> Option<Quantity<'v>> {
        let value = self.value.checked_mul(other.value)?;
        Some(Quantity::ucum(value, combined(self.code(false)?, '.', other.code(false)?)))
    }

    /// The quotient, in a unit made of both. `None` where the second is zero.
    pub(crate) fn over(&self, other: &Quantity<'_>) -> Option<Quantity<'v>> {
        let value = self.value.checked_div(other.value)?;
        Some(Quantity::ucum(value, combined(self.code(false)?, '/', other.code(false)?)))
    }
}

fn same_unit(left: &Unit<'_>, right: &Unit<'_>) -> bool {
    match (left, right) {
        (Unit::Ucum(left), Unit::Ucum(right)) => left == right,
        (Unit::Calendar(left), Unit::Calendar(right)) => left == right,
        (Unit::Words(left), Unit::Words(right)) => left == right,
        _ => false,
    }
}

/// Units that an expression puts together: longer ones would be made only to exhaust memory.
const CODE_BYTES_MAX: usize = 200;

fn combined(left: &str, sign: char, right: &str) -> String {
    let wrapped = |code: &str| if code.contains(['.', '/']) { format!("({code})") } else { code.to_owned() };
    let code = match (left, sign, right) {
        (_, _, "1") => left.to_owned(),
        ("1", '.', _) => right.to_owned(),
        (_, '/', _) if left == right => "1".to_owned(),
        _ => format!("{}{sign}{}", wrapped(left), wrapped(right)),
    };
    if code.len() > CODE_BYTES_MAX { "1".to_owned() } else { code }
}

fn rounded(value: Decimal) -> Decimal {
    value.round_sf(CONVERTED_DIGITS).unwrap_or(value).normalize()
}
