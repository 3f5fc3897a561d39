//! What a restore brings back is ended: nobody gets in by it, and everybody gets in anew.

use crate::*;
use tacet_identity::EndedAfterRestore;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};
use tacet_ledger::people::BreakGlassRow;
use tacet_types::ResourceId;

#[test]
fn what_came_back_is_ended_and_everybody_logs_in_anew() {
    let (world, mut staff) = World::with_staff();
    let invited = world.ask(&staff.adm1, Act::NewAccount(clinician("a"))).unwrap();
    let second = world.allow(&staff.adm2, &invited).unwrap().second_code.unwrap();
    let first = block_on(world.identity.first_code(&world.fresh(&staff.adm1), &invited.id)).unwrap();
    let pending = world.ask(&staff.adm1, Act::NewAccount(clinician("b"))).unwrap();
    let other = |text: &str| Act::Other { kind: Kind::PolicyChange, text: text.into(), beneficiaries: Vec::new() };
    let allowed = world.ask(&staff.adm1, other("policy one")).unwrap();
    world.allow(&staff.sec, &allowed).unwrap();
    let used = world.ask(&staff.adm1, other("policy two")).unwrap();
    world.allow(&staff.sec, &used).unwrap();
    let using =
        |id, text: &str| block_on(world.identity.use_approval(&world.fresh(&staff.adm1), id, Kind::PolicyChange, text));
    using(&used.id, "policy two").unwrap();
    let (patient, now) = (ResourceId::parse("p1").unwrap(), world.now());
    let declare = |seed: u64, until_ms: i64| {
        let rng = SeededRng::new(seed);
        let until = now.plus_ms(until_ms);
        let row = BreakGlassRow::declared(&rng, "a1", "z", "clinician", &patient, "emergency", "why", now, until);
        let (name, value) = (row.id.clone().into_bytes(), Some(row.encode().unwrap()));
        let write = RowWrite { table: Table::BreakGlass, name, value, expect: Expect::Absent };
        block_on(world.rows.commit(vec![write], Vec::new())).unwrap();
        row.id
    };
    let (open, over) = (declare(1, HOUR_MS), declare(2, -3 * MINUTE_MS));
    let row = |id: &str| {
        let kept = world.rows.get(Table::BreakGlass, id.as_bytes()).unwrap().unwrap();
        BreakGlassRow::decode(&kept.value).unwrap()
    };

    // The machine that takes over has a clock that is behind the one on which all this was made.
    world.clock.advance_ms(-2 * MINUTE_MS);
    let identity = World::open(&world.rows, &world.clock);
    let person = block_on(identity.end_after_restore(&world.fresh(&staff.adm1)));
    assert!(matches!(person, Err(IdentityError::Role(_))), "nobody's account does this");
    let machine = Actor::command_line("root", OperationId([3; 16]));
    let again = EndedAfterRestore { accounts_open: 4, ..EndedAfterRestore::default() };
    let ended = block_on(identity.end_after_restore(&machine)).unwrap();
    let expected = EndedAfterRestore { sessions: 4, invitations: 1, approvals: 2, break_glass: 1, ..again };
    assert_eq!(ended, expected);
    let entry = world.rows.entries().pop().unwrap();
    let detail = entry.detail.unwrap();
    assert!(detail.contains("4 sessions, 1 invitations, 2 open approvals, 1 open break-glasses"), "{detail}");
    assert_eq!(block_on(identity.end_after_restore(&machine)).unwrap(), again);

    let connection = world.connection(&staff.adm1.device);
    for someone in [&staff.adm1, &staff.adm2, &staff.sec, &staff.aud] {
        let who = block_on(identity.authenticate(&someone.secret, &world.connection(&someone.device)));
        assert!(who.unwrap().is_none());
    }
    let enrol = block_on(identity.begin_enrolment(first.reveal(), second.reveal(), &connection));
    assert!(matches!(enrol, Err(IdentityError::Refused)));
    for (id, was) in [(&pending.id, "withdrawn"), (&allowed.id, "withdrawn"), (&used.id, "used")] {
        assert_eq!(identity.approval(id).unwrap().unwrap().standing(world.now()), was);
    }
    assert!(matches!(using(&allowed.id, "policy one"), Err(IdentityError::Approval(_))));
    assert_eq!((row(&open).ended_ms, row(&over).ended_ms), (Some(world.now().as_ms()), None));

    // Passkeys are as they were.
    world.clock.advance_ms(2 * MINUTE_MS);
    let again = world.login(&mut staff.adm1.key, &staff.adm1.device).unwrap();
    assert!(block_on(identity.authenticate(again.secret.reveal(), &connection)).unwrap().is_some());
}

#[test]
fn rows_that_cannot_be_read_are_counted_and_keep_nothing_from_its_end() {
    let (world, staff) = World::with_staff();
    let pending = world.ask(&staff.adm1, Act::NewAccount(clinician("b"))).unwrap();
    let kept = world.rows.get(Table::Approvals, pending.id.as_str().as_bytes()).unwrap().unwrap();
    // As a later program may write it, and as nobody does.
    let text = String::from_utf8(kept.value).unwrap();
    assert!(text.contains("\"version\":1"), "{text}");
    let later = text.replacen("\"version\":1", "\"version\":2", 1).into_bytes();
    for (table, value) in [
        (Table::Approvals, later),
        (Table::BreakGlass, b"{}".to_vec()),
        (Table::Accounts, b"nonsense".to_vec()),
        (Table::Sessions, b"nonsense".to_vec()),
    ] {
        let write = RowWrite { table, name: b"unreadable".to_vec(), value: Some(value), expect: Expect::Absent };
        block_on(world.rows.commit(vec![write], Vec::new())).unwrap();
    }
    assert!(world.identity.accounts().is_err());
    let machine = Actor::command_line("root", OperationId([3; 16]));
    let ended = block_on(world.identity.end_after_restore(&machine)).unwrap();
    let expected = EndedAfterRestore {
        sessions: 5,
        invitations: 0,
        approvals: 1,
        break_glass: 0,
        accounts_open: 5,
        unreadable: 3,
    };
    assert_eq!(ended, expected);
    let detail = world.rows.entries().pop().unwrap().detail.unwrap();
    assert!(detail.contains("3 rows of these and of accounts could not be read"), "{detail}");
    assert_eq!(world.identity.approval(&pending.id).unwrap().unwrap().standing(world.now()), "withdrawn");
    // What a later program would find open is gone; what lets nobody in stays to be looked at.
    assert!(world.rows.get(Table::Approvals, b"unreadable").unwrap().is_none());
    assert!(world.rows.get(Table::BreakGlass, b"unreadable").unwrap().is_some());
    let again = EndedAfterRestore { accounts_open: 5, unreadable: 2, ..EndedAfterRestore::default() };
    assert_eq!(block_on(world.identity.end_after_restore(&machine)).unwrap(), again);
}
