//! The authorization server over HTTP: discovery, authorization, consent, tokens, registration, launches.

use super::{AuthCall, pages, words::Words};
use crate::access::{self, Who};
use crate::error::ApiError;
use crate::lockout::Source;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use crate::tried;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tacet_fhir::outcome::IssueType;
use tacet_identity::{Account, AccountId};
use tacet_policy::Scopes;
use tacet_smart::scopes::ScopeSet;
use tacet_smart::{
    Authorize, ClientProof, Decision, ErrorCode, Launch, LaunchContext, OAuthError, SmartError, TokenRequest,
};
use tacet_types::{ResourceId, ResourceType, Role};
use url::form_urlencoded;

/// How a login by passkey is named in id tokens.
const ACR: &str = "urn:tacet:acr:passkey";

/// The same where the login was made elsewhere.
const ACR_ELSEWHERE: &str = "urn:tacet:acr:elsewhere";

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A launch, as the record system asks for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaunchAsk {
    /// The login of who starts it.
    login: Option<String>,
    /// Or the id of the account.
    account: Option<String>,
    client: Option<String>,
    patient: Option<String>,
    encounter: Option<String>,
    intent: Option<String>,
    need_patient_banner: Option<bool>,
    smart_style_url: Option<String>,
    #[serde(default, rename = "fhirContext")]
    fhir_context: Vec<Value>,
}

/// Whether each of these scopes can be held to. One that cannot is refused: left out, a narrowing would be lost and the app told otherwise.
fn enforceable(scopes: &str) -> bool {
    let known = |word: &&str| ScopeSet::parse(word).is_ok_and(|set| !set.is_empty());
    scopes.split(' ').filter(known).all(|word| Scopes::parse(word).is_ok())
}

/// The parameter `scope` of a form or query.
fn scope_of(form: &str) -> Option<String> {
    form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "scope").map(|(_, scope)| scope.into_owned())
}

/// The id of a record in a form. None where nothing was chosen; an error where it is none.
fn record_id(form: &Query, name: &str) -> Result<Result<Option<ResourceId>, ()>, ApiError> {
    let id = form.get(name)?.map(str::trim).filter(|id| !id.is_empty());
    Ok(id.map(ResourceId::parse).transpose().map_err(|_| ()))
}

/// Whether an encounter is this patient's. An encounter of nobody, or without a patient beside it, is not.
fn is_of(encounter: Option<&Value>, patient: Option<&ResourceId>, base_url: &str) -> bool {
    let (Some(encounter), Some(patient)) = (encounter, patient) else { return false };
    let subject = encounter.get("subject").and_then(|subject| subject.get("reference")?.as_str()).unwrap_or_default();
    let relative = subject.strip_prefix(base_url).and_then(|rest| rest.strip_prefix('/')).unwrap_or(subject);
    relative.split("/_history/").next().and_then(|plain| plain.strip_prefix("Patient/")) == Some(patient.as_str())
}

fn oauth_error(error: &OAuthError) -> Reply {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = super::json(status, &error.body()).header(PRAGMA, HeaderValue::from_static("no-cache"));
    if status == StatusCode::UNAUTHORIZED {
        reply = reply.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tacet\""));
    }
    let nonce = error.dpop_nonce.as_deref().and_then(|nonce| HeaderValue::try_from(nonce).ok());
    match nonce {
        Some(nonce) => reply.header(DPOP_NONCE, nonce),
        None => reply,
    }
}

fn invalid(what: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, what)
}

impl<S: RecordService> AuthCall<'_, S> {
    fn form(&self) -> Result<&str, OAuthError> {
        let kind = self.parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(invalid("the body must be a form (application/x-www-form-urlencoded)"));
        }
        std::str::from_utf8(&self.body).map_err(|_| invalid("the form is not UTF-8"))
    }

    fn proof(&self) -> ClientProof<'_> {
        let header = |name: &HeaderName| {
            let mut values = self.parts.headers.get_all(name).iter();
            let value = values.next()?;
            // Two of them: neither is good, and no proof is what cannot be read.
            Some(value.to_str().ok().filter(|_| values.next().is_none()).unwrap_or("-"))
        };
        ClientProof {
            authorization: header(&AUTHORIZATION),
            dpop: header(&HeaderName::from_static("dpop")),
            certificate: self.peer.certificate(),
        }
    }

    /// The person as the authorization server knows them.
    fn person(&self) -> Option<tacet_smart::Person> {
        let (_, person) = self.session().ok()?;
        let reference = |kind: &str, id: &ResourceId| format!("{kind}/{}", id.as_str());
        let own = person.patients.first().filter(|_| person.role == Role::Patient);
        let fhir_user = match (&person.practitioner, own) {
            (Some(practitioner), _) => Some(reference("Practitioner", practitioner)),
            (None, Some(patient)) => Some(reference("Patient", patient)),
            (None, None) => None,
        };
        Some(tacet_smart::Person {
            account: person.account.as_str().to_owned(),
            session: Some(person.session.clone()),
            role: person.role,
            fhir_user,
            practitioner: person.practitioner.clone(),
            patients: person.patients.clone(),
            auth_time: person.began.max(person.passkey_at),
            acr: if person.elsewhere { ACR_ELSEWHERE } else { ACR }.to_owned(),
            strong: person.strong,
            supplier: person.supplier,
        })
    }

    pub(super) fn discovery(&self, document: &Value) -> Reply {
        super::json(StatusCode::OK, document)
    }

    /// A person comes with what an app asks for.
    pub(super) async fn authorize(&self) -> Result<Reply, ApiError> {
        let words = Words::of(&self.parts.headers);
        let text = match self.parts.method {
            Method::POST => self.form(),
            _ => Ok(self.parts.uri.query().unwrap_or_default()),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => return Ok(self.page_error(words, 400, error.description)),
        };
        if !scope_of(text).is_none_or(|scopes| enforceable(&scopes)) {
            return Ok(self.page_error(
                words,
                400,
                "The app asks for a scope with criteria that this server cannot hold to.",
            ));
        }
        // A request of another site's making must not use the session of a person: it goes by way of the login page, whose own
        // request does. A browser that sends no `Sec-Fetch-Site` holds the cookie back itself (`SameSite=Strict`).
        let person = self.person();
        let answer = self.people.smart.authorize(text, person.as_ref(), self.asked()).await?;
        Ok(match answer {
            Authorize::Login(ask) => {
                let prefix = &self.people.prefix;
                let next = format!("{prefix}/oauth/authorize?{text}");
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("next", &next);
                if ask.fresh {
                    query.append_pair("fresh", "1");
                }
                super::see_other(&format!("{prefix}/auth/login?{}", query.finish()))?
            }
            Authorize::Consent(consent) => {
                let who = self.session().map(|(_, person)| person.display.clone()).unwrap_or_default();
                pages::consent(words, &self.people.prefix, &consent, &who)
            }
            Authorize::Redirect(url) => super::see_other(&url)?,
            Authorize::Refuse(error) => self.page_error(words, error.status, error.what),
        })
    }

    fn page_error(&self, words: &Words, status: u16, what: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        pages::error(words, &self.people.prefix, status, what)
    }

    /// A record, as the person may see it. The record store writes down that it was asked.
    async fn shown(&self, who: &Who, kind: &str, id: &ResourceId) -> Result<Option<Value>, ApiError> {
        let caller = access::caller(who, self.peer, &self.parts.headers, self.operation)?;
        let kind = ResourceType::parse(kind).ok_or_else(ApiError::not_found)?;
        let found = self.app.service.read(&caller, kind, id).await;
        Ok(found.ok().and_then(|found| serde_json::from_slice(&found.body).ok()))
    }

    /// The person has decided. Staff choose among the patients whom they may see, and of these among their encounters: that is asked of the record store.
    pub(super) async fn consent(&self) -> Result<Reply, ApiError> {
        let words = Words::of(&self.parts.headers);
        let (who, _) = self.session()?;
        let form = match self.form() {
            Ok(form) => form,
            Err(error) => return Ok(self.page_error(words, 400, error.description)),
        };
        let form = Query::parse(Some(form))?;
        let person = self.person().ok_or_else(ApiError::forbidden)?;
        let ticket = form.get("ticket")?.unwrap_or_default();
        let decision = match form.get("decision")? {
            Some("allow") => {
                let scopes = form.search().into_iter();
                let scopes = scopes.filter(|(name, _)| name.starts_with("scope")).map(|(_, scope)| scope).collect();
                let ids = (record_id(&form, "patient")?, record_id(&form, "encounter")?);
                let (Ok(patient), Ok(encounter)) = ids else {
                    return Ok(self.page_error(words, 400, words.no_patient));
                };
                if let Some(patient) = &patient
                    && self.shown(who, "Patient", patient).await?.is_none()
                {
                    return Ok(self.page_error(words, 400, words.no_patient));
                }
                if let Some(encounter) = &encounter {
                    let found = self.shown(who, "Encounter", encounter).await?;
                    if !is_of(found.as_ref(), patient.as_ref(), &self.app.base_url) {
                        return Ok(self.page_error(words, 400, words.no_encounter));
                    }
                }
                Decision::Approve { scopes, patient, encounter }
            }
            _ => Decision::Deny,
        };
        Ok(match self.people.smart.decide(ticket, &person, &decision, self.asked()).await? {
            Authorize::Redirect(url) => pages::onward(words, &self.people.prefix, &url),
            Authorize::Refuse(error) => self.page_error(words, error.status, error.what),
            Authorize::Login(_) | Authorize::Consent(_) => return Err(ApiError::internal("a decision asked again")),
        })
    }

    /// Refuses clients from where too much failed.
    fn client_locked(&self) -> Option<Reply> {
        let source = Source::of(self.peer.address().ip());
        let left_s = self.app.lockout.locked_s(source, self.app.clock.now())?;
        self.app.metrics.locked_out(true);
        let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many failed attempts from there: wait");
        Some(super::json(StatusCode::TOO_MANY_REQUESTS, &error.body()).header(RETRY_AFTER, HeaderValue::from(left_s)))
    }

    /// What a client is told where it is refused. That it is not who it says counts against its address.
    async fn client_refused(&self, error: SmartError) -> Result<Reply, ApiError> {
        match error {
            SmartError::Refused(error) => {
                if error.code == ErrorCode::InvalidClient {
                    let failure = tried::failure_of(Some(self.people), &self.parts.headers);
                    tried::failed(self.app, self.peer, failure, self.operation, "a client did not prove itself").await;
                }
                Ok(oauth_error(&error))
            }
            other => Err(other.into()),
        }
    }

    pub(super) async fn token(&self) -> Result<Reply, ApiError> {
        if let Some(locked) = self.client_locked() {
            return Ok(locked);
        }
        let form = match self.form() {
            Ok(form) => form,
            Err(error) => return Ok(oauth_error(&error)),
        };
        if !scope_of(form).is_none_or(|scopes| enforceable(&scopes)) {
            let what = "a scope has criteria that this server cannot hold to";
            return Ok(oauth_error(&OAuthError::new(ErrorCode::InvalidScope, what)));
        }
        match self.people.smart.token(&TokenRequest { form, proof: self.proof() }, self.asked()).await {
            Ok(answer) => {
                Ok(super::json(StatusCode::OK, &answer.body()).header(PRAGMA, HeaderValue::from_static("no-cache")))
            }
            Err(error) => self.client_refused(error).await,
        }
    }

    pub(super) async fn introspect(&self) -> Result<Reply, ApiError> {
        if let Some(locked) = self.client_locked() {
            return Ok(locked);
        }
        let form = match self.form() {
            Ok(form) => form,
            Err(error) => return Ok(oauth_error(&error)),
        };
        match self.people.smart.introspect(form, &self.proof()).await {
            Ok(answer) => Ok(super::json(StatusCode::OK, &answer)),
            Err(error) => self.client_refused(error).await,
        }
    }

    pub(super) async fn revoke(&self) -> Result<Reply, ApiError> {
        if let Some(locked) = self.client_locked() {
            return Ok(locked);
        }
        let form = match self.form() {
            Ok(form) => form,
            Err(error) => return Ok(oauth_error(&error)),
        };
        match self.people.smart.revoke(form, &self.proof(), self.asked()).await {
            Ok(()) => Ok(super::json(StatusCode::OK, &json!({}))),
            Err(error) => self.client_refused(error).await,
        }
    }

    /// An app asks to be let in. Whoever is logged in, from a page of ours, is the one who asks.
    pub(super) async fn register(&self) -> Result<Reply, ApiError> {
        let here = access::is_from_here(self.people, self.parts);
        let by = self.who.filter(|_| here).and_then(|who| who.account.as_deref());
        let asked = serde_json::from_slice::<Value>(&self.body).ok();
        let scope = asked.as_ref().and_then(|asked| asked.get("scope")?.as_str());
        if !scope.is_none_or(enforceable) {
            let what = "a scope has criteria that this server cannot hold to";
            return Ok(oauth_error(&OAuthError::new(ErrorCode::InvalidClientMetadata, what)));
        }
        match self.people.smart.register(&self.body, by, self.asked()).await {
            Ok(client) => Ok(super::json(StatusCode::CREATED, &client.registered())),
            Err(error) => self.client_refused(error).await,
        }
    }

    /// Makes a launch. The record system alone may, with a token of its own; what the app then sees is the person's to see.
    pub(super) async fn launch(&self) -> Result<Reply, ApiError> {
        let who = self.who.ok_or_else(ApiError::unauthorized)?;
        if who.given().is_some() {
            return Err(ApiError::forbidden());
        }
        let ask: LaunchAsk = self.json()?;
        let id = |text: Option<String>| match text.as_deref().map(ResourceId::parse) {
            None => Ok(None),
            Some(Ok(id)) => Ok(Some(id)),
            Some(Err(_)) => Err(ApiError::invalid("`patient` and `encounter` are ids of records")),
        };
        let identity = &self.people.identity;
        let account: Option<Account> = match (&ask.account, &ask.login) {
            (Some(account), None) => AccountId::parse(account).map(|id| identity.account(&id)).transpose()?.flatten(),
            (None, Some(login)) => identity.account_by_login(login)?,
            _ => return Err(ApiError::invalid("a launch names who starts it: `login` or `account`")),
        };
        let account = account.filter(|account| account.usable(self.app.clock.now()));
        let account = account.ok_or_else(|| {
            let message = "there is no such account in use: name one by `login` or `account`";
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, IssueType::NotFound, message)
        })?;
        let launch = Launch {
            account: account.id.as_str().to_owned(),
            client: ask.client,
            context: LaunchContext {
                patient: id(ask.patient)?,
                encounter: id(ask.encounter)?,
                intent: ask.intent,
                need_patient_banner: ask.need_patient_banner,
                smart_style_url: ask.smart_style_url,
                fhir_context: ask.fhir_context,
            },
        };
        let made = self.people.smart.make_launch(&launch).await?;
        let body = json!({ "launch": made, "iss": self.app.base_url });
        Ok(super::json(StatusCode::CREATED, &body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_held_to_is_not_given() {
        assert!(enforceable("openid launch/patient patient/Observation.rs?category=laboratory user/*.cruds custom"));
        assert!(!enforceable("openid patient/Observation.rs?subject.name=x"));
        assert!(!enforceable("patient/Observation.rs?_has:Group:member:code=1"));
        assert_eq!(scope_of("a=b&scope=x%20y").as_deref(), Some("x y"));
    }

    #[test]
    fn an_encounter_is_its_patients() {
        let patient = ResourceId::parse("p1").unwrap();
        let of = |reference: &str| {
            is_of(Some(&json!({ "subject": { "reference": reference } })), Some(&patient), "https://h/fhir")
        };
        assert!(of("Patient/p1") && of("https://h/fhir/Patient/p1") && of("Patient/p1/_history/2"));
        for other in ["", "p1", "Patient/p2", "Patient/p11", "Group/p1", "https://elsewhere/Patient/p1", "Patient/p1/x"]
        {
            assert!(!of(other), "{other}");
        }
        assert!(!is_of(Some(&json!({})), Some(&patient), "https://h") && !is_of(None, Some(&patient), "https://h"));
        assert!(!is_of(Some(&json!({ "subject": { "reference": "Patient/p1" } })), None, "https://h"));
    }
}
