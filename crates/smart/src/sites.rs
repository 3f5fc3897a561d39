//! The sites of apps that run in a browser: whose scripts may ask for tokens and records (SMART App Launch 2.2, "Considerations for Cross-Origin Resource
//! Sharing"). They are those that people are sent back to: an app is known by no others.

use crate::client::{Client, ClientState};
use crate::error::SmartError;
use crate::server::AuthorizationServer;
use std::collections::HashSet;
use url::Url;

/// What stands before the port where an app runs on the person's own machine, at any port (RFC 8252, section 7.3).
const LOOPBACKS: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// The sites of the clients in use, at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sites(HashSet<String>);

impl Sites {
    fn of<'a>(clients: impl Iterator<Item = &'a Client>) -> Self {
        let active = clients.filter(|client| client.state == ClientState::Active);
        let addresses = active.flat_map(|client| &client.metadata.redirect_uris);
        let origins = addresses.filter_map(|uri| Some(Url::parse(uri).ok()?.origin().ascii_serialization()));
        Self(origins.map(|origin| without_port(&origin).map_or(origin.clone(), str::to_owned)).collect())
    }

    /// Whether the header `Origin` names the site of an app in use.
    pub fn has(&self, origin: &str) -> bool {
        self.0.contains(without_port(origin).unwrap_or(origin))
    }
}

/// A loopback address without its port. None: it is none.
fn without_port(origin: &str) -> Option<&'static str> {
    LOOPBACKS.into_iter().find(|host| {
        let rest = origin.strip_prefix(host);
        let port =
            |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        rest.is_some_and(|rest| rest.is_empty() || port(rest))
    })
}

impl AuthorizationServer {
    /// The sites whose scripts may ask, now. It reads every client: keep it for a moment.
    ///
    /// # Errors
    /// The rows'.
    pub fn sites(&self) -> Result<Sites, SmartError> {
        Ok(Sites::of(self.clients()?.iter()))
    }
}

#[cfg(test)]
mod tests {
    use crate::hostile::{asked, world};
    use serde_json::json;

    #[tokio::test]
    async fn sites_are_those_of_apps_in_use() {
        let world = world().await;
        let app = |redirects: serde_json::Value| json!({ "client_name": "App", "redirect_uris": redirects, "scope": "patient/*.rs" });
        let web = world.client(app(json!(["https://app.example/cb", "https://app.example:8443/cb"]))).await;
        world.client(app(json!(["http://127.0.0.1/cb"]))).await;
        let waits = app(json!(["https://waits.example/cb"])).to_string();
        world.server.register(waits.as_bytes(), None, asked()).await.unwrap();
        let sites = world.server.sites().unwrap();
        for good in ["https://app.example", "https://app.example:8443", "http://127.0.0.1", "http://127.0.0.1:49152"] {
            assert!(sites.has(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "https://waits.example",
            "http://app.example",
            "https://app.example:444",
            "https://app.example.evil.example",
            "https://app.example/",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1:80.evil.example",
            "http://127.0.0.1@evil.example",
            "http://[::1]:5000",
            "http://localhost:49152",
            "https://127.0.0.1",
        ] {
            assert!(!sites.has(bad), "{bad}");
        }
        world.server.revoke_client(&web.id, "officer", asked()).await.unwrap();
        assert!(!world.server.sites().unwrap().has("https://app.example"));
    }
}
