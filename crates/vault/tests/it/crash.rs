//! The process dies at each write in turn: what was acknowledged is there, nothing is half there.

use crate::house::*;
use pollster::block_on;
use std::sync::Arc;
use tacet_store::Engine;
use tacet_store::memory::{Crash, Effect, Faults, MemoryEngine, Operation};
use tacet_vault::{ReturnPreference, Role, Vault};

/// Writes until something fails; gives what was acknowledged, as (type, id, version).
fn work(house: &House) -> Vec<(&'static str, String, u64)> {
    let mut acknowledged = Vec::new();
    for round in 0..4u64 {
        let id = format!("p{round}");
        let Ok(stored) = house.put("Patient", &id, &patient(&id, "Nom")) else { return acknowledged };
        acknowledged.push(("Patient", id.clone(), stored.record.version.0));
        let observed = format!("o{round}");
        let body = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
              {{"resource":{},"request":{{"method":"PUT","url":"Observation/{observed}"}}}},
              {{"resource":{},"request":{{"method":"PUT","url":"Patient/{id}"}}}}]}}"#,
            observation(&observed, &id, "1"),
            patient(&id, "Change"),
        );
        let answer = block_on(house.vault.bundle(&clinician(), body.as_bytes(), "", ReturnPreference::Minimal));
        if answer.is_err() {
            return acknowledged;
        }
        acknowledged.push(("Observation", observed, 1));
        acknowledged.push(("Patient", id.clone(), 2));
        if house.read("Patient", &id).is_err() || house.delete("Observation", &format!("o{round}")).is_err() {
            return acknowledged;
        }
        acknowledged.push(("Observation", format!("o{round}"), 2));
    }
    acknowledged
}

#[test]
fn at_each_write_and_each_sync() {
    let whole = House::new();
    let made_of = |operation| House::new().faults.operations(operation);
    let complete = work(&whole).len();
    let mut interrupted = 0;
    for operation in [Operation::Write, Operation::Sync] {
        let made: u64 = made_of(operation);
        let operations = whole.faults.operations(operation);
        for effect in [Effect::Fail, Effect::Tear { bytes: 7 }] {
            for crash in [Crash::KeepSynced, Crash::KeepAll, Crash::KeepBytes(40)] {
                // The first operations made the house itself.
                for nth in 0..operations - made {
                    let house = House::new();
                    house.faults.inject(operation, nth, effect);
                    let acknowledged = work(&house);
                    interrupted += usize::from(acknowledged.len() < complete);
                    let disk = house.disk.crash(crash);
                    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&disk, Faults::default()));
                    let vault = Vault::open(engine, house.keeper.clone(), options(&house.clock))
                        .unwrap_or_else(|error| panic!("{operation:?} {nth} {effect:?} {crash:?}: {error:?}"));
                    let report = block_on(vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
                    assert_eq!(report.findings, [], "{operation:?} {nth} {effect:?} {crash:?}");
                    for (name, id, version) in acknowledged {
                        let found =
                            block_on(vault.vread(&clinician(), kind(name), &rid(&id), tacet_types::VersionId(version)));
                        let there = !matches!(found, Err(tacet_vault::VaultError::NotFound));
                        assert!(
                            there,
                            "{operation:?} {nth} {effect:?} {crash:?}: {name} version {version} was acknowledged"
                        );
                    }
                }
            }
        }
    }
    assert!(interrupted > 20, "{interrupted}");
}
