//! A connection over which a receiver is told by POST: what it answers with 2xx it has taken.

use super::config::Place;
use super::link::{Both, Broken};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longest head of an answer, in bytes.
const ANSWER_HEAD_BYTES_MAX: usize = 16 << 10;

/// Longest body of an answer that is read, so that the next request can go over the same connection, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

pub(super) struct Requests {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    host: String,
    path: String,
    content_type: &'static str,
    timeout: Duration,
}

impl Requests {
    pub(super) async fn over(
        stream: Box<dyn Both>,
        place: &Place,
        content_type: &'static str,
        timeout: Duration,
    ) -> Result<Self, Broken> {
        let mut builder = hyper::client::conn::http1::Builder::new();
        let handshake = builder.max_buf_size(ANSWER_HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|_| Broken::Connect)?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        let host = match place.host.contains(':') {
            true => format!("[{}]:{}", place.host, place.port),
            false => format!("{}:{}", place.host, place.port),
        };
        let path = place.path.clone().unwrap_or_default();
        Ok(Self { sender, driver, host, path, content_type, timeout })
    }

    /// Sends a body; it was taken where the answer's status begins with 2. Redirects are not followed.
    pub(super) async fn send(&mut self, body: Vec<u8>) -> Result<(), Broken> {
        let request = Request::post(&self.path)
            .header(HOST, &self.host)
            .header(USER_AGENT, "tacet")
            .header(CONTENT_TYPE, self.content_type)
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Broken::Connect)?;
        let asking = async {
            self.sender.ready().await.map_err(|_| Broken::Closed)?;
            let answer = self.sender.send_request(request).await.map_err(|_| Broken::Closed)?;
            let status = answer.status();
            // Nothing of it is looked at.
            let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            if status.is_success() { Ok(()) } else { Err(Broken::Status(status.as_u16())) }
        };
        timeout(self.timeout, asking).await.unwrap_or(Err(Broken::Timeout))
    }

    /// Waits until the other side closes.
    pub(super) async fn closed(&mut self) -> Broken {
        let _ = (&mut self.driver).await;
        Broken::Closed
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
