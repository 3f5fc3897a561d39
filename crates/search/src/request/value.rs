//! The values of one parameter, by its type and modifier.

use super::condition::{Compiler, any};
use super::escape::split;
use super::fault::{Fault, Outcome, named};
use crate::filter::{Filter, Test};
use tacet_fhir::search::{ParameterId, ParameterType};

/// Most combinations of the alternatives of a composite's parts.
const COMBINATIONS_MAX: usize = 256;

/// Reads `true` or `false`.
pub(super) fn boolean(name: &str, raw: &str) -> Outcome<bool> {
    match raw {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::invalid(name, "true or false")),
    }
}

impl Compiler<'_> {
    /// `name:modifier=raw` for one parameter.
    pub(super) fn search(
        &mut self,
        parameter: ParameterId,
        name: &str,
        modifier: Option<&str>,
        raw: &str,
    ) -> Outcome<Filter> {
        if modifier == Some("missing") {
            let present = Filter::Present(parameter);
            return Ok(if boolean(name, raw)? { Filter::Not(Box::new(present)) } else { present });
        }
        let parameter_type = self.parameters.type_of(parameter);
        if parameter_type == ParameterType::Reference
            && let Some(direction @ ("above" | "below")) = modifier
        {
            return self.hierarchy(parameter, name, direction == "below", raw);
        }
        let negated = matches!((parameter_type, modifier), (ParameterType::Token, Some("not" | "not-in")));
        let mut tests = Vec::new();
        for raw in self.alternatives(name, raw)? {
            match (parameter_type, modifier) {
                (ParameterType::Token, Some(modifier)) => tests.push(self.token_with(name, modifier, raw)?),
                (ParameterType::String, Some(modifier)) => tests.push(super::string::string_with(name, modifier, raw)?),
                (ParameterType::Uri, Some(modifier)) => tests.push(super::string::uri_with(name, modifier, raw)?),
                (ParameterType::Reference, Some(modifier)) => {
                    tests.extend(self.reference_with(parameter, name, modifier, raw)?);
                }
                (_, Some(modifier)) => return Err(Fault::unknown_modifier(name, modifier)),
                (_, None) => tests.extend(self.plain(parameter, name, raw)?),
            }
        }
        self.spend(tests.len())?;
        let filter = any(tests.into_iter().map(|test| Filter::Value(parameter, test)).collect());
        Ok(if negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    /// One alternative without modifier: a value must pass one of these tests.
    pub(super) fn plain(&mut self, parameter: ParameterId, name: &str, raw: &str) -> Outcome<Vec<Test>> {
        Ok(match self.parameters.type_of(parameter) {
            ParameterType::Token => vec![super::token::token(name, raw)?],
            ParameterType::String => vec![super::string::string(name, raw)?],
            ParameterType::Uri => vec![super::string::uri(name, raw)?],
            ParameterType::Date => vec![super::ordered::date(name, raw, self.call.now)?],
            ParameterType::Number => vec![super::ordered::number(name, raw)?],
            ParameterType::Quantity => vec![super::ordered::quantity(name, raw)?],
            ParameterType::Reference => self.reference(parameter, name, raw)?,
            ParameterType::Composite => self.composite(parameter, name, raw)?,
            ParameterType::Special if self.parameters.code(parameter) == "near" => {
                vec![super::ordered::near(name, raw)?]
            }
            ParameterType::Special => {
                return Err(Fault::unsupported(format!("the search parameter {} is not supported", named(name))));
            }
        })
    }

    /// `part$part` (<https://hl7.org/fhir/R4/search.html#composite>).
    fn composite(&mut self, parameter: ParameterId, name: &str, raw: &str) -> Outcome<Vec<Test>> {
        let components = self.parameters.components(parameter);
        let parts = split(raw, '$');
        if parts.len() != components.len() || parts.iter().any(|part| part.is_empty()) {
            return Err(Fault::invalid(name, "a value for each of its parts, with $ between them"));
        }
        let mut combinations: Vec<Vec<Test>> = vec![Vec::new()];
        for (component, part) in components.into_iter().zip(parts) {
            // No part of a composite is one itself, so this goes one level deep.
            if self.parameters.type_of(component) == ParameterType::Composite {
                return Err(Fault::unsupported(format!(
                    "a part of the search parameter {} is a composite",
                    named(name)
                )));
            }
            let tests = self.plain(component, name, part)?;
            let with = |first: &Vec<Test>, test: &Test| first.iter().chain([test]).cloned().collect();
            combinations =
                combinations.iter().flat_map(|first| tests.iter().map(move |test| with(first, test))).collect();
            if combinations.len() > COMBINATIONS_MAX {
                return Err(Fault::too_many("combinations of parts", COMBINATIONS_MAX));
            }
        }
        Ok(combinations.into_iter().map(Test::Composite).collect())
    }
}
