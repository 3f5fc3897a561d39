//! Every bound, met from outside.

use crate::client::Ask;
use crate::running::{config, start, start_with};
use bytes::Bytes;
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tacet_server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn limits(change: impl FnOnce(&mut Limits)) -> tacet_server::ServerConfig {
    let mut config = config();
    change(&mut config.limits);
    config
}

#[tokio::test]
async fn long_bodies_are_refused() {
    let server = start_with(limits(|limits| {
        limits.body_bytes_max = 1000;
        limits.bundle_bytes_max = 2000;
    }))
    .await;
    let put = |bytes| Ask::new("PUT", "/Patient/p1").bearer("clinician").json(vec![b' '; bytes]);
    server.ask(put(1001)).await.is_refusal(413, "too-long");
    assert_eq!(server.ask(put(1000)).await.status, 500, "read, and no JSON to the store of this test");
    let bundle = |bytes| Ask::new("POST", "/").bearer("clinician").json(vec![b' '; bytes]);
    assert_eq!(server.ask(bundle(2000)).await.status, 200);
    server.ask(bundle(2001)).await.is_refusal(413, "too-long");
}

/// One that does not say its length is cut off at the bound.
#[tokio::test]
async fn long_bodies_of_unknown_length_are_refused() {
    let server = start_with(limits(|limits| limits.body_bytes_max = 1000)).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method("PUT")
        .uri("/Patient/p1")
        .header("host", "h")
        .header("authorization", "Bearer clinician")
        .header("content-type", "application/json")
        .body(Pieces(11))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 413);
}

/// A body of so many pieces that does not say its length.
struct Pieces(usize);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 = match self.0.checked_sub(1) {
            Some(left) => left,
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 100])))))
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_headers_is_closed() {
    let server = start_with(limits(|limits| limits.first_request_ms = 100)).await;
    for start in ["", "P", "PRI", "GET /metadata HTTP/1.1\r\nhost: h\r\nx-a: "] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await; // closed or reset: over, either way
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{start}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let server = start_with(limits(|limits| limits.keep_alive_ms = 100)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "it was answered, then closed: {answer}");
}

/// The rest of its answer stays in the server until the kernel takes it, which it does not.
#[tokio::test]
async fn a_client_that_stops_reading_is_closed() {
    let server = start_with(limits(|limits| limits.keep_alive_ms = 200)).await;
    let body = format!(r#"{{"resourceType":"Patient","text":"{}"}}"#, "x".repeat(15 * 1024 * 1024));
    let stored = Ask::new("PUT", "/Patient/p1").bearer("clinician").header("prefer", "return=minimal").json(body);
    assert_eq!(server.ask(stored).await.status, 201);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ask = "GET /Patient/p1 HTTP/1.1\r\nhost: h\r\nauthorization: Bearer clinician\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut start = [0; 15];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    loop {
        let metrics = server.ask(Ask::new("GET", "/metrics").bearer("operator")).await;
        if std::str::from_utf8(&metrics.body).unwrap().contains("tacet_connections 1\n") {
            break; // only the one that asks
        }
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 15 * 1024 * 1024, "it was cut off");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = start_with(limits(|limits| limits.request_ms = 100)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /Patient/p1 HTTP/1.1\r\nhost: h\r\nauthorization: Bearer clinician\r\n\
        content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn long_headers_are_refused() {
    let server = start_with(limits(|limits| limits.header_bytes_max = 8192)).await;
    let answer = server.ask(Ask::get("/health").header("x-long", &"x".repeat(10_000))).await;
    assert_eq!(answer.status, 431);
    assert_eq!(server.ask(Ask::get("/health").header("x-long", &"x".repeat(5000))).await.status, 200);
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let server = start_with(limits(|limits| limits.request_ms = 100)).await;
    server.ask(Ask::get("/Patient/slow")).await.is_refusal(503, "timeout");
    assert_eq!(server.ask(Ask::get("/Patient/p1")).await.status, 404, "its turn was given back");
}

#[tokio::test]
async fn beyond_the_queue_clients_are_told_to_come_again() {
    let server = start_with(limits(|limits| {
        limits.handlers_max = 1;
        limits.waiting_max = 0;
    }))
    .await;
    server.put_patient("slow").await;
    let slow = tokio::spawn(Ask::get("/Patient/slow").send(server.address));
    server.memory.0.slow_started.acquire().await.unwrap().forget();
    let busy = server.ask(Ask::get("/Patient/p1")).await;
    busy.is_refusal(503, "throttled");
    assert_eq!(busy.header("retry-after"), Some("1"));
    assert_eq!(server.ask(Ask::get("/health")).await.status, 200, "health needs no turn");
    server.memory.0.slow.add_permits(1);
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(server.ask(Ask::get("/Patient/p1")).await.status, 404);
}

#[tokio::test]
async fn beyond_the_connections_clients_wait() {
    let server = start_with(limits(|limits| limits.connections_max = 1)).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    first.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");

    let mut second = TcpStream::connect(server.address).await.unwrap(); // by the kernel, not by the server
    second.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    // The first one is still served, and is alone.
    first.write_all(b"GET /metrics HTTP/1.1\r\nhost: h\r\nauthorization: Bearer operator\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains("# EOF") {
        let length = first.read(&mut piece).await.unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    assert!(text.contains("tacet_connections 1\n"), "{text}");
    drop(first);
    second.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

#[tokio::test]
async fn http2_without_tls_works_on_this_machine() {
    let server = start().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let answer = Ask::get("/Patient/p1").send_http2(&server.base_url, stream).await;
    answer.is_refusal(404, "not-found");
}
