//! JSON Merge Patch (RFC 7396): an object whose members replace those of the resource, where `null` takes one away.
//! FHIR R4 does not name it; clients send it.

use crate::budget::DEPTH_MAX;
use crate::{PatchError, PatchErrorKind, protect};
use tacet_fhir::json::Json;

/// The resource with the members of the patch in the place of its own, as RFC 7396 says. Lists are replaced whole.
///
/// # Errors
/// Where the patch is no object, nests too deep, or touches what is [`crate::Protected`].
pub fn merge_patch(resource: &Json<'_>, patch: &Json<'_>) -> Result<Json<'static>, PatchError> {
    if !resource.is_object() {
        return Err(PatchError::whole(PatchErrorKind::NotAResource));
    }
    if !patch.is_object() {
        return Err(PatchError::whole(PatchErrorKind::NotAMergePatch));
    }
    let mut merged = resource.clone().into_owned();
    merge(&mut merged, patch, 0).map_err(PatchError::whole)?;
    protect::check(resource, &merged).map_err(PatchError::whole)?;
    Ok(merged)
}

fn merge(target: &mut Json<'static>, patch: &Json<'_>, depth: usize) -> Result<(), PatchErrorKind> {
    if depth >= DEPTH_MAX {
        return Err(PatchErrorKind::TooDeep);
    }
    let Json::Object(members) = patch else {
        *target = patch.clone().into_owned();
        return Ok(());
    };
    if !target.is_object() {
        *target = Json::Object(Vec::new());
    }
    for (name, value) in members {
        if value.is_null() {
            target.remove(name);
            continue;
        }
        if target.get(name).is_none() {
            target.set(name.to_string(), Json::Null);
        }
        if let Some(place) = target.get_mut(name) {
            merge(place, value, depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str, write};

    fn merged(resource: &str, patch: &str) -> Result<String, PatchErrorKind> {
        let limits = Limits { depth_max: 2 * DEPTH_MAX, ..Limits::default() };
        let (resource, patch) = (parse_str(resource, &limits).unwrap(), parse_str(patch, &limits).unwrap());
        merge_patch(&resource, &patch)
            .map(|merged| String::from_utf8(write(&merged)).unwrap())
            .map_err(|error| error.kind)
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 7396, appendix A, those whose target is an object and whose patch is one.
        for (target, patch, outcome) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(target, patch).as_deref(), Ok(outcome), "{target} {patch}");
        }
    }

    #[test]
    fn what_makes_it_the_resource_stays() {
        let patient = r#"{"resourceType":"Patient","id":"a","active":true}"#;
        assert!(merged(patient, r#"{"id":"b"}"#).is_err());
        assert!(merged(patient, r#"{"resourceType":null}"#).is_err());
        assert_eq!(merged(patient, "[]"), Err(PatchErrorKind::NotAMergePatch));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(DEPTH_MAX + 1), "}".repeat(DEPTH_MAX + 1));
        assert_eq!(merged(patient, &deep), Err(PatchErrorKind::TooDeep));
    }
}
