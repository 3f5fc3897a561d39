//! Who asks: a token, a session or what an app was given; the purpose, and for whom. A request that does not get past here learns nothing, not even
//! whether the path that it named exists.

use crate::app::App;
use crate::auth::cookies;
use crate::connection::Peer;
use crate::error::ApiError;
use crate::lockout::Source;
use crate::people::{People, is_of_people};
use crate::routes::Capability;
use crate::service::RecordService;
use crate::subscriptions::standing::HangsOn;
use crate::tried;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, ORIGIN, SET_COOKIE, USER_AGENT};
use hyper::http::request::Parts;
use std::sync::Arc;
use tacet_identity::{AccountId, Actor, Connection, Person};
use tacet_ledger::{Channel, ON_BEHALF_OF_BYTES_MAX, Origin, PurposeOfUse};
use tacet_policy::Scopes;
use tacet_smart::{Scheme, Shown, SmartError};
use tacet_types::{OperationId, ResourceId};
use tacet_vault::{Caller, Role, Token};

/// Why records are used: a code of HL7 v3 `PurposeOfUse`.
const PURPOSE: HeaderName = HeaderName::from_static("x-purpose-of-use");

/// The person for whom a machine asks.
const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");

/// Longest token that is looked at. Tacet's own are far shorter.
const TOKEN_BYTES_MAX: usize = 512;

/// How tokens of apps begin.
const ACCESS_PREFIX: &str = "tacet_at_";

impl Capability {
    /// Whether a role has this right.
    pub fn is_of(self, role: Role) -> bool {
        match self {
            Self::RecordsRead => role.may_read_records(),
            Self::RecordsWrite => role.may_write_records(),
            Self::Metrics | Self::Maintenance => role.may_read_metrics(),
            Self::Accounts | Self::Scim => role.may_keep_accounts(),
            Self::Approve => role.may_keep_accounts() || role.may_review() || role.may_read_ledger(),
            Self::Ask => !matches!(role, Role::Patient | Role::Auditor) && !role.is_of_machines(),
            Self::Review => role.may_review(),
            Self::BreakGlass => matches!(role, Role::Clinician | Role::Nurse | Role::Pharmacist),
            Self::Log => role.may_read_ledger(),
            Self::OwnAccount => !role.is_of_machines(),
            Self::Launch => role == Role::Integrator,
            Self::Feed => role.may_feed(),
            Self::Lockdown => role.may_keep_accounts() || role.may_review() || role.may_read_metrics(),
            Self::Ledger | Self::Policy => role.may_review() || role.may_read_ledger(),
            Self::AccessReport => role == Role::Patient || role.may_read_ledger() || role.may_review(),
            Self::AuditRead => role.may_read_ledger() || role.may_read_records(),
        }
    }
}

/// How somebody showed who they are.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// A token made at the command line.
    Token,
    /// A session of a browser.
    Session(Box<Person>),
    /// A token that an app was given.
    App(Arc<Given>),
}

/// What an app was given.
#[derive(Debug)]
pub(crate) struct Given {
    /// The client's id.
    pub(crate) client: String,
    /// Its name, as it was approved.
    pub(crate) client_name: String,
    /// What it may do.
    pub(crate) scopes: Arc<Scopes>,
    /// The patient in context.
    pub(crate) patient: Option<ResourceId>,
    /// What it hangs on.
    pub(crate) hangs_on: HangsOn,
}

/// Who asks, however that was shown.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The account's login, or the owner of a token: what entries name.
    pub(crate) owner: String,
    /// The role.
    pub(crate) role: Role,
    /// The public id of what was shown.
    pub(crate) credential: String,
    /// The short id of the session, of the app that was let in in it too; none for a token.
    pub(crate) session: Option<String>,
    /// The account; none for a token.
    pub(crate) account: Option<String>,
    /// Who this is among the records.
    pub(crate) practitioner: Option<ResourceId>,
    /// Whose records are theirs.
    pub(crate) patients: Vec<ResourceId>,
    /// Whether the login was a strong one.
    pub(crate) strong: bool,
    /// Whether it is a supplier.
    pub(crate) supplier: bool,
    /// Whether it may copy out many records without an approval each time.
    pub(crate) may_export: bool,
    /// How it was shown.
    pub(crate) by: By,
}

impl Who {
    /// The person with the session; none where it was shown in another way.
    pub(crate) fn person(&self) -> Option<&Person> {
        match &self.by {
            By::Session(person) => Some(person),
            By::Token | By::App(_) => None,
        }
    }

    /// What the app was given, where an app asks.
    pub(crate) fn given(&self) -> Option<&Given> {
        match &self.by {
            By::App(given) => Some(given),
            By::Token | By::Session(_) => None,
        }
    }

    /// As one who does something to accounts: a person, or a machine with a token.
    pub(crate) fn actor(&self, people: &People, connection: &Connection, peer: &Peer) -> Actor {
        match self.person() {
            Some(person) => people.identity.actor(person, connection),
            None => {
                let credential = Some(self.credential.clone());
                Actor::machine(&self.owner, credential, origin(peer), connection.operation)
            }
        }
    }

    fn of_token(token: Token) -> Self {
        Self {
            owner: token.owner,
            role: token.role,
            credential: token.id,
            session: None,
            account: None,
            practitioner: token.practitioner,
            patients: token.patients,
            // A person's token is let in only where the operator's setting takes it for a login.
            strong: is_of_people(token.role),
            supplier: token.supplier,
            may_export: token.may_export,
            by: By::Token,
        }
    }

    pub(crate) fn of_person(person: Person) -> Self {
        Self {
            owner: person.login.clone(),
            role: person.role,
            credential: person.session.clone(),
            session: Some(person.session.clone()),
            account: Some(person.account.as_str().to_owned()),
            practitioner: person.practitioner.clone(),
            patients: person.patients.clone(),
            strong: person.strong,
            supplier: person.supplier,
            may_export: false,
            by: By::Session(Box::new(person)),
        }
    }
}

/// The credential that a request brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Credentials<'a> {
    None,
    Malformed,
    Bearer(&'a str),
    Dpop(&'a str),
    Cookie(&'a str),
}

/// A header decides before a cookie does: a browser sends the cookie by itself, the header is meant.
fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return cookies::session(headers).map_or(Credentials::None, Credentials::Cookie);
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.and_then(|text| text.split_once(' ')) {
        Some((_, token)) if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) => Credentials::Malformed,
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Credentials::Bearer(token),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("dpop") => Credentials::Dpop(token),
        _ => Credentials::Malformed,
    }
}

/// From where a request comes, for sessions.
pub(crate) fn connection(peer: &Peer, headers: &HeaderMap, operation: OperationId) -> Connection {
    let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes())).unwrap_or_default();
    Connection::new(Some(peer.address().ip().to_canonical()), cookies::device(headers), &agent, operation)
}

/// Whether a request of a browser comes from a page of this server. What changes something must say so; what reads must not
/// say otherwise. The cookie's `SameSite=Strict` says the same to browsers that hold to it.
pub(crate) fn is_from_here(people: &People, parts: &Parts) -> bool {
    let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return false;
    }
    let mut origins = parts.headers.get_all(ORIGIN).iter();
    let origin = origins.next().and_then(|origin| origin.to_str().ok());
    let ours = origin.is_some_and(|origin| people.origins.iter().any(|own| own == origin)) && origins.next().is_none();
    ours || (matches!(parts.method, Method::GET | Method::HEAD) && !parts.headers.contains_key(ORIGIN))
}

/// Finds out who asks, or refuses it. A refusal is the same whatever was wrong.
pub(crate) async fn authenticate<S: RecordService>(
    app: &App<S>,
    peer: &Peer,
    parts: &Parts,
    operation: OperationId,
) -> Result<Who, ApiError> {
    let headers = &parts.headers;
    let found = match (credentials(headers), &app.people) {
        (Credentials::None, _) | (Credentials::Cookie(_), None) => return Err(ApiError::unauthorized()),
        (Credentials::Malformed, _) | (Credentials::Dpop(_), None) => None,
        (Credentials::Cookie(secret), Some(people)) => {
            if !is_from_here(people, parts) {
                return Err(ApiError::other_site());
            }
            let connection = connection(peer, headers, operation);
            people.identity.authenticate(secret, &connection).await?.map(Who::of_person)
        }
        (Credentials::Dpop(token), Some(people)) => by_app(app, people, peer, parts, token, Scheme::Dpop)?,
        (Credentials::Bearer(token), Some(people)) if token.starts_with(ACCESS_PREFIX) => {
            by_app(app, people, peer, parts, token, Scheme::Bearer)?
        }
        (Credentials::Bearer(secret), people) => {
            let may = |token: &Token| {
                people.as_ref().is_none_or(|people| people.tokens_for_people || !is_of_people(token.role))
            };
            app.service.authenticate(secret)?.filter(may).map(Who::of_token)
        }
    };
    let source = Source::of(peer.address().ip());
    let now = app.clock.now();
    if let Some(who) = found.as_ref().filter(|who| peer.has_worked(&who.credential)) {
        return Ok(who.clone());
    }
    if let Some(left_s) = app.lockout.locked_s(source, now) {
        let neighbour = found.filter(|who| app.lockout.is_known(source, &who.credential));
        app.metrics.locked_out(neighbour.is_none());
        return neighbour.ok_or_else(|| ApiError::locked(left_s));
    }
    match found {
        Some(who) => {
            app.lockout.worked(source, &who.credential);
            peer.worked(&who.credential);
            Ok(who)
        }
        None => {
            tried::failed(
                app,
                peer,
                tried::failure_of(app.people.as_deref(), headers),
                operation,
                "a token or a session did not hold",
            )
            .await;
            Err(refusal(headers))
        }
    }
}

/// The refusal, which takes a session that is over off the browser, so that it does not go on failing with it.
fn refusal(headers: &HeaderMap) -> ApiError {
    let refused = ApiError::unauthorized();
    match (credentials(headers), cookies::clear_session()) {
        (Credentials::Cookie(_), Some(cleared)) => refused.header(SET_COOKIE, cleared),
        _ => refused,
    }
}

/// Whoever has a session where none is needed. A session that does not hold is none; nothing is said or counted.
pub(crate) async fn visitor<S: RecordService>(
    app: &App<S>,
    peer: &Peer,
    parts: &Parts,
    operation: OperationId,
) -> Result<Option<Who>, ApiError> {
    let (Some(people), Some(secret)) = (&app.people, cookies::session(&parts.headers)) else { return Ok(None) };
    if !is_from_here(people, parts) {
        return Ok(None);
    }
    let connection = connection(peer, &parts.headers, operation);
    Ok(people.identity.authenticate(secret, &connection).await?.map(Who::of_person))
}

/// Who stands behind a token that an app was given: nobody, where the account is not what it was.
fn by_app<S>(
    app: &App<S>,
    people: &People,
    peer: &Peer,
    parts: &Parts,
    token: &str,
    scheme: Scheme,
) -> Result<Option<Who>, ApiError> {
    let mut proofs = parts.headers.get_all("dpop").iter();
    let dpop = proofs.next().and_then(|proof| proof.to_str().ok());
    if proofs.next().is_some() {
        return Ok(None);
    }
    let url = format!("{}{}", app.base_url, parts.uri.path());
    let shown =
        Shown { token, scheme, dpop, method: parts.method.as_str(), url: &url, certificate: peer.certificate() };
    let grant = match people.smart.access(&shown) {
        Ok(grant) => grant,
        Err(SmartError::Refused(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let Ok(scopes) = Scopes::parse(&known_words(&grant.scopes)) else { return Ok(None) };
    let hangs_on = HangsOn::of_app(&grant);
    let by = By::App(Arc::new(Given {
        client: grant.client,
        client_name: grant.client_name,
        scopes: Arc::new(scopes),
        patient: grant.patient,
        hangs_on,
    }));
    let Some(person) = grant.person else {
        return Ok(Some(Who {
            owner: grant.account.clone(),
            role: Role::Integrator,
            credential: grant.token_id,
            session: None,
            account: Some(grant.account),
            practitioner: None,
            patients: Vec::new(),
            strong: true,
            supplier: false,
            may_export: false,
            by,
        }));
    };
    // What the account is now decides, not what it was when this was given.
    let account = AccountId::parse(&grant.account).map(|id| people.identity.account(&id)).transpose()?.flatten();
    let Some(account) = account.filter(|account| account.usable(app.clock.now()) && account.role == person.role) else {
        return Ok(None);
    };
    // What an app was given for the time of a session ends with it, however it ended.
    if !grant.offline
        && let Some(session) = &person.session
        && !people.identity.session_stands(&account.id, session, grant.granted)?
    {
        return Ok(None);
    }
    Ok(Some(Who {
        owner: account.login.clone(),
        role: account.role,
        credential: grant.token_id,
        session: person.session,
        account: Some(grant.account),
        practitioner: account.practitioner_id(),
        patients: account.patient_ids(),
        strong: person.strong,
        supplier: account.supplier,
        may_export: false,
        by,
    }))
}

/// The scopes about records: those of the session and of the launch say nothing here.
fn known_words(scopes: &str) -> String {
    let words: Vec<&str> =
        scopes.split(' ').filter(|word| word.contains('/') && !word.starts_with("launch/")).collect();
    words.join(" ")
}

pub(crate) fn origin(peer: &Peer) -> Origin {
    Origin { address: Some(peer.address().ip().to_canonical()), channel: Channel::Http }
}

/// The caller of a request whose token is good.
pub(crate) fn caller(who: &Who, peer: &Peer, headers: &HeaderMap, operation: OperationId) -> Result<Caller, ApiError> {
    let purpose = match headers.get(PURPOSE) {
        None => usual_purpose(who.role),
        Some(code) => code.to_str().ok().and_then(PurposeOfUse::parse).ok_or_else(|| {
            ApiError::invalid("`X-Purpose-Of-Use` must be a code of HL7 v3 PurposeOfUse such as `TREAT`")
        })?,
    };
    let on_behalf_of = match headers.get(ON_BEHALF_OF).map(|name| std::str::from_utf8(name.as_bytes())) {
        None => None,
        Some(Ok(name)) if !name.is_empty() && name.len() <= ON_BEHALF_OF_BYTES_MAX => Some(name.to_owned()),
        Some(_) => {
            let message = format!("`X-On-Behalf-Of` must be 1 to {ON_BEHALF_OF_BYTES_MAX} bytes of UTF-8");
            return Err(ApiError::invalid(message));
        }
    };
    // An app is named where a machine would name the person for whom it asks; nobody else stands behind a person.
    let on_behalf_of = match &who.by {
        By::App(given) => Some(app_name(given)),
        By::Session(_) => None,
        By::Token => on_behalf_of,
    };
    Ok(Caller {
        hangs_on: HangsOn::of(&who.by).map(|hangs_on| hangs_on.text()),
        token: Some(who.credential.clone()),
        on_behalf_of,
        practitioner: who.practitioner.clone(),
        patients: who.patients.clone(),
        strong: who.strong,
        supplier: who.supplier,
        may_export: who.may_export,
        account: who.account.clone(),
        session: who.session.clone(),
        device: device(who, headers, operation),
        scopes: who.given().map(|given| Arc::clone(&given.scopes)),
        launch_patient: who.given().and_then(|given| given.patient.clone()),
        ..Caller::new(who.owner.clone(), who.role, purpose, origin(peer), operation)
    })
}

/// The device of a session, which was held against it when the session was. What else brings such a cookie proves nothing by it.
fn device(who: &Who, headers: &HeaderMap, operation: OperationId) -> Option<String> {
    who.person()?;
    Connection::new(None, cookies::device(headers), "", operation).device_id().map(str::to_owned)
}

fn app_name(given: &Given) -> String {
    let mut name = format!("app {} ({})", given.client_name, given.client);
    let mut end = name.len().min(ON_BEHALF_OF_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// What a role uses records for where nothing is said.
fn usual_purpose(role: Role) -> PurposeOfUse {
    match role {
        Role::Clinician | Role::Nurse | Role::Pharmacist | Role::Laboratory => PurposeOfUse::Treatment,
        Role::Patient => PurposeOfUse::PatientRequest,
        _ => PurposeOfUse::Operations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_a_bearer_token_is_one() {
        let read = |texts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(AUTHORIZATION, HeaderValue::from_static(text));
            }
            match credentials(&headers) {
                Credentials::Bearer(token) => token.to_owned(),
                other => format!("{other:?}").to_lowercase(),
            }
        };
        assert_eq!(read(&[]), "none");
        assert_eq!(read(&["Bearer abc"]), "abc");
        assert_eq!(read(&["bearer abc"]), "abc");
        assert_eq!(read(&["DPoP abc"]), "dpop(\"abc\")");
        for text in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(read(&[text]), "malformed", "{text:?}");
        }
        assert_eq!(read(&["Bearer abc", "Bearer def"]), "malformed");
    }
}
