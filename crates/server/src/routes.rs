//! The table of routes: every request that the server answers has its line here, with who may make it.
//!
//! The router, the CapabilityStatement and the authorisation test are all made from this table and from nothing else, so a
//! route without a line cannot exist. What is not there yet has a line too, where FHIR gives it a place: it is refused
//! by name instead of being ignored.

use crate::admin::{AdminAction, ScimAction};
use crate::auth::AuthAction;
use hyper::Method;
use tacet_types::ResourceType;

/// Who may use a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Anybody; where a session comes along it is looked at.
    Visitor,
    /// A client of the authorization server, which proves itself in the request.
    Client,
    /// Whoever brings a credential (token, access token, session) whose role has this right.
    Bearer(Capability),
    /// A person with a session, whose role has this right. No token does, of whatever role.
    Session(Capability),
}

impl Access {
    /// Whether it is answered without any credential.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Public | Self::Visitor | Self::Client)
    }
}

/// A right that a role has or has not. No role has both a right to records and the right to metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Reading records.
    RecordsRead,
    /// Writing records.
    RecordsWrite,
    /// Reading the files of the published ledger, where not everybody may.
    Log,
    /// Reading the metrics.
    Metrics,
    /// Keeping what is derived from records in order, without seeing any.
    Maintenance,
    /// Keeping accounts of people.
    Accounts,
    /// Deciding on what another person asked for.
    Approve,
    /// Asking for what needs a second person.
    Ask,
    /// Reviewing what was done without a relation to the patient.
    Review,
    /// Declaring an emergency to see a record.
    BreakGlass,
    /// One's own account and session.
    OwnAccount,
    /// Provisioning of accounts by the hospital's directory.
    Scim,
    /// Starting apps from the record system.
    Launch,
    /// Sending messages of admissions.
    Feed,
    /// Asking the ledger.
    Ledger,
    /// Reading the rules, and asking why somebody may see something.
    Policy,
    /// Locking the store, and lifting that with another.
    Lockdown,
    /// Asking who reached a patient's record: the patient, and who hands it to them.
    AccessReport,
    /// Reading AuditEvents: those of the ledger, or those that are stored, by the role.
    AuditRead,
}

/// What a route does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The CapabilityStatement.
    Metadata,
    /// Whether the server is ready.
    Health,
    /// Well-known documents: none yet.
    WellKnown,
    /// A file of the published ledger.
    LogFile,
    /// Figures in the Prometheus text format.
    Metrics,
    /// Whether searches are answered, and figures of the search index.
    IndexStatus,
    /// Makes the search index anew, while it goes on answering.
    IndexRebuild,
    /// The current version of a record.
    Read,
    /// One version of a record.
    Vread,
    /// Stores a version of a record.
    Update,
    /// Stores a new record.
    Create,
    /// Deletes a record.
    Delete,
    /// Versions of a record.
    HistoryInstance,
    /// Versions of the records of a type.
    HistoryType,
    /// Versions of all records.
    HistorySystem,
    /// A batch or a transaction.
    Bundle,
    /// A patient, or a stay, with the compartment.
    Everything,
    /// A patient's record as an International Patient Summary.
    Summary,
    /// A search among the records of a type.
    SearchType,
    /// A search among all records.
    SearchSystem,
    /// A search within a compartment.
    SearchCompartment,
    /// Stores a version of the one record that a search finds, or the first one.
    ConditionalUpdate,
    /// Changes the one record that a search finds.
    ConditionalPatch,
    /// Deletes what a search finds.
    ConditionalDelete,
    /// Changes a part of a record.
    Patch,
    /// The labels of a record, of a version, or those in use.
    Meta,
    /// Adds labels to a record.
    MetaAdd,
    /// Takes labels from a record.
    MetaDelete,
    /// How subscriptions stand.
    SubscriptionStatus,
    /// Events of a subscription, once more.
    SubscriptionEvents,
    /// Finds a patient by the rules for identities.
    Match,
    /// An operation on code systems, value sets or concept maps.
    Terminology,
    /// Says what is wrong with a resource.
    Validate,
    /// Begins a copy of everything.
    ExportSystem,
    /// Begins a copy of all patients' compartments.
    ExportPatients,
    /// Begins a copy of the compartments of a group's patients.
    ExportGroup,
    /// How far a copy is, and what it holds.
    CopyStatus,
    /// A file of a copy.
    CopyFile,
    /// Ends a copy.
    CopyEnd,
    /// An AuditEvent: an entry of the ledger, or one that is stored.
    AuditRead,
    /// A search among AuditEvents: in the ledger, or among those that are stored.
    AuditSearch,
    /// Who reached a patient's record, for the patient.
    AccessReport,
    /// Stores the lines of a body.
    Import,
    /// How far an import is, and what became of it.
    ImportStatus,
    /// Gives an import up.
    ImportEnd,
    /// Takes messages of admissions.
    FeedAdt,
    /// Login, sessions, and the authorization server.
    Auth(AuthAction),
    /// Accounts, approvals, reviews, rules.
    Admin(AdminAction),
    /// Not there yet; the text names it.
    Absent(&'static str),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The methods that it answers.
    pub methods: &'static [Method],
    /// The path, with `{name}` for a segment and `{*name}` for the rest.
    pub pattern: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does.
    pub action: Action,
}

const READING: &[Method] = &[Method::GET, Method::HEAD];
/// Where a cookie is set, or something is begun, HEAD is not answered.
const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const PUT: &[Method] = &[Method::PUT];
const PATCH: &[Method] = &[Method::PATCH];
const DELETE: &[Method] = &[Method::DELETE];
const GET_POST: &[Method] = &[Method::GET, Method::HEAD, Method::POST];
/// Where a GET begins something, HEAD, which is asked to look, is not answered.
const GET_AND_POST: &[Method] = &[Method::GET, Method::POST];

const READ: Access = Access::Bearer(Capability::RecordsRead);
const WRITE: Access = Access::Bearer(Capability::RecordsWrite);
const OWN: Access = Access::Session(Capability::OwnAccount);
const ACCOUNTS: Access = Access::Session(Capability::Accounts);
const APPROVE: Access = Access::Session(Capability::Approve);
const REVIEW: Access = Access::Session(Capability::Review);
const EMERGENCY: Access = Access::Session(Capability::BreakGlass);
const POLICY: Access = Access::Session(Capability::Policy);
const AUDIT: Access = Access::Bearer(Capability::AuditRead);
const LEDGER: Access = Access::Session(Capability::Ledger);
const LOCKDOWN: Access = Access::Bearer(Capability::Lockdown);
/// Only machines: the handler takes no session.
const SCIM: Access = Access::Bearer(Capability::Scim);

const fn scim(action: ScimAction) -> Action {
    Action::Admin(AdminAction::Scim(action))
}

const OPERATION: Action = Action::Absent("this operation");

/// R4 allows that a version's labels are changed afterwards. Here a version stays as it was written.
const VERSION_LABELS: Action =
    Action::Absent("changing the labels of a version that was written (change those of the record)");

/// It has the server keep a table for each client, which grows with every call and is the client's alone to judge: `$subsumes` and
/// `ValueSet/$expand` with an `is-a` filter tell the same without.
const CLOSURE: Action =
    Action::Absent("`$closure` (ask `CodeSystem/$subsumes`, or expand a ValueSet with an `is-a` filter)");

const fn route(methods: &'static [Method], pattern: &'static str, access: Access, action: Action) -> Route {
    Route { methods, pattern, access, action }
}

/// Every route. FHIR R4, <https://hl7.org/fhir/R4/http.html>.
pub const ROUTES: &[Route] = &[
    // --- of the server
    route(READING, "/metadata", Access::Public, Action::Metadata),
    route(READING, "/health", Access::Public, Action::Health),
    route(READING, "/.well-known/{*document}", Access::Public, Action::WellKnown),
    // --- auth: login, sessions, the authorization server
    route(READING, "/.well-known/smart-configuration", Access::Public, Action::Auth(AuthAction::SmartConfiguration)),
    route(READING, "/.well-known/oauth-authorization-server", Access::Public, Action::Auth(AuthAction::OauthMetadata)),
    route(READING, "/.well-known/openid-configuration", Access::Public, Action::Auth(AuthAction::OpenidConfiguration)),
    route(READING, "/oauth/jwks", Access::Public, Action::Auth(AuthAction::Jwks)),
    route(GET_AND_POST, "/oauth/authorize", Access::Visitor, Action::Auth(AuthAction::Authorize)),
    route(POST, "/oauth/consent", OWN, Action::Auth(AuthAction::Consent)),
    route(POST, "/oauth/token", Access::Client, Action::Auth(AuthAction::Token)),
    route(POST, "/oauth/introspect", Access::Client, Action::Auth(AuthAction::Introspect)),
    route(POST, "/oauth/revoke", Access::Client, Action::Auth(AuthAction::Revoke)),
    route(POST, "/oauth/register", Access::Visitor, Action::Auth(AuthAction::Register)),
    route(GET, "/auth/login", Access::Visitor, Action::Auth(AuthAction::LoginPage)),
    route(GET, "/auth/enrol", Access::Visitor, Action::Auth(AuthAction::EnrolPage)),
    route(READING, "/auth/files/{file}", Access::Public, Action::Auth(AuthAction::File)),
    route(POST, "/auth/login/start", Access::Visitor, Action::Auth(AuthAction::LoginStart)),
    route(POST, "/auth/login/finish", Access::Visitor, Action::Auth(AuthAction::LoginFinish)),
    route(POST, "/auth/enrol/start", Access::Visitor, Action::Auth(AuthAction::EnrolStart)),
    route(POST, "/auth/enrol/finish", Access::Visitor, Action::Auth(AuthAction::EnrolFinish)),
    route(POST, "/auth/step-up/start", OWN, Action::Auth(AuthAction::StepUpStart)),
    route(POST, "/auth/step-up/finish", OWN, Action::Auth(AuthAction::StepUpFinish)),
    route(POST, "/auth/logout", OWN, Action::Auth(AuthAction::Logout)),
    route(GET, "/auth/session", OWN, Action::Auth(AuthAction::Session)),
    route(POST, "/auth/foreign/start", Access::Visitor, Action::Auth(AuthAction::ForeignStart)),
    route(GET, "/auth/foreign/callback", Access::Visitor, Action::Auth(AuthAction::ForeignCallback)),
    route(POST, "/_launches", Access::Bearer(Capability::Launch), Action::Auth(AuthAction::Launch)),
    // --- admin: accounts, approvals, clients, break-glass, notices, rules
    route(READING, "/_accounts", ACCOUNTS, Action::Admin(AdminAction::Accounts)),
    route(POST, "/_accounts", ACCOUNTS, Action::Admin(AdminAction::AccountAsk)),
    route(READING, "/_accounts/{account}", ACCOUNTS, Action::Admin(AdminAction::Account)),
    // A security officer may suspend and end sessions: the account's own rules say what else is whose.
    route(PATCH, "/_accounts/{account}", APPROVE, Action::Admin(AdminAction::AccountChange)),
    route(POST, "/_accounts/{account}/invitation", ACCOUNTS, Action::Admin(AdminAction::Invitation)),
    route(DELETE, "/_accounts/{account}/sessions", APPROVE, Action::Admin(AdminAction::SessionsEnd)),
    route(POST, "/_accounts/{account}/recovery", ACCOUNTS, Action::Admin(AdminAction::Recovery)),
    route(READING, "/_approvals", OWN, Action::Admin(AdminAction::Approvals)),
    route(POST, "/_approvals", Access::Session(Capability::Ask), Action::Admin(AdminAction::ApprovalAsk)),
    route(READING, "/_approvals/{approval}", OWN, Action::Admin(AdminAction::Approval)),
    route(POST, "/_approvals/{approval}/decision", APPROVE, Action::Admin(AdminAction::Decision)),
    route(READING, "/_clients", ACCOUNTS, Action::Admin(AdminAction::Clients)),
    route(READING, "/_clients/{client}", ACCOUNTS, Action::Admin(AdminAction::Client)),
    route(DELETE, "/_clients/{client}", ACCOUNTS, Action::Admin(AdminAction::ClientEnd)),
    route(POST, "/_clients/{client}/approval", ACCOUNTS, Action::Admin(AdminAction::ClientApproval)),
    route(READING, "/_break-glass", REVIEW, Action::Admin(AdminAction::BreakGlassOpen)),
    route(POST, "/_break-glass", EMERGENCY, Action::Admin(AdminAction::BreakGlassDeclare)),
    route(DELETE, "/_break-glass/{emergency}", EMERGENCY, Action::Admin(AdminAction::BreakGlassEnd)),
    route(POST, "/_break-glass/{emergency}/review", REVIEW, Action::Admin(AdminAction::BreakGlassReview)),
    route(READING, "/_notices", OWN, Action::Admin(AdminAction::Notices)),
    route(POST, "/_notices/{notice}", OWN, Action::Admin(AdminAction::NoticeSeen)),
    route(READING, "/_policy", POLICY, Action::Admin(AdminAction::Policy)),
    route(POST, "/_policy", Access::Session(Capability::Ask), Action::Admin(AdminAction::PolicyAsk)),
    route(READING, "/_policy/changes/{approval}", OWN, Action::Admin(AdminAction::PolicyProposed)),
    route(
        POST,
        "/_policy/changes/{approval}",
        Access::Session(Capability::Ask),
        Action::Admin(AdminAction::PolicyApply),
    ),
    route(POST, "/_policy/explain", POLICY, Action::Admin(AdminAction::PolicyExplain)),
    route(READING, "/_reviews/access", LEDGER, Action::Admin(AdminAction::AccessReviews)),
    route(POST, "/_reviews/access", LEDGER, Action::Admin(AdminAction::AccessReviewPrepare)),
    route(GET, "/_reviews/access/{review}", LEDGER, Action::Admin(AdminAction::AccessReview)),
    route(POST, "/_reviews/access/{review}/items/{item}", LEDGER, Action::Admin(AdminAction::AccessReviewJudge)),
    route(POST, "/_reviews/access/{review}/close", LEDGER, Action::Admin(AdminAction::AccessReviewClose)),
    route(GET, "/_ledger/entries", LEDGER, Action::Admin(AdminAction::LedgerEntries)),
    route(GET, "/_ledger/sessions/{session}/extent", LEDGER, Action::Admin(AdminAction::LedgerExtent)),
    // A token does too: what watches the hospital's network may lock by itself.
    route(READING, "/_lockdown", LOCKDOWN, Action::Admin(AdminAction::Lockdown)),
    route(POST, "/_lockdown", LOCKDOWN, Action::Admin(AdminAction::Lock)),
    route(POST, "/_lockdown/lift", Access::Session(Capability::Lockdown), Action::Admin(AdminAction::LockdownLift)),
    route(READING, "/scim/v2/ServiceProviderConfig", SCIM, scim(ScimAction::Configuration)),
    route(READING, "/scim/v2/ResourceTypes", SCIM, scim(ScimAction::ResourceTypes)),
    route(READING, "/scim/v2/Schemas", SCIM, scim(ScimAction::Schemas)),
    route(READING, "/scim/v2/Users", SCIM, scim(ScimAction::List)),
    route(POST, "/scim/v2/Users", SCIM, scim(ScimAction::Create)),
    route(READING, "/scim/v2/Users/{user}", SCIM, scim(ScimAction::Read)),
    route(PUT, "/scim/v2/Users/{user}", SCIM, scim(ScimAction::Replace)),
    route(PATCH, "/scim/v2/Users/{user}", SCIM, scim(ScimAction::Patch)),
    route(DELETE, "/scim/v2/Users/{user}", SCIM, scim(ScimAction::Delete)),
    // --- end of admin
    route(POST, "/_feeds/adt", Access::Bearer(Capability::Feed), Action::FeedAdt),
    route(READING, "/metrics", Access::Bearer(Capability::Metrics), Action::Metrics),
    route(READING, "/_index", Access::Bearer(Capability::Maintenance), Action::IndexStatus),
    route(POST, "/_index/$rebuild", Access::Bearer(Capability::Maintenance), Action::IndexRebuild),
    // --- the published ledger; where the operator opens it, without a credential
    route(READING, "/_ledger/log/{*file}", Access::Bearer(Capability::Log), Action::LogFile),
    // --- the whole system
    route(POST, "/", WRITE, Action::Bundle),
    route(READING, "/", READ, Action::SearchSystem),
    route(GET_POST, "/_search", READ, Action::SearchSystem),
    route(READING, "/_history", READ, Action::HistorySystem),
    route(GET_POST, "/$meta", READ, Action::Meta),
    route(POST, "/$closure", READ, CLOSURE),
    route(GET_AND_POST, "/$export", READ, Action::ExportSystem),
    route(READING, "/_copies/{copy}", READ, Action::CopyStatus),
    route(DELETE, "/_copies/{copy}", READ, Action::CopyEnd),
    route(READING, "/_copies/{copy}/{file}", READ, Action::CopyFile),
    route(POST, "/$import", WRITE, Action::Import),
    route(READING, "/_imports/{import}", WRITE, Action::ImportStatus),
    route(DELETE, "/_imports/{import}", WRITE, Action::ImportEnd),
    // --- a type
    route(POST, "/{type}", WRITE, Action::Create),
    route(READING, "/{type}", READ, Action::SearchType),
    route(PUT, "/{type}", WRITE, Action::ConditionalUpdate),
    route(PATCH, "/{type}", WRITE, Action::ConditionalPatch),
    route(DELETE, "/{type}", WRITE, Action::ConditionalDelete),
    route(GET_POST, "/{type}/_search", READ, Action::SearchType),
    route(READING, "/{type}/_history", READ, Action::HistoryType),
    route(GET_POST, "/{type}/$meta", READ, Action::Meta),
    route(POST, "/{type}/$validate", READ, Action::Validate),
    route(GET_POST, "/CodeSystem/$lookup", READ, Action::Terminology),
    route(GET_POST, "/CodeSystem/$validate-code", READ, Action::Terminology),
    route(GET_POST, "/CodeSystem/$subsumes", READ, Action::Terminology),
    route(GET_POST, "/ValueSet/$expand", READ, Action::Terminology),
    route(GET_POST, "/ValueSet/$validate-code", READ, Action::Terminology),
    route(GET_POST, "/ConceptMap/$translate", READ, Action::Terminology),
    route(GET_POST, "/Subscription/$status", READ, Action::SubscriptionStatus),
    route(POST, "/Patient/$match", READ, Action::Match),
    route(GET_POST, "/Patient/$summary", READ, Action::Summary),
    route(GET_AND_POST, "/Patient/$export", READ, Action::ExportPatients),
    route(GET_AND_POST, "/Group/{id}/$export", READ, Action::ExportGroup),
    // --- the ledger, as AuditEvents. All that a type and a record of it have stands here again: a path that begins with a name leads nowhere else.
    route(READING, "/AuditEvent", AUDIT, Action::AuditSearch),
    route(POST, "/AuditEvent", WRITE, Action::Create),
    route(PUT, "/AuditEvent", WRITE, Action::ConditionalUpdate),
    route(PATCH, "/AuditEvent", WRITE, Action::ConditionalPatch),
    route(DELETE, "/AuditEvent", WRITE, Action::ConditionalDelete),
    route(GET_POST, "/AuditEvent/_search", AUDIT, Action::AuditSearch),
    route(READING, "/AuditEvent/_history", READ, Action::HistoryType),
    route(GET_POST, "/AuditEvent/$meta", READ, Action::Meta),
    route(POST, "/AuditEvent/$validate", READ, Action::Validate),
    route(READING, "/AuditEvent/{id}", AUDIT, Action::AuditRead),
    route(PUT, "/AuditEvent/{id}", WRITE, Action::Update),
    route(DELETE, "/AuditEvent/{id}", WRITE, Action::Delete),
    route(PATCH, "/AuditEvent/{id}", WRITE, Action::Patch),
    route(POST, "/AuditEvent/{id}", WRITE, OPERATION),
    // --- a record
    route(READING, "/{type}/{id}", READ, Action::Read),
    route(PUT, "/{type}/{id}", WRITE, Action::Update),
    route(DELETE, "/{type}/{id}", WRITE, Action::Delete),
    route(PATCH, "/{type}/{id}", WRITE, Action::Patch),
    route(POST, "/{type}/{id}", WRITE, OPERATION), // POST [type]/$name
    route(READING, "/{type}/{id}/_history", READ, Action::HistoryInstance),
    route(READING, "/{type}/{id}/_history/{version}", READ, Action::Vread),
    route(GET_POST, "/{type}/{id}/_history/{version}/$meta", READ, Action::Meta),
    route(POST, "/{type}/{id}/_history/{version}/$meta-add", WRITE, VERSION_LABELS),
    route(POST, "/{type}/{id}/_history/{version}/$meta-delete", WRITE, VERSION_LABELS),
    route(GET_POST, "/{type}/{id}/$meta", READ, Action::Meta),
    route(POST, "/{type}/{id}/$meta-add", WRITE, Action::MetaAdd),
    route(POST, "/{type}/{id}/$meta-delete", WRITE, Action::MetaDelete),
    route(GET_POST, "/{type}/{id}/$validate", READ, Action::Validate),
    route(GET_POST, "/CodeSystem/{id}/$validate-code", READ, Action::Terminology),
    route(GET_POST, "/CodeSystem/{id}/$subsumes", READ, Action::Terminology),
    route(GET_POST, "/ValueSet/{id}/$expand", READ, Action::Terminology),
    route(GET_POST, "/ValueSet/{id}/$validate-code", READ, Action::Terminology),
    route(GET_POST, "/ConceptMap/{id}/$translate", READ, Action::Terminology),
    route(GET_POST, "/Patient/{id}/$everything", READ, Action::Everything),
    route(GET_POST, "/Patient/{id}/$summary", READ, Action::Summary),
    route(GET, "/Patient/{id}/$access-report", Access::Bearer(Capability::AccessReport), Action::AccessReport),
    route(GET_POST, "/Encounter/{id}/$everything", READ, Action::Everything),
    route(GET_POST, "/Subscription/{id}/$status", READ, Action::SubscriptionStatus),
    route(GET_POST, "/Subscription/{id}/$events", READ, Action::SubscriptionEvents),
    route(GET_POST, "/{type}/{id}/{operation}", READ, Action::SearchCompartment), // a type, `*`, or $name
    route(GET_POST, "/{type}/{id}/{operation}/_search", READ, Action::SearchCompartment),
];

/// The lines of the table that share a path.
pub(crate) fn lines_of(pattern: &'static str) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.pattern == pattern)
}

/// Each path of the table once, in its order.
pub(crate) fn patterns() -> Vec<&'static str> {
    let mut patterns: Vec<&'static str> = Vec::new();
    for route in ROUTES {
        if !patterns.contains(&route.pattern) {
            patterns.push(route.pattern);
        }
    }
    patterns
}

/// Whether records of this type are kept. R4 gives `Parameters` no place of its own: it only carries what operations
/// exchange.
pub(crate) fn is_kept(resource_type: ResourceType) -> bool {
    resource_type.as_str() != "Parameters"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_method_of_a_path_has_two_lines() {
        for pattern in patterns() {
            let mut seen = Vec::new();
            for method in lines_of(pattern).flat_map(|route| route.methods) {
                assert!(!seen.contains(&method), "{method} {pattern} stands twice");
                seen.push(method);
            }
        }
    }

    #[test]
    fn only_what_shows_no_record_is_public() {
        for route in ROUTES.iter().filter(|route| route.access.is_open()) {
            let open = matches!(route.action, Action::Metadata | Action::Health | Action::WellKnown | Action::Auth(_));
            assert!(open, "{}", route.pattern);
        }
    }
}
