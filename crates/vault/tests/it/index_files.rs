//! The index on disk: what a stop, a kill, an erasure and a swapped directory leave of it.

use crate::house::*;
use crate::searching::{assert_index_is_the_heads, found};
use pollster::block_on;
use std::path::{Path, PathBuf};
use tacet_seal::KeyKeeper;
use tacet_vault::{IndexState, Role};

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        // Files come and go while the index commits, as they do under a backup.
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target)),
        }
    }
}

pub(crate) fn settled(house: &House) {
    assert_eq!(house.vault.wait_for_index(&mut |_| {}), Some(IndexState::Ready));
}

fn on_disk(scratch: &Path) -> House {
    let mut house = House::new();
    house.index = Some(scratch.join("index"));
    house.reopen();
    for number in 0..8 {
        let id = format!("p{number}");
        house.put("Patient", &id, &patient(&id, &format!("Nom{number}"))).unwrap();
        let observed = format!("o{number}");
        house.put("Observation", &observed, &observation(&observed, &id, "1")).unwrap();
    }
    house
}

fn own_work(house: &House) -> usize {
    house.ledger().iter().filter(|entry| entry.agent.owner == "tacet").count()
}

#[test]
fn after_a_clean_stop_nothing_is_opened() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    for round in 0..3 {
        house.reopen();
        settled(&house);
        assert_eq!((own_work(&house), house.keeper.counts().maintenance), (0, 0), "round {round}");
        assert_eq!(found(&house, "Patient?family=nom3"), ["Patient/p3"]);
        house
            .put("Patient", &format!("r{round}"), &patient("x", "Neu").replace("\"x\"", &format!("\"r{round}\"")))
            .unwrap();
    }
    let house_before = house.keeper.counts().maintenance;
    assert_index_is_the_heads(&house);
    assert!(house.keeper.counts().maintenance > house_before, "the check opens records; the index did not");
}

#[test]
fn after_a_kill_the_feed_gives_what_is_missing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    house.reopen();
    settled(&house);
    for kill in 0..6 {
        // The index as it was a while ago, the store as it is.
        let then: PathBuf = scratch.path().join(format!("killed{kill}"));
        if kill % 2 == 0 {
            copy(house.index.as_ref().unwrap(), &then);
        }
        house.put("Patient", "p1", &patient("p1", &format!("Kill{kill}"))).unwrap();
        house.put("Observation", &format!("k{kill}"), &observation(&format!("k{kill}"), "p2", "1")).unwrap();
        house.delete("Observation", &format!("o{kill}")).unwrap();
        if kill % 2 == 1 {
            copy(house.index.as_ref().unwrap(), &then);
        }
        house.kill(&then);
        settled(&house);
        assert_eq!(found(&house, &format!("Patient?family=kill{kill}")), ["Patient/p1"], "kill {kill}");
        assert_index_is_the_heads(&house);
    }
}

#[test]
fn an_erasure_that_the_index_was_not_told_of_is_found_in_the_feed() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    house.reopen();
    settled(&house);
    let then = scratch.path().join("then");
    copy(house.index.as_ref().unwrap(), &then);
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p3"))).unwrap();
    assert_eq!(house.vault.index_statistics().unwrap().documents, 14);
    house.kill(&then);
    settled(&house);
    assert_eq!(found(&house, "Patient?family=nom3"), [] as [&str; 0]);
    assert_eq!(found(&house, "Observation?subject=Patient/p3"), [] as [&str; 0]);
    assert_eq!(house.vault.index_statistics().unwrap().documents, 14);
    house.put("Observation", "o3", &observation("o3", "p4", "2")).unwrap();
    assert_eq!(found(&house, "Observation?subject=Patient/p4").len(), 2);
    assert_index_is_the_heads(&house);
}

#[test]
fn an_older_index_or_another_stores_is_made_anew() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    house.reopen();
    settled(&house);
    let old = scratch.path().join("old");
    house.vault.clone().close().unwrap();
    copy(house.index.as_ref().unwrap(), &old);
    house.reopen();
    for number in 0..20 {
        let id = format!("n{number}");
        house.put("Patient", &id, &patient(&id, "Neu")).unwrap();
    }
    house.reopen();
    house.vault.clone().close().unwrap();
    house.index = Some(old);
    house.reopen();
    settled(&house);
    assert_eq!(found(&house, "Patient?family=neu").len(), 20);
    assert_index_is_the_heads(&house);

    let other = tempfile::tempdir().unwrap();
    let mut stranger = on_disk(other.path());
    stranger.reopen();
    stranger.vault.clone().close().unwrap();
    let foreign = other.path().join("index");
    house.vault.clone().close().unwrap();
    house.index = Some(foreign);
    house.reopen();
    settled(&house);
    assert_eq!(found(&house, "Patient?family=neu").len(), 20);
    assert_index_is_the_heads(&house);
}

/// All directories and files of one, put back: what an operator does with a copy.
fn put_back(copy_of: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    copy(copy_of, to);
}

/// A copy of the store is put back and goes another way, up to the very number that the index knows.
#[test]
fn the_index_of_another_course_of_events_is_not_believed() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    let before = house.disk.crash(tacet_store::memory::Crash::KeepSynced);
    house.put("Patient", "p1", &patient("p1", "Avant")).unwrap();
    house.put("Patient", "only-then", &patient("only-then", "Avant")).unwrap();
    house.reopen();
    settled(&house);
    assert_eq!(found(&house, "Patient?family=avant").len(), 2);
    house.vault.clone().close().unwrap();
    let then = scratch.path().join("then");
    copy(house.index.as_ref().unwrap(), &then);

    // The other course of events: as many commits, without an index that is told of them.
    house.disk = before;
    house.index = None;
    house.reopen();
    house.put("Patient", "p2", &patient("p2", "Apres")).unwrap();
    house.put("Observation", "o2", &observation("o2", "p2", "3")).unwrap();
    house.vault.clone().close().unwrap();
    put_back(&then, &scratch.path().join("index"));
    house.index = Some(scratch.path().join("index"));
    house.reopen();
    settled(&house);
    assert_eq!(found(&house, "Patient?family=avant"), [] as [&str; 0]);
    assert_eq!(found(&house, "Patient?family=apres"), ["Patient/p2"]);
    assert_index_is_the_heads(&house);
}

#[test]
fn an_erasure_leaves_nothing_of_its_patient_in_the_files() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    house.reopen();
    settled(&house);
    // Older versions stand in the files, deleted: another took their place.
    house.put("Patient", "p3", &patient("p3", "Ancien")).unwrap();
    house.reopen();
    settled(&house);
    house.put("Patient", "p3", &patient("p3", "Recent")).unwrap();
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p3"))).unwrap();
    let statistics = house.vault.index_statistics().unwrap();
    assert_eq!((statistics.documents, statistics.deleted_documents, statistics.overlay_documents), (14, 0, 0));
    let own_work_before = own_work(&house);
    house.reopen();
    settled(&house);
    assert_eq!(own_work(&house), own_work_before, "it was told of the erasure");
    assert_eq!(house.vault.index_statistics().unwrap().deleted_documents, 0);
    assert_index_is_the_heads(&house);
}

#[test]
fn an_index_that_cannot_be_opened_is_no_reason_not_to_start() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = on_disk(scratch.path());
    house.reopen();
    settled(&house);
    let place = house.index.clone().unwrap();
    // No directory stands there, and none can be made.
    let blocked = scratch.path().join("blocked");
    std::fs::write(&blocked, "in the way").unwrap();
    house.index = Some(blocked.clone());
    house.reopen();
    assert_eq!(house.vault.wait_for_index(&mut |_| {}), Some(IndexState::Failed));
    assert!(house.read("Patient", "p3").is_ok());
    house.put("Patient", "p9", &patient("p9", "Neuf")).unwrap();
    assert_eq!(std::fs::read(&blocked).unwrap(), b"in the way");
    std::fs::remove_file(&blocked).unwrap();
    house.vault.rebuild_index().unwrap();
    settled(&house);
    assert_eq!(found(&house, "Patient?family=neuf"), ["Patient/p9"]);
    assert_index_is_the_heads(&house);
    house.reopen();
    settled(&house);
    assert_eq!(found(&house, "Patient?family=neuf"), ["Patient/p9"]);
    assert!(place.exists());
}
