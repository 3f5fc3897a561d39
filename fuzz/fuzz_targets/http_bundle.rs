//! A bundle of any shape is answered or refused, leaves the vault able to work, and its answer is JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;
use tacet_fhir::json::{Limits as JsonLimits, parse};
use tacet_ledger::Channel;
use tacet_seal::{InProcessKeeper, KeeperLimits, RootKeys};
use tacet_store::StoreOptions;
use tacet_store::memory::MemoryEngine;
use tacet_types::{ManualClock, OperationId, SeededRng, Timestamp};
use tacet_vault::{Caller, Health, Limits, Origin, PurposeOfUse, ReturnPreference, Role, Vault, VaultOptions};

/// Bundles that one vault takes before it is made anew, so that what they stored does not fill the memory.
const BUNDLES_MAX: usize = 2_000;

/// A vault in memory.
struct Bench {
    runtime: tokio::runtime::Runtime,
    vault: Vault,
    caller: Caller,
    taken: usize,
}

impl Bench {
    fn new() -> Self {
        let (rng, clock) = (Arc::new(SeededRng::new(1)), Arc::new(ManualClock::new(Timestamp::from_ms(0))));
        let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
        let keeper = InProcessKeeper::new(&RootKeys::random(rng.as_ref()), clock.clone(), rng.clone(), limits);
        let origin = Origin { address: None, channel: Channel::Http };
        let caller = Caller::new("fuzz", Role::Clinician, PurposeOfUse::Treatment, origin, OperationId([0; 16]));
        let options = VaultOptions {
            clock,
            rng,
            limits: Limits::default(),
            store: StoreOptions::default(),
            index: None,
            access: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let vault = Vault::initialize(Arc::new(MemoryEngine::new()), Arc::new(keeper), options, &caller);
        let vault = runtime.block_on(vault).expect("a vault");
        Self { runtime, vault, caller, taken: 0 }
    }
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

fuzz_target!(|data: &[u8]| {
    BENCH.with_borrow_mut(|bench| {
        let answer = bench.vault.bundle(&bench.caller, data, "http://localhost", ReturnPreference::Representation);
        if let Ok(answer) = bench.runtime.block_on(answer) {
            parse(&answer, &JsonLimits { bytes_max: usize::MAX, ..JsonLimits::default() })
                .expect("an answer that is no JSON");
        }
        assert_eq!(bench.vault.health(), Health::Ready);
        bench.taken += 1;
        if bench.taken == BUNDLES_MAX {
            *bench = Bench::new();
        }
    });
});
