//! What is ordered: treatments, when they were given and are due, examinations, appointments.

use super::{Asked, Given, Known, Listed, Order, Standing, TREATMENTS_MAX, Treatment};
use crate::dosage;
use crate::read::{DAY_MS, When, concept, concept_key, each, moment, quantity, target, text};
use crate::select::{self, Dossier};
use tacet_fhir::json::Json;

pub(super) fn treatments(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Known<Treatment> {
    let (telling, now) = (&asked.telling, asked.now);
    let mut found: Vec<Treatment> = Vec::new();
    for order in select::prescriptions(dossier) {
        let (what, key) = medication(dossier, order);
        let given = last_given(dossier, order, key.as_deref(), asked);
        let at = given.as_ref().filter(|given| !given.refused).and_then(|given| match given.at {
            When::At(at) => Some(at),
            When::Date(_) => None,
        });
        let standing = match order.get_str("status") {
            _ if dosage::is_forbidden(order) => Standing::Forbidden,
            Some("on-hold") => Standing::Resting,
            _ if dosage::is_at_once(order) => Standing::AtOnce,
            _ => Standing::Ordered,
        };
        let to_give = matches!(standing, Standing::AtOnce | Standing::Ordered);
        let ended = dosage::ends(order, "dosageInstruction").filter(|end| end.as_ms() + DAY_MS <= now.as_ms());
        found.push(Treatment {
            what,
            doses: dosage::told(order, "dosageInstruction", telling, now),
            standing,
            last: given,
            due: dosage::next_due(order, "dosageInstruction", at, telling, now).filter(|_| to_give),
            ended,
        });
    }
    let taken = select::taken(dossier);
    for statement in &taken.known {
        let (what, _) = medication(dossier, statement);
        found.push(Treatment {
            what,
            doses: dosage::told(statement, "dosage", telling, now),
            standing: Standing::Taken,
            last: None,
            due: None,
            ended: None,
        });
    }
    if !found.is_empty() {
        found.sort_by(|one, other| one.standing.cmp(&other.standing).then_with(|| one.what.cmp(&other.what)));
        return Known::Some(Listed::of(found, TREATMENTS_MAX));
    }
    match taken.none.is_empty() {
        true => Known::NotRecorded,
        false => Known::None(
            taken.none.iter().filter_map(|one| concept(one.get("medicationCodeableConcept")?)).take(2).collect(),
        ),
    }
}

/// What a medication is called, and what tells it from others.
fn medication<'a>(dossier: &Dossier<'a>, order: &Json<'a>) -> (String, Option<String>) {
    if let Some(code) = order.get("medicationCodeableConcept") {
        return (concept(code).unwrap_or_else(|| "?".to_owned()), concept_key(code));
    }
    let Some(reference) = order.get("medicationReference") else { return ("?".to_owned(), None) };
    let found = dossier.resolve(order, reference);
    let code = found.and_then(|found| found.get("code"));
    let name = code.and_then(concept).or_else(|| text(reference, "display")).unwrap_or_else(|| "?".to_owned());
    (name, code.and_then(concept_key).or_else(|| target(reference)))
}

/// The last time that an order was carried out, or refused: by administrations that name it, or else those of the same medication.
fn last_given<'a>(dossier: &Dossier<'a>, order: &Json<'a>, key: Option<&str>, asked: &Asked<'_>) -> Option<Given> {
    let id = order.get_str("id").map(|id| format!("MedicationRequest/{id}"));
    let counts = |one: &&Json<'a>| {
        let named = one.get("request").and_then(target);
        let same = match &named {
            Some(_) => named == id,
            None => key.is_some() && medication(dossier, one).1.as_deref() == key,
        };
        same && matches!(one.get_str("status"), Some("completed" | "in-progress" | "not-done" | "stopped"))
    };
    let at = |one: &Json<'_>| moment(one, &["effectiveDateTime", "effectivePeriod"]);
    let past = |one: &&Json<'_>| at(one).is_some_and(|when| when.as_ms() <= asked.now.as_ms());
    let latest = dossier.each("MedicationAdministration").filter(counts).filter(past);
    let latest = latest.max_by_key(|one| at(one).map(|when| when.as_ms()))?;
    let dose = latest.get("dosage").and_then(|dosage| dosage.get("dose"));
    Some(Given {
        at: at(latest)?,
        dose: dose.and_then(|dose| quantity(dose, asked.telling.language.comma())),
        refused: latest.get_str("status") == Some("not-done"),
    })
}

pub(super) fn orders(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Vec<Order> {
    let zone = asked.telling.zone;
    let today = zone.day(asked.now);
    let is_today = |when: &When| match when {
        When::At(at) => zone.day(*at) == today,
        When::Date(_) => when.as_ms().div_euclid(DAY_MS) == today,
    };
    let mut orders: Vec<Order> = Vec::new();
    let meetings = dossier.each("Appointment").filter(|one| {
        matches!(one.get_str("status"), Some("proposed" | "pending" | "booked" | "arrived" | "checked-in" | "waitlist"))
    });
    for meeting in meetings {
        let Some(at) = moment(meeting, &["start"]).filter(is_today) else { continue };
        let kinds = ["appointmentType", "serviceType", "reasonCode"];
        let what = kinds.iter().find_map(|kind| each(meeting, kind).iter().find_map(concept));
        let what = text(meeting, "description")
            .or(what)
            .unwrap_or_else(|| asked.telling.of("Rendez-vous", "Appointment").to_owned());
        orders.push(Order { what, at: Some(at), urgent: false, appointment: true });
    }
    let asked_for =
        dossier.each("ServiceRequest").chain(dossier.each("NutritionOrder")).chain(dossier.each("DeviceRequest"));
    let stands = |one: &&Json<'_>| {
        matches!(one.get_str("status"), Some("active" | "on-hold"))
            && !matches!(one.get_str("intent"), Some("proposal" | "plan" | "option"))
    };
    for order in asked_for.filter(stands) {
        let what = ["code", "codeCodeableConcept"].iter().find_map(|name| order.get(name).and_then(concept));
        let diet = || order.get("oralDiet").and_then(|diet| each(diet, "type").iter().find_map(concept));
        let Some(what) = what.or_else(diet) else { continue };
        let not = dosage::is_forbidden(order);
        let what = if not { format!("{} : {what}", asked.telling.of("NE PAS FAIRE", "DO NOT")) } else { what };
        orders.push(Order {
            what,
            at: moment(order, &["occurrenceDateTime", "occurrencePeriod", "occurrenceTiming", "dateTime"]),
            urgent: not || matches!(order.get_str("priority"), Some("stat" | "asap" | "urgent")),
            appointment: false,
        });
    }
    orders.sort_by_key(|order| (!order.appointment, !order.urgent, order.at.as_ref().map_or(i64::MAX, When::as_ms)));
    orders
}
