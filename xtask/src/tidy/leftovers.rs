//! Checks on bytes: paths of somebody's machine, files too large to commit, spaces that only make noise in a diff.

use super::Finding;
use super::tree::Tree;

/// Largest file that may be committed, in bytes. Data come from generators, not from the history.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Files made by tools, whose spaces are not ours.
const MADE: [&str; 2] = ["Cargo.lock", "LICENSE"];

/// Beginnings of paths that exist on one machine only. Cut in two, so that this list does not find itself.
const MACHINE_PATHS: [&str; 5] =
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("/tm", "p/")];

/// No text names a path of one machine.
pub(crate) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            let found = MACHINE_PATHS.iter().find(|prefix| {
                // A path begins where no longer path or address goes on, and names something: not so the `b/` in `a/b/`.
                line.match_indices(**prefix).any(|(at, _)| {
                    let before = line.get(..at).and_then(|head| head.chars().next_back());
                    let after = line.get(at + prefix.len()..).and_then(|tail| tail.chars().next());
                    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | ']' | ')' | '*');
                    !before.is_some_and(goes_on) && after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_'))
                })
            });
            if let Some(prefix) = found {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("`{prefix}` is a path of one machine: make it relative"),
                ));
            }
        }
    }
    findings
}

/// Files are small; text ends its lines plainly and ends with a line.
pub(crate) fn bytes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, bytes) in tree.files() {
        if bytes.len() > FILE_BYTES_MAX {
            let message = format!("{} bytes: a committed file has {FILE_BYTES_MAX} at most", bytes.len());
            findings.push(Finding::new(path, 0, message));
        }
    }
    let ours = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        !MADE.contains(&name)
            && (name.ends_with(".rs") || name.ends_with(".md") || name.ends_with(".toml") || path == ".ci/run")
    };
    for (path, text) in tree.texts().filter(|(path, _)| ours(path)) {
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            findings.push(Finding::new(path, 0, "end the file with one line end"));
        }
        for (index, line) in text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::new(path, index + 1, "spaces or a carriage return at the end of the line"));
            }
            if line.contains('\t') {
                findings.push(Finding::new(path, index + 1, "a tab: write spaces"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found() {
        let text = format!("{0}x\n..{0}x\nhttps://host{0}a\n(`{0}a`)\n{0}{{}}\n", MACHINE_PATHS[1]);
        let lines: Vec<_> = machine_paths(&Tree::of(&[("a.md", &text)])).into_iter().map(|f| f.line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn large_files_and_loose_spaces_are_found() {
        let large = "x".repeat(FILE_BYTES_MAX + 1);
        let tree = Tree::of(&[
            ("large.bin", &large),
            ("good.rs", "a\n"),
            ("open.rs", "a"),
            ("blank.md", "a\n\n"),
            ("space.md", "a \nb\tc\nd\r\n"),
            ("LICENSE", "a \n\n"),
        ]);
        let found: Vec<_> = bytes(&tree).into_iter().map(|f| format!("{}:{}", f.path, f.line)).collect();
        assert_eq!(found, ["large.bin:0", "blank.md:0", "open.rs:0", "space.md:1", "space.md:2", "space.md:3"]);
    }
}
