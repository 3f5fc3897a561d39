//! Who works in the hospital until it ends: writers that remember each acknowledged write with its time and its text, somebody who admits patients to the
//! ward, and readers.

use super::now_ms;
use super::stage::{self, Stage};
use super::ward::Admission;
use crate::commands::drill::http::Client;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tacet_testkit::{PatientFile, Record};

/// Clients that write.
const WRITERS: u64 = 4;

/// Clients that read.
const READERS: u64 = 2;

/// Every so many writes one changes what the same client wrote before.
const CHANGE_EVERY: u64 = 4;

/// Every so many writes one deletes what the same client wrote before.
const DELETE_EVERY: u64 = 16;

/// Most patients who are admitted during the day, and the time between two.
const ADMITTED_MAX: u64 = 30;
const ADMIT_EVERY: Duration = Duration::from_secs(3);

/// Between two requests of one client: a hospital's interface, not a benchmark.
const PAUSE: Duration = Duration::from_millis(5);

/// After a refusal.
const PAUSE_REFUSED: Duration = Duration::from_millis(50);

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// This text.
    Put(String),
    Delete,
}

/// One write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) what: What,
    /// When it was sent, in milliseconds.
    pub(super) begun_ms: i64,
    /// When its acknowledgement was here; none where none came.
    pub(super) acknowledged_ms: Option<i64>,
    /// The record as the server gave it back.
    pub(super) body: Vec<u8>,
}

/// A record of the crowd's, and all that was asked about it, in order.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) path: String,
    pub(super) writes: Vec<Write>,
    /// How many records came with it, in one transaction; it is one of them.
    pub(super) records: u64,
}

/// What a day was.
#[derive(Default)]
pub(super) struct Day {
    pub(super) charts: Vec<Chart>,
    /// Who came to lie on the ward.
    pub(super) admissions: Vec<Admission>,
    /// Reads that were answered.
    pub(super) reads: u64,
    /// Writes that were refused because the store is locked.
    pub(super) refused: u64,
}

impl Day {
    /// Writes that were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        let writes = self.charts.iter().flat_map(|chart| &chart.writes);
        writes.filter(|write| write.acknowledged_ms.is_some()).count() as u64
    }
}

/// How the day goes on, for whoever waits for something.
#[derive(Default)]
pub(super) struct Course {
    stop: AtomicBool,
    acknowledged: AtomicU64,
}

impl Course {
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Works until `meanwhile` is through and says stop.
pub(super) fn work<T>(stage: &Stage, address: SocketAddr, meanwhile: impl FnOnce(&Course) -> T) -> (Day, T) {
    let course = Course::default();
    let client = Client { address, token: stage.token.clone(), session: None };
    std::thread::scope(|scope| {
        let (client, going) = (&client, &course);
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(stage, client, going, writer))).collect();
        let readers: Vec<_> =
            (0..READERS).map(|reader| scope.spawn(move || read(stage, client, going, reader))).collect();
        let admitter = scope.spawn(move || admit(stage, client, going));
        let told = meanwhile(&course);
        course.stop();
        let mut day = Day::default();
        for writer in writers {
            if let Ok((charts, refused)) = writer.join() {
                day.charts.extend(charts);
                day.refused += refused;
            }
        }
        if let Ok((charts, admissions, refused)) = admitter.join() {
            day.charts.extend(charts);
            day.admissions = admissions;
            day.refused += refused;
        }
        day.reads = readers.into_iter().filter_map(|reader| reader.join().ok()).sum();
        (day, told)
    })
}

fn write(stage: &Stage, client: &Client, course: &Course, writer: u64) -> (Vec<Chart>, u64) {
    let (mut charts, mut refused) = (Vec::<Chart>::new(), 0);
    let patients = stage.hospital.options().patients;
    for k in 0.. {
        if !course.goes_on() {
            break;
        }
        // Nobody writes about the patient who was erased.
        let n = 2 + (writer + k * WRITERS) % (patients - 2);
        let Some(sign) = stage.hospital.vital_sign(n, 1_000 + k * WRITERS + writer) else { break };
        let earlier = (k % CHANGE_EVERY == CHANGE_EVERY - 1).then(|| charts.len().checked_sub(2)).flatten();
        let earlier = earlier.and_then(|place| charts.get_mut(place)).filter(|chart| is_there(chart));
        let (chart, what) = match earlier {
            Some(chart) if k % DELETE_EVERY == DELETE_EVERY - 1 => (chart, What::Delete),
            Some(chart) => {
                let what = What::Put(noted(chart, k));
                (chart, what)
            }
            None => {
                charts.push(Chart { path: format!("/Observation/{}", sign.id), writes: Vec::new(), records: 1 });
                let Some(chart) = charts.last_mut() else { break };
                (chart, What::Put(sign.json))
            }
        };
        let write = ask(client, &chart.path, what);
        let was_refused = matches!(write, Asked::Refused);
        if let Asked::Sent(write) = write {
            course.acknowledged.fetch_add(u64::from(write.acknowledged_ms.is_some()), Ordering::Relaxed);
            chart.writes.push(write);
        }
        refused += u64::from(was_refused);
        std::thread::sleep(if was_refused { PAUSE_REFUSED } else { PAUSE });
    }
    charts.retain(|chart| !chart.writes.is_empty());
    (charts, refused)
}

/// Patients come to lie on the ward, each with all of their records in one transaction.
fn admit(stage: &Stage, client: &Client, course: &Course) -> (Vec<Chart>, Vec<Admission>, u64) {
    let (mut charts, mut admissions, mut refused) = (Vec::new(), Vec::new(), 0);
    for file in stage.to_admit().take(stage::count(ADMITTED_MAX)) {
        let Some(patient) = file.resources.first().filter(|first| first.id == file.id) else { continue };
        let Some(lying) = stage.lying_of(&file) else { continue };
        if !course.goes_on() {
            break;
        }
        let begun_ms = now_ms();
        let status = client.ask("POST", "/", &[], &transaction(&file)).map(|answer| answer.status);
        if matches!(status, Ok(503)) {
            refused += 1;
            std::thread::sleep(PAUSE_REFUSED);
            continue;
        }
        let acknowledged_ms = matches!(status, Ok(200)).then(now_ms);
        course.acknowledged.fetch_add(u64::from(acknowledged_ms.is_some()), Ordering::Relaxed);
        let path = format!("/Patient/{}", file.id);
        // As the server gives it back; where it died in between, it is compared by what was sent.
        let body = client.ask("GET", &path, &[], "").ok().filter(|answer| answer.status == 200);
        let body = body.map(|answer| answer.body()).unwrap_or_default();
        let write = Write { what: What::Put(patient.json.clone()), begun_ms, acknowledged_ms, body };
        charts.push(Chart { path, writes: vec![write], records: file.resources.len() as u64 });
        admissions.push(Admission { lying, acknowledged_ms });
        let until = now_ms() + i64::try_from(ADMIT_EVERY.as_millis()).unwrap_or(0);
        while course.goes_on() && now_ms() < until {
            std::thread::sleep(PAUSE_REFUSED);
        }
    }
    (charts, admissions, refused)
}

fn transaction(file: &PatientFile) -> String {
    let entry = |record: &Record| {
        let Record { resource_type, id, json } = record;
        format!(
            r#"{{"fullUrl":"urn:uuid:{id}","resource":{json},"request":{{"method":"PUT","url":"{resource_type}/{id}"}}}}"#
        )
    };
    let entries: Vec<String> = file.resources.iter().map(entry).collect();
    format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
}

/// Whether the last thing that is known of a record is that it is there.
fn is_there(chart: &Chart) -> bool {
    let last = chart.writes.last();
    last.is_some_and(|write| write.acknowledged_ms.is_some() && matches!(write.what, What::Put(_)))
}

/// The same record with a remark.
fn noted(chart: &Chart, k: u64) -> String {
    let last = chart.writes.iter().rev().find_map(|write| match &write.what {
        What::Put(text) => Some(text.as_str()),
        What::Delete => None,
    });
    let mut record: Value = last.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if let Some(members) = record.as_object_mut() {
        members.insert("note".to_owned(), serde_json::json!([{ "text": format!("seen again, {k}") }]));
    }
    record.to_string()
}

enum Asked {
    /// It was sent, and perhaps acknowledged.
    Sent(Write),
    /// The server said that it takes no changes.
    Refused,
}

fn ask(client: &Client, path: &str, what: What) -> Asked {
    let begun_ms = now_ms();
    let prefer = [("Prefer", "return=representation")];
    let answer = match &what {
        What::Put(text) => client.ask("PUT", path, &prefer, text),
        What::Delete => client.ask("DELETE", path, &[], ""),
    };
    let mut write = Write { what, begun_ms, acknowledged_ms: None, body: Vec::new() };
    match answer {
        Ok(answer) if answer.status == 503 => return Asked::Refused,
        Ok(answer) if (200..300).contains(&answer.status) => {
            write.acknowledged_ms = Some(now_ms());
            write.body = answer.body();
        }
        // Nobody knows what became of it.
        _ => {}
    }
    Asked::Sent(write)
}

fn read(stage: &Stage, client: &Client, course: &Course, reader: u64) -> u64 {
    let patients = stage.hospital.options().patients;
    let mut answered = 0;
    for k in 0.. {
        if !course.goes_on() {
            break;
        }
        let path = format!("/Patient/{}", stage.hospital.patient_id(2 + (reader + k * READERS) % (patients - 2)));
        if let Ok(answer) = client.ask("GET", &path, &[], "") {
            answered += u64::from(answer.status == 200);
        }
        std::thread::sleep(PAUSE);
    }
    answered
}
