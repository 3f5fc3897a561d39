//! Who leaves by the FHIR data: a Practitioner that is no longer active, or all of whose PractitionerRoles have ended, loses the account.
//!
//! Looked at in the background: what changed, every minute; all of it with each round, since an end comes by itself and a deletion is in no search.
//! Nothing is given here: another role of an account in use is a request for a second person.

use crate::people::{People, PeopleError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tacet_identity::provisioning::{Change, PractitionerFacts};
use tacet_identity::{Account, Actor, State};
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_search::request::{Handling, Scope};
use tacet_smart::Asked;
use tacet_types::{OperationId, ResourceId, ResourceType, Rng, Role, Timestamp};
use tacet_vault::{Caller, SearchCall, Vault, VaultError};

/// How often it is looked at what changed, in milliseconds.
pub(crate) const LOOK_MS: u64 = 60_000;

/// Under which name the ledger has what is done here.
const NAME: &str = "tacet: leavers";

/// Practitioners asked for in one search.
const ASKED_MAX: usize = 50;

/// Records on a page.
const PAGE_COUNT: usize = 500;

/// Pages of one search at most: half a million roles of fifty people are a fault of the data.
const PAGES_MAX: usize = 1_000;

/// Codes of `PractitionerRole.code` that say a role, whatever their system: HL7's practitioner-role, SNOMED CT, and in words.
const CODES: [(&str, Role); 10] = [
    ("doctor", Role::Clinician),
    ("158965000", Role::Clinician),
    ("309343006", Role::Clinician),
    ("nurse", Role::Nurse),
    ("106292003", Role::Nurse),
    ("224535009", Role::Nurse),
    ("pharmacist", Role::Pharmacist),
    ("46255001", Role::Pharmacist),
    ("laboratory", Role::Laboratory),
    ("reception", Role::Reception),
];

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
    let origin = Origin { address: None, channel: Channel::Internal };
    let operation = OperationId::random(rng);
    let caller = Caller {
        own_work: true,
        strong: true,
        ..Caller::new(NAME, Role::Integrator, PurposeOfUse::SystemAdministration, origin, operation)
    };
    let reader = Reader { vault, caller: &caller };
    if let Some(since) = since {
        let changed = reader.changed(since).await?;
        accounts.retain(|practitioner, _| changed.contains(practitioner.as_str()));
    }
    let (actor, mut closed) = (Actor::machine(NAME, None, origin, operation), 0);
    let all: Vec<(ResourceId, Account)> = accounts.into_iter().collect();
    for some in all.chunks(ASKED_MAX) {
        for facts in reader.facts(some, since.is_some()).await? {
            let done = people.identity.apply_practitioner(&actor, &facts).await?;
            let of = some.iter().find(|(practitioner, _)| *practitioner == facts.practitioner);
            if let Some((_, account)) = of.filter(|_| done.contains(&Change::Close)) {
                people.smart.revoke_account(account.id.as_str(), NAME, Asked { origin, operation }).await?;
                closed += 1;
            }
        }
    }
    Ok(closed)
}

struct Reader<'a> {
    vault: &'a Vault,
    caller: &'a Caller,
}

impl Reader<'_> {
    /// Practitioners of whom something was stored since.
    async fn changed(&self, since: Timestamp) -> Result<BTreeSet<String>, VaultError> {
        let when = || vec![("_lastUpdated".to_owned(), format!("ge{since}"))];
        let mut changed = BTreeSet::new();
        for practitioner in self.all("Practitioner", when()).await? {
            changed.extend(text(&practitioner, "/id").map(str::to_owned));
        }
        for role in self.all("PractitionerRole", when()).await? {
            changed.extend(practitioner_of(&role).map(str::to_owned));
        }
        Ok(changed)
    }

    /// What is said of these practitioners; nothing of those of whom there is no record. `compare`: whether another role counts, which is asked for
    /// when it is written and not again with each round.
    async fn facts(&self, some: &[(ResourceId, Account)], compare: bool) -> Result<Vec<PractitionerFacts>, VaultError> {
        let ids: Vec<&str> = some.iter().map(|(practitioner, _)| practitioner.as_str()).collect();
        let asked: Vec<String> = ids.iter().map(|id| format!("Practitioner/{id}")).collect();
        let practitioners = self.all("Practitioner", vec![("_id".to_owned(), ids.join(","))]).await?;
        let roles = self.all("PractitionerRole", vec![("practitioner".to_owned(), asked.join(","))]).await?;
        let mut facts = Vec::new();
        for (id, account) in some {
            let Some(found) = practitioners.iter().find(|found| text(found, "/id") == Some(id.as_str())) else {
                continue;
            };
            let of = roles.iter().filter(|role| practitioner_of(role) == Some(id.as_str()));
            // An end that the account has is not put off by data: two people do that.
            let latest = account.ends_ms.map(Timestamp::from_ms);
            let bounded = |(role, end): (Role, Option<Timestamp>)| (role, end.into_iter().chain(latest).min());
            facts.push(PractitionerFacts {
                practitioner: id.clone(),
                active: found.get("active").and_then(Value::as_bool).unwrap_or(true),
                roles: of.map(|role| bounded(role_of(role, account.role, compare))).collect(),
            });
        }
        Ok(facts)
    }

    async fn all(&self, name: &str, parameters: Vec<(String, String)>) -> Result<Vec<Value>, VaultError> {
        let resource_type = ResourceType::parse(name).ok_or(VaultError::NotFound)?;
        let mut call = SearchCall {
            scope: Scope::Type(resource_type),
            parameters,
            handling: Handling::Strict,
            base_url: String::new(),
            cursor: None,
        };
        call.parameters.push(("_count".to_owned(), PAGE_COUNT.to_string()));
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.vault.search(self.caller, &call).await?;
            let read =
                |body: &[u8]| serde_json::from_slice(body).map_err(|_| VaultError::Damaged("a resource is no JSON"));
            for entry in &page.entries {
                all.push(read(&entry.disclosed.body)?);
            }
            match page.next {
                None => break,
                next => (call.cursor, call.parameters) = (next, Vec::new()),
            }
        }
        Ok(all)
    }
}

/// The text at a place, if there is one.
fn text<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value.pointer(place).and_then(Value::as_str)
}

/// The id of whose role it is, whatever form the reference has: with the server's address before it, or a version behind it. A role that is not
/// counted would let somebody seem to have left.
fn practitioner_of(role: &Value) -> Option<&str> {
    let mut parts = text(role, "/practitioner/reference")?.split('/').skip_while(|part| *part != "Practitioner");
    parts.nth(1).filter(|id| !id.is_empty())
}

/// The role that a PractitionerRole says, with its end. One that is not active has ended; a code that says nothing here says no other role.
fn role_of<'v>(role: &'v Value, now: Role, compare: bool) -> (Role, Option<Timestamp>) {
    if role.get("active").and_then(Value::as_bool) == Some(false) {
        return (now, Some(Timestamp::from_ms(0)));
    }
    let each = |value: &'v Value, name| value.get(name).and_then(Value::as_array).into_iter().flatten();
    let codings = each(role, "code").flat_map(|concept| each(concept, "coding"));
    let codes: Vec<&str> = codings.filter_map(|coding| text(coding, "/code")).collect();
    let said: Vec<Role> = CODES.iter().filter(|(code, _)| codes.contains(code)).map(|(_, role)| *role).collect();
    let other = said.first().copied().filter(|_| compare && !said.contains(&now));
    (other.unwrap_or(now), text(role, "/period/end").and_then(end_of))
}

/// The moment after which a `dateTime` of FHIR is over: a day lasts until its end. Of a month or a year no end is known well enough.
fn end_of(text: &str) -> Option<Timestamp> {
    let whole = if text.len() == 10 { format!("{text}T23:59:59Z") } else { text.to_owned() };
    Timestamp::parse(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_role_is_somebodys_whatever_the_form_of_its_reference() {
        for (reference, expected) in [
            ("Practitioner/p1", Some("p1")),
            ("https://ehr.example/fhir/Practitioner/p1", Some("p1")),
            ("Practitioner/p1/_history/3", Some("p1")),
            ("https://ehr.example/Practitioner/p1/_history/3", Some("p1")),
            ("Practitioner/", None),
            ("Practitioner", None),
            ("Organization/p1", None),
            ("#p1", None),
        ] {
            assert_eq!(
                practitioner_of(&json!({ "practitioner": { "reference": reference } })),
                expected,
                "{reference}"
            );
        }
    }

    #[test]
    fn a_role_says_who_somebody_is_and_until_when() {
        let role = |code: &str, more: Value| {
            let mut role = json!({ "code": [{ "coding": [{ "code": code }] }] });
            role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            role
        };
        let day = Timestamp::parse("2026-03-01T23:59:59Z").unwrap();
        for (given, compare, expected) in [
            (role("nurse", json!({})), true, (Role::Nurse, None)),
            (role("doctor", json!({})), true, (Role::Clinician, None)),
            (role("doctor", json!({})), false, (Role::Nurse, None)),
            (role("gardener", json!({})), true, (Role::Nurse, None)),
            (role("nurse", json!({ "period": { "end": "2026-03-01" } })), true, (Role::Nurse, Some(day))),
            (role("nurse", json!({ "period": { "end": "2026" } })), true, (Role::Nurse, None)),
            (role("doctor", json!({ "active": false })), true, (Role::Nurse, Some(Timestamp::from_ms(0)))),
        ] {
            assert_eq!(role_of(&given, Role::Nurse, compare), expected, "{given}");
        }
    }
}
