//! What every commit of the index says of itself.

use crate::sealed::GENERATION_FORMAT;
use tacet_types::Sequence;

/// Up to where the files of a commit hold everything, and with which parameters they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Payload {
    pub(crate) format: u16,
    pub(crate) sequence: Sequence,
    pub(crate) fingerprint: [u8; 16],
}

impl Payload {
    pub(crate) fn new(sequence: Sequence, fingerprint: [u8; 16]) -> Self {
        Self { format: GENERATION_FORMAT, sequence, fingerprint }
    }

    /// Format, sequence and fingerprint, a blank between them; the fingerprint as one number.
    pub(crate) fn encode(&self) -> String {
        format!("{} {} {:032x}", self.format, self.sequence.0, u128::from_be_bytes(self.fingerprint))
    }

    /// Reads what [`Payload::encode`] wrote.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let payload = Self {
            format: parts.next()?.parse().ok()?,
            sequence: Sequence(parts.next()?.parse().ok()?),
            fingerprint: u128::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes(),
        };
        (parts.next().is_none() && payload.encode() == text).then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_round() {
        let payload = Payload::new(Sequence(u64::MAX), [0xa5; 16]);
        assert_eq!(Payload::decode(&payload.encode()), Some(payload));
        for text in ["", "1", "1 2", "1 2 3", "1 2 x", "+1 2 000000000000000000000000000000ff"] {
            assert_eq!(Payload::decode(text), None, "{text}");
        }
    }
}
