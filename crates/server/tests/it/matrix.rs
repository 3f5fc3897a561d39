//! The authorisation matrix: every route of the table, asked by nobody, with what is no good token, and in every role.

use crate::client::{Answer, Ask};
use crate::running::{Running, start};
use hyper::Method;
use tacet_server::{Access, Action, AdminAction, AuthAction, Capability, ROUTES};
use tacet_vault::Role;

/// The rights of a role, written down a second time on purpose: a new role does not compile before it has its line, nor does a new right.
fn has(role: Role, capability: Capability) -> bool {
    use Role::{
        Administrator, Auditor, Clinician, Integrator, Laboratory, Nurse, Operator, Patient, Pharmacist, Reception,
        SecurityOfficer,
    };
    let roles: &[Role] = match capability {
        Capability::RecordsRead => &[Clinician, Nurse, Pharmacist, Laboratory, Reception, Patient, Integrator],
        Capability::RecordsWrite => &[Clinician, Nurse, Pharmacist, Laboratory, Reception, Patient, Integrator],
        Capability::Metrics => &[Operator],
        Capability::Maintenance => &[Operator],
        Capability::Accounts => &[Administrator],
        Capability::Approve => &[Administrator, SecurityOfficer, Auditor],
        Capability::Ask => {
            &[Clinician, Nurse, Pharmacist, Laboratory, Reception, Administrator, SecurityOfficer, Operator]
        }
        Capability::Review => &[SecurityOfficer],
        Capability::BreakGlass => &[Clinician, Nurse, Pharmacist],
        Capability::OwnAccount => &[
            Clinician,
            Nurse,
            Pharmacist,
            Laboratory,
            Reception,
            Patient,
            Auditor,
            SecurityOfficer,
            Administrator,
            Operator,
        ],
        Capability::Scim => &[Administrator],
        Capability::Launch => &[Integrator],
        Capability::Feed => &[Role::Feed],
        Capability::Log => &[Auditor],
        Capability::Lockdown => &[Administrator, SecurityOfficer, Operator],
        Capability::Policy | Capability::Ledger => &[SecurityOfficer, Auditor],
        Capability::AccessReport => &[Patient, Auditor, SecurityOfficer],
        Capability::AuditRead => &[Clinician, Nurse, Pharmacist, Laboratory, Reception, Patient, Integrator, Auditor],
    };
    roles.contains(&role)
}

/// Who may use a route, by what it does, written down a second time on purpose: a new action does not compile before it has its line.
fn access(action: Action) -> Access {
    let read = Access::Bearer(Capability::RecordsRead);
    let write = Access::Bearer(Capability::RecordsWrite);
    match action {
        Action::Metadata | Action::Health | Action::WellKnown => Access::Public,
        Action::Metrics => Access::Bearer(Capability::Metrics),
        Action::FeedAdt => Access::Bearer(Capability::Feed),
        Action::LogFile => Access::Bearer(Capability::Log),
        Action::IndexStatus | Action::IndexRebuild => Access::Bearer(Capability::Maintenance),
        Action::Read | Action::Vread | Action::HistoryInstance | Action::HistoryType | Action::HistorySystem => read,
        Action::SearchType | Action::SearchSystem | Action::SearchCompartment => read,
        Action::Everything | Action::Summary => read,
        Action::Meta | Action::Match | Action::Terminology | Action::Validate => read,
        Action::SubscriptionStatus | Action::SubscriptionEvents => read,
        Action::ExportSystem | Action::ExportPatients | Action::ExportGroup => read,
        Action::CopyStatus | Action::CopyFile | Action::CopyEnd => read,
        Action::Create | Action::Update | Action::Delete | Action::Patch | Action::Bundle => write,
        Action::ConditionalUpdate | Action::ConditionalPatch | Action::ConditionalDelete => write,
        Action::MetaAdd | Action::MetaDelete => write,
        Action::Import | Action::ImportStatus | Action::ImportEnd => write,
        Action::AccessReport => Access::Bearer(Capability::AccessReport),
        Action::AuditRead | Action::AuditSearch => Access::Bearer(Capability::AuditRead),
        Action::Auth(action) => access_to_login(action),
        Action::Admin(action) => Access::Session(access_of_people(action)).or_token(action),
        // Refused by name, to whoever might use it if it were there.
        Action::Absent(what) => match what {
            "`$closure` (ask `CodeSystem/$subsumes`, or expand a ValueSet with an `is-a` filter)" => read,
            _ => write,
        },
    }
}

fn access_to_login(action: AuthAction) -> Access {
    match action {
        AuthAction::SmartConfiguration | AuthAction::OauthMetadata | AuthAction::OpenidConfiguration => Access::Public,
        AuthAction::Jwks | AuthAction::File => Access::Public,
        AuthAction::Token | AuthAction::Introspect | AuthAction::Revoke => Access::Client,
        AuthAction::Authorize | AuthAction::Register | AuthAction::LoginPage | AuthAction::EnrolPage => Access::Visitor,
        AuthAction::LoginStart | AuthAction::LoginFinish => Access::Visitor,
        AuthAction::EnrolStart | AuthAction::EnrolFinish => Access::Visitor,
        AuthAction::ForeignStart | AuthAction::ForeignCallback => Access::Visitor,
        AuthAction::Consent | AuthAction::Logout | AuthAction::Session => Access::Session(Capability::OwnAccount),
        AuthAction::StepUpStart | AuthAction::StepUpFinish => Access::Session(Capability::OwnAccount),
        AuthAction::Launch => Access::Bearer(Capability::Launch),
    }
}

fn access_of_people(action: AdminAction) -> Capability {
    match action {
        AdminAction::Accounts | AdminAction::AccountAsk | AdminAction::Account => Capability::Accounts,
        AdminAction::Invitation | AdminAction::Recovery => Capability::Accounts,
        // Who reviews may stop an account too.
        AdminAction::AccountChange | AdminAction::SessionsEnd => Capability::Approve,
        AdminAction::Approvals | AdminAction::Approval => Capability::OwnAccount,
        AdminAction::ApprovalAsk => Capability::Ask,
        AdminAction::Decision => Capability::Approve,
        AdminAction::Clients | AdminAction::Client => Capability::Accounts,
        AdminAction::ClientEnd | AdminAction::ClientApproval => Capability::Accounts,
        AdminAction::BreakGlassDeclare | AdminAction::BreakGlassEnd => Capability::BreakGlass,
        AdminAction::BreakGlassOpen | AdminAction::BreakGlassReview => Capability::Review,
        AdminAction::Notices | AdminAction::NoticeSeen => Capability::OwnAccount,
        AdminAction::PolicyAsk | AdminAction::PolicyApply => Capability::Ask,
        AdminAction::PolicyProposed => Capability::OwnAccount,
        AdminAction::LedgerEntries | AdminAction::LedgerExtent => Capability::Ledger,
        AdminAction::AccessReviews | AdminAction::AccessReviewPrepare => Capability::Ledger,
        AdminAction::AccessReview | AdminAction::AccessReviewJudge => Capability::Ledger,
        AdminAction::AccessReviewClose => Capability::Ledger,
        AdminAction::Policy | AdminAction::PolicyExplain => Capability::Policy,
        AdminAction::Lockdown | AdminAction::Lock | AdminAction::LockdownLift => Capability::Lockdown,
        AdminAction::Scim(_) => Capability::Scim,
    }
}

trait OrToken {
    fn or_token(self, action: AdminAction) -> Self;
}

impl OrToken for Access {
    /// The hospital's directory is a machine, and a machine may lock the store; everything else of administration takes a person with a session.
    fn or_token(self, action: AdminAction) -> Self {
        match (self, action) {
            (Self::Session(capability), AdminAction::Scim(_) | AdminAction::Lockdown | AdminAction::Lock) => {
                Self::Bearer(capability)
            }
            (access, _) => access,
        }
    }
}

/// What is no good token: nothing, another scheme, none after the scheme, one nobody gave out, one whose time is over.
const NOT_GOOD: [Option<&str>; 5] =
    [None, Some("Basic Y2xpbmljaWFu"), Some("Bearer"), Some("Bearer nobody-gave-this-out"), Some("Bearer expired")];

fn path_of(pattern: &str) -> String {
    pattern
        .replace("{type}", "Patient")
        .replace("{id}", "p1")
        .replace("{version}", "1")
        .replace("{operation}", "Observation")
        .replace("{copy}", "c1")
        .replace("{file}", "0")
        .replace("{import}", "i1")
        .replace("{review}", "r1")
        .replace("{item}", "0")
        .replace("{user}", "u1")
        .replace("{notice}", "n1")
        .replace("{emergency}", "b1")
        .replace("{client}", "k1")
        .replace("{approval}", "v1")
        .replace("{account}", "a1")
        .replace("{*document}", "smart-configuration")
}

fn ask(method: &Method, path: &str, authorization: Option<&str>) -> Ask {
    let ask = Ask::new(method.as_str(), path).json(r#"{"resourceType":"Patient"}"#);
    match authorization {
        Some(value) => ask.header("authorization", value),
        None => ask,
    }
}

async fn send(server: &Running, ask: Ask) -> Answer {
    // An hour between two requests, so that failures do not add up to a lock (which has its own tests).
    server.memory.0.clock.advance_ms(3_600_000);
    server.ask(ask).await
}

/// What a refused client sees, save the operation id and the hour.
fn face(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.header("x-request-id").unwrap().to_owned();
    let skipped = ["x-request-id", "date"];
    let headers = answer.headers.iter().filter(|(name, _)| !skipped.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status, headers, String::from_utf8(answer.body.to_vec()).unwrap().replace(&id, "-"))
}

#[tokio::test]
async fn every_route_asks_for_its_right() {
    let server = start().await;
    server.put_patient("p1").await;
    let mut granted = 0;
    for route in ROUTES {
        let path = path_of(route.pattern);
        assert_eq!(route.access, access(route.action), "{}", route.pattern);
        // Without accounts there is nothing there but the refusals.
        let of_people = matches!(route.action, Action::Auth(_) | Action::Admin(_));
        for method in route.methods {
            for authorization in NOT_GOOD {
                let answer = send(&server, ask(method, &path, authorization)).await;
                match route.access {
                    Access::Public | Access::Visitor | Access::Client => {
                        let refused = [403, 429].contains(&answer.status) || (answer.status == 401 && !of_people);
                        assert!(!refused, "{method} {path}: {}", answer.status);
                    }
                    Access::Bearer(_) | Access::Session(_) => {
                        assert_eq!(answer.status, 401, "{method} {path} {authorization:?}");
                        let schemes = answer.header("www-authenticate").unwrap();
                        assert!(schemes.starts_with("Bearer realm=\"tacet\""), "{schemes}");
                    }
                }
            }
            for role in Role::ALL {
                let name = role.as_str();
                let answer = send(&server, ask(method, &path, Some(&format!("Bearer {name}")))).await;
                let status = answer.status;
                match route.access {
                    // No token is a session.
                    Access::Session(_) => assert_eq!(status, 403, "{method} {path} as {name}"),
                    Access::Bearer(capability) if !has(role, capability) => {
                        assert_eq!(status, 403, "{method} {path} as {name}");
                    }
                    _ => {
                        granted += 1;
                        assert!(![403, 405, 429, 500].contains(&status), "{method} {path} as {name}: {status}");
                        assert!(status != 401 || of_people, "{method} {path} as {name}");
                    }
                }
            }
        }
    }
    assert!(granted > 2 * ROUTES.len(), "the matrix must not be one of refusals only: {granted}");
}

#[tokio::test]
async fn other_methods_are_refused_by_name() {
    let server = start().await;
    for pattern in ROUTES.iter().map(|route| route.pattern) {
        let lines: Vec<_> = ROUTES.iter().filter(|route| route.pattern == pattern).collect();
        let allowed: Vec<&Method> = lines.iter().flat_map(|route| route.methods).collect();
        let path = path_of(pattern);
        for name in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "ZELIE"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            if allowed.contains(&&method) {
                continue;
            }
            let is_public = lines.iter().all(|route| route.access.is_open());
            let nobody = send(&server, ask(&method, &path, None)).await;
            assert_eq!(nobody.status, if is_public { 405 } else { 401 }, "{method} {path}");
            for role in Role::ALL {
                let answer = send(&server, ask(&method, &path, Some(&format!("Bearer {role}")))).await;
                assert_eq!(answer.status, 405, "{method} {path} as {role}");
                let said: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
                assert_eq!(said, allowed.iter().map(|method| method.as_str()).collect::<Vec<_>>());
            }
        }
    }
}

#[tokio::test]
async fn unknown_paths_look_like_known_ones_from_outside() {
    let server = start().await;
    server.put_patient("p1").await;
    for authorization in NOT_GOOD {
        let known = face(&send(&server, ask(&Method::GET, "/Patient/p1", authorization)).await);
        for path in [
            "/Patient/nobody",
            "/Nonsense/1",
            "/Patient/",
            "//",
            "/a/b/c/d/e/f/g",
            "/$op",
            "/%00",
            "/Patient/%ff",
            "/metadata/more",
            "/admin",
            "/metrics",
            "/.well-known",
        ] {
            let other = face(&send(&server, ask(&Method::GET, path, authorization)).await);
            assert_eq!(other, known, "{path} {authorization:?}");
        }
    }
    for path in ["/Nonsense/1", "/Patient/", "//", "/a/b/c/d/e/f/g", "/%00", "/Patient/%ff", "/metadata/more", "/x"] {
        let answer = send(&server, ask(&Method::GET, path, Some("Bearer clinician"))).await;
        answer.is_refusal(404, "not-found");
    }
}

/// Shapes of request line that a client library would not send.
#[tokio::test]
async fn strange_request_lines_find_no_way_in() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = start().await;
    for (line, expected) in [
        ("OPTIONS * HTTP/1.1", "HTTP/1.1 401"),
        ("CONNECT example.org:443 HTTP/1.1", "HTTP/1.1 401"),
        ("GET http://other.example/Patient/p1 HTTP/1.1", "HTTP/1.1 401"),
        ("GET /metadata/../Patient/p1 HTTP/1.1", "HTTP/1.1 401"),
        ("GET /./metadata HTTP/1.1", "HTTP/1.1 401"),
        ("GET /METADATA HTTP/1.1", "HTTP/1.1 401"),
        ("GET /%6Detadata HTTP/1.1", "HTTP/1.1 401"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{line}\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{line}: {answer}");
    }
}
