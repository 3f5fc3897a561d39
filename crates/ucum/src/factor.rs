//! Exact factors: a fraction, times a power of ten, times a power of π; a binary number where that overflows.

use std::f64::consts::PI;

/// Powers of ten beyond are no measurement of anything, and a binary number could not hold them.
const TENS_MAX: i32 = 300;

/// What one unit is in base units.
///
/// INVARIANT of `Exact`: the fraction is in lowest terms, its numerator is not zero and no multiple of ten, its
/// denominator has no factor 2 or 5. So equal factors have equal parts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Factor {
    /// `numerator / denominator × 10^tens × π^pi`.
    Exact { numerator: u128, denominator: u128, tens: i32, pi: i32 },
    /// What is left when the parts above overflow. Relative error below 2⁻⁴⁰: a factor has at most 256 parts.
    Near(f64),
}

impl Factor {
    /// One.
    pub(crate) const ONE: Self = Factor::Exact { numerator: 1, denominator: 1, tens: 0, pi: 0 };
    /// π.
    pub(crate) const PI: Self = Factor::Exact { numerator: 1, denominator: 1, tens: 0, pi: 1 };

    /// A power of ten.
    pub(crate) fn ten_to(tens: i32) -> Self {
        Factor::Exact { numerator: 1, denominator: 1, tens, pi: 0 }
    }

    /// `digits × 10^tens`; `None` for zero.
    pub(crate) fn decimal(digits: u128, tens: i32) -> Option<Self> {
        (digits != 0).then(|| Self::normal(digits, 1, tens, 0))
    }

    /// The lowest terms. The numbers must not be zero.
    fn normal(mut numerator: u128, mut denominator: u128, mut tens: i32, pi: i32) -> Self {
        let common = greatest_common_divisor(numerator, denominator);
        numerator /= common;
        denominator /= common;
        // 1/2 = 5/10 and 1/5 = 2/10: what divides into tens leaves the denominator.
        for (prime, other) in [(2_u128, 5_u128), (5, 2)] {
            while denominator.is_multiple_of(prime) {
                let Some(more) = numerator.checked_mul(other) else {
                    return Factor::Near(near(numerator, denominator, tens, pi));
                };
                numerator = more;
                denominator /= prime;
                tens -= 1;
            }
        }
        while numerator.is_multiple_of(10) {
            numerator /= 10;
            tens += 1;
        }
        Factor::Exact { numerator, denominator, tens, pi }
    }

    /// Both multiplied.
    pub(crate) fn times(self, other: Self) -> Self {
        if let (
            Factor::Exact { numerator: a, denominator: b, tens: e, pi: p },
            Factor::Exact { numerator: c, denominator: d, tens: f, pi: q },
        ) = (self, other)
        {
            let (ad, cb) = (greatest_common_divisor(a, d), greatest_common_divisor(c, b));
            if let (Some(numerator), Some(denominator), Some(tens), Some(pi)) =
                ((a / ad).checked_mul(c / cb), (b / cb).checked_mul(d / ad), e.checked_add(f), p.checked_add(q))
            {
                return Self::normal(numerator, denominator, tens, pi);
            }
        }
        Factor::Near(self.to_f64() * other.to_f64())
    }

    /// One divided by it.
    pub(crate) fn inverse(self) -> Self {
        match self {
            Factor::Exact { numerator, denominator, tens, pi } => Self::normal(denominator, numerator, -tens, -pi),
            Factor::Near(value) => Factor::Near(1.0 / value),
        }
    }

    /// Raised to a power, by squaring.
    pub(crate) fn power(self, exponent: i32) -> Self {
        let mut square = if exponent < 0 { self.inverse() } else { self };
        let (mut product, mut left) = (Self::ONE, exponent.unsigned_abs());
        while left > 0 {
            if left % 2 == 1 {
                product = product.times(square);
            }
            left /= 2;
            if left > 0 {
                square = square.times(square);
            }
        }
        product
    }

    /// Whether a binary number holds it.
    pub(crate) fn is_in_range(self) -> bool {
        let within = |tens: i32| tens.abs() <= TENS_MAX;
        let value = match self {
            Factor::Exact { tens, pi, .. } if !within(tens) || !within(pi) => return false,
            _ => self.to_f64(),
        };
        value.is_normal()
    }

    /// The nearest binary number where the factor is a decimal one; otherwise within 2⁻⁵⁰ of it.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Factor::Exact { numerator, denominator, tens, pi } => near(numerator, denominator, tens, pi),
            Factor::Near(value) => value,
        }
    }
}

fn near(numerator: u128, denominator: u128, tens: i32, pi: i32) -> f64 {
    // Reading a decimal text rounds once, correctly; a product of powers would round at each step.
    let decimal: f64 = format!("{numerator}e{tens}").parse().unwrap_or(f64::NAN);
    let ratio = if denominator == 1 { decimal } else { decimal / to_f64(denominator) };
    if pi == 0 { ratio } else { ratio * PI.powi(pi) }
}

/// The nearest binary number of a whole one.
fn to_f64(number: u128) -> f64 {
    number.to_string().parse().unwrap_or(f64::NAN)
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_have_equal_parts() {
        let half = Factor::normal(1, 2, 0, 0);
        assert_eq!(half, Factor::decimal(5, -1).unwrap());
        assert_eq!(half.times(half), Factor::normal(25, 1, -2, 0));
        assert_eq!(half.inverse(), Factor::decimal(2, 0).unwrap());
        assert_eq!(half.power(-3), Factor::decimal(8, 0).unwrap());
        assert_eq!(Factor::normal(30, 9, 0, 0), Factor::normal(1, 3, 1, 0));
        assert_eq!(Factor::PI.times(Factor::PI.inverse()), Factor::ONE);
        assert_eq!(Factor::decimal(0, 3), None);
    }

    #[test]
    fn what_overflows_is_near() {
        let large = Factor::decimal(u128::MAX, 0).unwrap();
        let Factor::Near(square) = large.power(2) else { panic!("fits nowhere") };
        let expected = (u128::MAX as f64).powi(2);
        assert!((square / expected - 1.0).abs() < 1e-12);
        assert!(!Factor::ten_to(400).is_in_range());
        assert!(!large.power(20).is_in_range());
        assert!(Factor::ten_to(-290).is_in_range());
    }
}
