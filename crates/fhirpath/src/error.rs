//! What can go wrong with an expression: when it is read, and when it is evaluated.
//!
//! No text here carries a value of a resource. A [`CompileError`] may name what stands in the expression itself, which
//! is no personal data.

/// An expression that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} (at byte {offset} of the expression)")]
pub struct CompileError {
    /// Bytes before the place of the fault.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

impl CompileError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        CompileError { offset, message: message.into() }
    }
}

/// Why an evaluation ended without a result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Several items stand where the specification allows one at most.
    #[error("{at} takes one item and there are several: choose one with first(), single() or an index")]
    NotSingle {
        /// The operator or function.
        at: &'static str,
    },
    /// An operator or function was given a type it does not take.
    #[error("{at} does not take a value of this type: convert it first")]
    Type {
        /// The operator or function.
        at: &'static str,
    },
    /// An argument has a value that the function does not know.
    #[error("{at} does not know this argument: {expected}")]
    Argument {
        /// The function.
        at: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A type that neither FHIR R4 nor the System model has.
    #[error("there is no type of that name in FHIR R4: check its spelling")]
    UnknownType,
    /// A variable that the caller does not give.
    #[error("there is no variable of that name: the caller has to give it")]
    UnknownVariable,
    /// A profile or value set that the caller cannot look into.
    #[error("{at} needs a definition that is not loaded: load the package that has it")]
    NotAvailable {
        /// The function.
        at: &'static str,
    },
    /// A regular expression that cannot be read or is too large.
    #[error("the pattern of {at} is not a regular expression that can be used")]
    Pattern {
        /// The function.
        at: &'static str,
    },
    /// A date cannot be moved by a quantity of this unit.
    #[error("a date or time moves by calendar durations and definite units of time only")]
    Unit,
    /// More steps than [`crate::Context::steps_max`].
    #[error("the evaluation takes more steps than allowed: make the expression or the resource smaller")]
    TooManySteps,
    /// A text or a collection grows past its bound.
    #[error("the result grows larger than allowed: make the expression or the resource smaller")]
    TooLarge,
}

/// An expression that can mean nothing on the types that it is for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SemanticError {
    /// A name that no type there has.
    #[error("no type that stands there has an element `{name}`")]
    Element {
        /// The name.
        name: String,
    },
    /// A type that neither FHIR R4 nor the System model has.
    #[error("there is no type of that name in FHIR R4")]
    UnknownType,
    /// A function or operator on types that it does not take.
    #[error("{at} does not take any type that may stand there")]
    Type {
        /// The operator or function.
        at: &'static str,
    },
    /// A place is asked for in a collection that has no order.
    #[error("{at} asks for a place, and what stands before it has no order")]
    Unordered {
        /// The function.
        at: &'static str,
    },
}
