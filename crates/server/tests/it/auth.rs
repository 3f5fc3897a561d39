//! Login, sessions and apps over HTTP, before the real vault with its rules; and what thieves would try.

mod apps;
mod bound;
mod choosing;
mod elsewhere;
mod key;
mod notified;
mod owners;
mod places;
mod provider;
mod sessions;
mod tries;

use crate::admin::{ORIGIN, Office};
use crate::client::{Answer, Ask};
use serde_json::Value;

/// A browser: its cookies, and the page that it is on.
pub(crate) struct Browser {
    pub(crate) session: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) agent: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { session: None, device: None, agent: "Browser 1".to_owned() }
    }

    /// With its cookies, and nothing that says from which page.
    pub(crate) fn dress(&self, ask: Ask) -> Ask {
        let mut cookies = Vec::new();
        cookies.extend(self.session.as_ref().map(|secret| format!("__Host-tacet-session={secret}")));
        cookies.extend(self.device.as_ref().map(|secret| format!("__Host-tacet-device={secret}")));
        let ask = ask.header("user-agent", &self.agent);
        if cookies.is_empty() { ask } else { ask.header("cookie", &cookies.join("; ")) }
    }

    /// A request of a page of the server; keeps the cookies of the answer.
    pub(crate) async fn ask(&mut self, office: &Office, ask: Ask) -> Answer {
        let answer = self.dress(ask).header("origin", ORIGIN).send(office.address).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
                assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
            }
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let value = (!value.is_empty()).then(|| value.to_owned());
            match name {
                "__Host-tacet-session" => self.session = value,
                "__Host-tacet-device" => self.device = value,
                other => panic!("{other}"),
            }
        }
        answer
    }

    pub(crate) async fn post(&mut self, office: &Office, path: &str, body: Value) -> Answer {
        let ask = Ask::new("POST", path).json(body.to_string()).header("content-type", "application/json");
        self.ask(office, ask).await
    }
}

/// The fields of a form.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) fn post_form(path: &str, fields: &[(&str, &str)]) -> Ask {
    Ask::new("POST", path).json(form(fields)).header("content-type", "application/x-www-form-urlencoded")
}
