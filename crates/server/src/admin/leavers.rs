//! Who leaves by the FHIR data: a Practitioner that is no longer active, or all of whose PractitionerRoles have ended, loses the account.
//!
//! Looked at in the background: what changed, every minute; all of it with each round, since an end comes by itself and a deletion is in no search.
//! Nothing is given here: another role of an account in use is a request for a second person.

use super::staff::{ASKED_MAX, HERE, Reader, end_of, is_active, own, said, text};
use crate::people::{People, PeopleError};
use serde_json::Value;
use std::collections::BTreeMap;
use tacet_identity::provisioning::{Change, PractitionerFacts};
use tacet_identity::{Account, Actor, State};
use tacet_smart::Asked;
use tacet_types::{OperationId, ResourceId, Rng, Role, Timestamp};
use tacet_vault::VaultError;

/// How often it is looked at what changed, in milliseconds.
pub(crate) const LOOK_MS: u64 = 60_000;

/// Under which name the ledger has what is done here.
const NAME: &str = "tacet: leavers";

/// Does what follows from the FHIR data for accounts of practitioners; gives how many accounts were closed. `since`: only for those of whom something
/// was stored from then on.
///
/// # Errors
/// The store's. What was done before stays done.
pub(crate) async fn follow(people: &People, rng: &dyn Rng, since: Option<Timestamp>) -> Result<usize, PeopleError> {
    let Some(vault) = people.vault.as_ref().filter(|vault| vault.index_state().is_some()) else { return Ok(0) };
    let mut accounts: BTreeMap<ResourceId, Account> = BTreeMap::new();
    for account in people.identity.accounts()? {
        if let Some(practitioner) = account.practitioner_id().filter(|_| account.state != State::Closed) {
            accounts.insert(practitioner, account);
        }
    }
    if accounts.is_empty() {
        return Ok(0);
    }
    let operation = OperationId::random(rng);
    let caller = own(NAME, HERE, operation);
    let reader = Reader { vault, caller: &caller };
    if let Some(since) = since {
        let changed = reader.changed(since).await?;
        accounts.retain(|practitioner, _| changed.contains(practitioner.as_str()));
    }
    let (actor, mut closed) = (Actor::machine(NAME, None, HERE, operation), 0);
    let all: Vec<(ResourceId, Account)> = accounts.into_iter().collect();
    for some in all.chunks(ASKED_MAX) {
        for facts in facts(&reader, some, since.is_some()).await? {
            let done = people.identity.apply_practitioner(&actor, &facts).await?;
            let of = some.iter().find(|(practitioner, _)| *practitioner == facts.practitioner);
            if let Some((_, account)) = of.filter(|_| done.contains(&Change::Close)) {
                people.smart.revoke_account(account.id.as_str(), NAME, Asked { origin: HERE, operation }).await?;
                closed += 1;
            }
        }
    }
    Ok(closed)
}

/// What is said of these practitioners; nothing of those of whom there is no record. `compare`: whether another role counts, which is asked for
/// when it is written and not again with each round.
async fn facts(
    reader: &Reader<'_>,
    some: &[(ResourceId, Account)],
    compare: bool,
) -> Result<Vec<PractitionerFacts>, VaultError> {
    let ids: Vec<&str> = some.iter().map(|(practitioner, _)| practitioner.as_str()).collect();
    let found = reader.found(&ids).await?;
    let mut facts = Vec::new();
    for (id, account) in some {
        let Some((practitioner, roles)) = found.of(id.as_str()) else { continue };
        // An end that the account has is not put off by data: two people do that.
        let latest = account.ends_ms.map(Timestamp::from_ms);
        let bounded = |(role, end): (Role, Option<Timestamp>)| (role, end.into_iter().chain(latest).min());
        facts.push(PractitionerFacts {
            practitioner: id.clone(),
            active: is_active(practitioner),
            roles: roles.map(|role| bounded(role_of(role, practitioner, account.role, compare))).collect(),
        });
    }
    Ok(facts)
}

/// The role that a PractitionerRole says, with its end. One that is not active has ended; a code that says nothing here says no other role.
fn role_of(role: &Value, practitioner: &Value, now: Role, compare: bool) -> (Role, Option<Timestamp>) {
    if !is_active(role) {
        return (now, Some(Timestamp::from_ms(0)));
    }
    let said = said(role, practitioner);
    let other = said.first().copied().filter(|_| compare && !said.contains(&now));
    (other.unwrap_or(now), text(role, "/period/end").and_then(end_of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_role_says_who_somebody_is_and_until_when() {
        let with = |mut role: Value, more: Value| {
            role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            role
        };
        let role = |code: &str, more: Value| with(json!({ "code": [{ "coding": [{ "code": code }] }] }), more);
        let system = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante";
        let french = |code: &str| json!({ "code": [{ "coding": [{ "system": system, "code": code }] }] });
        let day = Timestamp::parse("2026-03-01T23:59:59Z").unwrap();
        for (given, compare, expected) in [
            (role("nurse", json!({})), true, (Role::Nurse, None)),
            (role("doctor", json!({})), true, (Role::Clinician, None)),
            (role("doctor", json!({})), false, (Role::Nurse, None)),
            (role("gardener", json!({})), true, (Role::Nurse, None)),
            (role("10", json!({})), true, (Role::Nurse, None)),
            (french("60"), true, (Role::Nurse, None)),
            (french("10"), true, (Role::Clinician, None)),
            (french("21"), true, (Role::Pharmacist, None)),
            (french("10"), false, (Role::Nurse, None)),
            (french("70"), true, (Role::Nurse, None)),
            (role("nurse", json!({ "period": { "end": "2026-03-01" } })), true, (Role::Nurse, Some(day))),
            (role("nurse", json!({ "period": { "end": "2026" } })), true, (Role::Nurse, None)),
            (role("doctor", json!({ "active": false })), true, (Role::Nurse, Some(Timestamp::from_ms(0)))),
        ] {
            assert_eq!(role_of(&given, &json!({}), Role::Nurse, compare), expected, "{given}");
        }
    }
}
