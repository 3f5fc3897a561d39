use super::*;
use crate::document::Value;

#[test]
fn a_value_comes_back_out_of_its_term() {
    let texts = ["", "a", "a\0b", "\0", "\0\0", "é\0", "http://loinc.org"];
    for text in texts {
        for other in texts {
            for system in [System::Absent, System::Implied, System::Uri(other.into())] {
                assert_eq!(
                    value_of(&with_system(7, kind::CODE, text, &system)),
                    Some(Value::Token { system, code: Some(text.into()), text: None })
                );
            }
            assert_eq!(
                value_of(&string(7, text, other)),
                Some(Value::String { exact: text.into(), folded: other.into() })
            );
            assert_eq!(
                value_of(&of_type(7, Some(text), other, text)),
                Some(Value::OfType { system: Some(text.into()), code: other.into(), value: text.into() })
            );
            assert_eq!(
                value_of(&uri(7, text, Some(Some(other)))),
                Some(Value::Canonical { url: text.into(), version: Some(other.into()) })
            );
        }
    }
}

#[test]
fn an_id_comes_back_and_a_uuid_takes_seventeen_bytes() {
    let uuid = "0b3c5f7e-90ad-4e21-8f00-ffeeddccbba9";
    for id in [uuid, "a", "0", "A-1.b", "0B3C5F7E-90ad-4e21-8f00-ffeeddccbba9", &uuid[..35], &uuid.replace('-', "")] {
        let mut bytes = Vec::new();
        put_id(&mut bytes, id);
        assert_eq!(bytes.len(), if id == uuid { 17 } else { id.len() });
        assert_eq!(id_of(&bytes).unwrap().as_str(), id);
    }
    assert_eq!((id_of(&[UUID; 16]), id_of(&[UUID; 18]), id_of(&[])), (None, None, None));
}

#[test]
fn uuids_begin_where_their_texts_do() {
    let full = "0b3c5f7e-90ad-4e21-8f00-ffeeddccbba9";
    let uuids = [
        full,
        "00000000-0000-0000-0000-000000000000",
        "0b3c5f7e-90ad-4e21-8f00-ffeeddccbbaa",
        "0b3c5f7f-0000-0000-0000-000000000000",
        "9fffffff-ffff-ffff-ffff-ffffffffffff",
        "a0000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    let mut texts: Vec<String> =
        ["-", ".", "Z", "9", "9g", "9Z", "f", "g", "ffffffff.", "ffffffff-ffffG"].map(String::from).into();
    for uuid in uuids {
        for end in 0..=uuid.len() {
            for more in ["", "-", ".", "0", "9", "A", "a", "f", "z"] {
                texts.push(format!("{}{more}", &uuid[..end]));
            }
        }
    }
    for text in texts.iter().filter(|text| text.len() <= UUID_TEXT_BYTES) {
        let least = uuid_from(text);
        for uuid in uuids {
            let after = least.is_some_and(|least| uuid_of(uuid).unwrap() >= least);
            assert_eq!(after, uuid >= text.as_str(), "{uuid} {text}");
        }
    }
}

#[test]
fn texts_that_begin_alike_are_one_range() {
    let starts = |text: &str| {
        let mut term = head(7, kind::STRING);
        escape(&mut term, text);
        term
    };
    for text in ["", "a", "ab", "a\0", "a\0b", "b", "\u{ff}"] {
        for start in ["", "a", "a\0", "b", "\0"] {
            let term = string(7, text, text);
            let from = starts(start);
            let inside = term >= from && end_of(&from).is_none_or(|end| term < end);
            assert_eq!(inside, text.starts_with(start), "{text:?} {start:?}");
        }
    }
    assert_eq!(end_of(&[1, 255]), Some(vec![2]));
    assert_eq!(end_of(&[255]), None);
}
