//! The chunks of a segment: runs of entries under one key, in the order of keys. All chunks have one length.
//!
//! ```text
//! runs (2)  { key (8)  length (varint)  first entry, as a distance from the segment's first (varint)  { distance to the next (varint) }* }*  zeros
//! ```

use super::Malformed;

/// Bytes of a chunk before it is sealed. With the 6 bytes that the seal adds inside, 16 KiB: one read of four pages, opened in some microseconds.
pub const CHUNK_BYTES: usize = 16 * 1024 - 6;

/// Bytes of the number of runs.
const COUNT_BYTES: usize = 2;

/// Longest distance, in bytes: entries are numbered below 2^56.
const DISTANCE_BYTES_MAX: usize = 8;

/// Longest run header: key, length (below 2^14, so two bytes), first entry.
const HEADER_BYTES_MAX: usize = 8 + 2 + DISTANCE_BYTES_MAX;

/// Bytes of a top.
pub const TOP_BYTES: usize = 16;

/// Tops in a chunk of tops.
pub const TOPS_A_CHUNK: usize = CHUNK_BYTES / TOP_BYTES;

const _: () = assert!(CHUNK_BYTES < 1 << 14, "a length within a chunk has at most two bytes");

/// The first key of a chunk, and its first entry there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Top {
    /// The key.
    pub key: u64,
    /// The number of the entry.
    pub entry: u64,
}

/// Puts postings into chunks. They come in ascending order of key and, within a key, of entry.
pub struct ChunkWriter {
    from: u64,
    chunk: Vec<u8>,
    runs: u16,
    top: Option<Top>,
    key: u64,
    last: u64,
    run: Vec<u8>,
}

impl ChunkWriter {
    /// For a segment whose first entry is `from`.
    pub fn new(from: u64) -> Self {
        Self { from, chunk: vec![0; COUNT_BYTES], runs: 0, top: None, key: 0, last: 0, run: Vec::new() }
    }

    /// Adds an entry under a key. Gives the chunk that was filled by those before it.
    ///
    /// # Errors
    /// It does not come after the one before, or lies before the segment.
    pub fn push(&mut self, key: u64, entry: u64) -> Result<Option<(Top, Vec<u8>)>, Malformed> {
        let order = Malformed::new("order of postings");
        let mut filled = None;
        let same = !self.run.is_empty() && key == self.key;
        if same && self.chunk.len() + HEADER_BYTES_MAX + self.run.len() + DISTANCE_BYTES_MAX <= CHUNK_BYTES {
            let distance = entry.checked_sub(self.last).filter(|distance| *distance > 0).ok_or(order)?;
            put_varint(&mut self.run, distance);
        } else {
            if !self.run.is_empty() && (key, entry) <= (self.key, self.last) {
                return Err(order);
            }
            self.end_run();
            if self.chunk.len() + HEADER_BYTES_MAX + DISTANCE_BYTES_MAX > CHUNK_BYTES {
                filled = self.end_chunk();
            }
            put_varint(&mut self.run, entry.checked_sub(self.from).ok_or(order)?);
            self.key = key;
            self.top.get_or_insert(Top { key, entry });
        }
        self.last = entry;
        Ok(filled)
    }

    /// The last chunk, where there is something in it.
    pub fn finish(mut self) -> Option<(Top, Vec<u8>)> {
        self.end_run();
        self.end_chunk()
    }

    fn end_run(&mut self) {
        if self.run.is_empty() {
            return;
        }
        self.chunk.extend(self.key.to_be_bytes());
        put_varint(&mut self.chunk, self.run.len() as u64);
        self.chunk.append(&mut self.run);
        self.runs += 1;
    }

    fn end_chunk(&mut self) -> Option<(Top, Vec<u8>)> {
        let top = self.top.take()?;
        let mut chunk = std::mem::replace(&mut self.chunk, vec![0; COUNT_BYTES]);
        chunk.iter_mut().zip(self.runs.to_be_bytes()).for_each(|(to, from)| *to = from);
        chunk.resize(CHUNK_BYTES, 0);
        self.runs = 0;
        Some((top, chunk))
    }
}

/// Seven bits a byte, lowest first, the top bit set on all but the last.
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    const WHAT: Malformed = Malformed { what: "a number" };
    let mut value = 0;
    for place in 0..DISTANCE_BYTES_MAX as u32 {
        let (byte, rest) = bytes.split_first().ok_or(WHAT)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return if *byte == 0 && place > 0 { Err(WHAT) } else { Ok(value) };
        }
    }
    Err(WHAT)
}

/// The entries of one key in a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The key.
    pub key: u64,
    from: u64,
    bytes: &'a [u8],
}

impl Run<'_> {
    /// Adds the entries to `out`, ascending.
    ///
    /// # Errors
    /// They are not what a writer writes.
    pub fn entries(&self, out: &mut Vec<u64>) -> Result<(), Malformed> {
        let mut rest = self.bytes;
        let mut entry = self.from.checked_add(take_varint(&mut rest)?).ok_or(Malformed::new("entry"))?;
        out.push(entry);
        while !rest.is_empty() {
            let distance = take_varint(&mut rest)?;
            if distance == 0 {
                return Err(Malformed::new("entries in order"));
            }
            entry = entry.checked_add(distance).ok_or(Malformed::new("entry"))?;
            out.push(entry);
        }
        Ok(())
    }
}

/// The runs of a chunk of the segment that begins with entry `from`, in the order of keys.
///
/// # Errors
/// In the place of the first run that is not what a writer writes; there are none after it.
pub fn runs(chunk: &[u8], from: u64) -> impl Iterator<Item = Result<Run<'_>, Malformed>> {
    let (count, mut rest) = match chunk.split_first_chunk::<COUNT_BYTES>() {
        Some((count, rest)) => (u16::from_be_bytes(*count), rest),
        None => (1, chunk),
    };
    let mut left = count;
    let mut last = None;
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let run = next_run(&mut rest, from).and_then(|run| {
            if last.replace(run.key).is_some_and(|last| last >= run.key) {
                return Err(Malformed::new("keys in order"));
            }
            // What fills the chunk up is zeros: a chunk has one form.
            if left == 0 && rest.iter().any(|byte| *byte != 0) {
                Err(Malformed::new("end of a chunk"))
            } else {
                Ok(run)
            }
        });
        if run.is_err() {
            left = 0;
        }
        Some(run)
    })
}

fn next_run<'a>(rest: &mut &'a [u8], from: u64) -> Result<Run<'a>, Malformed> {
    let short = Malformed::new("a run");
    let (key, mut after) = rest.split_first_chunk::<8>().ok_or(short)?;
    let length = usize::try_from(take_varint(&mut after)?).map_err(|_| short)?;
    let (bytes, after) = after.split_at_checked(length).filter(|(bytes, _)| !bytes.is_empty()).ok_or(short)?;
    *rest = after;
    Ok(Run { key: u64::from_be_bytes(*key), from, bytes })
}

/// Tops as chunks: as many as fit into each, the rest zeros.
pub fn encode_tops(tops: &[Top]) -> Vec<Vec<u8>> {
    let chunk = |tops: &[Top]| {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        for top in tops {
            chunk.extend(top.key.to_be_bytes());
            chunk.extend(top.entry.to_be_bytes());
        }
        chunk.resize(CHUNK_BYTES, 0);
        chunk
    };
    tops.chunks(TOPS_A_CHUNK).map(chunk).collect()
}

/// Adds the first `count` tops of a chunk to `out`.
///
/// # Errors
/// They are not in order.
pub fn decode_tops(chunk: &[u8], count: usize, out: &mut Vec<Top>) -> Result<(), Malformed> {
    let (tops, _) = chunk.as_chunks::<TOP_BYTES>();
    for bytes in tops.get(..count).ok_or(Malformed::new("tops"))? {
        let (key, entry) = bytes.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| Malformed::new("tops"));
        let top = Top { key: number(key)?, entry: number(entry)? };
        if out.last().is_some_and(|last| *last >= top) {
            return Err(Malformed::new("tops in order"));
        }
        out.push(top);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    pub(crate) fn write(from: u64, postings: &BTreeSet<(u64, u64)>) -> Vec<(Top, Vec<u8>)> {
        let mut writer = ChunkWriter::new(from);
        let mut chunks = Vec::new();
        for (key, entry) in postings {
            chunks.extend(writer.push(*key, *entry).unwrap());
        }
        chunks.extend(writer.finish());
        chunks
    }

    fn read(from: u64, chunks: &[(Top, Vec<u8>)]) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        for (top, chunk) in chunks {
            assert_eq!(chunk.len(), CHUNK_BYTES);
            let before = out.len();
            for run in runs(chunk, from) {
                let run = run.unwrap();
                let mut entries = Vec::new();
                run.entries(&mut entries).unwrap();
                out.extend(entries.into_iter().map(|entry| (run.key, entry)));
            }
            assert_eq!(out[before], (top.key, top.entry));
        }
        out
    }

    #[test]
    fn chunks_are_full_and_hold_what_was_put_in() {
        // One key with very many entries, many keys with few, and numbers up to the largest.
        let mut postings: BTreeSet<(u64, u64)> = (0..60_000).map(|entry| (5, 1000 + entry * 3)).collect();
        postings.extend((0..20_000u64).map(|key| (key.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1000 + key)));
        postings.extend([(9, 1000), (9, 1001), (9, (1 << 55) + 1000)]);
        let chunks = write(1000, &postings);
        assert!(read(1000, &chunks).into_iter().eq(postings.iter().copied()));
        let least = postings.len() * 2 / CHUNK_BYTES;
        assert!((least..20 * least).contains(&chunks.len()), "{} chunks", chunks.len());
        let tops: Vec<Top> = chunks.iter().map(|(top, _)| *top).collect();
        let mut again = Vec::new();
        for (chunk, tops) in encode_tops(&tops).iter().zip(tops.chunks(TOPS_A_CHUNK)) {
            decode_tops(chunk, tops.len(), &mut again).unwrap();
        }
        assert_eq!(again, tops);
        assert!(write(0, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn what_is_out_of_order_is_not_taken() {
        let mut writer = ChunkWriter::new(10);
        assert!(writer.push(5, 9).is_err(), "before the segment");
        let mut writer = ChunkWriter::new(10);
        writer.push(5, 20).unwrap();
        for (key, entry) in [(5, 20), (5, 19), (4, 30)] {
            assert!(writer.push(key, entry).is_err(), "{key} {entry}");
        }
    }

    #[test]
    fn chunks_that_no_writer_writes_are_refused() {
        let run = |bytes: &[u8]| {
            let mut chunk = bytes.to_vec();
            chunk.resize(CHUNK_BYTES, 0);
            let all = runs(&chunk, 0).collect::<Result<Vec<_>, _>>();
            all.and_then(|runs| {
                let mut out = Vec::new();
                runs.iter().try_for_each(|run| run.entries(&mut out)).map(|()| out)
            })
            .map_err(|error| error.what)
        };
        let key = [0, 0, 0, 0, 0, 0, 0, 5];
        let with = |rest: &[u8]| [&[0, 1], key.as_slice(), rest].concat();
        assert_eq!(run(&with(&[2, 7, 1])), Ok(vec![7, 8]));
        assert_eq!(run(&with(&[0])), Err("a run"));
        assert_eq!(run(&with(&[2, 7, 0])), Err("entries in order"));
        assert_eq!(run(&with(&[2, 0x87, 0])), Err("a number"));
        assert_eq!(run(&with(&[1, 7, 1])), Err("end of a chunk"));
        assert_eq!(run(&with(&[0xff, 0xff, 3])), Err("a run"));
        assert_eq!(run(&[&[0, 2], key.as_slice(), &[1, 7], &key, &[1, 8]].concat()), Err("keys in order"));
        assert!(runs(&[], 0).all(|run| run.is_err()) && runs(&[0], 0).all(|run| run.is_err()));
    }

    proptest! {
        #[test]
        fn any_postings_go_round(
            from in 0u64..1 << 40,
            postings in proptest::collection::btree_set((0u64..50, 0u64..5000), 0..4000),
        ) {
            let postings = postings.into_iter().map(|(key, entry)| (key << 50, from + entry)).collect();
            prop_assert!(read(from, &write(from, &postings)).into_iter().eq(postings.iter().copied()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut chunk in proptest::collection::vec(any::<u8>(), 0..300), from in any::<u64>()) {
            if let Some(first) = chunk.first_mut() {
                *first = 0;
            }
            let mut out = Vec::new();
            for run in runs(&chunk, from).flatten() {
                let _ = run.entries(&mut out);
            }
            prop_assert!(out.len() <= chunk.len());
        }
    }
}
