//! A copy of many records takes two people, or a machine that was made for it.

use super::{DAY_MS, Office, Somebody, Staff, clinician, ward, why};
use crate::admin::ORIGIN;
use crate::client::{Answer, Ask};
use serde_json::json;
use tacet_vault::Role;

/// The text of the approval that a refusal asks for.
fn text_of(refused: &Answer) -> String {
    refused.is_refusal(403, "forbidden");
    let said = refused.value()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
    let (_, text) = said.split_once("the text `").unwrap();
    text.split_once("`, then").unwrap().0.to_owned()
}

fn export(path: &str) -> Ask {
    Ask::new("GET", path).header("prefer", "respond-async")
}

/// Asks again where others run: only so many are made at a time.
async fn begun(office: &Office, ask: Ask) -> Answer {
    loop {
        let answer = ask.clone().send(office.address).await;
        // 429: those begun before are still being made.
        if ![429, 503].contains(&answer.status) {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// What a study may be told, and what stays out of it: a label, a known person, and somebody who refuses.
async fn study(office: &Office) {
    ward(office).await;
    let codes = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let result = |id: &str, patient: &str, code: &str| {
        let system = if code == "N" { "http://terminology.hl7.org/CodeSystem/v3-Confidentiality" } else { codes };
        let security = json!([{ "system": system, "code": code }]);
        json!({
            "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "Count" }, "meta": { "security": security },
            "subject": { "reference": format!("Patient/{patient}") },
        })
    };
    office.put(result("labelled", "other", "HIV")).await;
    let vip = json!([{ "system": codes, "code": "CEL" }]);
    office.put(json!({ "resourceType": "Patient", "id": "known", "meta": { "security": vip } })).await;
    office.put(result("of-known", "known", "N")).await;
    office.put(json!({ "resourceType": "Patient", "id": "refuses" })).await;
    office.put(result("of-refuses", "refuses", "N")).await;
    office.put(crate::ward::refusal("refuses")).await;
}

/// Has an export allowed: the id of the approval.
async fn allowed(office: &Office, staff: &Staff, by: &Somebody, ask: Ask) -> String {
    let text = text_of(&office.send(ask, by, None).await);
    let asked = json!({ "kind": "bulk-export", "text": text, "why": why() });
    let asked = office.ask(by, "POST", "/_approvals", Some(asked)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    assert_eq!(office.decide(&staff.sec, &id, true).await.status, 200);
    id
}

/// Begins it, waits until it is made, and fetches all of it.
async fn downloaded(office: &Office, by: &Somebody, ask: Ask) -> String {
    let begun = office.send(ask, by, None).await;
    assert_eq!(begun.status, 202, "{:?}", begun.body);
    let place = begun.header("content-location").unwrap().strip_prefix(ORIGIN).unwrap().to_owned();
    let manifest = loop {
        let status = office.ask(by, "GET", &place, None).await;
        if status.status != 202 {
            break status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert_eq!(manifest.status, 200, "{:?}", manifest.body);
    let mut all = String::new();
    for file in manifest.value()["output"].as_array().unwrap() {
        let path = file["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
        let file = office.ask(by, "GET", path, None).await;
        assert_eq!(file.status, 200, "{:?}", file.body);
        all += std::str::from_utf8(&file.body).unwrap();
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_export_is_allowed_once_and_to_the_letter() {
    let (office, staff) = Office::with_staff().await;
    study(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let path = "/Patient/$export?_type=Observation&_copyPurpose=study";
    let research = |path: &str| export(path).header("x-purpose-of-use", "HRESCH");
    let text = text_of(&office.send(research(path), &dr, None).await);
    assert_eq!(text, format!("{path}, purpose of use HRESCH"));
    let more = json!({ "ticket": "T-1", "reason": "a study", "untilEnd": true });
    let asked = json!({ "kind": "bulk-export", "text": text, "why": more });
    let asked = office.ask(&dr, "POST", "/_approvals", Some(asked)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    assert_eq!(asked.value()["untilEnd"], false, "what people take away is allowed each time");
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    let with = |path: &str| research(path).header("x-approval", &id);
    assert_eq!(office.send(with(path), &dr, None).await.status, 409, "not decided yet");
    for who in [&dr, &staff.adm1] {
        assert!([403, 404].contains(&office.decide(who, &id, true).await.status));
    }
    assert_eq!(office.decide(&staff.sec, &id, true).await.status, 200);
    for other in ["/$export", "/Patient/$export", "/Patient/$export?_type=Observation", "/Group/g1/$export"] {
        assert!([403, 404].contains(&office.send(with(other), &dr, None).await.status), "{other}");
    }
    let care = export(path).header("x-approval", &id);
    assert_eq!(office.send(care, &dr, None).await.status, 403, "another purpose of use");
    let machine = office.token(Role::Integrator, false).await;
    assert_eq!(with(path).bearer(&machine).send(office.address).await.status, 403, "another's approval");
    let colleague = office.employ(&staff, clinician("dr.b", "dr-b")).await;
    assert!([403, 409].contains(&office.send(with(path), &colleague, None).await.status), "another's approval");
    assert_eq!(office.noted("used: bulk-export"), 0, "what is refused uses nothing up");
    let all = downloaded(&office, &dr, with(path)).await;
    // Those of whom they are in charge, and others: the second person's word stands in for a relation.
    assert!(all.contains(r#""id":"mine""#) && all.contains(r#""id":"other""#), "{all}");
    for closed in ["labelled", "of-known", "of-refuses"] {
        assert!(!all.contains(closed), "{closed}: {all}");
    }
    assert_eq!(office.send(with(path), &dr, None).await.status, 409, "used");
    assert_eq!(office.noted("used: bulk-export"), 1);
    let by = format!("by approval {id}, asked for by dr.a, allowed by sec");
    assert!(office.noted(&by) >= 3, "begun, made and read");
    let disclosed =
        office.entries().into_iter().filter(|entry| entry.records.iter().any(|record| record.id.as_str() == "other"));
    let basis: Vec<_> = disclosed.filter_map(|entry| entry.basis).collect();
    assert!(basis.contains(&"approval by approved-export".to_owned()), "{basis:?}");
    // The approval opened nothing else.
    assert_eq!(office.ask(&dr, "GET", "/Observation/other", None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn special_confidentiality_is_in_it_where_the_approval_names_it() {
    let (office, staff) = Office::with_staff().await;
    study(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let path = "/Patient/$export?_type=Observation&_copyConfidential=hiv,vip";
    let id = allowed(&office, &staff, &dr, export(path)).await;
    let all = downloaded(&office, &dr, export(path).header("x-approval", &id)).await;
    assert!(all.contains("labelled") && all.contains("of-known") && !all.contains("of-refuses"), "{all}");
    let wrong = office.send(export("/$export?_copyConfidential=all"), &dr, None).await;
    wrong.is_refusal(400, "invalid");
    let machine = office.token(Role::Integrator, true).await;
    export("/$export?_copyConfidential=hiv").bearer(&machine).send(office.address).await.is_refusal(400, "invalid");
}

#[tokio::test]
async fn what_was_allowed_ends_and_what_the_rules_close_stays_closed() {
    let (office, staff) = Office::with_staff().await;
    study(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let id = allowed(&office, &staff, &dr, export("/Patient/$export")).await;
    let other = export("/Patient/$export").header("x-purpose-of-use", "HSYSADMIN");
    let taken = allowed(&office, &staff, &dr, other.clone()).await;
    let refused = office.send(other.header("x-approval", &taken), &dr, None).await;
    assert_eq!(refused.status, 403, "no purpose of a hospital: {:?}", refused.body);
    office.clock.advance_ms(2 * DAY_MS);
    let dr = office.logged_in(dr.key).await.unwrap();
    let late = office.send(export("/Patient/$export").header("x-approval", &id), &dr, None).await;
    assert_eq!(late.status, 409, "{:?}", late.body);
    assert_eq!(office.noted("used: bulk-export"), 0);
}

#[tokio::test]
async fn a_machine_exports_by_its_making_or_by_what_two_people_allowed() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let made_for_it = office.token(Role::Integrator, true).await;
    assert_eq!(begun(&office, export("/$export").bearer(&made_for_it)).await.status, 202);
    let machine = office.token(Role::Integrator, false).await;
    let refused = export("/$export").bearer(&machine).send(office.address).await;
    let text = text_of(&refused);
    assert!(text.contains("by machine a machine (token "), "{text}");
    let asked = json!({
        "kind": "bulk-export", "text": text,
        "why": { "ticket": "T-9", "reason": "nightly", "end": "2026-03-20T00:00:00Z", "untilEnd": true },
    });
    let asked = office.ask(&staff.adm1, "POST", "/_approvals", Some(asked)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    assert_eq!(office.decide(&staff.aud, &id, true).await.status, 200);
    let with = |token: &str| export("/$export").header("x-approval", &id).bearer(token);
    for _ in 0..2 {
        let begun = begun(&office, with(&machine)).await;
        assert_eq!(begun.status, 202, "{:?}", begun.body);
    }
    let other = office.token(Role::Integrator, false).await;
    assert_eq!(with(&other).send(office.address).await.status, 403, "it is for one machine");
    office.clock.advance_ms(30 * DAY_MS);
    assert_eq!(with(&machine).send(office.address).await.status, 409, "it has ended");
}
