//! What type an item is of (FHIRPath N1, "Types"; FHIR R4, "Using FHIR types in expressions").

use super::{Evaluation, Result, Scope, boolean, single};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item};
use crate::model::{NodeType, TypeName, fhir_type};
use crate::syntax::Call;

/// Where R4 keeps the definitions of its own types.
const BASE_DEFINITIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn types(&self, call: &'v Call, focus: Collection<'v>, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        let name = call.type_name.unwrap_or(TypeName::Unknown);
        let at = call.function.name();
        match call.function {
            Function::OfType => self.of_type(focus, name),
            Function::As => {
                if self.context.strict {
                    single(&focus, at)?;
                }
                self.of_type(focus, name)
            }
            Function::Is => match single(&focus, at)? {
                None => Ok(Vec::new()),
                Some(item) => Ok(boolean(self.is_type(item, name)?)),
            },
            Function::Type => {
                self.step(focus.len())?;
                Ok(focus.iter().map(|item| Item::Type(item.type_info())).collect())
            }
            _ => {
                let Some(item) = single(&focus, at)? else { return Ok(Vec::new()) };
                let Some(profile) = self.text_argument(call, 0, scope, at)? else { return Ok(Vec::new()) };
                self.conforms(item, &profile).map(boolean)
            }
        }
    }

    /// Whether an item is of a type or of one built upon it.
    pub(super) fn is_type(&self, item: &Item<'v>, name: TypeName) -> Result<bool> {
        Ok(match (name, item) {
            (TypeName::Unknown, _) => return Err(EvaluationError::UnknownType),
            (TypeName::Fhir(kind), Item::Node(node)) => node.kind.is(kind),
            (TypeName::Quantity, Item::Node(node)) => node.kind.is_quantity(),
            (TypeName::Quantity, Item::Quantity(_)) => true,
            // R4's own invariants (`que-7`) say `Boolean` of an element and mean `boolean`.
            (TypeName::System(kind), Item::Node(node)) => {
                !self.context.strict && !node.kind.is_quantity() && node.kind.system() == Some(kind)
            }
            (TypeName::System(kind), value) => value.system_type() == Some(kind),
            _ => false,
        })
    }

    /// The items that `as` and `ofType` keep.
    pub(super) fn of_type(&self, items: Collection<'v>, name: TypeName) -> Result<Collection<'v>> {
        self.step(items.len())?;
        if matches!(name, TypeName::Unknown | TypeName::Missing) {
            return Err(EvaluationError::UnknownType);
        }
        let mut kept = Vec::new();
        for item in items {
            let keep = match (name, &item) {
                (TypeName::Fhir(kind), Item::Node(node)) => node.kind.is_taken_as(kind),
                _ => self.is_type(&item, name)?,
            };
            if keep {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    fn conforms(&self, item: &Item<'v>, profile: &str) -> Result<bool> {
        const AT: &str = "conformsTo()";
        let Some(node) = item.node() else { return Err(EvaluationError::Type { at: AT }) };
        let base = profile.strip_prefix(BASE_DEFINITIONS).and_then(fhir_type);
        if let Some(base) = base.filter(|_| node.kind != NodeType::Unknown) {
            return Ok(node.kind.is(base));
        }
        let known = self.context.profiles.and_then(|profiles| profiles.conforms_to(node, profile));
        known.ok_or(EvaluationError::NotAvailable { at: AT })
    }
}
