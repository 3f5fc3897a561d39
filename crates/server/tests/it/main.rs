//! The server over real sockets, with a record store in memory behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod admin;
mod audit;
mod auth;
mod bulk;
mod client;
mod cost;
mod errors;
mod feeds;
mod hidden;
mod knowledge;
mod limits;
mod lockout;
mod logs;
mod matching;
mod matrix;
mod memory;
mod missed_events;
mod operations;
mod packs;
mod publishing;
mod relations;
mod running;
mod searches;
mod semantics;
mod siem;
mod stop;
mod subscribing;
mod summaries;
mod tls;
mod tripwires;
mod vaulted;
mod ward;
