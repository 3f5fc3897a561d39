//! From where somebody asks, as far as it matters here.

use crate::secret::{DEVICE_PREFIX, Hashed, secret};
use crate::{Actor, Identity, Person};
use std::net::IpAddr;
use tacet_ledger::{Channel, Origin};
use tacet_types::{OperationId, Redacted};

/// From where somebody asks.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The network address of the client.
    pub address: Option<IpAddr>,
    /// The request.
    pub operation: OperationId,
    device: Option<Hashed>,
    agent: Hashed,
    /// The short id of the session in which something is tried, for entries of failures.
    session: Option<String>,
}

impl Connection {
    /// From an address, with the value of the device cookie and of the header `User-Agent`. Only their hashes are kept.
    pub fn new(address: Option<IpAddr>, device: Option<&str>, agent: &str, operation: OperationId) -> Self {
        let whole = |device: &&str| device.len() == DEVICE_PREFIX.len() + 64 && device.starts_with(DEVICE_PREFIX);
        let device = device.filter(whole).map(|device| Hashed::of(device.as_bytes()));
        Self { address, operation, device, agent: Hashed::of(agent.as_bytes()), session: None }
    }

    /// Whether the client showed the secret of a device, as this program makes them: without one there is no login.
    pub fn has_device(&self) -> bool {
        self.device.is_some()
    }

    /// The short id of the device, for entries: no secret. None where none was shown.
    pub fn device_id(&self) -> Option<&str> {
        self.device.as_ref().map(Hashed::short)
    }

    /// The same, within a session.
    pub(crate) fn within(&self, session: &str) -> Self {
        Self { session: Some(session.to_owned()), ..self.clone() }
    }

    pub(crate) fn session_id(&self) -> Option<&str> {
        self.session.as_deref()
    }

    pub(crate) fn device(&self) -> Option<&Hashed> {
        self.device.as_ref()
    }

    pub(crate) fn agent(&self) -> &Hashed {
        &self.agent
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { address: self.address, channel: Channel::Http }
    }
}

impl Identity {
    /// A secret for a device that has none: the value of a cookie that stays (`HttpOnly`, `Secure`, `SameSite=Strict`). A login needs it.
    pub fn new_device(&self) -> Redacted<String> {
        secret(self.rng.as_ref(), DEVICE_PREFIX)
    }

    /// The person with this session as one who does something.
    pub fn actor(&self, person: &Person, connection: &Connection) -> Actor {
        Actor {
            account: Some(person.account.clone()),
            name: person.login.clone(),
            role: person.role,
            token: Some(person.session.clone()),
            device: connection.device_id().map(str::to_owned),
            origin: connection.origin(),
            operation: connection.operation,
            fresh: self.settings.is_fresh(person.passkey_at, self.now()),
        }
    }
}
