//! Which rows go where, by their space: the first byte of their keys. Closed: a space that is not in the table is an error, so that a new one is
//! thought about before it is backed up or forgotten.

/// What becomes of the rows of a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Ordinary rows: content segments.
    Content,
    /// Wrapped keys: key copies, on a target of their own.
    Key,
    /// Not backed up: it has no meaning elsewhere.
    Local,
}

/// Every space that a store has (`ARCHITECTURE.md`, "Rows").
const SPACES: &[(u8, Class)] = &[
    // The store's own: format and chain of commits. A restored store begins its own.
    (0x00, Class::Local),
    (0x01, Class::Content),
    (0x02, Class::Content),
    (0x03, Class::Content),
    // Data keys of patients, wrapped; or the word that one was destroyed.
    (0x04, Class::Key),
    (0x05, Class::Content),
    (0x06, Class::Content),
    (0x07, Class::Content),
    // The description, with the establishment's key, wrapped.
    (0x08, Class::Key),
    (0x09, Class::Content),
    // Copies of bulk exports: each row holds the key of files that are not backed up, and they end within days.
    (0x0b, Class::Local),
    (0x0c, Class::Content),
    (0x0d, Class::Content),
    (0x0e, Class::Content),
    (0x10, Class::Content),
    (0x11, Class::Content),
    (0x12, Class::Content),
    // Keys of the ledger's epochs, wrapped.
    (0x13, Class::Key),
    // Lockdown and continuity.
    (0x14, Class::Content),
];

/// The class of a space; `None` where this program knows no such space.
pub fn class_of(space: u8) -> Option<Class> {
    SPACES.iter().find(|(known, _)| *known == space).map(|(_, class)| *class)
}

/// The spaces of a class, ascending.
pub fn spaces_of(class: Class) -> impl Iterator<Item = u8> {
    SPACES.iter().filter(move |(_, known)| *known == class).map(|(space, _)| *space)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of rows that every new space is written into.
    #[test]
    fn every_space_of_the_architecture_has_a_class_and_no_other_has() {
        let page = include_str!("../../../ARCHITECTURE.md");
        let rows = page.split("## Rows").nth(1).and_then(|rest| rest.split("## Formats").next()).unwrap();
        let mut listed: Vec<u8> = rows
            .lines()
            .filter_map(|line| line.strip_prefix("| `0x")?.get(..2))
            .map(|digits| u8::from_str_radix(digits, 16).unwrap())
            .collect();
        listed.sort_unstable();
        assert!(listed.len() > 15, "the table of rows was not found");
        for space in &listed {
            assert!(class_of(*space).is_some(), "0x{space:02x} has no class");
        }
        for (space, _) in SPACES {
            // Two spaces are promised to parts that come with this one.
            assert!(listed.contains(space) || [0x13, 0x14].contains(space), "0x{space:02x} is in no table");
        }
        assert!(SPACES.is_sorted_by_key(|(space, _)| *space));
    }

    #[test]
    fn what_the_pages_call_a_wrapped_key_is_of_the_class_of_keys() {
        let page = include_str!("../../../ARCHITECTURE.md");
        for line in page.lines().filter(|line| line.starts_with("| `0x") && line.contains("wrapped")) {
            let space = u8::from_str_radix(&line[5..7], 16).unwrap();
            assert_eq!(class_of(space), Some(Class::Key), "{line}");
        }
        assert_eq!(spaces_of(Class::Key).collect::<Vec<_>>(), [0x04, 0x08, 0x13]);
    }
}
