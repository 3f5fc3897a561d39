//! A stop lets what is under way finish, within a bound.

use crate::client::Ask;
use crate::running::{config, start, start_with};
use tacet_server::Stopped;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn requests_under_way_are_answered() {
    let mut server = start().await;
    server.put_patient("slow").await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let slow = tokio::spawn(Ask::get("/Patient/slow").send(server.address));
    server.memory.0.slow_started.acquire().await.unwrap().forget();
    server.begin_stop();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await; // until the door is shut
    }
    assert!(!slow.is_finished());
    server.memory.0.slow.add_permits(1);
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(server.stopped().await, Stopped { cut_off: 0 });
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off() {
    let mut config = config();
    config.limits.drain_ms = 100;
    let mut server = start_with(config).await;
    let slow = tokio::spawn(Ask::get("/Patient/slow").send(server.address));
    server.memory.0.slow_started.acquire().await.unwrap().forget();
    server.begin_stop();
    assert_eq!(server.stopped().await, Stopped { cut_off: 1 });
    assert!(slow.await.is_err(), "it got no answer");
}
