//! `enableWhen`: whether an item is asked for, by the answers to others
//! (<https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen>).

use super::{DEPTH_MAX, member, value};
use crate::check::profile_walk::compare;
use std::cmp::Ordering;
use std::collections::HashMap;
use tacet_fhir::json::Json;

/// The answers of a response, by the item that they answer.
pub(super) struct Given<'v>(HashMap<&'v str, Vec<&'v Json<'v>>>);

impl<'v> Given<'v> {
    /// Collects the answers.
    pub(super) fn of(response: &'v Json<'v>) -> Self {
        let mut given = Given(HashMap::new());
        given.collect(response, 0);
        given
    }

    fn collect(&mut self, holder: &'v Json<'v>, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        for item in holder.get("item").map(Json::items).unwrap_or_default() {
            let answers = item.get("answer").map(Json::items).unwrap_or_default();
            let link = item.get_str("linkId").unwrap_or_default();
            self.0.entry(link).or_default().extend(answers.iter().filter_map(value));
            self.collect(item, depth + 1);
            for answer in answers {
                self.collect(answer, depth + 1);
            }
        }
    }

    /// Whether the conditions of an item hold.
    pub(super) fn is_enabled(&self, question: &Json<'_>) -> bool {
        let conditions = question.get("enableWhen").map(Json::items).unwrap_or_default();
        if conditions.is_empty() {
            return true;
        }
        if question.get_str("enableBehavior") == Some("any") {
            conditions.iter().any(|condition| self.holds(condition))
        } else {
            conditions.iter().all(|condition| self.holds(condition))
        }
    }

    fn holds(&self, condition: &Json<'_>) -> bool {
        let answers = self.0.get(condition.get_str("question").unwrap_or_default()).map(Vec::as_slice);
        let answers = answers.unwrap_or_default();
        let Some((_, wanted)) = member(condition, "answer") else { return true };
        match condition.get_str("operator") {
            Some("exists") => wanted.as_bool() != Some(answers.is_empty()),
            Some("!=") => answers.iter().any(|answer| !is_equal(answer, wanted)),
            Some("=") => answers.iter().any(|answer| is_equal(answer, wanted)),
            Some(operator) => answers.iter().any(|answer| {
                let order = order(answer, wanted);
                match operator {
                    ">" => order == Some(Ordering::Greater),
                    "<" => order == Some(Ordering::Less),
                    ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                    "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                    _ => true,
                }
            }),
            None => true,
        }
    }
}

/// Whether an answer is the one meant: codes by system and code, all else by value.
pub(super) fn is_equal(answer: &Json<'_>, wanted: &Json<'_>) -> bool {
    match (answer.get_str("code"), wanted.get_str("code")) {
        (Some(code), Some(other)) => code == other && answer.get_str("system") == wanted.get_str("system"),
        _ => crate::check::values::is_same(answer, wanted, 0),
    }
}

/// Which of two values is the greater, where they can be compared; quantities by [`crate::quantity`].
pub(super) fn order(left: &Json<'_>, right: &Json<'_>) -> Option<Ordering> {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => compare(left, right, true),
        (Json::String(left), Json::String(right)) => compare(left, right, false),
        (Json::Object(_), Json::Object(_)) => crate::quantity::compare(left, right),
        _ => None,
    }
}
