//! PV1 and EVN as elements of an Encounter: whether the patient is here, and in which ward.
//!
//! ```text
//! admit, register ──> in-progress, in a ward       cancel ──> cancelled
//! transfer ─────────> the ward before ends, another begins   cancel ──> the ward before goes on
//! discharge ────────> finished, all wards end      cancel ──> in-progress, the last ward goes on
//! ```

use crate::adt::{Key, MapError, Trigger};
use crate::message::Message;
use crate::patch::{Elements, set, text};
use crate::settings::Settings;
use crate::time::Moment;
use serde_json::{Value, json};

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const COURTESY: &str = "http://terminology.hl7.org/CodeSystem/v3-EncounterSpecialCourtesy";

/// What the message says of a stay.
pub(crate) struct Stay<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) settings: &'a Settings,
    pub(crate) trigger: Trigger,
    /// The reference of the ward's Location, if it was found.
    pub(crate) place: Option<&'a str>,
}

/// The ward: PV1-3.1, or the unit that nurses or answers for the patient in IHE PAM France (ZBE-8, ZBE-7).
fn ward_code(message: &Message<'_>) -> Option<String> {
    let unit = |number: usize| message.field("ZBE", number).component(10).some();
    message.field("PV1", 3).component(1).some().or_else(|| unit(8)).or_else(|| unit(7))
}

/// By what the ward's Location is found, where the event says in which ward the patient is.
pub(crate) fn ward(message: &Message<'_>, settings: &Settings, trigger: Trigger) -> Result<Option<Key>, MapError> {
    let says = matches!(trigger, Trigger::Admit | Trigger::Register | Trigger::Transfer | Trigger::CancelTransfer);
    let Some(value) = ward_code(message).filter(|_| says) else { return Ok(None) };
    let system = settings.ward_system.clone().ok_or(MapError::NoWardSystem)?;
    Ok(Some(Key { resource_type: "Location", system, value }))
}

/// By what the stay is found: PV1-19.
pub(crate) fn key(message: &Message<'_>, settings: &Settings) -> Result<Option<Key>, MapError> {
    let field = message.field("PV1", 19);
    if field.value().is_empty() {
        return Ok(None);
    }
    let key =
        Key::of(field.repetitions().next().unwrap_or(field), "Encounter", settings, settings.visit_system.as_deref());
    key.map(Some).ok_or(MapError::Authority("PV1-19"))
}

impl Stay<'_> {
    /// The elements of the Encounter after the message, from those before.
    pub(crate) fn elements(&self, now: Option<&Value>, key: &Key, subject: &str) -> Result<Elements, MapError> {
        let status = now.and_then(|now| now.get("status")).and_then(Value::as_str);
        self.require(status)?;
        let mut wanted = Elements::new();
        let locations = now.and_then(|now| now.get("location")).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut period = now.and_then(|now| now.get("period")).cloned().unwrap_or_else(|| json!({}));
        if now.is_none() {
            wanted.insert("identifier".into(), json!([{ "system": key.system, "value": key.value }]));
            wanted.insert("subject".into(), json!({ "reference": subject }));
        }
        match self.trigger {
            Trigger::Admit | Trigger::Register | Trigger::Transfer => {
                let at = self.time()?;
                if self.trigger != Trigger::Transfer || now.is_none() {
                    wanted.insert("class".into(), json!({ "system": ACT_CODE, "code": self.class() }));
                    set(&mut period, "start", json!(self.start()?));
                }
                wanted.insert("status".into(), json!("in-progress"));
                let (ward, moves) = (self.ward()?, self.trigger == Trigger::Transfer);
                if ward.is_none() && moves {
                    return Err(MapError::Missing("PV1-3, the ward"));
                }
                let since = if moves && now.is_some() { at.clone() } else { self.start()? };
                if let Some(ward) = ward {
                    wanted.insert("location".into(), Value::Array(moved(locations, ward, &since)));
                }
                if !self.message.field("PV1", 16).value().is_empty() {
                    // Whoever sends it says that the patient is a known person: the rules set such patients apart.
                    let mut stay = now.and_then(|now| now.get("hospitalization")).cloned().unwrap_or_else(|| json!({}));
                    let vip = json!([{ "coding": [{ "system": COURTESY, "code": "VIP" }] }]);
                    set(&mut stay, "specialCourtesy", vip);
                    wanted.insert("hospitalization".into(), stay);
                }
                wanted.insert("period".into(), period);
            }
            Trigger::Discharge => {
                let end = self.said(&[("PV1", 45)])?.map_or_else(|| self.time(), Ok)?;
                set(&mut period, "end", json!(end));
                wanted.insert("status".into(), json!("finished"));
                wanted.insert("period".into(), period);
                put_locations(&mut wanted, ended(locations, &end));
            }
            Trigger::CancelAdmit => {
                let end = self.time()?;
                wanted.insert("status".into(), json!("cancelled"));
                put_locations(&mut wanted, ended(locations, &end));
            }
            Trigger::CancelTransfer => put_locations(&mut wanted, self.returned(locations)?),
            Trigger::CancelDischarge => {
                if let Some(period) = period.as_object_mut() {
                    period.remove("end");
                }
                wanted.insert("status".into(), json!("in-progress"));
                wanted.insert("period".into(), period);
                put_locations(&mut wanted, reopened(locations));
            }
            Trigger::Update => {}
        }
        Ok(wanted)
    }

    /// What must be so for this event.
    fn require(&self, status: Option<&str>) -> Result<(), MapError> {
        let over = matches!(status, Some("finished"));
        match (self.trigger, status) {
            (Trigger::Admit | Trigger::Register | Trigger::Transfer | Trigger::Update, None) => Ok(()),
            (_, None) => Err(MapError::NoStay),
            (Trigger::Discharge, _) if !matches!(status, Some("cancelled" | "entered-in-error")) => Ok(()),
            (Trigger::CancelDischarge, _) if over => Ok(()),
            (Trigger::CancelDischarge, _) => {
                Err(MapError::State("the stay has not ended, so that no discharge can be taken back"))
            }
            (Trigger::Update, _) => Ok(()),
            // Admitting again what was cancelled takes the cancellation back.
            (Trigger::Admit | Trigger::Register, Some("cancelled")) => Ok(()),
            (_, Some("finished")) => Err(MapError::State("the stay has ended: A13 takes a discharge back")),
            (_, Some("cancelled" | "entered-in-error")) => {
                Err(MapError::State("the stay was cancelled: admit the patient again"))
            }
            _ => Ok(()),
        }
    }

    /// Table 0004.
    fn class(&self) -> &'static str {
        match self.message.field("PV1", 2).value().as_ref() {
            "I" | "B" => "IMP",
            "E" => "EMER",
            "P" => "PRENC",
            "O" | "R" | "C" | "N" | "U" => "AMB",
            _ if self.trigger == Trigger::Register => "AMB",
            _ => "IMP",
        }
    }

    /// The first of these fields that has a time.
    fn said(&self, fields: &[(&'static str, usize)]) -> Result<Option<String>, MapError> {
        for (segment, number) in fields {
            let value = self.message.field(segment, *number).value();
            if !value.is_empty() {
                let moment = Moment::parse(&value).map_err(|_| MapError::Time(segment))?;
                return Ok(Some(moment.date_time(self.settings.zone())));
            }
        }
        Ok(None)
    }

    /// When it happened: the movement, the event, when it was recorded, or when it was sent.
    fn time(&self) -> Result<String, MapError> {
        self.said(&[("ZBE", 2), ("EVN", 6), ("EVN", 2), ("MSH", 7)])?
            .ok_or(MapError::Missing("EVN-2, the time of the event"))
    }

    /// When the stay began.
    fn start(&self) -> Result<String, MapError> {
        self.said(&[("PV1", 44)])?.map_or_else(|| self.time(), Ok)
    }

    /// A reference to the ward's Location.
    fn ward(&self) -> Result<Option<Value>, MapError> {
        let Some(code) = ward_code(self.message) else { return Ok(None) };
        let place = self.place.ok_or(MapError::NoWard)?;
        Ok(Some(json!({ "reference": place, "display": code })))
    }

    /// The ward before the last one goes on: that which the message names, if it names one.
    fn returned(&self, mut locations: Vec<Value>) -> Result<Vec<Value>, MapError> {
        let named = self.ward()?;
        if locations.len() < 2 {
            return Err(MapError::State("the stay was in one ward only, so that no transfer can be taken back"));
        }
        locations.pop();
        let last = locations.last().map(place_of);
        if named.as_ref().is_some_and(|named| Some(text(named, "/reference")) != last) {
            return Err(MapError::State("the ward before the transfer is not the one that the message names"));
        }
        Ok(reopened(locations))
    }
}

fn put_locations(wanted: &mut Elements, locations: Vec<Value>) {
    if !locations.is_empty() {
        wanted.insert("location".into(), Value::Array(locations));
    }
}

fn is_open(location: &Value) -> bool {
    matches!(text(location, "/status"), None | Some("active")) && text(location, "/period/end").is_none()
}

/// The reference of its ward.
fn place_of(location: &Value) -> Option<&str> {
    text(location, "/location/reference")
}

/// Its period, to be changed.
fn period_of(location: &Value) -> Value {
    location.get("period").cloned().unwrap_or_else(|| json!({}))
}

/// In this ward since then, and in no other any more.
fn moved(locations: Vec<Value>, ward: Value, since: &str) -> Vec<Value> {
    let named = text(&ward, "/reference");
    let stays = locations.iter().any(|location| is_open(location) && place_of(location) == named);
    if stays {
        return locations;
    }
    let mut locations = ended(locations, since);
    locations.push(json!({ "location": ward, "status": "active", "period": { "start": since } }));
    locations
}

fn ended(mut locations: Vec<Value>, end: &str) -> Vec<Value> {
    for location in locations.iter_mut().filter(|location| is_open(location)) {
        let mut period = period_of(location);
        set(&mut period, "end", json!(end));
        set(location, "status", json!("completed"));
        set(location, "period", period);
    }
    locations
}

/// The last one goes on.
fn reopened(mut locations: Vec<Value>) -> Vec<Value> {
    if let Some(last) = locations.last_mut() {
        let mut period = period_of(last);
        if let Some(period) = period.as_object_mut() {
            period.remove("end");
        }
        set(last, "status", json!("active"));
        set(last, "period", period);
    }
    locations
}
