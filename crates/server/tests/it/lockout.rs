//! Ten failures from an address, and it is shut out for a while.

use crate::client::{Answer, Ask};
use crate::memory::Memory;
use crate::running::{Running, start};
use tacet_ledger::{EventKind, Outcome};

async fn ask(server: &Running, token: &str) -> Answer {
    server.ask(Ask::new("GET", "/Patient/p1").bearer(token)).await
}

fn notes(memory: &Memory) -> Vec<(EventKind, Outcome)> {
    memory.0.notes.lock().unwrap().clone()
}

#[tokio::test]
async fn the_eleventh_try_is_refused() {
    let server = start().await;
    assert_eq!(ask(&server, "clinician").await.status, 404, "one that works, before");
    for _ in 0..10 {
        ask(&server, "guess").await.is_refusal(401, "login");
    }
    for token in ["guess", "integrator"] {
        let refused = ask(&server, token).await;
        refused.is_refusal(429, "throttled");
        assert_eq!(refused.header("retry-after"), Some("300"), "{token}: right or wrong, the same answer");
    }
    assert_eq!(ask(&server, "clinician").await.status, 404, "what had worked from here goes on working");
    assert_eq!(server.ask(Ask::new("GET", "/Patient/p1")).await.status, 401, "no token is no try");
    assert_eq!(server.ask(Ask::new("GET", "/metadata")).await.status, 200);

    server.memory.0.clock.advance_ms(300_000);
    assert_eq!(ask(&server, "integrator").await.status, 404, "the lock is over");
    ask(&server, "guess").await.is_refusal(401, "login");
}

#[tokio::test]
async fn failures_are_noted_but_cannot_fill_the_ledger() {
    let server = start().await;
    for _ in 0..30 {
        ask(&server, "guess").await;
    }
    server.ask(Ask::new("GET", "/Patient/p1").header("authorization", "Basic eA==")).await;
    let noted = [(EventKind::LoginFailed, Outcome::Refused); 4];
    assert_eq!(notes(&server.memory), noted, "the first three, and the one that locks tells of the others");
    for _ in 0..5 {
        server.memory.0.clock.advance_ms(301_000);
        ask(&server, "guess").await;
    }
    assert_eq!(notes(&server.memory).len(), 9, "one each, as they are far apart");
    let metrics = server.ask(Ask::new("GET", "/metrics").bearer("operator")).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("tacet_authentication_failures_total 15\n"), "{text}");
    assert!(text.contains("tacet_authentication_locked_total 21\n"), "{text}");
}

#[tokio::test]
async fn what_a_role_may_not_do_is_noted() {
    let server = start().await;
    for _ in 0..5 {
        assert_eq!(ask(&server, "operator").await.status, 403);
        assert_eq!(server.ask(Ask::new("GET", "/metrics").bearer("clinician")).await.status, 403);
    }
    assert_eq!(ask(&server, "auditor").await.status, 403);
    server.memory.0.clock.advance_ms(60_000);
    assert_eq!(server.ask(Ask::new("DELETE", "/Patient/p1").bearer("operator")).await.status, 403);
    let refused = [EventKind::Read, EventKind::Read, EventKind::Delete].map(|kind| (kind, Outcome::Refused));
    assert_eq!(notes(&server.memory), refused, "once a minute for each token, and records only");
}
