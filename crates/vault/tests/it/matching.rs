//! `$meta` and its two changes, `Patient/$match`, and `$everything` of a time of care.

use crate::house::*;
use crate::searching::{found, search};
use pollster::block_on;
use tacet_ledger::EventKind;
use tacet_types::Timestamp;
use tacet_vault::{EverythingQuery, LABELLED_MAX, MatchCall, MatchPage, MetaChange, MetaScope, Role, VaultError};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn change(house: &House, id: &str, change: MetaChange, meta: &str) -> Result<String, VaultError> {
    let body = format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"meta","valueMeta":{meta}}}]}}"#);
    let (caller, id) = (clinician(), rid(id));
    let done = house.vault.change_meta(&caller, kind("Patient"), &id, change, body.as_bytes(), None);
    Ok(text(&block_on(done)?).to_owned())
}

#[test]
fn labels_change_by_a_version_of_their_own() {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Durand")).unwrap();
    let tag = r#"{"versionId":"77","tag":[{"system":"urn:t","code":"vip","display":"Important"}]}"#;
    let before = house.ledger().len();
    let added = change(&house, "p", MetaChange::Add, tag).unwrap();
    assert!(
        added.starts_with(r#"{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":{"#),
        "{added}"
    );
    assert!(added.contains(r#""versionId":"2""#) && added.contains("Important"), "{added}");
    let kinds: Vec<EventKind> = house.ledger().split_off(before).iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EventKind::Read, EventKind::Update]);
    assert!(!house.vread("Patient", "p", 1).unwrap().contains("vip"), "what was written stays as it is");
    assert_eq!(found(&house, "Patient?_tag=urn:t|vip"), ["Patient/p"]);

    let again = change(&house, "p", MetaChange::Add, r#"{"tag":[{"system":"urn:t","code":"vip"}]}"#).unwrap();
    assert_eq!(again, added, "no new version where nothing changes");
    let other = r#"{"tag":[{"system":"urn:u","code":"vip"}]}"#;
    assert_eq!(change(&house, "p", MetaChange::Delete, other).unwrap(), added);
    let gone = change(&house, "p", MetaChange::Delete, r#"{"tag":[{"system":"urn:t","code":"vip"}]}"#).unwrap();
    assert!(gone.contains(r#""versionId":"3""#) && !gone.contains("tag"), "{gone}");
    let read = block_on(house.vault.meta(&clinician(), &MetaScope::Record(kind("Patient"), rid("p")))).unwrap();
    assert_eq!(text(&read), gone);
    assert_eq!(found(&house, "Patient?_tag=urn:t|vip"), [] as [&str; 0]);

    for wrong in [r#"{"tag":{}}"#, r#"{"tag":[{}]}"#, r#"{"profile":[1]}"#, r#""x""#] {
        assert!(matches!(change(&house, "p", MetaChange::Add, wrong), Err(VaultError::Invalid(_))), "{wrong}");
    }
    let bad = change(&house, "p", MetaChange::Add, r#"{"security":[{"code":"R","nonsense":1}]}"#);
    assert!(matches!(bad, Err(VaultError::Invalid(_))), "the record must be valid with its labels");
    assert!(matches!(change(&house, "nobody", MetaChange::Add, tag), Err(VaultError::NotFound)));
    let (auditor, id) = (caller(Role::Auditor), rid("p"));
    let refused = house.vault.change_meta(&auditor, kind("Patient"), &id, MetaChange::Add, b"{}", None);
    assert!(matches!(block_on(refused), Err(VaultError::Forbidden)));
    house.assert_sound();
}

#[test]
fn labels_in_use_are_told_each_once() {
    let house = House::new();
    let labelled = |of: &str, id: &str, meta: &str| {
        let rest = if of == "Observation" { r#","status":"final","code":{"text":"x"}"# } else { "" };
        let body = format!(r#"{{"resourceType":"{of}","id":"{id}","meta":{meta}{rest}}}"#);
        house.put(of, id, &body).unwrap();
    };
    let meta = |scope: MetaScope| {
        let told = block_on(house.vault.meta(&clinician(), &scope)).unwrap();
        text(&told).to_owned()
    };
    let nothing = r#"{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":{}}]}"#;
    house.put("Patient", "plain", &patient("plain", "Durand")).unwrap();
    let before = house.ledger().len();
    assert_eq!(meta(MetaScope::System), nothing);
    let entry = house.ledger().pop().unwrap();
    assert_eq!((house.ledger().len(), entry.query.as_deref()), (before + 1, Some("$meta")), "no label is told too");

    labelled("Patient", "p", r#"{"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b","display":"B"}]}"#);
    labelled("Patient", "q", r#"{"tag":[{"system":"urn:t","code":"b"}],"profile":["urn:profile|1"]}"#);
    labelled("Observation", "o", r#"{"security":[{"system":"urn:s","code":"R"}]}"#);
    labelled("Observation", "gone", r#"{"security":[{"system":"urn:s","code":"V"}]}"#);
    house.delete("Observation", "gone").unwrap();
    let before = house.ledger().len();
    let of_patients = meta(MetaScope::Type(kind("Patient")));
    let shown: Vec<_> = house.ledger().split_off(before);
    let mut records: Vec<&str> =
        shown.iter().flat_map(|entry| &entry.records).map(|record| record.id.as_str()).collect();
    records.sort_unstable();
    assert_eq!(records, ["p", "q"], "what was read is in the ledger, and nothing else was");
    assert!(shown.iter().all(|entry| entry.query.as_deref() == Some("Patient/$meta") && entry.patient.is_some()));
    assert_eq!(of_patients.matches(r#""code":"a""#).count(), 1);
    assert_eq!(of_patients.matches(r#""code":"b""#).count(), 1);
    assert!(of_patients.contains("urn:profile|1") && !of_patients.contains("urn:s"), "{of_patients}");
    let of_all = meta(MetaScope::System);
    assert!(of_all.contains(r#""security":[{"system":"urn:s","code":"R"}]"#) && of_all.contains("urn:profile"));
    assert_eq!(meta(MetaScope::Type(kind("Encounter"))), nothing);

    labelled("Patient", "p", r#"{"tag":[{"system":"urn:t","code":"now"}]}"#);
    let version = |number| meta(MetaScope::Version(kind("Patient"), rid("p"), tacet_types::VersionId(number)));
    assert!(version(1).contains(r#""code":"a""#) && version(2).contains(r#""code":"now""#));
    let auditor = caller(Role::Auditor);
    for scope in [MetaScope::System, MetaScope::Type(kind("Patient"))] {
        assert!(matches!(block_on(house.vault.meta(&auditor, &scope)), Err(VaultError::Forbidden)));
    }
}

#[test]
fn labels_of_too_many_records_are_not_read() {
    let house = House::new();
    for number in 0..=LABELLED_MAX {
        let id = format!("l{number}");
        let body =
            format!(r#"{{"resourceType":"Location","id":"{id}","meta":{{"tag":[{{"code":"t{}"}}]}}}}"#, number % 3);
        house.put("Location", &id, &body).unwrap();
        if number + 1 == LABELLED_MAX {
            let told = block_on(house.vault.meta(&clinician(), &MetaScope::System)).unwrap();
            assert_eq!(text(&told).matches("\"code\"").count(), 3);
        }
    }
    let before = house.ledger().len();
    let refused = block_on(house.vault.meta(&clinician(), &MetaScope::System));
    assert!(matches!(refused, Err(VaultError::TooCostly { max: LABELLED_MAX, .. })));
    let entries = house.ledger().split_off(before);
    assert_eq!((entries.len(), entries[0].outcome), (1, tacet_ledger::Outcome::Failed));
}

#[test]
fn everything_of_a_stay() {
    let house = House::new();
    for id in ["p", "other"] {
        house.put("Patient", id, &patient(id, "Durand")).unwrap();
    }
    house.put("Practitioner", "doc", r#"{"resourceType":"Practitioner","id":"doc"}"#).unwrap();
    let stay = |id: &str| {
        let class = r#""class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"}"#;
        let who =
            r#""subject":{"reference":"Patient/p"},"participant":[{"individual":{"reference":"Practitioner/doc"}}]"#;
        let body = format!(r#"{{"resourceType":"Encounter","id":"{id}","status":"finished",{class},{who}}}"#);
        house.put("Encounter", id, &body).unwrap();
    };
    stay("e");
    stay("e2");
    let observe = |id: &str, stay: &str, rest: &str| {
        let body = format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/p"}},
            "encounter":{{"reference":"Encounter/{stay}"}}{rest}}}"#
        );
        house.put("Observation", id, &body).unwrap();
    };
    house.put("Observation", "foreign", &observation("foreign", "other", "1")).unwrap();
    observe("o2", "e2", "");
    observe("o1", "e", "");
    // Refers to one of the stay, to one of another stay of the same patient, and to somebody else's.
    let members = r#","hasMember":[{"reference":"Observation/o1"},{"reference":"Observation/o2"},{"reference":"Observation/foreign"}]"#;
    observe("o3", "e", members);
    let pages = |query: EverythingQuery| {
        let (mut all, mut cursor, mut number) = (Vec::new(), None, 0);
        loop {
            let query = EverythingQuery { cursor: cursor.take(), ..query.clone() };
            let page =
                block_on(house.vault.everything_of_encounter(&clinician(), &rid("e"), &query, BASE_URL)).unwrap();
            let of = |(shown, member): &(tacet_vault::Disclosed, bool)| (shown.record.id.as_str().to_owned(), *member);
            all.extend(page.entries.iter().map(of));
            (cursor, number) = (page.next, number + 1);
            if cursor.is_none() {
                all.sort();
                all.dedup();
                return (all, number);
            }
        }
    };
    let own = |text: &str, member| (text.to_owned(), member);
    let whole =
        vec![own("doc", false), own("e", true), own("o1", true), own("o2", false), own("o3", true), own("p", false)];
    assert_eq!(pages(EverythingQuery::default()), (whole.clone(), 1), "nothing of another patient comes along");
    assert_eq!(pages(EverythingQuery { count: 1, ..EverythingQuery::default() }), (whole, 3));
    let of_type = |names: &[&str]| EverythingQuery {
        types: names.iter().map(|name| kind(name)).collect(),
        ..EverythingQuery::default()
    };
    assert_eq!(pages(of_type(&["Encounter", "Patient"])).0, [own("e", true), own("p", false)]);
    assert_eq!(pages(of_type(&["Patient"])).0, []);
    house.clock.advance_ms(60_000);
    let since = Some(tacet_types::Clock::now(house.clock.as_ref()));
    stay("e");
    let later = pages(EverythingQuery { since, ..EverythingQuery::default() }).0;
    assert_eq!(later, [own("doc", false), own("e", true), own("p", false)]);

    let ask = |id: &str, query: EverythingQuery| {
        block_on(house.vault.everything_of_encounter(&clinician(), &rid(id), &query, BASE_URL)).map(|_| ())
    };
    assert!(matches!(ask("ghost", EverythingQuery::default()), Err(VaultError::NotFound)));
    house.delete("Encounter", "e2").unwrap();
    assert!(matches!(ask("e2", EverythingQuery::default()), Err(VaultError::NotFound)));
    let entry = house.ledger().pop().unwrap();
    assert_eq!((entry.kind, entry.outcome), (EventKind::Everything, tacet_ledger::Outcome::Failed));
    assert!(matches!(
        ask("e", EverythingQuery { start: since, ..EverythingQuery::default() }),
        Err(VaultError::NotSupported(_))
    ));
    assert!(matches!(
        ask("e", EverythingQuery { cursor: Some("1".to_owned()), ..EverythingQuery::default() }),
        Err(VaultError::CursorRefused)
    ));
}

fn persons() -> House {
    let house = House::new();
    for (id, family, given, birth, sex) in [
        ("a", "Ménard", "Zoé", "1980-02-29", "female"),
        ("b", "Menuisier", "Paul", "1980-02-29", "male"),
        ("c", "Roux", "Zoé", "1980-02-29", "female"),
        ("d", "Ménard", "Zoé", "1981-03-01", "female"),
    ] {
        let body = format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:ins","value":"n-{id}"}}],
            "name":[{{"family":"{family}","given":["{given}"]}}],"birthDate":"{birth}","gender":"{sex}"}}"#
        );
        house.put("Patient", id, &body).unwrap();
    }
    house
}

fn look(house: &House, patient: &str, rest: &str) -> Result<MatchPage, VaultError> {
    let body = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{{"resourceType":"Patient"{patient}}}}}{rest}]}}"#
    );
    let call = MatchCall { body: body.into_bytes(), base_url: BASE_URL.to_owned(), ..MatchCall::default() };
    block_on(house.vault.match_patients(&clinician(), &call))
}

fn graded(house: &House, patient: &str, rest: &str) -> Vec<(String, &'static str)> {
    let page = look(house, patient, rest).unwrap();
    let shown = |entry: &tacet_vault::SearchEntry| {
        (entry.disclosed.record.id.as_str().to_owned(), entry.graded.unwrap().grade.as_str())
    };
    page.entries.iter().map(shown).collect()
}

fn pairs(all: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    all.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect()
}

#[test]
fn patients_are_matched_by_birth_date_and_three_letters_or_an_identifier() {
    let mut house = persons();
    for only_by_match in [false, true] {
        if only_by_match {
            house.patients_only_by_match = true;
            house.reopen();
            house.vault.wait_for_index(&mut |_| {});
            for refused in ["Patient?birthdate=1980-02-29&family=men", "Patient?family=Roux", "Patient"] {
                assert!(matches!(search(&house, refused), Err(VaultError::OnlyByMatch)), "{refused}");
            }
        }
        let born = r#","birthDate":"1980-02-29""#;
        let menard = format!(r#"{born},"name":[{{"family":"MENARD","given":["zoe"]}}],"gender":"female""#);
        let before = house.ledger().len();
        assert_eq!(graded(&house, &menard, ""), pairs(&[("a", "probable"), ("c", "possible")]));
        let entries = house.ledger().split_off(before);
        let mut written: Vec<&str> =
            entries.iter().flat_map(|entry| &entry.records).map(|record| record.id.as_str()).collect();
        written.sort_unstable();
        assert_eq!(written, ["a", "b", "c"], "whoever was opened, to be shown or weighed");
        let query = "Patient/$match?birthdate=1980-02-29&family=men&given=zoe";
        assert!(entries.iter().all(|entry| entry.kind == EventKind::Search && entry.query.as_deref() == Some(query)));

        let letters = format!(r#"{born},"name":[{{"family":"Men"}}]"#);
        assert_eq!(graded(&house, &letters, ""), pairs(&[("a", "possible"), ("b", "possible")]));
        assert_eq!(graded(&house, born, "").len(), 3);
        assert_eq!(graded(&house, born, r#",{"name":"count","valueInteger":2}"#).len(), 2);
        let certain = r#",{"name":"onlyCertainMatches","valueBoolean":true}"#;
        assert_eq!(graded(&house, &menard, certain), [], "four of five traits are not certain");
        let one = r#","identifier":[{"system":"urn:ins","value":"n-d"}]"#;
        assert_eq!(graded(&house, one, certain), pairs(&[("d", "certain")]));
        let both = format!("{one}{menard}");
        assert_eq!(graded(&house, &both, "").first(), pairs(&[("d", "probable")]).first(), "the identifier wins");

        let before = house.ledger().len();
        assert_eq!(graded(&house, r#","birthDate":"1911-11-11""#, ""), []);
        let entries = house.ledger().split_off(before);
        assert_eq!(entries.len(), 1, "nobody found is written down too");
        assert_eq!(entries[0].query.as_deref(), Some("Patient/$match?birthdate=1911-11-11"));
        for refused in [
            r#","name":[{"family":"Menard"}]"#,
            r#","birthDate":"1980""#,
            r#","identifier":[{"value":"n-a"}]"#,
            r#","gender":"female""#,
        ] {
            assert!(matches!(look(&house, refused, ""), Err(VaultError::Search(_))), "{refused}");
        }
        assert!(look(&house, born, r#",{"name":"colour","valueString":"blue"}"#).is_err());
        assert!(look(&house, born, r#",{"name":"count","valueInteger":0}"#).is_err());
    }
}

#[test]
fn everything_of_a_time_of_care() {
    let house = House::new();
    house.put("Patient", "p", &patient("p", "Durand")).unwrap();
    let add = |of: &str, id: &str, rest: &str| {
        let person = if of == "AllergyIntolerance" { "patient" } else { "subject" };
        let body = format!(r#"{{"resourceType":"{of}","id":"{id}","{person}":{{"reference":"Patient/p"}}{rest}}}"#);
        house.put(of, id, &body).unwrap();
    };
    let observed = r#","status":"final","code":{"text":"x"}"#;
    for (id, date) in [("o19", "2019-06-01"), ("o20", "2020-12-31T23:30:00Z"), ("o21", "2021-01-01")] {
        add("Observation", id, &format!(r#"{observed},"effectiveDateTime":"{date}""#));
    }
    add("Observation", "o", observed);
    let status = |of: &str, code: &str| {
        let system = format!("http://terminology.hl7.org/CodeSystem/{of}");
        format!(r#","clinicalStatus":{{"coding":[{{"system":"{system}","code":"{code}"}}]}}"#)
    };
    add("AllergyIntolerance", "a", &status("allergyintolerance-clinical", "active"));
    let resolved = status("condition-clinical", "resolved");
    add("Condition", "old", &format!(r#"{resolved},"onsetDateTime":"2001","abatementDateTime":"2005""#));
    add("Condition", "lasting", r#","onsetDateTime":"2001""#);
    add("Condition", "later", r#","onsetDateTime":"2022""#);
    let moment = |text: &str| Some(Timestamp::parse(text).unwrap());
    let ids = |start, before, count: usize| {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let query = EverythingQuery { start, before, count, cursor, ..EverythingQuery::default() };
            let page = block_on(house.vault.everything(&clinician(), &rid("p"), &query)).unwrap();
            all.extend(page.entries.iter().map(|(shown, _)| shown.record.id.as_str().to_owned()));
            cursor = page.next;
            if cursor.is_none() {
                all.sort();
                return all;
            }
        }
    };
    let (first, after) = (moment("2020-01-01T00:00:00Z"), moment("2021-01-01T00:00:00Z"));
    for count in [0, 1, 3] {
        assert_eq!(ids(first, after, count), ["a", "lasting", "o", "o20", "p"]);
        assert_eq!(ids(first, None, count), ["a", "lasting", "later", "o", "o20", "o21", "p"]);
        assert_eq!(ids(None, first, count), ["a", "lasting", "o", "o19", "old", "p"]);
        assert_eq!(ids(None, None, count).len(), 9);
    }
}
