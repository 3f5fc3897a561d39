//! Canonical addresses with a version (`url|version`), and which of two versions is the newer.

use std::cmp::Ordering;

/// An address and the version asked for: `http://example.org/vs|1.0`. A fragment after `#` is not part of either.
pub(crate) fn split(canonical: &str) -> (&str, Option<&str>) {
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version.split('#').next().unwrap_or_default()).filter(|v| !v.is_empty())),
        None => (canonical, None),
    }
}

/// Whether a definition's version is the one asked for: the same text, or, for a version with fewer parts (`1.2` for
/// `1.2.3`), its beginning.
pub(crate) fn version_matches(version: Option<&str>, asked: &str) -> bool {
    version.is_some_and(|version| {
        version == asked || version.strip_prefix(asked).is_some_and(|rest| rest.starts_with(['.', '-']))
    })
}

/// The order of versions: numbers as numbers, the rest as text, part by part; no version comes first.
/// `1.10` is newer than `1.9`, and `2026-03-01` than `2025-11-30`.
pub(crate) fn compare_versions(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    let mut left = a.split(['.', '-', '+', '_']);
    let mut right = b.split(['.', '-', '+', '_']);
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(part)) => pre_release(part).reverse(),
            (Some(part), None) => pre_release(part),
            (Some(x), Some(y)) => part_order(x, y),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// How a version with one part more compares: `1.0.1` is newer than `1.0`, but `1.0-draft` is older.
fn pre_release(part: &str) -> Ordering {
    if part.starts_with(|c: char| c.is_ascii_digit()) { Ordering::Greater } else { Ordering::Less }
}

fn part_order(a: &str, b: &str) -> Ordering {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_its_version() {
        assert_eq!(split("http://a.example/vs"), ("http://a.example/vs", None));
        assert_eq!(split("http://a.example/vs|1.0#x"), ("http://a.example/vs", Some("1.0")));
        assert_eq!(split("http://a.example/vs|"), ("http://a.example/vs", None));
    }

    #[test]
    fn versions_are_ordered_as_people_mean_them() {
        let mut versions =
            vec![Some("1.10.0"), Some("1.9"), None, Some("1.10"), Some("1.10-draft"), Some("2"), Some("02.1")];
        versions.sort_by(|a, b| compare_versions(*a, *b));
        assert_eq!(
            versions,
            [None, Some("1.9"), Some("1.10-draft"), Some("1.10"), Some("1.10.0"), Some("2"), Some("02.1")]
        );
        assert_eq!(compare_versions(Some("2026-03-01"), Some("2025-11-30")), Ordering::Greater);
    }

    #[test]
    fn a_shorter_version_asks_for_any_of_its_kind() {
        assert!(version_matches(Some("1.2.3"), "1.2"));
        assert!(version_matches(Some("1.2.3"), "1.2.3"));
        assert!(!version_matches(Some("1.23"), "1.2"));
        assert!(!version_matches(None, "1"));
    }
}
