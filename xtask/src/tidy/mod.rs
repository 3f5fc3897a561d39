//! Tidiness as a test: the shape of the repository that no compiler looks at.
//!
//! Each check is a function from a [`Tree`] to findings, so that its own tests give it a small tree with the fault in it.
//! The same checks run as a unit test of this crate, so `cargo test` fails where `cargo xtask tidy` would.

mod arrows;
mod documents;
mod leftovers;
mod lock;
mod manifests;
mod sources;
mod tree;

use crate::Outcome;
use tree::Tree;

/// One fault, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// File, relative to the root, with `/` on every system.
    path: String,
    /// Line from 1, or 0 where the fault is the file's as a whole.
    line: usize,
    /// What is wrong and what to do, lower case, no stop at the end.
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// A named check.
type Check = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every check, in the order in which it is reported.
const CHECKS: [Check; 18] = [
    ("module heads", sources::module_heads),
    ("file lengths", sources::lengths),
    ("module names", sources::module_names),
    ("printing and unfinished code", sources::printing),
    ("lint exceptions say why", sources::lint_exceptions),
    ("one test binary a crate", sources::test_binaries),
    ("arrows between crates", arrows::arrows),
    ("dependencies come from the workspace", manifests::dependencies),
    ("lints come from the workspace", manifests::lints),
    ("locked packages", lock::packages),
    ("formats have a page", documents::formats),
    ("decisions are numbered and listed", documents::decisions),
    ("fuzz targets are listed", documents::fuzz_targets),
    ("changelog entries", documents::changelog),
    ("links in documents", documents::links),
    ("commands of the README", documents::commands),
    ("paths of one machine", leftovers::machine_paths),
    ("bytes and spaces", leftovers::bytes),
];

/// Runs every check on the repository and prints what was found.
pub(crate) fn run() -> Outcome {
    let tree = Tree::of_repository()?;
    let mut found = 0;
    for (name, check) in CHECKS {
        let mut findings = check(&tree);
        findings.sort();
        found += findings.len();
        println!("{} {name}", if findings.is_empty() { "ok  " } else { "FAIL" });
        for Finding { path, line, message } in findings {
            match line {
                0 => println!("     {path}: {message}"),
                line => println!("     {path}:{line}: {message}"),
            }
        }
    }
    if found == 0 { Ok(()) } else { Err(format!("{found} untidy places").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::of_repository().unwrap();
        assert!(tree.files().count() > 20, "the repository was not read");
        let findings: Vec<_> = CHECKS.iter().flat_map(|(_, check)| check(&tree)).collect();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
