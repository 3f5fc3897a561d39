//! Checks on documents: formats, decisions, fuzz targets, changelog, links, and that the README's commands are CI's.

use super::Finding;
use super::tree::{Tree, marked_table, unquoted};
use std::collections::BTreeSet;

/// How a changelog entry begins.
const KINDS: [&str; 5] = ["Added: ", "Changed: ", "Fixed: ", "Removed: ", "Security: "];

/// The formats that ARCHITECTURE.md registers have a page in docs/formats, and each page there is registered.
pub(crate) fn formats(tree: &Tree) -> Vec<Finding> {
    const REGISTER: &str = "ARCHITECTURE.md";
    let Some(rows) = tree.text(REGISTER).and_then(|text| marked_table(text, "formats")) else {
        return vec![Finding::new(REGISTER, 0, "the table between `<!-- formats:begin -->` and its end is missing")];
    };
    let mut findings = Vec::new();
    let mut registered = BTreeSet::new();
    for (line, cells) in rows {
        let page = cells.get(1).map(|cell| link_target(cell).unwrap_or(unquoted(cell))).unwrap_or_default();
        if !tree.has(page) || !page.starts_with("docs/formats/") {
            findings.push(Finding::new(
                REGISTER,
                line,
                format!("the format's page `{page}` is missing: write it to the byte"),
            ));
        }
        registered.insert(page);
    }
    for (name, _) in tree.folder("docs/formats") {
        let page = format!("docs/formats/{name}");
        if name.ends_with(".md") && !registered.contains(page.as_str()) {
            findings.push(Finding::new(&page, 0, format!("not in the table of formats of {REGISTER}")));
        }
    }
    findings
}

/// ADRs are numbered from 0001 without a gap, begin with their number, have a status, and are in the index.
pub(crate) fn decisions(tree: &Tree) -> Vec<Finding> {
    const INDEX: &str = "docs/adr/README.md";
    let index = tree.text(INDEX).unwrap_or_default();
    let mut findings = Vec::new();
    let pages = tree.folder("docs/adr").filter(|(name, _)| *name != "README.md");
    for (number, (name, text)) in (1..).zip(pages) {
        let path = format!("docs/adr/{name}");
        let prefix = format!("{number:04}");
        if !name.starts_with(&format!("{prefix}-")) {
            findings.push(Finding::new(
                &path,
                0,
                format!("expected the decision {prefix} here: numbers go on without a gap"),
            ));
        }
        if !text.starts_with(&format!("# {prefix} ")) {
            findings.push(Finding::new(&path, 1, format!("begin with `# {prefix} ` and the decision in a few words")));
        }
        if !text.lines().any(|line| line.starts_with("Status: ")) {
            findings.push(Finding::new(&path, 0, "a line `Status: accepted` (or `replaced by ...`) is missing"));
        }
        if !index.contains(&format!("({name})")) {
            findings.push(Finding::new(INDEX, 0, format!("`{name}` is not linked")));
        }
    }
    findings
}

/// The fuzz targets that exist, those that the manifest builds and those that the page describes are the same.
pub(crate) fn fuzz_targets(tree: &Tree) -> Vec<Finding> {
    const MANIFEST: &str = "fuzz/Cargo.toml";
    const PAGE: &str = "docs/fuzzing.md";
    let files: BTreeSet<String> =
        tree.folder("fuzz/fuzz_targets").filter_map(|(name, _)| name.strip_suffix(".rs").map(str::to_owned)).collect();
    let manifest = tree.text(MANIFEST).and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let built: BTreeSet<String> = manifest
        .get("bin")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned))
        .collect();
    let listed: BTreeSet<String> = tree
        .text(PAGE)
        .and_then(|text| marked_table(text, "targets"))
        .unwrap_or_default()
        .iter()
        .filter_map(|(_, cells)| cells.first().map(|cell| unquoted(cell).to_owned()))
        .collect();
    let mut findings = Vec::new();
    for (path, names) in [(MANIFEST, &built), (PAGE, &listed)] {
        findings.extend(
            files.difference(names).map(|name| Finding::new(path, 0, format!("the fuzz target `{name}` is missing"))),
        );
        findings.extend(
            names.difference(&files).map(|name| Finding::new(path, 0, format!("there is no fuzz target `{name}`"))),
        );
    }
    findings
}

/// An unreleased change is one file: `kind: what a user sees`, and more below if it is needed.
pub(crate) fn changelog(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, text) in tree.folder("changelog/unreleased") {
        let path = format!("changelog/unreleased/{name}");
        let stem = name.strip_suffix(".md").unwrap_or_default();
        if stem.is_empty()
            || !stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            findings.push(Finding::new(&path, 0, "name it in small letters, digits and `-`, ending in `.md`"));
        }
        let first = text.lines().next().unwrap_or_default();
        if !KINDS.iter().any(|kind| first.strip_prefix(kind).is_some_and(|rest| !rest.trim().is_empty())) {
            findings.push(Finding::new(&path, 1, format!("begin with one of {KINDS:?} and say what a user sees")));
        }
    }
    findings
}

/// A relative link in a document leads to a file or folder of the repository.
pub(crate) fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        let mut in_code = false;
        for (index, line) in text.lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            if in_code {
                continue;
            }
            for target in line.match_indices("](").filter_map(|(at, _)| link_target(line.get(at..)?)) {
                let file = target.split('#').next().unwrap_or_default();
                let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
                if !elsewhere && !resolved(path, file).is_some_and(|file| tree.has(&file)) {
                    findings.push(Finding::new(path, index + 1, format!("the link to `{target}` leads nowhere")));
                }
            }
        }
    }
    findings
}

/// What the README tells a newcomer to run is what CI runs.
pub(crate) fn commands(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, command) in
        [("README.md", "cargo run --release -- demo"), ("README.md", "cargo xtask ci"), (".ci/run", "cargo xtask ci")]
    {
        if !tree.text(path).unwrap_or_default().lines().any(|line| line.trim() == command) {
            findings.push(Finding::new(path, 0, format!("the line `{command}` is missing")));
        }
    }
    findings
}

/// Where a Markdown link leads: what stands between `](` and the next `)`.
fn link_target(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("](")?;
    rest.split_once(')').map(|(target, _)| target)
}

/// The path from the root of what a document names relative to itself; `None` when it leaves the root.
fn resolved(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_a_page_and_a_page_a_format() {
        let register = "<!-- formats:begin -->\n| format | page |\n|---|---|\n| seal | [seal](docs/formats/seal.md) |\n\
                        | gone | [gone](docs/formats/gone.md) |\n<!-- formats:end -->\n";
        let tree =
            Tree::of(&[("ARCHITECTURE.md", register), ("docs/formats/seal.md", ""), ("docs/formats/new.md", "")]);
        let found: Vec<_> = formats(&tree).into_iter().map(|f| f.path).collect();
        assert_eq!(found, ["ARCHITECTURE.md", "docs/formats/new.md"]);
    }

    #[test]
    fn decisions_are_counted() {
        let tree = Tree::of(&[
            ("docs/adr/README.md", "[a](0001-a.md)"),
            ("docs/adr/0001-a.md", "# 0001 A\n\nStatus: accepted\n"),
            ("docs/adr/0003-b.md", "# 0003 B\n"),
        ]);
        assert_eq!(decisions(&tree).len(), 4);
    }

    #[test]
    fn fuzz_targets_agree_in_three_places() {
        let page =
            "<!-- targets:begin -->\n| target | what |\n|---|---|\n| `a` | x |\n| `c` | x |\n<!-- targets:end -->\n";
        let tree = Tree::of(&[
            ("fuzz/fuzz_targets/a.rs", ""),
            ("fuzz/fuzz_targets/b.rs", ""),
            ("fuzz/Cargo.toml", "[[bin]]\nname = \"a\"\n[[bin]]\nname = \"b\"\n"),
            ("docs/fuzzing.md", page),
        ]);
        let found: Vec<_> = fuzz_targets(&tree).into_iter().map(|f| f.path).collect();
        assert_eq!(found, ["docs/fuzzing.md", "docs/fuzzing.md"]);
    }

    #[test]
    fn changelog_entries_have_a_kind_and_a_plain_name() {
        let tree = Tree::of(&[
            ("changelog/unreleased/good-1.md", "Added: a thing\n"),
            ("changelog/unreleased/Bad.md", "Added: a thing\n"),
            ("changelog/unreleased/none.md", "A thing\n"),
            ("changelog/unreleased/empty.md", "Fixed:  \n"),
        ]);
        assert_eq!(changelog(&tree).len(), 3);
    }

    #[test]
    fn links_lead_somewhere() {
        let text =
            "[a](../A.md#x) [b](b.md) [c](https://example.org) [d](#here) [e](../../out.md)\n```\n[f](none.md)\n```\n";
        let found = links(&Tree::of(&[("docs/x.md", text), ("A.md", "")]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn the_readme_and_ci_name_the_same_commands() {
        let readme = "```\ncargo run --release -- demo\ncargo xtask ci\n```\n";
        assert!(commands(&Tree::of(&[("README.md", readme), (".ci/run", "#!/bin/sh\ncargo xtask ci\n")])).is_empty());
        assert_eq!(commands(&Tree::of(&[("README.md", readme), (".ci/run", "cargo test\n")])).len(), 1);
    }
}
