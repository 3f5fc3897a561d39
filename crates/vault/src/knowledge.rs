//! What the store's own definitions say, at one moment: code systems, value sets, concept maps, profiles and questionnaires, beside
//! those that FHIR itself defines.
//!
//! ```text
//! commit of a definition ──> its head row on the list of its type ──> reader: entry in the ledger, open, read ──> snapshot swapped
//! ```
//!
//! A snapshot never changes; who uses one goes on with it while the next is made. Definitions are no patient's: they are sealed with the
//! establishment's key, and one that is a patient's by its references is not used.

mod codes;
mod operations;
mod read;
mod rules;

pub(crate) use codes::SearchCodes;
pub use operations::{DefinitionKind, OperationCall, OperationInput, ValidateCall};
pub(crate) use read::Reader;
pub use rules::{RequiredProfile, Validation, ValidationSettings};

use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use aws_lc_rs::digest;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tacet_conformance::Packages;
use tacet_seal::Purpose;
use tacet_terminology::Terminology;
use tacet_types::{RecordRef, ResourceId, ResourceType};

/// Most resources of one type that are on its list. At 17 bytes each, the list is sealed again whenever it changes.
pub const DEFINITIONS_OF_A_TYPE_MAX: usize = 20_000;

/// Bytes of a digest that make an id.
const DEFINITION_ID_BYTES: usize = 16;

/// How long an operation waits for a snapshot that has what was stored before it, in milliseconds. Then it goes by the one that is there.
const FRESH_WAIT_MS: u64 = 10_000;

/// The types that define something; a type's place is its number in the row of its list, so nothing may come in between.
const KINDS: [&str; 5] = ["CodeSystem", "ValueSet", "ConceptMap", "StructureDefinition", "Questionnaire"];

/// The number of a type that defines something.
pub(crate) fn kind_of(resource_type: ResourceType) -> Option<u8> {
    KINDS.iter().zip(0u8..).find(|(name, _)| **name == resource_type.as_str()).map(|(_, number)| number)
}

/// A definition of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// Type, id and version.
    pub record: RecordRef,
    /// Its address.
    pub url: String,
    /// Its own version, if it says one.
    pub version: Option<String>,
    /// Where it came from (`meta.source`).
    pub source: Option<String>,
}

/// The id under which a definition of a package is stored: the same for the same type, address and version, whatever id it brings,
/// since ids of different packages may be the same.
pub fn definition_id(resource_type: ResourceType, url: &str, version: Option<&str>) -> Option<ResourceId> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [resource_type.as_str(), url, version.unwrap_or_default()] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let id: String = digest.as_ref().iter().take(DEFINITION_ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    ResourceId::parse(&id).ok()
}

/// Whether resources of this type define something: code systems, value sets, concept maps, profiles, questionnaires.
pub fn is_definition(resource_type: ResourceType) -> bool {
    kind_of(resource_type).is_some()
}

/// The definitions of one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Made when first asked for: that of the standard alone takes some time and memory, and many stores never ask.
    terminology: OnceLock<Terminology>,
    packages: Packages,
    /// Addresses of value sets by id: `ValueSet/[id]` in a search.
    value_sets: HashMap<ResourceId, String>,
    definitions: Vec<Definition>,
    sets: RwLock<codes::Sets>,
}

impl Snapshot {
    /// What FHIR itself defines, and the French health identity.
    fn standard() -> Self {
        Self {
            terminology: OnceLock::new(),
            packages: built_in_packages(),
            value_sets: HashMap::new(),
            definitions: Vec::new(),
            sets: RwLock::default(),
        }
    }

    pub(crate) fn terminology(&self) -> &Terminology {
        static STANDARD: LazyLock<Terminology> = LazyLock::new(Terminology::standard);
        self.terminology.get_or_init(|| STANDARD.clone())
    }
}

/// The profiles of R4 and ours.
fn built_in_packages() -> Packages {
    let mut packages = Packages::standard();
    if packages.add_french_identity().is_err() {
        tracing::error!("the profile of the French health identity could not be added");
    }
    packages
}

/// What the snapshot lags behind.
#[derive(Default)]
struct State {
    /// Counts changes of definitions.
    wanted: u64,
    /// The count that the snapshot has.
    made: u64,
    /// Somebody waits: changes are not gathered first.
    urgent: bool,
    /// The snapshot is that of the store. False before the first was made, and after one could not be.
    usable: bool,
}

/// The current snapshot, and whether it must be made anew.
pub(crate) struct Knowing {
    snapshot: RwLock<Arc<Snapshot>>,
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Knowing {
    pub(crate) fn new() -> Self {
        Self {
            snapshot: RwLock::new(Arc::new(Snapshot::standard())),
            state: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current snapshot. Where there is none yet, it is asked for.
    pub(crate) fn known(&self) -> Result<Arc<Snapshot>, VaultError> {
        let mut state = self.state();
        if state.usable {
            drop(state);
            return Ok(self.snapshot());
        }
        if state.wanted == state.made {
            state.wanted += 1;
        }
        state.urgent = true;
        self.changed.notify_all();
        Err(VaultError::Definitions)
    }

    /// The snapshot with everything that was stored before this call, if it can be had in time. Blocks.
    pub(crate) fn fresh(&self) -> Result<Arc<Snapshot>, VaultError> {
        self.wait(Duration::from_millis(FRESH_WAIT_MS));
        self.known()
    }

    fn wait(&self, at_most: Duration) {
        let mut state = self.state();
        if !state.usable && state.wanted == state.made {
            state.wanted += 1;
        }
        let wanted = state.wanted;
        if state.made < wanted {
            state.urgent = true;
            self.changed.notify_all();
            let waiting = |state: &mut State| state.made < wanted && !self.stop.load(Ordering::Relaxed);
            drop(self.changed.wait_timeout_while(state, at_most, waiting));
        }
    }

    /// A definition was or may have been changed.
    fn redefined(&self) {
        self.state().wanted += 1;
        self.changed.notify_all();
    }
}

/// Held while a commit that changes definitions is under way: when it goes, they are read again. A commit that failed costs
/// one reading too many; one whose caller went away is before the reader's own commit in the store's queue.
pub(crate) struct Redefining(Arc<Knowing>);

impl Redefining {
    pub(crate) fn new(knowing: &Arc<Knowing>) -> Self {
        Self(Arc::clone(knowing))
    }
}

impl Drop for Redefining {
    fn drop(&mut self) {
        self.0.redefined();
    }
}

impl Inner {
    /// The head rows of the definitions of one type.
    fn definitions_of(&self, kind: u8) -> Result<BTreeSet<RowKey>, VaultError> {
        match self.store.reader().get(&layout::definitions(kind))? {
            Some(value) => self.open_definitions(kind, &value),
            None => Ok(BTreeSet::new()),
        }
    }

    /// The head rows in the row of a list.
    pub(crate) fn open_definitions(&self, kind: u8, value: &[u8]) -> Result<BTreeSet<RowKey>, VaultError> {
        let plain = self.open_structure(Purpose::State, &layout::definitions(kind), value)?;
        let (rows, rest) = plain.as_chunks::<{ size_of::<RowKey>() }>();
        match rest.is_empty() {
            true => Ok(rows.iter().copied().collect()),
            false => Err(VaultError::Damaged("a list of definitions cannot be read")),
        }
    }
}

impl Vault {
    /// The definitions of the store that are used, by type and address. What could not be used is not among them.
    pub async fn definitions(&self, caller: &Caller) -> Result<Vec<Definition>, VaultError> {
        if !caller.role.may_read_records() {
            return Err(VaultError::Forbidden);
        }
        let snapshot = self.0.knowing.fresh()?;
        self.0.disclose_nothing(caller, EventKind::Search, "$definitions", Outcome::Success, None).await?;
        Ok(snapshot.definitions.clone())
    }

    /// Blocks until the definitions that were stored before are used. False: they cannot be read; the log says why.
    pub fn wait_for_definitions(&self) -> bool {
        self.0.knowing.wait(Duration::MAX);
        self.0.knowing.state().usable
    }
}
