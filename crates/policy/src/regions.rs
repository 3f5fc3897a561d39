//! What consents leave open: sets of records as unions of regions, so that what remains can be asked of an index.
//!
//! A region is what one class can say: these types, no other labels than these, one of these criteria, none of those. What is denied
//! is turned around ("not of these types, or without these labels, or not in this span"), and cut with what the policies open.
//! Where a set cannot be said in this way exactly, it becomes smaller, never larger.

use crate::openings::Opening;
use crate::situation::{ConsentRuling, RecordScope};
use tacet_types::{Criterion, Labels, TypeSet};

/// Regions of one patient. Past it the least are left out, and their records stay closed.
pub(crate) const REGIONS_MAX: usize = 64;

/// A set of records.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Region {
    types: TypeSet,
    labels: Labels,
    only: Vec<Criterion>,
    except: Vec<Criterion>,
}

impl Region {
    const EVERY: Self = Self { types: TypeSet::EVERY, labels: Labels::EVERY, only: Vec::new(), except: Vec::new() };

    /// What is in both; `None` if that is nothing, or cannot be said.
    fn common(&self, other: &Self) -> Option<Self> {
        let types = self.types.common(other.types);
        let mut except = self.except.clone();
        except.extend(other.except.iter().filter(|criterion| !self.except.contains(criterion)).cloned());
        let only = match (self.only.as_slice(), other.only.as_slice()) {
            ([], only) | (only, []) => only.to_vec(),
            (one, two) if one == two => one.to_vec(),
            // Two lists of which each must have one that holds: a span becomes what is outside of it, excepted.
            ([Criterion::Within(from, until)], only) | (only, [Criterion::Within(from, until)]) => {
                except.extend(outside(*from, *until));
                only.to_vec()
            }
            _ => return None,
        };
        (!types.is_empty()).then(|| Self { types, labels: self.labels.common(other.labels), only, except })
    }

    /// Whether all of the other is in this one, as far as that is plain to see.
    fn covers(&self, other: &Self) -> bool {
        other.types.common(self.types) == other.types
            && other.labels.within(self.labels)
            && (self.only.is_empty() || self.only == other.only)
            && self.except.iter().all(|criterion| other.except.contains(criterion))
    }

    /// The records that something permitted is about.
    fn permitted(scope: &RecordScope) -> Self {
        let labels = scope.labels.unwrap_or(Labels::EVERY);
        let mut region = Self { types: scope.types, labels, only: scope.any_of.clone(), except: Vec::new() };
        if let Some((from, until)) = scope.within {
            if region.only.is_empty() {
                region.only.push(Criterion::Within(from, until));
            } else {
                region.except.extend(outside(from, until));
            }
        }
        region
    }

    /// The records that something denied is not about.
    fn spared(scope: &RecordScope) -> Vec<Self> {
        let mut spared = Vec::new();
        let others = TypeSet::EVERY.without(scope.types);
        if !others.is_empty() {
            spared.push(Self { types: others, ..Self::EVERY });
        }
        if let Some(labels) = scope.labels {
            spared.push(Self { labels: Labels::EVERY.without(labels), ..Self::EVERY });
        }
        if !scope.any_of.is_empty() {
            spared.push(Self { except: scope.any_of.clone(), ..Self::EVERY });
        }
        if let Some((from, until)) = scope.within {
            spared.push(Self { except: vec![Criterion::Within(from, until)], ..Self::EVERY });
        }
        spared
    }
}

/// What lies outside of a span, both ends included.
fn outside(from: i64, until: i64) -> impl Iterator<Item = Criterion> {
    let before = from.checked_sub(1).map(|end| Criterion::Within(i64::MIN, end));
    let after = until.checked_add(1).map(|start| Criterion::Within(start, i64::MAX));
    before.into_iter().chain(after)
}

/// What is in one of these and in one of those.
fn common(one: &[Region], two: &[Region]) -> Vec<Region> {
    let mut all: Vec<Region> = Vec::new();
    for region in one.iter().flat_map(|one| two.iter().filter_map(|two| one.common(two))) {
        if all.iter().any(|larger| larger.covers(&region)) {
            continue;
        }
        all.retain(|smaller| !region.covers(smaller));
        if all.len() < REGIONS_MAX {
            all.push(region);
        }
    }
    all
}

/// The records that no ruling denies.
fn not_denied(rulings: &[ConsentRuling]) -> Vec<Region> {
    let denials = rulings.iter().filter(|ruling| !ruling.permit);
    denials.fold(vec![Region::EVERY], |open, denial| {
        let mut spared = Region::spared(&denial.scope);
        spared.extend(denial.unless.iter().map(Region::permitted));
        common(&open, &spared)
    })
}

/// The records that a ruling permits.
fn permitted(rulings: &[ConsentRuling]) -> Vec<Region> {
    let permits = rulings.iter().filter(|ruling| ruling.permit);
    permits
        .flat_map(|permit| {
            let scope = vec![Region::permitted(&permit.scope)];
            permit.unless.iter().fold(scope, |open, exception| common(&open, &Region::spared(exception)))
        })
        .take(REGIONS_MAX)
        .collect()
}

/// What the policies open where no consent says anything, where one permits and where one denies.
pub(crate) struct Threefold<'a> {
    pub(crate) nothing: &'a [Opening],
    pub(crate) permit: &'a [Opening],
    pub(crate) deny: &'a [Opening],
}

/// What is open after these rulings. A denial never opens and a permission never closes, whatever the policies say of it.
pub(crate) fn after(openings: &Threefold<'_>, rulings: &[ConsentRuling]) -> Vec<Opening> {
    let not_denied = not_denied(rulings);
    let granted = common(&permitted(rulings), &not_denied);
    let everywhere = openings.nothing.iter().map(Opening::region).collect::<Vec<_>>();
    let mut left: Vec<Opening> = Vec::new();
    for (openings, regions) in
        [(openings.nothing, &not_denied), (openings.deny, &everywhere), (openings.permit, &granted)]
    {
        for opening in openings {
            for region in regions {
                let Some(region) = opening.region().common(region) else { continue };
                let covers = |left: &Opening| left.region().covers(&region) && (left.told || !opening.told);
                if left.len() < REGIONS_MAX && !left.iter().any(covers) {
                    left.push(opening.within(region));
                }
            }
        }
    }
    left
}

impl Opening {
    fn region(&self) -> Region {
        Region { types: self.types, labels: self.labels, only: self.only.clone(), except: self.except.clone() }
    }

    fn within(&self, region: Region) -> Self {
        let Region { types, labels, only, except } = region;
        Self { types, labels, only, except, told: self.told, basis: self.basis.clone() }
    }
}
