//! Row keys as keyed hashes: a store's keys tell nothing of ids, types, names or dates.

use crate::key::Key;
use aws_lc_rs::hmac;
use std::fmt;

/// Bytes of a row key: the space, then 16 bytes of the keyed hash.
pub const ROW_KEY_BYTES: usize = 17;

/// Messages up to this many bytes are put together on the stack: a type, an id and a version fit.
const MESSAGE_BYTES: usize = 192;

/// Makes row keys: HMAC-SHA-256 under a key of the establishment, cut to 16 bytes, behind a byte that keeps kinds of
/// rows apart in the store. 2^64 rows would be needed before two are likely to meet.
#[derive(Clone)]
pub struct RowKeys(hmac::Key);

impl RowKeys {
    /// Row keys under `key`.
    pub fn new(key: &Key) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))
    }

    /// The row key in `space` of the thing that `parts` name within `domain` (a byte that keeps two uses of one space
    /// apart, for example a `Purpose`). Each part is hashed with its length, so `["ab","c"]` and `["a","bc"]` differ.
    pub fn key(&self, space: u8, domain: u8, parts: &[&[u8]]) -> [u8; ROW_KEY_BYTES] {
        let length: usize = parts.iter().map(|part| part.len().saturating_add(4)).sum::<usize>().saturating_add(2);
        let mut stack = [0_u8; MESSAGE_BYTES];
        let mut heap = Vec::new();
        let message = match stack.get_mut(..length) {
            Some(message) => message,
            None => {
                heap.resize(length, 0);
                heap.as_mut_slice()
            }
        };
        let mut rest = &mut *message;
        let mut put = |bytes: &[u8]| {
            if let Some((head, tail)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
                head.copy_from_slice(bytes);
                rest = tail;
            }
        };
        put(&[space, domain]);
        for part in parts {
            // INVARIANT: no part reaches 4 GiB; one that did would keep its low 32 bits here and still be hashed whole.
            put(&(part.len() as u32).to_be_bytes());
            put(part);
        }
        let tag = hmac::sign(&self.0, message);
        let mut key = [space; ROW_KEY_BYTES];
        key.iter_mut().skip(1).zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        key
    }
}

impl fmt::Debug for RowKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_row_key_is_the_space_and_the_cut_hash() {
        let keys = RowKeys::new(&Key::from_bytes([7; 32]));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]),
            b"\x20\x01\x00\x00\x00\x07Patient\x00\x00\x00\x011",
        );
        let key = keys.key(0x20, 1, &[b"Patient", b"1"]);
        assert_eq!((key[0], &key[1..]), (0x20, &tag.as_ref()[..16]));
    }

    #[test]
    fn names_do_not_run_together() {
        let keys = RowKeys::new(&Key::from_bytes([7; 32]));
        let other = RowKeys::new(&Key::from_bytes([8; 32]));
        let long = [b'x'; MESSAGE_BYTES];
        let names: [&[&[u8]]; 9] = [
            &[],
            &[b""],
            &[b"", b""],
            &[b"ab", b"c"],
            &[b"a", b"bc"],
            &[b"abc"],
            &[&long],
            &[&long[1..]],
            &[&long, b""],
        ];
        let mut seen = HashSet::new();
        for name in names {
            for (space, domain) in [(0, 0), (0, 1), (1, 0)] {
                assert!(seen.insert(keys.key(space, domain, name)));
                assert_eq!(keys.key(space, domain, name), keys.key(space, domain, name));
                assert!(seen.insert(other.key(space, domain, name)));
            }
        }
    }

    #[test]
    fn long_messages_agree_with_short_ones() {
        // Around the bound where the message moves from the stack to the heap.
        let keys = RowKeys::new(&Key::from_bytes([7; 32]));
        let reference = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        for length in MESSAGE_BYTES - 10..MESSAGE_BYTES + 10 {
            let part = vec![b'y'; length];
            let message = [&[3, 4][..], &(length as u32).to_be_bytes(), &part].concat();
            assert_eq!(keys.key(3, 4, &[&part])[1..], hmac::sign(&reference, &message).as_ref()[..16]);
        }
    }
}
