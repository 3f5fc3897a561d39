//! Order of values (FHIRPath N1, "Comparison").

use super::equal::number;
use super::{Evaluation, Result, single};
use crate::error::EvaluationError;
use crate::item::{Collection, Item};
use crate::syntax::Operator;
use std::cmp::Ordering;

impl<'v> Evaluation<'_, 'v> {
    /// How two items lie; `None` where that is not known.
    pub(super) fn compare_items(
        &self,
        left: &Item<'v>,
        right: &Item<'v>,
        at: &'static str,
    ) -> Result<Option<Ordering>> {
        self.step(1)?;
        let (left, right) = (left.value(), right.value());
        Ok(match (left.as_ref(), right.as_ref()) {
            (Item::String(left), Item::String(right)) => Some(left.as_ref().cmp(right.as_ref())),
            (Item::Time(left), Item::Time(right)) => left.compare(right),
            (Item::Date(left) | Item::DateTime(left), Item::Date(right) | Item::DateTime(right)) => left.compare(right),
            (Item::Quantity(left), Item::Quantity(right)) => left.compare(right),
            // An element without a value has nothing to compare.
            (Item::Node(node), _) | (_, Item::Node(node)) if node.json.is_null() || node.kind.is_quantity() => None,
            (left, right) => match (number(left), number(right)) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => return Err(EvaluationError::Type { at }),
            },
        })
    }

    pub(super) fn comparison(
        &self,
        operator: Operator,
        left: &[Item<'v>],
        right: &[Item<'v>],
    ) -> Result<Collection<'v>> {
        let at = operator.name();
        let (Some(left), Some(right)) = (single(left, at)?, single(right, at)?) else { return Ok(Vec::new()) };
        let order = self.compare_items(left, right, at)?;
        let holds = order.map(|order| match operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            _ => order.is_ge(),
        });
        Ok(holds.map(Item::Boolean).into_iter().collect())
    }
}
