//! Parts of collections, and collections put together (FHIRPath N1, "Subsetting" and "Combining").

use super::{Evaluation, Result, Scope};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item};
use crate::syntax::Call;
use std::collections::HashSet;

/// From this many items on, sets of texts are told apart by hashing.
const HASHED_MIN: usize = 16;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn subset(
        &self,
        call: &'v Call,
        mut focus: Collection<'v>,
        scope: &Scope<'_, 'v>,
    ) -> Result<Collection<'v>> {
        let at = call.function.name();
        match call.function {
            Function::Single if focus.len() > 1 => return Err(EvaluationError::NotSingle { at }),
            Function::Single => {}
            Function::First => focus.truncate(1),
            Function::Last => return Ok(focus.pop().into_iter().collect()),
            Function::Tail => {
                focus.drain(..focus.len().min(1));
            }
            Function::Skip | Function::Take => {
                let Some(count) = self.integer_argument(call, 0, scope, at)? else { return Ok(Vec::new()) };
                let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX).min(focus.len());
                if call.function == Function::Skip {
                    focus.drain(..count);
                } else {
                    focus.truncate(count);
                }
            }
            Function::Combine => focus.extend(self.argument(call, 0, scope)?),
            Function::Union => {
                let other = self.argument(call, 0, scope)?;
                return self.union(focus, other);
            }
            Function::Intersect => {
                let other = self.argument(call, 0, scope)?;
                let mut both = Vec::new();
                for item in focus {
                    if self.contains(&other, &item)? {
                        both.push(item);
                    }
                }
                return self.distinct(both);
            }
            _ => {
                let other = self.argument(call, 0, scope)?;
                let mut rest = Vec::new();
                for item in focus {
                    if !self.contains(&other, &item)? {
                        rest.push(item);
                    }
                }
                return Ok(rest);
            }
        }
        Ok(focus)
    }

    /// All items of both, each once.
    pub(super) fn union(&self, mut left: Collection<'v>, right: Collection<'v>) -> Result<Collection<'v>> {
        left.extend(right);
        self.distinct(left)
    }

    /// Each item once, in the order of the first.
    pub(super) fn distinct(&self, items: Collection<'v>) -> Result<Collection<'v>> {
        self.step(items.len())?;
        if items.len() >= HASHED_MIN
            && let Some(kept) = distinct_texts(&items)
        {
            return Ok(items.into_iter().zip(kept).filter(|(_, keep)| *keep).map(|(item, _)| item).collect());
        }
        let mut kept: Collection<'v> = Vec::new();
        for item in items {
            if !self.contains(&kept, &item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    /// Whether a collection holds an equal item.
    pub(super) fn contains(&self, items: &[Item<'v>], wanted: &Item<'v>) -> Result<bool> {
        for item in items {
            if self.equal_items(item, wanted)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Which items are the first of their text, where all are texts.
fn distinct_texts(items: &[Item<'_>]) -> Option<Vec<bool>> {
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().map(|item| Some(seen.insert(item.as_text()?))).collect()
}
