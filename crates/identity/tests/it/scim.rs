//! The hospital's directory: filters, users and patches, and what it can take away.

use crate::*;
use serde_json::{Value, json};
use tacet_identity::State;
use tacet_identity::provisioning::{Change, PractitionerFacts};
use tacet_identity::scim::{CARE_SCHEMA, PATCH_SCHEMA, ScimError, USER_SCHEMA};
use tacet_ledger::{Channel, Origin};

fn machine() -> Actor {
    let origin = Origin { address: None, channel: Channel::Http };
    Actor::machine("directory", None, origin, OperationId([6; 16]))
}

fn user(login: &str, role: &str) -> Value {
    json!({
        "schemas": [USER_SCHEMA, CARE_SCHEMA], "userName": login, "externalId": format!("HR-{login}"),
        "displayName": format!("Dr {login}"), "roles": [{ "value": role }], "active": true,
        CARE_SCHEMA: { "practitioner": format!("pr-{login}") },
    })
}

fn create(world: &World, body: &Value) -> Result<Value, ScimError> {
    block_on(world.identity.scim_create(&machine(), body.to_string().as_bytes()))
}

fn patch(world: &World, id: &str, operations: Value) -> Result<Value, ScimError> {
    let body = json!({ "schemas": [PATCH_SCHEMA], "Operations": operations }).to_string();
    block_on(world.identity.scim_patch(&machine(), id, body.as_bytes()))
}

#[test]
fn a_directory_makes_finds_changes_and_closes() {
    let (world, _staff) = World::with_staff();
    let made = create(&world, &user("z.aubrac", "clinician")).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(world.identity.scim_read(&id).unwrap(), made);
    assert_eq!(made[CARE_SCHEMA]["practitioner"], "pr-z.aubrac");
    let conflict = create(&world, &user("Z.Aubrac", "nurse")).unwrap_err();
    assert_eq!((conflict.status, conflict.to_json()["scimType"].as_str()), (409, Some("uniqueness")));
    for n in 0..3 {
        create(&world, &user(&format!("n{n}"), "nurse")).unwrap();
    }
    let list = |filter: Option<&str>, start, count| world.identity.scim_list(filter, start, count).unwrap();
    let all = list(None, None, None);
    assert_eq!((&all["totalResults"], all["Resources"].as_array().unwrap().len()), (&json!(4), 4), "no administrator");
    let page = list(None, Some(2), Some(2));
    assert_eq!((&page["totalResults"], &page["itemsPerPage"], &page["startIndex"]), (&json!(4), &json!(2), &json!(2)));
    assert_eq!(list(None, Some(-5), Some(-5))["itemsPerPage"], 0);
    assert_eq!(list(None, Some(i64::MAX), None)["itemsPerPage"], 0);
    let found = list(Some("userName eq \"Z.AUBRAC\""), None, None);
    assert_eq!((&found["totalResults"], found["Resources"][0]["id"].as_str()), (&json!(1), Some(id.as_str())));
    assert_eq!(list(Some("userName sw \"n\" and active eq true"), None, None)["totalResults"], 3);
    assert_eq!(list(Some("externalId eq \"HR-n1\" or externalId eq \"HR-n2\""), None, None)["totalResults"], 2);
    assert_eq!(world.identity.scim_list(Some("x"), None, None).unwrap_err().status, 400);

    let patched = patch(&world, &id, json!([{ "op": "replace", "path": "userName", "value": "z.new" }])).unwrap();
    assert_eq!(patched["userName"], "z.new");
    assert!(world.identity.account_by_login("z.aubrac").unwrap().is_none());
    let taken = patch(&world, &id, json!([{ "op": "replace", "path": "userName", "value": "n1" }])).unwrap_err();
    assert_eq!(taken.status, 409);
    let mut other = user("z.new", "nurse");
    other["active"] = json!(false);
    let put = block_on(world.identity.scim_replace(&machine(), &id, other.to_string().as_bytes())).unwrap();
    assert_eq!((&put["active"], &put["roles"][0]["value"]), (&json!(false), &json!("nurse")), "nobody uses it yet");
    block_on(world.identity.scim_delete(&machine(), &id)).unwrap();
    assert_eq!(world.identity.scim_read(&id).unwrap_err().status, 404);
    assert_eq!(list(None, None, None)["totalResults"], 3);
    create(&world, &user("z.new", "nurse")).unwrap();
}

/// A directory's key is no way in, and none to an administrator.
#[test]
fn a_directory_gives_no_right() {
    let (world, staff) = World::with_staff();
    for role in ["administrator", "security-officer", "auditor", "operator", "integrator", "patient", "root"] {
        assert_eq!(create(&world, &user("x", role)).unwrap_err().status, 400, "{role}");
    }
    let adm = staff.adm1.person.account.as_str();
    assert_eq!(world.identity.scim_read(adm).unwrap_err().status, 404);
    assert_eq!(patch(&world, adm, json!([{ "op": "replace", "value": { "active": false } }])).unwrap_err().status, 404);
    assert_eq!(block_on(world.identity.scim_delete(&machine(), adm)).unwrap_err().status, 404);

    let made = create(&world, &user("n", "nurse")).unwrap();
    let id = AccountId::parse(made["id"].as_str().unwrap()).unwrap();
    let stale = world.ask(&staff.adm1, Act::Invite(id.clone())).unwrap();
    world.clock.advance_ms(1);
    patch(&world, id.as_str(), json!([{ "op": "replace", "path": "displayName", "value": "N" }])).unwrap();
    assert!(matches!(world.allow(&staff.adm2, &stale), Err(IdentityError::Approval(_))), "changed since");
    let approval = world.ask(&staff.adm1, Act::Invite(id.clone())).unwrap();
    let second = world.allow(&staff.adm2, &approval).unwrap().second_code.unwrap();
    // Invited: from now on another role needs a second person.
    let change = json!([{ "op": "replace", "path": "roles", "value": ["clinician"] }]);
    let patched = patch(&world, id.as_str(), change.clone()).unwrap();
    assert_eq!(patched["roles"][0]["value"], "nurse");
    patch(&world, id.as_str(), change).unwrap();
    let pending = world.identity.approvals(&world.actor(&staff.sec), true).unwrap();
    let asked: Vec<_> = pending.iter().filter(|approval| approval.act.kind() == Kind::RoleChange).collect();
    assert_eq!(asked.len(), 1, "asked once");
    let first = block_on(world.identity.first_code(&world.fresh(&staff.adm1), &approval.id)).unwrap();
    let nurse = world.someone(world.enrol(first.reveal(), second.reveal(), "n"));
    assert_eq!(nurse.person.role, Role::Nurse);
    world.allow(&staff.sec, asked[0]).unwrap();
    assert_eq!(world.account(&id).role, Role::Clinician);
    assert!(world.who(&nurse).is_none());
}

#[test]
fn what_a_directory_takes_away_is_gone_at_once() {
    let (world, staff) = World::with_staff();
    let mut doctor = world.employ(&staff, clinician("a"));
    let id = doctor.person.account.clone();
    let active = |flag: bool| patch(&world, id.as_str(), json!([{ "op": "Replace", "value": { "active": flag } }]));
    assert_eq!(active(false).unwrap()["active"], false);
    assert!(world.who(&doctor).is_none());
    assert_eq!(active(true).unwrap()["active"], true);
    let device = doctor.device.clone();
    world.login(&mut doctor.key, &device).unwrap();
    block_on(world.identity.suspend(&world.fresh(&staff.sec), &id, "incident")).unwrap();
    assert_eq!(active(true).unwrap()["active"], false, "a person's suspension stays");
    block_on(world.identity.resume(&world.fresh(&staff.adm1), &id)).unwrap();

    let practitioner = tacet_types::ResourceId::parse("pr-a").unwrap();
    let facts = |active, roles| PractitionerFacts { practitioner: practitioner.clone(), active, roles };
    let apply = |facts| block_on(world.identity.apply_practitioner(&machine(), &facts)).unwrap();
    let end = world.now().plus_ms(DAY_MS);
    assert_eq!(apply(facts(true, vec![(Role::Clinician, Some(end))])), [Change::Ends(Some(end))]);
    assert_eq!(world.account(&id).ends_ms, Some(end.as_ms()));
    assert_eq!(apply(facts(true, vec![(Role::Nurse, None)])), [Change::Ends(None), Change::AskRole(Role::Nurse)]);
    assert_eq!(world.account(&id).role, Role::Clinician);
    assert_eq!(apply(facts(false, vec![])), [Change::Close]);
    assert_eq!(world.account(&id).state, State::Closed);
    assert!(apply(facts(false, vec![])).is_empty());
}
