//! Another machine as a target, reached by the system's `ssh`. There a forced command runs [`receive`](super::receive()), so that the key of this machine
//! can add, read and list, and nothing else.
//!
//! The checking of the host's key cannot be switched off: what stands first on `ssh`'s command line counts, and ours stands first. What the other
//! end says is taken for hostile: bounded, checked, and for reads held to a checksum (what an object should be is the caller's to know).

mod session;

use super::OBJECT_BYTES_MAX;
use super::frames::{DATA_BYTES_MAX, FrameError, Message, Why, is_prefix};
use super::settings::SshSettings;
use crate::target::{Listed, ObjectName, Prunable, Put, Target, TargetError};
use aws_lc_rs::digest::{Context, SHA256, digest};
use session::Session;
use std::ops::{ControlFlow, Range};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tacet_types::Timestamp;

/// What `ssh` is told before anything that the operator adds: of two values the first counts (ssh_config(5)).
const OPTIONS: [&str; 10] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "VerifyHostKeyDNS=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "PermitLocalCommand=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=30",
];

/// What is asked for at the other end. A forced command there takes its place.
const REMOTE: &str = "tacet backup receive";

/// Longest host, with its user, in bytes.
const HOST_BYTES_MAX: usize = 300;

/// Most further arguments.
const ARGUMENTS_MAX: usize = 50;

/// Another machine over SSH. One connection is kept open between calls; a call that finds it broken opens another, once.
pub struct Ssh {
    settings: SshSettings,
    session: Mutex<Option<Session>>,
}

impl Ssh {
    /// The machine of these settings. It is not asked for anything yet.
    ///
    /// # Errors
    /// [`TargetError::Settings`] where they cannot be right.
    pub fn new(settings: &SshSettings) -> Result<Self, TargetError> {
        let wrong = |what: &str| {
            Err(TargetError::Settings(format!("`host`, `arguments` or `stall_s` of the SSH target: {what}")))
        };
        let host = &settings.host;
        if host.is_empty() || host.len() > HOST_BYTES_MAX || host.starts_with('-') {
            return wrong("the host is `user@host`, or a name of ssh's own configuration");
        }
        if host.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return wrong("the host has no spaces");
        }
        if settings.arguments.len() > ARGUMENTS_MAX {
            return wrong("there are too many arguments");
        }
        if settings.stall_s == 0 {
            return wrong("a connection needs at least a second");
        }
        Ok(Self { settings: settings.clone(), session: Mutex::new(None) })
    }

    /// The command that reaches the machine, for who speaks the protocol of [`frames`](super::frames) with it himself. It is not started.
    pub fn command(&self) -> Command {
        let settings = &self.settings;
        let mut command = Command::new(&settings.command);
        command.arg("-T");
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        if let Some(port) = settings.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(identity) = &settings.identity {
            command.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(identity);
        }
        if let Some(known) = &settings.known_hosts {
            let mut option = std::ffi::OsString::from("UserKnownHostsFile=");
            option.push(known);
            command.args(["-o", "GlobalKnownHostsFile=none", "-o"]).arg(option);
        }
        command.args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]);
        command.args(&settings.arguments).arg("--").arg(&settings.host).arg(REMOTE);
        command
    }

    /// Runs a conversation. A connection that was kept may have died since: then it is tried once more over a new one. Every request can be
    /// repeated without harm.
    fn with<T>(&self, mut talk: impl FnMut(&mut Session) -> Result<T, Talk>) -> Result<T, TargetError> {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = kept.is_none();
        loop {
            let mut session = match kept.take() {
                Some(session) => session,
                None => Session::start(self.command(), Duration::from_secs(self.settings.stall_s))
                    .map_err(|error| self.unreachable(&error))?,
            };
            session.set_busy(true);
            let told = talk(&mut session);
            session.set_busy(false);
            match told {
                Ok(done) => {
                    *kept = Some(session);
                    return Ok(done);
                }
                Err(Talk::Told(error)) => {
                    *kept = Some(session);
                    return Err(error);
                }
                Err(Talk::Broke(_)) if !fresh => fresh = true,
                Err(Talk::Broke(error)) => return Err(self.unreachable(&session.explain(&error))),
            }
        }
    }

    fn unreachable(&self, why: &str) -> TargetError {
        TargetError::Unavailable(format!("{}: {why}", self.settings.host))
    }
}

/// Why a conversation ended before its end.
enum Talk {
    /// The other end said no. The connection is good.
    Told(TargetError),
    /// The connection is not.
    Broke(FrameError),
}

impl From<FrameError> for Talk {
    fn from(error: FrameError) -> Self {
        Self::Broke(error)
    }
}

/// What an answer means that is not the one hoped for.
fn other(name: Option<&ObjectName>, answer: Message) -> Talk {
    let Message::Failed { why, text } = answer else {
        return Talk::Broke(FrameError::Malformed("an answer to another question"));
    };
    match (why, name) {
        (Why::Different, Some(name)) => Talk::Told(TargetError::Different(name.clone())),
        (Why::Refused, _) => Talk::Told(TargetError::Refused(text)),
        (Why::Unavailable | Why::Different, _) => Talk::Told(TargetError::Unavailable(text)),
        (Why::Protocol, _) => Talk::Broke(FrameError::Malformed("the receiver took a message of ours for malformed")),
    }
}

impl Target for Ssh {
    fn put_new(&self, name: &ObjectName, bytes: &[u8], keep_until: Option<Timestamp>) -> Result<Put, TargetError> {
        let length = bytes.len() as u64;
        if length > OBJECT_BYTES_MAX {
            return Err(super::too_large(length));
        }
        let sum = <[u8; 32]>::try_from(digest(&SHA256, bytes).as_ref()).unwrap_or_default();
        self.with(|session| {
            session.say(&Message::Put { name: name.clone(), bytes: length, digest: sum, keep_until })?;
            match session.hear()? {
                Message::Same => return Ok(Put::Same),
                Message::GoOn => {}
                answer => return Err(other(Some(name), answer)),
            }
            for piece in bytes.chunks(DATA_BYTES_MAX) {
                session.send(&Message::Data(piece.to_vec()))?;
            }
            session.flush()?;
            match session.hear()? {
                Message::Written => Ok(Put::Written),
                Message::Same => Ok(Put::Same),
                answer => Err(other(Some(name), answer)),
            }
        })
    }

    fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Vec<u8>, TargetError> {
        let Range { start: from, end: to } = range.unwrap_or(0..OBJECT_BYTES_MAX);
        let wanted = to.saturating_sub(from);
        self.with(|session| {
            session.say(&Message::Read { name: name.clone(), from, to })?;
            let (length, sum) = match session.hear()? {
                Message::Found { bytes, digest } if bytes <= wanted => (bytes, digest),
                Message::Absent => return Err(Talk::Told(TargetError::Absent(name.clone()))),
                answer => return Err(other(Some(name), answer)),
            };
            let mut context = Context::new(&SHA256);
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < length {
                match session.hear()? {
                    Message::Data(piece) if (bytes.len() + piece.len()) as u64 <= length => {
                        context.update(&piece);
                        bytes.extend_from_slice(&piece);
                    }
                    _ => return Err(Talk::Broke(FrameError::Malformed("a part of an object is missing"))),
                }
            }
            if context.finish().as_ref() != sum {
                return Err(Talk::Broke(FrameError::Malformed("an object is not what its checksum says")));
            }
            Ok(bytes)
        })
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), TargetError> {
        if !is_prefix(prefix) {
            return Ok(());
        }
        // Kept over a second try: nothing is shown twice.
        let mut last: Option<ObjectName> = None;
        self.with(|session| {
            session.say(&Message::List { prefix: prefix.to_owned() })?;
            let mut heard: Option<ObjectName> = None;
            let mut count = 0;
            loop {
                let names = match session.hear()? {
                    Message::Names(names) => names,
                    Message::End { count: said } if said == count => return Ok(()),
                    Message::End { .. } => return Err(Talk::Broke(FrameError::Malformed("a listing has holes"))),
                    answer => return Err(other(None, answer)),
                };
                for listed in names {
                    count += 1;
                    let in_order = heard.as_ref().is_none_or(|heard| *heard < listed.name);
                    if !in_order || !listed.name.as_str().starts_with(prefix) {
                        return Err(Talk::Broke(FrameError::Malformed("a listing is out of order")));
                    }
                    heard = Some(listed.name.clone());
                    if last.as_ref().is_some_and(|last| *last >= listed.name) {
                        continue;
                    }
                    last = Some(listed.name.clone());
                    if visit(listed).is_break() {
                        // The rest of the listing is on its way: the connection is of no use any more.
                        session.abandon();
                        return Ok(());
                    }
                }
            }
        })
    }

    fn describe(&self) -> String {
        // The folder is in the forced command of a key: another key of one account is another place.
        let key = self.settings.identity.as_deref().and_then(std::path::Path::file_name);
        let key = key.map(|name| format!(", key {}", name.to_string_lossy())).unwrap_or_default();
        let port = self.settings.port.map(|port| format!(", port {port}")).unwrap_or_default();
        format!("SSH {}{port}{key}", self.settings.host)
    }

    fn compares(&self) -> bool {
        true
    }
}

impl Prunable for Ssh {
    fn remove(&self, name: &ObjectName) -> Result<(), TargetError> {
        self.with(|session| {
            if !session.prunes() {
                let what = "this key may only add: name the key of the pruning account".to_owned();
                return Err(Talk::Told(TargetError::Refused(what)));
            }
            session.say(&Message::Remove { name: name.clone() })?;
            match session.hear()? {
                Message::Removed => Ok(()),
                answer => Err(other(Some(name), answer)),
            }
        })
    }
}

#[cfg(test)]
mod tests;
