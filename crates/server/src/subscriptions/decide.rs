//! What becomes of a Subscription that somebody asks for: how it is sent, or why not.

use super::client::Endpoint;
use super::{SubscriptionsConfig, SubscriptionsError};
use hyper::header::{HeaderName, HeaderValue};
use std::time::Duration;
use tacet_fhir::json::Json;
use tacet_types::{ResourceType, Timestamp};
use tacet_vault::NotificationContent;

/// Most headers of a channel.
const HEADERS_MAX: usize = 16;

/// Headers that are the program's own.
const HEADERS_OWN: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Where the extensions of the backport of topic-based subscriptions are defined
/// (<https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/>).
const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

/// Shortest and longest period of heartbeats, in seconds.
const HEARTBEAT_S: std::ops::RangeInclusive<i64> = 1..=86_400;

/// Events in one notification where the subscription does not say.
const EVENTS_DEFAULT: usize = 100;

/// Events in one notification at most.
const EVENTS_MAX: usize = 1000;

/// The form of what is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// R4: an empty POST.
    Ping,
    /// R4 with a payload: the resource is PUT below the endpoint.
    Put,
    /// Backport: a Bundle with the state of the subscription.
    Bundle(NotificationContent),
}

impl Form {
    pub(super) fn content(self) -> NotificationContent {
        match self {
            Self::Ping => NotificationContent::Empty,
            Self::Put => NotificationContent::Full,
            Self::Bundle(content) => content,
        }
    }
}

/// How a subscription is served.
#[derive(Clone)]
pub(super) struct Delivery {
    /// What is evaluated.
    pub(super) criteria: String,
    pub(super) endpoint: Endpoint,
    /// They may be secrets.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) form: Form,
    /// The topic, of a backport subscription.
    pub(super) topic: Option<String>,
    pub(super) heartbeat: Option<Duration>,
    /// Events in one message.
    pub(super) events: usize,
    pub(super) end: Option<Timestamp>,
}

/// Checks what the operator has set.
pub(super) fn check(config: &SubscriptionsConfig) -> Result<(), SubscriptionsError> {
    for prefix in config.allowed.iter().chain(&config.payload_allowed) {
        let endpoint = Endpoint::parse(prefix).filter(|_| !prefix.contains('?'));
        if !endpoint.is_some_and(|endpoint| endpoint.is_https() || endpoint.is_here()) {
            return Err(SubscriptionsError::Prefix { prefix: prefix.clone() });
        }
    }
    match config.payload_allowed.iter().find(|prefix| !covered(&config.allowed, prefix)) {
        Some(prefix) => Err(SubscriptionsError::PayloadAlone { prefix: prefix.clone() }),
        None => Ok(()),
    }
}

/// Whether one of the prefixes covers a URL: host and port whole, the path by whole segments.
fn covered(prefixes: &[String], url: &str) -> bool {
    prefixes.iter().any(|prefix| {
        let rest = url.strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '?']))
    })
}

/// Says how a Subscription is served. The error is a text for `Subscription.error`: it tells what to change, and repeats nothing of
/// the resource.
pub(super) fn decide(
    subscription: &Json<'_>,
    config: &SubscriptionsConfig,
    base_url: &str,
) -> Result<Delivery, String> {
    let channel = subscription.get("channel").ok_or("the Subscription has no channel")?;
    if channel.get_str("type") != Some("rest-hook") {
        return Err("only the channel type `rest-hook` is supported".to_owned());
    }
    if config.allowed.is_empty() {
        return Err("no endpoint is allowed here: the operator allows some with `allowed` under `[subscriptions]` in tacet.toml".to_owned());
    }
    let url = channel.get_str("endpoint").ok_or("the channel has no endpoint")?;
    let endpoint = Endpoint::parse(url).ok_or("the endpoint is no http or https URL that could be used")?;
    if !covered(&config.allowed, url) {
        return Err("this endpoint is not allowed here: the operator allows it with `allowed` under `[subscriptions]` in tacet.toml".to_owned());
    }
    let end = match subscription.get_str("end") {
        Some(end) => Some(Timestamp::parse(end).map_err(|_| "`end` is no instant")?),
        None => None,
    };
    let headers = headers(channel)?;
    let criteria = subscription.get_str("criteria").unwrap_or_default();
    let payload = channel.get_str("payload").filter(|payload| !payload.is_empty());
    if let Some(payload) = payload
        && !matches!(payload, "application/fhir+json" | "application/json")
    {
        return Err("the only payload is `application/fhir+json`".to_owned());
    }
    let delivery = if criteria.contains("://") {
        let (heartbeat, events) = (heartbeat(channel)?, events(channel)?);
        let content = content(channel)?;
        let criteria_of_topic = criteria_of_topic(subscription, criteria, base_url)?;
        // Contents go one by one, as many as may be open at a time.
        let events = if content == NotificationContent::Full { 1 } else { events };
        let topic = Some(criteria.to_owned());
        Delivery {
            criteria: criteria_of_topic,
            endpoint,
            headers,
            form: Form::Bundle(content),
            topic,
            heartbeat,
            events,
            end,
        }
    } else {
        let form = if payload.is_some() { Form::Put } else { Form::Ping };
        let events = if form == Form::Put { 1 } else { usize::MAX };
        let criteria = criteria.to_owned();
        Delivery { criteria, endpoint, headers, form, topic: None, heartbeat: None, events, end }
    };
    if delivery.form.content() != NotificationContent::Empty && !covered(&config.payload_allowed, url) {
        return Err("this endpoint may be told that there is something, and nothing of it: leave `payload` out (or its content `empty`), \
                    or have the operator list the endpoint in `payload_allowed` under `[subscriptions]` in tacet.toml"
            .to_owned());
    }
    Ok(delivery)
}

/// The topic of a backport subscription, as it is written. None: one by criteria.
pub(super) fn topic_of<'a>(subscription: &'a Json<'_>) -> Option<&'a str> {
    subscription.get_str("criteria").filter(|criteria| criteria.contains("://"))
}

fn headers(channel: &Json<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let written = channel.get("header").map(Json::items).unwrap_or_default();
    if written.len() > HEADERS_MAX {
        return Err(format!("a channel may have {HEADERS_MAX} headers"));
    }
    let read = |header: &Json<'_>| {
        let (name, value) = header.as_str()?.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name, value)).filter(|(name, _)| !HEADERS_OWN.contains(&name.as_str()))
    };
    let read: Option<Vec<_>> = written.iter().map(read).collect();
    read.ok_or_else(|| "a header must be `Name: value`, and none that HTTP itself needs".to_owned())
}

fn extension<'a>(element: Option<&'a Json<'_>>, name: &str) -> Option<&'a Json<'a>> {
    let extensions = element?.get("extension")?.items();
    extensions.iter().find(|one| one.get_str("url").and_then(|url| url.strip_prefix(BACKPORT)) == Some(name))
}

/// What a topic of ours means: one for each type, `<base>/SubscriptionTopic/<Type>`, that is, each create and update of it; narrowed by
/// the filter criteria.
fn criteria_of_topic(subscription: &Json<'_>, topic: &str, base_url: &str) -> Result<String, String> {
    let name = topic.strip_prefix(base_url).and_then(|rest| rest.strip_prefix("/SubscriptionTopic/"));
    let resource_type = name.and_then(ResourceType::parse).ok_or(
        "this topic is not known here: there is one for each type of resource, `SubscriptionTopic/` and the type, below this server's base URL",
    )?;
    let Some(filter) = extension(subscription.get("_criteria"), "backport-filter-criteria") else {
        return Ok(resource_type.as_str().to_owned());
    };
    let filter = filter.get_str("valueString").unwrap_or_default();
    let query = filter.strip_prefix(resource_type.as_str()).and_then(|rest| rest.strip_prefix('?'));
    let query = query.ok_or("the filter criteria must begin with the topic's type of resource and `?`")?;
    Ok(format!("{}?{query}", resource_type.as_str()))
}

fn content(channel: &Json<'_>) -> Result<NotificationContent, String> {
    match extension(channel.get("_payload"), "backport-payload-content").map(|one| one.get_str("valueCode")) {
        None | Some(Some("empty")) => Ok(NotificationContent::Empty),
        Some(Some("id-only")) => Ok(NotificationContent::Ids),
        Some(Some("full-resource")) => Ok(NotificationContent::Full),
        Some(_) => Err("the payload content must be `empty`, `id-only` or `full-resource`".to_owned()),
    }
}

fn heartbeat(channel: &Json<'_>) -> Result<Option<Duration>, String> {
    let Some(period) = extension(Some(channel), "backport-heartbeat-period") else { return Ok(None) };
    let period = period.get("valueUnsignedInt").and_then(Json::as_i64).filter(|period| HEARTBEAT_S.contains(period));
    let words = || format!("a heartbeat period has {} to {} seconds", HEARTBEAT_S.start(), HEARTBEAT_S.end());
    period
        .and_then(|period| u64::try_from(period).ok())
        .map(|period| Some(Duration::from_secs(period)))
        .ok_or_else(words)
}

fn events(channel: &Json<'_>) -> Result<usize, String> {
    let Some(count) = extension(Some(channel), "backport-max-count") else { return Ok(EVENTS_DEFAULT) };
    let count = count.get("valuePositiveInt").and_then(Json::as_i64).and_then(|count| usize::try_from(count).ok());
    count
        .filter(|count| *count > 0)
        .map(|count| count.min(EVENTS_MAX))
        .ok_or_else(|| "the maximum count is no positive number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse};

    const BASE: &str = "https://tacet.example/fhir";

    fn config(allowed: &[&str], payload: &[&str]) -> SubscriptionsConfig {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        SubscriptionsConfig { allowed: texts(allowed), payload_allowed: texts(payload), ..Default::default() }
    }

    fn decided(text: &str, config: &SubscriptionsConfig) -> Result<Delivery, String> {
        decide(&parse(text.as_bytes(), &Limits::default()).unwrap(), config, BASE)
    }

    fn hook(endpoint: &str, more: &str) -> String {
        format!(
            r#"{{"resourceType":"Subscription","criteria":"Observation?code=x","channel":{{"type":"rest-hook","endpoint":"{endpoint}"{more}}}}}"#
        )
    }

    #[test]
    fn only_allowed_endpoints_are_served() {
        let some = config(&["https://ehr.example/hooks", "http://127.0.0.1:9/"], &[]);
        check(&some).unwrap();
        for endpoint in ["https://ehr.example/hooks", "https://ehr.example/hooks/a?k=1", "http://127.0.0.1:9/x"] {
            assert_eq!(decided(&hook(endpoint, ""), &some).unwrap().form, Form::Ping, "{endpoint}");
        }
        for endpoint in [
            "https://ehr.example/hooksome",
            "https://ehr.example",
            "https://ehr.example/hooks/../x",
            "https://ehr.example.evil/hooks",
            "http://ehr.example/hooks",
            "https://ehr.example/hooks@evil/",
            "http://127.0.0.1:99/x",
            "",
        ] {
            let refused = decided(&hook(endpoint, ""), &some);
            // A path may hold an `@`; it is below the prefix or it is not.
            assert!(refused.is_err(), "{endpoint}");
        }
        let none = decided(&hook("https://ehr.example/hooks", ""), &config(&[], &[])).err().unwrap();
        assert!(none.contains("`allowed`"), "{none}");
        let websocket = hook("https://ehr.example/hooks", "").replace("rest-hook", "websocket");
        assert!(decided(&websocket, &some).is_err());
    }

    #[test]
    fn the_operators_prefixes_are_held_to_their_shape() {
        for prefix in ["", "x", "https://", "http://ehr.example/", "https://u@h/", "https://h/?x", "ftp://h/"] {
            assert!(matches!(check(&config(&[prefix], &[])), Err(SubscriptionsError::Prefix { .. })), "{prefix}");
        }
        let alone = check(&config(&["https://a/"], &["https://b/"]));
        assert!(matches!(alone, Err(SubscriptionsError::PayloadAlone { .. })));
        check(&config(&["https://a/"], &["https://a/x/"])).unwrap();
    }

    #[test]
    fn payloads_need_the_operator() {
        let json = r#","payload":"application/fhir+json""#;
        let (without, with) = (config(&["https://a/"], &[]), config(&["https://a/"], &["https://a/full/"]));
        assert!(decided(&hook("https://a/full/x", json), &without).err().unwrap().contains("payload_allowed"));
        assert!(decided(&hook("https://a/other", json), &with).is_err());
        assert_eq!(decided(&hook("https://a/full/x", json), &with).unwrap().form, Form::Put);
        let xml = hook("https://a/full/x", r#","payload":"application/fhir+xml""#);
        assert!(decided(&xml, &with).is_err());
    }

    #[test]
    fn headers_are_read_and_those_of_http_refused() {
        let some = config(&["https://a/"], &[]);
        let of = |header: &str| decided(&hook("https://a/", &format!(r#","header":["{header}"]"#)), &some);
        let headers = of("Authorization: Bearer secret").unwrap().headers;
        assert_eq!((headers[0].0.as_str(), headers[0].1.to_str().unwrap()), ("authorization", "Bearer secret"));
        assert!(headers[0].1.is_sensitive());
        for header in ["Host: x", "nothing", "Content-Length: 3", "a b: c", "X: a\\r\\nY: b", ": x"] {
            assert!(of(header).is_err(), "{header}");
        }
    }

    #[test]
    fn topics_of_the_backport_become_criteria() {
        let some = config(&["https://a/"], &["https://a/full/"]);
        let of = |topic: &str, criteria: &str, endpoint: &str, content: &str| {
            decided(
                &format!(
                    r#"{{"resourceType":"Subscription","criteria":"{topic}","_criteria":{{"extension":[{{"url":"{BACKPORT}backport-filter-criteria","valueString":"{criteria}"}}]}},
                    "channel":{{"type":"rest-hook","endpoint":"{endpoint}","payload":"application/fhir+json",
                    "extension":[{{"url":"{BACKPORT}backport-heartbeat-period","valueUnsignedInt":60}},{{"url":"{BACKPORT}backport-max-count","valuePositiveInt":7}}],
                    "_payload":{{"extension":[{{"url":"{BACKPORT}backport-payload-content","valueCode":"{content}"}}]}}}}}}"#
                ),
                &some,
            )
        };
        let topic = format!("{BASE}/SubscriptionTopic/Observation");
        let delivery = of(&topic, "Observation?code=x", "https://a/", "empty").unwrap();
        assert_eq!(
            (delivery.criteria.as_str(), delivery.form),
            ("Observation?code=x", Form::Bundle(NotificationContent::Empty))
        );
        assert_eq!((delivery.heartbeat, delivery.events), (Some(Duration::from_secs(60)), 7));
        for content in ["id-only", "full-resource"] {
            assert!(of(&topic, "Observation?code=x", "https://a/", content).err().unwrap().contains("payload_allowed"));
            assert!(of(&topic, "Observation?code=x", "https://a/full/", content).is_ok());
        }
        assert!(of(&topic, "Patient?name=x", "https://a/", "empty").is_err());
        assert!(of(&topic, "Observation?code=x", "https://a/", "all").is_err());
        assert!(of("https://other/SubscriptionTopic/Observation", "Observation?x=1", "https://a/", "empty").is_err());
        assert!(of(&format!("{BASE}/SubscriptionTopic/Nothing"), "Nothing?x=1", "https://a/", "empty").is_err());
    }
}
