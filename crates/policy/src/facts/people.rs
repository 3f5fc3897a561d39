//! Who people are: patients, staff, their roles and groups, and what is special about a patient.

use super::read::{each, flags_of_labels, link, links, period, period_of};
use super::{Fact, Hours, LINKS_MAX, courses};
use tacet_fhir::json::Json;
use tacet_fhir::security::labels_of;

/// Most identifiers of one person that are looked at.
const IDENTIFIERS_MAX: usize = 32;

/// Most spans of working hours, and of absence, of one role.
const HOURS_MAX: usize = 100;

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A bit for each day of the week.
const EVERY_DAY: u8 = 0x7F;

pub(super) fn patient(resource: &Json<'_>) -> Option<Fact> {
    let active = resource.get("active").and_then(Json::as_bool) != Some(false);
    let kinds = ["Practitioner", "PractitionerRole", "Organization"];
    let doctors = if active { links(resource, "generalPractitioner", &kinds) } else { Vec::new() };
    let (flags, identifiers) = (flags_of_labels(labels_of(resource)), identifiers(resource));
    (!doctors.is_empty() || flags != 0 || !identifiers.is_empty()).then_some(Fact::Patient {
        doctors,
        flags,
        identifiers,
    })
}

pub(super) fn practitioner(resource: &Json<'_>) -> Option<Fact> {
    let identifiers = identifiers(resource);
    let works = resource.get("active").and_then(Json::as_bool) != Some(false);
    (works && !identifiers.is_empty()).then_some(Fact::Practitioner { identifiers })
}

pub(super) fn person(resource: &Json<'_>) -> Option<Fact> {
    if resource.get("active").and_then(Json::as_bool) == Some(false) {
        return None;
    }
    let targets = |kind: &str| {
        each(resource, "link").filter_map(|item| link(item, "target", &[kind])).take(LINKS_MAX).collect::<Vec<_>>()
    };
    let (patients, staff) = (targets("Patient"), targets("Practitioner"));
    (!patients.is_empty() && !staff.is_empty()).then_some(Fact::Person { patients, staff })
}

pub(super) fn group(resource: &Json<'_>) -> Option<Fact> {
    let active = resource.get("active").and_then(Json::as_bool) != Some(false);
    let actual = resource.get("actual").and_then(Json::as_bool) != Some(false);
    let mut members = Vec::new();
    let stays = |item: &&Json<'_>| item.get("inactive").and_then(Json::as_bool) != Some(true);
    for item in each(resource, "member").filter(stays).take(LINKS_MAX) {
        let who = link(item, "entity", &["Practitioner", "PractitionerRole"]);
        if let (Some(who), Some(during)) = (who, period(item, "period")) {
            members.push(super::Part { who, during });
        }
    }
    (active && actual && !members.is_empty()).then_some(Fact::Group { members })
}

pub(super) fn flag(resource: &Json<'_>) -> Option<Fact> {
    let patient = link(resource, "subject", &["Patient"])?;
    let flags = courses::flags_of(resource);
    (resource.get_str("status") == Some("active") && flags != 0).then_some(Fact::Flag { patient, flags })
}

pub(super) fn role(resource: &Json<'_>) -> Option<Fact> {
    if resource.get("active").and_then(Json::as_bool) == Some(false) {
        return None;
    }
    let away = each(resource, "notAvailable").filter_map(|item| item.get("during")).filter_map(period_of);
    let mut hours: Vec<Hours> = each(resource, "availableTime").take(HOURS_MAX).filter_map(hours).collect();
    if hours.is_empty() && each(resource, "availableTime").next().is_some() {
        // Hours that we cannot read are not all hours.
        hours.push(Hours { days: 0, from_minutes: 0, to_minutes: 0 });
    }
    Some(Fact::Role {
        practitioner: link(resource, "practitioner", &["Practitioner"])?,
        organization: link(resource, "organization", &["Organization"]),
        places: links(resource, "location", &["Location"]),
        during: period(resource, "period")?,
        hours,
        away: away.take(HOURS_MAX).collect(),
    })
}

fn hours(item: &Json<'_>) -> Option<Hours> {
    let mut days = 0_u8;
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    for day in each(item, "daysOfWeek").filter_map(Json::as_str) {
        days |= names.iter().position(|name| *name == day).map_or(0, |place| 1 << place);
    }
    if item.get("daysOfWeek").is_none() {
        days = EVERY_DAY;
    }
    let minutes = |name: &str| item.get_str(name).and_then(minutes_of);
    let all_day = item.get("allDay").and_then(Json::as_bool) == Some(true);
    let (from, to) = match (all_day, item.get("availableStartTime"), item.get("availableEndTime")) {
        (true, ..) | (_, None, None) => (0, DAY_MINUTES),
        (_, start, end) => (
            if start.is_some() { minutes("availableStartTime")? } else { 0 },
            if end.is_some() { minutes("availableEndTime")? } else { DAY_MINUTES },
        ),
    };
    (days != 0).then_some(Hours { days, from_minutes: from, to_minutes: to })
}

/// Minutes from midnight of a `time` (`hh:mm:ss`); 23:59:59 and later is the end of the day.
fn minutes_of(time: &str) -> Option<u16> {
    let mut parts = time.split(':');
    let mut number = || -> Option<u16> {
        let text = parts.next().filter(|text| text.len() >= 2)?;
        text.get(..2)?.parse().ok()
    };
    let (hour, minute) = (number()?, number()?);
    let second = number().unwrap_or(0);
    let minutes = hour * 60 + minute;
    (hour < 24 && minute < 60).then_some(if minutes == DAY_MINUTES - 1 && second == 59 { DAY_MINUTES } else { minutes })
}

/// The identifiers of a person, each as a hash of system and value: enough to see that two are the same.
fn identifiers(resource: &Json<'_>) -> Vec<u64> {
    let one = |item: &Json<'_>| {
        let (system, value) = (item.get_str("system")?, item.get_str("value")?);
        (!system.is_empty() && !value.trim().is_empty()).then(|| fingerprint(system, value.trim()))
    };
    let mut all: Vec<u64> = each(resource, "identifier").filter_map(one).take(IDENTIFIERS_MAX).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): the same on every machine and in every version. Two identifiers that meet
/// by chance make a patient more confidential, never less.
fn fingerprint(system: &str, value: &str) -> u64 {
    let bytes = system.bytes().chain([b'|']).chain(value.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
