//! Reading a Consent: what is understood, and what becomes of what is not.

use super::{ConsentFacts, Datum, Provision};
use crate::facts::read::{codings, each, link, period, period_of};
use crate::facts::{Link, Span};
use tacet_fhir::json::Json;
use tacet_fhir::security::label_of;
use tacet_types::{Labels, ResourceId, ResourceType};

/// What kind of consent it is.
const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";

/// Categories of consents about privacy, of LOINC and of HL7, for consents whose scope we do not know.
const PRIVACY_CATEGORIES: [&str; 11] =
    ["59284-0", "57016-8", "57017-6", "64292-6", "IDSCL", "INFA", "INFAO", "INFASO", "INFAUTHID", "NPP", "IRDSCL"];

/// Purposes that we know.
const PURPOSES: [&str; 2] = ["http://terminology.hl7.org/CodeSystem/v3-ActReason", "http://hl7.org/fhir/v3/ActReason"];

/// Codes of resource types, of `provision.class`.
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// Roles of an actor in a rule that make it the one who receives: the only one that PCF has, and its narrower one.
const RECIPIENT: [&str; 2] = ["IRCP", "PRCP"];

/// Most rules below the root, actors of a rule, and records that it names.
const MANY: usize = 200;

/// What a Consent says; none if it is not in force or not about privacy.
pub(crate) fn read(_id: &ResourceId, resource: &Json<'_>) -> Option<ConsentFacts> {
    if resource.get_str("status")? != "active" {
        return None;
    }
    let patient = link(resource, "patient", &["Patient"])?;
    let of_scope = |code: &str| {
        codings(resource, "scope")
            .any(|coding| coding.get_str("system") == Some(SCOPE) && coding.get_str("code") == Some(code))
    };
    let certain = of_scope("patient-privacy");
    if !certain {
        let other = ["research", "adr", "treatment"].into_iter().any(of_scope);
        let about_privacy = codings(resource, "category")
            .any(|coding| coding.get_str("code").is_some_and(|code| PRIVACY_CATEGORIES.contains(&code)));
        if other || !about_privacy {
            return None;
        }
    }
    // Without a rule of its own it refers to a policy that we cannot read.
    let root = resource.get("provision").filter(|provision| provision.is_object())?;
    let mut nested: Vec<Provision> = each(root, "provision").take(MANY + 1).map(|item| provision(item, true)).collect();
    let mut read = provision(root, false);
    if nested.len() > MANY {
        // Too many rules to know what it says: nothing is opened.
        nested.clear();
        (read.void, read.unclear) = (false, true);
    }
    let during = Span(read.during.0, read.during.1);
    Some(ConsentFacts { patient, certain, during, root: read, nested })
}

/// Something that narrows a rule.
enum Narrowing<T> {
    /// It is not there.
    None,
    Only(T),
    /// It is there, and not understood.
    Unclear,
}

/// Reads a rule. `nested`: rules below it are not understood (PCF has none).
fn provision(value: &Json<'_>, nested: bool) -> Provision {
    // A rule without a type says nothing about permission; taken as a denial it cannot open anything.
    let permit = value.get_str("type") == Some("permit");
    let mut rule = Provision {
        permit,
        void: false,
        unclear: false,
        during: Span::ALWAYS,
        purposes: Vec::new(),
        actors: None,
        types: None,
        labels: None,
        data: Vec::new(),
        within: None,
    };
    // Whom, what for and when: not understood, a permit says nothing.
    let void = &mut rule.void;
    let mut settle = |clear: bool| *void |= permit && !clear;
    match period(value, "period") {
        Some(span) => rule.during = span,
        None => settle(false),
    }
    match purposes(value, permit) {
        Narrowing::None => {}
        Narrowing::Only(codes) => rule.purposes = codes,
        Narrowing::Unclear => settle(false),
    }
    match actors(value, permit) {
        Narrowing::None => {}
        Narrowing::Only(links) => rule.actors = Some(links),
        Narrowing::Unclear => settle(false),
    }
    settle(is_about_seeing(value));
    // What of: not understood, a permit opens nothing and a denial is of everything.
    let mut unclear = value.get("code").is_some() || (nested && value.get("provision").is_some() && permit);
    match types(value) {
        Narrowing::None => {}
        Narrowing::Only(names) => rule.types = Some(names),
        Narrowing::Unclear => unclear |= permit,
    }
    match labels(value, permit) {
        Narrowing::None => {}
        Narrowing::Only(labels) => rule.labels = Some(labels.bits()),
        Narrowing::Unclear => unclear |= permit,
    }
    match data(value) {
        Narrowing::None => {}
        Narrowing::Only(data) => rule.data = data,
        Narrowing::Unclear => unclear |= permit,
    }
    match value.get("dataPeriod").map(period_of) {
        None => {}
        Some(Some(span)) => rule.within = Some(span),
        Some(None) => unclear |= permit,
    }
    // `code` narrows a denial too, to what we cannot tell: it is then without that narrowing, as it stands.
    rule.unclear = permit && unclear;
    rule
}

/// Purposes of a rule. One of another system is kept as `system|code`, so that a permit for it is for who names it so. A denial for it is for
/// any purpose, since it may be the local word for one that we know.
fn purposes(value: &Json<'_>, permit: bool) -> Narrowing<Vec<String>> {
    let mut codes = Vec::new();
    let mut unclear = false;
    for coding in each(value, "purpose") {
        match (coding.get_str("system"), coding.get_str("code")) {
            _ if codes.len() >= MANY => unclear = true,
            (Some(system), Some(code)) if PURPOSES.contains(&system) => codes.push(code.to_owned()),
            (Some(system), Some(code)) if permit => codes.push(format!("{system}|{code}")),
            _ => unclear = true,
        }
    }
    match (codes.is_empty(), unclear) {
        (true, false) => Narrowing::None,
        // What a permit names besides a purpose that we cannot read, it permits.
        (false, true) if permit => Narrowing::Only(codes),
        (_, true) => Narrowing::Unclear,
        (false, false) => Narrowing::Only(codes),
    }
}

fn actors(value: &Json<'_>, permit: bool) -> Narrowing<Vec<Link>> {
    let mut links = Vec::new();
    let mut unclear = false;
    let mut any = false;
    for actor in each(value, "actor") {
        any = true;
        let mut roles = codings(actor, "role").peekable();
        let receives = roles.peek().is_none() && actor.get("role").is_none()
            || roles.any(|coding| coding.get_str("code").is_some_and(|code| RECIPIENT.contains(&code)));
        let who = actor.get("reference").and_then(|reference| Link::parse(reference.get_str("reference")?));
        match who.filter(|_| receives && links.len() < MANY) {
            Some(who) => links.push(who),
            None => unclear = true,
        }
    }
    match (any, unclear) {
        (false, _) => Narrowing::None,
        // Whom a permit names besides somebody that we cannot find, it permits.
        (true, true) if !permit || links.is_empty() => Narrowing::Unclear,
        _ => Narrowing::Only(links),
    }
}

/// Whether a rule is about receiving information: one about collecting or correcting it opens nothing.
fn is_about_seeing(value: &Json<'_>) -> bool {
    value.get("action").is_none()
        || codings(value, "action").any(|coding| matches!(coding.get_str("code"), Some("access" | "use" | "disclose")))
}

fn types(value: &Json<'_>) -> Narrowing<Vec<String>> {
    if value.get("class").is_none() {
        return Narrowing::None;
    }
    let mut names = Vec::new();
    for coding in each(value, "class") {
        let known = coding.get_str("code").and_then(ResourceType::parse);
        match known.filter(|_| coding.get_str("system") == Some(RESOURCE_TYPES)) {
            Some(known) => names.push(known.as_str().to_owned()),
            None => return Narrowing::Unclear,
        }
    }
    Narrowing::Only(names)
}

/// Sensitivities that data may have whose confidentiality is `R`.
fn sensitivities() -> Labels {
    [
        Labels::HIV,
        Labels::PSYCHIATRY,
        Labels::SUBSTANCE_USE,
        Labels::SEXUAL_HEALTH,
        Labels::VIOLENCE,
        Labels::GENETICS,
        Labels::MINOR,
        Labels::OTHER,
    ]
    .into_iter()
    .fold(Labels::RESTRICTED, Labels::and)
}

/// The labels of a rule: a ceiling for what is permitted, those that are withheld for what is denied.
fn labels(value: &Json<'_>, permit: bool) -> Narrowing<Labels> {
    let mut codings = each(value, "securityLabel").map(label_of).peekable();
    if codings.peek().is_none() {
        return if value.get("securityLabel").is_none() { Narrowing::None } else { Narrowing::Unclear };
    }
    if !permit {
        let all: Vec<Labels> = codings.collect();
        if all.iter().any(|labels| labels.is_empty()) {
            // Normal data are denied, and so are those that are more confidential.
            return Narrowing::Unclear;
        }
        let denied = all.into_iter().fold(Labels::NONE, Labels::and);
        let more = if denied.meets(Labels::RESTRICTED) { Labels::VERY_RESTRICTED } else { Labels::NONE };
        return Narrowing::Only(denied.and(more));
    }
    let (mut ceiling, mut understood) = (Labels::INLINE, false);
    for label in codings {
        understood |= !label.meets(Labels::OTHER);
        ceiling = ceiling.and(match label {
            Labels::OTHER => Labels::NONE,
            Labels::RESTRICTED => sensitivities(),
            Labels::VERY_RESTRICTED => sensitivities().and(Labels::VERY_RESTRICTED),
            Labels::NONE => Labels::NONE,
            // Data of a sensitivity are marked as restricted because of it.
            sensitivity => sensitivity.and(Labels::RESTRICTED),
        });
    }
    if understood { Narrowing::Only(ceiling) } else { Narrowing::Unclear }
}

fn data(value: &Json<'_>) -> Narrowing<Vec<Datum>> {
    let mut data = Vec::new();
    let mut any = false;
    for item in each(value, "data") {
        any = true;
        let what = item.get("reference").and_then(|reference| Link::parse(reference.get_str("reference")?));
        let (itself, referring) = match item.get_str("meaning") {
            Some("instance") => (true, false),
            Some("related" | "dependents") => (true, true),
            Some("authoredby") => (false, true),
            _ => return Narrowing::Unclear,
        };
        match what.filter(|_| data.len() < MANY) {
            Some(what) => data.push(Datum { itself, referring, what }),
            None => return Narrowing::Unclear,
        }
    }
    if any { Narrowing::Only(data) } else { Narrowing::None }
}
