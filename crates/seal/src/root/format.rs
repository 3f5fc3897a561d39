//! The bytes of a root key file, as `docs/formats/root-key.md` has them. No I/O.

use super::RootError;
use super::keys::{GENERATIONS_MAX, RootKeys};
use super::passphrase::{PassphraseCost, SALT_BYTES};
use super::shares::{FILE_ID_BYTES, SHARE_SET_BYTES, Split};
use crate::derivation::Derivation;
use crate::key::{KEY_BYTES, Key};
use crate::sealer::{NONCE_BYTES, Sealer, TAG_BYTES};
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use tacet_types::Rng;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"TACETKEY";

/// The format that is written, and the only one there is.
const FORMAT_VERSION: u8 = 1;

/// Version of the sealed payload.
const PAYLOAD_VERSION: u8 = 1;

/// Bytes of one generation in the payload: number and key.
const GENERATION_BYTES: usize = 4 + KEY_BYTES;

const PAYLOAD_BYTES_MAX: usize = 1 + KEY_BYTES + 1 + GENERATIONS_MAX * GENERATION_BYTES;

/// Bytes before the slots.
const HEADER_BYTES: usize = 61;

/// No root key file is longer; more is not read.
pub(super) const FILE_BYTES_MAX: usize =
    HEADER_BYTES + 2 * (NONCE_BYTES + PAYLOAD_BYTES_MAX + TAG_BYTES) + SHA256_OUTPUT_LEN;

/// HKDF label of the key that seals the recovery slot. Part of the format.
const RECOVERY_LABEL: &str = "tacet/root/recovery/1";

/// Which of the two sealed copies of the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Slot {
    Passphrase = 1,
    Recovery = 2,
}

/// What the file says in clear; bound into both slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) file_id: [u8; FILE_ID_BYTES],
    pub(super) revision: u64,
    pub(super) share_set: [u8; SHARE_SET_BYTES],
    pub(super) split: Split,
    pub(super) cost: PassphraseCost,
    pub(super) salt: [u8; SALT_BYTES],
}

/// What both slots seal.
pub(super) struct Payload {
    pub(super) recovery: Key,
    pub(super) keys: RootKeys,
}

/// A file taken apart, nothing opened yet.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) header: Header,
    bound: &'a [u8],
    passphrase_slot: &'a [u8],
    recovery_slot: &'a [u8],
}

impl Payload {
    pub(super) fn duplicate(&self) -> Self {
        Self { recovery: self.recovery.duplicate(), keys: self.keys.duplicate() }
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(PAYLOAD_BYTES_MAX));
        out.push(PAYLOAD_VERSION);
        out.extend(self.recovery.as_bytes());
        out.push(self.keys.iter().count() as u8);
        for (generation, key) in self.keys.iter() {
            out.extend(generation.to_be_bytes());
            out.extend(key.as_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        let recovery = Key::from_bytes(take(&mut rest)?);
        let [count] = take(&mut rest)?;
        if version != PAYLOAD_VERSION || usize::from(count) > GENERATIONS_MAX {
            return None;
        }
        let mut keys = Vec::with_capacity(GENERATIONS_MAX);
        for _ in 0..count {
            keys.push((u32::from_be_bytes(take(&mut rest)?), Key::from_bytes(take(&mut rest)?)));
        }
        rest.is_empty().then(|| RootKeys::from_generations(keys))?.map(|keys| Self { recovery, keys })
    }
}

impl Header {
    fn encode(&self, payload_bytes: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(FILE_BYTES_MAX);
        out.extend(MAGIC);
        out.push(FORMAT_VERSION);
        out.extend(self.file_id);
        out.extend(self.revision.to_be_bytes());
        out.extend(self.share_set);
        out.extend([self.split.threshold(), self.split.shares()]);
        out.extend(self.cost.memory_kib().to_be_bytes());
        out.extend(self.cost.passes().to_be_bytes());
        out.extend(self.cost.lanes().to_be_bytes());
        out.extend(self.salt);
        out.extend((payload_bytes as u16).to_be_bytes());
        out
    }

    fn recovery_key(&self, recovery: &Key) -> Key {
        let salt = [&self.file_id[..], &self.share_set].concat();
        Derivation::new(recovery.as_bytes(), &salt).key(RECOVERY_LABEL)
    }
}

/// The whole file: header, both slots sealed anew, checksum.
pub(super) fn encode(
    header: &Header,
    payload: &Payload,
    passphrase_key: &Key,
    rng: &dyn Rng,
) -> Result<Vec<u8>, RootError> {
    let text = payload.encode();
    let mut out = header.encode(text.len());
    let bound = out.clone();
    let recovery_key = header.recovery_key(&payload.recovery);
    for (slot, key) in [(Slot::Passphrase, passphrase_key), (Slot::Recovery, &recovery_key)] {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let mut sealed = text.clone();
        let tag = Sealer::gcm_siv(key)
            .seal_in_place(nonce, &associated(&bound, slot), &mut sealed)
            .map_err(|_| RootError::Derivation)?;
        out.extend(nonce);
        out.extend(sealed.iter());
        out.extend(tag.as_ref());
    }
    let checksum = digest(&SHA256, &out);
    out.extend(checksum.as_ref());
    Ok(out)
}

/// Takes a file apart. What is damaged by accident is told from what is not ours, before any passphrase is asked for.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed<'_>, RootError> {
    let rest = of_this_format(bytes)?;
    let (checked, checksum) = bytes.split_last_chunk::<SHA256_OUTPUT_LEN>().ok_or(RootError::Damaged)?;
    if digest(&SHA256, checked).as_ref() != checksum {
        return Err(RootError::Damaged);
    }
    let (header, payload_bytes) = parse_header(rest)?;
    let bound = bytes.get(..HEADER_BYTES).ok_or(RootError::Damaged)?;
    let slot_bytes = NONCE_BYTES + payload_bytes + TAG_BYTES;
    let slots = checked.get(HEADER_BYTES..).filter(|slots| slots.len() == 2 * slot_bytes).ok_or(RootError::Damaged)?;
    let (passphrase_slot, recovery_slot) = slots.split_at_checked(slot_bytes).ok_or(RootError::Damaged)?;
    Ok(Parsed { header, bound, passphrase_slot, recovery_slot })
}

/// Takes the header and the recovery slot apart, where there is nothing else.
pub(super) fn parse_recovery(bytes: &[u8]) -> Result<Parsed<'_>, RootError> {
    let (header, payload_bytes) = parse_header(of_this_format(bytes)?)?;
    let (bound, recovery_slot) = bytes.split_at_checked(HEADER_BYTES).ok_or(RootError::Damaged)?;
    if recovery_slot.len() != NONCE_BYTES + payload_bytes + TAG_BYTES {
        return Err(RootError::Damaged);
    }
    Ok(Parsed { header, bound, passphrase_slot: &[], recovery_slot })
}

/// What comes after the magic and the version of bytes that are ours and of the one format that there is.
fn of_this_format(bytes: &[u8]) -> Result<&[u8], RootError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(RootError::NotARootKeyFile)?;
    match rest.split_first().ok_or(RootError::Damaged)? {
        (&FORMAT_VERSION, rest) => Ok(rest),
        (&found, _) if found > FORMAT_VERSION => Err(RootError::NewerFormat { found, supported: FORMAT_VERSION }),
        _ => Err(RootError::Damaged),
    }
}

fn parse_header(mut rest: &[u8]) -> Result<(Header, usize), RootError> {
    let rest = &mut rest;
    let mut numbers = || -> Option<_> {
        Some((
            take(rest)?,
            u64::from_be_bytes(take(rest)?),
            take(rest)?,
            take::<2>(rest)?,
            [take(rest)?, take(rest)?, take(rest)?].map(u32::from_be_bytes),
            take(rest)?,
            u16::from_be_bytes(take(rest)?),
        ))
    };
    let (file_id, revision, share_set, [threshold, shares], [memory_kib, passes, lanes], salt, payload_bytes) =
        numbers().ok_or(RootError::Damaged)?;
    let split = Split::new(threshold, shares).map_err(|_| RootError::Damaged)?;
    let cost = PassphraseCost::new(memory_kib, passes, lanes)?;
    let payload_bytes = usize::from(payload_bytes);
    if payload_bytes > PAYLOAD_BYTES_MAX {
        return Err(RootError::Damaged);
    }
    Ok((Header { file_id, revision, share_set, split, cost, salt }, payload_bytes))
}

impl Parsed<'_> {
    /// The header's bytes, and those of the recovery slot.
    pub(super) fn recovery_parts(&self) -> (&[u8], &[u8]) {
        (self.bound, self.recovery_slot)
    }

    /// Opens the passphrase's slot; `None` where the key is another.
    pub(super) fn open_passphrase(&self, key: &Key) -> Result<Option<Payload>, RootError> {
        self.open(Slot::Passphrase, self.passphrase_slot, key)
    }

    /// Opens the recovery slot; `None` where the secret is another.
    pub(super) fn open_recovery(&self, recovery: &Key) -> Result<Option<Payload>, RootError> {
        self.open(Slot::Recovery, self.recovery_slot, &self.header.recovery_key(recovery))
    }

    fn open(&self, slot: Slot, bytes: &[u8], key: &Key) -> Result<Option<Payload>, RootError> {
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(RootError::Damaged)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(RootError::Damaged)?;
        let mut text = Zeroizing::new(vec![0; sealed.len()]);
        let associated = associated(self.bound, slot);
        if Sealer::gcm_siv(key).open_into(*nonce, &associated, sealed, tag, &mut text).is_err() {
            return Ok(None);
        }
        Payload::decode(&text).map(Some).ok_or(RootError::Damaged)
    }
}

fn associated(header: &[u8], slot: Slot) -> Vec<u8> {
    [header, &[slot as u8]].concat()
}

/// Takes `N` bytes off the front.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    fn sample() -> (Header, Payload, Key) {
        let header = Header {
            file_id: [1; 8],
            revision: 7,
            share_set: [2; 4],
            split: Split::DEFAULT,
            cost: PassphraseCost::DANGEROUSLY_CHEAP,
            salt: [3; 16],
        };
        let keys = RootKeys::for_tests(vec![(4, Key::from_bytes([4; 32])), (5, Key::from_bytes([5; 32]))]);
        (header, Payload { recovery: Key::from_bytes([6; 32]), keys }, Key::from_bytes([7; 32]))
    }

    fn checksummed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - 32);
        let checksum = digest(&SHA256, &bytes);
        bytes.extend(checksum.as_ref());
        bytes
    }

    #[test]
    fn both_slots_open_to_the_same_keys() {
        let (header, payload, key) = sample();
        let bytes = encode(&header, &payload, &key, &SeededRng::new(1)).unwrap();
        assert_eq!(bytes.len(), FILE_BYTES_MAX, "two generations are the longest file");
        let parsed = parse(&bytes).unwrap();
        assert_eq!(parsed.header, header);
        for opened in [parsed.open_passphrase(&key), parsed.open_recovery(&payload.recovery)] {
            let opened = opened.unwrap().unwrap();
            assert_eq!(opened.recovery, payload.recovery);
            assert!(opened.keys.iter().eq(payload.keys.iter()));
        }
        assert!(parsed.open_passphrase(&payload.recovery).unwrap().is_none());
        assert!(parsed.open_recovery(&key).unwrap().is_none());
    }

    #[test]
    fn an_accident_is_noticed_at_every_bit_and_length() {
        let (header, payload, key) = sample();
        let bytes = encode(&header, &payload, &key, &SeededRng::new(1)).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[at / 8] ^= 1 << (at % 8);
            let error = parse(&altered).err().unwrap();
            match at / 8 {
                0..8 => assert!(matches!(error, RootError::NotARootKeyFile), "bit {at}: {error}"),
                8 => assert!(matches!(error, RootError::NewerFormat { .. } | RootError::Damaged), "bit {at}: {error}"),
                _ => assert!(matches!(error, RootError::Damaged), "bit {at}: {error}"),
            }
        }
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length}");
        }
        assert!(parse(&[&bytes[..], b"\0"].concat()).is_err());
    }

    #[test]
    fn a_forger_who_mends_the_checksum_gets_no_further() {
        let (header, payload, key) = sample();
        let bytes = encode(&header, &payload, &key, &SeededRng::new(1)).unwrap();
        for at in 9..bytes.len() - 32 {
            let mut altered = bytes.clone();
            altered[at] ^= 0x01;
            let altered = checksummed(altered);
            let Ok(parsed) = parse(&altered) else { continue };
            let opened = (parsed.open_passphrase(&key).unwrap(), parsed.open_recovery(&payload.recovery).unwrap());
            // A byte of one slot leaves the other whole; a byte of the header closes both.
            let slot_bytes = (bytes.len() - 32 - HEADER_BYTES) / 2;
            let expected = if at < HEADER_BYTES {
                (false, false)
            } else {
                (at >= HEADER_BYTES + slot_bytes, at < HEADER_BYTES + slot_bytes)
            };
            assert_eq!((opened.0.is_some(), opened.1.is_some()), expected, "byte {at}");
        }
    }

    #[test]
    fn slots_are_not_interchangeable() {
        let (header, payload, key) = sample();
        // The same key for both slots, so that only the slot number keeps them apart.
        let same = header.recovery_key(&payload.recovery);
        let bytes = encode(&header, &payload, &same, &SeededRng::new(1)).unwrap();
        let slot_bytes = (bytes.len() - 32 - HEADER_BYTES) / 2;
        let mut swapped = bytes.clone();
        swapped[HEADER_BYTES..HEADER_BYTES + 2 * slot_bytes].rotate_left(slot_bytes);
        let swapped = checksummed(swapped);
        let parsed = parse(&swapped).unwrap();
        assert!(parsed.open_passphrase(&same).unwrap().is_none());
        assert!(parsed.open_recovery(&payload.recovery).unwrap().is_none());
        assert!(parse(&bytes).unwrap().open_passphrase(&same).unwrap().is_some());
        drop(key);
    }

    #[test]
    fn a_forged_file_cannot_ask_for_terabytes() {
        let (header, payload, key) = sample();
        let bytes = encode(&header, &payload, &key, &SeededRng::new(1)).unwrap();
        for (at, value) in [(31, u32::MAX), (35, u32::MAX), (39, u32::MAX), (31, 0), (35, 0), (39, 0), (31, 1 << 21)] {
            let mut forged = bytes.clone();
            forged[at..at + 4].copy_from_slice(&value.to_be_bytes());
            let forged = checksummed(forged);
            let outcome = parse(&forged);
            assert!(matches!(outcome, Err(RootError::CostOutOfBounds { .. })), "{at} {value}");
        }
    }

    #[test]
    fn malformed_payloads_are_refused() {
        let (_, payload, _) = sample();
        let good = payload.encode();
        assert!(Payload::decode(&good).is_some());
        for length in 0..good.len() {
            assert!(Payload::decode(&good[..length]).is_none(), "{length}");
        }
        assert!(Payload::decode(&[&good[..], b"\0"].concat()).is_none());
        for (at, value) in [(0, 2), (33, 0), (33, 1), (33, 3), (33, 255), (37, 5), (37, 6), (37, 0)] {
            let mut bad = good.to_vec();
            bad[at] = value;
            assert!(Payload::decode(&bad).is_none(), "byte {at} = {value}");
        }
    }
}
