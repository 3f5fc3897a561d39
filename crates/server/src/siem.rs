//! Sending the ledger's entries to audit record repositories and SIEMs: ATNA over syslog, JSON, CEF, AuditEvents, over TLS.
//!
//! ```text
//! ledger ── entries from the feed's place on ──> rendered ──> one connection ──> receiver
//!    └──────── place, a sealed row <── what was sent and has settled ──┘
//! ```
//!
//! A receiver that is told by POST answers, and the place follows the answers. TCP alone does not say what a receiver has taken in. So a feed's place there follows what it sends at a distance: what was sent within the last
//! moments before a connection breaks is sent again. Each entry arrives at least once, in its order within a connection, and carries its number.
//!
//! The entries that a feed sends are not written down one by one: the ledger holds when each connection began and ended, and where.

mod config;
mod link;
mod place;
mod render;
mod requests;
mod run;

pub use config::{AuditFeedConfig, AuditFeedError, AuditFeedForm, AuditFeedFrame, AuditFeedPatients, AuditFeedStart};

use crate::app::Environment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tacet_vault::{Caller, Vault};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Most feeds.
pub const AUDIT_FEEDS_MAX: usize = 16;

/// What is known of a running feed.
#[derive(Debug)]
pub struct AuditFeedFigures {
    /// Its name in the configuration.
    pub name: String,
    next: AtomicU64,
    sent: AtomicU64,
    breaks: AtomicU64,
    connected: AtomicBool,
}

impl AuditFeedFigures {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            next: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            breaks: AtomicU64::new(0),
            connected: AtomicBool::new(false),
        })
    }

    /// The first entry that it would send again after a start.
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Entries sent since the start, those that were sent again included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Connections that broke or could not be made since the start.
    pub fn breaks(&self) -> u64 {
        self.breaks.load(Ordering::Relaxed)
    }

    /// Whether it is connected now.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

/// The running feeds.
#[derive(Debug)]
pub struct AuditFeeds {
    tasks: Vec<JoinHandle<()>>,
    figures: Vec<Arc<AuditFeedFigures>>,
    stop: watch::Sender<bool>,
}

impl AuditFeeds {
    /// Begins to send. `caller`: in whose name connections stand in the ledger. `base_url`: the FHIR base URL of this server.
    ///
    /// # Errors
    /// Where a feed's configuration is unsafe or does not serve.
    pub fn start(
        vault: &Vault,
        feeds: &BTreeMap<String, AuditFeedConfig>,
        base_url: &str,
        environment: &Environment,
        caller: &Caller,
    ) -> Result<Self, AuditFeedError> {
        if feeds.len() > AUDIT_FEEDS_MAX {
            return Err(AuditFeedError::TooMany);
        }
        let (stop, stopped) = watch::channel(false);
        let mut running = Vec::new();
        for (name, config) in feeds {
            config.check(name)?;
            running.push(run::Feed {
                name: name.clone(),
                link: link::Link::new(name, config)?,
                config: config.clone(),
                vault: vault.clone(),
                site: vault.audit_site(base_url),
                environment: environment.clone(),
                caller: caller.clone(),
                figures: AuditFeedFigures::new(name),
                stopped: stopped.clone(),
                entries_max: run::BATCH_ENTRIES,
            });
        }
        let figures = running.iter().map(|feed| Arc::clone(&feed.figures)).collect();
        let tasks = running.into_iter().map(|feed| tokio::spawn(feed.run())).collect();
        Ok(Self { tasks, figures, stop })
    }

    /// What is known of each.
    pub fn figures(&self) -> &[Arc<AuditFeedFigures>] {
        &self.figures
    }

    /// Stops sending. What was not taken is sent after the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
