//! What the hospital's directory or its FHIR data says of a person becomes changes of an account.
//!
//! From FHIR: a Practitioner and its PractitionerRoles, as plain facts. A feed takes away at once and gives nothing by itself: another role of an
//! account that was ever used, or that two people have invited already, is a request for a second person.

use crate::account::{Account, State, check_external_id};
use crate::accounts::{Along, end_sessions, resumed};
use crate::approval::{Act, Approval, Request, check_names};
use crate::id::AccountId;
use crate::invitation::{InvitationRow, row_name};
use crate::rows::{Kept, each, get};
use crate::scim::{PROVISIONED_ROLES, User};
use crate::{Actor, Identity, IdentityError};
use tacet_ledger::EventKind;
use tacet_types::{ResourceId, Role, Timestamp};

/// The ticket of requests that a feed makes.
pub(crate) const FEED_TICKET: &str = "directory";

/// What FHIR says of a practitioner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PractitionerFacts {
    /// The Practitioner.
    pub practitioner: ResourceId,
    /// `Practitioner.active`: absent counts as true.
    pub active: bool,
    /// The roles of its active PractitionerRoles, each with the end of its period.
    pub roles: Vec<(Role, Option<Timestamp>)>,
}

/// What follows for an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing says any more that the person works here: the account is closed.
    Close,
    /// The person leaves then; none: no end is known any more.
    Ends(Option<Timestamp>),
    /// The person has another role: somebody must decide.
    AskRole(Role),
}

/// What follows from what FHIR says, for the practitioner's account. No change for accounts that are closed or that administer.
pub fn changes(account: &Account, facts: &PractitionerFacts, now: Timestamp) -> Vec<Change> {
    let linked = account.practitioner.as_deref() == Some(facts.practitioner.as_str());
    if !linked || account.state == State::Closed || !PROVISIONED_ROLES.contains(&account.role) {
        return Vec::new();
    }
    let current: Vec<&(Role, Option<Timestamp>)> = facts
        .roles
        .iter()
        .filter(|(role, end)| PROVISIONED_ROLES.contains(role) && end.is_none_or(|end| now < end))
        .collect();
    // A practitioner of whom no role is known is not yet described, rather than gone; one whose roles have all ended is gone.
    if !facts.active || (current.is_empty() && !facts.roles.is_empty()) {
        return vec![Change::Close];
    }
    let mut changes = Vec::new();
    if !current.is_empty() {
        // The latest end of all roles; none, if one has none.
        let ends = current.iter().map(|(_, end)| *end).collect::<Option<Vec<Timestamp>>>();
        let ends = ends.and_then(|ends| ends.into_iter().max());
        if ends.map(Timestamp::as_ms) != account.ends_ms {
            changes.push(Change::Ends(ends));
        }
        if !current.iter().any(|(role, _)| *role == account.role) {
            changes.extend(current.first().map(|(role, _)| Change::AskRole(*role)));
        }
    }
    changes
}

impl Identity {
    /// Does what follows from what FHIR says of a practitioner. Gives what was done; nothing where they have no account.
    ///
    /// # Errors
    /// The store's. What was done before stays done.
    pub async fn apply_practitioner(
        &self,
        actor: &Actor,
        facts: &PractitionerFacts,
    ) -> Result<Vec<Change>, IdentityError> {
        let Some(account) = self.account_by_practitioner(&facts.practitioner)? else { return Ok(Vec::new()) };
        let now = self.now();
        let changes = changes(&account, facts, now);
        for change in &changes {
            match change {
                Change::Close => {
                    self.close_by(actor, &account.id, "the practitioner is no longer active").await?;
                }
                Change::Ends(end) => {
                    let id = &account.id;
                    self.change_account(id, |account| {
                        account.refuse_closed()?;
                        account.ends_ms = end.map(Timestamp::as_ms);
                        let detail = format!("account {id} has another end by its practitioner's roles");
                        Ok(Along { writes: vec![], entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
                    })
                    .await?;
                }
                Change::AskRole(role) => {
                    self.ask_role(actor, &account, *role, account.practitioner.clone()).await?;
                }
            }
        }
        Ok(changes)
    }

    /// Brings an account to what a directory says: names at once, suspension at once, outside ids, roles and links as far as nobody uses
    /// it yet. Another role or link of one in use is asked for, another outside id refused.
    pub(crate) async fn provision(&self, actor: &Actor, id: &AccountId, user: &User) -> Result<Account, IdentityError> {
        let login = check_names(&user.user_name, &user.display)?;
        check_external_id(user.external_id.as_deref())?;
        crate::account::check_links(Role::Clinician, user.practitioner.as_deref(), &[])?;
        let now = self.now();
        let role_of = |account: &Account| user.role.unwrap_or(account.role);
        let account = self
            .change_account(id, |account| {
                if account.state == State::Closed || !PROVISIONED_ROLES.contains(&account.role) {
                    return Err(IdentityError::Absent("user"));
                }
                let mut along = Along::default();
                let unused = self.is_unused(account)?;
                if unused {
                    account.external_id.clone_from(&user.external_id);
                } else if user.external_id.is_some() && user.external_id != account.external_id {
                    // By it a provider's person is found: whoever has the directory's key would put themselves in another's place.
                    return Err(IdentityError::State("in use, so that its external id stays"));
                }
                if !unused && self.settings.logins_fixed && login != account.login {
                    return Err(IdentityError::State("in use, so that its login stays"));
                }
                account.login.clone_from(&login);
                account.display.clone_from(&user.display);
                if !user.active && account.state != State::Suspended {
                    account.state = State::Suspended;
                    account.suspended_by_feed = true;
                    along.writes.extend(end_sessions(account));
                } else if user.active && account.state == State::Suspended && account.suspended_by_feed {
                    // A person's suspension is taken back by a person.
                    resumed(account, now);
                }
                if unused {
                    account.role = role_of(account);
                    account.practitioner.clone_from(&user.practitioner);
                }
                account.changed_ms = now.as_ms();
                let detail = format!("account {id} brought to what the directory says");
                along.entries.push(actor.entry(now, EventKind::AccountChange, detail));
                Ok(along)
            })
            .await?;
        if role_of(&account) != account.role || account.practitioner != user.practitioner {
            self.ask_role(actor, &account, role_of(&account), user.practitioner.clone()).await?;
        }
        Ok(account)
    }

    /// Whether nobody ever logged in by it or was invited to.
    fn is_unused(&self, account: &Account) -> Result<bool, IdentityError> {
        let invited = get::<InvitationRow>(self.rows.as_ref(), &row_name(&account.id))?.is_some();
        Ok(account.used_ms.is_none() && account.passkeys.is_empty() && !invited)
    }

    /// Asks for another role, unless that was asked already.
    async fn ask_role(
        &self,
        actor: &Actor,
        account: &Account,
        role: Role,
        practitioner: Option<String>,
    ) -> Result<(), IdentityError> {
        let act = Act::Role { account: account.id.clone(), role, practitioner, patients: Vec::new() };
        let (now, mut asked) = (self.now(), false);
        each(self.rows.as_ref(), &mut |_, kept: Kept<Approval>| {
            asked |= kept.row.is_pending(now) && kept.row.act == act;
        })?;
        if asked {
            return Ok(());
        }
        let request = Request {
            act,
            ticket: FEED_TICKET.into(),
            reason: "the directory says so".into(),
            end: now.plus_ms(self.settings.approval_ms_max),
            until_end: false,
        };
        self.ask_by(actor, request).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Draft;

    const NOW: i64 = 1_000_000;

    fn account(role: Role) -> Account {
        let mut draft = Draft::new("a", "A", role);
        draft.practitioner = role.may_read_records().then(|| "pr1".into());
        let id = AccountId::parse("a1").unwrap();
        Account::of(draft, id, "00".repeat(16), Timestamp::from_ms(0))
    }

    fn of(active: bool, roles: &[(Role, Option<i64>)]) -> PractitionerFacts {
        let roles = roles.iter().map(|(role, end)| (*role, end.map(Timestamp::from_ms))).collect();
        PractitionerFacts { practitioner: ResourceId::parse("pr1").unwrap(), active, roles }
    }

    #[test]
    fn facts_of_a_practitioner_become_changes() {
        let now = Timestamp::from_ms(NOW);
        let nurse = account(Role::Nurse);
        let end = Timestamp::from_ms(NOW + 5);
        for (facts, expected) in [
            (of(true, &[]), vec![]),
            (of(true, &[(Role::Nurse, None)]), vec![]),
            (of(false, &[(Role::Nurse, None)]), vec![Change::Close]),
            (of(true, &[(Role::Nurse, Some(NOW))]), vec![Change::Close]),
            (of(true, &[(Role::Nurse, Some(NOW + 5))]), vec![Change::Ends(Some(end))]),
            (
                of(true, &[(Role::Nurse, Some(NOW + 1)), (Role::Clinician, Some(NOW + 5))]),
                vec![Change::Ends(Some(end))],
            ),
            (of(true, &[(Role::Nurse, Some(NOW + 1)), (Role::Clinician, None)]), vec![]),
            (of(true, &[(Role::Clinician, None)]), vec![Change::AskRole(Role::Clinician)]),
            (of(true, &[(Role::Administrator, None)]), vec![Change::Close]),
        ] {
            assert_eq!(changes(&nurse, &facts, now), expected, "{facts:?}");
        }
        let other = PractitionerFacts { practitioner: ResourceId::parse("pr2").unwrap(), ..of(false, &[]) };
        assert_eq!(changes(&nurse, &other, now), vec![]);
        assert_eq!(changes(&account(Role::Administrator), &of(false, &[]), now), vec![]);
    }
}
