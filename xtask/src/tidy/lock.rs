//! Checks on Cargo.lock: where packages come from, and that none is there that we refuse. `cargo deny` looks further
//! (licences, advisories); this much needs no tool and no network.

use super::Finding;
use super::tree::Tree;
use toml::{Table, Value};

/// The one registry that packages come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What cargo locks.
const LOCK: &str = "Cargo.lock";

/// Packages that must not come in by any way, and why.
const REFUSED: [(&str, &str); 3] = [
    ("openssl-sys", "one provider of cryptography: aws-lc-rs"),
    ("native-tls", "one provider of TLS: rustls"),
    ("bindgen", "a C compiler is all that a build may ask for, not libclang"),
];

/// Every locked package is ours or the registry's, and none is refused.
pub(crate) fn packages(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(text) = tree.text(LOCK) else { return findings };
    let parsed = text.parse::<Table>().unwrap_or_default();
    let Some(packages) = parsed.get("package").and_then(Value::as_array) else {
        findings.push(Finding::new(LOCK, 0, "not readable, or without packages"));
        return findings;
    };
    for package in packages {
        let field = |name: &str| package.get(name).and_then(Value::as_str);
        let name = field("name").unwrap_or_default();
        if let Some(source) = field("source").filter(|source| *source != REGISTRY) {
            findings.push(Finding::new(LOCK, 0, format!("`{name}` comes from `{source}`: only crates.io is allowed")));
        }
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            findings.push(Finding::new(LOCK, 0, format!("`{name}` is refused: {reason}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_or_refused_package_is_found() {
        let lock = format!(
            "[[package]]\nname = \"own\"\n[[package]]\nname = \"good\"\nsource = \"{REGISTRY}\"\n\
             [[package]]\nname = \"fork\"\nsource = \"git+https://example.org/x\"\n\
             [[package]]\nname = \"openssl-sys\"\nsource = \"{REGISTRY}\"\n"
        );
        assert_eq!(packages(&Tree::of(&[("Cargo.lock", &lock)])).len(), 2);
        assert_eq!(packages(&Tree::of(&[("Cargo.lock", "[")])).len(), 1);
        assert_eq!(packages(&Tree::of(&[])).len(), 0);
    }
}
