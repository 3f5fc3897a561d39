//! From an expression of the R4 search parameters to paths over JSON.
//!
//! ```text
//! expression := union [ "and" path "!=" boolean ]      only as: X.exists() and X != false
//! union      := term { "|" term }
//! term       := ( "(" union [ "as" type ] ")" | name | "%resource" ) { "." name | "." function | "[" number "]" } [ "as" type ]
//! function   := as(type) | ofType(type) | exists() | extension('url') | where(condition)
//! condition  := name = 'text' | resolve() is type | hasExtension('url')
//! ```
//!
//! A choice of types (`value`) becomes one path for each (`valueQuantity`, `valueString`, …), from which a cast then
//! keeps one.

#[cfg(test)]
mod tests;

use super::table::Table;
use crate::definitions::{self, tables};
use tacet_types::ResourceType;

/// Longest expression, in bytes. Those of R4 stay below a third of it.
const EXPRESSION_BYTES_MAX: usize = 16 << 10;

/// Deepest nesting of parentheses.
const NESTING_MAX: usize = 16;

/// Most paths of one expression: a choice has some fifty types.
const PATHS_MAX: usize = 2000;

/// The datatypes that search values are made from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
    Boolean,
    /// `code`: a text whose system the definition fixes.
    Code,
    /// `id`, `string`, `markdown`, `time`, …
    Text,
    /// `uri`, `url`, `oid`, `uuid`
    Uri,
    Canonical,
    /// `integer`, `positiveInt`, `unsignedInt`, `decimal`
    Number,
    /// `date`, `dateTime`, `instant`
    Date,
    Period,
    Timing,
    Coding,
    CodeableConcept,
    Identifier,
    ContactPoint,
    HumanName,
    Address,
    /// `Quantity` and those that specialise it
    Quantity,
    Money,
    Range,
    SampledData,
    Annotation,
    Reference,
    /// A whole resource inside another
    Resource,
    Extension,
    /// `Location.position`
    Position,
    /// An element with its own children, or a datatype that no search compares
    Other,
}

impl Kind {
    /// By the name of a datatype.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "code" => Self::Code,
            "id" | "string" | "markdown" | "time" => Self::Text,
            "uri" | "url" | "oid" | "uuid" => Self::Uri,
            "canonical" => Self::Canonical,
            "integer" | "positiveInt" | "unsignedInt" | "decimal" => Self::Number,
            "date" | "dateTime" | "instant" => Self::Date,
            "Period" => Self::Period,
            "Timing" => Self::Timing,
            "Coding" => Self::Coding,
            "CodeableConcept" => Self::CodeableConcept,
            "Identifier" => Self::Identifier,
            "ContactPoint" => Self::ContactPoint,
            "HumanName" => Self::HumanName,
            "Address" => Self::Address,
            "Quantity" | "Age" | "Count" | "Distance" | "Duration" => Self::Quantity,
            "Money" => Self::Money,
            "Range" => Self::Range,
            "SampledData" => Self::SampledData,
            "Annotation" => Self::Annotation,
            "Reference" => Self::Reference,
            "Resource" => Self::Resource,
            "Extension" => Self::Extension,
            "Location.position" => Self::Position,
            _ => Self::Other,
        }
    }
}

/// One move from an element towards a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// To each item of the member.
    Member(String),
    /// Of the items just reached, only this one.
    Index(usize),
    /// Of the items just reached, only those that pass.
    Filter(Filter),
}

/// A condition on an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Filter {
    /// `where(member='text')`
    Equals(String, String),
    /// `where(hasExtension('url'))`
    HasExtension(String),
    /// `extension('url')`, on each extension
    Url(String),
    /// `where(resolve() is Type)`
    ResolvesTo(ResourceType),
}

/// A compiled path.
#[derive(Clone, Debug)]
pub(super) struct CompiledPath<'e> {
    /// The name of the type that it begins at: a resource's, or the composite's element.
    pub(super) root: &'e str,
    /// Whether a component's path begins at the resource after all (`%resource`).
    pub(super) from_resource: bool,
    pub(super) steps: Vec<Step>,
    /// The type at its end.
    pub(super) end: &'e str,
}

/// A compiled expression.
#[derive(Debug)]
pub(super) enum Program<'e> {
    /// All that these paths reach.
    Paths(Vec<CompiledPath<'e>>),
    /// True if these paths reach anything that is not this boolean, else false.
    ExistsAndIsNot(Vec<CompiledPath<'e>>, bool),
}

/// Why an expression does not compile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CompileError(
    /// What was expected.
    pub(super) &'static str,
);

type Result<T> = std::result::Result<T, CompileError>;

/// Where the elements of a type are looked up.
#[derive(Clone, Copy)]
pub(super) enum Elements<'t> {
    /// In the table of those that the parameters of R4 walk.
    Table(&'t Table),
    /// In the definitions of all types.
    Definitions,
}

impl Elements<'_> {
    /// The JSON members of an element, with the type that each holds.
    fn children(self, parent: &str, name: &str) -> Vec<(String, &'static str)> {
        match self {
            Self::Table(table) => {
                let Some(element) = table.element(parent, name) else { return Vec::new() };
                let member = |end: &str| if element.choice { choice_name(name, end) } else { name.to_owned() };
                element.types.iter().map(|end| (member(end), *end)).collect()
            }
            Self::Definitions => {
                let Some(group) = tables().find(parent) else { return Vec::new() };
                let members = group.members().iter().filter(|member| group.element(member).name() == name);
                let end = |member: &definitions::Member| match member.kind() {
                    definitions::Kind::Primitive(primitive) => primitive.as_str(),
                    definitions::Kind::Group(id) => tables().group(id).path(),
                    definitions::Kind::Resource => "Resource",
                };
                members.map(|member| (member.name().to_owned(), end(member))).collect()
            }
        }
    }
}

/// Compiles the expression of a parameter for resources of the types `bases`.
pub(super) fn compile<'e>(elements: Elements<'_>, expression: &'e str, bases: &[&'e str]) -> Result<Program<'e>> {
    let mut compiler = Compiler::new(elements, expression, bases, false, "")?;
    let paths = compiler.union()?;
    if compiler.word("and") {
        let second = compiler.union()?;
        compiler.expect("!=")?;
        let value = if compiler.word("true") { true } else { compiler.expect_word("false")? };
        let same = paths.existence && second.paths.iter().map(|p| &p.steps).eq(paths.paths.iter().map(|p| &p.steps));
        compiler.end()?;
        return if same {
            Ok(Program::ExistsAndIsNot(second.paths, value))
        } else {
            Err(CompileError("X.exists() and X != …"))
        };
    }
    compiler.end()?;
    if paths.existence { Err(CompileError("a value, not a condition")) } else { Ok(Program::Paths(paths.paths)) }
}

/// Compiles the expression of a composite's component, from an element of type `context` in a resource.
pub(super) fn compile_component<'e>(
    elements: Elements<'_>,
    expression: &'e str,
    context: &'e str,
    resource: &'e str,
) -> Result<Vec<CompiledPath<'e>>> {
    let contexts = [context];
    let mut compiler = Compiler::new(elements, expression, &contexts, true, resource)?;
    let paths = compiler.union()?;
    compiler.end()?;
    if paths.existence { Err(CompileError("a value, not a condition")) } else { Ok(paths.paths) }
}

struct Compiler<'t, 'e> {
    elements: Elements<'t>,
    rest: &'e str,
    /// The types where a relative path begins.
    contexts: &'t [&'e str],
    /// Whether all paths are relative, as in a component. Elsewhere only one of R4 is (`name | alias`), and is known
    /// by its small first letter.
    relative: bool,
    /// What `%resource` is.
    resource: &'e str,
    /// How many parentheses are open.
    depth: usize,
}

/// Paths, and whether only their existence was asked for.
struct Paths<'e> {
    paths: Vec<CompiledPath<'e>>,
    existence: bool,
}

impl<'t, 'e> Compiler<'t, 'e> {
    fn new(
        elements: Elements<'t>,
        expression: &'e str,
        contexts: &'t [&'e str],
        relative: bool,
        resource: &'e str,
    ) -> Result<Self> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(CompileError("a shorter expression"));
        }
        Ok(Self { elements, rest: expression, contexts, relative, resource, depth: 0 })
    }

    fn union(&mut self) -> Result<Paths<'e>> {
        let mut all = self.term()?;
        while self.symbol("|") {
            let next = self.term()?;
            if all.existence || next.existence {
                return Err(CompileError("paths on both sides of |"));
            }
            all.paths.extend(next.paths);
            if all.paths.len() > PATHS_MAX {
                return Err(CompileError("fewer paths"));
            }
        }
        Ok(all)
    }

    fn term(&mut self) -> Result<Paths<'e>> {
        let mut paths = if self.symbol("(") {
            self.depth += 1;
            if self.depth > NESTING_MAX {
                return Err(CompileError("fewer parentheses"));
            }
            let inner = self.union()?;
            self.expect(")")?;
            self.depth -= 1;
            inner
        } else {
            Paths { paths: self.beginning()?, existence: false }
        };
        loop {
            if self.symbol(".") {
                let name = self.name()?;
                paths = if self.symbol("(") { self.function(name, paths)? } else { self.step(name, paths)? };
            } else if self.symbol("[") {
                let index = self.number()?;
                self.expect("]")?;
                paths.paths.iter_mut().for_each(|path| path.steps.push(Step::Index(index)));
            } else if self.word("as") {
                paths.paths = self.cast(paths.paths)?;
            } else {
                return Ok(paths);
            }
        }
    }

    fn beginning(&mut self) -> Result<Vec<CompiledPath<'e>>> {
        let begin = |root, from_resource| CompiledPath { root, from_resource, steps: Vec::new(), end: root };
        if self.symbol("%resource") {
            return Ok(vec![begin(self.resource, true)]);
        }
        let name = self.name()?;
        if self.relative || name.starts_with(|c: char| c.is_ascii_lowercase()) {
            let paths = self.contexts.iter().map(|context| begin(context, false)).collect();
            return Ok(self.step(name, Paths { paths, existence: false })?.paths);
        }
        Ok(vec![begin(name, false)])
    }

    /// To a child element. A choice branches into its types.
    fn step(&self, name: &str, from: Paths<'e>) -> Result<Paths<'e>> {
        let mut paths = Vec::new();
        for path in from.paths {
            for (member, end) in self.elements.children(path.end, name) {
                let mut path = path.clone();
                path.steps.push(Step::Member(member));
                path.end = end;
                paths.push(path);
            }
            if paths.len() > PATHS_MAX {
                return Err(CompileError("fewer paths"));
            }
        }
        if paths.is_empty() || from.existence {
            Err(CompileError("an element of the type before it"))
        } else {
            Ok(Paths { paths, existence: false })
        }
    }

    fn function(&mut self, name: &str, mut from: Paths<'e>) -> Result<Paths<'e>> {
        match name {
            "as" | "ofType" => from.paths = self.cast(from.paths)?,
            "exists" => from.existence = true,
            "extension" => {
                let url = self.text()?;
                for path in &mut from.paths {
                    path.steps.push(Step::Member("extension".to_owned()));
                    path.steps.push(Step::Filter(Filter::Url(url.to_owned())));
                    path.end = "Extension";
                }
            }
            "where" => {
                let filter = self.condition()?;
                from.paths.iter_mut().for_each(|path| path.steps.push(Step::Filter(filter.clone())));
            }
            _ => return Err(CompileError("a function that search parameters use")),
        }
        self.expect(")")?;
        Ok(from)
    }

    fn condition(&mut self) -> Result<Filter> {
        let name = self.name()?;
        if self.symbol("=") {
            return Ok(Filter::Equals(name.to_owned(), self.text()?.to_owned()));
        }
        self.expect("(")?;
        let filter = match name {
            "hasExtension" => Filter::HasExtension(self.text()?.to_owned()),
            "resolve" => {
                self.expect(")")?;
                if !self.word("is") {
                    return Err(CompileError("is"));
                }
                let target = ResourceType::parse(self.name()?).ok_or(CompileError("a resource type"))?;
                return Ok(Filter::ResolvesTo(target));
            }
            _ => return Err(CompileError("a condition that search parameters use")),
        };
        self.expect(")")?;
        Ok(filter)
    }

    /// Keeps the paths of one type. The official expressions write some primitive types with a capital (`DateTime`).
    fn cast(&mut self, mut paths: Vec<CompiledPath<'e>>) -> Result<Vec<CompiledPath<'e>>> {
        let name = self.name()?;
        let is = |end: &str, name: &str| {
            end == name || (end.eq_ignore_ascii_case(name) && end.starts_with(char::is_lowercase))
        };
        paths.retain(|path| is(path.end, name));
        if paths.is_empty() { Err(CompileError("one of the element's types")) } else { Ok(paths) }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, symbol: &'static str) -> Result<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(CompileError(symbol)) }
    }

    /// Takes this word if it is next, whole.
    fn word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let next = self.rest.split(|c: char| !c.is_ascii_alphanumeric()).next();
        next == Some(word) && self.symbol(word)
    }

    fn expect_word(&mut self, word: &'static str) -> Result<bool> {
        if self.word(word) { Ok(false) } else { Err(CompileError(word)) }
    }

    fn name(&mut self) -> Result<&'e str> {
        self.skip_blanks();
        let length = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(CompileError("a name"));
        }
        self.rest = rest;
        Ok(name)
    }

    fn number(&mut self) -> Result<usize> {
        self.skip_blanks();
        let length = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        number.parse().map_err(|_| CompileError("a number"))
    }

    fn text(&mut self) -> Result<&'e str> {
        self.expect("'")?;
        let (text, rest) = self.rest.split_once('\'').ok_or(CompileError("'"))?;
        self.rest = rest;
        Ok(text)
    }

    fn end(&mut self) -> Result<()> {
        self.skip_blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(CompileError("the end")) }
    }
}

/// `value` and `dateTime` make `valueDateTime` (R4, JSON: choice of datatypes).
fn choice_name(name: &str, type_name: &str) -> String {
    let mut letters = type_name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    name.chars().chain(first).chain(letters).collect()
}
