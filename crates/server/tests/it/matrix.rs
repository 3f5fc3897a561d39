//! The authorisation matrix: every route of the table, asked by nobody, with what is no good token, and in every role.

use crate::client::{Answer, Ask};
use crate::running::{Running, start};
use hyper::Method;
use tacet_server::{Access, Capability, ROUTES};
use tacet_vault::Role;

/// Who comes near records, as far as a role decides.
const RECORDS: &[Capability] = &[Capability::RecordsRead, Capability::RecordsWrite];

/// Who runs the machine.
const MACHINE: &[Capability] = &[Capability::Metrics, Capability::Maintenance];

/// The rights of a role, written down a second time on purpose: a new role does not compile before it has its line.
fn rights(role: Role) -> &'static [Capability] {
    match role {
        Role::Clinician => RECORDS,
        Role::Nurse => RECORDS,
        Role::Pharmacist => RECORDS,
        Role::Laboratory => RECORDS,
        Role::Reception => RECORDS,
        Role::Patient => RECORDS,
        Role::Integrator => RECORDS,
        Role::Auditor => &[],
        Role::SecurityOfficer => &[],
        Role::Administrator => &[],
        Role::Operator => MACHINE,
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
        for method in route.methods {
            for authorization in NOT_GOOD {
                let answer = send(&server, ask(method, &path, authorization)).await;
                match route.access {
                    Access::Public => assert!(![401, 403, 429].contains(&answer.status), "{method} {path}"),
                    Access::Bearer(_) => {
                        assert_eq!(answer.status, 401, "{method} {path} {authorization:?}");
                        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"tacet\""));
                    }
                }
            }
            for role in Role::ALL {
                let name = role.as_str();
                let answer = send(&server, ask(method, &path, Some(&format!("Bearer {name}")))).await;
                let status = answer.status;
                match route.access {
                    Access::Bearer(capability) if !rights(role).contains(&capability) => {
                        assert_eq!(status, 403, "{method} {path} as {name}");
                    }
                    _ => {
                        granted += 1;
                        assert!(![401, 403, 405, 429, 500].contains(&status), "{method} {path} as {name}: {status}");
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
            let is_public = lines.iter().all(|route| route.access == Access::Public);
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
