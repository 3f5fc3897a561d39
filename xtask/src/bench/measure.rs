//! The order of a run: build, import, load in turns, start again; and what is kept of it.

use super::Arguments;
use super::hospital::{self, Hospital};
use super::load::{self, Sample};
use super::machine::Machine;
use super::programs::{self, SHIPPED, WITHOUT};
use super::report::{HttpRow, ImportRow, Ratio, Report, StartRow};
use super::say;
use super::work::{Created, Job, Kind, Target};
use crate::instance::{Instance, Server, Took};
use crate::{Outcome, process, workspace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Length of the measurement that makes the first patients; not reported.
const PATIENTS_FOR: Duration = Duration::from_millis(500);

/// One of our programs in the run.
struct Ours {
    name: &'static str,
    program: PathBuf,
    /// The store of its last import.
    instance: Option<Instance>,
    imports: Vec<Took>,
    disk_bytes: u64,
}

/// One server in the run, with what it was given to work on.
struct Contestant {
    target: Target,
    patients: Vec<String>,
    present: Vec<Created>,
    imported: Vec<Created>,
    /// Samples by kind and connections, one a round.
    samples: BTreeMap<(Kind, usize), Vec<Sample>>,
}

/// Measures everything that was asked for.
pub(super) fn all(arguments: &Arguments) -> Outcome<Report> {
    let folder = workspace::target().join("bench");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut ours = build(arguments, &folder.join("programs"))?;
    say("making the synthetic hospital");
    let hospital = hospital::write(&folder.join("hospital"), arguments.patients, arguments.seed)?;
    for round in 0..arguments.rounds {
        for program in in_turn(&mut ours, round) {
            say(&format!("round {} of {}: import, {}", round + 1, arguments.rounds, program.name));
            import(program, &folder, std::slice::from_ref(&hospital.folder))?;
        }
    }
    let mut imports: Vec<ImportRow> = ours.iter().map(|program| import_row("hospital", program, &hospital)).collect();
    if let Some(data) = &arguments.data {
        imports.push(import_data(&ours, data, &folder)?);
    }
    let (contestants, mut starts) = serve_and_load(arguments, &ours, &hospital)?;
    starts.extend(start_again(arguments, &ours)?);
    let report = Report {
        format: 1,
        machine: Machine::here(),
        patients: arguments.patients,
        seed: arguments.seed,
        seconds: arguments.seconds,
        rounds: arguments.rounds,
        ratios: ratios(&ours, &contestants),
        http: http_rows(&contestants)?,
        imports,
        starts,
    };
    if !arguments.keep {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(report)
}

/// Builds the programs, the shipped one last so that `target/release` holds it afterwards; first in the list.
fn build(arguments: &Arguments, folder: &Path) -> Outcome<Vec<Ours>> {
    let mut ours = Vec::new();
    let without = if arguments.prices { WITHOUT.as_slice() } else { &[] };
    for variant in without.iter().chain([&SHIPPED]) {
        say(&format!("building: {}", variant.name));
        let program = programs::build(variant, folder)?;
        ours.push(Ours { name: variant.name, program, instance: None, imports: Vec::new(), disk_bytes: 0 });
    }
    ours.rotate_right(1);
    Ok(ours)
}

/// Everybody, beginning with another one each round, so that what the machine does beside hits all alike.
fn in_turn<T>(all: &mut [T], round: usize) -> impl Iterator<Item = &mut T> {
    let first = round.checked_rem(all.len()).unwrap_or(0);
    let (later, earlier) = all.split_at_mut(first);
    earlier.iter_mut().chain(later)
}

/// Imports into a fresh store, in place of the one before.
fn import(program: &mut Ours, folder: &Path, paths: &[PathBuf]) -> Outcome {
    program.instance = None;
    let instance = Instance::create(&program.program, &folder.join("stores").join(program.name.replace(' ', "-")))?;
    program.imports.push(instance.import(paths)?);
    program.disk_bytes = process::disk_bytes(&instance.data())?;
    program.instance = Some(instance);
    Ok(())
}

fn import_row(what: &str, program: &Ours, hospital: &Hospital) -> ImportRow {
    let resources = hospital.resources as f64;
    let wall_s = median(program.imports.iter().map(|took| took.wall_s));
    let cpu_s = median(program.imports.iter().map(|took| took.cpu_s));
    ImportRow {
        program: program.name.to_owned(),
        what: what.to_owned(),
        resources: hospital.resources,
        input_bytes: hospital.bytes,
        wall_s,
        resources_per_s: resources / wall_s,
        cpu_us_per_resource: cpu_s * 1e6 / resources,
        disk_bytes_per_resource: program.disk_bytes as f64 / resources,
    }
}

/// Imports the folder that was given, on a store of its own, with the shipped program.
fn import_data(ours: &[Ours], data: &Path, folder: &Path) -> Outcome<ImportRow> {
    let data = std::fs::canonicalize(data).map_err(|error| format!("{}: {error}", data.display()))?;
    say("counting the resources of --data");
    let counted = hospital::count(&data)?;
    let shipped = ours.first().ok_or("no program")?;
    let mut program =
        Ours { name: "data", program: shipped.program.clone(), instance: None, imports: Vec::new(), disk_bytes: 0 };
    say("importing --data");
    import(&mut program, folder, &[data])?;
    program.name = shipped.name;
    Ok(import_row("--data", &program, &counted))
}

/// Starts every program, loads all servers in turns, and stops them.
fn serve_and_load(
    arguments: &Arguments,
    ours: &[Ours],
    hospital: &Hospital,
) -> Outcome<(Vec<Contestant>, Vec<StartRow>)> {
    let mut servers: Vec<(&Ours, Server)> = Vec::new();
    let mut contestants = Vec::new();
    for program in ours {
        let instance = program.instance.as_ref().ok_or("no store was made")?;
        let token = instance.token()?;
        let server = instance.serve()?;
        let mut target = Target::parse(program.name, &format!("http://{}", server.address))?;
        target.authorization = Some(format!("Bearer {token}"));
        target.pid = Some(server.pid());
        contestants.push(contestant(target, hospital.places.clone()));
        servers.push((program, server));
    }
    if let Some(url) = &arguments.peer {
        let mut target = Target::parse("peer", url)?;
        target.authorization.clone_from(&arguments.peer_authorization);
        target.pid = arguments.peer_pid;
        contestants.push(contestant(target, Vec::new()));
    }
    for contestant in &mut contestants {
        let job = Job::new(Kind::Patient, &[], &[], arguments.seed);
        let sample = load::run(&contestant.target, &job, 1, PATIENTS_FOR)?;
        if let Some(error) = sample.first_error {
            return Err(format!("{}: {error}", contestant.target.name).into());
        }
        contestant.patients = sample.created.into_iter().map(|created| created.place).collect();
    }
    let length = Duration::from_secs_f64(arguments.seconds);
    for round in 0..arguments.rounds {
        for &connections in &arguments.connections {
            say(&format!("round {} of {}: {connections} connections", round + 1, arguments.rounds));
            for kind in [Kind::Create, Kind::Read, Kind::ReadImported, Kind::Update] {
                for contestant in in_turn(&mut contestants, round) {
                    measure(contestant, kind, connections, length, arguments.seed + round as u64)?;
                }
            }
        }
    }
    let mut rows = Vec::new();
    for (program, server) in servers {
        let (_, resident_bytes_max) = process::resident_bytes(server.pid())?;
        rows.push(StartRow {
            program: program.name.to_owned(),
            what: "after the load".to_owned(),
            start_ms: None,
            resident_bytes: resident_bytes_max,
        });
        server.stop()?;
    }
    Ok((contestants, rows))
}

fn contestant(target: Target, imported: Vec<String>) -> Contestant {
    let imported = imported.into_iter().map(|place| Created { place, patient: String::new() }).collect();
    Contestant { target, patients: Vec::new(), present: Vec::new(), imported, samples: BTreeMap::new() }
}

/// One measurement of one server; what it created is there for the next.
fn measure(contestant: &mut Contestant, kind: Kind, connections: usize, length: Duration, seed: u64) -> Outcome {
    let present = if kind == Kind::ReadImported { &contestant.imported } else { &contestant.present };
    if kind == Kind::ReadImported && present.is_empty() {
        return Ok(());
    }
    let job = Job::new(kind, &contestant.patients, present, seed);
    let mut sample = load::run(&contestant.target, &job, connections, length)?;
    contestant.present.append(&mut sample.created);
    contestant.samples.entry((kind, connections)).or_default().push(sample);
    Ok(())
}

/// Starts the shipped program on its filled store, several times.
fn start_again(arguments: &Arguments, ours: &[Ours]) -> Outcome<Vec<StartRow>> {
    say("starting again on what is there");
    let shipped = ours.first().ok_or("no program")?;
    let instance = shipped.instance.as_ref().ok_or("no store was made")?;
    let (mut starts, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let server = instance.serve()?;
        starts.push(server.start_s * 1e3);
        resident.push(process::resident_bytes(server.pid())?.0 as f64);
        server.stop()?;
    }
    Ok(vec![StartRow {
        program: shipped.name.to_owned(),
        what: "after a start".to_owned(),
        start_ms: Some(median(starts.into_iter())),
        resident_bytes: median(resident.into_iter()) as u64,
    }])
}

fn http_rows(contestants: &[Contestant]) -> Outcome<Vec<HttpRow>> {
    let mut rows = Vec::new();
    for contestant in contestants {
        for ((kind, connections), samples) in &contestant.samples {
            rows.push(HttpRow::of(&contestant.target.name, *kind, *connections, samples)?);
        }
    }
    rows.sort_by_key(|row| (row.connections, row.kind));
    Ok(rows)
}

/// The shipped program against each of the others, in the same round each time: rate, and processor time a request.
fn ratios(ours: &[Ours], contestants: &[Contestant]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    if let Some((shipped, others)) = ours.split_first() {
        let figures = |program: &Ours| -> Vec<_> {
            program.imports.iter().map(|took| (1.0 / took.wall_s, Some(took.cpu_s))).collect()
        };
        let of = |other: &Ours| Ratio::of("import", 0, other.name, &figures(shipped), &figures(other));
        ratios.extend(others.iter().filter_map(of));
    }
    let figures = |contestant: &Contestant, key: &(Kind, usize)| -> Vec<_> {
        let samples = contestant.samples.get(key).into_iter().flatten();
        samples.map(|sample| (sample.rate_per_s(), sample.server_cpu_each_s())).collect()
    };
    if let Some((shipped, others)) = contestants.split_first() {
        for other in others {
            for key in shipped.samples.keys() {
                let (own, theirs) = (figures(shipped, key), figures(other, key));
                ratios.extend(Ratio::of(key.0.name(), key.1, &other.target.name, &own, &theirs));
            }
        }
    }
    ratios
}

/// The middle of some figures, or between the two in the middle.
pub(super) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    (at(figures.len().saturating_sub(1) / 2) + at(figures.len() / 2)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_and_another_begins() {
        let mut all = ['a', 'b', 'c'];
        let turns: Vec<String> = (0..4).map(|round| in_turn(&mut all, round).map(|c| *c).collect()).collect();
        assert_eq!(turns, ["abc", "bca", "cab", "abc"]);
        assert_eq!(in_turn(&mut [] as &mut [u8], 3).count(), 0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 8.0].into_iter()), 3.0);
        assert!(median([].into_iter()).is_nan());
    }
}
