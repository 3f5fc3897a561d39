//! Accounts of people, passkeys, sessions, second persons.
//!
//! ```text
//!  administrator ──ask(NewAccount)──> Approval ──decide, by another──> account (pending) + invitation
//!        │ first code, from who asked                                     │ second code, from who decided
//!        └───────────────> the person <───────────────────────────────────┘
//!                             │ both codes, then a passkey
//!                             ▼
//!                  login: challenge ──> passkey, user verified ──> session, bound to the device ──> Person
//!                                                                     │ fresh passkey: step-up
//!                                                                     ▼
//!                                              Actor: keeps accounts, asks, decides, reviews
//! ```
//!
//! What it is: [`Identity`], over sealed rows ([`NotedRows`]) that change together with their entries in the ledger. It keeps accounts,
//! their passkeys (`webauthn-rs`), invitations, sessions, lock-outs, approvals, the review of break-glass, notices, and what the
//! hospital's directory provisions ([`scim`], [`provisioning`]). Rows: `docs/formats/identity.md`; rules: `docs/identity.md`.
//!
//! What it is not: it knows no HTTP, opens no record, decides nothing about records, and has no password anywhere. Machines
//! log in elsewhere (tokens of the vault, clients of the authorization server).
//!
//! # Rules that hold everywhere here
//!
//! 1. Nobody is let in but by a passkey with user verification, or a session that one began.
//! 2. Who is unknown costs the same work as who is known and fails, and gets the same answer.
//! 3. No right is given by one person: whoever asks, whoever decides and whoever gains are different people.
//! 4. What ends (a session, an account, a passkey) ends with the commit that says so; nothing is cached.

mod access_review;
mod account;
mod accounts;
mod actor;
mod approval;
mod approvals;
mod ceremony;
mod closing;
mod connection;
mod elsewhere;
mod enrolment;
mod error;
mod id;
mod invitation;
mod lockout;
mod login;
mod notices;
mod passkey;
mod proposals;
pub mod provisioning;
mod restored;
mod reviews;
mod rows;
pub mod scim;
mod secret;
mod session;
mod settings;

pub use access_review::{
    ACCESS_REVIEWS_MAX, AccessReview, Gathering, ItemJudged, ItemOutcome, REVIEW_COMMENT_BYTES_MAX, REVIEW_CSV_HEADER,
    REVIEW_DAYS_MAX, REVIEW_DUE_MS, REVIEW_ITEMS_MAX, ReviewClosed, ReviewItem, ReviewState, Reviewer, SampleRule,
    Section, Terms, item_csv, item_json, review_json,
};
pub use account::{
    Account, Draft, EXTERNAL_ID_BYTES_MAX, LOGIN_BYTES_MAX, NAME_BYTES_MAX, PASSKEYS_MAX, PATIENTS_MAX, SESSIONS_MAX,
    State, Window, login_form,
};
pub use actor::Actor;
pub use approval::{
    ACT_BYTES_MAX, Act, Approval, BENEFICIARIES_MAX, Decision, Kind, REASON_BYTES_MAX, Request, TICKET_BYTES_MAX, Who,
};
pub use approvals::{Decided, Use};
pub use closing::{Due, WhyDue};
pub use connection::Connection;
pub use enrolment::Offer;
pub use error::IdentityError;
pub use id::{AccountId, ApprovalId, CeremonyId};
pub use invitation::Invited;
pub use login::LoggedIn;
pub use notices::NOTICES_LISTED_MAX;
pub use passkey::{LABEL_BYTES_MAX, PasskeyInfo};
pub use proposals::{PROPOSALS_OPEN_MAX, Proposals};
pub use restored::EndedAfterRestore;
pub use reviews::{OpenReview, REVIEWS_LISTED_MAX};
pub use secret::{DEVICE_PREFIX, INVITATION_PREFIX, SESSION_PREFIX};
pub use session::{Person, SESSION_TOUCH_MS, SessionInfo};
pub use settings::{Settings, TRIES_MAX};
pub use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential, Url};

use crate::ceremony::Ceremonies;
use crate::lockout::{Sources, UnderWay};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tacet_ledger::Entry;
use tacet_ledger::noted::{NotedRows, RowWrite};
use tacet_types::{Clock, Rng, Timestamp};
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder};

/// How often a change is tried again when somebody else changed the same row meanwhile.
pub(crate) const ATTEMPTS_MAX: usize = 16;

/// Accounts of people and all that goes with them.
pub struct Identity {
    pub(crate) rows: Arc<dyn NotedRows>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) settings: Settings,
    pub(crate) webauthn: Webauthn,
    pub(crate) ceremonies: Ceremonies,
    pub(crate) sources: Sources,
    pub(crate) under_way: UnderWay,
    /// Sessions that began before count no more, in milliseconds since 1970.
    pub(crate) not_before_ms: AtomicI64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("rp_id", &self.settings.rp_id).finish_non_exhaustive()
    }
}

impl Identity {
    /// Identity over these rows.
    ///
    /// # Errors
    /// Settings that do not fit passkeys, and rows that cannot be read.
    pub fn open(
        rows: Arc<dyn NotedRows>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        settings: Settings,
    ) -> Result<Self, IdentityError> {
        let webauthn = webauthn(&settings)?;
        let sources = Sources::new(settings.tries_max(), settings.lock_ms);
        let identity = Self {
            rows,
            clock,
            rng,
            settings,
            webauthn,
            ceremonies: Ceremonies::default(),
            sources,
            under_way: UnderWay::default(),
            not_before_ms: AtomicI64::new(i64::MIN),
        };
        let not_before_ms = identity.stored_not_before()?;
        identity.not_before_ms.store(not_before_ms, Ordering::SeqCst);
        Ok(identity)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn commit(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Result<(), IdentityError> {
        for entry in &entries {
            entry.check()?;
        }
        Ok(self.rows.commit(writes, entries).await?)
    }
}

fn webauthn(settings: &Settings) -> Result<Webauthn, IdentityError> {
    let (first, more) = settings.origins.split_first().ok_or(IdentityError::Settings)?;
    let ceremony_ms = u64::try_from(settings.ceremony_ms).map_err(|_| IdentityError::Settings)?;
    let mut builder = WebauthnBuilder::new(&settings.rp_id, first)
        .map_err(|_| IdentityError::Settings)?
        .rp_name(&settings.rp_name)
        .timeout(std::time::Duration::from_millis(ceremony_ms));
    for origin in more {
        // The first is held to the id by the builder; the others by the same rule.
        WebauthnBuilder::new(&settings.rp_id, origin).map_err(|_| IdentityError::Settings)?;
        builder = builder.append_allowed_origin(origin);
    }
    builder.build().map_err(|_| IdentityError::Settings)
}
