//! Functions that evaluate an argument for each item, or only where it is needed.

use super::{Evaluation, Result, Scope};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item, truth};
use crate::syntax::{Call, Expr};
use std::cmp::Ordering;

/// What an item is sorted by, and the item.
type Keyed<'v> = (Vec<Option<Item<'v>>>, Item<'v>);

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn filter(
        &self,
        call: &'v Call,
        focus: Collection<'v>,
        scope: &Scope<'_, 'v>,
    ) -> Result<Collection<'v>> {
        let at = call.function.name();
        let Some(first) = call.args.first() else {
            return if call.function == Function::Sort { self.sort(call, focus, scope) } else { Ok(focus) };
        };
        match call.function {
            Function::Where => {
                let mut kept = Vec::new();
                for (index, item) in focus.into_iter().enumerate() {
                    if self.holds(first, &item, index, scope, at)? {
                        kept.push(item);
                    }
                }
                Ok(kept)
            }
            Function::Select => {
                let mut out = Vec::new();
                for (index, item) in focus.iter().enumerate() {
                    out.append(&mut self.on(first, item, index, scope)?);
                }
                Ok(out)
            }
            Function::Repeat => self.repeat(first, focus, scope),
            Function::Iif => self.iif(call, &focus, scope),
            Function::Aggregate => {
                let mut total = self.argument(call, 1, scope)?;
                for (index, item) in focus.iter().enumerate() {
                    let this = std::slice::from_ref(item);
                    let inner =
                        Scope { this, index: Some(index), total: Some(&total), variables: scope.variables.clone() };
                    let next = self.expr(first, &inner)?;
                    total = next;
                }
                Ok(total)
            }
            Function::Coalesce => {
                for expr in &call.args {
                    let found = self.expr(expr, scope)?;
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
                Ok(Vec::new())
            }
            _ => self.sort(call, focus, scope),
        }
    }

    /// Only the branch that is taken is evaluated.
    fn iif(&self, call: &'v Call, focus: &[Item<'v>], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        const AT: &str = "iif";
        if focus.len() > 1 {
            return Err(EvaluationError::NotSingle { at: AT });
        }
        let inner = Scope { this: focus, ..scope.clone() };
        let criterion = truth(&self.argument(call, 0, &inner)?, AT)?;
        self.argument(call, if criterion == Some(true) { 1 } else { 2 }, &inner)
    }

    /// The projection, again on what it gives, until nothing new comes. What equals an item that came before is not new.
    fn repeat(&self, projection: &'v Expr, focus: Collection<'v>, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        let mut out: Collection<'v> = Vec::new();
        let mut fresh = focus;
        while !fresh.is_empty() {
            let mut next = Vec::new();
            for (index, item) in fresh.iter().enumerate() {
                for found in self.on(projection, item, index, scope)? {
                    if !self.contains(&out, &found)? {
                        out.push(found.clone());
                        next.push(found);
                    }
                }
            }
            fresh = next;
        }
        Ok(out)
    }

    fn sort(&self, call: &'v Call, focus: Collection<'v>, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        const AT: &str = "sort";
        let mut keyed: Vec<Keyed<'v>> = Vec::with_capacity(focus.len());
        for (index, item) in focus.into_iter().enumerate() {
            let mut keys = Vec::with_capacity(call.args.len().max(1));
            for expr in &call.args {
                // A sign before the whole key turns the order round; it is no arithmetic.
                let expr = if let Expr::Sign { negate: true, of } = expr { of } else { expr };
                let mut key = self.on(expr, &item, index, scope)?;
                if key.len() > 1 {
                    return Err(EvaluationError::NotSingle { at: AT });
                }
                keys.push(key.pop());
            }
            if call.args.is_empty() {
                keys.push(Some(item.clone()));
            }
            keyed.push((keys, item));
        }
        let descending: Vec<bool> =
            call.args.iter().map(|expr| matches!(expr, Expr::Sign { negate: true, .. })).collect();
        let sorted = merge_sort(keyed, &mut |left, right| self.compare_keys(left, right, &descending))?;
        Ok(sorted.into_iter().map(|(_, item)| item).collect())
    }

    /// An item without a key comes after those with one.
    fn compare_keys(&self, left: &Keyed<'v>, right: &Keyed<'v>, descending: &[bool]) -> Result<Ordering> {
        for (at, (one, two)) in left.0.iter().zip(&right.0).enumerate() {
            let order = match (one, two) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(two)) => self.compare_items(one, two, "sort")?.unwrap_or(Ordering::Equal),
            };
            let order = if descending.get(at).copied().unwrap_or(false) { order.reverse() } else { order };
            if order != Ordering::Equal {
                return Ok(order);
            }
        }
        Ok(Ordering::Equal)
    }
}

/// A stable sort by an order that may fail, and need not be total: partial dates may compare as unknown, which the
/// standard library's sorts are allowed to answer with a panic.
fn merge_sort<T>(items: Vec<T>, order: &mut impl FnMut(&T, &T) -> Result<Ordering>) -> Result<Vec<T>> {
    let mut runs: Vec<Vec<T>> = items.into_iter().map(|item| vec![item]).collect();
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pending = runs.into_iter();
        while let Some(left) = pending.next() {
            match pending.next() {
                None => merged.push(left),
                Some(right) => merged.push(merge(left, right, order)?),
            }
        }
        runs = merged;
    }
    Ok(runs.pop().unwrap_or_default())
}

fn merge<T>(left: Vec<T>, right: Vec<T>, order: &mut impl FnMut(&T, &T) -> Result<Ordering>) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(one), Some(two)) = (left.peek(), right.peek()) {
        let from_right = order(one, two)? == Ordering::Greater;
        out.extend(if from_right { right.next() } else { left.next() });
    }
    out.extend(left);
    out.extend(right);
    Ok(out)
}
