//! From a passphrase to a key: argon2id (RFC 9106).

use super::RootError;
use crate::derivation::Derivation;
use crate::key::{KEY_BYTES, Key};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

/// Fewest characters of a new passphrase. What it seals can be attacked at leisure by whoever copies the file; the
/// least that NIST SP 800-63B allows beside a second factor is 8.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// Bytes of salt (RFC 9106, section 3.1 recommends 16).
pub(super) const SALT_BYTES: usize = 16;

/// HKDF label of the key that seals the passphrase slot. Part of the format.
const LABEL: &str = "tacet/root/passphrase/1";

/// What it costs to try one passphrase. Written in the file, so that it can be raised later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PassphraseCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl PassphraseCost {
    /// 64 MiB, 3 passes, one lane: about a third of a second on a server (RFC 9106, section 4, second choice, with one
    /// lane because one passphrase is tried at a time).
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// As cheap as can be. **For tests only**: a passphrase under it is guessed quickly.
    pub const DANGEROUSLY_CHEAP: Self = Self { memory_kib: 64, passes: 1, lanes: 1 };

    /// Most memory: 1 GiB. A forged file must not make a server ask for more.
    const MEMORY_KIB_MAX: u32 = 1024 * 1024;

    /// Most passes and lanes; with the memory bound, the dearest file takes about a minute to refuse.
    const PASSES_MAX: u32 = 16;
    const LANES_MAX: u32 = 16;

    /// A cost of `memory_kib` KiB, `passes` over it and `lanes`, within the bounds: 8 KiB a lane to 1 GiB, 1 to 16, 1 to 16.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, RootError> {
        let sound = (1..=Self::LANES_MAX).contains(&lanes)
            && (1..=Self::PASSES_MAX).contains(&passes)
            && (8 * lanes..=Self::MEMORY_KIB_MAX).contains(&memory_kib);
        sound.then_some(Self { memory_kib, passes, lanes }).ok_or(RootError::CostOutOfBounds {
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Memory in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes.
    pub fn lanes(self) -> u32 {
        self.lanes
    }
}

impl Default for PassphraseCost {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The key of the passphrase slot.
pub(super) fn derive(passphrase: &str, salt: &[u8; SALT_BYTES], cost: PassphraseCost) -> Result<Key, RootError> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES)).map_err(|_| RootError::Derivation)?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| RootError::Derivation)?;
    memory.resize(params.block_count(), Block::new());
    let mut hash = Zeroizing::new([0; KEY_BYTES]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let outcome = argon2.hash_password_into_with_memory(passphrase.as_bytes(), salt, hash.as_mut_slice(), &mut memory);
    memory.iter_mut().for_each(Zeroize::zeroize);
    outcome.map_err(|_| RootError::Derivation)?;
    Ok(Derivation::new(&hash, &[]).key(LABEL))
}

/// Refuses what is too short to seal a root key.
pub(super) fn check_new(passphrase: &str) -> Result<(), RootError> {
    if passphrase.chars().count() < PASSPHRASE_CHARACTERS_MIN {
        return Err(RootError::PassphraseTooShort { characters_min: PASSPHRASE_CHARACTERS_MIN });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrase_salt_and_cost_each_matter() {
        let cheap = PassphraseCost::DANGEROUSLY_CHEAP;
        let base = derive("a long passphrase", &[1; 16], cheap).unwrap();
        assert_eq!(base, derive("a long passphrase", &[1; 16], cheap).unwrap());
        assert_ne!(base, derive("a long passphrasf", &[1; 16], cheap).unwrap());
        assert_ne!(base, derive("a long passphrase", &[2; 16], cheap).unwrap());
        for cost in [(128, 1, 1), (64, 2, 1), (64, 1, 2)] {
            let cost = PassphraseCost::new(cost.0, cost.1, cost.2).unwrap();
            assert_ne!(base, derive("a long passphrase", &[1; 16], cost).unwrap());
        }
    }

    #[test]
    fn costs_are_bounded() {
        let bad = [
            (0, 1, 1),
            (7, 1, 1),
            (15, 1, 2),
            (1 << 20 | 1, 1, 1),
            (u32::MAX, 3, 1),
            (64, 0, 1),
            (64, 17, 1),
            (64, 1, 0),
            (4096, 1, 17),
        ];
        for (memory_kib, passes, lanes) in bad {
            assert!(PassphraseCost::new(memory_kib, passes, lanes).is_err(), "{memory_kib} {passes} {lanes}");
        }
        let default = PassphraseCost::DEFAULT;
        assert_eq!(PassphraseCost::new(default.memory_kib, default.passes, default.lanes).unwrap(), default);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert!(check_new("éééééé").is_err());
        assert!(check_new("éééééééééééé").is_ok());
    }
}
