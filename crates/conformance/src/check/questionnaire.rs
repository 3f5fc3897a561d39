//! Responses to questionnaires, held against the questionnaire that they name
//! (<https://hl7.org/fhir/R4/questionnaireresponse.html#notes>): which items stand where, how often, whether they are
//! enabled, and what their answers may be.

mod answers;
mod enabled;

use super::{Check, Scope};
use crate::place::Place;
use enabled::Given;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{IssueType, Severity};

/// The extensions of items begin so.
const EXTENSION: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Those of the guide for structured data capture, which later versions of the standard took over.
const SDC_EXTENSION: &str = "http://hl7.org/fhir/uv/sdc/StructureDefinition/";
/// Deepest nesting of items.
const DEPTH_MAX: usize = 32;

/// What is the same for all items of one response.
struct Response<'v> {
    given: Given<'v>,
    /// Whether answers may still be missing.
    is_unfinished: bool,
}

impl<'v> Check<'v> {
    /// A response against its questionnaire, where that is known.
    pub(super) fn questionnaire_response(&mut self, response: &'v Json<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        let here = place.child("questionnaire", None);
        let Some(canonical) = response.get_str("questionnaire") else {
            let message = "no questionnaire is named: the answers were not checked";
            return self.report(Severity::Warning, IssueType::Required, &here, || message);
        };
        let packages = self.packages;
        let found = if canonical.starts_with('#') {
            scope.find(canonical, self.fetched).map(|(found, _, _)| found)
        } else {
            packages.definition("Questionnaire", canonical)
        };
        let Some(questionnaire) = found.filter(|found| found.resource_type() == Some("Questionnaire")) else {
            if found.is_some() || packages.is_other("Questionnaire", canonical) || is_standard_other(canonical) {
                return self.error(IssueType::Value, &here, || "what is named is not a questionnaire");
            }
            let message = "the questionnaire is not known: the answers were not checked";
            return self.report(Severity::Warning, IssueType::NotFound, &here, || message);
        };
        let is_unfinished = matches!(response.get_str("status"), Some("in-progress" | "stopped" | "entered-in-error"));
        let all = Response { given: Given::of(response), is_unfinished };
        self.items(questionnaire, response, &all, place, 0);
    }

    /// The items in a response or one of its items, against those of the questionnaire there.
    fn items(&mut self, asked: &'v Json<'v>, given: &'v Json<'v>, all: &Response<'v>, place: &Place<'_>, depth: usize) {
        if depth > DEPTH_MAX || !self.step(place) {
            return;
        }
        let questions = asked.get("item").map(Json::items).unwrap_or_default();
        let items = given.get("item").map(Json::items).unwrap_or_default();
        let mut last = 0;
        for (index, item) in items.iter().enumerate() {
            let here = place.child("item", Some(index));
            let link = item.get_str("linkId").unwrap_or_default();
            match questions.iter().position(|question| question.get_str("linkId") == Some(link)) {
                None => self.error(IssueType::Structure, &here, || "the questionnaire has no such item here"),
                Some(at) if at < last => {
                    self.error(IssueType::Structure, &here, || "the items do not stand in the questionnaire's order");
                }
                Some(at) => last = at,
            }
        }
        for question in questions {
            let link = question.get_str("linkId");
            let of_question: Vec<(usize, &'v Json<'v>)> =
                items.iter().enumerate().filter(|(_, item)| item.get_str("linkId") == link).collect();
            self.question(question, &of_question, all, place, depth);
        }
    }

    fn question(
        &mut self,
        question: &'v Json<'v>,
        items: &[(usize, &'v Json<'v>)],
        all: &Response<'v>,
        place: &Place<'_>,
        depth: usize,
    ) {
        let kind = question.get_str("type").unwrap_or_default();
        let is_true = |name: &str| question.get(name).and_then(Json::as_bool) == Some(true);
        let place_of = |index: usize| place.child("item", Some(index));
        if !all.given.is_enabled(question) {
            for (index, item) in items {
                if item.get("answer").is_some() || item.get("item").is_some() {
                    let message = "has an answer although the questionnaire does not ask for it in this case";
                    self.error(IssueType::BusinessRule, &place_of(*index), || message);
                }
            }
            return;
        }
        if let Some((index, _)) = items.get(1)
            && !(kind == "group" && is_true("repeats"))
        {
            self.error(IssueType::Structure, &place_of(*index), || "this item may be given only once");
        }
        let mut count = 0;
        for (index, item) in items {
            let here = place_of(*index);
            let answers = item.get("answer").map(Json::items).unwrap_or_default();
            match kind {
                "group" | "display" | "question" => {
                    if !answers.is_empty() {
                        self.error(IssueType::Structure, &here, || "an item of this type has no answers");
                    }
                    if item.get("item").is_some() {
                        count += 1;
                    }
                    self.items(question, item, all, &here, depth + 1);
                }
                _ => {
                    count += answers.len();
                    self.answers(question, kind, answers, &here);
                    if item.get("item").is_some() {
                        let message = "what is asked below a question stands in its answer";
                        self.error(IssueType::Structure, &here, || message);
                    }
                    for (at, answer) in answers.iter().enumerate() {
                        let here = here.child("answer", Some(at));
                        self.items(question, answer, all, &here, depth + 1);
                    }
                }
            }
        }
        let here = items.first().map_or_else(|| place.child("item", None), |(index, _)| place_of(*index));
        if is_true("required") && count == 0 && kind != "display" {
            let severity = if all.is_unfinished { Severity::Warning } else { Severity::Error };
            self.report(severity, IssueType::Required, &here, || "an answer to a required item is missing");
        }
        if !matches!(kind, "group" | "display") {
            self.answer_count(question, count, is_true("repeats"), all.is_unfinished, &here);
        }
    }

    fn answer_count(
        &mut self,
        question: &Json<'_>,
        count: usize,
        repeats: bool,
        is_unfinished: bool,
        place: &Place<'_>,
    ) {
        if count > 1 && !repeats {
            self.error(IssueType::Structure, place, || "only one answer may be given");
        }
        let bound =
            |name: &str| extension(question, name).and_then(Json::as_i64).and_then(|is| usize::try_from(is).ok());
        if bound("questionnaire-minOccurs").is_some_and(|min| count < min) && !is_unfinished {
            self.error(IssueType::Required, place, || "fewer answers than the questionnaire asks for");
        }
        if bound("questionnaire-maxOccurs").is_some_and(|max| count > max) {
            self.error(IssueType::Structure, place, || "more answers than the questionnaire allows");
        }
    }
}

/// Whether the address is that of something else of the standard: it names the type of its own definitions.
fn is_standard_other(canonical: &str) -> bool {
    let rest = canonical.strip_prefix("http://hl7.org/fhir/").and_then(|rest| rest.split_once('/'));
    rest.is_some_and(|(name, _)| name != "Questionnaire" && tacet_types::ResourceType::parse(name).is_some())
}

/// The value of an extension of the standard on an item.
fn extension<'v>(item: &'v Json<'v>, name: &str) -> Option<&'v Json<'v>> {
    extensions(item, name).next()
}

/// The values of an extension of the standard that repeats.
fn extensions<'v>(item: &'v Json<'v>, name: &str) -> impl Iterator<Item = &'v Json<'v>> {
    let items = item.get("extension").map(Json::items).unwrap_or_default();
    items
        .iter()
        .filter(move |extension| {
            let url = extension.get_str("url").unwrap_or_default();
            url.strip_prefix(EXTENSION).or_else(|| url.strip_prefix(SDC_EXTENSION)) == Some(name)
        })
        .filter_map(value)
}

/// The `value[x]` of an extension, an answer or an option.
fn value<'v>(holder: &'v Json<'v>) -> Option<&'v Json<'v>> {
    member(holder, "value").map(|(_, value)| value)
}

/// The member of a choice: its name after the prefix (`Coding` of `valueCoding`), and its value.
fn member<'v>(holder: &'v Json<'v>, prefix: &str) -> Option<(&'v str, &'v Json<'v>)> {
    holder.members().iter().find_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)))
}
