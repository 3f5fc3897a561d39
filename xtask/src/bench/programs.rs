//! The programs that are measured: the one that ships, and for the prices two that break a promise each.

use crate::ci::cargo;
use crate::{Outcome, workspace};
use std::path::{Path, PathBuf};

/// A build of the program. The features exist on the crate `tacet` for this measurement only: such a program warns and
/// refuses to serve beyond the loopback.
pub(crate) struct Variant {
    /// Its name in the report.
    pub(crate) name: &'static str,
    feature: Option<&'static str>,
}

/// The program as it ships.
pub(crate) const SHIPPED: Variant = Variant { name: "tacet", feature: None };

/// The programs that break a promise, to learn its price.
pub(crate) const WITHOUT: [Variant; 2] = [
    Variant { name: "no seal", feature: Some("bench-unsealed") },
    Variant { name: "ledger buffered", feature: Some("bench-ledger-buffered") },
];

/// Builds one and copies it to `folder`, since the next build takes its place.
pub(crate) fn build(variant: &Variant, folder: &Path) -> Outcome<PathBuf> {
    let mut arguments = vec!["build", "--release", "--package", "tacet", "--locked", "--quiet"];
    if let Some(feature) = variant.feature {
        arguments.extend(["--features", feature]);
    }
    cargo(&arguments, &[])?;
    std::fs::create_dir_all(folder)?;
    let program = folder.join(variant.feature.unwrap_or("tacet"));
    std::fs::copy(workspace::target().join("release/tacet"), &program)?;
    Ok(program)
}
