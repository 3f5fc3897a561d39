//! Sending the notifications of Subscription resources (<https://hl7.org/fhir/R4/subscription.html#2.46.7.1>): rest-hook alone, and
//! only to endpoints that the operator allows.
//!
//! ```text
//! supervisor ──> one task for each Subscription ──> decide ──> (handshake) ──> active ──> send, in order, with retries
//! ```
//!
//! This is the only part of Tacet that opens a connection to somewhere else. It goes through no proxy, follows no redirect and
//! reads no answer beyond its status. What it says tells nothing of a patient unless the operator allows the endpoint more.

pub(crate) mod answer;
mod client;
mod decide;
mod deliver;
mod notice;
pub(crate) mod standing;

use crate::app::Environment;
use client::Client;
use deliver::Shared;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use tacet_vault::Vault;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Notifications on their way at a time, over all subscriptions.
const SENDS_MAX: usize = 64;

/// Where notifications may go, and how hard it is tried.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionsConfig {
    /// What the URL of an endpoint must begin with; one of these. Empty: there are no subscriptions.
    pub allowed: Vec<String>,
    /// Of the allowed ones, those that may be sent ids and contents of records.
    pub payload_allowed: Vec<String>,
    /// PEM file with the certificates of the authorities that endpoints are held to. Needed for `https` endpoints.
    pub roots: Option<PathBuf>,
    /// Longest time for one attempt, from the look-up of the name to the status, in milliseconds.
    pub timeout_ms: u64,
    /// Wait after the first failed attempt, in milliseconds; it doubles with each further one.
    pub retry_first_ms: u64,
    /// Longest wait between attempts, in milliseconds.
    pub retry_wait_ms_max: u64,
    /// Failed attempts in a row after which a subscription ends in an error.
    pub attempts_max: u32,
    /// Time of failed attempts in a row after which a subscription ends in an error, in milliseconds.
    pub retry_ms_max: u64,
}

impl Default for SubscriptionsConfig {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            payload_allowed: Vec::new(),
            roots: None,
            timeout_ms: 10_000,
            retry_first_ms: 1_000,
            retry_wait_ms_max: 300_000,
            attempts_max: 300,
            retry_ms_max: 86_400_000,
        }
    }
}

/// Why notifications cannot be sent as configured.
#[derive(Debug, Error)]
pub enum SubscriptionsError {
    /// A prefix that lets records cross a network unprotected, or that is none.
    #[error(
        "`{prefix}` under `[subscriptions]` is not the beginning of an https URL with a host (http serves only for 127.0.0.1, [::1] and \
         localhost)"
    )]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// An endpoint that may get payloads, but no notification.
    #[error("`{prefix}` stands in `payload_allowed` under `[subscriptions]` and is not covered by `allowed`")]
    PayloadAlone {
        /// The prefix.
        prefix: String,
    },
    /// Nobody could say who the endpoints are.
    #[error(
        "`allowed` under `[subscriptions]` has https endpoints: set `roots` to a PEM file of the authorities to trust"
    )]
    RootsNeeded,
    /// The file of authorities does not serve.
    #[error("`{path}` under `[subscriptions]` cannot be read as a PEM file with certificates of authorities")]
    Roots {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// The running sender.
pub struct Subscriptions {
    supervisor: JoinHandle<()>,
    stop: watch::Sender<bool>,
    vault: Vault,
}

impl Subscriptions {
    /// Begins to send. `base_url`: the FHIR base URL of this server.
    ///
    /// # Errors
    ///
    /// Where the configuration is unsafe or does not serve.
    pub fn start(
        vault: Vault,
        config: SubscriptionsConfig,
        base_url: &str,
        environment: Environment,
    ) -> Result<Self, SubscriptionsError> {
        decide::check(&config)?;
        let client = Client::new(&config)?;
        let (news, _) = watch::channel(());
        let (stop, stopped) = watch::channel(false);
        vault.watch_subscriptions({
            let news = news.clone();
            move || {
                news.send_replace(());
            }
        });
        let shared = Arc::new(Shared {
            vault: vault.clone(),
            config,
            base_url: base_url.to_owned(),
            clock: environment.clock,
            rng: environment.rng,
            client,
            sends: Semaphore::new(SENDS_MAX),
            news,
            stopped,
        });
        Ok(Self { supervisor: tokio::spawn(deliver::supervise(shared)), stop, vault })
    }

    /// Stops sending. What was not sent is sent after the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.supervisor.await;
        // Where the store has failed this cannot be written; more is looked at after the next start.
        let _ = self.vault.settle_subscriptions(true).await;
    }
}
