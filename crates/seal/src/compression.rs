//! Compression before sealing: zstd at level 1, with a dictionary where there is one for the kind of row.
//!
//! Contexts are kept per thread, because setting one up costs more than compressing a record. They live outside Rust's
//! heap and are not wiped: a thread's contexts remember pieces of what they compressed last.

use crate::dictionaries::{Dictionaries, ID_MIN, LEVEL};
use crate::envelope::SealError;
use std::cell::RefCell;
use tacet_types::ResourceType;
use zeroize::{Zeroize, Zeroizing};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, get_frame_content_size};

/// Which dictionary the text is likely to compress well with. A hint only: the row says what was really used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dictionary {
    /// Not to be compressed at all: a text of one size, whose zeros would otherwise be squeezed out and its length tell
    /// how much of it is filling.
    Stored,
    /// None.
    None,
    /// The one for ledger entries.
    Ledger,
    /// The one for a type of resource.
    Resource(ResourceType),
}

/// Coding of a body that is kept as it is.
pub(crate) const STORED: u16 = 0;

/// Coding of a body compressed without dictionary. Higher numbers are ids of dictionaries.
pub(crate) const PLAIN: u16 = 1;

/// A scratch buffer beyond this is given back after use: one huge document must not stay in every thread.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(PLAIN < ID_MIN && STORED < PLAIN);

/// What a thread keeps: contexts with and without dictionary, since changing over costs time.
struct Contexts {
    plain: Compressor<'static>,
    with_dictionary: Compressor<'static>,
    plain_reader: Decompressor<'static>,
    with_dictionary_reader: Decompressor<'static>,
    scratch: Vec<u8>,
}

impl Contexts {
    fn new() -> Result<Self, SealError> {
        let plain = Compressor::new(LEVEL).map_err(SealError::Compression)?;
        let mut with_dictionary = Compressor::default();
        // The dictionary's id is in our own header; zstd's would cost four bytes more.
        with_dictionary.set_parameter(CParameter::DictIdFlag(false)).map_err(SealError::Compression)?;
        // The seal proves the frame but not the dictionary: with another one it would open to another text. Four bytes
        // of checksum over the text make that an error.
        with_dictionary.set_parameter(CParameter::ChecksumFlag(true)).map_err(SealError::Compression)?;
        Ok(Self {
            plain,
            with_dictionary,
            plain_reader: Decompressor::new().map_err(SealError::Compression)?,
            with_dictionary_reader: Decompressor::new().map_err(SealError::Compression)?,
            scratch: Vec::new(),
        })
    }
}

thread_local! {
    static CONTEXTS: RefCell<Option<Contexts>> = const { RefCell::new(None) };
}

/// Runs `work` with this thread's contexts, or with fresh ones where the thread is already winding up.
fn with_contexts<T>(work: impl FnOnce(&mut Contexts) -> Result<T, SealError>) -> Result<T, SealError> {
    let mut work = Some(work);
    let outcome = CONTEXTS.try_with(|cell| {
        let mut slot = cell.try_borrow_mut().ok()?;
        if slot.is_none() {
            *slot = Some(Contexts::new().ok()?);
        }
        Some(work.take()?(slot.as_mut()?))
    });
    match (outcome, work) {
        (Ok(Some(outcome)), _) => outcome,
        (_, Some(work)) => work(&mut Contexts::new()?),
        (_, None) => Err(SealError::Compression(std::io::Error::other("no compression context"))),
    }
}

/// Compresses `text` and hands coding and body to `take` while they last; the scratch is wiped afterwards.
pub(crate) fn compress<T>(
    dictionaries: &'static Dictionaries,
    hint: Dictionary,
    text: &[u8],
    take: impl FnOnce(u16, &[u8]) -> T,
) -> Result<T, SealError> {
    with_contexts(|contexts| {
        let (coding, compressor) = match dictionaries.for_writing(hint) {
            None => (PLAIN, &mut contexts.plain),
            Some(dictionary) => {
                contexts
                    .with_dictionary
                    .set_prepared_dictionary(dictionary.encoder()?)
                    .map_err(SealError::Compression)?;
                (dictionary.id, &mut contexts.with_dictionary)
            }
        };
        let scratch = &mut contexts.scratch;
        scratch.clear();
        scratch.reserve(zstd::compress_bound(text.len()));
        compressor.compress_to_buffer(text, scratch).map_err(SealError::Compression)?;
        let taken = take(coding, scratch);
        scratch.as_mut_slice().zeroize();
        scratch.clear();
        if scratch.capacity() > SCRATCH_BYTES_MAX {
            *scratch = Vec::new();
        }
        Ok(taken)
    })
}

/// Reads back a compressed body of the given coding. What it opens to must be declared in the frame and is refused
/// beyond `bytes_max` before anything is allocated.
pub(crate) fn decompress(
    dictionaries: &'static Dictionaries,
    coding: u16,
    body: &[u8],
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let dictionary = (coding != PLAIN).then(|| dictionaries.for_reading(coding)).transpose()?;
    let declared = get_frame_content_size(body).ok().flatten().ok_or(SealError::Malformed)?;
    let declared = usize::try_from(declared)
        .ok()
        .filter(|bytes| *bytes <= bytes_max)
        .ok_or(SealError::TooLarge { bytes: declared, bytes_max })?;
    with_contexts(|contexts| {
        let reader = match dictionary {
            None => &mut contexts.plain_reader,
            Some(dictionary) => {
                let reader = &mut contexts.with_dictionary_reader;
                reader.set_prepared_dictionary(dictionary.decoder()?).map_err(SealError::Compression)?;
                reader
            }
        };
        let mut text = Zeroizing::new(Vec::with_capacity(declared));
        let written = reader.decompress_to_buffer(body, &mut *text).map_err(|_| SealError::Malformed)?;
        if written == declared { Ok(text) } else { Err(SealError::Malformed) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionaries::Committed;

    fn leaked(committed: &[Committed]) -> &'static Dictionaries {
        Box::leak(Box::new(Dictionaries::new(committed)))
    }

    fn round(dictionaries: &'static Dictionaries, hint: Dictionary, text: &[u8]) -> (u16, usize) {
        let (coding, body) = compress(dictionaries, hint, text, |coding, body| (coding, body.to_vec())).unwrap();
        assert_eq!(*decompress(dictionaries, coding, &body, text.len()).unwrap(), text);
        assert!(text.is_empty() || decompress(dictionaries, coding, &body, text.len() - 1).is_err());
        (coding, body.len())
    }

    #[test]
    fn a_dictionary_helps_and_is_named() {
        // Any bytes serve as a dictionary of content.
        let sample = br#"{"resourceType":"Patient","active":true,"name":[{"use":"official","family":"Exemple"}]}"#;
        let set = leaked(&[Committed { id: 7, name: "Patient", bytes: sample }]);
        let none = leaked(&[]);
        let hint = Dictionary::Resource(ResourceType::parse("Patient").unwrap());
        let text = br#"{"resourceType":"Patient","active":true,"name":[{"use":"official","family":"Modele"}]}"#;
        let (coding, with) = round(set, hint, text);
        let (plain, without) = round(none, hint, text);
        assert_eq!((coding, plain), (7, PLAIN));
        assert!(with * 2 < without, "{with} against {without}");
        // The same thread goes on to use other sets and none.
        for length in [0, 1, 5, 300, 70_000, 3_000_000] {
            let text: Vec<u8> = (0..length).map(|n: u32| (n.wrapping_mul(n) >> 3) as u8).collect();
            assert_eq!(round(set, hint, &text).0, 7);
            assert_eq!(round(set, Dictionary::Ledger, &text).0, PLAIN);
        }
    }

    #[test]
    fn a_missing_dictionary_is_named_and_a_wrong_one_does_not_pass() {
        let text: &'static [u8] = b"a sentence that the dictionary holds as it stands, and another one after it";
        let other: &'static [u8] = b"A SENTENCE THAT THE DICTIONARY HOLDS AS IT STANDS, AND ANOTHER ONE AFTER IT";
        let set = leaked(&[Committed { id: 7, name: "Ledger", bytes: text }]);
        let body = compress(set, Dictionary::Ledger, text, |_, body| body.to_vec()).unwrap();
        assert_eq!(*decompress(set, 7, &body, 1000).unwrap(), text);
        assert!(matches!(decompress(leaked(&[]), 7, &body, 1000), Err(SealError::UnknownDictionary { id: 7 })));
        let wrong = leaked(&[Committed { id: 7, name: "Ledger", bytes: other }]);
        assert!(matches!(decompress(wrong, 7, &body, 1000), Err(SealError::Malformed)), "not another text");
    }

    #[test]
    fn garbage_and_bombs_are_refused() {
        let set = leaked(&[]);
        for body in [&b""[..], b"x", b"not a frame at all", &[0x28, 0xb5, 0x2f, 0xfd]] {
            assert!(matches!(decompress(set, PLAIN, body, 1 << 20), Err(SealError::Malformed)), "{body:?}");
        }
        let bomb = zstd::bulk::compress(&vec![0; 50_000_000], 1).unwrap();
        assert!(bomb.len() < 10_000);
        assert!(matches!(
            decompress(set, PLAIN, &bomb, 1 << 20),
            Err(SealError::TooLarge { bytes: 50_000_000, bytes_max: 0x10_0000 })
        ));
        let two = [zstd::bulk::compress(b"one", 1).unwrap(), zstd::bulk::compress(b"two", 1).unwrap()].concat();
        assert!(decompress(set, PLAIN, &two, 100).is_err(), "one frame, not two");
    }
}
