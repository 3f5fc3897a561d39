//! The vault itself: what it is made of, how it is made and opened.

use crate::access::{Access, AccessSettings};
use crate::copies::Copies;
use crate::deriving::{DerivationFigures, Deriving};
use crate::error::VaultError;
use crate::head::{Head, VersionMeta};
use crate::index::{Background, IndexSettings, Indexing};
use crate::keys_locked::LockableKeeper;
use crate::knowledge::{Knowing, Reader, ValidationSettings};
use crate::layout::{self, DESCRIPTION_ROW, RowKey};
use crate::ledger_questions::Indexed;
use crate::mode::Writes;
use crate::rewriting::Rewriting;
use crate::tokens::TokenCache;
use crate::transparency::{self, LogFigures, Transparency};
use crate::turns::Turns;
use crate::{Caller, EventKind, Outcome};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tacet_fhir::json;
use tacet_ledger::{Entry, LedgerKeys, Prepared, Receipt};
use tacet_seal::{
    Associated, Dictionary, EstablishmentKeys, Key, KeyKeeper, OnBehalf, Purpose, UnwrapCounts, WrappedKey,
};
use tacet_search::request::QueryLimits;
use tacet_store::{Commit, Engine, EngineStatistics, NoSequencer, Store, StoreOptions, Write};
use tacet_types::{Clock, EstablishmentId, RecordRef, ResourceId, ResourceType, Rng, Sequence, VersionId};

/// Format of the description row.
const DESCRIPTION_FORMAT: u8 = 3;

/// The formats of stores whose rows say nothing of labels and of further patients, or nothing of the labels of elements.
const DESCRIPTION_FORMATS_BEFORE: [u8; 2] = [1, 2];

/// Largest sealed structural record (head, version, members, feed of one commit), opened, in bytes.
const STRUCTURE_BYTES_MAX: usize = 16 << 20;

/// Bounds of the vault.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bounds on JSON bodies.
    pub json: json::Limits,
    /// Whether resources are validated on write. Off only in measurements.
    pub validate: bool,
    /// How far.
    pub validation: ValidationSettings,
    /// Bounds on searches.
    pub queries: QueryLimits,
    /// Whether patients may be looked for only by `Patient/$match`, by their id or by a whole identifier.
    pub patients_only_by_match: bool,
    /// Whether a conditional delete may delete several resources; where it may not, it is refused if several fit.
    pub conditional_delete_several: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json: json::Limits::default(),
            validate: true,
            validation: ValidationSettings::default(),
            queries: QueryLimits::default(),
            patients_only_by_match: false,
            conditional_delete_several: false,
        }
    }
}

/// What the vault is given besides its store and its keeper.
#[derive(Clone)]
pub struct VaultOptions {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness fit for keys.
    pub rng: Arc<dyn Rng>,
    /// Bounds.
    pub limits: Limits,
    /// How the committer works.
    pub store: StoreOptions,
    /// The search index. None: there are no searches and no conditional requests; what is changed is found by the index at the
    /// next start with one.
    pub index: Option<IndexSettings>,
    /// By what is decided who may see what. None: by roles alone.
    pub access: Option<AccessSettings>,
}

/// Whether the vault can do its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// Reads and writes work.
    Ready,
    /// The ledger is not what was signed, or not witnessed: nothing is shown ([`Vault::halted`]).
    Halted,
    /// The store refused a write; nothing is shown or changed until it is opened again.
    Failed,
}

/// Figures of a running vault, without personal data.
#[derive(Clone, Debug)]
pub struct VaultStatistics {
    /// Data keys unwrapped since the start, by reason.
    pub unwraps: UnwrapCounts,
    /// Entries in the ledger.
    pub ledger_entries: u64,
    /// Of the published log.
    pub log: LogFigures,
    /// Of the slow derivation.
    pub derived: DerivationFigures,
    /// Commits that changed records.
    pub last_sequence: Sequence,
    /// How much is locked: 0 nothing, 1 to 3 by level.
    pub locked: u8,
    /// Alarms of tripwires that were written down since the start.
    pub tripwires: u64,
    /// Of the backup; none where there is none.
    pub backup: Option<crate::BackupFigures>,
    /// Of drills that were held.
    pub drills: Vec<crate::DrillStanding>,
    /// Changes planned since the start. More than were committed: some were refused, or planned again because another
    /// writer was faster.
    pub plans: u64,
    /// Of the engine: rows and bytes.
    pub engine: EngineStatistics,
}

/// The record store. Cheap to clone.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Inner>, Option<Arc<Background>>, Arc<Reader>);

pub(crate) struct Inner {
    pub(crate) store: Writes,
    pub(crate) keeper: Arc<dyn KeyKeeper>,
    /// The same, to be locked.
    pub(crate) keys_lock: Arc<LockableKeeper>,
    pub(crate) keys: EstablishmentKeys,
    pub(crate) ledger_keys: LedgerKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) limits: Limits,
    pub(crate) tokens: TokenCache,
    pub(crate) turns: Turns,
    /// Plans made since the start.
    pub(crate) plans: AtomicU64,
    /// The search index, if there is one; set before anybody else has the vault.
    pub(crate) index: OnceLock<Arc<Indexing>>,
    /// Turns of conditional requests with the same criteria.
    pub(crate) criteria: Turns,
    /// The copies that are kept, if there is a directory for them.
    pub(crate) copies: OnceLock<Copies>,
    /// The ledger's index, if there is a directory for it.
    pub(crate) ledger_index: OnceLock<Indexed>,
    /// The store's own definitions.
    pub(crate) knowing: Arc<Knowing>,
    /// The published log, and whether anything may be shown.
    pub(crate) transparency: Transparency,
    pub(crate) deriving: Deriving,
    /// Who may see what; none: roles alone decide.
    pub(crate) access: Option<Arc<Access>>,
    /// Held while the rules of the row are put into memory.
    pub(crate) applying_rules: std::sync::Mutex<()>,
    /// Who is told how much each caller changes.
    pub(crate) rewriting: Rewriting,
    /// Alarms that were written down since the start.
    pub(crate) tripwires: AtomicU64,
    /// What the establishment is called, for the forms of the ledger's entries.
    pub(crate) called: OnceLock<String>,
    /// How the backup stands.
    pub(crate) backup: std::sync::Mutex<Option<crate::BackupFigures>>,
    /// How it stands with drills, once somebody has asked.
    pub(crate) drills: std::sync::Mutex<Option<Vec<crate::DrillStanding>>>,
}

impl Vault {
    /// Makes a new store in an empty engine: a new establishment with a new key, wrapped by the keeper, and a ledger
    /// that begins with this act of `caller`.
    pub async fn initialize(
        engine: Arc<dyn Engine>,
        keeper: Arc<dyn KeyKeeper>,
        options: VaultOptions,
        caller: &Caller,
    ) -> Result<Self, VaultError> {
        // A first attempt may have been cut off before its ledger began: then nothing was acknowledged, and it is done again.
        let begun = engine.get(&[tacet_ledger::SPACE_HEAD])?.is_some();
        if begun {
            return Err(VaultError::NotSupported("this store is initialised already: open it"));
        }
        // A store whose ledger was taken away is damaged, not new: another establishment key would end all its records.
        let mut used = false;
        engine.range(&[layout::HEADS], &DESCRIPTION_ROW, &mut |_, _| {
            used = true;
            ControlFlow::Break(())
        })?;
        if used {
            return Err(VaultError::Damaged("its ledger was taken away"));
        }
        let mut id = [0; 16];
        options.rng.fill(&mut id);
        let id = EstablishmentId(id);
        let wrapped = keeper.wrap(&Key::random(options.rng.as_ref()), &id.0)?;
        let value = write_description(id, &wrapped);
        let bare = Store::open(engine.clone(), NoSequencer, options.store)?;
        let write = Write::Put { key: DESCRIPTION_ROW.to_vec(), value };
        bare.submit(Commit { preconditions: Vec::new(), writes: vec![write], feed: None, item: () }).await?;
        bare.close()?;
        let vault = Self::open_with(engine, keeper, options, true)?;
        vault.note(caller, EventKind::Start, Outcome::Success).await?;
        Ok(vault)
    }

    /// Opens a store.
    pub fn open(
        engine: Arc<dyn Engine>,
        keeper: Arc<dyn KeyKeeper>,
        options: VaultOptions,
    ) -> Result<Self, VaultError> {
        Self::open_with(engine, keeper, options, false)
    }

    fn open_with(
        engine: Arc<dyn Engine>,
        keeper: Arc<dyn KeyKeeper>,
        options: VaultOptions,
        new: bool,
    ) -> Result<Self, VaultError> {
        let description = engine.get(&DESCRIPTION_ROW)?.ok_or(VaultError::Damaged("it has no description row"))?;
        let keys = establishment_of(&description, keeper.as_ref())?;
        let keys_lock = Arc::new(LockableKeeper::new(keeper));
        let months = Arc::clone(&keys_lock) as Arc<dyn KeyKeeper>;
        let (now, rng) = (options.clock.now(), options.rng.as_ref());
        let ledger_keys = LedgerKeys::of_months(&keys, engine.as_ref(), months, now, rng)?;
        if tacet_ledger::head(engine.as_ref(), &ledger_keys)?.is_none() && !new {
            return Err(VaultError::Damaged("its ledger was taken away"));
        }
        let store = tacet_ledger::open_store(engine, ledger_keys.clone(), options.rng.clone(), options.store)?;
        let inner = Arc::new(Inner {
            store: Writes::new(store),
            keeper: Arc::clone(&keys_lock) as Arc<dyn KeyKeeper>,
            keys_lock,
            keys,
            ledger_keys,
            clock: options.clock,
            rng: options.rng,
            limits: options.limits,
            tokens: TokenCache::default(),
            turns: Turns::default(),
            plans: AtomicU64::new(0),
            index: OnceLock::new(),
            criteria: Turns::default(),
            copies: OnceLock::new(),
            ledger_index: OnceLock::new(),
            knowing: Arc::new(Knowing::new()),
            transparency: Transparency::default(),
            deriving: Deriving::default(),
            access: options.access.map(|settings| Arc::new(Access::new(settings))),
            applying_rules: std::sync::Mutex::new(()),
            rewriting: Rewriting::default(),
            tripwires: AtomicU64::new(0),
            called: OnceLock::new(),
            backup: std::sync::Mutex::default(),
            drills: std::sync::Mutex::default(),
        });
        inner.hold_log()?;
        inner.apply_halts()?;
        // Before anything is opened: a store that was locked stays so.
        inner.apply_lockdown_row()?;
        if let Some(access) = &inner.access {
            *access.care_mut() = inner.read_care(&access.settings)?;
        }
        // Without an index nobody searches: definitions are read when somebody asks for them.
        let reader = Arc::new(Reader::start(&inner, options.index.is_some())?);
        let Some(settings) = options.index else { return Ok(Self(inner, None, reader)) };
        let (indexing, ends) = inner.open_index(&settings)?;
        let _ = inner.index.set(Arc::clone(&indexing));
        if let Err(error) = inner.resume_subscriptions(&indexing) {
            // Records are served all the same.
            tracing::error!(%error, "the subscriptions could not be read");
        }
        let background = Background::start(&inner, &indexing, ends)?;
        Ok(Self(inner, Some(Arc::new(background)), reader))
    }

    /// Closes the store: what is queued is written, and the next start need not look for damage.
    pub fn close(self) -> Result<(), VaultError> {
        self.0.stop_copies();
        self.0.stop_ledger_index();
        self.0.stop_deriving();
        self.2.stop();
        if let Some((background, indexing)) = self.1.as_ref().zip(self.0.indexing()) {
            background.stop();
            // What is not on disk is in the change feed: a failure here costs the next start some time.
            let closed = self.0.write_least(indexing).and_then(|()| Ok(indexing.index.clone().close()?));
            if let Err(error) = closed {
                tracing::warn!(%error, "the search index was not closed");
            }
        }
        Ok(self.0.store.clone().close()?)
    }

    /// The establishment that this store belongs to.
    pub fn establishment(&self) -> EstablishmentId {
        self.0.keys.id
    }

    /// Whether the vault can do its work.
    pub fn health(&self) -> Health {
        if self.0.store.has_failed() {
            Health::Failed
        } else if self.halted().is_some() {
            Health::Halted
        } else {
            Health::Ready
        }
    }

    /// Figures without personal data.
    pub fn statistics(&self) -> VaultStatistics {
        VaultStatistics {
            unwraps: self.0.keeper.counts(),
            ledger_entries: self.ledger_head().ok().flatten().map_or(0, |head| head.size()),
            log: self.log_figures(),
            derived: self.derivation_figures(),
            last_sequence: self.0.store.last_sequence(),
            locked: self.lockdown_level().map_or(0, |level| level as u8 + 1),
            tripwires: self.0.tripwires.load(Ordering::Relaxed),
            backup: self.backup_figures(),
            drills: self.drills_held().unwrap_or_default(),
            plans: self.0.plans.load(Ordering::Relaxed),
            engine: self.0.store.reader().statistics(),
        }
    }

    /// The head of the ledger's tree. None: nothing was ever written down.
    pub fn ledger_head(&self) -> Result<Option<tacet_ledger::TreeHead>, VaultError> {
        Ok(tacet_ledger::head(self.0.store.reader(), &self.0.ledger_keys)?)
    }

    /// One entry of the ledger.
    pub fn ledger_entry(&self, index: u64) -> Result<Entry, VaultError> {
        Ok(tacet_ledger::read(self.0.store.reader(), &self.0.ledger_keys, index)?)
    }

    /// Writes an entry that names no record: a start, a command.
    pub async fn note(&self, caller: &Caller, kind: EventKind, outcome: Outcome) -> Result<(), VaultError> {
        self.note_with(caller, kind, outcome, None).await
    }

    /// The same, with more in words: no personal data.
    pub async fn note_with(
        &self,
        caller: &Caller,
        kind: EventKind,
        outcome: Outcome,
        detail: Option<String>,
    ) -> Result<(), VaultError> {
        let mut entry = caller.entry(self.0.clock.now(), kind, outcome, None);
        entry.detail = detail;
        self.0.record(vec![entry]).await.map(|_| ())
    }
}

/// The keys of the establishment that a description row describes.
pub(crate) fn establishment_of(row: &[u8], keeper: &dyn KeyKeeper) -> Result<EstablishmentKeys, VaultError> {
    let (id, wrapped) = read_description(row)?;
    let key = keeper.unwrap(&wrapped, &id.0, OnBehalf::Start)?;
    Ok(EstablishmentKeys::derive(&key, id))
}

fn read_description(row: &[u8]) -> Result<(EstablishmentId, WrappedKey), VaultError> {
    let damaged = VaultError::Damaged("its description row cannot be read");
    if row.first().is_some_and(|format| DESCRIPTION_FORMATS_BEFORE.contains(format)) {
        return Err(VaultError::NotSupported(
            "this store was made by an earlier version of Tacet: export it with that one, and import it into a new store",
        ));
    }
    let Some((&[DESCRIPTION_FORMAT], rest)) = row.split_first_chunk::<1>() else {
        return Err(VaultError::Damaged("its description row has an unknown format: it may need a newer Tacet"));
    };
    let (id, wrapped) = rest.split_first_chunk::<16>().ok_or(damaged)?;
    Ok((EstablishmentId(*id), WrappedKey::from_bytes(wrapped.to_vec())?))
}

/// The value of a description row with another wrapping of the same key.
pub(crate) fn write_description(id: EstablishmentId, wrapped: &WrappedKey) -> Vec<u8> {
    [&[DESCRIPTION_FORMAT][..], &id.0, wrapped.as_bytes()].concat()
}

pub(crate) fn wrapped_establishment_key(row: &[u8]) -> Result<WrappedKey, VaultError> {
    read_description(row).map(|(_, wrapped)| wrapped)
}

impl Inner {
    /// Makes entries durable in the ledger; the receipts come back in the same order.
    pub(crate) async fn record(&self, entries: Vec<Entry>) -> Result<Vec<Receipt>, VaultError> {
        let mut entries = entries;
        // INVARIANT: where the keys are locked nothing opens, and what would have shown something is written down as refused.
        if self.keys_lock.is_locked() && transparency::refuse(&mut entries, "the keys are locked") {
            self.store.submit(Commit { item: Prepared::all(&entries)?, ..Commit::default() }).await?;
            return Err(VaultError::Sealed);
        }
        // INVARIANT: where disclosures are stopped, what would have shown something is written down as refused, and refused.
        let halt = self.transparency.judge(&mut entries);
        let item = Prepared::all(&entries)?;
        let commit = Commit { preconditions: Vec::new(), writes: Vec::new(), feed: None, item };
        let receipts = self.store.submit(commit).await?.outcome;
        halt.map_or(Ok(receipts), |halt| Err(VaultError::Halted(halt)))
    }

    pub(crate) fn head_row(&self, resource_type: ResourceType, id: &ResourceId) -> RowKey {
        layout::head(&self.keys.row_keys, resource_type, id)
    }

    pub(crate) fn seal_structure(&self, purpose: Purpose, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let associated = Associated { establishment: self.keys.id, purpose, row, resource: None };
        // INVARIANT: heads, versions, chunks and counts have one size each, and keep it on the disk.
        Ok(tacet_seal::seal(self.keys.sealer(purpose), &associated, plain, Dictionary::Stored, self.rng.as_ref())?)
    }

    pub(crate) fn open_structure(
        &self,
        purpose: Purpose,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, VaultError> {
        let associated = Associated { establishment: self.keys.id, purpose, row, resource: None };
        Ok(tacet_seal::open(self.keys.sealer(purpose), &associated, sealed, STRUCTURE_BYTES_MAX)?)
    }

    /// The head in a row's bytes.
    pub(crate) fn open_head(&self, row: &RowKey, sealed: &[u8]) -> Result<Head, VaultError> {
        let plain = self.open_structure(Purpose::Head, row, sealed)?;
        let head = Head::decode(&plain).ok_or(VaultError::Damaged("a head row cannot be read"))?;
        // INVARIANT: a head stands only in the row of its own type and id.
        if self.head_row(head.record.resource_type, &head.record.id) != *row {
            return Err(VaultError::Damaged("a head row stands in another's place"));
        }
        Ok(head)
    }

    /// The description and the sealed content in a version row's bytes. The content is empty for a deletion.
    pub(crate) fn open_version_meta<'a>(
        &self,
        row: &RowKey,
        value: &'a [u8],
    ) -> Result<(VersionMeta, &'a [u8]), VaultError> {
        let damaged = || VaultError::Damaged("a version row cannot be read");
        let (length, rest) = value.split_first_chunk::<2>().ok_or_else(damaged)?;
        let (meta, content) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(damaged)?;
        let plain = self.open_structure(Purpose::Head, row, meta)?;
        Ok((VersionMeta::decode(&plain).ok_or_else(damaged)?, content))
    }

    pub(crate) fn content_associated<'a>(&self, row: &'a RowKey, record: &'a RecordRef) -> Associated<'a> {
        Associated {
            establishment: self.keys.id,
            purpose: Purpose::Content,
            row,
            resource: Some((&record.resource_type, &record.id, record.version)),
        }
    }

    pub(crate) fn version_row(&self, head: &RowKey, version: VersionId) -> RowKey {
        layout::version(&self.keys.row_keys, head, version)
    }
}
