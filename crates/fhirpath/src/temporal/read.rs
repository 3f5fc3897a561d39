//! Dates and times from text.

use super::{Moment, Precision, days_in_month};

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
pub(crate) fn read_date(text: &str) -> Option<Moment> {
    let mut parts = text.split('-');
    let mut moment = Moment { year: number(parts.next()?, 4)?, ..Moment::LEAST };
    if let Some(month) = parts.next() {
        moment.month = part(month, 1, 12)?;
        moment.precision = Precision::Month;
    }
    if let Some(day) = parts.next() {
        moment.day = part(day, 1, days_in_month(moment.year, moment.month))?;
        moment.precision = Precision::Day;
    }
    (parts.next().is_none() && moment.year >= 1).then_some(moment)
}

/// A date, or a date with a time and perhaps a zone.
pub(crate) fn read_date_time(text: &str) -> Option<Moment> {
    let Some((date, rest)) = text.split_once('T') else { return read_date(text) };
    let date = read_date(date).filter(|date| date.precision == Precision::Day)?;
    let (time, zone) = match rest.find(['Z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let time = read_time(time)?;
    Some(Moment { year: date.year, month: date.month, day: date.day, offset_minutes: read_zone(zone)?, ..time })
}

/// A literal after its `@`: as [`read_date_time`], and a `T` may follow a date of any precision.
pub(crate) fn read_literal_date(text: &str) -> Option<Moment> {
    match text.strip_suffix('T') {
        Some(date) => read_date(date),
        None => read_date_time(text),
    }
}

/// `hh`, `hh:mm`, `hh:mm:ss`, the last with a fraction or without.
pub(crate) fn read_time(text: &str) -> Option<Moment> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let mut moment = Moment { hour: part(parts.next()?, 0, 23)?, precision: Precision::Hour, ..Moment::LEAST };
    if let Some(minute) = parts.next() {
        moment.minute = part(minute, 0, 59)?;
        moment.precision = Precision::Minute;
    }
    if let Some(second) = parts.next() {
        moment.second = part(second, 0, 60)?;
        moment.precision = Precision::Second;
    }
    if parts.next().is_some() {
        return None;
    }
    if let Some(digits) = fraction {
        if moment.precision != Precision::Second || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // What is finer than a billionth of a second is dropped.
        let kept = digits.get(..digits.len().min(9))?;
        moment.fraction_digits = u8::try_from(kept.len()).ok()?;
        moment.nanos = kept.parse::<u32>().ok()? * 10_u32.pow(9 - u32::from(moment.fraction_digits));
    }
    Some(moment)
}

/// Nothing, `Z`, or an offset; the inner `None` is for nothing.
#[expect(clippy::option_option, reason = "a text that is no zone differs from no text")]
fn read_zone(text: &str) -> Option<Option<i16>> {
    if text.is_empty() {
        return Some(None);
    }
    if text == "Z" {
        return Some(Some(0));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let total = i16::from(part(hours, 0, 14)?) * 60 + i16::from(part(minutes, 0, 59)?);
    (total <= 14 * 60).then_some(Some(sign * total))
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u16> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Two digits within bounds.
fn part(text: &str, least: u8, most: u8) -> Option<u8> {
    u8::try_from(number(text, 2)?).ok().filter(|value| (least..=most).contains(value))
}
