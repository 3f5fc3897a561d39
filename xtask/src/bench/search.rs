//! `cargo xtask bench search`: how long searches take on synthetic hospitals of several sizes, and how that grows.
//!
//! One connection asks, waits and asks again, so a figure is the time of one search and not of a queue. Each search is a
//! disclosure: the time holds a durable ledger entry, which the first line (a plain read) shows by itself.

use super::draw::Draw;
use super::growing::{Growing, Grown, hospital_of};
use super::machine::Machine;
use super::programs::{self, SHIPPED};
use super::say;
use crate::instance::Server;
use crate::{Outcome, process, workspace};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tacet_testkit::{Hospital, PatientFile};

/// Patients whose records the searches are about.
const SUBJECTS: u64 = 200;

/// Patients without an encounter or an observation, of whom there are a few, that are passed over before it is given up.
const PASSED_OVER_MAX: u64 = 10 * SUBJECTS;

/// Requests of each kind that are not counted: the first ones read from the disk what the later ones find in memory.
const WARM_UP: usize = 20;

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Longest time that is told apart, in nanoseconds.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Sizes of the synthetic hospital, in patients (about 31 resources each): one store that grows through them
    #[arg(long, value_delimiter = ',', default_value = "3300,33000")]
    sizes: Vec<u32>,
    /// Where the store is, and stays; a store there is grown further. By default it is made in target/bench-search and removed
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Measure this program and build none
    #[arg(long)]
    program: Option<PathBuf>,
    /// Requests of each kind, on each size
    #[arg(long, default_value_t = 400)]
    requests: usize,
    /// Seed of the synthetic hospital and of the choice of patients
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// A patient to search for.
pub(super) struct Subject {
    place: String,
    id: String,
    name_prefix: String,
    identifier: String,
    code: String,
    day: String,
}

/// A kind of search, and how it asks.
pub(super) type Kind = (&'static str, fn(&Subject) -> String);

/// Kinds of search.
pub(super) const KINDS: [Kind; 9] = [
    ("read one record", |subject| subject.place.clone()),
    ("patient by name prefix", |subject| format!("Patient?family={}&_count=20", subject.name_prefix)),
    ("patient by identifier", |subject| format!("Patient?identifier={}", subject.identifier)),
    ("observations of a patient with a code, newest first", |subject| {
        format!("Observation?patient={}&code={}&_sort=-date&_count=20", subject.id, subject.code)
    }),
    ("a code over all patients, newest first", |subject| {
        format!("Observation?code={}&_sort=-date&_count=20", subject.code)
    }),
    ("encounters of a day", |subject| format!("Encounter?date={}&_count=20", subject.day)),
    ("chained: by the patient's identifier", |subject| {
        format!("Observation?patient.identifier={}&code={}&_count=20", subject.identifier, subject.code)
    }),
    ("patient with encounters (_revinclude)", |subject| {
        format!("Patient?_id={}&_revinclude=Encounter:patient", subject.id)
    }),
    ("count only", |subject| format!("Observation?code={}&_summary=count", subject.code)),
];

/// One kind of search on one size.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    patients: u32,
    resources: u64,
    requests: u64,
    p50_us: f64,
    p99_us: f64,
    server_cpu_us: f64,
    answer_bytes: f64,
}

#[derive(Serialize)]
struct Report {
    format: u32,
    machine: Machine,
    seed: u64,
    imports: Vec<Import>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Import {
    #[serde(flatten)]
    grown: Grown,
    /// Of the server, after the searches.
    resident_bytes: u64,
    /// From the start of the server to its first answer, in seconds.
    start_s: f64,
}

/// Measures, prints, cleans up.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.sizes.is_empty() || arguments.sizes.contains(&0) || arguments.requests == 0 {
        return Err("sizes and requests are 1 at least".into());
    }
    let own = workspace::target().join("bench-search");
    if arguments.folder.is_none() && own.exists() {
        std::fs::remove_dir_all(&own)?;
    }
    let folder = arguments.folder.clone().unwrap_or_else(|| own.clone());
    let program = match &arguments.program {
        Some(program) => std::fs::canonicalize(program)?,
        None => programs::build(&SHIPPED, &own.join("programs"))?,
    };
    let mut report =
        Report { format: 2, machine: Machine::here(), seed: arguments.seed, imports: Vec::new(), rows: Vec::new() };
    let mut store = Growing::open(&program, &folder, arguments.seed)?;
    let mut sizes = arguments.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    for patients in sizes {
        let hospital = hospital_of(arguments.seed, patients)?;
        say(&format!("{patients} patients: import"));
        let grown = store.grow(patients, &hospital)?;
        let token = store.instance.token()?;
        let server = store.instance.serve()?;
        say(&format!("{patients} patients: searches"));
        measure(arguments, &grown, &hospital, &server, &token, &mut report.rows)?;
        let resident_bytes = process::resident_bytes(server.pid())?.0;
        let start_s = server.start_s;
        server.stop()?;
        report.imports.push(Import { grown, resident_bytes, start_s });
        say(&table(&report)?);
    }
    if arguments.folder.is_none() {
        std::fs::remove_dir_all(&own)?;
    }
    println!("{}", if arguments.json { serde_json::to_string_pretty(&report)? } else { table(&report)? });
    Ok(())
}

fn measure(
    arguments: &Arguments,
    grown: &Grown,
    hospital: &Hospital,
    server: &Server,
    token: &str,
    rows: &mut Vec<Row>,
) -> Outcome {
    let &Grown { patients, resources, .. } = grown;
    let subjects = subjects(hospital, arguments.seed)?;
    let mut client = Client::connect(server, token)?;
    for (what, path) in KINDS {
        let mut latency_ns: Histogram<u64> = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?;
        let (mut cpu_before, mut bytes) = (0.0, 0usize);
        for (number, subject) in subjects.iter().cycle().take(WARM_UP + arguments.requests).enumerate() {
            if number == WARM_UP {
                cpu_before = process::cpu_s(server.pid())?;
            }
            let path = path(subject);
            let sent = now();
            let length = client.get(&path).map_err(|error| format!("{what}: {error}"))?;
            if number >= WARM_UP {
                latency_ns.record(u64::try_from(sent.elapsed().as_nanos())?)?;
                bytes += length;
            }
        }
        let requests = latency_ns.len();
        rows.push(Row {
            what,
            patients,
            resources,
            requests,
            p50_us: latency_ns.value_at_quantile(0.5) as f64 / 1e3,
            p99_us: latency_ns.value_at_quantile(0.99) as f64 / 1e3,
            server_cpu_us: (process::cpu_s(server.pid())? - cpu_before) * 1e6 / requests as f64,
            answer_bytes: bytes as f64 / requests as f64,
        });
    }
    Ok(())
}

/// Patients spread over the hospital, with what one would search them by.
fn subjects(hospital: &Hospital, seed: u64) -> Outcome<Vec<Subject>> {
    let patients = hospital.options().patients;
    let mut draw = Draw::new(seed);
    let (mut subjects, mut passed_over) = (Vec::new(), 0);
    while (subjects.len() as u64) < SUBJECTS.min(patients) {
        let file = hospital.patient(draw.below(patients));
        let has = |name: &str| file.resources.iter().any(|record| record.resource_type.as_str() == name);
        if has("Observation") && has("Encounter") {
            subjects.push(subject(&file)?);
            continue;
        }
        passed_over += 1;
        if passed_over > PASSED_OVER_MAX {
            return Err("hardly a patient has a record to search for".into());
        }
    }
    Ok(subjects)
}

/// What one would search a patient by.
pub(super) fn subject(file: &PatientFile) -> Outcome<Subject> {
    let of = |name: &str| -> Outcome<Value> {
        let record = file.resources.iter().find(|record| record.resource_type.as_str() == name);
        Ok(serde_json::from_str(&record.ok_or("a patient without a record to search for")?.json)?)
    };
    let (patient, observation, encounter) = (of("Patient")?, of("Observation")?, of("Encounter")?);
    let text = |value: &Value, path: &str| -> Outcome<String> {
        let text = value.pointer(path).and_then(Value::as_str);
        Ok(text.ok_or_else(|| format!("a synthetic record has no {path}"))?.to_owned())
    };
    let pair = |value: &Value, system: &str, code: &str| -> Outcome<String> {
        Ok(encoded(&format!("{}|{}", text(value, system)?, text(value, code)?)))
    };
    Ok(Subject {
        place: format!("Patient/{}", file.id),
        id: file.id.clone(),
        name_prefix: encoded(&text(&patient, "/name/0/family")?.chars().take(4).collect::<String>()),
        identifier: pair(&patient, "/identifier/0/system", "/identifier/0/value")?,
        code: pair(&observation, "/code/coding/0/system", "/code/coding/0/code")?,
        day: text(&encounter, "/period/start")?.chars().take(10).collect(),
    })
}

/// Percent-encoded for a query.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// One connection that is kept.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Client {
    pub(super) fn connect(server: &Server, token: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let head = format!("Host: {}\r\nAuthorization: Bearer {token}\r\n\r\n", server.address);
        Ok(Self { stream: BufReader::new(stream), head })
    }

    /// Asks and reads the whole answer; gives its length.
    pub(super) fn get(&mut self, path: &str) -> Outcome<usize> {
        Ok(self.read(path)?.len())
    }

    /// Asks and gives the body.
    pub(super) fn read(&mut self, path: &str) -> Outcome<Vec<u8>> {
        let request = format!("GET /{path} HTTP/1.1\r\n{}", self.head);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        if status == "200" { Ok(body) } else { Err(format!("the answer was {status}").into()) }
    }
}

fn table(report: &Report) -> Outcome<String> {
    let mut out = String::new();
    for Import { grown, resident_bytes, start_s } in &report.imports {
        writeln!(
            out,
            "{} patients, {} resources: the last {} imported at {:.0}/s with {:.0} us CPU each; {:.0} bytes on disk each; server: {:.0} MB \
             resident, started in {start_s:.1} s",
            grown.patients,
            grown.resources,
            grown.brought,
            grown.resources_per_s,
            grown.cpu_us_per_resource,
            grown.disk_bytes_per_resource,
            *resident_bytes as f64 / 1e6,
        )?;
    }
    writeln!(
        out,
        "\n{:<53} {:>10} {:>10} {:>10} {:>10} {:>9} {:>7}",
        "", "resources", "p50 us", "p99 us", "CPU us", "bytes", "growth"
    )?;
    for (what, _) in KINDS {
        let mut first = None;
        for row in report.rows.iter().filter(|row| row.what == what) {
            let growth = row.p50_us / *first.get_or_insert(row.p50_us);
            writeln!(
                out,
                "{what:<53} {:>10} {:>10.0} {:>10.0} {:>10.0} {:>9.0} {growth:>7.2}",
                row.resources, row.p50_us, row.p99_us, row.server_cpu_us, row.answer_bytes
            )?;
        }
    }
    Ok(out)
}

#[expect(clippy::disallowed_methods, reason = "measures how long searches take")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_something_to_search_by() {
        let subjects = subjects(&hospital_of(1, 5).unwrap(), 7).unwrap();
        assert_eq!(subjects.len(), 5);
        for subject in &subjects {
            for (what, path) in KINDS {
                let path = path(subject);
                assert!(path.is_ascii() && !path.contains(' ') && path.len() > 10, "{what}: {path}");
            }
            assert!(subject.identifier.contains("%7C") && subject.day.len() == 10);
        }
    }
}
