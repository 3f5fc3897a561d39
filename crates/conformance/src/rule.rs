//! Rules in FHIRPath: compiled once, evaluated on an element, passed over where they cannot apply.

mod evaluate;
mod guard;

pub(crate) use evaluate::World;
pub(crate) use guard::Guard;

use std::sync::OnceLock;
use tacet_fhir::outcome::Severity;
use tacet_fhirpath::Expression;

/// A constraint of a type or profile.
pub(crate) struct Rule {
    /// Its name: `obs-6`.
    pub(crate) key: String,
    pub(crate) severity: Severity,
    /// What it says, as its author put it.
    pub(crate) words: String,
    text: String,
    /// `None` where the text is no expression that can be compiled.
    compiled: OnceLock<Option<Expression>>,
}

/// What came of evaluating a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Holds,
    Fails,
    /// It could not be evaluated; the words say why.
    Undecided(&'static str),
}

impl Rule {
    /// A rule; compiled when it is first evaluated.
    pub(crate) fn new(key: &str, severity: Severity, words: &str, text: &str) -> Self {
        Rule {
            key: key.to_owned(),
            severity,
            words: words.to_owned(),
            text: text.to_owned(),
            compiled: OnceLock::new(),
        }
    }

    /// The expression as written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn compiled(&self) -> Option<&Expression> {
        self.compiled.get_or_init(|| Expression::compile(&self.text).ok()).as_ref()
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("key", &self.key).field("text", &self.text).finish_non_exhaustive()
    }
}
