//! What anybody can do with the published compression dictionaries: open a compressed text that was not sealed. It needs no
//! key and opens nothing sealed. Drills use it to look as a thief would.

use crate::compression::{Dictionary, PLAIN, compress, decompress};
use crate::dictionaries::DICTIONARIES;
use std::io::Read;
use tacet_types::ResourceType;
use zeroize::Zeroizing;
use zstd::zstd_safe::find_frame_compressed_size;

/// A text that stood compressed, and in clear.
pub struct Unpacked {
    /// The dictionary of ours that opened it; none where it needed none.
    pub dictionary: Option<u16>,
    /// What it opened to.
    pub text: Zeroizing<Vec<u8>>,
}

/// Opens the zstd frame (RFC 8878) that `bytes` begin with, alone or with any dictionary that this version carries. What
/// follows the frame is left aside; of a frame that is cut short, the part that opens without dictionary is given. At most
/// `bytes_max` bytes come out. None where nothing opens.
pub fn unpack(bytes: &[u8], bytes_max: usize) -> Option<Unpacked> {
    let frame = find_frame_compressed_size(bytes).ok().and_then(|length| bytes.get(..length));
    if let Some(frame) = frame {
        for coding in std::iter::once(PLAIN).chain(DICTIONARIES.ids()) {
            if let Ok(text) = decompress(&DICTIONARIES, coding, frame, bytes_max) {
                return Some(Unpacked { dictionary: (coding != PLAIN).then_some(coding), text });
            }
        }
    }
    let mut text = Zeroizing::new(Vec::new());
    let decoder = zstd::stream::read::Decoder::new(bytes).ok()?.single_frame();
    // Whatever came out before the frame went wrong counts.
    let _ = decoder.take(bytes_max as u64).read_to_end(&mut text);
    (!text.is_empty()).then_some(Unpacked { dictionary: None, text })
}

/// Compresses as a row of this type would be, **without sealing**: for a drill to prove on its own bytes that [`unpack`] sees
/// what it should. None where the library fails.
pub fn pack_unsealed(text: &[u8], resource_type: Option<ResourceType>) -> Option<Vec<u8>> {
    let hint = resource_type.map_or(Dictionary::None, Dictionary::Resource);
    compress(&DICTIONARIES, hint, text, |_, frame| frame.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        br#"{"resourceType":"Patient","active":true,"name":[{"use":"official","family":"Exemple","given":["Un"]}]}"#;

    #[test]
    fn frames_open_with_and_without_dictionary_and_with_bytes_behind() {
        for (of_type, named) in [(ResourceType::parse("Patient"), true), (None, false)] {
            let mut bytes = pack_unsealed(TEXT, of_type).unwrap();
            bytes.extend([0; 40]);
            let opened = unpack(&bytes, 10_000).unwrap();
            assert_eq!((opened.text.as_slice(), opened.dictionary.is_some()), (TEXT, named));
        }
    }

    #[test]
    fn a_frame_that_is_cut_short_gives_what_it_has_and_garbage_gives_nothing() {
        let long: Vec<u8> = (0..600_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let frame = zstd::bulk::compress(&long, 1).unwrap();
        let opened = unpack(&frame[..frame.len() / 2], 10_000_000).unwrap();
        assert!(!opened.text.is_empty() && long.starts_with(&opened.text));
        assert!(unpack(&frame, 1000).unwrap().text.len() <= 1000);
        assert!(unpack(b"\x28\xb5\x2f\xfdnothing of the kind", 1000).is_none());
        assert!(unpack(b"", 1000).is_none());
    }
}
