//! Tokens that are bound to a key (RFC 9449) or to a certificate (RFC 8705): of no use to who has the token alone.

use super::apps::{CALLBACK, VERIFIER, agree, app, browser_of, param, request};
use super::key::{Key, sha256_url};
use super::post_form;
use crate::admin::{ORIGIN, Office, clinician, ward};
use crate::client::{Answer, Ask};
use crate::running::config;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertifiedKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::sync::Arc;
use tacet_ledger::{Channel, Origin};
use tacet_server::{PeopleSettings, ServerConfig, TlsConfig};
use tacet_smart::{Approval, Asked};
use tacet_types::OperationId;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const SCOPES: [&str; 2] = ["online_access", "user/Patient.rs"];

fn dpop(ask: Ask, token: &str, proof: &str) -> Ask {
    ask.header("authorization", &format!("DPoP {token}")).header("dpop", proof)
}

#[tokio::test]
async fn an_apps_token_goes_with_its_key_and_nowhere_else() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let metadata = json!({
        "client_name": "Bound", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "scope": SCOPES.join(" "),
        "dpop_bound_access_tokens": true,
    });
    let client = app(&office, metadata).await;
    // What proofs say of time before the server started is not believed.
    office.clock.advance_ms(120_000);
    let (key, thief) = (Key::new(), Key::new());
    let mut browser = browser_of(&doctor);
    let code = async |browser: &mut super::Browser| {
        let page = browser.ask(&office, Ask::new("GET", &request(&client, &SCOPES.join(" ")))).await;
        let back = agree(&office, browser, &page, &SCOPES, "").await;
        param(&back, "code")
    };
    let exchange = |code: &str| {
        post_form(
            "/oauth/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
                ("client_id", &client),
                ("code_verifier", VERIFIER),
            ],
        )
    };
    let at_token = |key: &Key, id: &str| key.proof(&office, "POST", "/oauth/token", id, None);
    let given = code(&mut browser).await;
    let bare = exchange(&given).send(office.address).await;
    assert_eq!((bare.status, &bare.value()["error"]), (400, &json!("invalid_dpop_proof")));
    let elsewhere = key.proof(&office, "POST", "/oauth/introspect", "t0", None);
    assert_eq!(exchange(&given).header("dpop", &elsewhere).send(office.address).await.status, 400);
    let tokens = exchange(&given).header("dpop", &at_token(&key, "t1")).send(office.address).await;
    assert_eq!((tokens.status, &tokens.value()["token_type"]), (200, &json!("DPoP")), "{:?}", tokens.body);
    let tokens = tokens.value();
    let (token, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());

    let path = "/Patient/mine";
    let get = || Ask::new("GET", path);
    let proof =
        |key: &Key, method: &str, path: &str, id: &str, of: &str| key.proof(&office, method, path, id, Some(of));
    let good = proof(&key, "GET", path, "p1", token);
    let read = dpop(get(), token, &good).send(office.address).await;
    assert_eq!((read.status, &read.value()["id"]), (200, &json!("mine")));
    // The query is no part of what a proof is for.
    let search = dpop(Ask::new("GET", "/Patient?_id=mine"), token, &proof(&key, "GET", "/Patient", "p2", token));
    assert_eq!(search.send(office.address).await.status, 200);
    let old = proof(&key, "GET", path, "p3", token);
    let refused = [
        ("as a bearer's", get().bearer(token)),
        ("without a proof", get().header("authorization", &format!("DPoP {token}"))),
        ("the proof once more", dpop(get(), token, &good)),
        ("by another key", dpop(get(), token, &proof(&thief, "GET", path, "p4", token))),
        ("for another method", dpop(get(), token, &proof(&key, "PUT", path, "p5", token))),
        ("for another place", dpop(get(), token, &proof(&key, "GET", "/Patient/other", "p6", token))),
        ("for another token", dpop(get(), token, &proof(&key, "GET", path, "p7", "tacet_at_other"))),
        ("without the token's hash", dpop(get(), token, &key.proof(&office, "GET", path, "p8", None))),
        ("no proof at all", dpop(get(), token, "x.y.z")),
    ];
    for (what, ask) in refused {
        let answer = ask.send(office.address).await;
        assert_eq!((answer.status, answer.value()["resourceType"].clone()), (401, json!("OperationOutcome")), "{what}");
    }
    // Each counted as a failed attempt; and the first token ends.
    office.clock.advance_ms(11 * 60_000);
    let tokens = async |key: &Key, id: &str, refresh: &str| -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", client.as_str())];
        post_form("/oauth/token", &fields).header("dpop", &at_token(key, id)).send(office.address).await
    };
    assert_eq!(tokens(&thief, "t2", refresh).await.value()["error"], "invalid_grant");
    // A proof that is minutes old is none.
    let next = tokens(&key, "t3", refresh).await;
    assert_eq!(next.status, 200, "{:?}", next.body);
    let token = next.value()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(dpop(get(), &token, &old).send(office.address).await.status, 401);
    let fresh = proof(&key, "GET", path, "p9", &token);
    assert_eq!(dpop(get(), &token, &fresh).send(office.address).await.status, 200);
    // Two proofs are none.
    let (one, two) = (proof(&key, "GET", path, "p10", &token), proof(&key, "GET", path, "p11", &token));
    let both = dpop(get(), &token, &one).and_header("dpop", &two);
    assert_eq!(both.send(office.address).await.status, 401);
    // A token that is bound to no key is not made one by a proof.
    let plain = super::apps::web_app(&office, &SCOPES.join(" ")).await;
    let page = browser.ask(&office, Ask::new("GET", &request(&plain, &SCOPES.join(" ")))).await;
    let back = agree(&office, &mut browser, &page, &SCOPES, "").await;
    let bearer = super::apps::exchange(&office, &plain, &param(&back, "code")).await.value();
    let bearer = bearer["access_token"].as_str().unwrap();
    let dressed = dpop(get(), bearer, &proof(&key, "GET", path, "p12", bearer));
    assert_eq!(dressed.send(office.address).await.status, 401);
    assert_eq!(get().bearer(bearer).send(office.address).await.status, 200);
}

/// What a client shows: its certificate and its key.
struct Shown {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn certificate(name: &str) -> Shown {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    Shown { certificate: cert.der().clone(), key }
}

/// Sends over TLS, with this certificate or none.
async fn over_tls(office: &Office, root: &CertificateDer<'static>, shown: Option<&Shown>, ask: Ask) -> Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => builder.with_client_auth_cert(vec![shown.certificate.clone()], shown.key.clone_key()).unwrap(),
    };
    let stream = TcpStream::connect(office.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    ask.send_over(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()).await
}

#[tokio::test]
async fn a_machines_token_goes_with_its_certificate_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let root = made.cert.der().clone();
    let tls = TlsConfig {
        certificate: folder.path().join("certificate.pem"),
        key: folder.path().join("key.pem"),
        client_certificates: true,
    };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    let people = PeopleSettings { client_certificates: true, ..PeopleSettings::default() };
    let office = Office::open_with(&people, ServerConfig { tls: Some(tls), ..config() }).await;
    ward(&office).await;
    let (own, other) = (certificate("registry"), certificate("registry"));
    let mut jwk = Key::new().jwk();
    (jwk["kid"], jwk["x5c"]) = (json!("c1"), json!([STANDARD.encode(&own.certificate)]));
    let metadata = json!({
        "client_name": "Registry", "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "grant_types": ["client_credentials"], "scope": "system/Patient.rs", "jwks": { "keys": [jwk] },
        "tls_client_certificate_bound_access_tokens": true,
    });
    let asked = Asked { origin: Origin { address: None, channel: Channel::Http }, operation: OperationId([3; 16]) };
    let client = office.people.smart().register(metadata.to_string().as_bytes(), None, asked).await.unwrap().id;
    let approval = Approval { scope: None, preapproved: false, may_introspect: false };
    office.people.smart().approve_client(&client, "somebody", &approval, asked).await.unwrap();

    let document = Ask::new("GET", "/.well-known/smart-configuration");
    let document = over_tls(&office, &root, None, document).await.value();
    let methods = document["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("self_signed_tls_client_auth")), "{methods:?}");

    let fields = [("grant_type", "client_credentials"), ("scope", "system/Patient.rs"), ("client_id", client.as_str())];
    let token = || post_form("/oauth/token", &fields);
    for shown in [None, Some(&other)] {
        let refused = over_tls(&office, &root, shown, token()).await;
        assert_eq!((refused.status, &refused.value()["error"]), (401, &json!("invalid_client")));
    }
    let given = over_tls(&office, &root, Some(&own), token()).await;
    assert_eq!(given.status, 200, "{:?}", given.body);
    let given = given.value()["access_token"].as_str().unwrap().to_owned();
    let read = || Ask::new("GET", "/Patient/other").bearer(&given);
    assert_eq!(over_tls(&office, &root, Some(&own), read()).await.status, 200);
    for shown in [None, Some(&other)] {
        over_tls(&office, &root, shown, read()).await.is_refusal(401, "login");
    }
    // Saying whose one is does not make one so.
    let said = read().header("x-client-certificate", &STANDARD.encode(&own.certificate));
    assert_eq!(over_tls(&office, &root, None, said).await.status, 401);
    assert_eq!(over_tls(&office, &root, Some(&own), read()).await.status, 200);
    assert_ne!(sha256_url(&own.certificate), sha256_url(&other.certificate));
}

#[tokio::test]
async fn certificates_are_not_promised_where_none_are_asked_for() {
    let office = Office::open().await;
    for path in ["/.well-known/smart-configuration", "/.well-known/openid-configuration"] {
        let document: Value = Ask::new("GET", path).send(office.address).await.value();
        assert!(!document.to_string().contains("self_signed_tls_client_auth"), "{path}");
        assert_ne!(document["tls_client_certificate_bound_access_tokens"], json!(true), "{path}");
        assert_eq!(document["issuer"].as_str().unwrap_or(ORIGIN), ORIGIN);
    }
}
