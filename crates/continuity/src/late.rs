//! Notes on paper that are entered afterwards: whether what names a sheet can be from it.
//!
//! A record that was written on a sheet names the sheet's code, as an identifier of its own or, in a Provenance, of its source. Then the code must be one, and the true
//! time may lie neither before the pack was made nor ahead.

use crate::print::is_sheet_code;
use crate::read::{DAY_MS, When, each, moment};
use tacet_fhir::json::Json;
use tacet_types::{Timestamp, days_from_civil};

/// The system of the codes of sheets, in identifiers.
pub const SHEET_SYSTEM: &str = "urn:tacet:paper-sheet";

/// How much a client's clock may be ahead of ours, in milliseconds: two minutes.
const AHEAD_MS: i64 = 120_000;

/// Where records say when something was, the first that has it.
const TRUE_TIMES: [&str; 17] = [
    "effectiveDateTime",
    "effectiveInstant",
    "effectivePeriod",
    "occurredDateTime",
    "occurredPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "performedDateTime",
    "performedPeriod",
    "onsetDateTime",
    "authoredOn",
    "authored",
    "sent",
    "recordedDate",
    "date",
    "created",
    "period",
];

/// What is wrong with a record that says that it comes from a sheet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// The code is none.
    Code,
    /// It does not say when it was.
    NoTime,
    /// It was before the pack was made.
    Before,
    /// It lies ahead.
    Ahead,
}

impl Wrong {
    /// What is wrong, and what to do.
    pub fn told(self) -> &'static str {
        match self {
            Self::Code => "is no code of a sheet of a paper pack: read it again, its last letter shows a slip",
            Self::NoTime => "comes from a sheet of paper and must say when it was (effective, occurred, date, ..)",
            Self::Before => "was before the paper pack was made: the time or the code is wrong",
            Self::Ahead => "lies ahead: what is written on paper has been",
        }
    }
}

/// What is wrong with a record as a note from a sheet; nothing for one that names no sheet.
pub fn wrong(record: &Json<'_>, now: Timestamp) -> Option<Wrong> {
    let own = each(record, "identifier").iter();
    let sources = each(record, "entity").iter().filter_map(|entity| entity.get("what")?.get("identifier"));
    let named = own.chain(sources).filter(|one| one.get_str("system") == Some(SHEET_SYSTEM));
    let mut codes = named.take(16).map(|one| one.get_str("value").unwrap_or_default()).peekable();
    codes.peek()?;
    let mut latest = i64::MIN;
    for code in codes {
        match made_ms(code) {
            Some(made) => latest = latest.max(made),
            None => return Some(Wrong::Code),
        }
    }
    let Some(when) = moment(record, &TRUE_TIMES) else { return Some(Wrong::NoTime) };
    // A date without a time is as long as it is precise: its last moment is held against the pack.
    let (first, last) = match &when {
        When::At(at) => (at.as_ms(), at.as_ms()),
        When::Date(text) => match text.len() {
            10 => (when.as_ms() - DAY_MS / 2, when.as_ms() + 3 * DAY_MS / 2),
            _ => return Some(Wrong::NoTime),
        },
    };
    if last < latest {
        return Some(Wrong::Before);
    }
    (first > now.as_ms() + AHEAD_MS).then_some(Wrong::Ahead)
}

/// When the pack of a code was made, to the minute; none for what is no code.
fn made_ms(code: &str) -> Option<i64> {
    if !is_sheet_code(code) {
        return None;
    }
    let code = code.trim();
    let number = |from: usize, to: usize| code.get(from..to)?.parse::<u32>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hours, minutes) = (number(9, 11)?, number(11, 13)?);
    let day = days_from_civil(i64::from(year), month, day);
    Some(day * DAY_MS + i64::from(hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::sheet_code;
    use tacet_fhir::json::{Limits, parse_str};

    #[test]
    fn the_true_time_is_between_the_pack_and_now() {
        let now = Timestamp::parse("2026-11-22T18:00:00Z").unwrap();
        let code = sheet_code("20261122-1205-7K3Q", 12);
        let of = |json: String| wrong(&parse_str(&json, &Limits::default()).unwrap(), now);
        let observed = |code: &str, time: &str| {
            of(format!(
                r#"{{"resourceType":"Observation","identifier":[{{"system":"{SHEET_SYSTEM}","value":"{code}"}}],"effectiveDateTime":"{time}"}}"#
            ))
        };
        for (time, expected) in [
            ("2026-11-22T14:40:00+01:00", None),
            ("2026-11-22T12:05:30Z", None),
            ("2026-11-22T18:01:00Z", None),
            ("2026-11-22", None),
            ("2026-11-22T12:04:59Z", Some(Wrong::Before)),
            ("2026-11-20", Some(Wrong::Before)),
            ("2026-11-22T18:03:00Z", Some(Wrong::Ahead)),
            ("2026-11-24", Some(Wrong::Ahead)),
            ("2026", Some(Wrong::NoTime)),
            ("soon", Some(Wrong::NoTime)),
        ] {
            assert_eq!(observed(&code, time), expected, "{time}");
        }
        assert_eq!(observed(&code.replace("012", "013"), "2026-11-22T14:40:00Z"), Some(Wrong::Code));
        assert_eq!(observed(&code.to_lowercase(), "2026-11-22T14:40:00Z"), None);
        let traced = |time: &str| {
            of(format!(
                r#"{{"resourceType":"Provenance","occurredDateTime":"{time}","entity":[{{"role":"source","what":{{"identifier":{{"system":"{SHEET_SYSTEM}","value":"{code}"}}}}}}]}}"#
            ))
        };
        assert_eq!(traced("2026-11-22T14:40:00Z"), None);
        assert_eq!(traced("2026-11-22T11:40:00Z"), Some(Wrong::Before));
        assert_eq!(of(r#"{"resourceType":"Observation","identifier":[{"system":"x","value":"y"}]}"#.into()), None);
    }
}
