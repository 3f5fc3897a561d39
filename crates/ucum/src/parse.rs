//! The grammar of UCUM (section "Full and limited conformance", table of the formal syntax):
//!
//! ```text
//! main      = "/" term | term
//! term      = component { ("." | "/") component }
//! component = symbol [exponent] [annotation] | number [annotation] | annotation | "(" term ")" [annotation]
//! ```
//!
//! Recursion happens only in parentheses, to [`NESTING_MAX`].

use crate::UnitError;
use crate::factor::Factor;
use crate::table::{self, Atom};
use crate::unit::{Dimension, Unit};

/// Longest code that is read, in bytes. The longest of the lists that FHIR publishes has under 40.
pub const CODE_BYTES_MAX: usize = 256;

/// Deepest nesting of parentheses. Codes in use have one or two.
pub const NESTING_MAX: usize = 16;

/// Largest exponent of a symbol, and of a base unit in the result, either way. `10*12` is the largest in common use.
pub const EXPONENT_MAX: i32 = 100;

/// Digits of a bare number (`100` in `/100.{WBC}`).
const NUMBER_DIGITS_MAX: usize = 18;

/// Reads a unit code. An empty code is refused: say `1`.
pub fn parse(code: &str) -> Result<Unit, UnitError> {
    let unit = read(code, &|symbol| table::find(symbol))?;
    if unit.factor().is_in_range() { Ok(unit) } else { Err(UnitError::OutOfRange) }
}

/// Reads a code with the units that `find` knows: the table is read with those that stand before in it.
pub(crate) fn read<'t>(code: &str, find: &dyn Fn(&str) -> Option<&'t Atom>) -> Result<Unit, UnitError> {
    if code.len() > CODE_BYTES_MAX {
        return Err(UnitError::TooLong);
    }
    let mut parser = Parser { code, at: 0, find };
    let unit = if parser.take(b'/') {
        let first = parser.component(0)?;
        let unit = Unit::ONE.divided(&first)?;
        parser.rest_of_term(unit, 0)?
    } else {
        parser.term(0)?
    };
    if parser.at == code.len() { Ok(unit) } else { Err(parser.malformed()) }
}

struct Parser<'c, 't> {
    code: &'c str,
    at: usize,
    find: &'c dyn Fn(&str) -> Option<&'t Atom>,
}

impl<'c> Parser<'c, '_> {
    fn malformed(&self) -> UnitError {
        UnitError::Malformed { offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.code.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn term(&mut self, depth: usize) -> Result<Unit, UnitError> {
        let first = self.component(depth)?;
        self.rest_of_term(first, depth)
    }

    /// Operators go from left to right, so `a/b.c` is `(a/b).c`.
    fn rest_of_term(&mut self, mut unit: Unit, depth: usize) -> Result<Unit, UnitError> {
        loop {
            if self.take(b'.') {
                let next = self.component(depth)?;
                unit = unit.multiplied(&next)?;
            } else if self.take(b'/') {
                let next = self.component(depth)?;
                unit = unit.divided(&next)?;
            } else {
                return Ok(unit);
            }
        }
    }

    fn component(&mut self, depth: usize) -> Result<Unit, UnitError> {
        let unit = match self.peek() {
            Some(b'(') => {
                if depth >= NESTING_MAX {
                    return Err(UnitError::TooDeep);
                }
                self.at += 1;
                let unit = self.term(depth + 1)?;
                if !self.take(b')') {
                    return Err(self.malformed());
                }
                unit
            }
            Some(b'{') => return self.annotation().map(|()| Unit::ONE),
            _ => self.simple()?,
        };
        if self.peek() == Some(b'{') {
            self.annotation()?;
        }
        Ok(unit)
    }

    /// `{anything}`: printable ASCII without braces (UCUM section 6). It has no meaning.
    fn annotation(&mut self) -> Result<(), UnitError> {
        let rest = self.code.as_bytes().get(self.at + 1..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}')).count();
        if rest.get(length) != Some(&b'}') {
            return Err(self.malformed());
        }
        self.at += length + 2;
        Ok(())
    }

    /// A number, or a symbol with an exponent.
    fn simple(&mut self) -> Result<Unit, UnitError> {
        let start = self.at;
        let text = self.word()?;
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            self.at += text.len();
            if text.len() > NUMBER_DIGITS_MAX {
                return Err(UnitError::OutOfRange);
            }
            let number = text.parse().ok().and_then(|digits| Factor::decimal(digits, 0));
            return number.map(Unit::number).ok_or(UnitError::Malformed { offset: start });
        }
        let (symbol, exponent) = split_exponent(text)?;
        let unit = self.symbol(symbol).ok_or(UnitError::Unknown { offset: start })?;
        self.at += text.len();
        exponent.map_or(Ok(unit.clone()), |exponent| unit.raised(exponent))
    }

    /// Up to the next operator, parenthesis or annotation that does not stand in brackets.
    fn word(&self) -> Result<&'c str, UnitError> {
        let rest = self.code.get(self.at..).ok_or_else(|| self.malformed())?;
        let mut in_brackets = false;
        let mut length = 0;
        for byte in rest.bytes() {
            match byte {
                b'[' if !in_brackets => in_brackets = true,
                b']' if in_brackets => in_brackets = false,
                b'.' | b'/' | b'(' | b')' | b'{' if !in_brackets => break,
                b'[' | b']' | b'{' | b'}' => return Err(UnitError::Malformed { offset: self.at + length }),
                byte if byte.is_ascii_graphic() => {}
                _ => return Err(UnitError::Malformed { offset: self.at + length }),
            }
            length += 1;
        }
        match rest.get(..length) {
            Some(word) if length > 0 && !in_brackets => Ok(word),
            _ => Err(self.malformed()),
        }
    }

    /// A symbol as it stands in the table, or one that takes prefixes behind a prefix.
    fn symbol(&self, symbol: &str) -> Option<Unit> {
        if let Some(atom) = (self.find)(symbol) {
            return Some(atom.unit.clone());
        }
        table::PREFIXES.iter().find_map(|(prefix, factor)| {
            let atom = (self.find)(symbol.strip_prefix(prefix)?).filter(|atom| atom.metric)?;
            Some(atom.unit.scaled(factor()))
        })
    }
}

/// Splits `m-3` into `m` and `-3`, and `10*3` into `10*` and `3`.
fn split_exponent(text: &str) -> Result<(&str, Option<i32>), UnitError> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok((text, None));
    }
    let mut at = text.len() - digits;
    if text.get(..at).is_some_and(|before| before.ends_with(['+', '-'])) {
        at -= 1;
    }
    let (symbol, exponent) = text.split_at(at);
    let exponent = exponent.parse::<i32>().ok().filter(|value| value.abs() <= EXPONENT_MAX);
    Ok((symbol, Some(exponent.ok_or(UnitError::OutOfRange)?)))
}

impl Unit {
    fn multiplied(&self, other: &Unit) -> Result<Unit, UnitError> {
        self.combined(other, 1)
    }

    fn divided(&self, other: &Unit) -> Result<Unit, UnitError> {
        self.combined(other, -1)
    }

    fn combined(&self, other: &Unit, sign: i32) -> Result<Unit, UnitError> {
        if self.has_offset() || other.has_offset() {
            return Err(UnitError::NotARatio);
        }
        let factor = self.factor().times(if sign < 0 { other.factor().inverse() } else { other.factor() });
        let dimension = self.dimension().combined(other.dimension(), sign).ok_or(UnitError::OutOfRange)?;
        Ok(Unit::ratio(factor, dimension))
    }

    fn raised(&self, exponent: i32) -> Result<Unit, UnitError> {
        if self.has_offset() {
            return Err(UnitError::NotARatio);
        }
        let dimension = Dimension::NONE.combined(self.dimension(), exponent).ok_or(UnitError::OutOfRange)?;
        Ok(Unit::ratio(self.factor().power(exponent), dimension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_codes_are_refused_where_they_are() {
        for (code, error) in [
            ("", UnitError::Malformed { offset: 0 }),
            ("/", UnitError::Malformed { offset: 1 }),
            ("m.", UnitError::Malformed { offset: 2 }),
            ("m//s", UnitError::Malformed { offset: 2 }),
            ("(m", UnitError::Malformed { offset: 2 }),
            ("m)", UnitError::Malformed { offset: 1 }),
            ("()", UnitError::Malformed { offset: 1 }),
            ("m{", UnitError::Malformed { offset: 1 }),
            ("m{a b}", UnitError::Malformed { offset: 1 }),
            ("m{a}{b}", UnitError::Malformed { offset: 4 }),
            ("{a}m", UnitError::Malformed { offset: 3 }),
            ("[in_i", UnitError::Malformed { offset: 0 }),
            ("in_i]", UnitError::Malformed { offset: 4 }),
            ("[[IU]]", UnitError::Malformed { offset: 1 }),
            ("m s", UnitError::Malformed { offset: 1 }),
            ("µg", UnitError::Malformed { offset: 0 }),
            ("0", UnitError::Malformed { offset: 0 }),
            ("m/xyz", UnitError::Unknown { offset: 2 }),
            ("MMOL/L", UnitError::Unknown { offset: 0 }),
            ("k[in_i]", UnitError::Unknown { offset: 0 }),
            ("kkg", UnitError::Unknown { offset: 0 }),
            ("m-", UnitError::Unknown { offset: 0 }),
            ("-3", UnitError::Unknown { offset: 0 }),
            ("m101", UnitError::OutOfRange),
            ("m99999999999", UnitError::OutOfRange),
            ("m60.m60", UnitError::OutOfRange),
            ("10*100.10*100.10*100.10*100", UnitError::OutOfRange),
            ("1234567890123456789", UnitError::OutOfRange),
            ("Cel/min", UnitError::NotARatio),
            ("Cel2", UnitError::NotARatio),
            ("/[degF]", UnitError::NotARatio),
        ] {
            assert_eq!(parse(code).err(), Some(error), "{code}");
        }
        assert_eq!(parse(&"m".repeat(CODE_BYTES_MAX + 1)).err(), Some(UnitError::TooLong));
        let nested = |depth: usize| format!("{}m{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(NESTING_MAX)).is_ok());
        assert_eq!(parse(&nested(NESTING_MAX + 1)).err(), Some(UnitError::TooDeep));
    }

    #[test]
    fn operators_go_from_left_to_right() {
        assert_eq!(parse("m/s.m"), parse("m2/s"));
        assert_eq!(parse("m/(s.m)"), parse("s-1"));
        assert_eq!(parse("/s.m"), parse("m/s"));
        assert_eq!(parse("10*3"), parse("10^3"));
        assert_eq!(parse("m+2"), parse("m2"));
        assert_eq!(parse("10*-3"), parse("/1000{x}"));
        assert_eq!(parse("(8.h){shift}"), parse("480.min"));
    }
}
