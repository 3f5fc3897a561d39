//! The words on the pages of a pack's PDF, read back from the file: what is on the paper, and not what the program says of it.
//!
//! It reads PDFs as this program writes them: objects one after the other, streams with their length, text by fonts that say what their glyphs mean.
//! A file of another form gives pages without words, and the drill then misses everybody.

use std::collections::BTreeMap;
use std::io::Read;

/// Largest stream, inflated, in bytes.
const STREAM_BYTES_MAX: u64 = 64 << 20;

/// An object: what it says of itself, and its stream as it lies in the file.
struct Object<'p> {
    head: &'p [u8],
    bytes: &'p [u8],
}

/// What a font's glyphs mean.
type Meanings = BTreeMap<u16, String>;

/// A text without its spaces, as [`pages`] gives it: how words are set apart on paper is the typesetter's.
pub(super) fn close_up(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}

/// The words of each page, without spaces, in the order in which they were drawn.
pub(super) fn pages(pdf: &[u8]) -> Vec<String> {
    let objects = objects(pdf);
    let fonts: BTreeMap<u32, Meanings> = objects
        .iter()
        .filter_map(|(id, object)| {
            let meanings = objects.get(&referred(object.head, b"/ToUnicode")?)?;
            Some((*id, meanings_of(&meanings.stream())))
        })
        .collect();
    let is_page =
        |object: &&Object<'_>| after(object.head, b"/Type").is_some_and(|rest| starts_with_name(rest, b"/Page"));
    let words = |page: &Object<'_>| {
        let resources = match referred(page.head, b"/Resources") {
            Some(id) => objects.get(&id).map(|object| object.head),
            None => after(page.head, b"/Resources"),
        };
        let named = resources.map(fonts_of).unwrap_or_default();
        let content = referred(page.head, b"/Contents").and_then(|id| objects.get(&id));
        content.map_or_else(String::new, |content| {
            words_of(&content.stream(), &|name| named.get(name).and_then(|id| fonts.get(id)))
        })
    };
    objects.values().filter(is_page).map(words).collect()
}

fn objects(pdf: &[u8]) -> BTreeMap<u32, Object<'_>> {
    let mut found = BTreeMap::new();
    let mut rest = pdf;
    while let Some((before, after)) = split(rest, b" 0 obj") {
        let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let id = before.get(before.len() - digits..).and_then(number);
        let end = find(after, b"endobj").unwrap_or(after.len());
        let begin = find(after, b"stream").filter(|begin| *begin < end);
        let head = after.get(..begin.unwrap_or(end)).unwrap_or_default();
        let length = self::after(head, b"/Length").and_then(leading).unwrap_or(0) as usize;
        let body = begin.and_then(|begin| after.get(begin + b"stream".len()..));
        let body = body.map(|body| body.strip_prefix(b"\r").unwrap_or(body)).and_then(|body| body.strip_prefix(b"\n"));
        let bytes = body.and_then(|body| body.get(..length)).unwrap_or_default();
        // Past the stream, in which anything may stand.
        rest = body.and_then(|body| body.get(length..)).unwrap_or_else(|| after.get(end..).unwrap_or_default());
        if let Some(id) = id {
            found.insert(id, Object { head, bytes });
        }
    }
    found
}

impl Object<'_> {
    /// The stream, inflated.
    fn stream(&self) -> Vec<u8> {
        if find(self.head, b"/FlateDecode").is_none() {
            return self.bytes.to_vec();
        }
        let mut out = Vec::new();
        // What does not inflate has no words.
        let _ = flate2::read::ZlibDecoder::new(self.bytes).take(STREAM_BYTES_MAX).read_to_end(&mut out);
        out
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn split<'b>(bytes: &'b [u8], at: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let place = find(bytes, at)?;
    Some((bytes.get(..place)?, bytes.get(place + at.len()..)?))
}

/// What follows a name, which ends there.
fn after<'b>(bytes: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let mut rest = bytes;
    loop {
        rest = split(rest, name)?.1;
        if !rest.first().is_some_and(u8::is_ascii_alphanumeric) {
            return Some(rest.trim_ascii_start());
        }
    }
}

fn starts_with_name(bytes: &[u8], name: &[u8]) -> bool {
    bytes.strip_prefix(name).is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The number with which these bytes begin.
fn leading(bytes: &[u8]) -> Option<u32> {
    number(bytes.get(..bytes.iter().take_while(|byte| byte.is_ascii_digit()).count())?)
}

/// The object to which a member refers.
fn referred(head: &[u8], name: &[u8]) -> Option<u32> {
    leading(after(head, name)?)
}

/// The fonts of a page, by the names that its content calls them.
fn fonts_of(resources: &[u8]) -> BTreeMap<Vec<u8>, u32> {
    let listed = after(resources, b"/Font").and_then(|rest| rest.strip_prefix(b"<<"));
    let listed = listed.and_then(|rest| split(rest, b">>")).map_or(&[][..], |(listed, _)| listed);
    let mut found = BTreeMap::new();
    for one in listed.split(|byte| *byte == b'/').skip(1) {
        if let Some((name, rest)) = split(one, b" ")
            && let Some(id) = leading(rest.trim_ascii_start())
        {
            found.insert(name.to_vec(), id);
        }
    }
    found
}

/// A character map: `<glyph> <text>` between `beginbfchar` and `endbfchar`.
fn meanings_of(map: &[u8]) -> Meanings {
    let mut found = Meanings::new();
    let mut rest = map;
    while let Some((_, begun)) = split(rest, b"beginbfchar") {
        let (pairs, left) = split(begun, b"endbfchar").unwrap_or((begun, b""));
        let mut tokens = Tokens(pairs);
        while let (Some(Token::Text(glyph)), Some(Token::Text(text))) = (tokens.next(), tokens.next()) {
            let units: Vec<u16> = pairs_of(&text).collect();
            if let Some(glyph) = pairs_of(&glyph).next() {
                found.insert(glyph, close_up(&String::from_utf16_lossy(&units)));
            }
        }
        rest = left;
    }
    found
}

fn pairs_of(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
}

/// What a content draws.
fn words_of<'f>(content: &[u8], font: &dyn Fn(&[u8]) -> Option<&'f Meanings>) -> String {
    let mut out = String::new();
    let (mut drawn, mut named, mut used): (Vec<Vec<u8>>, Vec<u8>, Option<&Meanings>) = (Vec::new(), Vec::new(), None);
    for token in Tokens(content) {
        match token {
            Token::Text(text) => drawn.push(text),
            Token::Name(name) => named = name.to_vec(),
            Token::Word(word)
                if word.first().is_some_and(|byte| byte.is_ascii_alphabetic() || b"'\"*".contains(byte)) =>
            {
                match word {
                    b"Tf" => used = font(&named),
                    b"Tj" | b"TJ" | b"'" | b"\"" => {
                        let glyphs = drawn.iter().flat_map(|text| pairs_of(text));
                        let known = glyphs.filter_map(|glyph| used.and_then(|used| used.get(&glyph)));
                        known.for_each(|text| out.push_str(text));
                    }
                    _ => {}
                }
                drawn.clear();
            }
            Token::Word(_) => {}
        }
    }
    out
}

/// What contents and character maps are made of.
enum Token<'b> {
    /// `(...)` or `<...>`.
    Text(Vec<u8>),
    /// `/...`, without the stroke.
    Name(&'b [u8]),
    /// A number or an operator.
    Word(&'b [u8]),
}

struct Tokens<'b>(&'b [u8]);

impl<'b> Tokens<'b> {
    fn take(&mut self, bytes: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn while_regular(&mut self) -> &'b [u8] {
        let regular = |byte: &&u8| !byte.is_ascii_whitespace() && !b"()<>[]{}/%".contains(byte);
        self.take(self.0.iter().take_while(regular).count())
    }

    /// A text in brackets, which may hold others.
    fn bracketed(&mut self) -> Vec<u8> {
        let (mut text, mut depth) = (Vec::new(), 1);
        loop {
            let [byte] = *self.take(1) else { return text };
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => {
                    text.extend(self.escaped());
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                return text;
            }
            text.push(byte);
        }
    }

    fn escaped(&mut self) -> Option<u8> {
        let octal = self.0.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        if octal > 0 {
            let digits = self.take(octal);
            return Some(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
        }
        match self.take(1) {
            [b'n'] => Some(b'\n'),
            [b'r'] => Some(b'\r'),
            [b't'] => Some(b'\t'),
            [b'b'] => Some(8),
            [b'f'] => Some(12),
            [b'\n'] | [] => None,
            other => other.first().copied(),
        }
    }
}

fn of_hex(digits: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .iter()
        .filter_map(|digit| char::from(*digit).to_digit(16))
        .filter_map(|digit| digit.try_into().ok())
        .collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |value, digit| value * 16 + digit)).collect()
}

impl<'b> Iterator for Tokens<'b> {
    type Item = Token<'b>;

    fn next(&mut self) -> Option<Token<'b>> {
        loop {
            self.0 = self.0.trim_ascii_start();
            match self.0 {
                [] => return None,
                [b'<', b'<', ..] | [b'>', b'>', ..] => {
                    self.take(2);
                }
                [b'<', rest @ ..] => {
                    let digits = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
                    let text = of_hex(rest.get(..digits).unwrap_or_default());
                    self.take(digits + 2);
                    return Some(Token::Text(text));
                }
                [b'(', ..] => {
                    self.take(1);
                    return Some(Token::Text(self.bracketed()));
                }
                [b'/', ..] => {
                    self.take(1);
                    return Some(Token::Name(self.while_regular()));
                }
                [b'%', ..] => {
                    let line = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
                    self.take(line);
                }
                _ => match self.while_regular() {
                    // A bracket of a list, or what has no meaning here.
                    [] => {
                        self.take(1);
                    }
                    word => return Some(Token::Word(word)),
                },
            }
        }
    }
}
