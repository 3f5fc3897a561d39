//! What a change of policies would give and take, before it applies.
//!
//! Situations are too many to try all: tried are each role, act and kind of record with each relation, and with each of these one
//! circumstance that is not the ordinary. Two circumstances at once are tried only where a case says so ([`crate::cases()`]).

use crate::category::Category;
use crate::policies::Policies;
use crate::situation::{Act, ConsentSays, Label, PatientFlags, Purpose, Relation, RelationSet, Situation};
use std::collections::BTreeMap;
use std::fmt;
use tacet_types::Role;

/// One circumstance that is not the ordinary, in the words of policies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Special {
    Ordinary,
    Flag(&'static str),
    Label(Label),
    BreakGlass,
    Consent(ConsentSays),
    WeakLogin,
    Supplier,
    Purpose(Purpose),
    OfNobody,
    Upcoming,
    Approved,
}

impl Special {
    /// All of them; purposes only where `purposes` are asked for.
    fn all(purposes: bool) -> impl Iterator<Item = Self> {
        let flags = ["detained", "vip", "staff", "restricted"].map(Self::Flag);
        let others = [
            Self::Ordinary,
            Self::BreakGlass,
            Self::Consent(ConsentSays::Permit),
            Self::Consent(ConsentSays::Deny),
            Self::WeakLogin,
            Self::Supplier,
            Self::OfNobody,
            Self::Upcoming,
            Self::Approved,
        ];
        let purposes = Purpose::all().filter(move |_| purposes).map(Self::Purpose);
        others.into_iter().chain(flags).chain(Label::all().map(Self::Label)).chain(purposes)
    }

    fn of(self, ordinary: Situation) -> Situation {
        let mut situation = ordinary;
        match self {
            Self::Ordinary => {}
            Self::Flag(name) => {
                let mut flags = PatientFlags::NONE;
                flags.set(name);
                situation.flags = flags;
            }
            Self::Label(label) => situation.label = Some(label),
            Self::BreakGlass => situation.break_glass = true,
            Self::Consent(says) => situation.consent = says,
            Self::WeakLogin => situation.strong = false,
            Self::Supplier => situation.supplier = true,
            Self::Purpose(purpose) => situation.purpose = purpose,
            Self::OfNobody => situation.of_patient = false,
            Self::Upcoming => situation.upcoming = situation.category.is_planned(),
            Self::Approved => situation.approved = true,
        }
        situation
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ordinary => f.write_str("ordinary"),
            Self::Flag(name) => write!(f, "patient {name}"),
            Self::Label(label) => write!(f, "label {}", label.as_str()),
            Self::BreakGlass => f.write_str("break-glass"),
            Self::Consent(says) => write!(f, "consent {says}"),
            Self::WeakLogin => f.write_str("weak login"),
            Self::Supplier => f.write_str("supplier"),
            Self::Purpose(purpose) => write!(f, "purpose {}", purpose.as_str()),
            Self::OfNobody => f.write_str("of no patient"),
            Self::Upcoming => f.write_str("upcoming"),
            Self::Approved => f.write_str("approved"),
        }
    }
}

/// Situations that differ in nothing but the kind of record, and change alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Who.
    pub role: Role,
    /// What.
    pub act: Act,
    /// By which relation, or by none.
    pub relation: Option<Relation>,
    /// The circumstance: `ordinary`, `patient vip`, `label hiv`, `purpose HRESCH`..
    pub circumstance: String,
    /// The kinds of records.
    pub kinds: Vec<Category>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = self.relation.map_or("no relation", Relation::as_str);
        let kinds: Vec<&str> = self.kinds.iter().map(|category| category.as_str()).collect();
        write!(f, "{} {}, {relation}, {}: {}", self.role, self.act, self.circumstance, kinds.join(", "))
    }
}

/// What a change of policies gives and takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Simulation {
    /// Situations that were tried.
    pub tried: usize,
    /// Denied before, permitted after.
    pub gained: Vec<Change>,
    /// Permitted before, denied after.
    pub lost: Vec<Change>,
}

impl Simulation {
    /// Whether nothing that was tried changes.
    pub fn is_same(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }
}

type Key = (Role, Act, Option<Relation>, Special);

/// Tries the sample of situations with the policies as they are and as they would be. Takes seconds, not milliseconds.
pub fn simulate(old: &Policies, new: &Policies) -> Simulation {
    let mut tried = 0;
    let mut gained: BTreeMap<Key, Vec<Category>> = BTreeMap::new();
    let mut lost: BTreeMap<Key, Vec<Category>> = BTreeMap::new();
    // No policy opens a record to the other roles.
    for role in Role::ALL.into_iter().filter(|role| role.may_read_records()) {
        // A relation that no policy about the role looks at changes nothing.
        let read = old.decider.relations_read(role).and(new.decider.relations_read(role));
        for relation in std::iter::once(None).chain(read.iter().map(Some)) {
            let purposes = relation == read.iter().next();
            for (act, special) in Act::ALL.iter().flat_map(|act| Special::all(purposes).map(|special| (*act, special)))
            {
                for category in Category::ALL {
                    let situation = special.of(ordinary(role, act, relation, *category));
                    tried += 1;
                    let key = (role, act, relation, special);
                    match (old.decide_anew(&situation).permit, new.decide_anew(&situation).permit) {
                        (false, true) => gained.entry(key).or_default().push(*category),
                        (true, false) => lost.entry(key).or_default().push(*category),
                        _ => {}
                    }
                }
            }
        }
    }
    let changes = |all: BTreeMap<Key, Vec<Category>>| {
        let change = |((role, act, relation, special), kinds): (Key, _)| Change {
            role,
            act,
            relation,
            circumstance: special.to_string(),
            kinds,
        };
        all.into_iter().map(change).collect()
    };
    Simulation { tried, gained: changes(gained), lost: changes(lost) }
}

fn ordinary(role: Role, act: Act, relation: Option<Relation>, category: Category) -> Situation {
    Situation {
        role,
        act,
        purpose: Purpose::usual(role),
        strong: true,
        supplier: false,
        category,
        of_patient: true,
        upcoming: false,
        relations: RelationSet::of(relation),
        flags: PatientFlags::NONE,
        label: None,
        break_glass: false,
        consent: ConsentSays::Nothing,
        approved: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nurse(kinds: &str, relation: &str) -> Policies {
        let text = format!(
            "@id(\"n\") @reason(\"r\") permit (principal == Role::\"nurse\", action == Action::\"read\", resource) \
             when {{ resource in [{kinds}] && context.relations.contains(Relation::\"{relation}\") }};"
        );
        Policies::load(&[("n.cedar", &text)]).unwrap()
    }

    #[test]
    fn what_is_gained_and_lost_is_told() {
        let old = nurse("Category::\"results\", Category::\"imaging\"", "on-call");
        let new = nurse("Category::\"results\", Category::\"plans\"", "on-call");
        assert!(simulate(&old, &old).is_same());
        let simulation = simulate(&old, &new);
        assert!(simulation.tried > 1_000);
        let told = simulation.gained.iter().find(|change| change.circumstance == "ordinary").unwrap().to_string();
        assert_eq!(told, "nurse read, on-call, ordinary: plans");
        assert!(simulation.lost.iter().all(|change| change.kinds == [Category::Imaging]));
        assert!(simulation.lost.iter().any(|change| change.circumstance == "purpose HRESCH"));
        let other = simulate(&old, &nurse("Category::\"results\", Category::\"imaging\"", "care-team"));
        assert!(other.gained.iter().all(|change| change.relation == Some(Relation::CareTeam)));
        assert!(other.lost.iter().all(|change| change.relation == Some(Relation::OnCall)));
    }
}
