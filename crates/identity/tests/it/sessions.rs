//! Sessions, step-up, and how accounts end.

use crate::*;
use tacet_identity::{Act, State, WhyDue, Window};
use tacet_ledger::EventKind;

#[test]
fn a_session_ends_when_idle_and_after_its_longest_time() {
    let (world, staff) = World::with_staff();
    for _ in 0..42 {
        world.clock.advance_ms(14 * MINUTE_MS);
        assert!(world.who(&staff.sec).is_some());
    }
    world.clock.advance_ms(12 * MINUTE_MS);
    assert!(world.who(&staff.sec).is_none(), "10 hours");
    assert!(world.who(&staff.aud).is_none(), "15 minutes");
    assert_eq!(block_on(world.identity.sweep_sessions()).unwrap(), 4);
    assert!(world.identity.sessions(&staff.sec.person.account).unwrap().is_empty());
}

#[test]
fn a_use_is_written_once_a_minute() {
    let (world, staff) = World::with_staff();
    let seen = || world.identity.sessions(&staff.sec.person.account).unwrap()[0].seen;
    let first = seen();
    world.clock.advance_ms(59_999);
    world.who(&staff.sec).unwrap();
    assert_eq!(seen(), first);
    world.clock.advance_ms(1);
    world.who(&staff.sec).unwrap();
    assert_eq!(seen(), world.now());
}

#[test]
fn a_secret_from_another_device_ends_the_session() {
    let (world, staff) = World::with_staff();
    let own = world.connection(&staff.sec.device);
    let address = own.address;
    let operation = OperationId([4; 16]);
    let other_device = world.identity.new_device().into_inner();
    for (who, connection) in [
        (&staff.sec, Connection::new(address, Some(&other_device), "Browser 1", operation)),
        (&staff.aud, Connection::new(address, Some(&staff.aud.device), "curl", operation)),
        (&staff.adm2, Connection::new(address, None, "Browser 1", operation)),
    ] {
        assert!(world.who(who).is_some());
        assert!(block_on(world.identity.authenticate(&who.secret, &connection)).unwrap().is_none());
        assert!(world.who(who).is_none());
    }
    for secret in ["", "tacet_se_", "tacet_se_é", &format!("tacet_se_{}", "0".repeat(64)), &"x".repeat(73)] {
        assert!(block_on(world.identity.authenticate(secret, &own)).unwrap().is_none());
    }
}

#[test]
fn revocation_is_effective_at_once() {
    let (world, mut staff) = World::with_staff();
    let second = world.login(&mut staff.sec.key, &staff.sec.device).unwrap();
    let id = &staff.sec.person.account;
    let connection = world.connection(&staff.sec.device);
    let sessions = world.identity.sessions(id).unwrap();
    assert_eq!(sessions.len(), 2);
    let end = |actor: &Actor, session: &str| block_on(world.identity.end_session(actor, id, session));
    assert!(matches!(end(&world.actor(&staff.aud), &sessions[1].session), Err(IdentityError::Role(_))));
    end(&stale(&world, &staff.sec), &sessions[1].session).unwrap();
    assert!(block_on(world.identity.authenticate(second.secret.reveal(), &connection)).unwrap().is_none());
    assert!(world.who(&staff.sec).is_some());
    let stale_one = stale(&world, &staff.adm1);
    assert!(matches!(end(&stale_one, &sessions[0].session), Err(IdentityError::StepUp)), "somebody else's");
    assert!(matches!(block_on(world.identity.end_sessions_of(&stale_one, id)), Err(IdentityError::StepUp)));
    assert!(world.who(&staff.sec).is_some());
    block_on(world.identity.end_sessions_of(&world.fresh(&staff.adm1), id)).unwrap();
    assert!(world.who(&staff.sec).is_none());

    block_on(world.identity.logout(&staff.aud.person, &world.connection(&staff.aud.device))).unwrap();
    assert!(world.who(&staff.aud).is_none());

    assert!(matches!(
        block_on(world.identity.end_all_sessions(&stale(&world, &staff.adm1))),
        Err(IdentityError::StepUp)
    ));
    assert!(world.who(&staff.adm1).is_some());
    block_on(world.identity.end_all_sessions(&world.fresh(&staff.adm1))).unwrap();
    assert!(world.who(&staff.adm1).is_none() && world.who(&staff.adm2).is_none());
    world.clock.advance_ms(1);
    let again = world.login(&mut staff.adm1.key, &staff.adm1.device).unwrap();
    let reopened = World::open(&world.rows, &world.clock);
    let connection = world.connection(&staff.adm1.device);
    let who = |secret: &str| block_on(reopened.authenticate(secret, &connection)).unwrap().is_some();
    assert!(who(again.secret.reveal()) && !who(&staff.adm1.secret), "after a restart too");
}

fn stale(world: &World, someone: &Someone) -> Actor {
    Actor { fresh: false, ..world.actor(someone) }
}

#[test]
fn suspending_and_closing_end_sessions_and_logins() {
    let (world, staff) = World::with_staff();
    let mut doctor = world.employ(&staff, clinician("a"));
    let id = doctor.person.account.clone();
    let without = block_on(world.identity.suspend(&stale(&world, &staff.sec), &id, "stolen phone"));
    assert!(matches!(without, Err(IdentityError::StepUp)) && world.who(&doctor).is_some());
    block_on(world.identity.suspend(&world.fresh(&staff.sec), &id, "stolen phone")).unwrap();
    assert!(world.who(&doctor).is_none());
    assert!(matches!(world.login(&mut doctor.key, &doctor.device), Err(IdentityError::State("suspended"))));
    block_on(world.identity.resume(&world.fresh(&staff.adm1), &id)).unwrap();
    let device = doctor.device.clone();
    world.login(&mut doctor.key, &device).unwrap();
    assert!(matches!(
        block_on(world.identity.close(&world.fresh(&staff.adm1), &staff.adm1.person.account, "x")),
        Err(IdentityError::OwnAct)
    ));
    block_on(world.identity.close(&world.fresh(&staff.adm1), &id, "left")).unwrap();
    assert!(matches!(world.login(&mut doctor.key, &device), Err(IdentityError::Refused)), "unknown from now on");
    assert!(block_on(world.identity.resume(&world.fresh(&staff.adm1), &id)).is_err());
    assert!(world.identity.account_by_login("a").unwrap().is_none());
    world.employ(&staff, clinician("a"));
}

#[test]
fn showing_the_passkey_again_makes_a_session_fresh() {
    let (world, mut staff) = World::with_staff();
    let connection = world.connection(&staff.sec.device);
    world.clock.advance_ms(6 * MINUTE_MS);
    let person = world.who(&staff.sec).unwrap();
    assert!(!world.identity.actor(&person, &connection).fresh);
    let offer = world.identity.begin_step_up(&person, &connection).unwrap();
    let answer = staff.aud.key.get(&offer.options).unwrap();
    let result = block_on(world.identity.finish_step_up(&offer.ceremony, &answer, &person, &connection));
    assert!(matches!(result, Err(IdentityError::Refused)), "another person's passkey");
    // What was tried in a session is found by the session and by the account, as what was done in it is.
    let failed = world.rows.entries().into_iter().rfind(|entry| entry.kind == EventKind::LoginFailed).unwrap();
    assert_eq!(failed.session.as_deref(), Some(person.session.as_str()));
    assert_eq!(failed.account.as_deref(), Some(staff.aud.person.account.as_str()));
    assert_eq!(failed.device.as_deref(), connection.device_id());
    let offer = world.identity.begin_step_up(&person, &connection).unwrap();
    let answer = staff.sec.key.get(&offer.options).unwrap();
    let aud = world.who(&staff.aud).unwrap();
    let result = block_on(world.identity.finish_step_up(&offer.ceremony, &answer, &aud, &connection));
    assert!(matches!(result, Err(IdentityError::Refused)), "another session's challenge");
    let offer = world.identity.begin_step_up(&person, &connection).unwrap();
    let answer = staff.sec.key.get(&offer.options).unwrap();
    let person = block_on(world.identity.finish_step_up(&offer.ceremony, &answer, &person, &connection)).unwrap();
    assert!(world.identity.actor(&person, &connection).fresh);
    assert!(world.identity.actor(&world.who(&staff.sec).unwrap(), &connection).fresh);
    world.clock.advance_ms(5 * MINUTE_MS + 1);
    assert!(!world.identity.actor(&person, &connection).fresh);
}

#[test]
fn a_suppliers_session_ends_with_its_window() {
    let (world, staff) = World::with_staff();
    let mut draft = Draft::new("vendor", "Vendor", Role::Operator);
    draft.supplier = true;
    let approval = world.ask(&staff.adm1, Act::NewAccount(draft)).unwrap();
    let second = world.allow(&staff.adm2, &approval).unwrap().second_code.unwrap();
    let first = block_on(world.identity.first_code(&world.fresh(&staff.adm1), &approval.id)).unwrap();
    let mut key = world.enrol(first.reveal(), second.reveal(), "vendor");
    let device = world.identity.new_device().into_inner();
    assert!(matches!(world.login(&mut key, &device), Err(IdentityError::State(_))), "no window");
    let id = world.identity.account_by_login("vendor").unwrap().unwrap().id;
    let now = world.now();
    let window = Window { from_ms: now.as_ms(), until_ms: now.plus_ms(2 * HOUR_MS).as_ms() };
    let approval = world.ask(&staff.adm1, Act::Supplier { account: id, window }).unwrap();
    world.allow(&staff.sec, &approval).unwrap();
    let vendor = world.someone(key);
    assert_eq!(vendor.person.until, now.plus_ms(2 * HOUR_MS));
    for _ in 0..9 {
        world.clock.advance_ms(13 * MINUTE_MS);
        assert!(world.who(&vendor).is_some());
    }
    world.clock.advance_ms(4 * MINUTE_MS);
    assert!(world.who(&vendor).is_none());
}

#[test]
fn sessions_of_an_account_are_bounded() {
    let (world, mut staff) = World::with_staff();
    for _ in 0..tacet_identity::SESSIONS_MAX {
        assert!(world.who(&staff.sec).is_some());
        world.login(&mut staff.sec.key, &staff.sec.device).unwrap();
    }
    assert!(world.who(&staff.sec).is_none(), "the oldest");
    assert_eq!(world.identity.sessions(&staff.sec.person.account).unwrap().len(), tacet_identity::SESSIONS_MAX);
}

#[test]
fn leavers_and_dormant_accounts_are_closed_by_rule() {
    let (world, staff) = World::with_staff();
    let doctor = world.employ(&staff, clinician("used"));
    let mut draft = clinician("leaves");
    draft.ends_ms = Some(world.now().plus_ms(10 * DAY_MS).as_ms());
    let leaver = world.employ(&staff, draft);
    let approval = world.ask(&staff.adm1, Act::NewAccount(clinician("never"))).unwrap();
    let never = world.allow(&staff.adm2, &approval).unwrap().approval.account.unwrap();
    let due = |days: i64| {
        let due = world.identity.due_for_closing(world.now().plus_ms(days * DAY_MS)).unwrap();
        due.into_iter().map(|due| (due.account, due.why)).collect::<Vec<_>>()
    };
    assert_eq!(due(9), []);
    assert_eq!(due(10), [(leaver.person.account.clone(), WhyDue::Left)]);
    assert!(due(30).contains(&(never, WhyDue::NeverEnrolled)));
    assert!(!due(89).contains(&(doctor.person.account.clone(), WhyDue::Dormant)));
    assert!(due(90).contains(&(doctor.person.account.clone(), WhyDue::Dormant)));
    world.clock.advance_ms(10 * DAY_MS);
    let actor = Actor::command_line("tacet", OperationId([5; 16]));
    let closed = block_on(world.identity.close_due(&actor)).unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(world.account(&leaver.person.account).state, State::Closed);
    assert!(block_on(world.identity.close_due(&actor)).unwrap().is_empty());
}
