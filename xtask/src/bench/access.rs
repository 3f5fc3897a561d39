//! `cargo xtask bench access`: what deciding who may see what costs. Decisions of the policy by themselves; then the same searches, about the
//! same patients, by an interface that sees everything and by a physician who sees their own patients: what the second takes
//! longer is deciding.
//!
//! Both ask in turns on one connection each, so that what else this machine does falls on both.

use super::growing::Growing;
use super::machine::Machine;
use super::programs::{self, SHIPPED};
use super::say;
use super::search::{Client, KINDS, Subject, subject};
use crate::{Outcome, process, workspace};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tacet_policy::{Act, Category, ConsentSays, PatientFlags, Policies, Purpose, Relation, RelationSet, Situation};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::{Clock, ResourceType, Role, SystemClock, Timestamp};

/// How many patients the measured physician should have about: those of a ward.
const PATIENTS_WANTED: u64 = 40;

/// Physicians who are looked at to find one.
const CANDIDATES: usize = 16;

/// Requests of each kind that are not counted.
const WARM_UP: usize = 20;

/// How long decisions are counted, each way.
const COUNTED: Duration = Duration::from_secs(2);

/// Decisions between two looks at the clock.
const AT_ONCE: usize = 64;

/// Longest time that is told apart, in nanoseconds.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Size of the synthetic hospital, in patients
    #[arg(long, default_value_t = 3_300)]
    patients: u32,
    /// Measure this program and build none
    #[arg(long)]
    program: Option<PathBuf>,
    /// Requests of each kind and of each account
    #[arg(long, default_value_t = 400)]
    requests: usize,
    /// Seed of the synthetic hospital
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the decisions by themselves
    #[arg(long)]
    decisions_only: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    format: u32,
    machine: Machine,
    seed: u64,
    decisions: Decisions,
    import: Option<super::growing::Grown>,
    physician_patients: u64,
    rows: Vec<Row>,
}

/// Decisions of the policy by themselves, on one thread.
#[derive(Serialize)]
struct Decisions {
    situations: usize,
    anew_per_s: f64,
    kept_per_s: f64,
}

/// One kind of search.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    requests: u64,
    everything_p50_us: f64,
    everything_p99_us: f64,
    own_p50_us: f64,
    own_p99_us: f64,
    everything_bytes: f64,
    own_bytes: f64,
    /// Of the median time of a physician's search, where both got the same answers.
    deciding_share: Option<f64>,
}

/// Measures, prints, cleans up.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.patients == 0 || arguments.requests == 0 {
        return Err("patients and requests are 1 at least".into());
    }
    let decisions = decisions()?;
    let mut report = Report {
        format: 1,
        machine: Machine::here(),
        seed: arguments.seed,
        decisions,
        import: None,
        physician_patients: 0,
        rows: Vec::new(),
    };
    if !arguments.decisions_only {
        searches(arguments, &mut report)?;
    }
    println!("{}", if arguments.json { serde_json::to_string_pretty(&report)? } else { table(&report)? });
    Ok(())
}

/// Situations of a hospital's day: each role that may read, each kind of record, a relation or none, a label or none.
fn situations() -> Vec<Situation> {
    let mut situations = Vec::new();
    let categories: HashSet<Category> = ResourceType::all().map(Category::of).collect();
    for role in Role::ALL.into_iter().filter(|role| role.may_read_records()) {
        for category in &categories {
            let relations = Relation::ALL.iter().map(|relation| RelationSet::of([*relation]));
            for relations in relations.chain([RelationSet::default()]) {
                for flags in [PatientFlags::default(), PatientFlags { vip: true, ..PatientFlags::default() }] {
                    situations.push(Situation {
                        role,
                        act: Act::Read,
                        purpose: Purpose::of("TREAT"),
                        strong: true,
                        supplier: false,
                        category: *category,
                        of_patient: true,
                        upcoming: false,
                        relations,
                        flags,
                        label: None,
                        break_glass: false,
                        approved: false,
                        consent: ConsentSays::Nothing,
                    });
                }
            }
        }
    }
    situations
}

fn decisions() -> Outcome<Decisions> {
    let situations = situations();
    if situations.is_empty() {
        return Err("there are no situations to decide".into());
    }
    let policies = Policies::built_in();
    let anew = per_second(&situations, |situation| drop(black_box(policies.decide_anew(situation))));
    situations.iter().for_each(|situation| drop(policies.decide(situation)));
    let kept = per_second(&situations, |situation| drop(black_box(policies.decide(situation))));
    Ok(Decisions { situations: situations.len(), anew_per_s: anew, kept_per_s: kept })
}

fn per_second(situations: &[Situation], decide: impl Fn(&Situation)) -> f64 {
    let (begun, mut done) = (now(), 0);
    let mut all = situations.iter().cycle();
    while begun.elapsed() < COUNTED {
        all.by_ref().take(AT_ONCE).for_each(&decide);
        done += AT_ONCE;
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

fn searches(arguments: &Arguments, report: &mut Report) -> Outcome {
    let own = workspace::target().join("bench-access");
    if own.exists() {
        std::fs::remove_dir_all(&own)?;
    }
    let program = match &arguments.program {
        Some(program) => std::fs::canonicalize(program)?,
        None => programs::build(&SHIPPED, &own.join("programs"))?,
    };
    // Relations are of the present: the charts end today.
    let today = SystemClock.now().as_ms();
    let now = Timestamp::from_ms(today - today.rem_euclid(DAY_MS));
    let hospital = Hospital::new(HospitalOptions { seed: arguments.seed, patients: arguments.patients.into(), now });
    let mut store = Growing::open(&program, &own, arguments.seed)?;
    say(&format!("{} patients: import", arguments.patients));
    report.import = Some(store.grow(arguments.patients, &hospital)?);
    store.instance.let_people_use_tokens()?;
    let everything = store.instance.token()?;
    let physicians = hospital.staff().filter(|member| member.profession == "10").take(CANDIDATES);
    let tokens: Vec<String> =
        physicians.map(|member| store.instance.token_as("clinician", Some(&member.id))).collect::<Outcome<_>>()?;
    let server = store.instance.serve()?;
    say("looking for a physician");
    let mut best: Option<(u64, Client)> = None;
    for token in &tokens {
        let mut client = Client::connect(&server, token)?;
        let count: Value = serde_json::from_slice(&client.read("Patient?_summary=count")?)?;
        let count = count.get("total").and_then(Value::as_u64).unwrap_or(0);
        if count > 0 && best.as_ref().is_none_or(|(most, _)| nearer(count, *most)) {
            best = Some((count, client));
        }
    }
    let (patients, mut physician) =
        best.ok_or("no physician sees a patient: are the rules in force, and tokens of people taken?")?;
    report.physician_patients = patients;
    let subjects = own_subjects(&hospital, &mut physician)?;
    let mut everything = Client::connect(&server, &everything)?;
    say(&format!("searches, with a physician of {patients} patients"));
    for (what, path) in KINDS {
        report.rows.push(row(arguments, what, &subjects, path, &mut everything, &mut physician)?);
    }
    let _ = process::resident_bytes(server.pid())?;
    server.stop()?;
    Ok(std::fs::remove_dir_all(&own)?)
}

fn nearer(one: u64, other: u64) -> bool {
    one.abs_diff(PATIENTS_WANTED) < other.abs_diff(PATIENTS_WANTED)
}

/// The physician's own patients: what both may search for.
fn own_subjects(hospital: &Hospital, physician: &mut Client) -> Outcome<Vec<Subject>> {
    let page: Value = serde_json::from_slice(&physician.read("Patient?_count=500&_elements=id")?)?;
    let entries = page.get("entry").and_then(Value::as_array).into_iter().flatten();
    let ids: HashSet<&str> = entries.filter_map(|entry| entry.pointer("/resource/id")?.as_str()).collect();
    let numbers = (0..hospital.options().patients).filter(|n| ids.contains(hospital.patient_id(*n).as_str()));
    // A chart may lack what a kind of search needs.
    let subjects: Vec<Subject> = numbers.filter_map(|n| subject(&hospital.patient(n)).ok()).collect();
    if subjects.is_empty() { Err("the physician's patients have nothing to search by".into()) } else { Ok(subjects) }
}

fn row(
    arguments: &Arguments,
    what: &'static str,
    subjects: &[Subject],
    path: fn(&Subject) -> String,
    everything: &mut Client,
    physician: &mut Client,
) -> Outcome<Row> {
    let new = || Histogram::<u64>::new_with_bounds(1, LATENCY_NS_MAX, 3);
    let mut latency_ns = [new()?, new()?];
    let mut bytes = [0, 0];
    for (number, subject) in subjects.iter().cycle().take(WARM_UP + arguments.requests).enumerate() {
        let path = path(subject);
        // Each goes first half of the time: the second finds in memory what the first read.
        let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        for place in order {
            let client = if place == 0 { &mut *everything } else { &mut *physician };
            let sent = now();
            let length = client.get(&path).map_err(|error| format!("{what}: {error}"))?;
            if number >= WARM_UP
                && let (Some(latency_ns), Some(bytes)) = (latency_ns.get_mut(place), bytes.get_mut(place))
            {
                latency_ns.record(u64::try_from(sent.elapsed().as_nanos())?)?;
                *bytes += length;
            }
        }
    }
    let [of_everything, own] = latency_ns;
    let us = |latency_ns: &Histogram<u64>, at: f64| latency_ns.value_at_quantile(at) as f64 / 1e3;
    let requests = own.len();
    let [everything_bytes, own_bytes] = bytes.map(|bytes| bytes as f64 / requests as f64);
    // Links in answers differ by a few bytes; answers with other entries by hundreds.
    let same = (everything_bytes - own_bytes).abs() < 0.01 * everything_bytes;
    let share = 1.0 - us(&of_everything, 0.5) / us(&own, 0.5);
    Ok(Row {
        what,
        requests,
        everything_p50_us: us(&of_everything, 0.5),
        everything_p99_us: us(&of_everything, 0.99),
        own_p50_us: us(&own, 0.5),
        own_p99_us: us(&own, 0.99),
        everything_bytes,
        own_bytes,
        deciding_share: same.then_some(share),
    })
}

fn table(report: &Report) -> Outcome<String> {
    let mut out = String::new();
    let Decisions { situations, anew_per_s, kept_per_s } = &report.decisions;
    writeln!(
        out,
        "decisions of the policy on one thread, {situations} situations: {anew_per_s:.0}/s made anew, {kept_per_s:.0}/s kept"
    )?;
    if let Some(import) = &report.import {
        writeln!(
            out,
            "{} patients, {} resources imported at {:.0}/s with {:.0} us CPU each; a physician with {} patients\n",
            import.patients,
            import.resources,
            import.resources_per_s,
            import.cpu_us_per_resource,
            report.physician_patients
        )?;
        writeln!(
            out,
            "{:<52} {:>12} {:>9} {:>12} {:>9} {:>11} {:>11} {:>9}",
            "search", "all p50 us", "p99 us", "own p50 us", "p99 us", "all bytes", "own bytes", "deciding"
        )?;
    }
    for row in &report.rows {
        let share = row.deciding_share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        writeln!(
            out,
            "{:<52} {:>12.0} {:>9.0} {:>12.0} {:>9.0} {:>11.0} {:>11.0} {share:>9}",
            row.what,
            row.everything_p50_us,
            row.everything_p99_us,
            row.own_p50_us,
            row.own_p99_us,
            row.everything_bytes,
            row.own_bytes
        )?;
    }
    Ok(out)
}

#[expect(clippy::disallowed_methods, reason = "measures how long decisions and searches take")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn situations_are_many_and_some_are_open() {
        let situations = situations();
        let policies = Policies::built_in();
        assert!(situations.len() > 1000);
        let open = situations.iter().step_by(97).filter(|situation| policies.decide(situation).permit).count();
        assert!(open > 0 && open < situations.len() / 97);
        let one = &situations[5];
        assert_eq!(policies.decide(one), policies.decide_anew(one));
    }
}
