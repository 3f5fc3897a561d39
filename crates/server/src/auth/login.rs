//! Login by passkey, enrolment, step-up, logout.

use super::{AuthCall, cookies, pages, words::Words};
use crate::access::Who;
use crate::error::ApiError;
use crate::lockdown;
use crate::lockout::{Failure, Source};
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_identity::{CeremonyId, IdentityError, Offer, Person, PublicKeyCredential, RegisterPublicKeyCredential};
use tacet_vault::LockdownLevel;

/// Longest address to go on to after a login, in bytes.
const NEXT_BYTES_MAX: usize = 8 * 1024;

/// Where a login may lead: an app's request, or nowhere. An address of anybody's choice would make this server a signpost to
/// wherever a thief likes.
const NEXT: &str = "/oauth/authorize?";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginFinish {
    ceremony: String,
    answer: PublicKeyCredential,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolStart {
    #[serde(default)]
    first: String,
    #[serde(default)]
    second: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolFinish {
    ceremony: String,
    answer: RegisterPublicKeyCredential,
    label: String,
}

/// The address to go on to, if it is one of ours.
pub(super) fn next<'a>(prefix: &str, asked: Option<&'a str>) -> Option<&'a str> {
    let asked = asked.filter(|asked| asked.len() <= NEXT_BYTES_MAX)?;
    let ours = asked.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(NEXT));
    (ours && asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')).then_some(asked)
}

impl<S: RecordService> AuthCall<'_, S> {
    pub(super) fn source(&self) -> Source {
        Source::of(self.peer.address().ip())
    }

    /// Refuses who failed too often from there, whatever they failed at. A device that logged in before goes on.
    pub(super) fn unless_locked(&self) -> Result<(), ApiError> {
        let locked = self.app.lockout.locked_s(self.source(), self.app.clock.now());
        let known =
            cookies::device(&self.parts.headers).is_some_and(|device| self.app.lockout.is_known(self.source(), device));
        match locked {
            Some(left_s) if !known => {
                self.app.metrics.locked_out(true);
                Err(ApiError::locked(left_s))
            }
            _ => Ok(()),
        }
    }

    /// The error of a try, which counts against the address as any other failure does. The ledger has it already.
    fn tried(&self, error: IdentityError) -> ApiError {
        if matches!(error, IdentityError::Refused | IdentityError::TooManyTries(_)) {
            self.app.metrics.authentication_failed();
            let _ = self.app.lockout.failed(self.source(), Failure::Noted, self.app.clock.now());
        }
        error.into()
    }

    pub(super) fn session(&self) -> Result<(&Who, &Person), ApiError> {
        let who = self.who.ok_or_else(ApiError::unauthorized)?;
        who.person().map(|person| (who, person)).ok_or_else(ApiError::forbidden)
    }

    /// The page of login.
    pub(super) fn login_page(&self) -> Result<Reply, ApiError> {
        let query = self.query()?;
        let next = next(&self.people.prefix, query.get("next")?).unwrap_or_default();
        let fresh = query.get("fresh")?.is_some();
        let known = self.who.and_then(Who::person).map(|person| person.display.as_str());
        let providers: Vec<(&str, &str)> = self
            .people
            .foreign
            .providers()
            .iter()
            .map(|provider| (provider.id.as_str(), provider.name.as_str()))
            .collect();
        let words = Words::of(&self.parts.headers);
        Ok(pages::login(words, &self.people.prefix, next, fresh, known, &providers))
    }

    /// Begins a login; the browser becomes a known device with it.
    pub(super) fn login_start(&self) -> Result<Reply, ApiError> {
        self.unless_locked()?;
        let offer = self.people.identity.begin_login(self.connection).map_err(|error| self.tried(error))?;
        Ok(self.with_device(offered(offer)))
    }

    /// A new session. One that the browser had before ends: nobody goes on in what somebody else put there.
    pub(super) async fn login_finish(&self) -> Result<Reply, ApiError> {
        self.unless_locked()?;
        let LoginFinish { ceremony, answer, next: asked } = self.json()?;
        let ceremony = ceremony_id(&ceremony)?;
        let identity = &self.people.identity;
        let logged_in = identity.finish_login(&ceremony, &answer, self.connection).await;
        let logged_in = logged_in.map_err(|error| self.tried(error))?;
        if let Some(before) = self.who.and_then(Who::person) {
            self.end(before).await?;
        }
        let role = logged_in.person.role;
        if self.app.service.lockdown().is_some_and(|level| level >= LockdownLevel::Cut) && !lockdown::may_lift(role) {
            self.people.identity.logout(&logged_in.person, self.connection).await?;
            return Err(lockdown::locked_down());
        }
        if let Some(device) = cookies::device(&self.parts.headers) {
            self.app.lockout.worked(self.source(), device);
        }
        let prefix = &self.people.prefix;
        let next = next(prefix, asked.as_deref()).map_or_else(|| format!("{prefix}/auth/login"), str::to_owned);
        let cookie = cookies::set_session(logged_in.secret.reveal());
        let reply = super::json(StatusCode::OK, &json!({ "next": next }));
        Ok(match cookie {
            Some(cookie) => reply.cookie(cookie),
            None => return Err(ApiError::internal("a session could not be written as a cookie")),
        })
    }

    /// Begins an enrolment, by both codes of an invitation; without codes, of a further passkey of whoever is logged in.
    pub(super) async fn enrol_start(&self) -> Result<Reply, ApiError> {
        self.unless_locked()?;
        let EnrolStart { first, second } = self.json()?;
        let identity = &self.people.identity;
        let offer = match self.who.and_then(Who::person) {
            Some(person) if first.is_empty() && second.is_empty() => identity.begin_passkey(person, self.connection),
            _ => identity.begin_enrolment(&first, &second, self.connection).await,
        };
        Ok(self.with_device(offered(offer.map_err(|error| self.tried(error))?)))
    }

    pub(super) async fn enrol_finish(&self) -> Result<Reply, ApiError> {
        self.unless_locked()?;
        let EnrolFinish { ceremony, answer, label } = self.json()?;
        let ceremony = ceremony_id(&ceremony)?;
        let person = self.who.and_then(Who::person);
        let done = self.people.identity.finish_enrolment(&ceremony, &answer, &label, person, self.connection).await;
        let account = done.map_err(|error| self.tried(error))?;
        Ok(super::json(StatusCode::OK, &json!({ "login": account.login, "role": account.role.as_str() })))
    }

    pub(super) fn step_up_start(&self) -> Result<Reply, ApiError> {
        let (_, person) = self.session()?;
        let offer = self.people.identity.begin_step_up(person, self.connection);
        Ok(offered(offer.map_err(|error| self.tried(error))?))
    }

    pub(super) async fn step_up_finish(&self) -> Result<Reply, ApiError> {
        let (_, person) = self.session()?;
        let LoginFinish { ceremony, answer, .. } = self.json()?;
        let ceremony = ceremony_id(&ceremony)?;
        let fresh = self.people.identity.finish_step_up(&ceremony, &answer, person, self.connection).await;
        let fresh = fresh.map_err(|error| self.tried(error))?;
        Ok(super::json(StatusCode::OK, &self.described(&fresh)))
    }

    /// Ends the session, and what hangs on it in apps.
    pub(super) async fn logout(&self) -> Result<Reply, ApiError> {
        let (_, person) = self.session()?;
        self.end(person).await?;
        // Who logged in elsewhere is still logged in there: the browser goes on to where that ends.
        let next = match self.people.foreign.logout(&person.session).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(operation = %self.operation, error = %error, "a person could not be logged out at their provider");
                None
            }
        };
        let answer = next.map_or_else(|| json!({}), |next| json!({ "next": next }));
        let reply = super::json(StatusCode::OK, &answer);
        Ok(match cookies::clear_session() {
            Some(cookie) => reply.cookie(cookie),
            None => reply,
        })
    }

    pub(super) async fn end(&self, person: &Person) -> Result<(), ApiError> {
        self.people.identity.logout(person, self.connection).await?;
        self.people.smart.revoke_session(&person.session, false, person.account.as_str(), self.asked()).await?;
        Ok(())
    }

    /// Who is logged in.
    pub(super) fn who_am_i(&self) -> Result<Reply, ApiError> {
        let (_, person) = self.session()?;
        Ok(super::json(StatusCode::OK, &self.described(person)))
    }

    fn described(&self, person: &Person) -> Value {
        let settings = self.people.identity.settings();
        json!({
            "account": person.account.as_str(),
            "login": person.login,
            "display": person.display,
            "role": person.role.as_str(),
            "practitioner": person.practitioner.as_ref().map(|id| id.as_str()),
            "patients": person.patients.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
            "began": person.began.to_string(),
            "until": person.until.to_string(),
            "fresh_until": person.passkey_at.plus_ms(settings.step_up_ms).to_string(),
        })
    }

    /// Makes the browser known, where it is not yet.
    fn with_device(&self, reply: Reply) -> Reply {
        // What is no device's secret is replaced: a browser that kept it could never log in.
        let cookie = (!self.connection.has_device())
            .then(|| cookies::set_device(self.people.identity.new_device().reveal()))
            .flatten();
        match cookie {
            Some(cookie) => reply.cookie(cookie),
            None => reply,
        }
    }
}

/// What an answer names; what could be no ceremony is refused as one that is not known.
fn ceremony_id(text: &str) -> Result<CeremonyId, ApiError> {
    CeremonyId::parse(text).ok_or_else(|| IdentityError::Refused.into())
}

fn offered(offer: Offer) -> Reply {
    let Offer { ceremony, options, until } = offer;
    super::json(
        StatusCode::OK,
        &json!({ "ceremony": ceremony.as_str(), "options": options, "until": until.to_string() }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        assert_eq!(next("", Some("/oauth/authorize?a=b")), Some("/oauth/authorize?a=b"));
        assert_eq!(next("/fhir", Some("/fhir/oauth/authorize?a=b")), Some("/fhir/oauth/authorize?a=b"));
        for bad in [
            "",
            "/",
            "//evil.example/oauth/authorize?",
            "https://evil.example/oauth/authorize?",
            "/\\evil.example",
            "/oauth/authorize?\\",
            "/oauth/authorize",
            "/oauth/authorize? x",
            "javascript:alert(1)",
        ] {
            assert_eq!(next("", Some(bad)), None, "{bad}");
        }
        assert_eq!(next("/fhir", Some("/oauth/authorize?a=b")), None);
        assert_eq!(next("", Some(&format!("{NEXT}{}", "a".repeat(NEXT_BYTES_MAX)))), None);
    }
}
