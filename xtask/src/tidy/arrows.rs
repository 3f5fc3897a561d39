//! The arrows between crates are those that ARCHITECTURE.md draws, both ways: none more in the manifests, none more on paper.

use super::Finding;
use super::manifests::members;
use super::tree::{Tree, marked_table, unquoted};
use std::collections::{BTreeMap, BTreeSet};

/// The document that draws the arrows, in the table marked `crates`: crate, what it is, what it uses.
const DRAWING: &str = "ARCHITECTURE.md";

/// What tests use besides is not drawn: a test may reach further than the crate it tests.
const DRAWN_TABLES: [&str; 2] = ["dependencies", "build-dependencies"];

/// Compares manifests and drawing.
pub(crate) fn arrows(tree: &Tree) -> Vec<Finding> {
    let Some(rows) = tree.text(DRAWING).and_then(|text| marked_table(text, "crates")) else {
        return vec![Finding::new(
            DRAWING,
            0,
            "the table between `<!-- crates:begin -->` and `<!-- crates:end -->` is missing",
        )];
    };
    let mut drawn = BTreeMap::new();
    for (line, cells) in rows {
        if let [name, _, uses] = cells.as_slice() {
            let uses: BTreeSet<&str> =
                uses.split(',').map(str::trim).filter(|part| part.len() > 1).map(unquoted).collect();
            drawn.insert(unquoted(name), (line, uses));
        }
    }
    let mut findings = Vec::new();
    for (path, manifest) in members(tree) {
        let name = path.trim_end_matches("/Cargo.toml").trim_start_matches("crates/");
        let Some((line, uses)) = drawn.remove(name) else {
            findings.push(Finding::new(path, 0, format!("`{name}` is not in the table of crates of {DRAWING}")));
            continue;
        };
        let manifest = manifest.unwrap_or_default();
        let tables = DRAWN_TABLES.iter().filter_map(|table| manifest.get(*table)?.as_table());
        let real: BTreeSet<&str> =
            tables.flat_map(|table| table.keys()).filter_map(|key| key.strip_prefix("tacet-")).collect();
        for missing in real.difference(&uses) {
            let message =
                format!("uses `{missing}`, an arrow that {DRAWING} does not draw: turn it, or draw it and say why");
            findings.push(Finding::new(path, 0, message));
        }
        for unused in uses.difference(&real) {
            findings.push(Finding::new(DRAWING, line, format!("draws `{name}` using `{unused}`, which it does not")));
        }
    }
    findings.extend(
        drawn.into_iter().map(|(name, (line, _))| Finding::new(DRAWING, line, format!("there is no crate `{name}`"))),
    );
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_is_drawn_and_real_or_found() {
        let drawing = "<!-- crates:begin -->\n| crate | what | uses |\n|---|---|---|\n| `a` | first | - |\n\
                       | `b` | second | `a`, `c` |\n| `d` | none | - |\n<!-- crates:end -->\n";
        let a = "[dependencies]\ntacet-b.workspace = true\nserde.workspace = true\n";
        let b = "[dependencies]\ntacet-a.workspace = true\n[dev-dependencies]\ntacet-z.workspace = true\n";
        let tree = Tree::of(&[
            (DRAWING, drawing),
            ("crates/a/Cargo.toml", a),
            ("crates/b/Cargo.toml", b),
            ("crates/c/Cargo.toml", ""),
        ]);
        let mut found: Vec<_> = arrows(&tree).into_iter().map(|f| (f.path, f.line)).collect();
        found.sort();
        let expected = [(DRAWING, 5), (DRAWING, 6), ("crates/a/Cargo.toml", 0), ("crates/c/Cargo.toml", 0)];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
        assert_eq!(arrows(&Tree::of(&[(DRAWING, "no table")])).len(), 1);
    }
}
