//! One attack on a fresh copy: the hospital is bent, goes on, and everybody who can looks.

use super::attacks::{Attack, How, Watcher};
use super::outside;
use super::stage::{AGE_S, Base, Copy, NEVER_S, PUBLISH_S, copy, end, read, settings, text, witness_directory};
use crate::commands::drill::child::{Children, Server};
use crate::commands::drill::http::Client;
use crate::commands::drill::scratch::{Area, Scratch};
use crate::error::CliError;
use crate::open;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Wait between two looks at the server.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a server is looked at that need not stop, in milliseconds: a publication and something.
const WATCHED_MS: u64 = PUBLISH_S * 1000 + 300;

/// How long one is looked at that has to, in milliseconds: far longer than it takes, since the machine may be busy.
const PATIENCE_MS: u64 = 30_000;

const INTRUDER: &str = "intruder";

/// Where an attack is played.
pub(super) struct Place<'a> {
    pub(super) data: PathBuf,
    children: &'a Children<'a>,
    witness: SocketAddr,
}

impl Place<'_> {
    fn configure(&self, base: &Base, publish_s: u64) -> Result<(), CliError> {
        self.children.configure(&settings(self.witness, &base.witness, publish_s))
    }

    /// Serves without publishing, reads, and stops.
    pub(super) fn read_unpublished(&self, base: &Base) -> Result<(), CliError> {
        self.configure(base, NEVER_S)?;
        let server = self.children.serve("unpublished", INTRUDER)?;
        read(&server, &base.curious, &base.patient)?;
        end(server)?;
        self.configure(base, PUBLISH_S)
    }
}

/// What somebody noticed.
pub(super) struct Notice {
    /// After the bent store was put to use, in seconds.
    pub(super) after_s: f64,
    pub(super) what: String,
}

/// What came of an attack.
pub(super) struct Outcome {
    pub(super) attack: &'static Attack,
    pub(super) noticed: BTreeMap<Watcher, Notice>,
    /// When records were no longer shown, in seconds.
    pub(super) stopped_s: Option<f64>,
    /// Whether there was a server to be asked.
    pub(super) served: bool,
}

impl Outcome {
    /// Whether everybody who has to noticed, and records were no longer shown where they must not be; and whether nobody cried wolf over nothing.
    pub(super) fn is_met(&self) -> bool {
        let all = self.attack.expected.iter().all(|watcher| self.noticed.contains_key(watcher));
        let quiet = !self.attack.expected.is_empty() || self.noticed.is_empty();
        all && quiet && self.stopped_s.is_some() == self.attack.stops
    }
}

/// Looks on.
struct Watch {
    started: Instant,
    noticed: BTreeMap<Watcher, Notice>,
}

impl Watch {
    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn note(&mut self, who: Watcher, what: impl Into<String>) {
        let notice = Notice { after_s: self.seconds(), what: what.into() };
        self.noticed.entry(who).or_insert(notice);
    }
}

/// Plays an attack.
#[expect(clippy::disallowed_methods, reason = "measures after how long somebody notices")]
pub(super) fn play(base: &Base, attack: &'static Attack) -> Result<Outcome, CliError> {
    let scratch = Scratch::create(Some(base.root()), false)?;
    let data = scratch.area(Area::Data);
    copy(&base.copy(Copy::Now), &data)?;
    let home = witness_directory(&scratch);
    copy(&base.copy(Copy::Witness), &home)?;
    let children = Children::new(&scratch, base.passphrase.clone())?;
    let witness = children.witness("witness", text(&home)?)?;
    let place = Place { data, children: &children, witness: witness.address };
    place.configure(base, PUBLISH_S)?;
    (attack.act)(base, &place)?;
    if attack.how == How::Unpublished {
        place.configure(base, NEVER_S)?;
    }

    let mut watch = Watch { started: Instant::now(), noticed: BTreeMap::new() };
    let stopped_s;
    let mut witness = Some(witness);
    let served = match children.serve("bent", INTRUDER) {
        Ok(server) => {
            if attack.how == How::CutOff {
                read(&server, &base.token, &base.patient)?;
                witness.take().map(end).transpose()?;
                watch.started = Instant::now();
            }
            stopped_s = watch_server(base, attack, &server, &mut watch)?;
            if attack.how == How::Unpublished {
                std::thread::sleep(Duration::from_secs(AGE_S + 1));
            }
            if let Some(wrong) = outside::auditor(base, server.address, open::clock().as_ref(), AGE_S) {
                watch.note(Watcher::Auditor, wrong);
            }
            if let Some(wrong) = outside::holder(base, server.address)? {
                watch.note(Watcher::Holder, wrong);
            }
            end(server)?;
            true
        }
        Err(refused) => {
            stopped_s = Some(watch.seconds());
            watch.note(Watcher::Server, format!("does not start: {}", reason(&refused)));
            false
        }
    };
    if let Some(witness) = witness {
        if let Some(why) = refused(&witness.log()) {
            watch.note(Watcher::Witness, why);
        }
        end(witness)?;
    }
    let (code, said) = children.ended("verify", INTRUDER, &["ledger", "verify"])?;
    if code != Some(0) {
        let wrong = said.lines().find_map(|line| line.strip_prefix("WRONG "));
        watch.note(Watcher::Verify, wrong.unwrap_or("the store cannot be opened"));
    }
    Ok(Outcome { attack, noticed: watch.noticed, stopped_s, served })
}

/// Asks for a record until it is no longer shown, or long enough.
fn watch_server(base: &Base, attack: &Attack, server: &Server, watch: &mut Watch) -> Result<Option<f64>, CliError> {
    let client = Client { address: server.address, token: base.token.clone(), session: None };
    let watched = Duration::from_millis(if attack.stops { PATIENCE_MS } else { WATCHED_MS });
    loop {
        let answer = client.ask("GET", &base.patient, &[], "");
        let answer = answer.map_err(|error| CliError::other("a server does not answer", error))?;
        match answer.status {
            200 if watch.started.elapsed() > watched => return Ok(None),
            200 => std::thread::sleep(LOOK_EVERY),
            503 => {
                let body = answer.json();
                let why = body.pointer("/issue/0/diagnostics").and_then(serde_json::Value::as_str).unwrap_or_default();
                let who = if why.contains("the witness ") { Watcher::Witness } else { Watcher::Server };
                watch.note(who, why);
                return Ok(Some(watch.seconds()));
            }
            status => {
                return Err(CliError::Usage(format!(
                    "the drill could not be played: a read was answered with {status}"
                )));
            }
        }
    }
}

/// Why the witness refused, where it has not cosigned since: a server that forgot what the witness has seen is told, and asks again.
fn refused(log: &str) -> Option<String> {
    let mut why = None;
    for line in log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let text = |name: &str| line.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        match text("message") {
            "cosigned" => why = None,
            "not cosigned" => why = Some(format!("does not cosign: {}", text("reason"))),
            _ => {}
        }
    }
    why
}

/// The first line of what a program said when it ended.
fn reason(refused: &CliError) -> String {
    let text = refused.to_string();
    let said = text.lines().skip(1).map(|line| line.trim().trim_start_matches("× ").trim_start_matches("x "));
    said.into_iter().find(|line| !line.is_empty() && !line.starts_with('{')).unwrap_or("no reason").to_owned()
}
