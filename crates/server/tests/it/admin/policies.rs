//! Other rules take two people; what they agreed on is in force at once, and no file takes its place.

use super::{Office, clinician, ward, why};
use serde_json::{Value, json};
use tacet_policy::BUILT_IN;
use tacet_vault::{Caller, Role, Rules, Settled};

/// The program's rules, without those about machines and with one more line.
fn files() -> Value {
    let mut files: serde_json::Map<String, Value> =
        BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    let more = "@id(\"doctors-all\") @ground(\"hospital\") @reason(\"doctors see all results\") permit (principal == Role::\"clinician\", \
                action == Action::\"read\", resource == Category::\"results\");";
    files.insert("more.cedar".into(), json!(more));
    Value::Object(files)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_change_the_rules_and_it_counts_at_once() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let sees = || async { office.ask(&dr, "GET", "/Observation/other", None).await.status == 200 };
    assert!(!sees().await);
    let mut wrong = files();
    wrong["more.cedar"] = json!("permit (principal, action, resource);");
    let refused = office.ask(&staff.adm1, "POST", "/_policy", Some(json!({ "files": wrong, "why": why() }))).await;
    refused.is_refusal(400, "invalid");
    assert!(String::from_utf8_lossy(&refused.body).contains("more.cedar"), "{:?}", refused.body);
    let mut again = why();
    again["untilEnd"] = json!(true);
    let asked = office.ask(&staff.adm1, "POST", "/_policy", Some(json!({ "files": files(), "why": again }))).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    assert_eq!(asked.value()["untilEnd"], false, "rules are put in force once: else one person could bring them back");
    let text = asked.value()["act"]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("policies sha256:"), "{text}");
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    let path = format!("/_policy/changes/{id}");
    // Who decides reads what it is, and what it adds.
    let shown = office.ask(&staff.sec, "GET", &path, None).await;
    assert_eq!(shown.status, 200, "{:?}", shown.body);
    assert_eq!(shown.value()["added"], json!(["doctors-all"]));
    assert_eq!(shown.value()["removed"], json!([]));
    assert!(shown.value()["files"]["more.cedar"].as_str().unwrap().contains("doctors-all"));
    assert_eq!(office.ask(&dr, "GET", &path, None).await.status, 404);
    assert_eq!(office.ask(&staff.adm1, "POST", &path, None).await.status, 409, "not decided yet");
    assert_eq!(office.decide(&staff.adm1, &id, true).await.status, 403);
    assert_eq!(office.decide(&staff.sec, &id, true).await.status, 200);
    assert_eq!(office.ask(&staff.adm2, "POST", &path, None).await.status, 404, "asked by another");
    assert!(!sees().await, "allowed is not yet in force");
    let done = office.ask(&staff.adm1, "POST", &path, None).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
    assert!(sees().await, "at once");
    assert_eq!(office.ask(&staff.adm1, "POST", &path, None).await.status, 409, "once");
    let listed = office.ask(&staff.sec, "GET", "/_policy", None).await.value();
    assert_eq!(listed["inForce"]["builtIn"], false);
    assert!(listed["inForce"]["by"].as_str().unwrap().ends_with("asked for by adm1, allowed by sec"), "{listed}");
    assert_eq!(office.noted(&format!("{text} in force, by approval {id}")), 1);
    assert_eq!(office.noted(&format!("approval {id} used: policy-change: {text}")), 1);
    // Back again, by two people too.
    let back = office.ask(&staff.adm1, "POST", "/_policy", Some(json!({ "builtIn": true, "why": why() }))).await;
    let id = back.value()["id"].as_str().unwrap().to_owned();
    assert_eq!(office.decide(&staff.aud, &id, true).await.status, 200);
    assert_eq!(office.ask(&staff.adm1, "POST", &format!("/_policy/changes/{id}"), None).await.status, 200);
    assert!(!sees().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_nobody_approved_does_not_apply() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let dr = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let sees = || async { office.ask(&dr, "GET", "/Observation/other", None).await.status == 200 };
    let operator = Caller::new(
        "root",
        Role::Operator,
        tacet_ledger::PurposeOfUse::SystemAdministration,
        tacet_ledger::Origin { address: None, channel: tacet_ledger::Channel::CommandLine },
        tacet_types::OperationId([7; 16]),
    );
    let texts = files().as_object().unwrap().clone();
    let changed = texts.into_iter().map(|(name, text)| (name, text.as_str().unwrap().to_owned())).collect();
    let changed = Rules::of(changed).unwrap();
    let settle = |rules: Rules, alone: bool| {
        let (vault, operator) = (office.vault.clone(), operator.clone());
        async move { vault.settle_rules(&operator, &rules, alone).await.unwrap() }
    };
    assert_eq!(settle(Rules::built_in(), false).await, Settled::Adopted, "the first start");
    assert_eq!(settle(Rules::built_in(), false).await, Settled::Unchanged);
    assert_eq!(settle(changed.clone(), false).await, Settled::Refused);
    assert!(!sees().await);
    assert_eq!(office.noted("in the configuration were not approved and do not apply"), 1);
    let in_force = office.vault.rules_in_force().unwrap().unwrap();
    assert!(in_force.rules.is_built_in());
    // While nobody else could decide, whoever sets the store up does.
    assert_eq!(settle(changed.clone(), true).await, Settled::Adopted);
    assert!(sees().await);
    // A configuration without policies of its own leaves what two people chose in force.
    assert_eq!(settle(Rules::built_in(), false).await, Settled::Unchanged);
    assert!(sees().await);
    assert_eq!(office.vault.rules_in_force().unwrap().unwrap().rules, changed);
}
