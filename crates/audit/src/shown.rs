//! An entry as certain eyes may see it. Every form is made from this and from nothing else, so that no form tells more than another.

use crate::codes::{Telling, telling};
use std::net::IpAddr;
use tacet_ledger::{Channel, Entry, EventKind, Outcome, PurposeOfUse};
use tacet_types::{OperationId, ResourceId, ResourceType, Role, Timestamp, VersionId};

/// Who looks.
#[derive(Clone, Copy)]
pub enum Eyes<'a> {
    /// Whoever reads the ledger: all there is.
    Auditor,
    /// The patient whose record it was: who, when, why and which kind of data, and not what would tell of others or of what is withheld
    /// from them (ids of records, criteria, addresses and credentials of staff).
    Patient,
    /// A receiver outside, to whom patients are told like this.
    Receiver(Patients<'a>),
}

/// How a receiver is told of patients.
#[derive(Clone, Copy)]
pub enum Patients<'a> {
    /// As they are.
    Clear,
    /// By a pseudonym: what the function makes of `Type/id`. The same name gives the same pseudonym, which tells nothing without the key.
    Hashed(&'a dyn Fn(&str) -> String),
    /// Not at all.
    Withheld,
}

/// A part of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// The entry does not have it.
    Absent,
    /// The entry has it, and these eyes do not see it.
    Withheld,
    /// What it says.
    Said(String),
    /// What stands in its place.
    Pseudonym(String),
}

impl Told {
    /// What is said or stands in its place.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Said(text) | Self::Pseudonym(text) => Some(text),
            Self::Absent | Self::Withheld => None,
        }
    }

    /// Whether the entry has it.
    pub fn is_there(&self) -> bool {
        *self != Self::Absent
    }
}

/// A record that was shown or changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id, or a pseudonym of it; withheld where only the type is told.
    pub id: Told,
    /// Its version; none where only the type is told.
    pub version: Option<VersionId>,
}

impl Object {
    /// `Type/id`, with the version; the type alone where no more is told.
    pub fn name(&self) -> String {
        match (self.id.text(), self.version) {
            (Some(id), Some(version)) => format!("{}/{id}/_history/{version}", self.resource_type),
            (Some(id), None) => format!("{}/{id}", self.resource_type),
            (None, _) => self.resource_type.to_string(),
        }
    }
}

/// An entry as certain eyes may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The entry's number.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// How it ended.
    pub outcome: Outcome,
    /// Who: the account's owner.
    pub owner: Told,
    /// The account's id.
    pub account: Told,
    /// In which role.
    pub role: String,
    /// By which credential: its short id.
    pub credential: Told,
    /// In which session.
    pub session: Told,
    /// On which device.
    pub device: Told,
    /// For whom a machine did it, or by which app a person did.
    pub on_behalf_of: Told,
    /// The type that stands for the patient.
    pub patient_type: Option<ResourceType>,
    /// Whose record: the id, or a pseudonym.
    pub patient: Told,
    /// Which records, or only their types.
    pub objects: Vec<Object>,
    /// How many records the entry names.
    pub records: usize,
    /// Categories of data.
    pub categories: Vec<ResourceType>,
    /// Why.
    pub purpose: PurposeOfUse,
    /// From which address.
    pub address: Told,
    /// By which way.
    pub channel: Channel,
    /// The request that it belongs to.
    pub operation: OperationId,
    /// Criteria.
    pub query: Told,
    /// What else is remembered.
    pub detail: Told,
    /// The ground.
    pub basis: Told,
}

impl Shown {
    /// Entry `index` as these eyes see it.
    pub fn of(index: u64, entry: &Entry, eyes: Eyes<'_>) -> Self {
        let patients = match eyes {
            Eyes::Auditor => Patients::Clear,
            Eyes::Patient => Patients::Withheld,
            Eyes::Receiver(patients) => patients,
        };
        let clear = matches!(patients, Patients::Clear);
        // The patient's own id is no secret to the patient.
        let patient_as = if matches!(eyes, Eyes::Patient) { Patients::Clear } else { patients };
        let staff = |text: Option<&String>| match text {
            None => Told::Absent,
            Some(_) if matches!(eyes, Eyes::Patient) => Told::Withheld,
            Some(text) => said(text),
        };
        // Who is a patient, or may be named by one, is told as patients are.
        let by_patient = entry.agent.role == Role::Patient.as_str();
        let for_patient = matches!(entry.purpose, PurposeOfUse::PatientRequest | PurposeOfUse::FamilyRequest);
        let named = |text: &str, personal: bool| match (personal, patient_as) {
            (false, _) | (_, Patients::Clear) => said(text),
            (true, Patients::Hashed(pseudonym)) => Told::Pseudonym(pseudonym(&format!("account/{text}"))),
            (true, Patients::Withheld) => Told::Withheld,
        };
        let address = entry.origin.address.as_ref().map(IpAddr::to_string);
        let categories = entry.categories.clone();
        Self {
            index,
            at: entry.at,
            kind: entry.kind,
            outcome: entry.outcome,
            owner: named(&entry.agent.owner, by_patient),
            account: match &entry.account {
                Some(account) if !matches!(eyes, Eyes::Patient) => named(account, by_patient),
                other => staff(other.as_ref()),
            },
            role: entry.agent.role.clone(),
            credential: staff(entry.agent.token.as_ref()),
            session: staff(entry.session.as_ref()),
            device: staff(entry.device.as_ref()),
            on_behalf_of: match &entry.on_behalf_of {
                Some(name) => named(name, for_patient && !is_app(name)),
                None => Told::Absent,
            },
            patient_type: entry.patient.as_ref().map(|(resource_type, _)| *resource_type),
            patient: match &entry.patient {
                Some((resource_type, id)) => id_as(patient_as, *resource_type, id),
                None => Told::Absent,
            },
            objects: objects(entry, patients),
            records: entry.records.len(),
            categories,
            purpose: entry.purpose,
            address: staff(address.as_ref()),
            channel: entry.origin.channel,
            operation: entry.operation,
            query: match &entry.query {
                None => Told::Absent,
                Some(query) if clear => said(query),
                Some(_) if matches!(eyes, Eyes::Patient) => Told::Withheld,
                Some(query) => Told::Pseudonym(names_of(query)),
            },
            detail: match &entry.detail {
                None => Told::Absent,
                Some(detail) if clear => said(detail),
                // The reason of an emergency is told to the patient.
                Some(detail) if matches!(eyes, Eyes::Patient) && entry.kind == EventKind::BreakGlass => said(detail),
                Some(detail) if !matches!(eyes, Eyes::Patient) && !may_name_patients(entry) => said(detail),
                Some(_) => Told::Withheld,
            },
            basis: entry.basis.as_ref().map_or(Told::Absent, |basis| said(basis)),
        }
    }

    /// Whether a machine did it rather than a person.
    pub fn is_machine(&self) -> bool {
        self.channel == Channel::Internal || self.role == Role::Integrator.as_str()
    }

    /// The app by which a person did it, as the entry names it.
    pub fn app(&self) -> Option<&str> {
        self.on_behalf_of.text().filter(|name| is_app(name))
    }

    /// Whom a machine did it for.
    pub fn person_behind(&self) -> Option<&str> {
        self.on_behalf_of.text().filter(|name| !is_app(name))
    }

    /// The categories that no object tells.
    pub(crate) fn further_categories(&self) -> impl Iterator<Item = ResourceType> {
        let told = |category: &&ResourceType| !self.objects.iter().any(|object| object.resource_type == **category);
        self.categories.iter().filter(told).copied()
    }

    pub(crate) fn telling(&self) -> Telling {
        telling(self.kind)
    }
}

/// An empty text says nothing.
fn said(text: &str) -> Told {
    if text.trim().is_empty() { Told::Absent } else { Told::Said(text.to_owned()) }
}

/// How the server names an app in the place of who stands behind a request.
fn is_app(name: &str) -> bool {
    name.starts_with("app ")
}

fn id_as(patients: Patients<'_>, resource_type: ResourceType, id: &ResourceId) -> Told {
    match patients {
        Patients::Clear => Told::Said(id.as_str().to_owned()),
        Patients::Hashed(pseudonym) => Told::Pseudonym(pseudonym(&format!("{resource_type}/{}", id.as_str()))),
        Patients::Withheld => Told::Withheld,
    }
}

/// The records, or where their ids are not told, each of their types once.
fn objects(entry: &Entry, patients: Patients<'_>) -> Vec<Object> {
    if let Patients::Withheld = patients {
        let mut types: Vec<ResourceType> = entry.records.iter().map(|record| record.resource_type).collect();
        types.sort();
        types.dedup();
        let object = |resource_type| Object { resource_type, id: Told::Withheld, version: None };
        return types.into_iter().map(object).collect();
    }
    let object = |record: &tacet_types::RecordRef| Object {
        resource_type: record.resource_type,
        id: id_as(patients, record.resource_type, &record.id),
        version: Some(record.version),
    };
    entry.records.iter().map(object).collect()
}

/// Criteria without their values: what was looked at, and by which parameters. A path is kept up to its type.
fn names_of(query: &str) -> String {
    let (path, parameters) = query.split_once('?').unwrap_or((query, ""));
    let of_type = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let of_type = ResourceType::parse(of_type).map_or("", ResourceType::as_str);
    let mut names: Vec<String> = parameters
        .split('&')
        .filter_map(|pair| pair.split(['=', '%']).next())
        .filter(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
        })
        .map(str::to_owned)
        .collect();
    names.dedup();
    format!("{of_type}?{}", names.join("&"))
}

/// Whether the detail of this entry may say something of a patient: a reason, a name. Where it concerns the machine, it does not.
fn may_name_patients(entry: &Entry) -> bool {
    use EventKind as K;
    let of_the_machine = matches!(
        entry.kind,
        K::Login
            | K::LoginFailed
            | K::Logout
            | K::TokenCreated
            | K::TokenRevoked
            | K::KeyEvent
            | K::KeyRotation
            | K::LedgerKeyDestroyed
            | K::Tripwire
            | K::Backup
            | K::BackupVerified
            | K::BackupMissing
            | K::Restore
            | K::DrillHeld
            | K::Start
            | K::Stop
            | K::Check
    );
    !of_the_machine || entry.patient.is_some() || entry.agent.role == Role::Patient.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_lose_their_values() {
        for (query, names) in [
            ("Observation?code=94500-6&patient=p1&patient=p2", "Observation?code&patient"),
            ("Patient?name=Aubrac", "Patient?name"),
            ("Patient/p1/Observation?code:in=x", "Patient?code:in"),
            ("Patient/p1", "Patient?"),
            ("/?_type=Patient", "?_type"),
            ("Zélie Aubrac", "?"),
            ("Patient?Zélie Aubrac", "Patient?"),
            ("Patient?a%20b=1", "Patient?a"),
        ] {
            assert_eq!(names_of(query), names, "{query}");
        }
    }
}
