use super::*;
use crate::targets::tests::name;
use proptest::prelude::*;

fn every_message() -> Vec<Message> {
    let listed = Listed { name: name("segments/0a"), bytes: 7 };
    vec![
        Message::Hello { oldest: 1, newest: 3 },
        Message::Welcome { version: 1, prune: true },
        Message::Put { name: name("a"), bytes: 5, digest: [3; 32], keep_until: None },
        Message::Put { name: name("a/b"), bytes: 0, digest: [0; 32], keep_until: Some(Timestamp::from_ms(-5)) },
        Message::GoOn,
        Message::Data(vec![1, 2, 3]),
        Message::Data(vec![9; DATA_BYTES_MAX]),
        Message::Written,
        Message::Same,
        Message::Read { name: name("a"), from: 0, to: u64::MAX },
        Message::Found { bytes: OBJECT_BYTES_MAX, digest: [1; 32] },
        Message::Absent,
        Message::List { prefix: String::new() },
        Message::List { prefix: "snapshots/0".into() },
        Message::Names(vec![]),
        Message::Names(vec![listed; NAMES_MAX]),
        Message::End { count: 12 },
        Message::Remove { name: name("a") },
        Message::Removed,
        Message::Failed { why: Why::Different, text: String::new() },
        Message::Failed { why: Why::Refused, text: "no room".into() },
        Message::Failed { why: Why::Unavailable, text: "x".repeat(TEXT_BYTES_MAX) },
        Message::Failed { why: Why::Protocol, text: "?".into() },
    ]
}

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, message).unwrap();
    bytes
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for message in every_message() {
        assert_eq!(read(&mut bytes_of(&message).as_slice()).unwrap(), message);
    }
}

#[test]
fn every_bit_that_flips_and_every_byte_that_is_missing_is_noticed() {
    for message in every_message() {
        let bytes = bytes_of(&message);
        let some = if bytes.len() < 500 { 1 } else { bytes.len() / 97 };
        for at in (0..bytes.len()).step_by(some) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read(&mut flipped.as_slice()).is_err(), "{at} of {message:?}");
            assert!(read(&mut &bytes[..at]).is_err(), "{at} of {message:?}");
        }
    }
    assert!(matches!(read(&mut [].as_slice()), Err(FrameError::Closed)));
}

#[test]
fn malformed_messages_are_refused_whatever_their_checksum() {
    let bad: [(u8, Vec<u8>); 22] = [
        (0x00, vec![]),
        (0xff, vec![]),
        (0x01, vec![0, 1, 0]),
        (0x01, vec![0, 1, 0, 1, 0]),
        (0x02, vec![0, 1, 2]),
        (0x11, vec![0]),
        (0x12, vec![]),
        (0x40, vec![]),
        (0x40, vec![0]),
        (0x40, b"\x02a".to_vec()),
        (0x40, b"\x02..".to_vec()),
        (0x40, b"\x04/etc".to_vec()),
        (0x40, b"\x04a/.b".to_vec()),
        (0x40, b"\x01aa".to_vec()),
        (0x30, b"../".to_vec().repeat(100)),
        (0x30, b"A".to_vec()),
        (0x31, b"\x01a".to_vec()),
        (0x50, vec![]),
        (0x50, vec![9]),
        (0x50, b"\x01\x1b[31m".to_vec()),
        (0x50, [&[1][..], &[b'x'; TEXT_BYTES_MAX + 1]].concat()),
        (0x21, [&u64::MAX.to_be_bytes()[..], &[0; 32]].concat()),
    ];
    for (kind, body) in bad {
        assert!(
            matches!(read(&mut framed(kind, &body).as_slice()), Err(FrameError::Malformed(_))),
            "{kind:#x} {body:?}"
        );
    }
    // A length alone must not make anybody take memory for it.
    let huge = [&[0x12][..], &u32::MAX.to_be_bytes()].concat();
    assert!(matches!(read(&mut huge.as_slice()), Err(FrameError::Malformed("a frame is too long"))));
}

#[test]
fn texts_of_the_other_end_are_cut_and_cleaned() {
    assert_eq!(cleaned("a\x1b[2J\nb\u{202e}é"), "a?[2J?b??");
    assert_eq!(cleaned(&"x".repeat(5000)).len(), TEXT_BYTES_MAX);
    let message = Message::Failed { why: Why::Refused, text: "tab\there".into() };
    let Message::Failed { text, .. } = read(&mut bytes_of(&message).as_slice()).unwrap() else { panic!() };
    assert_eq!(text, "tab?here");
}

#[test]
fn messages_past_a_bound_are_not_written() {
    for message in [
        Message::Data(vec![]),
        Message::Data(vec![0; DATA_BYTES_MAX + 1]),
        Message::Names(vec![Listed { name: name("a"), bytes: 0 }; NAMES_MAX + 1]),
        Message::List { prefix: "..\n".into() },
    ] {
        assert!(write(&mut Vec::new(), &message).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_have_one_writing(kind: u8, body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = framed(kind, &body);
        if let Ok(message) = read(&mut bytes.as_slice()) {
            prop_assert_eq!(bytes_of(&message), bytes);
        }
    }
}
