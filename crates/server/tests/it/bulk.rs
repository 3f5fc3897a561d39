//! Bulk export and import over HTTP, on the real vault.

use crate::client::{Answer, Ask};
use crate::vaulted::House;
use std::time::Duration;

const LINES: &str = concat!(
    r#"{"resourceType":"Patient","id":"a","active":true}"#,
    "\n\n",
    r#"{"resourceType":"Patient","id":"b","gender":"Amieeplanted"}"#,
    "\n",
    r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}"#,
);

fn lines() -> Ask {
    Ask::new("POST", "/$import").json(LINES).header("content-type", "application/fhir+ndjson")
}

async fn settled(house: &House, path: &str) -> Answer {
    for _ in 0..2000 {
        let status = house.ask(Ask::new("GET", path)).await;
        if status.status != 202 {
            return status;
        }
        assert!(status.header("x-progress").is_some());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to an end");
}

fn place(house: &House, answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    answer.header("content-location").unwrap().strip_prefix(&house.base_url).unwrap().to_owned()
}

fn is_outcome(answer: &Answer) {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains(r#""valueCode":"Patient"#) && !text.contains("Amiee"), "{text}");
    assert!(text.contains(r#"{"name":"line","valueInteger":3}"#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_imported_at_once_and_in_the_background() {
    let house = House::open().await;
    is_outcome(&house.ask(lines()).await);
    let again = house.ask(lines().header("prefer", "respond-async")).await;
    let path = place(&house, &again);
    let outcome = settled(&house, &path).await;
    assert_eq!(outcome.status, 200);
    assert!(String::from_utf8_lossy(&outcome.body).contains(r#"{"name":"storedBefore","valueInteger":2}"#));
    assert_eq!(house.ask(Ask::new("DELETE", &path)).await.status, 202);
    assert_eq!(house.ask(Ask::new("GET", &path)).await.status, 404);
    let urls = house.ask(Ask::new("POST", "/$import").json(r#"{"resourceType":"Parameters"}"#)).await;
    urls.is_refusal(415, "not-supported");
    assert!(String::from_utf8_lossy(&urls.body).contains("fetches nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_begun_read_and_ended() {
    let house = House::open().await;
    let directory = tempfile::tempdir().unwrap();
    house.keep_copies_in(directory.path()).await;
    is_outcome(&house.ask(lines()).await);
    assert_eq!(house.ask(Ask::new("GET", "/$export")).await.status, 400, "without `Prefer`");
    let begin = |path: &str| Ask::new("GET", path).header("prefer", "respond-async");
    let path = place(&house, &house.ask(begin("/$export?_typeFilter=Observation?code:text=none&_copyPurpose=x")).await);
    let manifest = settled(&house, &path).await.value();
    assert_eq!(
        (manifest["output"].as_array().unwrap().len(), manifest["output"][0]["type"].as_str()),
        (1, Some("Patient"))
    );
    let path = place(&house, &house.ask(begin("/Patient/$export?_type=Patient")).await);
    let manifest = settled(&house, &path).await.value();
    assert_eq!(manifest["requiresAccessToken"], true);
    let url = manifest["output"][0]["url"].as_str().unwrap().strip_prefix(&house.base_url).unwrap();
    let file = house.ask(Ask::new("GET", url).header("accept", "application/fhir+ndjson")).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("application/fhir+ndjson")));
    let read = house.ask(Ask::new("GET", "/Patient/a")).await;
    assert_eq!(file.body, [&read.body[..], b"\n"].concat());
    assert_eq!(house.entries(&file).len(), 1);
    assert_eq!(house.ask(Ask::new("DELETE", &path)).await.status, 202);
    for gone in [path.as_str(), url] {
        assert_eq!(house.ask(Ask::new("GET", gone)).await.status, 404);
    }
    assert_eq!(house.ask(begin("/$export?_typeFilter=Observation?colour=red")).await.status, 400);
}
