//! Tests that drive the program from outside: killed at any moment, and held to what it says on its command line and over
//! HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "clippy.toml allows these in tests, but does not take the functions beside them for tests; kills need a real clock"
)]

mod acknowledged;
mod backups;
mod completeness;
mod drill;
mod exported_log;
mod http;
mod keys;
mod kills;
mod lockdowns;
mod operations;
mod packages;
mod packs;
mod people;
mod place;
mod program_kills;
mod real_data;
mod records;
mod refusals;
mod rehearsals;
mod restores;
mod serving;
mod transfers;
mod workload;
