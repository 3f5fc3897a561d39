//! Whether an expression can mean anything on the types it is for: the strict mode of FHIRPath N1 ("Path Selection"),
//! and no more than what is certain. Where one of several types would do, nothing is said.
//!
//! Tests of `$this` narrow what it may be in the operand that is looked at only if they hold: after `implies` and
//! `and`, after `or` where they do not, and in the branches of `iif()`.

mod call;
mod kinds;

use crate::error::SemanticError;
use crate::function::Function;
use crate::model::{NodeType, SystemType};
use crate::syntax::{Expr, Link, Literal, Member, Operator, Step, Variable};
use kinds::{Kind, Kinds};

/// What [`crate::Expression::check`] looks for besides types.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckOptions {
    /// Whether asking for a place in a collection without order (`children().skip(1)`) is a fault.
    pub ordered: bool,
}

type Result<T> = std::result::Result<T, SemanticError>;

struct Checker<'o> {
    options: &'o CheckOptions,
    /// What the whole expression is for.
    start: Kinds,
}

pub(crate) fn check(expression: &Expr, types: &[NodeType], options: &CheckOptions) -> Result<()> {
    let start = if types.is_empty() { Kinds::any() } else { Kinds::of(types.iter().map(|kind| Kind::Node(*kind))) };
    let checker = Checker { options, start };
    checker.expr(expression, &checker.start).map(|_| ())
}

impl Checker<'_> {
    /// What an expression may give where `$this` is one of `this`.
    fn expr(&self, expr: &Expr, this: &Kinds) -> Result<Kinds> {
        Ok(match expr {
            Expr::Empty => Kinds::none(),
            Expr::Literal(literal) => Kinds::system(literal_type(literal)),
            Expr::This => this.clone(),
            Expr::Index => Kinds::system(SystemType::Integer),
            Expr::Total => Kinds::any(),
            Expr::Variable(Variable::Context) => self.start.clone(),
            Expr::Variable(Variable::Address(_)) => Kinds::system(SystemType::String),
            Expr::Variable(_) => Kinds::any(),
            Expr::Head(member) => head(member, this)?,
            Expr::Call(call) => self.call(call, this, this)?,
            Expr::Sign { of, .. } | Expr::Once { of, .. } => self.expr(of, this)?,
            Expr::Chain(first, links) => self.chain(first, links, this)?,
            Expr::Path(head, steps) => {
                let mut kinds = self.expr(head, this)?;
                for step in steps {
                    kinds = match step {
                        Step::Member(name) => member(name, &kinds)?,
                        Step::Call(call) => self.call(call, &kinds, this)?,
                        Step::At(index) => {
                            self.expr(index, this)?;
                            self.in_order(&kinds, "[]")?;
                            kinds
                        }
                    };
                }
                kinds
            }
        })
    }

    /// Refuses what has no order, where that is asked for.
    fn in_order(&self, kinds: &Kinds, at: &'static str) -> Result<()> {
        if self.options.ordered && !kinds.ordered { Err(SemanticError::Unordered { at }) } else { Ok(()) }
    }

    fn chain(&self, first: &Expr, links: &[Link], this: &Kinds) -> Result<Kinds> {
        let mut left = self.expr(first, this)?;
        let mut known = this.clone();
        let mut before = None;
        let mut last = first;
        for link in links {
            left = match link {
                Link::Is(name) => {
                    kinds::check_name(*name)?;
                    Kinds::system(SystemType::Boolean)
                }
                Link::As(name) => left.narrowed(*name, true, true)?,
                Link::Binary(operator, right) => {
                    // What the operands so far say of `$this` where the next one counts.
                    known = match (operator, before) {
                        (Operator::And, None | Some(Operator::And)) => narrow(last, &known, true)?,
                        (Operator::Or, None | Some(Operator::Or)) => narrow(last, &known, false)?,
                        (Operator::Implies, None) => narrow(last, &known, true)?,
                        _ => this.clone(),
                    };
                    before = Some(*operator);
                    last = right;
                    let right = self.expr(right, &known)?;
                    result(*operator, &left, &right)?
                }
            };
        }
        Ok(left)
    }
}

/// What an operator gives.
fn result(operator: Operator, left: &Kinds, right: &Kinds) -> Result<Kinds> {
    Ok(match operator {
        Operator::Plus | Operator::Minus if left.are(Kind::is_temporal) && right.are(Kind::is_number) => {
            return Err(SemanticError::Type { at: operator.name() });
        }
        Operator::Multiply | Operator::Divide | Operator::Plus | Operator::Minus => Kinds::any(),
        Operator::Div => Kinds::system(SystemType::Integer),
        Operator::Mod => Kinds::any(),
        Operator::Concatenate => Kinds::system(SystemType::String),
        Operator::Union => left.merged(right),
        _ => Kinds::system(SystemType::Boolean),
    })
}

/// What `$this` may be where an expression about it is true, or is false.
fn narrow(expr: &Expr, this: &Kinds, truth: bool) -> Result<Kinds> {
    Ok(match expr {
        Expr::Chain(subject, links) => match links.as_slice() {
            [Link::Is(name)] if matches!(**subject, Expr::This) => this.narrowed(*name, truth, false)?,
            [Link::Binary(Operator::And, _), ..] | [Link::Binary(Operator::Or, _), ..] => {
                junction(subject, links, this, truth)?
            }
            _ => this.clone(),
        },
        Expr::Path(head, steps) => match steps.as_slice() {
            [rest @ .., Step::Call(call)] if call.function == Function::Not => {
                if rest.is_empty() {
                    narrow(head, this, !truth)?
                } else if let (Expr::This, [Step::Call(inner)]) = (&**head, rest)
                    && let (Function::Is, Some(name)) = (inner.function, inner.type_name)
                {
                    this.narrowed(name, !truth, false)?
                } else {
                    this.clone()
                }
            }
            [Step::Call(call)] if matches!(**head, Expr::This) && call.function == Function::Is => match call.type_name
            {
                Some(name) => this.narrowed(name, truth, false)?,
                None => this.clone(),
            },
            _ => this.clone(),
        },
        Expr::Call(call) if call.function == Function::Is => match call.type_name {
            Some(name) => this.narrowed(name, truth, false)?,
            None => this.clone(),
        },
        _ => this.clone(),
    })
}

/// Operands all joined by `and`, or all by `or`; where they are mixed with others nothing is known.
fn junction(first: &Expr, links: &[Link], this: &Kinds, truth: bool) -> Result<Kinds> {
    let mut operands = vec![first];
    let mut kind = None;
    for link in links {
        match link {
            Link::Binary(operator, right) if kind.is_none_or(|kind| kind == *operator) => {
                kind = Some(*operator);
                operands.push(right);
            }
            _ => return Ok(this.clone()),
        }
    }
    let all = (kind == Some(Operator::And)) == truth;
    if all {
        // Each of them holds (or, of `or`, none does).
        let mut kinds = this.clone();
        for operand in operands {
            kinds = narrow(operand, &kinds, truth)?;
        }
        return Ok(kinds);
    }
    let mut kinds = Kinds::none();
    for operand in operands {
        kinds = kinds.merged(&narrow(operand, this, truth)?);
    }
    Ok(kinds)
}

/// A name at the head of a path: a type, or a member.
fn head(name: &Member, this: &Kinds) -> Result<Kinds> {
    if let Some(kind) = name.kind {
        let Some(known) = this.known() else { return Ok(Kinds::of([Kind::Node(kind)])) };
        let fitting = known.iter().copied().filter(|known| match known {
            Kind::Node(known) => known.is(kind) || kind.is(*known),
            Kind::System(_) => false,
        });
        let fitting: Vec<Kind> = fitting.collect();
        if !fitting.is_empty() {
            return Ok(Kinds::of(fitting));
        }
    }
    member(&name.name, this)
}

/// The elements of that name.
fn member(name: &str, kinds: &Kinds) -> Result<Kinds> {
    let Some(known) = kinds.known() else { return Ok(Kinds::any_like(kinds)) };
    let mut found = Vec::new();
    for kind in known {
        match kind {
            Kind::Node(NodeType::Unknown) => return Ok(Kinds::any_like(kinds)),
            Kind::Node(node) => {
                let elements = node.element(name);
                if elements.contains(&NodeType::Unknown) || (elements.is_empty() && node.is_abstract()) {
                    return Ok(Kinds::any_like(kinds));
                }
                found.extend(elements.into_iter().map(Kind::Node));
            }
            Kind::System(SystemType::Quantity) => return Ok(Kinds::any_like(kinds)),
            Kind::System(_) => {}
        }
    }
    if found.is_empty() && !known.is_empty() {
        return Err(SemanticError::Element { name: name.to_owned() });
    }
    Ok(Kinds { ordered: kinds.ordered, ..Kinds::of(found) })
}

fn literal_type(literal: &Literal) -> SystemType {
    match literal {
        Literal::Boolean(_) => SystemType::Boolean,
        Literal::Integer(_) => SystemType::Integer,
        Literal::Decimal(_) => SystemType::Decimal,
        Literal::Text(_) => SystemType::String,
        Literal::Date(_) => SystemType::Date,
        Literal::DateTime(_) => SystemType::DateTime,
        Literal::Time(_) => SystemType::Time,
        Literal::Quantity(_) => SystemType::Quantity,
    }
}
