//! `$meta` and its two changes, `Patient/$match`, and `$everything` of a time of care.

use crate::house::*;
use crate::searching::{found, search};
use pollster::block_on;
use tacet_ledger::EventKind;
use tacet_types::Timestamp;
use tacet_vault::{EverythingQuery, MatchCall, MatchPage, MetaChange, Role, VaultError};

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
    let read = block_on(house.vault.meta(&clinician(), kind("Patient"), &rid("p"))).unwrap();
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
