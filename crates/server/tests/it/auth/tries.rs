//! Tries of who does not prove themselves: written down, within bounds, and locking out those who make them and nobody else.

use super::{Browser, post_form};
use crate::admin::Office;
use crate::client::Ask;
use serde_json::json;
use tacet_ledger::{Entry, EventKind, Outcome};

fn bad_client(secret: &str) -> Ask {
    post_form(
        "/oauth/token",
        &[
            ("grant_type", "client_credentials"),
            ("client_id", "nobody"),
            ("client_secret", secret),
            ("scope", "system/*.rs"),
        ],
    )
}

fn failures(office: &Office) -> Vec<Entry> {
    office.entries().into_iter().filter(|entry| entry.kind == EventKind::LoginFailed).collect()
}

/// For how many attempts an entry stands.
fn stands_for(entry: &Entry) -> u32 {
    let detail = entry.detail.as_deref().unwrap();
    match detail.split_once("this stands for ") {
        None => 1,
        Some((_, rest)) => rest.split(' ').next().unwrap().parse().unwrap(),
    }
}

#[tokio::test]
async fn a_client_that_does_not_prove_itself_is_written_down_and_cannot_fill_the_ledger() {
    let office = Office::open().await;
    for n in 0..30 {
        let answer = bad_client(&format!("hunter{n}")).send(office.address).await;
        assert_eq!(answer.status, if n < 10 { 401 } else { 429 }, "{n}");
    }
    let written = failures(&office);
    assert_eq!(written.len(), 4, "{:?}", written.iter().map(|entry| &entry.detail).collect::<Vec<_>>());
    assert_eq!(written.iter().map(stands_for).sum::<u32>(), 10, "none is left out");
    for entry in &written {
        let detail = entry.detail.as_deref().unwrap();
        assert!(detail.starts_with("a client did not prove itself") && !detail.contains("hunter"), "{detail}");
        assert_eq!((entry.outcome, entry.agent.owner.as_str()), (Outcome::Refused, "(not authenticated)"));
        assert!(entry.origin.address.is_some());
    }
    // Minutes of it are a few entries.
    for _ in 0..5 {
        office.clock.advance_ms(5 * 60_000);
        for n in 0..30 {
            bad_client(&format!("hunter{n}")).send(office.address).await;
        }
    }
    let written = failures(&office);
    assert_eq!((written.len(), written.iter().map(stands_for).sum::<u32>()), (24, 60));
}

#[tokio::test]
async fn a_page_of_another_site_locks_no_hospital_out() {
    let office = Office::open().await;
    let from = |ask: Ask, n: u32| match n % 3 {
        0 => ask.header("sec-fetch-site", "cross-site"),
        1 => ask.header("sec-fetch-site", "same-site"),
        _ => ask.header("origin", "https://evil.example"),
    };
    for n in 0..30 {
        assert_eq!(from(bad_client("x"), n).send(office.address).await.status, 401, "{n}");
        let read = Ask::new("GET", "/Patient/p1").bearer(&format!("tacet_{n}"));
        assert_eq!(from(read, n).send(office.address).await.status, 401, "{n}");
    }
    let mut browser = Browser::new();
    assert_eq!(browser.post(&office, "/auth/login/start", json!({})).await.status, 200);
    let written = failures(&office);
    assert!(!written.is_empty() && written.len() <= 3, "seen, and no more than that: {}", written.len());
    // Whoever sits there is another matter.
    for _ in 0..10 {
        bad_client("x").send(office.address).await;
    }
    assert_eq!(browser.post(&office, "/auth/login/start", json!({})).await.status, 429);
    assert_eq!(failures(&office).iter().map(stands_for).sum::<u32>(), 70);
}
