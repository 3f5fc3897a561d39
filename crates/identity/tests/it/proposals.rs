//! Accounts that the hospital's data proposes: an administrator takes them up, another person decides, and they are few.

use crate::*;
use tacet_identity::{ApprovalId, PROPOSALS_OPEN_MAX};
use tacet_ledger::people::NoticeKind;
use tacet_ledger::{Channel, Origin};

fn data() -> Actor {
    Actor::machine("feed", None, Origin { address: None, channel: Channel::Internal }, OperationId([9; 16]))
}

fn propose(world: &World, login: &str) -> Result<Approval, IdentityError> {
    block_on(world.identity.propose(&data(), clinician(login)))
}

fn decide(world: &World, by: &Someone, id: &ApprovalId, allowed: bool) -> Result<Decided, IdentityError> {
    block_on(world.identity.decide(&world.fresh(by), id, allowed, "known on the ward"))
}

#[test]
fn a_proposal_needs_two_people_and_each_has_one_half() {
    let (world, staff) = World::with_staff();
    let proposed = propose(&world, "a").unwrap();
    assert!(proposed.asked.account.is_none());
    assert!(world.identity.account_by_login("a").unwrap().is_none());
    for role in [&staff.adm2, &staff.sec] {
        let notices = world.identity.notices(&world.actor(role), true).unwrap();
        assert_eq!(notices.iter().filter(|notice| notice.kind == NoticeKind::ApprovalAsked).count(), 1);
    }
    // A security officer decides, and asks for nobody; an auditor does neither; without a fresh passkey nobody does.
    assert!(matches!(decide(&world, &staff.sec, &proposed.id, true), Err(IdentityError::Approval(_))));
    assert!(matches!(decide(&world, &staff.aud, &proposed.id, true), Err(IdentityError::Role(_))));
    let stale = Actor { fresh: false, ..world.actor(&staff.adm1) };
    let tried = block_on(world.identity.decide(&stale, &proposed.id, true, ""));
    assert!(matches!(tried, Err(IdentityError::StepUp)));

    let taken = decide(&world, &staff.adm1, &proposed.id, true).unwrap();
    assert!(taken.second_code.is_none() && taken.approval.decision.is_none() && taken.approval.account.is_none());
    assert_eq!(taken.approval.asked.account.as_ref(), Some(&staff.adm1.person.account));
    assert!(taken.approval.reason.ends_with("; known on the ward"), "{}", taken.approval.reason);
    assert_eq!(world.identity.approval(&proposed.id).unwrap().unwrap(), taken.approval);
    assert!(world.identity.account_by_login("a").unwrap().is_none(), "one person makes no account");
    let code = |who: &Someone| block_on(world.identity.first_code(&world.fresh(who), &proposed.id));
    assert!(code(&staff.adm1).is_err(), "nothing is made yet");
    assert!(matches!(decide(&world, &staff.adm1, &proposed.id, true), Err(IdentityError::SamePerson)));

    let done = decide(&world, &staff.sec, &proposed.id, true).unwrap();
    let account = world.identity.account_by_login("a").unwrap().unwrap();
    assert_eq!(done.approval.account.as_ref(), Some(&account.id));
    assert_eq!((account.role, account.practitioner.as_deref()), (Role::Clinician, Some("pr-a")));
    assert!(matches!(code(&staff.sec), Err(IdentityError::Role(_))), "the first half is for who took it up");
    let (first, second) = (code(&staff.adm1).unwrap(), done.second_code.unwrap());
    let someone = world.someone(world.enrol(first.reveal(), second.reveal(), "a"));
    assert_eq!(someone.person.role, Role::Clinician);
    let entries = world.rows.entries();
    let behind = |kind: EventKind| {
        let of = entries.iter().filter(|entry| entry.kind == kind);
        of.filter_map(|entry| entry.on_behalf_of.clone()).collect::<Vec<_>>()
    };
    assert_eq!(behind(EventKind::ApprovalAsked), ["feed"], "who proposed stands in the ledger");
    assert_eq!(behind(EventKind::ApprovalDecided), ["adm1"]);
}

#[test]
fn two_who_allow_a_proposal_at_the_same_time_are_two_people() {
    let (world, staff) = World::with_staff();
    let proposed = propose(&world, "a").unwrap();
    let allow = |who: &Someone| {
        let (identity, actor, id) = (world.identity.clone(), world.fresh(who), proposed.id.clone());
        std::thread::spawn(move || block_on(identity.decide(&actor, &id, true, "")))
    };
    let (one, other) = (allow(&staff.adm1), allow(&staff.adm2));
    let both = [one.join().unwrap().unwrap(), other.join().unwrap().unwrap()];
    assert_eq!(both.iter().filter(|decided| decided.second_code.is_some()).count(), 1);
    let approval = world.identity.approval(&proposed.id).unwrap().unwrap();
    assert_ne!(approval.asked.account, approval.decision.unwrap().by.account);
}

#[test]
fn what_people_said_no_to_is_not_proposed_again() {
    let (world, staff) = World::with_staff();
    let again = |login: &str| propose(&world, login).map(|approval| approval.id);
    let refused = again("refused").unwrap();
    decide(&world, &staff.sec, &refused, false).unwrap();
    assert!(matches!(again("refused"), Err(IdentityError::Invalid { .. })));
    let withdrawn = again("withdrawn").unwrap();
    decide(&world, &staff.adm1, &withdrawn, true).unwrap();
    block_on(world.identity.withdraw(&world.fresh(&staff.adm1), &withdrawn)).unwrap();
    assert!(again("withdrawn").is_err());
    // Who asked for one, has one or had one.
    world.ask(&staff.adm1, Act::NewAccount(clinician("asked"))).unwrap();
    assert!(again("asked").is_err());
    let doctor = world.employ(&staff, clinician("doctor"));
    assert!(again("doctor").is_err());
    block_on(world.identity.close(&world.fresh(&staff.adm2), &doctor.person.account, "left")).unwrap();
    assert!(again("doctor").is_err(), "whoever lost an account gets none by data");
    assert!(world.ask(&staff.adm1, Act::NewAccount(clinician("doctor"))).is_ok(), "people may");
    // What nobody decided on in time may come again, and says since when.
    again("late").unwrap();
    assert!(world.identity.proposals().unwrap().is_settled("pr-late"));
    let then = world.now();
    world.clock.advance_ms(7 * DAY_MS);
    let proposals = world.identity.proposals().unwrap();
    assert_eq!((proposals.is_settled("pr-late"), proposals.lapsed("pr-late")), (false, Some(then)));
    assert!(proposals.is_settled("pr-refused") && proposals.is_settled("pr-withdrawn"));
    assert!(proposals.has_login("doctor") && !proposals.has_login("late"));
    again("late").unwrap();
}

#[test]
fn proposals_are_few_and_of_care_and_made_by_no_person() {
    let (world, staff) = World::with_staff();
    let by_person = block_on(world.identity.propose(&world.fresh(&staff.adm1), clinician("a")));
    assert!(matches!(by_person, Err(IdentityError::Role(_))));
    let mut keeper = Draft::new("k", "K", Role::Administrator);
    let refused = |draft: &Draft| block_on(world.identity.propose(&data(), draft.clone())).is_err();
    assert!(refused(&keeper));
    keeper.role = Role::Nurse;
    assert!(refused(&keeper), "nobody among the records");
    let made: Vec<_> = (0..PROPOSALS_OPEN_MAX).map(|n| propose(&world, &format!("p{n}")).unwrap()).collect();
    assert_eq!(world.identity.proposals().unwrap().room(), 0);
    assert!(matches!(propose(&world, "more"), Err(IdentityError::Invalid { field: "proposals", .. })));
    // Taken up, it is people's and makes room; and so does what is refused.
    decide(&world, &staff.adm1, &made[0].id, true).unwrap();
    decide(&world, &staff.adm1, &made[1].id, false).unwrap();
    assert_eq!(world.identity.proposals().unwrap().room(), 2);
    propose(&world, "more").unwrap();
}
