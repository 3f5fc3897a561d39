//! Subscriptions: each change that fits is handed out once noted, in order, whatever happens in between, and is in the ledger before.

use crate::house::*;
use pollster::block_on;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tacet_fhir::json::Json;
use tacet_ledger::EventKind;
use tacet_types::{Sequence, VersionId};
use tacet_vault::{
    Announced, Caller, EVENTS_AHEAD, Notification, NotificationContent, Role, SubscriberEnd, Subscription,
    SubscriptionEnd, SubscriptionEvents, SubscriptionEventsCall, SubscriptionState, VaultError,
};

const WEIGHTS: &str = "Observation?code:text=weight";

fn subscription(id: &str, status: &str) -> String {
    format!(
        r#"{{"resourceType":"Subscription","id":"{id}","status":"{status}","reason":"test","criteria":"{WEIGHTS}","channel":{{"type":"rest-hook","endpoint":"https://x.example/hook"}}}}"#
    )
}

fn only(house: &House) -> Subscription {
    let mut all = house.vault.subscriptions().unwrap();
    assert_eq!(all.len(), 1);
    all.pop().unwrap()
}

/// Stores a subscription and makes it active; gives its version.
fn active(house: &House, criteria: &str) -> VersionId {
    house.put("Subscription", "s", &subscription("s", "requested")).unwrap();
    let asked = only(house);
    assert!(asked.state == SubscriptionState::Requested && !asked.running);
    block_on(house.vault.activate_subscription(&asked.id, asked.version, criteria, BASE_URL)).unwrap();
    let now = only(house);
    assert!(now.state == SubscriptionState::Active && now.running);
    now.version
}

fn pending(house: &House, version: VersionId) -> Vec<Notification> {
    house.vault.notifications(&rid("s"), version, 1000).unwrap().unwrap()
}

fn ids(notifications: &[Notification]) -> Vec<String> {
    notifications.iter().flat_map(|one| &one.records).map(|record| record.id.as_str().to_owned()).collect()
}

fn weigh(house: &House, id: &str) {
    house.put("Observation", id, &observation(id, "p", "1")).unwrap();
}

fn other(house: &House, id: &str) {
    house.put("Observation", id, &observation(id, "p", "1").replace("Weight", "Height")).unwrap();
}

#[test]
fn what_fits_is_handed_out_until_it_is_noted() {
    let house = House::new();
    weigh(&house, "before");
    let woken = Arc::new(AtomicUsize::new(0));
    house.vault.watch_subscriptions({
        let woken = Arc::clone(&woken);
        move || {
            woken.fetch_add(1, Ordering::SeqCst);
        }
    });
    let version = active(&house, WEIGHTS);
    assert!(house.vault.subscriptions_changed() && !house.vault.subscriptions_changed());
    let stored: String = house.read("Subscription", "s").unwrap();
    assert!(stored.contains(r#""status":"active""#), "{stored}");
    let own = house.ledger().into_iter().rfind(|entry| entry.kind == EventKind::Update).unwrap();
    assert_eq!((own.agent.owner.as_str(), own.records[0].id.as_str()), ("tacet", "s"));

    assert_eq!(pending(&house, version), []);
    let before = woken.load(Ordering::SeqCst);
    other(&house, "height");
    house.put("Patient", "p", &patient("p", "Weight")).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), before, "what does not fit wakes nobody");
    assert!(!house.vault.has_notifications(&rid("s"), version));
    for id in ["a", "b", "c"] {
        weigh(&house, id);
    }
    assert_eq!(woken.load(Ordering::SeqCst), before + 3);
    house.delete("Observation", "b").unwrap();
    let found = pending(&house, version);
    assert_eq!(ids(&found), ["a", "b", "c"], "a deletion does not notify");
    assert_eq!(found.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(pending(&house, version), found, "the same until it is noted");
    block_on(house.vault.notified(&rid("s"), version, found[1].sequence)).unwrap();
    assert_eq!(pending(&house, version), found[2..]);
    house.assert_sound();
}

#[test]
fn events_can_be_asked_for_again() {
    let mut house = House::new();
    house.put("Patient", "p", &patient("p", "Durand")).unwrap();
    let version = active(&house, WEIGHTS);
    for id in ["a", "b", "c", "d"] {
        weigh(&house, id);
        other(&house, &format!("{id}-other"));
    }
    let found = pending(&house, version);
    block_on(house.vault.notified(&rid("s"), version, found[1].sequence)).unwrap();
    let events = |house: &House, since: Option<u64>, until: Option<u64>, content| {
        let call = SubscriptionEventsCall { id: rid("s"), since, until, content };
        block_on(house.vault.subscription_events(&clinician(), &call)).unwrap()
    };
    let numbered = |found: &SubscriptionEvents| {
        let events = found.events.iter().map(|event| (event.number, event.record.id.as_str().to_owned()));
        events.collect::<Vec<_>>()
    };
    let own = |number, id: &str| (number, id.to_owned());
    for reopened in [false, true] {
        if reopened {
            house.reopen();
        }
        let before = house.ledger().len();
        let all = events(&house, None, None, NotificationContent::Ids);
        assert_eq!(numbered(&all), [own(1, "a"), own(2, "b"), own(3, "c"), own(4, "d")], "sent and not sent");
        assert!(all.shown.is_empty() && all.total == 4 && all.subscription.id == rid("s"));
        let entries = house.ledger().split_off(before);
        let told: usize = entries.iter().map(|entry| entry.records.len()).sum();
        let asked = entries.iter().filter(|entry| entry.query.as_deref() == Some("Subscription/s/$events"));
        assert!(told == 4 && asked.count() == 1, "who asked was told of four records");
    }
    let some = events(&house, Some(2), Some(3), NotificationContent::Full);
    assert_eq!(numbered(&some), [own(2, "b"), own(3, "c")]);
    let bodies: Vec<&str> = some.shown.iter().map(|one| std::str::from_utf8(&one.body).unwrap()).collect();
    assert!(bodies.len() == 2 && bodies[0].contains(r#""id":"b""#) && bodies[1].contains(r#""id":"c""#));
    assert_eq!(house.ledger().pop().unwrap().kind, EventKind::Vread);
    assert_eq!(numbered(&events(&house, Some(9), None, NotificationContent::Ids)), []);

    let status = |house: &House, caller: &Caller, id: &str| {
        let told = block_on(house.vault.subscription_status(caller, Some(&rid(id))))?;
        Ok::<_, VaultError>((told[0].0.state, told[0].1))
    };
    assert_eq!(status(&house, &clinician(), "s").unwrap(), (SubscriptionState::Active, 2), "those that were sent");
    assert!(matches!(status(&house, &clinician(), "t"), Err(VaultError::NotFound)));
    assert!(matches!(status(&house, &caller(Role::Auditor), "s"), Err(VaultError::Forbidden)));
    assert_eq!(block_on(house.vault.subscription_status(&clinician(), None)).unwrap().len(), 1);

    // An end leaves what was sent to be asked for; what was erased is gone, and so is all when it is stored anew.
    block_on(house.vault.end_subscription(&rid("s"), only(&house).version, SubscriptionEnd::Error("gone"))).unwrap();
    assert_eq!(numbered(&events(&house, None, None, NotificationContent::Empty)), [own(1, "a"), own(2, "b")]);
    assert_eq!(status(&house, &clinician(), "s").unwrap(), (SubscriptionState::Error, 2));
    house.assert_sound();
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p"))).unwrap();
    assert_eq!(numbered(&events(&house, None, None, NotificationContent::Full)), []);
    house.put("Subscription", "s", &subscription("s", "requested")).unwrap();
    assert_eq!(status(&house, &clinician(), "s").unwrap(), (SubscriptionState::Requested, 0));
    assert_eq!(events(&house, None, None, NotificationContent::Ids).total, 0);
    house.assert_sound();
}

#[test]
fn after_a_restore_no_number_of_an_event_is_given_again() {
    let mut house = House::new();
    let version = active(&house, WEIGHTS);
    for id in ["a", "b", "c"] {
        weigh(&house, id);
    }
    let found = pending(&house, version);
    block_on(house.vault.notified(&rid("s"), version, found[1].sequence)).unwrap();
    house.reopen();
    assert_eq!(pending(&house, version)[0].number, 3);
    // What was sent between the snapshot and the loss had numbers too.
    assert_eq!(block_on(house.vault.advance_event_numbers()).unwrap(), 1);
    weigh(&house, "d");
    let told = |house: &House| -> Vec<(u64, String)> {
        let found = pending(house, version);
        found.iter().map(|one| (one.number, one.records[0].id.as_str().to_owned())).collect()
    };
    let ahead = [(EVENTS_AHEAD + 3, "c".to_owned()), (EVENTS_AHEAD + 4, "d".to_owned())];
    assert_eq!(told(&house), ahead);
    // A restart does not forget it, and what was missed can be asked for.
    house.reopen();
    assert_eq!(told(&house), ahead);
    let call = SubscriptionEventsCall { id: rid("s"), since: Some(3), until: None, content: NotificationContent::Ids };
    let events = block_on(house.vault.subscription_events(&clinician(), &call)).unwrap();
    let numbers: Vec<u64> = events.events.iter().map(|event| event.number).collect();
    assert_eq!((events.total, numbers), (EVENTS_AHEAD + 4, vec![EVENTS_AHEAD + 3, EVENTS_AHEAD + 4]));
    block_on(house.vault.notified(&rid("s"), version, found[2].sequence)).unwrap();
    assert_eq!(told(&house), ahead[1..]);
    assert_eq!(house.vault.events_sent(&rid("s"), version), Some(EVENTS_AHEAD + 3));
}

#[test]
fn nothing_is_lost_by_a_stop_or_a_kill() {
    for killed in [false, true] {
        let mut house = House::new();
        let version = active(&house, WEIGHTS);
        for id in ["a", "b", "c"] {
            weigh(&house, id);
            other(&house, &format!("{id}-other"));
        }
        let found = pending(&house, version);
        block_on(house.vault.notified(&rid("s"), version, found[0].sequence)).unwrap();
        if killed {
            house.disk = house.disk.crash(tacet_store::memory::Crash::KeepSynced);
            let gone = std::mem::replace(&mut house.vault, House::new().vault);
            drop(gone);
        }
        house.reopen();
        assert!(only(&house).running && house.vault.has_notifications(&rid("s"), version));
        weigh(&house, "d");
        let again = pending(&house, version);
        assert_eq!(ids(&again), ["b", "c", "d"], "killed: {killed}");
        assert_eq!(again.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(again[0].sequence, found[1].sequence);
        let opened = house
            .ledger()
            .into_iter()
            .filter(|entry| entry.detail.as_deref().is_some_and(|d| d.starts_with("subscriptions:")));
        assert_eq!(opened.count(), 1, "that records were opened is in the ledger");
        block_on(house.vault.notified(&rid("s"), version, again[2].sequence)).unwrap();
        house.reopen();
        assert_eq!(pending(&house, version), []);
        house.assert_sound();
    }
}

#[test]
fn what_waits_beyond_the_queue_comes_from_the_feed() {
    let house = House::new();
    let version = active(&house, WEIGHTS);
    for number in 0..1100 {
        weigh(&house, &format!("o{number}"));
    }
    let (mut seen, mut last) = (Vec::new(), Sequence(0));
    loop {
        let page = house.vault.notifications(&rid("s"), version, 300).unwrap().unwrap();
        let Some(end) = page.last() else { break };
        assert!(page[0].sequence > last);
        last = end.sequence;
        seen.extend(ids(&page));
        block_on(house.vault.notified(&rid("s"), version, last)).unwrap();
    }
    assert_eq!(seen, (0..1100).map(|number| format!("o{number}")).collect::<Vec<_>>());
}

#[test]
fn writers_at_the_same_time_are_all_seen() {
    let house = House::new();
    let version = active(&house, WEIGHTS);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let house = &house;
            scope.spawn(move || (0..25).for_each(|round| weigh(house, &format!("w{writer}-{round}"))));
        }
        let mut last = Sequence(0);
        while seen.len() < 100 {
            for one in pending(&house, version) {
                assert!(one.sequence > last, "in order");
                last = one.sequence;
                seen.extend(ids(&[one]));
            }
            block_on(house.vault.notified(&rid("s"), version, last)).unwrap();
        }
    });
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

#[test]
fn a_change_of_the_subscription_ends_what_was() {
    let house = House::new();
    let version = active(&house, WEIGHTS);
    weigh(&house, "a");
    house.put("Subscription", "s", &subscription("s", "requested")).unwrap();
    assert_eq!(house.vault.notifications(&rid("s"), version, 9).unwrap(), None);
    let asked = only(&house);
    assert_eq!(asked.state, SubscriptionState::Requested);
    let stale = block_on(house.vault.end_subscription(&rid("s"), version, SubscriptionEnd::Off));
    assert!(matches!(stale, Err(VaultError::Conflict)));
    block_on(house.vault.end_subscription(&rid("s"), asked.version, SubscriptionEnd::Error("set `allowed`"))).unwrap();
    let ended = only(&house);
    assert_eq!(ended.state, SubscriptionState::Error);
    assert_eq!(ended.resource.get("error").and_then(Json::as_str), Some("set `allowed`"));
    // An `active` from a client is a wish like another; `off` is taken.
    house.put("Subscription", "s", &subscription("s", "active")).unwrap();
    assert_eq!(only(&house).state, SubscriptionState::Requested);
    house.put("Subscription", "s", &subscription("s", "off")).unwrap();
    assert_eq!(only(&house).state, SubscriptionState::Off);
    house.delete("Subscription", "s").unwrap();
    assert!(house.vault.subscriptions().unwrap().is_empty());
    house.assert_sound();
}

#[test]
fn criteria_that_cannot_be_held_against_one_resource_are_refused() {
    let house = House::new();
    house.put("Subscription", "s", &subscription("s", "requested")).unwrap();
    let asked = only(&house);
    for criteria in [
        "",
        "Nothing?x=1",
        "Observation?colour=blue",
        "Observation?subject:Patient.name=x",
        "Patient?_has:Observation:subject:code=x",
        "Observation?_list=1",
        "Observation?_sort=date",
        "Observation?_include=Observation:subject",
        "Observation?_count=3",
        "Observation?_summary=count",
        "Observation?code=%zz",
    ] {
        let refused = block_on(house.vault.activate_subscription(&asked.id, asked.version, criteria, BASE_URL));
        assert!(refused.is_err(), "{criteria}");
        assert!(!only(&house).running);
    }
    for criteria in ["Observation", "Observation?subject=Patient/1&status=final", "Patient?name=x"] {
        let version = only(&house).version;
        block_on(house.vault.activate_subscription(&asked.id, version, criteria, BASE_URL)).unwrap();
    }
}

#[test]
fn a_notification_is_in_the_ledger_before_it_is_sent() {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Nom")).unwrap();
    let operator = caller(Role::Operator);
    let until = tacet_types::Timestamp::parse(START).unwrap().plus_ms(3_600_000);
    let (token, _) = block_on(house.vault.create_token(&operator, "Lab", Role::Integrator, until)).unwrap();
    let lab = Caller { owner: "Lab".to_owned(), role: Role::Integrator, token: Some(token.id.clone()), ..clinician() };
    let body = subscription("s", "requested");
    block_on(house.vault.update(&lab, kind("Subscription"), &rid("s"), body.as_bytes(), BASE_URL, None, false))
        .unwrap();
    let asked = only(&house);
    block_on(house.vault.activate_subscription(&asked.id, asked.version, WEIGHTS, BASE_URL)).unwrap();
    let version = only(&house).version;
    weigh(&house, "a");
    let found = pending(&house, version);
    let announce = |content| block_on(house.vault.announce(&rid("s"), version, &found[0].records, content)).unwrap();
    for (content, kind, opened) in [
        (NotificationContent::Empty, EventKind::Search, 0),
        (NotificationContent::Ids, EventKind::Search, 0),
        (NotificationContent::Full, EventKind::Vread, 1),
    ] {
        let Announced::Send { there, shown } = announce(content) else { panic!("{content:?}") };
        assert_eq!((&there, shown.len()), (&found[0].records, opened));
        let entry = house.ledger().pop().unwrap();
        assert_eq!((entry.kind, entry.agent.owner.as_str(), entry.agent.role.as_str()), (kind, "Lab", "integrator"));
        assert_eq!(entry.agent.token.as_deref(), Some(token.id.as_str()));
        assert_eq!(entry.records, found[0].records);
        assert_eq!(entry.query.as_deref(), Some(WEIGHTS));
        assert_eq!(entry.patient.unwrap().1, rid("p"));
    }
    assert!(block_on(house.vault.revoke_token(&operator, &token.id)).unwrap());
    house.clock.advance_ms(6_000);
    let size = house.ledger().len();
    assert!(matches!(announce(NotificationContent::Full), Announced::SubscriberGone));
    assert_eq!(house.ledger().len(), size);
}

#[test]
fn what_an_app_asked_for_goes_on_as_long_as_its_grant_stands() {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Nom")).unwrap();
    // The token of that moment is none of this store's, and is not what counts.
    let app = Caller {
        role: Role::Integrator,
        token: Some("0011aabb".to_owned()),
        hangs_on: Some("grant 7".to_owned()),
        ..clinician()
    };
    let body = subscription("s", "requested");
    block_on(house.vault.update(&app, kind("Subscription"), &rid("s"), body.as_bytes(), BASE_URL, None, false))
        .unwrap();
    let asked = only(&house);
    block_on(house.vault.activate_subscription(&asked.id, asked.version, WEIGHTS, BASE_URL)).unwrap();
    let version = only(&house).version;
    weigh(&house, "a");
    let found = pending(&house, version);
    let announce = || block_on(house.vault.announce(&rid("s"), version, &found[0].records, NotificationContent::Ids));
    let size = house.ledger().len();
    // Nobody can tell: nothing is sent, and nothing ends.
    assert!(matches!(announce(), Err(VaultError::Unavailable(_))));
    let answer = Arc::new(AtomicUsize::new(0));
    house.vault.judge_subscribers({
        let answer = Arc::clone(&answer);
        move |hangs_on| {
            assert_eq!(hangs_on, "grant 7");
            [None, Some(true), Some(false)][answer.load(Ordering::SeqCst)]
        }
    });
    assert!(matches!(announce(), Err(VaultError::Unavailable(_))));
    assert_eq!(house.ledger().len(), size);
    answer.store(1, Ordering::SeqCst);
    assert!(matches!(announce(), Ok(Announced::Send { .. })));
    assert_eq!(house.vault.subscriber_end(&rid("s"), version).unwrap(), None);
    // An answer is trusted for a moment, and no longer.
    answer.store(2, Ordering::SeqCst);
    house.clock.advance_ms(4_000);
    assert!(matches!(announce(), Ok(Announced::Send { .. })));
    house.clock.advance_ms(1_000);
    let size = house.ledger().len();
    assert!(matches!(announce(), Ok(Announced::SubscriberGone)));
    assert_eq!(house.vault.subscriber_end(&rid("s"), version).unwrap(), Some(SubscriberEnd::Grant));
    assert_eq!(house.vault.subscriber_end(&rid("s"), version.next()).unwrap(), Some(SubscriberEnd::Replaced));
    assert_eq!(house.ledger().len(), size);
}

#[test]
fn what_is_settled_is_not_looked_at_again() {
    let mut house = House::new();
    let version = active(&house, WEIGHTS);
    for number in 0..20 {
        other(&house, &format!("o{number}"));
    }
    block_on(house.vault.settle_subscriptions(false)).unwrap();
    block_on(house.vault.settle_subscriptions(true)).unwrap();
    house.reopen();
    assert!(!house.vault.has_notifications(&rid("s"), version));
    weigh(&house, "a");
    block_on(house.vault.settle_subscriptions(true)).unwrap();
    house.reopen();
    assert_eq!(ids(&pending(&house, version)), ["a"], "what waits is not passed over");
}

#[test]
fn what_was_erased_meanwhile_is_not_told() {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Nom")).unwrap();
    let version = active(&house, WEIGHTS);
    weigh(&house, "a");
    let found = pending(&house, version);
    block_on(house.vault.erase(&caller(Role::Operator), &rid("p"))).unwrap();
    for content in [NotificationContent::Empty, NotificationContent::Ids, NotificationContent::Full] {
        let announced = block_on(house.vault.announce(&rid("s"), version, &found[0].records, content)).unwrap();
        let Announced::Send { there, shown } = announced else { panic!("{content:?}") };
        assert!(there.is_empty() && shown.is_empty());
    }
}
