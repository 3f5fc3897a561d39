//! Escapes within values: what stands for a delimiter, a line, or bytes (chapter 2, 2.7).

use crate::message::Delimiters;
use std::borrow::Cow;

/// Longest escape, in bytes, with its delimiters: longer ones are none.
const ESCAPE_BYTES_MAX: usize = 1024;

/// The value with its escapes resolved. Highlighting is dropped; escapes that are not known are left as they stand.
pub(crate) fn unescape<'a>(text: &'a str, delimiters: &Delimiters) -> Cow<'a, str> {
    let Some(mark) = delimiters.escape.filter(|mark| text.contains(*mark)) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        let known = after.split_once(mark).filter(|(code, _)| code.len() <= ESCAPE_BYTES_MAX);
        let resolved = known.and_then(|(code, left)| resolve(code, delimiters).map(|value| (value, left)));
        match resolved {
            Some((value, left)) => {
                out.push_str(&value);
                rest = left;
            }
            None => {
                out.push(mark);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn resolve(code: &str, delimiters: &Delimiters) -> Option<Cow<'static, str>> {
    let one = |letter: Option<char>| letter.map(|letter| Cow::Owned(letter.to_string()));
    match code {
        "F" => one(Some(delimiters.field)),
        "S" => one(Some(delimiters.component)),
        "R" => one(Some(delimiters.repetition)),
        "T" => one(delimiters.subcomponent),
        "E" => one(delimiters.escape),
        "P" => one(Some(delimiters.truncation.unwrap_or('#'))),
        "H" | "N" => Some(Cow::Borrowed("")),
        ".br" | ".sp" => Some(Cow::Borrowed("\n")),
        _ => {
            let digits = code.strip_prefix('X').filter(|digits| !digits.is_empty() && digits.len() % 2 == 0)?;
            let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
            String::from_utf8(bytes?).ok().map(Cow::Owned)
        }
    }
}

fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |letter: &u8| char::from(*letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

/// A text as a value: each delimiter within it is escaped, and a line's end becomes a blank.
pub(crate) fn escape(text: &str, delimiters: &Delimiters) -> String {
    let mut out = String::with_capacity(text.len());
    let mark = delimiters.escape.unwrap_or('\\');
    for letter in text.chars() {
        let code = match letter {
            _ if letter == delimiters.field => 'F',
            _ if letter == delimiters.component => 'S',
            _ if letter == delimiters.repetition => 'R',
            _ if Some(letter) == delimiters.subcomponent => 'T',
            _ if Some(letter) == delimiters.escape => 'E',
            '\r' | '\n' | '\t' => {
                out.push(' ');
                continue;
            }
            _ if letter.is_control() => continue,
            _ => {
                out.push(letter);
                continue;
            }
        };
        out.extend([mark, code, mark]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_what_they_name() {
        let delimiters = Delimiters::DEFAULT;
        for (text, value) in [
            (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
            (r"one\.br\two", "one\ntwo"),
            (r"\H\loud\N\ \X4142\", "loud AB"),
            (r"\XC3A9\t\XC3A9\", "été"),
            (r"left \Zwhat\ open \", r"left \Zwhat\ open \"),
            (r"\X4\ \XFF\ \XGG\", r"\X4\ \XFF\ \XGG\"),
        ] {
            assert_eq!(unescape(text, &delimiters), value, "{text}");
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let delimiters = Delimiters::DEFAULT;
        let text = r"a|b^c&d~e\f";
        assert_eq!(unescape(&escape(text, &delimiters), &delimiters), text);
        assert_eq!(escape("a\r\nb\u{1c}", &delimiters), "a  b");
    }
}
