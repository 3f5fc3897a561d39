//! Search parameters beyond those of R4: what SearchParameter resources of a store define.

use super::compile::Elements;
use super::plan::{Plan, Search};
use super::{ParameterId, ParameterType, Targets, Value};
use crate::json::Json;
use std::collections::HashMap;
use tacet_types::ResourceType;

/// What such a parameter looks for.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomParameter {
    /// Its id, from [`super::PARAMETER_COUNT`] up.
    pub id: ParameterId,
    /// How its values compare.
    pub parameter_type: ParameterType,
    /// The types that it is for.
    pub bases: Vec<ResourceType>,
    /// What a reference may lead to.
    pub targets: Targets,
    /// Where its values are: an expression of the language that the parameters of R4 are written in.
    pub expression: String,
    /// For each part of a composite, how it compares and its path from the composite's element.
    pub components: Vec<(ParameterType, String)>,
}

/// Why an expression cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpressionError {
    /// It does not compile for one of the types: this was expected.
    Expected(&'static str),
    /// It leads to nothing that a parameter of its type compares, in any of the types.
    NothingToCompare,
}

impl std::fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Expected(what) => write!(f, "the expression is not one that searches understand: expected {what}"),
            Self::NothingToCompare => {
                f.write_str("the expression leads to nothing that a parameter of this type compares")
            }
        }
    }
}

impl std::error::Error for ExpressionError {}

/// Several such parameters, compiled.
#[derive(Default)]
pub struct Custom {
    plans: HashMap<ResourceType, Plan>,
}

impl Custom {
    /// Whether the parameter can be used, without adding it.
    pub fn check(parameter: &CustomParameter) -> Result<(), ExpressionError> {
        Self::default().add(parameter)
    }

    /// Adds a parameter. After an error, what was added of it may find values: check first.
    pub fn add(&mut self, parameter: &CustomParameter) -> Result<(), ExpressionError> {
        let mut compares = false;
        for base in &parameter.bases {
            let components: Vec<_> = parameter.components.iter().map(|(kind, path)| (*kind, path.as_str())).collect();
            let search = Search {
                parameter_type: parameter.parameter_type,
                targets: &parameter.targets,
                expression: &parameter.expression,
                bases: &[base.as_str()],
                components: &components,
            };
            let plan = self.plans.entry(*base).or_default();
            let added = plan.add(Elements::Definitions, *base, parameter.id, &search);
            compares |= added.map_err(|error| ExpressionError::Expected(error.0))?;
        }
        if compares { Ok(()) } else { Err(ExpressionError::NothingToCompare) }
    }

    /// Gives each value that these parameters find in the resource to `sink`, as [`super::extract`] does.
    pub fn extract<'v>(&self, resource: &'v Json<'_>, sink: &mut dyn FnMut(ParameterId, Value<'v>)) {
        if self.plans.is_empty() {
            return;
        }
        let Some(resource_type) = crate::resource::resource_type(resource) else { return };
        if let Some(plan) = self.plans.get(&resource_type) {
            plan.extract(resource, sink);
        }
    }
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custom").field("types", &self.plans.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str};
    use crate::search::{PARAMETER_COUNT, parameters};
    use proptest::prelude::*;

    fn parameter(base: &str, parameter_type: ParameterType, expression: &str) -> CustomParameter {
        CustomParameter {
            id: ParameterId::from_index(PARAMETER_COUNT as u16),
            parameter_type,
            bases: vec![ResourceType::parse(base).unwrap()],
            targets: Targets::Any,
            expression: expression.to_owned(),
            components: Vec::new(),
        }
    }

    fn count(parameter: &CustomParameter, resource: &str) -> usize {
        let mut custom = Custom::default();
        custom.add(parameter).unwrap();
        let resource = parse_str(resource, &Limits::default()).unwrap();
        let mut values = 0;
        custom.extract(&resource, &mut |id, _| {
            assert_eq!(id, parameter.id);
            values += 1;
        });
        values
    }

    #[test]
    fn elements_that_no_parameter_of_r4_walks_are_found() {
        let patient = r#"{"resourceType":"Patient","maritalStatus":{"coding":[{"code":"M"}]},"multipleBirthInteger":2,"extension":[
            {"url":"http://e/1","valueCoding":{"code":"a"}},{"url":"http://e/2","valueString":"b"}]}"#;
        for (parameter_type, expression, values) in [
            (ParameterType::Token, "Patient.maritalStatus", 1),
            (ParameterType::Number, "Patient.multipleBirth.ofType(integer)", 1),
            (ParameterType::Number, "Patient.multipleBirth", 1),
            (ParameterType::Token, "Patient.extension('http://e/1').value", 1),
            (ParameterType::Token, "Patient.extension('http://e/1')", 1),
            (ParameterType::String, "Patient.extension.where(url = 'http://e/2').value as string", 1),
            (ParameterType::Token, "Patient.extension.where(url='http://e/3').value.ofType(Coding)", 0),
            (ParameterType::Token, "Patient.deceased.exists() and Patient.deceased != false", 1),
        ] {
            assert_eq!(count(&parameter("Patient", parameter_type, expression), patient), values, "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let deep = "(".repeat(5000) + "Patient.name" + &")".repeat(5000);
        let long = vec!["Patient.name"; 5000].join(" | ");
        let wide = vec!["Patient.extension.value"; 300].join(" | ");
        for expression in [
            "Patient.nome",
            "Patient.name.first()",
            "",
            "Observation.code",
            "Patient.name.given.length()",
            &deep,
            &long,
            &wide,
        ] {
            assert!(Custom::check(&parameter("Patient", ParameterType::Token, expression)).is_err(), "{expression}");
        }
        let unfit = Custom::check(&parameter("Patient", ParameterType::Date, "Patient.name"));
        assert_eq!(unfit, Err(ExpressionError::NothingToCompare));
    }

    #[test]
    fn the_parameters_of_r4_compile_from_the_definitions_too() {
        for known in parameters().iter().filter(|known| !known.example) {
            let bases: Vec<_> = ResourceType::all().filter(|one| known.applies_to(*one)).collect();
            let components = known.components.iter().map(|component| {
                let definition = parameters().iter().find(|other| other.id == component.definition).unwrap();
                (definition.parameter_type, component.expression.to_owned())
            });
            let parameter = CustomParameter {
                id: ParameterId::from_index(0),
                parameter_type: known.parameter_type,
                bases,
                targets: known.targets.clone(),
                expression: known.expression.to_owned(),
                components: components.collect(),
            };
            assert_eq!(Custom::check(&parameter), Ok(()), "{}", known.id);
        }
    }

    proptest! {
        #[test]
        fn any_expression_compiles_or_is_refused(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        "Patient", ".", "name", "extension", "value", "(", ")", "|", " as ", "string", "where", "='x'", "url", "[0]",
                        "exists()", " and ", "!= false", "resolve()", " is ", "%resource", "ofType(", "'", "deceased",
                    ]).prop_map(str::to_owned),
                    ".{0,3}",
                ],
                0..12,
            ),
        ) {
            let custom = parameter("Patient", ParameterType::Token, &parts.concat());
            if Custom::check(&custom).is_ok() {
                count(&custom, r#"{"resourceType":"Patient","extension":[{"url":"x","valueCode":"c"}]}"#);
            }
        }
    }
}
