//! Frames between an SSH target and its receiver have one reading and one writing, and a receiver given any bytes leaves what it has as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tacet_backup::targets::frames::{self, GREETING, Message, VERSION};
use tacet_backup::targets::{Folder, Receive, receive};
use tacet_backup::{ObjectName, Target};
use tacet_types::{SeededRng, SystemClock};

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(message) = frames::read(&mut rest) {
        let mut written = Vec::new();
        frames::write(&mut written, &message).expect("what was read can be written");
        let read = data.len() - rest.len();
        assert!(data[..read].ends_with(&written));
    }
    // Frames with a right checksum are hard to guess: the fuzzer's bytes are bodies, and a message is made of each that is one.
    let place = tempfile::tempdir().expect("a directory");
    let folder = Folder::open(place.path(), Arc::new(SystemClock), Arc::new(SeededRng::new(1))).expect("it is empty");
    let kept = ObjectName::parse("snapshots/1").expect("a name");
    folder.put_new(&kept, b"kept", None).expect("there is room");
    let mut input = GREETING.to_vec();
    frames::write(&mut input, &Message::Hello { oldest: VERSION, newest: VERSION }).expect("in memory");
    let mut rest = data;
    while let [kind, length, tail @ ..] = rest {
        let (body, after) = tail.split_at(usize::from(*length).min(tail.len()));
        input.extend_from_slice(&frames::framed(*kind, body));
        rest = after;
    }
    let _ = receive(&folder, Receive { prune: false, keep_free_bytes: 0 }, &mut input.as_slice(), &mut Vec::new());
    assert_eq!(folder.read(&kept, None).expect("it is still there"), b"kept");
});
