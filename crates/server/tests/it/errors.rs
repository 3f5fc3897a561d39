//! Refusals of the record store as clients see them, each a valid OperationOutcome; the CapabilityStatement likewise.

use crate::client::Ask;
use crate::memory::PLANTED_NAME;
use crate::running::start;
use tacet_fhir::{json, validate};

/// Checks that a resource that the server wrote is valid FHIR.
pub(crate) fn is_valid(body: &[u8]) {
    let resource = json::parse(body, &json::Limits::default()).unwrap();
    let issues = validate::validate(&resource, &validate::Options::default());
    let errors: Vec<_> = issues.iter().filter(|issue| issue.severity <= tacet_fhir::outcome::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[tokio::test]
async fn each_refusal_of_the_store_has_its_status() {
    let server = start().await;
    for (id, status, code) in [
        ("nobody", 404, "not-found"),
        ("forbidden", 404, "not-found"),
        ("unavailable", 503, "transient"),
        ("internal", 500, "exception"),
        ("damaged", 500, "exception"),
        ("panic", 500, "exception"),
        ("rate", 429, "throttled"),
        ("conflict", 409, "conflict"),
        ("erased", 410, "deleted"),
        ("absent", 501, "not-supported"),
        ("large", 413, "too-long"),
        ("mismatch", 400, "invalid"),
    ] {
        let answer = server.ask(Ask::get(&format!("/Patient/{id}"))).await;
        answer.is_refusal(status, code);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!text.contains(PLANTED_NAME), "{text}");
        let retry = answer.header("retry-after");
        assert_eq!(
            retry,
            match id {
                "rate" => Some("2"),
                "unavailable" => Some("1"),
                _ => None,
            },
            "{id}"
        );
    }
}

#[tokio::test]
async fn forbidden_and_absent_cannot_be_told_apart() {
    let server = start().await;
    let one = server.ask(Ask::get("/Patient/forbidden")).await;
    let other = server.ask(Ask::get("/Patient/nobody")).await;
    let names = |answer: &crate::client::Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    assert_eq!(one.body.len(), other.body.len());
}

#[tokio::test]
async fn the_capability_statement_is_valid_and_public() {
    let server = start().await;
    let answer = server.ask(Ask::new("GET", "/metadata")).await;
    assert_eq!(answer.status, 200);
    is_valid(&answer.body);
    let statement = answer.value();
    assert_eq!(statement["implementation"]["url"], server.base_url);
    assert_eq!(statement["rest"][0]["resource"].as_array().unwrap().len(), 145);
    let pretty = server.ask(Ask::new("GET", "/metadata?_pretty=true")).await;
    assert_eq!(pretty.value(), statement);
    assert!(pretty.body.len() > answer.body.len());
    server.ask(Ask::new("GET", "/metadata?mode=terminology")).await.is_refusal(501, "not-supported");
    server.ask(Ask::new("GET", "/metadata?_format=ttl")).await.is_refusal(406, "not-supported");
}
