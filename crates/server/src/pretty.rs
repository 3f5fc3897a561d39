//! JSON with lines and indents, for people. Works on the text itself, so that numbers keep their digits and strings their
//! escapes; what it is given is JSON already.

use bytes::Bytes;
use zeroize::Zeroizing;

const INDENT: &[u8] = b"  ";

/// Writes compact JSON with lines and indents.
pub(crate) fn format(json: &[u8]) -> Bytes {
    // Counted first, so that the buffer, which is wiped at its end, never moves and leaves a copy behind.
    let mut length = Length(0);
    walk(json, &mut length);
    let mut out = Zeroizing::new(Vec::with_capacity(length.0));
    walk(json, &mut *out);
    Bytes::from_owner(out)
}

trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

struct Length(usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

fn line(depth: usize, out: &mut impl Sink) {
    out.put(b"\n");
    (0..depth).for_each(|_| out.put(INDENT));
}

fn walk(json: &[u8], out: &mut impl Sink) {
    let mut depth = 0usize;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'"' => {
                let length = string_length(rest);
                let (string, after) = rest.split_at(length);
                out.put(b"\"");
                out.put(string);
                rest = after;
            }
            b'{' | b'[' => {
                out.put(&[byte]);
                let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if let Some(close @ (b'}' | b']')) = rest.get(blank) {
                    out.put(&[*close]);
                    rest = rest.get(blank + 1..).unwrap_or_default();
                } else {
                    depth += 1;
                    line(depth, out);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(depth, out);
                out.put(&[byte]);
            }
            b',' => {
                out.put(b",");
                line(depth, out);
            }
            b':' => out.put(b": "),
            other => out.put(&[other]),
        }
    }
}

/// Bytes up to and with the closing quote of a string whose opening one is past.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_indents_change_nothing_else() {
        let json = br#"{"a":[1.00,-2e5,"x\"{,:\\"],"b":{},"c":[ ],"d":{"e":null}}"#;
        let pretty = format(json);
        let expected = "{\n  \"a\": [\n    1.00,\n    -2e5,\n    \"x\\\"{,:\\\\\"\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": {\n    \"e\": null\n  }\n}";
        assert_eq!(std::str::from_utf8(&pretty).unwrap(), expected);
        assert_eq!(format(&pretty), pretty);
    }

    #[test]
    fn what_is_not_json_does_not_break_it() {
        for text in ["", "\"", "\"\\", "}}]]", "{", "[["] {
            format(text.as_bytes());
        }
    }
}
