//! What a second reader found: the directory's key and logins elsewhere, roles that changed meanwhile, what hangs on a session.

use super::*;
use serde_json::{Value, json};
use tacet_identity::scim::{CARE_SCHEMA, PATCH_SCHEMA, USER_SCHEMA};
use tacet_ledger::{Channel, Origin};

fn machine() -> Actor {
    let origin = Origin { address: None, channel: Channel::Http };
    Actor::machine("directory", Some("ab12cd34".into()), origin, OperationId([3; 16]))
}

fn replace(path: &str, value: Value) -> String {
    json!({ "schemas": [PATCH_SCHEMA], "Operations": [{ "op": "replace", "path": path, "value": value }] }).to_string()
}

/// A provider's person is found by the external id or the login: a directory cannot move these to an account that somebody uses.
#[test]
fn a_directory_puts_nobody_in_the_place_of_another() {
    let (world, staff) = World::with_staff();
    let mut draft = clinician("victim");
    draft.external_id = Some("HR-1".into());
    let victim = world.employ(&staff, draft).person.account;
    let patch = |body: String| block_on(world.identity.scim_patch(&machine(), victim.as_str(), body.as_bytes()));
    let refused = patch(replace("externalId", json!("HR-thief"))).unwrap_err();
    assert_eq!(refused.status, 400, "{}", refused.detail);
    let whole = json!({
        "schemas": [USER_SCHEMA, CARE_SCHEMA], "userName": "victim", "displayName": "Dr V", "roles": ["clinician"],
        CARE_SCHEMA: { "practitioner": "pr-victim" },
    });
    let put = block_on(world.identity.scim_replace(&machine(), victim.as_str(), whole.to_string().as_bytes())).unwrap();
    assert_eq!((&put["externalId"], &put["displayName"]), (&json!("HR-1"), &json!("Dr V")), "left out: it stays");
    assert_eq!(world.identity.account_by_external_id("HR-thief").unwrap().map(|account| account.id), None);
    patch(replace("userName", json!("renamed"))).unwrap();
    let settings = Settings { logins_fixed: true, ..world.identity.settings().clone() };
    let fixed = Identity::open(world.rows.clone(), world.clock.clone(), Arc::new(SeededRng::new(8)), settings).unwrap();
    let rename = replace("userName", json!("thief"));
    assert_eq!(block_on(fixed.scim_patch(&machine(), victim.as_str(), rename.as_bytes())).unwrap_err().status, 400);
    assert_eq!(world.account(&victim).login, "renamed");

    let made = json!({ "schemas": [USER_SCHEMA], "userName": "new", "externalId": "HR-2", "roles": ["nurse"] });
    let made = block_on(fixed.scim_create(&machine(), made.to_string().as_bytes())).unwrap();
    let id = made["id"].as_str().unwrap();
    let unused = block_on(fixed.scim_patch(&machine(), id, replace("externalId", json!("HR-3")).as_bytes())).unwrap();
    assert_eq!(unused["externalId"], "HR-3", "nobody uses it yet");
}

/// Who asked, and who decides, must still be who they were.
#[test]
fn a_role_that_is_gone_neither_asks_nor_decides() {
    let (world, staff) = World::with_staff();
    let asked = world.ask(&staff.adm1, Act::NewAccount(clinician("x"))).unwrap();
    let demote = Act::Role {
        account: staff.adm1.person.account.clone(),
        role: Role::Reception,
        practitioner: None,
        patients: Vec::new(),
    };
    let demoted = world.ask(&staff.adm2, demote).unwrap();
    world.allow(&staff.sec, &demoted).unwrap();
    assert!(matches!(world.allow(&staff.sec, &asked), Err(IdentityError::Approval(_))), "who asked may not any more");

    let asked = world.ask(&staff.adm2, Act::NewAccount(clinician("y"))).unwrap();
    // The request of the security officer was let in just before the account was suspended.
    let late = world.fresh(&staff.sec);
    block_on(world.identity.suspend(&world.fresh(&staff.adm2), &staff.sec.person.account, "incident")).unwrap();
    let decided = block_on(world.identity.decide(&late, &asked.id, true, ""));
    assert!(matches!(decided, Err(IdentityError::Role(_))));
}

/// A stolen session cannot fill the store and everybody's notices with requests.
#[test]
fn requests_that_wait_are_bounded() {
    let (world, staff) = World::with_staff();
    let doctor = world.employ(&staff, clinician("a"));
    let ask = |n: usize| world.ask(&doctor, other(Kind::BulkExport, &format!("export {n}")));
    let asked: Vec<Approval> = (0..50).map(|n| ask(n).unwrap()).collect();
    assert!(matches!(ask(50), Err(IdentityError::Invalid { field: "approvals", .. })));
    assert!(world.ask(&staff.adm1, other(Kind::BulkExport, "mine")).is_ok(), "others may");
    block_on(world.identity.withdraw(&world.actor(&doctor), &asked[0].id)).unwrap();
    ask(51).unwrap();
}

#[test]
fn what_was_given_in_a_session_ends_when_somebody_ends_it() {
    let (world, staff) = World::with_staff();
    let mut doctor = world.employ(&staff, clinician("a"));
    let given = world.now();
    let stands = |of: &Person| world.identity.session_stands(&of.account, &of.session, given).unwrap();
    assert!(stands(&doctor.person));
    world.clock.advance_ms(20 * MINUTE_MS);
    assert!(world.who(&doctor).is_none() && stands(&doctor.person), "not used here for a while");
    let other_device = world.connection("tacet_de_another");
    let device = doctor.device.clone();
    let again = world.login(&mut doctor.key, &device).unwrap();
    assert!(stands(&again.person));
    let stolen = block_on(world.identity.authenticate(again.secret.reveal(), &other_device)).unwrap();
    assert!(stolen.is_none() && !stands(&again.person), "its secret came from another device");
    let again = world.login(&mut doctor.key, &device).unwrap();
    block_on(world.identity.end_all_sessions(&world.fresh(&staff.sec))).unwrap();
    assert!(!stands(&again.person));
    let nobody = AccountId::parse("nobody").unwrap();
    assert!(!world.identity.session_stands(&nobody, &again.person.session, world.now()).unwrap());
}

#[test]
fn a_wrong_invitation_code_is_in_the_ledger() {
    let world = World::new();
    let invited = world.bootstrap("adm1", Role::Administrator).unwrap();
    let device = world.identity.new_device().into_inner();
    let before = world.entries(EventKind::LoginFailed);
    let tried = block_on(world.identity.begin_enrolment(invited.first.reveal(), "WRONG", &world.connection(&device)));
    assert!(matches!(tried, Err(IdentityError::Refused)));
    assert_eq!(world.entries(EventKind::LoginFailed), before + 1);
}
