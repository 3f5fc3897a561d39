//! Compressed texts inside other bytes: found by the magic they begin with, opened as far as they go.
//!
//! A stream without a magic (raw deflate, an engine's own blocks) is not found here; the rows of the store are therefore
//! looked at a second time as the engine gives them.

use aho_corasick::AhoCorasick;
use flate2::read::GzDecoder;
use std::io::Read;
use zeroize::Zeroizing;

/// Most bytes that one stream may open to.
const OPENED_BYTES_MAX: usize = 16 << 20;

/// Most bytes that all streams of a drill may open to, so that planted bombs do not stop it: 8 GiB.
const OPENED_BYTES_MAX_TOTAL: u64 = 8 << 30;

/// Shorter texts than this come out of noise that happens to begin like a stream.
const OPENED_BYTES_MIN: usize = 8;

/// zstd (RFC 8878), gzip with deflate (RFC 1952), LZ4 frame.
const MAGICS: [&[u8]; 3] = [&[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b, 0x08], &[0x04, 0x22, 0x4d, 0x18]];

/// What a text was packed in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Packing {
    /// zstd without dictionary.
    Zstd,
    /// zstd with one of Tacet's published dictionaries: a record as Tacet compresses it, and not sealed.
    ZstdDictionary,
    /// gzip.
    Gzip,
    /// An LZ4 frame.
    Lz4,
}

impl Packing {
    pub(super) const ALL: [Self; 4] = [Self::Zstd, Self::ZstdDictionary, Self::Gzip, Self::Lz4];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::ZstdDictionary => "zstd with a dictionary of Tacet's",
            Self::Gzip => "gzip",
            Self::Lz4 => "LZ4",
        }
    }
}

/// Finds and opens.
pub(super) struct Unpacker {
    magics: Option<AhoCorasick>,
    left: u64,
    /// Magics that were met, opened or not.
    pub(super) met: u64,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self { magics: AhoCorasick::new(MAGICS).ok(), left: OPENED_BYTES_MAX_TOTAL, met: 0 }
    }

    /// Whether the bound on opened bytes was reached, so that later streams were not opened.
    pub(super) fn exhausted(&self) -> bool {
        self.left == 0
    }

    /// Opens every stream that begins in `bytes` within `from..to`.
    pub(super) fn unpack(
        &mut self,
        bytes: &[u8],
        from: usize,
        to: usize,
        visit: &mut dyn FnMut(usize, Packing, &[u8]),
    ) {
        let Some(magics) = &self.magics else { return };
        for found in magics.find_iter(bytes).filter(|found| (from..to).contains(&found.start())) {
            self.met += 1;
            let Some(rest) = bytes.get(found.start()..) else { continue };
            let bytes_max = usize::try_from(self.left).unwrap_or(usize::MAX).min(OPENED_BYTES_MAX);
            let opened = match found.pattern().as_usize() {
                0 => zstd(rest, bytes_max),
                1 => gzip(rest, bytes_max).map(|text| (Packing::Gzip, text)),
                _ => lz4(rest, bytes_max).map(|text| (Packing::Lz4, text)),
            };
            if let Some((packing, text)) = opened
                && text.len() >= OPENED_BYTES_MIN
            {
                self.left = self.left.saturating_sub(text.len() as u64);
                visit(found.start(), packing, &text);
            }
        }
    }
}

type Opened = Zeroizing<Vec<u8>>;

fn zstd(bytes: &[u8], bytes_max: usize) -> Option<(Packing, Opened)> {
    let opened = tacet_seal::unpack(bytes, bytes_max)?;
    let packing = if opened.dictionary.is_some() { Packing::ZstdDictionary } else { Packing::Zstd };
    Some((packing, opened.text))
}

fn gzip(bytes: &[u8], bytes_max: usize) -> Option<Opened> {
    let mut text = Zeroizing::new(Vec::new());
    // What comes out before the stream goes wrong counts.
    let _ = GzDecoder::new(bytes).take(bytes_max as u64).read_to_end(&mut text);
    (!text.is_empty()).then_some(text)
}

/// Reads an LZ4 frame (format of 2022, version 01) as far as it goes; checksums are not looked at, as a thief would not
/// care.
fn lz4(bytes: &[u8], bytes_max: usize) -> Option<Opened> {
    let flags = *bytes.get(4)?;
    if flags >> 6 != 1 {
        return None;
    }
    let (sized, dictionary, block_checksums) = (flags & 8 != 0, flags & 1 != 0, flags & 16 != 0);
    // Magic 4, flags 1, block size 1, then what the flags say, then a checksum of one byte.
    let mut at = 7 + if sized { 8 } else { 0 } + if dictionary { 4 } else { 0 };
    let mut text = Zeroizing::new(Vec::new());
    while text.len() < bytes_max {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|four| u32::from_le_bytes(*four))
        else {
            break;
        };
        let (stored, length) = (length >> 31 == 1, (length & 0x7fff_ffff) as usize);
        let end = (at + 4).saturating_add(length).min(bytes.len());
        let Some(block) = bytes.get(at + 4..end).filter(|block| !block.is_empty()) else { break };
        if stored {
            text.extend_from_slice(block);
        } else if lz4_block(block, &mut text, bytes_max).is_none() {
            break;
        }
        at = end + if block_checksums { 4 } else { 0 };
    }
    text.truncate(bytes_max);
    (!text.is_empty()).then_some(text)
}

/// Appends what an LZ4 block opens to. None where it is malformed; what came before stays.
fn lz4_block(mut block: &[u8], text: &mut Vec<u8>, bytes_max: usize) -> Option<()> {
    loop {
        let token = take(&mut block)?;
        let literals = length(&mut block, token >> 4)?;
        let (plain, rest) = block.split_at_checked(literals)?;
        text.extend_from_slice(plain);
        block = rest;
        if block.is_empty() || text.len() > bytes_max {
            return Some(());
        }
        let distance = usize::from(take(&mut block)?) | usize::from(take(&mut block)?) << 8;
        let matched = length(&mut block, token & 15)? + 4;
        let start = text.len().checked_sub(distance).filter(|_| distance > 0)?;
        for place in start..start.checked_add(matched.min(bytes_max))? {
            let byte = *text.get(place)?;
            text.push(byte);
        }
    }
}

fn take(block: &mut &[u8]) -> Option<u8> {
    let (first, rest) = block.split_first()?;
    *block = rest;
    Some(*first)
}

fn length(block: &mut &[u8], nibble: u8) -> Option<usize> {
    let mut total = usize::from(nibble);
    let mut more = nibble == 15;
    while more {
        let byte = take(block)?;
        total = total.checked_add(usize::from(byte))?;
        more = byte == 255;
    }
    Some(total)
}

/// Packs a text, for tests and the drill's proof of itself. The LZ4 frame has a match that overlaps itself.
pub(super) fn pack(packing: Packing, text: &[u8]) -> Option<Vec<u8>> {
    match packing {
        Packing::Gzip => {
            use std::io::Write;
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packed.write_all(text).ok()?;
            packed.finish().ok()
        }
        Packing::Lz4 => {
            // Eight times one byte by a match of distance 1, then the text as literals.
            let mut block = vec![0x14, b'~', 1, 0];
            block.push(0xf0);
            let mut rest = text.len().checked_sub(15)?;
            while rest >= 255 {
                block.push(255);
                rest -= 255;
            }
            block.push(u8::try_from(rest).ok()?);
            block.extend_from_slice(text);
            let length = u32::try_from(block.len()).ok()?.to_le_bytes();
            Some([&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82][..], &length, &block, &[0; 4]].concat())
        }
        // The sealing crate compresses and keeps it to itself; these frames are packed where they are proved.
        Packing::Zstd => zstd_frame(text, None),
        Packing::ZstdDictionary => zstd_frame(text, Some("Patient")),
    }
}

fn zstd_frame(text: &[u8], of_type: Option<&str>) -> Option<Vec<u8>> {
    tacet_seal::pack_unsealed(text, of_type.and_then(tacet_types::ResourceType::parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        br#"{"resourceType":"Patient","name":[{"family":"Quatresous","given":["Semiramis"]}],"active":true}"#;

    #[test]
    fn each_packing_opens_in_the_middle_of_noise() {
        for packing in Packing::ALL {
            let packed = pack(packing, TEXT).unwrap();
            let bytes = [&[7; 50][..], &packed, &[9; 50]].concat();
            let mut opened = Vec::new();
            Unpacker::new().unpack(&bytes, 0, bytes.len(), &mut |at, how, text| {
                opened.push((at, how, text.windows(10).any(|window| window == b"Quatresous")));
            });
            assert_eq!(opened, [(50, packing, true)]);
        }
    }

    #[test]
    fn only_streams_that_begin_within_the_bounds_are_opened() {
        let packed = pack(Packing::Gzip, TEXT).unwrap();
        let bytes = [packed.clone(), packed].concat();
        let mut opened = 0;
        Unpacker::new().unpack(&bytes, 1, bytes.len(), &mut |_, _, _| opened += 1);
        assert_eq!(opened, 1);
    }

    #[test]
    fn malformed_streams_end_quietly() {
        let mut unpacker = Unpacker::new();
        for packing in Packing::ALL {
            let packed = pack(packing, TEXT).unwrap();
            for cut in 0..packed.len() {
                let mut broken = packed.clone();
                broken[cut] ^= 0x55;
                for bytes in [&packed[..cut], &broken] {
                    unpacker.unpack(bytes, 0, bytes.len(), &mut |_, _, text| assert!(text.len() <= OPENED_BYTES_MAX));
                }
            }
        }
        assert!(!unpacker.exhausted());
    }
}
