//! What the two ends of the SSH target say to each other: bytes in, messages out, and back. No connection, no file.
//!
//! ```text
//! both ends first: "tacet-backup\n"
//! then frames:     kind (1) | length of the body (4, big-endian) | body | first 16 bytes of SHA-256 over all before
//!
//! client                                    receiver
//! Hello { versions } ─────────────────────> Welcome { version, may it remove }
//! Put { name, length, digest, keep } ─────> Go on | Same | Failed
//!   Data, Data, ... ──────────────────────> Written | Same | Failed
//! Read { name, from, to } ────────────────> Found { length, digest }, Data, Data, ... | Absent | Failed
//! List { prefix } ────────────────────────> Names, Names, ..., End { count } | Failed
//! Remove { name } ────────────────────────> Removed | Failed
//! ```
//!
//! The layout of each body is in `docs/formats/backup-receiver.md`. Either end takes the other for hostile: every length has a bound, every name is
//! read by [`ObjectName::parse`], a body is used up or refused, and texts are cut and cleaned before anybody sees them.

use crate::target::{Listed, OBJECT_NAME_BYTES_MAX, ObjectName};
use crate::targets::OBJECT_BYTES_MAX;
use aws_lc_rs::digest::{Context, SHA256};
use std::io::{self, Read, Write};
use tacet_types::Timestamp;

/// What both ends say first. A shell that greets, or a program that is another, is noticed by it.
pub const GREETING: &[u8; 13] = b"tacet-backup\n";

/// The version that this program speaks.
pub const VERSION: u16 = 1;

/// Most bytes of an object in one frame.
pub const DATA_BYTES_MAX: usize = 1 << 20;

/// Most names in one frame.
pub const NAMES_MAX: usize = 1000;

/// Longest text of a failure in bytes. Longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 400;

/// Most bytes of a body: of names with their lengths, or of an object.
const BODY_BYTES_MAX: usize = DATA_BYTES_MAX;

const _: () = assert!(NAMES_MAX * (1 + OBJECT_NAME_BYTES_MAX + 8) + 2 <= BODY_BYTES_MAX);

/// Kind and length.
const HEAD_BYTES: usize = 5;

/// Bytes of the checksum. It is against faults of the way; a hostile end can reckon it as well as ours.
const CHECK_BYTES: usize = 16;

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The client: which versions it speaks, first and last.
    Hello {
        /// The oldest.
        oldest: u16,
        /// The newest.
        newest: u16,
    },
    /// The receiver: which version is spoken.
    Welcome {
        /// It.
        version: u16,
        /// Whether this end may remove.
        prune: bool,
    },
    /// An object is to be put.
    Put {
        /// Its name.
        name: ObjectName,
        /// Its length.
        bytes: u64,
        /// Its SHA-256.
        digest: [u8; 32],
        /// Until when it is to be kept.
        keep_until: Option<Timestamp>,
    },
    /// The bytes of the object that was named may come.
    GoOn,
    /// A piece of an object, never empty.
    Data(Vec<u8>),
    /// The object is there now, durably.
    Written,
    /// The object was there already.
    Same,
    /// A part of an object is asked for.
    Read {
        /// Its name.
        name: ObjectName,
        /// The first byte.
        from: u64,
        /// The byte after the last one.
        to: u64,
    },
    /// The part that was asked for follows.
    Found {
        /// How much of it there is.
        bytes: u64,
        /// SHA-256 of that.
        digest: [u8; 32],
    },
    /// There is no such object.
    Absent,
    /// The names with this beginning are asked for.
    List {
        /// The beginning; may be empty.
        prefix: String,
    },
    /// Some names, in order.
    Names(Vec<Listed>),
    /// That were all.
    End {
        /// How many.
        count: u64,
    },
    /// An object is to be removed.
    Remove {
        /// Its name.
        name: ObjectName,
    },
    /// It is not there any more.
    Removed,
    /// It was not done.
    Failed {
        /// Why.
        why: Why,
        /// In words, for people.
        text: String,
    },
}

/// Why something was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// An object of this name has other bytes.
    Different,
    /// This is not allowed here.
    Refused,
    /// It cannot be done now.
    Unavailable,
    /// The other end does not keep to the protocol.
    Protocol,
}

/// Why no message could be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The connection ended between two messages.
    #[error("the other end closed the connection")]
    Closed,
    /// The connection failed, or ended within a message.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// What came is no message.
    #[error("the other end does not keep to the protocol: {0}")]
    Malformed(&'static str),
}

/// Writes one message.
///
/// # Errors
/// Those of the connection; [`io::ErrorKind::InvalidInput`] for a message that is past a bound.
pub fn write(to: &mut dyn Write, message: &Message) -> io::Result<()> {
    let (kind, body) = encode(message).ok_or(io::ErrorKind::InvalidInput)?;
    to.write_all(&framed(kind, &body))
}

/// A frame around a body, whatever the body is: for tests and fuzzing. A body that is past the bound is cut.
pub fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let body = body.get(..BODY_BYTES_MAX).unwrap_or(body);
    let mut frame = Vec::with_capacity(HEAD_BYTES + body.len() + CHECK_BYTES);
    frame.push(kind);
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    let sum = check(&frame, &[]);
    frame.extend_from_slice(&sum);
    frame
}

/// Reads one message.
///
/// # Errors
/// See [`FrameError`].
pub fn read(from: &mut dyn Read) -> Result<Message, FrameError> {
    let mut head = [0; HEAD_BYTES];
    if let Err(error) = from.read_exact(&mut head[..1]) {
        return Err(if error.kind() == io::ErrorKind::UnexpectedEof { FrameError::Closed } else { error.into() });
    }
    from.read_exact(&mut head[1..])?;
    let [kind, a, b, c, d] = head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > BODY_BYTES_MAX {
        return Err(FrameError::Malformed("a frame is too long"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let mut claimed = [0; CHECK_BYTES];
    from.read_exact(&mut claimed)?;
    if claimed != check(&head, &body) {
        return Err(FrameError::Malformed("a checksum is wrong"));
    }
    decode(kind, body).ok_or(FrameError::Malformed("a message makes no sense"))
}

/// Letters that a terminal or a log can be trusted with, and not too many.
pub fn cleaned(text: &str) -> String {
    let clean = |letter: char| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' };
    text.chars().take(TEXT_BYTES_MAX).map(clean).collect()
}

/// Whether a text can be the beginning of a name.
pub(crate) fn is_prefix(text: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'/');
    text.len() <= OBJECT_NAME_BYTES_MAX && text.bytes().all(known)
}

fn check(head: &[u8], body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut context = Context::new(&SHA256);
    context.update(head);
    context.update(body);
    let mut check = [0; CHECK_BYTES];
    check.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    check
}

/// Kind and body; none past a bound.
fn encode(message: &Message) -> Option<(u8, Vec<u8>)> {
    let mut body = Vec::new();
    let kind = match message {
        Message::Hello { oldest, newest } => {
            body.extend_from_slice(&oldest.to_be_bytes());
            body.extend_from_slice(&newest.to_be_bytes());
            0x01
        }
        Message::Welcome { version, prune } => {
            body.extend_from_slice(&version.to_be_bytes());
            body.push(u8::from(*prune));
            0x02
        }
        Message::Put { name, bytes, digest, keep_until } => {
            put_name(&mut body, name)?;
            body.extend_from_slice(&bytes.to_be_bytes());
            body.extend_from_slice(digest);
            body.push(u8::from(keep_until.is_some()));
            if let Some(until) = keep_until {
                body.extend_from_slice(&until.as_ms().to_be_bytes());
            }
            0x10
        }
        Message::GoOn => 0x11,
        Message::Data(bytes) if bytes.is_empty() || bytes.len() > DATA_BYTES_MAX => return None,
        Message::Data(bytes) => {
            body.extend_from_slice(bytes);
            0x12
        }
        Message::Written => 0x13,
        Message::Same => 0x14,
        Message::Read { name, from, to } => {
            put_name(&mut body, name)?;
            body.extend_from_slice(&from.to_be_bytes());
            body.extend_from_slice(&to.to_be_bytes());
            0x20
        }
        Message::Found { bytes, digest } => {
            body.extend_from_slice(&bytes.to_be_bytes());
            body.extend_from_slice(digest);
            0x21
        }
        Message::Absent => 0x22,
        Message::List { prefix } => {
            is_prefix(prefix).then_some(())?;
            body.extend_from_slice(prefix.as_bytes());
            0x30
        }
        Message::Names(names) if names.len() > NAMES_MAX => return None,
        Message::Names(names) => {
            for Listed { name, bytes } in names {
                put_name(&mut body, name)?;
                body.extend_from_slice(&bytes.to_be_bytes());
            }
            0x31
        }
        Message::End { count } => {
            body.extend_from_slice(&count.to_be_bytes());
            0x32
        }
        Message::Remove { name } => {
            put_name(&mut body, name)?;
            0x40
        }
        Message::Removed => 0x41,
        Message::Failed { why, text } => {
            body.push(match why {
                Why::Different => 1,
                Why::Refused => 2,
                Why::Unavailable => 3,
                Why::Protocol => 4,
            });
            body.extend_from_slice(cleaned(text).as_bytes());
            0x50
        }
    };
    Some((kind, body))
}

fn put_name(body: &mut Vec<u8>, name: &ObjectName) -> Option<()> {
    body.push(u8::try_from(name.as_str().len()).ok()?);
    body.extend_from_slice(name.as_str().as_bytes());
    Some(())
}

fn decode(kind: u8, body: Vec<u8>) -> Option<Message> {
    // Pieces of objects are most of what comes: they are not copied.
    if kind == 0x12 {
        return (!body.is_empty() && body.len() <= DATA_BYTES_MAX).then_some(Message::Data(body));
    }
    let mut rest = Rest(&body);
    let message = match kind {
        0x01 => Message::Hello { oldest: rest.u16()?, newest: rest.u16()? },
        0x02 => Message::Welcome { version: rest.u16()?, prune: rest.flag()? },
        0x10 => Message::Put {
            name: rest.name()?,
            bytes: rest.u64().filter(|bytes| *bytes <= OBJECT_BYTES_MAX)?,
            digest: rest.take()?,
            keep_until: if rest.flag()? { Some(rest.instant()?) } else { None },
        },
        0x11 => Message::GoOn,
        0x13 => Message::Written,
        0x14 => Message::Same,
        0x20 => Message::Read { name: rest.name()?, from: rest.u64()?, to: rest.u64()? },
        0x21 => Message::Found { bytes: rest.u64().filter(|bytes| *bytes <= OBJECT_BYTES_MAX)?, digest: rest.take()? },
        0x22 => Message::Absent,
        0x30 => Message::List { prefix: rest.text().filter(|text| is_prefix(text))? },
        0x31 => {
            let mut names = Vec::new();
            while !rest.0.is_empty() {
                (names.len() < NAMES_MAX).then_some(())?;
                names.push(Listed { name: rest.name()?, bytes: rest.u64()? });
            }
            Message::Names(names)
        }
        0x32 => Message::End { count: rest.u64()? },
        0x40 => Message::Remove { name: rest.name()? },
        0x41 => Message::Removed,
        0x50 => Message::Failed {
            why: match rest.take::<1>()? {
                [1] => Why::Different,
                [2] => Why::Refused,
                [3] => Why::Unavailable,
                [4] => Why::Protocol,
                _ => return None,
            },
            text: rest.text().filter(|text| cleaned(text) == *text)?,
        },
        _ => return None,
    };
    rest.0.is_empty().then_some(message)
}

/// What of a body is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.take::<1>()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// An instant that is one: one that would have to be clamped has a second writing.
    fn instant(&mut self) -> Option<Timestamp> {
        let ms = self.take().map(i64::from_be_bytes)?;
        Some(Timestamp::from_ms(ms)).filter(|instant| instant.as_ms() == ms)
    }

    fn name(&mut self) -> Option<ObjectName> {
        let [length] = self.take::<1>()?;
        let (name, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        ObjectName::parse(std::str::from_utf8(name).ok()?)
    }

    /// All that is left, as text.
    fn text(&mut self) -> Option<String> {
        String::from_utf8(std::mem::take(&mut self.0).to_vec()).ok()
    }
}

#[cfg(test)]
mod tests;
