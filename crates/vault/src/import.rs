//! Import: records from files, under the ids that they bring, in units that are done once.
//!
//! A unit (one bundle file, some lines of an NDJSON file) is one commit together with a mark made of its bytes' digest. A
//! mark that is there says that the unit was stored: an interrupted import goes on where it stopped, and nothing comes in
//! twice. A bad record is left out and reported, each time anew; the rest of its unit is stored. A unit of very many patients is
//! stored in parts, each with a mark of its own.

use crate::EventKind;
use crate::bundle::invalid;
use crate::caller::Caller;
use crate::error::VaultError;
use crate::head::Method;
use crate::layout::{self, RowKey};
use crate::owner::{Belonging, Owner};
use crate::plan::Expect;
use crate::references::resolve;
use crate::vault::{Inner, Vault};
use crate::write::refuse_unkept;
use aws_lc_rs::digest;
use std::collections::{BTreeMap, HashMap, HashSet};
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::Issue;
use tacet_fhir::resource;
use tacet_seal::Purpose;
use tacet_types::{ResourceId, ResourceType};

/// Most records in one unit.
pub const IMPORT_UNIT_RECORDS_MAX: usize = 20_000;

/// Records in one part of a unit that changes more patients than this: a part is one commit, and the ledger has room for so
/// many entries in one.
const PART_RECORDS: u64 = 400;

const _: () = assert!(PART_RECORDS as usize <= tacet_ledger::ENTRIES_MAX / 2, "an owner takes up to two entries");

/// What is stored together.
#[derive(Clone, Debug)]
pub enum ImportUnit<'a> {
    /// One document: a Bundle whose entries are stored one by one, or a single resource. Bundles of type `document` and
    /// `message` are resources by themselves: their parts belong together.
    Document(&'a [u8]),
    /// Resources by themselves, each with its place in the file (a line).
    Resources(Vec<(u64, &'a [u8])>),
}

/// How to import.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportOptions<'a> {
    /// A unit with a bad record is not stored at all.
    pub strict: bool,
    /// Store a unit though it was stored before: its records get new versions.
    pub again: bool,
    /// What absolute references to this server begin with, without a slash at the end: they become relative, so that a
    /// record is seen to be its patient's. Empty: there are none.
    pub base_url: &'a str,
}

/// A record that was not stored.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Its place: the entry's number in a bundle (from 0), or the line.
    pub position: u64,
    /// Why.
    pub issues: Vec<Issue>,
}

/// What became of a unit.
#[derive(Clone, Debug, Default)]
pub struct ImportOutcome {
    /// Stored resources by type.
    pub stored: BTreeMap<ResourceType, u64>,
    /// What was left out.
    pub rejected: Vec<Rejected>,
    /// The unit had been stored before; nothing was stored now.
    pub done_before: bool,
}

struct Incoming<'a> {
    position: u64,
    resource_type: ResourceType,
    id: ResourceId,
    value: Json<'a>,
}

impl Vault {
    /// Stores a unit of an import, unless the same bytes were stored before. What was left out of it then is told again.
    pub async fn import(
        &self,
        caller: &Caller,
        unit: &ImportUnit<'_>,
        options: ImportOptions<'_>,
    ) -> Result<ImportOutcome, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let digest = unit.digest();
        let unit_mark = layout::import_mark(&self.0.keys.row_keys, &digest);
        let done = self.0.left_out_before(&unit_mark)?.filter(|_| !options.again);
        if done == Some(0) {
            return Ok(ImportOutcome { done_before: true, ..ImportOutcome::default() });
        }
        let mut outcome = ImportOutcome { done_before: true, ..ImportOutcome::default() };
        let incoming = self.0.take_in(unit, options.base_url, &mut outcome.rejected)?;
        if done.is_some() {
            self.0.refuse_erased(&incoming, &mut outcome.rejected)?;
        } else if options.strict && !outcome.rejected.is_empty() {
            outcome.done_before = false;
        } else {
            let mut parts = parts(incoming);
            let last = parts.pop().unwrap_or_default();
            for (part, number) in parts.into_iter().zip(0u64..) {
                let mark = layout::import_part_mark(&self.0.keys.row_keys, &digest, number);
                self.0.import_part(caller, part, &mark, 0, options, &mut outcome).await?;
            }
            let left_out = outcome.rejected.len() as u64;
            self.0.import_part(caller, last, &unit_mark, left_out, options, &mut outcome).await?;
        }
        outcome.rejected.sort_by_key(|record| record.position);
        Ok(outcome)
    }
}

/// Cuts a unit that changes more patients than one commit has room for in the ledger. By place, so that the cuts do not depend on
/// which records are good.
fn parts(incoming: Vec<Incoming<'_>>) -> Vec<Vec<Incoming<'_>>> {
    let owners: HashSet<Owner> = incoming.iter().map(Incoming::owner).collect();
    if owners.len() as u64 <= PART_RECORDS {
        return vec![incoming];
    }
    let mut parts: BTreeMap<u64, Vec<Incoming<'_>>> = BTreeMap::new();
    let from = incoming.first().map_or(0, |record| record.position);
    for record in incoming {
        parts.entry((record.position - from) / PART_RECORDS).or_default().push(record);
    }
    parts.into_values().collect()
}

impl Incoming<'_> {
    fn owner(&self) -> Owner {
        Belonging::of(self.resource_type, &self.id, &self.value).owner
    }

    /// Makes its references final. A Bundle that is stored whole keeps its own: they hold among its entries.
    fn resolve(&mut self, targets: &HashMap<String, String>, base_url: &str) {
        if self.resource_type.as_str() != "Bundle" {
            resolve(&mut self.value, targets, base_url);
        }
    }
}

impl Inner {
    /// Stores some records and their mark in one commit; `left_out` were refused before.
    async fn import_part(
        &self,
        caller: &Caller,
        mut part: Vec<Incoming<'_>>,
        mark: &RowKey,
        left_out: u64,
        options: ImportOptions<'_>,
        outcome: &mut ImportOutcome,
    ) -> Result<(), VaultError> {
        let marked = self.left_out_before(mark)?.is_some();
        if marked && !options.again {
            return self.refuse_erased(&part, &mut outcome.rejected);
        }
        if let Some(indexing) = self.indexing() {
            indexing.room().await;
        }
        let done = self
            .commit(caller, Some(EventKind::Import), |plan| {
                plan.of_several();
                // Another import of the same unit was faster: no plan of this one can be kept any more.
                if !marked && self.left_out_before(mark)?.is_some() {
                    return Err(VaultError::Conflict);
                }
                let mut stored: BTreeMap<ResourceType, u64> = BTreeMap::new();
                let mut refused = Vec::new();
                for record in &mut part {
                    match plan.put(record.resource_type, &record.id, &mut record.value, Method::Put, Expect::Any) {
                        Ok(_) => *stored.entry(record.resource_type).or_default() += 1,
                        Err(error @ VaultError::Erased) if !options.strict => {
                            refused.push(Rejected { position: record.position, issues: error.issues() });
                        }
                        Err(error) => return Err(error),
                    }
                }
                if !marked {
                    let left_out = left_out + refused.len() as u64;
                    let value = [(plan.len() as u64).to_be_bytes(), left_out.to_be_bytes()].concat();
                    plan.write_new(mark.to_vec(), self.seal_structure(Purpose::ImportMark, mark, &value)?);
                }
                Ok((stored, refused))
            })
            .await;
        match done {
            Ok(((stored, refused), _)) => {
                outcome.done_before = false;
                outcome.rejected.extend(refused);
                for (resource_type, count) in stored {
                    *outcome.stored.entry(resource_type).or_default() += count;
                }
                Ok(())
            }
            Err(VaultError::Conflict) if !marked && self.left_out_before(mark)?.is_some() => {
                self.refuse_erased(&part, &mut outcome.rejected)
            }
            Err(error) => Err(error),
        }
    }

    /// How many records were left out of what has this mark. None: there is no such mark.
    fn left_out_before(&self, mark: &RowKey) -> Result<Option<u64>, VaultError> {
        let Some(sealed) = self.store.reader().get(mark)? else { return Ok(None) };
        let plain = self.open_structure(Purpose::ImportMark, mark, &sealed)?;
        let (_, left_out) =
            plain.split_first_chunk::<8>().ok_or(VaultError::Damaged("an import mark cannot be read"))?;
        let left_out = left_out.try_into().map_err(|_| VaultError::Damaged("an import mark cannot be read"))?;
        Ok(Some(u64::from_be_bytes(left_out)))
    }

    /// Tells those whose patient was erased, without storing anything.
    fn refuse_erased(&self, records: &[Incoming<'_>], rejected: &mut Vec<Rejected>) -> Result<(), VaultError> {
        let mut erased: HashMap<Owner, bool> = HashMap::new();
        for record in records {
            let owner = record.owner();
            let gone = match erased.get(&owner) {
                Some(gone) => *gone,
                None => {
                    let row = layout::data_key(&self.keys.row_keys, &owner.label());
                    let gone = self.store.reader().get(&row)?.is_some_and(|key| key == layout::ERASED);
                    erased.insert(owner, gone);
                    gone
                }
            };
            if gone {
                rejected.push(Rejected { position: record.position, issues: VaultError::Erased.issues() });
            }
        }
        Ok(())
    }
}

impl ImportUnit<'_> {
    /// SHA-256 over the bytes, each record with its length.
    fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        match self {
            Self::Document(body) => part(body),
            Self::Resources(lines) => lines.iter().for_each(|(_, body)| part(body)),
        }
        let mut out = [0; 32];
        out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        out
    }
}

impl Inner {
    fn take_in<'b>(
        &self,
        unit: &ImportUnit<'b>,
        base_url: &str,
        rejected: &mut Vec<Rejected>,
    ) -> Result<Vec<Incoming<'b>>, VaultError> {
        match unit {
            ImportUnit::Document(body) => self.take_in_document(body, base_url, rejected),
            ImportUnit::Resources(lines) => {
                if lines.len() > IMPORT_UNIT_RECORDS_MAX {
                    return Err(too_many());
                }
                let mut incoming = Vec::with_capacity(lines.len());
                for (position, body) in lines {
                    let taken = json::parse(body, &self.limits.json)
                        .map_err(VaultError::from)
                        .and_then(|value| self.take_one(*position, value));
                    keep(taken, *position, &mut incoming, rejected);
                }
                incoming.iter_mut().for_each(|record| record.resolve(&HashMap::new(), base_url));
                Ok(incoming)
            }
        }
    }

    fn take_in_document<'b>(
        &self,
        body: &'b [u8],
        base_url: &str,
        rejected: &mut Vec<Rejected>,
    ) -> Result<Vec<Incoming<'b>>, VaultError> {
        let document = json::parse(body, &self.limits.json)?;
        let whole = matches!(document.get_str("type"), Some("document" | "message"));
        if document.get_str("resourceType") != Some("Bundle") || whole {
            let mut incoming = Vec::new();
            keep(self.take_one(0, document), 0, &mut incoming, rejected);
            incoming.iter_mut().for_each(|record| record.resolve(&HashMap::new(), base_url));
            return Ok(incoming);
        }
        let Json::Object(members) = document else {
            return Err(invalid("Bundle", "expected a Bundle"));
        };
        let entries = members.into_iter().find(|(name, _)| name == "entry").map(|(_, value)| value);
        let Some(Json::Array(entries)) = entries else { return Ok(Vec::new()) };
        if entries.len() > IMPORT_UNIT_RECORDS_MAX {
            return Err(too_many());
        }
        let mut incoming = Vec::with_capacity(entries.len());
        let mut targets = HashMap::with_capacity(entries.len());
        for (position, entry) in entries.into_iter().enumerate() {
            let position = position as u64;
            let (mut value, mut full_url) = (None, None);
            if let Json::Object(members) = entry {
                for (name, member) in members {
                    match name.as_ref() {
                        "resource" => value = Some(member),
                        "fullUrl" => full_url = member.as_str().map(str::to_owned),
                        _ => {}
                    }
                }
            }
            let Some(value) = value else { continue }; // a deletion or a read: nothing to store
            // Known before the record is held against the rules: what refers to a patient who is left out still belongs to
            // that patient, under whose key it must be sealed.
            let named = resource::resource_type(&value).zip(resource::id(&value));
            let taken = self.take_one(position, value);
            let named = taken.as_ref().ok().map(|record| (record.resource_type, record.id.clone())).or(named);
            if let (Some((resource_type, id)), Some(url)) = (named, full_url) {
                targets.insert(url, format!("{resource_type}/{}", id.as_str()));
            }
            keep(taken, position, &mut incoming, rejected);
        }
        incoming.iter_mut().for_each(|record| record.resolve(&targets, base_url));
        Ok(incoming)
    }

    fn take_one<'b>(&self, position: u64, value: Json<'b>) -> Result<Incoming<'b>, VaultError> {
        self.check_import(&value)?;
        let resource_type = resource::resource_type(&value)
            .ok_or_else(|| invalid("resourceType", "missing or not a resource type of FHIR R4"))?;
        refuse_unkept(resource_type)?;
        let id = resource::id(&value).unwrap_or_else(|| ResourceId::random(self.rng.as_ref()));
        Ok(Incoming { position, resource_type, id, value })
    }
}

fn keep<'b>(
    taken: Result<Incoming<'b>, VaultError>,
    position: u64,
    incoming: &mut Vec<Incoming<'b>>,
    rejected: &mut Vec<Rejected>,
) {
    match taken {
        Ok(record) => incoming.push(record),
        Err(error) => rejected.push(Rejected { position, issues: error.issues() }),
    }
}

fn too_many() -> VaultError {
    VaultError::TooLarge { what: "records in one unit of an import", max: IMPORT_UNIT_RECORDS_MAX }
}
