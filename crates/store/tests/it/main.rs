//! Tests of the store over each of its engines: conformance, a model, faults, kills and damage.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "clippy.toml allows these in tests, but does not take the functions beside them for tests"
)]

mod conformance;
mod damage;
mod faults;
mod full;
mod homes;
mod kills;
mod model;
mod speed;
mod suite;
mod workload;
