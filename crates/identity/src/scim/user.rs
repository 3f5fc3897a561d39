//! The User of RFC 7643, section 4.1, as far as an account has it.
//!
//! What an account does not keep (addresses, telephone numbers, a name in parts) is taken without complaint and left out of answers. A password is
//! refused: there is none anywhere.

use super::error::{ScimError, ScimType};
use crate::account::{Account, State};
use serde_json::{Map, Value, json};
use tacet_types::{Role, Timestamp};

/// The schema of a User.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// The schema of our own part: the link to the record store's Practitioner.
pub const CARE_SCHEMA: &str = "urn:tacet:params:scim:schemas:extension:care:2.0:User";

/// Longest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The roles that a directory may give: those of care. Who administers is not provisioned.
pub const PROVISIONED_ROLES: [Role; 5] =
    [Role::Clinician, Role::Nurse, Role::Pharmacist, Role::Laboratory, Role::Reception];

/// What a directory says of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// `userName`.
    pub user_name: String,
    /// `externalId`.
    pub external_id: Option<String>,
    /// `displayName`, or the best of what else names the person.
    pub display: String,
    /// `active`.
    pub active: bool,
    /// The one of `roles` that we know.
    pub role: Option<Role>,
    /// The practitioner of our own schema.
    pub practitioner: Option<String>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("active", &self.active).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Reads a body as a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(ScimError { status: 413, scim_type: None, detail: "the body is longer than 64 KiB".into() });
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(ScimError::bad(ScimType::InvalidSyntax, "the body is no JSON object")),
    }
}

/// The member of this name, whatever its case (RFC 7643, section 2.1).
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    found.filter(|value| !value.is_null())
}

/// Whether a body says that it has this schema.
pub(super) fn has_schema(object: &Map<String, Value>, schema: &str) -> bool {
    let schemas = member(object, "schemas").and_then(Value::as_array);
    schemas
        .is_some_and(|schemas| schemas.iter().any(|of| of.as_str().is_some_and(|of| of.eq_ignore_ascii_case(schema))))
}

pub(super) fn text(value: &Value, what: &'static str) -> Result<String, ScimError> {
    let text =
        value.as_str().ok_or_else(|| ScimError::bad(ScimType::InvalidValue, format!("{what} must be a string")))?;
    Ok(text.to_owned())
}

/// A flag. Some directories send it as a string.
pub(super) fn flag(value: &Value) -> Result<bool, ScimError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ScimError::bad(ScimType::InvalidValue, "active must be true or false")),
    }
}

/// The role in a value of `roles`: a string, an object with `value`, or a list of such with one role.
pub(super) fn role(value: &Value) -> Result<Option<Role>, ScimError> {
    let wrong = || {
        let names = PROVISIONED_ROLES.map(Role::as_str).join(", ");
        ScimError::bad(ScimType::InvalidValue, format!("roles must hold one of: {names}"))
    };
    let name = match value {
        Value::Null => return Ok(None),
        Value::Array(values) => match values.as_slice() {
            [] => return Ok(None),
            [Value::Array(_)] => return Err(wrong()),
            [only] => return role(only),
            _ => return Err(wrong()),
        },
        Value::Object(object) => member(object, "value").and_then(Value::as_str),
        other => other.as_str(),
    };
    let role = name.and_then(Role::parse).filter(|role| PROVISIONED_ROLES.contains(role));
    role.map(Some).ok_or_else(wrong)
}

impl User {
    /// Reads the body of a creation or a replacement.
    ///
    /// # Errors
    /// `invalidSyntax` or `invalidValue`.
    pub fn parse(body: &[u8]) -> Result<Self, ScimError> {
        let object = object(body)?;
        if !has_schema(&object, USER_SCHEMA) {
            return Err(ScimError::bad(ScimType::InvalidSyntax, "schemas must hold the User schema"));
        }
        if member(&object, "password").is_some() {
            return Err(no_password());
        }
        let user_name =
            member(&object, "userName").ok_or_else(|| ScimError::bad(ScimType::InvalidValue, "userName is missing"))?;
        let user_name = text(user_name, "userName")?;
        let external_id = member(&object, "externalId").map(|id| text(id, "externalId")).transpose()?;
        let name = member(&object, "name").and_then(Value::as_object);
        let part = |part: &str| name.and_then(|name| member(name, part)).and_then(Value::as_str);
        let parts: Vec<&str> = [part("givenName"), part("familyName")].into_iter().flatten().collect();
        let display = match member(&object, "displayName") {
            Some(display) => text(display, "displayName")?,
            None => match (part("formatted"), parts.is_empty()) {
                (Some(formatted), _) => formatted.to_owned(),
                (None, false) => parts.join(" "),
                (None, true) => user_name.clone(),
            },
        };
        let care = member(&object, CARE_SCHEMA).and_then(Value::as_object);
        let practitioner = care.and_then(|care| member(care, "practitioner"));
        Ok(Self {
            external_id,
            display,
            active: member(&object, "active").map_or(Ok(true), flag)?,
            role: member(&object, "roles").map_or(Ok(None), role)?,
            practitioner: practitioner.map(|id| text(id, "practitioner")).transpose()?,
            user_name,
        })
    }

    /// An account as a directory knows it.
    pub fn of(account: &Account) -> Self {
        Self {
            user_name: account.login.clone(),
            external_id: account.external_id.clone(),
            display: account.display.clone(),
            active: is_active(account),
            role: Some(account.role),
            practitioner: account.practitioner.clone(),
        }
    }
}

pub(super) fn no_password() -> ScimError {
    ScimError::bad(ScimType::InvalidValue, "there are no passwords here: people log in by passkeys")
}

/// An account that nobody enrolled for yet counts as active: it is not suspended.
pub(super) fn is_active(account: &Account) -> bool {
    matches!(account.state, State::Active | State::Pending)
}

/// An account as a User.
pub fn user_json(account: &Account) -> Value {
    let mut user = json!({
        "schemas": [USER_SCHEMA],
        "id": account.id.as_str(),
        "userName": account.login,
        "displayName": account.display,
        "name": { "formatted": account.display },
        "active": is_active(account),
        "roles": [{ "value": account.role.as_str(), "primary": true }],
        "meta": {
            "resourceType": "User",
            "created": Timestamp::from_ms(account.created_ms).to_string(),
            "lastModified": Timestamp::from_ms(account.changed_ms).to_string(),
            "location": format!("Users/{}", account.id),
        },
    });
    if let Some(object) = user.as_object_mut() {
        if let Some(id) = &account.external_id {
            object.insert("externalId".into(), json!(id));
        }
        if let Some(practitioner) = &account.practitioner {
            object.insert("schemas".into(), json!([USER_SCHEMA, CARE_SCHEMA]));
            object.insert(CARE_SCHEMA.into(), json!({ "practitioner": practitioner }));
        }
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<User, ScimError> {
        User::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_user_is_read_with_what_an_account_keeps() {
        let user = read(json!({
            "schemas": [USER_SCHEMA, CARE_SCHEMA], "userName": "Z.Aubrac", "externalId": "HR-7",
            "name": { "givenName": "Zélie", "familyName": "Aubrac" }, "emails": [{ "value": "z@h.example" }],
            "roles": [{ "value": "clinician" }], CARE_SCHEMA: { "practitioner": "pr1" },
        }))
        .unwrap();
        assert_eq!((user.display.as_str(), user.active, user.role), ("Zélie Aubrac", true, Some(Role::Clinician)));
        assert_eq!((user.external_id.as_deref(), user.practitioner.as_deref()), (Some("HR-7"), Some("pr1")));
        let user =
            read(json!({ "schemas": [USER_SCHEMA], "username": "a", "active": "False", "roles": "nurse" })).unwrap();
        assert_eq!((user.display.as_str(), user.active, user.role), ("a", false, Some(Role::Nurse)));
    }

    #[test]
    fn what_does_not_hold_is_refused() {
        let user = |more: Value| {
            let mut body = json!({ "schemas": [USER_SCHEMA], "userName": "a" });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(body)
        };
        assert!(user(json!({})).is_ok());
        for more in [
            json!({ "userName": 1 }),
            json!({ "userName": null }),
            json!({ "schemas": [] }),
            json!({ "active": 1 }),
            json!({ "externalId": [] }),
            json!({ "displayName": {} }),
            json!({ "roles": ["administrator"] }),
            json!({ "roles": ["integrator"] }),
            json!({ "roles": ["patient"] }),
            json!({ "roles": ["nurse", "clinician"] }),
            json!({ "roles": [["nurse"]] }),
            json!({ "password": "x" }),
        ] {
            assert!(user(more.clone()).is_err(), "{more}");
        }
        for body in [b"".as_slice(), b"[]", b"{", &[b' '; BODY_BYTES_MAX + 1]] {
            assert!(User::parse(body).is_err());
        }
    }
}
