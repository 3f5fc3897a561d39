//! The thread that reads the definitions of the store and makes the next snapshot.

use super::{Definition, KINDS, Knowing, Snapshot, built_in_packages, codes};
use crate::disclose::json_limits;
use crate::error::VaultError;
use crate::head::Method;
use crate::index::Keys;
use crate::layout::RowKey;
use crate::owner::Owner;
use crate::vault::Inner;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tacet_conformance::Packages;
use tacet_fhir::json::{self, Json};
use tacet_terminology::Builder;
use tacet_types::{RecordRef, ResourceId};
use zeroize::Zeroizing;

/// How long no definition may have changed before they are read again, in milliseconds: a package is read once and not at each commit.
const QUIET_MS: u64 = 500;

/// Changes after which is read without quiet.
const GATHERED_MAX: u32 = 60;

/// Longest definition, in bytes of JSON: as the largest resource that the server takes.
const DEFINITION_BYTES_MAX: usize = 64 << 20;

/// All code systems, value sets and concept maps together, in bytes of JSON. What is kept of them is smaller.
const TERMINOLOGY_BYTES_MAX: usize = 1 << 30;

/// All profiles and questionnaires together, in bytes of JSON. They are kept as they are, at some times their length.
const PROFILES_BYTES_MAX: usize = 128 << 20;

/// Definitions left out that are logged one by one.
const LEFT_OUT_LOGGED_MAX: usize = 100;

/// The reading thread; ends when the last vault goes.
pub(crate) struct Reader {
    knowing: Arc<Knowing>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reader {
    /// Starts the thread. `at_once`: what the store holds is read now, and not when it is asked for.
    pub(crate) fn start(inner: &Arc<Inner>, at_once: bool) -> Result<Self, VaultError> {
        let knowing = Arc::clone(&inner.knowing);
        if inner.has_definitions()? {
            knowing.state().wanted = u64::from(at_once);
        } else {
            knowing.state().usable = true;
        }
        let work = {
            let inner = Arc::clone(inner);
            move || run(&inner)
        };
        let thread = std::thread::Builder::new()
            .name("vault-definitions".to_owned())
            .spawn(work)
            .map_err(|error| VaultError::Unavailable(Box::new(error)))?;
        Ok(Self { knowing, thread: Mutex::new(Some(thread)) })
    }

    /// Lets the thread end; a reading under way is broken off.
    pub(crate) fn stop(&self) {
        {
            let _state = self.knowing.state();
            self.knowing.stop.store(true, Ordering::Relaxed);
        }
        self.knowing.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // One that panicked has told the log; there is nobody else to tell.
        let _ = thread.map(JoinHandle::join);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(inner: &Inner) {
    let knowing = &inner.knowing;
    while let Some(wanted) = knowing.next() {
        let made = inner.read_definitions();
        if knowing.stop.load(Ordering::Relaxed) {
            return;
        }
        let usable = match made {
            Ok(snapshot) => {
                *knowing.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the definitions of the store cannot be read");
                false
            }
        };
        let mut state = knowing.state();
        state.made = wanted;
        state.usable = usable;
        drop(state);
        knowing.changed.notify_all();
    }
}

impl Knowing {
    /// Waits until there is something to read; gives the count that is to be reached. None: the store is being closed.
    fn next(&self) -> Option<u64> {
        let stopped = || self.stop.load(Ordering::Relaxed);
        let idle = |state: &mut super::State| state.wanted == state.made && !stopped();
        let mut state = self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        for _ in 0..GATHERED_MAX {
            let before = state.wanted;
            if state.urgent || stopped() {
                break;
            }
            let same = |state: &mut super::State| state.wanted == before && !state.urgent && !stopped();
            let waited = self.changed.wait_timeout_while(state, Duration::from_millis(QUIET_MS), same);
            let (now, quiet) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if quiet.timed_out() {
                break;
            }
        }
        state.urgent = false;
        if stopped() { None } else { Some(state.wanted) }
    }
}

/// What becomes a snapshot.
struct Reading {
    builder: Builder,
    packages: Packages,
    value_sets: HashMap<ResourceId, String>,
    definitions: Vec<Definition>,
    terminology_bytes: usize,
    profiles_bytes: usize,
    left_out: usize,
}

impl Inner {
    fn has_definitions(&self) -> Result<bool, VaultError> {
        for kind in 0..KINDS.len() as u8 {
            if !self.definitions_of(kind)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a snapshot of what the store holds now.
    fn read_definitions(&self) -> Result<Snapshot, VaultError> {
        if !self.has_definitions()? {
            return Ok(Snapshot::standard());
        }
        self.note_own_work(
            "definitions: the code systems, value sets, concept maps, profiles and questionnaires are read",
        )?;
        // Only now, since the entry's commit is behind those that asked for this.
        let mut heads: Vec<(u8, RecordRef, RowKey)> = Vec::new();
        for kind in 0..KINDS.len() as u8 {
            for row in self.definitions_of(kind)? {
                let Some(value) = self.store.reader().get(&row)? else { continue };
                match self.open_head(&row, &value) {
                    Ok(head) if head.is_deleted() => {}
                    Ok(head) => heads.push((kind, head.record, row)),
                    Err(_) => left_out(kind, &row, "its head cannot be opened"),
                }
            }
        }
        // Of two with the same address and version, the one with the last id is used: the same whatever came first.
        heads.sort_by(|a, b| (a.0, a.1.id.as_str()).cmp(&(b.0, b.1.id.as_str())));
        let mut keys = Keys::new(self, &self.knowing.stop);
        let mut reading = Reading {
            builder: Builder::default(),
            packages: built_in_packages(),
            value_sets: HashMap::new(),
            definitions: Vec::new(),
            terminology_bytes: 0,
            profiles_bytes: 0,
            left_out: 0,
        };
        for (kind, _, row) in heads {
            if self.knowing.stop.load(Ordering::Relaxed) {
                return Err(VaultError::Definitions);
            }
            if let Err(why) = self.read_definition(kind, &row, &mut keys, &mut reading)? {
                reading.left_out += 1;
                if reading.left_out <= LEFT_OUT_LOGGED_MAX {
                    left_out(kind, &row, why);
                }
            }
        }
        if reading.left_out > LEFT_OUT_LOGGED_MAX {
            tracing::warn!(left_out = reading.left_out, "definitions of the store are not used");
        }
        let Reading { builder, packages, value_sets, mut definitions, .. } = reading;
        definitions.sort_by(|a, b| {
            let order = |one: &Definition| (one.record.resource_type.as_str(), one.url.clone(), one.version.clone());
            order(a).cmp(&order(b))
        });
        Ok(Snapshot {
            terminology: OnceLock::from(builder.build()),
            packages,
            value_sets,
            definitions,
            sets: RwLock::new(codes::Sets::default()),
        })
    }

    /// Reads one definition. The inner error says why it is left out; the outer one ends the reading.
    fn read_definition(
        &self,
        kind: u8,
        row: &RowKey,
        keys: &mut Keys<'_>,
        reading: &mut Reading,
    ) -> Result<Result<(), &'static str>, VaultError> {
        let found = match self.locate_row(row) {
            Ok(Some(found)) if found.meta.method != Method::Delete => found,
            Ok(_) => return Ok(Ok(())),
            Err(_) => return Ok(Err("it cannot be opened")),
        };
        if found.meta.owner != Owner::Establishment {
            return Ok(Err("it belongs to a patient"));
        }
        if found.sealed_bytes() > DEFINITION_BYTES_MAX {
            return Ok(Err("it is too large"));
        }
        let Some(sealer) = keys.of(&found.meta.owner)? else { return Ok(Err("its key is missing")) };
        let text: Zeroizing<Vec<u8>> = match self.open_content(&sealer, &found) {
            Ok(text) => text,
            Err(_) => return Ok(Err("it cannot be opened")),
        };
        if text.len() > DEFINITION_BYTES_MAX {
            return Ok(Err("it is too large"));
        }
        Ok(match json::parse(&text, &json_limits()) {
            Ok(value) => reading.take(kind, found.record, &value, text.len()),
            Err(_) => Err("it is not JSON"),
        })
    }
}

impl Reading {
    fn take(&mut self, kind: u8, record: RecordRef, value: &Json<'_>, bytes: usize) -> Result<(), &'static str> {
        let name = KINDS.get(usize::from(kind)).copied().unwrap_or_default();
        let is_profile = matches!(name, "StructureDefinition" | "Questionnaire");
        let (sum, max) = match is_profile {
            true => (&mut self.profiles_bytes, PROFILES_BYTES_MAX),
            false => (&mut self.terminology_bytes, TERMINOLOGY_BYTES_MAX),
        };
        *sum = sum.saturating_add(bytes);
        if *sum > max {
            *sum -= bytes;
            return Err("there is no room beside the others of its kind");
        }
        let Some(url) = value.get_str("url") else {
            // Nobody can name it. A value set or questionnaire need not have one, so this is no fault.
            return Ok(());
        };
        if is_profile {
            self.packages.add_resource(value).map_err(|_| "it is not a definition that can be used")?;
        } else {
            self.builder.add_resource(value).map_err(|_| "its content cannot be used")?;
        }
        let version = value.get_str("version").map(str::to_owned);
        if name == "ValueSet" {
            let canonical = version.as_ref().map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"));
            self.value_sets.insert(record.id.clone(), canonical);
        }
        let source = value.get("meta").and_then(|meta| meta.get_str("source")).map(str::to_owned);
        self.definitions.push(Definition { record, url: url.to_owned(), version, source });
        Ok(())
    }
}

/// Says that a definition is not used: by its type and row, never by its content.
fn left_out(kind: u8, row: &RowKey, why: &'static str) {
    let resource_type = KINDS.get(usize::from(kind)).copied().unwrap_or_default();
    let row: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
    tracing::warn!(resource_type, row, why, "a definition of the store is not used");
}
