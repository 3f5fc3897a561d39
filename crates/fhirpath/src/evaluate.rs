//! Evaluating a compiled expression.
//!
//! No element is copied: collections hold references into the resource. Every part evaluated, item made and pair
//! compared counts as a step, and steps are bounded, so a hostile expression or resource ends in an error.

mod boundary;
mod compare;
mod convert;
mod equal;
mod existence;
mod filter;
mod math;
mod navigate;
mod operators;
mod strings;
mod subset;
mod types;
mod utility;

use crate::context::Context;
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item, Node, truth};
use crate::syntax::{Call, Expr, Literal, Step, Variable};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The longest text that an expression may make, in bytes.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Bytes of text that count as a step.
const TEXT_BYTES_PER_STEP: usize = 64;

/// Items that are copied, as a reference each, in the time of a step.
const ITEMS_COPIED_PER_STEP: usize = 8;

type Result<T> = std::result::Result<T, EvaluationError>;

/// One evaluation.
pub(crate) struct Evaluation<'e, 'v> {
    context: &'e Context<'v>,
    /// `%context`: what the whole expression is evaluated on.
    start: &'e [Item<'v>],
    steps_left: Cell<u64>,
    /// What parts that are evaluated once have given.
    known: RefCell<Vec<Option<Collection<'v>>>>,
}

/// What the names in a part of an expression refer to.
#[derive(Clone)]
struct Scope<'s, 'v> {
    this: &'s [Item<'v>],
    index: Option<usize>,
    total: Option<&'s [Item<'v>]>,
    variables: Option<Rc<Defined<'v>>>,
}

/// A variable of `defineVariable`, and those before it.
struct Defined<'v> {
    name: String,
    value: Collection<'v>,
    before: Option<Rc<Defined<'v>>>,
}

impl<'e, 'v> Evaluation<'e, 'v> {
    /// `slots` is how many parts of the expression are evaluated once.
    pub(crate) fn new(context: &'e Context<'v>, start: &'e [Item<'v>], slots: usize) -> Self {
        let known = RefCell::new(vec![None; slots]);
        Evaluation { context, start, steps_left: Cell::new(context.steps_max), known }
    }

    pub(crate) fn run(&self, expression: &'v Expr) -> Result<Collection<'v>> {
        self.expr(expression, &Scope { this: self.start, index: None, total: None, variables: None })
    }

    /// Counts steps.
    fn step(&self, count: usize) -> Result<()> {
        let left = self.steps_left.get().checked_sub(count as u64).ok_or(EvaluationError::TooManySteps)?;
        self.steps_left.set(left);
        Ok(())
    }

    /// Counts a text that was made.
    fn text(&self, text: String) -> Result<Item<'v>> {
        self.check_text(text.len())?;
        Ok(Item::String(Cow::Owned(text)))
    }

    /// Counts a text that will have so many bytes.
    fn check_text(&self, bytes: usize) -> Result<()> {
        if bytes > TEXT_BYTES_MAX {
            return Err(EvaluationError::TooLarge);
        }
        self.step(bytes / TEXT_BYTES_PER_STEP)
    }

    fn expr(&self, expr: &'v Expr, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        self.step(1)?;
        match expr {
            Expr::Empty => Ok(Vec::new()),
            Expr::Literal(literal) => Ok(vec![item(literal)]),
            Expr::This => {
                self.step(scope.this.len())?;
                Ok(scope.this.to_vec())
            }
            Expr::Index => Ok(scope.index.map(|index| Item::Integer(index as i64)).into_iter().collect()),
            Expr::Total => Ok(scope.total.unwrap_or_default().to_vec()),
            Expr::Variable(variable) => self.variable(variable, scope),
            Expr::Head(member) => self.head(member, scope.this),
            Expr::Call(call) => {
                self.step(scope.this.len())?;
                self.call(call, scope.this.to_vec(), scope)
            }
            Expr::Sign { negate, of } => self.sign(*negate, self.expr(of, scope)?),
            Expr::Chain(first, links) => self.chain(first, links, scope),
            Expr::Path(head, steps) => self.path(head, steps, scope),
            Expr::Once { slot, of } => {
                let known = self.known.borrow().get(*slot).cloned().flatten();
                if let Some(known) = known {
                    // Copied, but neither walked nor compared again.
                    self.step(known.len() / ITEMS_COPIED_PER_STEP)?;
                    return Ok(known);
                }
                let found = self.expr(of, scope)?;
                if let Some(place) = self.known.borrow_mut().get_mut(*slot) {
                    *place = Some(found.clone());
                }
                Ok(found)
            }
        }
    }

    fn path(&self, head: &'v Expr, steps: &'v [Step], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        let mut items = self.expr(head, scope)?;
        // What `defineVariable` defines is known to the steps that follow it.
        let mut inner: Option<Scope<'_, 'v>> = self.defined(head, &items, scope)?;
        for step in steps {
            let scope = inner.as_ref().unwrap_or(scope);
            self.step(1)?;
            items = match step {
                Step::Member(name) => self.member(name, &items)?,
                Step::At(index) => {
                    let index = self.expr(index, scope)?;
                    let at = self.integer(&index, "[]")?;
                    let at = at.and_then(|at| usize::try_from(at).ok());
                    at.filter(|at| *at < items.len()).map(|at| items.swap_remove(at)).into_iter().collect()
                }
                Step::Call(call) if call.function == Function::DefineVariable => {
                    inner = Some(self.define(call, &items, scope)?);
                    items
                }
                Step::Call(call) => self.call(call, items, scope)?,
            };
        }
        Ok(items)
    }

    /// The scope after a head that is itself a `defineVariable`.
    fn defined<'s>(&self, head: &'v Expr, items: &[Item<'v>], scope: &Scope<'s, 'v>) -> Result<Option<Scope<'s, 'v>>> {
        match head {
            Expr::Call(call) if call.function == Function::DefineVariable => self.define(call, items, scope).map(Some),
            _ => Ok(None),
        }
    }

    fn define<'s>(&self, call: &'v Call, items: &[Item<'v>], scope: &Scope<'s, 'v>) -> Result<Scope<'s, 'v>> {
        const AT: &str = "defineVariable()";
        let name = self.text_argument(call, 0, scope, AT)?;
        let name = name.ok_or(EvaluationError::Argument { at: AT, expected: "the name of the variable" })?;
        let value = match call.args.get(1) {
            Some(expr) => self.expr(expr, &Scope { this: items, ..scope.clone() })?,
            None => items.to_vec(),
        };
        self.step(value.len())?;
        let defined = Defined { name: name.into_owned(), value, before: scope.variables.clone() };
        Ok(Scope { variables: Some(Rc::new(defined)), ..scope.clone() })
    }

    fn variable(&self, variable: &'v Variable, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        Ok(match variable {
            Variable::Context => self.start.to_vec(),
            Variable::Resource => vec![Item::Node(Node::resource(self.context.resource))],
            Variable::RootResource => vec![Item::Node(Node::resource(self.context.root_resource))],
            Variable::Address(address) => vec![Item::text(address.as_str())],
            Variable::Named(name) => {
                let mut defined = scope.variables.as_ref();
                while let Some(one) = defined {
                    if one.name == *name {
                        self.step(one.value.len())?;
                        return Ok(one.value.clone());
                    }
                    defined = one.before.as_ref();
                }
                let given = self.context.variables.iter().find(|(known, _)| known == name);
                let (_, items) = given.ok_or(EvaluationError::UnknownVariable)?;
                self.step(items.len())?;
                items.clone()
            }
        })
    }

    /// An argument, evaluated where the function is called.
    fn argument(&self, call: &'v Call, at: usize, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        call.args.get(at).map_or_else(|| Ok(Vec::new()), |expr| self.expr(expr, scope))
    }

    fn text_argument<'i>(
        &self,
        call: &'v Call,
        at: usize,
        scope: &Scope<'_, 'v>,
        name: &'static str,
    ) -> Result<Option<Cow<'i, str>>>
    where
        'v: 'i,
    {
        let items = self.argument(call, at, scope)?;
        match single(&items, name)? {
            None => Ok(None),
            Some(item) => match item.value() {
                Cow::Borrowed(Item::String(text)) => Ok(Some(text.clone())),
                Cow::Owned(Item::String(text)) => Ok(Some(text)),
                _ if is_bare(item) => Ok(None),
                _ => Err(EvaluationError::Type { at: name }),
            },
        }
    }

    fn integer_argument(
        &self,
        call: &'v Call,
        at: usize,
        scope: &Scope<'_, 'v>,
        name: &'static str,
    ) -> Result<Option<i64>> {
        let items = self.argument(call, at, scope)?;
        self.integer(&items, name)
    }

    fn integer(&self, items: &[Item<'v>], name: &'static str) -> Result<Option<i64>> {
        match single(items, name)? {
            None => Ok(None),
            Some(item) => match item.value().as_ref() {
                Item::Integer(value) => Ok(Some(*value)),
                _ if is_bare(item) => Ok(None),
                _ => Err(EvaluationError::Type { at: name }),
            },
        }
    }

    /// Evaluates an expression on one item: `$this` is that item.
    fn on(&self, expr: &'v Expr, item: &Item<'v>, index: usize, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        let this = std::slice::from_ref(item);
        self.expr(expr, &Scope { this, index: Some(index), total: scope.total, variables: scope.variables.clone() })
    }

    /// Whether a criterion holds for an item; nothing counts as not.
    fn holds(
        &self,
        expr: &'v Expr,
        item: &Item<'v>,
        index: usize,
        scope: &Scope<'_, 'v>,
        at: &'static str,
    ) -> Result<bool> {
        Ok(truth(&self.on(expr, item, index, scope)?, at)?.unwrap_or(false))
    }

    fn call(&self, call: &'v Call, focus: Collection<'v>, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        use Function as F;
        match call.function {
            F::Empty
            | F::Exists
            | F::All
            | F::AllTrue
            | F::AnyTrue
            | F::AllFalse
            | F::AnyFalse
            | F::SubsetOf
            | F::SupersetOf
            | F::Count
            | F::Distinct
            | F::IsDistinct
            | F::Not
            | F::HasValue => self.existence(call, focus, scope),
            F::Where | F::Select | F::Repeat | F::Iif | F::Aggregate | F::Sort | F::Coalesce => {
                self.filter(call, focus, scope)
            }
            F::OfType | F::Is | F::As | F::Type | F::ConformsTo => self.types(call, focus, scope),
            F::Single
            | F::First
            | F::Last
            | F::Tail
            | F::Skip
            | F::Take
            | F::Intersect
            | F::Exclude
            | F::Union
            | F::Combine => self.subset(call, focus, scope),
            F::ToBoolean
            | F::ToInteger
            | F::ToDecimal
            | F::ToDate
            | F::ToDateTime
            | F::ToTime
            | F::ToQuantity
            | F::ToString
            | F::ConvertsToBoolean
            | F::ConvertsToInteger
            | F::ConvertsToDecimal
            | F::ConvertsToDate
            | F::ConvertsToDateTime
            | F::ConvertsToTime
            | F::ConvertsToQuantity
            | F::ConvertsToString => self.convert(call, &focus, scope),
            F::IndexOf
            | F::LastIndexOf
            | F::Substring
            | F::StartsWith
            | F::EndsWith
            | F::Contains
            | F::Upper
            | F::Lower
            | F::Replace
            | F::Matches
            | F::MatchesFull
            | F::ReplaceMatches
            | F::Length
            | F::ToChars
            | F::Encode
            | F::Decode
            | F::Escape
            | F::Unescape
            | F::Trim
            | F::Split => self.strings(call, &focus, scope),
            F::Abs | F::Ceiling | F::Exp | F::Floor | F::Ln | F::Log | F::Power | F::Round | F::Sqrt | F::Truncate => {
                self.math(call, &focus, scope)
            }
            F::LowBoundary | F::HighBoundary | F::Precision | F::Comparable => self.boundary(call, &focus, scope),
            F::Join
            | F::Children
            | F::Descendants
            | F::Trace
            | F::Now
            | F::TimeOfDay
            | F::Today
            | F::DefineVariable
            | F::Extension
            | F::GetValue
            | F::Resolve
            | F::CheckModifiers
            | F::MemberOf
            | F::HtmlChecks => self.utility(call, focus, scope),
        }
    }
}

/// The value of a literal.
fn item(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Boolean(value) => Item::Boolean(*value),
        Literal::Integer(value) => Item::Integer(*value),
        Literal::Decimal(value) => Item::Decimal(*value),
        Literal::Text(text) => Item::text(text.as_str()),
        Literal::Date(moment) => Item::Date(*moment),
        Literal::DateTime(moment) => Item::DateTime(*moment),
        Literal::Time(moment) => Item::Time(*moment),
        Literal::Quantity(quantity) => Item::Quantity(quantity.clone()),
    }
}

/// The one item of a collection, if there is one; several are an error.
fn single<'i, 'v>(items: &'i [Item<'v>], at: &'static str) -> Result<Option<&'i Item<'v>>> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(EvaluationError::NotSingle { at }),
    }
}

/// Whether an item is an element without a value, which counts as nothing where a value is asked for.
fn is_bare(item: &Item<'_>) -> bool {
    item.node().is_some_and(Node::is_bare)
}

/// A collection of a truth value.
fn boolean<'v>(value: bool) -> Collection<'v> {
    vec![Item::Boolean(value)]
}
