//! The language of `_filter` (<https://hl7.org/fhir/R4/search_filter.html>), read.
//!
//! ```text
//! either := both { "or" both }
//! both   := one { "and" one }
//! one    := "not" "(" either ")" | "(" either ")" | path operator value
//! path   := { name [ ":" Type ] [ "[" either "]" ] "." | "_has:" Type ":" name ":" } name
//! value  := JSON string | what stands before the next blank, ")" or "]"
//! ```
//!
//! The page gives no order of `and` and `or`; here `and` binds more tightly.

use super::fault::{Fault, Outcome};
use super::key::{Link, resource_type};
use super::{QueryLimits, condition};
use crate::filter::{Comparison, Filter};
use tacet_fhir::json::{self, Json};
use tacet_types::ResourceType;

/// An operator of the language.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Lt,
    Ge,
    Le,
    Ap,
    Sa,
    Eb,
    Pr,
    Po,
    Ss,
    Sb,
    In,
    Ni,
    Re,
}

impl Operator {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "co" => Self::Co,
            "sw" => Self::Sw,
            "ew" => Self::Ew,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "ap" => Self::Ap,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            "pr" => Self::Pr,
            "po" => Self::Po,
            "ss" => Self::Ss,
            "sb" => Self::Sb,
            "in" => Self::In,
            "ni" => Self::Ni,
            "re" => Self::Re,
            _ => return None,
        })
    }

    /// The prefix that means the same.
    pub(super) fn comparison(self) -> Option<Comparison> {
        Some(match self {
            Self::Eq => Comparison::Equal,
            Self::Ne => Comparison::NotEqual,
            Self::Gt => Comparison::Greater,
            Self::Lt => Comparison::Less,
            Self::Ge => Comparison::GreaterOrEqual,
            Self::Le => Comparison::LessOrEqual,
            Self::Ap => Comparison::Approximately,
            Self::Sa => Comparison::StartsAfter,
            Self::Eb => Comparison::EndsBefore,
            _ => return None,
        })
    }

    /// What to say where it does not fit.
    pub(super) fn unfit(self) -> &'static str {
        "an operator of _filter that fits its type"
    }
}

/// A filter, read.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Test { links: Vec<Link>, name: String, operator: Operator, value: String },
}

impl Expression {
    /// Reads the whole text.
    pub(super) fn read(text: &str, limits: &QueryLimits) -> Outcome<Self> {
        let mut reader = Reader { rest: text, limits, depth: 0, tests: 0 };
        let expression = reader.either()?;
        if reader.rest.trim_start().is_empty() { Ok(expression) } else { Err(invalid("and, or, or the end")) }
    }
}

fn invalid(expected: &str) -> Fault {
    Fault::invalid("_filter", &format!("{expected} at the place where it cannot be read on"))
}

struct Reader<'q> {
    rest: &'q str,
    limits: &'q QueryLimits,
    depth: usize,
    tests: usize,
}

impl Reader<'_> {
    fn either(&mut self) -> Outcome<Expression> {
        if self.depth > self.limits.filter_nesting_max {
            return Err(Fault::too_many("nested parts of _filter", self.limits.filter_nesting_max));
        }
        self.depth += 1;
        let mut parts = vec![self.both()?];
        while self.word("or") {
            parts.push(self.both()?);
        }
        self.depth -= 1;
        Ok(if parts.len() > 1 { Expression::Any(parts) } else { parts.pop().ok_or_else(|| invalid("a condition"))? })
    }

    fn both(&mut self) -> Outcome<Expression> {
        let mut parts = vec![self.one()?];
        while self.word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() > 1 { Expression::All(parts) } else { parts.pop().ok_or_else(|| invalid("a condition"))? })
    }

    fn one(&mut self) -> Outcome<Expression> {
        if self.word("not") {
            self.expect('(')?;
            let inner = self.either()?;
            self.expect(')')?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        if self.symbol('(') {
            let inner = self.either()?;
            self.expect(')')?;
            return Ok(inner);
        }
        self.tests += 1;
        if self.tests > self.limits.conditions_max {
            return Err(Fault::too_many("conditions", self.limits.conditions_max));
        }
        let (links, name) = self.path()?;
        let operator = Operator::read(self.name()).ok_or_else(|| invalid("an operator such as eq"))?;
        if !self.rest.starts_with(char::is_whitespace) {
            return Err(invalid("a blank after the operator"));
        }
        let value = self.value()?;
        Ok(Expression::Test { links, name, operator, value })
    }

    fn path(&mut self) -> Outcome<(Vec<Link>, String)> {
        let mut links = Vec::new();
        self.rest = self.rest.trim_start();
        loop {
            if links.len() > self.limits.chain_depth_max {
                return Err(Fault::too_many("chained references", self.limits.chain_depth_max));
            }
            if let Some(rest) = self.rest.strip_prefix("_has:") {
                self.rest = rest;
                let source = self.type_name()?;
                self.expect(':')?;
                let name = self.name().to_owned();
                self.expect(':')?;
                links.push(Link::Back { source, name });
                continue;
            }
            let name = self.name().to_owned();
            if name.is_empty() {
                return Err(invalid("the name of a search parameter"));
            }
            let target = match self.rest.strip_prefix(':') {
                Some(rest) => {
                    self.rest = rest;
                    Some(self.type_name()?)
                }
                None => None,
            };
            let condition = match self.rest.strip_prefix('[') {
                Some(rest) => {
                    self.rest = rest;
                    let inner = self.either()?;
                    self.expect(']')?;
                    Some(Box::new(inner))
                }
                None => None,
            };
            match self.rest.strip_prefix('.') {
                Some(rest) => {
                    self.rest = rest;
                    links.push(Link::Forward { name, target, condition });
                }
                None if target.is_some() || condition.is_some() => {
                    return Err(invalid("a dot and the rest of the path"));
                }
                None => return Ok((links, name)),
            }
        }
    }

    fn type_name(&mut self) -> Outcome<ResourceType> {
        resource_type(self.name())
    }

    fn value(&mut self) -> Outcome<String> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('"') {
            let mut escaped = false;
            let end = self.rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            let (end, _) = end.ok_or_else(|| invalid("the end of a text in quotes"))?;
            let (text, rest) = self.rest.split_at(end + 1);
            let Ok(Json::String(value)) = json::parse_str(text, &json::Limits::default()) else {
                return Err(invalid("a text in quotes as JSON writes it"));
            };
            self.rest = rest;
            return if value.is_empty() { Err(invalid("a value")) } else { Ok(value.into_owned()) };
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ']')).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        if value.is_empty() { Err(invalid("a value")) } else { Ok(value.to_owned()) }
    }

    /// Takes letters, digits, `_` and `-`; may be nothing.
    fn name(&mut self) -> &str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        self.rest = rest;
        name
    }

    /// Takes this word if it is next, whole, and not the name in a condition.
    fn word(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(word) else { return false };
        let is = rest.starts_with(|c: char| c.is_whitespace() || c == '(');
        if is {
            self.rest = rest;
        }
        is
    }

    fn symbol(&mut self, symbol: char) -> bool {
        match self.rest.trim_start().strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, symbol: char) -> Outcome<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(invalid(&format!("`{symbol}`"))) }
    }
}

impl condition::Compiler<'_> {
    /// The filter that an expression means for these types.
    pub(super) fn expression(
        &mut self,
        types: &[ResourceType],
        expression: &Expression,
        every: bool,
    ) -> Outcome<Filter> {
        let mut parts = |parts: &[Expression]| -> Outcome<Vec<Filter>> {
            parts.iter().map(|part| self.expression(types, part, every)).collect()
        };
        Ok(match expression {
            Expression::All(all) => Filter::All(parts(all)?),
            Expression::Any(any) => Filter::Any(parts(any)?),
            Expression::Not(inner) => Filter::Not(Box::new(self.expression(types, inner, every)?)),
            Expression::Test { links, name, operator, value } => {
                // The page writes `subject.id`, though the parameter's name is `_id`.
                let name = if name == "id" { "_id" } else { name };
                let leaf = condition::Leaf::Compare { operator: *operator, value };
                self.condition(types, links, name, leaf, every)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(expression: &Expression) -> String {
        let join = |parts: &[Expression], word: &str| {
            let parts: Vec<_> = parts.iter().map(show).collect();
            format!("({})", parts.join(word))
        };
        match expression {
            Expression::All(parts) => join(parts, " & "),
            Expression::Any(parts) => join(parts, " | "),
            Expression::Not(inner) => format!("!{}", show(inner)),
            Expression::Test { links, name, operator, value } => {
                let links: String = links
                    .iter()
                    .map(|link| match link {
                        Link::Forward { name, target, condition } => format!(
                            "{name}{}{}.",
                            target.map(|target| format!(":{target}")).unwrap_or_default(),
                            condition.as_deref().map(|inner| format!("[{}]", show(inner))).unwrap_or_default()
                        ),
                        Link::Back { source, name } => format!("_has:{source}:{name}:"),
                    })
                    .collect();
                format!("{links}{name} {operator:?} <{value}>")
            }
        }
    }

    #[test]
    fn expressions_are_read() {
        for (text, expected) in [
            (r#"name co "pet""#, "name Co <pet>"),
            (r#"given eq "peter" and birthdate ge 2014-10-10"#, "(given Eq <peter> & birthdate Ge <2014-10-10>)"),
            ("code eq http://loinc.org|1234-5", "code Eq <http://loinc.org|1234-5>"),
            (r#"subject.name co "pet""#, "subject.name Co <pet>"),
            (
                r#"related[type eq "has-component"].target pr false"#,
                "related[type Eq <has-component>].target Pr <false>",
            ),
            (
                "related[type eq has-component].target re Observation/4",
                "related[type Eq <has-component>].target Re <Observation/4>",
            ),
            ("a eq 1 or b eq 2 and c eq 3", "(a Eq <1> | (b Eq <2> & c Eq <3>))"),
            ("(a eq 1 or b eq 2) and not (c eq 3)", "((a Eq <1> | b Eq <2>) & !c Eq <3>)"),
            ("not(not(a eq 1))", "!!a Eq <1>"),
            (r#"a eq "x) \"y\" \\ \u00e9]" and b eq z"#, "(a Eq <x) \"y\" \\ é]> & b Eq <z>)"),
            ("subject:Patient.organization.name sw x", "subject:Patient.organization.name Sw <x>"),
            ("_has:Observation:patient:code eq a|b", "_has:Observation:patient:code Eq <a|b>"),
            ("  a   eq   b  ", "a Eq <b>"),
            ("not-given eq and", "not-given Eq <and>"),
        ] {
            let expression =
                Expression::read(text, &QueryLimits::default()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            assert_eq!(show(&expression), expected);
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = "(".repeat(100) + "a eq 1" + &")".repeat(100);
        for text in [
            "",
            " ",
            "a",
            "a eq",
            "a eq ",
            "a xx b",
            "a eq b c",
            "a eq b and",
            "and",
            "(a eq b",
            "a eq b)",
            "not a eq b",
            "a eq \"x",
            "a eq \"\"",
            "a[b eq c] eq d",
            "a:Patient eq b",
            "a..b eq c",
            ".a eq b",
            "a eq \"\\q\"",
            "_has:Observation eq b",
            "é eq b",
            &deep,
            "a.b.c.d.e.f.g.h eq x",
        ] {
            assert!(Expression::read(text, &QueryLimits::default()).is_err(), "{text}");
        }
    }
}
