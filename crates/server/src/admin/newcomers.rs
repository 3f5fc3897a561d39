//! Who comes by the FHIR data: a Practitioner who works here and has no account is proposed to the administrators, where the hospital wants that.
//!
//! ```text
//! Practitioner active, a PractitionerRole in force at one of our organizations with a profession of ours, both written by a machine, never an account
//!     ──> proposal ──taken up by an administrator──> request ──allowed by another──> account, invitation in two halves
//! ```
//!
//! Nobody is let in by data: a proposal is a form that is filled in. There are few at a time, so that a directory of thousands floods nobody.

use super::staff::{
    ASKED_MAX, Found, HERE, Reader, each, end_of, is_active, own, practitioner_of, said, start_of, stored_since, text,
};
use crate::people::{People, PeopleError};
use serde_json::Value;
use std::collections::BTreeSet;
use tacet_fhir::search::fold;
use tacet_identity::scim::PROVISIONED_ROLES;
use tacet_identity::{Actor, Draft, IdentityError, Proposals};
use tacet_types::{OperationId, Rng, Role, Timestamp};
use tacet_vault::VaultError;

/// Under which name the ledger has what is proposed here.
const NAME: &str = "tacet: newcomers";

/// Pages of PractitionerRoles that one look goes through at most, of 500 each: a directory of a hundred thousand roles.
const PAGES_MAX: usize = 200;

/// Longest login that is made of a name, in letters, before a number that tells it from others.
const LOGIN_LETTERS_MAX: usize = 60;

/// Most people of one name whom a number tells apart.
const SAME_NAME_MAX: usize = 99;

/// Proposes accounts for who works here and has none; gives how many. `since`: only for those of whose roles something was stored from then on.
///
/// # Errors
/// The store's. What was proposed before stays proposed.
pub(crate) async fn propose(people: &People, rng: &dyn Rng, since: Option<Timestamp>) -> Result<usize, PeopleError> {
    let wanted = !people.propose_accounts.is_empty();
    let vault = people.vault.as_ref().filter(|vault| wanted && vault.index_state().is_some());
    let Some(vault) = vault else { return Ok(0) };
    let proposals = people.identity.proposals()?;
    if proposals.room() == 0 {
        return Ok(0);
    }
    let operation = OperationId::random(rng);
    let caller = own(NAME, HERE, operation);
    let reader = Reader { vault, caller: &caller };
    let actor = Actor::machine(NAME, None, HERE, operation);
    let mut look = Look { people, reader, actor, proposals, met: BTreeSet::new(), proposed: 0 };
    // Whoever works elsewhere (a directory may have all of the country) is not even read.
    let mut asked = since.map(stored_since).unwrap_or_default();
    asked.push(("organization".to_owned(), people.propose_accounts.join(",")));
    let mut call = Some(look.reader.first("PractitionerRole", asked)?);
    // Who was proposed before and not decided on waits behind who was not.
    let mut again: Vec<(i64, String)> = Vec::new();
    for _ in 0..PAGES_MAX {
        let Some(this) = call.take().filter(|_| look.has_room()) else { break };
        let (roles, next) = look.reader.page(this).await?;
        let mut first = Vec::new();
        for id in roles.iter().filter(|role| is_active(role)).filter_map(practitioner_of) {
            if look.proposals.is_settled(id) || !look.met.insert(id.to_owned()) {
                continue;
            }
            match look.proposals.lapsed(id) {
                Some(at) => again.push((at.as_ms(), id.to_owned())),
                None => first.push(id.to_owned()),
            }
        }
        look.at(&first).await?;
        call = next;
    }
    again.sort();
    let again: Vec<String> = again.into_iter().map(|(_, id)| id).collect();
    look.at(&again).await?;
    Ok(look.proposed)
}

/// One look over the directory.
struct Look<'a> {
    people: &'a People,
    reader: Reader<'a>,
    actor: Actor,
    proposals: Proposals,
    /// Practitioners who were looked at, or wait for it.
    met: BTreeSet<String>,
    proposed: usize,
}

impl Look<'_> {
    fn has_room(&self) -> bool {
        self.proposed < self.proposals.room()
    }

    /// Looks at these practitioners, as long as there is room for proposals.
    async fn at(&mut self, ids: &[String]) -> Result<(), PeopleError> {
        let now = self.proposals.at;
        for some in ids.chunks(ASKED_MAX) {
            if !self.has_room() {
                break;
            }
            let ids: Vec<&str> = some.iter().map(String::as_str).collect();
            let found = self.reader.found(&ids).await?;
            for id in ids {
                if let Some(draft) = self.draft(&found, id, now)?.filter(|_| self.has_room()) {
                    self.one(draft).await?;
                }
            }
        }
        Ok(())
    }

    /// What an administrator would fill in; none where something is missing or not as it must be.
    fn draft(&self, found: &Found, id: &str, now: Timestamp) -> Result<Option<Draft>, VaultError> {
        let Some((practitioner, roles)) = found.of(id) else { return Ok(None) };
        let roles: Vec<&Value> = roles.filter(|role| is_in_force(role, now) && self.is_ours(role)).collect();
        let Some((role, ends)) = wanted(practitioner, &roles) else { return Ok(None) };
        // What a person wrote is that person's word, and not the hospital's.
        if !self.reader.is_of_machine("Practitioner", practitioner)? {
            return Ok(None);
        }
        for role in &roles {
            if !self.reader.is_of_machine("PractitionerRole", role)? {
                return Ok(None);
            }
        }
        let Some((display, login)) = names(practitioner) else { return Ok(None) };
        let Some(login) = free(&login, |login| self.proposals.has_login(login)) else { return Ok(None) };
        let mut draft = Draft::new(&login, &display, role);
        draft.practitioner = Some(id.to_owned());
        draft.ends_ms = ends.map(Timestamp::as_ms);
        Ok(Some(draft))
    }

    /// Whether it is a role at one of the organizations for whose staff accounts are proposed.
    fn is_ours(&self, role: &Value) -> bool {
        let at = text(role, "/organization/reference").unwrap_or_default();
        // With the server's address before it too.
        let ours =
            |own: &String| at.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        self.people.propose_accounts.iter().any(ours)
    }

    async fn one(&mut self, draft: Draft) -> Result<(), PeopleError> {
        let login = draft.login.clone();
        match self.people.identity.propose(&self.actor, draft).await {
            Ok(_) => {
                self.proposals.took(&login);
                self.proposed += 1;
                Ok(())
            }
            // A name that cannot stand in an account, or somebody else was faster: people see to it.
            Err(IdentityError::Invalid { .. } | IdentityError::Taken(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a role holds now. A time that cannot be read tells nothing that somebody could be let in by.
fn is_in_force(role: &Value, now: Timestamp) -> bool {
    let begun = text(role, "/period/start").is_none_or(|start| start_of(start).is_some_and(|start| start <= now));
    let lasts = text(role, "/period/end").is_none_or(|end| end_of(end).is_some_and(|end| now < end));
    is_active(role) && begun && lasts
}

/// The one role of ours that these roles in force say, with the end of the last of them. None where they say none, or several: which is then for
/// people to say.
fn wanted(practitioner: &Value, roles: &[&Value]) -> Option<(Role, Option<Timestamp>)> {
    if !is_active(practitioner) {
        return None;
    }
    let mut one = None;
    let mut ends = Vec::new();
    for role in roles {
        for said in said(role, practitioner) {
            if *one.get_or_insert(said) != said {
                return None;
            }
        }
        ends.push(text(role, "/period/end").and_then(end_of));
    }
    let end = ends.into_iter().collect::<Option<Vec<Timestamp>>>().and_then(|ends| ends.into_iter().max());
    one.filter(|role| PROVISIONED_ROLES.contains(role)).map(|role| (role, end))
}

/// How somebody is called, and the login that is made of it: given name and family name, in plain letters.
fn names(practitioner: &Value) -> Option<(String, String)> {
    let used = |kind: &'static str| each(practitioner, "name").find(move |name| text(name, "/use") == Some(kind));
    let name = used("usual").or_else(|| used("official")).or_else(|| each(practitioner, "name").next())?;
    let given = each(name, "given").find_map(Value::as_str).unwrap_or_default();
    let family = text(name, "/family").unwrap_or_default();
    let parts: Vec<&str> = [given, family].into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
    let display = text(name, "/text").map(str::trim).filter(|text| !text.is_empty());
    let display = display.map_or_else(|| parts.join(" "), str::to_owned);
    let plain = |part: &&str| {
        let folded = fold(part);
        let words = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    };
    let login: Vec<String> = parts.iter().map(plain).filter(|part| !part.is_empty()).collect();
    let login: String = login.join(".").chars().take(LOGIN_LETTERS_MAX).collect();
    let login = login.trim_end_matches(['.', '-']).to_owned();
    (!login.is_empty() && !display.is_empty()).then_some((display, login))
}

/// The login, with a number where others have it.
fn free(login: &str, is_taken: impl Fn(&str) -> bool) -> Option<String> {
    let numbered = (2..=SAME_NAME_MAX).map(|number| format!("{login}{number}"));
    std::iter::once(login.to_owned()).chain(numbered).find(|login| !is_taken(login))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn role(code: &str, period: Value) -> Value {
        json!({ "code": [{ "coding": [{ "code": code }] }], "period": period })
    }

    #[test]
    fn a_role_holds_from_its_beginning_to_its_end() {
        let now = Timestamp::parse("2026-03-01T08:00:00Z").unwrap();
        for (period, expected) in [
            (json!({}), true),
            (json!({ "start": "2026-03-01" }), true),
            (json!({ "start": "2026-03", "end": "2026-03-01" }), true),
            (json!({ "start": "2026-03-02" }), false),
            (json!({ "start": "soon" }), false),
            (json!({ "end": "2026-02-28" }), false),
            (json!({ "end": "2026" }), false),
        ] {
            assert_eq!(is_in_force(&role("nurse", period.clone()), now), expected, "{period}");
        }
        assert!(!is_in_force(&json!({ "active": false }), now));
    }

    #[test]
    fn one_role_is_wanted_and_its_last_end() {
        let end = |day: &str| end_of(day);
        let (open, until) = (role("nurse", json!({})), role("nurse", json!({ "end": "2026-05-01" })));
        let (later, doctor) = (role("nurse", json!({ "end": "2026-06-01" })), role("doctor", json!({})));
        let (other, boss) = (role("gardener", json!({})), role("administrator", json!({})));
        let active = json!({});
        for (roles, expected) in [
            (vec![&open], Some((Role::Nurse, None))),
            (vec![&until], Some((Role::Nurse, end("2026-05-01")))),
            (vec![&until, &later], Some((Role::Nurse, end("2026-06-01")))),
            (vec![&until, &open], Some((Role::Nurse, None))),
            (vec![&until, &other], Some((Role::Nurse, None))),
            (vec![&open, &doctor], None),
            (vec![&other], None),
            (vec![&boss], None),
            (vec![], None),
        ] {
            assert_eq!(wanted(&active, &roles), expected, "{roles:?}");
        }
        assert_eq!(wanted(&json!({ "active": false }), &[&open]), None);
    }

    #[test]
    fn a_login_is_made_of_the_name() {
        let of = |name: Value| names(&json!({ "name": [name] }));
        let pair = |display: &str, login: &str| Some((display.to_owned(), login.to_owned()));
        assert_eq!(of(json!({ "family": "Martin", "given": ["Léa", "Zoé"] })), pair("Léa Martin", "lea.martin"));
        let text = json!({ "family": "D'Œuvre", "given": ["Jean Noël"], "text": "Dr Jean D'Œuvre" });
        assert_eq!(of(text), pair("Dr Jean D'Œuvre", "jean-noel.d-oeuvre"));
        assert_eq!(of(json!({ "family": "Ng" })), pair("Ng", "ng"));
        assert_eq!(of(json!({ "text": "Somebody" })), None);
        assert_eq!(of(json!({ "family": "--", "given": [" "] })), None);
        assert_eq!(names(&json!({})), None);
        let two = json!({ "name": [{ "use": "official", "family": "Né" }, { "use": "usual", "family": "Usé" }] });
        assert_eq!(names(&two), pair("Usé", "use"));
        let long = of(json!({ "family": "x".repeat(500) })).unwrap();
        assert_eq!(long.1.len(), LOGIN_LETTERS_MAX);
        assert_eq!(free("a", |_| false).unwrap(), "a");
        assert_eq!(free("a", |login| login == "a").unwrap(), "a2");
        assert_eq!(free("a", |_| true), None);
    }
}
