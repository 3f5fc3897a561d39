//! What a run found: as one JSON document with a version, or as tables for a person.

use super::load::Sample;
use super::machine::Machine;
use super::measure::median;
use super::work::Kind;
use crate::Outcome;
use serde::Serialize;

/// Everything of one run.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Version of this document's shape.
    pub(crate) format: u32,
    pub(crate) machine: Machine,
    pub(crate) patients: u32,
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) rounds: usize,
    pub(crate) imports: Vec<ImportRow>,
    pub(crate) http: Vec<HttpRow>,
    pub(crate) starts: Vec<StartRow>,
    pub(crate) ratios: Vec<Ratio>,
}

/// One import, the median of its rounds.
#[derive(Serialize)]
pub(crate) struct ImportRow {
    pub(crate) program: String,
    pub(crate) what: String,
    pub(crate) resources: u64,
    /// Size of what was read, unpacked.
    pub(crate) input_bytes: u64,
    /// The whole command, its start and its end included.
    pub(crate) wall_s: f64,
    pub(crate) resources_per_s: f64,
    pub(crate) cpu_us_per_resource: f64,
    pub(crate) disk_bytes_per_resource: f64,
}

/// One kind of request at one number of connections, over all rounds.
#[derive(Serialize)]
pub(crate) struct HttpRow {
    pub(crate) target: String,
    #[serde(serialize_with = "kind_name")]
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) requests_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Processor time of the server for each request, when its process is known.
    pub(crate) server_cpu_us: Option<f64>,
    /// Processor time of the load generator, as a share of one thread.
    pub(crate) generator_share: f64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// A start, or memory at some moment.
#[derive(Serialize)]
pub(crate) struct StartRow {
    pub(crate) program: String,
    pub(crate) what: String,
    /// From the start of the process to its first good answer.
    pub(crate) start_ms: Option<f64>,
    pub(crate) resident_bytes: u64,
}

/// The shipped program's rate divided by another's in the same round, and the same of its processor time.
#[derive(Serialize)]
pub(crate) struct Ratio {
    pub(crate) what: String,
    /// 0 where there are none.
    pub(crate) connections: usize,
    pub(crate) against: String,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Processor time a request, as a multiple of the other's: the median of the rounds. Steadier than rates on a busy machine.
    pub(crate) cpu_median: Option<f64>,
}

impl Report {
    /// Requests that failed, over the whole run.
    pub(crate) fn errors(&self) -> u64 {
        self.http.iter().map(|row| row.errors).sum()
    }
}

impl HttpRow {
    /// Brings the rounds together.
    pub(crate) fn of(target: &str, kind: Kind, connections: usize, samples: &[Sample]) -> Outcome<Self> {
        let mut all = Sample::empty()?;
        for sample in samples {
            all.add_figures(sample)?;
        }
        let requests = all.latency_ns.len();
        let us = |quantile| all.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Self {
            target: target.to_owned(),
            kind,
            connections,
            requests,
            requests_per_s: all.rate_per_s(),
            p50_us: us(0.5),
            p90_us: us(0.9),
            p99_us: us(0.99),
            p999_us: us(0.999),
            server_cpu_us: all.server_cpu_each_s().map(|cpu_s| cpu_s * 1e6),
            generator_share: all.generator_cpu_s / all.wall_s,
            errors: all.errors,
            first_error: all.first_error,
        })
    }
}

impl Ratio {
    /// Divides rates and processor times round by round. `None` when the other did not do this.
    pub(crate) fn of(
        what: &str,
        connections: usize,
        against: &str,
        own: &[Figures],
        theirs: &[Figures],
    ) -> Option<Self> {
        let rounds = || own.iter().zip(theirs);
        let each: Vec<f64> = rounds().map(|((own, _), (theirs, _))| own / theirs).collect();
        let cpu = rounds().map(|((_, own), (_, theirs))| Some((*own)? / (*theirs)?)).collect::<Option<Vec<f64>>>();
        (!each.is_empty()).then(|| Self {
            what: what.to_owned(),
            connections,
            against: against.to_owned(),
            median: median(each.iter().copied()),
            min: each.iter().copied().fold(f64::INFINITY, f64::min),
            max: each.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            cpu_median: cpu.map(|cpu| median(cpu.into_iter())),
        })
    }
}

/// One round's rate, and its processor time a request where it is known.
pub(crate) type Figures = (f64, Option<f64>);

/// Prints tables.
pub(crate) fn print(report: &Report) {
    let Report { machine, patients, seed, seconds, rounds, .. } = report;
    println!("{}, {} threads, {}, commit {}", machine.processor, machine.threads, machine.kernel, machine.commit);
    println!(
        "{patients} synthetic patients (seed {seed}), {rounds} rounds of {seconds} s; load and server share this machine"
    );
    println!(
        "\nimport             what        resources      in MB        s   resources/s  cpu us each  disk bytes each"
    );
    for row in &report.imports {
        println!(
            "{:<18} {:<10} {:>10} {:>10.1} {:>8.2} {:>13.0} {:>12.1} {:>16.0}",
            row.program,
            row.what,
            row.resources,
            row.input_bytes as f64 / 1e6,
            row.wall_s,
            row.resources_per_s,
            row.cpu_us_per_resource,
            row.disk_bytes_per_resource
        );
    }
    println!(
        "\nconn. request    server             requests/s   p50 us   p90 us   p99 us p99.9 us  cpu us each  generator  errors"
    );
    for row in &report.http {
        println!(
            "{:>5} {:<10} {:<18} {:>10.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>12} {:>9.0}% {:>7}",
            row.connections,
            row.kind.name(),
            row.target,
            row.requests_per_s,
            row.p50_us,
            row.p90_us,
            row.p99_us,
            row.p999_us,
            row.server_cpu_us.map_or_else(|| "-".to_owned(), |us| format!("{us:.0}")),
            row.generator_share * 100.0,
            row.errors
        );
    }
    for row in report.http.iter().filter(|row| row.errors > 0) {
        let error = row.first_error.as_deref().unwrap_or("unknown");
        println!("      {} at {} connections, {}: {error}", row.kind.name(), row.connections, row.target);
    }
    println!("\nprocess            when                start ms   resident MB");
    for row in &report.starts {
        let start_ms = row.start_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
        println!("{:<18} {:<16} {:>11} {:>13.1}", row.program, row.what, start_ms, row.resident_bytes as f64 / 1e6);
    }
    if !report.ratios.is_empty() {
        println!(
            "\ntacet against      work       conn.   times as fast (least to most over the rounds)   times the cpu"
        );
    }
    for row in &report.ratios {
        let connections = if row.connections == 0 { "-".to_owned() } else { row.connections.to_string() };
        let cpu = row.cpu_median.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
        let spread = format!("({:.2} to {:.2})", row.min, row.max);
        println!("{:<18} {:<10} {connections:>5}   {:.2} {spread:<41} {cpu:>13}", row.against, row.what, row.median);
    }
}

fn kind_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let own = [(10.0, Some(1.0)), (30.0, Some(1.0)), (20.0, Some(4.0))];
        let ratio = Ratio::of("read", 1, "x", &own, &[(10.0, Some(2.0)); 3]).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max, ratio.cpu_median), (2.0, 1.0, 3.0, Some(0.5)));
        let ratio = Ratio::of("read", 1, "x", &own, &[(10.0, None)]).unwrap();
        assert_eq!((ratio.median, ratio.cpu_median), (1.0, None));
        assert!(Ratio::of("read", 1, "x", &own, &[]).is_none());
    }

    #[test]
    fn rounds_are_brought_together() {
        let sample = |ns| {
            let mut sample = Sample::empty().unwrap();
            sample.latency_ns.record(ns).unwrap();
            (sample.wall_s, sample.server_cpu_s) = (0.5, Some(0.001));
            sample
        };
        let row = HttpRow::of("x", Kind::Read, 4, &[sample(10_000), sample(20_000)]).unwrap();
        assert_eq!((row.requests, row.requests_per_s), (2, 2.0));
        assert_eq!(row.server_cpu_us, Some(1_000.0));
        assert!((9.9..10.1).contains(&row.p50_us) && (19.9..20.1).contains(&row.p999_us));
    }
}
