//! Equality of JSON values as RFC 6902 section 4.6 has it: objects whatever their order, numbers by their size.

use std::collections::HashMap;
use tacet_fhir::json::{Json, Member};

/// Objects up to this many members are compared by looking through them; larger ones by hashing.
const SEARCHED_MEMBERS_MAX: usize = 16;

/// Whether both are the same value.
pub(crate) fn equal(one: &Json<'_>, other: &Json<'_>) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => same_number(one, other),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Json::Object(one), Json::Object(other)) => one.len() == other.len() && same_members(one, other),
        _ => one == other,
    }
}

fn same_members(one: &[Member<'_>], other: &[Member<'_>]) -> bool {
    if one.len() <= SEARCHED_MEMBERS_MAX {
        return one.iter().all(|(name, value)| {
            other.iter().find(|(known, _)| known == name).is_some_and(|(_, known)| equal(value, known))
        });
    }
    let by_name: HashMap<&str, &Json<'_>> = other.iter().map(|(name, value)| (name.as_ref(), value)).collect();
    one.iter().all(|(name, value)| by_name.get(name.as_ref()).is_some_and(|known| equal(value, known)))
}

/// A JSON number: its digits from the first to the last that is not zero, and the power of ten of the last one.
#[derive(PartialEq, Eq, Debug)]
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    power: i128,
}

impl Digits {
    /// `None` where the exponent is beyond all counting.
    fn of(text: &str) -> Option<Self> {
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
        if digits.is_empty() {
            return Some(Digits { negative: false, digits, power: 0 });
        }
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - zeros);
        let shift = i128::try_from(zeros).ok()? - i128::try_from(fraction.len()).ok()?;
        Some(Digits { negative, digits, power: power.parse::<i64>().map(i128::from).ok()? + shift })
    }
}

fn same_number(one: &str, other: &str) -> bool {
    one == other || matches!((Digits::of(one), Digits::of(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    fn same(one: &str, other: &str) -> bool {
        let read = |text: &str| parse_str(text, &Limits::default()).unwrap().into_owned();
        equal(&read(one), &read(other))
    }

    #[test]
    fn numbers_are_compared_by_their_size() {
        for (one, other) in
            [("1.00", "1"), ("1e2", "100"), ("-0", "0"), ("0.10", "1E-1"), ("0e99", "0.0"), ("12.5e-1", "1.25")]
        {
            assert!(same(one, other), "{one} {other}");
        }
        let long = "1234567890".repeat(5);
        for (one, other) in
            [("1", "-1"), ("1", "10"), ("1", "\"1\""), ("1e99999999999999999999", "1e99999999999999999998")]
        {
            assert!(!same(one, other), "{one} {other}");
        }
        assert!(!same(&format!("{long}1"), &format!("{long}2")));
        assert!(same(&format!("{long}.0"), &long));
    }

    #[test]
    fn members_have_no_order_and_items_have() {
        assert!(same(r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1.0,2],"a":1}"#));
        assert!(!same(r#"{"a":1,"b":[1,2]}"#, r#"{"b":[2,1],"a":1}"#));
        assert!(!same(r#"{"a":1}"#, r#"{"b":1}"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":null}"#));
        let many = |from: usize| {
            let members: Vec<_> = (0..100).map(|at| format!("\"m{}\":{at}", (at + from) % 100)).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(same(&many(0), &many(0)));
        assert!(!same(&many(0), &many(1)));
    }
}
