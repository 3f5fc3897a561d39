//! `AuditEvent.agent`: the client, the server, the person, and whoever stands behind a machine.

use super::{concept, masked, not_applicable, object, observer, purpose, put, put_told};
use crate::Site;
use crate::codes::{
    APPLICATION, AUTHOR, CUSTODIAN, Code, DESTINATION, Family, HUMAN, OAUTH_AGENT, OWN, RECIPIENT, SOURCE, Way,
};
use crate::shown::{Shown, Told};
use serde_json::{Value, json};
use tacet_ledger::Channel;

pub(super) fn agents(shown: &Shown, site: &Site, family: Option<Family>, by_app: bool) -> Vec<Value> {
    let (of_client, of_server) = ends(shown.telling().way);
    let machine = shown.is_machine();
    let mut client = json!({ "type": concept(&of_client), "who": client(shown), "network": network(shown) });
    // One agent began it: the person, and where there is none, the machine.
    let person_behind = shown.person_behind();
    let begun_by_machine = machine && person_behind.is_none();
    put(&mut client, "requestor", Some(begun_by_machine.into()));
    if machine {
        described(&mut client, shown);
    }
    let server = json!({
        "type": concept(&of_server),
        "requestor": false,
        "who": observer(site),
        "network": { "address": site.base_url, "type": "5" },
    });
    let mut agents = vec![client, server];
    let of_person = role_of_person(shown.telling().way, family);
    if !machine {
        agents.push(person(shown, &of_person, by_app));
    } else if let Some(name) = person_behind {
        let mut behind = json!({
            "type": concept(&of_person), "requestor": true, "who": { "display": name }, "name": name,
            "purposeOfUse": [purpose(shown)],
        });
        if let Told::Pseudonym(_) = shown.on_behalf_of {
            put(&mut behind, "who", Some(json!({ "identifier": { "system": pseudonyms(), "value": name } })));
        }
        agents.push(behind);
    } else if shown.on_behalf_of == Told::Withheld {
        agents.push(json!({ "type": concept(&of_person), "requestor": true, "who": masked() }));
    }
    agents
}

/// The roles of client and server: where the data come from and go to.
fn ends(way: Way) -> (Code, Code) {
    match way {
        Way::Out => (DESTINATION, SOURCE),
        Way::In => (SOURCE, DESTINATION),
        Way::Gone => (APPLICATION, CUSTODIAN),
        Way::Nowhere => (APPLICATION, DESTINATION),
    }
}

fn role_of_person(way: Way, family: Option<Family>) -> Code {
    match (family, way) {
        (Some(Family::Query), _) => RECIPIENT,
        (Some(Family::Create | Family::Update | Family::Delete), _) => AUTHOR,
        (_, Way::Out) => RECIPIENT,
        (_, Way::In | Way::Gone) => AUTHOR,
        (_, Way::Nowhere) => HUMAN,
    }
}

/// With what it was asked: the machine, the app, the device, or the command line.
fn client(shown: &Shown) -> Value {
    if shown.is_machine() {
        return identified(shown);
    }
    if let Some(app) = shown.app() {
        // `app NAME (id)`: the id is what it is known by.
        let id = app.rsplit_once('(').and_then(|(_, id)| id.strip_suffix(')')).filter(|id| !id.is_empty());
        let mut who = json!({ "display": app });
        let identifier = id.map(|id| json!({ "system": format!("{OWN}/client"), "value": id }));
        put(&mut who, "identifier", identifier);
        return who;
    }
    let words = match shown.channel {
        Channel::CommandLine => "the command line of the server",
        Channel::Internal => "the server itself",
        _ if shown.session.is_there() => "a browser",
        _ => "a program",
    };
    let mut who = json!({ "display": words });
    let device = shown.device.text();
    put(&mut who, "identifier", device.map(|id| json!({ "system": format!("{OWN}/device"), "value": id })));
    who
}

fn network(shown: &Shown) -> Value {
    match &shown.address {
        Told::Said(address) | Told::Pseudonym(address) => json!({ "address": address, "type": "2" }),
        Told::Withheld => masked(),
        Told::Absent => not_applicable(),
    }
}

/// The person who did it.
fn person(shown: &Shown, role: &Code, by_app: bool) -> Value {
    let mut types = vec![super::coding(role)];
    if by_app {
        types.push(super::coding(&OAUTH_AGENT));
    }
    let mut agent = json!({ "type": { "coding": types }, "requestor": true, "who": identified(shown) });
    described(&mut agent, shown);
    if by_app && shown.credential == Told::Withheld {
        put(&mut agent, "_policy", Some(json!([masked()])));
    }
    agent
}

/// The account: its id where it has one, the name of its owner otherwise.
fn identified(shown: &Shown) -> Value {
    let mut who = object();
    let identifier = |system: String, value: &str| json!({ "system": system, "value": value });
    match (&shown.account, &shown.owner) {
        (Told::Pseudonym(hash), _) | (Told::Absent | Told::Withheld, Told::Pseudonym(hash)) => {
            put(&mut who, "identifier", Some(identifier(pseudonyms(), hash)));
        }
        (Told::Said(id), _) => put(&mut who, "identifier", Some(identifier(format!("{OWN}/account"), id))),
        (Told::Absent, Told::Said(owner)) => {
            put(&mut who, "identifier", Some(identifier(format!("{OWN}/account-owner"), owner)));
        }
        (Told::Absent | Told::Withheld, _) => {}
    }
    if let Told::Said(owner) = &shown.owner {
        put(&mut who, "display", Some(owner.as_str().into()));
    }
    if who.as_object().is_none_or(serde_json::Map::is_empty) { masked() } else { who }
}

/// Role, purpose, name, credential, ground: what is known of whoever holds the account.
fn described(agent: &mut Value, shown: &Shown) {
    if !shown.role.trim().is_empty() {
        let role = json!({ "coding": [{ "system": format!("{OWN}/CodeSystem/role"), "code": shown.role }] });
        put(agent, "role", Some(json!([role])));
    }
    put_told(agent, "name", &shown.owner);
    if let (Told::Said(_), Told::Said(owner)) = (&shown.account, &shown.owner) {
        put(agent, "altId", Some(owner.as_str().into()));
    }
    // R4: the policy says also which security token was used; BALP puts its id here.
    let credential = shown.credential.text().map(|id| json!([format!("urn:tacet:credential:{}", escaped(id))]));
    put(agent, "policy", credential);
    put(agent, "purposeOfUse", Some(json!([purpose(shown)])));
    let mut extensions = Vec::new();
    for (name, told) in [("basis", &shown.basis), ("session", &shown.session), ("device", &shown.device)] {
        if let Some(text) = told.text() {
            let url = format!("{OWN}/StructureDefinition/audit-{name}");
            extensions.push(json!({ "url": url, "valueString": text }));
        }
    }
    put(agent, "extension", (!extensions.is_empty()).then(|| extensions.into()));
}

/// The system of identifiers that stand in the place of others.
pub(super) fn pseudonyms() -> String {
    format!("{OWN}/pseudonym")
}

/// A text within a URI.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_part_of_a_uri_is_escaped() {
        assert_eq!(escaped("t-4711"), "t-4711");
        assert_eq!(escaped("a b/é"), "a%20b%2F%C3%A9");
    }
}
