//! The first accounts: made by one person at the machine, until there are two administrators, and not again.

use crate::{DAY_MS, Passkey, Staff, World, clinician};
use pollster::block_on;
use tacet_identity::{Actor, Draft, IdentityError, Invited, State};
use tacet_ledger::people::NoticeKind;
use tacet_types::{OperationId, Role};

fn enrols(world: &World, invited: &Invited) -> Passkey {
    world.enrol(invited.first.reveal(), invited.second.reveal(), &invited.account.login)
}

fn may_enrol(world: &World, invited: &Invited) -> bool {
    let device = world.identity.new_device().into_inner();
    let (first, second) = (invited.first.reveal(), invited.second.reveal());
    block_on(world.identity.begin_enrolment(first, second, &world.connection(&device))).is_ok()
}

#[test]
fn first_accounts_end_with_two_administrators() {
    let world = World::new();
    assert!(world.bootstrap("doc", Role::Clinician).is_err());
    assert!(world.identity.may_bootstrap().unwrap());
    let (world, staff) = World::with_staff();
    assert!(matches!(world.bootstrap("adm3", Role::Administrator), Err(IdentityError::NotFirst)));
    let pretends = Actor { account: None, ..world.fresh(&staff.adm1) };
    let draft = Draft::new("x", "x", Role::Administrator);
    assert!(matches!(block_on(world.identity.bootstrap(&pretends, draft)), Err(IdentityError::Role(_))));
}

/// Both codes of such an invitation are in one hand: it must not let in whoever has them once there are two people for it.
#[test]
fn invitations_of_one_person_end_with_two_administrators() {
    let world = World::new();
    let invited: Vec<Invited> = [
        ("adm1", Role::Administrator),
        ("sec", Role::SecurityOfficer),
        ("adm2", Role::Administrator),
        ("aud", Role::Auditor),
        ("sec2", Role::SecurityOfficer),
    ]
    .map(|(login, role)| world.bootstrap(login, role).unwrap())
    .into();
    enrols(&world, &invited[0]);
    enrols(&world, &invited[1]);
    // Begun before, finished after: refused as well.
    let device = world.identity.new_device().into_inner();
    let connection = world.connection(&device);
    let (first, second) = (invited[4].first.reveal(), invited[4].second.reveal());
    let offer = block_on(world.identity.begin_enrolment(first, second, &connection)).unwrap();
    assert!(may_enrol(&world, &invited[3]));
    enrols(&world, &invited[2]);
    assert!(!may_enrol(&world, &invited[3]));
    let answer = Passkey::new("late", crate::ORIGIN).unwrap().create(&offer.options).unwrap();
    let late = block_on(world.identity.finish_enrolment(&offer.ceremony, &answer, "x", None, &connection));
    assert!(matches!(late, Err(IdentityError::Refused)));
    assert_eq!(world.account(&invited[4].account.id).state, State::Pending);
}

#[test]
fn security_officers_are_told_of_each() {
    let (world, staff) = World::with_staff();
    let told = world.identity.notices(&world.actor(&staff.sec), false).unwrap();
    let told: Vec<_> = told.into_iter().filter(|notice| notice.kind == NoticeKind::FirstAccount).collect();
    assert_eq!(told.len(), 4, "those too that were made before there was one");
    assert!(told.iter().any(|notice| notice.about == staff.aud.person.account.as_str() && notice.text == "auditor"));
    let others = world.identity.notices(&world.actor(&staff.adm1), false).unwrap();
    assert!(others.iter().all(|notice| notice.kind != NoticeKind::FirstAccount));
}

/// One administrator who puts the others away, and stands at the machine, gets no new ones.
#[test]
fn it_does_not_begin_again_for_who_puts_the_others_away() {
    let (world, staff) = World::with_staff();
    let Staff { adm1, adm2, sec, .. } = &staff;
    let other = adm2.person.account.clone();
    block_on(world.identity.suspend(&world.fresh(adm1), &other, "x")).unwrap();
    assert!(!world.identity.may_bootstrap().unwrap());
    block_on(world.identity.close(&world.fresh(adm1), &other, "x")).unwrap();
    assert!(!world.identity.may_bootstrap().unwrap());
    let own = adm1.person.account.clone();
    block_on(world.identity.suspend(&world.fresh(adm1), &own, "x")).unwrap();
    assert!(matches!(world.bootstrap("adm3", Role::Administrator), Err(IdentityError::NotFirst)));
    let by_other = block_on(world.identity.close(&world.fresh(sec), &own, "x"));
    assert!(matches!(by_other, Err(IdentityError::Role(_))), "who reviews closes nobody");
    // Where all are gone for good, closed by rule, the hospital is not left without.
    world.clock.advance_ms(91 * DAY_MS);
    let rounds = Actor::command_line("rounds", OperationId([9; 16]));
    block_on(world.identity.close_due(&rounds)).unwrap();
    assert_eq!(world.account(&own).state, State::Closed);
    assert!(world.identity.may_bootstrap().unwrap());
    let again = world.bootstrap("adm3", Role::Administrator).unwrap();
    assert!(may_enrol(&world, &again));
}

/// Enrolling counts, though nobody logged in by it.
#[test]
fn an_administrator_who_never_logged_in_was_one() {
    let world = World::new();
    let invited = ["adm1", "adm2"].map(|login| world.bootstrap(login, Role::Administrator).unwrap());
    let [mut key, _] = [enrols(&world, &invited[0]), enrols(&world, &invited[1])];
    let device = world.identity.new_device().into_inner();
    let person = world.login(&mut key, &device).unwrap().person;
    let actor = Actor { fresh: true, ..world.identity.actor(&person, &world.connection(&device)) };
    block_on(world.identity.close(&actor, &invited[1].account.id, "x")).unwrap();
    assert!(!world.identity.may_bootstrap().unwrap());
}

/// A refused login elsewhere is written down under the account's name, and nothing is begun.
#[test]
fn a_login_elsewhere_for_an_account_out_of_use_is_written_down() {
    let (world, staff) = World::with_staff();
    let doctor = world.employ(&staff, clinician("a"));
    let id = doctor.person.account.clone();
    block_on(world.identity.suspend(&world.fresh(&staff.sec), &id, "x")).unwrap();
    let before = world.entries(tacet_ledger::EventKind::LoginFailed);
    let connection = world.connection(&doctor.device);
    let begun = block_on(world.identity.login_elsewhere(&id, "house", true, &connection));
    assert!(matches!(begun, Err(IdentityError::State("suspended"))));
    assert_eq!(world.entries(tacet_ledger::EventKind::LoginFailed), before + 1);
    assert!(world.rows.entries().iter().any(|entry| entry.agent.owner == "a"
        && entry.detail.as_deref().is_some_and(|detail| detail.starts_with("at the provider house"))));
}
