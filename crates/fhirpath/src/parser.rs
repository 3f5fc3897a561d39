//! From tokens to a compiled expression, by precedence (FHIRPath N1, "Operator Precedence").
//!
//! Recursion follows brackets, arguments and signs, which [`NESTING_MAX`] bounds; the depth of what comes out is
//! bounded by [`DEPTH_MAX`], so that evaluating it cannot exhaust a stack either.

use crate::error::CompileError;
use crate::function::Function;
use crate::lexer::{self, Placed, Token};
use crate::model::{TypeName, fhir_type};
use crate::quantity::{Quantity, Unit};
use crate::syntax::{Call, Expr, Link, Literal, Member, Operator, Step, TYPE_PRECEDENCE, Variable};
use crate::temporal::CalendarUnit;
use rust_decimal::Decimal;

/// Deepest nesting of brackets, arguments and signs. The invariants of R4 nest under 15.
const NESTING_MAX: usize = 64;
/// Deepest tree. One bracket may hold operators of several precedences, each a level.
const DEPTH_MAX: usize = 96;
/// Most parts of an expression, all levels together.
const PARTS_MAX: usize = 20_000;

/// Reads an expression: the tree, and how many of its parts are evaluated once.
pub(crate) fn parse(text: &str) -> Result<(Expr, usize), CompileError> {
    let tokens = lexer::read(text)?;
    let mut parser =
        Parser { tokens: &tokens, at: 0, end: text.len(), nesting_left: NESTING_MAX, parts_left: PARTS_MAX, slots: 0 };
    let (expression, _) = parser.expression(0)?;
    match parser.peek() {
        None => Ok((expression, parser.slots)),
        Some(_) => parser.fail("an operator or the end is missing here"),
    }
}

struct Parser<'t> {
    tokens: &'t [Placed],
    at: usize,
    end: usize,
    nesting_left: usize,
    parts_left: usize,
    /// Parts so far that are evaluated once.
    slots: usize,
}

/// A part and how deep it is.
type Parsed<T> = Result<(T, usize), CompileError>;

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(offset, _)| *offset)
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError::new(self.offset(), message))
    }

    fn next_is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = self.next_is(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), CompileError> {
        if self.accept(sign) { Ok(()) } else { self.fail(format!("`{sign}` is missing here")) }
    }

    /// Counts a part; `depth` is that of the parts in it.
    fn part(&mut self, depth: usize) -> Result<usize, CompileError> {
        if depth >= DEPTH_MAX {
            return self.fail("the expression nests deeper than allowed");
        }
        match self.parts_left.checked_sub(1) {
            Some(left) => self.parts_left = left,
            None => return self.fail("the expression has more parts than allowed"),
        }
        Ok(depth + 1)
    }

    /// An expression whose operators bind at least so strongly.
    fn expression(&mut self, least: u8) -> Parsed<Expr> {
        match self.nesting_left.checked_sub(1) {
            Some(left) => self.nesting_left = left,
            None => return self.fail("the expression nests deeper than allowed"),
        }
        let (mut left, mut depth) = self.signed()?;
        let mut chain_precedence = None;
        loop {
            let word = match self.peek() {
                Some(Token::Sign(sign)) => sign,
                Some(Token::Name(name)) => name.as_str(),
                _ => break,
            };
            let types = matches!(word, "is" | "as");
            let (operator, precedence) = match Operator::parse(word) {
                Some((operator, precedence)) => (Some(operator), precedence),
                None if types => (None, TYPE_PRECEDENCE),
                None => break,
            };
            if precedence < least {
                break;
            }
            self.at += 1;
            let (link, link_depth) = match operator {
                Some(operator) => {
                    let (right, right_depth) = self.expression(precedence + 1)?;
                    (Link::Binary(operator, right), right_depth)
                }
                None if word == "is" => (Link::Is(self.type_name()?), 0),
                None => (Link::As(self.type_name()?), 0),
            };
            match left {
                Expr::Chain(first, mut links) if chain_precedence == Some(precedence) => {
                    links.push(link);
                    left = Expr::Chain(first, links);
                    depth = depth.max(self.part(link_depth)?);
                }
                other => {
                    left = Expr::Chain(Box::new(other), vec![link]);
                    depth = self.part(depth.max(link_depth))?;
                }
            }
            chain_precedence = Some(precedence);
        }
        self.nesting_left += 1;
        Ok((left, depth))
    }

    /// A path with a sign before it, or without. The sign binds less than the path: `-1.abs()` is `-(1.abs())`.
    fn signed(&mut self) -> Parsed<Expr> {
        let mut signs = Vec::new();
        loop {
            if self.accept("-") {
                signs.push(true);
            } else if self.accept("+") {
                signs.push(false);
            } else {
                break;
            }
        }
        let (mut value, mut depth) = self.path()?;
        for negate in signs.into_iter().rev() {
            value = Expr::Sign { negate, of: Box::new(value) };
            depth = self.part(depth)?;
        }
        Ok((value, depth))
    }

    fn path(&mut self) -> Parsed<Expr> {
        let (head, mut depth) = self.term()?;
        let mut steps = Vec::new();
        loop {
            let (step, step_depth) = if self.accept(".") {
                self.step()?
            } else if self.accept("[") {
                let (index, index_depth) = self.expression(0)?;
                self.expect("]")?;
                (Step::At(index), index_depth)
            } else {
                break;
            };
            depth = depth.max(step_depth);
            self.part(depth)?;
            steps.push(step);
        }
        if steps.is_empty() {
            return Ok((head, depth));
        }
        Ok((Expr::Path(Box::new(head), steps), self.part(depth)?))
    }

    fn step(&mut self) -> Parsed<Step> {
        let name = match self.peek() {
            Some(Token::Name(name) | Token::Delimited(name)) => name,
            _ => return self.fail("a name is missing here"),
        };
        self.at += 1;
        if self.next_is("(") {
            let (call, depth) = self.call(name)?;
            return Ok((Step::Call(Box::new(call)), depth));
        }
        Ok((Step::Member(name.clone()), 1))
    }

    fn term(&mut self) -> Parsed<Expr> {
        let Some(token) = self.peek() else { return self.fail("the expression ends too early") };
        self.at += 1;
        let leaf = match token {
            Token::Name(name) if name == "true" => Expr::Literal(Literal::Boolean(true)),
            Token::Name(name) if name == "false" => Expr::Literal(Literal::Boolean(false)),
            Token::Name(name) | Token::Delimited(name) => {
                if self.next_is("(") {
                    let (call, depth) = self.call(name)?;
                    return Ok((Expr::Call(Box::new(call)), self.part(depth)?));
                }
                let kind = fhir_type(name).filter(|_| name.starts_with(|first: char| first.is_ascii_uppercase()));
                let qualified = (name == "FHIR" && self.next_is(".")).then(|| self.qualified_head()).flatten();
                Expr::Head(qualified.unwrap_or(Member { name: name.clone(), kind }))
            }
            Token::Text(text) => Expr::Literal(Literal::Text(text.clone())),
            Token::Integer(value) => self.number(Decimal::from(*value), Some(*value))?,
            Token::Decimal(value) => self.number(*value, None)?,
            Token::Date(moment) => Expr::Literal(Literal::Date(*moment)),
            Token::DateTime(moment) => Expr::Literal(Literal::DateTime(*moment)),
            Token::Time(moment) => Expr::Literal(Literal::Time(*moment)),
            Token::Dollar(name) => match name.as_str() {
                "this" => Expr::This,
                "index" => Expr::Index,
                "total" => Expr::Total,
                _ => {
                    self.at -= 1;
                    return self.fail("after `$` comes `this`, `index` or `total`");
                }
            },
            Token::Sign("%") => Expr::Variable(self.variable()?),
            Token::Sign("{") => {
                self.expect("}")?;
                Expr::Empty
            }
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign(_) => {
                self.at -= 1;
                return self.fail("a value is missing here");
            }
        };
        Ok((leaf, self.part(0)?))
    }

    /// `FHIR.Patient.name`: the type with its namespace at the head of a path.
    fn qualified_head(&mut self) -> Option<Member> {
        let (_, Token::Name(name) | Token::Delimited(name)) = self.tokens.get(self.at + 1)? else { return None };
        let kind = fhir_type(name)?;
        self.at += 2;
        Some(Member { name: name.clone(), kind: Some(kind) })
    }

    /// A number, which a unit makes a quantity.
    fn number(&mut self, value: Decimal, whole: Option<i64>) -> Result<Expr, CompileError> {
        let unit = match self.peek() {
            Some(Token::Text(code)) => Some(Unit::Ucum(code.clone().into())),
            Some(Token::Name(word)) => CalendarUnit::parse(word).map(|unit| Unit::Calendar(unit.word())),
            _ => None,
        };
        self.at += usize::from(unit.is_some());
        Ok(Expr::Literal(match (unit, whole) {
            (Some(unit), _) => Literal::Quantity(Quantity { value, unit }),
            (None, Some(whole)) => Literal::Integer(whole),
            (None, None) => Literal::Decimal(value),
        }))
    }

    fn variable(&mut self) -> Result<Variable, CompileError> {
        let Some(Token::Name(name) | Token::Delimited(name) | Token::Text(name)) = self.peek() else {
            return self.fail("a name is missing after `%`");
        };
        self.at += 1;
        // FHIR R4, "FHIRPath", Variables.
        let address = |base: &str, name: &str| Variable::Address(format!("http://hl7.org/fhir/{base}/{name}"));
        Ok(match name.as_str() {
            "context" => Variable::Context,
            "resource" => Variable::Resource,
            "rootResource" => Variable::RootResource,
            "sct" => Variable::Address("http://snomed.info/sct".to_owned()),
            "loinc" => Variable::Address("http://loinc.org".to_owned()),
            "ucum" => Variable::Address("http://unitsofmeasure.org".to_owned()),
            other => match (other.strip_prefix("vs-"), other.strip_prefix("ext-")) {
                (Some(name), _) => address("ValueSet", name),
                (_, Some(name)) => address("StructureDefinition", name),
                _ => Variable::Named(other.to_owned()),
            },
        })
    }

    /// A type, with its namespace or without.
    fn type_name(&mut self) -> Result<TypeName, CompileError> {
        let mut names = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Name(name) | Token::Delimited(name)) => names.push(name.as_str()),
                _ => return self.fail("the name of a type is missing here"),
            }
            self.at += 1;
            // After a whole name a point begins the next step: `(value is Quantity).not()` has the bracket for that.
            if names.len() == 2 || !self.next_is(".") || !matches!(names.as_slice(), ["FHIR" | "System"]) {
                break;
            }
            self.at += 1;
        }
        Ok(match names.as_slice() {
            [namespace, name] => TypeName::find(Some(namespace), name),
            [name] => TypeName::find(None, name),
            _ => TypeName::Unknown,
        })
    }

    /// Marks the largest parts that give the same throughout an evaluation. Arguments inside were marked when they
    /// were read, so this looks at operands and at the beginnings of paths only.
    fn once(&mut self, expr: Expr) -> Expr {
        if !expr.is_leaf() && expr.is_fixed() {
            return self.slot(expr);
        }
        match expr {
            Expr::Chain(first, links) => {
                let first = Box::new(self.once(*first));
                let links = links.into_iter().map(|link| match link {
                    Link::Binary(operator, right) => Link::Binary(operator, self.once(right)),
                    other => other,
                });
                Expr::Chain(first, links.collect())
            }
            Expr::Path(head, mut steps) => {
                let fixed = if head.is_fixed() { steps.iter().take_while(|step| step.is_fixed()).count() } else { 0 };
                if fixed == 0 {
                    return Expr::Path(Box::new(self.once(*head)), steps);
                }
                let rest = steps.split_off(fixed);
                Expr::Path(Box::new(self.slot(Expr::Path(head, steps))), rest)
            }
            other => other,
        }
    }

    fn slot(&mut self, expr: Expr) -> Expr {
        let slot = self.slots;
        self.slots += 1;
        Expr::Once { slot, of: Box::new(expr) }
    }

    /// At the bracket after a function's name.
    fn call(&mut self, name: &str) -> Parsed<Call> {
        let Some(function) = Function::parse(name) else {
            self.at -= 1;
            return self.fail("there is no function of that name");
        };
        let start = self.offset();
        self.expect("(")?;
        let mut call = Call { function, args: Vec::new(), type_name: None, pattern: None };
        let mut depth = 0;
        let mut count = 0;
        if !self.accept(")") {
            loop {
                count += 1;
                if matches!(function, Function::Is | Function::As | Function::OfType) {
                    call.type_name = Some(self.type_name()?);
                } else {
                    let (argument, argument_depth) = self.expression(0)?;
                    // What is wrapped to be evaluated once is two levels deeper at most.
                    let argument_depth = self.part(argument_depth)?;
                    depth = depth.max(self.part(argument_depth)?);
                    call.args.push(self.once(argument));
                }
                if self.accept(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        let (least, most) = function.arguments();
        if count < least || count > most {
            return Err(CompileError::new(start, format!("{name}() takes another number of arguments")));
        }
        if let (
            Function::Matches | Function::MatchesFull | Function::ReplaceMatches,
            Some(Expr::Literal(Literal::Text(text))),
        ) = (function, call.args.first())
        {
            let pattern = crate::pattern::compile(text, function == Function::MatchesFull);
            call.pattern =
                Some(pattern.ok_or_else(|| CompileError::new(start, "not a regular expression that can be used"))?);
        }
        let depth = self.part(depth)?;
        Ok((call, depth))
    }
}
