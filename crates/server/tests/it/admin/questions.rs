//! Questions to the ledger over HTTP: who may ask, and what an auditor is told of a session that was stolen.

use super::{Office, clinician, ward};
use crate::client::Ask;

#[tokio::test]
async fn an_auditor_learns_the_exact_extent_of_a_session() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let folder = tempfile::tempdir().unwrap();
    let without = office.ask(&staff.aud, "GET", "/_ledger/entries", None).await;
    assert_eq!(without.status, 501, "a store without the index says so");
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();
    let thief = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    for path in ["/Patient/mine", "/Observation/mine", "/Observation/mine", "/Patient/other"] {
        office.ask(&thief, "GET", path, None).await;
    }

    let asked = "/_ledger/entries?patient=mine&kind=read&_order=oldest&_count=2";
    let page = office.ask(&staff.aud, "GET", asked, None).await;
    assert_eq!(page.status, 200, "{:?}", page.body);
    let page = page.value();
    let entries = page["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let (session, account) = (entries[0]["session"].as_str().unwrap(), entries[0]["account"].as_str().unwrap());
    assert_eq!((account, entries[0]["owner"].as_str()), (thief.id.as_str(), Some("dr-a")));
    assert!(session.len() == 16 && entries[0]["device"].as_str().unwrap().len() == 16);
    assert!(entries[0]["basis"].as_str().unwrap().contains(" by "), "why it was allowed: {}", entries[0]);
    let next = page["next"].as_str().unwrap().strip_prefix(super::ORIGIN).unwrap();
    let rest = office.ask(&staff.aud, "GET", next, None).await.value();
    assert_eq!((rest["entries"].as_array().unwrap().len(), rest["next"].is_null()), (1, true));
    let stranger = office.ask(&staff.sec, "GET", next, None).await;
    assert_eq!(stranger.status, 400, "a link is for who got it");

    let extent = office.ask(&staff.sec, "GET", &format!("/_ledger/sessions/{session}/extent"), None).await;
    assert_eq!(extent.status, 200, "{:?}", extent.body);
    assert!(!String::from_utf8_lossy(&extent.body).contains("Amiee"), "ids, no names");
    let extent = extent.value();
    assert_eq!((extent["patients_touched"].as_u64(), extent["refused"].as_u64()), (Some(1), Some(1)));
    assert_eq!(extent["patients"].as_array().unwrap().len(), 2, "whom it tried to see is told too");
    let mine = extent["patients"].as_array().unwrap().iter().find(|line| line["patient"] == "Patient/mine").unwrap();
    assert_eq!((mine["records"].as_u64(), mine["entries"].as_u64()), (Some(2), Some(3)));
    assert_eq!(extent["kinds"]["login"], 1, "from the login on");
    let by_account = office.ask(&staff.aud, "GET", &format!("/_ledger/entries?account={account}"), None).await.value();
    assert_eq!(by_account["entries"][0]["kind"], "read", "the newest first");

    let forms =
        [("text/csv", "text/csv"), ("application/x-ndjson", "application/x-ndjson"), ("*/*", "application/json")];
    for (accept, kind) in forms {
        let ask = Ask::new("GET", "/_ledger/entries?session=none&token=none").header("accept", accept);
        assert_eq!(office.send(ask, &staff.aud, None).await.status, 400, "two names of one thing");
        let ask = Ask::new("GET", &format!("/_ledger/entries?session={session}&_count=1")).header("accept", accept);
        let answer = office.send(ask, &staff.aud, None).await;
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{:?}", answer.headers);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains(session) && text.contains("dr-a"), "{text}");
        let next = answer.header("link").map(str::to_owned);
        assert_eq!(next.is_some_and(|link| link.contains("_cursor=")), kind != "application/json", "{accept}");
        assert_eq!(text.starts_with("index,at,"), kind == "text/csv");
    }
    for wrong in [
        "patient=a/b/c",
        "from=yesterday",
        "kind=theft",
        "address=here",
        "outcome=odd",
        "person=",
        "device=",
        "device=00D1CE0123456789",
        "from=2026-03-01&to=2026-03-01",
        "_count=0",
        "_order=x",
        "name=x",
    ] {
        assert_eq!(
            office.ask(&staff.aud, "GET", &format!("/_ledger/entries?{wrong}"), None).await.status,
            400,
            "{wrong}"
        );
    }
    // Who gives care, keeps accounts or the machine asks nothing; a token of any role neither.
    for who in [&thief, &staff.adm1] {
        for path in ["/_ledger/entries", "/_ledger/sessions/x/extent"] {
            assert_eq!(office.ask(who, "GET", path, None).await.status, 403, "{path}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_has_an_end_and_is_in_the_ledger_before_it() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let folder = tempfile::tempdir().unwrap();
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();
    let caller = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    // More than a page, and more than a piece.
    for _ in 0..1100 {
        office.ask(&caller, "GET", "/Patient/mine", None).await;
    }
    let asked = "/_ledger/entries?patient=mine&kind=read&_order=oldest&_count=all";
    let before = office.vault.ledger_head().unwrap().unwrap().size();
    let ask = Ask::new("GET", asked).header("accept", "application/x-ndjson");
    let answer = office.send(ask, &staff.aud, None).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let entry = office.vault.ledger_entry(before).unwrap();
    assert_eq!(
        (entry.kind.as_str(), entry.query.as_deref()),
        ("ledger-access", Some("patient=Patient/mine&kind=read"))
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, entries) = lines.split_last().unwrap();
    assert_eq!((last["end"].as_bool(), last["entries"].as_u64()), (Some(true), Some(1100)), "{last}");
    assert_eq!(entries.len(), 1100);
    assert!(entries.windows(2).all(|pair| pair[0]["index"].as_u64() < pair[1]["index"].as_u64()));

    let csv = office.ask(&staff.aud, "GET", &format!("{asked}&_format=csv"), None).await;
    let csv = String::from_utf8(csv.body.to_vec()).unwrap();
    assert!(csv.starts_with("index,at,") && csv.lines().count() == 1102);
    assert!(csv.lines().last().unwrap().starts_with("end,,(1100 lines;"), "{:?}", csv.lines().last());
    let none = office.ask(&staff.aud, "GET", "/_ledger/entries?session=none&_count=all&_format=ndjson", None).await;
    assert_eq!(String::from_utf8_lossy(&none.body).lines().count(), 1, "an end and nothing before it");

    let pdf =
        office.ask(&staff.aud, "GET", "/_ledger/entries?patient=mine&kind=update&_format=pdf&_lang=en", None).await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, Some("application/pdf")));
    assert!(pdf.body.starts_with(b"%PDF"));
    for wrong in ["_count=all", "_count=all&_format=csv&_cursor=x", "_format=pdf&_lang=de", "_format=xml"] {
        let answer = office.ask(&staff.aud, "GET", &format!("/_ledger/entries?patient=mine&{wrong}"), None).await;
        assert!([400, 406, 501].contains(&answer.status), "{wrong}: {}", answer.status);
    }
    assert_eq!(office.ask(&caller, "GET", &format!("{asked}&_format=csv"), None).await.status, 403);
}
