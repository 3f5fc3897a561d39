//! What can be seen of an answer, with what the server draws by chance made alike.

use crate::client::Answer;

/// The shortest run of hexadecimal digits and hyphens that is taken for an id by chance.
const RANDOM_MIN: usize = 24;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Face {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(900).collect();
        write!(f, "{} {:?} {body}", self.status, self.headers)
    }
}

impl Face {
    pub(super) fn of(answer: &Answer) -> Self {
        let skipped = ["date", "x-request-id"];
        let headers = answer.headers.iter().filter(|(name, _)| !skipped.contains(&name.as_str()));
        let mut headers: Vec<(String, String)> =
            headers.map(|(name, value)| (name.to_string(), alike(value.to_str().unwrap()))).collect();
        headers.sort();
        let body = in_order(alike(&String::from_utf8_lossy(&answer.body)));
        // A cursor has no length of its own; everything else that is drawn by chance has.
        if body.contains("_cursor=*") {
            headers.retain(|(name, _)| name != "content-length");
        }
        Self { status: answer.status, headers, body }
    }
}

/// The entries of a Bundle in an order of their own: among what is alike by its sort, a store has any order.
fn in_order(body: String) -> String {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&body) else { return body };
    let Some(entries) = value["entry"].as_array_mut() else { return body };
    entries.sort_by_key(ToString::to_string);
    value.to_string()
}

/// The text without cursors, and with every id that was drawn replaced.
fn alike(text: &str) -> String {
    let mut parts = text.split("_cursor=");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['"', '&', '<']).unwrap_or(part.len());
        bare.push_str("_cursor=*");
        bare.push_str(&part[end..]);
    }
    let mut out = String::new();
    let mut run = String::new();
    for letter in bare.chars().chain(['\n']) {
        if letter.is_ascii_hexdigit() || letter == '-' {
            run.push(letter);
            continue;
        }
        out.push_str(if run.len() >= RANDOM_MIN { "*" } else { &run });
        run.clear();
        out.push(letter);
    }
    out
}

#[test]
fn only_what_is_by_chance_is_made_alike() {
    let one = alike(r#"{"id":"61ebe359-bfdc-4613-8bf2-c5e300945f0a","x":"p-vip","u":"?_cursor=abc&_count=1"}"#);
    assert_eq!(one.trim(), r#"{"id":"*","x":"p-vip","u":"?_cursor=*&_count=1"}"#);
    assert_ne!(alike("2026-03-02T10:00:00.000Z"), alike("2026-03-02T10:00:01.000Z"));
}
