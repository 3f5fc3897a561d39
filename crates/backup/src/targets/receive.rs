//! The receiving end of the SSH target: a loop over messages that knows put, read and list, and removing only where it was started for it. It is what
//! the other machine's `authorized_keys` runs, whatever command the client asks for.
//!
//! Whoever holds the client's key can therefore do to what is here nothing but add to it, and that only while there is room.

use super::folder::Folder;
use super::frames::{self, DATA_BYTES_MAX, FrameError, GREETING, Message, NAMES_MAX, VERSION, Why};
use crate::target::{Listed, ObjectName, Prunable, Put, Target, TargetError};
use aws_lc_rs::digest::{Context, SHA256, digest};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use tacet_types::Timestamp;

/// Furthest into the future that an object may be kept, in milliseconds: a client that was taken over shall not fill the place for ever.
const KEEP_MS_MAX: i64 = 20 * 366 * 24 * 3600 * 1000;

/// What a receiver may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receive {
    /// Whether it removes objects: for the pruning account's key, never for a server's.
    pub prune: bool,
    /// Bytes of the file system that stay free whatever comes.
    pub keep_free_bytes: u64,
}

/// Why a receiver stopped before its client closed the connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The client did not keep to the protocol, or the connection broke.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// What came first was no client of ours.
    #[error("the other end is no backup client: let it be reached by `kind = \"ssh\"` in a target's settings")]
    Greeting,
    /// Client and receiver have no version in common.
    #[error(
        "the client speaks versions {oldest} to {newest} of the protocol, this program {VERSION}: bring the older one up to date"
    )]
    Version {
        /// The client's oldest.
        oldest: u16,
        /// The client's newest.
        newest: u16,
    },
}

impl From<io::Error> for ReceiveError {
    fn from(error: io::Error) -> Self {
        Self::Frames(error.into())
    }
}

/// Serves one client until it closes the connection.
///
/// # Errors
/// See [`ReceiveError`]. What was acknowledged before is durable; what was not has left nothing.
pub fn receive(
    folder: &Folder,
    options: Receive,
    input: &mut dyn Read,
    output: &mut dyn Write,
) -> Result<(), ReceiveError> {
    output.write_all(GREETING)?;
    output.flush()?;
    let mut greeting = [0; GREETING.len()];
    input.read_exact(&mut greeting)?;
    if greeting != *GREETING {
        return Err(ReceiveError::Greeting);
    }
    let mut served = Served { folder, options, input, output };
    match frames::read(served.input)? {
        Message::Hello { oldest, newest } if (oldest..=newest).contains(&VERSION) => {
            served.answer(&Message::Welcome { version: VERSION, prune: options.prune })?;
        }
        Message::Hello { oldest, newest } => {
            served.failed(Why::Protocol, &format!("the receiver speaks version {VERSION} of the protocol only"))?;
            return Err(ReceiveError::Version { oldest, newest });
        }
        _ => return Err(served.astray("expected a hello")?),
    }
    loop {
        match frames::read(served.input) {
            Ok(message) => served.serve(message)?,
            Err(FrameError::Closed) => return Ok(()),
            Err(FrameError::Malformed(what)) => return Err(served.astray(what)?),
            Err(error) => return Err(error.into()),
        }
    }
}

struct Served<'a> {
    folder: &'a Folder,
    options: Receive,
    input: &'a mut dyn Read,
    output: &'a mut dyn Write,
}

impl Served<'_> {
    fn serve(&mut self, message: Message) -> Result<(), ReceiveError> {
        match message {
            Message::Put { name, bytes, digest, keep_until } => self.put(&name, bytes, digest, keep_until),
            Message::Read { name, from, to } => self.read(&name, from, to),
            Message::List { prefix } => self.list(&prefix),
            Message::Remove { .. } if !self.options.prune => {
                self.failed(Why::Refused, "this key may only add: pruning has another key, of another account")
            }
            Message::Remove { name } => match self.folder.remove(&name) {
                Ok(()) => self.answer(&Message::Removed),
                Err(error) => self.told(&error),
            },
            _ => Err(self.astray("a message that only a receiver sends")?),
        }
    }

    fn put(
        &mut self,
        name: &ObjectName,
        bytes: u64,
        wanted: [u8; 32],
        keep_until: Option<Timestamp>,
    ) -> Result<(), ReceiveError> {
        if keep_until.is_some_and(|until| until > self.folder.now().plus_ms(KEEP_MS_MAX)) {
            return self.failed(Why::Refused, "an object cannot be kept for longer than twenty years");
        }
        let known = match self.folder.digest(name) {
            Ok(known) => known,
            Err(error) => return self.told(&error),
        };
        if let Some(known) = known {
            if known != (bytes, wanted) {
                return self.failed(Why::Different, "an object of this name has other bytes");
            }
            let kept = keep_until.map_or(Ok(()), |until| self.folder.keep(name, until));
            return match kept {
                Ok(()) => self.answer(&Message::Same),
                Err(error) => self.told(&error),
            };
        }
        let (free, _) = match self.folder.room() {
            Ok(room) => room,
            Err(error) => return self.told(&error),
        };
        if free < bytes.saturating_add(self.options.keep_free_bytes) {
            return self.failed(Why::Refused, "there is no more room: make some, by pruning or a larger disk");
        }
        let mut upload = match self.folder.begin() {
            Ok(upload) => upload,
            Err(error) => return self.told(&error),
        };
        self.answer(&Message::GoOn)?;
        let mut context = Context::new(&SHA256);
        let mut left = bytes;
        let mut written = Ok(());
        while left > 0 {
            let piece = match frames::read(self.input) {
                Ok(Message::Data(piece)) if piece.len() as u64 <= left => piece,
                Ok(_) => return Err(self.astray("expected the rest of an object, and no more")?),
                Err(FrameError::Malformed(what)) => return Err(self.astray(what)?),
                Err(error) => return Err(error.into()),
            };
            left -= piece.len() as u64;
            context.update(&piece);
            // After a failure the rest is taken and dropped, so that the answer finds its question.
            written = written.and_then(|()| upload.write(&piece));
        }
        if let Err(error) = written {
            return self.failed(Why::Unavailable, &format!("the object cannot be written: {error}"));
        }
        if context.finish().as_ref() != wanted {
            return self.failed(Why::Unavailable, "what arrived has another checksum than was said: it was dropped");
        }
        match self.folder.finish(upload, name, keep_until) {
            Ok(Put::Written) => self.answer(&Message::Written),
            Ok(Put::Same) => self.answer(&Message::Same),
            Err(error) => self.told(&error),
        }
    }

    fn read(&mut self, name: &ObjectName, from: u64, to: u64) -> Result<(), ReceiveError> {
        let bytes = match self.folder.read(name, Some(from..to)) {
            Ok(bytes) => bytes,
            Err(TargetError::Absent(_)) => return self.answer(&Message::Absent),
            Err(error) => return self.told(&error),
        };
        let sum = <[u8; 32]>::try_from(digest(&SHA256, &bytes).as_ref()).unwrap_or_default();
        frames::write(self.output, &Message::Found { bytes: bytes.len() as u64, digest: sum })?;
        for piece in bytes.chunks(DATA_BYTES_MAX) {
            frames::write(self.output, &Message::Data(piece.to_vec()))?;
        }
        Ok(self.output.flush()?)
    }

    fn list(&mut self, prefix: &str) -> Result<(), ReceiveError> {
        let mut names: Vec<Listed> = Vec::new();
        let mut count = 0;
        let mut sent = Ok(());
        let output = &mut *self.output;
        let listed = self.folder.list(prefix, &mut |listed| {
            names.push(listed);
            count += 1;
            if names.len() == NAMES_MAX {
                sent = frames::write(output, &Message::Names(std::mem::take(&mut names)));
            }
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        sent?;
        if let Err(error) = listed {
            return self.told(&error);
        }
        if !names.is_empty() {
            frames::write(self.output, &Message::Names(names))?;
        }
        self.answer(&Message::End { count })
    }

    fn told(&mut self, error: &TargetError) -> Result<(), ReceiveError> {
        let why = match error {
            TargetError::Different(_) => Why::Different,
            TargetError::Refused(_) => Why::Refused,
            TargetError::Absent(_) | TargetError::Unavailable(_) | TargetError::Settings(_) => Why::Unavailable,
        };
        self.failed(why, &error.to_string())
    }

    fn failed(&mut self, why: Why, text: &str) -> Result<(), ReceiveError> {
        self.answer(&Message::Failed { why, text: text.to_owned() })
    }

    /// Tells a client that it went astray. There is no going on after that.
    fn astray(&mut self, what: &'static str) -> Result<ReceiveError, ReceiveError> {
        self.failed(Why::Protocol, what)?;
        Ok(FrameError::Malformed(what).into())
    }

    fn answer(&mut self, message: &Message) -> Result<(), ReceiveError> {
        frames::write(self.output, message)?;
        Ok(self.output.flush()?)
    }
}
