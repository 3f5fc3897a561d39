//! What a patient may have to do with somebody, how that comes to be, and what it opens to whom: as docs/policy.md says it, and written
//! down here by hand. No policy is asked for it.

use crate::ward::{ACT_CODE, Chart, OWN_CODES, refusal};
use serde_json::{Value, json};
use tacet_policy::Relation;
use tacet_vault::Role;

/// What is out of the ordinary beside the relation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum But {
    /// Nothing.
    Plain,
    /// The patient refuses everybody.
    Denied,
    /// The patient consents and names nobody, as everybody does at admission.
    Permitted,
    /// The patient consents and names all of the staff.
    PermittedByName,
    /// Carers declared an emergency.
    Emergency,
    /// The same, and the patient refuses everybody.
    DeniedEmergency,
    /// The same, of a detained patient, whose Observation tells of a transport.
    TransportEmergency,
    /// A known person.
    Vip,
    /// Detained.
    Detained,
    /// Works here.
    Employee,
    /// Restricted for another reason.
    Restricted,
    /// The Observation is about HIV.
    Labelled,
}

/// A patient who stands so to everybody of the staff.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Case {
    pub(super) relation: Option<Relation>,
    pub(super) but: But,
}

/// Every relation by itself, and none.
pub(super) fn plain() -> Vec<Case> {
    let relations = Relation::ALL.iter().copied().map(Some).chain([None]);
    relations.map(|relation| Case { relation, but: But::Plain }).collect()
}

/// What changes what a relation opens.
pub(super) fn otherwise() -> Vec<Case> {
    [
        (None, But::Permitted),
        (None, But::PermittedByName),
        (None, But::Emergency),
        (None, But::DeniedEmergency),
        (None, But::TransportEmergency),
        (Some(Relation::Inpatient), But::Permitted),
        (Some(Relation::EncounterParticipant), But::Denied),
        (Some(Relation::OwnRecord), But::Denied),
        (Some(Relation::WardEncounter), But::Vip),
        (Some(Relation::CareTeam), But::Vip),
        (Some(Relation::Inpatient), But::Vip),
        (Some(Relation::WardEncounter), But::Detained),
        (Some(Relation::OwnRecord), But::Detained),
        (Some(Relation::OnCall), But::Employee),
        (Some(Relation::Appointment), But::Employee),
        (Some(Relation::OpenOrder), But::Restricted),
        (Some(Relation::Order), But::Restricted),
        (Some(Relation::WardEncounter), But::Labelled),
        (Some(Relation::EncounterParticipant), But::Labelled),
        (Some(Relation::Order), But::Labelled),
        (Some(Relation::OwnRecord), But::Labelled),
    ]
    .map(|(relation, but)| Case { relation, but })
    .to_vec()
}

/// Who of the hospital's staff a role stands for.
pub(super) const STAFF: [(Role, &str); 5] = [
    (Role::Clinician, "dr-ward"),
    (Role::Nurse, "nurse-a"),
    (Role::Pharmacist, "pharma"),
    (Role::Laboratory, "lab"),
    (Role::Reception, "desk"),
];

pub(super) fn practitioner(role: Role) -> Option<&'static str> {
    STAFF.iter().find(|(known, _)| *known == role).map(|(_, who)| *who)
}

/// Where all of the staff work, and where all of them are on call; in `ward-b` none of them is either.
const WARD: &str = "ward-c";
const ON_CALL: &str = "ward-d";

fn reference(kind: &str, id: &str) -> Value {
    json!({ "reference": format!("{kind}/{id}") })
}

fn of_staff<T>(make: impl Fn(&str) -> T) -> Vec<T> {
    STAFF.iter().map(|(_, who)| make(who)).collect()
}

/// Where the staff work, and who is on call.
pub(super) fn places() -> Vec<Value> {
    let mut records: Vec<Value> = [WARD, ON_CALL]
        .map(|ward| json!({"resourceType": "Location", "id": ward, "name": ward, "status": "active"}))
        .to_vec();
    records.extend(of_staff(|who| {
        json!({"resourceType": "PractitionerRole", "id": format!("at-{who}"), "active": true,
            "practitioner": reference("Practitioner", who), "location": [reference("Location", WARD)]})
    }));
    let mut actors = of_staff(|who| reference("Practitioner", who));
    actors.push(reference("Location", ON_CALL));
    records.push(json!({"resourceType": "Schedule", "id": "duty", "active": true, "serviceType": [{"text": "garde"}], "actor": actors}));
    records.push(
        json!({"resourceType": "Slot", "id": "duty", "schedule": reference("Schedule", "duty"), "status": "busy",
        "start": "2026-03-02T08:00:00Z", "end": "2026-03-02T20:00:00Z"}),
    );
    records
}

impl Case {
    /// The patient: one for everybody, save that only one can have put somebody on file.
    pub(super) fn patient(self, role: Role) -> String {
        let relation = self.relation.map_or("nothing", Relation::as_str);
        match (self.relation, self.but) {
            (Some(Relation::Registered), _) => format!("p-registered-{}", practitioner(role).unwrap_or("desk")),
            (_, But::Plain) => format!("p-{relation}"),
            (_, but) => format!("p-{relation}-{but:?}").to_lowercase(),
        }
    }

    /// The patients of whom one is this to somebody.
    pub(super) fn patients(self) -> Vec<String> {
        let mut all: Vec<String> = STAFF.iter().map(|(role, _)| self.patient(*role)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The Observation of the patient.
    pub(super) fn observation(self, patient: &str) -> Value {
        let mut record = Chart::of(patient).records().swap_remove(2);
        let mut meta = json!({"tag": [{"system": "urn:matrix", "code": format!("tag-{patient}")}]});
        match self.but {
            But::Labelled => meta["security"] = json!([{"system": ACT_CODE, "code": "HIV"}]),
            But::TransportEmergency => meta["security"] = json!([{"system": OWN_CODES, "code": "transport"}]),
            _ => {}
        }
        record["meta"] = meta;
        record
    }

    /// All that there is of the patient, as a machine of the hospital stores it.
    pub(super) fn records(self, patient: &str) -> Vec<Value> {
        let labels: &[(&str, &str)] = match self.but {
            But::Vip => &[(ACT_CODE, "CEL")],
            But::Detained | But::TransportEmergency => &[(OWN_CODES, "detained")],
            But::Employee => &[(ACT_CODE, "EMP")],
            But::Restricted => &[("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")],
            But::Plain | But::Denied | But::Permitted | But::PermittedByName => &[],
            But::Emergency | But::DeniedEmergency | But::Labelled => &[],
        };
        let participants = STAFF.map(|(_, who)| who);
        let away = Chart { labels, ward: "ward-b", class: "AMB", ..Chart::of(patient) };
        let subject = reference("Patient", patient);
        let persons = of_staff(|who| reference("Practitioner", who));
        let request = |code: Value| {
            json!({"resourceType": "ServiceRequest", "id": format!("s-{patient}"), "status": "active", "intent": "order",
                "category": code, "code": {"text": "something"}, "subject": subject, "authoredOn": "2026-03-01"})
        };
        let coded = |code: &str| json!([{"coding": [{"system": "http://snomed.info/sct", "code": code}]}]);
        let (mut chart, mut more, mut doctors) = (away, Vec::new(), None);
        // A relation without a line does not compile.
        match self.relation {
            // By the account, by whoever stores the first version, and by whoever writes of themselves.
            None | Some(Relation::OwnRecord | Relation::Registered | Relation::SelfDeclared) => {}
            Some(Relation::EncounterParticipant) => chart.participants = &participants,
            Some(Relation::CareTeam) => {
                let members: Vec<Value> = persons.iter().map(|who| json!({ "member": who })).collect();
                more.push(json!({"resourceType": "CareTeam", "id": format!("t-{patient}"), "status": "active", "subject": subject,
                    "participant": members}));
            }
            Some(Relation::Appointment) => {
                let actors = persons.iter().chain([&subject]);
                let actors: Vec<Value> = actors.map(|actor| json!({"actor": actor, "status": "accepted"})).collect();
                more.push(json!({"resourceType": "Appointment", "id": format!("m-{patient}"), "status": "booked",
                    "start": "2026-03-05T09:00:00Z", "end": "2026-03-05T09:30:00Z", "participant": actors}));
            }
            Some(Relation::Order) => {
                let mut order = request(json!([{"text": "physiotherapy"}]));
                order["performer"] = json!(persons);
                more.push(order);
            }
            Some(Relation::Referral) => {
                let mut order = request(coded("3457005"));
                order["performer"] = json!(persons);
                more.push(order);
            }
            Some(Relation::GeneralPractitioner) => doctors = Some(json!(persons)),
            Some(Relation::WardEncounter) => chart.ward = WARD,
            Some(Relation::OnCall) => chart.ward = ON_CALL,
            Some(Relation::Inpatient) => chart.class = "IMP",
            Some(Relation::Prescription) => {
                more.push(json!({"resourceType": "MedicationRequest", "id": format!("r-{patient}"), "status": "active", "intent": "order",
                    "subject": subject, "authoredOn": "2026-03-01", "medicationCodeableConcept": {"text": "aspirin"}}));
            }
            Some(Relation::OpenOrder) => more.push(request(coded("108252007"))),
        }
        let mut records = chart.records();
        if let Some(doctors) = doctors {
            records[0]["generalPractitioner"] = doctors;
        }
        records[2] = self.observation(patient);
        records.extend(more);
        records.extend(self.consent(patient));
        records.push(json!({"resourceType": "Group", "id": format!("g-{patient}"), "type": "person", "actual": true,
            "member": [{"entity": subject}]}));
        records
    }

    fn consent(self, patient: &str) -> Option<Value> {
        let mut consent = refusal(patient);
        consent["provision"]["type"] = json!("permit");
        match self.but {
            But::Denied | But::DeniedEmergency => Some(refusal(patient)),
            But::Permitted => Some(consent),
            But::PermittedByName => {
                let code = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]});
                let actor = |who: &str| json!({"role": code, "reference": reference("Practitioner", who)});
                consent["provision"]["actor"] = json!(of_staff(actor));
                Some(consent)
            }
            _ => None,
        }
    }

    /// Whether carers have declared an emergency.
    pub(super) fn is_emergency(self) -> bool {
        matches!(self.but, But::Emergency | But::DeniedEmergency | But::TransportEmergency)
    }

    fn is_set_apart(self) -> bool {
        matches!(self.but, But::Vip | But::Detained | But::TransportEmergency | But::Employee | But::Restricted)
    }
}

/// Kinds of records of which every patient here has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Patient,
    Encounter,
    Observation,
    Condition,
    Allergy,
    Appointment,
    Account,
    Document,
    Group,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Patient,
        Self::Encounter,
        Self::Observation,
        Self::Condition,
        Self::Allergy,
        Self::Appointment,
        Self::Account,
        Self::Document,
        Self::Group,
    ];

    /// Type and id.
    pub(super) fn record(self, patient: &str) -> (&'static str, String) {
        let (kind, prefix) = match self {
            Self::Patient => ("Patient", ""),
            Self::Encounter => ("Encounter", "e-"),
            Self::Observation => ("Observation", "o-"),
            Self::Condition => ("Condition", "c-"),
            Self::Allergy => ("AllergyIntolerance", "a-"),
            Self::Appointment => ("Appointment", "ap-"),
            Self::Account => ("Account", "ac-"),
            Self::Document => ("DocumentReference", "d-"),
            Self::Group => ("Group", "g-"),
        };
        (kind, format!("{prefix}{patient}"))
    }

    /// Whether a role has to do with such records at all.
    fn is_for(self, role: Role) -> bool {
        use Kind::{Account, Allergy, Appointment, Encounter, Observation, Patient};
        match role {
            Role::Clinician | Role::Nurse | Role::Patient | Role::Integrator => true,
            Role::Pharmacist => matches!(self, Patient | Encounter | Allergy | Observation),
            Role::Laboratory => matches!(self, Patient | Observation),
            Role::Reception => matches!(self, Patient | Encounter | Appointment | Account),
            Role::Feed | Role::Auditor | Role::SecurityOfficer | Role::Administrator | Role::Operator => false,
        }
    }
}

/// To whom a relation opens what is there for the role. A relation without a line does not compile.
fn opened_by(relation: Relation) -> &'static [Role] {
    use Role::{Clinician, Laboratory, Nurse, Patient, Pharmacist};
    match relation {
        Relation::OwnRecord => &[Patient],
        Relation::EncounterParticipant | Relation::CareTeam => &[Clinician, Nurse, Pharmacist],
        Relation::Order => &[Clinician, Nurse, Pharmacist, Laboratory],
        Relation::Appointment | Relation::Referral | Relation::Registered => &[Clinician, Nurse],
        Relation::WardEncounter | Relation::OnCall | Relation::SelfDeclared => &[Clinician, Nurse],
        Relation::GeneralPractitioner => &[Clinician],
        // Of the hospital and not of a person: for pharmacy and laboratory.
        Relation::Inpatient | Relation::Prescription => &[Pharmacist],
        Relation::OpenOrder => &[Laboratory],
    }
}

/// Whether somebody of this relation is in charge, so that a patient set apart is open to them.
fn in_charge(relation: Relation) -> bool {
    match relation {
        Relation::EncounterParticipant | Relation::CareTeam | Relation::Appointment | Relation::Order => true,
        Relation::Referral | Relation::GeneralPractitioner | Relation::Registered => false,
        Relation::WardEncounter | Relation::OnCall | Relation::SelfDeclared => false,
        Relation::Inpatient | Relation::Prescription | Relation::OpenOrder => false,
        // That is the patient, and nobody of the staff.
        Relation::OwnRecord => false,
    }
}

/// Whether the relation opens the patient to the role; the desk needs none.
fn is_related(role: Role, case: Case) -> bool {
    role == Role::Reception || case.relation.is_some_and(|relation| opened_by(relation).contains(&role))
}

/// Whether it is the account of the patient.
pub(super) fn is_own(role: Role, case: Case) -> bool {
    role == Role::Patient && case.relation == Some(Relation::OwnRecord)
}

fn is_carer(role: Role) -> bool {
    matches!(role, Role::Clinician | Role::Nurse)
}

/// Whether somebody of this role sees this record.
pub(super) fn sees(role: Role, case: Case, kind: Kind) -> bool {
    match role {
        Role::Integrator => return true,
        Role::Feed | Role::Auditor | Role::SecurityOfficer | Role::Administrator | Role::Operator => return false,
        Role::Clinician | Role::Nurse | Role::Pharmacist | Role::Laboratory | Role::Reception | Role::Patient => {}
    }
    let ordinary = is_related(role, case) && kind.is_for(role);
    let (own, emergency) = (is_own(role, case), is_carer(role) && case.is_emergency());
    let of_care = matches!(role, Role::Clinician | Role::Nurse | Role::Pharmacist | Role::Laboratory);
    match case.but {
        But::Plain => ordinary,
        But::Denied => own,
        // Whoever has something to do with the patient sees what the patient opens, and nobody else.
        But::Permitted => ordinary || (of_care && is_related(role, case)),
        But::PermittedByName => ordinary || of_care,
        But::Emergency => ordinary || emergency,
        But::DeniedEmergency => emergency,
        But::TransportEmergency => emergency && kind != Kind::Observation,
        // What may tell when and where they are going to be moved is closed to the detained: the stay too, as long as it goes on.
        But::Detained if own => matches!(kind, Kind::Patient | Kind::Observation | Kind::Condition | Kind::Allergy),
        But::Vip | But::Detained | But::Employee | But::Restricted => {
            own || (ordinary && case.relation.is_some_and(in_charge))
        }
        But::Labelled if kind == Kind::Observation => {
            let near = [Relation::EncounterParticipant, Relation::CareTeam, Relation::Appointment];
            own || (is_carer(role) && case.relation.is_some_and(|relation| near.contains(&relation)))
        }
        But::Labelled => ordinary,
    }
}

/// Whether somebody of this role changes Observations, and makes new ones.
pub(super) fn changes_observations(role: Role, case: Case) -> bool {
    if !sees(role, case, Kind::Observation) {
        return false;
    }
    // A consent lets see, and nothing else.
    let by_consent = matches!(case.but, But::Permitted | But::PermittedByName);
    match role {
        Role::Integrator => true,
        Role::Pharmacist | Role::Reception | Role::Patient => false,
        _ if by_consent => false,
        // A nurse of the ward or in charge: not one who once was told of the patient.
        Role::Nurse => !matches!(case.relation, Some(Relation::Referral | Relation::Registered)),
        Role::Clinician | Role::Laboratory => true,
        Role::Feed | Role::Auditor | Role::SecurityOfficer | Role::Administrator | Role::Operator => false,
    }
}

/// Whether somebody reads in the ledger about the patient, by AuditEvents: who audits, and the patient, unless the dates could tell of a transport.
pub(super) fn is_told_of_accesses(role: Role, case: Case) -> bool {
    role == Role::Auditor || (is_own(role, case) && case.but != But::Detained)
}

/// Whether a copy that a second person allowed has the patient's Observation: that word stands in for a relation, and for nothing else.
pub(super) fn is_in_allowed_copy(role: Role, case: Case) -> bool {
    match role {
        Role::Integrator => true,
        Role::Clinician | Role::Nurse | Role::Pharmacist | Role::Laboratory => {
            !case.is_set_apart() && !matches!(case.but, But::Denied | But::DeniedEmergency | But::Labelled)
        }
        _ => false,
    }
}
