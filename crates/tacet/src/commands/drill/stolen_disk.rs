//! The stolen disk.

use crate::error::CliError;
use crate::output::Output;
use std::path::Path;

pub(crate) fn run(_: u64, _: u64, _: bool, _: Option<&Path>, _: &Output) -> Result<u8, CliError> {
    Err(CliError::Usage("being written".into()))
}
