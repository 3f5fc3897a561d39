//! What is sent: nothing, a resource, or the Bundle of the backport of topic-based subscriptions
//! (<https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html>).

use super::client::Message;
use super::decide::{Delivery, Form};
use bytes::Bytes;
use hyper::Method;
use std::fmt::Write;
use tacet_types::{RecordRef, ResourceId, Timestamp, VersionId};
use tacet_vault::{Disclosed, NotificationContent};

const JSON: &str = "application/fhir+json";

/// Profile of the Bundle.
const BUNDLE_PROFILE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4";

/// Profile of the Parameters in it.
pub(super) const STATUS_PROFILE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4";

/// What a Bundle says of its subscription.
pub(super) struct About<'a> {
    pub(super) id: &'a ResourceId,
    pub(super) base_url: &'a str,
    /// Empty where it is one by criteria.
    pub(super) topic: &'a str,
    pub(super) now: Timestamp,
    /// For the Bundle and its first entry.
    pub(super) ids: [ResourceId; 2],
}

/// The R4 notifications. `None`: there is nothing left to send.
pub(super) fn plain(delivery: &Delivery, records: &[Disclosed]) -> Option<Message> {
    match delivery.form {
        Form::Put => {
            let shown = records.first()?;
            let below = format!("{}/{}", shown.record.resource_type, shown.record.id.as_str());
            let body = Bytes::copy_from_slice(&shown.body);
            Some(Message { method: Method::PUT, below, content_type: Some(JSON), body })
        }
        Form::Ping | Form::Bundle(_) => {
            Some(Message { method: Method::POST, below: String::new(), content_type: None, body: Bytes::new() })
        }
    }
}

/// An event as a Bundle tells it.
pub(super) struct Told<'a> {
    pub(super) record: &'a RecordRef,
    pub(super) number: u64,
    pub(super) at: Timestamp,
}

/// A Bundle for events: records with their numbers. Never none.
pub(super) fn events(
    about: &About<'_>,
    content: NotificationContent,
    events: &[(&RecordRef, u64)],
    shown: &[Disclosed],
) -> Message {
    let sent = events.last().map_or(0, |(_, number)| *number);
    let told = events.iter().map(|(record, number)| Told { record, number: *number, at: about.now });
    message(bundle(about, ["active", "event-notification"], sent, content, &told.collect::<Vec<_>>(), shown))
}

/// A Bundle with events. `said`: the subscription's status, and what the Bundle is.
pub(super) fn bundle(
    about: &About<'_>,
    said: [&str; 2],
    total: u64,
    content: NotificationContent,
    events: &[Told<'_>],
    shown: &[Disclosed],
) -> Vec<u8> {
    let mut parameters = String::new();
    for Told { record, number, at } in events {
        write_to(
            &mut parameters,
            format_args!(
                r#",{{"name":"notification-event","part":[{{"name":"event-number","valueString":"{number}"}},{{"name":"timestamp","valueInstant":"{at}"}}"#
            ),
        );
        if content != NotificationContent::Empty {
            let (kind, id) = (record.resource_type, record.id.as_str());
            write_to(
                &mut parameters,
                format_args!(
                    r#",{{"name":"focus","valueReference":{{"reference":{}}}}}"#,
                    text(&format!("{}/{kind}/{id}", about.base_url))
                ),
            );
        }
        parameters.push_str("]}");
    }
    let [status, kind] = said;
    let mut body = head(about, status, kind, total, &parameters).into_bytes();
    if content != NotificationContent::Empty {
        for Told { record, .. } in events {
            let (kind, id) = (record.resource_type, record.id.as_str());
            let address = text(&format!("{}/{kind}/{id}", about.base_url));
            body.extend_from_slice(format!(r#",{{"fullUrl":{address}"#).as_bytes());
            if let Some(shown) = shown.iter().find(|shown| shown.record == **record) {
                body.extend_from_slice(br#","resource":"#);
                body.extend_from_slice(&shown.body);
            }
            let (method, url, status) = if record.version == VersionId::FIRST && content == NotificationContent::Ids {
                ("POST", kind.as_str().to_owned(), "201")
            } else {
                ("PUT", format!("{kind}/{id}"), if record.version == VersionId::FIRST { "201" } else { "200" })
            };
            let request =
                format!(r#","request":{{"method":"{method}","url":"{url}"}},"response":{{"status":"{status}"}}}}"#);
            body.extend_from_slice(request.as_bytes());
        }
    }
    body.extend_from_slice(b"]}");
    body
}

/// A Bundle without an event: the first one (`handshake`), or a sign of life (`heartbeat`).
pub(super) fn state(about: &About<'_>, status: &str, kind: &str, sent: u64) -> Message {
    let mut body = head(about, status, kind, sent, "").into_bytes();
    body.extend_from_slice(b"]}");
    message(body)
}

fn message(body: Vec<u8>) -> Message {
    Message { method: Method::POST, below: String::new(), content_type: Some(JSON), body: body.into() }
}

fn head(about: &About<'_>, status: &str, kind: &str, sent: u64, more: &str) -> String {
    let [bundle, first] = &about.ids;
    let subscription = format!("{}/Subscription/{}", about.base_url, about.id.as_str());
    let topic = match about.topic {
        "" => String::new(),
        topic => format!(r#"{{"name":"topic","valueCanonical":{}}},"#, text(topic)),
    };
    let mut head = String::new();
    write_to(
        &mut head,
        format_args!(
            r#"{{"resourceType":"Bundle","id":"{}","meta":{{"profile":["{BUNDLE_PROFILE}"]}},"type":"history","timestamp":"{}","entry":[{{"fullUrl":"urn:uuid:{}","resource":{{"resourceType":"Parameters","id":"{}","meta":{{"profile":["{STATUS_PROFILE}"]}},"parameter":[{{"name":"subscription","valueReference":{{"reference":{}}}}},{topic}{{"name":"status","valueCode":"{status}"}},{{"name":"type","valueCode":"{kind}"}},{{"name":"events-since-subscription-start","valueString":"{sent}"}}{more}]}},"request":{{"method":"GET","url":{}}},"response":{{"status":"200"}}}}"#,
            bundle.as_str(),
            about.now,
            first.as_str(),
            first.as_str(),
            text(&subscription),
            text(&format!("{subscription}/$status")),
        ),
    );
    head
}

/// A JSON string.
fn text(text: &str) -> String {
    let mut written = Vec::new();
    tacet_fhir::json::write_into(&tacet_fhir::json::Json::String(text.into()), &mut written);
    String::from_utf8_lossy(&written).into_owned()
}

fn write_to(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(arguments);
}
