//! What needs a second person although it is no act on an account: a request names by `X-Approval` what was allowed, and that is used up in the
//! commit with which what was allowed begins.

use crate::app::App;
use crate::error::ApiError;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};
use tacet_fhir::outcome::IssueType;
use tacet_identity::{ACT_BYTES_MAX, AccountId, Actor, ApprovalId, Kind, Use};
use tacet_types::Role;
use tacet_vault::Caller;

/// The approval that a request uses.
const APPROVAL: HeaderName = HeaderName::from_static("x-approval");

/// What was allowed, about to be used.
pub(crate) struct Allowed {
    /// What goes into the commit.
    pub(crate) using: Use,
    /// Which approval, who asked and who allowed it.
    pub(crate) words: String,
}

/// An approval of this kind for exactly this: `what`, as whoever decides reads it. A person uses what they asked for; a machine what a
/// person asked for in its name. Without accounts of people there is nobody to ask: the rules alone decide then.
///
/// # Errors
/// 403 with what to ask for, where no approval is named; what identity says of one that does not fit.
pub(crate) fn required<S>(
    app: &App<S>,
    caller: &Caller,
    headers: &HeaderMap,
    kind: Kind,
    what: &str,
) -> Result<Option<Allowed>, ApiError> {
    let Some(people) = &app.people else { return Ok(None) };
    let machine = caller.role == Role::Integrator;
    let text = match (machine, caller.token.as_deref()) {
        (true, Some(token)) => format!("{what}, by machine {} (token {token})", caller.owner),
        _ => what.to_owned(),
    };
    if text.len() > ACT_BYTES_MAX {
        let message = format!("this is longer than the {ACT_BYTES_MAX} bytes that a second person is asked to read");
        return Err(ApiError::invalid(message));
    }
    let mut named = headers.get_all(APPROVAL).iter();
    let id = named.next().and_then(|id| id.to_str().ok()).and_then(ApprovalId::parse);
    let Some(id) = id.filter(|_| named.next().is_none()) else { return Err(needed(kind, &text)) };
    let identity = &people.identity;
    let account = match machine {
        true => identity.approval(&id)?.and_then(|approval| approval.asked.account),
        false => caller.account.as_deref().and_then(AccountId::parse),
    };
    let actor = Actor {
        account,
        name: caller.owner.clone(),
        role: caller.role,
        token: caller.token.clone(),
        device: caller.device.clone(),
        origin: caller.origin,
        operation: caller.operation,
        fresh: false,
    };
    let using = identity.using(&actor, &id, kind, &text)?;
    let approval = identity.approval(&id)?.ok_or_else(ApiError::not_found)?;
    let decided = approval.decision.as_ref().map_or("nobody", |decision| decision.by.name.as_str());
    let words = format!("approval {id}, asked for by {}, allowed by {decided}", approval.asked.name);
    Ok(Some(Allowed { using, words }))
}

fn needed(kind: Kind, text: &str) -> ApiError {
    let message = format!(
        "this needs a second person: ask by POST /_approvals with the kind `{}` and the text `{text}`, then repeat it with \
         the header `X-Approval` and the id of what was allowed",
        kind.as_str()
    );
    ApiError::new(StatusCode::FORBIDDEN, IssueType::Forbidden, message)
}
