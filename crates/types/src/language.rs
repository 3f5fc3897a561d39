//! The languages of what Tacet writes for people: papers, reports, titles of summaries.

use crate::clock::{civil_from_days, month_name};

/// In which language something is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Language {
    /// French.
    #[default]
    French,
    /// English.
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// The language of a tag; what comes after the language (`fr-CH`) is not looked at.
    pub fn parse(tag: &str) -> Option<Self> {
        let language = tag.split(['-', '_']).next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|known| known.tag().eq_ignore_ascii_case(language))
    }

    /// Of what is said in French and in English, that of this language.
    pub fn of<T>(self, (french, english): (T, T)) -> T {
        match self {
            Self::French => french,
            Self::English => english,
        }
    }

    /// Whether decimals have a comma.
    pub fn comma(self) -> bool {
        self == Self::French
    }

    /// A day as people write it, out of days since 1970-01-01.
    pub fn date(self, day: i64) -> String {
        let (year, month, day) = civil_from_days(day);
        match self {
            Self::French => format!("{day:02}/{month:02}/{year}"),
            Self::English => format!("{day} {} {year}", month_name(month)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_whatever_comes_after_the_language() {
        for language in Language::ALL {
            assert_eq!(Language::parse(language.tag()), Some(language));
        }
        for tag in ["en-GB", "EN", "en_US", " en "] {
            assert_eq!(Language::parse(tag), Some(Language::English), "{tag}");
        }
        assert_eq!(Language::parse("FR"), Some(Language::French));
        for other in ["de", "", "fra", "-fr", "french"] {
            assert_eq!(Language::parse(other), None, "{other}");
        }
    }

    #[test]
    fn days_are_written_as_in_the_language() {
        assert_eq!(Language::English.date(0), "1 Jan 1970");
        assert_eq!(Language::French.date(0), "01/01/1970");
        assert_eq!(Language::French.of(("oui", "yes")), "oui");
        assert!(Language::French.comma() && !Language::English.comma());
    }
}
