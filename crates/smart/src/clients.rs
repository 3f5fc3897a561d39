//! Clients come, wait for approval, are used, and go.

use crate::client::{Approval, Client, ClientMetadata, ClientState};
use crate::error::{ErrorCode, SmartError};
use crate::person::{Asked, entry};
use crate::rows;
use crate::scopes::ScopeSet;
use crate::secret;
use crate::server::AuthorizationServer;
use crate::settings::{PENDING_MAX, PENDING_OF_NOBODY_MAX};
use std::sync::PoisonError;
use tacet_ledger::noted::{Expect, Table};
use tacet_ledger::{EventKind, Outcome};

fn row_name(id: &str) -> Vec<u8> {
    rows::by_id("client", id)
}

impl AuthorizationServer {
    /// Takes a registration (RFC 7591). The client is of no use until somebody approves it. `by`: the account of who registers it, where somebody is logged in.
    ///
    /// # Errors
    /// What is wrong with it; `temporarily_unavailable` where too many wait already; the rows'.
    pub async fn register(&self, body: &[u8], by: Option<&str>, asked: Asked) -> Result<Client, SmartError> {
        let metadata = ClientMetadata::parse(body)?;
        let (mut pending, mut of_nobody) = (0usize, 0usize);
        self.rows.each(Table::Clients, "client", |_, client: Client, _| {
            let waits = client.state == ClientState::Pending;
            pending += usize::from(waits);
            of_nobody += usize::from(waits && client.registered_by.is_none());
        })?;
        // Whoever is not logged in cannot fill up the room of those who are.
        if pending >= PENDING_MAX || (by.is_none() && of_nobody >= PENDING_OF_NOBODY_MAX) {
            let what = "too many registrations wait for approval: come back later";
            return Err(SmartError::refuse(ErrorCode::TemporarilyUnavailable, what));
        }
        let now = self.now();
        let client = Client {
            id: secret::id(self.rng.as_ref()),
            state: ClientState::Pending,
            scope: metadata.scope.clone(),
            metadata,
            preapproved: false,
            may_introspect: false,
            registered_by: by.map(str::to_owned),
            decided_by: None,
            created_ms: now.as_ms(),
            cut_ms: None,
        };
        let owner = client.owner();
        let who = (by.unwrap_or(&owner), "client");
        let detail = format!("client {} registered", client.id);
        let note = entry(now, EventKind::ApprovalAsked, who, asked, Outcome::Success, detail);
        let write = rows::put(Table::Clients, row_name(&client.id), &client, Expect::Absent)?;
        self.rows.commit(vec![write], vec![note]).await?;
        Ok(client)
    }

    /// Lets a client in. That `by` may do so, and that a second person is needed for it, is the caller's to see to.
    ///
    /// # Errors
    /// No such client that waits; `by` registered it; the scopes are not well-formed or leave nothing; the rows'.
    pub async fn approve_client(
        &self,
        id: &str,
        by: &str,
        approval: &Approval,
        asked: Asked,
    ) -> Result<Client, SmartError> {
        let narrowed = approval.scope.as_deref().map(ScopeSet::parse).transpose();
        let narrowed = narrowed.map_err(|_| SmartError::Invalid("the approved scopes are not well-formed"))?;
        self.decide_client(id, by, asked, |client| {
            let own = client.scopes();
            let scopes = narrowed.as_ref().map_or_else(|| own.clone(), |narrowed| own.meet(narrowed));
            if scopes.is_empty() {
                return Err(SmartError::Invalid("no scope would be left: approve some of those that it asked for"));
            }
            client.scope = scopes.to_string();
            client.preapproved = approval.preapproved;
            client.may_introspect = approval.may_introspect;
            client.state = ClientState::Active;
            Ok(())
        })
        .await
    }

    /// Does not let a client in.
    ///
    /// # Errors
    /// No such client that waits; the rows'.
    pub async fn refuse_client(&self, id: &str, by: &str, asked: Asked) -> Result<Client, SmartError> {
        self.decide_client(id, by, asked, |client| {
            client.state = ClientState::Refused;
            Ok(())
        })
        .await
    }

    async fn decide_client(
        &self,
        id: &str,
        by: &str,
        asked: Asked,
        decide: impl Fn(&mut Client) -> Result<(), SmartError>,
    ) -> Result<Client, SmartError> {
        let found: Option<(Client, u64)> = self.rows.get(Table::Clients, &row_name(id))?;
        let (mut client, revision) =
            found.filter(|(client, _)| client.state == ClientState::Pending).ok_or(SmartError::NoSuchClient)?;
        if by.is_empty() {
            return Err(SmartError::Invalid("say who decides"));
        }
        let refused = client.registered_by.as_deref() == Some(by);
        decide(&mut client)?;
        if refused && client.state == ClientState::Active {
            return Err(SmartError::SamePerson);
        }
        client.decided_by = Some(by.to_owned());
        let (outcome, what) = match client.state {
            ClientState::Active => (Outcome::Success, "approved"),
            _ => (Outcome::Refused, "refused"),
        };
        let detail = format!("client {id} {what}");
        let note = entry(self.now(), EventKind::ApprovalDecided, (by, "approver"), asked, outcome, detail);
        let write = rows::put(Table::Clients, row_name(id), &client, Expect::Revision(revision))?;
        self.rows.commit(vec![write], vec![note]).await?;
        Ok(client)
    }

    /// Ends a client: nothing that it holds works from here on.
    ///
    /// # Errors
    /// No such client; the rows'.
    pub async fn revoke_client(&self, id: &str, by: &str, asked: Asked) -> Result<(), SmartError> {
        self.change_client(id, by, asked, |client| client.state = ClientState::Revoked).await
    }

    /// Takes back all that a client was given. It stays in use, and may be given something anew.
    ///
    /// # Errors
    /// No such client; the rows'.
    pub async fn revoke_client_grants(&self, id: &str, by: &str, asked: Asked) -> Result<(), SmartError> {
        self.change_client(id, by, asked, |_| ()).await
    }

    async fn change_client(
        &self,
        id: &str,
        by: &str,
        asked: Asked,
        change: impl Fn(&mut Client),
    ) -> Result<(), SmartError> {
        let now = self.now();
        let found: Option<(Client, u64)> = self.rows.get(Table::Clients, &row_name(id))?;
        let (mut client, revision) = found.ok_or(SmartError::NoSuchClient)?;
        change(&mut client);
        client.cut_ms = Some(now.as_ms());
        let detail = format!("all that client {id} was given");
        let note = entry(now, EventKind::TokenRevoked, (by, "revoker"), asked, Outcome::Success, detail);
        let write = rows::put(Table::Clients, row_name(id), &client, Expect::Revision(revision))?;
        self.rows.commit(vec![write], vec![note]).await?;
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).forget(id);
        Ok(())
    }

    /// A client.
    ///
    /// # Errors
    /// The rows'.
    pub fn client(&self, id: &str) -> Result<Option<Client>, SmartError> {
        // What is no id is not looked up: a row's name has a bound.
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        Ok(self.rows.get(Table::Clients, &row_name(id))?.map(|(client, _)| client))
    }

    /// All clients.
    ///
    /// # Errors
    /// The rows'.
    pub fn clients(&self) -> Result<Vec<Client>, SmartError> {
        let mut clients = Vec::new();
        self.rows.each(Table::Clients, "client", |_, client, _| clients.push(client))?;
        Ok(clients)
    }
}
