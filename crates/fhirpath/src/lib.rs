//! FHIRPath for R4 over raw JSON: expressions compiled once, evaluated many times. No I/O.
//!
//! ```text
//! "name.given" ── Expression::compile ──> Expression ── evaluate(Context, items) ──> items
//! ```
//!
//! The language is FHIRPath N1 (2.0.0, <https://hl7.org/fhirpath/N1>) with the functions of the later draft that the
//! official suite asks for, and FHIR R4's additions (<https://hl7.org/fhir/R4/fhirpath.html>). Elements are looked at
//! where they stand in the JSON tree: nothing is copied, and each keeps its [`Location`]. What members an element has
//! and of which type comes from `tacet_fhir::definitions`.
//!
//! Expressions and resources may both be hostile: the text, nesting and size of an expression are bounded when it is
//! compiled, the steps and the texts made are bounded when it is evaluated, and patterns run in linear time.
//!
//! ```
//! use tacet_fhir::json::{Limits, parse};
//! use tacet_fhirpath::{Context, Expression, is_true};
//! use tacet_types::Timestamp;
//!
//! let patient = parse(br#"{"resourceType":"Patient","name":[{"given":["Ada"]}]}"#, &Limits::default())?;
//! let expression = Expression::compile("Patient.name.given.exists()")?;
//! let result = expression.evaluate_on(&patient, &Context::new(&patient, Timestamp::from_ms(0)))?;
//! assert!(is_true(&result)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod context;
mod encoding;
mod error;
mod evaluate;
mod function;
mod item;
mod lexer;
mod location;
mod model;
mod parser;
mod pattern;
mod quantity;
mod syntax;
mod temporal;
mod text;

pub use check::CheckOptions;
pub use context::{ARENA_MAX, Arena, ConformsTo, Context, MemberOf, Resolver, STEPS_MAX, Trace};
pub use error::{CompileError, EvaluationError, SemanticError};
pub use item::{Collection, Item, Node, TypeInfo};
pub use location::{Location, Step};
pub use model::{NodeType, SystemType};
pub use quantity::{Quantity, Unit};
pub use temporal::{Moment, Precision};

use tacet_fhir::json::Json;

/// A compiled expression. Cheap to evaluate again and again, from any thread.
#[derive(Debug)]
pub struct Expression {
    root: syntax::Expr,
    /// Parts that are evaluated once.
    slots: usize,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`CompileError`] where the text is no expression, names a function that does not exist, or exceeds the bounds
    /// of size and nesting.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        let (root, slots) = parser::parse(text)?;
        Ok(Expression { root, slots })
    }

    /// Evaluates on a collection, which is `%context` and what names are looked up in.
    ///
    /// # Errors
    /// [`EvaluationError`] where the specification calls for one, and where a bound is exceeded.
    pub fn evaluate<'v>(
        &'v self,
        context: &Context<'v>,
        focus: &[Item<'v>],
    ) -> Result<Collection<'v>, EvaluationError> {
        evaluate::Evaluation::new(context, focus, self.slots).run(&self.root)
    }

    /// Looks for what can mean nothing, before there is a resource: elements that no type has, functions of types that
    /// they do not take. `types` are those the expression may be evaluated on; none means that nothing is known.
    ///
    /// What may hold for one of the types passes; tests of `$this` (`$this is Period implies ...`) are followed.
    ///
    /// # Errors
    /// [`SemanticError`] for the first such place.
    pub fn check(&self, types: &[NodeType], options: &CheckOptions) -> Result<(), SemanticError> {
        check::check(&self.root, types, options)
    }

    /// Evaluates on a whole resource.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate_on<'v>(
        &'v self,
        resource: &'v Json<'v>,
        context: &Context<'v>,
    ) -> Result<Collection<'v>, EvaluationError> {
        self.evaluate(context, &[Item::Node(Node::resource(resource))])
    }
}

/// Whether a result means yes: one item, and not the value `false`. An empty result does not.
///
/// # Errors
/// [`EvaluationError::NotSingle`] for several items.
pub fn is_true(items: &[Item<'_>]) -> Result<bool, EvaluationError> {
    Ok(item::truth(items, "a condition")?.unwrap_or(false))
}
