//! What somebody asked for is theirs and nobody's who has the same name: a person may be called what a machine is.

use crate::admin::{ORIGIN, Office, clinician, ward};
use crate::client::{Answer, Ask};
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_seal::SecureRng;
use tacet_types::{Clock, OperationId};
use tacet_vault::{Caller, NewToken, Role};

const ROBOT: &str = "export-robot";

async fn token(office: &Office, owner: &str) -> String {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    let operator = Caller::new(
        "root",
        Role::Operator,
        PurposeOfUse::SystemAdministration,
        origin,
        OperationId::random(&SecureRng),
    );
    let new = NewToken {
        owner,
        role: Role::Integrator,
        expires: office.clock.now().plus_ms(86_400_000),
        practitioner: None,
        patients: &[],
        may_export: true,
        supplier: false,
    };
    office.vault.create_token_with(&operator, new).await.unwrap().1.reveal().to_owned()
}

fn place(begun: &Answer) -> String {
    assert_eq!(begun.status, 202, "{:?}", begun.body);
    begun.header("content-location").unwrap().strip_prefix(ORIGIN).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_called_as_a_machine_is_fetches_nothing_of_the_machines() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let (robot, other) = (token(&office, ROBOT).await, token(&office, "another robot").await);
    let person = office.employ(&staff, clinician(ROBOT, "dr-a")).await;
    let export = Ask::new("GET", "/$export").header("prefer", "respond-async").bearer(&robot);
    let copy = place(&export.send(office.address).await);
    let lines = "{\"resourceType\":\"Patient\",\"id\":\"p7\"}\n";
    let import = Ask::new("POST", "/$import").json(lines).header("content-type", "application/fhir+ndjson");
    let import = place(&import.header("prefer", "respond-async").bearer(&robot).send(office.address).await);
    let manifest = loop {
        let status = Ask::new("GET", &copy).bearer(&robot).send(office.address).await;
        if status.status != 202 {
            break status.value();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let file = manifest["output"][0]["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap().to_owned();
    let nothing = format!("{}{}", &copy[..copy.len() - 4], "0000");
    for (method, path) in [("GET", &copy), ("GET", &file), ("DELETE", &copy), ("GET", &import), ("DELETE", &import)] {
        let answer = office.ask(&person, method, path, None).await;
        assert!([403, 404].contains(&answer.status), "{method} {path}: {} {:?}", answer.status, answer.body);
        let by_other = Ask::new(method, path).bearer(&other).send(office.address).await;
        assert_eq!(by_other.status, 404, "{method} {path}");
    }
    assert_eq!(
        office.ask(&person, "GET", &nothing, None).await.status,
        office.ask(&person, "GET", &copy, None).await.status
    );
    for path in [&copy, &file, &import] {
        assert_eq!(Ask::new("GET", path).bearer(&robot).send(office.address).await.status, 200, "{path}");
    }
    assert_eq!(Ask::new("DELETE", &copy).bearer(&robot).send(office.address).await.status, 202);
}
