//! The part of a root key file that lies in a backup of keys, for whoever has the recovery shares: it is read before anything tells whose it is.

#![no_main]

use aws_lc_rs::digest::{SHA256, digest};
use libfuzzer_sys::fuzz_target;
use tacet_seal::root::RecoveryPart;

fuzz_target!(|data: &[u8]| {
    // As it came; and with a checksum that is right, as somebody would make one, or no input gets past that.
    let checked = [data, digest(&SHA256, data).as_ref()].concat();
    for bytes in [data, &checked] {
        if let Ok(part) = RecoveryPart::parse(bytes) {
            assert_eq!(part.as_bytes(), bytes);
            let split = part.split();
            assert!(split.threshold() >= 2 && split.threshold() <= split.shares());
            let again = RecoveryPart::parse(part.as_bytes()).expect("what was read is read again");
            assert_eq!((again.revision(), again.split()), (part.revision(), split));
            let shown = format!("{part:?}");
            assert!(shown.len() < 100, "it prints nothing of itself");
        }
    }
});
