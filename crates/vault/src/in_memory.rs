//! A vault in memory, for tests of what is not public.

use crate::{Caller, IndexSettings, Limits, Origin, PurposeOfUse, Role, Vault, VaultOptions};
use pollster::block_on;
use std::sync::Arc;
use tacet_ledger::Channel;
use tacet_seal::{InProcessKeeper, KeeperLimits, RootKeys, SecureRng};
use tacet_store::StoreOptions;
use tacet_store::memory::{Disk, Faults, MemoryEngine};
use tacet_types::{ManualClock, OperationId, Timestamp};

/// Somebody in this role.
pub(crate) fn caller(role: Role) -> Caller {
    let origin = Origin { address: None, channel: Channel::Http };
    Caller::new("Dr Test", role, PurposeOfUse::Treatment, origin, OperationId::random(&SecureRng))
}

/// An empty vault that asks no rules, and its clock.
pub(crate) fn vault(index: Option<IndexSettings>) -> (Vault, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-01T08:00:00Z").unwrap()));
    let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
    let keeper = InProcessKeeper::new(&RootKeys::random(&SecureRng), clock.clone(), Arc::new(SecureRng), limits);
    let options = VaultOptions {
        clock: clock.clone(),
        rng: Arc::new(SecureRng),
        limits: Limits::default(),
        store: StoreOptions::default(),
        index,
        access: None,
    };
    let engine = Arc::new(MemoryEngine::open(&Disk::default(), Faults::default()));
    let vault = block_on(Vault::initialize(engine, Arc::new(keeper), options, &caller(Role::Operator))).unwrap();
    (vault, clock)
}
