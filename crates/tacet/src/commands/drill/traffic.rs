//! What is asked of the played hospital over HTTP: a clinician's day, an intruder's tries, monitoring, and a crowd at the
//! moment of the crash. Each answer is held to what it must be, so that a drill over a server that does nothing fails.

use super::encodings::for_url;
use super::http::Client;
use crate::error::CliError;
use serde_json::Value;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tacet_testkit::{Hospital, Method, PlantedKind};

/// Patients who are seen in a day.
const SEEN: u64 = 12;

/// Clients at the moment of the crash.
const CROWD: u64 = 4;

/// How long the crowd works before the crash.
const CROWD_TIME: Duration = Duration::from_millis(400);

/// Counts requests and holds answers to what they must be.
struct Asking<'a> {
    client: &'a Client,
    requests: u64,
}

impl Asking<'_> {
    fn ask(
        &mut self,
        what: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        good: &[u16],
    ) -> Result<super::http::Answer, CliError> {
        self.requests += 1;
        let answer = self.client.ask(method, path, headers, body).map_err(|error| lost(what, error))?;
        if good.contains(&answer.status) { Ok(answer) } else { Err(wrong(what, answer.status)) }
    }

    fn get(&mut self, what: &str, path: &str) -> Result<super::http::Answer, CliError> {
        self.ask(what, "GET", path, &[], "", &[200])
    }

    /// Anything but success.
    fn refused(
        &mut self,
        what: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(), CliError> {
        self.requests += 1;
        let answer = self.client.ask(method, path, headers, body).map_err(|error| lost(what, error))?;
        if answer.status >= 400 { Ok(()) } else { Err(wrong(what, answer.status)) }
    }
}

fn lost(what: &str, error: std::io::Error) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what} was not answered ({error})"))
}

fn wrong(what: &str, status: u16) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what} was answered with {status}"))
}

/// A clinician's day: every interaction that opens or changes a record.
pub(super) fn day(client: &Client, hospital: &Hospital) -> Result<u64, CliError> {
    let patients = hospital.options().patients;
    let mut asking = Asking { client, requests: 0 };
    for n in 0..patients.min(SEEN) {
        let file = hospital.patient(n);
        let path = format!("/Patient/{}", file.id);
        let family = hospital.planted(n).into_iter().find(|planted| planted.kind == PlantedKind::Family);
        let seen = asking.get("a read", &path)?;
        if family.is_some_and(|family| !seen.has(&family.text)) {
            return Err(wrong("a read without the patient's name", seen.status));
        }
        asking.get("a vread", &format!("{path}/_history/1"))?;
        asking.get("a history", &format!("{path}/_history"))?;
        asking.get("everything", &format!("{path}/$everything?_count=50"))?;
        if let Some(record) = file.resources.first() {
            asking.ask("an update", "PUT", &path, &[], &changed(&record.json)?, &[200, 201])?;
        }
        if let Some(sign) = hospital.vital_sign(n, 1) {
            asking.ask("a create", "POST", "/Observation", &[], &sign.json, &[201])?;
            let path = format!("/Observation/{}", sign.id);
            asking.ask("an update as create", "PUT", &path, &[], &sign.json, &[200, 201])?;
            asking.ask("a delete", "DELETE", &path, &[], "", &[200, 204])?;
            asking.ask("a read of what is deleted", "GET", &path, &[], "", &[410])?;
        }
    }
    searches(&mut asking, hospital)?;
    asking.get("the history of a type", "/Observation/_history?_count=20")?;
    asking.get("the history of all", "/_history?_count=20&_since=2020-01-01T00:00:00Z")?;
    for n in patients..patients + super::play::ADMITTED {
        let bundle = hospital.transaction_bundle(n, Method::Post);
        asking.ask("a transaction", "POST", "/", &[], &bundle, &[200])?;
    }
    Ok(asking.requests)
}

/// What clinicians look for, by the strings of a patient; in the URL and in forms, with a match and without.
fn searches(asking: &mut Asking<'_>, hospital: &Hospital) -> Result<(), CliError> {
    let Known { family, url, birth, number, phone, id, .. } = &Known::of(hospital);
    let (family, number, phone) = (for_url(family), for_url(number), for_url(phone));
    for query in [
        format!("/Patient?family={family}&_count=5"),
        format!("/Patient?name:contains={family}&birthdate={birth}&_sort=family,-birthdate"),
        format!("/Patient?identifier={number}&_revinclude=Encounter:patient"),
        format!("/Patient?telecom={phone}&_summary=count"),
        format!("/Patient?name:exact={url}&gender:not=unknown"),
        format!("/Observation?patient={id}&_sort=-date&_count=10&_include=Observation:subject"),
        format!("/Observation?subject:Patient.family={family}&_total=accurate&_count=3"),
        format!("/Condition?patient.birthdate={birth}&_count=3"),
        format!("/Patient/{id}/Encounter?_count=5"),
        "/Encounter?date=ge2020&_sort=date&_count=5".to_owned(),
        format!("/Patient?_filter=family%20sw%20%22{family}%22%20and%20birthdate%20eq%20{birth}"),
    ] {
        // By its first parameter: values stay out of messages.
        let (shape, _) = query.split_once('=').unwrap_or((&query, ""));
        asking.get(&format!("the search {shape}"), &query)?;
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    asking.ask("a search by form", "POST", "/Patient/_search", &form, &format!("family={family}"), &[200])?;
    Ok(())
}

/// The same record with `active` the other way round, so that there is something new to store.
fn changed(json: &str) -> Result<String, CliError> {
    let mut record: Value =
        serde_json::from_str(json).map_err(|error| CliError::other("the synthetic hospital wrote no JSON", error))?;
    if let Some(members) = record.as_object_mut() {
        let active = members.get("active").and_then(Value::as_bool).unwrap_or(true);
        members.insert("active".to_owned(), Value::Bool(!active));
    }
    Ok(record.to_string())
}

/// The strings of the patient whom refused requests name.
struct Known {
    family: String,
    display: String,
    number: String,
    phone: String,
    birth: String,
    id: String,
    /// `display` as a URL has it.
    url: String,
}

impl Known {
    fn of(hospital: &Hospital) -> Self {
        let strings = hospital.planted(0);
        let of = |kind| {
            strings.iter().find(|planted| planted.kind == kind).map_or(String::new(), |planted| planted.text.clone())
        };
        let mut births = strings.iter().filter(|planted| planted.kind == PlantedKind::BirthDate);
        let written_in_order = births.find(|planted| planted.text.contains('-'));
        Self {
            family: of(PlantedKind::Family),
            number: of(PlantedKind::LocalNumber),
            phone: of(PlantedKind::Phone),
            // As a search has it; it is planted as it stands in letters, too.
            birth: written_in_order.map_or(String::new(), |planted| planted.text.clone()),
            id: hospital.patient_id(0),
            url: for_url(&of(PlantedKind::Display)),
            display: of(PlantedKind::Display),
        }
    }
}

/// Records that must be refused, one a line, with a patient's strings wherever a message might quote them; and what is wrong.
pub(super) fn refused_bodies(hospital: &Hospital) -> Vec<(&'static str, String)> {
    let Known { family, display, number, birth, .. } = Known::of(hospital);
    vec![
        ("a string for a list", format!(r#"{{"resourceType":"Patient","name":"{display}"}}"#)),
        ("a name for a date", format!(r#"{{"resourceType":"Patient","birthDate":"{display} {birth}"}}"#)),
        ("a name for a code", format!(r#"{{"resourceType":"Patient","gender":"{display}"}}"#)),
        ("a name for an element", format!(r#"{{"resourceType":"Patient","{display}":true}}"#)),
        ("a name for an inner element", format!(r#"{{"resourceType":"Patient","name":[{{"{display}":{{}}}}]}}"#)),
        ("a name for a type", format!(r#"{{"resourceType":"{display}"}}"#)),
        ("a name for an id", format!(r#"{{"resourceType":"Patient","id":"{display}","gender":"{display}"}}"#)),
        (
            "a name for a reference",
            format!(r#"{{"resourceType":"Patient","managingOrganization":{{"reference":"{display} {number}"}}}}"#),
        ),
        ("text that is cut short", format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}","#)),
        ("a name for JSON", display),
    ]
}

/// Requests that are refused, with a patient's strings in every place that an error message or a log line might quote.
pub(super) fn intruder(client: &Client, hospital: &Hospital, wrong_token: &str) -> Result<u64, CliError> {
    let mut asking = Asking { client, requests: 0 };
    let known = Known::of(hospital);
    for (what, body) in refused_bodies(hospital) {
        asking.refused(what, "POST", "/Patient", &[], &body)?;
    }
    let Known { display, url, .. } = &known;
    let entry = format!(
        r#"{{"fullUrl":"{display}","resource":{{"resourceType":"Patient","name":"{display}"}},"request":{{"method":"POST","url":"{url}"}}}}"#
    );
    for kind in ["transaction", "message"] {
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#);
        asking.refused("a bundle that is wrong", "POST", "/", &[], &bundle)?;
    }
    paths(&mut asking, &known)?;
    headers(&mut asking, &known)?;
    // Fewer than it takes to lock an address out.
    for token in [wrong_token, &known.number, url] {
        let (bearer, path) = (format!("Bearer {token}"), format!("/Patient/{}?name={url}", known.id));
        asking.ask("a wrong token", "GET", &path, &[("Authorization", &bearer)], "", &[400, 401])?;
    }
    Ok(asking.requests)
}

/// Paths and queries that lead nowhere.
fn paths(asking: &mut Asking<'_>, known: &Known) -> Result<(), CliError> {
    let Known { url, id, birth, .. } = known;
    let (number, phone) = (for_url(&known.number), for_url(&known.phone));
    for path in [
        format!("/Patient/{url}"),
        format!("/Patient/{number}"),
        format!("/{url}/{id}"),
        format!("/Patient/{id}/_history/{url}"),
        format!("/Patient/{id}/${url}"),
        format!("/Patient?{url}={number}&telecom={phone}"),
        format!("/Observation?patient={id}&code:{url}={birth}"),
        format!("/_history?_since={url}"),
        format!("/Patient/{id}/$everything?_since={url}"),
        format!("/Patient/{id}/$everything?_type={url}"),
    ] {
        asking.refused("a path that leads nowhere", "GET", &path, &[], "")?;
    }
    let another = r#"{"resourceType":"Patient","id":"x"}"#;
    asking.refused("another id", "PUT", &format!("/Patient/{number}"), &[], another)
}

/// Headers, methods, and what is no HTTP.
fn headers(asking: &mut Asking<'_>, known: &Known) -> Result<(), CliError> {
    let Known { family, display, number, id, url, .. } = known;
    let path = format!("/Patient/{id}");
    let (query, kind) = (format!("identifier={number}"), format!("text/{family}"));
    let conditions = [("If-None-Exist", query.as_str()), ("Content-Type", kind.as_str())];
    asking.refused("a conditional create", "POST", "/Patient", &conditions, "x")?;
    let (tag, body) = (format!("W/\"{number}\""), format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#));
    asking.refused("a condition that is a name", "PUT", &path, &[("If-Match", &tag)], &body)?;
    // What proxies and browsers add, and some servers log.
    let added = [
        ("User-Agent", display.as_str()),
        ("Referer", url),
        ("X-Request-Id", number),
        ("Cookie", display),
        ("X-Forwarded-For", number),
    ];
    asking.ask("a read with names in its headers", "GET", &path, &added, "", &[200])?;
    asking.refused("a method that is a name", "QUATRESOUS", &path, &[], "")?;
    // Nobody needs to answer this.
    asking.requests += 1;
    let _ = asking.client.raw(format!("{display} {number} {path}\r\n\r\n").as_bytes());
    Ok(())
}

/// What a monitoring system asks.
pub(super) fn monitoring(client: &Client) -> Result<u64, CliError> {
    let mut asking = Asking { client, requests: 0 };
    for path in ["/metrics", "/health", "/metadata"] {
        asking.get("monitoring", path)?;
    }
    asking.refused("a record for the operator", "GET", "/_history", &[], "")?;
    Ok(asking.requests)
}

/// Many clients at once, in the middle of which `end` ends the server. Gives how many requests were answered.
pub(super) fn storm(
    client: &Client,
    hospital: &Hospital,
    end: impl FnOnce() -> Result<ExitStatus, CliError>,
) -> Result<(u64, ExitStatus), CliError> {
    let answered = AtomicU64::new(0);
    let status = std::thread::scope(|scope| {
        for k in 0..CROWD {
            let answered = &answered;
            scope.spawn(move || {
                for round in 0.. {
                    let n = (round * CROWD + k) % hospital.options().patients.max(1);
                    let create = hospital
                        .vital_sign(n, 1000 + round)
                        .map(|sign| client.ask("POST", "/Observation", &[], &sign.json));
                    let read = client.ask(
                        "GET",
                        &format!("/Patient/{}/$everything?_count=20", hospital.patient_id(n)),
                        &[],
                        "",
                    );
                    // The first that is not answered is the crash.
                    if !matches!((create, read), (Some(Ok(_)), Ok(_))) {
                        return;
                    }
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(CROWD_TIME);
        end()
    })?;
    let answered = answered.into_inner();
    if answered == 0 {
        return Err(CliError::Usage("the drill could not be played: nobody was served before the crash".into()));
    }
    Ok((answered, status))
}
