//! How far bytes look like chance: sealed ones must.

/// Block over which emptiness is judged, in bytes.
const BLOCK_BYTES: usize = 4096;

/// Counts of the bytes of a file or of a kind of rows.
#[derive(Clone)]
pub(super) struct Statistics {
    /// All bytes.
    pub(super) bytes: u64,
    /// Bytes in blocks that are nothing but zeros: room that was reserved and not used.
    pub(super) empty_bytes: u64,
    /// Longest run of printable ASCII, in bytes.
    pub(super) longest_text_bytes: u64,
    counts: [u64; 256],
    run: u64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { bytes: 0, empty_bytes: 0, longest_text_bytes: 0, counts: [0; 256], run: 0 }
    }
}

impl Statistics {
    /// Counts these bytes in.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK_BYTES) {
            self.bytes += block.len() as u64;
            if block.iter().all(|byte| *byte == 0) {
                self.empty_bytes += block.len() as u64;
                self.run = 0;
                continue;
            }
            for byte in block {
                if let Some(count) = self.counts.get_mut(usize::from(*byte)) {
                    *count += 1;
                }
                self.run = if (b' '..=b'~').contains(byte) { self.run + 1 } else { 0 };
                self.longest_text_bytes = self.longest_text_bytes.max(self.run);
            }
        }
    }

    /// Counts another one in.
    pub(super) fn merge(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.empty_bytes += other.empty_bytes;
        self.longest_text_bytes = self.longest_text_bytes.max(other.longest_text_bytes);
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
    }

    /// Shannon entropy of the bytes that are not in empty blocks, in bits a byte: 8 for chance.
    pub(super) fn entropy_bits(&self) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let share = |count: u64| count as f64 / total as f64;
        self.counts
            .iter()
            .filter(|count| **count > 0)
            .fold(0.0, |bits, count| bits - share(*count) * share(*count).log2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::Rng;

    #[test]
    fn chance_has_eight_bits_and_text_has_fewer() {
        let (mut noise, mut text) = (Statistics::default(), Statistics::default());
        let mut bytes = vec![0; 1 << 20];
        tacet_types::SeededRng::new(3).fill(&mut bytes);
        noise.add(&bytes);
        noise.add(&[0; 3 * BLOCK_BYTES]);
        assert!(noise.entropy_bits() > 7.999 && noise.empty_bytes == 3 * BLOCK_BYTES as u64);
        assert!(noise.longest_text_bytes < 24);
        text.add(r#"{"resourceType":"Patient"}"#.as_bytes());
        assert!(text.entropy_bits() < 5.0 && text.longest_text_bytes == 26);
        assert!(Statistics::default().entropy_bits() == 0.0);
    }
}
