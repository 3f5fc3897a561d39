//! Small hospitals drawn by chance, and whatever somebody asks there: nothing is in an answer that a few lines of common sense would not
//! show, and what they would show is in it.

use crate::client::Ask;
use crate::ward::{ACT_CODE, Chart, OWN_CODES, Ward, family, refusal};
use serde_json::{Value, json};
use tacet_types::{Rng, SeededRng};

/// Hospitals, and requests in each.
const HOSPITALS: u64 = 4;
const REQUESTS: usize = 150;

const PATIENTS: [&str; 6] = ["p-one", "p-two", "p-three", "p-four", "p-five", "p-six"];

/// What is drawn of a patient.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    patient: &'static str,
    in_ward_a: bool,
    in_charge: bool,
    set_apart: u8,
    refused: bool,
    sensitive: bool,
}

struct Dice(SeededRng);

impl Dice {
    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % end
    }

    fn one_in(&self, of: usize) -> bool {
        self.below(of) == 0
    }
}

impl Drawn {
    fn by(dice: &Dice, patient: &'static str) -> Self {
        Self {
            patient,
            in_ward_a: dice.one_in(2),
            in_charge: dice.one_in(3),
            set_apart: if dice.one_in(3) { 1 + dice.below(3) as u8 } else { 0 },
            refused: dice.one_in(5),
            sensitive: dice.one_in(3),
        }
    }

    fn records(&self) -> Vec<Value> {
        let labels: &[(&str, &str)] = match self.set_apart {
            0 => &[],
            1 => &[(ACT_CODE, "VIP")],
            2 => &[(OWN_CODES, "detained")],
            _ => &[(ACT_CODE, "EMP")],
        };
        let participants: &[&str] = if self.in_charge { &["dr-own"] } else { &[] };
        let ward = if self.in_ward_a { "ward-a" } else { "ward-b" };
        let mut records = Chart { labels, participants, ward, ..Chart::of(self.patient) }.records();
        if self.sensitive {
            records[3]["meta"] = json!({"security": [{"system": ACT_CODE, "code": "PSY"}]});
        }
        if self.refused {
            records.push(refusal(self.patient));
        }
        records
    }

    /// Whether somebody sees a record of this patient, said in words rather than by policies.
    fn shows(&self, who: &str, kind: &str) -> bool {
        let apart = self.set_apart != 0;
        let secret = self.sensitive && kind == "Condition";
        if self.refused {
            return who == "machine";
        }
        match who {
            "machine" => true,
            // By name, in charge: everything of the patient.
            "own-doctor" => self.in_charge,
            // By the ward: what is neither set apart nor sensitive.
            "ward-doctor" | "nurse" => self.in_ward_a && !apart && !secret,
            "pharmacist" => {
                !apart && !secret && ["Patient", "Encounter", "AllergyIntolerance", "Observation"].contains(&kind)
            }
            "desk" => !apart && ["Patient", "Encounter", "Appointment", "Account"].contains(&kind),
            _ => false,
        }
    }
}

const KINDS: [(&str, &str); 8] = [
    ("Patient", ""),
    ("Encounter", "e-"),
    ("Observation", "o-"),
    ("Condition", "c-"),
    ("AllergyIntolerance", "a-"),
    ("Appointment", "ap-"),
    ("Account", "ac-"),
    ("DocumentReference", "d-"),
];

const WHO: [&str; 8] =
    ["machine", "own-doctor", "ward-doctor", "nurse", "pharmacist", "desk", "laboratory", "other-doctor"];

/// The records of drawn patients that are in an answer, whatever its shape: type and patient.
fn found_in(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| found_in(item, found)),
        Value::Object(members) => {
            if let (Some(kind), Some(id)) =
                (members.get("resourceType").and_then(Value::as_str), members.get("id").and_then(Value::as_str))
            {
                let prefix = KINDS.iter().find(|(name, _)| *name == kind).map_or("", |(_, prefix)| prefix);
                if let Some(patient) = id.strip_prefix(prefix).filter(|patient| PATIENTS.contains(patient)) {
                    found.push((kind.to_owned(), patient.to_owned()));
                }
            }
            members.values().for_each(|member| found_in(member, found));
        }
        _ => {}
    }
}

/// A request, and, where that is plain, the type and the patients of which it shows all that may be seen.
fn draw(dice: &Dice) -> (Ask, String, Option<(&'static str, Vec<&'static str>)>) {
    let patient = PATIENTS[dice.below(PATIENTS.len())];
    let (kind, prefix) = KINDS[dice.below(KINDS.len())];
    let id = format!("{prefix}{patient}");
    let all = PATIENTS.to_vec();
    let (path, plain) = match dice.below(20) {
        0 => (format!("/{kind}/{id}"), Some((kind, vec![patient]))),
        1 => (format!("/{kind}/{id}/_history"), Some((kind, vec![patient]))),
        2 => (format!("/{kind}/{id}/_history/1"), Some((kind, vec![patient]))),
        3 => (format!("/{kind}?_count=100"), Some((kind, all))),
        4 => (format!("/{kind}?_id={id}"), Some((kind, vec![patient]))),
        5 => (format!("/{kind}?_count=100&_include=*&_revinclude=*"), None),
        6 => (format!("/{kind}/_history?_count=100"), Some((kind, all))),
        7 => ("/_history?_count=100".to_owned(), None),
        8 => (format!("/Patient/{patient}/$everything?_count=100"), None),
        9 => (format!("/Encounter/e-{patient}/$everything"), None),
        10 => (format!("/Patient/{patient}/{kind}"), None),
        11 => (format!("/Observation?patient.family={}", family(patient)), None),
        12 => (format!("/Patient?_has:Condition:patient:code=SICK-{patient}"), None),
        13 => (format!("/Patient?family={}", family(patient)), Some(("Patient", vec![patient]))),
        14 => (
            format!("/Practitioner?_id=dr-gp&_revinclude=Patient:general-practitioner&_revinclude:iterate={kind}:*"),
            None,
        ),
        15 => (format!("/?_type={kind},Patient&_count=100"), None),
        16 => {
            ("/Location?_id=ward-a&_revinclude=Encounter:location&_include:iterate=Encounter:subject".to_owned(), None)
        }
        17 => {
            (format!("/Encounter?_id=e-{patient}&_include=Encounter:subject&_revinclude=Observation:encounter"), None)
        }
        18 => (format!("/{kind}?_security:missing=false&_count=100"), None),
        _ => (format!("/Patient/{patient}/*?_count=100"), None),
    };
    (Ask::new("GET", &path), path, plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_common_sense_shows() {
    let (mut shown, mut withheld) = (0, 0);
    for seed in 0..HOSPITALS {
        let dice = Dice(SeededRng::new(seed));
        let ward = Ward::open().await;
        let drawn: Vec<Drawn> = PATIENTS.iter().map(|patient| Drawn::by(&dice, patient)).collect();
        for patient in &drawn {
            ward.put_all(&patient.records()).await;
        }
        for _ in 0..REQUESTS {
            let who = WHO[dice.below(WHO.len())];
            let (ask, path, plain) = draw(&dice);
            let answer = ward.ask(who, ask).await;
            assert_ne!(answer.status, 500, "{path}");
            let mut found = Vec::new();
            found_in(&answer.value(), &mut found);
            let of = |patient: &str| drawn.iter().find(|drawn| drawn.patient == patient).unwrap();
            for (kind, patient) in &found {
                assert!(
                    of(patient).shows(who, kind),
                    "hospital {seed}: {who} sees {kind} of {:?} by {path}",
                    of(patient)
                );
                shown += 1;
            }
            let Some((kind, patients)) = plain else { continue };
            let mut expected = 0;
            for patient in patients {
                let may = of(patient).shows(who, kind);
                let is = found.iter().any(|(known, whose)| known == kind && whose == patient);
                assert!(
                    is || !may,
                    "hospital {seed}: {who} misses {kind} of {:?} by {path}: {:?}",
                    of(patient),
                    answer.body
                );
                withheld += usize::from(!may);
                expected += u64::from(may);
            }
            // What everybody of these hospitals has besides, `p-open`, is of no account here.
            let total = answer.value()["total"].as_u64().unwrap_or_default();
            assert!(
                total <= expected + 1 || path.contains("_history"),
                "hospital {seed}: {who} {path}: {total}, not {expected}"
            );
        }
    }
    assert!(shown > 400 && withheld > 150, "{shown} {withheld}");
}
