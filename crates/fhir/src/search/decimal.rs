//! Decimal numbers as FHIR writes them, compared exactly, and the range that their digits leave open.

use std::cmp::Ordering;

/// Most digits that are kept (FHIR asks for 18 and more); what follows is cut.
const DIGITS_MAX: usize = 36;

/// Exponents beyond are no measurement of anything: such a number is not read.
const EXPONENT_MAX: i32 = 10_000;

/// A decimal number, exact to 36 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Decimal {
    /// INVARIANT: not a multiple of ten unless zero, so that equal numbers have equal parts; below 10^38 in size.
    digits: i128,
    /// Power of ten that the digits are multiplied by; 0 for zero.
    exponent: i32,
}

impl Decimal {
    fn new(mut digits: i128, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self { digits: 0, exponent: 0 };
        }
        while digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    /// Reads a JSON number.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = written(text)?;
        Some(Self::new(digits, exponent))
    }

    /// The nearest binary number, for arithmetic that need not be exact.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Place of the first digit: 1 for 0.1 up to 0.999, 2 for 1 to 9.999, …, negative for small ones.
    fn magnitude(self) -> i64 {
        i64::from(self.digits.unsigned_abs().checked_ilog10().unwrap_or(0)) + i64::from(self.exponent)
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.exponent == 0 { write!(f, "{}", self.digits) } else { write!(f, "{}e{}", self.digits, self.exponent) }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.digits.signum();
        let by_sign = sign.cmp(&other.digits.signum());
        if by_sign.is_ne() || sign == 0 {
            return by_sign;
        }
        let by_size = self.magnitude().cmp(&other.magnitude());
        if by_size.is_ne() {
            return if sign > 0 { by_size } else { by_size.reverse() };
        }
        // Same first place, so the exponents differ by at most the 38 digits that both have room for.
        let low = self.exponent.min(other.exponent);
        let scaled = |number: &Self| {
            u32::try_from(number.exponent - low)
                .ok()
                .and_then(|shift| 10i128.checked_pow(shift))
                .and_then(|factor| number.digits.checked_mul(factor))
                .unwrap_or(i128::MAX)
        };
        scaled(self).cmp(&scaled(other))
    }
}

/// From `low` to `high`; a bound that is absent is open. What a resource holds ends with `high`; what a query implies
/// ([`NumberRange::implied`]) ends just before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NumberRange {
    /// The smallest number it may be.
    pub low: Option<Decimal>,
    /// The largest, or the one that it stays below.
    pub high: Option<Decimal>,
}

impl NumberRange {
    /// Only this number: how a resource's number counts, whatever its digits. The range that digits imply belongs to the
    /// query (R4 search, "Number": `100` searches for values from 99.5 to 100.5), or else `gt7` would find a 7.
    pub fn exact(text: &str) -> Option<Self> {
        let number = Some(Decimal::parse(text)?);
        Some(Self { low: number, high: number })
    }

    /// The range that the digits of a JSON number imply: 100 is 99.5 to 100.5, 100.00 is 99.995 to 100.005
    /// (R4 search, "Number": half a unit of the last digit written, either way).
    pub fn implied(text: &str) -> Option<Self> {
        let (digits, exponent) = written(text)?;
        let tenths = digits.checked_mul(10)?;
        Some(Self {
            low: Some(Decimal::new(tenths - 5, exponent - 1)),
            high: Some(Decimal::new(tenths + 5, exponent - 1)),
        })
    }
}

/// The digits of a JSON number as one integer, and the power of ten of the last of them.
fn written(text: &str) -> Option<(i128, i32)> {
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: i128 = 0;
    let mut kept = 0;
    let mut cut = 0i32;
    let fraction_length = i32::try_from(fraction.len()).ok()?;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        if kept == 0 && byte == b'0' {
            continue;
        }
        if kept < DIGITS_MAX {
            digits = digits * 10 + i128::from(byte - b'0');
            kept += 1;
        } else {
            cut = cut.checked_add(1)?;
        }
    }
    if whole.is_empty() {
        return None;
    }
    let exponent = power.checked_sub(fraction_length)?.checked_add(cut)?;
    (exponent.abs() <= EXPONENT_MAX).then_some((if negative { -digits } else { digits }, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> (f64, f64) {
        let range = NumberRange::implied(text).unwrap();
        (range.low.unwrap().to_f64(), range.high.unwrap().to_f64())
    }

    #[test]
    fn digits_imply_a_range() {
        assert_eq!(range("100"), (99.5, 100.5));
        assert_eq!(range("100.00"), (99.995, 100.005));
        assert_eq!(range("1e2"), (50.0, 150.0));
        assert_eq!(range("1.0E2"), (95.0, 105.0));
        assert_eq!(range("0"), (-0.5, 0.5));
        assert_eq!(range("-5.4"), (-5.45, -5.35));
        assert_eq!(range("0.0"), (-0.05, 0.05));
        for text in ["", "-", ".5", "1e", "x", "1e99999", "1e99999999999", "1,5", "+1", "NaN"] {
            assert_eq!(NumberRange::implied(text), None, "{text}");
        }
    }

    #[test]
    fn equal_numbers_are_equal_however_written() {
        for (a, b) in [("1.00", "1"), ("100", "1e2"), ("-0.0", "0"), ("0.001", "1E-3"), ("1200e-2", "12")] {
            assert_eq!(Decimal::parse(a), Decimal::parse(b));
        }
        assert!(Decimal::parse("0.1000000000000000000000001") > Decimal::parse("0.1"));
        assert!(Decimal::parse(&"9".repeat(200)) > Decimal::parse(&"9".repeat(100)));
        assert!(Decimal::parse("-1e300") < Decimal::parse("-1e-300"));
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, x in 0u32..6, y in 0u32..6) {
            let written = |number: i64, places: u32| format!("{number}e-{places}");
            let exact = |number: i64, places: u32| i128::from(number) * 10i128.pow(6 - places);
            let (left, right) = (Decimal::parse(&written(a, x)).unwrap(), Decimal::parse(&written(b, y)).unwrap());
            prop_assert_eq!(left.cmp(&right), exact(a, x).cmp(&exact(b, y)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", digits in "-?[0-9]{0,80}(\\.[0-9]{0,80})?([eE][+-]?[0-9]{1,12})?") {
            for text in [text, digits] {
                if let Some(range) = NumberRange::implied(&text) {
                    prop_assert!(range.low < range.high);
                    let number = Decimal::parse(&text);
                    prop_assert!(range.low <= number && number < range.high);
                }
            }
        }
    }
}
