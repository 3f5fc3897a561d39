//! The periodic review of accesses over HTTP: prepared, read as JSON and CSV, judged, closed.

use super::{Office, clinician, ward};
use crate::client::Ask;
use serde_json::json;
use tacet_ledger::EventKind;

#[tokio::test]
async fn a_month_is_reviewed_by_an_auditor() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let folder = tempfile::tempdir().unwrap();
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    for path in ["/Patient/mine", "/Observation/mine"] {
        assert_eq!(office.ask(&doctor, "GET", path, None).await.status, 200, "{path}");
    }
    let emergency =
        json!({ "patient": "other", "reason": "vital-emergency", "text": "found unconscious", "minutes": 60 });
    assert_eq!(office.ask(&doctor, "POST", "/_break-glass", Some(emergency)).await.status, 201);
    assert_eq!(office.ask(&doctor, "GET", "/Observation/other", None).await.status, 200);
    let wanted = json!({ "from": "2026-03-01", "to": "2026-03-02", "reviewer": "aud" });
    let early = office.ask(&staff.sec, "POST", "/_reviews/access", Some(wanted.clone())).await;
    assert_eq!(early.status, 422, "the day is not over: {:?}", early.body);

    // The next day, with logins of that day.
    office.clock.advance_ms(86_400_000);
    let sec = office.logged_in(staff.sec.key).await.unwrap();
    let aud = office.logged_in(staff.aud.key).await.unwrap();
    let adm = office.logged_in(staff.adm1.key).await.unwrap();
    assert_eq!(office.ask(&adm, "POST", "/_reviews/access", Some(wanted.clone())).await.status, 403);
    let wrong = json!({ "from": "2026-03-01", "to": "2026-03-02", "reviewer": "adm1" });
    assert_eq!(office.ask(&sec, "POST", "/_reviews/access", Some(wrong)).await.status, 422);
    let made = office.ask(&sec, "POST", "/_reviews/access", Some(wanted.clone())).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let review = made.value();
    let path = format!("/_reviews/access/{}", review["id"].as_str().unwrap());
    assert!(made.header("location").unwrap().ends_with(&path));
    assert_eq!((review["state"].as_str(), review["untold"].as_u64()), (Some("open"), Some(0)));
    assert!(review["accesses"].as_u64().unwrap() >= 2, "{review}");
    assert_eq!(office.ask(&sec, "POST", "/_reviews/access", Some(wanted)).await.status, 409, "one draw");
    assert_eq!(office.notices(&aud, "access-review-assigned").await.len(), 1);
    let listed = office.ask(&sec, "GET", "/_reviews/access", None).await.value();
    assert_eq!(
        (listed["reviews"][0]["overdue"].as_bool(), listed["reviews"].as_array().unwrap().len()),
        (Some(false), 1)
    );

    let looks = || office.entries().iter().filter(|entry| entry.kind == EventKind::LedgerAccess).count();
    let before = looks();
    let shown = office.ask(&aud, "GET", &path, None).await.value();
    assert_eq!(looks(), before + 1, "who reads a review is in the ledger");
    let items = shown["items"].as_array().unwrap();
    let of = |section: &str| items.iter().filter(|item| item["section"] == section).collect::<Vec<_>>();
    let declared = of("break-glass");
    assert_eq!(
        (declared.len(), declared[0]["entries"].as_u64(), declared[0]["owner"].as_str()),
        (1, Some(1), Some("dr-a"))
    );
    assert_eq!(declared[0]["patient"], "Patient/other");
    assert!(of("sample").iter().any(|item| item["patient"] == "Patient/mine"), "{shown}");
    assert!(of("without-relation").iter().all(|item| item["owner"] != "dr-a"), "{shown}");
    let ask = Ask::new("GET", &path).header("accept", "text/csv");
    let csv = office.send(ask, &aud, None).await;
    let csv = String::from_utf8(csv.body.to_vec()).unwrap();
    assert!(csv.starts_with("review,item,section,") && csv.lines().count() == items.len() + 1);

    let judge = |number: usize, outcome: &str| {
        (format!("{path}/items/{number}"), json!({ "outcome": outcome, "comment": "seen" }))
    };
    let (first, body) = judge(0, "justified");
    assert_eq!(office.ask(&sec, "POST", &first, Some(body)).await.status, 403, "the reviewer judges");
    let (_, odd) = judge(0, "fine");
    assert_eq!(office.ask(&aud, "POST", &first, Some(odd)).await.status, 400);
    let close = json!({ "text": "looked at" });
    let early = office.ask(&aud, "POST", &format!("{path}/close"), Some(close.clone())).await;
    let said = early.value()["issue"][0]["diagnostics"].to_string();
    assert!(early.status == 409 && said.contains(&format!(": {} are left", items.len())), "{said}");
    for (number, item) in items.iter().enumerate() {
        let (at, body) = judge(number, "justified");
        let by = if item["owner"] == "aud" { &sec } else { &aud };
        let judged = office.ask(by, "POST", &at, Some(body)).await;
        assert_eq!(judged.status, 200, "{item} {:?}", judged.body);
    }
    let closed = office.ask(&aud, "POST", &format!("{path}/close"), Some(close)).await;
    assert_eq!((closed.status, closed.value()["state"].as_str().map(str::to_owned)), (200, Some("closed".to_owned())));
    assert_eq!(office.noted("closed: "), 1);
    for odd in ["/_reviews/access/none", "/_reviews/access/none/items/0", "/_reviews/access/x/close"] {
        let (method, body) = if odd.ends_with("none") { ("GET", None) } else { ("POST", Some(json!({ "text": "x" }))) };
        let body = if odd.contains("items") { Some(json!({ "outcome": "justified", "comment": "x" })) } else { body };
        assert_eq!(office.ask(&aud, method, odd, body).await.status, 404, "{odd}");
    }
}
