//! What a lockdown means for requests, and how sessions are cut.
//!
//! From the level `cut` on only those are let in who can lift a lockdown, by whatever credential; nothing is given to apps, and nobody logs in
//! elsewhere. This is looked at with every request and needs no row; the sessions and tokens that there were end in the background, and until
//! they have, nothing is lifted. Below that level the vault alone refuses what changes records.

use crate::access::Who;
use crate::app::App;
use crate::auth::AuthAction;
use crate::error::ApiError;
use crate::people::{People, PeopleError};
use crate::routes::{Access, Action, Route};
use crate::service::RecordService;
use hyper::StatusCode;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tacet_fhir::outcome::IssueType;
use tacet_identity::{Actor, Kind};
use tacet_ledger::{Channel, Origin};
use tacet_smart::Asked;
use tacet_types::{OperationId, Rng, Role};
use tacet_vault::{LockdownLevel, ReadOnly};
use tokio::time::sleep;

/// How often it is looked whether sessions are to be cut, in milliseconds.
const LOOK_MS: u64 = 250;

/// How long it rests where cutting failed, in milliseconds.
const AGAIN_MS: u64 = 5_000;

/// Under which name the ledger has what is cut here.
const NAME: &str = "tacet: lockdown";

/// Whether a role has something to do in lifting a lockdown: it asks or decides.
pub(crate) fn may_lift(role: Role) -> bool {
    Kind::LiftLockdown.may_ask(role) || Kind::LiftLockdown.may_decide(role)
}

/// Refuses a request that a lockdown lets nobody make, or not this caller.
pub(crate) fn refuse<S: RecordService>(app: &App<S>, line: &Route, who: Option<&Who>) -> Result<(), ApiError> {
    let Some(level) = app.service.lockdown().filter(|level| *level >= LockdownLevel::Cut) else { return Ok(()) };
    let refused = match (line.access, who) {
        (_, Some(who)) => !may_lift(who.role),
        (Access::Client, None) => true,
        (Access::Visitor, None) => matches!(
            line.action,
            Action::Auth(
                AuthAction::Authorize | AuthAction::Register | AuthAction::ForeignStart | AuthAction::ForeignCallback
            )
        ),
        // Public, or a file of the published ledger.
        _ => false,
    };
    match (refused, level) {
        (false, _) => Ok(()),
        (true, LockdownLevel::Sealed) => Err(refusal(
            "the store is locked, sessions are cut and no record can be opened: two people lift that, then the server is started again \
             (docs/lockdown.md)",
        )),
        (true, _) => Err(locked_down()),
    }
}

/// 503: sessions are cut.
pub(crate) fn locked_down() -> ApiError {
    refusal("the store is locked and sessions are cut: only those are let in who can lift that (docs/lockdown.md)")
}

fn refusal(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, IssueType::Transient, message)
        .retry_after_s(ReadOnly::Lockdown.retry_after_s())
}

/// Cuts what there was of sessions and tokens, once for each lockdown, and again after a start under one. Never ends.
pub(crate) async fn watch<S: RecordService>(app: &App<S>) {
    loop {
        let cuts = app.service.lockdown().is_some_and(|level| level >= LockdownLevel::Cut);
        if !cuts {
            app.sessions_cut.store(false, Ordering::Release);
        } else if !app.sessions_cut.load(Ordering::Acquire) {
            let done = match &app.people {
                Some(people) => cut(people, &*app.rng).await,
                None => Ok(()),
            };
            match done {
                Ok(()) => {
                    app.sessions_cut.store(true, Ordering::Release);
                    tracing::warn!("every session and every app's token was ended");
                }
                Err(error) => {
                    tracing::error!(%error, "sessions could not be ended in the store; requests are refused all the same");
                    sleep(Duration::from_millis(AGAIN_MS)).await;
                }
            }
        }
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

/// Ends every session, and what every account gave to apps.
async fn cut(people: &People, rng: &dyn Rng) -> Result<(), PeopleError> {
    let origin = Origin { address: None, channel: Channel::Internal };
    let operation = OperationId::random(rng);
    people.identity.end_all_sessions(&Actor::machine(NAME, None, origin, operation)).await?;
    for account in people.identity.accounts()? {
        people.smart.revoke_account(account.id.as_str(), NAME, Asked { origin, operation }).await?;
    }
    Ok(())
}
