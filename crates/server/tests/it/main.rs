//! The server over real sockets, with a record store in memory behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod client;
mod cost;
mod errors;
mod limits;
mod lockout;
mod logs;
mod matrix;
mod memory;
mod running;
mod searches;
mod semantics;
mod stop;
mod tls;
mod vaulted;
