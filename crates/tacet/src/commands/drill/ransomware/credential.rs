//! The attacker at the backup, with the credential that the server had: every call of the receiver's protocol, by the rules and against them, or every request
//! by which a store might let something go. What it may do is add.

mod bucket;

use super::places::{self, Place};
use super::stage::{Stage, noise};
use super::{cannot, now_ms};
use crate::error::CliError;
use aws_lc_rs::digest::{SHA256, digest};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use tacet_backup::ObjectName;
use tacet_backup::targets::Ssh;
use tacet_backup::targets::frames::{self, GREETING, Message, VERSION, Why};
use tacet_types::Timestamp;

/// Objects of a place on which everything is tried.
const TRIED_MAX: usize = 60;

/// Milliseconds of a hundred years.
const CENTURY_MS: i64 = 100 * 365 * 86_400_000;

/// Number of the snapshot that the attacker plants: newer than all.
const PLANTED: u64 = 999_999_999_999;

/// What came of it.
#[derive(Default)]
pub(super) struct Credential {
    /// Calls that must be refused.
    pub(super) tried: u64,
    /// Those that were not.
    pub(super) let_through: Vec<String>,
    /// Objects that the attacker could add, as is documented.
    pub(super) added: u64,
    /// Objects that are gone or other than before.
    pub(super) changed: u64,
    /// Objects before.
    pub(super) objects: u64,
}

impl Credential {
    pub(super) fn is_met(&self) -> bool {
        self.let_through.is_empty() && self.changed == 0 && self.objects > 0 && self.tried > 0
    }

    fn must(&mut self, what: &str, refused: bool) {
        self.tried += 1;
        if !refused {
            self.let_through.push(what.to_owned());
        }
    }
}

pub(super) fn play(stage: &Stage) -> Result<Credential, CliError> {
    let mut outcome = Credential::default();
    for place in Place::BOTH {
        let before = stage.places.inventory(place)?;
        outcome.objects += before.len() as u64;
        match stage.places.credential(place)? {
            places::Credential::Receiver(receiver) => on_receiver(&receiver, place, &mut outcome)?,
            places::Credential::Bucket(store) => bucket::on_bucket(stage, &store, place, &mut outcome)?,
        }
        let after = stage.places.inventory(place)?;
        outcome.changed += before.iter().filter(|(path, digest)| after.get(*path) != Some(*digest)).count() as u64;
    }
    Ok(outcome)
}

fn on_receiver(receiver: &Ssh, place: Place, outcome: &mut Credential) -> Result<(), CliError> {
    let mut talk = Talk::open(receiver)?;
    let names = talk.names()?;
    if names.is_empty() {
        return Err(cannot("the backup is empty, so nothing can be tried on it"));
    }
    let step = (names.len() / TRIED_MAX).max(1);
    for (name, bytes) in names.iter().rev().step_by(step) {
        let removed = talk.ask(&Message::Remove { name: name.clone() })?;
        outcome.must("an object was removed", is_failed(&removed, Why::Refused));
        for text in [noise(usize::try_from(*bytes).unwrap_or(0).min(100_000)), Vec::new()] {
            let put = talk.put(name, &text, None)?;
            outcome.must("an object was written over", is_failed(&put, Why::Different));
        }
    }
    let text = noise(5000);
    let kept = talk.put(&fresh("0".repeat(64).as_str())?, &text, Some(Timestamp::from_ms(now_ms() + CENTURY_MS)))?;
    outcome.must("an object was kept for a hundred years", is_failed(&kept, Why::Refused));
    let name = fresh("1".repeat(64).as_str())?;
    let lie = Message::Put { name: name.clone(), bytes: 3, digest: [7; 32], keep_until: None };
    if talk.ask(&lie)? == Message::GoOn {
        let answer = talk.ask(&Message::Data(vec![1, 2, 3]))?;
        outcome.must("an object with another checksum was taken", matches!(answer, Message::Failed { .. }));
    }
    let read = talk.ask(&Message::Read { name, from: 0, to: 10 })?;
    outcome.must("an object with another checksum is there", read == Message::Absent);
    drop(talk);

    // Against the protocol: the receiver ends the connection, and nothing has happened.
    let mut removing = vec![b"../../packs".len() as u8];
    removing.extend_from_slice(b"../../packs");
    let mut putting = removing.clone();
    putting.extend_from_slice(&[0; 41]);
    let raw: [(&str, u8, &[u8]); 6] = [
        ("a name outside was removed", 0x40, &removing),
        ("a name outside was written", 0x10, &putting),
        ("a name outside was read", 0x20, &[&removing[..], &[0; 16][..]].concat()),
        ("a message of the receiver's was taken", 0x41, &[]),
        ("a message that does not exist was taken", 0x60, b"rm -rf"),
        ("a hello was taken twice", 0x01, &[0, 1, 0, 1]),
    ];
    for (what, kind, body) in raw {
        let mut talk = Talk::open(receiver)?;
        let answer = talk.raw(&frames::framed(kind, body));
        outcome.must(what, !matches!(&answer, Some(answer) if !matches!(answer, Message::Failed { .. })));
    }

    // What the credential is for: more can be put beside. A restore has to live with it.
    let mut talk = Talk::open(receiver)?;
    for (name, text) in planted(place)? {
        if matches!(talk.put(&name, &text, None)?, Message::Written) {
            outcome.added += 1;
        }
    }
    Ok(())
}

/// A segment's name that nobody has used.
fn fresh(part: &str) -> Result<ObjectName, CliError> {
    ObjectName::parse(&format!("segments/{part}")).ok_or_else(|| cannot("a name is none"))
}

/// What an attacker puts beside what is there: rubbish, and a manifest newer than all.
fn planted(place: Place) -> Result<[(ObjectName, Vec<u8>); 2], CliError> {
    let manifest = tacet_backup::manifest_name(place.class(), PLANTED, "abadcafeabadcafe");
    Ok([(fresh("2".repeat(64).as_str())?, noise(5000)), (manifest, noise(900))])
}

fn is_failed(answer: &Message, wanted: Why) -> bool {
    matches!(answer, Message::Failed { why, .. } if *why == wanted)
}

/// A connection to a receiver.
struct Talk {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Talk {
    fn open(receiver: &Ssh) -> Result<Self, CliError> {
        let mut command = receiver.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| CliError::other("a receiver cannot be reached", error))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(cannot("a receiver has no pipes"));
        };
        let mut talk = Self { child, to, from };
        let mut greeting = [0; GREETING.len()];
        let greeted = talk.from.read_exact(&mut greeting).and_then(|()| talk.to.write_all(GREETING));
        greeted.map_err(|error| CliError::other("a receiver does not answer", error))?;
        match talk.ask(&Message::Hello { oldest: VERSION, newest: VERSION })? {
            Message::Welcome { prune: false, .. } => Ok(talk),
            _ => Err(cannot("a receiver does not welcome, or would let objects be removed")),
        }
    }

    fn send(&mut self, message: &Message) -> Result<(), CliError> {
        let sent = frames::write(&mut self.to, message).and_then(|()| self.to.flush());
        sent.map_err(|error| CliError::other("a receiver does not listen", error))
    }

    fn hear(&mut self) -> Result<Message, CliError> {
        frames::read(&mut self.from).map_err(|error| CliError::other("a receiver does not answer", error))
    }

    fn ask(&mut self, message: &Message) -> Result<Message, CliError> {
        self.send(message)?;
        self.hear()
    }

    /// Sends these bytes; gives an answer, if there is one.
    fn raw(&mut self, bytes: &[u8]) -> Option<Message> {
        let sent = self.to.write_all(bytes).and_then(|()| self.to.flush());
        sent.ok().and_then(|()| frames::read(&mut self.from).ok())
    }

    fn put(&mut self, name: &ObjectName, text: &[u8], keep_until: Option<Timestamp>) -> Result<Message, CliError> {
        let sum = <[u8; 32]>::try_from(digest(&SHA256, text).as_ref()).unwrap_or_default();
        let put = Message::Put { name: name.clone(), bytes: text.len() as u64, digest: sum, keep_until };
        match self.ask(&put)? {
            Message::GoOn if text.is_empty() => self.hear(),
            Message::GoOn => self.ask(&Message::Data(text.to_vec())),
            answer => Ok(answer),
        }
    }

    fn names(&mut self) -> Result<Vec<(ObjectName, u64)>, CliError> {
        let mut names = Vec::new();
        self.send(&Message::List { prefix: String::new() })?;
        loop {
            match self.hear()? {
                Message::Names(some) => names.extend(some.into_iter().map(|listed| (listed.name, listed.bytes))),
                Message::End { .. } => return Ok(names),
                _ => return Err(cannot("a receiver does not list")),
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It ends by itself when its input does; this is for one that would not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
