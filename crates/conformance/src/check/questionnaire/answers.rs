//! What the answers to one question may be: their type, the options, and the bounds that extensions give.

use super::enabled::{is_equal, order};
use super::{extension, extensions, member, value};
use crate::check::Check;
use crate::codes::Membership;
use crate::place::Place;
use regex::RegexBuilder;
use std::cmp::Ordering;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::IssueType;
use tacet_fhir::reference::Reference;

/// Largest compiled form of a pattern that a questionnaire gives, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// The members that answers to a question of that type have; `None` where options decide.
fn members(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "boolean" => &["Boolean"],
        "decimal" => &["Decimal"],
        "integer" => &["Integer"],
        "date" => &["Date"],
        "dateTime" => &["DateTime"],
        "time" => &["Time"],
        "string" | "text" => &["String"],
        "url" => &["Uri"],
        "open-choice" => &["Coding", "String"],
        "attachment" => &["Attachment"],
        "reference" => &["Reference"],
        "quantity" => &["Quantity"],
        _ => return None,
    })
}

impl<'v> Check<'v> {
    /// The answers to a question.
    pub(super) fn answers(&mut self, question: &'v Json<'v>, kind: &str, answers: &'v [Json<'v>], place: &Place<'_>) {
        for (index, answer) in answers.iter().enumerate() {
            let here = place.child("answer", Some(index));
            if !self.step(&here) {
                return;
            }
            let Some((name, given)) = member(answer, "value") else { continue };
            if members(kind).is_some_and(|allowed| !allowed.contains(&name)) {
                self.error(IssueType::Structure, &here, || "an answer of another type than the question asks for");
                continue;
            }
            self.options(question, kind, name, given, answers.len(), &here);
            self.bounds(question, given, &here);
            match name {
                "String" => self.text(question, given.as_str().unwrap_or_default(), &here),
                "Decimal" => self.places(question, given.as_number().unwrap_or_default(), &here),
                "Attachment" => self.attachment_answer(question, given, &here),
                "Reference" => self.reference_answer(question, given, &here),
                "Quantity" => self.unit(question, given, &here),
                _ => {}
            }
        }
    }

    /// The answer is one of the options, or of the value set.
    fn options(
        &mut self,
        question: &'v Json<'v>,
        kind: &str,
        name: &str,
        given: &Json<'_>,
        count: usize,
        place: &Place<'_>,
    ) {
        let options = question.get("answerOption").map(Json::items).unwrap_or_default();
        let is_free = kind == "open-choice" && name == "String";
        if !options.is_empty() && !is_free {
            let found = options.iter().find(|option| value(option).is_some_and(|known| is_equal(given, known)));
            match found {
                None => self.error(IssueType::CodeInvalid, place, || "not one of the options of the question"),
                Some(option) => {
                    let exclusive = extension(option, "questionnaire-optionExclusive").and_then(Json::as_bool);
                    if exclusive == Some(true) && count > 1 {
                        let message = "an option that excludes all others is not the only answer";
                        self.error(IssueType::BusinessRule, place, || message);
                    }
                }
            }
        }
        if let Some(set) = question.get_str("answerValueSet").filter(|set| !set.starts_with('#'))
            && name == "Coding"
            && let Some(code) = given.get_str("code")
        {
            let system = given.get_str("system").unwrap_or_default();
            if self.context.terminology.member_of(set, Some(system), code) == Membership::No {
                self.error(IssueType::CodeInvalid, place, || format!("not a code of the value set {set}"));
            }
        }
    }

    fn bounds(&mut self, question: &'v Json<'v>, given: &Json<'_>, place: &Place<'_>) {
        for (name, wrong, message) in [
            ("minValue", Ordering::Less, "less than the questionnaire allows"),
            ("maxValue", Ordering::Greater, "more than the questionnaire allows"),
            ("sdc-questionnaire-minQuantity", Ordering::Less, "less than the questionnaire allows"),
            ("sdc-questionnaire-maxQuantity", Ordering::Greater, "more than the questionnaire allows"),
        ] {
            let Some(bound) = extension(question, name) else { continue };
            match order(given, bound) {
                Some(found) if found == wrong => self.error(IssueType::Value, place, || message),
                None if given.is_object() => {
                    let message = "has no unit that compares with the bound of the questionnaire";
                    self.error(IssueType::Value, place, || message);
                }
                _ => {}
            }
        }
    }

    fn text(&mut self, question: &'v Json<'v>, text: &str, place: &Place<'_>) {
        let number = |value: Option<&Json<'_>>| value.and_then(Json::as_i64).and_then(|is| usize::try_from(is).ok());
        let length = text.chars().count();
        if number(extension(question, "minLength")).is_some_and(|min| length < min) {
            self.error(IssueType::Value, place, || "shorter than the questionnaire allows");
        }
        if number(question.get("maxLength")).is_some_and(|max| length > max) {
            self.error(IssueType::TooLong, place, || "longer than the questionnaire allows");
        }
        if let Some(pattern) = extension(question, "regex").and_then(Json::as_str)
            && let Ok(pattern) = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build()
            && !pattern.is_match(text)
        {
            self.error(IssueType::Value, place, || "not of the form that the questionnaire asks for");
        }
    }

    fn places(&mut self, question: &'v Json<'v>, digits: &str, place: &Place<'_>) {
        let max = extension(question, "maxDecimalPlaces").and_then(Json::as_i64);
        let places = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if max.is_some_and(|max| i64::try_from(places).is_ok_and(|places| places > max)) {
            self.error(IssueType::Value, place, || "more decimal places than the questionnaire allows");
        }
    }

    fn attachment_answer(&mut self, question: &'v Json<'v>, given: &Json<'_>, place: &Place<'_>) {
        let mut types = extensions(question, "mimeType").filter_map(Json::as_str).peekable();
        if types.peek().is_some() && !types.any(|known| given.get_str("contentType") == Some(known)) {
            self.error(IssueType::Value, place, || "not of a content type that the questionnaire allows");
        }
        let max = extension(question, "maxSize").and_then(Json::as_number).and_then(|max| max.parse::<f64>().ok());
        let size = given.get("size").and_then(Json::as_number).and_then(|size| size.parse::<f64>().ok());
        let size = size.or_else(|| given.get_str("data").map(|data| super::super::values::decoded_bytes(data) as f64));
        if let (Some(max), Some(size)) = (max, size)
            && size > max
        {
            self.error(IssueType::TooLong, place, || "larger than the questionnaire allows");
        }
    }

    fn reference_answer(&mut self, question: &'v Json<'v>, given: &Json<'_>, place: &Place<'_>) {
        let mut allowed = extensions(question, "questionnaire-referenceResource").filter_map(Json::as_str).peekable();
        let named = given.get_str("reference").and_then(|text| Reference::parse(text).resource_type());
        if let Some(named) = named
            && allowed.peek().is_some()
            && !allowed.any(|known| known == named.as_str())
        {
            self.error(IssueType::Structure, place, || "not a reference to a type that the questionnaire allows");
        }
    }

    fn unit(&mut self, question: &'v Json<'v>, given: &Json<'_>, place: &Place<'_>) {
        let mut options = extensions(question, "questionnaire-unitOption").peekable();
        let is_unit = |known: &Json<'_>| {
            known.get_str("code") == given.get_str("code") && known.get_str("system") == given.get_str("system")
        };
        if options.peek().is_some() && !options.any(is_unit) {
            self.error(IssueType::CodeInvalid, place, || "not one of the units of the question");
        }
        if let Some(set) = extension(question, "questionnaire-unitValueSet").and_then(Json::as_str) {
            let member = given.get_str("code").map_or(Membership::No, |code| {
                let system = given.get_str("system").unwrap_or_default();
                self.context.terminology.member_of(set, Some(system), code)
            });
            if member == Membership::No {
                self.error(IssueType::CodeInvalid, place, || "not a unit of the value set of the question");
            }
        }
    }
}
