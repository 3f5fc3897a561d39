//! Reading parts of a resource that may be there, may be odd, and may be many.

use super::{LINKS_MAX, Link, Part, Span, flag};
use tacet_fhir::json::Json;
use tacet_fhir::search::DateRange;
use tacet_fhir::security::label_of;
use tacet_types::Labels;

/// The items of a member, or the member itself where it is no array.
pub(crate) fn each<'v, 'a>(value: &'v Json<'a>, name: &str) -> impl Iterator<Item = &'v Json<'a>> {
    value.get(name).into_iter().flat_map(Json::iter)
}

/// The record that a member's reference means, if it is of one of these types.
pub(crate) fn link(value: &Json<'_>, name: &str, kinds: &[&str]) -> Option<Link> {
    reference(value.get(name)?, kinds)
}

/// The record that a reference means, if it is of one of these types.
pub(crate) fn reference(value: &Json<'_>, kinds: &[&str]) -> Option<Link> {
    Link::parse(value.get_str("reference")?).filter(|link| kinds.contains(&link.kind()))
}

/// The records that a member's references mean, those of these types, each once.
pub(crate) fn links(value: &Json<'_>, name: &str, kinds: &[&str]) -> Vec<Link> {
    let mut links: Vec<Link> = each(value, name).filter_map(|item| reference(item, kinds)).take(LINKS_MAX).collect();
    links.sort_unstable();
    links.dedup();
    links
}

/// The codings of a concept member, of all its items.
pub(crate) fn codings<'v, 'a>(value: &'v Json<'a>, name: &str) -> impl Iterator<Item = &'v Json<'a>> {
    each(value, name).flat_map(|concept| each(concept, "coding"))
}

/// Whether a concept member has one of these codes, of whatever system.
pub(crate) fn has_code(value: &Json<'_>, name: &str, codes: &[&str]) -> bool {
    codings(value, name).any(|coding| coding.get_str("code").is_some_and(|code| codes.contains(&code)))
}

/// The first and the last millisecond of a date.
pub(crate) fn date(value: &Json<'_>, name: &str) -> Option<DateRange> {
    DateRange::parse(value.get_str(name)?)
}

/// The span of a `Period` member: all time where there is none. `None` where it has an end or a start that we cannot read.
pub(crate) fn period(value: &Json<'_>, name: &str) -> Option<Span> {
    match value.get(name) {
        None => Some(Span::ALWAYS),
        Some(period) => period_of(period),
    }
}

/// The span of a `Period`; `None` where it has an end or a start that we cannot read, or ends before it starts.
pub(crate) fn period_of(period: &Json<'_>) -> Option<Span> {
    if !period.is_object() {
        return None;
    }
    let end = |name: &str| match period.get(name) {
        None => Some(None),
        Some(_) => date(period, name).map(Some),
    };
    let (start, stop) = (end("start")?, end("end")?);
    let span = Span(start.map_or(i64::MIN, |range| range.low_ms), stop.map_or(i64::MAX, |range| range.high_ms));
    (span.0 <= span.1).then_some(span)
}

/// Those of a member's items that name somebody under `who`, with the time for which they do.
pub(crate) fn parts(value: &Json<'_>, name: &str, who: &str, kinds: &[&str]) -> Vec<Part> {
    let part = |item: &Json<'_>| Some(Part { who: link(item, who, kinds)?, during: period(item, "period")? });
    each(value, name).filter_map(part).take(LINKS_MAX).collect()
}

/// When the server stored this version.
pub(crate) fn stored_ms(resource: &Json<'_>) -> Option<i64> {
    tacet_fhir::resource::last_updated(resource).map(|at| at.as_ms())
}

/// The flags that labels on a Patient make of the whole record.
pub(crate) fn flags_of_labels(labels: Labels) -> u8 {
    let restricted = Labels::RESTRICTED.and(Labels::VERY_RESTRICTED).and(Labels::WITHHELD_BY_PATIENT);
    let flags = [
        (Labels::DETAINED.and(Labels::TRANSPORT), flag::DETAINED),
        (Labels::VIP, flag::VIP),
        (Labels::STAFF, flag::STAFF),
        (restricted, flag::RESTRICTED),
    ];
    flags.into_iter().filter(|(of, _)| labels.meets(*of)).fold(0, |all, (_, flag)| all | flag)
}

/// The flags that codes make: those of label systems that we know. A code of another system means something else.
pub(crate) fn flags_of_codings<'v, 'a: 'v>(codings: impl Iterator<Item = &'v Json<'a>>) -> u8 {
    // A system that we do not know is `OTHER`, which makes no flag.
    codings.map(|coding| flags_of_labels(label_of(coding))).fold(0, |all, flags| all | flags)
}
