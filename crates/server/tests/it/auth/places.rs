//! Where a token may stand: in the header `Authorization`, and nowhere else (RFC 9700, section 4.3.2; RFC 6750, section 2).

use super::apps::{agree, browser_of, exchange, get, param, request, web_app};
use super::post_form;
use crate::admin::{Office, clinician, ward};
use crate::client::Ask;

const SCOPES: [&str; 2] = ["online_access", "user/Patient.rs"];

#[tokio::test]
async fn a_token_in_an_address_or_a_form_opens_nothing() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    let client = web_app(&office, &SCOPES.join(" ")).await;
    let mut browser = browser_of(&doctor);
    let page = browser.ask(&office, Ask::new("GET", &request(&client, &SCOPES.join(" ")))).await;
    let back = agree(&office, &mut browser, &page, &SCOPES, "").await;
    let tokens = exchange(&office, &client, &param(&back, "code")).await.value();
    let token = tokens["access_token"].as_str().unwrap();
    let machine = office.token(tacet_vault::Role::Integrator, false).await;
    assert_eq!(get(&office, token, "/Patient/mine").await.status, 200, "it is a good one");
    assert_eq!(get(&office, &machine, "/Patient/mine").await.status, 200, "and so is the machine's");

    for token in [token, &machine] {
        // Alone: as if there were none.
        for path in ["/Patient/mine", "/Patient", "/Patient?_id=mine", "/_history", "/_notices"] {
            let sign = if path.contains('?') { '&' } else { '?' };
            let answer = Ask::new("GET", &format!("{path}{sign}access_token={token}")).send(office.address).await;
            assert_eq!(answer.status, 401, "{path}: {:?}", answer.body);
        }
        let form = post_form("/Patient/_search", &[("_id", "mine"), ("access_token", token)]);
        assert_eq!(form.clone().send(office.address).await.status, 401);
        // Beside a good one in its place it is refused too, and not passed over, whatever the client says of parameters that are not known.
        for path in ["/Patient/mine", "/Patient?_id=mine", "/Patient/mine/_history"] {
            for handling in ["handling=strict", "handling=lenient"] {
                let sign = if path.contains('?') { '&' } else { '?' };
                let ask = Ask::new("GET", &format!("{path}{sign}access_token={token}")).bearer(token);
                ask.header("prefer", handling).send(office.address).await.is_refusal(400, "invalid");
            }
        }
        form.bearer(token).header("prefer", "handling=lenient").send(office.address).await.is_refusal(400, "invalid");
        // Nor does it come to stand in the ledger.
        let told = |text: &Option<String>| text.as_deref().is_some_and(|text| text.contains(token));
        assert!(!office.entries().iter().any(|entry| told(&entry.query) || told(&entry.detail)));
    }
    // The authorization server takes none there either.
    let introspected = post_form(&format!("/oauth/introspect?access_token={token}"), &[("token", token)]);
    assert!(introspected.send(office.address).await.status >= 400);
}

/// The table of docs/smart.md names tests: each is there.
#[test]
fn the_tests_that_the_documents_name_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/smart.md")).unwrap();
    let (_, section) = text.split_once("## RFC 9700, section by section").unwrap();
    let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    let named: Vec<&str> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next())
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 40, "{named:?}");
    let mut sources = String::new();
    let mut folders: Vec<std::path::PathBuf> =
        ["crates/smart/src", "crates/server/src", "crates/server/tests/it"].map(|folder| root.join(folder)).into();
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let tests: std::collections::BTreeSet<&str> = sources
        .split("#[test]")
        .chain(sources.split("#[tokio::test"))
        .filter_map(|after| after.split_once("fn ")?.1.split('(').next())
        .collect();
    let absent: Vec<&&str> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(absent.is_empty(), "{absent:?}");
}
