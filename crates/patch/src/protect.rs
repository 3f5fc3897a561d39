//! What a patch may not change.

use crate::PatchErrorKind;
use std::fmt;
use tacet_fhir::json::Json;

/// Elements that the store alone decides about.
///
/// `id` and `resourceType` must stay exactly as they are, each after every operation. `meta.versionId` and
/// `meta.lastUpdated` must not get another value; that they are left out, as when `meta` is replaced, is allowed, since
/// the store sets both anew for each version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protected {
    /// `resourceType`
    ResourceType,
    /// `id`
    Id,
    /// `meta.versionId`
    VersionId,
    /// `meta.lastUpdated`
    LastUpdated,
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protected::ResourceType => "resourceType",
            Protected::Id => "id",
            Protected::VersionId => "meta.versionId",
            Protected::LastUpdated => "meta.lastUpdated",
        })
    }
}

/// Refuses an outcome that differs in what is protected.
pub(crate) fn check(before: &Json<'_>, after: &Json<'_>) -> Result<(), PatchErrorKind> {
    let changed = |name: &str| before.get(name) != after.get(name);
    if changed("resourceType") {
        return Err(PatchErrorKind::Protected(Protected::ResourceType));
    }
    if changed("id") {
        return Err(PatchErrorKind::Protected(Protected::Id));
    }
    for (name, protected) in [("versionId", Protected::VersionId), ("lastUpdated", Protected::LastUpdated)] {
        let now = of_meta(after, name);
        if now.is_some() && now != of_meta(before, name) {
            return Err(PatchErrorKind::Protected(protected));
        }
    }
    Ok(())
}

fn of_meta<'j, 'a>(resource: &'j Json<'a>, name: &str) -> Option<&'j Json<'a>> {
    resource.get("meta").and_then(|meta| meta.get(name))
}
