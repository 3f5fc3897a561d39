//! PATCH (RFC 7644, section 3.5.2): read first as a whole, then applied to a User.

use super::USER_SCHEMA;
use super::error::{ScimError, ScimType};
use super::user::{CARE_SCHEMA, User, flag, has_schema, member, no_password, object, role, text};
use serde_json::Value;

/// The schema of a patch.
pub const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Most operations in a patch, and most members of a value without a path.
pub const OPERATIONS_MAX: usize = 100;

/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 300;

/// Attributes of the core schema that an account does not keep: changes of them are taken and have no effect.
const NOT_KEPT: [&str; 18] = [
    "name",
    "nickname",
    "profileurl",
    "title",
    "usertype",
    "preferredlanguage",
    "locale",
    "timezone",
    "emails",
    "phonenumbers",
    "ims",
    "photos",
    "addresses",
    "groups",
    "entitlements",
    "x509certificates",
    "schemas",
    "meta",
];

/// A patch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patch(Vec<Change>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    Set(Target, Value),
    Remove(Target),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    UserName,
    ExternalId,
    Display,
    Active,
    Roles,
    Practitioner,
    NotKept,
}

impl Patch {
    /// Reads the body of a PATCH.
    ///
    /// # Errors
    /// `invalidSyntax`, `invalidPath` or `invalidValue`.
    pub fn parse(body: &[u8]) -> Result<Self, ScimError> {
        let object = object(body)?;
        if !has_schema(&object, PATCH_SCHEMA) {
            return Err(ScimError::bad(ScimType::InvalidSyntax, "schemas must hold the PatchOp schema"));
        }
        let operations = member(&object, "Operations").and_then(Value::as_array);
        let operations =
            operations.ok_or_else(|| ScimError::bad(ScimType::InvalidSyntax, "Operations must be a list"))?;
        if operations.is_empty() || operations.len() > OPERATIONS_MAX {
            return Err(ScimError::bad(ScimType::InvalidSyntax, "Operations must hold 1 to 100 operations"));
        }
        let mut changes = Vec::new();
        for operation in operations {
            read_operation(operation, &mut changes)?;
        }
        Ok(Self(changes))
    }

    /// The user with the patch applied.
    ///
    /// # Errors
    /// `invalidValue`, `mutability`, `noTarget`.
    pub fn apply(&self, mut user: User) -> Result<User, ScimError> {
        for change in &self.0 {
            match change {
                Change::Set(target, value) => set(&mut user, *target, value)?,
                Change::Remove(Target::ExternalId) => user.external_id = None,
                Change::Remove(Target::Practitioner) => user.practitioner = None,
                Change::Remove(Target::NotKept) => {}
                Change::Remove(_) => {
                    return Err(ScimError::bad(ScimType::Mutability, "this attribute is required: replace it"));
                }
            }
        }
        Ok(user)
    }
}

fn set(user: &mut User, target: Target, value: &Value) -> Result<(), ScimError> {
    match target {
        Target::UserName => user.user_name = text(value, "userName")?,
        Target::ExternalId if value.is_null() => user.external_id = None,
        Target::ExternalId => user.external_id = Some(text(value, "externalId")?),
        Target::Display => user.display = text(value, "displayName")?,
        Target::Active => user.active = flag(value)?,
        Target::Roles => user.role = role(value)?.or(user.role),
        Target::Practitioner if value.is_null() => user.practitioner = None,
        Target::Practitioner => user.practitioner = Some(text(value, "practitioner")?),
        Target::NotKept => {}
    }
    Ok(())
}

fn read_operation(operation: &Value, changes: &mut Vec<Change>) -> Result<(), ScimError> {
    let wrong = |detail: &'static str| ScimError::bad(ScimType::InvalidSyntax, detail);
    let operation = operation.as_object().ok_or_else(|| wrong("an operation must be an object"))?;
    let op = member(operation, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let path = member(operation, "path");
    let path = path.map(|path| path.as_str().ok_or_else(|| wrong("path must be a string"))).transpose()?;
    // A null is a value here: it takes one away.
    let value = operation.iter().find(|(key, _)| key.eq_ignore_ascii_case("value")).map(|(_, value)| value);
    match (op.as_str(), path, value) {
        ("remove", Some(path), _) => changes.push(Change::Remove(target(path)?)),
        ("remove", None, _) => return Err(ScimError::bad(ScimType::NoTarget, "remove needs a path")),
        ("add" | "replace", Some(path), Some(value)) => set_at(path, value, changes)?,
        ("add" | "replace", None, Some(Value::Object(members))) => {
            if members.len() > OPERATIONS_MAX {
                return Err(wrong("a value may hold 100 members at most"));
            }
            for (name, value) in members {
                set_at(name, value, changes)?;
            }
        }
        ("add" | "replace", _, _) => {
            return Err(ScimError::bad(ScimType::InvalidValue, "add and replace need a value"));
        }
        _ => return Err(wrong("op must be add, replace or remove")),
    }
    Ok(())
}

/// A value for a path; for our own schema as a whole, its members.
fn set_at(path: &str, value: &Value, changes: &mut Vec<Change>) -> Result<(), ScimError> {
    if path.eq_ignore_ascii_case(CARE_SCHEMA) {
        let practitioner = value.as_object().and_then(|care| care.get("practitioner"));
        changes.extend(practitioner.map(|id| Change::Set(Target::Practitioner, id.clone())));
        return Ok(());
    }
    changes.push(Change::Set(target(path)?, value.clone()));
    Ok(())
}

/// What a path names. A value filter (`roles[primary eq "True"].value`) is read over: an account has one role.
fn target(path: &str) -> Result<Target, ScimError> {
    let wrong = || ScimError::bad(ScimType::InvalidPath, "the path names nothing of a User");
    if path.len() > PATH_BYTES_MAX {
        return Err(wrong());
    }
    let path = path.to_ascii_lowercase();
    let core = USER_SCHEMA.to_ascii_lowercase();
    if let Some(rest) = path.strip_prefix(&CARE_SCHEMA.to_ascii_lowercase()) {
        return if rest == ":practitioner" { Ok(Target::Practitioner) } else { Err(wrong()) };
    }
    let path = path.strip_prefix(&core).map_or(Some(path.as_str()), |rest| rest.strip_prefix(':')).ok_or_else(wrong)?;
    let (name, rest) = path.split_at_checked(path.find(['[', '.']).unwrap_or(path.len())).ok_or_else(wrong)?;
    let rest_fits = match rest.strip_prefix('[') {
        Some(filter) => filter.split_once(']').is_some_and(|(_, after)| after.is_empty() || is_part(after)),
        None => rest.is_empty() || is_part(rest),
    };
    if !rest_fits {
        return Err(wrong());
    }
    match (name, rest.is_empty()) {
        ("username", true) => Ok(Target::UserName),
        ("externalid", true) => Ok(Target::ExternalId),
        ("displayname", true) => Ok(Target::Display),
        ("active", true) => Ok(Target::Active),
        ("roles", _) => Ok(Target::Roles),
        ("name", false) if rest == ".formatted" => Ok(Target::Display),
        ("password", _) => Err(no_password()),
        ("id", _) => Err(ScimError::bad(ScimType::Mutability, "id cannot be changed")),
        (name, _) if NOT_KEPT.contains(&name) => Ok(Target::NotKept),
        (name, _) if name.starts_with("urn:ietf:params:scim:schemas:extension") => Ok(Target::NotKept),
        _ => Err(wrong()),
    }
}

/// Whether this is a sub-attribute: a dot and a name.
fn is_part(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tacet_types::Role;

    fn user() -> User {
        User {
            user_name: "a".into(),
            external_id: Some("HR-7".into()),
            display: "A".into(),
            active: true,
            role: Some(Role::Nurse),
            practitioner: None,
        }
    }

    fn patched(operations: Value) -> Result<User, ScimError> {
        let body = json!({ "schemas": [PATCH_SCHEMA], "Operations": operations });
        Patch::parse(body.to_string().as_bytes())?.apply(user())
    }

    #[test]
    fn patches_as_directories_send_them() {
        let of = |operations| patched(operations).unwrap();
        assert!(!of(json!([{ "op": "replace", "path": "active", "value": false }])).active);
        assert!(!of(json!([{ "op": "Replace", "path": "active", "value": "False" }])).active);
        assert!(!of(json!([{ "op": "replace", "value": { "active": false } }])).active);
        assert_eq!(of(json!([{ "op": "add", "path": "externalId", "value": "X" }])).external_id.as_deref(), Some("X"));
        assert_eq!(of(json!([{ "op": "remove", "path": "externalId" }])).external_id, None);
        assert_eq!(of(json!([{ "op": "add", "path": "name.formatted", "value": "Dr B" }])).display, "Dr B");
        let role = json!([{ "op": "Add", "path": "roles[primary eq \"True\"].value", "value": "clinician" }]);
        assert_eq!(of(role).role, Some(Role::Clinician));
        let path = format!("{CARE_SCHEMA}:practitioner");
        let linked = of(json!([{ "op": "add", "path": path, "value": "pr1" }]));
        assert_eq!(linked.practitioner.as_deref(), Some("pr1"));
        assert_eq!(of(json!([{ "op": "add", "value": { CARE_SCHEMA: { "practitioner": "pr1" } } }])), linked);
        assert_eq!(of(json!([{ "op": "add", "path": "emails[type eq \"work\"].value", "value": "x" }])), user());
        let later = json!([{ "op": "replace", "path": "userName", "value": "b" },
            { "op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:userName", "value": "c" }]);
        assert_eq!(of(later).user_name, "c");
    }

    #[test]
    fn what_does_not_hold_is_refused() {
        for operations in [
            json!([]),
            json!({}),
            json!([1]),
            json!([{ "op": "move", "path": "active", "value": true }]),
            json!([{ "op": "remove" }]),
            json!([{ "op": "remove", "path": "userName" }]),
            json!([{ "op": "remove", "path": "active" }]),
            json!([{ "op": "add", "path": "active" }]),
            json!([{ "op": "add", "value": 1 }]),
            json!([{ "op": "add", "path": 1, "value": 1 }]),
            json!([{ "op": "add", "path": "active", "value": 1 }]),
            json!([{ "op": "add", "path": "active.value", "value": true }]),
            json!([{ "op": "add", "path": "roles[", "value": "nurse" }]),
            json!([{ "op": "add", "path": "roles[]..", "value": "nurse" }]),
            json!([{ "op": "add", "path": "roles", "value": ["administrator"] }]),
            json!([{ "op": "add", "path": "password", "value": "x" }]),
            json!([{ "op": "replace", "path": "id", "value": "x" }]),
            json!([{ "op": "replace", "path": "nonsense", "value": "x" }]),
            json!([{ "op": "replace", "value": { "password": "x" } }]),
            json!(vec![json!({ "op": "remove", "path": "externalId" }); OPERATIONS_MAX + 1]),
        ] {
            assert!(patched(operations.clone()).is_err(), "{operations}");
        }
        assert!(Patch::parse(b"{\"schemas\":[],\"Operations\":[]}").is_err());
    }
}
