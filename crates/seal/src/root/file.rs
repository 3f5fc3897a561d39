//! The root key file, opened: what may be done with it.

use super::format::{self, Header, Payload};
use super::passphrase::{self, PassphraseCost, SALT_BYTES};
use super::shares::{self, RecoveryShare, SHARE_SET_BYTES, Split};
use super::storage::{self, Step};
use super::{RecoveryPart, RootError, RootKeys};
use crate::key::Key;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tacet_types::Rng;

/// An opened root key file.
///
/// Every change is written to the disk before it is true here; a process killed at any point leaves a file that opens
/// with the passphrase and shares of before or of after, and with every root key that a wrapped key may need.
pub struct RootFile {
    path: PathBuf,
    /// What the disk holds, to notice another writer.
    bytes: Vec<u8>,
    header: Header,
    payload: Payload,
    passphrase_key: Key,
}

/// What a root key file says without being opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootInfo {
    /// How often the file was written, from 1.
    pub revision: u64,
    /// How the recovery secret is split.
    pub split: Split,
    /// What a try at the passphrase costs.
    pub cost: PassphraseCost,
}

impl RootFile {
    /// Makes a new root key and its file, which must not exist, and the shares, which are nowhere else: print them once.
    pub fn create(
        path: &Path,
        passphrase: &str,
        split: Split,
        cost: PassphraseCost,
        rng: &dyn Rng,
    ) -> Result<(Self, Vec<RecoveryShare>), RootError> {
        passphrase::check_new(passphrase)?;
        let (mut file_id, mut share_set, mut salt) = ([0; 8], [0; SHARE_SET_BYTES], [0; SALT_BYTES]);
        [&mut file_id[..], &mut share_set, &mut salt].into_iter().for_each(|bytes| rng.fill(bytes));
        let header = Header { file_id, revision: 1, share_set, split, cost, salt };
        let payload = Payload { recovery: Key::random(rng), keys: RootKeys::random(rng) };
        let passphrase_key = passphrase::derive(passphrase, &salt, cost)?;
        let shares = shares::split(&payload.recovery, split, file_id, share_set, rng)?;
        let bytes = encode_checked(&header, &payload, &passphrase_key, rng)?;
        storage::replace(path, None, &bytes, &mut |_| Ok(()))?;
        Ok((Self { path: path.to_owned(), bytes, header, payload, passphrase_key }, shares))
    }

    /// Opens the file with its passphrase.
    pub fn unlock(path: &Path, passphrase: &str) -> Result<Self, RootError> {
        let bytes = storage::read(path)?;
        let (header, payload, passphrase_key) = {
            let parsed = format::parse(&bytes)?;
            let key = passphrase::derive(passphrase, &parsed.header.salt, parsed.header.cost)?;
            let wrong = RootError::WrongPassphrase { threshold: parsed.header.split.threshold() };
            (parsed.header, parsed.open_passphrase(&key)?.ok_or(wrong)?, key)
        };
        Ok(Self { path: path.to_owned(), bytes, header, payload, passphrase_key })
    }

    /// Opens the file with recovery shares and gives it a new passphrase. The shares stay valid.
    pub fn recover(path: &Path, shares: &[RecoveryShare], passphrase: &str, rng: &dyn Rng) -> Result<Self, RootError> {
        passphrase::check_new(passphrase)?;
        let bytes = storage::read(path)?;
        let (header, payload) = {
            let parsed = format::parse(&bytes)?;
            let Header { file_id, share_set, split, .. } = parsed.header;
            let secret = shares::combine(shares, file_id, share_set, split)?;
            (parsed.header, parsed.open_recovery(&secret)?.ok_or(RootError::WrongShares)?)
        };
        let mut salt = [0; SALT_BYTES];
        rng.fill(&mut salt);
        let header = Header { salt, ..header };
        let passphrase_key = passphrase::derive(passphrase, &salt, header.cost)?;
        let (copy, key) = (payload.duplicate(), passphrase_key.duplicate());
        let mut file = Self { path: path.to_owned(), bytes, header, payload, passphrase_key };
        file.write(header, copy, key, rng, &mut |_| Ok(()))?;
        Ok(file)
    }

    /// Makes the file anew, where there is none, from its recovery part and shares, under a new passphrase. The shares stay valid.
    ///
    /// # Errors
    /// There is a file; the shares do not open this part; the passphrase is too short.
    pub fn restore(
        path: &Path,
        part: &RecoveryPart,
        shares: &[RecoveryShare],
        passphrase: &str,
        rng: &dyn Rng,
    ) -> Result<Self, RootError> {
        passphrase::check_new(passphrase)?;
        let parsed = part.parsed()?;
        let Header { file_id, share_set, split, .. } = parsed.header;
        let secret = shares::combine(shares, file_id, share_set, split)?;
        let payload = parsed.open_recovery(&secret)?.ok_or(RootError::WrongShares)?;
        let mut salt = [0; SALT_BYTES];
        rng.fill(&mut salt);
        let header = Header { salt, revision: parsed.header.revision.saturating_add(1), ..parsed.header };
        let passphrase_key = passphrase::derive(passphrase, &salt, header.cost)?;
        let bytes = encode_checked(&header, &payload, &passphrase_key, rng)?;
        storage::replace(path, None, &bytes, &mut |_| Ok(()))?;
        Ok(Self { path: path.to_owned(), bytes, header, payload, passphrase_key })
    }

    /// What the file says without being opened.
    pub fn inspect(path: &Path) -> Result<RootInfo, RootError> {
        let bytes = storage::read(path)?;
        let Header { revision, split, cost, .. } = format::parse(&bytes)?.header;
        Ok(RootInfo { revision, split, cost })
    }

    /// The root keys, for a keeper.
    pub fn keys(&self) -> &RootKeys {
        &self.payload.keys
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says in clear.
    pub fn info(&self) -> RootInfo {
        RootInfo { revision: self.header.revision, split: self.header.split, cost: self.header.cost }
    }

    /// Adds a new generation of root key beside the old one and gives its number. Where a rotation is under way already
    /// (it was interrupted), nothing is changed and the number is the one it began with.
    ///
    /// What to do between this and [`RootFile::finish_rotation`]: make a keeper of [`RootFile::keys`] and rewrap every
    /// wrapped key. The passphrase and the shares stay valid.
    pub fn begin_rotation(&mut self, rng: &dyn Rng) -> Result<u32, RootError> {
        self.begin_rotation_seen(rng, &mut |_| Ok(()))
    }

    /// Drops every generation but the newest. **Only when every wrapped key was rewrapped**: what is still under an
    /// older generation is lost. Where no rotation is under way, nothing is changed.
    pub fn finish_rotation(&mut self, rng: &dyn Rng) -> Result<(), RootError> {
        self.finish_rotation_seen(rng, &mut |_| Ok(()))
    }

    /// Seals the file under a new passphrase (and cost).
    pub fn change_passphrase(
        &mut self,
        passphrase: &str,
        cost: PassphraseCost,
        rng: &dyn Rng,
    ) -> Result<(), RootError> {
        passphrase::check_new(passphrase)?;
        let mut salt = [0; SALT_BYTES];
        rng.fill(&mut salt);
        let key = passphrase::derive(passphrase, &salt, cost)?;
        let header = Header { cost, salt, ..self.header };
        let payload = self.payload.duplicate();
        self.write(header, payload, key, rng, &mut |_| Ok(()))
    }

    /// Makes a new recovery secret and splits it: the shares of before recover nothing from the file as it is now. (From
    /// an old copy of the file they still do, so old copies and old shares are to be destroyed.)
    ///
    /// Killed between writing the file and printing the shares, nobody has them: call this again with the passphrase.
    pub fn new_shares(&mut self, split: Split, rng: &dyn Rng) -> Result<Vec<RecoveryShare>, RootError> {
        let mut share_set = [0; SHARE_SET_BYTES];
        rng.fill(&mut share_set);
        let header = Header { share_set, split, ..self.header };
        let payload = Payload { recovery: Key::random(rng), keys: self.payload.keys.duplicate() };
        let shares = shares::split(&payload.recovery, split, header.file_id, share_set, rng)?;
        let key = self.passphrase_key.duplicate();
        self.write(header, payload, key, rng, &mut |_| Ok(()))?;
        Ok(shares)
    }

    fn begin_rotation_seen(
        &mut self,
        rng: &dyn Rng,
        seen: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> Result<u32, RootError> {
        if !self.payload.keys.rotating() {
            self.write_keys(self.payload.keys.with_next(rng)?, rng, seen)?;
        }
        Ok(self.payload.keys.generation())
    }

    fn finish_rotation_seen(
        &mut self,
        rng: &dyn Rng,
        seen: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> Result<(), RootError> {
        if self.payload.keys.rotating() {
            self.write_keys(self.payload.keys.newest_only(), rng, seen)?;
        }
        Ok(())
    }

    fn write_keys(
        &mut self,
        keys: RootKeys,
        rng: &dyn Rng,
        seen: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> Result<(), RootError> {
        let payload = Payload { recovery: self.payload.recovery.duplicate(), keys };
        let key = self.passphrase_key.duplicate();
        self.write(self.header, payload, key, rng, seen)
    }

    fn write(
        &mut self,
        header: Header,
        payload: Payload,
        passphrase_key: Key,
        rng: &dyn Rng,
        seen: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> Result<(), RootError> {
        let header = Header { revision: self.header.revision.saturating_add(1), ..header };
        let bytes = encode_checked(&header, &payload, &passphrase_key, rng)?;
        storage::replace(&self.path, Some(&self.bytes), &bytes, seen)?;
        (self.bytes, self.header, self.payload, self.passphrase_key) = (bytes, header, payload, passphrase_key);
        Ok(())
    }
}

/// Encodes, and opens what was encoded by both ways before it may reach the disk: a root key file that does not open is
/// the loss of everything.
fn encode_checked(
    header: &Header,
    payload: &Payload,
    passphrase_key: &Key,
    rng: &dyn Rng,
) -> Result<Vec<u8>, RootError> {
    let bytes = format::encode(header, payload, passphrase_key, rng)?;
    let parsed = format::parse(&bytes)?;
    for opened in [parsed.open_passphrase(passphrase_key)?, parsed.open_recovery(&payload.recovery)?] {
        let same = opened
            .is_some_and(|opened| opened.recovery == payload.recovery && opened.keys.iter().eq(payload.keys.iter()));
        if !same || parsed.header != *header {
            return Err(RootError::Damaged);
        }
    }
    Ok(bytes)
}

impl fmt::Debug for RootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootFile(revision {}, {:?}, ..)", self.header.revision, self.payload.keys)
    }
}

#[cfg(test)]
mod tests;
