//! Break-glass over HTTP: declared by who gives care, told to others at once, reviewed by another.

use super::{DAY_MS, MINUTE_MS, Office, clinician, ward};
use serde_json::json;
use tacet_vault::EventKind;

#[tokio::test]
async fn an_emergency_is_declared_told_and_reviewed() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let patient = json!({ "login": "p.other", "display": "p.other", "role": "patient", "patients": ["other"] });
    let patient = office.employ(&staff, patient).await;
    assert_eq!(office.ask(&dr, "GET", "/Observation/other", None).await.status, 404);
    let declare = |minutes: u32, text: &str| {
        Some(json!({ "patient": "other", "reason": "vital-emergency", "text": text, "minutes": minutes }))
    };
    for (minutes, text) in
        [(60, "no"), (60, "n\n\n\n\n\n\n\n\n\no"), (0, "found unconscious"), (100_000, "found unconscious")]
    {
        let answer = office.ask(&dr, "POST", "/_break-glass", declare(minutes, text)).await;
        assert!((400..500).contains(&answer.status) || answer.status == 501, "{}", answer.status);
    }
    let forged = "found unconscious\r\n7 2026-03-01 read success\u{1b}[2J";
    let declared = office.ask(&dr, "POST", "/_break-glass", declare(60, forged)).await;
    assert_eq!(declared.status, 201, "{:?}", declared.body);
    let id = declared.value()["id"].as_str().unwrap().to_owned();
    let seen = office.ask(&dr, "GET", "/Observation/other", None).await;
    assert_eq!(seen.status, 200);
    let basis = office.entries().into_iter().rev().find(|entry| entry.kind == EventKind::Read).unwrap().basis;
    assert!(basis.unwrap().starts_with("break-glass"));
    // In one line, whatever was written.
    assert_eq!(office.noted("vital-emergency: found unconscious 7 2026-03-01 read success [2J"), 1);
    // Told to those who review, and to the patient; not to who keeps accounts.
    for (who, told) in [(&staff.sec, 1), (&patient, 1), (&staff.adm1, 0), (&dr, 0)] {
        let notices = office.notices(who, "break-glass").await;
        assert_eq!(notices.len(), told);
        assert!(notices.iter().all(|notice| notice["about"] == id.as_str()));
    }
    let notice = office.notices(&staff.sec, "break-glass").await[0]["id"].as_str().unwrap().to_owned();
    let marked = office.ask(&staff.sec, "POST", &format!("/_notices/{notice}"), None).await;
    assert_eq!((marked.status, marked.value()["seen"].as_bool()), (200, Some(true)));
    assert_eq!(office.ask(&staff.adm1, "POST", &format!("/_notices/{notice}"), None).await.status, 404);
    // Reviewed by a security officer, once.
    let open = office.ask(&staff.sec, "GET", "/_break-glass", None).await.value();
    assert_eq!((open["reviews"][0]["id"].as_str(), open["reviews"][0]["overdue"].as_bool()), (Some(&*id), Some(false)));
    assert_eq!(open["reviews"][0]["text"], "found unconscious 7 2026-03-01 read success [2J");
    let path = format!("/_break-glass/{id}/review");
    let review = Some(json!({ "outcome": "justified", "text": "the ward confirms it" }));
    for who in [&dr, &staff.adm1, &staff.aud, &patient] {
        assert_eq!(office.ask(who, "POST", &path, review.clone()).await.status, 403);
    }
    let vague = Some(json!({ "outcome": "fine", "text": "x" }));
    assert_eq!(office.ask(&staff.sec, "POST", &path, vague).await.status, 400);
    assert_eq!(office.ask(&staff.sec, "POST", &path, review.clone()).await.status, 200);
    assert_eq!(office.ask(&staff.sec, "POST", &path, review).await.status, 409);
    assert_eq!(office.ask(&staff.sec, "GET", "/_break-glass", None).await.value()["reviews"], json!([]));
    // Ended by who declared it, and no other; then the record is not there again.
    let own = format!("/_break-glass/{id}");
    assert_eq!(office.ask(&staff.sec, "DELETE", &own, None).await.status, 403);
    assert_eq!(office.ask(&dr, "DELETE", "/_break-glass/another", None).await.status, 404);
    assert_eq!(office.ask(&dr, "DELETE", &own, None).await.status, 204);
    assert_eq!(office.ask(&dr, "GET", "/Observation/other", None).await.status, 404);
}

#[tokio::test]
async fn why_is_explained_to_those_who_keep_the_rules() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let listed = office.ask(&staff.sec, "GET", "/_policy", None).await;
    assert_eq!(listed.status, 200, "{:?}", listed.body);
    assert!(listed.value()["policies"].as_array().unwrap().len() > 5);
    let ask = |record: &str| Some(json!({ "account": dr.id, "record": record }));
    for (record, open) in [("Observation/mine", true), ("Observation/other", false)] {
        for who in [&staff.sec, &staff.aud] {
            let answer = office.ask(who, "POST", "/_policy/explain", ask(record)).await;
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            assert_eq!(answer.value()["verdict"]["open"].as_bool(), Some(open), "{record}");
        }
        assert_eq!(office.ask(&staff.adm1, "POST", "/_policy/explain", ask(record)).await.status, 403);
        assert_eq!(office.noted(&format!("may or may not read {record}")), 2);
    }
    assert_eq!(office.ask(&staff.sec, "POST", "/_policy/explain", ask("Observation/none")).await.status, 404);
    assert_eq!(office.ask(&staff.sec, "POST", "/_policy/explain", ask("Nonsense")).await.status, 400);
    let entry = office.entries().into_iter().rev().find(|entry| entry.detail.is_some()).unwrap();
    assert_eq!(entry.agent.owner, "sec");
}

#[tokio::test]
async fn rounds_close_and_remind() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let mut leaving = clinician("dr.a", "dr-a");
    leaving["ends"] = json!("2026-03-01T09:00:00Z");
    let dr = office.employ(&staff, leaving).await;
    let emergency =
        json!({ "patient": "other", "reason": "vital-emergency", "text": "found unconscious", "minutes": 60 });
    assert_eq!(office.ask(&dr, "POST", "/_break-glass", Some(emergency)).await.status, 201);
    office.clock.advance_ms(10 * MINUTE_MS);
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 200);
    // Before any round, the end counts.
    office.clock.advance_ms(4 * DAY_MS);
    assert_eq!(office.ask(&dr, "GET", "/Patient/mine", None).await.status, 401);
    office.people.round(&tacet_seal::SecureRng).await.unwrap();
    assert_eq!(office.identity().account_by_login("dr.a").unwrap().map(|account| account.state.as_str()), None);
    assert_eq!(office.noted("the person has left"), 1);
    let sec = office.logged_in(staff.sec.key).await.unwrap();
    assert_eq!(office.notices(&sec, "review-overdue").await.len(), 1);
    office.people.round(&tacet_seal::SecureRng).await.unwrap();
    assert_eq!(office.notices(&sec, "review-overdue").await.len(), 1, "told once");
}
