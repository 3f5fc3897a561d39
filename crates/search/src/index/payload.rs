//! What every commit of the index says of itself.

use crate::sealed::GENERATION_FORMAT;
use tacet_types::Sequence;

/// Tells a commit of the store from another that has its number in another course of events.
pub(crate) type Mark = [u8; 16];

/// Where there is no commit, or nobody who can tell.
pub(crate) const NO_MARK: Mark = [0; 16];

/// Up to where the files of a commit hold everything, and with which parameters they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Payload {
    pub(crate) format: u16,
    pub(crate) sequence: Sequence,
    pub(crate) fingerprint: [u8; 16],
    /// Of the commit with this sequence.
    pub(crate) mark: Mark,
}

impl Payload {
    pub(crate) fn new(sequence: Sequence, fingerprint: [u8; 16], mark: Mark) -> Self {
        Self { format: GENERATION_FORMAT, sequence, fingerprint, mark }
    }

    /// Format, sequence, fingerprint and mark, a blank between them; the last two as one number each.
    pub(crate) fn encode(&self) -> String {
        let [fingerprint, mark] = [self.fingerprint, self.mark].map(u128::from_be_bytes);
        format!("{} {} {fingerprint:032x} {mark:032x}", self.format, self.sequence.0)
    }

    /// Reads what [`Payload::encode`] wrote.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let payload = Self {
            format: parts.next()?.parse().ok()?,
            sequence: Sequence(parts.next()?.parse().ok()?),
            fingerprint: u128::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes(),
            mark: u128::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes(),
        };
        (parts.next().is_none() && payload.encode() == text).then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_round() {
        let payload = Payload::new(Sequence(u64::MAX), [0xa5; 16], [7; 16]);
        assert_eq!(Payload::decode(&payload.encode()), Some(payload));
        for text in [
            "",
            "1",
            "1 2",
            "1 2 3",
            "1 2 3 x",
            "+1 2 000000000000000000000000000000ff 000000000000000000000000000000ff",
        ] {
            assert_eq!(Payload::decode(text), None, "{text}");
        }
    }
}
