//! What FHIR R4 says about each resource and datatype: members, how often, of what types, with which codes.
//!
//! The facts are in `definitions/structure.txt`, made from the official package by `cargo xtask definitions` and
//! compiled in. [`tables`] reads the text once, in a few milliseconds, into flat vectors that refer to each other by
//! number; looking up a member is a binary search in the vector of its group and allocates nothing.
//!
//! Not here: invariants in FHIRPath, profiles, terminologies beyond the codes of required bindings, and prose.

mod load;
mod primitive;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::LazyLock;
use tacet_types::ResourceType;

pub use primitive::Primitive;

/// The committed table.
const STRUCTURE: &str = include_str!("../definitions/structure.txt");

/// The tables, read on first use.
pub fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
        load::read(STRUCTURE).expect("the committed table of elements is well-formed")
    });
    &TABLES
}

/// Everything that `definitions/structure.txt` says.
#[derive(Debug)]
pub struct Tables {
    groups: Vec<Group>,
    by_path: HashMap<&'static str, GroupId>,
    by_resource_type: Vec<Option<GroupId>>,
    code_sets: Vec<CodeSet>,
    element: GroupId,
}

/// The number of a [`Group`] in the [`Tables`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GroupId(u16);

/// The number of a [`CodeSet`] in the [`Tables`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CodeSetId(u16);

impl Tables {
    /// The group of that number.
    pub fn group(&self, id: GroupId) -> &Group {
        #[expect(clippy::indexing_slicing, reason = "only the loader makes ids, of groups that it keeps")]
        &self.groups[usize::from(id.0)]
    }

    /// The set of that number.
    pub fn code_set(&self, id: CodeSetId) -> &CodeSet {
        #[expect(clippy::indexing_slicing, reason = "only the loader makes ids, of sets that it keeps")]
        &self.code_sets[usize::from(id.0)]
    }

    /// The group of a path: a resource (`Patient`), a datatype (`HumanName`) or a part (`Patient.contact`).
    pub fn find(&self, path: &str) -> Option<&Group> {
        self.by_path.get(path).map(|id| self.group(*id))
    }

    /// The members of a resource type.
    pub fn resource(&self, resource_type: ResourceType) -> Option<&Group> {
        let id = self.by_resource_type.get(usize::from(resource_type.code())).copied().flatten()?;
        Some(self.group(id))
    }

    /// What every element has: `id` and `extension`. It is what stands in `_birthDate`.
    pub fn element(&self) -> &Group {
        self.group(self.element)
    }

    /// All groups, in the order of their paths.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

/// What a group of members is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupKind {
    /// A resource.
    Resource,
    /// A datatype.
    Datatype,
    /// A part of a resource or datatype that has members of its own.
    Part,
    /// What others build upon (`Element`, `DomainResource`); no instance has this type.
    Abstract,
}

/// Groups that have rules of their own, known before the walk so that it compares no names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// `Extension`: a value or extensions.
    Extension,
    /// `Reference`: the shape of what it says.
    Reference,
    /// `CodeableConcept`: its codings are what a binding is about.
    CodeableConcept,
}

/// The members of a resource, a datatype or a part of one, the inherited ones included.
#[derive(Debug)]
pub struct Group {
    path: &'static str,
    kind: GroupKind,
    special: Option<Special>,
    elements: Vec<Element>,
    members: Vec<Member>,
    /// Where to look for a name: a table of places in `members`, at the name's [`hash`] or soon after it.
    slots: Vec<u16>,
    /// The bits of the elements that must be there.
    required: u64,
}

/// One element of a definition. A choice (`value[x]`) is one element with several members.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    choice: bool,
    required: bool,
    many: bool,
    codes: Option<CodeSetId>,
    /// Which bit stands for it when the walk notes what it saw; only for required elements and choices.
    bit: Option<u8>,
}

/// One JSON member name: an element, or one type of a choice.
#[derive(Clone, Debug)]
pub struct Member {
    name: Cow<'static, str>,
    element: u16,
    kind: Kind,
    /// Whether `_name` may stand beside it.
    extensible: bool,
    targets: Option<Targets>,
}

/// What stands in a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A primitive value.
    Primitive(Primitive),
    /// An object of these members.
    Group(GroupId),
    /// Any resource.
    Resource,
}

/// The resource types that a reference may name, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Targets([u64; 4]);

impl Targets {
    fn insert(&mut self, resource_type: ResourceType) {
        let code = resource_type.code();
        if let Some(word) = self.0.get_mut(usize::from(code / 64)) {
            *word |= 1 << (code % 64);
        }
    }

    /// Whether a reference may name this type.
    pub fn contains(&self, resource_type: ResourceType) -> bool {
        let code = resource_type.code();
        self.0.get(usize::from(code / 64)).is_some_and(|word| word & (1 << (code % 64)) != 0)
    }
}

impl Group {
    /// Where it is defined: `Patient`, `HumanName`, `Patient.contact`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// What it is.
    pub fn kind(&self) -> GroupKind {
        self.kind
    }

    /// The rules of its own, if any.
    pub fn special(&self) -> Option<Special> {
        self.special
    }

    /// Its elements, inherited ones first, in the order of the definition.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Its JSON members, without `resourceType` and without the `_name` twins.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The bits of its required elements.
    pub fn required(&self) -> u64 {
        self.required
    }

    /// The member of that JSON name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash(name) & mask;
        // INVARIANT: a quarter of the slots at least is empty, so the search ends.
        while let Some(member) = self.slots.get(at).and_then(|place| self.members.get(usize::from(*place))) {
            if member.name == name {
                return Some(member);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Fills the slots; called once, when the members are known.
    fn index(&mut self) {
        let size = (self.members.len() * 4 / 3 + 1).next_power_of_two();
        self.slots = vec![EMPTY_SLOT; size];
        for (member, place) in self.members.iter().zip(0_u16..) {
            let mut at = hash(&member.name) & (size - 1);
            while self.slots.get(at).is_some_and(|slot| *slot != EMPTY_SLOT) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = place;
            }
        }
    }

    /// The element that a member belongs to.
    pub fn element(&self, member: &Member) -> &Element {
        #[expect(clippy::indexing_slicing, reason = "the loader makes members of elements that the group keeps")]
        &self.elements[usize::from(member.element)]
    }
}

impl Element {
    /// Its name, without `[x]` where it is a choice.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether several types may stand here, each under a member name of its own.
    pub fn is_choice(&self) -> bool {
        self.choice
    }

    /// Whether it must be there.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether it repeats, and so is an array.
    pub fn is_many(&self) -> bool {
        self.many
    }

    /// The codes that a required binding allows.
    pub fn codes(&self) -> Option<CodeSetId> {
        self.codes
    }

    /// The bit that stands for it in [`Group::required`]; only required elements and choices have one.
    pub fn bit(&self) -> Option<u8> {
        self.bit
    }
}

impl Member {
    /// Its JSON name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether `_name`, with an id and extensions, may stand beside it.
    pub fn is_extensible(&self) -> bool {
        self.extensible
    }

    /// The types that a reference here may name; `None` where it may name any.
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }
}

/// The codes of a required binding.
#[derive(Debug)]
pub struct CodeSet {
    name: &'static str,
    /// Each code with its system; by length of the code, then by code, then by system.
    codes: Vec<(&'static str, &'static str)>,
}

impl CodeSet {
    /// The last part of the value set's address.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The codes, each with its system.
    pub fn codes(&self) -> &[(&'static str, &'static str)] {
        &self.codes
    }

    /// Whether a code of any of its systems.
    pub fn contains_code(&self, code: &str) -> bool {
        self.codes.binary_search_by(|(known, _)| by_length(known, code)).is_ok()
    }

    /// Whether this code of this system.
    pub fn contains(&self, system: &str, code: &str) -> bool {
        self.codes.binary_search_by(|(known, of)| by_length(known, code).then_with(|| (*of).cmp(system))).is_ok()
    }
}

/// A slot without a member: no group has that many.
const EMPTY_SLOT: u16 = u16::MAX;

/// A hash of a name: its length and four of its letters, which tell the members of one group apart well enough. The
/// names are those of the standard, so nobody can choose them to collide; what is sent is only looked up.
fn hash(name: &str) -> usize {
    let bytes = name.as_bytes();
    let letter = |at: usize| bytes.get(at).copied().map_or(0, usize::from);
    let mixed = bytes.len()
        ^ (letter(0) << 5)
        ^ (letter(bytes.len() / 2) << 9)
        ^ (letter(bytes.len().wrapping_sub(1)) << 13)
        ^ (letter(bytes.len().wrapping_sub(3)) << 16);
    // The odd constant spreads the letters over the bits that are kept (Fibonacci hashing, 32 bits).
    (mixed.wrapping_mul(0x9E37_79B1) >> 15) & 0xFFFF
}

/// Shorter codes first: most comparisons of a search then compare two lengths and no text.
fn by_length(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests;
