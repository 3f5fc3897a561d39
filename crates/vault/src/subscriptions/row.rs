//! The rows of a subscription: who asked for what, how far it was sent, and what was sent last.

use super::{EVENTS_KEPT_MAX, SUBSCRIPTION_BYTES_MAX, SubscriptionState};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::vault::Inner;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_fhir::json::Json;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_policy::Scopes;
use tacet_seal::Purpose;
use tacet_store::Write;
use tacet_types::Role;
use tacet_types::{OperationId, ResourceId, ResourceType, Sequence, VersionId};

/// First byte of a definition.
const DEFINITION: u8 = 1;

/// First byte of a position.
const POSITION: u8 = 2;

/// First byte of the last events.
const EVENTS: u8 = 3;

/// Bytes of one event in its row: head row, code of the type, version.
const EVENT_BYTES: usize = 17 + 1 + 8;

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
    /// Who it is among the records.
    person: Person,
}

/// What decides which records somebody may be told of, beside the role.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Person {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    practitioner: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patients: Vec<String>,
    /// As they are written; some that cannot be read any more open nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_patient: Option<String>,
    strong: bool,
    supplier: bool,
    /// In the words of who let them in: what their rights hang on, where that is no token of this store.
    #[serde(skip_serializing_if = "Option::is_none")]
    hangs_on: Option<String>,
}

impl Subscriber {
    fn of(caller: &Caller) -> Self {
        Self {
            owner: caller.owner.clone(),
            role: caller.role,
            token: caller.token.clone(),
            purpose: caller.purpose,
            on_behalf_of: caller.on_behalf_of.clone(),
            person: Person {
                account: caller.account.clone(),
                practitioner: caller.practitioner.as_ref().map(|id| id.as_str().to_owned()),
                patients: caller.patients.iter().map(|id| id.as_str().to_owned()).collect(),
                scopes: caller
                    .scopes
                    .as_ref()
                    .map(|scopes| scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
                launch_patient: caller.launch_patient.as_ref().map(|id| id.as_str().to_owned()),
                strong: caller.strong,
                supplier: caller.supplier,
                hangs_on: caller.hangs_on.clone(),
            },
        }
    }

    /// What their rights hang on, where that is no token of this store.
    pub(crate) fn hangs_on(&self) -> Option<&str> {
        self.person.hangs_on.as_deref()
    }

    /// Whether their role reads records.
    pub(crate) fn reads_records(&self) -> bool {
        self.role.may_read_records()
    }

    /// The caller on whose account a notification goes into the ledger.
    pub(crate) fn caller(&self, operation: OperationId) -> Caller {
        let origin = Origin { address: None, channel: Channel::Internal };
        let Person { account, practitioner, patients, scopes, launch_patient, strong, supplier, hangs_on } =
            &self.person;
        let id = |text: &String| ResourceId::parse(text).ok();
        Caller {
            token: self.token.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            account: account.clone(),
            hangs_on: hangs_on.clone(),
            practitioner: practitioner.as_ref().and_then(id),
            patients: patients.iter().filter_map(id).collect(),
            scopes: scopes.as_ref().map(|text| Arc::new(Scopes::parse(text).unwrap_or_default())),
            launch_patient: launch_patient.as_ref().and_then(id),
            strong: *strong,
            supplier: *supplier,
            ..Caller::new(self.owner.clone(), self.role, self.purpose, origin, operation)
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

/// The last events that were sent, at most [`EVENTS_KEPT_MAX`]. It names head rows, not ids: once a record is erased nothing of it stands here
/// that could be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct LastEvents {
    /// The number of the first of them.
    pub(crate) first: u64,
    /// Head row, type and version of each; their numbers follow one another.
    pub(crate) events: Vec<(RowKey, ResourceType, VersionId)>,
}

impl LastEvents {
    /// Adds events that begin with this number, and lets the oldest go.
    pub(crate) fn add(&mut self, number: u64, events: impl IntoIterator<Item = (RowKey, ResourceType, VersionId)>) {
        if self.first.saturating_add(self.events.len() as u64) != number {
            *self = Self { first: number, events: Vec::new() };
        }
        self.events.extend(events);
        let gone = self.events.len().saturating_sub(EVENTS_KEPT_MAX);
        self.events.drain(..gone);
        self.first = self.first.saturating_add(gone as u64);
    }

    /// Always of one length, so that it does not tell how many there are.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![EVENTS];
        bytes.extend(self.first.to_be_bytes());
        bytes.extend((self.events.len().min(EVENTS_KEPT_MAX) as u16).to_be_bytes());
        for (head, resource_type, version) in self.events.iter().take(EVENTS_KEPT_MAX) {
            bytes.extend(head);
            bytes.push(resource_type.code());
            bytes.extend(version.0.to_be_bytes());
        }
        bytes.resize(1 + 8 + 2 + EVENTS_KEPT_MAX * EVENT_BYTES, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[EVENTS], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_be_bytes(*count));
        if rest.len() != EVENTS_KEPT_MAX * EVENT_BYTES || count > EVENTS_KEPT_MAX {
            return None;
        }
        let event = |bytes: &[u8]| {
            let (head, rest) = bytes.split_first_chunk::<17>()?;
            let (code, version) = rest.split_first()?;
            let version = u64::from_be_bytes(version.try_into().ok()?);
            Some((*head, ResourceType::from_code(*code)?, VersionId(version)))
        };
        let events: Option<Vec<_>> = rest.chunks_exact(EVENT_BYTES).take(count).map(event).collect();
        Some(Self { first: u64::from_be_bytes(*first), events: events? })
    }

    /// The write that keeps it.
    pub(crate) fn write(&self, inner: &Inner, id: &ResourceId) -> Result<Write, VaultError> {
        let row = events_row(inner, id);
        let value = inner.seal_structure(Purpose::State, &row, &self.encode())?;
        Ok(Write::Put { key: row.to_vec(), value })
    }
}

/// The row of the last events of a subscription.
fn events_row(inner: &Inner, id: &ResourceId) -> RowKey {
    inner.keys.row_keys.key(layout::SUBSCRIPTIONS, 3, &[id.as_str().as_bytes()])
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
    #[serde(default)]
    person: Person,
    criteria: Option<String>,
    base_url: Option<String>,
    resource: String,
}

impl SubscriptionState {
    /// As FHIR spells it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Error => "error",
            Self::Off => "off",
        }
    }

    /// The state of this code.
    pub fn of_code(code: &str) -> Option<Self> {
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
            person: self.subscriber.person.clone(),
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
                person: form.person,
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
) -> Result<[Write; 3], VaultError> {
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
    let [_, position, events] = forget(inner, id);
    Ok([definition.write(inner)?, position, events])
}

/// What takes the rows of a Subscription away.
pub(crate) fn forget(inner: &Inner, id: &ResourceId) -> [Write; 3] {
    let keys = &inner.keys.row_keys;
    let rows = [layout::subscription(keys, id), layout::subscription_position(keys, id), events_row(inner, id)];
    rows.map(|row| Write::Delete { key: row.to_vec() })
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
        let rows = self.sealed_subscriptions()?;
        let opened = rows.into_iter().map(|(key, value)| self.definition_in(&key, &value).transpose());
        opened.flatten().collect()
    }

    /// The same, without those that cannot be read.
    pub(crate) fn readable_subscriptions(&self) -> Result<Vec<Definition>, VaultError> {
        let rows = self.sealed_subscriptions()?;
        Ok(rows.into_iter().filter_map(|(key, value)| self.definition_in(&key, &value).ok().flatten()).collect())
    }

    /// The definition in a row of this space, if it is one.
    fn definition_in(&self, key: &[u8], value: &[u8]) -> Result<Option<Definition>, VaultError> {
        let plain = self.open_structure(Purpose::State, key, value)?;
        if plain.first() != Some(&DEFINITION) {
            return Ok(None);
        }
        let damaged = VaultError::Damaged("a subscription cannot be read");
        Definition::decode(&plain).map(Some).ok_or(damaged)
    }

    fn sealed_subscriptions(&self) -> Result<Vec<crate::rotate::Row>, VaultError> {
        let (from, to) = layout::bounds(layout::SUBSCRIPTIONS);
        let mut rows = Vec::new();
        self.store.reader().range(&from, &to, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// How far a subscription has come. None: it was never active.
    pub(crate) fn reached_of_subscription(&self, id: &ResourceId) -> Result<Option<Reached>, VaultError> {
        let row = layout::subscription_position(&self.keys.row_keys, id);
        let Some(value) = self.store.reader().get(&row)? else { return Ok(None) };
        let plain = self.open_structure(Purpose::State, &row, &value)?;
        Ok(Some(Reached::decode(&plain).ok_or(VaultError::Damaged("a subscription's position cannot be read"))?))
    }

    /// The last events of a subscription that were sent.
    pub(crate) fn last_events_of_subscription(&self, id: &ResourceId) -> Result<LastEvents, VaultError> {
        let row = events_row(self, id);
        let Some(value) = self.store.reader().get(&row)? else { return Ok(LastEvents::default()) };
        let plain = self.open_structure(Purpose::State, &row, &value)?;
        LastEvents::decode(&plain).ok_or(VaultError::Damaged("the last events of a subscription cannot be read"))
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
                person: Person { practitioner: Some("dr".to_owned()), ..Person::default() },
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
    #[test]
    fn the_last_events_are_those_that_follow_one_another() {
        let patient = ResourceType::parse("Patient").unwrap();
        let event = |number: u64| ([number as u8; 17], patient, VersionId(number));
        let mut last = LastEvents::default();
        let length = last.encode().len();
        last.add(1, (1..=3).map(event));
        last.add(4, [event(4)]);
        assert_eq!((last.first, last.events.len()), (1, 4));
        assert_eq!(LastEvents::decode(&last.encode()).unwrap(), last);
        let most = EVENTS_KEPT_MAX as u64;
        last.add(5, (5..=most + 10).map(event));
        assert_eq!((last.first, last.events.len()), (11, EVENTS_KEPT_MAX));
        let bytes = last.encode();
        assert_eq!((LastEvents::decode(&bytes).unwrap(), bytes.len()), (last.clone(), length));
        // After a gap, what stood before it is of no use.
        last.add(most + 20, [event(9)]);
        assert_eq!((last.first, last.events.len()), (most + 20, 1));
        for cut in [0, 1, 10, length - 1] {
            assert_eq!(LastEvents::decode(&bytes[..cut]), None);
        }
        let mut wrong = bytes;
        wrong[9] = 0xff;
        assert_eq!(LastEvents::decode(&wrong), None);
    }
}
