//! From a practitioner to the patients.

use super::identities::Names;
use super::rota::works;
use super::{CareData, Moments, Related};
use crate::facts::{DAY_MS, Fact, KEPT_AFTER_END_MS, Link, OrderKind, Span, State};
use crate::situation::{CareSettings, Relation, RelationSet};
use std::collections::HashSet;
use tacet_types::{ResourceId, ResourceType};

/// Most places within a place that are looked at, and how deep: a hospital with all its beds.
const PLACES_MAX: usize = 20_000;
const PLACES_DEPTH_MAX: usize = 8;

fn add(related: &mut Related, patient: &Link, relation: Relation) {
    if let Some(id) = patient.resource_id() {
        related.entry(id).or_insert(RelationSet::NONE).insert(relation);
    }
}

/// So many days, at most as many as anything is kept.
fn days_ms(days: u32) -> i64 {
    (i64::from(days) * DAY_MS).min(KEPT_AFTER_END_MS)
}

/// When a stay makes relations.
pub(super) fn window_of_stay(state: State, during: Span, settings: &CareSettings) -> Span {
    match state {
        State::Going if during.0 == i64::MIN => during,
        State::Going => Span(during.0, during.1.min(during.0.saturating_add(days_ms(settings.encounter_days_max)))),
        State::Ended => during.widened(0, settings.encounter_days_after),
        State::Ahead => {
            let start =
                Span(during.0, during.0).widened(settings.appointment_days_before, settings.appointment_days_after);
            // Without a date nobody can say that it is near.
            if during.0 == i64::MIN { Span(0, -1) } else { start }
        }
    }
}

/// When an order makes a relation: until the end that it names itself, or so many days after it was written.
fn window_of_order(written: i64, until: Option<i64>, days: u32) -> Span {
    let end = until.unwrap_or_else(|| written.saturating_add(days_ms(days)));
    Span(written, end.min(written.saturating_add(KEPT_AFTER_END_MS)))
}

/// For whom relations are asked.
struct Asked<'a> {
    me: &'a Link,
    names: &'a Names,
    settings: &'a CareSettings,
}

/// The relations that what a record says makes for one whom it names so.
fn made_by(
    fact: &Fact,
    record: &Link,
    name: &Link,
    settings: &CareSettings,
    moments: &mut Moments,
    make: &mut dyn FnMut(&Link, Relation),
) {
    match fact {
        Fact::Patient { doctors, .. } if doctors.contains(name) => make(record, Relation::GeneralPractitioner),
        Fact::Stay { patient, state, during, staff, .. } => {
            let window = window_of_stay(*state, *during, settings);
            for part in staff.iter().filter(|part| part.who == *name) {
                let taking_part = part.during.widened(0, settings.encounter_days_after);
                if window.meet(taking_part).is_some_and(|span| moments.within(span)) {
                    make(patient, Relation::EncounterParticipant);
                }
            }
        }
        Fact::Meeting { patients, staff, during } if staff.contains(name) => {
            let near = during.widened(settings.appointment_days_before, settings.appointment_days_after);
            if moments.within(near) {
                patients.iter().for_each(|patient| make(patient, Relation::Appointment));
            }
        }
        Fact::Order { patient, kind, state, written, until, by, to } => {
            let days = if *kind == OrderKind::Prescription { settings.prescription_days } else { settings.order_days };
            let window = window_of_order(*written, *until, days);
            let lately = window_of_order(*written, None, settings.order_days);
            let ordered = by.contains(name);
            // Who ordered something reads what came of it; who was to do it has done it.
            let going = *state == State::Going && (ordered || to.contains(name)) && moments.within(window);
            if going || (*state == State::Ended && ordered && moments.within(lately)) {
                let referred = *kind == OrderKind::Referral && !ordered;
                make(patient, if referred { Relation::Referral } else { Relation::Order });
            }
        }
        Fact::Team { patient: Some(patient), during, members } => {
            for part in members.iter().filter(|part| part.who == *name) {
                if part.during.meet(*during).is_some_and(|span| moments.within(span)) {
                    make(patient, Relation::CareTeam);
                }
            }
        }
        Fact::Episode { patient, during, team } if team.contains(name) && moments.within(*during) => {
            make(patient, Relation::CareTeam);
        }
        _ => {}
    }
}

impl CareData {
    /// The patients to whom a practitioner has a relation.
    pub(crate) fn related(&self, practitioner: &ResourceId, settings: &CareSettings, moments: &mut Moments) -> Related {
        let mut related = Related::new();
        let Some(kind) = ResourceType::parse("Practitioner") else { return related };
        let me = Link::new(kind, practitioner.as_str());
        let roles = self.roles(&me, moments);
        let names = self.names(&me, &roles, moments);
        let asked = Asked { me: &me, names: &names, settings };
        for name in names.all() {
            for record in self.by_actor.get(name).into_iter().flatten() {
                self.by_record(record, name, &asked, moments, &mut related);
            }
        }
        let mut role_places: Vec<Link> = Vec::new();
        for role in &roles {
            let Fact::Role { organization, places, hours, away, .. } = role.fact else { continue };
            role_places.extend(places.iter().cloned());
            if !works(hours, away, settings.rota_zone, settings.shift_margin_minutes, moments) {
                continue;
            }
            // A role that names no place is one of the whole organisation.
            let of_organization = organization.as_ref().filter(|_| places.is_empty());
            let at: Vec<Link> = places.iter().chain(of_organization).cloned().collect();
            self.by_places(&at, Relation::WardEncounter, settings, moments, &mut related);
        }
        let duties = self.places_on_call(&names.sure, &role_places, moments);
        self.by_places(&duties, Relation::OnCall, settings, moments, &mut related);
        for (patient, at) in self.registered.get(practitioner).into_iter().flatten() {
            let hours = i64::from(settings.registered_hours) * (DAY_MS / 24);
            if moments.within(Span(*at, at.saturating_add(hours.min(KEPT_AFTER_END_MS)))) {
                related.entry(patient.clone()).or_insert(RelationSet::NONE).insert(Relation::Registered);
            }
        }
        related
    }

    /// What a record in which somebody takes part makes of it. As far as nobody but they themselves said so, it is
    /// [`Relation::SelfDeclared`]: whoever has little would write themselves more.
    fn by_record(&self, record: &Link, name: &Link, asked: &Asked<'_>, moments: &mut Moments, related: &mut Related) {
        let settings = asked.settings;
        let author = self.authors.get(record).filter(|author| author.writer == *asked.me);
        let sure = !asked.names.doubtful.contains(name);
        let mut vouched: HashSet<(Link, Relation)> = HashSet::new();
        if let Some(before) = author.and_then(|author| author.before.as_deref()).filter(|_| sure) {
            for name in &asked.names.sure {
                made_by(before, record, name, settings, moments, &mut |patient, relation| {
                    vouched.insert((patient.clone(), relation));
                });
            }
        }
        let mut make = |patient: &Link, relation: Relation| {
            let said = match author {
                None => sure,
                Some(_) => vouched.contains(&(patient.clone(), relation)),
            };
            add(related, patient, if said { relation } else { Relation::SelfDeclared });
        };
        if record.is("Patient") {
            if self.patients.contains_key(record) {
                make(record, Relation::GeneralPractitioner);
            }
        } else if let Some(fact) = self.records.get(record) {
            made_by(fact, record, name, settings, moments, &mut make);
        }
    }

    /// The patients who lie, or lay a few days ago, at these places or in parts of them.
    fn by_places(
        &self,
        places: &[Link],
        relation: Relation,
        settings: &CareSettings,
        moments: &mut Moments,
        related: &mut Related,
    ) {
        for place in self.with_parts(places) {
            for record in self.by_place.get(&place).into_iter().flatten() {
                let Some(Fact::Stay { patient, state, during, places, provider, .. }) =
                    self.records.get(record).map(Box::as_ref)
                else {
                    continue;
                };
                if *state == State::Ahead {
                    continue;
                }
                let window = window_of_stay(*state, *during, settings);
                if provider.as_ref() == Some(&place) && moments.within(window) {
                    add(related, patient, relation);
                }
                for part in places.iter().filter(|part| part.who == place) {
                    let there = part.during.widened(0, settings.encounter_days_after);
                    if window.meet(there).is_some_and(|span| moments.within(span)) {
                        add(related, patient, relation);
                    }
                }
            }
        }
    }

    /// These places and all that is a part of them.
    pub(super) fn with_parts(&self, places: &[Link]) -> HashSet<Link> {
        let mut all: HashSet<Link> = places.iter().cloned().collect();
        let mut last: Vec<Link> = all.iter().cloned().collect();
        for _ in 0..PLACES_DEPTH_MAX {
            let within = last.iter().filter(|place| place.is("Location")).filter_map(|place| self.parts.get(place));
            let found: Vec<Link> = within.flatten().filter(|part| !all.contains(*part)).cloned().collect();
            let found: Vec<Link> = found.into_iter().take(PLACES_MAX.saturating_sub(all.len())).collect();
            if found.is_empty() {
                break;
            }
            all.extend(found.iter().cloned());
            last = found;
        }
        all
    }

    /// The places for which somebody is on call now: those of the schedule, or, where it names none, those of their roles.
    fn places_on_call(&self, names: &HashSet<Link>, role_places: &[Link], moments: &mut Moments) -> Vec<Link> {
        let mut places = Vec::new();
        // A schedule of a team or of an organisation is not one of a person.
        let persons = names.iter().filter(|name| name.is("Practitioner") || name.is("PractitionerRole"));
        for link in persons.filter_map(|name| self.by_actor.get(name)).flatten() {
            let Some(Fact::Schedule { on_call, actors, during }) = self.records.get(link).map(Box::as_ref) else {
                continue;
            };
            if !moments.within(*during) {
                continue;
            }
            let mut on_duty = false;
            for slot in self.slots.get(link).into_iter().flatten() {
                if let Some(Fact::Slot { on_call: slot_on_call, during, .. }) = self.records.get(slot).map(Box::as_ref)
                    && (*on_call || *slot_on_call)
                {
                    on_duty |= moments.within(*during);
                }
            }
            if on_duty {
                let before = places.len();
                places.extend(actors.iter().filter(|actor| actor.is("Location")).cloned());
                if places.len() == before {
                    places.extend(role_places.iter().cloned());
                }
            }
        }
        places
    }

    /// The patients who have to do with the hospital.
    pub(super) fn related_to_hospital(&self, settings: &CareSettings, moments: &mut Moments) -> Related {
        let of = |patient: &Link| Some((patient.resource_id()?, self.of_hospital(patient, settings, moments)));
        self.of_hospital.keys().filter_map(of).filter(|(_, relations)| !relations.is_empty()).collect()
    }

    /// How a patient has to do with the hospital.
    pub(crate) fn of_hospital(&self, patient: &Link, settings: &CareSettings, moments: &mut Moments) -> RelationSet {
        let mut relations = RelationSet::NONE;
        for link in self.of_hospital.get(patient).into_iter().flatten() {
            match self.records.get(link).map(Box::as_ref) {
                Some(Fact::Stay { state, during, .. }) => {
                    let here = if *state == State::Going { window_of_stay(*state, *during, settings) } else { *during };
                    if moments.within(here) {
                        relations.insert(Relation::Inpatient);
                    }
                }
                Some(Fact::Order { kind, written, until, .. }) => {
                    let (days, relation) = match kind {
                        OrderKind::Prescription => (settings.prescription_days, Relation::Prescription),
                        _ => (settings.order_days, Relation::OpenOrder),
                    };
                    if moments.within(window_of_order(*written, *until, days)) {
                        relations.insert(relation);
                    }
                }
                _ => {}
            }
        }
        relations
    }

    /// Patients who may have to do with the hospital at some moment.
    pub(crate) fn patients_of_hospital(&self) -> impl Iterator<Item = ResourceId> {
        self.of_hospital.keys().filter_map(Link::resource_id)
    }
}
