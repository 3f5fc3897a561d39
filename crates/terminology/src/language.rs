//! Languages of designations, and texts compared as people read them.

/// Whether a designation's language is one that is asked for: `fr-FR` answers `fr`, and `fr` answers `fr-FR`.
/// The list may be that of an `Accept-Language` header; its weights are passed over, its order is kept by the caller.
pub(crate) fn matches(language: &str, asked: &str) -> bool {
    if language.is_empty() {
        return false;
    }
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    asked.split(',').map(|one| one.split(';').next().unwrap_or_default().trim()).filter(|one| !one.is_empty()).any(
        |one| {
            one.eq_ignore_ascii_case(language)
                || (primary(one) == primary(language) && (!one.contains('-') || !language.contains('-')))
        },
    )
}

/// Whether two texts read the same: letter case, and how many blanks stand between words, do not count.
pub(crate) fn same_text(a: &str, b: &str) -> bool {
    let mut left = a.split_whitespace();
    let mut right = b.split_whitespace();
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x.chars().flat_map(char::to_lowercase).eq(y.chars().flat_map(char::to_lowercase)) => {
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_answers_its_regions() {
        assert!(matches("fr-FR", "fr") && matches("fr", "fr-FR") && matches("FR", "en, fr;q=0.5"));
        assert!(!matches("fr-CA", "fr-FR") && !matches("", "fr") && !matches("fr", ""));
    }

    #[test]
    fn texts_are_the_same_whatever_their_blanks_and_case() {
        assert!(same_text(" Éther  oxyde", "éther OXYDE") && !same_text("a b", "ab") && !same_text("a", "a b"));
    }
}
