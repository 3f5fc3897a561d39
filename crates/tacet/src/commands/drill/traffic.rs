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
    asking.get("the history of a type", "/Observation/_history?_count=20")?;
    asking.get("the history of all", "/_history?_count=20&_since=2020-01-01T00:00:00Z")?;
    for n in patients..patients + super::play::ADMITTED {
        let bundle = hospital.transaction_bundle(n, Method::Post);
        asking.ask("a transaction", "POST", "/", &[], &bundle, &[200])?;
    }
    Ok(asking.requests)
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

/// Requests that are refused, with a patient's strings in every place that an error message or a log line might quote.
pub(super) fn intruder(client: &Client, hospital: &Hospital, wrong_token: &str) -> Result<u64, CliError> {
    let mut asking = Asking { client, requests: 0 };
    let strings = hospital.planted(0);
    let of = |kind| strings.iter().find(|planted| planted.kind == kind).map_or("", |planted| planted.text.as_str());
    let (family, display, number) = (of(PlantedKind::Family), of(PlantedKind::Display), of(PlantedKind::LocalNumber));
    let (phone, birth, id) = (of(PlantedKind::Phone), of(PlantedKind::BirthDate), hospital.patient_id(0));
    let url = for_url(display);

    for (what, body) in [
        ("a string for a list", format!(r#"{{"resourceType":"Patient","name":"{display}"}}"#)),
        ("a name for a date", format!(r#"{{"resourceType":"Patient","birthDate":"{display} {birth}"}}"#)),
        ("a name for a code", format!(r#"{{"resourceType":"Patient","gender":"{display}"}}"#)),
        ("a name for an element", format!(r#"{{"resourceType":"Patient","{display}":true}}"#)),
        ("a name for a type", format!(r#"{{"resourceType":"{display}"}}"#)),
        (
            "a name for a reference",
            format!(r#"{{"resourceType":"Patient","managingOrganization":{{"reference":"{display} {number}"}}}}"#),
        ),
        ("text that is cut short", format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}","#)),
        ("a name for JSON", display.to_owned()),
    ] {
        asking.refused(what, "POST", "/Patient", &[], &body)?;
    }
    asking.refused(
        "another id",
        "PUT",
        &format!("/Patient/{}", for_url(number)),
        &[],
        r#"{"resourceType":"Patient","id":"x"}"#,
    )?;
    let entry = format!(
        r#"{{"fullUrl":"{display}","resource":{{"resourceType":"Patient","name":"{display}"}},"request":{{"method":"POST","url":"{url}"}}}}"#
    );
    for kind in ["transaction", "message"] {
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#);
        asking.refused("a bundle that is wrong", "POST", "/", &[], &bundle)?;
    }
    for path in [
        format!("/Patient/{url}"),
        format!("/Patient/{}", for_url(number)),
        format!("/{url}/{id}"),
        format!("/Patient/{id}/_history/{url}"),
        format!("/Patient/{id}/${url}"),
        format!("/Patient?name={url}&birthdate={birth}&identifier={}&telecom={}", for_url(number), for_url(phone)),
        format!("/Observation?patient={id}&code={url}"),
        format!("/_history?_since={url}"),
        format!("/Patient/{id}/$everything?_since={url}"),
        format!("/Patient/{id}/$everything?_type={url}"),
    ] {
        asking.refused("a path that leads nowhere", "GET", &path, &[], "")?;
    }
    asking.refused(
        "a conditional create",
        "POST",
        "/Patient",
        &[("If-None-Exist", &format!("identifier={number}")), ("Content-Type", &format!("text/{family}"))],
        "x",
    )?;
    asking.refused(
        "a condition that is a name",
        "PUT",
        &format!("/Patient/{id}"),
        &[("If-Match", &format!("W/\"{number}\""))],
        &format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#),
    )?;
    // Headers that proxies and browsers add, and that some servers log.
    let headers = [
        ("User-Agent", display),
        ("Referer", &url),
        ("X-Request-Id", number),
        ("Cookie", display),
        ("X-Forwarded-For", number),
    ];
    asking.ask("a read with names in its headers", "GET", &format!("/Patient/{id}"), &headers, "", &[200])?;
    asking.refused("a method that is a name", "QUATRESOUS", &format!("/Patient/{id}"), &[], "")?;
    // Not HTTP at all: nobody needs to answer.
    asking.requests += 1;
    let _ = client.raw(format!("{display} {number} /Patient/{id}\r\n\r\n").as_bytes());
    // Fewer than it takes to lock an address out.
    for token in [wrong_token, number, &url] {
        let bearer = format!("Bearer {token}");
        asking.ask(
            "a wrong token",
            "GET",
            &format!("/Patient/{id}?name={url}"),
            &[("Authorization", &bearer)],
            "",
            &[400, 401],
        )?;
    }
    Ok(asking.requests)
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
