//! The periodic review of accesses: what is in it, who prepares it, who judges, and what is told when nobody does.

use crate::*;
use tacet_identity::{
    AccessReview, ItemOutcome, ReviewItem, ReviewState, Section, Terms, item_csv, item_json, review_json,
};
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};
use tacet_ledger::people::{BreakGlassRow, NoticeKind};
use tacet_ledger::{Agent, Entry, Outcome, PurposeOfUse};
use tacet_types::{ResourceId, ResourceType};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn february() -> Terms {
    Terms::of(at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z"))
}

/// An access, on the ninth of February.
fn access(owner: &str, patient: &str, ground: Option<&str>) -> Entry {
    let agent = Agent { owner: owner.into(), role: "clinician".into(), token: None };
    let mut entry =
        Entry::new(at("2026-02-09T10:00:00Z"), EventKind::Read, agent, PurposeOfUse::Treatment, OperationId([9; 16]));
    entry.account = Some(format!("id-of-{owner}"));
    entry.patient = Some((ResourceType::parse("Patient").unwrap(), ResourceId::parse(patient).unwrap()));
    entry.basis = ground.map(|ground| format!("{ground} by clinician-care"));
    entry
}

fn failure(owner: &str, address: &str, detail: &str) -> Entry {
    let mut entry = access(owner, "p1", None);
    (entry.kind, entry.outcome, entry.patient, entry.account) = (EventKind::LoginFailed, Outcome::Refused, None, None);
    entry.origin.address = Some(address.parse().unwrap());
    entry.detail = Some(detail.into());
    entry
}

fn declared(world: &World, from: Timestamp) -> BreakGlassRow {
    let patient = ResourceId::parse("p7").unwrap();
    let (rng, until) = (SeededRng::new(5), from.plus_ms(HOUR_MS));
    let row =
        BreakGlassRow::declared(&rng, "id-of-eve", "eve", "clinician", &patient, "vital-emergency", "why", from, until);
    let write = RowWrite {
        table: Table::BreakGlass,
        name: row.id.clone().into_bytes(),
        value: Some(row.encode().unwrap()),
        expect: Expect::Absent,
    };
    block_on(world.rows.commit(vec![write], Vec::new())).unwrap();
    row
}

fn prepared(
    world: &World,
    by: &Actor,
    terms: Terms,
    reviewer: &str,
    entries: &[Entry],
) -> Result<AccessReview, IdentityError> {
    let begun = block_on(world.identity.begin_access_review(by, terms, reviewer, world.now().plus_ms(30 * DAY_MS)))?;
    let mut gathering = world.identity.gathering(&begun)?;
    for (index, entry) in entries.iter().enumerate() {
        gathering.take(index as u64, entry)?;
    }
    gathering.untold(3);
    block_on(world.identity.finish_access_review(by, &begun, gathering))
}

fn items(world: &World, by: &Actor, id: &str) -> Vec<ReviewItem> {
    block_on(world.identity.access_review(by, id)).unwrap().1
}

#[test]
fn a_review_holds_all_that_must_be_looked_at_and_a_sample_of_the_rest() {
    let (world, staff) = World::with_staff();
    declared(&world, at("2026-02-09T09:30:00Z"));
    let mut entries: Vec<Entry> =
        (0..500).map(|number| access(&format!("dr-{number}"), "p1", Some("care-team"))).collect();
    entries.push(access("eve", "p7", Some("break-glass")));
    entries.push(access("eve", "p8", Some("break-glass")));
    entries.extend([access("mallory", "p2", None), access("mallory", "p2", None), access("mallory", "p3", None)]);
    entries.push(access("claude", "p2", Some("consent")));
    entries.push(access("self", "p2", Some("self-declared")));
    let mut export = access("exporter", "p2", Some("approval"));
    (export.kind, export.detail) = (EventKind::Export, Some("for the register".into()));
    // One entry for what is no patient's, one for each patient: the item says what all of them hold.
    let types = |names: &[&str]| names.iter().map(|name| ResourceType::parse(name).unwrap()).collect();
    let mut foundation = export.clone();
    (foundation.patient, foundation.categories) = (None, types(&["Location"]));
    export.categories = types(&["Condition", "Patient"]);
    entries.extend([foundation, export]);
    let mut refused = access("nosy", "p2", None);
    refused.outcome = Outcome::Refused;
    let mut own = access("patient", "p2", Some("own-record"));
    own.agent.role = "patient".into();
    let mut earlier = access("earlier", "p2", None);
    earlier.at = at("2026-01-31T23:59:59Z");
    entries.extend([refused, own, earlier]);
    let mut machine = access("lab", "p2", Some("whole-store"));
    machine.agent.role = "integrator".into();
    machine.on_behalf_of = Some("Dr House".into());
    entries.push(machine);
    entries.extend((0..11).map(|_| failure("zoe", "192.0.2.1", "no")));
    entries.extend((0..10).map(|_| failure("few", "192.0.2.1", "no")));
    entries.extend((1..3).map(|last| {
        failure("(not authenticated)", &format!("2001:db8::{last}"), "x; this stands for 6 failed attempts")
    }));
    // The security officer was there and did nothing.
    let mut login = access("sec", "p1", None);
    (login.kind, login.patient, login.agent.role) = (EventKind::Login, None, "security-officer".into());
    login.account = Some(staff.sec.person.account.as_str().to_owned());
    entries.push(login);
    world.clock.advance_ms(100 * DAY_MS);
    let auditor = world.someone(staff.aud.key);
    let by = world.fresh(&auditor);
    let review = prepared(&world, &by, february(), "aud", &entries).unwrap();
    assert_eq!((review.state, review.accesses, review.machine_accesses, review.untold), (ReviewState::Open, 500, 1, 3));

    let items = items(&world, &by, &review.id);
    let of = |section: Section| -> Vec<&ReviewItem> { items.iter().filter(|item| item.section == section).collect() };
    let owners = |section| of(section).iter().map(|item| item.owner.clone()).collect::<Vec<_>>();
    assert_eq!(of(Section::Sample).len(), 59);
    assert_eq!(of(Section::MachineSample).len(), 1);
    let emergencies = of(Section::BreakGlass);
    assert_eq!(
        (emergencies.len(), emergencies[0].entries, emergencies[0].patient.as_deref()),
        (1, 1, Some("Patient/p7"))
    );
    assert!(emergencies[0].text.starts_with("NOT REVIEWED within 72 hours; 1 accesses"), "{}", emergencies[0].text);
    let mut without = owners(Section::WithoutRelation);
    without.sort();
    assert_eq!(without, ["claude", "eve", "mallory", "mallory"], "an emergency that nobody declared is none");
    let twice = of(Section::WithoutRelation).into_iter().find(|item| item.entries == 2).unwrap();
    assert_eq!(
        (twice.owner.as_str(), twice.patient.as_deref(), twice.entry),
        ("mallory", Some("Patient/p2"), Some(502))
    );
    assert_eq!(owners(Section::SelfDeclared), ["self"]);
    assert_eq!((owners(Section::Export), of(Section::Export)[0].entries), (vec!["exporter".to_owned()], 2));
    let told = "export for TREAT, 1 of 2 entries of patients: Condition, Location, Patient; for the register";
    assert_eq!((of(Section::Export)[0].text.as_str(), of(Section::Export)[0].patient.as_deref()), (told, None));
    assert_eq!(of(Section::MachineSample)[0].text, "read for TREAT, on behalf of Dr House");
    assert_eq!(owners(Section::FailedLogins), ["zoe", "(not authenticated) 2001:db8::/64"]);
    assert!(of(Section::FailedLogins)[1].text.starts_with("12 "));
    assert_eq!(owners(Section::UnusedRole), ["sec"]);
    // All but the auditor, who has just logged in, were not here for a hundred days.
    assert_eq!(owners(Section::DormantAccount).len(), 3);
    assert!(review.sections.values().sum::<u64>() == items.len() as u64 && review.items == items.len());
    assert!(item_csv(&review.id, 0, &items[0]).contains("break-glass,eve,id-of-eve,clinician,Patient/p7"));
    assert_eq!(item_json(0, &items[0])["judged"], serde_json::Value::Null);
    assert_eq!(review_json(&review, world.now())["seed"].as_str().unwrap().len(), 64);
    assert!(!format!("{review:?} {:?} {:?}", items[0], review.terms).contains("eve"));
    // Whoever has the ledger can draw it again: the seed stands there, before the first access was looked at.
    let begun = world.rows.entries().into_iter().find(|entry| entry.kind == EventKind::AccessReview).unwrap();
    assert!(begun.detail.unwrap().ends_with(&format!("begun, rule five-percent, seed {}", review.seed)));
    assert_eq!(world.entries(EventKind::LedgerAccess), 1, "who looked at it is written down");
}

#[test]
fn a_period_of_a_scope_is_drawn_once() {
    let (world, staff) = World::with_staff();
    let by = world.fresh(&staff.sec);
    let due = world.now().plus_ms(DAY_MS);
    let begin = |terms: Terms| block_on(world.identity.begin_access_review(&by, terms, "aud", due));
    let begun = begin(february()).unwrap();
    let mut other = february();
    (other.rule, other.dormant_days) = (tacet_identity::SampleRule::OnePercent, 30);
    let again = begin(other).unwrap();
    assert_eq!(
        (&again.id, &again.seed, again.terms.rule),
        (&begun.id, &begun.seed, begun.terms.rule),
        "no second draw"
    );
    // The first attempt is none any more.
    let gathering = world.identity.gathering(&begun).unwrap();
    let late = block_on(world.identity.finish_access_review(&by, &begun, gathering));
    assert!(matches!(late, Err(IdentityError::Conflict)));
    let gathering = world.identity.gathering(&again).unwrap();
    block_on(world.identity.finish_access_review(&by, &again, gathering)).unwrap();
    assert!(matches!(begin(february()), Err(IdentityError::Exists(_))));
    let nurses = Terms { role: Some(Role::Nurse), ..february() };
    assert_ne!(begin(nurses.clone()).unwrap().id, begun.id);
    assert!(matches!(
        block_on(world.identity.access_review(&by, &nurse_id(&world, &by))),
        Err(IdentityError::Review(_))
    ));

    let from = february().from_ms;
    let wrong = [
        Terms { to_ms: from + DAY_MS + 1, ..february() },
        Terms { to_ms: from, ..february() },
        Terms { to_ms: from + 367 * DAY_MS, from_ms: from, ..february() },
        Terms { to_ms: february().to_ms + DAY_MS, ..february() },
        Terms { dormant_days: 0, ..february() },
        Terms { person: Some(String::new()), ..february() },
    ];
    for terms in wrong {
        assert!(matches!(begin(terms.clone()), Err(IdentityError::Invalid { .. })), "{terms:?}");
    }
}

fn nurse_id(world: &World, by: &Actor) -> String {
    let reviews = world.identity.access_reviews(by).unwrap();
    reviews.into_iter().find(|review| review.terms.role.is_some()).unwrap().id
}

#[test]
fn the_reviewer_judges_and_nobody_judges_themselves() {
    let (world, staff) = World::with_staff();
    let (sec, aud) = (world.fresh(&staff.sec), world.fresh(&staff.aud));
    let mut of_sec = failure("sec", "192.0.2.1", "no");
    of_sec.account = Some(staff.sec.person.account.as_str().to_owned());
    let mut entries = vec![of_sec; 11];
    entries.extend([access("mallory", "p2", None), access("mallory", "p3", None)]);
    let prepare = |by: &Actor, reviewer: &str, entries: &[Entry]| prepared(&world, by, february(), reviewer, entries);
    for other in [&staff.adm1, &staff.adm2] {
        assert!(matches!(prepare(&world.fresh(other), "sec", &[]), Err(IdentityError::Role(_))));
        assert!(matches!(world.identity.access_reviews(&world.fresh(other)), Err(IdentityError::Role(_))));
    }
    let stale = Actor { fresh: false, ..sec.clone() };
    assert!(matches!(prepare(&stale, "sec", &[]), Err(IdentityError::StepUp)));
    for reviewer in ["adm1", "nobody", ""] {
        assert!(matches!(prepare(&aud, reviewer, &[]), Err(IdentityError::Invalid { .. })), "{reviewer}");
    }
    let mut own = access("sec", "p9", None);
    own.account = Some(staff.sec.person.account.as_str().to_owned());
    assert!(matches!(prepare(&aud, "sec", &[own]), Err(IdentityError::Invalid { field: "reviewer", .. })));
    let review = prepare(&aud, "sec", &entries).unwrap();
    let id = review.id.as_str();
    let notices = world.identity.notices(&sec, true).unwrap();
    assert!(notices.iter().any(|notice| notice.kind == NoticeKind::AccessReviewAssigned && notice.about == id));

    let items = items(&world, &sec, id);
    let number = |section: Section| items.iter().position(|item| item.section == section).unwrap();
    let (mallory, own) = (number(Section::WithoutRelation), number(Section::FailedLogins));
    let judge =
        |by: &Actor, number, outcome, text: &str| block_on(world.identity.judge_access(by, id, number, outcome, text));
    let (yes, no, ask) = (ItemOutcome::Justified, ItemOutcome::NotJustified, ItemOutcome::ToBeAsked);
    assert!(matches!(judge(&aud, mallory, yes, "x"), Err(IdentityError::NotReviewer)));
    assert!(matches!(judge(&stale, mallory, yes, "x"), Err(IdentityError::StepUp)));
    assert!(matches!(judge(&world.fresh(&staff.adm1), mallory, yes, "x"), Err(IdentityError::Role(_))));
    assert!(matches!(judge(&sec, own, yes, "x"), Err(IdentityError::OwnAct)));
    assert!(matches!(judge(&sec, items.len(), yes, "x"), Err(IdentityError::Absent(_))));
    assert!(judge(&sec, mallory, yes, " ").is_err() && judge(&sec, mallory, yes, &"x".repeat(1001)).is_err());
    let close = |by: &Actor| block_on(world.identity.close_access_review(by, id, "done"));
    assert!(matches!(close(&sec), Err(IdentityError::Unjudged(left)) if left == items.len() as u64));
    judge(&sec, mallory, ask, "off work").unwrap();
    assert!(matches!(close(&sec), Err(IdentityError::Unjudged(left)) if left == items.len() as u64 - 1));
    let judged = judge(&sec, mallory + 1, no, "no reason\n3 sample given\n").unwrap().judged.unwrap();
    let kept = (judged.outcome, judged.by.name.as_str(), judged.comment.as_str());
    assert_eq!(kept, (no, "sec", "no reason 3 sample given"));
    assert!(matches!(judge(&sec, mallory + 1, yes, "no, it was"), Err(IdentityError::Review(_))), "once");
    // What is about the reviewer is judged by another.
    judge(&aud, own, yes, "a new telephone").unwrap();
    for (number, item) in items.iter().enumerate().filter(|(number, _)| ![mallory, mallory + 1, own].contains(number)) {
        let by = if item.account.as_deref() == sec.account.as_ref().map(AccountId::as_str) { &aud } else { &sec };
        judge(by, number, yes, "fine").unwrap();
    }
    assert!(matches!(close(&aud), Err(IdentityError::NotReviewer)));
    let closed = close(&sec).unwrap();
    let outcomes = closed.closed.unwrap().outcomes;
    assert_eq!((outcomes["not-justified"], outcomes["to-be-asked"]), (1, 1));
    assert!(matches!(close(&sec), Err(IdentityError::Review("closed"))));
    // What was to be asked gets its answer all the same, and nothing else does.
    judge(&sec, mallory, yes, "was on call").unwrap();
    assert!(matches!(judge(&sec, mallory, no, "x"), Err(IdentityError::Review(_))));
    let told: Vec<String> = world
        .rows
        .entries()
        .into_iter()
        .filter(|entry| entry.kind == EventKind::AccessReview)
        .filter_map(|entry| entry.detail)
        .collect();
    assert!(
        told.iter().any(|detail| detail.contains("closed: ") && detail.contains("1 not-justified, 1 to-be-asked")),
        "{told:?}"
    );
}

#[test]
fn an_overdue_review_is_told_once_and_another_takes_over_from_who_left() {
    let (world, staff) = World::with_staff();
    let aud = world.fresh(&staff.aud);
    let review = prepared(&world, &aud, february(), "sec", &[access("mallory", "p2", None)]).unwrap();
    world.clock.advance_ms(30 * DAY_MS);
    assert!(!world.identity.access_reviews(&aud).unwrap()[0].overdue(world.now()));
    assert_eq!(block_on(world.identity.remind_overdue()).unwrap(), 0);
    world.clock.advance_ms(1);
    assert!(world.identity.access_reviews(&aud).unwrap()[0].overdue(world.now()));
    assert_eq!(
        (block_on(world.identity.remind_overdue()).unwrap(), block_on(world.identity.remind_overdue()).unwrap()),
        (1, 0)
    );
    for who in [&staff.sec, &staff.aud] {
        let notices = world.identity.notices(&world.actor(who), true).unwrap();
        assert_eq!(notices.iter().filter(|notice| notice.kind == NoticeKind::AccessReviewOverdue).count(), 1);
    }
    let judge =
        |number| block_on(world.identity.judge_access(&aud, &review.id, number, ItemOutcome::Justified, "fine"));
    assert!(matches!(judge(0), Err(IdentityError::NotReviewer)));
    block_on(world.identity.close(&world.fresh(&staff.adm1), &staff.sec.person.account, "left")).unwrap();
    for number in 0..review.items {
        judge(number).unwrap();
    }
    block_on(world.identity.close_access_review(&aud, &review.id, "taken over")).unwrap();
    assert_eq!(block_on(world.identity.remind_overdue()).unwrap(), 0);
}

#[test]
fn at_the_machine_reviews_who_was_named_there_until_there_are_accounts() {
    let world = World::new();
    let at_the_machine = |name: &str| {
        let actor = Actor::command_line(name, OperationId([1; 16]));
        Actor { role: Role::Auditor, ..actor }
    };
    let review =
        prepared(&world, &at_the_machine("root"), february(), "Mme Roy", &[access("mallory", "p2", None)]).unwrap();
    let judge = |by: &Actor| block_on(world.identity.judge_access(by, &review.id, 0, ItemOutcome::NotJustified, "no"));
    assert!(matches!(judge(&at_the_machine("root")), Err(IdentityError::NotReviewer)));
    let directory = Actor {
        role: Role::Auditor,
        ..Actor::machine("Mme Roy", None, at_the_machine("x").origin, OperationId([1; 16]))
    };
    let elsewhere =
        Actor { origin: tacet_ledger::Origin { address: None, channel: tacet_ledger::Channel::Http }, ..directory };
    assert!(matches!(judge(&elsewhere), Err(IdentityError::Role(_))), "a machine judges nothing");
    judge(&at_the_machine("Mme Roy")).unwrap();
    let closed = block_on(world.identity.close_access_review(&at_the_machine("Mme Roy"), &review.id, "done")).unwrap();
    assert_eq!(closed.state, ReviewState::Closed);
    let (world, staff) = World::with_staff();
    let named = prepared(&world, &at_the_machine("root"), february(), "Mme Roy", &[]);
    assert!(matches!(named, Err(IdentityError::Invalid { field: "reviewer", .. })), "they have accounts for that");
    let review =
        prepared(&world, &at_the_machine("root"), february(), "aud", &[access("mallory", "p2", None)]).unwrap();
    let judged =
        block_on(world.identity.judge_access(&at_the_machine("aud"), &review.id, 0, ItemOutcome::Justified, "x"));
    assert!(matches!(judged, Err(IdentityError::NotReviewer)), "a name is no passkey");
    block_on(world.identity.judge_access(&world.fresh(&staff.aud), &review.id, 0, ItemOutcome::Justified, "x"))
        .unwrap();
}

#[test]
fn a_review_that_holds_too_much_says_so_and_is_given_up() {
    let (world, staff) = World::with_staff();
    let by = world.fresh(&staff.sec);
    let begun =
        block_on(world.identity.begin_access_review(&by, february(), "sec", world.now().plus_ms(DAY_MS))).unwrap();
    let mut gathering = world.identity.gathering(&begun).unwrap();
    let mut refused = None;
    for number in 0..=tacet_identity::REVIEW_ITEMS_MAX {
        refused = gathering.take(number as u64, &access(&format!("dr-{number}"), "p1", None)).err();
    }
    assert!(matches!(refused, Some(IdentityError::Invalid { field: "period", .. })));
    let closed = block_on(world.identity.close_access_review(&by, &begun.id, "by role instead")).unwrap();
    assert_eq!(closed.closed.unwrap().outcomes["given-up"], 1);
    assert_eq!(world.identity.access_reviews(&by).unwrap().len(), 1, "it stays to be seen");
}
