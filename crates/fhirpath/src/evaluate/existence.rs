//! Whether there is something, and whether all of it is (FHIRPath N1, "Existence").

use super::{Evaluation, Result, Scope, boolean};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item, truth};
use crate::syntax::Call;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn existence(
        &self,
        call: &'v Call,
        focus: Collection<'v>,
        scope: &Scope<'_, 'v>,
    ) -> Result<Collection<'v>> {
        let at = call.function.name();
        Ok(boolean(match call.function {
            Function::Empty => focus.is_empty(),
            Function::Exists => match call.args.first() {
                None => !focus.is_empty(),
                Some(criteria) => {
                    let mut found = false;
                    for (index, item) in focus.iter().enumerate() {
                        if self.holds(criteria, item, index, scope, at)? {
                            found = true;
                            break;
                        }
                    }
                    found
                }
            },
            Function::All => {
                let Some(criteria) = call.args.first() else { return Ok(Vec::new()) };
                let mut all = true;
                for (index, item) in focus.iter().enumerate() {
                    if !self.holds(criteria, item, index, scope, at)? {
                        all = false;
                        break;
                    }
                }
                all
            }
            Function::AllTrue => booleans(&focus, at)?.iter().all(|value| *value),
            Function::AnyTrue => booleans(&focus, at)?.contains(&true),
            Function::AllFalse => booleans(&focus, at)?.iter().all(|value| !value),
            Function::AnyFalse => booleans(&focus, at)?.contains(&false),
            Function::SubsetOf => self.is_subset(&focus, &self.argument(call, 0, scope)?)?,
            Function::SupersetOf => self.is_subset(&self.argument(call, 0, scope)?, &focus)?,
            Function::Count => return Ok(vec![Item::Integer(i64::try_from(focus.len()).unwrap_or(i64::MAX))]),
            Function::Distinct => return self.distinct(focus),
            Function::IsDistinct => {
                let count = focus.len();
                self.distinct(focus)?.len() == count
            }
            Function::Not => return Ok(truth(&focus, at)?.map(|value| Item::Boolean(!value)).into_iter().collect()),
            // `hasValue()`: whether there is one item, a primitive with a value
            // (<https://hl7.org/fhir/R4/fhirpath.html#functions>); false for none and for several.
            _ => match focus.as_slice() {
                [Item::Node(node)] => node.has_value(),
                [_] => true,
                _ => false,
            },
        }))
    }

    fn is_subset(&self, part: &[Item<'v>], whole: &[Item<'v>]) -> Result<bool> {
        for item in part {
            if !self.contains(whole, item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The truth values of a collection that holds nothing else.
fn booleans(items: &[Item<'_>], at: &'static str) -> Result<Vec<bool>> {
    let value = |item: &Item<'_>| match item.value().as_ref() {
        Item::Boolean(value) => Ok(*value),
        _ => Err(EvaluationError::Type { at }),
    };
    items.iter().map(value).collect()
}
