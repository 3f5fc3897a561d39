//! Where the official suite is. It is not in the repository: a test that needs it says that it skipped.

use std::path::{Path, PathBuf};

/// A folder of the test data, or `None`, with a word about it, where it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TACET_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no folder {name} in the test data (set TACET_TEST_DATA)");
    None
}
