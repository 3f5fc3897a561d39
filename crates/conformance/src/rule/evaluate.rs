//! Evaluating a rule by the FHIRPath engine.

use super::{Outcome, Rule};
use crate::ValidationContext;
use crate::check::{Check, Fetched, Scope};
use crate::codes::Membership;
use crate::instance::Instance;
use crate::packages::Packages;
use tacet_fhir::definitions::{Group, GroupKind, Kind};
use tacet_fhir::json::Json;
use tacet_fhirpath::{
    ConformsTo, Context, EvaluationError, Item, Location, MemberOf, Node, NodeType, Resolver, is_true,
};
use tacet_types::Timestamp;

/// Deepest nesting of validations that `conformsTo()` starts.
const NESTED_MAX: usize = 4;

/// What a rule may look at besides its element.
pub(crate) struct World<'w, 'v> {
    pub(crate) packages: &'v Packages,
    pub(crate) context: &'v ValidationContext<'v>,
    pub(crate) fetched: &'v Fetched,
    pub(crate) scope: &'w Scope<'v>,
    /// How many validations this one is inside of.
    pub(crate) nested: usize,
}

/// What stands for the value of a primitive that has none.
static NULL: Json<'static> = Json::Null;

impl Resolver for World<'_, '_> {
    fn resolve(&self, reference: &str) -> Option<&Json<'_>> {
        self.scope.find(reference, self.fetched).map(|(found, _, _)| found)
    }
}

impl MemberOf for World<'_, '_> {
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        match self.context.terminology.member_of(value_set, system, code) {
            Membership::Yes => Some(true),
            Membership::No => Some(false),
            Membership::Unknown => None,
        }
    }
}

impl ConformsTo for World<'_, '_> {
    fn conforms_to(&self, node: &Node<'_>, profile: &str) -> Option<bool> {
        let known = self.packages.profile(profile)?;
        if self.nested >= NESTED_MAX {
            return None;
        }
        let kind = match node.kind {
            NodeType::Primitive(primitive) => Kind::Primitive(primitive),
            NodeType::Group(group) if group.kind() == GroupKind::Resource => Kind::Resource,
            _ => return None,
        };
        let instance = Instance { value: Some(node.json), twin: node.extra, kind, index: None };
        let scope = Scope { resource: node.json, ..self.scope.clone() };
        let check = Check::new(self.packages, self.context, self.fetched, self.nested + 1);
        Some(check.conforms(&known, instance, &scope))
    }
}

impl Rule {
    /// Evaluates the rule on an element.
    pub(crate) fn evaluate<'v>(&self, instance: Instance<'v>, world: &World<'_, 'v>) -> Outcome {
        let Some(expression) = self.compiled() else { return Outcome::Undecided("its expression cannot be compiled") };
        let kind = match instance.kind {
            Kind::Primitive(primitive) => NodeType::Primitive(primitive),
            Kind::Group(_) | Kind::Resource => instance.group().map_or(NodeType::Unknown, NodeType::Group),
        };
        let json = instance.value.unwrap_or(&NULL);
        let node = Node { json, extra: instance.twin, kind, location: Location::ROOT };
        let mut context = Context::new(world.scope.resource, world.context.now);
        context.root_resource = world.scope.root;
        context.resolver = Some(world);
        context.terminology = Some(world);
        context.profiles = Some(world);
        context.steps_max = world.context.limits.rule_steps_max;
        match expression.evaluate(&context, &[Item::Node(node)]) {
            Ok(items) => decide(&items),
            Err(error) => undecided(&error),
        }
    }

    /// Whether the rule holds on an element of that type, without a resource around it.
    pub(super) fn holds_on(&self, json: &Json<'_>, group: &'static Group) -> bool {
        let Some(expression) = self.compiled() else { return false };
        let context = Context::new(json, Timestamp::from_ms(0));
        let node = Node { json, extra: None, kind: NodeType::Group(group), location: Location::ROOT };
        let result = expression.evaluate(&context, &[Item::Node(node)]);
        result.is_ok_and(|items| decide(&items) == Outcome::Holds)
    }
}

/// A rule that gives nothing holds: those of R4 itself give nothing where what they are about is missing (`bdl-8` of an
/// entry without address, `ras-2` of one without probability).
fn decide(items: &[Item<'_>]) -> Outcome {
    if items.is_empty() {
        return Outcome::Holds;
    }
    match is_true(items) {
        Ok(true) => Outcome::Holds,
        Ok(false) => Outcome::Fails,
        Err(error) => undecided(&error),
    }
}

fn undecided(error: &EvaluationError) -> Outcome {
    Outcome::Undecided(match error {
        EvaluationError::TooManySteps | EvaluationError::TooLarge => "it takes more steps than allowed",
        EvaluationError::NotAvailable { .. } => "it needs a definition that is not loaded",
        _ => "it does not fit the values that it was evaluated on",
    })
}
