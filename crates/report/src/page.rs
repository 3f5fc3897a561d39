//! The report as page data: what a page of a portal shows, with codes for programs beside the words for people. Documented in
//! `docs/patient-report.md`.

use crate::{Access, AccessReport, Language, Line, ReportSettings, Standing, What, ground_words, texts, words};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tacet_policy::Category;
use tacet_types::civil_from_days;

/// The report in JSON, with accesses one by one from `offset` on, at most `count`.
pub fn page(
    report: &AccessReport,
    settings: &ReportSettings,
    language: Language,
    offset: usize,
    count: usize,
) -> Value {
    let summary = report.summary;
    let subject = &report.subject;
    let gaps: Vec<Value> = texts::gaps(report, settings, language)
        .into_iter()
        .map(|gap| json!({ "code": gap.code, "count": gap.count, "text": gap.text }))
        .collect();
    let items: Vec<Value> =
        report.accesses.iter().skip(offset).take(count).map(|found| access(found, report, language)).collect();
    json!({
        "language": language.tag(),
        "title": texts::title(language),
        "hospital": settings.hospital,
        "patient": { "id": subject.patient.as_str(), "name": subject.name },
        "period": { "from": subject.from.to_string(), "to": subject.to.to_string(), "time_zone": settings.zone.name() },
        "summary": {
            "text": texts::summary(report, language),
            "persons": summary.persons,
            "accesses": summary.accesses,
            "by_persons": summary.by_persons,
            "by_patient": summary.by_patient,
            "by_machines": summary.by_machines,
            "emergencies": summary.emergencies,
            "exports": summary.exports,
            "refused": summary.refused,
        },
        "persons": actors(report, true, language),
        "machines": actors(report, false, language),
        "gaps": gaps,
        "complaint": texts::complaint(settings, language),
        "accesses": { "total": report.accesses.len(), "offset": offset, "items": items },
    })
}

fn actors(report: &AccessReport, human: bool, language: Language) -> Vec<Value> {
    let actor = |(place, actor, lines): (usize, &crate::Actor, &[Line])| {
        let standing = match actor.standing {
            Standing::Person => "person",
            Standing::Own => "own",
            Standing::Machine => "machine",
            Standing::Unknown => "unknown",
        };
        json!({
            "number": place + 1,
            "name": actor.name,
            "display": texts::named(actor, place + 1, language),
            "standing": standing,
            "role": actor.role,
            "role_text": texts::standing(actor, language),
            "said_by": actor.said_by,
            "accesses": lines.iter().map(|line| line.accesses).sum::<usize>(),
            "days": lines.iter().map(|line| self::line(line, language)).collect::<Vec<_>>(),
        })
    };
    report.actors_of(human).map(actor).collect()
}

fn line(line: &Line, language: Language) -> Value {
    let mut value = what(&line.what, &line.categories, line.records, language);
    if let Some(value) = value.as_object_mut() {
        value.insert("day".into(), json!(iso(line.day)));
        value.insert("first".into(), json!(line.first.to_string()));
        value.insert("last".into(), json!(line.last.to_string()));
        value.insert("accesses".into(), json!(line.accesses));
        value.insert("text".into(), json!(texts::deed(&line.what, line.accesses, line.records, language)));
    }
    value
}

/// A day as programs write it, out of days since 1970.
fn iso(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn access(access: &Access, report: &AccessReport, language: Language) -> Value {
    let mut value = what(&access.what, &access.categories, access.records, language);
    if let Some(value) = value.as_object_mut() {
        let display = report.actors.get(access.actor).map(|actor| texts::named(actor, access.actor + 1, language));
        value.insert("entry".into(), json!(access.index));
        value.insert("at".into(), json!(access.at.to_string()));
        value.insert("who".into(), json!(access.actor + 1));
        value.insert("display".into(), json!(display));
        value.insert("text".into(), json!(texts::deed(&access.what, 1, access.records, language)));
    }
    value
}

fn what(what: &What, categories: &BTreeSet<Category>, records: usize, language: Language) -> Value {
    let categories: Vec<Value> = (categories.iter())
        .map(|category| json!({ "code": category.as_str(), "text": language.of(words::category(*category)) }))
        .collect();
    json!({
        "kind": what.kind.as_str(),
        "outcome": what.outcome.as_str(),
        "emergency": what.is_emergency(),
        "records": records,
        "categories": categories,
        "purpose": what.purpose.as_str(),
        "ground": what.ground,
        "ground_text": what.ground.as_deref().map(|ground| ground_words(ground, language)),
        "why": texts::why(what, language),
        "place": what.place.map(|place| language.of(words::place(place))),
        "app": what.app,
        "reason": what.reason,
    })
}
