//! A connection that stays open, and how long an answer takes on it: as near as somebody comes to the server from outside.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for an answer.
const WAIT: Duration = Duration::from_secs(60);

pub(super) struct Wire {
    address: SocketAddr,
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Wire {
    pub(super) fn to(address: SocketAddr) -> Self {
        Self { address, stream: connect(address), answer: Vec::new() }
    }

    /// Sends this request, and gives the status and the microseconds until the answer was there. The connection is kept, unless the server
    /// ends it.
    #[expect(clippy::disallowed_methods, reason = "measures how long answers take, to compare them with each other")]
    pub(super) fn ask(&mut self, request: &[u8]) -> (u16, f64) {
        let began = Instant::now();
        self.stream.write_all(request).unwrap();
        self.read(request.starts_with(b"HEAD "));
        let took_us = began.elapsed().as_secs_f64() * 1e6;
        let status = std::str::from_utf8(&self.answer[9..12]).unwrap().parse().unwrap();
        if has(&self.answer, "connection: close") {
            self.stream = connect(self.address);
        }
        (status, took_us)
    }

    fn read(&mut self, without_body: bool) {
        self.answer.clear();
        let mut piece = [0; 16 << 10];
        while !is_whole(&self.answer, without_body) {
            let read = self.stream.read(&mut piece).unwrap();
            assert_ne!(read, 0, "ended within an answer: {:?}", String::from_utf8_lossy(&self.answer));
            self.answer.extend_from_slice(&piece[..read]);
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// The head of an answer and what came of its body.
fn parts(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|window| window == END)?;
    Some((&answer[..end], &answer[end + END.len()..]))
}

fn has(answer: &[u8], line: &str) -> bool {
    let head = parts(answer).map(|(head, _)| String::from_utf8_lossy(head).to_ascii_lowercase());
    head.is_some_and(|head| head.lines().any(|known| known == line))
}

fn is_whole(answer: &[u8], without_body: bool) -> bool {
    let Some((head, body)) = parts(answer) else { return false };
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    if without_body || [" 204", " 304"].iter().any(|status| head[8..12] == **status) {
        return true;
    }
    match length {
        Some(length) => body.len() >= length,
        None if has(answer, "transfer-encoding: chunked") => body.ends_with(b"0\r\n\r\n"),
        None => panic!("an answer without an end: {head}"),
    }
}

#[test]
fn an_answer_ends_where_its_head_says() {
    let whole = |text: &str| is_whole(text.as_bytes(), false);
    assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n") && !whole("HTTP/1.1 200 OK\r\n"));
    assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") && whole("HTTP/1.1 304 Not Modified\r\n\r\n"));
    assert!(is_whole(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", true));
    let pieces = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
    assert!(!whole(pieces) && whole(&format!("{pieces}0\r\n\r\n")));
    assert!(has(b"HTTP/1.1 413 X\r\nConnection: close\r\n\r\n", "connection: close"));
}
