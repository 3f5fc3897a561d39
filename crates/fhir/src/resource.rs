//! The few members that every resource has: type, id, and the version and time of its last change.
//!
//! Everything else of the resource stays as it is, in its order and with its digits.

use crate::json::{Json, Member};
use std::borrow::Cow;
use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};

/// The resource's type, if it names one of R4.
pub fn resource_type(resource: &Json<'_>) -> Option<ResourceType> {
    ResourceType::parse(resource.get_str("resourceType")?)
}

/// The resource's logical id, if it has one of the right shape.
pub fn id(resource: &Json<'_>) -> Option<ResourceId> {
    ResourceId::parse(resource.get_str("id")?).ok()
}

/// The number in `meta.versionId`, if it is one of ours (digits).
pub fn version_id(resource: &Json<'_>) -> Option<VersionId> {
    VersionId::parse(resource.get("meta")?.get_str("versionId")?)
}

/// The instant in `meta.lastUpdated`.
pub fn last_updated(resource: &Json<'_>) -> Option<Timestamp> {
    Timestamp::parse(resource.get("meta")?.get_str("lastUpdated")?).ok()
}

/// Gives the resource this id: in the place of the old one, or right after `resourceType`. Anything but an object is
/// left.
pub fn set_id(resource: &mut Json<'_>, id: &ResourceId) {
    if let Json::Object(members) = resource {
        put(members, "id", Json::String(Cow::Owned(id.as_str().to_owned())), &["resourceType"]);
        // Extensions of the old id speak of a text that is gone.
        members.retain(|(name, _)| name != "_id");
    }
}

/// Gives the resource its id and, in `meta`, its version and time of change. What else `meta` holds (profiles, labels,
/// tags) stays; a new `meta` stands right after `id`. Anything but an object is left.
pub fn with_meta(resource: &mut Json<'_>, id: &ResourceId, version: VersionId, last_updated: Timestamp) {
    set_id(resource, id);
    let Json::Object(members) = resource else { return };
    if !members.iter().any(|(name, value)| name == "meta" && value.is_object()) {
        put(members, "meta", Json::Object(Vec::with_capacity(2)), &["resourceType", "id"]);
    }
    let meta = members.iter_mut().find(|(name, _)| name == "meta").map(|(_, value)| value);
    if let Some(Json::Object(meta)) = meta {
        put(meta, "versionId", Json::String(version.to_string().into()), &["id", "extension"]);
        put(meta, "lastUpdated", Json::String(last_updated.to_string().into()), &["id", "extension", "versionId"]);
        meta.retain(|(name, _)| name != "_versionId" && name != "_lastUpdated");
    }
}

/// Takes out what the server gives: `meta.versionId` and `meta.lastUpdated`, and `meta` itself when nothing is left in
/// it. A resource is kept without them when its content is to be compared.
pub fn strip_meta(resource: &mut Json<'_>) {
    let Json::Object(members) = resource else { return };
    for (name, value) in members.iter_mut() {
        if name == "meta"
            && let Json::Object(meta) = value
        {
            meta.retain(|(name, _)| {
                !matches!(name.as_ref(), "versionId" | "lastUpdated" | "_versionId" | "_lastUpdated")
            });
        }
    }
    members.retain(|(name, value)| name != "meta" || !matches!(value, Json::Object(meta) if meta.is_empty()));
}

/// Whether two resources say the same apart from their `id`, `meta.versionId` and `meta.lastUpdated`. The order of
/// members does not count; the digits of numbers do.
pub fn same_content(left: &Json<'_>, right: &Json<'_>) -> bool {
    let plain = |resource: &Json<'_>| {
        let mut plain = resource.clone().into_owned();
        strip_meta(&mut plain);
        plain.remove("id");
        plain
    };
    same(&plain(left), &plain(right))
}

/// Equality without the order of members.
fn same(left: &Json<'_>, right: &Json<'_>) -> bool {
    match (left, right) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => left == right,
    }
}

/// Replaces the member, or puts it after the last of `after` that is there (first, if none is).
fn put<'a>(members: &mut Vec<Member<'a>>, name: &'static str, value: Json<'a>, after: &[&str]) {
    if let Some((_, old)) = members.iter_mut().find(|(known, _)| known == name) {
        *old = value;
        return;
    }
    let place = members.iter().rposition(|(known, _)| after.contains(&known.as_ref())).map_or(0, |place| place + 1);
    members.insert(place, (Cow::Borrowed(name), value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str, write};

    const AT: i64 = 1_772_348_400_000; // 2026-03-01T07:00:00Z

    fn stamped(text: &str) -> String {
        let mut json = parse_str(text, &Limits::default()).unwrap();
        with_meta(&mut json, &ResourceId::parse("n").unwrap(), VersionId(3), Timestamp::from_ms(AT));
        assert_eq!(version_id(&json), json.is_object().then_some(VersionId(3)));
        assert_eq!(last_updated(&json), json.is_object().then_some(Timestamp::from_ms(AT)));
        String::from_utf8(write(&json)).unwrap()
    }

    const META: &str = r#""versionId":"3","lastUpdated":"2026-03-01T07:00:00.000Z""#;

    #[test]
    fn id_and_meta_take_their_places() {
        for (before, after) in [
            (r#"{"resourceType":"Basic","x":1.0}"#, format!(r#"{{"resourceType":"Basic","id":"n","meta":{{{META}}},"x":1.0}}"#)),
            (r#"{"resourceType":"Basic","x":1,"id":"o"}"#, format!(r#"{{"resourceType":"Basic","x":1,"id":"n","meta":{{{META}}}}}"#)),
            (
                r#"{"x":1,"meta":{"profile":["p"],"lastUpdated":"x","versionId":"9"},"resourceType":"Basic","id":"n","_id":{"id":"i"}}"#,
                r#"{"x":1,"meta":{"profile":["p"],"lastUpdated":"2026-03-01T07:00:00.000Z","versionId":"3"},"resourceType":"Basic","id":"n"}"#.to_owned(),
            ),
            (r#"{"meta":null}"#, format!(r#"{{"id":"n","meta":{{{META}}}}}"#)),
            (r#"[1]"#, "[1]".to_owned()),
        ] {
            assert_eq!(stamped(before), after);
        }
    }

    #[test]
    fn content_is_compared_without_what_the_server_gives() {
        let parse = |text| parse_str(text, &Limits::default()).unwrap();
        let left = parse(r#"{"resourceType":"Basic","id":"a","meta":{"versionId":"1"},"v":[{"a":1.0,"b":2}]}"#);
        let right = parse(r#"{"v":[{"b":2,"a":1.0}],"resourceType":"Basic"}"#);
        assert!(same_content(&left, &right));
        for other in [
            r#"{"v":[{"b":2,"a":1.00}],"resourceType":"Basic"}"#,
            r#"{"v":[{"b":2,"a":1.0,"c":null}],"resourceType":"Basic"}"#,
            r#"{"meta":{"profile":["p"]},"v":[{"b":2,"a":1.0}],"resourceType":"Basic"}"#,
        ] {
            assert!(!same_content(&left, &parse(other)));
        }
    }

    #[test]
    fn type_and_id_are_read_only_in_their_shapes() {
        let parse = |text| parse_str(text, &Limits::default()).unwrap();
        assert_eq!(resource_type(&parse(r#"{"resourceType":"Basic"}"#)).unwrap().as_str(), "Basic");
        assert_eq!(id(&parse(r#"{"id":"a.1"}"#)).unwrap().as_str(), "a.1");
        for text in [r#"{"resourceType":"basic","id":"a b"}"#, r#"{"resourceType":1,"id":2}"#, "null"] {
            assert_eq!(resource_type(&parse(text)), None);
            assert_eq!(id(&parse(text)), None);
        }
    }
}
