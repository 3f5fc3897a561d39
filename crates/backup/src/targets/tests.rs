//! What tests of every kind of target ask of one.

use crate::{ObjectName, Target};
use std::ops::ControlFlow;

pub(super) fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

/// Names and bytes of what is listed, in the order of the list.
pub(super) fn listed(target: &dyn Target, prefix: &str) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    target
        .list(prefix, &mut |listed| {
            all.push((listed.name.to_string(), listed.bytes));
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

/// The same, names alone.
pub(super) fn listed_names(target: &dyn Target, prefix: &str) -> Vec<String> {
    listed(target, prefix).into_iter().map(|(name, _)| name).collect()
}
