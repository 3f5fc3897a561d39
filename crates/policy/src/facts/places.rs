//! Places and the list of who is on call for them.

use super::read::{codings, date, each, link, links, period};
use super::{Fact, Span};
use tacet_fhir::json::Json;

/// Words by which a schedule or a slot is one of being on call, of whatever system: FHIR R4 has no code for it. French words as French rotas
/// have them.
const ON_CALL: [&str; 5] = ["on-call", "oncall", "on-duty", "garde", "astreinte"];

pub(super) fn place(resource: &Json<'_>) -> Option<Fact> {
    if resource.get_str("status") == Some("inactive") {
        return None;
    }
    Some(Fact::Place { part_of: link(resource, "partOf", &["Location", "Organization"])? })
}

pub(super) fn schedule(resource: &Json<'_>) -> Option<Fact> {
    if resource.get("active").and_then(Json::as_bool) == Some(false) {
        return None;
    }
    let actors = links(resource, "actor", &["Practitioner", "PractitionerRole", "Location"]);
    let during = period(resource, "planningHorizon")?;
    (!actors.is_empty()).then_some(Fact::Schedule { on_call: is_on_call(resource), actors, during })
}

pub(super) fn slot(resource: &Json<'_>) -> Option<Fact> {
    // `free` is an offer; in the others the person is taken.
    if !matches!(resource.get_str("status")?, "busy" | "busy-unavailable") {
        return None;
    }
    let (start, end) = (date(resource, "start")?.low_ms, date(resource, "end")?.high_ms);
    let schedule = link(resource, "schedule", &["Schedule"])?;
    (start <= end).then_some(Fact::Slot { on_call: is_on_call(resource), schedule, during: Span(start, end) })
}

fn is_on_call(resource: &Json<'_>) -> bool {
    let names = ["serviceType", "serviceCategory", "specialty", "appointmentType"];
    let said = |text: &str| ON_CALL.contains(&text.to_ascii_lowercase().as_str());
    names.iter().any(|name| {
        codings(resource, name).filter_map(|coding| coding.get_str("code")).any(said)
            || each(resource, name).filter_map(|concept| concept.get_str("text")).any(said)
    })
}
