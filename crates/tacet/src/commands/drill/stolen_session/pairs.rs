//! Hidden against absent: the same request twice, once about a record that is there and closed, once about one that is not there. Whatever
//! differs tells that something is hidden.

use super::sampled;
use super::thief::Thief;
use super::truth::Truth;
use crate::commands::drill::http::Answer;
use crate::commands::drill::staged::{Known, Stage};
use crate::error::CliError;
use serde_json::Value;
use std::collections::BTreeMap;
use tacet_testkit::apart::{Goal, Share, Told};
use tacet_types::{Rng, SeededRng};

/// Patients about whom is asked in pairs.
const PATIENTS: usize = 6;

/// Further records about which is asked in pairs.
const RECORDS: usize = 24;

/// Of pairs of answers, the share in which the hidden one takes longer is to be within a tenth of a half: then somebody who compares 361 of each
/// is still wrong in one of a hundred cases. 200 requests of each kind and, while that does not say, up to 800.
pub(super) const GOAL: Goal = Goal { tolerance: 0.1, rounds_min: 50, rounds_max: 200, repeats: 2 };

/// Hidden patients about whom timed requests are made.
const TIMED_PATIENTS: usize = 200;

/// Headers that differ from one answer to the next whatever was asked.
const CHANGING: [&str; 2] = ["date", "x-request-id"];

/// A request about an id: method, path, headers, body.
struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn request(method: &'static str, path: String, body: &str) -> Request {
    Request { method, path, headers: Vec::new(), body: body.to_owned() }
}

/// A pair that was not the same.
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) hidden: String,
    pub(super) absent: String,
}

/// What one kind of request takes, about what is hidden and about what is absent.
pub(super) struct Timing {
    pub(super) what: &'static str,
    pub(super) hidden: Spread,
    pub(super) absent: Spread,
    /// How often a hidden one took longer than an absent one that was asked for at about the same time.
    pub(super) hidden_longer: Share,
    pub(super) told: Told,
}

/// Where times lie.
pub(super) struct Spread {
    pub(super) median_us: f64,
    pub(super) p90_us: f64,
}

impl Spread {
    fn of(mut times_us: Vec<f64>) -> Self {
        times_us.sort_by(f64::total_cmp);
        let at = |share: usize| times_us.get(times_us.len() * share / 100).copied().unwrap_or(0.0);
        Self { median_us: at(50), p90_us: at(90) }
    }
}

/// A kind of request: its name, and what it asks of an id.
type TimedKind = (&'static str, fn(&str) -> Request);

/// The kinds of request that are timed.
const TIMED_KINDS: [TimedKind; 6] = [
    ("read", |id| request("GET", format!("/Patient/{id}"), "")),
    ("version", |id| request("GET", format!("/Patient/{id}/_history/1"), "")),
    ("history", |id| request("GET", format!("/Patient/{id}/_history"), "")),
    ("everything", |id| request("GET", format!("/Patient/{id}/$everything"), "")),
    ("search", |id| request("GET", format!("/Observation?patient={id}"), "")),
    ("update", |id| request("PUT", format!("/Patient/{id}"), &format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#))),
];

/// Requests that change nothing where the answer is no.
fn reading(kind: &str, id: &str) -> Vec<Request> {
    let patient = kind == "Patient";
    let mut requests = vec![
        request("GET", format!("/{kind}/{id}"), ""),
        request("HEAD", format!("/{kind}/{id}"), ""),
        request("GET", format!("/{kind}/{id}/_history"), ""),
        request("GET", format!("/{kind}/{id}/_history/1"), ""),
        request("GET", format!("/{kind}/{id}/_history/2"), ""),
        request("GET", format!("/{kind}/{id}/_history/1/$meta"), ""),
        request("GET", format!("/{kind}/{id}/$meta"), ""),
        request("GET", format!("/{kind}/{id}/$validate"), ""),
        request("GET", format!("/{kind}?_id={id}"), ""),
        request("GET", format!("/{kind}?_id={id}&_summary=count"), ""),
        request("GET", format!("/{kind}?_id={id}&_include=*&_revinclude=*"), ""),
        request("GET", format!("/{kind}?_id:not={id}&_summary=count"), ""),
        request("GET", format!("/?_type={kind}&_id={id}"), ""),
        request("GET", format!("/List?item={kind}/{id}"), ""),
        request("GET", format!("/Provenance?target={kind}/{id}&_summary=count"), ""),
        request("GET", format!("/{kind}?_filter=_id%20eq%20{id}"), ""),
        request("POST", "/".to_owned(), &batch("GET", &format!("{kind}/{id}"))),
        request("POST", "/".to_owned(), &batch("DELETE", &format!("{kind}/{id}"))),
        request("GET", format!("/{kind}/{id}?_elements=id"), ""),
    ];
    requests.push(Request {
        headers: vec![("If-None-Match", "W/\"1\"".to_owned())],
        ..request("GET", format!("/{kind}/{id}"), "")
    });
    if patient {
        requests.extend([
            request("GET", format!("/Patient/{id}/$everything"), ""),
            request("GET", format!("/Patient/{id}/*"), ""),
            request("GET", format!("/Patient/{id}/Observation?_summary=count"), ""),
            request("GET", format!("/Observation?patient={id}&_summary=count"), ""),
            request("GET", format!("/Observation?subject=Patient/{id}"), ""),
            request("GET", format!("/Observation?patient:Patient._id={id}"), ""),
            request("GET", format!("/Practitioner?_has:Encounter:participant:patient={id}&_summary=count"), ""),
            request("GET", format!("/Practitioner?_has:Encounter:participant:patient={id}"), ""),
            request("GET", format!("/Group?member=Patient/{id}"), ""),
            request("GET", format!("/Person?link=Patient/{id}"), ""),
            request("GET", format!("/Patient?link=Patient/{id}"), ""),
        ]);
    }
    if kind == "Encounter" {
        requests.push(request("GET", format!("/Encounter/{id}/$everything"), ""));
        requests.push(request("GET", format!("/Observation?encounter={id}&_summary=count"), ""));
        requests.push(request("GET", format!("/Practitioner?_has:Encounter:participant:_id={id}"), ""));
    }
    requests
}

/// Requests that would change something.
fn writing(kind: &str, id: &str, own: &str) -> Vec<Request> {
    let minimal = format!(r#"{{"resourceType":"{kind}","id":"{id}"}}"#);
    let without_id = format!(r#"{{"resourceType":"{kind}"}}"#);
    let patch = r#"[{"op":"add","path":"/language","value":"fr"}]"#;
    let labels = r#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:x","code":"y"}]}}]}"#;
    let observation = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"{kind}/{id}"}}}}"#
    );
    let of_both = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"Patient/{own}"}},"focus":[{{"reference":"{kind}/{id}"}}]}}"#
    );
    let with =
        |name: &'static str, value: String, request: Request| Request { headers: vec![(name, value)], ..request };
    let mut requests = vec![
        request("PUT", format!("/{kind}/{id}"), &minimal),
        with("If-Match", "W/\"1\"".into(), request("PUT", format!("/{kind}/{id}"), &minimal)),
        with("If-None-Match", "*".into(), request("PUT", format!("/{kind}/{id}"), &minimal)),
        request("PUT", format!("/{kind}?_id={id}"), &minimal),
        with("Content-Type", "application/json-patch+json".into(), request("PATCH", format!("/{kind}/{id}"), patch)),
        with(
            "Content-Type",
            "application/json-patch+json".into(),
            request("PATCH", format!("/{kind}?_id={id}"), patch),
        ),
        request("DELETE", format!("/{kind}?_id={id}"), ""),
        request("DELETE", format!("/{kind}/{id}"), ""),
        request("POST", format!("/{kind}/{id}/$meta-add"), labels),
        request("POST", "/".to_owned(), &put_entry(kind, id, &minimal)),
        with("If-None-Exist", format!("_id={id}"), request("POST", format!("/{kind}"), &without_id)),
        request("POST", "/Observation".to_owned(), &of_both),
    ];
    if kind == "Patient" {
        requests.push(request("POST", "/Observation".to_owned(), &observation));
        requests.push(request("POST", "/".to_owned(), &conditional_reference(id)));
    }
    requests
}

fn batch(method: &str, url: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"request":{{"method":"{method}","url":"{url}"}}}}]}}"#
    )
}

fn put_entry(kind: &str, id: &str, resource: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{resource},"request":{{"method":"PUT","url":"{kind}/{id}"}}}}]}}"#
    )
}

/// A reference that the server resolves: it says whether exactly one is found.
fn conditional_reference(id: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{{"resourceType":"Observation","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"Patient?_id={id}"}}}},"request":{{"method":"POST","url":"Observation"}}}}]}}"#
    )
}

/// Asks in pairs. Gives how many pairs, and those that differed.
pub(super) fn pairs(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<(u64, Vec<Difference>), CliError> {
    let rng = SeededRng::new(stage.hospital.options().seed);
    let own = truth.own.iter().next().map(|n| stage.hospital.patient_id(*n)).unwrap_or_default();
    let chosen = chosen(stage, truth);
    let (mut asked, mut differences) = (0, BTreeMap::new());
    for change in [false, true] {
        for record in &chosen {
            let (kind, hidden) = (record.resource_type.as_str(), record.id.as_str());
            let absent = absent_id(&rng);
            let make = |id: &str| if change { writing(kind, id, &own) } else { reading(kind, id) };
            for (about_hidden, about_absent) in make(hidden).into_iter().zip(make(&absent)) {
                asked += 1;
                let left = ask(thief, &about_hidden)?;
                let right = ask(thief, &about_absent)?;
                let (left, right) = (plain(&left, hidden), plain(&right, &absent));
                if left != right {
                    let what = format!("{} {}", about_hidden.method, about_hidden.path.replace(hidden, "{id}"));
                    let what = match about_hidden.headers.first() {
                        Some((name, _)) => format!("{what} with {name}"),
                        None if about_hidden.path == "/" || change => format!("{what} ({kind})"),
                        None => what,
                    };
                    differences.entry(what).or_insert((left, right));
                }
            }
        }
    }
    let differences =
        differences.into_iter().map(|(what, (hidden, absent))| Difference { what, hidden, absent }).collect();
    Ok((asked, differences))
}

/// Closed patients, those who are set apart first, and closed records of other types.
fn chosen<'a>(stage: &'a Stage, truth: &'a Truth) -> Vec<&'a Known> {
    let ordinary = stage.hospital.options().patients;
    let mut patients: Vec<&Known> =
        truth.closed_records(stage).filter(|record| record.resource_type.as_str() == "Patient").collect();
    patients.sort_by_key(|record| {
        let n = record.patient.unwrap_or(0);
        (stage.hospital.standing(n) == tacet_testkit::Standing::Ordinary, n >= ordinary, n)
    });
    let mut chosen: Vec<&Known> = patients.into_iter().take(PATIENTS).collect();
    // One of each type, then more.
    let mut of_type: BTreeMap<&str, &Known> = BTreeMap::new();
    for record in truth.closed_records(stage).filter(|record| record.resource_type.as_str() != "Patient") {
        of_type.entry(record.resource_type.as_str()).or_insert(record);
    }
    chosen.extend(of_type.into_values().take(RECORDS));
    chosen
}

fn ask(thief: &mut Thief<'_>, request: &Request) -> Result<Answer, CliError> {
    let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    thief.ask("a pair", request.method, &request.path, &headers, &request.body)
}

/// Looks like the ids of the hospital, and is nobody's.
fn absent_id(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// An answer without what differs each time: the id asked about, the request's own id, the time, what was made new.
fn plain(answer: &Answer, id: &str) -> String {
    let (head, _) = answer.parts();
    let operation = answer.header("x-request-id").unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    let made = answer.status == 201;
    for line in String::from_utf8_lossy(head).lines() {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let new = made && ["location", "content-location", "last-modified", "content-length"].contains(&name.as_str());
        if !new && !CHANGING.contains(&name.as_str()) {
            lines.push(line.to_owned());
        }
    }
    if !made {
        let body = answer.body();
        lines.push(match serde_json::from_slice::<Value>(&body) {
            Ok(value) => without_moments(value).to_string(),
            Err(_) => String::from_utf8_lossy(&body).into_owned(),
        });
    }
    let text = lines.join("\n").replace(id, "{id}");
    if operation.is_empty() { text } else { text.replace(&operation, "{operation}") }
}

/// A bundle's own id and the moment it was made.
fn without_moments(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        let bundle = members.get("resourceType").and_then(Value::as_str) == Some("Bundle");
        if bundle {
            for name in ["id", "timestamp", "meta"] {
                members.remove(name);
            }
            let entries = members.get_mut("entry").and_then(Value::as_array_mut);
            for response in entries.into_iter().flatten().filter_map(|entry| entry.get_mut("response")) {
                // Of what a batch made: its new place.
                if response.get("status").and_then(Value::as_str).is_some_and(|status| status.starts_with("201")) {
                    *response = Value::String("201".to_owned());
                }
            }
        }
    }
    value
}

/// Asks about what is hidden and about what is absent in turns, and compares how long it took.
pub(super) fn timing(thief: &mut Thief<'_>, stage: &Stage, truth: &Truth) -> Result<Vec<Timing>, CliError> {
    let rng = SeededRng::new(stage.hospital.options().seed ^ 1);
    let patients: Vec<String> =
        sampled(&truth.closed, TIMED_PATIENTS).iter().map(|n| stage.hospital.patient_id(*n)).collect();
    let mut timings = Vec::with_capacity(TIMED_KINDS.len());
    for (what, make) in TIMED_KINDS {
        let mut hidden = patients.iter().cycle();
        let (told, compared) = GOAL.measure(&rng, |is_hidden| {
            let absent = absent_id(&rng);
            let id = if is_hidden { hidden.next().unwrap_or(&absent) } else { &absent };
            let Request { method, path, body, .. } = make(id);
            thief.timed_us(method, &path, &body)
        })?;
        let (of_hidden, of_absent) = compared.times();
        let (hidden, absent) = (Spread::of(of_hidden), Spread::of(of_absent));
        timings.push(Timing { what, hidden, absent, hidden_longer: compared.share(), told });
    }
    Ok(timings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn what_differs_by_itself_is_no_difference_and_all_else_is() {
        let text = |id: &str, operation: &str, more: &str| {
            answer(&format!(
                "HTTP/1.1 404 Not Found\r\nDate: {operation}\r\nX-Request-Id: {operation}\r\n{more}\r\n{{\"a\":\"{id} {operation}\"}}"
            ))
        };
        let plain_of = |id: &str, operation: &str, more: &str| plain(&text(id, operation, more), id);
        assert_eq!(plain_of("one", "o1", "\r\n"), plain_of("two", "o2", "\r\n"));
        assert_ne!(plain_of("one", "o1", "\r\n"), plain_of("two", "o2", "ETag: 1\r\n\r\n"));
        let status = answer("HTTP/1.1 403 Forbidden\r\n\r\n{}");
        assert_ne!(plain(&status, "one"), plain(&answer("HTTP/1.1 404 Not Found\r\n\r\n{}"), "one"));
    }

    #[test]
    fn half_of_the_times_are_below_the_median() {
        let spread = Spread::of((0..100).rev().map(f64::from).collect());
        assert_eq!((spread.median_us, spread.p90_us), (50.0, 90.0));
    }

    #[test]
    fn absent_ids_look_like_the_others() {
        let rng = SeededRng::new(1);
        let (one, other) = (absent_id(&rng), absent_id(&rng));
        assert_eq!((one.len(), one.matches('-').count()), (36, 4));
        assert_ne!(one, other);
    }
}
