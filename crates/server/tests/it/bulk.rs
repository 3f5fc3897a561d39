//! Bulk export and import over HTTP, on the real vault.

use crate::client::{Answer, Ask};
use crate::vaulted::House;
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tacet_types::{Clock, ManualClock, SystemClock};

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

/// A day, in milliseconds: how long an outcome is kept, and a copy where nothing is said.
const DAY_MS: i64 = 86_400_000;

fn begin(path: &str) -> Ask {
    Ask::new("GET", path).header("prefer", "respond-async")
}

/// Lines enough for many units.
fn many(count: usize) -> Ask {
    let lines: Vec<String> =
        (0..count).map(|n| format!(r#"{{"resourceType":"Basic","id":"b{n}","code":{{"text":"x"}}}}"#)).collect();
    Ask::new("POST", "/$import").json(lines.join("\n")).header("content-type", "application/fhir+ndjson")
}

fn number(outcome: &Answer, name: &str) -> u64 {
    let outcome = outcome.value();
    let all = outcome["parameter"].as_array().unwrap().clone();
    all.iter().find(|parameter| parameter["name"] == name).unwrap()["valueInteger"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_exported_with_its_active_patients_alone() {
    let house = House::open().await;
    let directory = tempfile::tempdir().unwrap();
    house.keep_copies_in(directory.path()).await;
    for id in ["in", "out", "left"] {
        let body = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
        assert_eq!(house.ask(Ask::new("PUT", &format!("/Patient/{id}")).json(body)).await.status, 201);
        let seen = format!(
            r#"{{"resourceType":"Observation","id":"o-{id}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{id}"}}}}"#
        );
        assert_eq!(house.ask(Ask::new("PUT", &format!("/Observation/o-{id}")).json(seen)).await.status, 201);
    }
    let group = r#"{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[
        {"entity":{"reference":"Patient/in"}},{"entity":{"reference":"Patient/left"},"inactive":true}]}"#;
    assert_eq!(house.ask(Ask::new("PUT", "/Group/g").json(group)).await.status, 201);
    let path = place(&house, &house.ask(begin("/Group/g/$export")).await);
    let manifest = settled(&house, &path).await.value();
    assert!(manifest["request"].as_str().unwrap().ends_with("/Group/g/$export"), "{manifest}");
    let mut all = String::new();
    for file in manifest["output"].as_array().unwrap() {
        let url = file["url"].as_str().unwrap().strip_prefix(&house.base_url).unwrap();
        let plain = house.ask(Ask::new("GET", url)).await;
        assert!(plain.header("content-encoding").is_none() && plain.status == 200);
        let packed = house.ask(Ask::new("GET", url).header("accept-encoding", "gzip")).await;
        assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
        assert_eq!(packed.header("vary"), Some("Accept, Accept-Encoding"));
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body, "the same, packed");
        all += std::str::from_utf8(&unpacked).unwrap();
    }
    assert!(all.contains(r#""id":"in""#) && all.contains(r#""id":"o-in""#), "{all}");
    // The Group itself is in the compartment of its members, and names all of them.
    for other in [r#""id":"out""#, r#""id":"left""#, "o-out", "o-left"] {
        assert!(!all.contains(other), "{other}: {all}");
    }
    house.ask(begin("/Group/nobody/$export")).await.is_refusal(404, "not-found");
    let nested = r#"{"resourceType":"Group","id":"h","type":"person","actual":true,"member":[{"entity":{"reference":"Group/g"}}]}"#;
    assert_eq!(house.ask(Ask::new("PUT", "/Group/h").json(nested)).await.status, 201);
    house.ask(begin("/Group/h/$export")).await.is_refusal(501, "not-supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_given_up_keeps_what_it_had_stored() {
    let house = House::open().await;
    let lines = 6_000;
    let path = place(&house, &house.ask(many(lines).header("prefer", "respond-async")).await);
    let other = house.token_of(tacet_vault::Role::Integrator).await;
    let stranger = Ask::new("GET", &path).bearer(&other).send(house.address).await;
    stranger.is_refusal(404, "not-found");
    loop {
        let status = house.ask(Ask::new("GET", &path)).await;
        assert_eq!(status.status, 202, "it came to its end before it could be given up");
        assert_eq!(status.header("retry-after"), Some("1"));
        if !status.header("x-progress").unwrap().starts_with("0 of") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(house.ask(Ask::new("DELETE", &path)).await.status, 202);
    for method in ["GET", "DELETE"] {
        house.ask(Ask::new(method, &path)).await.is_refusal(404, "not-found");
    }
    let again = house.ask(many(lines)).await;
    assert_eq!(again.status, 200, "{:?}", again.body);
    let before = number(&again, "storedBefore");
    assert!(before >= 256 && before < lines as u64, "{before} were stored before it was given up");
    let found = house.ask(Ask::new("GET", "/Basic?_summary=count")).await;
    assert_eq!(found.value()["total"], lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_and_copies_end_with_their_time() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let house = House::open_at(Arc::clone(&clock) as Arc<dyn Clock>).await;
    let directory = tempfile::tempdir().unwrap();
    house.keep_copies_in(directory.path()).await;
    let import = place(&house, &house.ask(lines().header("prefer", "respond-async")).await);
    let outcome = settled(&house, &import).await;
    assert_eq!(outcome.header("expires").unwrap(), clock.now().plus_ms(DAY_MS).http_date());
    let copies = [("/$export", 1), ("/Patient/$export?_copyDays=2", 2)];
    let mut made = Vec::new();
    for (path, days) in copies {
        let copy = place(&house, &house.ask(begin(path)).await);
        let manifest = settled(&house, &copy).await;
        assert_eq!(manifest.header("expires").unwrap(), clock.now().plus_ms(days * DAY_MS).http_date());
        let url = manifest.value()["output"][0]["url"].as_str().unwrap().to_owned();
        made.push((copy, url.strip_prefix(&house.base_url).unwrap().to_owned()));
    }
    clock.advance_ms(DAY_MS - 1);
    for path in [&import, &made[0].0, &made[0].1, &made[1].0] {
        assert_eq!(house.ask(Ask::new("GET", path)).await.status, 200, "{path}");
    }
    clock.advance_ms(1);
    for path in [&import, &made[0].0, &made[0].1] {
        house.ask(Ask::new("GET", path)).await.is_refusal(404, "not-found");
    }
    assert_eq!(house.ask(Ask::new("GET", &made[1].1)).await.status, 200, "its time is longer");
    assert_eq!(house.ask(Ask::new("DELETE", &made[1].0)).await.status, 202);
    for days in ["0", "31", "x"] {
        house.ask(begin(&format!("/$export?_copyDays={days}"))).await.is_refusal(400, "invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_given_up_leaves_nothing() {
    let house = House::open().await;
    let directory = tempfile::tempdir().unwrap();
    house.keep_copies_in(directory.path()).await;
    assert_eq!(house.ask(many(3_000)).await.status, 200);
    let path = place(&house, &house.ask(begin("/$export")).await);
    assert_eq!(house.ask(Ask::new("DELETE", &path)).await.status, 202);
    house.ask(Ask::new("GET", &path)).await.is_refusal(404, "not-found");
    house.ask(Ask::new("GET", &format!("{path}/0"))).await.is_refusal(404, "not-found");
    house.vault.end_expired_copies().await.unwrap();
    let mut left = usize::MAX;
    for _ in 0..2000 {
        left = std::fs::read_dir(directory.path()).unwrap().count();
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(left, 0, "folders of a copy that was given up");
}
