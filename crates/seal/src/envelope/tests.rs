use super::*;
use crate::{Key, Purpose};
use proptest::prelude::*;
use tacet_types::{EstablishmentId, ResourceId, ResourceType, Rng, SeededRng, VersionId};

struct Place {
    resource_type: ResourceType,
    id: ResourceId,
}

impl Place {
    fn new(resource_type: &str, id: &str) -> Self {
        Self { resource_type: ResourceType::parse(resource_type).unwrap(), id: ResourceId::parse(id).unwrap() }
    }

    fn at(&self, version: u64) -> Associated<'_> {
        Associated {
            establishment: EstablishmentId([1; 16]),
            purpose: Purpose::Content,
            row: b"row 1",
            resource: Some((&self.resource_type, &self.id, VersionId(version))),
        }
    }
}

fn sealers() -> [Sealer; 2] {
    let key = Key::from_bytes([9; 32]);
    [Sealer::gcm(&key), Sealer::gcm_siv(&key)]
}

const TEXT: &[u8] = br#"{"resourceType":"Patient","id":"a","name":[{"family":"Exemple"}]}"#;

#[test]
fn a_row_opens_only_where_it_was_sealed() {
    let (place, rng) = (Place::new("Patient", "a"), SeededRng::new(1));
    for key in sealers() {
        let right = place.at(3);
        let sealed = seal(&key, &right, TEXT, Dictionary::None, &rng).unwrap();
        assert_eq!(*open(&key, &right, &sealed, TEXT.len()).unwrap(), TEXT);

        let (other_id, other_type) = (Place::new("Patient", "b"), Place::new("Group", "a"));
        let mut wrong = vec![
            ("version", place.at(4)),
            ("id", other_id.at(3)),
            ("type", other_type.at(3)),
            ("no resource", Associated { resource: None, ..right }),
            ("row", Associated { row: b"row 2", ..right }),
            ("empty row", Associated { row: b"", ..right }),
            ("establishment", Associated { establishment: EstablishmentId([2; 16]), ..right }),
        ];
        wrong.extend(Purpose::ALL.into_iter().skip(1).map(|purpose| ("purpose", Associated { purpose, ..right })));
        for (what, place) in wrong {
            let outcome = open(&key, &place, &sealed, 20_000);
            assert!(matches!(outcome, Err(SealError::NotAuthentic)), "another {what}");
        }
        let other_key = Sealer::new(key.algorithm(), &Key::from_bytes([8; 32]));
        assert!(matches!(open(&other_key, &right, &sealed, 20_000), Err(SealError::NotAuthentic)));
    }
}

#[test]
fn swapped_rows_and_mixed_algorithms_do_not_open() {
    let (one, two, rng) = (Place::new("Patient", "a"), Place::new("Patient", "b"), SeededRng::new(1));
    let [gcm, siv] = sealers();
    let first = seal(&gcm, &one.at(1), TEXT, Dictionary::None, &rng).unwrap();
    let second = seal(&gcm, &two.at(1), TEXT, Dictionary::None, &rng).unwrap();
    assert!(matches!(open(&gcm, &two.at(1), &first, 1000), Err(SealError::NotAuthentic)));
    assert!(matches!(open(&gcm, &one.at(1), &second, 1000), Err(SealError::NotAuthentic)));
    // Under the same key with the other algorithm, even when the byte in the header is changed to say so.
    assert!(matches!(open(&siv, &one.at(1), &first, 1000), Err(SealError::WrongAlgorithm { found: 1, .. })));
    let mut relabelled = first.clone();
    relabelled[1] = 2;
    assert!(matches!(open(&siv, &one.at(1), &relabelled, 1000), Err(SealError::NotAuthentic)));
    // Half of one and half of the other.
    let spliced = [&first[..first.len() / 2], &second[second.len() / 2..]].concat();
    assert!(matches!(open(&gcm, &one.at(1), &spliced, 1000), Err(SealError::NotAuthentic)));
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let (place, rng) = (Place::new("Patient", "a"), SeededRng::new(1));
    for key in sealers() {
        let sealed = seal(&key, &place.at(1), TEXT, Dictionary::None, &rng).unwrap();
        for at in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[at / 8] ^= 1 << (at % 8);
            let error = open(&key, &place.at(1), &altered, 1000).err().unwrap();
            match at / 8 {
                0 => assert!(matches!(error, SealError::UnknownFormat { .. }), "bit {at}: {error}"),
                1 => assert!(matches!(error, SealError::WrongAlgorithm { .. }), "bit {at}: {error}"),
                _ => assert!(matches!(error, SealError::NotAuthentic), "bit {at}: {error}"),
            }
        }
        for length in 0..sealed.len() {
            let error = open(&key, &place.at(1), &sealed[..length], 1000).err().unwrap();
            if length < ENVELOPE_BYTES + INNER_BYTES {
                assert!(matches!(error, SealError::Truncated { bytes } if bytes == length), "{length}: {error}");
            } else {
                assert!(matches!(error, SealError::NotAuthentic), "{length}: {error}");
            }
        }
        let longer = [&sealed[..], b"\0"].concat();
        assert!(matches!(open(&key, &place.at(1), &longer, 1000), Err(SealError::NotAuthentic)));
    }
}

#[test]
fn the_clear_part_links_no_rows_and_tells_nothing() {
    // Two rows of different types and keys: apart from nonce, text and tag they are the same bytes and the same length.
    let rng = SeededRng::new(1);
    let (patient, binary) = (Place::new("Patient", "a"), Place::new("Binary", "some-other-id"));
    let [key, _] = sealers();
    let one = seal(&key, &patient.at(1), TEXT, Dictionary::Resource(patient.resource_type), &rng).unwrap();
    let two = seal(&key, &binary.at(9), b"x", Dictionary::None, &rng).unwrap();
    let again = seal(&key, &patient.at(1), TEXT, Dictionary::None, &rng).unwrap();
    assert_eq!((one.len(), one.len()), (two.len(), again.len()));
    assert_eq!(one[..2], [FORMAT_VERSION, 1]);
    assert_eq!(one[..2], two[..2]);
    let same = one.iter().zip(&again).skip(2).filter(|(a, b)| a == b).count();
    assert!(same < 20, "the same text sealed twice looks different, but {same} bytes are equal");
    assert!(!one.windows(7).any(|window| window == b"Exemple"));
}

#[test]
fn the_bound_on_the_text_is_kept() {
    let (place, rng) = (Place::new("Binary", "a"), SeededRng::new(1));
    let [key, _] = sealers();
    let noise: Vec<u8> = (0..1000).map(|_| rng.next_u64() as u8).collect();
    for text in [vec![b'a'; 1000], noise] {
        let sealed = seal(&key, &place.at(1), &text, Dictionary::None, &rng).unwrap();
        assert_eq!(*open(&key, &place.at(1), &sealed, 20_000).unwrap(), text);
        let outcome = open(&key, &place.at(1), &sealed, 999);
        assert!(matches!(outcome, Err(SealError::TooLarge { bytes: 1000, bytes_max: 999 })));
    }
    let empty = seal(&key, &place.at(1), b"", Dictionary::None, &rng).unwrap();
    assert!(open(&key, &place.at(1), &empty, 0).unwrap().is_empty());
}

#[test]
fn what_does_not_shrink_is_kept_as_it_is_and_what_does_is_smaller() {
    let (place, rng) = (Place::new("Binary", "a"), SeededRng::new(1));
    let [key, _] = sealers();
    let noise: Vec<u8> = (0..5000).map(|_| rng.next_u64() as u8).collect();
    let repeated = vec![b'a'; 5000];
    let length = |text: &[u8]| seal(&key, &place.at(1), text, Dictionary::None, &rng).unwrap().len();
    assert_eq!(
        length(&noise),
        ENVELOPE_BYTES + padded_length(INNER_BYTES + 5000, Purpose::Content.padding_step_bytes())
    );
    assert_eq!(length(&repeated), ENVELOPE_BYTES + Purpose::Content.padding_step_bytes());
}

#[test]
fn a_buffer_can_be_used_again() {
    let (place, rng) = (Place::new("Patient", "a"), SeededRng::new(1));
    let [key, _] = sealers();
    let mut buffer = vec![0xff; 7];
    for text in [&vec![b'a'; 3000][..], b"short", b"", TEXT] {
        seal_into(&key, &place.at(1), text, Dictionary::None, &rng, &mut buffer).unwrap();
        assert_eq!(*open(&key, &place.at(1), &buffer, 3000).unwrap(), text);
    }
    let row = vec![0; crate::ROW_BYTES_MAX + 1];
    let wrong = Associated { row: &row, ..place.at(1) };
    assert!(seal_into(&key, &wrong, TEXT, Dictionary::None, &rng, &mut buffer).is_err());
    assert!(buffer.is_empty(), "no plaintext is left behind");
}

#[test]
fn a_dictionary_goes_through_the_envelope() {
    use crate::dictionaries::Committed;
    let place = Place::new("Patient", "a");
    let committed = [Committed { id: 300, name: "Patient", bytes: TEXT }];
    let with: &'static Dictionaries = Box::leak(Box::new(Dictionaries::new(&committed)));
    let without: &'static Dictionaries = Box::leak(Box::new(Dictionaries::new(&[])));
    let rng = SeededRng::new(1);
    let [key, _] = sealers();
    let text = TEXT.repeat(50);
    let mut sealed = Vec::new();
    let hint = Dictionary::Resource(place.resource_type);
    write_envelope(with, &key, &place.at(1), &text, hint, &rng, &mut sealed).unwrap();
    assert_eq!(*read_envelope(with, &key, &place.at(1), &sealed, 20_000).unwrap(), text);
    let outcome = read_envelope(without, &key, &place.at(1), &sealed, 20_000);
    let error = outcome.err().unwrap();
    assert!(matches!(error, SealError::UnknownDictionary { id: 300 }));
    assert!(error.to_string().contains("300"), "{error}");
}

#[test]
fn threads_seal_and_open_side_by_side() {
    let place = Place::new("Patient", "a");
    let key = &sealers()[0];
    std::thread::scope(|scope| {
        for seed in 0..8_u64 {
            let place = &place;
            scope.spawn(move || {
                let rng = SeededRng::new(seed);
                for length in (0..4000).step_by(97) {
                    let text: Vec<u8> = (0..length).map(|n| (n as u64 * seed / 7) as u8).collect();
                    let sealed = seal(key, &place.at(seed), &text, Dictionary::None, &rng).unwrap();
                    assert_eq!(*open(key, &place.at(seed), &sealed, 4000).unwrap(), text);
                }
            });
        }
    });
}

/// CPU time of this thread in ns, which other work on the machine does not lengthen (Linux, `proc(5)`).
fn cpu_ns() -> u128 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split(' ').next().unwrap().parse().unwrap()
}

/// Prints what sealing and opening cost: `cargo test -p tacet-seal --release -- --ignored --nocapture cost_of`.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_sealing_and_opening() {
    const ROUNDS: u32 = 20_000;
    fn each_ns(mut work: impl FnMut(u32)) -> u128 {
        let start = cpu_ns();
        (0..ROUNDS).for_each(&mut work);
        (cpu_ns() - start) / u128::from(ROUNDS)
    }
    let place = Place::new("Observation", "a-typical-id");
    let rng = crate::SecureRng;
    for (name, key) in ["gcm", "gcm-siv"].into_iter().zip(sealers()) {
        for length in [40, 300, 1000, 10_000] {
            let text: Vec<u8> = (0_u64..)
                .flat_map(|n| format!("{{\"code\":\"{}\",\"value\":{}}},", n * 7919 % 997, n * n % 89).into_bytes())
                .take(length)
                .collect();
            let mut sealed = Vec::new();
            let seal_ns =
                each_ns(|_| seal_into(&key, &place.at(1), &text, Dictionary::None, &rng, &mut sealed).unwrap());
            let open_ns = each_ns(|_| drop(open(&key, &place.at(1), &sealed, length).unwrap()));
            println!("{name:8} {length:6} bytes -> {:6}: seal {seal_ns} ns, open {open_ns} ns", sealed.len());
        }
    }
    let text = br#"{"code":"123","value":456,"system":"http://loinc.org"},"#.repeat(18);
    let ns =
        each_ns(|_| compress(&DICTIONARIES, Dictionary::None, &text, |_, body| assert!(!body.is_empty())).unwrap());
    println!("compress 1 kB: {ns} ns");
    let keys = crate::RowKeys::new(&Key::from_bytes([1; 32]));
    let ns = each_ns(|n| assert_eq!(keys.key(2, 1, &[b"Observation", b"an-id", &n.to_be_bytes()])[0], 2));
    println!("row key: {ns} ns");
    let mut nonce = [0; 12];
    println!("nonce: {} ns", each_ns(|_| rng.fill(std::hint::black_box(&mut nonce))));
    println!("bound: {} ns", each_ns(|_| drop(place.at(1).encode(Algorithm::Aes256Gcm).unwrap())));
    let mut wiped = vec![1_u8; 1024];
    println!("wipe 1 kB: {} ns", each_ns(|_| zeroize::Zeroize::zeroize(std::hint::black_box(wiped.as_mut_slice()))));
    let key = Key::from_bytes([9; 32]);
    println!("set a key up: {} ns", each_ns(|_| drop(Sealer::gcm(&key))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn anything_goes_round(
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3000),
            prop::collection::vec(prop::sample::select(b"ab\"{}:0".to_vec()), 0..20_000),
        ],
        row in prop::collection::vec(any::<u8>(), 0..80),
        purpose in prop::sample::select(Purpose::ALL.to_vec()),
        seed in any::<u64>(),
        siv in any::<bool>(),
    ) {
        let key = Key::random(&SeededRng::new(seed));
        let key = if siv { Sealer::gcm_siv(&key) } else { Sealer::gcm(&key) };
        let place = Associated { establishment: EstablishmentId([3; 16]), purpose, row: &row, resource: None };
        let sealed = seal(&key, &place, &text, Dictionary::Ledger, &SeededRng::new(seed)).unwrap();
        let inner = sealed.len() - ENVELOPE_BYTES;
        prop_assert_eq!(inner, padded_length(inner, purpose.padding_step_bytes()), "a length is always a step");
        prop_assert!(inner <= padded_length(INNER_BYTES + text.len(), purpose.padding_step_bytes()));
        prop_assert_eq!(&*open(&key, &place, &sealed, text.len()).unwrap(), &text);
    }

    #[test]
    fn texts_within_a_step_have_one_length(seed in any::<u64>(), one in 0_usize..250, two in 0_usize..250) {
        let rng = SeededRng::new(seed);
        let place = Associated { establishment: EstablishmentId([3; 16]), purpose: Purpose::Content, row: b"r", resource: None };
        let [key, _] = sealers();
        let length = |n: usize| {
            let text: Vec<u8> = (0..n).map(|_| rng.next_u64() as u8).collect();
            seal(&key, &place, &text, Dictionary::None, &rng).unwrap().len()
        };
        prop_assert_eq!(length(one), length(two));
    }

    #[test]
    fn noise_never_opens_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), version in any::<bool>()) {
        let mut bytes = bytes;
        if version && bytes.len() > 2 {
            bytes[..2].copy_from_slice(&[1, 1]);
        }
        let place = Associated { establishment: EstablishmentId([3; 16]), purpose: Purpose::Content, row: b"r", resource: None };
        prop_assert!(open(&sealers()[0], &place, &bytes, 1000).is_err());
    }
}

#[test]
fn a_row_that_a_measuring_build_left_in_clear_is_refused_by_name() {
    let (place, rng) = (Place::new("Patient", "a"), SeededRng::new(1));
    for key in sealers() {
        let mut row = seal(&key, &place.at(1), TEXT, Dictionary::None, &rng).unwrap();
        assert_ne!(row[1], UNSEALED, "never written");
        row[1] = UNSEALED;
        assert!(matches!(open(&key, &place.at(1), &row, 1000), Err(SealError::Unsealed)));
    }
}
