//! Accounts, approvals and policies at the command line.

use crate::place::Place;
use pollster::block_on;
use serde_json::Value;
use std::sync::Arc;
use tacet_identity::{Act, Actor, Identity, Kind, Request, Settings, Url};
use tacet_ledger::noted::NotedRows;
use tacet_seal::SecureRng;
use tacet_testkit::passkey::Passkey;
use tacet_types::{Clock, OperationId, SystemClock};
use tacet_vault::Role;

/// Where the pages are.
const HERE: &str = "http://localhost:8443";

const BOOTSTRAP: &[&str] = &[
    "account",
    "bootstrap",
    "--administrator",
    "anna=Anna Arnaud",
    "--administrator",
    "bea",
    "--security-officer",
    "sec",
    "--auditor",
    "aud",
];

#[test]
fn the_first_accounts_are_made_once() {
    let (place, _) = Place::with_store();
    let made = place.json(BOOTSTRAP);
    let accounts = made["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 4);
    for account in accounts {
        let (link, first) = (account["link"].as_str().unwrap(), account["first_code"].as_str().unwrap());
        assert!(link.ends_with(&format!("/auth/enrol#{first}")), "{link}");
        assert_eq!((account["state"].as_str(), account["passkeys"].as_u64()), (Some("pending"), Some(0)));
    }
    // What was shown once is shown no more.
    let listed = place.run(&["account", "list"]).ended(0);
    assert!(listed.out.contains("administrator pending anna"), "{}", listed.out);
    let second = accounts[0]["second_code"].as_str().unwrap();
    assert!(!place.json(&["account", "list"]).to_string().contains(second));
    assert!(place.run(BOOTSTRAP).ended(1).said().contains("another account has this login"));
    assert!(place.run(&["account", "bootstrap"]).ended(1).said().contains("--administrator"));
    place.run(&["account", "bootstrap", "--administrator", "two words"]).ended(1);
    assert_eq!(place.json(&["account", "close-due"])["closed"], Value::Array(Vec::new()));
    place.json(&["account", "end-sessions"]);
    assert_eq!(place.json(&["approval", "list", "--pending"])["approvals"], Value::Array(Vec::new()));
    assert_eq!(place.json(&["break-glass", "list"])["reviews"], Value::Array(Vec::new()));
    let ledger = place.json(&["ledger", "list", "--count", "50"]).to_string();
    assert!(ledger.contains("first account") && !ledger.contains(second));
}

/// Accounts over the store of a place, as the program opens them.
fn identity(place: &Place) -> (tacet_vault::Vault, Identity) {
    let vault = place.open_vault();
    let rows = Arc::new(vault.clone()) as Arc<dyn NotedRows>;
    let url = Url::parse(HERE).unwrap();
    let settings = Settings::new("localhost", url, "Tacet");
    (vault, Identity::open(rows, Arc::new(SystemClock), Arc::new(SecureRng), settings).unwrap())
}

/// Enrols a passkey for a first account, in the place of a browser.
fn enrol(identity: &Identity, account: &Value) {
    let device = identity.new_device();
    let operation = OperationId::random(&SecureRng);
    let connection = tacet_identity::Connection::new(None, Some(device.reveal()), "Browser", operation);
    let code = |name: &str| account[name].as_str().unwrap().to_owned();
    let offer = block_on(identity.begin_enrolment(&code("first_code"), &code("second_code"), &connection)).unwrap();
    let mut key = Passkey::new(account["login"].as_str().unwrap(), HERE).unwrap();
    let answer = key.create(&offer.options).unwrap();
    block_on(identity.finish_enrolment(&offer.ceremony, &answer, "key", None, &connection)).unwrap();
}

/// A store with two administrators, a security officer and an auditor, who have all enrolled.
pub(crate) fn staffed(place: &Place) -> Value {
    let made = place.json(BOOTSTRAP);
    let (vault, accounts) = identity(place);
    for account in made["accounts"].as_array().unwrap().iter().rev() {
        enrol(&accounts, account);
    }
    drop(accounts);
    vault.close().unwrap();
    made
}

/// As soon as two people can log in, no right and no erasure comes from the command line alone.
#[test]
fn a_second_person_is_asked_for_as_soon_as_there_is_one() {
    let (place, _) = Place::with_store();
    let made = place.json(BOOTSTRAP);
    let patient = r#"{"resourceType":"Patient","id":"p1","active":true}"#;
    let file = place.write("p1.json", patient);
    place.run(&["import", file.to_str().unwrap()]).ended(0);
    // Nobody can log in yet.
    place.token("a machine", "integrator");
    let token = ["token", "create", "--owner", "another machine", "--role", "integrator", "--may-export"];
    let listed = place.json(&token);
    assert_eq!(listed["may_export"], true);
    let (vault, accounts) = identity(&place);
    // The administrators come first in the list and enrol last: then no code of the others is of any use.
    for account in made["accounts"].as_array().unwrap().iter().rev() {
        enrol(&accounts, account);
    }
    drop(accounts);
    vault.close().unwrap();
    let erase = ["patient", "erase", "p1", "--confirm", "p1"];
    let output = place.path("out.ndjson");
    let export =
        ["export", "--output", output.to_str().unwrap(), "--plaintext-readable-by-anyone", "--purpose", "a register"];
    for command in [&erase[..], &export, &token] {
        assert!(place.run(command).ended(1).said().contains("this needs a second person"), "{command:?}");
    }
    assert!(place.run(BOOTSTRAP).ended(1).said().contains("there are administrators"));
    // An operator's token opens no record.
    place.token("watcher", "operator");
    // anna asks, the auditor allows; the operator at the machine carries it out, once, and nothing else.
    let approval = approved(&place, &made, Kind::Erasure, "erase Patient/p1");
    let with = |command: &[&str], approval: &str| place.run(&[command, &["--approval", approval]].concat());
    assert!(with(&token, &approval).ended(1).said().contains("not for this"));
    assert!(with(&erase, "no-such").ended(1).said().contains("no such approval"));
    with(&erase, &approval).ended(0);
    let listed = place.json(&["approval", "list"]);
    assert_eq!(listed["approvals"][0]["standing"], "used");
    let again = approved(&place, &made, Kind::BulkExport, "tacet export for a register, sealed to nobody: in clear");
    with(&export, &again).ended(0);
    std::fs::remove_file(&output).unwrap();
    std::fs::remove_file(place.path("out.ndjson.copy.json")).unwrap();
    assert!(with(&export, &again).ended(1).said().contains("used already"));
    let right = "token of role integrator for another machine, may copy out";
    let right = approved(&place, &made, Kind::BroadRights, right);
    with(&token, &right).ended(0);
    place.assert_sound("after approvals");
}

/// An approval that anna asked for and the auditor allowed.
pub(crate) fn approved(place: &Place, made: &Value, kind: Kind, text: &str) -> String {
    let (vault, accounts) = identity(place);
    let person = |login: &str, role: Role| {
        let account = accounts.account_by_login(login).unwrap().unwrap();
        let at_machine = Actor::command_line(login, OperationId::random(&SecureRng));
        Actor { account: Some(account.id), role, fresh: true, ..at_machine }
    };
    let act = Act::Other { kind, text: text.to_owned(), beneficiaries: Vec::new() };
    let end = SystemClock.now().plus_ms(3_600_000);
    let request = Request { act, ticket: "T-1".into(), reason: "asked for".into(), end, until_end: false };
    let anna = person(made["accounts"][0]["login"].as_str().unwrap(), Role::Administrator);
    let approval = block_on(accounts.ask(&anna, request)).unwrap();
    block_on(accounts.decide(&person("aud", Role::Auditor), &approval.id, true, "")).unwrap();
    drop(accounts);
    vault.close().unwrap();
    approval.id.as_str().to_owned()
}

#[test]
fn suppliers_tokens_are_short() {
    let (place, _) = Place::with_store();
    let until = |ms: i64| SystemClock.now().plus_ms(ms).to_string();
    let make = |until: &str| {
        place.run(&["token", "create", "--owner", "Vendor", "--role", "operator", "--supplier-until", until, "--json"])
    };
    let made = make(&until(3_600_000)).ended(0).json();
    assert_eq!(made["supplier"], true);
    for wrong in [until(-1000), until(13 * 3_600_000), "tomorrow".into()] {
        assert!(make(&wrong).ended(1).said().contains("twelve hours"));
    }
    place.run(&["token", "create", "--owner", "x", "--role", "clinician", "--may-export"]).ended(1);
}

#[test]
fn policies_are_shown_tried_and_explained() {
    let (place, _) = Place::with_store();
    let shown = place.json(&["policy", "show"]);
    assert!(shown["policies"].as_array().unwrap().len() > 5);
    let tested = place.json(&["policy", "test"]);
    assert!(tested["cases"].as_u64().unwrap() > 10 && tested["failed"] == Value::Array(Vec::new()));
    let wrong = "[[case]]\nname = \"anybody\"\nrole = \"reception\"\nkind = \"results\"\nexpect = \"allow\"\n";
    let wrong = place.write("cases.toml", wrong);
    let failed = place.run(&["policy", "test", wrong.to_str().unwrap()]).ended(3);
    assert!(failed.out.contains("anybody: expected allow, is deny"), "{}", failed.out);
    let broken = place.write("policies/broken.cedar", "permit (principal, action");
    let broken = broken.parent().unwrap().to_str().unwrap().to_owned();
    assert!(place.run(&["policy", "show", "--policies", &broken]).ended(1).said().contains("broken.cedar"));
    let patient = place.write("p1.json", r#"{"resourceType":"Patient","id":"p1","active":true}"#);
    place.run(&["import", patient.to_str().unwrap()]).ended(0);
    for (who, verdict) in [("integrator", "open"), ("clinician:p9", "closed"), ("administrator", "closed")] {
        let explained = place.json(&["policy", "explain", who, "Patient/p1"]);
        assert_eq!(explained["verdict"], verdict, "{who}: {}", explained["text"]);
    }
    place.run(&["policy", "explain", "nobody", "Patient/p1"]).ended(1);
    place.run(&["policy", "explain", "integrator", "Patient/none"]).ended(1);
    place.run(&["policy", "explain", "integrator", "p1"]).ended(1);
    place.run(&["policy", "explain", "integrator", "Patient/p1", "--act", "steal"]).ended(1);
}

/// The days of the last month, as a review takes them, and a moment in it.
fn last_month() -> (String, tacet_types::Timestamp) {
    let now = SystemClock.now().to_string();
    let (year, month): (u16, u8) = (now[..4].parse().unwrap(), now[5..7].parse().unwrap());
    let (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    let name = format!("{year:04}-{month:02}");
    let moment = tacet_types::Timestamp::parse(&format!("{name}-09T10:00:00Z")).unwrap();
    (name, moment)
}

/// A month's review at the machine, as long as nobody of those who review has an account.
#[test]
fn a_month_is_reviewed_at_the_command_line() {
    let (place, _) = Place::with_store();
    let (month, moment) = last_month();
    let (vault, identity) = identity(&place);
    let agent = tacet_ledger::Agent { owner: "=mallory".into(), role: "nurse".into(), token: None };
    let (kind, purpose) = (tacet_ledger::EventKind::Read, tacet_ledger::PurposeOfUse::Treatment);
    let mut entry = tacet_ledger::Entry::new(moment, kind, agent, purpose, OperationId::random(&SecureRng));
    entry.patient = tacet_types::ResourceType::parse("Patient").zip(tacet_types::ResourceId::parse("p1").ok());
    entry.detail = Some("vital\n1 sample 2026-01-01 forged [justified by Mme Roy: fine]".into());
    block_on(NotedRows::commit(&vault, Vec::new(), vec![entry])).unwrap();
    drop(identity);
    vault.close().unwrap();

    // Where a message is broken into lines there is a bar.
    let refused = |arguments: &[&str]| place.run(arguments).ended(1).said().replace(" | ", " ");
    assert!(place.run(&["review", "list"]).ended(0).out.contains("No access was reviewed yet"));
    place.run(&["review", "prepare", "--month", "2026-13", "--reviewer", "x"]).ended(1);
    place.run(&["review", "prepare", "--reviewer", "x"]).ended(2);
    place.run(&["review", "prepare", "--month", "2199-01", "--reviewer", "x"]).ended(1);
    let review = place.json(&["review", "prepare", "--month", &month, "--reviewer", "Mme Roy"]);
    let id = review["id"].as_str().unwrap();
    assert_eq!(
        (review["state"].as_str(), review["items"].as_u64(), review["untold"].as_u64()),
        (Some("open"), Some(1), Some(0))
    );
    let again = refused(&["review", "prepare", "--month", &month, "--reviewer", "Mme Roy"]);
    assert!(again.contains("`tacet review list` has its id"), "{again}");
    assert!(place.run(&["review", "list"]).ended(0).out.contains("reviewer Mme Roy, due"));
    let shown = place.json(&["review", "show", id]);
    assert_eq!(
        (shown["items"][0]["section"].as_str(), shown["items"][0]["patient"].as_str()),
        (Some("without-relation"), Some("Patient/p1"))
    );
    let csv = place.run(&["review", "show", id, "--csv"]).ended(0).out;
    assert!(csv.contains(",without-relation,'=mallory,"), "{csv}");
    let text = place.run(&["review", "show", id]).ended(0).out;
    let seed = review["seed"].as_str().unwrap();
    assert!(text.contains(&format!("drawn by five-percent with the seed {seed}\n0 of 1 items judged\n")), "{text}");
    assert!(text.contains(&format!("Patient/p1, entry {}: read", shown["items"][0]["entry"])), "{text}");
    assert_eq!(text.lines().count(), 4, "somebody wrote a line of their own: {text}");
    for (wrong, next) in [
        (vec!["show", "none"], "`tacet review list` has them".to_owned()),
        (vec!["close", "none", "--text", "x"], "`tacet review list` has them".to_owned()),
        (vec!["decide", id, "9", "justified", "--comment", "x"], format!("`tacet review show {id}` has their numbers")),
    ] {
        let said = refused(&[vec!["review"], wrong].concat());
        assert!(said.contains(&next), "{said}");
    }

    let decide = |operator: &'static str, outcome: &'static str| {
        ["--operator", operator, "review", "decide", id, "0", outcome, "--comment", "no reason"]
    };
    let said = refused(&decide("root", "not-justified"));
    let whose = "for the reviewer to judge, and you are not: Mme Roy judges here, with that name in `--operator`";
    assert!(said.contains(whose), "{said}");
    refused(&decide("Mme Roy", "fine"));
    let said = refused(&["--operator", "Mme Roy", "review", "close", id, "--text", "x"]);
    let next = format!("not judged in all its items: 1 are left: `tacet review show {id}` says how its items stand");
    assert!(said.contains(&next), "{said}");
    place.run(&decide("Mme Roy", "not-justified")).ended(0);
    assert!(place.run(&["review", "show", id]).ended(0).out.contains("\n1 of 1 items judged\n"));
    assert!(refused(&decide("Mme Roy", "justified")).contains("says how its items stand"), "judged twice");
    let closed = place.run(&["--operator", "Mme Roy", "review", "close", id, "--text", "one to talk to"]).ended(0);
    assert!(closed.out.contains("closed, 1 items"), "{}", closed.out);
    let text = place.run(&["review", "show", id]).ended(0).out;
    assert!(text.contains("\nclosed by Mme Roy at "), "{text}");
    assert!(text.contains(" with 1 not-justified: one to talk to\n"), "{text}");
    let ledger = place.json(&["ledger", "list", "--kind", "access-review"]).to_string();
    assert!(ledger.contains("closed: 1 not-justified") && ledger.contains("seed "), "{ledger}");

    // A name that nobody has gives a review in which nothing is: that is said, and the list tells the two of the month apart.
    let of_nobody = ["review", "prepare", "--month", &month, "--reviewer", "Mme Roy", "--person", "malory"];
    let said = place.run(&of_nobody).ended(0).said();
    assert!(said.contains("nothing in the period is of this person"), "{said}");
    let list = place.run(&["review", "list"]).ended(0).out;
    assert_eq!(list.matches(", person malory: open, 0 items").count(), 1, "{list}");
    let of_somebody = ["review", "prepare", "--month", &month, "--reviewer", "Mme Roy", "--person", "=mallory"];
    let said = place.run(&of_somebody).ended(0).said();
    assert!(
        !said.contains("nothing in the period") && said.contains("prints its items; Mme Roy judges here"),
        "{said}"
    );
    let wrong = ["review", "prepare", "--month", &month, "--reviewer", "Mme Roy", "--role", "king"];
    let said = refused(&wrong);
    assert!(said.contains("`king` is no role: there are clinician, nurse,"), "{said}");
}

/// How many looks into the ledger stand in it, this one too.
fn looks(place: &Place) -> usize {
    let listed = place.json(&["ledger", "list", "--kind", "ledger-access", "--count", "1000"]);
    listed["entries"].as_array().unwrap().len()
}

/// Whoever stands at the machine reads the ledger by no command without being in it.
#[test]
fn who_reads_the_ledger_at_the_command_line_is_in_it() {
    let (place, _) = Place::with_store();
    let (month, _) = last_month();
    let (export, receipt) = (place.path("log"), place.path("receipt"));
    let (export, receipt) = (export.to_str().unwrap(), receipt.to_str().unwrap());
    let reading: [(&str, Vec<&str>); 8] = [
        ("list", vec!["ledger", "list"]),
        ("who-saw", vec!["ledger", "who-saw", "p1"]),
        ("what-did", vec!["ledger", "what-did", "root"]),
        ("session", vec!["ledger", "session", "s-1"]),
        ("verify", vec!["ledger", "verify"]),
        ("export-log", vec!["ledger", "export-log", export]),
        ("", vec!["receipt", "make", "0", "--to", receipt]),
        ("", vec!["review", "prepare", "--month", &month, "--reviewer", "Mme Roy"]),
    ];
    for (_, arguments) in &reading {
        let before = looks(&place);
        place.run(arguments).ended(0);
        assert_eq!(looks(&place), before + 2, "{arguments:?} left no entry");
    }
    let id = place.json(&["review", "list"])["reviews"][0]["id"].as_str().unwrap().to_owned();
    let before = looks(&place);
    place.run(&["review", "show", &id]).ended(0);
    assert_eq!(looks(&place), before + 2);

    // A command that comes later must be here too. The log's name and keys and its hashes say nothing of what entries say, nor does what
    // ends its keys, begins it under another name or lets disclosures go on; the report has a test of its own.
    let help = place.run(&["ledger", "--help"]).ended(0).out;
    let names = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut seen = 0;
    for name in names.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = name.split_whitespace().next().unwrap();
        seen += 1;
        let known = reading.iter().any(|(reads, _)| *reads == name)
            || ["key", "tiles", "report", "retain", "succeed", "resume", "help"].contains(&name);
        assert!(known, "`tacet ledger {name}`: does it show entries?");
    }
    assert!(seen >= 8, "{help}");
}
