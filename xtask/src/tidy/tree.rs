//! The files that the checks look at, in memory: the repository's, or a small tree of a test.

use crate::{Outcome, workspace};
use std::collections::BTreeMap;

/// A file's bytes by its path relative to the root, with `/` between the parts.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, Vec<u8>>);

impl Tree {
    /// Reads every file that git holds or would hold.
    pub(crate) fn of_repository() -> Outcome<Self> {
        let root = workspace::root();
        let mut files = BTreeMap::new();
        for path in workspace::files()? {
            let bytes = std::fs::read(root.join(&path)).map_err(|error| format!("{}: {error}", path.display()))?;
            files.insert(path.to_string_lossy().replace('\\', "/"), bytes);
        }
        Ok(Self(files))
    }

    /// A tree of the given paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }

    /// Every file with its bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// Every file that is UTF-8 text, with its text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter_map(|(path, bytes)| Some((path, std::str::from_utf8(bytes).ok()?)))
    }

    /// Every Rust source.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// Whether a file or a folder has this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
            || self.0.keys().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The text of one file, if it is there and is text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.0.get(path)?).ok()
    }

    /// The files directly in a folder, by their names.
    pub(crate) fn folder<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts().filter_map(move |(path, text)| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then_some((name, text))
        })
    }
}

/// The rows of the Markdown table between `<!-- name:begin -->` and `<!-- name:end -->`, head and rule left out, each
/// with its line from 1 and its cells trimmed. `None` when the marks are missing.
pub(crate) fn marked_table<'a>(text: &'a str, name: &str) -> Option<Vec<(usize, Vec<&'a str>)>> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| line.trim() == begin)?;
    let to = lines.iter().position(|line| line.trim() == end)?;
    let rows = lines.iter().enumerate().take(to).skip(from + 1).filter(|(_, line)| line.starts_with('|')).skip(2);
    Some(rows.map(|(index, line)| (index + 1, line.trim_matches('|').split('|').map(str::trim).collect())).collect())
}

/// What stands between the first pair of back quotes of a table's cell, or the cell itself.
pub(crate) fn unquoted(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_between_their_marks() {
        let text = "x\n<!-- a:begin -->\n| h | i |\n|---|---|\n| `one` | two |\n<!-- a:end -->\n| no | no |\n";
        assert_eq!(marked_table(text, "a"), Some(vec![(5, vec!["`one`", "two"])]));
        assert_eq!(marked_table(text, "b"), None);
        assert_eq!(unquoted("`one` (more)"), "one");
        assert_eq!(unquoted("one"), "one");
    }

    #[test]
    fn folders_are_known_by_their_files() {
        let tree = Tree::of(&[("a/b.md", "x"), ("a/c/d.md", "y")]);
        assert!(tree.has("a") && tree.has("a/c") && tree.has("a/b.md"));
        assert!(!tree.has("a/b") && !tree.has("b.md"));
        assert_eq!(tree.folder("a").collect::<Vec<_>>(), [("b.md", "x")]);
    }
}
