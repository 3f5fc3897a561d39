//! A plan: all the rows, preconditions and ledger entries of one commit, made before anything is written.
//!
//! Everything that a plan looked at is a precondition of its commit, so that two writers never overwrite each other
//! and no lock is held while a record is sealed. A commit whose preconditions fail is planned anew.

mod allowed;
mod confirm;
mod definitions;
mod late;
mod members;

use allowed::{Rights, Standing};
use late::{Late, Sheets};
use members::MemberList;

use crate::absence::{Hidden, filled};
use crate::access::{CareChange, Ground, Sights, is_emergency};
use crate::audit;
use crate::caller::Caller;
use crate::change::{Change, ChangeSet};
use crate::disclose::content_sealer;
use crate::error::VaultError;
use crate::head::{Head, Method, Others, VersionMeta};
use crate::index::Extractor;
use crate::inline::Inline;
use crate::layout::{self, RowKey};
use crate::owner::{Belonging, Owner};
use crate::subscriptions;
use crate::vault::Inner;
use crate::{EventKind, Outcome, PurposeOfUse};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tacet_fhir::json::{self, Json};
use tacet_fhir::resource;
use tacet_ledger::{ENTRIES_MAX, Entry, Prepared, RECORDS_MAX};
use tacet_seal::{Dictionary, Key, OnBehalf, Purpose, Sealer, WrappedKey};
use tacet_search::Change as IndexChange;
use tacet_store::{Commit, Precondition, Write};
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp, VersionId};
use zeroize::Zeroizing;

/// What a writer expects to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// Anything.
    Any,
    /// No current version: it was never there, or is deleted.
    Absent,
    /// This version is the current one.
    Version(VersionId),
}

/// One planned new version.
pub(crate) struct Planned {
    pub(crate) record: RecordRef,
    pub(crate) last_updated: Timestamp,
    pub(crate) body: Zeroizing<Vec<u8>>,
    pub(crate) created: bool,
}

/// The data keys that a commit's earlier plans unwrapped, each with the wrapped bytes that stood in its row. They last as
/// long as the commit's attempts: planning again for a busy patient does not use up the keeper's rate.
pub(crate) type Unwrapped = HashMap<Owner, (Vec<u8>, Sealer)>;

/// A change that was planned, and what it found.
struct Attempted {
    kind: EventKind,
    row: RowKey,
    resource_type: ResourceType,
    id: ResourceId,
    found: Option<Head>,
    standing: Standing,
}

/// A change that was not made: its entry, and what is known of where it should have been.
pub(crate) struct Refusal {
    /// What is written down.
    pub(crate) entry: Entry,
    row: RowKey,
    resource_type: ResourceType,
    id: ResourceId,
    standing: Standing,
    sights: Option<Arc<Sights>>,
}

impl Refusal {
    /// Does the work that tells nobody what stands there.
    pub(crate) fn even_out(&self, inner: &Inner) -> Result<(), VaultError> {
        match self.standing {
            Standing::Seen => Ok(()),
            standing => {
                let about = (self.resource_type, &self.id);
                inner.even_out(self.sights.as_ref(), &self.row, about, standing.is_hidden())
            }
        }
    }
}

/// Collects what one commit writes.
pub(crate) struct Plan<'a> {
    inner: &'a Inner,
    caller: &'a Caller,
    unwrapped: &'a mut Unwrapped,
    now: Timestamp,
    heads: HashMap<RowKey, Option<Head>>,
    sealers: HashMap<Owner, Sealer>,
    members: HashMap<ResourceId, MemberList>,
    preconditions: Vec<Precondition>,
    writes: Vec<Write>,
    changes: Vec<Change>,
    touched: BTreeMap<(Owner, Method2, Option<Ground>, Sheets), Vec<RecordRef>>,
    /// Planned notes from paper, to be held to their sheets.
    late: Vec<Late>,
    /// The change planned last.
    attempted: Option<Attempted>,
    /// What the caller may do.
    rights: Rights,
    /// What the changes say of care.
    care: Vec<CareChange>,
    /// Patients whom planned versions of a person name, who must be there.
    named: BTreeSet<ResourceId>,
    /// Whether one version alone is planned, so that nobody whom it names is made by the plan.
    alone: bool,
    /// What the search index is told; none where there is no index.
    extractor: Option<Extractor>,
    /// The criteria of a conditional request, for the entries.
    query: Option<String>,
    /// The list of SearchParameter resources as this plan leaves it; none where it was not looked at.
    custom_parameters: Option<Vec<RowKey>>,
    /// The lists of definitions that were looked at, as this plan leaves them, and whether it changes them.
    definitions: BTreeMap<u8, (BTreeSet<RowKey>, bool)>,
}

/// A commit, what the search index is to be told of it, and what it says of care.
pub(crate) type Finished = (Commit<Vec<Prepared>>, Vec<IndexChange>, Vec<CareChange>);

/// [`Method`] in an order, so that entries come out the same way each time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Method2(u8);

impl<'a> Plan<'a> {
    pub(crate) fn new(inner: &'a Inner, caller: &'a Caller, unwrapped: &'a mut Unwrapped) -> Result<Self, VaultError> {
        Ok(Self {
            inner,
            caller,
            unwrapped,
            now: inner.clock.now(),
            heads: HashMap::new(),
            sealers: HashMap::new(),
            members: HashMap::new(),
            preconditions: Vec::new(),
            writes: Vec::new(),
            changes: Vec::new(),
            touched: BTreeMap::new(),
            late: Vec::new(),
            attempted: None,
            extractor: inner.indexing().map(|indexing| Extractor::new(indexing.parameters())),
            query: None,
            custom_parameters: None,
            definitions: BTreeMap::new(),
            rights: Rights::of(inner, caller)?,
            care: Vec::new(),
            named: BTreeSet::new(),
            alone: true,
        })
    }

    /// Says that several versions are going to be planned: those named may be among them.
    pub(crate) fn of_several(&mut self) {
        self.alone = false;
    }

    /// The entry that says that the change planned last was not made. None: none was planned.
    ///
    /// A refusal tells whether a record is there, so it is written down, and takes as long as a change.
    pub(crate) fn refusal(&self, kind: Option<EventKind>) -> Result<Option<Refusal>, VaultError> {
        let Some(attempted) = &self.attempted else { return Ok(None) };
        let Attempted { kind: planned, row, resource_type, ref id, ref found, standing } = *attempted;
        let mut entry = self.caller.entry(self.now, kind.unwrap_or(planned), Outcome::Failed, None);
        entry.query.clone_from(&self.query);
        let entry = match (found, standing) {
            (Some(found), Standing::Seen) => {
                entry.patient = found.current.owner.ledger_patient();
                entry.records.push(found.record.clone());
                entry.categories.push(found.record.resource_type);
                entry
            }
            (found, _) => filled(entry, found.as_ref().map(Hidden::head))?,
        };
        let sights = self.rights.read.clone();
        Ok(Some(Refusal { entry, row, resource_type, id: id.clone(), standing, sights }))
    }

    fn attempt(
        &mut self,
        kind: EventKind,
        row: RowKey,
        (resource_type, id): (ResourceType, &ResourceId),
        found: &Option<Head>,
    ) -> Standing {
        let standing = self.standing(found);
        let (id, found) = (id.clone(), found.clone());
        self.attempted = Some(Attempted { kind, row, resource_type, id, found, standing });
        standing
    }

    /// Whether the caller may put a new version in the place of the current one, where there is nothing to change.
    pub(crate) fn may_update(&mut self, resource_type: ResourceType, id: &ResourceId) -> Result<(), VaultError> {
        let row = self.inner.head_row(resource_type, id);
        let before = self.head(&row)?.ok_or(VaultError::NotFound)?;
        self.may_keep(&before).inspect_err(|_| {
            self.attempt(EventKind::Update, row, (resource_type, id), &Some(before.clone()));
        })
    }

    /// Plans a new version with this content. The resource's id, references and shape are final.
    pub(crate) fn put(
        &mut self,
        resource_type: ResourceType,
        id: &ResourceId,
        resource: &mut Json<'_>,
        method: Method,
        expect: Expect,
    ) -> Result<Planned, VaultError> {
        if audit::is_of_ledger(resource_type, id) {
            return Err(VaultError::NotSupported("ids of AuditEvents that are `l-` and a number are the ledger's own"));
        }
        let row = self.inner.head_row(resource_type, id);
        let before = self.head(&row)?;
        let kind = if method == Method::Post { EventKind::Create } else { EventKind::Update };
        let standing = self.attempt(kind, row, (resource_type, id), &before);
        meets(before.as_ref().filter(|_| !standing.is_hidden()), expect)?;
        let version = before.as_ref().map_or(VersionId::FIRST, |head| head.record.version.next());
        let record = RecordRef { resource_type, id: id.clone(), version };
        resource::with_meta(resource, id, version, self.now);
        let body = Zeroizing::new(json::write(resource));
        if resource_type.as_str() == "SearchParameter" {
            self.list_custom_parameter(row, true)?;
        }
        self.list_definition(resource_type, row, true)?;
        if resource_type.as_str() == "Subscription" {
            self.writes.extend(subscriptions::remember(self.inner, self.caller, id, version, resource, &body)?);
        }

        let belonging = Belonging::of(resource_type, id, resource);
        let labels = tacet_fhir::security::labels_of(resource);
        let others = Others::of(&belonging.patients, &belonging.owner);
        let (owner, inline) = (belonging.owner.clone(), Inline::of(resource, labels));
        let meta = VersionMeta { last_updated: self.now, method, owner, labels, inline, others };
        self.name_patients(resource_type, id, &belonging.patients);
        let ground = self.may_put(&record, &before, standing, &meta, resource, method)?;
        if let Some(before) = &before {
            self.may_unflag(before, Some(resource))?;
        }
        // First what may refuse, so that a refused record leaves nothing of itself in the plan.
        let sealer = self.sealer(&belonging.owner).map(|_| ());
        sealer.map_err(|error| self.told(error))?;
        let patients = self.patients_digest(&belonging.patients);
        let known = before.as_ref().is_some_and(|head| head.patients == patients);
        if !known {
            for patient in &belonging.patients {
                self.add_member(patient, row)?;
            }
        }
        let version_row = self.inner.version_row(&row, version);
        let content = {
            let (inner, associated) = (self.inner, self.inner.content_associated(&version_row, &record));
            let hint = Dictionary::Resource(resource_type);
            let sealer = self.sealer(&meta.owner)?;
            tacet_seal::seal(sealer, &associated, &body, hint, inner.rng.as_ref())?
        };
        let sheets = self.note_late(&record, resource, &belonging.patients);
        self.write_version(row, version_row, &record, meta, patients, &content, (ground, sheets))?;
        self.note_care(row, &record, Some(resource))?;
        if let Some(extractor) = &mut self.extractor {
            extractor.put(resource, resource_type, id, version, self.now);
        }
        let created = before.as_ref().is_none_or(Head::is_deleted);
        Ok(Planned { record, last_updated: self.now, body, created })
    }

    /// Plans a deletion. None: it is not there, or deleted already.
    pub(crate) fn delete(
        &mut self,
        resource_type: ResourceType,
        id: &ResourceId,
        expect: Expect,
    ) -> Result<Option<(RecordRef, Timestamp)>, VaultError> {
        let row = self.inner.head_row(resource_type, id);
        let before = self.head(&row)?;
        let standing = self.attempt(EventKind::Delete, row, (resource_type, id), &before);
        let Some(before) = before.filter(|_| !standing.is_hidden()) else {
            meets(None, expect)?;
            return Ok(None);
        };
        meets(Some(&before), expect)?;
        if before.is_deleted() {
            return Ok(None);
        }
        let version = before.record.version.next();
        let record = RecordRef { resource_type, id: id.clone(), version };
        let ground = self.may_delete(&before)?;
        self.may_unflag(&before, None)?;
        let meta = VersionMeta { last_updated: self.now, method: Method::Delete, ..before.current };
        let version_row = self.inner.version_row(&row, version);
        let why = (ground, Sheets::default());
        self.write_version(row, version_row, &record, meta, before.patients, &[], why)?;
        self.note_care(row, &record, None)?;
        if resource_type.as_str() == "SearchParameter" {
            self.list_custom_parameter(row, false)?;
        }
        self.list_definition(resource_type, row, false)?;
        if resource_type.as_str() == "Subscription" {
            self.writes.extend(subscriptions::forget(self.inner, id));
        }
        if let Some(extractor) = &mut self.extractor {
            extractor.delete(resource_type, id, version);
        }
        Ok(Some((record, self.now)))
    }

    /// Adds a row of the caller's own, such as an import mark that must not be there yet.
    pub(crate) fn write_new(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.preconditions.push(Precondition::Absent { key: key.clone() });
        self.writes.push(Write::Put { key, value });
    }

    /// Adds a write to a row of the caller's own. The last of several to one row counts.
    pub(crate) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// How many versions are planned.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Notes the criteria by which the resources were found.
    pub(crate) fn set_query(&mut self, query: &str) {
        self.query = Some(query.to_owned());
    }

    /// How many records that there were it changes or deletes.
    pub(crate) fn rewrites(&self) -> u64 {
        self.changes.iter().filter(|change| change.version.0 > 1).count() as u64
    }

    /// The commit, and what the search index is to be told of it. `kind` stands in the entries in the place of create, update and
    /// delete where it is given.
    pub(crate) fn finish(mut self, kind: Option<EventKind>) -> Result<Finished, VaultError> {
        // What is imported was held to where it comes from.
        if kind != Some(EventKind::Import) {
            self.hold_late()?;
        }
        self.write_members()?;
        self.write_definitions()?;
        let feed = if self.changes.is_empty() {
            None
        } else {
            let set = ChangeSet { operation: self.caller.operation, at: self.now, changes: self.changes };
            Some(self.inner.seal_structure(Purpose::Feed, b"feed", &set.encode())?)
        };
        let mut item = Vec::new();
        for ((owner, method, ground, sheets), records) in self.touched {
            let kind = kind.unwrap_or(match Method::from_code(method.0) {
                Some(Method::Delete) => EventKind::Delete,
                Some(Method::Put) => EventKind::Update,
                _ => EventKind::Create,
            });
            for records in records.chunks(RECORDS_MAX) {
                let mut entry = self.caller.entry(self.now, kind, Outcome::Success, owner.ledger_patient());
                entry.basis = ground.as_ref().map(|ground| ground.to_string());
                if is_emergency(ground.as_ref()) {
                    entry.purpose = PurposeOfUse::BreakTheGlass;
                }
                entry.query.clone_from(&self.query);
                entry.detail = sheets.told();
                entry.records = records.to_vec();
                entry.categories = records.iter().map(|record| record.resource_type).collect();
                entry.categories.sort_unstable();
                entry.categories.dedup();
                item.push(Prepared::new(&entry)?);
            }
        }
        if item.len() > ENTRIES_MAX {
            return Err(VaultError::TooLarge { what: "patients changed by one transaction", max: ENTRIES_MAX });
        }
        let changes = self.extractor.map(|extractor| extractor.changes).unwrap_or_default();
        let commit = Commit { preconditions: self.preconditions, writes: self.writes, feed, item };
        Ok((commit, changes, self.care))
    }

    #[expect(clippy::too_many_arguments, reason = "where it stands, what it is, whose, and why it may be")]
    fn write_version(
        &mut self,
        row: RowKey,
        version_row: RowKey,
        record: &RecordRef,
        meta: VersionMeta,
        patients: [u8; 16],
        content: &[u8],
        (ground, sheets): (Option<Ground>, Sheets),
    ) -> Result<(), VaultError> {
        let sealed_meta = self.inner.seal_structure(Purpose::Head, &version_row, &meta.encode())?;
        let length = u16::try_from(sealed_meta.len()).map_err(|error| VaultError::Internal(Box::new(error)))?;
        let mut value = Vec::with_capacity(2 + sealed_meta.len() + content.len());
        value.extend(length.to_be_bytes());
        value.extend(sealed_meta);
        value.extend(content);
        self.writes.push(Write::Put { key: version_row.to_vec(), value });

        self.changes.push(Change {
            head: row,
            version: record.version,
            resource_type: record.resource_type,
            method: meta.method,
        });
        let created = record.version == VersionId::FIRST;
        let event = if meta.method == Method::Put && created { Method::Post } else { meta.method };
        self.touched
            .entry((meta.owner.clone(), Method2(event.code()), ground, sheets))
            .or_default()
            .push(record.clone());
        let head = Head { record: record.clone(), current: meta, patients };
        let sealed_head = self.inner.seal_structure(Purpose::Head, &row, &head.encode())?;
        self.writes.push(Write::Put { key: row.to_vec(), value: sealed_head });
        self.heads.insert(row, Some(head));
        Ok(())
    }

    /// The head as this plan has it; what the store holds becomes a precondition.
    fn head(&mut self, row: &RowKey) -> Result<Option<Head>, VaultError> {
        if let Some(head) = self.heads.get(row) {
            return Ok(head.clone());
        }
        let head = match self.look(row.to_vec())? {
            Some(value) => Some(self.inner.open_head(row, &value)?),
            // What stood here was erased a moment ago: the index must have forgotten it before the id begins anew.
            None if self.inner.indexing().is_some_and(|indexing| indexing.is_erasing(row)) => {
                return Err(VaultError::Conflict);
            }
            None => None,
        };
        self.heads.insert(*row, head.clone());
        Ok(head)
    }

    /// Gets a row and makes what was found a precondition.
    fn look(&mut self, key: Vec<u8>) -> Result<Option<Vec<u8>>, VaultError> {
        let found = self.inner.store.reader().get(&key)?;
        self.preconditions.push(match &found {
            Some(value) => Precondition::Unchanged { key, value: value.clone() },
            None => Precondition::Absent { key },
        });
        Ok(found)
    }

    /// The key that seals for this owner; made where there is none.
    fn sealer(&mut self, owner: &Owner) -> Result<&Sealer, VaultError> {
        if !self.sealers.contains_key(owner) {
            let row = layout::data_key(&self.inner.keys.row_keys, &owner.label());
            let sealer = match self.look(row.to_vec())? {
                Some(value) if value == layout::ERASED => return Err(VaultError::Erased),
                // Only for the very bytes that stand in the row now: a key that was wrapped anew or taken away is asked for again.
                Some(value) => match self.unwrapped.get(owner) {
                    Some((wrapped, sealer)) if *wrapped == value => sealer.clone(),
                    _ => {
                        let on_behalf = OnBehalf::Write(self.caller.operation);
                        let key = self.inner.keeper.unwrap(&WrappedKey::from_bytes(value.clone())?, &row, on_behalf)?;
                        let sealer = content_sealer(owner, &key);
                        self.unwrapped.insert(owner.clone(), (value, sealer.clone()));
                        sealer
                    }
                },
                None => {
                    let key = Key::random(self.inner.rng.as_ref());
                    let wrapped = self.inner.keeper.wrap(&key, &row)?;
                    self.writes.push(Write::Put { key: row.to_vec(), value: wrapped.as_bytes().to_vec() });
                    content_sealer(owner, &key)
                }
            };
            self.sealers.insert(owner.clone(), sealer);
        }
        self.sealers.get(owner).ok_or(VaultError::Internal("a key went missing".into()))
    }
}

fn meets(head: Option<&Head>, expect: Expect) -> Result<(), VaultError> {
    let current = head.filter(|head| !head.is_deleted());
    let met = match expect {
        Expect::Any => true,
        Expect::Absent => current.is_none(),
        Expect::Version(version) => current.is_some_and(|head| head.record.version == version),
    };
    if met { Ok(()) } else { Err(VaultError::PreconditionFailed) }
}
