//! JSON Patch: RFC 6902.

use crate::budget::{Budget, OPERATIONS_MAX};
use crate::equality::equal;
use crate::error::{PatchError, PatchErrorKind};
use crate::pointer::Pointer;
use crate::protect;
use tacet_fhir::json::Json;

/// The resource with all operations of the patch done, in their order; or the first that cannot be done, and then
/// nothing is changed.
///
/// The patch is the array of RFC 6902 section 3. See [`crate::Protected`] for what it may not change.
pub fn json_patch(resource: &Json<'_>, patch: &Json<'_>) -> Result<Json<'static>, PatchError> {
    if !resource.is_object() {
        return Err(PatchError::whole(PatchErrorKind::NotAResource));
    }
    run(resource, patch, |document| match document {
        Json::Object(_) => protect::check(resource, document),
        _ => Err(PatchErrorKind::NoResourceLeft),
    })
}

/// The same for any JSON document, with nothing protected. An outcome of `null` may mean that all was removed.
pub fn patch_document(document: &Json<'_>, patch: &Json<'_>) -> Result<Json<'static>, PatchError> {
    run(document, patch, |_| Ok(()))
}

fn run(
    document: &Json<'_>,
    patch: &Json<'_>,
    accept: impl Fn(&Json<'_>) -> Result<(), PatchErrorKind>,
) -> Result<Json<'static>, PatchError> {
    let operations = patch.as_array().ok_or(PatchError::whole(PatchErrorKind::NotAPatch))?;
    if operations.len() > OPERATIONS_MAX {
        return Err(PatchError::whole(PatchErrorKind::TooManyOperations));
    }
    let mut changed = document.borrowed();
    let mut budget = Budget::new();
    for (number, operation) in operations.iter().enumerate() {
        apply(&mut changed, operation, &mut budget).and_then(|()| accept(&changed)).map_err(PatchError::of(number))?;
    }
    Ok(changed.into_owned())
}

/// One operation. Members that it does not define are passed over (section 4).
fn apply<'a>(document: &mut Json<'a>, operation: &'a Json<'_>, budget: &mut Budget) -> Result<(), PatchErrorKind> {
    if !operation.is_object() {
        return Err(PatchErrorKind::NotAPatch);
    }
    let pointer = |name: &'static str| {
        let text = operation.get_str(name).ok_or(PatchErrorKind::Part(name))?;
        Pointer::parse(text, name)
    };
    let value = || operation.get("value").ok_or(PatchErrorKind::Part("value"));
    let path = pointer("path")?;
    match operation.get_str("op").ok_or(PatchErrorKind::Part("op"))? {
        "add" => {
            let value = value()?;
            budget.copy(value, path.depth())?;
            path.add(document, value.borrowed(), budget)
        }
        "remove" => path.remove(document, budget).map(|_| ()),
        "replace" => {
            let value = value()?;
            budget.copy(value, path.depth())?;
            path.replace(document, value.borrowed())
        }
        "move" => {
            let from = pointer("from")?;
            if from.is_around(&path) {
                return Err(PatchErrorKind::IntoItself);
            }
            budget.copy(from.get(document)?, path.depth())?;
            if from.is_same(&path) {
                return Ok(());
            }
            let value = from.remove(document, budget)?;
            path.add(document, value, budget)
        }
        "copy" => {
            let from = pointer("from")?;
            let value = from.get(document)?;
            budget.copy(value, path.depth())?;
            let value = value.clone();
            path.add(document, value, budget)
        }
        "test" => {
            if equal(path.get(document)?, value()?) {
                Ok(())
            } else {
                Err(PatchErrorKind::TestFailed)
            }
        }
        _ => Err(PatchErrorKind::UnknownOperation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protected;
    use tacet_fhir::json::{Limits, parse_str, write};

    fn read(text: &str) -> Json<'_> {
        parse_str(text, &Limits::default()).unwrap()
    }

    fn patched(document: &str, patch: &str) -> Result<String, (usize, PatchErrorKind)> {
        patch_document(&read(document), &read(patch))
            .map(|outcome| String::from_utf8(write(&outcome)).unwrap())
            .map_err(|error| (error.operation.unwrap_or(usize::MAX), error.kind))
    }

    #[test]
    fn operations_do_what_the_rfc_says() {
        for (document, patch, outcome) in [
            (r#"{"a":1}"#, r#"[{"op":"add","path":"/b","value":null}]"#, r#"{"a":1,"b":null}"#),
            (r#"{"a":1,"b":2}"#, r#"[{"op":"add","path":"/a","value":3}]"#, r#"{"a":3,"b":2}"#),
            (r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/2","value":3}]"#, r#"{"a":[1,2,3]}"#),
            (r#"{"a":[1,2]}"#, r#"[{"op":"remove","path":"/a/0"}]"#, r#"{"a":[2]}"#),
            (r#"{"a/b":{"m~n":1}}"#, r#"[{"op":"replace","path":"/a~1b/m~0n","value":2}]"#, r#"{"a/b":{"m~n":2}}"#),
            (r#"{"":1}"#, r#"[{"op":"replace","path":"/","value":2}]"#, r#"{"":2}"#),
            (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":[1]}]"#, "[1]"),
            (r#"[1,2,3]"#, r#"[{"op":"move","from":"/0","path":"/-"}]"#, "[2,3,1]"),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/a"}]"#, r#"{"a":1}"#),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a","path":"/a"}]"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"copy","from":"/a","path":"/a/c"}]"#, r#"{"a":{"b":1,"c":{"b":1}}}"#),
            (r#"{"a":1.0}"#, r#"[{"op":"test","path":"/a","value":1,"why":2}]"#, r#"{"a":1.0}"#),
            (r#"{"0":1}"#, r#"[{"op":"replace","path":"/0","value":2}]"#, r#"{"0":2}"#),
            (r#"{"a":1}"#, "[]", r#"{"a":1}"#),
        ] {
            assert_eq!(patched(document, patch).as_deref(), Ok(outcome), "{patch}");
        }
    }

    #[test]
    fn what_cannot_be_done_says_which_and_why() {
        use PatchErrorKind as Kind;
        for (document, patch, number, kind) in [
            ("{}", "{}", usize::MAX, Kind::NotAPatch),
            ("{}", "[1]", 0, Kind::NotAPatch),
            ("{}", r#"[{"op":"add","value":1}]"#, 0, Kind::Part("path")),
            ("{}", r#"[{"path":"/a"}]"#, 0, Kind::Part("op")),
            ("{}", r#"[{"op":"add","path":"/a"}]"#, 0, Kind::Part("value")),
            ("{}", r#"[{"op":"copy","path":"/a"}]"#, 0, Kind::Part("from")),
            ("{}", r#"[{"op":"merge","path":"/a"}]"#, 0, Kind::UnknownOperation),
            ("{}", r#"[{"op":"add","path":"a","value":1}]"#, 0, Kind::Pointer("path")),
            ("{}", r#"[{"op":"add","path":"/~2","value":1}]"#, 0, Kind::Pointer("path")),
            ("{}", r#"[{"op":"add","path":"/a~","value":1}]"#, 0, Kind::Pointer("path")),
            ("{}", r#"[{"op":"move","path":"/a","from":"b"}]"#, 0, Kind::Pointer("from")),
            ("{}", r#"[{"op":"add","path":"/a/b","value":1}]"#, 0, Kind::NotFound("path")),
            ("{}", r#"[{"op":"add","path":"/a","value":1},{"op":"remove","path":"/b"}]"#, 1, Kind::NotFound("path")),
            (r#"{"a":1}"#, r#"[{"op":"add","path":"/a/b","value":1}]"#, 0, Kind::NotAContainer("path")),
            ("[]", r#"[{"op":"add","path":"/1","value":1}]"#, 0, Kind::PastTheEnd("path")),
            ("[1,2]", r#"[{"op":"replace","path":"/01","value":1}]"#, 0, Kind::NotFound("path")),
            ("[1,2]", r#"[{"op":"replace","path":"/-","value":1}]"#, 0, Kind::NotFound("path")),
            ("[1,2]", r#"[{"op":"remove","path":"/+1"}]"#, 0, Kind::NotFound("path")),
            ("[1]", r#"[{"op":"remove","path":"/99999999999999999999999"}]"#, 0, Kind::NotFound("path")),
            (r#"{"a":{}}"#, r#"[{"op":"move","from":"/a","path":"/a/b"}]"#, 0, Kind::IntoItself),
            (r#"{"a":1}"#, r#"[{"op":"test","path":"/a","value":"1"}]"#, 0, Kind::TestFailed),
        ] {
            assert_eq!(patched(document, patch), Err((number, kind)), "{patch}");
        }
        let many = format!("[{}]", vec![r#"{"op":"test","path":"","value":{}}"#; OPERATIONS_MAX + 1].join(","));
        assert_eq!(patched("{}", &many), Err((usize::MAX, Kind::TooManyOperations)));
        let long = format!(r#"[{{"op":"remove","path":"/{}"}}]"#, "a".repeat(5_000));
        assert_eq!(patched("{}", &long), Err((0, Kind::TooLong("path"))));
    }

    #[test]
    fn a_patch_cannot_grow_without_end() {
        let double = r#"{"op":"copy","from":"","path":"/a"}"#;
        let patch = format!("[{}]", vec![double; 200].join(","));
        assert!(matches!(patched(r#"{"x":1}"#, &patch), Err((_, PatchErrorKind::TooDeep))));
        let patch = format!("[{}]", vec![r#"{"op":"copy","from":"/a","path":"/a/-"},{"op":"move","from":"/a","path":"/b"},{"op":"add","path":"/a","value":[]},{"op":"copy","from":"/b","path":"/a/-"},{"op":"copy","from":"/b","path":"/a/-"}"#; 15].join(","));
        assert!(matches!(
            patched(r#"{"a":[1]}"#, &patch),
            Err((_, PatchErrorKind::TooDeep | PatchErrorKind::TooMuchWork))
        ));
        let text = "x".repeat(1024 * 1024);
        let document = format!(r#"{{"a":"{text}","b":[]}}"#);
        let patch = format!("[{}]", vec![r#"{"op":"copy","from":"/a","path":"/b/-"}"#; 100].join(","));
        assert_eq!(patched(&document, &patch), Err((63, PatchErrorKind::TooMuchWork)));
    }

    #[test]
    fn identity_and_version_stay() {
        let resource =
            read(r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","tag":[{"code":"x"}]},"active":true}"#);
        let refused = |patch: &str| match json_patch(&resource, &read(patch)) {
            Err(PatchError { operation: Some(number), kind: PatchErrorKind::Protected(protected) }) => {
                Some((number, protected))
            }
            _ => None,
        };
        for (patch, refusal) in [
            (r#"[{"op":"remove","path":"/id"}]"#, Some((0, Protected::Id))),
            (
                r#"[{"op":"remove","path":"/active"},{"op":"replace","path":"/id","value":"b"}]"#,
                Some((1, Protected::Id)),
            ),
            (r#"[{"op":"move","from":"/id","path":"/language"}]"#, Some((0, Protected::Id))),
            (r#"[{"op":"replace","path":"/resourceType","value":"Person"}]"#, Some((0, Protected::ResourceType))),
            (r#"[{"op":"replace","path":"/meta/versionId","value":"2"}]"#, Some((0, Protected::VersionId))),
            (
                r#"[{"op":"add","path":"/meta/lastUpdated","value":"2020-01-01T00:00:00Z"}]"#,
                Some((0, Protected::LastUpdated)),
            ),
            (r#"[{"op":"replace","path":"/meta","value":{"versionId":"9"}}]"#, Some((0, Protected::VersionId))),
            (r#"[{"op":"replace","path":"/meta","value":{"tag":[]}}]"#, None),
            (r#"[{"op":"replace","path":"/id","value":"a"}]"#, None),
        ] {
            assert_eq!(refused(patch), refusal, "{patch}");
        }
        let gone = json_patch(&resource, &read(r#"[{"op":"replace","path":"","value":5}]"#));
        assert_eq!(gone.map_err(|error| error.kind), Err(PatchErrorKind::NoResourceLeft));
        let replaced = json_patch(&resource, &read(r#"[{"op":"replace","path":"/active","value":false}]"#)).unwrap();
        assert_eq!(replaced.get("active"), Some(&Json::Bool(false)));
        assert_eq!(resource.get("active"), Some(&Json::Bool(true)), "the given one is left as it is");
        assert_eq!(
            json_patch(&Json::Null, &Json::Array(Vec::new())),
            Err(PatchError::whole(PatchErrorKind::NotAResource))
        );
    }
}
