//! Exit codes, as `tacet --help` tells them. (clap ends with 2 on a wrong command line.)

/// All is well.
pub(crate) const OK: u8 = 0;

/// The command failed.
pub(crate) const FAILED: u8 = 1;

/// The command did its work and found something wrong: a damaged row, a failed drill.
pub(crate) const FINDINGS: u8 = 3;

/// Some records of an import were left out.
pub(crate) const REJECTED: u8 = 4;
