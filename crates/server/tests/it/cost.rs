//! What the server itself costs on the processor for one read, the record store left out. Not a test: it prints.
//!
//! `cargo test -p tacet-server --release -- --ignored --nocapture cost`

use crate::memory::Memory;
use crate::running::config;
use std::sync::Arc;
use std::sync::mpsc;
use tacet_server::{Environment, Server};
use tacet_types::SystemRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUESTS: usize = 20_000;

/// Nanoseconds that this thread has run.
fn thread_ran_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

async fn read_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, end: &[u8]) {
    buffer.clear();
    while !buffer.ends_with(end) {
        assert!(stream.read_buf(buffer).await.unwrap() > 0);
    }
}

#[test]
#[ignore = "prints a measurement"]
fn cost() {
    let (told, hear) = mpsc::channel();
    let (ask_stop, stop) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = Memory::new();
            let environment = Environment { clock: Arc::clone(&memory.0.clock) as _, rng: Arc::new(SystemRng) };
            let server = Server::bind(config(), memory.clone(), environment).await.unwrap();
            told.send((server.local_addr(), memory)).unwrap();
            server.run(async { drop(stop.await) }).await;
        });
        thread_ran_ns()
    });
    let (address, memory) = hear.recv().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = format!(r#"{{"resourceType":"Patient","text":"{}"}}"#, "x".repeat(1400));
    runtime.block_on(crate::client::Ask::new("PUT", "/Patient/p1").bearer("clinician").json(body).send(address));
    let connections = 16;
    runtime.block_on(async {
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let mut buffer = Vec::with_capacity(8192);
                    for _ in 0..REQUESTS / connections {
                        let ask = b"GET /Patient/p1 HTTP/1.1\r\nhost: h\r\nauthorization: Bearer clinician\r\naccept: application/fhir+json\r\n\r\n";
                        stream.write_all(ask).await.unwrap();
                        read_until(&mut stream, &mut buffer, b"}").await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
    let asked = memory.0.callers.lock().unwrap().len();
    drop(ask_stop);
    let ran_ns = server.join().unwrap();
    println!(
        "{asked} reads: {} us of processor time each, the record store of the tests included",
        ran_ns as f64 / 1e3 / asked as f64
    );
}
