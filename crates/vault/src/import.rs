//! Import: records from files, under the ids that they bring, in units that are done once.
//!
//! A unit (one bundle file, some lines of an NDJSON file) is one commit together with a mark made of its bytes' digest. A
//! mark that is there says that the unit was stored: an interrupted import goes on where it stopped, and nothing comes in twice. A bad record is
//! left out and reported; the rest of its unit is stored.

use crate::EventKind;
use aws_lc_rs::digest;
use crate::bundle::{invalid, resolve};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::head::Method;
use crate::layout;
use crate::plan::Expect;
use crate::vault::{Inner, Vault};
use std::collections::{BTreeMap, HashMap};
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::Issue;
use tacet_fhir::resource;
use tacet_seal::Purpose;
use tacet_types::{ResourceId, ResourceType};

/// Most records in one unit.
pub const IMPORT_UNIT_RECORDS_MAX: usize = 20_000;

/// What is stored in one commit.
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
pub struct ImportOptions {
    /// A unit with a bad record is not stored at all.
    pub strict: bool,
    /// Store a unit though it was stored before: its records get new versions.
    pub again: bool,
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
    /// The unit had been stored before; nothing was done.
    pub done_before: bool,
}

struct Incoming<'a> {
    position: u64,
    resource_type: ResourceType,
    id: ResourceId,
    value: Json<'a>,
}

impl Vault {
    /// Stores a unit of an import, unless the same bytes were stored before.
    pub async fn import(
        &self,
        caller: &Caller,
        unit: &ImportUnit<'_>,
        options: ImportOptions,
    ) -> Result<ImportOutcome, VaultError> {
        let strict = options.strict;
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let mark = layout::import_mark(&self.0.keys.row_keys, &unit.digest());
        let marked = self.0.store.reader().get(&mark)?.is_some();
        if marked && !options.again {
            return Ok(ImportOutcome { done_before: true, ..ImportOutcome::default() });
        }
        let mut rejected = Vec::new();
        let mut incoming = self.0.take_in(unit, &mut rejected)?;
        if strict && !rejected.is_empty() {
            return Ok(ImportOutcome { rejected, ..ImportOutcome::default() });
        }
        let outcome = self
            .0
            .commit(caller, Some(EventKind::Import), |plan| {
                let mut stored: BTreeMap<ResourceType, u64> = BTreeMap::new();
                let mut refused = Vec::new();
                for record in &mut incoming {
                    match plan.put(record.resource_type, &record.id, &mut record.value, Method::Put, Expect::Any) {
                        Ok(_) => *stored.entry(record.resource_type).or_default() += 1,
                        Err(error @ VaultError::Erased) if !strict => {
                            refused.push(Rejected { position: record.position, issues: error.issues() });
                        }
                        Err(error) => return Err(error),
                    }
                }
                let count = (plan.len() as u64).to_be_bytes();
                if !marked {
                    plan.write_new(mark.to_vec(), self.0.seal_structure(Purpose::ImportMark, &mark, &count)?);
                }
                Ok((stored, refused))
            })
            .await;
        match outcome {
            Ok(((stored, refused), _)) => {
                rejected.extend(refused);
                rejected.sort_by_key(|record| record.position);
                Ok(ImportOutcome { stored, rejected, done_before: false })
            }
            // Another import of the same unit was faster.
            Err(VaultError::Conflict) if !marked && self.0.store.reader().get(&mark)?.is_some() => {
                Ok(ImportOutcome { done_before: true, ..ImportOutcome::default() })
            }
            Err(error) => Err(error),
        }
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
        rejected: &mut Vec<Rejected>,
    ) -> Result<Vec<Incoming<'b>>, VaultError> {
        match unit {
            ImportUnit::Document(body) => self.take_in_document(body, rejected),
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
                Ok(incoming)
            }
        }
    }

    fn take_in_document<'b>(
        &self,
        body: &'b [u8],
        rejected: &mut Vec<Rejected>,
    ) -> Result<Vec<Incoming<'b>>, VaultError> {
        let document = json::parse(body, &self.limits.json)?;
        let whole = matches!(document.get_str("type"), Some("document" | "message"));
        if document.get_str("resourceType") != Some("Bundle") || whole {
            let mut incoming = Vec::new();
            keep(self.take_one(0, document), 0, &mut incoming, rejected);
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
            let taken = self.take_one(position, value);
            if let (Ok(record), Some(url)) = (&taken, full_url) {
                targets.insert(url, format!("{}/{}", record.resource_type, record.id.as_str()));
            }
            keep(taken, position, &mut incoming, rejected);
        }
        for record in &mut incoming {
            resolve(&mut record.value, &targets, "");
        }
        Ok(incoming)
    }

    fn take_one<'b>(&self, position: u64, value: Json<'b>) -> Result<Incoming<'b>, VaultError> {
        self.check_rules(&value)?;
        let resource_type = resource::resource_type(&value)
            .ok_or_else(|| invalid("resourceType", "missing or not a resource type of FHIR R4"))?;
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
