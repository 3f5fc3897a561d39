//! The hospital of the matrix: its patients, one for each case, and its people, who ask by tokens or with a session.

use super::cases::{Case, STAFF, places, practitioner};
use super::telling::{audit_event, subscription};
use crate::admin::{ORIGIN, Office, Somebody, Staff};
use crate::client::{Answer, Ask};
use crate::ward::{BASE_URL, NOW, Ward, foundation};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_policy::Relation;
use tacet_seal::SecureRng;
use tacet_types::{Clock, OperationId, ResourceId, Timestamp};
use tacet_vault::{Caller, Role, Vault};

/// By what people show who they are.
enum Door {
    /// Tokens, under the built-in policies without the one that asks for a passkey.
    Tokens { ward: Box<Ward>, secrets: HashMap<Role, String> },
    /// Sessions that began with a passkey, under the built-in policies as they are; machines by their tokens.
    Sessions { office: Box<Office>, people: HashMap<Role, Somebody>, machines: HashMap<Role, String> },
}

pub(super) struct Hospital {
    door: Door,
    /// The token of the machine that stores everything; of nobody in the matrix.
    machine: String,
    pub(super) vault: Vault,
    address: SocketAddr,
    base_url: &'static str,
    pub(super) cases: Vec<Case>,
    _ledger_index: tempfile::TempDir,
}

/// The account of the patient in the matrix acts for these.
fn own(cases: &[Case]) -> Vec<String> {
    let own = cases.iter().filter(|case| case.relation == Some(Relation::OwnRecord));
    own.flat_map(|case| case.patients()).collect()
}

impl Hospital {
    pub(super) async fn by_tokens(cases: Vec<Case>) -> Self {
        let ward = Ward::open().await;
        let mut secrets = HashMap::new();
        for role in Role::ALL {
            let own = if role == Role::Patient { own(&cases) } else { Vec::new() };
            secrets.insert(role, ward.token(role, practitioner(role), &own).await);
        }
        let (machine, vault, address) = (ward.secret("machine").to_owned(), ward.vault.clone(), ward.address());
        let door = Door::Tokens { ward: Box::new(ward), secrets };
        Self::opened(door, machine, (vault, address, BASE_URL), cases).await
    }

    /// Everybody has an account and a passkey. Nobody here has put somebody on file or written of themselves.
    pub(super) async fn by_sessions(cases: Vec<Case>) -> (Self, Staff) {
        let office = Office::open().await;
        let later = Timestamp::parse(NOW).unwrap().as_ms() - office.clock.now().as_ms();
        office.clock.advance_ms(later);
        let (office, staff) = Office::staffed(office).await;
        let mut people = HashMap::new();
        for (role, who) in STAFF {
            let wanted = json!({"login": who, "display": who, "role": role.as_str(), "practitioner": who});
            people.insert(role, office.employ(&staff, wanted).await);
        }
        let wanted = json!({"login": "patient", "display": "patient", "role": "patient", "patients": own(&cases)});
        people.insert(Role::Patient, office.employ(&staff, wanted).await);
        let wanted = json!({"login": "operator", "display": "operator", "role": "operator"});
        people.insert(Role::Operator, office.employ(&staff, wanted).await);
        let mut machines = HashMap::new();
        for role in [Role::Integrator, Role::Feed] {
            machines.insert(role, office.token(role, true).await);
        }
        let machine = office.token(Role::Integrator, false).await;
        let (vault, address) = (office.vault.clone(), office.address);
        let door = Door::Sessions { office: Box::new(office), people, machines };
        (Self::opened(door, machine, (vault, address, ORIGIN), cases).await, staff)
    }

    async fn opened(
        door: Door,
        machine: String,
        (vault, address, base_url): (Vault, SocketAddr, &'static str),
        cases: Vec<Case>,
    ) -> Self {
        let index = tempfile::tempdir().unwrap();
        vault.keep_ledger_index_in(index.path(), true).unwrap();
        let hospital = Self { door, machine, vault, address, base_url, cases, _ledger_index: index };
        hospital.put_all(&foundation()).await;
        hospital.put_all(&places()).await;
        for case in &hospital.cases {
            hospital.fill(*case).await;
        }
        for role in [Role::Clinician, Role::Nurse] {
            for case in hospital.cases.iter().filter(|case| case.is_emergency()) {
                hospital.emergency(role, &case.patient(role)).await;
            }
        }
        hospital
    }

    /// Stores the patients of a case.
    async fn fill(&self, case: Case) {
        for patient in case.patients() {
            let records = case.records(&patient);
            if case.relation == Some(Relation::Registered) {
                let (_, who) = STAFF.into_iter().find(|(role, _)| case.patient(*role) == patient).unwrap();
                let Door::Tokens { ward, .. } = &self.door else { panic!("only by tokens") };
                // Who puts somebody on file by a machine of theirs did it under an id that they chose.
                let machine = ward.token(Role::Integrator, Some(who), &[]).await;
                self.put_with(&machine, &records[..1]).await;
            }
            self.put_all(&records).await;
            self.put_all(&[audit_event(&patient), subscription(&patient)]).await;
            if case.relation == Some(Relation::SelfDeclared) {
                let Door::Tokens { ward, .. } = &self.door else { panic!("only by tokens") };
                for (_, who) in STAFF {
                    let mut stay = records[1].clone();
                    stay.as_object_mut().unwrap().remove("id");
                    stay["participant"] = json!([{"individual": {"reference": format!("Practitioner/{who}")}}]);
                    // The desk may write a stay of anybody, and so name itself in it.
                    let desk = ward.token(Role::Reception, Some(who), &[]).await;
                    let made = ward.ask_with(&desk, Ask::new("POST", "/Encounter").json(stay.to_string())).await;
                    assert_eq!(made.status, 201, "{:?}", made.body);
                }
            }
        }
    }

    async fn emergency(&self, role: Role, patient: &str) {
        match &self.door {
            Door::Tokens { ward, secrets } => ward.emergency(&secrets[&role], patient).await,
            Door::Sessions { office, people, .. } => {
                let text = "found unconscious in the corridor";
                let declared = json!({"patient": patient, "reason": "vital-emergency", "text": text, "minutes": 60});
                let answer = office.ask(&people[&role], "POST", "/_break-glass", Some(declared)).await;
                assert_eq!(answer.status, 201, "{:?}", answer.body);
            }
        }
    }

    /// The secret of a token that was made at the machine for somebody of this role, who acts for these patients.
    pub(super) async fn token(&self, role: Role, patients: &[String]) -> String {
        let origin = Origin { address: None, channel: Channel::CommandLine };
        let operation = OperationId::random(&SecureRng);
        let keeper = Caller::new("operator", Role::Operator, PurposeOfUse::SystemAdministration, origin, operation);
        let practitioner = practitioner(role).map(|id| ResourceId::parse(id).unwrap());
        let patients: Vec<ResourceId> = patients.iter().map(|id| ResourceId::parse(id).unwrap()).collect();
        let until = Timestamp::parse(NOW).unwrap().plus_ms(86_400_000);
        let made = self.vault.create_token_for(&keeper, role.as_str(), role, until, practitioner.as_ref(), &patients);
        made.await.unwrap().1.reveal().to_owned()
    }

    /// The account of a role; only where people have some.
    pub(super) fn account(&self, role: Role) -> Option<&Somebody> {
        match &self.door {
            Door::Tokens { .. } => None,
            Door::Sessions { people, .. } => people.get(&role),
        }
    }

    pub(super) fn office(&self) -> &Office {
        match &self.door {
            Door::Tokens { .. } => panic!("nobody has an account here"),
            Door::Sessions { office, .. } => office,
        }
    }

    /// A request by somebody of this role.
    pub(super) async fn ask(&self, role: Role, ask: Ask) -> Answer {
        match &self.door {
            Door::Tokens { ward, secrets } => match role {
                Role::Integrator => ask.bearer(&secrets[&role]).send(self.address).await,
                _ => ward.ask_with(&secrets[&role], ask).await,
            },
            Door::Sessions { office, people, machines } => match people.get(&role) {
                Some(somebody) => office.send(ask, somebody, None).await,
                None => ask.bearer(&machines[&role]).send(self.address).await,
            },
        }
    }

    /// A request by the machine that stores everything.
    pub(super) async fn machine(&self, ask: Ask) -> Answer {
        ask.bearer(&self.machine).send(self.address).await
    }

    pub(super) async fn put_all(&self, records: &[Value]) {
        self.put_with(&self.machine, records).await;
    }

    async fn put_with(&self, token: &str, records: &[Value]) {
        let entry = |record: &Value| {
            let url = format!("{}/{}", record["resourceType"].as_str().unwrap(), record["id"].as_str().unwrap());
            json!({"resource": record, "request": {"method": "PUT", "url": url}})
        };
        let entries: Vec<Value> = records.iter().map(entry).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        let ask = Ask::new("POST", "/").json(bundle.to_string());
        let answer = ask.bearer(token).send(self.address).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }

    /// The version of a record as the machine sees it.
    pub(super) async fn version(&self, kind: &str, id: &str) -> Option<String> {
        let answer = self.machine(Ask::new("GET", &format!("/{kind}/{id}"))).await;
        (answer.status == 200).then(|| answer.value()["meta"]["versionId"].as_str().unwrap().to_owned())
    }

    /// The path of an address of ours.
    pub(super) fn path_in(&self, url: &str) -> String {
        url.strip_prefix(self.base_url).unwrap().to_owned()
    }
}
