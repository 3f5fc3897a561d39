//! HTTP for Tacet: FHIR REST over the record store, with TLS, tokens, limits, logs and metrics.
//!
//! ```text
//! listener ─> connection ─> router (made from `ROUTES`) ─> dispatch ─> handlers ─> RecordService (the vault)
//!    TLS        h1, h2                                       who?   └──> auth, admin ─> People (accounts, sessions, apps)
//! ```
//!
//! What is **not** here: rules about records (the vault's), what an account or a scope is (the crates `identity` and `smart`).
//!
//! A server is bound, then run:
//!
//! ```no_run
//! # async fn example(service: impl tacet_server::RecordService) -> Result<(), tacet_server::ServeError> {
//! use std::sync::Arc;
//! use tacet_server::{Environment, Server, ServerConfig};
//! use tacet_types::{SystemClock, SystemRng};
//!
//! let environment = Environment { clock: Arc::new(SystemClock), rng: Arc::new(SystemRng) };
//! let server = Server::bind(ServerConfig::default(), service, environment).await?;
//! println!("{}", server.base_url());
//! server.run(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod access;
mod admin;
mod app;
mod auth;
mod body;
mod bundle;
mod capability;
mod config;
mod connection;
mod content;
mod dispatch;
mod error;
mod feeds;
mod handlers;
mod imports;
mod listener;
mod lockdown;
mod lockout;
mod metrics;
mod negotiate;
mod packs;
mod people;
mod pretty;
mod publishing;
mod query;
mod reply;
mod reporting;
mod retaining;
mod routes;
mod service;
mod siem;
mod subscriptions;
mod tls;
mod tried;
mod tripwires;
mod vault_service;
mod witness;

pub use admin::rounds::Round;
pub use admin::{AdminAction, ScimAction};
pub use app::Environment;
pub use auth::AuthAction;
pub use auth::outgoing::OutgoingConfig;
pub use config::{Limits, ServerConfig, TlsConfig};
pub use listener::{ServeError, Server, Stopped, serve};
pub use packs::{MadePack, PackMaker, Packs, PacksConfig, PacksError, WardConfig};
pub use people::{ForeignRule, PROPOSING_MAX, People, PeopleError, PeopleSettings};
pub use publishing::{LedgerConfig, PublishError, Publisher, WitnessConfig};
pub use reporting::ReportConfig;
pub use retaining::Retaining;
pub use routes::{Access, Action, Capability, ROUTES, Route};
pub use service::RecordService;
pub use siem::{
    AUDIT_FEEDS_MAX, AuditFeedConfig, AuditFeedError, AuditFeedFigures, AuditFeedForm, AuditFeedFrame,
    AuditFeedPatients, AuditFeedStart, AuditFeeds,
};
pub use subscriptions::{Subscriptions, SubscriptionsConfig, SubscriptionsError};
pub use tls::TlsError;
pub use tripwires::{Alarms, LOCK_ORDER_FILE, LockOrder, TripwireLock, Tripwires, TripwiresConfig, take_lock_order};
pub use witness::{WitnessBook, WitnessError, WitnessServer};
