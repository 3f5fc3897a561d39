//! One situation, one decision: the request to Cedar, and what it answered before.

use crate::category::Category;
use crate::openings::{Opening, STANDINGS_KEPT_MAX, Standing};
use crate::policies::Policies;
use crate::situation::{PatientFlags, Relation, RelationSet, Situation};
use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicySet,
    PrincipalConstraint, Request, RestrictedExpression,
};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use tacet_types::Role;

/// Decisions that are kept. A hospital has some thousand situations; one is about 200 bytes.
pub const DECISIONS_KEPT_MAX: usize = 65_536;

/// What the policies say of a situation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Whether it is permitted.
    pub permit: bool,
    /// The policies that decided, in order of ids: those that permit, or those that forbid. None: nothing permits it.
    pub policies: Arc<[Arc<str>]>,
}

/// Answers that are kept, up to a bound. At the bound all of them are forgotten: what is asked often is soon there again, and
/// an order of use would cost every reader a lock for writing.
pub(crate) struct Memo<K, V> {
    kept: RwLock<HashMap<K, V>>,
    max: usize,
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: RwLock::default(), max }
    }

    pub(crate) fn get_or(&self, key: K, make: impl FnOnce(&K) -> V) -> V {
        if let Some(value) = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return value.clone();
        }
        let value = make(&key);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.max {
            kept.clear();
        }
        kept.insert(key, value.clone());
        value
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Cedar with all that does not change between two requests.
pub(crate) struct Decider {
    authorizer: Authorizer,
    set: PolicySet,
    entities: Entities,
    names: Names,
    /// Relations that a policy about a role looks at, in the order of [`Role::ALL`].
    read: Vec<(Role, RelationSet)>,
    pub(crate) decisions: Memo<Situation, Decision>,
    pub(crate) openings: Memo<Standing, Arc<[Opening]>>,
}

/// Names of entities, made once.
struct Names {
    role: EntityTypeName,
    category: EntityTypeName,
    action: EntityTypeName,
    relation: EntityTypeName,
    label: EntityTypeName,
    purpose: EntityTypeName,
    consent: EntityTypeName,
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

/// The groups of a role in policies.
pub fn groups_of(role: Role) -> &'static [&'static str] {
    match role {
        Role::Clinician | Role::Nurse => &["carers", "clinical-staff", "hospital-staff", "people", "record-roles"],
        Role::Pharmacist | Role::Laboratory => &["clinical-staff", "hospital-staff", "people", "record-roles"],
        Role::Reception => &["hospital-staff", "people", "record-roles"],
        Role::Patient => &["people", "record-roles"],
        Role::Integrator => &["record-roles"],
        Role::Feed => &[],
        Role::Auditor | Role::SecurityOfficer | Role::Administrator | Role::Operator => &["people"],
    }
}

/// The relations that policies about a role name.
fn relations_read(set: &PolicySet, role: Role) -> RelationSet {
    let about = |policy: &&Policy| match policy.principal_constraint() {
        PrincipalConstraint::Eq(principal) => principal.id().unescaped() == role.as_str(),
        PrincipalConstraint::In(group) => {
            let name = group.id().unescaped();
            name == role.as_str() || groups_of(role).contains(&name)
        }
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) | PrincipalConstraint::IsIn(..) => true,
    };
    let literals = set.policies().filter(about).flat_map(Policy::entity_literals);
    let relations = literals.filter(|uid| uid.type_name().to_string() == "Relation");
    if set.policies().filter(about).any(looks_at_all_relations) {
        return RelationSet::of(Relation::ALL.iter().copied());
    }
    RelationSet::of(relations.filter_map(|uid| Relation::parse(uid.id().unescaped())))
}

/// Whether a policy may do with the set of relations, or with the circumstances, anything else than to ask whether a relation that it
/// names is among them.
fn looks_at_all_relations(policy: &Policy) -> bool {
    let text = policy.to_string();
    let followed = |word: &str, by: &[&str]| {
        text.match_indices(word).all(|(at, _)| {
            let rest = text.get(at + word.len()..).unwrap_or_default();
            by.iter().any(|by| rest.starts_with(by))
        })
    };
    !followed("context", &["."]) || !followed(".relations", &[".contains(", ".containsAny(", ".containsAll("])
}

impl Decider {
    pub(crate) fn new(set: PolicySet) -> Result<Self, String> {
        let kind = |name: &str| EntityTypeName::from_str(name).map_err(|error| error.to_string());
        let (role_group, category_group) = (kind("RoleGroup")?, kind("CategoryGroup")?);
        let names = Names {
            role: kind("Role")?,
            category: kind("Category")?,
            action: kind("Action")?,
            relation: kind("Relation")?,
            label: kind("Label")?,
            purpose: kind("Purpose")?,
            consent: kind("Consent")?,
        };
        let mut groups = HashSet::new();
        let mut entities = Vec::new();
        for role in Role::ALL {
            let parents: HashSet<EntityUid> = groups_of(role).iter().map(|group| uid(&role_group, group)).collect();
            groups.extend(parents.iter().cloned());
            entities.push(Entity::new_no_attrs(uid(&names.role, role.as_str()), parents));
        }
        for category in Category::ALL {
            let parents = HashSet::from([uid(&category_group, category.group())]);
            groups.extend(parents.iter().cloned());
            entities.push(Entity::new_no_attrs(uid(&names.category, category.as_str()), parents));
        }
        entities.extend(groups.into_iter().map(Entity::with_uid));
        let schema = crate::policies::schema().map_err(|error| error.to_string())?;
        let entities = Entities::from_entities(entities, Some(&schema)).map_err(|error| error.to_string())?;
        let read = Role::ALL.into_iter().map(|role| (role, relations_read(&set, role))).collect();
        let (decisions, openings) = (Memo::new(DECISIONS_KEPT_MAX), Memo::new(STANDINGS_KEPT_MAX));
        Ok(Self { authorizer: Authorizer::new(), set, entities, names, read, decisions, openings })
    }

    /// The relations that some policy about this role looks at. No other can change a decision.
    pub(crate) fn relations_read(&self, role: Role) -> RelationSet {
        self.read.iter().find(|(known, _)| *known == role).map_or(RelationSet::NONE, |(_, relations)| *relations)
    }

    /// The request for a situation; held against the schema in tests only.
    fn request(&self, situation: &Situation, checked: bool) -> Result<Request, String> {
        let Situation { role, act, purpose, strong, supplier, category, of_patient, upcoming, .. } = *situation;
        let Situation { relations, flags, label, break_glass, consent, approved, .. } = *situation;
        let PatientFlags { detained, vip, staff, restricted } = flags;
        let names = &self.names;
        let truth = RestrictedExpression::new_bool;
        let one = |kind, name| RestrictedExpression::new_entity_uid(uid(kind, name));
        let patient = [("detained", detained), ("vip", vip), ("staff", staff), ("restricted", restricted)];
        let patient = patient.map(|(name, set)| (name.to_owned(), truth(set)));
        let pairs = [
            ("purpose", one(&names.purpose, purpose.as_str())),
            ("strong", truth(strong)),
            ("supplier", truth(supplier)),
            ("ofPatient", truth(of_patient)),
            ("upcoming", truth(upcoming)),
            (
                "relations",
                RestrictedExpression::new_set(relations.iter().map(|relation| one(&names.relation, relation.as_str()))),
            ),
            ("patient", RestrictedExpression::new_record(patient).map_err(|error| error.to_string())?),
            ("labels", RestrictedExpression::new_set(label.iter().map(|label| one(&names.label, label.as_str())))),
            ("breakGlass", truth(break_glass)),
            ("consent", one(&names.consent, consent.as_str())),
            ("approved", truth(approved)),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        let context = Context::from_pairs(pairs).map_err(|error| error.to_string())?;
        let schema = if checked { Some(crate::policies::schema().map_err(|error| error.to_string())?) } else { None };
        let principal = uid(&names.role, role.as_str());
        let action = uid(&names.action, act.as_str());
        let resource = uid(&names.category, category.as_str());
        Request::new(principal, action, resource, context, schema.as_ref()).map_err(|error| error.to_string())
    }

    fn answer(&self, situation: &Situation) -> Decision {
        let denied = || Decision { permit: false, policies: Arc::default() };
        // A request that cannot be made, or a policy that cannot be evaluated, denies: a `forbid` that fails is skipped by Cedar.
        let Ok(request) = self.request(situation, false) else { return denied() };
        let response = self.authorizer.is_authorized(&request, &self.set, &self.entities);
        if response.diagnostics().errors().next().is_some() {
            return denied();
        }
        let mut policies: Vec<Arc<str>> = response.diagnostics().reason().map(|id| Arc::from(id.to_string())).collect();
        policies.sort_unstable();
        Decision { permit: response.decision() == Answer::Allow, policies: policies.into() }
    }
}

impl Policies {
    /// What the policies say of a situation. Kept, so that it is asked of Cedar once; safe from many threads.
    pub fn decide(&self, situation: &Situation) -> Decision {
        self.decider.decisions.get_or(*situation, |situation| self.decider.answer(situation))
    }

    /// The same without looking at what was decided before, nor keeping it.
    pub fn decide_anew(&self, situation: &Situation) -> Decision {
        self.decider.answer(situation)
    }
}
