//! The audit message of DICOM PS3.15, section A.5, as ATNA (IHE ITI-20) sends it by syslog: one XML document, on one line.

use crate::Site;
use crate::codes::{AUTHOR, Code, DCM, DESTINATION, RECIPIENT, SOURCE, Way, event_id};
use crate::event::{outcome_code, outcome_words};
use crate::shown::{Shown, Told};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use tacet_ledger::PurposeOfUse;

/// By which name our own codes go in an attribute `codeSystemName`.
const OWN_NAME: &str = "Tacet";

/// The AuditMessage of an entry.
pub fn message(shown: &Shown, site: &Site) -> String {
    let mut xml = String::with_capacity(2048);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>");
    event(&mut xml, shown);
    participants(&mut xml, shown, site);
    let mut source = Tag::open("AuditSourceIdentification");
    source.attribute("AuditEnterpriseSiteID", &site.name);
    source.attribute("AuditSourceID", &site.uuid());
    source.begin(&mut xml);
    let mut of_type = Tag::open("AuditSourceTypeCode");
    of_type.attribute("csd-code", "4");
    of_type.empty(&mut xml);
    xml.push_str("</AuditSourceIdentification>");
    objects(&mut xml, shown);
    xml.push_str("</AuditMessage>");
    xml
}

fn event(xml: &mut String, shown: &Shown) {
    let told = shown.telling();
    let mut event = Tag::open("EventIdentification");
    event.attribute("EventActionCode", told.action);
    event.attribute("EventDateTime", &shown.at.to_string());
    event.attribute("EventOutcomeIndicator", outcome_code(shown.outcome));
    event.begin(xml);
    code(xml, "EventID", told.dicom.code, "DCM", told.dicom.words);
    if let Some(subtype) = &told.subtype {
        let system = system_name(subtype);
        code(xml, "EventTypeCode", subtype.code, system, subtype.words);
    }
    code(xml, "EventTypeCode", shown.kind.as_str(), OWN_NAME, told.words);
    if let Some(words) = outcome_words(shown) {
        element(xml, "EventOutcomeDescription", words);
    }
    code(xml, "PurposeOfUse", shown.purpose.as_str(), "HL7 v3 ActReason", purpose_words(shown.purpose));
    xml.push_str("</EventIdentification>");
}

fn participants(xml: &mut String, shown: &Shown, site: &Site) {
    let (of_client, of_server, of_person) = match shown.telling().way {
        Way::Out => (DESTINATION, SOURCE, RECIPIENT),
        Way::In | Way::Gone | Way::Nowhere => (SOURCE, DESTINATION, AUTHOR),
    };
    let machine = shown.is_machine();
    let address = shown.address.text();
    let who = shown.account.text().or(shown.owner.text()).unwrap_or("withheld");
    let client = match (machine, shown.app(), shown.device.text()) {
        (true, ..) => who,
        (false, Some(app), _) => app,
        (false, None, Some(device)) => device,
        (false, None, None) => address.unwrap_or(shown.channel.as_str()),
    };
    let begun_by_machine = machine && !shown.on_behalf_of.is_there();
    let mut tag = participant(client, begun_by_machine);
    if machine {
        names(&mut tag, shown);
    }
    if let Some(address) = address {
        tag.attribute("NetworkAccessPointID", address);
        tag.attribute("NetworkAccessPointTypeCode", "2");
    }
    tag.begin(xml);
    role(xml, &of_client);
    if machine {
        code(xml, "RoleIDCode", &shown.role, OWN_NAME, &shown.role);
    }
    xml.push_str("</ActiveParticipant>");

    let mut server = participant(&site.base_url, false);
    server.attribute("NetworkAccessPointID", &site.base_url);
    server.attribute("NetworkAccessPointTypeCode", "5");
    server.begin(xml);
    role(xml, &of_server);
    xml.push_str("</ActiveParticipant>");

    if !machine {
        let mut person = participant(who, true);
        names(&mut person, shown);
        person.begin(xml);
        role(xml, &of_person);
        code(xml, "RoleIDCode", &shown.role, OWN_NAME, &shown.role);
        xml.push_str("</ActiveParticipant>");
    } else if shown.on_behalf_of.is_there() {
        let behind = shown.on_behalf_of.text().unwrap_or("withheld");
        let mut person = participant(behind, true);
        person.attribute("UserName", behind);
        person.begin(xml);
        role(xml, &of_person);
        xml.push_str("</ActiveParticipant>");
    }
}

fn participant(id: &str, requestor: bool) -> Tag {
    let mut tag = Tag::open("ActiveParticipant");
    tag.attribute("UserID", id);
    tag.attribute("UserIsRequestor", if requestor { "true" } else { "false" });
    tag
}

fn names(tag: &mut Tag, shown: &Shown) {
    if let Some(credential) = shown.credential.text() {
        tag.attribute("AlternativeUserID", credential);
    }
    if let Some(owner) = shown.owner.text() {
        tag.attribute("UserName", owner);
    }
}

fn role(xml: &mut String, role: &Code) {
    code(xml, "RoleIDCode", role.code, system_name(role), role.words);
}

fn objects(xml: &mut String, shown: &Shown) {
    if let Some(resource_type) = shown.patient_type {
        let id = match (&shown.patient, shown.patient.text()) {
            (Told::Said(id), _) => format!("{resource_type}/{id}"),
            (_, Some(hash)) => hash.to_owned(),
            _ => "withheld".to_owned(),
        };
        object(&id, "1", "1").begin(xml);
        code(xml, "ParticipantObjectIDTypeCode", "2", "RFC-3881", "Patient Number");
        xml.push_str("</ParticipantObjectIdentification>");
    }
    for record in &shown.objects {
        object(&record.name(), "2", "4").begin(xml);
        code(xml, "ParticipantObjectIDTypeCode", record.resource_type.as_str(), "FHIR", record.resource_type.as_str());
        xml.push_str("</ParticipantObjectIdentification>");
    }
    for category in shown.further_categories() {
        object(category.as_str(), "2", "4").begin(xml);
        code(xml, "ParticipantObjectIDTypeCode", category.as_str(), "FHIR", category.as_str());
        xml.push_str("</ParticipantObjectIdentification>");
    }
    if let Some(query) = shown.query.text() {
        object(&shown.operation.to_string(), "2", "24").begin(xml);
        code(xml, "ParticipantObjectIDTypeCode", "search", "FHIR", "search");
        element(xml, "ParticipantObjectQuery", &STANDARD.encode(query));
        xml.push_str("</ParticipantObjectIdentification>");
    }
    // The entry itself, with what has no other place.
    object(&event_id(shown.index), "2", "13").begin(xml);
    code(xml, "ParticipantObjectIDTypeCode", "ledger-entry", OWN_NAME, "Entry of the access ledger");
    detail(xml, "index", &shown.index.to_string());
    detail(xml, "operation", &shown.operation.to_string());
    detail(xml, "channel", shown.channel.as_str());
    detail(xml, "records", &shown.records.to_string());
    let told = [
        ("detail", &shown.detail),
        ("basis", &shown.basis),
        ("session", &shown.session),
        ("device", &shown.device),
        ("account-owner", &shown.owner),
    ];
    for (name, told) in told {
        if let Some(text) = told.text() {
            detail(xml, name, text);
        }
    }
    xml.push_str("</ParticipantObjectIdentification>");
}

fn object(id: &str, of_type: &str, role: &str) -> Tag {
    let mut tag = Tag::open("ParticipantObjectIdentification");
    tag.attribute("ParticipantObjectID", id);
    tag.attribute("ParticipantObjectTypeCode", of_type);
    tag.attribute("ParticipantObjectTypeCodeRole", role);
    tag
}

/// A name and a value, which goes in base64.
fn detail(xml: &mut String, name: &str, value: &str) {
    let mut tag = Tag::open("ParticipantObjectDetail");
    tag.attribute("type", name);
    tag.attribute("value", &STANDARD.encode(value));
    tag.empty(xml);
}

fn code(xml: &mut String, name: &'static str, value: &str, system: &str, words: &str) {
    let mut tag = Tag::open(name);
    tag.attribute("csd-code", value);
    tag.attribute("codeSystemName", system);
    tag.attribute("originalText", if words.is_empty() { value } else { words });
    tag.empty(xml);
}

fn system_name(code: &Code) -> &'static str {
    if code.system == DCM { "DCM" } else { code.system }
}

fn element(xml: &mut String, name: &str, text: &str) {
    let _ = write!(xml, "<{name}>");
    escape(xml, text);
    let _ = write!(xml, "</{name}>");
}

/// The beginning of an element.
struct Tag(String);

impl Tag {
    fn open(name: &str) -> Self {
        Self(format!("<{name}"))
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let _ = write!(self.0, " {name}=\"");
        escape(&mut self.0, value);
        self.0.push('"');
    }

    fn begin(self, xml: &mut String) {
        xml.push_str(&self.0);
        xml.push('>');
    }

    fn empty(self, xml: &mut String) {
        xml.push_str(&self.0);
        xml.push_str("/>");
    }
}

/// Text of XML 1.0, in an element or an attribute: what it cannot hold becomes U+FFFD, and a line stays a line.
fn escape(xml: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '&' => xml.push_str("&amp;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(xml, "&#{};", u32::from(letter));
            }
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            other => xml.push(other),
        }
    }
}

/// Words of a purpose, which DICOM asks for beside the code.
fn purpose_words(purpose: PurposeOfUse) -> &'static str {
    match purpose {
        PurposeOfUse::Treatment => "treatment",
        PurposeOfUse::EmergencyTreatment => "emergency treatment",
        PurposeOfUse::BreakTheGlass => "break the glass",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_the_document() {
        let mut xml = String::new();
        escape(&mut xml, "a\"><b x='1'>&\n\u{0}\u{1b}\u{ffff}é");
        assert_eq!(xml, "a&quot;&gt;&lt;b x=&apos;1&apos;&gt;&amp;&#10;\u{fffd}\u{fffd}\u{fffd}é");
    }
}
