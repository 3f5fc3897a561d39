//! What happens with a patient: stays, appointments, orders, teams, episodes.

use super::read::{codings, date, each, flags_of_codings, has_code, link, links, parts, period, period_of, stored_ms};
use super::{Fact, KEPT_AFTER_END_MS, LINKS_MAX, Link, OrderKind, Part, Span, State, flag};
use tacet_fhir::json::Json;

const PATIENT: &[&str] = &["Patient"];

/// Who can stand for members of staff.
const STAFF: &[&str] = &["Practitioner", "PractitionerRole", "CareTeam", "Organization"];

/// Named persons and their roles.
const PERSONS: &[&str] = &["Practitioner", "PractitionerRole"];

/// Classes of encounters that occupy a bed or a box (v3-ActCode, `ActEncounterCode`).
const INPATIENT: [&str; 6] = ["IMP", "ACUTE", "NONAC", "OBSENC", "EMER", "SS"];

/// Special courtesies (v3-EncounterSpecialCourtesy) that make a flag.
const COURTESY: &str = "http://terminology.hl7.org/CodeSystem/v3-EncounterSpecialCourtesy";

/// Codes by which a request is a referral: SNOMED CT "patient referral", "referral to service", and in words.
const REFERRAL: [&str; 3] = ["3457005", "306206005", "referral"];

/// Categories of requests to the laboratory or to imaging: SNOMED CT, diagnostic services of HL7 v2 (table 0074), and in words.
const EXAMINATION: [&str; 12] =
    ["108252007", "363679005", "103693007", "LAB", "RAD", "IMG", "laboratory", "imaging", "MB", "HM", "CH", "lab"];

/// Systems whose codes name examinations of the laboratory or of imaging.
const EXAMINATION_SYSTEM: &str = "http://loinc.org";

pub(super) fn encounter(resource: &Json<'_>) -> Option<Fact> {
    let patient = link(resource, "subject", PATIENT)?;
    let plans = plans(resource);
    let mut state = match resource.get_str("status") {
        Some("planned") => State::Ahead,
        Some("arrived" | "triaged" | "in-progress" | "onleave") => State::Going,
        Some("finished") => State::Ended,
        _ => return only_plans(patient, plans),
    };
    let Some(mut during) = period(resource, "period") else { return only_plans(patient, plans) };
    if state == State::Ended && during.1 == i64::MAX {
        // Finished without saying when: at the latest when it was stored so.
        let known = each(resource, "statusHistory").filter_map(|item| period(item, "period"));
        let latest = known.map(|span| span.1).filter(|end| *end != i64::MAX).max();
        let Some(end) = latest.or_else(|| stored_ms(resource)) else { return only_plans(patient, plans) };
        during.1 = end.max(during.0);
    }
    if during.0 == i64::MIN && state == State::Going {
        // Going on since it is not known when: at least since it was stored so.
        during.0 = stored_ms(resource).unwrap_or(i64::MIN).min(during.1);
    }
    if state == State::Going && during.1 != i64::MAX {
        // Going on, with an end: until that end.
        state = State::Ended;
    }
    let here = |item: &&Json<'_>| !matches!(item.get_str("status"), Some("planned" | "reserved"));
    let place = |item: &Json<'_>| {
        Some(Part { who: link(item, "location", &["Location"])?, during: period(item, "period")?.meet(during)? })
    };
    let courtesies = resource.get("hospitalization");
    let courtesies = courtesies.into_iter().flat_map(|part| codings(part, "specialCourtesy"));
    let courtesy_flags = |coding: &Json<'_>| match (coding.get_str("system"), coding.get_str("code")) {
        (Some(COURTESY), Some("VIP")) => flag::VIP,
        (Some(COURTESY), Some("STF")) => flag::STAFF,
        _ => 0,
    };
    Some(Fact::Stay {
        patient,
        state,
        inpatient: resource
            .get("class")
            .is_some_and(|class| class.get_str("code").is_some_and(|code| INPATIENT.contains(&code))),
        during,
        staff: parts(resource, "participant", "individual", PERSONS),
        places: each(resource, "location").filter(here).filter_map(place).take(LINKS_MAX).collect(),
        provider: link(resource, "serviceProvider", &["Organization"]),
        flags: courtesies.map(courtesy_flags).fold(0, |all, flags| all | flags),
        plans,
    })
}

/// Until when an encounter tells of something that lies ahead though its own period may not: it is planned, and need not say for when; or a
/// place is reserved, or to be gone to later.
fn plans(resource: &Json<'_>) -> i64 {
    match resource.get_str("status") {
        Some("finished" | "cancelled" | "entered-in-error") => return i64::MIN,
        Some("arrived" | "triaged" | "in-progress" | "onleave") => {}
        // Planned, of unknown state, or of none that we know: its period tells when, if it has one.
        _ if !resource.get("period").and_then(period_of).is_some_and(|span| span != Span::ALWAYS) => return i64::MAX,
        _ => {}
    }
    let place = |item: &Json<'_>| match (item.get_str("status"), item.get("period")) {
        (Some("planned" | "reserved"), _) => i64::MAX,
        (_, None) => i64::MIN,
        (_, Some(span)) if span.get("start").is_none() => i64::MIN,
        (_, Some(span)) => date(span, "start").map_or(i64::MAX, |start| start.low_ms),
    };
    each(resource, "location").map(place).max().unwrap_or(i64::MIN)
}

/// An encounter that makes no relation, and is kept because it tells of what lies ahead.
fn only_plans(patient: Link, plans: i64) -> Option<Fact> {
    (plans != i64::MIN).then_some(Fact::Stay {
        patient,
        state: State::Ahead,
        inpatient: false,
        during: Span::ALWAYS,
        staff: Vec::new(),
        places: Vec::new(),
        provider: None,
        flags: 0,
        plans,
    })
}

pub(super) fn appointment(resource: &Json<'_>) -> Option<Fact> {
    if !matches!(resource.get_str("status")?, "booked" | "pending" | "arrived" | "checked-in" | "fulfilled") {
        return None;
    }
    let takes_part = |item: &&Json<'_>| item.get_str("status") != Some("declined");
    let (mut patients, mut staff) = (Vec::new(), Vec::new());
    for item in each(resource, "participant").filter(takes_part).take(LINKS_MAX) {
        patients.extend(link(item, "actor", PATIENT));
        staff.extend(link(item, "actor", PERSONS));
    }
    let span = match (date(resource, "start"), date(resource, "end")) {
        (Some(start), Some(end)) if start.low_ms <= end.high_ms => Some(Span(start.low_ms, end.high_ms)),
        (Some(only), _) | (None, Some(only)) => Some(Span(only.low_ms, only.high_ms)),
        (None, None) => each(resource, "requestedPeriod").find_map(period_of),
    };
    // Without an end on either side it is no appointment "within days".
    let during = span.filter(|span| span.0 != i64::MIN && span.1 != i64::MAX)?;
    (!patients.is_empty() && !staff.is_empty()).then_some(Fact::Meeting { patients, staff, during })
}

pub(super) fn service_request(resource: &Json<'_>) -> Option<Fact> {
    let patient = link(resource, "subject", PATIENT)?;
    if matches!(resource.get_str("intent"), Some("proposal" | "option")) {
        return None;
    }
    let state = state_of_request(resource)?;
    let kind = if ["category", "code"].iter().any(|name| has_code(resource, name, &REFERRAL)) {
        OrderKind::Referral
    } else if has_code(resource, "category", &EXAMINATION)
        || codings(resource, "code").any(|coding| coding.get_str("system") == Some(EXAMINATION_SYSTEM))
    {
        OrderKind::Examination
    } else {
        OrderKind::Plain
    };
    let until = each(resource, "occurrencePeriod").find_map(period_of).map(|span| span.1);
    Some(Fact::Order {
        patient,
        kind,
        state,
        written: written_ms(resource)?,
        until: until.filter(|end| *end != i64::MAX),
        by: links(resource, "requester", PERSONS),
        to: links(resource, "performer", STAFF),
    })
}

pub(super) fn medication_request(resource: &Json<'_>) -> Option<Fact> {
    let patient = link(resource, "subject", PATIENT)?;
    if matches!(resource.get_str("intent"), Some("proposal" | "option")) {
        return None;
    }
    let validity = resource.get("dispenseRequest").and_then(|request| request.get("validityPeriod"));
    let until = validity.and_then(period_of).map(|span| span.1);
    Some(Fact::Order {
        patient,
        kind: OrderKind::Prescription,
        state: state_of_request(resource)?,
        written: written_ms(resource)?,
        until: until.filter(|end| *end != i64::MAX),
        by: links(resource, "requester", PERSONS),
        to: links(resource, "performer", STAFF),
    })
}

/// How far a request has come; none if it was never more than a draft, or is void.
fn state_of_request(resource: &Json<'_>) -> Option<State> {
    match resource.get_str("status")? {
        "active" | "on-hold" => Some(State::Going),
        "completed" => Some(State::Ended),
        _ => None,
    }
}

/// When a request was written: what it says, or when it was stored. Not later than the latter, where that is known.
fn written_ms(resource: &Json<'_>) -> Option<i64> {
    let said = date(resource, "authoredOn").map(|range| range.low_ms);
    match (said, stored_ms(resource)) {
        (Some(said), Some(stored)) => Some(said.min(stored)),
        (said, stored) => said.or(stored),
    }
}

pub(super) fn care_team(resource: &Json<'_>) -> Option<Fact> {
    if resource.get_str("status")? != "active" {
        return None;
    }
    let mut members = parts(resource, "participant", "member", STAFF);
    members.retain(|part| part.during.0 <= part.during.1);
    let patient = link(resource, "subject", PATIENT);
    (!members.is_empty()).then_some(Fact::Team { patient, during: period(resource, "period")?, members })
}

pub(super) fn episode(resource: &Json<'_>) -> Option<Fact> {
    let patient = link(resource, "patient", PATIENT)?;
    let mut during = period(resource, "period")?;
    match resource.get_str("status")? {
        "active" | "onhold" => {}
        "finished" => {
            during.1 = during.1.min(stored_ms(resource).unwrap_or(during.0.saturating_add(KEPT_AFTER_END_MS)))
        }
        _ => return None,
    }
    let mut team = links(resource, "careManager", PERSONS);
    team.extend(links(resource, "team", &["CareTeam"]));
    (during.0 <= during.1 && !team.is_empty()).then_some(Fact::Episode { patient, during, team })
}

/// Flags that codes of a Flag make.
pub(super) fn flags_of(resource: &Json<'_>) -> u8 {
    flags_of_codings(codings(resource, "code").chain(codings(resource, "category")))
}
