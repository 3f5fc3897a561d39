//! The units, as facts: symbol, whether it takes prefixes, how many of which unit it is.
//!
//! Values are those of the UCUM specification and, where that has none of its own, of the International System of Units.

use crate::factor::Factor;
use crate::parse::read;
use crate::unit::{Dimension, Offset, Unit};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The units in the order of their definition: each line uses only symbols of the lines above.
///
/// `SYMBOL KIND [NUMBER] UNIT`, where KIND is `m` (takes prefixes) or `-`; and `SYMBOL base`, or `SYMBOL own` and
/// `SYMBOL ownm` (with prefixes), for what is measured in nothing else.
const UNITS: &str = include_str!("units.txt");

/// A symbol of the table.
#[derive(Debug)]
pub(crate) struct Atom {
    /// What it means.
    pub(crate) unit: Unit,
    /// Whether it takes prefixes.
    pub(crate) metric: bool,
}

/// A prefix and what makes its factor.
type Prefix = (&'static str, fn() -> Factor);

/// The prefixes (UCUM table 1, with those of the SI of 2022 and the binary ones). `da` stands before `d`: no symbol
/// that takes prefixes begins with `a` after a `d`, so the order decides nothing but time.
pub(crate) const PREFIXES: [Prefix; 28] = [
    ("Q", || Factor::ten_to(30)),
    ("R", || Factor::ten_to(27)),
    ("Y", || Factor::ten_to(24)),
    ("Z", || Factor::ten_to(21)),
    ("E", || Factor::ten_to(18)),
    ("P", || Factor::ten_to(15)),
    ("T", || Factor::ten_to(12)),
    ("G", || Factor::ten_to(9)),
    ("M", || Factor::ten_to(6)),
    ("k", || Factor::ten_to(3)),
    ("h", || Factor::ten_to(2)),
    ("da", || Factor::ten_to(1)),
    ("d", || Factor::ten_to(-1)),
    ("c", || Factor::ten_to(-2)),
    ("m", || Factor::ten_to(-3)),
    ("u", || Factor::ten_to(-6)),
    ("n", || Factor::ten_to(-9)),
    ("p", || Factor::ten_to(-12)),
    ("f", || Factor::ten_to(-15)),
    ("a", || Factor::ten_to(-18)),
    ("z", || Factor::ten_to(-21)),
    ("y", || Factor::ten_to(-24)),
    ("r", || Factor::ten_to(-27)),
    ("q", || Factor::ten_to(-30)),
    ("Ki", || binary(10)),
    ("Mi", || binary(20)),
    ("Gi", || binary(30)),
    ("Ti", || binary(40)),
];

fn binary(power: u32) -> Factor {
    Factor::decimal(1 << power, 0).unwrap_or(Factor::ONE)
}

/// The unit of a symbol without prefix.
pub(crate) fn find(symbol: &str) -> Option<&'static Atom> {
    static ATOMS: LazyLock<HashMap<&'static str, Atom>> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
        load(UNITS).expect("the committed table of units is well-formed")
    });
    ATOMS.get(symbol)
}

/// Reads the table; the error is the line.
fn load(text: &'static str) -> Result<HashMap<&'static str, Atom>, &'static str> {
    let mut atoms = HashMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let mut words = line.split_ascii_whitespace();
        let (symbol, kind) = (words.next().ok_or(line)?, words.next().ok_or(line)?);
        let unit = match (kind, words.next(), words.next()) {
            ("base" | "own" | "ownm", None, None) => Unit::ratio(Factor::ONE, Dimension::of(symbol)),
            ("m" | "-", Some("pi"), None) => Unit::number(Factor::PI),
            ("m" | "-", Some(code), None) => read(code, &|name| atoms.get(name)).map_err(|_| line)?,
            ("m" | "-", Some(number), Some(code)) => {
                let number = decimal(number).ok_or(line)?;
                read(code, &|name| atoms.get(name)).map_err(|_| line)?.scaled(number)
            }
            _ => return Err(line),
        };
        let unit = match offset_hundredths(symbol) {
            Some(shift_hundredths) => unit.with_offset(Offset { scale_tens: 0, shift_hundredths }),
            None => unit,
        };
        let metric = matches!(kind, "m" | "ownm") || (kind == "base");
        if atoms.insert(symbol, Atom { unit, metric }).is_some() {
            return Err(line);
        }
    }
    Ok(atoms)
}

/// Temperatures whose zero is not that of the kelvin scale (UCUM section 22): what is added before the factor.
fn offset_hundredths(symbol: &str) -> Option<i128> {
    match symbol {
        "Cel" => Some(27_315),
        "[degF]" => Some(45_967),
        "[degRe]" => Some(21_852),
        _ => None,
    }
}

/// A decimal number of the table: `1.5`, `1.5e-3`.
fn decimal(text: &str) -> Option<Factor> {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Factor::decimal(digits, power.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        let atoms = load(UNITS).unwrap();
        assert!(atoms.len() > 280, "{}", atoms.len());
        assert!(atoms.values().all(|atom| atom.unit.factor().is_in_range()));
        assert_eq!(load("m base\nm base").err(), Some("m base"));
        assert_eq!(load("x - 2 unknown").err(), Some("x - 2 unknown"));
        assert_eq!(load("x - 2 1 1").err(), None, "what follows is not looked at");
        assert_eq!(load("x").err(), Some("x"));
    }
}
