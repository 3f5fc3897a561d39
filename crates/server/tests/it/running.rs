//! A server that runs on a free port until it is dropped or stopped.

use crate::client::{Answer, Ask};
use crate::memory::Memory;
use std::net::SocketAddr;
use std::sync::Arc;
use tacet_server::{Environment, Server, ServerConfig, Stopped};
use tacet_types::{SeededRng, SystemRng};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) base_url: String,
    pub(crate) memory: Memory,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Stopped>,
}

/// A configuration for a free port of this machine.
pub(crate) fn config() -> ServerConfig {
    ServerConfig { listen: "127.0.0.1:0".parse().unwrap(), ..ServerConfig::default() }
}

pub(crate) async fn start() -> Running {
    start_with(config()).await
}

pub(crate) async fn start_with(config: ServerConfig) -> Running {
    let memory = Memory::new();
    let environment = Environment { clock: Arc::clone(&memory.0.clock) as _, rng: Arc::new(SystemRng) };
    let server = Server::bind(config, memory.clone(), environment).await.unwrap();
    let (address, base_url) = (server.local_addr(), server.base_url().to_owned());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address, base_url, memory, stop: Some(stop), task }
}

/// Why a server with this configuration does not start.
pub(crate) async fn refusal(config: ServerConfig) -> tacet_server::ServeError {
    let memory = Memory::new();
    let environment = Environment { clock: Arc::clone(&memory.0.clock) as _, rng: Arc::new(SeededRng::new(1)) };
    match Server::bind(config, memory, environment).await {
        Ok(_) => panic!("it must not start"),
        Err(error) => error,
    }
}

impl Running {
    /// Asks on a connection of its own.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        ask.send(self.address).await
    }

    /// Stores a Patient as a clinician.
    pub(crate) async fn put_patient(&self, id: &str) {
        let body = r#"{"resourceType":"Patient"}"#;
        let answer = self.ask(Ask::new("PUT", &format!("/Patient/{id}")).bearer("clinician").json(body)).await;
        assert!(answer.status == 200 || answer.status == 201, "{}", answer.status);
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub(crate) async fn stopped(self) -> Stopped {
        self.task.await.unwrap()
    }
}
