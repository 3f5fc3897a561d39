//! Where the repository is, and which files belong to it.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository, found from where this crate was compiled.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The files that are committed or would be (not ignored), relative to the root, sorted. A file that is staged but was
/// deleted from the tree is left out.
pub(crate) fn files() -> Outcome<Vec<PathBuf>> {
    let root = root();
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(&root)
        .output()
        .map_err(|error| format!("cannot run `git ls-files`: {error}; install git"))?;
    if !output.status.success() {
        return Err("`git ls-files` failed; run this inside a clone of the repository".into());
    }
    let mut files: Vec<PathBuf> = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .filter(|path| root.join(path).is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// Where cargo builds, and where the workshop writes.
pub(crate) fn target() -> PathBuf {
    // Cargo takes a relative one from where it runs, which for us is the root.
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target))
}
