//! Logging in: passkeys, known and unknown, lock-outs.

use crate::*;
use tacet_identity::State;
use tacet_ledger::people::NoticeKind;

fn refused<T>(result: Result<T, IdentityError>) -> bool {
    matches!(result, Err(IdentityError::Refused))
}

#[test]
fn who_enrolled_logs_in_and_nobody_else() {
    let (world, staff) = World::with_staff();
    let doctor = world.employ(&staff, clinician("z.aubrac"));
    let person = world.who(&doctor).unwrap();
    assert_eq!((person.login.as_str(), person.role), ("z.aubrac", Role::Clinician));
    assert_eq!(person.practitioner.unwrap().as_str(), "pr-z.aubrac");
    assert_eq!(world.account(&doctor.person.account).state, State::Active);
    assert_eq!(world.entries(EventKind::Login), 5);
    let mut stranger = Passkey::new("stranger", ORIGIN).unwrap();
    assert!(refused(world.login(&mut stranger, &doctor.device)));
    let failed = world.rows.entries().into_iter().rfind(|entry| entry.kind == EventKind::LoginFailed).unwrap();
    assert_eq!(failed.agent.owner, "unknown");
}

#[test]
fn an_answer_that_does_not_hold_is_refused() {
    type Spoil = fn(&mut Passkey);
    let spoils: [Spoil; 7] = [
        |key| key.origin = "https://tacet.hospital.example.evil.example".into(),
        |key| key.origin = "http://tacet.hospital.example".into(),
        |key| key.rp_id = Some("other.example".into()),
        |key| key.challenge = Some(vec![7; 32]),
        |key| key.verifies = false,
        |key| key.cross_origin = true,
        |key| key.handle_shown = Some(vec![1; 16]),
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let (world, staff) = World::with_staff();
        let mut key = staff.sec.key.copy().unwrap();
        key.counter = 100;
        spoil(&mut key);
        assert!(refused(world.login(&mut key, &staff.sec.device)), "{index}");
        assert_eq!(world.account(&staff.sec.person.account).failed, 1, "{index}");
        assert!(world.who(&staff.sec).is_some(), "the session goes on");
        let mut good = staff.sec.key.copy().unwrap();
        good.counter = 100;
        world.login(&mut good, &staff.sec.device).unwrap();
        assert_eq!(world.account(&staff.sec.person.account).failed, 0, "{index}");
    }
}

#[test]
fn a_registration_that_does_not_hold_is_refused() {
    type Spoil = fn(&mut Passkey);
    let spoils: [Spoil; 4] = [
        |key| key.origin = "https://evil.example".into(),
        |key| key.challenge = Some(vec![7; 32]),
        |key| key.verifies = false,
        |key| key.rp_id = Some("other.example".into()),
    ];
    for spoil in spoils {
        let world = World::new();
        let invited = world.bootstrap("adm1", Role::Administrator).unwrap();
        let connection = world.connection(world.identity.new_device().reveal());
        let (first, second) = (invited.first.reveal(), invited.second.reveal());
        let offer = block_on(world.identity.begin_enrolment(first, second, &connection)).unwrap();
        let mut key = Passkey::new("a", ORIGIN).unwrap();
        spoil(&mut key);
        let answer = key.create(&offer.options).unwrap();
        let finish = || block_on(world.identity.finish_enrolment(&offer.ceremony, &answer, "x", None, &connection));
        assert!(refused(finish()));
        assert!(refused(finish()), "a ceremony is taken once");
        assert_eq!(world.account(&invited.account.id).state, State::Pending);
        // The invitation holds until it is used.
        world.enrol(first, second, "good");
        assert!(refused(block_on(world.identity.begin_enrolment(first, second, &connection))));
    }
}

#[test]
fn a_ceremony_is_used_once_and_in_time() {
    let (world, staff) = World::with_staff();
    let mut key = staff.sec.key.copy().unwrap();
    key.counter = 10;
    let connection = world.connection(&staff.sec.device);
    let offer = world.identity.begin_login(&connection).unwrap();
    let answer = key.get(&offer.options).unwrap();
    block_on(world.identity.finish_login(&offer.ceremony, &answer, &connection)).unwrap();
    assert!(refused(block_on(world.identity.finish_login(&offer.ceremony, &answer, &connection))), "replayed");
    let offer = world.identity.begin_login(&connection).unwrap();
    assert!(refused(block_on(world.identity.finish_login(&offer.ceremony, &answer, &connection))), "another challenge");
    let offer = world.identity.begin_login(&connection).unwrap();
    world.clock.advance_ms(5 * MINUTE_MS);
    let answer = key.get(&offer.options).unwrap();
    assert!(refused(block_on(world.identity.finish_login(&offer.ceremony, &answer, &connection))), "too late");
    world.clock.advance_ms(1);
    let offer = world.identity.begin_passkey(&staff.sec.person, &connection);
    assert!(matches!(offer, Err(IdentityError::StepUp)));
}

#[test]
fn a_counter_that_goes_back_ends_the_passkey_and_the_sessions() {
    let (world, staff) = World::with_staff();
    let mut thief = staff.sec.key.copy().unwrap();
    thief.counter = 50;
    let stolen = world.login(&mut thief, &staff.sec.device).unwrap();
    let mut owner = staff.sec.key.copy().unwrap();
    owner.counter = 1;
    assert!(refused(world.login(&mut owner, &staff.sec.device)));
    assert!(world.who(&staff.sec).is_none());
    let connection = world.connection(&staff.sec.device);
    assert!(block_on(world.identity.authenticate(stolen.secret.reveal(), &connection)).unwrap().is_none());
    assert!(refused(world.login(&mut thief, &staff.sec.device)), "neither is accepted any more");
    assert!(world.identity.passkeys(&staff.sec.person.account).unwrap()[0].suspect);
    let notices = world.identity.notices(&world.actor(&staff.sec), true).unwrap();
    assert!(notices.iter().any(|notice| notice.kind == NoticeKind::PasskeyCopied));
}

#[test]
fn the_eleventh_try_is_refused_even_if_it_is_good() {
    let (world, staff) = World::with_staff();
    let mut good = staff.sec.key.copy().unwrap();
    good.counter = 1000;
    let mut bad = staff.sec.key.copy().unwrap();
    bad.challenge = Some(vec![7; 32]);
    for n in 0..10 {
        // From ten networks: no source is over its tries.
        let device = world.identity.new_device().into_inner();
        let address = Some(format!("198.51.100.{n}").parse().unwrap());
        let connection = Connection::new(address, Some(&device), "Browser 1", OperationId([2; 16]));
        let offer = world.identity.begin_login(&connection).unwrap();
        let answer = bad.get(&offer.options).unwrap();
        assert!(refused(block_on(world.identity.finish_login(&offer.ceremony, &answer, &connection))));
    }
    let until = match world.login(&mut good, &staff.sec.device) {
        Err(IdentityError::TooManyTries(until)) => until,
        _ => panic!("a locked account was let in"),
    };
    assert_eq!(until, world.now().plus_ms(15 * MINUTE_MS));
    assert!(world.who(&staff.sec).is_some(), "a lock-out ends no session");
    let notices = world.identity.notices(&world.actor(&staff.sec), true).unwrap();
    assert_eq!(notices.iter().filter(|notice| notice.kind == NoticeKind::LockedOut).count(), 1);
    world.clock.advance_ms(15 * MINUTE_MS);
    world.login(&mut good, &staff.sec.device).unwrap();
    assert_eq!(world.account(&staff.sec.person.account).failed, 0);
}

#[test]
fn an_administrator_unlocks_others_and_not_themselves() {
    let (world, staff) = World::with_staff();
    let id = &staff.sec.person.account;
    let mut bad = staff.sec.key.copy().unwrap();
    bad.challenge = Some(vec![7; 32]);
    for _ in 0..10 {
        assert!(refused(world.login(&mut bad, &staff.sec.device)));
    }
    assert!(world.account(id).locked(world.now()).is_some());
    let unlock = |actor| block_on(world.identity.unlock(&actor, id));
    assert!(matches!(unlock(world.fresh(&staff.aud)), Err(IdentityError::Role(_))));
    assert!(matches!(
        block_on(world.identity.unlock(&world.fresh(&staff.adm1), &staff.adm1.person.account)),
        Err(IdentityError::OwnAct)
    ));
    assert!(unlock(world.fresh(&staff.adm1)).unwrap().locked(world.now()).is_none());
}

#[test]
fn a_source_is_locked_and_a_known_device_there_is_not() {
    let (world, staff) = World::with_staff();
    for n in 0..10 {
        let device = world.identity.new_device().into_inner();
        assert!(refused(world.login(&mut Passkey::new(&format!("s{n}"), ORIGIN).unwrap(), &device)));
    }
    let failed = world.entries(EventKind::LoginFailed);
    let device = world.identity.new_device().into_inner();
    let mut key = staff.sec.key.copy().unwrap();
    key.counter = 10;
    assert!(matches!(world.login(&mut key, &device), Err(IdentityError::TooManyTries(_))), "the 11th");
    assert_eq!(world.entries(EventKind::LoginFailed), failed, "nothing is written for a locked source");
    world.login(&mut key, &staff.sec.device).unwrap();
    world.clock.advance_ms(15 * MINUTE_MS);
    world.login(&mut key, &device).unwrap();
}

/// A row each, an entry each: who is unknown costs what who is known costs.
#[test]
fn failing_writes_the_same_for_known_and_unknown() {
    let (world, staff) = World::with_staff();
    let count = || (world.rows.entries().len(), world.entries(EventKind::LoginFailed));
    let before = count();
    let mut bad = staff.sec.key.copy().unwrap();
    bad.challenge = Some(vec![7; 32]);
    assert!(refused(world.login(&mut bad, &staff.sec.device)));
    let known = count();
    assert!(refused(world.login(&mut Passkey::new("x", ORIGIN).unwrap(), &staff.sec.device)));
    let unknown = count();
    assert_eq!((known.0 - before.0, known.1 - before.1), (1, 1));
    assert_eq!((unknown.0 - known.0, unknown.1 - known.1), (1, 1));
}

#[test]
fn passkeys_are_added_and_removed_by_their_owner() {
    let (world, mut staff) = World::with_staff();
    let connection = world.connection(&staff.sec.device);
    let offer = world.identity.begin_passkey(&staff.sec.person, &connection).unwrap();
    let mut second = Passkey::new("second", ORIGIN).unwrap();
    let answer = second.create(&offer.options).unwrap();
    let person = Some(&staff.adm1.person);
    assert!(refused(block_on(world.identity.finish_enrolment(&offer.ceremony, &answer, "x", person, &connection))));
    let offer = world.identity.begin_passkey(&staff.sec.person, &connection).unwrap();
    let answer = second.create(&offer.options).unwrap();
    let person = Some(&staff.sec.person);
    block_on(world.identity.finish_enrolment(&offer.ceremony, &answer, "key ring", person, &connection)).unwrap();
    let other = world.login(&mut second, &staff.sec.device).unwrap();
    let passkeys = world.identity.passkeys(&staff.sec.person.account).unwrap();
    assert_eq!(passkeys.iter().map(|key| key.label.as_str()).collect::<Vec<_>>(), ["phone", "key ring"]);
    let remove = |id: &str| block_on(world.identity.remove_passkey(&world.fresh(&staff.sec), &staff.sec.person, id));
    remove(&passkeys[1].id).unwrap();
    assert!(remove(&passkeys[0].id).is_err(), "not the last");
    assert!(refused(world.login(&mut second, &staff.sec.device)));
    assert!(block_on(world.identity.authenticate(other.secret.reveal(), &connection)).unwrap().is_none());
    assert!(world.who(&staff.sec).is_some());
    world.login(&mut staff.sec.key, &staff.sec.device).unwrap();
}

/// A credential id that one account has cannot be registered for another.
#[test]
fn a_passkey_belongs_to_one_account() {
    let (world, staff) = World::with_staff();
    let connection = world.connection(&staff.adm1.device);
    let offer = world.identity.begin_passkey(&staff.adm1.person, &connection).unwrap();
    let mut same = Passkey::new("sec", ORIGIN).unwrap();
    assert_eq!(same.id, staff.sec.key.id);
    let answer = same.create(&offer.options).unwrap();
    let person = Some(&staff.adm1.person);
    assert!(refused(block_on(world.identity.finish_enrolment(&offer.ceremony, &answer, "x", person, &connection))));
}

#[test]
fn wrong_codes_are_refused_and_void_the_invitation() {
    let world = World::new();
    let invited = world.bootstrap("adm1", Role::Administrator).unwrap();
    let (first, second) = (invited.first.reveal(), invited.second.reveal());
    let begin = |first: &str, second: &str, n: u32| {
        let address = Some(format!("203.0.113.{n}").parse().unwrap());
        let device = world.identity.new_device().into_inner();
        let connection = Connection::new(address, Some(&device), "b", OperationId([3; 16]));
        block_on(world.identity.begin_enrolment(first, second, &connection))
    };
    for (first, second) in [("", ""), ("tacet_in_x_y", second.as_str()), (first.as_str(), "")] {
        assert!(refused(begin(first, second, 1)));
    }
    assert!(begin(first, &second.to_lowercase(), 2).is_ok(), "one wrong try so far");
    for n in 0..9 {
        assert!(refused(begin(first, "AAAA-AAAA-AAAA", 10 + n)));
    }
    assert!(refused(begin(first, second, 30)), "void after ten");
    let other = world.bootstrap("adm2", Role::Administrator).unwrap();
    world.clock.advance_ms(2 * DAY_MS);
    assert!(refused(begin(other.first.reveal(), other.second.reveal(), 31)), "ended");
}
