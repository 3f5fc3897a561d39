//! From a name and its values to a filter, over all types that are searched.

use super::escape::split;
use super::expression::{Expression, Operator};
use super::fault::{Fault, Outcome};
use super::key::Link;
use super::{Call, QueryLimits};
use crate::filter::Filter;
use crate::parameters::Parameters;
use crate::terminology::Terminology;
use tacet_fhir::search::{ParameterId, ParameterType, Targets};
use tacet_types::ResourceType;

/// What stands at the end of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf<'q> {
    /// `name:modifier=value,value`
    Search { modifier: Option<&'q str>, raw: &'q str },
    /// `name operator value` of `_filter`
    Compare { operator: Operator, value: &'q str },
}

/// Compiles the conditions of one call.
pub(super) struct Compiler<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) parameters: &'a Parameters,
    pub(super) terminology: &'a dyn Terminology,
    pub(super) limits: &'a QueryLimits,
    /// How many conditions there are so far.
    pub(super) conditions: usize,
}

impl Compiler<'_> {
    /// The condition that a path and its end make. `every`: whether each of the types must know the parameter; otherwise one must, and
    /// the others do not match.
    pub(super) fn condition(
        &mut self,
        types: &[ResourceType],
        links: &[Link],
        name: &str,
        leaf: Leaf<'_>,
        every: bool,
    ) -> Outcome<Filter> {
        self.spend(1)?;
        match links.split_first() {
            None => self.leaf(types, name, leaf, every),
            Some((Link::Back { source, name: reference }, rest)) => {
                let parameter =
                    self.parameters.find(*source, reference).ok_or_else(|| Fault::unknown_parameter(reference))?;
                self.expect_reference(parameter, reference)?;
                let inner = self.condition(&[*source], rest, name, leaf, true)?;
                let source = Filter::All(vec![Filter::Types(vec![*source]), inner]);
                Ok(Filter::Has { parameter, source: Box::new(source) })
            }
            Some((Link::Forward { name: reference, target, condition }, rest)) => {
                self.by_parameter(types, reference, every, &mut |compiler, parameter| {
                    compiler.expect_reference(parameter, reference)?;
                    let targets = match target {
                        Some(target) => vec![*target],
                        None => compiler.targets(parameter),
                    };
                    compiler.chain(parameter, &targets, condition.as_deref(), target.is_some(), &mut |compiler| {
                        compiler.condition(&targets, rest, name, leaf, target.is_some())
                    })
                })
            }
        }
    }

    fn chain(
        &mut self,
        parameter: ParameterId,
        targets: &[ResourceType],
        condition: Option<&Expression>,
        every: bool,
        inner: &mut dyn FnMut(&mut Self) -> Outcome<Filter>,
    ) -> Outcome<Filter> {
        let mut all = Vec::new();
        if targets.len() < ResourceType::COUNT {
            all.push(Filter::Types(targets.to_vec()));
        }
        if let Some(condition) = condition {
            all.push(self.expression(targets, condition, every)?);
        }
        all.push(inner(self)?);
        Ok(Filter::Chain { parameter, target: Box::new(Filter::All(all)) })
    }

    /// The filter for each parameter that the types know by this code, where they know it.
    fn by_parameter(
        &mut self,
        types: &[ResourceType],
        code: &str,
        every: bool,
        make: &mut dyn FnMut(&mut Self, ParameterId) -> Outcome<Filter>,
    ) -> Outcome<Filter> {
        let mut groups: Vec<(ParameterId, Vec<ResourceType>)> = Vec::new();
        let mut covered = 0;
        for resource_type in types {
            match self.parameters.find(*resource_type, code) {
                Some(id) => {
                    covered += 1;
                    match groups.iter_mut().find(|(known, _)| *known == id) {
                        Some((_, group)) => group.push(*resource_type),
                        None => groups.push((id, vec![*resource_type])),
                    }
                }
                None if every => return Err(Fault::unknown_parameter(code)),
                None => {}
            }
        }
        let mut any = Vec::new();
        let mut fault = None;
        let only = groups.len() == 1 && covered == types.len();
        for (id, group) in groups {
            match make(self, id) {
                Ok(filter) if only => return Ok(filter),
                Ok(filter) => any.push(Filter::All(vec![Filter::Types(group), filter])),
                // One way of a chain that leads nowhere does not close the others.
                Err(Fault::Unknown(issue)) if !every => fault = Some(Fault::Unknown(issue)),
                Err(fault) => return Err(fault),
            }
        }
        if any.is_empty() {
            return Err(fault.unwrap_or_else(|| Fault::unknown_parameter(code)));
        }
        Ok(Filter::Any(any))
    }

    fn leaf(&mut self, types: &[ResourceType], name: &str, leaf: Leaf<'_>, every: bool) -> Outcome<Filter> {
        if let Some(filter) = self.head(types, name, leaf)? {
            return Ok(filter);
        }
        self.by_parameter(types, name, every, &mut |compiler, parameter| {
            compiler.spend(1)?;
            match leaf {
                Leaf::Search { modifier, raw } => compiler.search(parameter, name, modifier, raw),
                Leaf::Compare { operator, value } => compiler.compare(parameter, name, operator, value),
            }
        })
    }

    /// The types that a reference may lead to.
    pub(super) fn targets(&self, parameter: ParameterId) -> Vec<ResourceType> {
        match self.parameters.targets(parameter) {
            Targets::Types(types) if !types.is_empty() => types.clone(),
            _ => ResourceType::all().collect(),
        }
    }

    fn expect_reference(&self, parameter: ParameterId, name: &str) -> Outcome<()> {
        if self.parameters.type_of(parameter) == ParameterType::Reference {
            Ok(())
        } else {
            Err(Fault::unknown(format!(
                "the search parameter {} is no reference and leads nowhere",
                super::fault::named(name)
            )))
        }
    }

    /// Counts conditions.
    pub(super) fn spend(&mut self, conditions: usize) -> Outcome<()> {
        self.conditions = self.conditions.saturating_add(conditions);
        if self.conditions > self.limits.conditions_max {
            return Err(Fault::too_many("conditions", self.limits.conditions_max));
        }
        Ok(())
    }

    /// The alternatives of a value, still escaped; none is empty.
    pub(super) fn alternatives<'q>(&mut self, name: &str, raw: &'q str) -> Outcome<Vec<&'q str>> {
        let parts = split(raw, ',');
        if parts.len() > self.limits.values_max {
            return Err(Fault::too_many("values of one parameter", self.limits.values_max));
        }
        if parts.iter().any(|part| part.is_empty()) {
            return Err(Fault::invalid(name, "values between its commas"));
        }
        Ok(parts)
    }
}

/// One of these; the one alone if there is no other.
pub(super) fn any(mut filters: Vec<Filter>) -> Filter {
    if filters.len() == 1 { filters.pop().unwrap_or(Filter::Nothing) } else { Filter::Any(filters) }
}

/// All of these; the one alone if there is no other.
pub(super) fn all(mut filters: Vec<Filter>) -> Filter {
    if filters.len() == 1 { filters.pop().unwrap_or(Filter::Everything) } else { Filter::All(filters) }
}
