//! Writing a tree back: compact for storage and the wire, pretty for people. Numbers and member order come out as they
//! were read; strings come out with the fewest escapes that RFC 8259 section 7 allows.

use super::Json;
use super::parse::plain_run;

/// Spaces for each level of a pretty text.
const INDENT: &str = "  ";

/// The value as compact JSON, without white space.
pub fn write(value: &Json<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_into(value, &mut out);
    out
}

/// Appends the value as compact JSON.
pub fn write_into(value: &Json<'_>, out: &mut Vec<u8>) {
    match value {
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_into(item, out);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                write_into(member, out);
            }
            out.push(b'}');
        }
        scalar => write_scalar(scalar, out),
    }
}

/// The value as indented JSON, two spaces a level, ending with a line break.
pub fn write_pretty(value: &Json<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    pretty(value, 0, &mut out);
    out.push(b'\n');
    out
}

fn pretty(value: &Json<'_>, level: usize, out: &mut Vec<u8>) {
    match value {
        Json::Array(items) if !items.is_empty() => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                next_line(index > 0, level + 1, out);
                pretty(item, level + 1, out);
            }
            next_line(false, level, out);
            out.push(b']');
        }
        Json::Object(members) if !members.is_empty() => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                next_line(index > 0, level + 1, out);
                string(name, out);
                out.extend_from_slice(b": ");
                pretty(member, level + 1, out);
            }
            next_line(false, level, out);
            out.push(b'}');
        }
        other => write_into(other, out),
    }
}

fn next_line(comma: bool, level: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(if comma { b",\n" } else { b"\n" });
    for _ in 0..level {
        out.extend_from_slice(INDENT.as_bytes());
    }
}

fn write_scalar(value: &Json<'_>, out: &mut Vec<u8>) {
    match value {
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(text) => out.extend_from_slice(text.as_bytes()),
        Json::String(text) => string(text, out),
        Json::Null | Json::Array(_) | Json::Object(_) => out.extend_from_slice(b"null"),
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((special, after)) = from.split_first() else { break };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            control => {
                out.extend_from_slice(b"\\u00");
                for digit in [control >> 4, control & 15] {
                    out.extend(HEX.get(usize::from(digit)));
                }
            }
        }
        rest = after;
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, parse_str};
    use super::*;

    #[test]
    fn compact_text_comes_back_byte_for_byte() {
        for text in [
            r#"{"b":1.00,"a":-0,"c":[1e400,0.1E-7,123456789012345678901234567890]}"#,
            r#"["é","\"\\\b\f\n\r\t\u0000\u001f/",{},[],null,true,false]"#,
            r#""""#,
        ] {
            let value = parse_str(text, &Limits::default()).expect("well-formed");
            assert_eq!(String::from_utf8(write(&value)).expect("UTF-8"), text);
        }
    }

    #[test]
    fn pretty_text_is_indented_and_means_the_same() {
        let value = parse_str(r#"{"a":[1,{"b":[]}],"c":{}}"#, &Limits::default()).expect("well-formed");
        let text = String::from_utf8(write_pretty(&value)).expect("UTF-8");
        assert_eq!(text, "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}\n");
        assert_eq!(parse_str(&text, &Limits::default()).expect("well-formed"), value);
    }
}
