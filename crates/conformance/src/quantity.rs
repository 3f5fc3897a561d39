//! Comparing quantities of different units.

use std::cmp::Ordering;
use tacet_fhir::json::Json;

/// The system of UCUM codes.
const UCUM: &str = "http://unitsofmeasure.org";

/// The longest time that dates can be apart, in milliseconds: ten thousand years.
const CLOCK_MS_MAX: f64 = 10_000.0 * 366.0 * 86_400_000.0;

/// Which of two quantities is the greater; `None` where their units cannot be compared, or one has none.
pub(crate) fn compare(left: &Json<'_>, right: &Json<'_>) -> Option<Ordering> {
    let amount = |quantity: &Json<'_>| quantity.get("value")?.as_number()?.parse::<f64>().ok();
    let (first, second) = (amount(left)?, amount(right)?);
    let unit = |quantity: &Json<'_>| -> Option<(String, String)> {
        Some((quantity.get_str("system")?.to_owned(), quantity.get_str("code")?.to_owned()))
    };
    let (ours, theirs) = (unit(left)?, unit(right)?);
    if ours == theirs {
        return first.partial_cmp(&second);
    }
    if ours.0 != UCUM || theirs.0 != UCUM {
        return None;
    }
    let (from, to) = (tacet_ucum::parse(&ours.1).ok()?, tacet_ucum::parse(&theirs.1).ok()?);
    tacet_ucum::convert(first, &from, &to).ok()?.partial_cmp(&second)
}

/// A duration in milliseconds; `None` for what is none, and for one that no clock can count.
pub(crate) fn milliseconds(duration: &Json<'_>) -> Option<i64> {
    let amount = duration.get("value")?.as_number()?.parse::<f64>().ok()?;
    let unit = duration.get_str("code").filter(|_| duration.get_str("system") == Some(UCUM))?;
    let (from, to) = (tacet_ucum::parse(unit).ok()?, tacet_ucum::parse("ms").ok()?);
    let span = tacet_ucum::convert(amount, &from, &to).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "held to what a clock counts to, and parts of a millisecond go"
    )]
    (0.0..=CLOCK_MS_MAX).contains(&span).then_some(span as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    #[test]
    fn durations_are_counted() {
        let counted = |value: &str, code: &str| {
            let text = format!(r#"{{"value":{value},"system":"{UCUM}","code":"{code}"}}"#);
            milliseconds(&parse_str(&text, &Limits::default()).expect("well-formed"))
        };
        assert_eq!(counted("1.5", "h"), Some(5_400_000));
        assert_eq!(counted("1", "a"), Some(31_557_600_000));
        assert_eq!(counted("1", "kg"), None);
        assert_eq!(counted("-1", "h"), None);
        assert_eq!(counted("1e30", "a"), None);
    }

    #[test]
    fn amounts_compare_across_units() {
        let quantity = |value: &str, code: &str| format!(r#"{{"value":{value},"system":"{UCUM}","code":"{code}"}}"#);
        let compared = |left: String, right: String| {
            let read = |text: &str| parse_str(text, &Limits::default()).expect("well-formed").into_owned();
            compare(&read(&left), &read(&right))
        };
        assert_eq!(compared(quantity("10000", "m"), quantity("50", "km")), Some(Ordering::Less));
        assert_eq!(compared(quantity("2", "kg"), quantity("1999", "g")), Some(Ordering::Greater));
        assert_eq!(compared(quantity("2", "kg"), quantity("2", "m")), None);
        assert_eq!(compared(r#"{"value":1}"#.to_owned(), quantity("2", "m")), None);
    }
}
