//! A compiled expression.
//!
//! Operators of one precedence stand in one list, and so do the steps of a path: the tree is only as deep as the text
//! nests, which the parser bounds, and evaluation recurses no further.

use crate::function::Function;
use crate::model::{NodeType, TypeName};
use crate::quantity::Quantity;
use crate::temporal::Moment;
use regex::Regex;
use rust_decimal::Decimal;

/// An expression or a part of one.
#[derive(Debug)]
pub(crate) enum Expr {
    /// `{}`
    Empty,
    Literal(Literal),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    Variable(Variable),
    /// A name at the head of a path: a member, or the type of what it is looked up in.
    Head(Member),
    /// A function of what the expression is evaluated on.
    Call(Box<Call>),
    /// `-`, and `+` where it does not negate.
    Sign {
        negate: bool,
        of: Box<Expr>,
    },
    /// Operators of one precedence, from left to right.
    Chain(Box<Expr>, Vec<Link>),
    /// Steps one after another.
    Path(Box<Expr>, Vec<Step>),
    /// A part inside an argument that gives the same whatever it is evaluated on, and so is evaluated once:
    /// `%resource.descendants()` in a criterion would otherwise walk the resource for each item.
    Once {
        slot: usize,
        of: Box<Expr>,
    },
}

impl Expr {
    /// Whether it gives the same throughout an evaluation.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Expr::Empty | Expr::Literal(_) | Expr::Once { .. } => true,
            Expr::Variable(Variable::Named(_)) => false,
            Expr::Variable(_) => true,
            Expr::Sign { of, .. } => of.is_fixed(),
            Expr::Chain(first, links) => {
                let fixed = |link: &Link| match link {
                    Link::Binary(_, right) => right.is_fixed(),
                    Link::Is(_) | Link::As(_) => true,
                };
                first.is_fixed() && links.iter().all(fixed)
            }
            Expr::Path(head, steps) => head.is_fixed() && steps.iter().all(Step::is_fixed),
            Expr::This | Expr::Index | Expr::Total | Expr::Head(_) | Expr::Call(_) => false,
        }
    }

    /// Whether evaluating it again costs next to nothing.
    pub(crate) fn is_leaf(&self) -> bool {
        !matches!(self, Expr::Chain(..) | Expr::Path(..))
    }
}

/// A value that the expression spells out.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    Text(String),
    Date(Moment),
    DateTime(Moment),
    Time(Moment),
    Quantity(Quantity<'static>),
}

/// A name after `%`.
#[derive(Debug)]
pub(crate) enum Variable {
    Context,
    Resource,
    RootResource,
    /// `%sct`, `%vs-name`: an address that the specification gives.
    Address(String),
    /// What the caller or `defineVariable` gives.
    Named(String),
}

/// The name of a member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The type of FHIR of that name, if there is one.
    pub(crate) kind: Option<NodeType>,
}

/// One step of a path.
#[derive(Debug)]
pub(crate) enum Step {
    Member(String),
    Call(Box<Call>),
    /// `[...]`
    At(Expr),
}

impl Step {
    /// Whether it gives the same from the same items throughout an evaluation.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Step::Member(_) => true,
            Step::Call(call) => call.args.is_empty(),
            Step::At(index) => index.is_fixed(),
        }
    }
}

/// An operator and what stands to its right.
#[derive(Debug)]
pub(crate) enum Link {
    Binary(Operator, Expr),
    Is(TypeName),
    As(TypeName),
}

/// Operators with two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Multiply,
    Divide,
    Div,
    Mod,
    Plus,
    Minus,
    Concatenate,
    Union,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

/// A function with its arguments.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) args: Vec<Expr>,
    /// The type that `is`, `as` and `ofType` are given.
    pub(crate) type_name: Option<TypeName>,
    /// The pattern, where it is spelled out and so needs compiling only once.
    pub(crate) pattern: Option<Regex>,
}

impl Operator {
    /// The operator of that token in operator position, and how strongly it binds (N1, "Operator Precedence").
    pub(crate) fn parse(word: &str) -> Option<(Self, u8)> {
        Some(match word {
            "*" => (Operator::Multiply, 10),
            "/" => (Operator::Divide, 10),
            "div" => (Operator::Div, 10),
            "mod" => (Operator::Mod, 10),
            "+" => (Operator::Plus, 9),
            "-" => (Operator::Minus, 9),
            "&" => (Operator::Concatenate, 9),
            "|" => (Operator::Union, 7),
            "<" => (Operator::Less, 6),
            "<=" => (Operator::LessOrEqual, 6),
            ">" => (Operator::Greater, 6),
            ">=" => (Operator::GreaterOrEqual, 6),
            "=" => (Operator::Equal, 5),
            "!=" => (Operator::NotEqual, 5),
            "~" => (Operator::Equivalent, 5),
            "!~" => (Operator::NotEquivalent, 5),
            "in" => (Operator::In, 4),
            "contains" => (Operator::Contains, 4),
            "and" => (Operator::And, 3),
            "or" => (Operator::Or, 2),
            "xor" => (Operator::Xor, 2),
            "implies" => (Operator::Implies, 1),
            _ => return None,
        })
    }

    /// How messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Div => "div",
            Operator::Mod => "mod",
            Operator::Plus => "+",
            Operator::Minus => "-",
            Operator::Concatenate => "&",
            Operator::Union => "|",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Equivalent => "~",
            Operator::NotEquivalent => "!~",
            Operator::In => "in",
            Operator::Contains => "contains",
            Operator::And => "and",
            Operator::Or => "or",
            Operator::Xor => "xor",
            Operator::Implies => "implies",
        }
    }
}

/// How strongly `is` and `as` bind.
pub(crate) const TYPE_PRECEDENCE: u8 = 8;
