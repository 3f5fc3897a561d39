//! A small HTTP client.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask(Request<Full<Bytes>>);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self(
            Request::builder().method(method).uri(path).header(HOST, "attacker.example").body(Full::default()).unwrap(),
        )
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path).bearer("clinician")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    /// A header beside one of the same name.
    pub(crate) fn and_header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(mut self, body: impl Into<Bytes>) -> Self {
        *self.0.body_mut() = Full::new(body.into());
        self.header("content-type", "application/fhir+json")
    }

    /// As it goes over an HTTP/1.1 connection that stays open.
    pub(crate) async fn bytes(self) -> Vec<u8> {
        let (head, body) = self.0.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
        for (name, value) in &head.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(body);
        bytes
    }

    pub(crate) async fn send(self, address: SocketAddr) -> Answer {
        let stream = TcpStream::connect(address).await.unwrap();
        self.send_over(stream).await
    }

    /// Sends over HTTP/1.1.
    pub(crate) async fn send_over(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Answer {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        read(sender.send_request(self.0).await.unwrap()).await
    }

    /// Sends over HTTP/2, to the authority of `base_url`.
    pub(crate) async fn send_http2(
        mut self,
        base_url: &str,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Answer {
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        *self.0.uri_mut() = format!("{base_url}{}", self.0.uri()).parse().unwrap();
        self.0.headers_mut().remove(HOST);
        read(sender.send_request(self.0).await.unwrap()).await
    }
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// Checks that this is a refusal as FHIR asks, with this status and issue code, that bears its operation's id.
    pub(crate) fn is_refusal(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{:?}", self.body);
        let outcome = self.value();
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        assert_eq!(outcome["issue"][0]["code"], code);
        assert_eq!(outcome["id"], self.header("x-request-id").unwrap());
        crate::errors::is_valid(&self.body);
    }
}
