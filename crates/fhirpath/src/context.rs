//! What an evaluation is given besides the expression, and what it may ask of its caller.

use crate::item::{Collection, Node};
use std::cell::OnceCell;
use tacet_fhir::json::Json;
use tacet_types::Timestamp;

/// Default of [`Context::steps_max`]: seconds of work at the very most. An invariant of R4 on an element takes under a
/// hundred; one that looks at all of a bundle of 10 MB takes about a million.
pub const STEPS_MAX: u64 = 5_000_000;

/// Finds what references point to.
pub trait Resolver {
    /// The resource that a reference names, or `None`. References to contained resources, and those to entries of
    /// a bundle that is the root, are found without asking. Whatever is made to be handed out has to be kept: an
    /// [`Arena`] does that.
    fn resolve(&self, reference: &str) -> Option<&Json<'_>>;
}

/// Knows the codes of value sets.
pub trait MemberOf {
    /// Whether a code is in a value set; `None` where that is not known.
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool>;
}

/// Knows profiles.
pub trait ConformsTo {
    /// Whether an element conforms to the profile of that address; `None` where the profile is not known. Not asked
    /// about the base definitions of R4's own types.
    fn conforms_to(&self, node: &Node<'_>, profile: &str) -> Option<bool>;
}

/// Told of what passes through `trace()`: its name, and how many items. The values stay where they are.
pub type Trace<'v> = &'v dyn Fn(&str, usize);

/// What an evaluation is given.
#[derive(Clone)]
pub struct Context<'v> {
    /// `%resource`: what holds the element that the expression is evaluated on.
    pub resource: &'v Json<'v>,
    /// `%rootResource`: what holds `resource` where that is contained, else the same.
    pub root_resource: &'v Json<'v>,
    /// What `now()`, `today()` and `timeOfDay()` tell, in UTC.
    pub now: Timestamp,
    /// Further variables, by name without `%`.
    pub variables: &'v [(&'v str, Collection<'v>)],
    /// Finds references for `resolve()`.
    pub resolver: Option<&'v dyn Resolver>,
    /// Knows value sets for `memberOf()`.
    pub terminology: Option<&'v dyn MemberOf>,
    /// Knows profiles for `conformsTo()`.
    pub profiles: Option<&'v dyn ConformsTo>,
    /// Told of `trace()`.
    pub trace: Option<Trace<'v>>,
    /// Whether types are taken as strictly as N1 has it. R4's own invariants are not written so, and by default mean
    /// what their authors meant: `as()` keeps what is of the type of several items too (`dom-3`), and `is Boolean`
    /// holds for an element of type `boolean` (`que-7`).
    pub strict: bool,
    /// Most steps: an element visited, an item made or compared, 64 bytes of text made, each is one.
    pub steps_max: u64,
}

impl<'v> Context<'v> {
    /// A context with the resource alone.
    pub fn new(resource: &'v Json<'v>, now: Timestamp) -> Self {
        Context {
            resource,
            root_resource: resource,
            now,
            variables: &[],
            resolver: None,
            terminology: None,
            profiles: None,
            trace: None,
            strict: false,
            steps_max: STEPS_MAX,
        }
    }
}

/// Keeps resources for as long as it lives itself, so that a [`Resolver`] can hand them out.
#[derive(Debug, Default)]
pub struct Arena(OnceCell<Box<Slot>>);

#[derive(Debug)]
struct Slot {
    json: Json<'static>,
    next: Arena,
}

/// Most resources in an [`Arena`]: they are a list, which is dropped one within the other.
pub const ARENA_MAX: usize = 1000;

impl Arena {
    /// Keeps a resource. `None` where it holds [`ARENA_MAX`] already.
    pub fn keep(&self, json: Json<'static>) -> Option<&Json<'static>> {
        let mut at = self;
        let mut json = json;
        for _ in 0..ARENA_MAX {
            let mut mine = Some(json);
            let slot =
                at.0.get_or_init(|| Box::new(Slot { json: mine.take().unwrap_or(Json::Null), next: Arena::default() }));
            match mine {
                None => return Some(&slot.json),
                Some(still) => json = still,
            }
            at = &slot.next;
        }
        None
    }
}
