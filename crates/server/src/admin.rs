//! Accounts, approvals, clients, break-glass, notices and rules over HTTP: what people who administer, decide and review do.
//!
//! ```text
//! dispatch: session? role? ─> answer ─> accounts, approvals, clients, emergencies, notices, scim, rules, changes ─> Identity, AuthorizationServer, Vault
//! ```
//!
//! Who may ask, decide and gain is `tacet_identity`'s to say; here bodies are read and answers written. Whatever takes something from an
//! account here takes what it gave to apps, too. Nobody is shown a record.

mod access_reviews;
mod accounts;
mod approvals;
mod asked;
mod changes;
mod clients;
mod emergencies;
pub(crate) mod leavers;
mod ledger;
mod lockdown;
mod newcomers;
mod notices;
pub(crate) mod rounds;
mod rules;
mod scim;
pub(crate) mod second;
mod staff;

pub use scim::ScimAction;

use crate::access::{self, By, Who};
use crate::app::App;
use crate::connection::Peer;
use crate::error::ApiError;
use crate::people::People;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, LOCATION};
use serde_json::Value;
use std::sync::Arc;
use tacet_identity::{Account, AccountId, Actor, Connection, Person, State};
use tacet_ledger::{Channel, Origin};
use tacet_smart::Asked;
use tacet_types::{Role, Timestamp};
use tacet_vault::Caller;

/// What a route of administration does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdminAction {
    /// Every account.
    Accounts,
    /// Asks for a new account.
    AccountAsk,
    /// One account.
    Account,
    /// Changes an account, or asks for a change.
    AccountChange,
    /// Asks for an invitation, or fetches its first code.
    Invitation,
    /// Ends every session of an account.
    SessionsEnd,
    /// Asks for new passkeys for who lost theirs.
    Recovery,
    /// Approvals that somebody asked for or may decide on.
    Approvals,
    /// Asks for a second person.
    ApprovalAsk,
    /// One approval.
    Approval,
    /// Decides on an approval.
    Decision,
    /// Clients of the authorization server.
    Clients,
    /// One client.
    Client,
    /// Ends a client.
    ClientEnd,
    /// Asks that a client is let in, or lets it in.
    ClientApproval,
    /// Declares an emergency.
    BreakGlassDeclare,
    /// Emergencies that wait for a review.
    BreakGlassOpen,
    /// Ends one's own emergency.
    BreakGlassEnd,
    /// Says what a review came to.
    BreakGlassReview,
    /// Notices for somebody.
    Notices,
    /// Marks a notice as seen.
    NoticeSeen,
    /// The rules on who may see what.
    Policy,
    /// Proposes other rules.
    PolicyAsk,
    /// What is proposed, beside what is in force.
    PolicyProposed,
    /// Puts in force what was allowed.
    PolicyApply,
    /// Why somebody may see something.
    PolicyExplain,
    /// Periodic reviews of accesses.
    AccessReviews,
    /// Prepares one.
    AccessReviewPrepare,
    /// One of them, with its items.
    AccessReview,
    /// Says what an item came to.
    AccessReviewJudge,
    /// Closes one.
    AccessReviewClose,
    /// Entries of the ledger that answer a question.
    LedgerEntries,
    /// Everything that one session touched.
    LedgerExtent,
    /// How the store stands, and lockdowns that were lifted.
    Lockdown,
    /// Locks the store.
    Lock,
    /// Lifts a lockdown.
    LockdownLift,
    /// The hospital's directory.
    Scim(ScimAction),
}

/// A request of administration: its right is checked, its body read.
pub(crate) struct AdminCall<'a, S> {
    pub(crate) app: &'a Arc<App<S>>,
    pub(crate) people: &'a Arc<People>,
    pub(crate) who: &'a Who,
    pub(crate) connection: &'a Connection,
    pub(crate) peer: &'a Peer,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a Query,
    pub(crate) body: Bytes,
}

/// Longest body of these requests, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers a route of administration.
pub(crate) async fn answer<S: RecordService>(action: AdminAction, call: AdminCall<'_, S>) -> Result<Reply, ApiError> {
    match action {
        AdminAction::Accounts => accounts::list(&call),
        AdminAction::AccountAsk => accounts::ask(&call).await,
        AdminAction::Account => accounts::read(&call),
        AdminAction::AccountChange => accounts::change(&call).await,
        AdminAction::Invitation => accounts::invitation(&call).await,
        AdminAction::SessionsEnd => accounts::end_sessions(&call).await,
        AdminAction::Recovery => accounts::recovery(&call).await,
        AdminAction::Approvals => approvals::list(&call),
        AdminAction::ApprovalAsk => approvals::ask(&call).await,
        AdminAction::Approval => approvals::read(&call),
        AdminAction::Decision => approvals::decide(&call).await,
        AdminAction::Clients => clients::list(&call),
        AdminAction::Client => clients::read(&call),
        AdminAction::ClientEnd => clients::end(&call).await,
        AdminAction::ClientApproval => clients::approve(&call).await,
        AdminAction::BreakGlassDeclare => emergencies::declare(&call).await,
        AdminAction::BreakGlassOpen => emergencies::open(&call),
        AdminAction::BreakGlassEnd => emergencies::end(&call).await,
        AdminAction::BreakGlassReview => emergencies::review(&call).await,
        AdminAction::Notices => notices::list(&call),
        AdminAction::NoticeSeen => notices::seen(&call).await,
        AdminAction::Policy => rules::list(&call),
        AdminAction::PolicyAsk => changes::ask(&call).await,
        AdminAction::PolicyProposed => changes::read(&call).await,
        AdminAction::PolicyApply => changes::apply(&call).await,
        AdminAction::PolicyExplain => rules::explain(&call).await,
        AdminAction::AccessReviews => access_reviews::list(&call),
        AdminAction::AccessReviewPrepare => access_reviews::prepare(&call).await,
        AdminAction::AccessReview => access_reviews::read(&call).await,
        AdminAction::AccessReviewJudge => access_reviews::judge(&call).await,
        AdminAction::AccessReviewClose => access_reviews::close(&call).await,
        AdminAction::LedgerEntries => ledger::entries(&call).await,
        AdminAction::LedgerExtent => ledger::extent(&call).await,
        AdminAction::Lockdown => lockdown::read(&call),
        AdminAction::Lock => lockdown::lock(&call).await,
        AdminAction::LockdownLift => lockdown::lift(&call).await,
        AdminAction::Scim(action) => scim::answer(action, &call).await,
    }
}

impl<S> AdminCall<'_, S> {
    fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// A part of the path; empty where there is none. Ids need no decoding: what is encoded is none.
    fn segment(&self, place: usize) -> &str {
        self.path.split('/').nth(place + 1).unwrap_or_default()
    }

    /// The person with the session. The routes let nobody else in.
    fn person(&self) -> Result<&Person, ApiError> {
        self.who.person().ok_or_else(ApiError::forbidden)
    }

    fn actor(&self) -> Result<Actor, ApiError> {
        self.person()?;
        Ok(self.who.actor(self.people, self.connection, self.peer))
    }

    /// A machine that provisions: a token of the role that keeps accounts, made at the command line. Neither a person nor an app.
    fn machine(&self) -> Option<Actor> {
        let is_one = matches!(self.who.by, By::Token) && self.who.role == Role::Administrator;
        is_one.then(|| self.who.actor(self.people, self.connection, self.peer))
    }

    /// As the record store knows the person.
    fn caller(&self) -> Result<Caller, ApiError> {
        self.person()?;
        access::caller(self.who, self.peer, self.headers, self.connection.operation)
    }

    /// From where and for which request, for the authorization server.
    fn circumstances(&self) -> Asked {
        let origin = Origin { address: self.connection.address, channel: Channel::Http };
        Asked { origin, operation: self.connection.operation }
    }

    /// Takes back all that an account gave to apps.
    async fn revoke(&self, account: &AccountId) -> Result<(), ApiError> {
        let by = self.who.owner.as_str();
        Ok(self.people.smart.revoke_account(account.as_str(), by, self.circumstances()).await?)
    }

    /// Takes back what an account gave to apps, if it may not be used any more.
    async fn cut_off(&self, account: &Account) -> Result<(), ApiError> {
        match account.state {
            State::Suspended | State::Closed => self.revoke(&account.id).await,
            State::Pending | State::Active => Ok(()),
        }
    }
}

fn json_reply(status: StatusCode, body: &Value) -> Reply {
    Reply::text(status, JSON, body.to_string())
}

/// An answer that says where what was made is found.
fn created(status: StatusCode, place: &str, body: &Value) -> Result<Reply, ApiError> {
    let place = HeaderValue::try_from(place).map_err(|_| ApiError::internal("the base URL is no header value"))?;
    Ok(json_reply(status, body).header(LOCATION, place))
}
