//! The bytes of a sealed file: a head, then chunks, each sealed by itself so that a part can be read without the whole.
//! `docs/formats/index.md` describes them to the byte.

use crate::sealed::keys::{FileId, GenerationKey};
use aws_lc_rs::aead;
use std::io;
use tacet_seal::{SEALS, padded_length};
use thiserror::Error;

/// Bytes of text in every chunk but the last, which may have fewer. A page of memory: a range of a few bytes costs one
/// chunk, about a microsecond, and a tag for each costs 0.4 %.
pub const CHUNK_BYTES: usize = 4096;

/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Bytes of a chunk on disk.
pub(crate) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// Format, then the file's id.
pub(crate) const HEAD_BYTES: usize = 1 + FileId::BYTES;

/// Bytes of the text's length, at the end of the last chunk.
const LENGTH_BYTES: usize = 8;

/// Smallest step, in bytes, that lengths are padded to: that of every other sealed row of the index.
const PADDING_STEP_BYTES: usize = tacet_seal::Purpose::Index.padding_step_bytes();

/// First byte of a file. The highest bit says that a build made for measuring wrote it, in clear.
pub(crate) const FILE_FORMAT: u8 = if SEALS { 1 } else { 0x81 };

/// Why a file is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not there.
    #[error("a file of the search index is missing")]
    Missing,
    /// Its length is none that a whole file has.
    #[error("a file of the search index is cut short or has grown")]
    Length,
    /// Written in a format that this version does not know.
    #[error("a file of the search index has an unknown format")]
    Format,
    /// It stands in the place of another.
    #[error("a file of the search index is another one than was written there")]
    Another,
    /// A chunk does not open.
    #[error("a file of the search index was altered")]
    NotAuthentic,
    /// A range beyond its end was asked for.
    #[error("a file of the search index is shorter than another one says")]
    Range,
    /// The disk has lost what is in it.
    #[error("a file of the search index cannot be read")]
    Unreadable,
    /// It cannot be read at this moment: too many files are open, there is no memory, or no right to. Says nothing of the file.
    #[error("a file of the search index cannot be read at this moment")]
    NotNow,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = if refusal == Refusal::NotNow { io::ErrorKind::Other } else { io::ErrorKind::InvalidData };
        io::Error::new(kind, refusal)
    }
}

/// Seals and opens the chunks of one file.
pub(crate) struct ChunkCipher {
    key: aead::LessSafeKey,
    id: FileId,
}

impl ChunkCipher {
    /// The cipher of the file with this id under this path.
    #[expect(clippy::expect_used, reason = "fails only for a key of another length, which the type excludes")]
    pub(crate) fn new(key: &GenerationKey, id: FileId, path: &str) -> Self {
        let key = key.file_key(id, path);
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, key.as_bytes()).expect("a key of 32 bytes");
        Self { key: aead::LessSafeKey::new(key), id }
    }

    /// A key has one file and a chunk has one number in it, so no nonce comes twice.
    fn nonce(number: u64, last: bool) -> aead::Nonce {
        let mut nonce = [0; aead::NONCE_LEN];
        let parts = [u8::from(last), 0, 0, 0].into_iter().chain(number.to_be_bytes());
        nonce.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        aead::Nonce::assume_unique_for_key(nonce)
    }

    fn associated(&self, number: u64, last: bool) -> aead::Aad<[u8; 26]> {
        let mut bytes = [0; 26];
        let parts = [FILE_FORMAT].into_iter().chain(self.id.0).chain(number.to_be_bytes()).chain([u8::from(last)]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        aead::Aad::from(bytes)
    }

    /// Seals `text` where it stands and appends the tag.
    pub(crate) fn seal(&self, number: u64, last: bool, text: &mut Vec<u8>) -> io::Result<()> {
        if !SEALS {
            text.extend_from_slice(&[0; TAG_BYTES]);
            return Ok(());
        }
        let (nonce, associated) = (Self::nonce(number, last), self.associated(number, last));
        let tag = self.key.seal_in_place_separate_tag(nonce, associated, text);
        let tag = tag.map_err(|_| io::Error::other("the cipher failed; the cryptographic library is unusable"))?;
        text.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens a chunk into `text`, which has the length of the chunk without its tag.
    pub(crate) fn open(&self, number: u64, last: bool, sealed: &[u8], text: &mut [u8]) -> Result<(), Refusal> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(Refusal::Length)?;
        if !SEALS {
            text.copy_from_slice(ciphertext.get(..text.len()).ok_or(Refusal::Length)?);
            return Ok(());
        }
        let (nonce, associated) = (Self::nonce(number, last), self.associated(number, last));
        let opened = self.key.open_separate_gather(nonce, associated, ciphertext, tag, text);
        opened.map_err(|_| Refusal::NotAuthentic)
    }
}

/// How many zeros and what length stand between the text of a file and its end.
pub(crate) fn padding(text_bytes: u64) -> (usize, [u8; LENGTH_BYTES]) {
    // INVARIANT: a file in use is far below 2^63 bytes, and what is added is at most an eighth of it or a step.
    let length = usize::try_from(text_bytes).unwrap_or(usize::MAX);
    let ended = length.saturating_add(LENGTH_BYTES);
    (padded_length(ended, PADDING_STEP_BYTES).saturating_sub(ended), text_bytes.to_be_bytes())
}

/// What the length of a file says of its chunks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Chunks before the last.
    pub(crate) before_last: u64,
    /// Bytes of the last chunk on disk.
    pub(crate) last_sealed_bytes: usize,
}

impl Layout {
    /// Reads it from the length of the file; None if no whole file is that long.
    pub(crate) fn of(file_bytes: u64) -> Option<Self> {
        let chunks_bytes = file_bytes.checked_sub(HEAD_BYTES as u64)?;
        let before_last = chunks_bytes.checked_sub(1)? / SEALED_CHUNK_BYTES as u64;
        let last_sealed_bytes = usize::try_from(chunks_bytes - before_last * SEALED_CHUNK_BYTES as u64).ok()?;
        let text = last_sealed_bytes.checked_sub(TAG_BYTES)?;
        (text >= LENGTH_BYTES && text % PADDING_STEP_BYTES == 0).then_some(Self { before_last, last_sealed_bytes })
    }

    /// Bytes of text with padding and length.
    fn padded_bytes(&self) -> u64 {
        self.before_last * CHUNK_BYTES as u64 + (self.last_sealed_bytes - TAG_BYTES) as u64
    }

    /// The length of the text, from the opened last chunk; None if it is not the one that is padded to this.
    pub(crate) fn text_bytes(&self, last_chunk: &[u8]) -> Option<usize> {
        let (_, length) = last_chunk.split_last_chunk::<LENGTH_BYTES>()?;
        let length = u64::from_be_bytes(*length);
        let text = usize::try_from(length).ok()?;
        let padded = padded_length(text.checked_add(LENGTH_BYTES)?, PADDING_STEP_BYTES);
        (padded as u64 == self.padded_bytes()).then_some(text)
    }
}

/// Opens all of a sealed file that is in memory.
pub fn open_bytes(key: &GenerationKey, path: &str, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let layout = Layout::of(bytes.len() as u64).ok_or(Refusal::Length)?;
    let ([format, id @ ..], chunks) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(Refusal::Length)?;
    if *format != FILE_FORMAT {
        return Err(Refusal::Format);
    }
    let cipher = ChunkCipher::new(key, FileId(*id), path);
    let mut text = vec![0; chunks.len()];
    let mut end = 0;
    let mut chunk_at = 0;
    for (number, chunk) in (0..).zip(chunks.chunks(SEALED_CHUNK_BYTES)) {
        let length = chunk.len().checked_sub(TAG_BYTES).ok_or(Refusal::Length)?;
        let out = text.get_mut(end..end + length).ok_or(Refusal::Length)?;
        cipher.open(number, number == layout.before_last, chunk, out)?;
        chunk_at = end;
        end += length;
    }
    let last = text.get(chunk_at..end).ok_or(Refusal::Length)?;
    let length = layout.text_bytes(last).ok_or(Refusal::Length)?;
    text.truncate(length);
    Ok(text)
}

/// Seals a text whole, as the file `id` under `path`.
pub fn seal_bytes(key: &GenerationKey, id: FileId, path: &str, text: &[u8]) -> io::Result<Vec<u8>> {
    let cipher = ChunkCipher::new(key, id, path);
    let mut padded = text.to_vec();
    let (zeros, length) = padding(text.len() as u64);
    padded.resize(text.len() + zeros, 0);
    padded.extend_from_slice(&length);
    let mut out = vec![FILE_FORMAT];
    out.extend_from_slice(&id.0);
    let chunks = padded.chunks(CHUNK_BYTES);
    let last = chunks.len() as u64 - 1;
    for (number, chunk) in (0..).zip(chunks) {
        let mut chunk = chunk.to_vec();
        cipher.seal(number, number == last, &mut chunk)?;
        out.extend_from_slice(&chunk);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    fn keys() -> (GenerationKey, GenerationKey) {
        let rng = SeededRng::new(4);
        (GenerationKey::random(&rng), GenerationKey::random(&rng))
    }

    #[test]
    fn texts_of_all_lengths_go_round_and_lengths_come_in_steps() {
        let (key, _) = keys();
        for length in (0..600).chain(CHUNK_BYTES - 300..CHUNK_BYTES + 300).chain([50_000, 123_457]) {
            let text: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let sealed = seal_bytes(&key, FileId([1; 16]), "a", &text).unwrap();
            assert_eq!(open_bytes(&key, "a", &sealed).as_deref(), Ok(text.as_slice()), "{length}");
            assert_eq!(
                Layout::of(sealed.len() as u64).unwrap().padded_bytes() as usize,
                padded_length(length + 8, 256)
            );
        }
    }

    #[test]
    fn every_altered_bit_and_every_length_is_refused() {
        let (key, other) = keys();
        let text: Vec<u8> = (0..CHUNK_BYTES * 2).map(|byte| (byte / 7) as u8).collect();
        let sealed = seal_bytes(&key, FileId([1; 16]), "a", &text).unwrap();
        assert!(open_bytes(&other, "a", &sealed).is_err());
        assert!(open_bytes(&key, "b", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1 << (place % 8);
            assert!(open_bytes(&key, "a", &altered).is_err(), "byte {place}");
            assert!(open_bytes(&key, "a", &sealed[..place]).is_err(), "cut to {place}");
        }
        for more in [1, 240, 256, SEALED_CHUNK_BYTES] {
            assert!(open_bytes(&key, "a", &[sealed.as_slice(), &vec![0; more]].concat()).is_err(), "{more} more");
        }
    }

    #[test]
    fn chunks_do_not_change_places_and_none_can_be_left_out() {
        let (key, _) = keys();
        let text = vec![7; CHUNK_BYTES * 3];
        let sealed = seal_bytes(&key, FileId([1; 16]), "a", &text).unwrap();
        let chunk =
            |number: usize| HEAD_BYTES + number * SEALED_CHUNK_BYTES..HEAD_BYTES + (number + 1) * SEALED_CHUNK_BYTES;
        let swapped = [&sealed[..HEAD_BYTES], &sealed[chunk(1)], &sealed[chunk(0)], &sealed[chunk(2).start..]].concat();
        assert_eq!(open_bytes(&key, "a", &swapped), Err(Refusal::NotAuthentic));
        let shortened = [&sealed[..chunk(1).start], &sealed[chunk(2).start..]].concat();
        assert!(open_bytes(&key, "a", &shortened).is_err());
        let cut = &sealed[..chunk(1).end];
        assert_eq!(open_bytes(&key, "a", cut), Err(Refusal::NotAuthentic), "a chunk before the last as the last");
    }
}
