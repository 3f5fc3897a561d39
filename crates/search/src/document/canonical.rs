//! Amounts in base units of UCUM, so that 5 mg and 0.005 g are found by one search (R4 search, "Quantity").

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// The system of UCUM's codes.
pub(crate) const UCUM: &str = "http://unitsofmeasure.org";

/// How many digits of a converted amount count: fewer than a binary number holds, so that the same amount in two units becomes the
/// same number in spite of rounding.
const DIGITS: usize = 12;

/// Most units whose factors are remembered. A hospital writes a few hundred; when there are more, all are forgotten.
const UNITS_MAX: usize = 4096;

/// Longest code that is remembered, in bytes.
const UNIT_BYTES_MAX: usize = 64;

/// What base units a unit is of; None where the code is none of UCUM. The same few come back with every value, and to parse one costs
/// more than the rest of a value does.
type Units = HashMap<Box<str>, Option<Arc<Unit>>>;

struct Unit {
    factor: f64,
    offset: f64,
    base: Box<str>,
}

fn unit(code: &str) -> Option<Arc<Unit>> {
    static UNITS: LazyLock<RwLock<Units>> = LazyLock::new(RwLock::default);
    if let Some(known) = UNITS.read().unwrap_or_else(PoisonError::into_inner).get(code) {
        return known.clone();
    }
    let found = tacet_ucum::canonical(code).map(|canonical| {
        Arc::new(Unit { factor: canonical.factor, offset: canonical.offset, base: canonical.unit.into() })
    });
    if code.len() <= UNIT_BYTES_MAX {
        let mut units = UNITS.write().unwrap_or_else(PoisonError::into_inner);
        if units.len() >= UNITS_MAX {
            units.clear();
        }
        units.insert(code.into(), found.clone());
    }
    found
}

/// The range in base units, and their text; None if the unit is not one of UCUM or cannot be taken to base units.
pub(crate) fn canonical_range(
    system: Option<&str>,
    code: Option<&str>,
    low: f64,
    high: f64,
) -> Option<(f64, f64, Box<str>)> {
    if system != Some(UCUM) {
        return None;
    }
    let unit = unit(code?)?;
    let to_base = |amount: f64| rounded(amount * unit.factor + unit.offset);
    let (low, high) = (to_base(low), to_base(high));
    if low.is_nan() || high.is_nan() {
        return None;
    }
    // No unit of UCUM turns the scale round; if one did, the ends still come in order.
    Some((low.min(high), low.max(high), unit.base.clone()))
}

/// The number at [`DIGITS`] significant digits.
fn rounded(number: f64) -> f64 {
    if !number.is_finite() || number == 0.0 {
        return number;
    }
    format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_amount_in_two_units_is_one_number() {
        let range = |code, amount| canonical_range(Some(UCUM), Some(code), amount, amount);
        assert_eq!(range("mg", 5.4), range("g", 0.0054));
        assert_eq!(range("mmol/L", 7.0), range("mol/m3", 7.0));
        assert_eq!(range("[lb_av]", f64::INFINITY).map(|(_, high, _)| high), Some(f64::INFINITY));
        assert_ne!(range("mg", 5.4), range("g", 5.4));
        assert_eq!(range("no such unit", 1.0), None);
        assert_eq!(canonical_range(Some("http://other"), Some("mg"), 1.0, 1.0), None);
        assert_eq!(canonical_range(Some(UCUM), None, 1.0, 1.0), None);
    }
}
