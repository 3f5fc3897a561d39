//! No bytes open but those that were sealed, for the place they were sealed for, and none makes the reader panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_seal::{Algorithm, Associated, Dictionary, Key, Purpose, Sealer, open, seal};
use tacet_types::{EstablishmentId, SeededRng};

/// Most bytes of plaintext that are asked for.
const BYTES_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let algorithm = if choice & 1 == 0 { Algorithm::Aes256Gcm } else { Algorithm::Aes256GcmSiv };
    let sealer = Sealer::new(algorithm, &Key::from_bytes([7; 32]));
    let purpose = Purpose::ALL[usize::from(choice >> 1) % Purpose::ALL.len()];
    let place = Associated { establishment: EstablishmentId([9; 16]), purpose, row: b"row", resource: None };

    // Whatever is given is refused: to open it would be a forgery.
    assert!(open(&sealer, &place, rest, BYTES_MAX).is_err());

    // What is sealed opens to itself, and not when one bit of it is turned.
    let sealed = seal(&sealer, &place, rest, Dictionary::None, &SeededRng::new(1)).expect("seals");
    assert_eq!(open(&sealer, &place, &sealed, BYTES_MAX).expect("opens").as_slice(), rest);
    let mut turned = sealed.clone();
    let bit = usize::from(choice) * 31 % (turned.len() * 8);
    turned[bit / 8] ^= 1 << (bit % 8);
    assert!(open(&sealer, &place, &turned, BYTES_MAX).is_err());
    let elsewhere = Associated { row: b"other", ..place };
    assert!(open(&sealer, &elsewhere, &sealed, BYTES_MAX).is_err());
});
