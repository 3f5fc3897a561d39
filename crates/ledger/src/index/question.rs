//! What is asked of the ledger, and which entries answer it.

use super::{Facet, FacetKeys};
use crate::codes::{EventKind, Outcome};
use crate::entry::{ACCOUNT_BYTES_MAX, Entry, OWNER_BYTES_MAX, SESSION_BYTES_MAX};
use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Bound;
use tacet_types::{ResourceId, ResourceType, Timestamp};

/// Digits in the short id of a device.
const DEVICE_DIGITS: usize = 16;

/// What is asked: the entries that fit all of it. Without anything set, all entries.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Whose record it was.
    pub patient: Option<(ResourceType, ResourceId)>,
    /// Who did it: an owner's name, an account's id, or who stands behind a machine.
    pub person: Option<String>,
    /// The short id of the session or of the token that was shown.
    pub session: Option<String>,
    /// The short id of the device: hexadecimal digits, in small letters.
    pub device: Option<String>,
    /// The network address.
    pub address: Option<IpAddr>,
    /// At this time or after it.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Of one of these kinds; none: of any.
    pub kinds: Vec<EventKind>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
}

/// Why a question cannot be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuestionError {
    /// A text is longer than any that an entry has.
    #[error("the {field} asked for is longer than any in the ledger, which has at most {bytes_max} bytes")]
    TooLong {
        /// The field's name.
        field: &'static str,
        /// The longest there is, in bytes.
        bytes_max: usize,
    },
    /// A text is empty, which no entry's is: an answer that nothing was found would mislead.
    #[error("the {field} asked for is empty: leave it out, or give one")]
    Empty {
        /// The field's name.
        field: &'static str,
    },
    /// No device has such an id.
    #[error(
        "this can be no id of a device: it has {DEVICE_DIGITS} of 0 to 9 and a to f, as entries give it in `device`"
    )]
    NoDevice,
    /// It ends as it begins, or before.
    #[error("no moment is in the time asked for: give `from` before `to`, which is not in it")]
    NoTime,
}

impl Question {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first that it goes beyond.
    pub fn check(&self) -> Result<(), QuestionError> {
        let texts = [
            ("person", &self.person, OWNER_BYTES_MAX.max(ACCOUNT_BYTES_MAX)),
            ("session", &self.session, SESSION_BYTES_MAX),
        ];
        for (field, text, bytes_max) in texts {
            if text.as_ref().is_some_and(|text| text.len() > bytes_max) {
                return Err(QuestionError::TooLong { field, bytes_max });
            }
            if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
                return Err(QuestionError::Empty { field });
            }
        }
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if self.device.as_ref().is_some_and(|id| id.len() != DEVICE_DIGITS || !id.bytes().all(digit)) {
            return Err(QuestionError::NoDevice);
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(QuestionError::NoTime),
            _ => Ok(()),
        }
    }

    /// Whether an entry answers it.
    pub fn matches(&self, entry: &Entry) -> bool {
        let patient = |(resource_type, id): &(ResourceType, ResourceId)| {
            entry.patient.as_ref().is_some_and(|(of, found)| of == resource_type && found == id)
                || (resource_type.as_str() == "Patient"
                    && entry.records.iter().any(|record| record.resource_type == *resource_type && record.id == *id))
        };
        let person = |name: &String| {
            entry.agent.owner == *name
                || entry.account.as_ref() == Some(name)
                || entry.on_behalf_of.as_ref() == Some(name)
        };
        let session = |id: &String| entry.session.as_ref() == Some(id) || entry.agent.token.as_ref() == Some(id);
        self.patient.as_ref().is_none_or(patient)
            && self.person.as_ref().is_none_or(person)
            && self.session.as_ref().is_none_or(session)
            && self.device.as_ref().is_none_or(|device| entry.device.as_ref() == Some(device))
            && self.address.is_none_or(|address| entry.origin.address == Some(address))
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
    }

    /// The keys by which its entries are found: one of each group.
    pub fn keys(&self, keys: &FacetKeys) -> Vec<Vec<u64>> {
        let single = [
            self.patient.as_ref().map(|(resource_type, id)| Facet::Patient(*resource_type, id)),
            self.person.as_deref().map(Facet::Person),
            self.session.as_deref().map(Facet::Credential),
            self.device.as_deref().map(Facet::Device),
            self.address.map(Facet::Address),
        ];
        let mut groups: Vec<Vec<u64>> = single.into_iter().flatten().map(|facet| vec![keys.key(facet)]).collect();
        if !self.kinds.is_empty() {
            let mut kinds: Vec<u64> = self.kinds.iter().map(|kind| keys.key(Facet::Kind(*kind))).collect();
            kinds.sort_unstable();
            kinds.dedup();
            groups.push(kinds);
        }
        groups
    }

    /// The time asked for, in milliseconds since 1970; none where any is meant.
    pub fn times(&self) -> Option<(Bound<i64>, Bound<i64>)> {
        let from = self.from.map_or(Bound::Unbounded, |from| Bound::Included(from.as_ms()));
        let to = self.to.map_or(Bound::Unbounded, |to| Bound::Excluded(to.as_ms()));
        (self.from.is_some() || self.to.is_some()).then_some((from, to))
    }

    /// The question as it is written into the ledger: `patient=Patient/1&from=..`. Values are percent-encoded where they would end
    /// there.
    pub fn criteria(&self) -> String {
        let mut out = String::new();
        let mut put = |name: &str, value: &str| {
            if !out.is_empty() {
                out.push('&');
            }
            let _ = write!(out, "{name}=");
            for character in value.chars() {
                match character {
                    '&' | '%' | '=' | '+' | '#' => {
                        let _ = write!(out, "%{:02X}", u32::from(character));
                    }
                    other => out.push(other),
                }
            }
        };
        if let Some((resource_type, id)) = &self.patient {
            put("patient", &format!("{resource_type}/{}", id.as_str()));
        }
        let texts = [("person", &self.person), ("session", &self.session), ("device", &self.device)];
        texts.into_iter().for_each(|(name, value)| value.iter().for_each(|value| put(name, value)));
        self.address.iter().for_each(|address| put("address", &address.to_string()));
        self.from.iter().for_each(|from| put("from", &from.to_string()));
        self.to.iter().for_each(|to| put("to", &to.to_string()));
        self.kinds.iter().for_each(|kind| put("kind", kind.as_str()));
        self.outcome.iter().for_each(|outcome| put("outcome", outcome.as_str()));
        out
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::{any_entry, full_entry};
    use proptest::prelude::*;
    use tacet_seal::{EstablishmentKeys, Key};
    use tacet_types::EstablishmentId;

    fn all_of(entry: &Entry) -> Question {
        Question {
            patient: entry.patient.clone(),
            person: Some(entry.agent.owner.clone()),
            session: entry.agent.token.clone(),
            device: entry.device.clone(),
            address: entry.origin.address,
            from: Some(entry.at),
            to: Some(Timestamp::from_ms(entry.at.as_ms() + 1)),
            kinds: vec![entry.kind],
            outcome: Some(entry.outcome),
        }
    }

    #[test]
    fn every_part_of_a_question_counts() {
        let mut entry = full_entry();
        (entry.account, entry.session, entry.device) = (Some("a-1".into()), Some("s-1".into()), Some("d-1".into()));
        let all = all_of(&entry);
        assert!(all.matches(&entry) && Question::default().matches(&entry));
        let patient = ResourceType::parse("Patient").unwrap();
        let other = || Some("other".to_owned());
        let wrong = [
            Question { patient: Some((patient, ResourceId::parse("other").unwrap())), ..all.clone() },
            Question { person: other(), ..all.clone() },
            Question { session: other(), ..all.clone() },
            Question { device: other(), ..all.clone() },
            Question { address: Some("192.0.2.8".parse().unwrap()), ..all.clone() },
            Question { from: Some(Timestamp::from_ms(entry.at.as_ms() + 1)), ..all.clone() },
            Question { to: Some(entry.at), ..all.clone() },
            Question { kinds: vec![EventKind::Read], ..all.clone() },
            Question { outcome: Some(Outcome::Failed), ..all.clone() },
        ];
        assert!(wrong.iter().all(|wrong| !wrong.matches(&entry)));
        for (person, session) in [("a-1", "t-4711"), ("Ward 3", "s-1"), ("Dr Zélie Aubrac", "s-1")] {
            let question = Question { person: Some(person.into()), session: Some(session.into()), ..all.clone() };
            assert!(question.matches(&entry));
        }
        assert_eq!(
            all.criteria(),
            "patient=Patient/7e5f0d3c-93b2-4a4e-9c0d-0123456789ab&person=Dr Zélie Aubrac&session=t-4711&device=d-1\
             &address=192.0.2.7&from=2026-03-01T08:00:00.123Z&to=2026-03-01T08:00:00.124Z&kind=search&outcome=success"
        );
        let odd = Question { person: Some("a&b=c".into()), ..Question::default() };
        assert_eq!((odd.criteria().as_str(), format!("{odd:?}").as_str()), ("person=a%26b%3Dc", "Question(..)"));
    }

    #[test]
    fn bounds_are_held() {
        let long = |bytes| Some("x".repeat(bytes));
        let check = |question: Question| question.check();
        assert!(check(Question { person: long(256), session: long(64), ..Question::default() }).is_ok());
        for question in [
            Question { person: long(257), ..Question::default() },
            Question { session: long(65), ..Question::default() },
        ] {
            assert!(matches!(check(question), Err(QuestionError::TooLong { .. })));
        }
        let empty = check(Question { session: Some(" ".to_owned()), ..Question::default() });
        assert_eq!(empty, Err(QuestionError::Empty { field: "session" }));
        let device = |id: &str| check(Question { device: Some(id.to_owned()), ..Question::default() });
        assert_eq!(device("00d1ce0123456789"), Ok(()));
        for wrong in ["", "d-1", "00D1CE0123456789", "00d1ce012345678", "00d1ce0123456789a", "00d1ce012345678é"] {
            assert_eq!(device(wrong), Err(QuestionError::NoDevice), "{wrong}");
        }
        let at = |ms| Some(Timestamp::from_ms(ms));
        for from in [1, 2] {
            let question = Question { from: at(from), to: at(1), ..Question::default() };
            assert_eq!(check(question), Err(QuestionError::NoTime));
        }
        assert_eq!(check(Question { from: at(1), to: at(2), ..Question::default() }), Ok(()));
    }

    proptest! {
        /// What answers a question is found by each of its keys.
        #[test]
        fn no_answer_is_left_out(entry in any_entry()) {
            let keys = FacetKeys::new(&EstablishmentKeys::derive(&Key::from_bytes([1; 32]), EstablishmentId([1; 16])));
            let mut found = Vec::new();
            keys.of_entry(&entry, &mut found);
            let question = Question { from: None, to: None, ..all_of(&entry) };
            prop_assert!(question.matches(&entry));
            prop_assert!(question.keys(&keys).iter().all(|group| group.iter().any(|key| found.contains(key))));
        }
    }
}
