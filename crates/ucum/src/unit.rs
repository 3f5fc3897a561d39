//! What a unit code means, and amounts in it.

use crate::UnitError;
use crate::factor::Factor;
use crate::parse::{EXPONENT_MAX, parse};
use std::fmt;

/// Digits of an amount that take part in exact arithmetic, as FHIR's decimals have at most 18 by the specification.
const EXACT_DIGITS_MAX: u32 = 36;

/// The meaning of a unit code: what one of it is in base units.
///
/// An amount `v` is `(v × scale + shift) × factor` in base units; only units with an offset (`Cel`, `[degF]`) have a
/// shift other than zero and a scale other than one.
#[derive(Clone, PartialEq, Debug)]
pub struct Unit {
    factor: Factor,
    offset: Option<Offset>,
    dimension: Dimension,
}

/// How the zero of a unit lies beside that of its base unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Offset {
    /// A power of ten: the prefix (`mCel`).
    pub(crate) scale_tens: i32,
    /// Hundredths that are added before the factor: 27315 for `Cel`.
    pub(crate) shift_hundredths: i128,
}

/// Base units with their exponents, by symbol. Arbitrary and logarithmic units count as base units of their own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Dimension(Vec<(&'static str, i32)>);

impl Dimension {
    /// Of a pure number.
    pub(crate) const NONE: Self = Dimension(Vec::new());

    /// Of a base unit.
    pub(crate) fn of(symbol: &'static str) -> Self {
        Dimension(vec![(symbol, 1)])
    }

    /// With the other's exponents added `times` times; `None` where one leaves its bound.
    pub(crate) fn combined(&self, other: &Self, times: i32) -> Option<Self> {
        let mut parts = self.0.clone();
        for (symbol, exponent) in &other.0 {
            let more = exponent.checked_mul(times)?;
            match parts.binary_search_by(|(known, _)| known.cmp(symbol)) {
                Ok(at) => {
                    if let Some((_, known)) = parts.get_mut(at) {
                        *known = known.checked_add(more)?;
                    }
                }
                Err(at) => parts.insert(at, (symbol, more)),
            }
        }
        parts.retain(|(_, exponent)| *exponent != 0);
        parts.iter().all(|(_, exponent)| exponent.abs() <= EXPONENT_MAX).then_some(Dimension(parts))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("1");
        }
        for (index, (symbol, exponent)) in self.0.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            match exponent {
                1 => write!(f, "{dot}{symbol}")?,
                _ => write!(f, "{dot}{symbol}{exponent}")?,
            }
        }
        Ok(())
    }
}

impl Unit {
    /// The unit `1`.
    pub(crate) const ONE: Self = Unit { factor: Factor::ONE, offset: None, dimension: Dimension::NONE };

    pub(crate) fn number(factor: Factor) -> Self {
        Unit { factor, ..Self::ONE }
    }

    pub(crate) fn ratio(factor: Factor, dimension: Dimension) -> Self {
        Unit { factor, offset: None, dimension }
    }

    pub(crate) fn with_offset(self, offset: Offset) -> Self {
        Unit { offset: Some(offset), ..self }
    }

    pub(crate) fn factor(&self) -> Factor {
        self.factor
    }

    pub(crate) fn dimension(&self) -> &Dimension {
        &self.dimension
    }

    pub(crate) fn has_offset(&self) -> bool {
        self.offset.is_some()
    }

    /// With a prefix before it.
    pub(crate) fn scaled(&self, prefix: Factor) -> Self {
        match (self.offset, prefix) {
            (Some(offset), Factor::Exact { tens, .. }) => {
                let offset = Offset { scale_tens: offset.scale_tens + tens, ..offset };
                Unit { offset: Some(offset), ..self.clone() }
            }
            _ => Unit { factor: self.factor.times(prefix), ..self.clone() },
        }
    }

    /// The base units as a code of UCUM, sorted by symbol: `g.m-3`; `1` for a pure number. Two units compare exactly
    /// when these texts are equal.
    pub fn base_units(&self) -> String {
        self.dimension.to_string()
    }

    /// Whether amounts in both can be compared and converted.
    pub fn comparable(&self, other: &Unit) -> bool {
        self.dimension == other.dimension
    }

    /// Whether one is the same as one of the other, however both are written (`mg/dL`, `g/hL`). Exact as long as the
    /// factors are.
    pub fn same_as(&self, other: &Unit) -> bool {
        self == other
    }

    /// The amount in base units. `None` where it is no finite number. Relative error: below 2⁻⁵⁰, of the larger term
    /// where the unit has an offset.
    pub fn to_base(&self, amount: f64) -> Option<f64> {
        let shifted = match self.offset {
            None => amount,
            Some(offset) => amount * Factor::ten_to(offset.scale_tens).to_f64() + shift(offset),
        };
        finite(shifted * self.factor.to_f64())
    }

    /// What that amount of base units is in this unit: the opposite of [`Unit::to_base`], as exact.
    pub fn from_base(&self, amount: f64) -> Option<f64> {
        let shifted = amount / self.factor.to_f64();
        finite(match self.offset {
            None => shifted,
            Some(offset) => (shifted - shift(offset)) / Factor::ten_to(offset.scale_tens).to_f64(),
        })
    }

    /// The decimal amount `digits × 10^tens` in base units.
    ///
    /// The product is formed exactly and rounded once, so amounts that are equal come out equal, bit for bit, whatever
    /// their units (`0.3 g/L` and `300 ug/mL`). Where the parts leave 128 bits the result is that of
    /// [`Unit::to_base`]. `None` where it is no finite number.
    pub fn base_amount(&self, digits: i128, tens: i32) -> Option<f64> {
        self.exact(digits, tens).unwrap_or_else(|| {
            let amount: f64 = format!("{digits}e{tens}").parse().ok()?;
            self.to_base(amount)
        })
    }

    /// `None` where it cannot be exact; `Some(None)` where it is not finite.
    fn exact(&self, digits: i128, tens: i32) -> Option<Option<f64>> {
        let (digits, tens) = match self.offset {
            None => (digits, tens),
            Some(offset) => {
                let tens = tens.checked_add(offset.scale_tens)?;
                let low = tens.min(-2);
                let aligned = |digits: i128, tens: i32| {
                    let places =
                        u32::try_from(tens.checked_sub(low)?).ok().filter(|places| *places <= EXACT_DIGITS_MAX)?;
                    digits.checked_mul(10_i128.checked_pow(places)?)
                };
                (aligned(digits, tens)?.checked_add(aligned(offset.shift_hundredths, -2)?)?, low)
            }
        };
        let Some(amount) = Factor::decimal(digits.unsigned_abs(), tens) else { return Some(Some(0.0)) };
        let Factor::Exact { .. } = self.factor else { return None };
        let product = amount.times(self.factor);
        let Factor::Exact { .. } = product else { return None };
        let size = product.to_f64();
        Some(finite(if digits < 0 { -size } else { size }))
    }

    /// Factor and offset as binary numbers, with the base units.
    pub fn canonical(&self) -> Canonical {
        let factor = self.factor.to_f64();
        let (scale, offset) = match self.offset {
            None => (1.0, 0.0),
            Some(offset) => (Factor::ten_to(offset.scale_tens).to_f64(), shift(offset) * factor),
        };
        Canonical { factor: factor * scale, offset, unit: self.base_units() }
    }
}

fn shift(offset: Offset) -> f64 {
    Factor::decimal(offset.shift_hundredths.unsigned_abs(), -2).map_or(0.0, Factor::to_f64)
}

fn finite(amount: f64) -> Option<f64> {
    amount.is_finite().then_some(amount)
}

/// A unit by its factor: `amount × factor + offset` of `unit`.
#[derive(Clone, PartialEq, Debug)]
pub struct Canonical {
    /// Base units in one of the unit. The nearest binary number where the factor is a decimal one, otherwise within
    /// 2⁻⁵⁰ of it.
    pub factor: f64,
    /// Base units that are added; zero but for `Cel`, `[degF]` and `[degRe]`.
    pub offset: f64,
    /// The base units, sorted: `g.m-3`; `1` for a pure number.
    pub unit: String,
}

/// Factor, offset and base units of a code; `None` where it is not one of UCUM. For many amounts, keep the [`Unit`]
/// and ask [`Unit::base_amount`], which rounds once.
pub fn canonical(code: &str) -> Option<Canonical> {
    parse(code).ok().map(|unit| unit.canonical())
}

/// An amount of one unit in another. Relative error below 2⁻⁴⁹, of the larger term where a unit has an offset.
pub fn convert(amount: f64, from: &Unit, to: &Unit) -> Result<f64, UnitError> {
    if !from.comparable(to) {
        return Err(UnitError::NotComparable);
    }
    if from == to {
        return Ok(amount);
    }
    let converted = if from.has_offset() || to.has_offset() {
        from.to_base(amount).and_then(|base| to.from_base(base))
    } else {
        // One exact factor between both, rather than two roundings by way of the base units.
        finite(amount * from.factor.times(to.factor.inverse()).to_f64())
    };
    converted.ok_or(UnitError::OutOfRange)
}
