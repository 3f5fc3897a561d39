//! The vault from outside: over the memory engine, with faults, and with the real data where it is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "clippy.toml allows these in tests, but does not take the functions beside them for tests"
)]

mod access;
mod bundles;
mod conditional;
mod copies;
mod crash;
mod crash_log;
mod disclosure;
mod drills;
mod histories;
mod house;
mod imports;
mod index_files;
mod knowledge;
mod ledger_questions;
mod lifecycle;
mod lockdown;
mod matching;
mod parameters;
mod real_data;
mod records;
mod restored;
mod retention;
mod review;
mod searching;
mod subscribing;
mod transparency;
