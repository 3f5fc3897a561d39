//! Reviews of break-glass, and the notices about those that are overdue.

use crate::*;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};
use tacet_ledger::people::{BreakGlassRow, NoticeKind, NoticeRow, NoticeTo, ReviewOutcome};
use tacet_types::ResourceId;

fn declare(world: &World, account: &str, owner: &str, seed: u64) -> String {
    let patient = ResourceId::parse("p1").unwrap();
    let now = world.now();
    let rng = SeededRng::new(seed);
    let until = now.plus_ms(HOUR_MS);
    let row = BreakGlassRow::declared(&rng, account, owner, "clinician", &patient, "emergency", "why", now, until);
    put(world, Table::BreakGlass, &row.id, row.encode().unwrap());
    row.id
}

fn put(world: &World, table: Table, name: &str, value: Vec<u8>) {
    let write = RowWrite { table, name: name.as_bytes().to_vec(), value: Some(value), expect: Expect::Absent };
    block_on(world.rows.commit(vec![write], Vec::new())).unwrap();
}

#[test]
fn reviews_are_by_a_security_officer_who_did_not_declare() {
    let (world, staff) = World::with_staff();
    let id = declare(&world, "a1", "z.aubrac", 1);
    let own = declare(&world, staff.sec.person.account.as_str(), "sec", 2);
    let review = |actor: &Actor, id: &str, text: &str| {
        block_on(world.identity.review(actor, id, ReviewOutcome::Justified, text))
    };
    for other in [&staff.adm1, &staff.aud] {
        assert!(matches!(review(&world.fresh(other), &id, "x"), Err(IdentityError::Role(_))));
        assert!(matches!(world.identity.open_reviews(&world.fresh(other)), Err(IdentityError::Role(_))));
    }
    let sec = world.fresh(&staff.sec);
    let stale = Actor { fresh: false, ..sec.clone() };
    assert!(matches!(review(&stale, &id, "x"), Err(IdentityError::StepUp)));
    assert!(matches!(review(&sec, &own, "x"), Err(IdentityError::OwnAct)));
    assert!(matches!(review(&sec, "none", "x"), Err(IdentityError::Absent(_))));
    assert!(review(&sec, &id, " ").is_err() && review(&sec, &id, &"x".repeat(2001)).is_err());
    assert_eq!(world.identity.open_reviews(&sec).unwrap().len(), 2);
    let row = review(&sec, &id, "needed").unwrap();
    assert_eq!(row.review.unwrap().outcome, ReviewOutcome::Justified);
    assert!(matches!(review(&sec, &id, "again"), Err(IdentityError::State(_))));
    assert_eq!(world.identity.open_reviews(&sec).unwrap().len(), 1);
    let entry = world.rows.entries().pop().unwrap();
    assert_eq!((entry.kind, entry.patient.unwrap().1.as_str()), (EventKind::BreakGlassReviewed, "p1"));
}

#[test]
fn an_overdue_review_is_told_once() {
    let (world, staff) = World::with_staff();
    declare(&world, "a1", "z.aubrac", 1);
    world.clock.advance_ms(72 * HOUR_MS);
    assert_eq!(block_on(world.identity.remind_overdue()).unwrap(), 0);
    assert!(!world.identity.open_reviews(&world.actor(&staff.sec)).unwrap()[0].overdue);
    world.clock.advance_ms(1);
    assert!(world.identity.open_reviews(&world.actor(&staff.sec)).unwrap()[0].overdue);
    assert_eq!(block_on(world.identity.remind_overdue()).unwrap(), 1);
    assert_eq!(block_on(world.identity.remind_overdue()).unwrap(), 0);
    for who in [&staff.sec, &staff.aud] {
        let notices = world.identity.notices(&world.actor(who), true).unwrap();
        assert_eq!(notices.iter().filter(|notice| notice.kind == NoticeKind::ReviewOverdue).count(), 1);
    }
}

#[test]
fn notices_are_for_whom_they_are_for() {
    let (world, staff) = World::with_staff();
    let to_sec = NoticeTo::Role("security-officer".into());
    let to_adm = NoticeTo::Account(staff.adm1.person.account.as_str().into());
    let to_patient = NoticeTo::Patient("p1".into());
    for (seed, to) in [(1, to_sec), (2, to_adm), (3, to_patient)] {
        let notice = NoticeRow::new(&SeededRng::new(seed), world.now(), to, NoticeKind::BreakGlass, "b1", "");
        put(&world, Table::Notices, &notice.id, notice.encode().unwrap());
    }
    let of = |who: &Someone, unseen: bool| {
        let notices = world.identity.notices(&world.actor(who), unseen).unwrap().into_iter();
        notices.filter(|notice| notice.kind == NoticeKind::BreakGlass).collect::<Vec<_>>()
    };
    let listed = |who: &Someone| of(who, true);
    assert_eq!([&staff.sec, &staff.adm1, &staff.adm2].map(|who| listed(who).len()), [1, 1, 0]);
    let patient = ResourceId::parse("p1").unwrap();
    assert_eq!(world.identity.notices_of_patient(&patient).unwrap().len(), 1);
    let id = listed(&staff.sec)[0].id.clone();
    let mark = |who: &Someone| block_on(world.identity.mark_seen(&world.actor(who), &id));
    assert!(matches!(mark(&staff.adm1), Err(IdentityError::Absent(_))));
    mark(&staff.sec).unwrap();
    assert_eq!(mark(&staff.sec).unwrap().seen.len(), 1);
    assert!(listed(&staff.sec).is_empty());
    assert_eq!(of(&staff.sec, false).len(), 1);
}
