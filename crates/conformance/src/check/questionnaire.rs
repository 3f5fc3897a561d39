//! Responses to questionnaires, held against the questionnaire that they name.

use super::{Check, Scope};
use crate::place::Place;
use tacet_fhir::json::Json;

impl<'v> Check<'v> {
    /// A response against its questionnaire, where that is known.
    pub(super) fn questionnaire_response(&mut self, response: &'v Json<'v>, scope: &Scope<'v>, place: &Place<'_>) {
        let _ = (response, scope, place);
    }
}
