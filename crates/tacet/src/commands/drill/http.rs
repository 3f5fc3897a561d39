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
    /// The session of a browser, in place of a token.
    pub(super) session: Option<Session>,
}

/// What a browser sends for somebody who is logged in.
pub(super) struct Session {
    /// The session's cookie.
    pub(super) secret: String,
    /// The device's cookie.
    pub(super) device: String,
    /// What the browser calls itself.
    pub(super) agent: String,
    /// From which page its requests come.
    pub(super) origin: String,
}

impl Client {
    /// Asks on a connection of its own.
    pub(super) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        match &self.session {
            Some(Session { secret, device, agent, origin }) => {
                head += &format!("Cookie: __Host-tacet-session={secret}; __Host-tacet-device={device}\r\n");
                head += &format!("User-Agent: {agent}\r\nOrigin: {origin}\r\n");
            }
            None if !has("authorization") => head += &format!("Authorization: Bearer {}\r\n", self.token),
            None => {}
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

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.parts();
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }

    /// Head and body as they came.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        const END: &[u8] = b"\r\n\r\n";
        let end = self.bytes.windows(END.len()).position(|window| window == END);
        match end {
            Some(end) => {
                let (head, rest) = self.bytes.split_at(end);
                (head, rest.get(END.len()..).unwrap_or_default())
            }
            None => (&self.bytes, &[]),
        }
    }

    /// The body, put together where it came in pieces.
    pub(super) fn body(&self) -> Vec<u8> {
        let (_, mut rest) = self.parts();
        if !self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return rest.to_vec();
        }
        let mut body = Vec::new();
        while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
            let size = rest.get(..end).and_then(|line| std::str::from_utf8(line).ok());
            let size = size.and_then(|line| usize::from_str_radix(line.trim(), 16).ok()).unwrap_or(0);
            let piece = rest.get(end + 2..).and_then(|rest| rest.get(..size));
            let (Some(piece), 1..) = (piece, size) else { break };
            body.extend_from_slice(piece);
            rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
        }
        body
    }

    /// The body as JSON; null where it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).unwrap_or_default()
    }
}
