//! All that stands for a practitioner: roles, organisations, teams, groups.

use super::{CareData, Moments};
use crate::facts::{Fact, Link, Part};
use std::collections::HashSet;
use tacet_types::{ResourceId, ResourceType};

/// How far up organisations, and through teams of teams, membership is followed.
const STEPS_MAX: usize = 8;

/// Most teams and groups of one practitioner.
const MEMBERSHIPS_MAX: usize = 2_000;

/// A role of a practitioner that is in force.
pub(super) struct InRole<'a> {
    pub(super) link: &'a Link,
    pub(super) fact: &'a Fact,
}

/// By what somebody is named.
pub(super) struct Names {
    /// Others said so.
    pub(super) sure: HashSet<Link>,
    /// Teams that they joined by their own hand.
    pub(super) doubtful: HashSet<Link>,
}

impl Names {
    pub(super) fn all(&self) -> impl Iterator<Item = &Link> {
        self.sure.iter().chain(&self.doubtful)
    }
}

impl CareData {
    /// The roles of a practitioner that are in force now, whatever the hour.
    pub(super) fn roles(&self, practitioner: &Link, moments: &mut Moments) -> Vec<InRole<'_>> {
        let mut roles = Vec::new();
        for link in self.by_actor.get(practitioner).into_iter().flatten() {
            if let Some(fact @ Fact::Role { during, .. }) = self.records.get(link).map(Box::as_ref)
                && moments.within(*during)
            {
                roles.push(InRole { link, fact });
            }
        }
        roles
    }

    /// By what a practitioner can be named in a record of care: by the person, a role, an organisation in which they have a role, and teams that
    /// name any of these.
    pub(super) fn names(&self, practitioner: &Link, roles: &[InRole<'_>], moments: &mut Moments) -> Names {
        let mut sure = HashSet::from([practitioner.clone()]);
        for role in roles {
            sure.insert(role.link.clone());
            if let Fact::Role { organization: Some(organization), .. } = role.fact {
                sure.insert(organization.clone());
            }
        }
        let mut doubtful = HashSet::new();
        if !self.authors.is_empty() {
            doubtful.clone_from(&sure);
            self.with_memberships(&mut doubtful, "CareTeam", None, moments);
        }
        self.with_memberships(&mut sure, "CareTeam", Some(practitioner), moments);
        doubtful.retain(|name| !sure.contains(name));
        Names { sure, doubtful }
    }

    /// By what a practitioner can be named in a consent: also by groups, and by what their organisations are a part of. What they joined by
    /// their own hand does not count.
    pub(super) fn identities(&self, practitioner: &ResourceId, moments: &mut Moments) -> HashSet<Link> {
        let Some(kind) = ResourceType::parse("Practitioner") else { return HashSet::new() };
        let practitioner = Link::new(kind, practitioner.as_str());
        let roles = self.roles(&practitioner, moments);
        let mut identities = self.names(&practitioner, &roles, moments).sure;
        let organizations: Vec<Link> = identities.iter().filter(|link| link.is("Organization")).cloned().collect();
        for organization in organizations {
            let mut at = organization;
            for _ in 0..STEPS_MAX {
                let Some(Fact::Place { part_of }) = self.records.get(&at).map(Box::as_ref) else { break };
                identities.insert(part_of.clone());
                at = part_of.clone();
            }
        }
        self.with_memberships(&mut identities, "CareTeam", Some(&practitioner), moments);
        self.with_memberships(&mut identities, "Group", Some(&practitioner), moments);
        identities
    }

    /// Adds the teams or groups of which somebody in the set is a member now, and those of which these are. `unless_by`: not those of which
    /// nobody but this Practitioner says so.
    fn with_memberships(&self, names: &mut HashSet<Link>, kind: &str, unless_by: Option<&Link>, moments: &mut Moments) {
        let mut last: Vec<Link> = names.iter().cloned().collect();
        for _ in 0..STEPS_MAX {
            let mut found = Vec::new();
            for name in &last {
                for link in self.by_actor.get(name).into_iter().flatten().filter(|link| link.is(kind)) {
                    if !names.contains(link)
                        && names.len() < MEMBERSHIPS_MAX
                        && self.is_member(link, name, unless_by, moments)
                    {
                        names.insert(link.clone());
                        found.push(link.clone());
                    }
                }
            }
            if found.is_empty() {
                return;
            }
            last = found;
        }
    }

    /// Whether a team or group names somebody now.
    fn is_member(&self, team: &Link, who: &Link, unless_by: Option<&Link>, moments: &mut Moments) -> bool {
        let names = |fact: &Fact, moments: &mut Moments| {
            let (during, members): (_, &[Part]) = match fact {
                Fact::Team { during, members, .. } => (Some(*during), members),
                Fact::Group { members } => (None, members),
                _ => return false,
            };
            let in_force = during.is_none_or(|during| moments.within(during));
            in_force && members.iter().filter(|part| part.who == *who).any(|part| moments.within(part.during))
        };
        let named = self.records.get(team).is_some_and(|fact| names(fact, moments));
        match self.authors.get(team).filter(|author| Some(&author.writer) == unless_by) {
            Some(author) => named && author.before.as_deref().is_some_and(|before| names(before, moments)),
            None => named,
        }
    }
}
