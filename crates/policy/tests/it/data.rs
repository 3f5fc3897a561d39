//! Where the real records are. They are not in the repository: a test that needs them says that it skipped.

use std::path::{Path, PathBuf};
use tacet_fhir::json::{Json, Limits, parse};
use tacet_types::{ResourceId, ResourceType};

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

/// A resource of a file.
pub(crate) fn resource(path: &Path) -> Json<'static> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_owned()
}

/// The type and id of a resource.
pub(crate) fn key(resource: &Json<'_>) -> (ResourceType, ResourceId) {
    let kind = tacet_fhir::resource::resource_type(resource).expect("a type of R4");
    let id = tacet_fhir::resource::id(resource).unwrap_or_else(|| ResourceId::parse("none").expect("an id"));
    (kind, id)
}
