//! A profile as the validator walks it: a tree of what it says beyond the type it constrains.
//!
//! The tree is sparse: an element that a profile does not mention is not in it, because the structure of the base type
//! is checked without it. This is what makes a profile cheap to hold and to check. A snapshot given by a package is read
//! into the same tree.

use crate::rule::Rule;
use std::sync::Arc;
use tacet_fhir::json::Json;

/// The number of a node in its profile.
pub(crate) type NodeId = usize;

/// The root of every profile.
pub(crate) const ROOT: NodeId = 0;

/// A constraint on a type, with everything that its bases say merged in.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// The canonical address, without version.
    pub(crate) url: String,
    /// The type that it constrains: `Patient`, `Extension`, `HumanName`.
    pub(crate) type_name: String,
    /// Where an extension may stand.
    pub(crate) contexts: Vec<Context>,
    /// Rules about the element that an extension stands in.
    pub(crate) context_rules: Vec<Arc<Rule>>,
    /// Whether an extension changes the meaning of what it stands in.
    pub(crate) is_modifier: bool,
    /// The nodes; the first is the root.
    pub(crate) nodes: Vec<Node>,
    /// A base that could not be found: what it says is not checked.
    pub(crate) missing_base: Option<String>,
}

/// One place where an extension may stand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) kind: ContextKind,
    pub(crate) expression: String,
}

/// How a [`Context`] names its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ContextKind {
    /// By the id of an element, such as `Patient.contact`.
    Element,
    /// Inside another extension.
    Extension,
    /// By a FHIRPath expression from the resource.
    FhirPath,
}

/// One element of the profile, or one slice of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Its name, without `[x]`.
    pub(crate) name: String,
    /// The slice's name, or nothing.
    pub(crate) slice: String,
    pub(crate) min: Option<u32>,
    /// `None`: nothing said, or any number.
    pub(crate) max: Option<u32>,
    pub(crate) types: Vec<TypeRule>,
    pub(crate) fixed: Option<Json<'static>>,
    pub(crate) pattern: Option<Json<'static>>,
    pub(crate) binding: Option<Binding>,
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) length_min: Option<usize>,
    pub(crate) length_max: Option<usize>,
    pub(crate) value_min: Option<Json<'static>>,
    pub(crate) value_max: Option<Json<'static>>,
    /// Whether a value must be there, and not only extensions in its place.
    pub(crate) is_value_needed: bool,
    /// The extensions of which one stands where there is no value; empty where nothing is said.
    pub(crate) value_alternatives: Vec<String>,
    /// What a narrative's sections for languages must be.
    pub(crate) languages: Vec<String>,
    pub(crate) slicing: Option<Slicing>,
    pub(crate) children: Vec<NodeId>,
    pub(crate) slices: Vec<NodeId>,
}

/// A type that an element may have.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TypeRule {
    pub(crate) code: String,
    /// Profiles, one of which the value has.
    pub(crate) profiles: Vec<String>,
    /// Profiles, one of which the target of a reference has.
    pub(crate) targets: Vec<String>,
    /// Where the target may be: `contained`, `referenced`, `bundled`; empty for anywhere.
    pub(crate) aggregation: Vec<String>,
}

/// How strictly a code must be of a value set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strength {
    Required,
    Extensible,
}

/// A binding that is checked: preferred and example bindings are none.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) strength: Strength,
    pub(crate) value_set: String,
    /// The set that no code may be outside of (the extension `elementdefinition-maxValueSet`).
    pub(crate) value_set_max: Option<String>,
}

/// How the items of an element are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Slicing {
    pub(crate) discriminators: Vec<Discriminator>,
    pub(crate) rules: SlicingRules,
    pub(crate) ordered: bool,
}

/// Whether items outside of all slices may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SlicingRules {
    Open,
    Closed,
    OpenAtEnd,
}

/// One way to tell slices apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Discriminator {
    pub(crate) kind: DiscriminatorKind,
    pub(crate) path: String,
}

/// What is compared at the path of a [`Discriminator`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DiscriminatorKind {
    Value,
    Pattern,
    Exists,
    Type,
    Profile,
}

impl Profile {
    /// A profile that says nothing beyond its type.
    pub(crate) fn of_type(name: &str) -> Self {
        let root = Node { name: name.to_owned(), ..Node::default() };
        Profile {
            url: format!("{}{name}", crate::base::DEFINITION),
            type_name: name.to_owned(),
            contexts: Vec::new(),
            context_rules: Vec::new(),
            is_modifier: false,
            nodes: vec![root],
            missing_base: None,
        }
    }

    /// The node of that number.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        #[expect(clippy::indexing_slicing, reason = "only the reader makes numbers, of nodes that it keeps")]
        &self.nodes[id]
    }

    /// The node of that number, while the profile is built.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        #[expect(clippy::indexing_slicing, reason = "only the reader makes numbers, of nodes that it keeps")]
        &mut self.nodes[id]
    }

    /// The child of that name, not a slice.
    pub(crate) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        self.node(parent).children.iter().copied().find(|child| self.node(*child).name == name)
    }

    /// Whether the profile says nothing beyond its type.
    pub(crate) fn is_plain(&self) -> bool {
        let root = self.node(ROOT);
        root.children.is_empty() && root.rules.is_empty() && root.slices.is_empty()
    }
}
