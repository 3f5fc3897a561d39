//! What a hospital can set.

use tacet_types::Timestamp;
use webauthn_rs::prelude::Url;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Most failed tries before a lock: settings may lower it, never raise it.
pub const TRIES_MAX: u32 = 10;

/// Settings. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain that passkeys are bound to: `tacet.hospital.example`. Passkeys of another do not work here, and it cannot be
    /// changed without enrolling everybody anew.
    pub rp_id: String,
    /// Where the pages are: `https://tacet.hospital.example`. More than one where the server has several names under `rp_id`.
    pub origins: Vec<Url>,
    /// What people read when their device asks: the hospital's name.
    pub rp_name: String,
    /// A session ends when it was not used this long.
    pub session_idle_ms: i64,
    /// A session ends this long after its login.
    pub session_ms_max: i64,
    /// What needs a fresh passkey needs one that was shown within this time.
    pub step_up_ms: i64,
    /// A login or an enrolment must be finished within this time.
    pub ceremony_ms: i64,
    /// An invitation ends after this time.
    pub invitation_ms: i64,
    /// Failed tries of one account or from one source before a lock. Held to 1 to [`TRIES_MAX`].
    pub tries_max: u32,
    /// How long a lock lasts.
    pub lock_ms: i64,
    /// An approval that nobody decided on ends after this time.
    pub approval_pending_ms: i64,
    /// A right that was allowed ends at the latest after this time.
    pub approval_ms_max: i64,
    /// A supplier's window is at most this long.
    pub supplier_ms_max: i64,
    /// An account that nobody used for this time is closed by rule.
    pub dormant_ms: i64,
    /// An account that nobody enrolled for within this time is closed by rule.
    pub never_enrolled_ms: i64,
    /// Whether a directory cannot rename an account that is in use: so where a provider's people are found by their login here.
    pub logins_fixed: bool,
}

impl Settings {
    /// Settings for one origin, all times as proposed.
    pub fn new(rp_id: &str, origin: Url, rp_name: &str) -> Self {
        Self {
            rp_id: rp_id.to_owned(),
            origins: vec![origin],
            rp_name: rp_name.to_owned(),
            session_idle_ms: 15 * MINUTE_MS,
            session_ms_max: 10 * HOUR_MS,
            step_up_ms: 5 * MINUTE_MS,
            ceremony_ms: 5 * MINUTE_MS,
            invitation_ms: 2 * DAY_MS,
            tries_max: TRIES_MAX,
            lock_ms: 15 * MINUTE_MS,
            approval_pending_ms: 7 * DAY_MS,
            approval_ms_max: 30 * DAY_MS,
            supplier_ms_max: 12 * HOUR_MS,
            dormant_ms: 90 * DAY_MS,
            never_enrolled_ms: 30 * DAY_MS,
            logins_fixed: false,
        }
    }

    /// The tries before a lock, within its bound.
    pub fn tries_max(&self) -> u32 {
        self.tries_max.clamp(1, TRIES_MAX)
    }

    /// Whether a passkey that was shown at `shown` is fresh at `now`.
    pub fn is_fresh(&self, shown: Timestamp, now: Timestamp) -> bool {
        let age_ms = now.as_ms().saturating_sub(shown.as_ms());
        (0..=self.step_up_ms).contains(&age_ms)
    }
}
