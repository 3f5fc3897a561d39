//! Checks on the crates' manifests: versions and lints are the workspace's.

use super::Finding;
use super::tree::Tree;
use toml::{Table, Value};

/// Tables of a manifest that name dependencies.
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The manifests of the workspace's members, read.
pub(crate) fn members(tree: &Tree) -> impl Iterator<Item = (&str, Option<Table>)> {
    let member =
        |path: &str| path == "xtask/Cargo.toml" || (path.starts_with("crates/") && path.ends_with("/Cargo.toml"));
    tree.texts().filter(move |(path, _)| member(path)).map(|(path, text)| (path, text.parse().ok()))
}

/// A member takes every dependency from the workspace's table, where a line says what it is for.
pub(crate) fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, manifest) in members(tree) {
        let Some(manifest) = manifest else {
            findings.push(Finding::new(path, 0, "not readable as TOML"));
            continue;
        };
        for table in DEPENDENCY_TABLES.iter().filter_map(|name| manifest.get(*name)?.as_table()) {
            for (name, value) in table {
                if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                    let message =
                        format!("`{name}`: write `{name}.workspace = true` and its version in the root manifest");
                    findings.push(Finding::new(path, 0, message));
                }
            }
        }
        for name in ["target", "patch", "replace"] {
            if manifest.contains_key(name) {
                findings.push(Finding::new(path, 0, format!("no `[{name}]` here: these checks do not look into it")));
            }
        }
    }
    findings
}

/// A member takes the workspace's lints, whole.
pub(crate) fn lints(tree: &Tree) -> Vec<Finding> {
    let inherits = |manifest: &Table| manifest.get("lints")?.get("workspace")?.as_bool();
    members(tree)
        .filter(|(_, manifest)| manifest.as_ref().and_then(inherits) != Some(true))
        .map(|(path, _)| Finding::new(path, 0, "write `[lints]` with `workspace = true`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_or_lint_of_its_own_is_found() {
        let good = "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"x\"] }\n[lints]\nworkspace = true\n";
        let bad = "[dependencies]\na = \"1\"\n[dev-dependencies]\nb = { path = \"../b\" }\n[target.'cfg(unix)'.dependencies]\n";
        let tree = Tree::of(&[("crates/a/Cargo.toml", good), ("xtask/Cargo.toml", bad), ("fuzz/Cargo.toml", bad)]);
        let found = dependencies(&tree);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|finding| finding.path == "xtask/Cargo.toml"));
        assert_eq!(lints(&tree).len(), 1);
    }
}
