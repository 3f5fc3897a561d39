//! The types of FHIR R4 and of FHIRPath's own System model: their names, and which is built upon which.
//!
//! What members a type has comes from `tacet_fhir::definitions`. Those tables do not keep what a type is built upon,
//! so the few that differ from the rule are named here (R4, "Datatypes" and "Resource").

use std::collections::HashMap;
use std::sync::LazyLock;
use tacet_fhir::definitions::{Group, GroupKind, Kind, Primitive, tables};
use tacet_fhir::json::Json;

/// The type of an element.
#[derive(Clone, Copy, Debug)]
pub enum NodeType {
    /// A primitive of FHIR.
    Primitive(Primitive),
    /// A resource, a datatype, or a part of one.
    Group(&'static Group),
    /// Not known to R4: looked at as plain JSON.
    Unknown,
}

impl PartialEq for NodeType {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (NodeType::Primitive(left), NodeType::Primitive(right)) => left == right,
            (NodeType::Group(left), NodeType::Group(right)) => left.path() == right.path(),
            (NodeType::Unknown, NodeType::Unknown) => true,
            _ => false,
        }
    }
}

/// A type of the System model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Decimal,
    /// A day, a month or a year.
    Date,
    /// A date, perhaps with a time.
    DateTime,
    /// A time of day.
    Time,
    /// A number and a unit.
    Quantity,
}

impl SystemType {
    /// Its name, without the namespace.
    pub fn name(self) -> &'static str {
        match self {
            SystemType::Boolean => "Boolean",
            SystemType::String => "String",
            SystemType::Integer => "Integer",
            SystemType::Decimal => "Decimal",
            SystemType::Date => "Date",
            SystemType::DateTime => "DateTime",
            SystemType::Time => "Time",
            SystemType::Quantity => "Quantity",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        const ALL: [SystemType; 8] = [
            SystemType::Boolean,
            SystemType::String,
            SystemType::Integer,
            SystemType::Decimal,
            SystemType::Date,
            SystemType::DateTime,
            SystemType::Time,
            SystemType::Quantity,
        ];
        ALL.into_iter().find(|known| known.name() == name)
    }
}

/// A type as an expression names it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum TypeName {
    /// One of the System model.
    System(SystemType),
    /// One of FHIR.
    Fhir(NodeType),
    /// `Quantity` without a namespace: either.
    Quantity,
    /// A name that the System model, which the expression says it is of, does not have: nothing is of it.
    Missing,
    /// Neither has it.
    Unknown,
}

impl TypeName {
    /// The type of that name, in that namespace or, without one, in FHIR first.
    pub(crate) fn find(namespace: Option<&str>, name: &str) -> Self {
        let system = || SystemType::parse(name).map(TypeName::System);
        let found = match namespace {
            Some("System") => system().or(Some(TypeName::Missing)),
            Some("FHIR") => fhir_type(name).map(TypeName::Fhir),
            Some(_) => None,
            None if name == "Quantity" => Some(TypeName::Quantity),
            None => fhir_type(name).map(TypeName::Fhir).or_else(system),
        };
        found.unwrap_or(TypeName::Unknown)
    }
}

/// The type of FHIR with that name; not a part of one.
pub(crate) fn fhir_type(name: &str) -> Option<NodeType> {
    if let Some(primitive) = Primitive::parse(name) {
        return Some(NodeType::Primitive(primitive));
    }
    // Profiles of Quantity that R4 counts among the types, but that no element is said to have.
    let name = if matches!(name, "SimpleQuantity" | "MoneyQuantity") { "Quantity" } else { name };
    tables().find(name).filter(|group| group.kind() != GroupKind::Part).map(NodeType::Group)
}

/// The type of a resource: what its `resourceType` says.
pub(crate) fn resource_type(json: &Json<'_>) -> NodeType {
    json.resource_type().and_then(|name| tables().find(name)).map_or(NodeType::Unknown, NodeType::Group)
}

/// The type of what stands in a member of that kind.
pub(crate) fn type_of_kind(kind: Kind, json: &Json<'_>) -> NodeType {
    match kind {
        Kind::Primitive(primitive) => NodeType::Primitive(primitive),
        Kind::Group(id) => NodeType::Group(tables().group(id)),
        Kind::Resource => resource_type(json),
    }
}

impl NodeType {
    /// The type of that name: `Patient`, `HumanName`, `code`, or a part such as `Patient.contact`.
    pub fn find(name: &str) -> Option<Self> {
        fhir_type(name).or_else(|| tables().find(name).map(NodeType::Group))
    }

    /// The types that its element of that name may have: several for a choice, none where there is no such element,
    /// [`NodeType::Unknown`] where any resource may stand.
    pub fn element(self, name: &str) -> Vec<NodeType> {
        let group = match self {
            NodeType::Group(group) => group,
            NodeType::Primitive(_) => tables().element(),
            NodeType::Unknown => return vec![NodeType::Unknown],
        };
        let members = group.members().iter().filter(|member| group.element(member).name() == name);
        members.map(|member| type_of_kind(member.kind(), &Json::Null)).collect()
    }

    /// Whether it is one that others are built upon and that nothing has itself.
    pub(crate) fn is_abstract(self) -> bool {
        matches!(self, NodeType::Group(group) if group.kind() == GroupKind::Abstract)
    }

    /// Its name as `type().name` gives it.
    pub fn name(self) -> &'static str {
        match self {
            NodeType::Primitive(primitive) => primitive.as_str(),
            NodeType::Group(group) if group.kind() == GroupKind::Part => part_base(group),
            NodeType::Group(group) => group.path(),
            NodeType::Unknown => "Element",
        }
    }

    /// Whether this is the other type or built upon it.
    pub(crate) fn is(self, other: NodeType) -> bool {
        match (self, other) {
            (NodeType::Primitive(left), NodeType::Primitive(right)) => left == right || parent(left) == Some(right),
            (NodeType::Primitive(_), NodeType::Group(group)) => group.path() == "Element",
            (NodeType::Group(left), NodeType::Group(right)) => {
                let wanted = right.path();
                let mut at = left.path();
                loop {
                    if at == wanted {
                        return true;
                    }
                    match base(at) {
                        Some(next) => at = next,
                        None => return false,
                    }
                }
            }
            _ => false,
        }
    }

    /// Whether `as` and `ofType` keep an element of this type when asked for the other: a primitive has to be of that
    /// very type (the official suite holds a `code` not to be one), anything else may be built upon it.
    pub(crate) fn is_taken_as(self, other: NodeType) -> bool {
        match (self, other) {
            (NodeType::Primitive(left), NodeType::Primitive(right)) => left == right,
            _ => self.is(other),
        }
    }

    /// Whether it is `Quantity` or built upon it.
    pub(crate) fn is_quantity(self) -> bool {
        matches!(self, NodeType::Group(group) if matches!(group.path(), "Quantity" | "Age" | "Count" | "Distance" | "Duration"))
    }

    /// The System type that a value of this type is read as.
    pub(crate) fn system(self) -> Option<SystemType> {
        let NodeType::Primitive(primitive) = self else {
            return self.is_quantity().then_some(SystemType::Quantity);
        };
        Some(match primitive {
            Primitive::Boolean => SystemType::Boolean,
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => SystemType::Integer,
            Primitive::Decimal => SystemType::Decimal,
            Primitive::Date => SystemType::Date,
            Primitive::DateTime | Primitive::Instant => SystemType::DateTime,
            Primitive::Time => SystemType::Time,
            _ => SystemType::String,
        })
    }
}

/// What a primitive is built upon, where that is another primitive.
fn parent(primitive: Primitive) -> Option<Primitive> {
    match primitive {
        Primitive::Code | Primitive::Id | Primitive::Markdown => Some(Primitive::String),
        Primitive::Url | Primitive::Canonical | Primitive::Uuid | Primitive::Oid => Some(Primitive::Uri),
        Primitive::UnsignedInt | Primitive::PositiveInt => Some(Primitive::Integer),
        _ => None,
    }
}

/// What a part is built upon: `Element` inside a datatype (but for `SubstanceAmount` and the like, whose parts are such too),
/// `BackboneElement` inside a resource.
fn part_base(group: &Group) -> &'static str {
    let whole = group.path().split('.').next().unwrap_or_default();
    let in_datatype = tables().find(whole).is_some_and(|whole| whole.kind() == GroupKind::Datatype);
    if in_datatype { "Element" } else { "BackboneElement" }
}

/// What the type of that path is built upon.
fn base(path: &str) -> Option<&'static str> {
    static BASES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
        let groups = tables().groups().iter();
        groups.filter_map(|group| Some((group.path(), base_of(group)?))).collect()
    });
    BASES.get(path).copied()
}

fn base_of(group: &Group) -> Option<&'static str> {
    Some(match (group.kind(), group.path()) {
        (GroupKind::Abstract, "DomainResource") | (GroupKind::Resource, "Bundle" | "Binary" | "Parameters") => {
            "Resource"
        }
        (GroupKind::Resource, _) => "DomainResource",
        (GroupKind::Abstract, "BackboneElement") => "Element",
        (GroupKind::Abstract, _) => return None,
        (GroupKind::Part, _) => part_base(group),
        (GroupKind::Datatype, "Age" | "Count" | "Distance" | "Duration") => "Quantity",
        (GroupKind::Datatype, _) if group.member("modifierExtension").is_some() => "BackboneElement",
        (GroupKind::Datatype, _) => "Element",
    })
}
