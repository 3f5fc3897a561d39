//! Values that have an order: dates, numbers and quantities, with their prefixes (<https://hl7.org/fhir/R4/search.html#prefix>),
//! and positions.

use super::escape::{prefix, split, unescape};
use super::fault::{Fault, Outcome};
use crate::document::{UCUM, canonical_range};
use crate::filter::{Comparison, Test, UnitTest};
use tacet_fhir::search::{DateRange, Decimal, NumberRange};
use tacet_types::Timestamp;

/// Part of a number, or of the gap between a date and now, that `ap` leaves open on either side (R4 recommends it).
const APPROXIMATE_PART: f64 = 0.1;

/// How near `near` is when it names no distance, in metres; R4 leaves it to the server.
const NEAR_METRES: f64 = 10_000.0;

const DATE: &str = "a date such as 2026, 2026-03, 2026-03-01 or 2026-03-01T08:00:00Z, with or without prefix";
const NUMBER: &str = "a number such as 100 or 1.5e-3, with or without prefix";
const QUANTITY: &str = "number, number|system|code or number||code, with or without prefix";

/// A prefix and its date.
pub(super) fn date(name: &str, raw: &str, now: Timestamp) -> Outcome<Test> {
    let text = unescape(raw);
    let (comparison, date) = prefix(&text);
    let (comparison, low, high) = date_range(name, comparison.unwrap_or(Comparison::Equal), date, now)?;
    Ok(Test::Date(comparison, low, high))
}

/// The range of a date in milliseconds. Without zone it is UTC, as in resources. A `+` before a zone that was sent without being
/// escaped comes in as a blank, and counts as `+`.
pub(super) fn date_range(
    name: &str,
    comparison: Comparison,
    text: &str,
    now: Timestamp,
) -> Outcome<(Comparison, i64, i64)> {
    let text = match text.split_once(' ') {
        Some((before, zone)) if before.contains('T') => format!("{before}+{zone}"),
        _ => text.to_owned(),
    };
    let range = DateRange::parse(&text).ok_or_else(|| Fault::invalid(name, DATE))?;
    let gap_ms = match comparison {
        Comparison::Approximately => now.as_ms().saturating_sub(range.low_ms).unsigned_abs() / 10,
        _ => 0,
    };
    let gap_ms = i64::try_from(gap_ms).unwrap_or(i64::MAX);
    Ok((comparison, range.low_ms.saturating_sub(gap_ms), range.high_ms.saturating_add(gap_ms)))
}

/// What a number asks for: a range with both ends, and the end that it stays below.
struct Asked {
    /// The number itself, which is always within: a number of so many digits that a binary one cannot hold its range is found too.
    exact: f64,
    low: f64,
    high: f64,
    /// Whether `high` itself is outside.
    half_open: bool,
}

/// The range that a number asks for. Its digits imply one for `eq`, `ne` and `ap` (R4: 100 is 99.5 up to 100.5); with all other
/// prefixes it is exactly itself.
fn asked(name: &str, expected: &str, comparison: Comparison, text: &str) -> Outcome<Asked> {
    // A `+` that was not escaped comes in as a blank.
    let text = text.strip_prefix([' ', '+']).unwrap_or(text).replace("e ", "e").replace("E ", "E");
    let invalid = || Fault::invalid(name, expected);
    let exact = Decimal::parse(&text).ok_or_else(invalid)?.to_f64();
    let range = NumberRange::implied(&text).ok_or_else(invalid)?;
    let (Some(low), Some(high)) = (range.low.map(Decimal::to_f64), range.high.map(Decimal::to_f64)) else {
        return Err(invalid());
    };
    if !exact.is_finite() || !low.is_finite() || !high.is_finite() {
        return Err(invalid());
    }
    Ok(match comparison {
        Comparison::Equal | Comparison::NotEqual => Asked { exact, low, high, half_open: true },
        Comparison::Approximately => {
            let gap = exact.abs() * APPROXIMATE_PART;
            Asked { exact, low: low.min(exact - gap), high: high.max(exact + gap), half_open: false }
        }
        _ => Asked { exact, low: exact, high: exact, half_open: false },
    })
}

impl Asked {
    fn ends(&self) -> (f64, f64) {
        let high = if self.half_open { self.high.next_down() } else { self.high };
        (self.low.min(self.exact), high.max(self.exact))
    }
}

/// A prefix and its number.
pub(super) fn number(name: &str, raw: &str) -> Outcome<Test> {
    let text = unescape(raw);
    let (comparison, number) = prefix(&text);
    number_test(name, comparison.unwrap_or(Comparison::Equal), number)
}

pub(super) fn number_test(name: &str, comparison: Comparison, text: &str) -> Outcome<Test> {
    let (low, high) = asked(name, NUMBER, comparison, text)?.ends();
    Ok(Test::Number(comparison, low, high))
}

/// A prefix, a number, and a unit.
pub(super) fn quantity(name: &str, raw: &str) -> Outcome<Test> {
    let (comparison, rest) = prefix(raw);
    quantity_test(name, comparison.unwrap_or(Comparison::Equal), rest)
}

/// `number|system|code`: a unit of UCUM is compared in base units where it has them, any other as it is written.
pub(super) fn quantity_test(name: &str, comparison: Comparison, raw: &str) -> Outcome<Test> {
    let parts = split(raw, '|');
    let number = parts.first().map(|number| unescape(number)).unwrap_or_default();
    let asked = asked(name, QUANTITY, comparison, &number)?;
    let (low, high) = asked.ends();
    match parts.as_slice() {
        [_] => Ok(Test::Quantity(comparison, low, high, UnitTest::Any)),
        [_, "", code] if !code.is_empty() => {
            Ok(Test::Quantity(comparison, low, high, UnitTest::Written(unescape(code).into())))
        }
        [_, system, code] if !system.is_empty() && !code.is_empty() => {
            let (system, code) = (unescape(system), unescape(code));
            let in_base = |low, high| canonical_range(Some(&system), Some(&code), low, high);
            if system == UCUM
                && let (Some((exact, _, _)), Some((low, high, unit))) =
                    (in_base(asked.exact, asked.exact), in_base(asked.low, asked.high))
            {
                let (low, high) = Asked { exact, low, high, half_open: asked.half_open }.ends();
                return Ok(Test::Quantity(comparison, low, high, UnitTest::Canonical(unit)));
            }
            let unit = UnitTest::Is { system: system.into(), code: code.into() };
            Ok(Test::Quantity(comparison, low, high, unit))
        }
        _ => Err(Fault::invalid(name, QUANTITY)),
    }
}

/// `latitude|longitude|distance|unit` (<https://hl7.org/fhir/R4/location.html#positional>): kilometres without a unit.
pub(super) fn near(name: &str, raw: &str) -> Outcome<Test> {
    let invalid =
        || Fault::invalid(name, "latitude|longitude|distance|unit, with a UCUM unit of length or none for km");
    let parts: Vec<_> = split(raw, '|').into_iter().map(unescape).collect();
    let number = |text: &str| Decimal::parse(text).map(Decimal::to_f64).filter(|number| number.is_finite());
    let (latitude, longitude, distance, unit) = match parts.as_slice() {
        [latitude, longitude] => (latitude, longitude, "", ""),
        [latitude, longitude, distance] => (latitude, longitude, &**distance, ""),
        [latitude, longitude, distance, unit] => (latitude, longitude, &**distance, &**unit),
        _ => return Err(invalid()),
    };
    let latitude = number(latitude).filter(|degrees| degrees.abs() <= 90.0).ok_or_else(invalid)?;
    let longitude = number(longitude).filter(|degrees| degrees.abs() <= 180.0).ok_or_else(invalid)?;
    let metres = match (distance, unit) {
        ("", "") => NEAR_METRES,
        (distance, unit) => {
            let unit = tacet_ucum::canonical(if unit.is_empty() { "km" } else { unit });
            let unit = unit.filter(|unit| unit.unit == "m").ok_or_else(invalid)?;
            let metres = number(distance).map(|distance| distance * unit.factor);
            metres.filter(|metres| (0.0..f64::INFINITY).contains(metres)).ok_or_else(invalid)?
        }
    };
    Ok(Test::Near { latitude, longitude, metres })
}
