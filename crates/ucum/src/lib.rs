//! Units of measure (UCUM): reading a unit code, and taking an amount to base units so that amounts compare.
//!
//! ```text
//! "mg/dL" ── parse ──> Unit { factor 10, dimension g.m-3 } ── base_amount(5 × 10⁰) ──> 50
//! ```
//!
//! Codes are the case-sensitive ones of the Unified Code for Units of Measure, <https://ucum.org/ucum>, which FHIR R4
//! uses in every Quantity. Factors are kept as exact fractions (with a power of π for angles) as long as they fit in
//! 128 bits, so two ways to write one amount come to the same number, bit for bit; see [`Unit::base_amount`].
//!
//! Rules that surprise:
//! - `{annotations}` mean nothing: `{beats}/min` is `/min`.
//! - `mol`, `eq` and `osm` are numbers of particles and so without dimension, as UCUM has it; `%` and `[ppm]` too.
//! - An arbitrary unit (`[IU]`, `[CFU]`) compares with itself only; so does a logarithmic one (`[pH]`, `B[SPL]`).
//! - A unit that is not a ratio (`Cel`, `[degF]`) stands alone: `Cel/min` is refused, `K/min` is meant.
//!
//! [`in_words`] tells a code as people write it. Not here: the words of FHIRPath for calendar time (`year`, `month`), names of units, and case-insensitive codes.

mod factor;
mod parse;
mod table;
mod unit;
mod words;

pub use parse::{CODE_BYTES_MAX, EXPONENT_MAX, NESTING_MAX, parse};
pub use unit::{Canonical, Unit, canonical, convert};
pub use words::in_words;

/// Why a unit code cannot be used. Offsets count bytes of the code; nothing of the code itself is repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Longer than [`CODE_BYTES_MAX`].
    #[error("the unit code is longer than allowed")]
    TooLong,
    /// Parentheses nested deeper than [`NESTING_MAX`].
    #[error("the unit code nests parentheses deeper than allowed")]
    TooDeep,
    /// Not written by the grammar of UCUM.
    #[error("the unit code is not written as UCUM asks (at byte {offset})")]
    Malformed {
        /// Where reading stopped.
        offset: usize,
    },
    /// No unit of that symbol, or a prefix where none may stand.
    #[error("the unit code has a symbol that is not one of UCUM (at byte {offset}): symbols are case-sensitive")]
    Unknown {
        /// Where the symbol begins.
        offset: usize,
    },
    /// An exponent beyond [`EXPONENT_MAX`], or an amount that no number can hold.
    #[error("the unit code has a number beyond what is allowed")]
    OutOfRange,
    /// `Cel`, `[degF]` and the like inside a product, a quotient or a power (UCUM section 22).
    #[error("a unit with an offset cannot be multiplied or raised to a power: use kelvin")]
    NotARatio,
    /// The units measure different things.
    #[error("the units measure different things")]
    NotComparable,
}
