//! A declared emergency: an account sees a patient's record for a while without a relation, says why, and answers for it.
//!
//! Only what a decision needs is here. Who is told, who reviews and how often it may happen is the workflow's.

use crate::facts::Span;
use tacet_types::{ResourceId, Timestamp};

/// Longest text of a declaration, in bytes.
pub const TEXT_BYTES_MAX: usize = 2_000;

/// Longest time for which an emergency can be declared, in milliseconds: 24 hours. Longer needs a second person.
pub const LASTS_MAX_MS: i64 = 24 * 3_600_000;

/// Why somebody declares an emergency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BtgReason {
    /// The patient's life or health is in danger now.
    VitalEmergency,
    /// The patient cannot speak, and no one who cares for them can be reached.
    UnableToConsent,
    /// Care was taken over before the records say so.
    CareTakenOver,
    /// A colleague asked for advice on the patient.
    AdviceAsked,
    /// Another reason, in the text.
    Other,
}

impl BtgReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::VitalEmergency, Self::UnableToConsent, Self::CareTakenOver, Self::AdviceAsked, Self::Other];

    /// Its code in entries, rows and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VitalEmergency => "vital-emergency",
            Self::UnableToConsent => "unable-to-consent",
            Self::CareTakenOver => "care-taken-over",
            Self::AdviceAsked => "advice-asked",
            Self::Other => "other",
        }
    }

    /// The reason of a code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

/// Why a declaration is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BreakGlassError {
    /// The text is missing, or longer than [`TEXT_BYTES_MAX`].
    #[error("a declaration needs a text of at most 2000 bytes: say in a sentence why the record is needed now")]
    Text,
    /// It ends before it begins, or lasts longer than [`LASTS_MAX_MS`].
    #[error("a declaration lasts at most 24 hours: ask for an extension, which a second person decides")]
    Lasts,
}

/// A declaration of emergency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakGlass {
    /// What names it in rows and entries.
    pub id: String,
    /// Who declared it.
    pub account: String,
    /// For whom.
    pub patient: ResourceId,
    /// Why.
    pub reason: BtgReason,
    /// Why, in words.
    pub text: String,
    /// From when.
    pub from: Timestamp,
    /// The last moment of it.
    pub until: Timestamp,
}

impl BreakGlass {
    /// Whether it may be declared as it stands.
    pub fn check(&self) -> Result<(), BreakGlassError> {
        if self.text.trim().is_empty() || self.text.len() > TEXT_BYTES_MAX {
            return Err(BreakGlassError::Text);
        }
        let lasts = self.until.as_ms().saturating_sub(self.from.as_ms());
        if (1..=LASTS_MAX_MS).contains(&lasts) { Ok(()) } else { Err(BreakGlassError::Lasts) }
    }

    /// Whether it holds at a moment.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.from <= now && now <= self.until
    }

    /// From its first to its last moment.
    pub(crate) fn span(&self) -> Span {
        Span(self.from.as_ms(), self.until.as_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_has_a_text_and_an_end() {
        for reason in BtgReason::ALL {
            assert_eq!(BtgReason::parse(reason.as_str()), Some(reason));
        }
        let declared = |text: &str, until: i64| BreakGlass {
            id: "b".into(),
            account: "a".into(),
            patient: ResourceId::parse("p").unwrap(),
            reason: BtgReason::VitalEmergency,
            text: text.into(),
            from: Timestamp::from_ms(1_000),
            until: Timestamp::from_ms(until),
        };
        assert_eq!(declared("unconscious, no history", 3_600_000).check(), Ok(()));
        assert_eq!(declared(" ", 3_600_000).check(), Err(BreakGlassError::Text));
        assert_eq!(declared(&"x".repeat(2_001), 3_600_000).check(), Err(BreakGlassError::Text));
        assert_eq!(declared("x", 1_000).check(), Err(BreakGlassError::Lasts));
        assert_eq!(declared("x", 1_001 + LASTS_MAX_MS).check(), Err(BreakGlassError::Lasts));
        let one = declared("x", 2_000);
        assert!(one.in_force(Timestamp::from_ms(1_000)) && one.in_force(Timestamp::from_ms(2_000)));
        assert!(!one.in_force(Timestamp::from_ms(999)) && !one.in_force(Timestamp::from_ms(2_001)));
    }
}
