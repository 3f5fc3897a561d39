//! What was tried and refused: by whom nobody knows, or by somebody whose role does not allow it. Counted, and written into the ledger within bounds.

use crate::access::{Who, caller, origin};
use crate::app::App;
use crate::connection::Peer;
use crate::lockout::{Failure, Source};
use crate::people::People;
use crate::routes::Action;
use crate::service::RecordService;
use hyper::header::{HeaderMap, HeaderValue, ORIGIN};
use tacet_ledger::{EventKind, Outcome, PurposeOfUse};
use tacet_types::OperationId;
use tacet_vault::{Caller, Role};

/// Under whose name a failed attempt goes into the ledger, since nobody is known yet.
const NOBODY: &str = "(not authenticated)";

/// Whether somebody there tried, or a page of another site made their browser try: any page may send a form or a token of its own making, and would lock
/// a hospital's address so.
pub(crate) fn failure_of(people: Option<&People>, headers: &HeaderMap) -> Failure {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let ours = |origin: &HeaderValue| {
        people.is_some_and(|people| people.origins.iter().any(|own| own.as_bytes() == origin.as_bytes()))
    };
    let other = matches!(site, Some(b"cross-site" | b"same-site"))
        || headers.get_all(ORIGIN).iter().any(|origin| !ours(origin));
    if other { Failure::OfAnotherSite } else { Failure::Tried }
}

/// Counts a failed attempt of somebody who is not known, and writes it into the ledger: the first ones each, those after them as a number.
pub(crate) async fn failed<S: RecordService>(
    app: &App<S>,
    peer: &Peer,
    failure: Failure,
    operation: OperationId,
    what: &str,
) {
    app.metrics.authentication_failed();
    let failed = app.lockout.failed(Source::of(peer.address().ip()), failure, app.clock.now());
    if failed.locks {
        tracing::warn!(operation = %operation, "an address is locked after too many failed attempts");
    }
    if let Some(attempts) = failed.note {
        let nobody = Caller::new(NOBODY, Role::Operator, PurposeOfUse::Operations, origin(peer), operation);
        let detail = match attempts {
            0 | 1 => what.to_owned(),
            more => format!("{what}; this stands for {more} failed attempts from there"),
        };
        // The refusal stands whether or not it could be noted; a ledger that cannot write shows in `/health`.
        if app.service.note(&nobody, EventKind::LoginFailed, Outcome::Refused, Some(detail)).await.is_err() {
            tracing::error!(operation = %operation, "a failed attempt could not be written into the ledger");
        }
    }
}

/// Writes into the ledger that somebody tried what their role does not allow, once in a while for each token.
pub(crate) async fn refused<S: RecordService>(
    app: &App<S>,
    peer: &Peer,
    who: &Who,
    action: Action,
    operation: OperationId,
) {
    let Some(kind) = action.event() else { return };
    if !app.lockout.refused(&who.credential, app.clock.now()) {
        return;
    }
    let Ok(caller) = caller(who, peer, &HeaderMap::new(), operation) else { return };
    if app.service.note(&caller, kind, Outcome::Refused, None).await.is_err() {
        tracing::error!(operation = %operation, "a refusal could not be written into the ledger");
    }
}

impl Action {
    /// What was tried; `None` where no record is concerned.
    pub(crate) fn event(self) -> Option<EventKind> {
        Some(match self {
            Self::Read => EventKind::Read,
            Self::Vread => EventKind::Vread,
            Self::HistoryInstance | Self::HistoryType | Self::HistorySystem => EventKind::History,
            Self::Everything | Self::Summary => EventKind::Everything,
            Self::Create => EventKind::Create,
            Self::Update
            | Self::ConditionalUpdate
            | Self::Patch
            | Self::ConditionalPatch
            | Self::MetaAdd
            | Self::MetaDelete
            | Self::Bundle => EventKind::Update,
            Self::Delete | Self::ConditionalDelete => EventKind::Delete,
            Self::SearchType | Self::SearchSystem | Self::SearchCompartment | Self::Match | Self::Absent(_) => {
                EventKind::Search
            }
            Self::Terminology | Self::Validate | Self::SubscriptionStatus | Self::SubscriptionEvents => {
                EventKind::Search
            }
            Self::Meta => EventKind::Read,
            Self::ExportSystem
            | Self::ExportPatients
            | Self::ExportGroup
            | Self::CopyStatus
            | Self::CopyFile
            | Self::CopyEnd => EventKind::Export,
            Self::Import | Self::ImportStatus | Self::ImportEnd | Self::FeedAdt => EventKind::Import,
            Self::AuditRead | Self::AuditSearch | Self::AccessReport => EventKind::LedgerAccess,
            Self::Metadata
            | Self::Health
            | Self::WellKnown
            | Self::Metrics
            | Self::IndexStatus
            | Self::Auth(_)
            | Self::Admin(_)
            | Self::IndexRebuild
            | Self::LogFile => return None,
        })
    }
}
