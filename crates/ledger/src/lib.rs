//! The access ledger.

pub mod merkle;
