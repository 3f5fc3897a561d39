//! Nothing personal in the logs: whatever a client plants in path, query, headers, method and body, and whatever a library
//! quotes in its errors.

use crate::client::Ask;
use crate::memory::PLANTED_NAME;
use crate::running::start;
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

const PLANTED_ID: &str = "255069938801226";

static LINES: Mutex<String> = Mutex::new(String::new());

/// Takes down everything that any crate logs, at every level.
struct Capture;

/// What was taken down so far.
pub(crate) fn lines() -> String {
    LINES.lock().unwrap().clone()
}

impl<S: tracing::Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = format!("{} {} ", event.metadata().level(), event.metadata().target());
        event.record(&mut Fields(&mut line));
        LINES.lock().unwrap().push_str(&(line + "\n"));
    }

    fn on_new_span(&self, span: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
        let mut line = format!("span {} ", span.metadata().name());
        span.record(&mut Fields(&mut line));
        LINES.lock().unwrap().push_str(&(line + "\n"));
    }
}

struct Fields<'a>(&'a mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

pub(crate) fn capture() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Capture)).unwrap();
    });
}

#[tokio::test]
async fn nothing_personal_is_logged() {
    capture();
    let server = start().await;
    let body = format!(r#"{{"resourceType":"Patient","name":[{{"family":"{PLANTED_NAME}"}}]}}"#);
    let mut asks = vec![
        Ask::new("PUT", &format!("/Patient/{PLANTED_ID}")).bearer("clinician").json(body.clone()),
        Ask::new("POST", "/Patient").bearer("clinician").json(body.clone()),
        Ask::new("POST", "/").bearer("clinician").json(body.clone()),
        Ask::new("PUT", "/Patient/p1").bearer("clinician").json(format!("{{\"{PLANTED_NAME}")),
        Ask::new("PUT", &format!("/Observation/{PLANTED_ID}")).bearer("clinician").json(body.clone()),
        Ask::new(PLANTED_NAME, "/Patient/p1").bearer("clinician"),
        Ask::get("/Patient/p1").header("x-on-behalf-of", PLANTED_NAME),
        Ask::get("/Patient/p1").header("x-purpose-of-use", PLANTED_NAME),
        Ask::get("/Patient/p1").header("if-none-match", PLANTED_NAME),
        Ask::get("/Patient/p1").header("accept", PLANTED_NAME),
        Ask::new("GET", "/Patient/p1").bearer(PLANTED_NAME),
        Ask::new("GET", "/Patient/p1").header("authorization", PLANTED_NAME),
    ];
    for path in [
        format!("/Patient/{PLANTED_ID}"),
        format!("/Patient/{PLANTED_ID}/_history"),
        format!("/Patient/{PLANTED_ID}/$everything"),
        format!("/{PLANTED_NAME}/{PLANTED_ID}"),
        format!("/{PLANTED_NAME}"),
        format!("/a/b/c/d/e/{PLANTED_NAME}"),
        format!("/Patient?name={PLANTED_NAME}"),
        format!("/Patient/p1?{PLANTED_NAME}=1"),
        format!("/_history?_since={PLANTED_NAME}"),
        format!("/_history?_format={PLANTED_NAME}"),
        "/Patient/internal".to_owned(),
        "/Patient/unavailable".to_owned(),
    ] {
        asks.push(Ask::get(&path));
    }
    let mut operations = Vec::new();
    for ask in asks {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let over_http2 = ask.clone().send_http2(&server.base_url, stream).await;
        for answer in [server.ask(ask).await, over_http2] {
            operations.push(answer.header("x-request-id").unwrap().to_owned());
        }
    }
    // What is no HTTP at all.
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{PLANTED_NAME}\0\r\n\r\n").as_bytes()).await.unwrap();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;

    let lines = LINES.lock().unwrap().clone();
    let ours: String =
        lines.lines().filter(|line| line.contains("tacet_server")).map(|line| format!("{line}\n")).collect();
    for operation in operations {
        assert!(ours.contains(&operation), "each request leaves its line");
    }
    assert!(ours.contains("route=\"/{type}/{id}\"") && ours.contains("status=500"));
    assert!(!ours.contains(PLANTED_NAME) && !ours.contains(PLANTED_ID), "{ours}");
    // The levels that the binary can be set to; below them, at `trace`, libraries show headers.
    for line in lines.lines().filter(|line| !line.starts_with("TRACE") && !line.starts_with("span")) {
        assert!(!line.contains(PLANTED_NAME) && !line.contains(PLANTED_ID), "{line}");
    }
}
