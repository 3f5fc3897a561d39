//! Lists that are made up when they are asked for: what is current of a patient (`_list=$current-allergies`, <https://hl7.org/fhir/R4/lifecycle.html#current>).
//!
//! What is current is what the records themselves do not say to be over: a problem or an allergy without a status is on the list, since to
//! leave it out could harm. Lists that somebody keeps are resources of their own and are named by their id.

use super::condition::{Compiler, all, any};
use super::fault::{Fault, Outcome};
use crate::filter::{Filter, SystemTest, Test};
use tacet_types::ResourceType;

/// Names of the lists; for each type on them, what must not be said of a resource and what must: a parameter and codes.
const LISTS: [(&str, &[Current]); 3] = [
    (
        "$current-problems",
        &[Current {
            resource_type: "Condition",
            never: &[
                ("clinical-status", &["inactive", "remission", "resolved"]),
                ("verification-status", &["refuted", "entered-in-error"]),
            ],
            one_of: None,
        }],
    ),
    (
        "$current-allergies",
        &[Current {
            resource_type: "AllergyIntolerance",
            never: &[
                ("clinical-status", &["inactive", "resolved"]),
                ("verification-status", &["refuted", "entered-in-error"]),
            ],
            one_of: None,
        }],
    ),
    (
        "$current-medications",
        &[
            Current {
                resource_type: "MedicationStatement",
                never: &[],
                one_of: Some(("status", &["active", "on-hold", "unknown"])),
            },
            Current {
                resource_type: "MedicationRequest",
                never: &[("intent", &["proposal", "plan", "option"])],
                one_of: Some(("status", &["active", "on-hold", "unknown"])),
            },
        ],
    ),
];

/// Which resources of a type are current.
struct Current {
    resource_type: &'static str,
    never: &'static [(&'static str, &'static [&'static str])],
    one_of: Option<(&'static str, &'static [&'static str])>,
}

impl Compiler<'_> {
    /// The filter of such a list, by its name with the `$`. None where there is none of that name.
    pub(super) fn current(&mut self, list: &str) -> Outcome<Option<Filter>> {
        let Some((_, parts)) = LISTS.iter().find(|(name, _)| *name == list) else { return Ok(None) };
        let mut filters = Vec::new();
        for part in *parts {
            let of = super::key::resource_type(part.resource_type)?;
            let mut conditions = vec![Filter::Types(vec![of])];
            for (code, values) in part.never {
                conditions.push(Filter::Not(Box::new(self.is_one_of(of, code, values)?)));
            }
            if let Some((code, values)) = part.one_of {
                conditions.push(self.is_one_of(of, code, values)?);
            }
            filters.push(all(conditions));
        }
        Ok(Some(any(filters)))
    }

    /// By the standard's own parameter, whatever else has its name.
    fn is_one_of(&mut self, of: ResourceType, code: &str, values: &[&str]) -> Outcome<Filter> {
        self.spend(values.len())?;
        let parameter = tacet_fhir::search::parameter(of, code).ok_or_else(|| Fault::unknown_parameter(code))?;
        let is =
            |value: &&str| Filter::Value(parameter, Test::TokenIs { system: SystemTest::Any, code: (*value).into() });
        Ok(any(values.iter().map(is).collect()))
    }
}
