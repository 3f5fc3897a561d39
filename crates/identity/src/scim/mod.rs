//! Provisioning by SCIM 2.0 (RFC 7643, RFC 7644): Users of the hospital's directory become accounts, and leave with them.
//!
//! ```text
//!  body ──User::parse / Patch::parse──> User ──Identity::provision──> account, or a request for a second person
//! ```
//!
//! The functions take bytes and texts and give JSON; HTTP is elsewhere. A directory sees and changes the accounts with roles of care and no others, so
//! that its key is no way to an administrator. It cannot let anybody in: a new account waits for an invitation that two people make, and another
//! role of an account in use waits for a second person. What it takes away (suspending, closing) is effective at once.

mod error;
mod filter;
mod patch;
mod user;

pub use error::{ERROR_SCHEMA, ScimError, ScimType};
pub use filter::{Attribute, FILTER_BYTES_MAX, Facts, Filter, Operator, Value as FilterValue};
pub use patch::{OPERATIONS_MAX, PATCH_SCHEMA, Patch};
pub use user::{BODY_BYTES_MAX, CARE_SCHEMA, PROVISIONED_ROLES, USER_SCHEMA, User, user_json};

use crate::account::{Account, Draft, State};
use crate::id::AccountId;
use crate::{Actor, Identity};
use serde_json::{Value, json};
use tacet_ledger::EventKind;
use tacet_types::Role;

/// The schema of a list.
pub const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Most users in one page of a list.
pub const PAGE_MAX: usize = 200;

fn is_provisioned(account: &Account) -> bool {
    account.state != State::Closed && PROVISIONED_ROLES.contains(&account.role)
}

impl Identity {
    /// `POST /Users`: the new user, for a 201.
    ///
    /// # Errors
    /// In SCIM's form.
    pub async fn scim_create(&self, actor: &Actor, body: &[u8]) -> Result<Value, ScimError> {
        let user = User::parse(body)?;
        let role =
            user.role.ok_or_else(|| ScimError::bad(ScimType::InvalidValue, "roles must name one role of care"))?;
        let mut draft = Draft::new(&user.user_name, &user.display, role);
        draft.external_id = user.external_id;
        draft.practitioner = user.practitioner;
        let now = self.now();
        let (mut account, mut writes) = self.drafted(draft, now)?;
        if !user.active {
            account.state = State::Suspended;
            account.suspended_by_feed = true;
            writes.pop();
            let absent = tacet_ledger::noted::Expect::Absent;
            writes.push(crate::rows::put(account.id.as_str().as_bytes(), &account, absent)?);
        }
        let detail = format!("account {} of role {role} provisioned", account.id);
        self.commit(writes, vec![actor.entry(now, EventKind::AccountChange, detail)]).await?;
        Ok(user_json(&account))
    }

    /// `GET /Users/{id}`.
    ///
    /// # Errors
    /// 404.
    pub fn scim_read(&self, id: &str) -> Result<Value, ScimError> {
        Ok(user_json(&self.provisioned(id)?))
    }

    fn provisioned(&self, id: &str) -> Result<Account, ScimError> {
        let id = AccountId::parse(id).ok_or_else(ScimError::absent)?;
        self.account(&id)?.filter(is_provisioned).ok_or_else(ScimError::absent)
    }

    /// `GET /Users`: a page of those that fit the filter, by login. `start_index` counts from 1.
    ///
    /// # Errors
    /// `invalidFilter`.
    pub fn scim_list(
        &self,
        filter: Option<&str>,
        start_index: Option<i64>,
        count: Option<i64>,
    ) -> Result<Value, ScimError> {
        let filter = filter.map(Filter::parse).transpose()?;
        let mut accounts = self.accounts()?;
        accounts.retain(|account| {
            let facts = Facts {
                id: account.id.as_str(),
                user_name: &account.login,
                external_id: account.external_id.as_deref(),
                display_name: &account.display,
                active: user::is_active(account),
            };
            is_provisioned(account) && filter.as_ref().is_none_or(|filter| filter.fits(&facts))
        });
        // Below 1 means 1, below 0 means 0 (RFC 7644, section 3.4.2.4).
        let start = usize::try_from(start_index.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
        let count = usize::try_from(count.unwrap_or(PAGE_MAX as i64).max(0)).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let page: Vec<Value> = accounts.iter().skip(start - 1).take(count).map(user_json).collect();
        Ok(json!({
            "schemas": [LIST_SCHEMA],
            "totalResults": accounts.len(),
            "startIndex": start,
            "itemsPerPage": page.len(),
            "Resources": page,
        }))
    }

    /// `PUT /Users/{id}`: the user as it is then. A role that is left out stays.
    ///
    /// # Errors
    /// In SCIM's form.
    pub async fn scim_replace(&self, actor: &Actor, id: &str, body: &[u8]) -> Result<Value, ScimError> {
        let user = User::parse(body)?;
        let account = self.provisioned(id)?;
        Ok(user_json(&self.provision(actor, &account.id, &user).await?))
    }

    /// `PATCH /Users/{id}`: the user as it is then.
    ///
    /// # Errors
    /// In SCIM's form.
    pub async fn scim_patch(&self, actor: &Actor, id: &str, body: &[u8]) -> Result<Value, ScimError> {
        let patch = Patch::parse(body)?;
        let account = self.provisioned(id)?;
        let user = patch.apply(User::of(&account))?;
        Ok(user_json(&self.provision(actor, &account.id, &user).await?))
    }

    /// `DELETE /Users/{id}`: closes the account. It is not found from then on.
    ///
    /// # Errors
    /// 404.
    pub async fn scim_delete(&self, actor: &Actor, id: &str) -> Result<(), ScimError> {
        let account = self.provisioned(id)?;
        self.close_by(actor, &account.id, "removed by the directory").await?;
        Ok(())
    }
}

/// `GET /ServiceProviderConfig` (RFC 7643, section 5).
pub fn service_provider_config() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": PAGE_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": false },
        "authenticationSchemes": [{
            "type": "oauthbearertoken", "name": "Bearer token", "description": "A token of the role that keeps accounts",
        }],
    })
}

/// `GET /ResourceTypes` (RFC 7643, section 6).
pub fn resource_types() -> Value {
    json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": 1,
        "startIndex": 1,
        "itemsPerPage": 1,
        "Resources": [{
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": "User", "name": "User", "endpoint": "/Users", "schema": USER_SCHEMA,
            "schemaExtensions": [{ "schema": CARE_SCHEMA, "required": false }],
        }],
    })
}

/// `GET /Schemas` (RFC 7643, section 7): the attributes that are kept.
pub fn schemas() -> Value {
    let attribute = |name: &str, kind: &str, required: bool, exact: bool, uniqueness: &str| {
        json!({
            "name": name, "type": kind, "multiValued": false, "required": required, "caseExact": exact,
            "mutability": "readWrite", "returned": "default", "uniqueness": uniqueness,
        })
    };
    let roles = json!({
        "name": "roles", "type": "complex", "multiValued": true, "required": true, "caseExact": true,
        "mutability": "readWrite", "returned": "default", "uniqueness": "none",
        "subAttributes": [{
            "name": "value", "type": "string", "multiValued": false, "required": true, "caseExact": true,
            "canonicalValues": PROVISIONED_ROLES.map(Role::as_str),
            "mutability": "readWrite", "returned": "default", "uniqueness": "none",
        }],
    });
    let schema = |id: &str, name: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": id, "name": name, "attributes": attributes,
        })
    };
    let user = vec![
        attribute("userName", "string", true, false, "server"),
        attribute("displayName", "string", false, false, "none"),
        attribute("active", "boolean", false, false, "none"),
        roles,
    ];
    let care = vec![attribute("practitioner", "string", false, true, "server")];
    json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": 2,
        "startIndex": 1,
        "itemsPerPage": 2,
        "Resources": [schema(USER_SCHEMA, "User", user), schema(CARE_SCHEMA, "Care", care)],
    })
}
