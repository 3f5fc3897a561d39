//! Notes on paper that are entered afterwards: whether what names a sheet can be from it.
//!
//! A record that was written on a sheet names the sheet's code, as an identifier of its own or, in a Provenance, of its source. Then the code must be one, and the true
//! time may lie neither before the pack was made nor ahead. Whether the sheet is the patient's is told by its mark, by who has the key of marks.

use crate::code::SheetCode;
use crate::read::{DAY_MS, When, each, moment};
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// The system of the codes of sheets, in identifiers.
pub const SHEET_SYSTEM: &str = "urn:tacet:paper-sheet";

/// How much a client's clock may be ahead of ours, in milliseconds: two minutes.
const AHEAD_MS: i64 = 120_000;

/// Most sheets that one record can be from. A note has one; two where it goes on over the next pack.
pub const SHEETS_MAX: usize = 16;

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
    /// The code is one, and not written as it stands on the sheet: a search for it would not find the record.
    Letters,
    /// It does not say when it was.
    NoTime,
    /// It was before the pack was made.
    Before,
    /// It lies ahead.
    Ahead,
    /// There are more sheets than a note can be from.
    TooMany,
    /// The sheet is of another patient, or was never printed.
    Foreign,
}

impl Wrong {
    /// What is wrong, and what to do.
    pub fn told(self) -> &'static str {
        match self {
            Self::Code => "is no code of a sheet of a paper pack: read it again, its last letter shows a slip",
            Self::Letters => {
                "has the code of a sheet of paper otherwise than it stands there: write it in capitals, without spaces"
            }
            Self::NoTime => "comes from a sheet of paper and must say when it was (effective, occurred, date, ..)",
            Self::Before => "was before the paper pack was made: the time or the code is wrong",
            Self::TooMany => "names more sheets of paper than a note can be from",
            Self::Foreign => {
                "is from no sheet of this patient: look at the name on the sheet, then read the code again"
            }
            Self::Ahead => "lies ahead: what is written on paper has been",
        }
    }
}

fn named<'r, 'a>(record: &'r Json<'a>) -> impl Iterator<Item = &'r str> + use<'r, 'a> {
    let own = each(record, "identifier").iter();
    let sources = each(record, "entity").iter().filter_map(|entity| entity.get("what")?.get("identifier"));
    let named = own.chain(sources).filter(|one| one.get_str("system") == Some(SHEET_SYSTEM));
    named.map(|one| one.get_str("value").unwrap_or_default())
}

/// The codes of the sheets that a record says it is from, each once; those that are none are left out ([`wrong`] tells).
pub fn sheets(record: &Json<'_>) -> Vec<SheetCode> {
    let mut codes: Vec<SheetCode> = named(record).take(SHEETS_MAX).filter_map(SheetCode::parse).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// What is wrong with a record as a note from a sheet; nothing for one that names no sheet.
pub fn wrong(record: &Json<'_>, now: Timestamp) -> Option<Wrong> {
    let mut latest = i64::MIN;
    for (place, given) in named(record).enumerate() {
        match SheetCode::parse(given) {
            _ if place >= SHEETS_MAX => return Some(Wrong::TooMany),
            Some(code) if code.as_str() != given => return Some(Wrong::Letters),
            Some(code) => latest = latest.max(code.made_ms()),
            None => return Some(Wrong::Code),
        }
    }
    if latest == i64::MIN {
        return None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::sheet_code;
    use tacet_fhir::json::{Limits, parse_str};

    #[test]
    fn the_true_time_is_between_the_pack_and_now() {
        let now = Timestamp::parse("2026-11-22T18:00:00Z").unwrap();
        let code = sheet_code("20261122-1205-7K3Q-012", [7; 4]);
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
        assert_eq!(observed(&code.replace("-012", "-013"), "2026-11-22T14:40:00Z"), Some(Wrong::Code));
        assert_eq!(observed(&code.to_lowercase(), "2026-11-22T14:40:00Z"), Some(Wrong::Letters));
        assert_eq!(observed(&format!(" {code}"), "2026-11-22T14:40:00Z"), Some(Wrong::Letters));
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
