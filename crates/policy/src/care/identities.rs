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
    pub(super) fn names(&self, practitioner: &Link, roles: &[InRole<'_>], moments: &mut Moments) -> HashSet<Link> {
        let mut names = HashSet::from([practitioner.clone()]);
        for role in roles {
            names.insert(role.link.clone());
            if let Fact::Role { organization: Some(organization), .. } = role.fact {
                names.insert(organization.clone());
            }
        }
        self.with_memberships(&mut names, "CareTeam", moments);
        names
    }

    /// By what a practitioner can be named in a consent: also by groups, and by what their organisations are a part of.
    pub(super) fn identities(&self, practitioner: &ResourceId, moments: &mut Moments) -> HashSet<Link> {
        let Some(kind) = ResourceType::parse("Practitioner") else { return HashSet::new() };
        let practitioner = Link::new(kind, practitioner.as_str());
        let roles = self.roles(&practitioner, moments);
        let mut identities = self.names(&practitioner, &roles, moments);
        let organizations: Vec<Link> = identities.iter().filter(|link| link.is("Organization")).cloned().collect();
        for organization in organizations {
            let mut at = organization;
            for _ in 0..STEPS_MAX {
                let Some(Fact::Place { part_of }) = self.records.get(&at).map(Box::as_ref) else { break };
                identities.insert(part_of.clone());
                at = part_of.clone();
            }
        }
        self.with_memberships(&mut identities, "CareTeam", moments);
        self.with_memberships(&mut identities, "Group", moments);
        identities
    }

    /// Adds the teams or groups of which somebody in the set is a member now, and those of which these are.
    fn with_memberships(&self, names: &mut HashSet<Link>, kind: &str, moments: &mut Moments) {
        let mut last: Vec<Link> = names.iter().cloned().collect();
        for _ in 0..STEPS_MAX {
            let mut found = Vec::new();
            for name in &last {
                for link in self.by_actor.get(name).into_iter().flatten().filter(|link| link.is(kind)) {
                    if !names.contains(link) && self.is_member(link, name, moments) && names.len() < MEMBERSHIPS_MAX {
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
    fn is_member(&self, team: &Link, who: &Link, moments: &mut Moments) -> bool {
        let (during, members): (_, &[Part]) = match self.records.get(team).map(Box::as_ref) {
            Some(Fact::Team { during, members, .. }) => (Some(*during), members),
            Some(Fact::Group { members }) => (None, members),
            _ => return false,
        };
        let in_force = during.is_none_or(|during| moments.within(during));
        in_force && members.iter().filter(|part| part.who == *who).any(|part| moments.within(part.during))
    }
}
