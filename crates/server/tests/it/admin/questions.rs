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
