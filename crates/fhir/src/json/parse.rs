//! The strict, bounded parser: RFC 8259 text to a borrowed [`Json`] tree.
//!
//! Recursion follows the nesting of the text, which [`Limits::depth_max`] bounds and [`DEPTH_CEILING`] bounds again,
//! so no input exhausts the stack. Errors say where and what kind, never what was there.

use super::{Json, Member};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// The deepest nesting that any caller may allow, in arrays and objects. A level costs some 500 bytes of stack in an
/// unoptimised build, so this stays far inside the 2 MiB of a thread.
pub const DEPTH_CEILING: usize = 512;

/// Default bound on the text, in bytes. The largest bundle of the Synthea sample is about 10 MB.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Default bound on nesting. The deepest official R4 example nests under 30 levels.
const DEPTH_MAX: usize = 64;
/// Default bound on the number of values. A value costs 32 bytes in the tree, with its name 56, so this bounds the
/// tree at about 350 MB when the text is at its own bound.
const VALUES_MAX: usize = 6_000_000;
const _: () = assert!(size_of::<Json<'_>>() <= 32 && size_of::<Member<'_>>() <= 56);
/// Default bound on the members of one object. The widest R4 resource has under 100.
const MEMBERS_MAX: usize = 10_000;

/// Objects up to this many members are checked for repeated names by comparing; above it, by hashing.
const COMPARED_MEMBERS_MAX: usize = 16;

/// What the parser accepts at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest text, in bytes.
    pub bytes_max: usize,
    /// Deepest nesting of arrays and objects (`[]` is 1). Never more than [`DEPTH_CEILING`], whatever is asked.
    pub depth_max: usize,
    /// Most values of all kinds in the whole text.
    pub values_max: usize,
    /// Most members in one object.
    pub members_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_max: BYTES_MAX, depth_max: DEPTH_MAX, values_max: VALUES_MAX, members_max: MEMBERS_MAX }
    }
}

/// What is wrong with a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Longer than [`Limits::bytes_max`].
    #[error("the text is larger than allowed: send it in smaller parts")]
    TooLarge,
    /// Starts with a byte order mark, which RFC 8259 section 8.1 forbids to senders.
    #[error("the text starts with a byte order mark: send it without")]
    ByteOrderMark,
    /// Not UTF-8.
    #[error("the text is not UTF-8: send it in that encoding")]
    Utf8,
    /// The text stops before its value is complete.
    #[error("the text ends too early")]
    UnexpectedEnd,
    /// Something stands where RFC 8259 does not allow it.
    #[error("unexpected character")]
    UnexpectedCharacter,
    /// A value is complete and something follows it.
    #[error("something follows the value")]
    TrailingText,
    /// A character below U+0020 stands unescaped in a string.
    #[error("control character in a string: escape it")]
    ControlCharacter,
    /// A backslash is not followed by one of the escapes of RFC 8259 section 7.
    #[error("unknown escape in a string")]
    Escape,
    /// Half of a surrogate pair, which names no character.
    #[error("half of a surrogate pair in a string")]
    LoneSurrogate,
    /// A number is not written as RFC 8259 section 6 asks.
    #[error("malformed number")]
    Number,
    /// A member name appears twice in one object.
    #[error("member name repeated in an object")]
    RepeatedName,
    /// Nested deeper than [`Limits::depth_max`].
    #[error("nested deeper than allowed")]
    TooDeep,
    /// More values than [`Limits::values_max`].
    #[error("more values than allowed: send it in smaller parts")]
    TooManyValues,
    /// An object has more members than [`Limits::members_max`].
    #[error("an object has more members than allowed")]
    TooManyMembers,
}

/// Where and how a text is not acceptable. Carries nothing of the text itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Bytes before the place.
    pub offset: usize,
    /// Line of the place, from 1.
    pub line: usize,
    /// Characters from the start of the line, from 1 (bytes where the text is not UTF-8).
    pub column: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {}, byte {})", self.kind, self.line, self.column, self.offset)
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    fn at(kind: ParseErrorKind, bytes: &[u8], offset: usize) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let in_line = before.get(line_start..).unwrap_or_default();
        // A character is counted at its first byte: continuation bytes are 10xxxxxx.
        let column = 1 + in_line.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        ParseError { kind, offset, line, column }
    }
}

/// Reads one JSON value, and nothing but white space around it.
///
/// # Errors
/// [`ParseError`] for text that is not strict RFC 8259, repeats a member name, or exceeds `limits`.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Json<'a>, ParseError> {
    if bytes.len() > limits.bytes_max {
        return Err(ParseError { kind: ParseErrorKind::TooLarge, offset: limits.bytes_max, line: 1, column: 1 });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_str(text, limits),
        Err(error) => Err(ParseError::at(ParseErrorKind::Utf8, bytes, error.valid_up_to())),
    }
}

/// Reads one JSON value from text that is known to be UTF-8.
///
/// # Errors
/// As [`parse`].
pub fn parse_str<'a>(text: &'a str, limits: &Limits) -> Result<Json<'a>, ParseError> {
    let bytes = text.as_bytes();
    if bytes.len() > limits.bytes_max {
        return Err(ParseError { kind: ParseErrorKind::TooLarge, offset: limits.bytes_max, line: 1, column: 1 });
    }
    if text.starts_with('\u{FEFF}') {
        return Err(ParseError::at(ParseErrorKind::ByteOrderMark, bytes, 0));
    }
    let mut parser = Parser {
        text,
        bytes,
        at: 0,
        depth_left: limits.depth_max.min(DEPTH_CEILING),
        values_left: limits.values_max,
        members_max: limits.members_max,
    };
    parser.document().map_err(|kind| ParseError::at(kind, bytes, parser.at.min(bytes.len())))
}

/// The place in the text and what is left of the limits. On an error `at` is where the fault is.
struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth_left: usize,
    values_left: usize,
    members_max: usize,
}

type Parsed<T> = Result<T, ParseErrorKind>;

impl<'a> Parser<'a> {
    fn document(&mut self) -> Parsed<Json<'a>> {
        self.skip_white_space();
        let value = self.value()?;
        self.skip_white_space();
        if self.at < self.bytes.len() { Err(ParseErrorKind::TrailingText) } else { Ok(value) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The error for a byte that cannot stand here, or for none being left.
    fn unexpected(&self) -> ParseErrorKind {
        if self.at < self.bytes.len() { ParseErrorKind::UnexpectedCharacter } else { ParseErrorKind::UnexpectedEnd }
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Parsed<Json<'a>> {
        self.values_left = self.values_left.checked_sub(1).ok_or(ParseErrorKind::TooManyValues)?;
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(b't') => self.word(b"true", Json::Bool(true)),
            Some(b'f') => self.word(b"false", Json::Bool(false)),
            Some(b'n') => self.word(b"null", Json::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Parsed<Json<'a>>) -> Parsed<Json<'a>> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(ParseErrorKind::TooDeep)?;
        self.at += 1;
        self.skip_white_space();
        let value = inner(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn word(&mut self, word: &[u8], value: Json<'a>) -> Parsed<Json<'a>> {
        for expected in word {
            if self.peek() != Some(*expected) {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        Ok(value)
    }

    /// After `[` and white space.
    fn array(&mut self) -> Parsed<Json<'a>> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.unexpected()),
            }
            self.skip_white_space();
        }
    }

    /// After `{` and white space.
    fn object(&mut self) -> Parsed<Json<'a>> {
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names = Names::default();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            if members.len() >= self.members_max {
                return Err(ParseErrorKind::TooManyMembers);
            }
            let name_at = self.at;
            let name = self.string()?;
            if names.repeats(&members, &name) {
                self.at = name_at;
                return Err(ParseErrorKind::RepeatedName);
            }
            self.skip_white_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected());
            }
            self.at += 1;
            self.skip_white_space();
            let value = self.value()?;
            members.push((name, value));
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.unexpected()),
            }
            self.skip_white_space();
        }
    }

    /// RFC 8259 section 6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`. The text is kept, so `1.00` and
    /// numbers beyond any machine type come back as they were.
    fn number(&mut self) -> Parsed<Cow<'a, str>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(ParseErrorKind::Number),
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return Err(ParseErrorKind::Number);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        self.slice(start, self.at).map(Cow::Borrowed)
    }

    /// One digit or more.
    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(ParseErrorKind::Number) } else { Ok(()) }
    }

    /// At the opening quotation mark.
    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = self.slice(start, self.at)?;
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::from(self.slice(start, self.at)?);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(ParseErrorKind::ControlCharacter),
                None => return Err(ParseErrorKind::UnexpectedEnd),
            }
            let start = self.at;
            self.skip_plain();
            text.push_str(self.slice(start, self.at)?);
        }
    }

    /// Moves over the characters of a string that stand for themselves.
    fn skip_plain(&mut self) {
        self.at += plain_run(self.bytes.get(self.at..).unwrap_or_default());
    }

    /// At a backslash (RFC 8259 section 7).
    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else { return Err(ParseErrorKind::UnexpectedEnd) };
        let plain = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.code_point(start);
            }
            _ => return Err(ParseErrorKind::Escape),
        };
        self.at += 1;
        Ok(plain)
    }

    /// After `\u`; a second escape follows when the first is the high half of a pair.
    fn code_point(&mut self, start: usize) -> Parsed<char> {
        let first = self.four_hex()?;
        let scalar = match first {
            0xD800..=0xDBFF => {
                let pair = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"));
                let low = if pair {
                    self.at += 2;
                    self.four_hex()?
                } else {
                    0
                };
                if !(0xDC00..=0xDFFF).contains(&low) {
                    self.at = start;
                    return Err(ParseErrorKind::LoneSurrogate);
                }
                0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00)
            }
            other => other,
        };
        char::from_u32(scalar).ok_or_else(|| {
            self.at = start;
            ParseErrorKind::LoneSurrogate
        })
    }

    fn four_hex(&mut self) -> Parsed<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return Err(ParseErrorKind::UnexpectedEnd) };
            let digit = char::from(byte).to_digit(16).ok_or(ParseErrorKind::Escape)?;
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    /// The text between two places at which the parser stood, which are ASCII bytes and so character boundaries.
    fn slice(&self, from: usize, to: usize) -> Parsed<&'a str> {
        self.text.get(from..to).ok_or(ParseErrorKind::Utf8)
    }
}

/// The names seen in one object, once comparing them one by one would become quadratic.
#[derive(Default)]
struct Names<'a>(Option<HashSet<Cow<'a, str>>>);

impl<'a> Names<'a> {
    /// Whether this name is among the members already read; remembers it.
    #[expect(clippy::ptr_arg, reason = "a clone that keeps borrowing needs the Cow itself")]
    fn repeats(&mut self, members: &[Member<'a>], name: &Cow<'a, str>) -> bool {
        if members.len() < COMPARED_MEMBERS_MAX {
            return members.iter().any(|(known, _)| known == name);
        }
        let seen = self.0.get_or_insert_with(|| members.iter().map(|(known, _)| known.clone()).collect());
        !seen.insert(name.clone())
    }
}

/// How many bytes at the start are neither `"`, `\` nor a control character. Eight at a time: the classic
/// "has a byte less than n" test on a word, whose lowest set bit is exact.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut run = 0;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let found = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if found != 0 {
            // At most 7, so the conversion is lossless.
            return run + (found.trailing_zeros() / 8) as usize;
        }
        run += 8;
        rest = after;
    }
    run + rest.iter().take_while(|byte| **byte >= 0x20 && **byte != b'"' && **byte != b'\\').count()
}

#[cfg(test)]
mod tests;
