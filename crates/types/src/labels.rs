//! Security labels of a record as a set of bits, small enough to stand beside every version and in every index document.

use std::fmt;

/// Makes the bits with their names. A number is written into sealed rows: one may be added, none may move.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)+) => {
        impl Labels {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)+

            /// Every label there is, with the name that policies use.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),+];
        }
    };
}

/// A set of security labels. Which codes of FHIR and of DS4P a bit stands for, `tacet_fhir::security` says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(u64);

labels! {
    /// Confidentiality `R`: restricted.
    RESTRICTED = 0, "restricted";
    /// Confidentiality `V`: very restricted.
    VERY_RESTRICTED = 1, "very-restricted";
    /// HIV or AIDS (`HIV`).
    HIV = 2, "hiv";
    /// Psychiatry, mental health, psychotherapy notes (`PSY`, `MH`, `PSYTHPN`, `BH`).
    PSYCHIATRY = 3, "psychiatry";
    /// Substance use (`SUD`, `ETH`, `ETHUD`, `OPIOIDUD`, `TBOO`).
    SUBSTANCE_USE = 4, "substance-use";
    /// Sexual and reproductive health (`SEX`, `STD`, `PREGNANT`, `SDV` excepted).
    SEXUAL_HEALTH = 5, "sexual-health";
    /// Sexual assault, abuse or violence (`SDV`, `VIO`, `SPI`).
    VIOLENCE = 6, "violence";
    /// Genetics (`GDIS`, `SICKLE`).
    GENETICS = 7, "genetics";
    /// Of a minor who asked for secrecy towards the parents (`ADOL`, `MINOR`), gynaecology for one.
    MINOR = 8, "minor";
    /// A known person (`CEL`, `VIP`).
    VIP = 9, "vip";
    /// Somebody who works here (`EMP`, `COMPT`).
    STAFF = 10, "staff";
    /// Somebody who is detained.
    DETAINED = 11, "detained";
    /// When and how somebody who is detained is moved.
    TRANSPORT = 12, "transport";
    /// The patient asked that it be withheld (`PDS`, `PRS`, `OPTOUT`-like marks).
    WITHHELD_BY_PATIENT = 13, "withheld-by-patient";
    /// A label of a sensitivity that has no bit of its own: treated as strictly as the strictest.
    OTHER = 14, "other";
    /// Some element of the record carries a label of its own; what it is is not in this set.
    INLINE = 15, "inline";
}

impl Labels {
    /// No label.
    pub const NONE: Self = Self(0);

    /// Every bit, those not given out yet too: what somebody may see from whom nothing is withheld.
    pub const EVERY: Self = Self(u64::MAX);

    /// The set as a number, for rows.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The set of a number that [`Labels::bits`] gave. Bits that this version does not know are kept: nobody is cleared for them.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This set without the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of this set is in the other.
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is a label in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The label of a name in policies.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, text)| *text == name).map(|(label, _)| *label)
    }

    /// Each label of the set that has a name, alone.
    pub fn each(self) -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.iter().copied().filter(move |(label, _)| label.within(self))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.each().map(|(_, name)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets() {
        let both = Labels::HIV.and(Labels::VIP);
        assert!(Labels::HIV.within(both) && !both.within(Labels::HIV) && both.within(Labels::EVERY));
        assert!(both.meets(Labels::VIP) && !both.meets(Labels::DETAINED));
        assert_eq!(both.without(Labels::HIV), Labels::VIP);
        assert_eq!(both.each().map(|(_, name)| name).collect::<Vec<_>>(), ["hiv", "vip"]);
        for (label, name) in Labels::ALL {
            assert_eq!(Labels::parse(name), Some(*label));
            assert_eq!(Labels::from_bits(label.bits()), *label);
            assert_eq!(label.bits().count_ones(), 1);
        }
        let unknown = Labels::from_bits(1 << 63);
        let known = Labels::ALL.iter().fold(Labels::NONE, |all, (label, _)| all.and(*label));
        assert!(!unknown.within(known), "nobody who is cleared by name is cleared for what is not known yet");
    }
}
