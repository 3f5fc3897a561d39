//! Tests of the search index from outside: it and the plain matcher must answer alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "clippy.toml allows these in tests, but does not take the functions beside them for tests"
)]

mod differential;
mod documents;
mod draw;
mod filters;
mod measure;
mod model;
