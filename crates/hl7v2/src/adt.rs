//! An ADT message: which event, of whom, and the transaction that brings a store there.

use crate::ack::{Answer, Code};
use crate::message::{Field, Message};
use crate::patch::{created, encoded, entry, text, token};
use crate::settings::Settings;
use crate::{person, stay};
use serde_json::{Value, json};

/// An event that is taken (table 0003).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// A01: somebody is admitted.
    Admit,
    /// A02: moved to another ward.
    Transfer,
    /// A03: discharged.
    Discharge,
    /// A04: came, without being admitted.
    Register,
    /// A08: who they are was changed.
    Update,
    /// A11: was not admitted after all.
    CancelAdmit,
    /// A12: was not moved after all.
    CancelTransfer,
    /// A13: was not discharged after all.
    CancelDischarge,
}

impl Trigger {
    /// The event of a code.
    pub fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "A01" => Self::Admit,
            "A02" => Self::Transfer,
            "A03" => Self::Discharge,
            "A04" => Self::Register,
            "A08" => Self::Update,
            "A11" => Self::CancelAdmit,
            "A12" => Self::CancelTransfer,
            "A13" => Self::CancelDischarge,
            _ => return None,
        })
    }
}

/// Why a message is not taken. No text holds anything of a patient.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MapError {
    /// No ADT.
    #[error("only ADT messages are taken here")]
    Kind,
    /// Another version.
    #[error("only versions 2.3 to 2.8 are taken: see MSH-12")]
    Version,
    /// An event that joins records.
    #[error("merges and moves of records are not taken by a feed: join them by hand, in both systems")]
    Merge,
    /// Another event.
    #[error("only the events A01, A02, A03, A04, A08, A11, A12 and A13 are taken")]
    Event,
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An authority that has no system.
    #[error("no identifier in {0} has an assigning authority with a known system: name it in the settings of the feed")]
    Authority(&'static str),
    /// A time that is none.
    #[error("a time in {0} cannot be read")]
    Time(&'static str),
    /// The settings name no system of wards.
    #[error("the settings of the feed name no system for wards: set `ward_system`")]
    NoWardSystem,
    /// No Location has the code of the ward.
    #[error(
        "no Location has the code of the ward in PV1-3 (or ZBE) as its identifier: add it, and send the message again"
    )]
    NoWard,
    /// There is no such stay.
    #[error("there is no stay of this visit number (PV1-19): the admission must come first")]
    NoStay,
    /// The stay is another patient's.
    #[error("the visit number (PV1-19) belongs to another patient's stay")]
    OtherPatient,
    /// The stay is in no state for the event.
    #[error("{0}")]
    State(&'static str),
}

impl MapError {
    /// As it is answered.
    pub fn answer(&self) -> Answer {
        let (code, error) = match self {
            Self::Kind => (Code::Reject, 200),
            Self::Version => (Code::Reject, 203),
            Self::Merge | Self::Event => (Code::Reject, 201),
            Self::Missing(_) => (Code::Error, 101),
            Self::Authority(_) | Self::NoWard | Self::NoStay | Self::OtherPatient => (Code::Error, 204),
            Self::Time(_) => (Code::Error, 102),
            Self::NoWardSystem => (Code::Error, 103),
            Self::State(_) => (Code::Error, 207),
        };
        Answer::refused(code, error, self.to_string())
    }
}

/// By what a resource is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its type.
    pub resource_type: &'static str,
    /// The system of its identifier.
    pub system: String,
    /// The identifier.
    pub value: String,
}

impl Key {
    /// The key in a CX: number, and the authority that gives it.
    pub(crate) fn of(
        field: Field<'_>,
        resource_type: &'static str,
        settings: &Settings,
        otherwise: Option<&str>,
    ) -> Option<Self> {
        let value = field.component(1).some()?;
        let authority = field.component(4);
        let part = |number: usize| authority.subcomponent(number).value().into_owned();
        let system = match authority.is_empty() {
            true => otherwise.map(str::to_owned),
            false => settings.system(&part(1), &part(2), &part(3)),
        };
        Some(Self { resource_type, system: system?, value })
    }

    /// The search that finds it, as in a URL.
    pub fn criteria(&self) -> String {
        format!("identifier={}", encoded(&self.token()))
    }

    /// The value of the search parameter `identifier` that finds it.
    pub fn token(&self) -> String {
        format!("{}|{}", token(&self.system), token(&self.value))
    }
}

/// What the store has: id, version, content; and where the ward is.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// The Patient of the key.
    pub patient: Option<(String, u64, Value)>,
    /// The Encounter of the key.
    pub stay: Option<(String, u64, Value)>,
    /// The reference of the Location of the key.
    pub ward: Option<String>,
}

/// An ADT message that is understood.
#[derive(Debug)]
pub struct Adt<'a> {
    message: &'a Message<'a>,
    settings: &'a Settings,
    trigger: Trigger,
    patient: Key,
    stay: Option<Key>,
    ward: Option<Key>,
}

impl<'a> Adt<'a> {
    /// Understands a message.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn of(message: &'a Message<'a>, settings: &'a Settings) -> Result<Self, MapError> {
        if message.field("MSH", 9).component(1).value() != "ADT" {
            return Err(MapError::Kind);
        }
        let version = message.field("MSH", 12).value();
        if !["2.3", "2.4", "2.5", "2.6", "2.7", "2.8"]
            .iter()
            .any(|known| version.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        {
            return Err(MapError::Version);
        }
        let event = message.field("MSH", 9).component(2);
        let event = if event.is_empty() { message.field("EVN", 1).value() } else { event.value() };
        let trigger = match event.as_ref() {
            // Merges, moves and changes of identifiers of every kind.
            "A18" | "A30" | "A34" | "A35" | "A36" | "A39" | "A40" | "A41" | "A42" | "A43" | "A44" | "A45" | "A46"
            | "A47" | "A48" | "A49" | "A50" | "A51" => return Err(MapError::Merge),
            other => Trigger::parse(other).ok_or(MapError::Event)?,
        };
        let (patient, stay) = (person::key(message, settings)?, stay::key(message, settings)?);
        if stay.is_none() && trigger != Trigger::Update {
            return Err(MapError::Missing("PV1-19, the visit number"));
        }
        let ward = stay::ward(message, settings, trigger)?;
        Ok(Self { message, settings, trigger, patient, stay, ward })
    }

    /// The event.
    pub fn trigger(&self) -> Trigger {
        self.trigger
    }

    /// By what the patient is found.
    pub fn patient(&self) -> &Key {
        &self.patient
    }

    /// By what the stay is found, if the message is about one.
    pub fn stay(&self) -> Option<&Key> {
        self.stay.as_ref().filter(|_| self.trigger != Trigger::Update)
    }

    /// By what the ward is found, if the message says where the patient is.
    pub fn ward(&self) -> Option<&Key> {
        self.ward.as_ref()
    }

    /// The transaction that brings a store that has this to where the message says. None: it is there already.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn bundle(&self, existing: &Existing) -> Result<Option<Value>, MapError> {
        let mut entries = Vec::new();
        let wanted = person::elements(self.message, self.settings, existing.patient.as_ref().map(|(.., now)| now))?;
        /// Under which name the transaction speaks of a patient that it makes.
        const NEW: &str = "urn:uuid:0d6c8f6e-8a5b-4c3e-9d2f-1b7a6e5c4d3f";
        let subject = match &existing.patient {
            Some((id, version, now)) => {
                entries.extend(entry(&format!("Patient/{id}"), *version, now, &wanted));
                format!("Patient/{id}")
            }
            None => {
                entries.push(json!({
                    "fullUrl": NEW, "resource": created("Patient", wanted),
                    "request": { "method": "POST", "url": "Patient", "ifNoneExist": self.patient.criteria() },
                }));
                NEW.to_owned()
            }
        };
        if let Some(key) = self.stay() {
            let now = existing.stay.as_ref().map(|(.., now)| now);
            if now.is_some_and(|now| text(now, "/subject/reference") != Some(subject.as_str())) {
                return Err(MapError::OtherPatient);
            }
            let place = existing.ward.as_deref();
            let stay = stay::Stay { message: self.message, settings: self.settings, trigger: self.trigger, place };
            let wanted = stay.elements(now, key, &subject)?;
            match &existing.stay {
                Some((id, version, now)) => entries.extend(entry(&format!("Encounter/{id}"), *version, now, &wanted)),
                None => entries.push(json!({
                    "resource": created("Encounter", wanted),
                    "request": { "method": "POST", "url": "Encounter", "ifNoneExist": key.criteria() },
                })),
            }
        }
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        Ok((!entries.is_empty()).then_some(bundle))
    }
}
