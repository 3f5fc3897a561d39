//! JSON with lines and indents, for people. Works on the text itself, so that numbers keep their digits and strings their
//! escapes; what it is given is JSON already.

use bytes::Bytes;
use zeroize::Zeroizing;

const INDENT: &[u8] = b"  ";

/// Longest JSON that gets lines, in bytes. Nobody reads more, and the work is done where connections are served.
pub(crate) const PRETTY_BYTES_MAX: usize = 4 << 20;

/// Longest text with lines, in bytes. Records take about half as much again; what is nested deeply could take thirty times
/// as much.
const WRITTEN_BYTES_MAX: usize = 2 * PRETTY_BYTES_MAX;

/// Writes compact JSON with lines and indents. None: it is too long for that, or would become so.
pub(crate) fn format(json: &[u8]) -> Option<Bytes> {
    if json.len() > PRETTY_BYTES_MAX {
        return None;
    }
    // Counted first, so that the buffer, which is wiped at its end, never moves and leaves a copy behind.
    let mut length = Length(0);
    walk(json, &mut length);
    if length.0 > WRITTEN_BYTES_MAX {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(length.0));
    walk(json, &mut *out);
    Some(Bytes::from_owner(out))
}

trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// A new line, indented.
    fn line(&mut self, depth: usize);
}

struct Length(usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }

    /// Counted at once, so that the depth costs no time before it is known whether the text is written at all.
    fn line(&mut self, depth: usize) {
        self.0 = self.0.saturating_add(depth.saturating_mul(INDENT.len()).saturating_add(1));
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn line(&mut self, depth: usize) {
        self.push(b'\n');
        (0..depth).for_each(|_| self.extend_from_slice(INDENT));
    }
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
                    out.line(depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                out.line(depth);
                out.put(&[byte]);
            }
            b',' => {
                out.put(b",");
                out.line(depth);
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
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn lines_and_indents_change_nothing_else() {
        let json = br#"{"a":[1.00,-2e5,"x\"{,:\\"],"b":{},"c":[ ],"d":{"e":null}}"#;
        let pretty = format(json).unwrap();
        let expected = "{\n  \"a\": [\n    1.00,\n    -2e5,\n    \"x\\\"{,:\\\\\"\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": {\n    \"e\": null\n  }\n}";
        assert_eq!(std::str::from_utf8(&pretty).unwrap(), expected);
        assert_eq!(format(&pretty), Some(pretty));
    }

    #[test]
    fn what_is_not_json_does_not_break_it() {
        for text in ["", "\"", "\"\\", "}}]]", "{", "[["] {
            format(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn what_is_long_or_would_grow_without_bound_stays_as_it_is() {
        let list = |bytes: usize| format!("[{}1]", "1,".repeat(bytes / 2 - 1)).into_bytes();
        assert_eq!(list(PRETTY_BYTES_MAX).len(), PRETTY_BYTES_MAX + 1);
        assert!(format(&list(PRETTY_BYTES_MAX)).is_none());
        assert!(format(&list(PRETTY_BYTES_MAX / 4)).is_some());
        let deep = [vec![b'['; 64], list(PRETTY_BYTES_MAX / 2), vec![b']'; 64]].concat();
        assert!(format(&deep).is_none());
        // So deep that the indents alone could not be counted one by one.
        assert!(format(&vec![b'['; PRETTY_BYTES_MAX]).is_none());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_means_the_same_and_any_bytes_do_no_harm(json in any_json(), bytes: Vec<u8>) {
            let compact = serde_json::to_vec(&json).unwrap();
            let pretty = format(&compact).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&pretty).unwrap(), json.clone());
            let expected = serde_json::to_vec_pretty(&json).unwrap();
            prop_assert_eq!(&pretty[..], &expected[..]);
            prop_assert!(format(&bytes).is_some());
        }
    }
}
