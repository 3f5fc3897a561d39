//! What one resource says about who cares for whom, and about what is to be withheld: little enough to be kept in memory for all of them.
//!
//! ```text
//! resource ── facts_of ──> Facts ── sealed row beside the record ──> CareData::put
//! ```
//!
//! Only what can make, end or forbid a relation is kept: no name, no diagnosis, no text. Most resources say nothing. Whatever a resource
//! says in a shape that we do not expect is left out, which makes fewer relations; where something is withheld, more is.

mod courses;
mod people;
mod places;
pub(crate) mod read;

use crate::consent::ConsentFacts;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use tacet_fhir::json::Json;
use tacet_fhir::reference::Reference;
use tacet_types::{ResourceId, ResourceType, Timestamp};

/// The form of [`Facts`] as they are written; another one is not read.
const VERSION: u8 = 1;

/// Most references of one kind that are taken from a record. More than that is a list of everybody, not a relation.
pub(crate) const LINKS_MAX: usize = 500;

/// Longest time after its own end for which a record can matter, whatever the settings say, in milliseconds: 400 days.
pub(crate) const KEPT_AFTER_END_MS: i64 = 400 * DAY_MS;

/// A day, in milliseconds.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A record that is referred to, as `Type/id`. Cheap to copy. Prints redacted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Link(Arc<str>);

impl Link {
    pub(crate) fn new(resource_type: ResourceType, id: &str) -> Self {
        Self(format!("{}/{id}", resource_type.as_str()).into())
    }

    /// The record that a reference of this server means; no other.
    pub(crate) fn parse(reference: &str) -> Option<Self> {
        let (resource_type, id) = Reference::parse(reference).target()?;
        Some(Self::new(resource_type, id))
    }

    /// A patient.
    pub(crate) fn of_patient(id: &ResourceId) -> Option<Self> {
        ResourceType::parse("Patient").map(|kind| Self::new(kind, id.as_str()))
    }

    /// What stands before every link.
    pub(crate) fn least() -> Self {
        Self("".into())
    }

    pub(crate) fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind() == kind
    }

    pub(crate) fn id(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    pub(crate) fn resource_id(&self) -> Option<ResourceId> {
        ResourceId::parse(self.id()).ok()
    }

    pub(crate) fn resource_type(&self) -> Option<ResourceType> {
        ResourceType::parse(self.kind())
    }
}

impl Borrow<str> for Link {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/..", self.kind())
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a reference of the form `Type/id`"))
    }
}

/// From one millisecond to another, both included; without an end where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Span(pub(crate) i64, pub(crate) i64);

impl Span {
    /// All time.
    pub(crate) const ALWAYS: Self = Self(i64::MIN, i64::MAX);

    /// What is in both; none if they do not meet.
    pub(crate) fn meet(self, other: Self) -> Option<Self> {
        let both = Self(self.0.max(other.0), self.1.min(other.1));
        (both.0 <= both.1).then_some(both)
    }

    /// With days before and after.
    pub(crate) fn widened(self, days_before: u32, days_after: u32) -> Self {
        let days = |days: u32| (i64::from(days) * DAY_MS).min(KEPT_AFTER_END_MS);
        Self(self.0.saturating_sub(days(days_before)), self.1.saturating_add(days(days_after)))
    }
}

/// Somebody or something that takes part for a time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    #[serde(rename = "w")]
    pub(crate) who: Link,
    #[serde(rename = "t")]
    pub(crate) during: Span,
}

/// How far an encounter or an order has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    #[serde(rename = "p")]
    Ahead,
    #[serde(rename = "a")]
    Going,
    #[serde(rename = "e")]
    Ended,
}

/// What sort of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum OrderKind {
    #[serde(rename = "o")]
    Plain,
    #[serde(rename = "r")]
    Referral,
    #[serde(rename = "l")]
    Examination,
    #[serde(rename = "m")]
    Prescription,
}

/// Hours of a week in which somebody works, minutes from midnight of the place. `to` before `from` goes past midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Hours {
    /// A bit for each day, Monday the lowest.
    #[serde(rename = "d")]
    pub(crate) days: u8,
    #[serde(rename = "f")]
    pub(crate) from_minutes: u16,
    #[serde(rename = "t")]
    pub(crate) to_minutes: u16,
}

/// What one resource says, by what it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// Encounter.
    #[serde(rename = "stay")]
    Stay {
        patient: Link,
        state: State,
        inpatient: bool,
        during: Span,
        staff: Vec<Part>,
        places: Vec<Part>,
        provider: Option<Link>,
        flags: u8,
        /// Until when it tells of something that lies ahead, whatever its own dates say; for good where it does not say when that is.
        #[serde(default = "long_ago", skip_serializing_if = "is_long_ago")]
        plans: i64,
    },
    /// Appointment.
    #[serde(rename = "meeting")]
    Meeting { patients: Vec<Link>, staff: Vec<Link>, during: Span },
    /// ServiceRequest, MedicationRequest. `until`: an end that it names itself.
    #[serde(rename = "order")]
    Order {
        patient: Link,
        kind: OrderKind,
        state: State,
        written: i64,
        until: Option<i64>,
        by: Vec<Link>,
        to: Vec<Link>,
    },
    /// CareTeam.
    #[serde(rename = "team")]
    Team { patient: Option<Link>, during: Span, members: Vec<Part> },
    /// EpisodeOfCare.
    #[serde(rename = "episode")]
    Episode { patient: Link, during: Span, team: Vec<Link> },
    /// Patient.
    #[serde(rename = "patient")]
    Patient { doctors: Vec<Link>, flags: u8, identifiers: Vec<u64> },
    /// Person who is a patient and works here.
    #[serde(rename = "person")]
    Person { patients: Vec<Link>, staff: Vec<Link> },
    /// PractitionerRole.
    #[serde(rename = "role")]
    Role {
        practitioner: Link,
        organization: Option<Link>,
        places: Vec<Link>,
        during: Span,
        hours: Vec<Hours>,
        away: Vec<Span>,
    },
    /// Schedule.
    #[serde(rename = "schedule")]
    Schedule { on_call: bool, actors: Vec<Link>, during: Span },
    /// Slot in which the one whose schedule it is is taken.
    #[serde(rename = "slot")]
    Slot { on_call: bool, schedule: Link, during: Span },
    /// Location, Organization: what it is a part of.
    #[serde(rename = "place")]
    Place { part_of: Link },
    /// Flag.
    #[serde(rename = "flag")]
    Flag { patient: Link, flags: u8 },
    /// Group of practitioners.
    #[serde(rename = "group")]
    Group { members: Vec<Part> },
    /// Practitioner who works here.
    #[serde(rename = "practitioner")]
    Practitioner { identifiers: Vec<u64> },
    /// Consent.
    #[serde(rename = "consent")]
    Consent(ConsentFacts),
}

fn long_ago() -> i64 {
    i64::MIN
}

fn is_long_ago(at: &i64) -> bool {
    *at == i64::MIN
}

/// Whose word it is that a record says: somebody's who may stand in it themselves.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Author {
    /// The Practitioner who wrote it.
    #[serde(rename = "w")]
    pub(crate) writer: Link,
    /// What it said when somebody else had written it last; none if nobody else ever did.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Box<Fact>>,
}

/// What one resource says about relations and restrictions. Written as compact JSON (serde), with a version.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Facts {
    #[serde(rename = "v")]
    version: u8,
    #[serde(rename = "f")]
    pub(crate) fact: Fact,
    /// None: a machine wrote it, or an account that stands for no Practitioner.
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<Author>,
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            v: u8,
            f: Fact,
            #[serde(default)]
            a: Option<Author>,
        }
        let written = Written::deserialize(deserializer)?;
        if written.v != VERSION {
            return Err(serde::de::Error::custom("facts of another version: make them anew from the record"));
        }
        Ok(Self { version: VERSION, fact: written.f, author: written.a })
    }
}

/// What a resource says about who cares for whom and what is withheld; none if it says nothing of the kind, as most do.
pub fn facts_of(resource_type: ResourceType, id: &ResourceId, resource: &Json<'_>) -> Option<Facts> {
    let fact = match resource_type.as_str() {
        "Encounter" => courses::encounter(resource),
        "Appointment" => courses::appointment(resource),
        "ServiceRequest" => courses::service_request(resource),
        "MedicationRequest" => courses::medication_request(resource),
        "CareTeam" => courses::care_team(resource),
        "EpisodeOfCare" => courses::episode(resource),
        "Patient" => people::patient(resource),
        "Person" => people::person(resource),
        "Practitioner" => people::practitioner(resource),
        "PractitionerRole" => people::role(resource),
        "Group" => people::group(resource),
        "Flag" => people::flag(resource),
        "Location" | "Organization" => places::place(resource),
        "Schedule" => places::schedule(resource),
        "Slot" => places::slot(resource),
        "Consent" => crate::consent::read(id, resource).map(Fact::Consent),
        _ => None,
    };
    fact.map(|fact| Facts { version: VERSION, fact, author: None })
}

impl Facts {
    /// The same, written by this Practitioner in the place of what the record said before. Whatever it says of that very Practitioner counts
    /// in full only as far as somebody else has said it.
    #[must_use]
    pub fn written_by(self, writer: &ResourceId, before: Option<Self>) -> Self {
        let Some(kind) = ResourceType::parse("Practitioner") else { return self };
        let writer = Link::new(kind, writer.as_str());
        let before = before.and_then(|before| match before.author {
            Some(author) if author.writer == writer => author.before,
            _ => Some(Box::new(before.fact)),
        });
        // What was said of somebody else makes no relation to these patients, and would outlive an erasure.
        let patients = self.fact.patient_ids();
        let before = before.filter(|before| before.patient_ids().iter().all(|patient| patients.contains(patient)));
        Self { author: Some(Author { writer, before }), ..self }
    }

    /// Whether a Practitioner wrote it last. Otherwise a machine did, or an account that stands for no Practitioner.
    pub fn is_of_practitioner(&self) -> bool {
        self.author.is_some()
    }

    /// The patients whom it is about; of a Patient itself none, since its own id is the key. With one of them erased, the facts go.
    pub fn patient_ids(&self) -> Vec<ResourceId> {
        self.fact.patient_ids()
    }

    /// The moment after which it says nothing any more, whatever the settings are, so that it can be forgotten; none if time alone does not
    /// end it.
    pub fn ends(&self) -> Option<Timestamp> {
        self.fact.ends_ms().map(Timestamp::from_ms)
    }
}

impl Fact {
    /// See [`Facts::patient_ids`].
    fn patient_ids(&self) -> Vec<ResourceId> {
        let links: Vec<&Link> = match self {
            Self::Stay { patient, .. }
            | Self::Order { patient, .. }
            | Self::Episode { patient, .. }
            | Self::Flag { patient, .. } => vec![patient],
            Self::Consent(consent) => vec![&consent.patient],
            Self::Meeting { patients, .. } | Self::Person { patients, .. } => patients.iter().collect(),
            Self::Team { patient, .. } => patient.iter().collect(),
            _ => Vec::new(),
        };
        links.into_iter().filter_map(Link::resource_id).collect()
    }

    /// See [`Facts::ends`].
    pub(crate) fn ends_ms(&self) -> Option<i64> {
        let (end, after) = match self {
            Self::Consent(consent) => (consent.during.1, 0),
            Self::Slot { during, .. } => (during.1, 0),
            Self::Stay { during, .. }
            | Self::Meeting { during, .. }
            | Self::Team { during, .. }
            | Self::Episode { during, .. }
            | Self::Role { during, .. }
            | Self::Schedule { during, .. } => (during.1, KEPT_AFTER_END_MS),
            Self::Order { written, until, .. } => {
                (until.map_or(*written, |until| until.max(*written)), KEPT_AFTER_END_MS)
            }
            _ => (i64::MAX, 0),
        };
        (end != i64::MAX).then(|| end.saturating_add(after))
    }
}

/// Bits of the flags of a patient, as rows keep them.
pub(crate) mod flag {
    pub(crate) const DETAINED: u8 = 1;
    pub(crate) const VIP: u8 = 2;
    pub(crate) const STAFF: u8 = 4;
    pub(crate) const RESTRICTED: u8 = 8;
}

#[cfg(test)]
mod tests;
