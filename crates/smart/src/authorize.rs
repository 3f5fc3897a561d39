//! The authorization endpoint: a person arrives with what an app asks for.
//!
//! Until client and redirect address are known to belong together, an error is a page and never a redirect (RFC 9700, section 4.11.2).

use crate::client::Client;
use crate::error::{ErrorCode, OAuthError, SmartError};
use crate::grant::{ContextRow, LaunchContext};
use crate::launch::launch_name;
use crate::params::Params;
use crate::person::{Asked, Person};
use crate::redirect;
use crate::rows;
use crate::scopes::{Level, Scope, ScopeSet};
use crate::secret;
use crate::server::AuthorizationServer;
use crate::settings::FRESH_LOGIN_MS;
use serde::{Deserialize, Serialize};
use std::fmt;
use tacet_ledger::noted::{Expect, Table};
use tacet_types::{ResourceId, Role, Timestamp};

/// Longest `state` and `nonce`, in bytes.
const STATE_BYTES_MAX: usize = 2048;

/// What becomes of a request for authorization.
#[derive(Debug)]
pub enum Authorize {
    /// The person must log in first; then the same request is made again.
    Login(LoginAsk),
    /// The person is asked.
    Consent(Box<Consent>),
    /// Back to the app: with a code, or with an error.
    Redirect(String),
    /// A page that says what is wrong. There is nowhere to redirect to.
    Refuse(PageError),
}

/// How the person must log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoginAsk {
    /// Whether a login from before does not do (`prompt=login`, `max_age`).
    pub fresh: bool,
    /// Which kinds of login the app would like, best first (`acr_values`).
    pub acr_values: Vec<String>,
}

/// A page that says no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageError {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong. Holds nothing that the caller sent.
    pub what: &'static str,
}

/// What the consent page shows.
#[derive(Clone, PartialEq)]
pub struct Consent {
    /// What [`AuthorizationServer::decide`] is given. In a form, not in an address.
    pub ticket: String,
    /// The client's id.
    pub client: String,
    /// Its name, as it was approved.
    pub client_name: String,
    /// Where people read about it.
    pub client_uri: Option<String>,
    /// The host that the person is sent back to.
    pub redirect_host: String,
    /// What it would be given, one scope each. The person may take away any.
    pub scopes: Vec<String>,
    /// Whether a patient must be chosen.
    pub patient: PatientNeed,
    /// Whether an encounter of the patient may be chosen (`launch/encounter`, where the record system says nothing of one).
    pub encounter: bool,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consent(client {}, {} scopes)", self.client, self.scopes.len())
    }
}

/// Whether a patient must be chosen on the consent page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatientNeed {
    /// No.
    None,
    /// It is this one already.
    Known(ResourceId),
    /// One of these: the person's own record or those they act for.
    OneOf(Vec<ResourceId>),
    /// Any that the person may see: the caller shows a search and checks the choice.
    Any,
}

/// A consent page under way (table `Codes`, `ticket:` and its hash).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TicketRow {
    pub(crate) client: String,
    pub(crate) account: String,
    pub(crate) session: Option<String>,
    pub(crate) redirect_uri: String,
    pub(crate) state: String,
    pub(crate) challenge: String,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    pub(crate) dpop_jkt: Option<String>,
    /// The launch that is used up with it: the row's name and revision.
    pub(crate) launch: Option<(Vec<u8>, u64)>,
    pub(crate) context: ContextRow,
    pub(crate) needs_patient: bool,
    pub(crate) expires_ms: i64,
}

/// Either an error that goes to the app, or what was asked.
type ToApp<T> = Result<T, OAuthError>;

fn deny<T>(code: ErrorCode, what: &'static str) -> ToApp<T> {
    Err(OAuthError::new(code, what))
}

/// Whether what is given is about one patient. An encounter is chosen among those of a patient.
pub(crate) fn needs_patient(scopes: &ScopeSet) -> bool {
    scopes.has_level(Level::Patient) || scopes.has(&Scope::LaunchPatient) || scopes.has(&Scope::LaunchEncounter)
}

fn refuse(what: &'static str) -> Authorize {
    Authorize::Refuse(PageError { status: 400, what })
}

/// What was asked, checked as far as it can be without a person.
struct Request<'a> {
    client: &'a Client,
    redirect_uri: &'a str,
    state: &'a str,
    challenge: &'a str,
    scopes: ScopeSet,
    params: &'a Params,
}

impl AuthorizationServer {
    /// Takes a request for authorization: the query of a GET or the form of a POST. `who`: the person whose session it came with.
    ///
    /// # Errors
    /// The rows'. What is wrong with the request is in the answer.
    pub async fn authorize(&self, query: &str, who: Option<&Person>, asked: Asked) -> Result<Authorize, SmartError> {
        let params = match Params::parse(query) {
            Ok(params) => params,
            Err(error) => return Ok(refuse(error.description)),
        };
        let client = match self.active(params.get("client_id")) {
            Ok(client) => client,
            Err(SmartError::Refused(error)) => return Ok(refuse(error.description)),
            Err(error) => return Err(error),
        };
        let uri = params.get("redirect_uri").unwrap_or_default();
        if !client.metadata.redirect_uris.iter().any(|registered| redirect::matches(registered, uri)) {
            return Ok(refuse("the app's return address is not one that was registered for it"));
        }
        // From here on errors go to the app. Its state goes with them, where it can be had.
        let state = params.get("state").filter(|state| state.len() <= STATE_BYTES_MAX);
        let request = match self.request(&client, uri, &params) {
            Ok(request) => request,
            Err(error) => return Ok(Authorize::Redirect(self.error_redirect(uri, state, &error))),
        };
        self.with_person(&request, who, asked).await
    }

    /// Checks what can be checked without a person.
    fn request<'a>(&self, client: &'a Client, redirect_uri: &'a str, params: &'a Params) -> ToApp<Request<'a>> {
        if params.get("request").is_some() {
            return deny(ErrorCode::RequestNotSupported, "requests as tokens are not taken");
        }
        if params.get("request_uri").is_some() {
            return deny(ErrorCode::RequestUriNotSupported, "requests by address are not taken");
        }
        if params.need("response_type", "`response_type` is missing")? != "code" {
            return deny(ErrorCode::UnsupportedResponseType, "the only response type is `code`");
        }
        if params.get("response_mode").is_some_and(|mode| mode != "query") {
            return deny(ErrorCode::InvalidRequest, "the only response mode is `query`");
        }
        if !client.may("authorization_code") {
            return deny(ErrorCode::UnauthorizedClient, "this client may not ask people");
        }
        let state = params.need("state", "`state` is missing")?;
        if state.len() > STATE_BYTES_MAX || params.get("nonce").is_some_and(|nonce| nonce.len() > STATE_BYTES_MAX) {
            return deny(ErrorCode::InvalidRequest, "`state` or `nonce` is too long");
        }
        let audience = params.need("aud", "`aud` is missing: name the FHIR base address")?;
        if !self.settings.is_audience(audience)
            || params.get("resource").is_some_and(|resource| !self.settings.is_audience(resource))
        {
            return deny(ErrorCode::InvalidTarget, "`aud` is not a FHIR base address of this server");
        }
        let challenge = params.need("code_challenge", "`code_challenge` is missing")?;
        // Without a method RFC 7636 would mean `plain`: refused as well.
        if params.get("code_challenge_method") != Some("S256") || !secret::is_sha256_url(challenge) {
            return deny(ErrorCode::InvalidRequest, "the code challenge must be S256");
        }
        if params.get("dpop_jkt").is_some_and(|jkt| !secret::is_sha256_url(jkt)) {
            return deny(ErrorCode::InvalidRequest, "`dpop_jkt` is not a thumbprint");
        }
        let Ok(wanted) = ScopeSet::parse(params.get("scope").unwrap_or_default()) else {
            return deny(ErrorCode::InvalidScope, "a scope is not well-formed");
        };
        // `system/` is for machines alone: no person can give it.
        let mut scopes = wanted.meet(&client.scopes()).without_level(Level::System);
        if !client.may("refresh_token") {
            scopes = scopes.without(&Scope::OfflineAccess).without(&Scope::OnlineAccess);
        }
        if scopes.is_empty() {
            return deny(ErrorCode::InvalidScope, "none of these scopes may be given to this client");
        }
        if scopes.has(&Scope::Launch) != params.get("launch").is_some() {
            return deny(ErrorCode::InvalidRequest, "the scope `launch` and the parameter `launch` go together");
        }
        Ok(Request { client, redirect_uri, state, challenge, scopes, params })
    }

    async fn with_person(
        &self,
        request: &Request<'_>,
        who: Option<&Person>,
        asked: Asked,
    ) -> Result<Authorize, SmartError> {
        let to_app = |error: OAuthError| {
            Ok(Authorize::Redirect(self.error_redirect(request.redirect_uri, Some(request.state), &error)))
        };
        let prompt: Vec<&str> = request.params.get("prompt").unwrap_or_default().split(' ').collect();
        let silent = prompt.contains(&"none");
        let fresh = match self.needs_fresh(request, who, prompt.contains(&"login")) {
            Ok(fresh) => fresh,
            Err(error) => return to_app(error),
        };
        let Some(person) = who.filter(|_| !fresh) else {
            if silent {
                return to_app(OAuthError::new(ErrorCode::LoginRequired, "nobody is logged in"));
            }
            let acr = request.params.get("acr_values").unwrap_or_default();
            let acr_values = acr.split(' ').filter(|acr| !acr.is_empty()).take(10).map(str::to_owned).collect();
            return Ok(Authorize::Login(LoginAsk { fresh: fresh && who.is_some(), acr_values }));
        };
        if !person.role.may_read_records() {
            return to_app(OAuthError::new(ErrorCode::AccessDenied, "this account may not give access to records"));
        }
        let (ticket, need) = match self.ticket(request, person)? {
            Ok(ticket) => ticket,
            Err(error) => return to_app(error),
        };
        let decided = !matches!(need, PatientNeed::OneOf(_) | PatientNeed::Any);
        // At a loopback address anything on the machine may listen: nobody but the person can tell that it is the app (RFC 8252, section 8.6).
        let own_address = request.redirect_uri.starts_with("https://");
        if request.client.preapproved && own_address && decided && !prompt.contains(&"consent") {
            let scopes = request.scopes.clone();
            return Ok(match self.give_code(&ticket, None, person, &scopes, asked).await? {
                Some(url) => Authorize::Redirect(url),
                None => refuse("the launch was used before: start the app again"),
            });
        }
        if silent {
            return to_app(OAuthError::new(ErrorCode::InteractionRequired, "the person must be asked"));
        }
        let id = secret::make(self.rng.as_ref(), secret::TICKET);
        let launched = ticket.launch.is_some();
        let write = rows::put(Table::Codes, rows::by_secret("ticket", &id), &ticket, Expect::Absent)?;
        self.rows.commit(vec![write], Vec::new()).await?;
        let client = request.client;
        let host = url::Url::parse(request.redirect_uri).ok().and_then(|url| url.host_str().map(str::to_owned));
        Ok(Authorize::Consent(Box::new(Consent {
            ticket: id,
            client: client.id.clone(),
            client_name: client.name().to_owned(),
            client_uri: client.metadata.client_uri.clone(),
            redirect_host: host.unwrap_or_default(),
            scopes: request.scopes.words(),
            patient: need,
            encounter: request.scopes.has(&Scope::LaunchEncounter) && !launched,
        })))
    }

    /// Whether a login from before does not do.
    fn needs_fresh(&self, request: &Request<'_>, who: Option<&Person>, login: bool) -> ToApp<bool> {
        let Some(person) = who else { return Ok(true) };
        let age_ms = self.now().as_ms().saturating_sub(person.auth_time.as_ms());
        let max_age_ms = match request.params.get("max_age").map(str::parse::<u32>) {
            Some(Ok(max_age_s)) => Some(i64::from(max_age_s) * 1000),
            Some(Err(_)) => return deny(ErrorCode::InvalidRequest, "`max_age` is not a number of seconds"),
            None => None,
        };
        // A login that was just made for this request must count, or the person would log in for ever.
        let just_now = age_ms <= FRESH_LOGIN_MS;
        let too_old = |max_age_ms: i64| if max_age_ms == 0 { !just_now } else { age_ms > max_age_ms };
        Ok((login && !just_now) || max_age_ms.is_some_and(too_old))
    }

    fn ticket(&self, request: &Request<'_>, person: &Person) -> Result<ToApp<(TicketRow, PatientNeed)>, SmartError> {
        let mut context = LaunchContext::default();
        let mut launch = None;
        if let Some(id) = request.params.get("launch") {
            let Some((row, revision)) = self.launch(id, &person.account, &request.client.id)? else {
                let what = "the launch is not this person's, or has ended: start the app again";
                return Ok(deny(ErrorCode::InvalidRequest, what));
            };
            context = row.context.context()?;
            launch = Some((launch_name(id), revision));
        }
        let needs = needs_patient(&request.scopes);
        let need = match (&context.patient, person.role) {
            (Some(known), Role::Patient) if !person.patients.contains(known) => {
                return Ok(deny(ErrorCode::AccessDenied, "this is not a record of this person"));
            }
            (Some(known), _) => PatientNeed::Known(known.clone()),
            (None, _) if !needs => PatientNeed::None,
            (None, Role::Patient) => match person.patients.as_slice() {
                [] => return Ok(deny(ErrorCode::AccessDenied, "this account has no record of its own")),
                [only] => PatientNeed::Known(only.clone()),
                many => PatientNeed::OneOf(many.to_vec()),
            },
            (None, _) => PatientNeed::Any,
        };
        if let PatientNeed::Known(known) = &need {
            context.patient = Some(known.clone());
        }
        let ticket = TicketRow {
            client: request.client.id.clone(),
            account: person.account.clone(),
            session: person.session.clone(),
            redirect_uri: request.redirect_uri.to_owned(),
            state: request.state.to_owned(),
            challenge: request.challenge.to_owned(),
            scope: request.scopes.to_string(),
            nonce: request.params.get("nonce").map(str::to_owned),
            dpop_jkt: request.params.get("dpop_jkt").map(str::to_owned),
            launch,
            context: (&context).into(),
            needs_patient: needs && context.patient.is_none(),
            expires_ms: self.after(self.settings.lifetimes.ticket_ms).as_ms(),
        };
        Ok(Ok((ticket, need)))
    }

    pub(crate) fn after(&self, ms: i64) -> Timestamp {
        self.now().plus_ms(ms)
    }

    /// The way back to the app with an error. The issuer stands in every answer (RFC 9207).
    pub(crate) fn error_redirect(&self, uri: &str, state: Option<&str>, error: &OAuthError) -> String {
        let mut params = vec![("error", error.code.as_str()), ("error_description", error.description)];
        params.extend(state.map(|state| ("state", state)));
        params.push(("iss", &self.settings.issuer));
        redirect::with(uri, &params)
    }
}
