//! `cargo xtask bench backup`: what a continuous backup costs those who write.
//!
//! Two servers of one program run at once, on stores of their own: one is backed up and the other is not. They get the same work in short turns, and the one
//! whose turn it is not is stopped (SIGSTOP), so that a turn holds the work of one server and all of it: what a backup has to send of a turn goes out in
//! the same server's next one. Turns go with, without, without, with; each pair of neighbours gives a ratio, and what else the machine does falls on both.
//!
//! Rates depend on the disk and on the neighbours. Processor time does so less: it is told by thread, so that what the writers' own threads spend more
//! is seen apart from what the backup's thread does.

use super::load::{self, Sample};
use super::machine::Machine;
use super::measure::median;
use super::programs::{self, SHIPPED};
use super::say;
use super::work::{Job, Kind, Target};
use crate::instance::{Instance, Server};
use crate::{Outcome, process, workspace};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Name of the thread that makes backups.
const THREAD: &str = "backup";

/// Where memory looks like a disk: the place of another machine, as far as this one's disk is concerned.
const MEMORY: &str = "/dev/shm";

/// Length of the work that makes the first patients; not reported.
const PATIENTS_FOR: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure this program and build none
    #[arg(long)]
    program: Option<PathBuf>,
    /// Connections that write at once, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    connections: Vec<usize>,
    /// Pairs of turns, one with a backup and one without
    #[arg(long, default_value_t = 30)]
    pairs: usize,
    /// Seconds of each turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Seconds between two snapshots; servers have 10 unless told otherwise
    #[arg(long, default_value_t = 1)]
    interval: u64,
    /// Where the backup goes; by default into memory, since a target is another machine
    #[arg(long)]
    target: Option<PathBuf>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    format: u32,
    machine: Machine,
    seconds: f64,
    interval_seconds: u64,
    target: PathBuf,
    snapshots: usize,
    rows: Vec<Row>,
}

/// One number of connections.
#[derive(Serialize)]
struct Row {
    connections: usize,
    with: Side,
    without: Side,
    /// Writes a second, with a backup against without.
    rate: Spread,
    /// Processor time of a write, with a backup against without.
    cpu: Spread,
}

/// One of the two servers, over all its turns.
#[derive(Serialize)]
struct Side {
    writes: u64,
    writes_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us_per_write: f64,
    /// Of that, by the threads' names.
    threads_us_per_write: BTreeMap<String, f64>,
}

/// Ratios of pairs.
#[derive(Serialize)]
struct Spread {
    pairs: usize,
    median: f64,
    /// Where the median of all such pairs lies with 95 % certainty, whatever their distribution.
    low: f64,
    high: f64,
    quartiles: (f64, f64),
    mean: f64,
}

/// A server whose turn comes.
struct Contestant {
    server: Server,
    target: Target,
    patients: Vec<String>,
    turns: BTreeMap<usize, Vec<Turn>>,
}

struct Turn {
    sample: Sample,
    /// Share of the process's time by the threads' names.
    shares: BTreeMap<String, f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.pairs == 0 || arguments.connections.contains(&0) || !(0.1..=60.0).contains(&arguments.seconds) {
        return Err("pairs and connections are 1 at least, seconds from 0.1 to 60".into());
    }
    let folder = workspace::target().join("bench").join("backup");
    let memory = Path::new(MEMORY);
    let elsewhere = if memory.is_dir() { memory.to_path_buf() } else { folder.clone() };
    let place = arguments.target.clone().unwrap_or(elsewhere).join(format!("tacet-bench-{}", std::process::id()));
    let measured = measure(arguments, &folder, &place);
    // Whether or not it went well.
    let _ = std::fs::remove_dir_all(&place);
    let report = measured?;
    std::fs::remove_dir_all(&folder)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn measure(arguments: &Arguments, folder: &Path, place: &Path) -> Outcome<Report> {
    let program = match &arguments.program {
        Some(program) => std::fs::canonicalize(program)?,
        None => programs::build(&SHIPPED, &folder.join("programs"))?,
    };
    let (content, keys) = (place.join("content"), place.join("keys"));
    std::fs::create_dir_all(&content)?;
    std::fs::create_dir_all(&keys)?;
    let mut both = Vec::new();
    for backed_up in [true, false] {
        let name = if backed_up { "with" } else { "without" };
        let instance = Instance::create(&program, &folder.join(name))?;
        if backed_up {
            instance.back_up(&content, &keys, arguments.interval)?;
        }
        both.push(contestant(name, &instance)?);
    }
    for round in 0..arguments.pairs {
        for &connections in &arguments.connections {
            // With, without; then without, with.
            let mut order: Vec<&mut Contestant> = both.iter_mut().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for contestant in order {
                turn(contestant, connections, Duration::from_secs_f64(arguments.seconds), round as u64)?;
            }
        }
        say(&format!("pair {} of {}", round + 1, arguments.pairs));
    }
    let mut rows = Vec::new();
    for &connections in &arguments.connections {
        let turns = |at: usize| both.get(at).and_then(|contestant| contestant.turns.get(&connections));
        let (with, without) = (turns(0).ok_or("no turns")?, turns(1).ok_or("no turns")?);
        let ratios = |figure: &dyn Fn(&Turn) -> f64| {
            Spread::of(with.iter().zip(without).map(|(with, without)| figure(with) / figure(without)).collect())
        };
        rows.push(Row {
            connections,
            with: Side::of(with)?,
            without: Side::of(without)?,
            rate: ratios(&|turn| turn.sample.rate_per_s()),
            cpu: ratios(&|turn| turn.sample.server_cpu_each_s().unwrap_or(f64::NAN)),
        });
    }
    for contestant in both {
        signal(&contestant.server, "CONT")?;
        contestant.server.stop()?;
    }
    let snapshots = std::fs::read_dir(content.join("snapshots"))?.count();
    if snapshots < arguments.pairs {
        return Err(format!(
            "there are {snapshots} snapshots of {} turns: the backup did not keep up",
            arguments.pairs
        )
        .into());
    }
    Ok(Report {
        format: 1,
        machine: Machine::here(),
        seconds: arguments.seconds,
        interval_seconds: arguments.interval,
        target: place.to_path_buf(),
        snapshots,
        rows,
    })
}

/// Starts a server, gives it patients, and stops it until its turn comes.
fn contestant(name: &str, instance: &Instance) -> Outcome<Contestant> {
    let token = instance.token()?;
    let server = instance.serve()?;
    let mut target = Target::parse(name, &format!("http://{}", server.address))?;
    target.authorization = Some(format!("Bearer {token}"));
    target.pid = Some(server.pid());
    let sample = load::run(&target, &Job::new(Kind::Patient, &[], &[], 1), 1, PATIENTS_FOR)?;
    if let Some(error) = sample.first_error {
        return Err(format!("{name}: {error}").into());
    }
    let patients = sample.created.into_iter().map(|created| created.place).collect();
    signal(&server, "STOP")?;
    Ok(Contestant { server, target, patients, turns: BTreeMap::new() })
}

fn turn(contestant: &mut Contestant, connections: usize, length: Duration, seed: u64) -> Outcome {
    signal(&contestant.server, "CONT")?;
    let pid = contestant.server.pid();
    let before = process::threads_cpu_s(pid)?;
    let job = Job::new(Kind::Create, &contestant.patients, &[], seed);
    let sample = load::run(&contestant.target, &job, connections, length)?;
    let after = process::threads_cpu_s(pid)?;
    signal(&contestant.server, "STOP")?;
    if let Some(error) = &sample.first_error {
        return Err(format!("{}: {error}", contestant.target.name).into());
    }
    let spent = after.into_iter().map(|(name, s)| {
        let earlier = before.get(&name).copied().unwrap_or_default();
        (name, (s - earlier).max(0.0))
    });
    let spent: BTreeMap<String, f64> = spent.collect();
    let all: f64 = spent.values().sum();
    let shares = spent.into_iter().map(|(name, s)| (name, s / all.max(f64::MIN_POSITIVE))).collect();
    contestant.turns.entry(connections).or_default().push(Turn { sample, shares });
    Ok(())
}

fn signal(server: &Server, name: &str) -> Outcome {
    let status = Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(format!("the server could not be sent SIG{name}").into()) }
}

impl Side {
    fn of(turns: &[Turn]) -> Outcome<Self> {
        let mut all = Sample::empty()?;
        let mut threads: BTreeMap<String, f64> = BTreeMap::new();
        for turn in turns {
            all.add_figures(&turn.sample)?;
            let cpu_s = turn.sample.server_cpu_s.unwrap_or_default();
            for (name, share) in &turn.shares {
                *threads.entry(name.clone()).or_default() += share * cpu_s;
            }
        }
        let writes = all.latency_ns.len();
        let each = |s: f64| s * 1e6 / writes.max(1) as f64;
        let quantile = |quantile| all.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Self {
            writes,
            writes_per_s: all.rate_per_s(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            cpu_us_per_write: each(all.server_cpu_s.unwrap_or_default()),
            threads_us_per_write: threads.into_iter().map(|(name, s)| (name, each(s))).collect(),
        })
    }
}

impl Spread {
    fn of(mut ratios: Vec<f64>) -> Self {
        ratios.sort_by(f64::total_cmp);
        let pairs = ratios.len();
        let at = |place: f64| {
            let last = pairs.saturating_sub(1);
            ratios.get((place.max(0.0) as usize).min(last)).copied().unwrap_or(f64::NAN)
        };
        // The signs of differences from the median are throws of a coin: half of them lie on each side, give or take 1.96 standard deviations.
        let (half, away) = (pairs as f64 / 2.0, 0.98 * (pairs as f64).sqrt());
        Self {
            pairs,
            median: median(ratios.iter().copied()),
            low: at((half - away).floor()),
            high: at((half + away).ceil() - 1.0),
            quartiles: (at(pairs as f64 / 4.0), at(pairs as f64 * 3.0 / 4.0)),
            mean: (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / pairs as f64).exp(),
        }
    }

    fn said(&self) -> String {
        format!(
            "{:.3}  (95 %: {:.3} to {:.3}; quartiles {:.3}, {:.3}; geometric mean {:.3}; {} pairs)",
            self.median, self.low, self.high, self.quartiles.0, self.quartiles.1, self.mean, self.pairs
        )
    }
}

fn print(report: &Report) {
    println!(
        "{}, {} threads, {}, commit {}",
        report.machine.processor, report.machine.threads, report.machine.kernel, report.machine.commit
    );
    println!(
        "turns of {} s, a snapshot each {} s to {}, {} snapshots",
        report.seconds,
        report.interval_seconds,
        report.target.display(),
        report.snapshots
    );
    for row in &report.rows {
        println!(
            "\n{} connections            writes/s     p50 us     p99 us   cpu us a write   of it the backup",
            row.connections
        );
        for (name, side) in [("with a backup", &row.with), ("without", &row.without)] {
            println!(
                "{name:<22} {:>12.0} {:>10.0} {:>10.0} {:>16.1} {:>18.1}",
                side.writes_per_s,
                side.p50_us,
                side.p99_us,
                side.cpu_us_per_write,
                side.threads_us_per_write.get(THREAD).copied().unwrap_or_default()
            );
        }
        println!("writes a second, with / without: {}", row.rate.said());
        println!("cpu of a write,  with / without: {}", row.cpu.said());
        println!("cpu of a write by thread, us, with and without:");
        let names: std::collections::BTreeSet<&String> =
            row.with.threads_us_per_write.keys().chain(row.without.threads_us_per_write.keys()).collect();
        for name in names {
            let of = |side: &Side| side.threads_us_per_write.get(name).copied().unwrap_or_default();
            if of(&row.with) >= 1.0 || of(&row.without) >= 1.0 {
                println!("  {name:<18} {:>8.1} {:>8.1}", of(&row.with), of(&row.without));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_within_its_bounds() {
        let spread = Spread::of((1..=30).map(|n| f64::from(n) / 10.0).rev().collect());
        assert_eq!(spread.median, 1.55);
        // Ranks 10 and 21 of 30: the usual interval for a median of thirty.
        assert_eq!((spread.low, spread.high), (1.0, 2.1));
        assert!(spread.quartiles.0 < spread.median && spread.median < spread.quartiles.1);
        let one = Spread::of(vec![0.9]);
        assert_eq!((one.low, one.median, one.high), (0.9, 0.9, 0.9));
        assert!(Spread::of(Vec::new()).median.is_nan());
    }
}
