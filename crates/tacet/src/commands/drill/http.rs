//! A small HTTP/1.1 client of the drill's own, which may also say what no good client says.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a connection or an answer.
const WAIT: Duration = Duration::from_secs(60);

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// An answer.
pub(super) struct Answer {
    /// The status code; 0 where the answer was no HTTP.
    pub(super) status: u16,
    /// Head and body as they came.
    pub(super) bytes: Vec<u8>,
}

/// A server, and who asks.
pub(super) struct Client {
    /// Where the server listens.
    pub(super) address: SocketAddr,
    /// The bearer token.
    pub(super) token: String,
}

impl Client {
    /// Asks on a connection of its own.
    pub(super) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !has("authorization") {
            head += &format!("Authorization: Bearer {}\r\n", self.token);
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
            if !has("content-type") {
                head += "Content-Type: application/fhir+json\r\n";
            }
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(&[head.as_bytes(), b"\r\n", body.as_bytes()].concat())
    }

    /// Sends these bytes and reads until the server closes.
    pub(super) fn raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, WAIT)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        // A server that refuses early may close before it has read everything: its answer counts.
        let written = stream.write_all(bytes);
        let mut answer = Vec::new();
        match stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer) {
            Err(error) if answer.is_empty() => return Err(error),
            _ => {}
        }
        if answer.is_empty() {
            written?;
        }
        let line = answer.get(..16.min(answer.len())).unwrap_or_default();
        let status =
            std::str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        Ok(Answer { status: status.unwrap_or(0), bytes: answer })
    }
}

impl Answer {
    /// Whether this text is in it.
    pub(super) fn has(&self, text: &str) -> bool {
        !text.is_empty() && self.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}
