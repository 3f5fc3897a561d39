//! Any bytes are refused or read as messages; a message is acknowledged by one that can be read, and mapped or refused within its bounds, the same each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_hl7v2::{Adt, Answer, Code, Existing, Message, Settings, acknowledge, decode, messages};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = decode(data) else { return };
    let Ok(found) = messages(&text) else { return };
    let settings = Settings {
        visit_system: Some("urn:visit".into()),
        ward_system: Some("urn:ward".into()),
        systems: [("A".to_owned(), "urn:a".to_owned())].into(),
        ..Settings::default()
    };
    for text in found {
        let Ok(message) = Message::parse(text) else { continue };
        let answer = Answer::refused(Code::Error, 207, text.chars().take(100).collect::<String>());
        let ack = acknowledge(&message, &answer, "20260302100000+0000", "1");
        assert!(Message::parse(&ack).is_ok(), "an answer that is no message");
        let Ok(adt) = Adt::of(&message, &settings) else { continue };
        let ward = adt.ward().map(|_| "Location/w".to_owned());
        let existing = Existing { ward, ..Existing::default() };
        let once = adt.bundle(&existing).ok().flatten();
        assert_eq!(once, adt.bundle(&existing).ok().flatten());
    }
});
