use super::*;
use proptest::prelude::*;
use tacet_types::SeededRng;

const FILE: [u8; FILE_ID_BYTES] = [7; FILE_ID_BYTES];
const SET: [u8; SHARE_SET_BYTES] = [8; SHARE_SET_BYTES];

fn made(threshold: u8, shares: u8, seed: u64) -> (Key, Split, Vec<RecoveryShare>) {
    let rng = SeededRng::new(seed);
    let (secret, of) = (Key::random(&rng), Split::new(threshold, shares).unwrap());
    let shares = split(&secret, of, FILE, SET, &rng).unwrap();
    (secret, of, shares)
}

/// Every choice of `count` out of `items`.
fn choices<T: Clone>(items: &[T], count: usize) -> Vec<Vec<T>> {
    match items.split_first() {
        _ if count == 0 => vec![vec![]],
        None => vec![],
        Some((first, rest)) => {
            let with = choices(rest, count - 1).into_iter().map(|mut chosen| {
                chosen.push(first.clone());
                chosen
            });
            with.chain(choices(rest, count)).collect()
        }
    }
}

#[test]
fn any_threshold_of_shares_recover_and_one_fewer_do_not() {
    for (threshold, count) in [(2, 2), (2, 3), (3, 5), (5, 5), (4, 7)] {
        let (secret, of, shares) = made(threshold, count, u64::from(count));
        assert_eq!(shares.iter().map(RecoveryShare::index).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        for chosen in choices(&shares, usize::from(threshold)) {
            assert_eq!(combine(&chosen, FILE, SET, of).unwrap(), secret);
        }
        assert_eq!(combine(&shares, FILE, SET, of).unwrap(), secret, "all of them too");
        for chosen in choices(&shares, usize::from(threshold) - 1) {
            let given = chosen.len();
            let outcome = combine(&chosen, FILE, SET, of);
            assert!(
                matches!(outcome, Err(RootError::TooFewShares { needed, given: g }) if needed == threshold && g == given)
            );
            // Nor does the mathematics give it away where the count is not looked at.
            if given >= 2 {
                let low = Split::new(2, count).unwrap();
                assert_ne!(combine(&chosen, FILE, SET, low).unwrap(), secret);
            }
        }
    }
}

#[test]
fn one_fewer_share_fits_every_secret() {
    // With one share missing, each value of it leads to another secret: all 256 for each byte, so nothing is ruled out.
    let (_, of, shares) = made(3, 5, 1);
    let mut seen = std::collections::BTreeSet::new();
    for value in 0..=255 {
        let mut guess = shares[2].clone();
        guess.value[0] = value;
        seen.insert(combine(&[shares[0].clone(), shares[1].clone(), guess], FILE, SET, of).unwrap().as_bytes()[0]);
    }
    assert_eq!(seen.len(), 256);
}

#[test]
fn a_share_given_twice_counts_once() {
    let (_, of, shares) = made(3, 5, 1);
    let twice = [shares[0].clone(), shares[1].clone(), shares[0].clone()];
    assert!(matches!(combine(&twice, FILE, SET, of), Err(RootError::TooFewShares { needed: 3, given: 2 })));
}

#[test]
fn shares_of_another_file_or_an_older_set_are_named() {
    let (_, of, shares) = made(2, 3, 1);
    assert!(matches!(combine(&shares, [0; 8], SET, of), Err(RootError::ForeignShare { index: 1 })));
    assert!(matches!(combine(&shares, FILE, [0; 4], of), Err(RootError::ReplacedShare { index: 1 })));
}

#[test]
fn impossible_splits_are_refused() {
    for (threshold, shares) in [(0, 0), (0, 5), (1, 1), (1, 5), (3, 2), (255, 254)] {
        assert!(matches!(Split::new(threshold, shares), Err(RootError::ImpossibleSplit { .. })));
    }
    let (secret, of, shares) = made(255, 255, 1);
    assert_eq!(combine(&shares, FILE, SET, of).unwrap(), secret);
    assert!(combine(&shares[1..], FILE, SET, of).is_err());
}

#[test]
fn a_share_is_read_back_as_people_type_it() {
    let (_, _, shares) = made(3, 5, 1);
    let share = &shares[3];
    let text = share.to_text();
    assert_eq!(text.len(), "TACET-SHARE".len() + 16 * 6);
    assert!(text.starts_with("TACET-SHARE-"));
    let plain = text.replace("TACET-SHARE", "").replace('-', "");
    assert_eq!(plain.len(), 80);
    assert!(!plain.contains(['I', 'L', 'O', 'U']));
    let typed = [
        text.to_string(),
        text.to_lowercase(),
        format!("  {}\n", text.replace('-', " ")),
        format!("\t{}", *text),
        plain.clone(),
        plain.replace('0', "O").replace('1', "l"),
        plain.replace('0', "o").replace('1', "I"),
    ];
    for typed in typed.iter().filter(|typed| !typed.contains("TACET SHARE")) {
        assert_eq!(RecoveryShare::parse(typed).unwrap().to_text(), text, "{typed}");
    }
    let back = RecoveryShare::parse(&text).unwrap();
    assert_eq!((back.index(), back.threshold()), (4, 3));
    assert_eq!(format!("{back:?}"), "RecoveryShare(4, ..)");
}

#[test]
fn each_single_mistake_in_typing_is_noticed() {
    let (_, _, shares) = made(3, 5, 1);
    let text = shares[0].to_text();
    let characters: Vec<char> = text.chars().collect();
    let mistyped = |typed: String| matches!(RecoveryShare::parse(&typed), Err(RootError::MistypedShare { .. }));
    for at in "TACET-SHARE".len()..characters.len() {
        for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|wrong| *wrong != characters[at]) {
            let mut typed = characters.clone();
            typed[at] = wrong;
            // (In place of a dash it is a digit too many.)
            assert!(mistyped(typed.iter().collect()), "{at} {wrong}");
        }
        let mut without = characters.clone();
        if without.remove(at) != '-' {
            assert!(mistyped(without.iter().collect()), "{at} left out");
        }
        if at + 1 < characters.len()
            && characters[at] != characters[at + 1]
            && !"-".contains([characters[at], characters[at + 1]])
        {
            let mut swapped = characters.clone();
            swapped.swap(at, at + 1);
            assert!(mistyped(swapped.iter().collect()), "{at} swapped");
        }
    }
    let mut odd = characters.clone();
    odd[20] = 'U';
    let outcome = RecoveryShare::parse(&odd.iter().collect::<String>());
    assert!(matches!(outcome, Err(RootError::MistypedShare { place: Some(21) })));
    for nothing in ["", "TACET-SHARE", "TACET-SHARE-", "   ", "hello", "é", "TACET-SHARE-00000"] {
        assert!(mistyped(nothing.to_owned()), "{nothing}");
    }
}

#[test]
fn what_a_share_cannot_be_is_refused_even_with_a_right_checksum() {
    let (_, _, shares) = made(3, 5, 1);
    let good = shares[0].encode();
    let with = |at: usize, value: u8| {
        let mut bytes = good[..SHARE_BYTES - CHECKSUM_BYTES].to_vec();
        bytes[at] = value;
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        RecoveryShare::decode(&bytes)
    };
    assert!(with(0, 1).is_ok());
    assert!(matches!(with(0, 2), Err(RootError::NewerShare { found: 2 })));
    assert!(matches!(with(14, 0), Err(RootError::MistypedShare { .. })), "number 0 would be the secret itself");
    assert!(matches!(with(13, 1), Err(RootError::MistypedShare { .. })));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,120}") {
        let _ = RecoveryShare::parse(&text);
    }

    #[test]
    fn any_text_of_the_alphabet_is_mistyped(text in "[0-9A-HJKMNP-TV-Z]{80}") {
        prop_assert!(RecoveryShare::parse(&text).is_err());
    }
}
