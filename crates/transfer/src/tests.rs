//! A file goes through to whom it is for and to nobody else, and no byte of it can be changed.

use crate::{HospitalKeys, Manifest, Opened, PublicKey, Recipient, Summary, TransferError, open, seal};
use tacet_types::Timestamp;
use zeroize::Zeroizing;

const DAY_MS: i64 = 86_400_000;

fn now() -> Timestamp {
    Timestamp::parse("2026-03-01T08:00:00Z").expect("a time")
}

fn keys(of: u8) -> HospitalKeys {
    HospitalKeys::new(&[of; 32], &[of ^ 0x55; 32])
}

fn known(sender: &HospitalKeys) -> Vec<(String, PublicKey)> {
    vec![("Elsewhere".to_owned(), keys(99).public()), ("Lille".to_owned(), sender.public())]
}

fn manifest() -> Manifest {
    let expires = now().plus_ms(DAY_MS);
    Manifest::new("id-1".into(), "Lille".into(), "Lens".into(), now(), expires, "TREAT".into())
}

fn parts() -> Vec<Summary> {
    let part = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    vec![(part("{\"a\":1}"), part("%PDF-a")), (part("{\"b\":2}"), part("%PDF-b"))]
}

fn made(from: &HospitalKeys, to: &HospitalKeys) -> Vec<u8> {
    seal(manifest(), &parts(), from, &to.recipient()).expect("a transfer")
}

fn error(opened: Result<Opened, TransferError>) -> TransferError {
    opened.err().expect("refused")
}

#[test]
fn a_transfer_arrives_as_it_was_sent() {
    let (lille, lens) = (keys(1), keys(2));
    let file = made(&lille, &lens);
    let opened = open(&file, &lens, &known(&lille), now()).expect("ours");
    assert_eq!((opened.sender.as_str(), opened.patients()), ("Lille", 2));
    for (at, (bundle, pdf)) in parts().iter().enumerate() {
        assert_eq!((opened.bundle(at), opened.pdf(at)), (Some(bundle.as_slice()), Some(pdf.as_slice())));
    }
    assert_eq!((opened.bundle(2), opened.pdf(usize::MAX)), (None, None));
    let clear = [b"PDF".as_slice(), b"Lille", b"TREAT", b"id-1"];
    assert!(clear.iter().all(|text| !file.windows(text.len()).any(|window| window == *text)));
}

#[test]
fn every_byte_that_is_changed_is_noticed() {
    let (lille, lens) = (keys(1), keys(2));
    let file = made(&lille, &lens);
    let known = known(&lille);
    for at in 0..file.len() {
        for flip in [0x01, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= flip;
            let refused = error(open(&changed, &lens, &known, now()));
            let right = matches!(refused, TransferError::Changed | TransferError::NoTransfer | TransferError::NotForUs);
            assert!(right, "byte {at}: {refused}");
        }
    }
    for length in 0..file.len() {
        error(open(&file[..length], &lens, &known, now()));
    }
    error(open(&[file.as_slice(), b"x"].concat(), &lens, &known, now()));
}

#[test]
fn who_opens_the_seal_cannot_change_what_was_signed() {
    let (lille, lens) = (keys(1), keys(2));
    let file = made(&lille, &lens);
    // What the receiver could do, or who stole the receiver's key: open it, change a byte, seal it again.
    let content = age::decrypt(&lens.identity, &file).expect("opens");
    let mut refused = 0;
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 0x20;
        let file = age::encrypt(&lens.recipient().0, &changed).expect("seals");
        error(open(&file, &lens, &known(&lille), now()));
        refused += 1;
    }
    assert_eq!(refused, content.len());
    for longer in [[content.as_slice(), b"x"].concat(), content[..content.len() - 1].to_vec(), Vec::new()] {
        error(open(&age::encrypt(&lens.recipient().0, &longer).expect("seals"), &lens, &known(&lille), now()));
    }
    // Passed on to a third hospital: its manifest says for whom it was.
    let third = keys(3);
    let passed = age::encrypt(&third.recipient().0, &content).expect("seals");
    assert!(matches!(error(open(&passed, &third, &known(&lille), now())), TransferError::NotForUs));
}

#[test]
fn wrong_recipient_unknown_sender_and_wrong_time_are_told_apart() {
    let (lille, lens, third) = (keys(1), keys(2), keys(3));
    let file = made(&lille, &lens);
    assert!(matches!(error(open(&file, &third, &known(&lille), now())), TransferError::NotForUs));
    let unknown = error(open(&file, &lens, &known(&third), now()));
    assert!(matches!(&unknown, TransferError::UnknownSender { key } if *key == lille.public()), "{unknown}");
    assert!(matches!(error(open(&file, &lens, &[], now())), TransferError::UnknownSender { .. }));
    let late = now().plus_ms(DAY_MS + 1);
    assert!(matches!(error(open(&file, &lens, &known(&lille), late)), TransferError::Expired { .. }));
    let early = now().plus_ms(-DAY_MS);
    assert!(matches!(error(open(&file, &lens, &known(&lille), early)), TransferError::Early));
    assert!(matches!(error(open(b"hello", &lens, &known(&lille), now())), TransferError::NoTransfer));
}

#[test]
fn what_keeps_not_to_its_bounds_is_not_made() {
    let (lille, lens) = (keys(1), keys(2));
    let sealed = |manifest: Manifest, patients: &[_]| seal(manifest, patients, &lille, &lens.recipient());
    assert!(sealed(manifest(), &[]).is_err(), "a transfer of nobody");
    let mut long = manifest();
    long.reason = "x".repeat(crate::TEXT_BYTES_MAX + 1);
    assert!(sealed(long, &parts()).is_err());
    let mut broken = manifest();
    broken.reason = "two\nlines".into();
    assert!(sealed(broken, &parts()).is_err());
    let many = vec![parts()[0].clone(); crate::PATIENTS_MAX + 1];
    assert!(matches!(sealed(manifest(), &many), Err(TransferError::TooMuch { what: "patients", .. })));
}

#[test]
fn keys_are_derived_and_read() {
    let lille = keys(7);
    assert_eq!(lille.public(), keys(7).public());
    assert_eq!(lille.recipient().to_string(), keys(7).recipient().to_string());
    assert_ne!(lille.recipient().to_string(), keys(8).recipient().to_string());
    let public = lille.public().to_string();
    assert_eq!(PublicKey::parse(&public), Some(lille.public()));
    assert_eq!(PublicKey::parse(&public.to_uppercase()), Some(lille.public()));
    for wrong in ["", "00", &public[1..], &public.replace('0', "g"), &format!("+{}", &public[1..])] {
        assert!(PublicKey::parse(wrong).is_none_or(|key| key == lille.public()), "{wrong}");
    }
    assert!(Recipient::parse(&lille.recipient().to_string()).is_ok());
    assert!(Recipient::parse("age1nonsense").is_err());
    // Printed, a key shows its public halves only.
    assert!(!format!("{lille:?}").contains("SECRET"));
}
