//! The answers of `$status` and `$events`: the states of subscriptions in a `searchset`, events in the Bundle of a notification.

use super::decide::topic_of;
use super::notice::{self, About, Told};
use serde_json::{Value, json};
use tacet_types::{ResourceId, Timestamp};
use tacet_vault::{NotificationContent, Subscription, SubscriptionEvents, SubscriptionState};

/// A subscription, and the number of its events that were sent.
pub(crate) struct Standing<'a> {
    pub(crate) subscription: &'a Subscription,
    pub(crate) sent: u64,
}

/// What `$status` answers. `ids`: new ids for what has none.
pub(crate) fn status(told: &[Standing<'_>], base_url: &str, now: Timestamp, ids: impl Fn() -> ResourceId) -> Vec<u8> {
    let entries = told.iter().map(|one| {
        let id = ids();
        let url = format!("{base_url}/Subscription/{}", one.subscription.id.as_str());
        let state = one.subscription.state;
        let mut parameters = vec![json!({ "name": "subscription", "valueReference": { "reference": url } })];
        if let Some(topic) = topic_of(&one.subscription.resource) {
            parameters.push(json!({ "name": "topic", "valueCanonical": topic }));
        }
        parameters.push(json!({ "name": "status", "valueCode": state.code() }));
        parameters.push(json!({ "name": "type", "valueCode": "query-status" }));
        parameters.push(json!({ "name": "events-since-subscription-start", "valueString": one.sent.to_string() }));
        let error = one.subscription.resource.get_str("error").filter(|_| state == SubscriptionState::Error);
        parameters.extend(error.map(|text| json!({ "name": "error", "valueCodeableConcept": { "text": text } })));
        json!({
            "fullUrl": format!("urn:uuid:{}", id.as_str()),
            "resource": { "resourceType": "Parameters", "id": id.as_str(), "meta": { "profile": [notice::STATUS_PROFILE] },
                "parameter": parameters },
            "search": { "mode": "match" },
        })
    });
    let entries: Vec<Value> = entries.collect();
    let mut bundle = json!({ "resourceType": "Bundle", "id": ids().as_str(), "type": "searchset",
        "timestamp": now.to_string(), "total": entries.len() });
    if let Some(members) = bundle.as_object_mut().filter(|_| !entries.is_empty()) {
        members.insert("entry".to_owned(), Value::Array(entries));
    }
    bundle.to_string().into_bytes()
}

/// What `$events` answers.
pub(crate) fn events(
    found: &SubscriptionEvents,
    content: NotificationContent,
    base_url: &str,
    now: Timestamp,
    ids: impl Fn() -> ResourceId,
) -> Vec<u8> {
    let topic = topic_of(&found.subscription.resource).unwrap_or_default();
    let about = About { id: &found.subscription.id, base_url, topic, now, ids: [ids(), ids()] };
    let told: Vec<Told<'_>> =
        found.events.iter().map(|event| Told { record: &event.record, number: event.number, at: event.at }).collect();
    let state = found.subscription.state.code();
    notice::bundle(&about, [state, "query-event"], found.total, content, &told, &found.shown)
}
