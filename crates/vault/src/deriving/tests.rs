use super::*;
use crate::Role;
use crate::in_memory::{self, caller};
use pollster::block_on;
use tacet_ledger::{EventKind, Outcome, SPACE_ENTRY};
use tacet_store::{Commit, Write};
use tacet_types::{Clock, ManualClock, ResourceId, ResourceType};

/// How long a pass may take, in seconds.
const PERIOD_S: u64 = 86_400;

fn vault(entries: usize) -> (Vault, Arc<ManualClock>) {
    let (vault, clock) = in_memory::vault(None);
    let operator = caller(Role::Operator);
    let (patient, id) = (ResourceType::parse("Patient").unwrap(), ResourceId::parse("a").unwrap());
    let body = br#"{"resourceType":"Patient","id":"a"}"#;
    block_on(vault.update(&caller(Role::Clinician), patient, &id, body, "", None, false)).unwrap();
    for _ in 0..entries {
        let entry = operator.entry(clock.now(), EventKind::Check, Outcome::Success, None);
        block_on(vault.0.record(vec![entry])).unwrap();
    }
    (vault, clock)
}

fn key(index: u64) -> Vec<u8> {
    [&[SPACE_ENTRY], index.to_be_bytes().as_slice()].concat()
}

/// Puts something else in the place of an entry, beside all that writes entries.
fn put(vault: &Vault, index: u64, row: Option<Vec<u8>>) {
    let write = row.map_or_else(|| Write::delete(key(index)), |row| Write::put(key(index), row));
    vault.0.store.submit(Commit { writes: vec![write], ..Commit::default() }).wait().unwrap();
}

/// Steps until a pass ends.
fn pass(vault: &Vault) -> (Next, usize) {
    let (mut passes, mut steps) = (Passes::default(), 1);
    loop {
        match passes.step(&vault.0, PERIOD_S).unwrap() {
            Next::Step => steps += 1,
            next => return (next, steps),
        }
    }
}

fn read(vault: &Vault) -> Result<(), VaultError> {
    let (patient, id) = (ResourceType::parse("Patient").unwrap(), ResourceId::parse("a").unwrap());
    block_on(vault.read(&caller(Role::Clinician), patient, &id)).map(|_| ())
}

#[test]
fn an_entry_changed_in_place_stops_disclosures_while_the_server_runs() {
    let (vault, clock) = vault(2600);
    vault.name_log(None).unwrap();
    vault.publish_now().unwrap();
    let (next, steps) = pass(&vault);
    assert_eq!(next, Next::Rest(clock.now().as_ms() + PERIOD_S as i64 * 1000), "then it rests");
    assert!(steps > 2, "not all at once: {steps}");
    let figures = vault.derivation_figures();
    assert_eq!(figures.derived, vault.ledger_head().unwrap().unwrap().size());

    // One byte of an old entry, and another entry's row: nothing that is quick sees it.
    let sound = vault.0.store.reader().get(&key(300)).unwrap().unwrap();
    let mut changed = sound.clone();
    *changed.last_mut().unwrap() ^= 1;
    let other = vault.0.store.reader().get(&key(301)).unwrap().unwrap();
    for altered in [Some(changed), Some(other), None] {
        put(&vault, 300, altered.clone());
        vault.0.hold_log().unwrap();
        vault.publish_now().unwrap();
        assert_eq!(vault.halted(), None, "the start and publications trust kept tiles");
        read(&vault).unwrap();
        let (next, steps) = pass(&vault);
        assert_eq!(next, Next::End);
        assert_eq!(steps, 1, "told where it is found, not at the end");
        let (from, to) = if altered.is_some() { (256, 512) } else { (300, 301) };
        assert_eq!(vault.halted(), Some(Halt::Altered { from, to }));
        assert!(matches!(read(&vault), Err(VaultError::Halted(_))));
        assert!(!vault.verify_ledger(&mut |_, _| {}).unwrap().is_sound());
        // Put back, and as after a start.
        put(&vault, 300, Some(sound.clone()));
        vault.0.transparency.halts.forget();
        assert!(matches!(pass(&vault).0, Next::Rest(_)));
    }
}

#[test]
fn kept_tiles_that_were_changed_along_hide_nothing() {
    let (vault, _) = vault(1500);
    vault.name_log(None).unwrap();
    let signed = vault.publish_now().unwrap().unwrap().checkpoint().size();
    let mut changed = vault.0.store.reader().get(&key(300)).unwrap().unwrap();
    *changed.last_mut().unwrap() ^= 1;
    put(&vault, 300, Some(changed));
    // Tiles made anew from the changed entries.
    vault.remake_log_tiles().unwrap();
    let size = vault.ledger_head().unwrap().unwrap().size();
    while let Some(tiles) = tacet_ledger::log::next_tiles(vault.0.store.reader(), size).unwrap() {
        vault.0.commit_log(tiles).unwrap();
    }
    assert_eq!(pass(&vault).0, Next::End);
    assert_eq!(vault.halted(), Some(Halt::Altered { from: 0, to: signed }));
}

#[test]
fn without_a_publication_the_head_is_what_it_is_held_against() {
    let (vault, _) = vault(1500);
    assert!(matches!(pass(&vault).0, Next::Rest(_)));
    let size = vault.ledger_head().unwrap().unwrap().size();
    let other = vault.0.store.reader().get(&key(9)).unwrap().unwrap();
    put(&vault, 8, Some(other));
    assert_eq!(pass(&vault).0, Next::End);
    assert_eq!(vault.halted(), Some(Halt::Altered { from: 0, to: size }));
}

#[test]
fn the_thread_finds_it_and_ends_with_the_vault() {
    let (vault, clock) = vault(600);
    vault.name_log(None).unwrap();
    vault.publish_now().unwrap();
    let other = vault.0.store.reader().get(&key(9)).unwrap().unwrap();
    vault.derive_ledger_every(PERIOD_S).unwrap();
    while vault.derivation_figures().derived == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    put(&vault, 8, Some(other));
    clock.advance_ms(PERIOD_S as i64 * 1000);
    while vault.halted().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(vault.halted(), Some(Halt::Altered { from: 0, to: 256 }));
    vault.close().unwrap();
}
