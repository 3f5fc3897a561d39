//! Checks on Rust sources: heads, lengths, names, printing, lint exceptions, test binaries.

use super::Finding;
use super::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Longest source without an entry in the list of exceptions, in lines. Past it there is usually a second idea to take out.
const LINES_MAX: usize = 500;

/// Where a longer source is allowed, and why: `path lines-at-most reason` on each line, `#` begins a comment.
const EXCEPTIONS: &str = "xtask/long-files.txt";

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "misc", "shared", "stuff"];

/// Crates that talk to a terminal; and the one in which tests look for data, which says that it found none.
const TERMINAL: [&str; 3] = ["crates/tacet/", "crates/testdata/", "xtask/"];

/// Every source says first what it is and is not; a file of nothing but tests says so by its name.
pub(crate) fn module_heads(tree: &Tree) -> Vec<Finding> {
    let headless = |text: &str| !text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").starts_with("//! ");
    tree.rust()
        .filter(|(path, text)| !path.ends_with("/tests.rs") && headless(text))
        .map(|(path, _)| Finding::new(path, 1, "begin the file with `//! ` and say what it is and what it is not"))
        .collect()
}

/// No source is longer than [`LINES_MAX`], apart from those in [`EXCEPTIONS`].
pub(crate) fn lengths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut allowed = BTreeMap::new();
    for (index, line) in tree.text(EXCEPTIONS).unwrap_or_default().lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut parts = line.splitn(3, ' ');
        match (parts.next(), parts.next().and_then(|lines| lines.parse().ok()), parts.next()) {
            (Some(path), Some(lines_max), Some(reason)) if !reason.trim().is_empty() => {
                allowed.insert(path, (index + 1, lines_max));
            }
            _ => findings.push(Finding::new(EXCEPTIONS, index + 1, "write `path lines-at-most reason`")),
        }
    }
    for (path, text) in tree.rust() {
        let lines = text.lines().count();
        let lines_max = allowed.remove(path);
        match lines_max {
            Some((line, _)) if lines <= LINES_MAX => {
                findings.push(Finding::new(
                    EXCEPTIONS,
                    line,
                    format!("`{path}` has {lines} lines: take it off the list"),
                ));
            }
            Some((_, lines_max)) if lines <= lines_max => {}
            _ if lines <= LINES_MAX => {}
            _ => {
                let lines_max = lines_max.map_or(LINES_MAX, |(_, lines_max)| lines_max);
                let message = format!("{lines} lines where {lines_max} are allowed: look for the second idea in it");
                findings.push(Finding::new(path, 0, message));
            }
        }
    }
    findings.extend(allowed.into_iter().map(|(path, (line, _))| {
        Finding::new(EXCEPTIONS, line, format!("`{path}` does not exist: take it off the list"))
    }));
    findings
}

/// No module is called by a name that fits anything.
pub(crate) fn module_names(tree: &Tree) -> Vec<Finding> {
    let empty = |path: &str| path.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part));
    tree.rust()
        .filter(|(path, _)| empty(path))
        .map(|(path, _)| Finding::new(path, 0, "name the module for what it holds"))
        .collect()
}

/// Nothing prints outside the command line, and nothing is left unfinished. Tests may print why they skip.
pub(crate) fn printing(tree: &Tree) -> Vec<Finding> {
    const PRINTS: [&str; 4] = ["println!(", "print!(", "eprintln!(", "eprint!("];
    const UNFINISHED: [&str; 3] = ["dbg!(", "todo!(", "unimplemented!("];
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| !path.starts_with("xtask/src/tidy/")) {
        let terminal = TERMINAL.iter().any(|prefix| path.starts_with(prefix));
        let code_end = code_end(path, text);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if UNFINISHED.iter().any(|word| calls(line, word)) {
                findings.push(Finding::new(path, index + 1, "finish this, or take it out"));
            }
            if !terminal && index < code_end && PRINTS.iter().any(|word| calls(line, word)) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    "only the command line prints: use `tracing`, or return it",
                ));
            }
        }
    }
    findings
}

/// `allow` and `expect` attributes carry a reason; outside tests it is `expect`, which complains once it is not needed.
pub(crate) fn lint_exceptions(tree: &Tree) -> Vec<Finding> {
    /// An attribute that rustfmt broke over lines ends within this many.
    const ATTRIBUTE_LINES_MAX: usize = 10;
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| !path.starts_with("xtask/src/tidy/")) {
        let code_end = code_end(path, text);
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate().take(code_end) {
            let line = line.trim_start();
            if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
                findings.push(Finding::new(path, index + 1, "write `expect` with a reason, which ends by itself"));
            }
            if line.starts_with("#[expect(") || line.starts_with("#![expect(") {
                let attribute = lines.iter().skip(index).take(ATTRIBUTE_LINES_MAX);
                let mut attribute = attribute.scan(false, |ended, line| {
                    let before = *ended;
                    *ended = line.trim_end().ends_with(")]");
                    (!before).then_some(line)
                });
                if !attribute.any(|line| line.contains("reason = ")) {
                    findings.push(Finding::new(path, index + 1, "say why: `reason = \"...\"`"));
                }
            }
        }
    }
    findings
}

/// A crate links its integration tests once: `tests/it/main.rs` and its modules, nothing beside.
pub(crate) fn test_binaries(tree: &Tree) -> Vec<Finding> {
    let mut targets = BTreeSet::new();
    for (path, _) in tree.rust() {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["crates", _, "tests", file] if file.ends_with(".rs") => targets.insert(path),
            ["crates", _, "tests", folder, "main.rs"] if *folder != "it" => targets.insert(path),
            _ => false,
        };
    }
    let message = "one test binary a crate: make it a module of `tests/it/main.rs`";
    targets.into_iter().map(|path| Finding::new(path, 0, message)).collect()
}

/// The index of the line from which a source is tests only: they stand last, under `#[cfg(test)] mod tests`.
fn code_end(path: &str, text: &str) -> usize {
    if path.contains("/tests/") || path.ends_with("/tests.rs") {
        return 0;
    }
    let mut under_cfg = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if under_cfg && line.starts_with("mod ") {
            return index;
        }
        under_cfg = line == "#[cfg(test)]" || (under_cfg && line.starts_with("#["));
    }
    usize::MAX
}

/// Whether the line calls the macro itself, not one whose name ends like it.
fn calls(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"' | '`' | '\''))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    #[test]
    fn a_source_without_head_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "\n//! Head.\n"),
            ("b.rs", "use x;\n"),
            ("c.rs", ""),
            ("d/tests.rs", ""),
            ("e.md", "text"),
        ]);
        assert_eq!(paths(module_heads(&tree)), ["b.rs:1", "c.rs:1"]);
    }

    #[test]
    fn long_sources_need_a_line_in_the_list() {
        let (long, short) = ("x\n".repeat(501), "x\n".repeat(500));
        let list = "# comment\nallowed.rs 600 tables\nshort.rs 600 was long\ngone.rs 9 gone\nbad.rs many\n";
        let tree = Tree::of(&[
            (EXCEPTIONS, list),
            ("allowed.rs", &long),
            ("long.rs", &long),
            ("short.rs", &short),
            ("other.rs", &short),
        ]);
        let mut found = paths(lengths(&tree));
        found.sort();
        assert_eq!(found, ["long.rs:0", "xtask/long-files.txt:3", "xtask/long-files.txt:4", "xtask/long-files.txt:5"]);
    }

    #[test]
    fn names_that_fit_anything_are_found() {
        let tree = Tree::of(&[("a/utils.rs", ""), ("a/common/b.rs", ""), ("a/common_name.rs", "")]);
        assert_eq!(paths(module_names(&tree)), ["a/common/b.rs:0", "a/utils.rs:0"]);
    }

    #[test]
    fn printing_is_for_the_command_line_and_for_tests() {
        let source =
            "fn a() { println!(\"x\") }\n// println!(\n#[cfg(test)]\nmod tests { eprintln!(\"skipped\"); dbg!(1) }\n";
        let tree = Tree::of(&[("crates/seal/src/a.rs", source), ("crates/tacet/src/a.rs", source)]);
        let found = paths(printing(&tree));
        assert_eq!(found, ["crates/seal/src/a.rs:1", "crates/seal/src/a.rs:4", "crates/tacet/src/a.rs:4"]);
    }

    #[test]
    fn a_lint_exception_says_why() {
        let source = "#[allow(dead_code)]\nfn a() {}\n#[expect(dead_code)]\nfn b() {}\n#[expect(\n    dead_code,\n    \
                      reason = \"c\"\n)]\nfn c() {}\n#[cfg(test)]\nmod tests {\n#[allow(dead_code)]\n}\n";
        let tree = Tree::of(&[("crates/seal/src/a.rs", source)]);
        assert_eq!(paths(lint_exceptions(&tree)), ["crates/seal/src/a.rs:1", "crates/seal/src/a.rs:3"]);
    }

    #[test]
    fn a_second_test_binary_is_found() {
        let tree = Tree::of(&[
            ("crates/a/tests/it/main.rs", ""),
            ("crates/a/tests/it/more.rs", ""),
            ("crates/a/tests/second.rs", ""),
            ("crates/a/tests/third/main.rs", ""),
        ]);
        assert_eq!(paths(test_binaries(&tree)), ["crates/a/tests/second.rs:0", "crates/a/tests/third/main.rs:0"]);
    }
}
