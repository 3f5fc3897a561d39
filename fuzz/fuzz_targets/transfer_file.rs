//! No bytes are a transfer but those that a known sender signed: neither as a file, nor sealed to the receiver by somebody else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::str::FromStr;
use tacet_transfer::{HospitalKeys, open};
use tacet_types::Timestamp;

fuzz_target!(|data: &[u8]| {
    let (receiver, sender) = (HospitalKeys::new(&[1; 32], &[2; 32]), HospitalKeys::new(&[3; 32], &[4; 32]));
    let senders = [("Elsewhere".to_owned(), sender.public())];
    let now = Timestamp::from_ms(1_760_000_000_000);
    assert!(open(data, &receiver, &senders, now).is_err());
    let recipient = age::x25519::Recipient::from_str(&receiver.recipient().to_string()).expect("a key");
    for begin in [b"".as_slice(), b"tacet-transfer-1\n"] {
        let sealed = age::encrypt(&recipient, &[begin, data].concat()).expect("seals");
        assert!(open(&sealed, &receiver, &senders, now).is_err());
    }
});
