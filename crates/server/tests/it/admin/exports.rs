//! A copy of many records takes two people, or a machine that was made for it.

use super::{DAY_MS, Office, clinician, ward, why};
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

#[tokio::test]
async fn a_persons_export_is_allowed_once_and_to_the_letter() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let path = "/Patient/$export?_type=Observation";
    let refused = office.send(export(path), &dr, None).await;
    let text = text_of(&refused);
    assert_eq!(text, path);
    let asked = json!({ "kind": "bulk-export", "text": text, "why": why() });
    let asked = office.ask(&dr, "POST", "/_approvals", Some(asked)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    let with = |path: &str| export(path).header("x-approval", &id);
    assert_eq!(office.send(with(path), &dr, None).await.status, 409, "not decided yet");
    for who in [&dr, &staff.adm1] {
        assert!([403, 404].contains(&office.decide(who, &id, true).await.status));
    }
    assert_eq!(office.decide(&staff.sec, &id, true).await.status, 200);
    for other in ["/$export", "/Patient/$export", "/Patient/$export?_type=Patient", "/Group/g1/$export"] {
        assert!([403, 404].contains(&office.send(with(other), &dr, None).await.status), "{other}");
    }
    let machine = office.token(Role::Integrator, false).await;
    assert_eq!(with(path).bearer(&machine).send(office.address).await.status, 403, "another's approval");
    // An approval takes nothing away from the rules: those of the program let machines export, and no person.
    let ruled = office.send(with(path), &dr, None).await;
    assert!([403, 404].contains(&ruled.status), "{:?}", ruled.body);
    assert_eq!(office.send(with(path), &dr, None).await.status, 409, "used");
    assert_eq!(office.noted("used: bulk-export"), 1);
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
