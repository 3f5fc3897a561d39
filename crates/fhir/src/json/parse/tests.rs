//! Malformed and border cases of the parser, and agreement with serde_json on generated and damaged text.

use super::*;
use crate::json::write;
use proptest::prelude::*;

fn kind(text: &[u8]) -> Option<ParseErrorKind> {
    parse(text, &Limits::default()).err().map(|error| error.kind)
}

#[test]
fn malformed_texts_are_refused_with_their_kind() {
    use ParseErrorKind as K;
    let cases: &[(&[u8], K)] = &[
        (b"", K::UnexpectedEnd),
        (b"   ", K::UnexpectedEnd),
        (b"\xEF\xBB\xBF{}", K::ByteOrderMark),
        (b"{\"a\":\"\xFF\"}", K::Utf8),
        (b"\"\xC0\x80\"", K::Utf8),
        (b"\"\xED\xA0\x80\"", K::Utf8),
        (b"{", K::UnexpectedEnd),
        (b"[", K::UnexpectedEnd),
        (b"[1", K::UnexpectedEnd),
        (b"[1,", K::UnexpectedEnd),
        (b"[1,]", K::UnexpectedCharacter),
        (b"[,1]", K::UnexpectedCharacter),
        (b"[1 2]", K::UnexpectedCharacter),
        (b"{\"a\"}", K::UnexpectedCharacter),
        (b"{\"a\":}", K::UnexpectedCharacter),
        (b"{\"a\":1,}", K::UnexpectedCharacter),
        (b"{a:1}", K::UnexpectedCharacter),
        (b"{'a':1}", K::UnexpectedCharacter),
        (b"{} {}", K::TrailingText),
        (b"{}x", K::TrailingText),
        (b"{}\0", K::TrailingText),
        (b"nul", K::UnexpectedEnd),
        (b"nulL", K::UnexpectedCharacter),
        (b"True", K::UnexpectedCharacter),
        (b"NaN", K::UnexpectedCharacter),
        (b"// c\n1", K::UnexpectedCharacter),
        (b"\x0B1", K::UnexpectedCharacter),
        (b"01", K::Number),
        (b"-", K::Number),
        (b"-x", K::Number),
        (b"+1", K::UnexpectedCharacter),
        (b".5", K::UnexpectedCharacter),
        (b"5.", K::Number),
        (b"1e", K::Number),
        (b"1e+", K::Number),
        (b"0x1", K::TrailingText),
        (b"\"", K::UnexpectedEnd),
        (b"\"abc", K::UnexpectedEnd),
        (b"\"a\nb\"", K::ControlCharacter),
        (b"\"a\x00b\"", K::ControlCharacter),
        (b"\"0123456\x1F\"", K::ControlCharacter),
        (b"\"\\x\"", K::Escape),
        (b"\"\\u12G4\"", K::Escape),
        (b"\"\\u+123\"", K::Escape),
        (b"\"\\u12", K::UnexpectedEnd),
        (b"\"\\", K::UnexpectedEnd),
        (b"\"\\uD800\"", K::LoneSurrogate),
        (b"\"\\uDC00\"", K::LoneSurrogate),
        (b"\"\\uD800\\u0041\"", K::LoneSurrogate),
        (b"\"\\uD800x\"", K::LoneSurrogate),
        (b"{\"a\":1,\"a\":1}", K::RepeatedName),
        (b"{\"a\":1,\"\\u0061\":1}", K::RepeatedName),
    ];
    for (text, expected) in cases {
        assert_eq!(kind(text), Some(*expected), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn well_formed_border_cases_are_read() {
    for (text, expected) in [
        ("\"\\uD83D\\uDE00\"", "😀"),
        ("\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"", "/\u{8}\u{C}\n\r\t\"\\"),
        ("\"\\u0000\"", "\0"),
        ("\"\u{7F}\u{80}\u{FEFF}\"", "\u{7F}\u{80}\u{FEFF}"),
        ("\t\r\n \"x\" \n", "x"),
        ("\"1234567\\n12345678\\t\"", "1234567\n12345678\t"),
    ] {
        assert_eq!(parse_str(text, &Limits::default()).expect("well-formed"), Json::from(expected));
    }
    for number in ["0", "-0", "0.0", "1E5", "1e-5", "-12.340", "99999999999999999999999999999.9e999"] {
        assert_eq!(parse_str(number, &Limits::default()).expect("well-formed").as_number(), Some(number));
    }
}

#[test]
fn errors_say_where() {
    let error = parse("{\n  \"é\": \"ü\",\n  \"é\": 1}".as_bytes(), &Limits::default()).expect_err("repeated");
    assert_eq!((error.kind, error.line, error.column), (ParseErrorKind::RepeatedName, 3, 3));
    assert_eq!(error.offset, 18);
    assert_eq!(error.to_string(), "member name repeated in an object (line 3, column 3, byte 18)");
    let error = parse(b"[1,\n\xFF]", &Limits::default()).expect_err("not UTF-8");
    assert_eq!((error.offset, error.line, error.column), (4, 2, 1));
}

#[test]
fn limits_hold() {
    let limits = Limits { bytes_max: 40, depth_max: 3, values_max: 6, members_max: 2 };
    let refused = |text: &str| parse(text.as_bytes(), &limits).err().map(|error| error.kind);
    assert_eq!(refused("[[[]]]"), None);
    assert_eq!(refused("[[[[]]]]"), Some(ParseErrorKind::TooDeep));
    assert_eq!(refused("[[[]],[[]]]"), None);
    assert_eq!(refused("[1,2,3,4,5]"), None);
    assert_eq!(refused("[1,2,3,4,5,6]"), Some(ParseErrorKind::TooManyValues));
    assert_eq!(refused("{\"a\":1,\"b\":2}"), None);
    assert_eq!(refused("{\"a\":1,\"b\":2,\"c\":3}"), Some(ParseErrorKind::TooManyMembers));
    assert_eq!(refused(&" ".repeat(41)), Some(ParseErrorKind::TooLarge));
}

#[test]
fn the_deepest_text_allowed_fits_the_stack_and_deeper_is_refused() {
    let limits = Limits { depth_max: usize::MAX, ..Limits::default() };
    let nested = |depth: usize| format!("{}1{}", "[{\"a\":".repeat(depth / 2), "}]".repeat(depth / 2));
    assert!(parse(nested(DEPTH_CEILING).as_bytes(), &limits).is_ok());
    let error = parse(nested(DEPTH_CEILING + 2).as_bytes(), &limits).expect_err("too deep");
    assert_eq!(error.kind, ParseErrorKind::TooDeep);
    let endless = vec![b'['; 10_000_000];
    assert_eq!(parse(&endless, &limits).err().map(|error| error.kind), Some(ParseErrorKind::TooDeep));
}

#[test]
fn repeated_names_are_found_in_wide_objects() {
    for width in [15, 16, 17, 18, 40, 5000] {
        for repeated in [0, width / 2, width - 1] {
            let names: Vec<String> = (0..width).chain([repeated]).map(|n| format!("\"name{n}\":0")).collect();
            let good = format!("{{{}}}", names.get(..width).expect("has them").join(","));
            assert_eq!(kind(good.as_bytes()), None);
            let bad = format!("{{{}}}", names.join(","));
            assert_eq!(kind(bad.as_bytes()), Some(ParseErrorKind::RepeatedName), "{width} {repeated}");
        }
    }
}

/// The same value as serde_json sees it, with our numbers turned into its own.
fn as_serde(value: &Json<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(text) => serde_json::from_str(text).unwrap_or(Value::String(format!("beyond serde: {text}"))),
        Json::String(text) => Value::String(text.to_string()),
        Json::Array(items) => Value::Array(items.iter().map(as_serde).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.to_string(), as_serde(value))).collect())
        }
    }
}

/// Where this parser and serde_json may differ, and why each is right here:
/// - repeated names: serde_json keeps the last; two readers would see two records, so they are refused;
/// - depth: serde_json stops at 128, the default here is 64;
/// - numbers: serde_json refuses those beyond a double (`1e999`); FHIR decimals are text here and kept.
fn agrees(text: &[u8]) {
    let ours = parse(text, &Limits::default());
    let theirs: Result<serde_json::Value, _> = serde_json::from_slice(text);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(as_serde(&ours), theirs),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => assert!(
            matches!(error.kind, ParseErrorKind::RepeatedName | ParseErrorKind::TooDeep),
            "only we refuse {}: {error}",
            String::from_utf8_lossy(text)
        ),
        (Ok(_), Err(error)) => assert!(
            error.to_string().contains("number out of range"),
            "only serde_json refuses {}: {error}",
            String::from_utf8_lossy(text)
        ),
    }
}

/// Text that is JSON more often than not: values nested, with odd strings, numbers and white space.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
        "\"(\\\\u[0-9a-fA-FdD]{4}|\\\\[\"\\\\/bfnrtx]|[ -~]){0,12}\"",
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        let space = "[ \n\t\r]{0,2}";
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..8), space)
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!(",{space}")))),
            prop::collection::vec(("[a-f]{1,2}", inner), 0..20).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(n, v)| format!("\"{n}\": {v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn agrees_with_serde_json_on_generated_text(text in json_text()) {
        agrees(text.as_bytes());
        if let Ok(value) = parse_str(&text, &Limits::default()) {
            let written = write(&value);
            prop_assert_eq!(parse(&written, &Limits::default()).expect("own output"), value);
        }
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_text(
        text in json_text(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..5),
    ) {
        let mut bytes = text.into_bytes();
        for (place, edit, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match edit {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, b"\"\\{}[],:0e.-u \n"[usize::from(byte) % 15]),
            }
        }
        agrees(&bytes);
    }

    #[test]
    fn agrees_with_serde_json_on_noise(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        agrees(&bytes);
    }
}
