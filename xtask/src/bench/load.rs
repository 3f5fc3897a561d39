//! Load in a closed loop: each connection sends, waits for the whole answer, and sends again. One thread of this process
//! carries all connections, so that on a small machine the server has the rest; what it uses is part of the report.
//!
//! A closed loop never asks faster than the server answers: a stall shows in the highest percentiles once, not as the
//! queue that patients of a real ward would form.

use super::work::{Created, Done, Job, Target};
use crate::{Outcome, process};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Time before each measurement in which requests are sent but not counted.
const WARM_UP: Duration = Duration::from_millis(250);

/// Longest time that is told apart, in nanoseconds.
const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// Longest answer that is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What one measurement gave.
pub(crate) struct Sample {
    /// Nanoseconds of each request that succeeded.
    pub(crate) latency_ns: Histogram<u64>,
    /// Requests that did not get the status they should.
    pub(crate) errors: u64,
    /// The first thing that went wrong, without any content.
    pub(crate) first_error: Option<String>,
    /// Length of the measurement.
    pub(crate) wall_s: f64,
    /// Processor time of the server meanwhile, when its process is known.
    pub(crate) server_cpu_s: Option<f64>,
    /// Processor time of this process meanwhile.
    pub(crate) generator_cpu_s: f64,
    /// What was made, for later work.
    pub(crate) created: Vec<Created>,
}

impl Sample {
    /// Nothing yet.
    pub(crate) fn empty() -> Outcome<Self> {
        Ok(Self {
            latency_ns: Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?,
            errors: 0,
            first_error: None,
            wall_s: 0.0,
            server_cpu_s: None,
            generator_cpu_s: 0.0,
            created: Vec::new(),
        })
    }

    /// Adds the figures of a later measurement of the same thing.
    pub(crate) fn add_figures(&mut self, later: &Self) -> Outcome {
        self.latency_ns.add(&later.latency_ns)?;
        self.errors += later.errors;
        self.first_error = self.first_error.take().or_else(|| later.first_error.clone());
        self.wall_s += later.wall_s;
        self.server_cpu_s = match (self.server_cpu_s, later.server_cpu_s) {
            (Some(earlier), Some(later)) => Some(earlier + later),
            (earlier, later) => earlier.or(later),
        };
        self.generator_cpu_s += later.generator_cpu_s;
        Ok(())
    }

    /// Requests that succeeded, a second.
    pub(crate) fn rate_per_s(&self) -> f64 {
        self.latency_ns.len() as f64 / self.wall_s
    }

    /// Processor time of the server for each request, in seconds, when its process is known.
    pub(crate) fn server_cpu_each_s(&self) -> Option<f64> {
        self.server_cpu_s.map(|cpu_s| cpu_s / self.latency_ns.len().max(1) as f64)
    }
}

/// Sends `job` to `target` over `connections` connections for a while.
pub(crate) fn run(target: &Target, job: &Job, connections: usize, length: Duration) -> Outcome<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(run_inside(target, job, connections, length)))
}

async fn run_inside(target: &Target, job: &Job, connections: usize, length: Duration) -> Outcome<Sample> {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(target).await?);
    }
    let start = now() + WARM_UP;
    let end = start + length;
    let loops: Vec<_> = (0..)
        .zip(senders)
        .map(|(number, sender)| {
            let (target, job) = (target.clone(), job.for_connection(number, connections));
            tokio::task::spawn_local(repeat(sender, target, job, start, end))
        })
        .collect();
    tokio::time::sleep_until(start.into()).await;
    let (server_before, own_before) =
        (target.pid.map(process::cpu_s).transpose()?, process::cpu_s(std::process::id())?);
    tokio::time::sleep_until(end.into()).await;
    let (server_after, own_after) = (target.pid.map(process::cpu_s).transpose()?, process::cpu_s(std::process::id())?);
    let mut sample = Sample::empty()?;
    for each in loops {
        let mut one = each.await??;
        sample.add_figures(&one)?;
        sample.created.append(&mut one.created);
    }
    sample.wall_s = length.as_secs_f64();
    sample.server_cpu_s = server_before.zip(server_after).map(|(before, after)| after - before);
    sample.generator_cpu_s = own_after - own_before;
    Ok(sample)
}

/// One connection's loop. Requests that began before `start` or ended after `end` are not counted, but what they made is kept.
async fn repeat(
    mut sender: SendRequest<Full<Bytes>>,
    target: Target,
    mut job: Job,
    start: Instant,
    end: Instant,
) -> Outcome<Sample> {
    let mut sample = Sample::empty()?;
    loop {
        let sent = now();
        if sent >= end {
            return Ok(sample);
        }
        let request = job.next(&target)?;
        let answer = tokio::time::timeout(ANSWER_MAX, async {
            let answer = sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, hyper::Error>((head, body.collect().await?.to_bytes()))
        });
        let outcome = match answer.await {
            Ok(Ok((head, body))) => job.judge(&head, &body),
            Ok(Err(error)) => Err(format!("connection: {error}")),
            Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
        };
        let ended = now();
        let counted = sent >= start && ended <= end;
        match outcome {
            Ok(Done::Created(created)) => sample.created.push(created),
            Ok(Done::Answered) => {}
            Err(error) => {
                sample.errors += 1;
                sample.first_error.get_or_insert(error);
                // A server that closes after an error is met again; one that is gone ends the run here.
                sender = connect(&target).await?;
                continue;
            }
        }
        if counted {
            let ns = u64::try_from((ended - sent).as_nanos()).unwrap_or(LATENCY_NS_MAX);
            sample.latency_ns.saturating_record(ns);
        }
    }
}

async fn connect(target: &Target) -> Outcome<SendRequest<Full<Bytes>>> {
    let stream =
        TcpStream::connect(&target.authority).await.map_err(|error| format!("{}: {error}", target.authority))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end is seen by the sender, which reports it.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

#[expect(clippy::disallowed_methods, reason = "measures how long answers take")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::Kind;
    use hyper::service::service_fn;
    use hyper::{Method, Request, Response, body::Incoming};
    use std::net::SocketAddr;

    /// A server that does what a FHIR server does as far as this load can tell, and refuses updates.
    fn stand_in() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let serve = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(answer));
                    tokio::spawn(serve);
                }
            });
        });
        address
    }

    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let status = match *request.method() {
            Method::POST => 201,
            Method::GET => 200,
            _ => 500,
        };
        let path = request.uri().path().to_owned();
        drop(request.into_body().collect().await?);
        let answer = Response::builder().status(status).header("location", format!("{path}/7/_history/1"));
        Ok(answer.body(Full::from("{}")).unwrap())
    }

    #[test]
    fn load_is_counted_and_refusals_are_errors() {
        let target = Target::parse("stand-in", &format!("http://{}/fhir", stand_in())).unwrap();
        let length = Duration::from_millis(300);
        let made = run(&target, &Job::new(Kind::Patient, &[], &[], 1), 1, length).unwrap();
        assert!(made.errors == 0 && !made.latency_ns.is_empty());
        assert!(made.created.len() as u64 >= made.latency_ns.len(), "what the warm-up made was lost");
        assert_eq!(made.created[0].place, "Patient/7");

        let patients: Vec<String> = made.created.into_iter().map(|created| created.place).collect();
        let created = run(&target, &Job::new(Kind::Create, &patients, &[], 1), 4, length).unwrap();
        assert!(created.errors == 0 && created.created.iter().all(|created| created.patient == "Patient/7"));
        let read = run(&target, &Job::new(Kind::Read, &[], &created.created, 1), 4, length).unwrap();
        assert!(read.errors == 0 && !read.latency_ns.is_empty());

        let refused = run(&target, &Job::new(Kind::Update, &[], &created.created, 1), 2, length).unwrap();
        assert!(refused.errors > 0 && refused.latency_ns.is_empty());
        assert_eq!(refused.first_error.as_deref(), Some("Update was answered by 500 Internal Server Error"));
    }
}
