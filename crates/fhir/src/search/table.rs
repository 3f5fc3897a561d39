//! The committed table of search parameters and of the elements that their expressions walk, read once.

use std::collections::HashMap;
use std::sync::LazyLock;
use tacet_types::ResourceType;

/// Made by `cargo xtask definitions`; its head says what each line is.
const TEXT: &str = include_str!("../../definitions/search-parameters.txt");

/// Parameters of the package that only show how one is written: two of them repeat `_id` and `Condition.subject`, one
/// looks for an extension of another type than its own. They are in the table, and find nothing.
const EXAMPLES: [&str; 3] = ["example", "example-extension", "example-reference"];

/// A search parameter of R4.
#[derive(Debug)]
pub struct Parameter {
    /// Its id: the end of its url.
    pub id: &'static str,
    /// Its name in a query.
    pub code: &'static str,
    /// How its values compare.
    pub parameter_type: ParameterType,
    /// The types that it is defined for, by name: `Resource` and `DomainResource` stand for all of theirs.
    pub bases: Vec<&'static str>,
    /// The types that a reference may lead to.
    pub targets: Targets,
    /// The official FHIRPath expression, on one line.
    pub expression: &'static str,
    /// The parts of a composite; empty otherwise.
    pub components: Vec<Component>,
    /// One of the standard's three examples of how a parameter is written: it applies to nothing.
    pub example: bool,
}

impl Parameter {
    /// The canonical url.
    pub fn url(&self) -> String {
        format!("http://hl7.org/fhir/SearchParameter/{}", self.id)
    }

    /// Whether it applies to this type.
    pub fn applies_to(&self, resource_type: ResourceType) -> bool {
        !self.example && self.bases.iter().any(|base| is_a(resource_type, base))
    }
}

/// A part of a composite parameter.
#[derive(Debug)]
pub struct Component {
    /// Id of the parameter that says how the part compares.
    pub definition: &'static str,
    /// The part's path from each element that the composite finds.
    pub expression: &'static str,
}

/// What a reference parameter may lead to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Targets {
    /// Any type.
    Any,
    /// These types; none for a parameter that is not a reference.
    Types(Vec<ResourceType>),
}

/// How the values of a parameter compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the words of the standard, https://hl7.org/fhir/R4/search.html")]
pub enum ParameterType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

impl ParameterType {
    /// By its code.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "number" => Self::Number,
            "date" => Self::Date,
            "string" => Self::String,
            "token" => Self::Token,
            "reference" => Self::Reference,
            "composite" => Self::Composite,
            "quantity" => Self::Quantity,
            "uri" => Self::Uri,
            "special" => Self::Special,
            _ => return None,
        })
    }

    /// The code of the type in R4.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }
}

/// What stands for a parameter that is not in the table.
pub(super) static NO_PARAMETER: Parameter = Parameter {
    id: "",
    code: "",
    parameter_type: ParameterType::Special,
    bases: Vec::new(),
    targets: Targets::Types(Vec::new()),
    expression: "",
    components: Vec::new(),
    example: false,
};

/// An element as an expression meets it.
pub(super) struct Element {
    /// Whether its JSON name carries its type (`value[x]`).
    pub(super) choice: bool,
    /// Its types: names of datatypes, or the path of a backbone.
    pub(super) types: Vec<&'static str>,
}

/// Parameters and elements.
pub(super) struct Table {
    pub(super) parameters: Vec<Parameter>,
    elements: HashMap<(&'static str, &'static str), Element>,
}

/// The one composite of R4 whose two paths stand at each other's definition: the code at that of the reference, the
/// target at that of the code. As it stands it would find nothing.
const CROSSED: &str = "DocumentReference-relationship";

impl Table {
    /// The element of that name in a type or backbone.
    pub(super) fn element<'s>(&'s self, parent: &'s str, name: &'s str) -> Option<&'s Element> {
        self.elements.get(&(parent, name))
    }

    fn read(text: &'static str) -> Self {
        let mut table = Self { parameters: Vec::new(), elements: HashMap::new() };
        for line in text.lines() {
            let mut fields = line.split('\t');
            // A line that does not fit is left out, and then missing in the tests that count.
            let _ = match fields.next() {
                Some("P") => table.read_parameter(fields),
                Some("C") => table.read_component(fields),
                Some("E") => table.read_element(fields),
                _ => None,
            };
        }
        if let Some(parameter) = table.parameters.iter_mut().find(|parameter| parameter.id == CROSSED)
            && let [first, second] = parameter.components.as_mut_slice()
        {
            std::mem::swap(&mut first.expression, &mut second.expression);
        }
        table
    }

    fn read_parameter(&mut self, mut fields: impl Iterator<Item = &'static str>) -> Option<()> {
        let (id, code) = (fields.next()?, fields.next()?);
        let parameter_type = ParameterType::parse(fields.next()?)?;
        let bases = fields.next()?.split_whitespace().collect();
        let targets = match fields.next()? {
            "*" => Targets::Any,
            names => Targets::Types(names.split_whitespace().filter_map(ResourceType::parse).collect()),
        };
        let expression = fields.next()?;
        let example = EXAMPLES.contains(&id);
        let components = Vec::new();
        self.parameters.push(Parameter { id, code, parameter_type, bases, targets, expression, components, example });
        Some(())
    }

    fn read_component(&mut self, mut fields: impl Iterator<Item = &'static str>) -> Option<()> {
        let component = Component { definition: fields.next()?, expression: fields.next()? };
        self.parameters.last_mut()?.components.push(component);
        Some(())
    }

    fn read_element(&mut self, mut fields: impl Iterator<Item = &'static str>) -> Option<()> {
        let (parent, name) = fields.next()?.rsplit_once('.')?;
        let (name, choice) = name.strip_suffix("[x]").map_or((name, false), |name| (name, true));
        let types = fields.next()?.split_whitespace().collect();
        self.elements.insert((parent, name), Element { choice, types });
        Some(())
    }
}

/// The table, read at its first use.
pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT));
    &TABLE
}

/// Whether a resource type is that type, or one of the two abstract ones that it comes from.
pub(super) fn is_a(resource_type: ResourceType, name: &str) -> bool {
    match name {
        "Resource" => true,
        // R4, "resource": the three that are not domain resources.
        "DomainResource" => !matches!(resource_type.as_str(), "Bundle" | "Binary" | "Parameters"),
        _ => resource_type.as_str() == name,
    }
}
