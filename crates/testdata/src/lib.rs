//! Where tests find the public data: official cases, examples, synthetic records. For tests only.
//!
//! They are not in the repository. `TACET_TEST_DATA` says where they are; without it they are looked for beside the repository, in
//! `../shared/data`. A test that does not find them says that it skipped, and passes: what is held to them is seen where they are.
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "only tests use it: a file that cannot be read fails one, and the word about a skipped one is for who runs them"
)]

use std::io::Read;
use std::path::{Path, PathBuf};

/// The setting that says where the data are.
pub const SETTING: &str = "TACET_TEST_DATA";

/// Where the data are, whether or not they are there.
pub fn root() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os(SETTING).map_or_else(beside, PathBuf::from)
}

/// A folder of the data, such as `synthea-r4`, or None, with a word on standard error, where it is not there.
pub fn folder(name: &str) -> Option<PathBuf> {
    there(name, Path::is_dir)
}

/// A file of the data, or None, with a word on standard error, where it is not there.
pub fn file(name: &str) -> Option<PathBuf> {
    there(name, Path::is_file)
}

fn there(name: &str, is: fn(&Path) -> bool) -> Option<PathBuf> {
    let path = root().join(name);
    if is(&path) {
        return path.canonicalize().ok();
    }
    eprintln!("skipped: no {name} in the test data (set {SETTING})");
    None
}

/// The files of a folder whose names end so, by name, unpacked where they are `.gz`: read one by one, as they are taken.
///
/// # Panics
/// Where one cannot be read.
pub fn each_file(folder: &Path, suffix: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder of the test data is readable");
    let mut files: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("an entry of the test data is readable").path())
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
        .filter(|(name, path)| name.ends_with(suffix) && path.is_file())
        .collect();
    files.sort();
    files.into_iter().map(|(name, path)| (name, read(&path)))
}

/// All that [`each_file`] gives, at once.
///
/// # Panics
/// Where one cannot be read.
pub fn files(folder: &Path, suffix: &str) -> Vec<(String, Vec<u8>)> {
    each_file(folder, suffix).collect()
}

/// The content of a file, unpacked if it is a `.gz`.
///
/// # Panics
/// Where it cannot be read.
pub fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("a file of the test data is readable");
    if path.extension().is_none_or(|extension| extension != "gz") {
        return bytes;
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).expect("a file of the test data is gzip");
    unpacked
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(folder("no-such-folder"), None);
        assert_eq!(file("no-such-folder/file"), None);
    }

    #[test]
    fn files_come_by_name_and_unpacked() {
        let place = tempfile::tempdir().unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"two").unwrap();
        std::fs::write(place.path().join("b.json.gz"), packed.finish().unwrap()).unwrap();
        std::fs::write(place.path().join("a.json"), b"one").unwrap();
        std::fs::create_dir(place.path().join("c.json")).unwrap();
        let named = |suffix| files(place.path(), suffix);
        assert_eq!(named(".json"), [("a.json".to_owned(), b"one".to_vec())]);
        assert_eq!(named(""), [("a.json".to_owned(), b"one".to_vec()), ("b.json.gz".to_owned(), b"two".to_vec())]);
    }
}
