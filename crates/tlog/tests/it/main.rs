//! The verification against logs that were tampered with. One test binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the functions here are called by tests only"
)]

mod files;
mod mutations;
