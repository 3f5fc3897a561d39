//! Second persons: who may ask, who may decide, and how often what was allowed is used.

use crate::*;
use tacet_identity::State;
use tacet_ledger::people::NoticeKind;

#[test]
fn nobody_decides_on_their_own_request() {
    let (world, staff) = World::with_staff();
    let approval = world.ask(&staff.adm1, Act::NewAccount(clinician("a"))).unwrap();
    assert!(matches!(world.allow(&staff.adm1, &approval), Err(IdentityError::SamePerson)));
    assert!(matches!(world.allow(&staff.aud, &approval), Err(IdentityError::Role(_))));
    let stale = Actor { fresh: false, ..world.actor(&staff.adm2) };
    let decide = |actor: &Actor| block_on(world.identity.decide(actor, &approval.id, true, ""));
    assert!(matches!(decide(&stale), Err(IdentityError::StepUp)));
    let machine = Actor { account: None, ..world.fresh(&staff.adm2) };
    assert!(matches!(decide(&machine), Err(IdentityError::Role(_))));
    assert!(world.identity.account_by_login("a").unwrap().is_none());
    let decided = world.allow(&staff.adm2, &approval).unwrap();
    assert!(matches!(world.allow(&staff.sec, &approval), Err(IdentityError::Approval(_))), "decided once");
    // The second code is for who decided, the first for who asked: neither alone.
    let code = |who: &Someone| block_on(world.identity.first_code(&world.fresh(who), &approval.id));
    assert!(matches!(code(&staff.adm2), Err(IdentityError::Role(_))));
    let first = code(&staff.adm1).unwrap();
    let connection = world.connection(&staff.adm1.device);
    let begin = |second: &str| block_on(world.identity.begin_enrolment(first.reveal(), second, &connection));
    assert!(matches!(begin("0000-0000-0000"), Err(IdentityError::Refused)));
    assert!(begin(decided.second_code.unwrap().reveal()).is_ok());
}

#[test]
fn administrators_grant_themselves_nothing() {
    let (world, staff) = World::with_staff();
    let own = staff.adm1.person.account.clone();
    let to_clinician = |account: &AccountId| Act::Role {
        account: account.clone(),
        role: Role::Clinician,
        practitioner: Some("pr1".into()),
        patients: Vec::new(),
    };
    assert!(matches!(world.ask(&staff.adm1, to_clinician(&own)), Err(IdentityError::OwnAct)));
    assert!(matches!(world.ask(&staff.adm1, Act::Recovery(own.clone())), Err(IdentityError::OwnAct)));
    // Another one asks for them: they do not decide either.
    let approval = world.ask(&staff.adm2, to_clinician(&own)).unwrap();
    assert!(matches!(world.allow(&staff.adm1, &approval), Err(IdentityError::OwnAct)));
    assert!(matches!(world.allow(&staff.adm2, &approval), Err(IdentityError::SamePerson)));
    world.allow(&staff.sec, &approval).unwrap();
    assert!(world.who(&staff.adm1).is_none(), "a session has one role: it ended");
    let account = world.account(&own);
    assert_eq!((account.role, account.practitioner.as_deref()), (Role::Clinician, Some("pr1")));
    // No account is on both sides, and none is a machine's.
    for (role, practitioner) in [(Role::Administrator, Some("pr2")), (Role::Integrator, None)] {
        let practitioner = practitioner.map(Into::into);
        let act = Act::Role { account: own.clone(), role, practitioner, patients: Vec::new() };
        assert!(matches!(world.ask(&staff.adm2, act), Err(IdentityError::Invalid { .. })));
    }
    let beneficiaries = vec![staff.sec.person.account.clone()];
    let act = Act::Other { kind: Kind::BroadRights, text: "token".into(), beneficiaries };
    let approval = world.ask(&staff.adm2, act).unwrap();
    assert!(matches!(world.allow(&staff.sec, &approval), Err(IdentityError::OwnAct)));
    world.allow(&staff.aud, &approval).unwrap();
}

#[test]
fn a_second_account_of_the_same_person_is_not_a_second_person() {
    let (world, staff) = World::with_staff();
    let mut draft = Draft::new("sec2", "Sec", Role::SecurityOfficer);
    draft.external_id = Some("HR-1".into());
    let sec2 = world.employ(&staff, draft);
    let mut draft = clinician("own-second");
    draft.external_id = Some("HR-1".into());
    assert!(matches!(world.ask(&staff.adm1, Act::NewAccount(draft)), Err(IdentityError::Taken(_))));
    assert!(world.who(&sec2).is_some());
}

#[test]
fn requests_end() {
    let (world, staff) = World::with_staff();
    let late = world.ask(&staff.adm1, Act::NewAccount(clinician("late"))).unwrap();
    let withdrawn = world.ask(&staff.adm1, Act::NewAccount(clinician("back"))).unwrap();
    let withdraw = |who: &Someone| block_on(world.identity.withdraw(&world.fresh(who), &withdrawn.id));
    assert!(withdraw(&staff.adm2).is_err());
    withdraw(&staff.adm1).unwrap();
    assert!(matches!(world.allow(&staff.adm2, &withdrawn), Err(IdentityError::Approval(_))));
    let listed = |who: &Someone| world.identity.approvals(&world.actor(who), true).unwrap().len();
    assert_eq!((listed(&staff.adm2), listed(&staff.sec), listed(&staff.aud)), (1, 1, 0));
    let notices = world.identity.notices(&world.actor(&staff.sec), true).unwrap();
    assert_eq!(notices.iter().filter(|notice| notice.kind == NoticeKind::ApprovalAsked).count(), 2);
    world.clock.advance_ms(7 * DAY_MS);
    assert!(matches!(world.allow(&staff.adm2, &late), Err(IdentityError::Approval(_))));
    assert_eq!(listed(&staff.adm2), 0);
    for (ticket, reason, ms) in [("", "r", 1), ("t", " ", 1), ("t", "r", 0), (&*"x".repeat(101), "r", 1)] {
        let end = world.now().plus_ms(ms);
        let act = other(Kind::BulkExport, "all");
        let request = Request { act, ticket: ticket.into(), reason: reason.into(), end, until_end: false };
        assert!(block_on(world.identity.ask(&world.fresh(&staff.adm1), request)).is_err());
    }
    // What is listed is one line, whatever was written.
    let (act, end) = (other(Kind::BulkExport, "all"), world.now().plus_ms(DAY_MS));
    let request = Request { act, ticket: "T-1\nT-2".into(), reason: "so\r\nit is".into(), end, until_end: false };
    let asked = block_on(world.identity.ask(&world.fresh(&staff.adm1), request)).unwrap();
    assert_eq!((asked.ticket.as_str(), asked.reason.as_str()), ("T-1 T-2", "so it is"));
}

#[test]
fn an_approval_is_used_once_for_what_it_says() {
    let (world, staff) = World::with_staff();
    let approval = world.ask(&staff.adm1, other(Kind::BulkExport, "Group/7 to research")).unwrap();
    let using = |who: &Someone, kind: Kind, text: &str| {
        block_on(world.identity.use_approval(&world.fresh(who), &approval.id, kind, text))
    };
    assert!(using(&staff.adm1, Kind::BulkExport, "Group/7 to research").is_err(), "not decided");
    assert!(world.allow(&staff.adm2, &approval).is_err(), "administrators do not decide on copies");
    world.allow(&staff.aud, &approval).unwrap();
    assert!(matches!(using(&staff.adm1, Kind::BulkExport, "Group/8"), Err(IdentityError::OtherAct(_))));
    assert!(matches!(using(&staff.adm1, Kind::Erasure, "Group/7 to research"), Err(IdentityError::OtherAct(_))));
    assert!(using(&staff.adm2, Kind::BulkExport, "Group/7 to research").is_err(), "asked by another");
    using(&staff.adm1, Kind::BulkExport, "Group/7 to research").unwrap();
    assert!(matches!(using(&staff.adm1, Kind::BulkExport, "Group/7 to research"), Err(IdentityError::Approval(_))));
}

/// Two threads that use one approval at the same time: one does.
#[test]
fn an_approval_is_used_once_by_two_at_the_same_time() {
    let (world, staff) = World::with_staff();
    for round in 0..20 {
        let approval = world.ask(&staff.adm1, other(Kind::BroadRights, "x")).unwrap();
        world.allow(&staff.sec, &approval).unwrap();
        let actor = world.fresh(&staff.adm1);
        let used = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        block_on(world.identity.use_approval(&actor, &approval.id, Kind::BroadRights, "x")).is_ok()
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().then_some(())).count()
        });
        assert_eq!(used, 1, "round {round}");
    }
    // The write for another part's own commit holds the same.
    let approval = world.ask(&staff.adm1, other(Kind::BroadRights, "x")).unwrap();
    world.allow(&staff.sec, &approval).unwrap();
    let actor = world.fresh(&staff.adm1);
    let take = || world.identity.using(&actor, &approval.id, Kind::BroadRights, "x").unwrap();
    let (one, two) = (take(), take());
    let rows: &dyn tacet_ledger::noted::NotedRows = world.rows.as_ref();
    block_on(rows.commit(vec![one.write], vec![one.entry])).unwrap();
    assert!(block_on(rows.commit(vec![two.write], vec![two.entry])).is_err());
}

#[test]
fn a_right_for_a_while_ends() {
    let (world, staff) = World::with_staff();
    let mut request = world.request(other(Kind::BroadRights, "x"));
    request.until_end = true;
    request.end = world.now().plus_ms(365 * DAY_MS);
    let approval = block_on(world.identity.ask(&world.fresh(&staff.adm1), request)).unwrap();
    world.allow(&staff.sec, &approval).unwrap();
    let actor = world.fresh(&staff.adm1);
    let using = || block_on(world.identity.use_approval(&actor, &approval.id, Kind::BroadRights, "x"));
    let end = using().unwrap();
    assert_eq!(end, world.now().plus_ms(30 * DAY_MS), "held to the longest time");
    using().unwrap();
    world.clock.advance_ms(30 * DAY_MS);
    assert!(matches!(using(), Err(IdentityError::Approval(_))));
}

#[test]
fn a_recovery_needs_two_and_ends_the_old_passkeys() {
    let (world, staff) = World::with_staff();
    let mut doctor = world.employ(&staff, clinician("a"));
    let id = doctor.person.account.clone();
    assert!(matches!(world.ask(&doctor, Act::Recovery(id.clone())), Err(IdentityError::Role(_))));
    let approval = world.ask(&staff.adm1, Act::Recovery(id.clone())).unwrap();
    assert!(world.who(&doctor).is_some(), "asking changes nothing");
    let decided = world.allow(&staff.sec, &approval).unwrap();
    assert!(world.who(&doctor).is_none());
    let device = doctor.device.clone();
    assert!(matches!(world.login(&mut doctor.key, &device), Err(IdentityError::Refused)));
    assert_eq!(world.account(&id).state, State::Pending);
    let first = block_on(world.identity.first_code(&world.fresh(&staff.adm1), &approval.id)).unwrap();
    let again = block_on(world.identity.first_code(&world.fresh(&staff.adm1), &approval.id)).unwrap();
    let second = decided.second_code.unwrap();
    let connection = world.connection(&device);
    let begin = |first: &str| block_on(world.identity.begin_enrolment(first, second.reveal(), &connection));
    assert!(begin(first.reveal()).is_err(), "fetched again, it is another");
    let key = world.enrol(again.reveal(), second.reveal(), "new phone");
    let doctor = world.someone(key);
    assert_eq!(doctor.person.account, id);
    assert_eq!(world.identity.passkeys(&id).unwrap().len(), 1);
    assert!(begin(again.reveal()).is_err(), "used");
    let notices = world.identity.notices(&world.actor(&staff.sec), true).unwrap();
    assert!(notices.iter().any(|notice| notice.kind == NoticeKind::Recovered));
}

#[test]
fn who_asked_and_is_gone_gets_nothing() {
    let (world, staff) = World::with_staff();
    let approval = world.ask(&staff.adm1, Act::NewAccount(clinician("a"))).unwrap();
    block_on(world.identity.suspend(&world.fresh(&staff.sec), &staff.adm1.person.account, "odd")).unwrap();
    assert!(matches!(world.allow(&staff.adm2, &approval), Err(IdentityError::Approval(_))));
    let refused = block_on(world.identity.decide(&world.fresh(&staff.adm2), &approval.id, false, "no")).unwrap();
    assert!(refused.second_code.is_none());
}

#[test]
fn logins_and_practitioners_are_of_one_account() {
    let (world, staff) = World::with_staff();
    world.employ(&staff, clinician("a"));
    let mut same = clinician("b");
    same.practitioner = Some("pr-a".into());
    let taken = |draft| matches!(world.ask(&staff.adm1, Act::NewAccount(draft)), Err(IdentityError::Taken(_)));
    assert!(taken(same) && taken(clinician("A")));
    // Asked twice, decided twice: the second finds it taken.
    let one = world.ask(&staff.adm1, Act::NewAccount(clinician("c"))).unwrap();
    let two = world.ask(&staff.adm1, Act::NewAccount(clinician("c"))).unwrap();
    world.allow(&staff.adm2, &one).unwrap();
    assert!(matches!(world.allow(&staff.adm2, &two), Err(IdentityError::Taken(_))));
    assert!(world.entries(EventKind::ApprovalAsked) >= 2 && world.entries(EventKind::RightsChange) >= 1);
}
