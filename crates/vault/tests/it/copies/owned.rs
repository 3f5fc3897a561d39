//! Whose a copy is.

use super::*;
use std::sync::Arc;
use tacet_policy::Scopes;
use tacet_types::ResourceId;

/// A name may be given to another account, and a person may be called what a machine's token is.
#[test]
fn a_copy_belongs_to_an_account_and_not_to_a_name() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    keep(&house, folder.path());
    let named = |account: Option<&str>| Caller {
        owner: "export-robot".to_owned(),
        account: account.map(str::to_owned),
        ..clinician()
    };
    let finds = |caller: &Caller, id: &str| match house.vault.copy(caller, id) {
        Ok(_) => true,
        Err(VaultError::NotFound) => {
            assert!(matches!(block_on(house.vault.read_copy(caller, id, 0)), Err(VaultError::NotFound)));
            assert!(matches!(block_on(house.vault.end_copy(caller, id)), Err(VaultError::NotFound)));
            false
        }
        Err(other) => panic!("{other}"),
    };
    let begun = |caller: &Caller| {
        let id = block_on(house.vault.begin_copy(caller, request(CopyScope::System))).unwrap();
        while house.vault.copy(caller, &id).unwrap().state == CopyState::Working {
            std::thread::sleep(Duration::from_millis(2));
        }
        id
    };
    let (machine, person) = (named(None), named(Some("account-1")));
    let of_machine = begun(&machine);
    assert!(finds(&machine, &of_machine) && !finds(&person, &of_machine));
    let of_person = begun(&person);
    let renamed = Caller { owner: "m.durand".to_owned(), ..person.clone() };
    assert!(finds(&person, &of_person) && finds(&renamed, &of_person));
    assert!(!finds(&machine, &of_person) && !finds(&named(Some("account-2")), &of_person));

    // An app fetches what it asked for itself, by a token that is good for the same; the person fetches that, too.
    let app = |scopes: &str, patient: Option<&str>| Caller {
        scopes: Some(Arc::new(Scopes::parse(scopes).unwrap())),
        launch_patient: patient.map(|patient| ResourceId::parse(patient).unwrap()),
        ..person.clone()
    };
    let narrow = app("user/Patient.rs user/Observation.rs", None);
    assert!(!finds(&narrow, &of_person));
    let of_app = begun(&narrow);
    assert!(finds(&narrow, &of_app) && finds(&person, &of_app));
    assert!(finds(&app("user/Observation.rs user/Patient.rs", None), &of_app), "in any order");
    for other in [
        app("user/Patient.rs", None),
        app("user/*.rs", None),
        app("user/Patient.rs user/Observation.rs?category=laboratory", None),
        app("user/Patient.rs user/Observation.rs", Some("p1")),
    ] {
        assert!(!finds(&other, &of_app));
    }
}
