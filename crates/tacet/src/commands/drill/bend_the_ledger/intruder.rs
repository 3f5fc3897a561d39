//! What an intruder does who has the disk, the passphrase and therefore every key: rows are read, made and written as the formats
//! (`docs/formats/ledger.md`, `tlog.md`) say, beside the program, with nothing that would stop them.

use crate::config::Config;
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use tacet_ledger::log::{self, SPACE_LOG};
use tacet_ledger::merkle::{Frontier, leaf_hash};
use tacet_ledger::{Entry, LedgerKeys, Prepared, SPACE_ENTRY, SPACE_HEAD, open_store};
use tacet_seal::{
    Associated, Dictionary, EstablishmentKeys, KeyKeeper, OnBehalf, Purpose, RootFile, SecureRng, WrappedKey, seal,
};
use tacet_store::memory::MemoryEngine;
use tacet_store::{Commit, Durability, Engine, Reader, StoreOptions, Write};
use tacet_types::{Clock, EstablishmentId, SystemClock};

/// The row of the store's description, and the format of it (`docs/formats/vault.md`).
const DESCRIPTION_ROW: [u8; 1] = [8];

/// The kinds of rows of the published log, behind its space byte (`docs/formats/tlog.md`).
const IDENTITY: u8 = 0;
const LATEST: u8 = 1;
const TILES: u8 = 3;
const LOG_END: u8 = 5;

/// Entries that are made again in one commit.
const ENTRIES_AT_ONCE: usize = 500;

/// Somebody at the store's rows.
pub(super) struct Intruder {
    engine: Arc<dyn Engine>,
    keys: EstablishmentKeys,
    ledger: LedgerKeys,
}

fn gone(what: &str) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what}"))
}

impl Intruder {
    /// Opens the store of a data directory, with what lies there and the passphrase.
    pub(super) fn open(data: &Path, passphrase: &str) -> Result<Self, CliError> {
        let paths = Paths::of(data);
        let root = RootFile::unlock(&paths.root, passphrase).map_err(CliError::Root)?;
        let engine = open::engine(&paths.store, &Config::default())?;
        let row = engine.get(&DESCRIPTION_ROW)?.ok_or_else(|| gone("the store has no description"))?;
        let short = || gone("the store's description is short");
        let (id, wrapped) = row.get(1..).and_then(|rest| rest.split_first_chunk::<16>()).ok_or_else(short)?;
        let wrapped = WrappedKey::from_bytes(wrapped.to_vec()).map_err(|_| short())?;
        let keeper: Arc<dyn KeyKeeper> = open::keeper(&root, MAINTENANCE_LIMITS);
        let key = keeper.unwrap(&wrapped, id, OnBehalf::Maintenance("drill"));
        let key = key.map_err(|_| gone("the establishment's key does not open"))?;
        let keys = EstablishmentKeys::derive(&key, EstablishmentId(*id));
        let now = SystemClock.now();
        let ledger = LedgerKeys::of_months(&keys, engine.as_ref(), keeper, now, open::rng().as_ref())?;
        Ok(Self { engine, ledger, keys })
    }

    fn reader(&self) -> &dyn Reader {
        self.engine.as_ref()
    }

    fn write(&self, writes: &[Write]) -> Result<(), CliError> {
        Ok(self.engine.write(writes, Durability::Durable)?)
    }

    /// How many entries there are.
    pub(super) fn size(&self) -> Result<u64, CliError> {
        Ok(tacet_ledger::head(self.reader(), &self.ledger)?.map_or(0, |head| head.size()))
    }

    /// Entries of the latest checkpoint.
    pub(super) fn signed(&self) -> Result<u64, CliError> {
        let identity = log::identity(self.reader(), &self.ledger)?.ok_or_else(|| gone("the log has no name"))?;
        let latest = log::latest(self.reader(), &self.ledger, &identity)?;
        Ok(latest.map_or(0, |latest| latest.checkpoint().size()))
    }

    /// What every entry says.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, CliError> {
        (0..self.size()?).map(|index| Ok(tacet_ledger::read(self.reader(), &self.ledger, index)?)).collect()
    }

    /// The rows of all entries.
    pub(super) fn rows(&self) -> Result<Vec<Vec<u8>>, CliError> {
        let mut rows = Vec::new();
        self.reader().range(&[SPACE_ENTRY], &[SPACE_HEAD], &mut |_, row| {
            rows.push(row.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Rows for these entries, sealed at their places with the stolen key.
    pub(super) fn sealed(&self, entries: &[Entry]) -> Result<Vec<Vec<u8>>, CliError> {
        let engine = Arc::new(MemoryEngine::new());
        let options = StoreOptions::default();
        let store = open_store(Arc::<MemoryEngine>::clone(&engine), self.ledger.clone(), open::rng(), options)?;
        for entries in entries.chunks(ENTRIES_AT_ONCE) {
            let item = entries.iter().map(Prepared::new).collect::<Result<Vec<_>, _>>();
            let item = item.map_err(|_| gone("an entry cannot be written"))?;
            store.submit(Commit { item, ..Commit::default() }).wait()?;
        }
        store.close()?;
        let mut rows = Vec::new();
        engine.range(&[SPACE_ENTRY], &[SPACE_HEAD], &mut |_, row| {
            rows.push(row.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Puts a row in the place of entry `index`, and touches nothing else.
    pub(super) fn put(&self, index: usize, row: &[u8]) -> Result<(), CliError> {
        self.write(&[Write::put(key(index), row)])
    }

    /// Takes the row of entry `index` away, and touches nothing else.
    pub(super) fn take(&self, index: usize) -> Result<(), CliError> {
        self.write(&[Write::delete(key(index))])
    }

    /// Makes these rows the ledger: entries, tree and head.
    pub(super) fn make(&self, rows: &[Vec<u8>]) -> Result<(), CliError> {
        let before = self.rows()?.len();
        let mut tree = Frontier::new();
        rows.iter().for_each(|row| tree.append(leaf_hash(row)));
        let mut head = vec![1];
        head.extend(tree.size().to_be_bytes());
        head.extend(tree.root().0);
        tree.peaks().iter().for_each(|peak| head.extend(peak.0));
        let place = [SPACE_HEAD];
        let associated =
            Associated { establishment: self.keys.id, purpose: Purpose::LedgerHead, row: &place, resource: None };
        let head = seal(&self.keys.ledger_head, &associated, &head, Dictionary::None, &SecureRng)
            .map_err(|_| gone("the head cannot be sealed"))?;
        let mut writes: Vec<Write> =
            rows.iter().enumerate().map(|(index, row)| Write::put(key(index), row.clone())).collect();
        writes.extend((rows.len()..before).map(|index| Write::delete(key(index))));
        writes.push(Write::put(place, head));
        self.write(&writes)
    }

    /// Removes rows of the published log whose kind is in this range.
    fn forget(&self, kinds: std::ops::Range<u8>) -> Result<(), CliError> {
        let mut writes = Vec::new();
        self.reader().range(&[SPACE_LOG, kinds.start], &[SPACE_LOG, kinds.end], &mut |key, _| {
            writes.push(Write::delete(key));
            ControlFlow::Continue(())
        })?;
        self.write(&writes)
    }

    /// Removes every checkpoint and every kept tile.
    pub(super) fn forget_checkpoints(&self) -> Result<(), CliError> {
        self.forget(LATEST..LOG_END)
    }

    /// Signs the ledger as it is now with the stolen key, as if nothing had been signed before.
    pub(super) fn sign_again(&self) -> Result<(), CliError> {
        self.forget_checkpoints()?;
        while let Some(tiles) = log::next_tiles(self.reader(), self.size()?)? {
            self.write(&tiles.writes)?;
        }
        let identity = log::identity(self.reader(), &self.ledger)?.ok_or_else(|| gone("the log has no name"))?;
        let signed = log::sign_head(self.reader(), &self.ledger, &identity, &SecureRng)?;
        let (_, change) = signed.ok_or_else(|| gone("there is nothing to sign"))?;
        self.write(&change.writes)
    }

    /// Gives the log another key under the same name.
    pub(super) fn replace_key(&self) -> Result<(), CliError> {
        let identity = log::identity(self.reader(), &self.ledger)?.ok_or_else(|| gone("the log has no name"))?;
        let origin = identity.origin().to_owned();
        self.forget(IDENTITY..LATEST)?;
        let (_, change) = log::name(&self.ledger, &origin, &SecureRng)?;
        self.write(&change.writes)?;
        self.sign_again()
    }

    /// Changes a byte of the first tile that is kept.
    pub(super) fn bend_tile(&self) -> Result<(), CliError> {
        let mut found = None;
        self.reader().range(&[SPACE_LOG, TILES], &[SPACE_LOG, TILES + 1], &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })?;
        let (key, mut tile) = found.ok_or_else(|| gone("no tile is kept"))?;
        if let Some(byte) = tile.first_mut() {
            *byte ^= 1;
        }
        self.write(&[Write::put(key, tile)])
    }
}

fn key(index: usize) -> Vec<u8> {
    [&[SPACE_ENTRY][..], &(index as u64).to_be_bytes()].concat()
}
