//! The types that a part of an expression may give.

use crate::error::SemanticError;
use crate::model::{NodeType, SystemType, TypeName};

/// One type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Node(NodeType),
    System(SystemType),
}

impl Kind {
    fn system(self) -> Option<SystemType> {
        match self {
            Kind::Node(node) => node.system(),
            Kind::System(kind) => Some(kind),
        }
    }

    /// Whether it is read as text, or can be.
    pub(super) fn is_text(self) -> bool {
        use SystemType as S;
        match self {
            Kind::Node(NodeType::Unknown) => true,
            Kind::Node(_) => {
                matches!(self.system(), Some(S::String | S::Date | S::DateTime | S::Time))
            }
            Kind::System(kind) => kind == S::String,
        }
    }

    /// Whether it has a form as text.
    pub(super) fn has_text(self) -> bool {
        self == Kind::Node(NodeType::Unknown) || self.system().is_some()
    }

    pub(super) fn is_boolean(self) -> bool {
        self == Kind::Node(NodeType::Unknown) || self.system() == Some(SystemType::Boolean)
    }

    pub(super) fn is_temporal(self) -> bool {
        matches!(self.system(), Some(SystemType::Date | SystemType::DateTime | SystemType::Time))
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self.system(), Some(SystemType::Integer | SystemType::Decimal))
    }
}

/// Several types, any of which may be there.
#[derive(Clone, Debug)]
pub(super) struct Kinds {
    /// `None` where nothing is known; an empty list where nothing can be there.
    pub(super) of: Option<Vec<Kind>>,
    /// Whether the items have an order.
    pub(super) ordered: bool,
}

/// More types than this are as good as not known. The widest choice of R4 has 50.
const KINDS_MAX: usize = 128;

impl Kinds {
    pub(super) fn any() -> Self {
        Kinds { of: None, ordered: true }
    }

    /// Nothing known but the order.
    pub(super) fn any_like(other: &Kinds) -> Self {
        Kinds { of: None, ordered: other.ordered }
    }

    pub(super) fn none() -> Self {
        Kinds { of: Some(Vec::new()), ordered: true }
    }

    pub(super) fn system(kind: SystemType) -> Self {
        Kinds { of: Some(vec![Kind::System(kind)]), ordered: true }
    }

    pub(super) fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut of = Vec::new();
        for kind in kinds {
            if kind == Kind::Node(NodeType::Unknown) || of.len() > KINDS_MAX {
                return Kinds::any();
            }
            if !of.contains(&kind) {
                of.push(kind);
            }
        }
        Kinds { of: Some(of), ordered: true }
    }

    pub(super) fn known(&self) -> Option<&[Kind]> {
        self.of.as_deref()
    }

    /// Whether types are known, and all are such.
    pub(super) fn are(&self, such: fn(Kind) -> bool) -> bool {
        self.known().is_some_and(|known| !known.is_empty() && known.iter().all(|kind| such(*kind)))
    }

    /// Whether none of the types can be such, and there is one.
    pub(super) fn cannot_be(&self, such: fn(Kind) -> bool) -> bool {
        self.known().is_some_and(|known| !known.is_empty() && !known.iter().any(|kind| such(*kind)))
    }

    /// The types of both.
    pub(super) fn merged(&self, other: &Kinds) -> Kinds {
        let ordered = self.ordered && other.ordered;
        match (&self.of, &other.of) {
            (Some(left), Some(right)) => Kinds { ordered, ..Kinds::of(left.iter().chain(right).copied()) },
            _ => Kinds { of: None, ordered },
        }
    }

    /// What is left where an item is of that type, or is not. `exactly` is for `as` and `ofType`, which want a
    /// primitive to be of the very type.
    pub(super) fn narrowed(&self, name: TypeName, truth: bool, exactly: bool) -> Result<Kinds, SemanticError> {
        check_name(name)?;
        let Some(known) = &self.of else {
            return Ok(match (name, truth) {
                (TypeName::Fhir(kind), true) => Kinds { ordered: self.ordered, ..Kinds::of([Kind::Node(kind)]) },
                _ => self.clone(),
            });
        };
        let mut left = Vec::new();
        for kind in known.iter().copied() {
            let of_it = match (name, kind) {
                (TypeName::Fhir(wanted), Kind::Node(node)) if exactly => node.is_taken_as(wanted),
                (TypeName::Fhir(wanted), Kind::Node(node)) => node.is(wanted),
                (TypeName::Quantity, kind) => kind.system() == Some(SystemType::Quantity),
                (TypeName::System(wanted), Kind::System(kind)) => kind == wanted,
                _ => false,
            };
            if of_it == truth {
                left.push(kind);
            } else if let (true, TypeName::Fhir(wanted), Kind::Node(node)) = (truth, name, kind)
                && wanted.is(node)
            {
                // What is only known to be of a type that the wanted one is built upon may be the wanted one.
                left.push(Kind::Node(wanted));
            }
        }
        Ok(Kinds { ordered: self.ordered, ..Kinds::of(left) })
    }
}

/// Refuses a type that does not exist.
pub(super) fn check_name(name: TypeName) -> Result<(), SemanticError> {
    if name == TypeName::Unknown { Err(SemanticError::UnknownType) } else { Ok(()) }
}
