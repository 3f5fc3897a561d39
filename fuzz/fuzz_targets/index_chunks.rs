//! No bytes open as a file of the search index but those that were sealed, unchanged, in their place; positions have one reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_search::index::Position;
use tacet_search::sealed::{FileId, GenerationKey, open_bytes, seal_bytes};
use tacet_types::SeededRng;

fuzz_target!(|data: &[u8]| {
    let rng = SeededRng::new(1);
    let key = GenerationKey::random(&rng);
    let id = FileId::random(&rng);
    assert!(open_bytes(&key, "a.idx", data).is_err(), "opened what nobody sealed");

    let sealed = seal_bytes(&key, id, "a.idx", data).expect("any text can be sealed");
    assert_eq!(open_bytes(&key, "a.idx", &sealed).expect("it opens in its place"), data);
    assert!(open_bytes(&key, "b.idx", &sealed).is_err(), "opened in another place");
    // The first bytes say where to alter it, and how.
    if let [place @ .., flip] = data.get(..5).unwrap_or_default()
        && *flip != 0
    {
        let place = place.iter().fold(0, |place, byte| place << 8 | usize::from(*byte)) % sealed.len();
        let mut altered = sealed.clone();
        altered[place] ^= flip;
        assert!(open_bytes(&key, "a.idx", &altered).is_err(), "opened altered at {place}");
        assert!(open_bytes(&key, "a.idx", &sealed[..place]).is_err(), "opened cut to {place}");
    }

    if let Some(position) = Position::decode(data) {
        assert_eq!(position.encode(), data, "a position has one writing");
    }
});
