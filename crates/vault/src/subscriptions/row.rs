//! The rows of a subscription: who asked for what, and how far it was sent.

use super::{SUBSCRIPTION_BYTES_MAX, SubscriptionState};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::vault::Inner;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use tacet_fhir::json::Json;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_seal::Purpose;
use tacet_store::Write;
use tacet_types::Role;
use tacet_types::{OperationId, ResourceId, Sequence, VersionId};

/// First byte of a definition.
const DEFINITION: u8 = 1;

/// First byte of a position.
const POSITION: u8 = 2;

/// A subscription with the rights of who asked for it.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) id: ResourceId,
    pub(crate) version: VersionId,
    pub(crate) state: SubscriptionState,
    pub(crate) subscriber: Subscriber,
    /// What is evaluated, and the address of this server: set when it becomes active.
    pub(crate) evaluated: Option<(String, String)>,
    /// The resource, as JSON.
    pub(crate) resource: String,
}

/// Who asked.
#[derive(Clone)]
pub(crate) struct Subscriber {
    owner: String,
    role: Role,
    pub(crate) token: Option<String>,
    purpose: PurposeOfUse,
    on_behalf_of: Option<String>,
}

impl Subscriber {
    fn of(caller: &Caller) -> Self {
        Self {
            owner: caller.owner.clone(),
            role: caller.role,
            token: caller.token.clone(),
            purpose: caller.purpose,
            on_behalf_of: caller.on_behalf_of.clone(),
        }
    }

    /// The caller on whose account a notification goes into the ledger.
    pub(crate) fn caller(&self, operation: OperationId) -> Caller {
        Caller {
            owner: self.owner.clone(),
            role: self.role,
            token: self.token.clone(),
            purpose: self.purpose,
            origin: Origin { address: None, channel: Channel::Internal },
            operation,
            on_behalf_of: self.on_behalf_of.clone(),
        }
    }
}

/// How far a subscription has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reached {
    /// Everything up to this commit was sent.
    pub(crate) sequence: Sequence,
    /// Events sent.
    pub(crate) events: u64,
}

#[derive(Serialize, Deserialize)]
struct Form {
    id: String,
    version: u64,
    state: String,
    owner: String,
    role: String,
    token: Option<String>,
    purpose: u8,
    on_behalf_of: Option<String>,
    criteria: Option<String>,
    base_url: Option<String>,
    resource: String,
}

impl SubscriptionState {
    /// As FHIR spells it.
    fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Error => "error",
            Self::Off => "off",
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        [Self::Requested, Self::Active, Self::Error, Self::Off].into_iter().find(|state| state.code() == code)
    }
}

impl Definition {
    fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let (criteria, base_url) = self.evaluated.clone().unzip();
        let form = Form {
            id: self.id.as_str().to_owned(),
            version: self.version.0,
            state: self.state.code().to_owned(),
            owner: self.subscriber.owner.clone(),
            role: self.subscriber.role.as_str().to_owned(),
            token: self.subscriber.token.clone(),
            purpose: self.subscriber.purpose.byte(),
            on_behalf_of: self.subscriber.on_behalf_of.clone(),
            criteria,
            base_url,
            resource: self.resource.clone(),
        };
        let mut bytes = vec![DEFINITION];
        serde_json::to_writer(&mut bytes, &form).map_err(|error| VaultError::Internal(Box::new(error)))?;
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[DEFINITION], json) = bytes.split_first_chunk::<1>()? else { return None };
        let form: Form = serde_json::from_slice(json).ok()?;
        Some(Self {
            id: ResourceId::parse(&form.id).ok()?,
            version: VersionId(form.version),
            state: SubscriptionState::of_code(&form.state)?,
            subscriber: Subscriber {
                owner: form.owner,
                role: Role::parse(&form.role)?,
                token: form.token,
                purpose: PurposeOfUse::from_byte(form.purpose)?,
                on_behalf_of: form.on_behalf_of,
            },
            evaluated: form.criteria.zip(form.base_url),
            resource: form.resource,
        })
    }

    /// The write that keeps it.
    pub(crate) fn write(&self, inner: &Inner) -> Result<Write, VaultError> {
        let row = layout::subscription(&inner.keys.row_keys, &self.id);
        let value = inner.seal_structure(Purpose::State, &row, &self.encode()?)?;
        Ok(Write::Put { key: row.to_vec(), value })
    }
}

impl Reached {
    /// The write that keeps it.
    pub(crate) fn write(self, inner: &Inner, id: &ResourceId) -> Result<Write, VaultError> {
        let row = layout::subscription_position(&inner.keys.row_keys, id);
        let value = inner.seal_structure(Purpose::State, &row, &self.encode())?;
        Ok(Write::Put { key: row.to_vec(), value })
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        [&[POSITION][..], &self.sequence.0.to_be_bytes(), &self.events.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[POSITION], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let events = rest.try_into().ok()?;
        Some(Self { sequence: Sequence(u64::from_be_bytes(*sequence)), events: u64::from_be_bytes(events) })
    }
}

/// The rows that a Subscription brings with it when `caller` stores it: asked for anew, with the rights of who stores it now.
/// Only `off` is taken as it is; the other states are the server's to give.
pub(crate) fn remember(
    inner: &Inner,
    caller: &Caller,
    id: &ResourceId,
    version: VersionId,
    value: &Json<'_>,
    body: &[u8],
) -> Result<[Write; 2], VaultError> {
    if body.len() > SUBSCRIPTION_BYTES_MAX {
        return Err(VaultError::TooLarge { what: "bytes in a Subscription", max: SUBSCRIPTION_BYTES_MAX });
    }
    let off = value.get_str("status") == Some("off");
    let definition = Definition {
        id: id.clone(),
        version,
        state: if off { SubscriptionState::Off } else { SubscriptionState::Requested },
        subscriber: Subscriber::of(caller),
        evaluated: None,
        resource: String::from_utf8_lossy(body).into_owned(),
    };
    let position = layout::subscription_position(&inner.keys.row_keys, id);
    Ok([definition.write(inner)?, Write::Delete { key: position.to_vec() }])
}

/// What takes the rows of a Subscription away.
pub(crate) fn forget(inner: &Inner, id: &ResourceId) -> [Write; 2] {
    let keys = &inner.keys.row_keys;
    let delete = |row: RowKey| Write::Delete { key: row.to_vec() };
    [delete(layout::subscription(keys, id)), delete(layout::subscription_position(keys, id))]
}

impl Inner {
    /// The definition of one subscription, with its row as it lies.
    pub(crate) fn definition_of_subscription(
        &self,
        id: &ResourceId,
    ) -> Result<Option<(Definition, Vec<u8>)>, VaultError> {
        let row = layout::subscription(&self.keys.row_keys, id);
        let Some(value) = self.store.reader().get(&row)? else { return Ok(None) };
        let plain = self.open_structure(Purpose::State, &row, &value)?;
        let damaged = VaultError::Damaged("a subscription cannot be read");
        Ok(Some((Definition::decode(&plain).ok_or(damaged)?, value)))
    }

    /// Every definition.
    pub(crate) fn definitions_of_subscriptions(&self) -> Result<Vec<Definition>, VaultError> {
        let (from, to) = layout::bounds(layout::SUBSCRIPTIONS);
        let mut rows = Vec::new();
        self.store.reader().range(&from, &to, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        let mut definitions = Vec::new();
        for (key, value) in rows {
            let plain = self.open_structure(Purpose::State, &key, &value)?;
            if plain.first() == Some(&DEFINITION) {
                let damaged = VaultError::Damaged("a subscription cannot be read");
                definitions.push(Definition::decode(&plain).ok_or(damaged)?);
            }
        }
        Ok(definitions)
    }

    /// How far a subscription has come. None: it was never active.
    pub(crate) fn reached_of_subscription(&self, id: &ResourceId) -> Result<Option<Reached>, VaultError> {
        let row = layout::subscription_position(&self.keys.row_keys, id);
        let Some(value) = self.store.reader().get(&row)? else { return Ok(None) };
        let plain = self.open_structure(Purpose::State, &row, &value)?;
        Ok(Some(Reached::decode(&plain).ok_or(VaultError::Damaged("a subscription's position cannot be read"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_round_and_the_malformed_is_refused() {
        let definition = Definition {
            id: ResourceId::parse("s1").unwrap(),
            version: VersionId(3),
            state: SubscriptionState::Active,
            subscriber: Subscriber {
                owner: "Lab".to_owned(),
                role: Role::Integrator,
                token: Some("0011".to_owned()),
                purpose: PurposeOfUse::Treatment,
                on_behalf_of: None,
            },
            evaluated: Some(("Patient?".to_owned(), "https://x".to_owned())),
            resource: "{}".to_owned(),
        };
        let bytes = definition.encode().unwrap();
        let again = Definition::decode(&bytes).unwrap();
        assert_eq!(again.encode().unwrap(), bytes);
        assert!(Definition::decode(&bytes[1..]).is_none() && Definition::decode(&bytes[..bytes.len() - 1]).is_none());
        let reached = Reached { sequence: Sequence(7), events: 9 };
        assert_eq!(Reached::decode(&reached.encode()), Some(reached));
        for length in 0..17 {
            assert_eq!(Reached::decode(&reached.encode()[..length]), None);
        }
        assert!(Definition::decode(&reached.encode()).is_none() && Reached::decode(&bytes).is_none());
    }
}
