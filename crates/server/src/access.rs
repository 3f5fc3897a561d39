//! Who asks: the bearer token, the purpose, and for whom. A request that does not get past here learns nothing, not even
//! whether the path that it named exists.

use crate::app::App;
use crate::connection::Peer;
use crate::error::ApiError;
use crate::lockout::Source;
use crate::routes::{Action, Capability};
use crate::service::RecordService;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use tacet_ledger::{Channel, EventKind, ON_BEHALF_OF_BYTES_MAX, Origin, Outcome, PurposeOfUse};
use tacet_types::{OperationId, Timestamp};
use tacet_vault::{Caller, Role, Token};

/// Why records are used: a code of HL7 v3 `PurposeOfUse`.
const PURPOSE: HeaderName = HeaderName::from_static("x-purpose-of-use");

/// The person for whom a machine asks.
const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");

/// Longest token that is looked at. Tacet's own are far shorter.
const TOKEN_BYTES_MAX: usize = 512;

/// Under whose name a failed attempt goes into the ledger, since nobody is known yet.
const NOBODY: &str = "(not authenticated)";

impl Capability {
    /// Whether a role has this right.
    pub fn is_of(self, role: Role) -> bool {
        match self {
            Self::RecordsRead => role.may_read_records(),
            Self::RecordsWrite => role.may_write_records(),
            Self::Metrics | Self::Maintenance => role.may_read_metrics(),
        }
    }
}

/// The token that a request brings.
enum Credentials<'a> {
    None,
    Malformed,
    Bearer(&'a str),
}

fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Credentials::None };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.and_then(|text| text.split_once(' ')) {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len()) =>
        {
            Credentials::Bearer(token)
        }
        _ => Credentials::Malformed,
    }
}

/// Finds the token of a request, or refuses it. A refusal is the same whatever was wrong.
pub(crate) async fn authenticate<S: RecordService>(
    app: &App<S>,
    peer: &Peer,
    headers: &HeaderMap,
    operation: OperationId,
) -> Result<Token, ApiError> {
    let found = match credentials(headers) {
        Credentials::None => return Err(ApiError::unauthorized()),
        Credentials::Malformed => None,
        Credentials::Bearer(secret) => app.service.authenticate(secret)?,
    };
    let source = Source::of(peer.address().ip());
    let now = app.clock.now();
    let known = found.as_ref().is_some_and(|token| peer.has_worked(&token.id));
    if let Some(token) = found.as_ref().filter(|_| known) {
        return Ok(token.clone());
    }
    if let Some(left_s) = app.lockout.locked_s(source, now) {
        let neighbour = found.filter(|token| app.lockout.is_known(source, &token.id));
        app.metrics.locked_out(neighbour.is_none());
        return neighbour.ok_or_else(|| ApiError::locked(left_s));
    }
    match found {
        Some(token) => {
            app.lockout.worked(source, &token.id);
            peer.worked(&token.id);
            Ok(token)
        }
        None => {
            failed(app, peer, source, operation, now).await;
            Err(ApiError::unauthorized())
        }
    }
}

async fn failed<S: RecordService>(app: &App<S>, peer: &Peer, source: Source, operation: OperationId, now: Timestamp) {
    app.metrics.authentication_failed();
    let failed = app.lockout.failed(source, now);
    if failed.locks {
        tracing::warn!(operation = %operation, "an address is locked after too many failed attempts");
    }
    if failed.note {
        let nobody = Caller::new(NOBODY, Role::Operator, PurposeOfUse::Operations, origin(peer), operation);
        // The refusal stands whether or not it could be noted; a ledger that cannot write shows in `/health`.
        if app.service.note(&nobody, EventKind::LoginFailed, Outcome::Refused).await.is_err() {
            tracing::error!(operation = %operation, "a failed attempt could not be written into the ledger");
        }
    }
}

/// Writes into the ledger that somebody tried what their role does not allow, once in a while for each token.
pub(crate) async fn refused<S: RecordService>(
    app: &App<S>,
    peer: &Peer,
    token: Token,
    action: Action,
    operation: OperationId,
) {
    let Some(kind) = event(action) else { return };
    if !app.lockout.refused(&token.id, app.clock.now()) {
        return;
    }
    let Ok(caller) = caller(token, peer, &HeaderMap::new(), operation) else { return };
    if app.service.note(&caller, kind, Outcome::Refused).await.is_err() {
        tracing::error!(operation = %operation, "a refusal could not be written into the ledger");
    }
}

/// What was tried; `None` where no record is concerned.
fn event(action: Action) -> Option<EventKind> {
    Some(match action {
        Action::Read => EventKind::Read,
        Action::Vread => EventKind::Vread,
        Action::HistoryInstance | Action::HistoryType | Action::HistorySystem => EventKind::History,
        Action::Everything => EventKind::Everything,
        Action::Create => EventKind::Create,
        Action::Update
        | Action::ConditionalUpdate
        | Action::Patch
        | Action::ConditionalPatch
        | Action::MetaAdd
        | Action::MetaDelete
        | Action::Bundle => EventKind::Update,
        Action::Delete | Action::ConditionalDelete => EventKind::Delete,
        Action::SearchType | Action::SearchSystem | Action::SearchCompartment | Action::Match | Action::Absent(_) => {
            EventKind::Search
        }
        Action::Terminology | Action::Validate | Action::SubscriptionStatus | Action::SubscriptionEvents => {
            EventKind::Search
        }
        Action::Meta => EventKind::Read,
        Action::ExportSystem
        | Action::ExportPatients
        | Action::ExportGroup
        | Action::CopyStatus
        | Action::CopyFile
        | Action::CopyEnd => EventKind::Export,
        Action::Import | Action::ImportStatus | Action::ImportEnd => EventKind::Import,
        Action::Metadata
        | Action::Health
        | Action::WellKnown
        | Action::Metrics
        | Action::IndexStatus
        | Action::IndexRebuild => return None,
    })
}

fn origin(peer: &Peer) -> Origin {
    Origin { address: Some(peer.address().ip().to_canonical()), channel: Channel::Http }
}

/// The caller of a request whose token is good.
pub(crate) fn caller(
    token: Token,
    peer: &Peer,
    headers: &HeaderMap,
    operation: OperationId,
) -> Result<Caller, ApiError> {
    let purpose = match headers.get(PURPOSE) {
        None if token.role == Role::Clinician => PurposeOfUse::Treatment,
        None => PurposeOfUse::Operations,
        Some(code) => code.to_str().ok().and_then(PurposeOfUse::parse).ok_or_else(|| {
            ApiError::invalid("`X-Purpose-Of-Use` must be a code of HL7 v3 PurposeOfUse such as `TREAT`")
        })?,
    };
    let on_behalf_of = match headers.get(ON_BEHALF_OF).map(|name| std::str::from_utf8(name.as_bytes())) {
        None => None,
        Some(Ok(name)) if !name.is_empty() && name.len() <= ON_BEHALF_OF_BYTES_MAX => Some(name.to_owned()),
        Some(_) => {
            let message = format!("`X-On-Behalf-Of` must be 1 to {ON_BEHALF_OF_BYTES_MAX} bytes of UTF-8");
            return Err(ApiError::invalid(message));
        }
    };
    Ok(Caller {
        token: Some(token.id),
        on_behalf_of,
        ..Caller::new(token.owner, token.role, purpose, origin(peer), operation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_a_bearer_token_is_one() {
        let read = |texts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(AUTHORIZATION, HeaderValue::from_static(text));
            }
            match credentials(&headers) {
                Credentials::None => "none".to_owned(),
                Credentials::Malformed => "malformed".to_owned(),
                Credentials::Bearer(token) => token.to_owned(),
            }
        };
        assert_eq!(read(&[]), "none");
        assert_eq!(read(&["Bearer abc"]), "abc");
        assert_eq!(read(&["bearer abc"]), "abc");
        for text in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(read(&[text]), "malformed", "{text:?}");
        }
        assert_eq!(read(&["Bearer abc", "Bearer def"]), "malformed");
    }
}
