//! Times: `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]` (chapter 2A, DTM) as dates and instants of FHIR.

use tacet_types::{Zone, days_from_civil, days_in_month};

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// A text that is no time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a time of the form YYYYMMDDHHMMSS+ZZZZ")]
pub struct TimeError;

/// A time, as precise as it was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
    /// Hour, minute, second.
    time: Option<(u8, u8, u8)>,
    /// Minutes east of Greenwich, where it says so.
    offset: Option<i16>,
}

impl Moment {
    /// Reads a time.
    ///
    /// # Errors
    /// [`TimeError`].
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        let (civil, offset) = match text.find(['+', '-']) {
            Some(at) => {
                let (civil, zone) = text.split_at_checked(at).ok_or(TimeError)?;
                (civil, Some(offset(zone)?))
            }
            None => (text, None),
        };
        let (civil, fraction) = civil.split_once('.').unwrap_or((civil, "0"));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(civil) || !plain(fraction) || fraction.is_empty() || fraction.len() > 9 {
            return Err(TimeError);
        }
        let two = |at: usize| civil.get(at..at + 2).and_then(|digits| digits.parse::<u8>().ok());
        let year = civil.get(..4).and_then(|digits| digits.parse().ok()).filter(|year| *year > 0).ok_or(TimeError)?;
        if !matches!(civil.len(), 4 | 6 | 8 | 10 | 12 | 14) {
            return Err(TimeError);
        }
        let month = two(4);
        let day = two(6);
        let time = two(8).map(|hour| (hour, two(10).unwrap_or(0), two(12).unwrap_or(0)));
        let sound = month.is_none_or(|month| (1..=12).contains(&month))
            && day.is_none_or(|day| (1..=days_in_month(i64::from(year), u32::from(month.unwrap_or(1)))).contains(&u32::from(day)))
            // A leap second is the last one of its minute here.
            && time.is_none_or(|(hour, minute, second)| hour < 24 && minute < 60 && second <= 60);
        let time = time.map(|(hour, minute, second)| (hour, minute, second.min(59)));
        if sound { Ok(Self { year, month, day, time, offset }) } else { Err(TimeError) }
    }

    /// As a `date` of FHIR.
    pub fn date(&self) -> String {
        match (self.month, self.day) {
            (Some(month), Some(day)) => format!("{:04}-{month:02}-{day:02}", self.year),
            (Some(month), None) => format!("{:04}-{month:02}", self.year),
            _ => format!("{:04}", self.year),
        }
    }

    /// As a `dateTime` of FHIR, by this clock where it names no offset.
    pub fn date_time(&self, zone: Zone) -> String {
        let Some((hour, minute, second)) = self.time else { return self.date() };
        let offset = self.offset.unwrap_or_else(|| self.offset_in(zone));
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.unsigned_abs() / 60, offset.unsigned_abs() % 60);
        format!("{}T{hour:02}:{minute:02}:{second:02}{sign}{hours:02}:{minutes:02}", self.date())
    }

    /// Whether it says the time of day.
    pub fn is_exact(&self) -> bool {
        self.time.is_some()
    }

    /// Minutes east of Greenwich when the clock of the place shows this. The hour that comes twice in autumn is taken for the first.
    fn offset_in(&self, zone: Zone) -> i16 {
        let (hour, minute, _) = self.time.unwrap_or_default();
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let days = days_from_civil(i64::from(self.year), u32::from(month), u32::from(day));
        let local_ms = (days * DAY_MINUTES + i64::from(hour) * 60 + i64::from(minute)) * MINUTE_MS;
        i16::try_from(zone.ahead_ms(zone.instant(local_ms)) / MINUTE_MS).unwrap_or_default()
    }
}

fn offset(zone: &str) -> Result<i16, TimeError> {
    let (sign, digits) = zone.split_at_checked(1).ok_or(TimeError)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TimeError);
    }
    let number: i16 = digits.parse().map_err(|_| TimeError)?;
    let (hours, minutes) = (number / 100, number % 100);
    if hours > 14 || minutes > 59 {
        return Err(TimeError);
    }
    Ok((hours * 60 + minutes) * if sign == "-" { -1 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_times_of_fhir() {
        let zone = Zone::Paris;
        for (text, date, time) in [
            ("1924", "1924", "1924"),
            ("192410", "1924-10", "1924-10"),
            ("19241010", "1924-10-10", "1924-10-10"),
            ("20240306111154", "2024-03-06", "2024-03-06T11:11:54+01:00"),
            ("202407061111", "2024-07-06", "2024-07-06T11:11:00+02:00"),
            ("20290801070624+0115", "2029-08-01", "2029-08-01T07:06:24+01:15"),
            ("20210817151943.4-0330", "2021-08-17", "2021-08-17T15:19:43-03:30"),
            ("2024030611", "2024-03-06", "2024-03-06T11:00:00+01:00"),
        ] {
            let moment = Moment::parse(text).unwrap();
            assert_eq!((moment.date().as_str(), moment.date_time(zone).as_str()), (date, time), "{text}");
        }
        assert_eq!(Moment::parse("20240306111154").unwrap().date_time(Zone::Fixed(-210)), "2024-03-06T11:11:54-03:30");
    }

    #[test]
    fn summer_time_begins_and_ends_on_its_sundays() {
        let at = |text: &str| Moment::parse(text).unwrap().date_time(Zone::Paris);
        assert!(at("20260329015959").ends_with("+01:00") && at("20260329030000").ends_with("+02:00"));
        assert!(at("20261025015959").ends_with("+02:00") && at("20261025030000").ends_with("+01:00"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "20",
            "2024030",
            "20241301",
            "20240230",
            "2024030625",
            "20240306116060",
            "2024x306",
            "20240306+1",
            "0000",
        ] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
    }
}
