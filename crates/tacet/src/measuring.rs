//! Builds that break a promise on purpose (features `bench-unsealed`, `bench-ledger-buffered`): they say so at each start and
//! serve nobody but this machine. A normal build has nothing of this.

use crate::error::CliError;
use crate::output::Output;
use std::net::SocketAddr;
use tacet_store::Durability;

/// Whether this build answers before the ledger's entry is durable.
const LEDGER_BUFFERED: bool = cfg!(feature = "bench-ledger-buffered");

/// Says what this build does not do. Silent in a normal one.
pub(crate) fn warn(output: &Output) {
    // What the sealing crate really does counts, however its feature came to be switched on.
    if !tacet_seal::SEALS {
        output.note(
            "WARNING: THIS BUILD DOES NOT ENCRYPT. It is for measuring, with synthetic records, and for nothing else.",
        );
    }
    if LEDGER_BUFFERED {
        output.note(
            "WARNING: THIS BUILD LOSES RECORDS AND LEDGER ENTRIES IN A CRASH. It is for measuring, with synthetic records, and \
             for nothing else.",
        );
    }
}

/// Whether this build may listen there.
pub(crate) fn may_listen(address: SocketAddr) -> Result<(), CliError> {
    let normal = tacet_seal::SEALS && !LEDGER_BUFFERED;
    if normal || address.ip().is_loopback() {
        return Ok(());
    }
    Err(CliError::Usage(
        "this build is for measuring and listens on the loopback only; use a normal build of tacet".into(),
    ))
}

/// When a commit is acknowledged.
pub(crate) fn durability() -> Durability {
    if LEDGER_BUFFERED { Durability::Buffered } else { Durability::Durable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_normal_build_may_serve_others() {
        let normal = tacet_seal::SEALS && !LEDGER_BUFFERED;
        assert!(may_listen("127.0.0.1:1".parse().unwrap()).is_ok() && may_listen("[::1]:1".parse().unwrap()).is_ok());
        assert_eq!(may_listen("0.0.0.0:1".parse().unwrap()).is_ok(), normal);
        assert_eq!(durability() == Durability::Durable, !LEDGER_BUFFERED);
    }
}
