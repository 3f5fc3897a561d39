//! Visibilities that were kept and followed changes, against those made from nothing.

use super::*;
use crate::breakglass::{BreakGlass, BtgReason};
use crate::facts::facts_of;
use proptest::prelude::*;
use tacet_fhir::json::{Limits, parse_str};
use tacet_types::{PatientSet, ResourceType};

const START: &str = "2026-03-02T11:00:00Z";

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn start() -> Timestamp {
    Timestamp::parse(START).unwrap()
}

fn put(care: &mut CareData, text: &str, writer: Option<&str>) {
    let json = parse_str(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let kind = tacet_fhir::resource::resource_type(&json).unwrap();
    let key = (kind, tacet_fhir::resource::id(&json).unwrap());
    let facts = facts_of(kind, &key.1, &json);
    let facts = match writer {
        Some(writer) => facts.map(|facts| facts.written_by(&id(writer), None)),
        None => facts,
    };
    care.put(key, facts);
}

fn consent(name: usize, patient: usize, provision: &str) -> String {
    format!(
        r#"{{"resourceType":"Consent","id":"c{name}","status":"active","patient":{{"reference":"Patient/p{patient}"}},"provision":{{{provision}}},
        "scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}}}}"#
    )
}

const PROVISIONS: [&str; 9] = [
    r#""type":"permit""#,
    r#""type":"deny""#,
    r#""type":"deny","period":{"start":"2026-03-02T11:00:30Z","end":"2026-03-02T11:02:00Z"}"#,
    r#""type":"deny","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HOPERAT"}]"#,
    r#""type":"permit","period":{"end":"2026-03-02T11:01:00Z"},"actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"Practitioner/d0"}}]"#,
    r#""type":"permit","actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"Organization/o"}}]"#,
    r#""type":"deny","actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"Group/g"}}]"#,
    r#""type":"permit","dataPeriod":{"start":"2022-01-01","end":"2022-12-31"}"#,
    r#""type":"deny","provision":[{"type":"permit","actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"CareTeam/t"}}]}]"#,
];

const ENCOUNTERS: [&str; 6] = [
    r#""status":"in-progress","class":{"code":"IMP"},"period":{"start":"2026-03-01"},"location":[{"location":{"reference":"Location/w"}}]"#,
    r#""status":"in-progress","class":{"code":"AMB"},"period":{"start":"2026-03-01"},"participant":[{"individual":{"reference":"Practitioner/d0"}}]"#,
    r#""status":"finished","class":{"code":"IMP"},"period":{"start":"2026-02-20","end":"2026-02-27T11:01:00Z"},"participant":[{"individual":{"reference":"Practitioner/d1"}}]"#,
    r#""status":"planned","class":{"code":"IMP"}"#,
    r#""status":"in-progress","class":{"code":"IMP"},"period":{"start":"2026-03-01"},"location":[{"location":{"reference":"Location/w"},"period":{"start":"2026-03-02T11:01:30Z"}}]"#,
    r#""status":"cancelled""#,
];

/// A change of care data, or of the time.
#[derive(Clone, Debug)]
enum Step {
    Consent(usize, usize, usize),
    Encounter(usize, usize, usize, bool),
    Flag(usize, &'static str),
    Order(usize, usize, bool),
    Prescription(usize, usize, &'static str),
    Group(bool),
    Team(bool, bool),
    Gone(&'static str, usize),
    Emergency(usize, i64),
    Registered(usize),
    Later(i64),
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let (name, patient) = (0..6_usize, 0..5_usize);
    let labels = proptest::sample::select(vec!["", "detained", "vip", "restricted"]);
    let kinds = proptest::sample::select(vec!["Consent", "Encounter", "ServiceRequest", "MedicationRequest"]);
    let status = proptest::sample::select(vec!["active", "completed"]);
    prop_oneof![
        5 => (name.clone(), patient.clone(), 0..PROVISIONS.len()).prop_map(|(n, p, k)| Step::Consent(n, p, k)),
        5 => (name.clone(), patient.clone(), 0..ENCOUNTERS.len(), any::<bool>())
            .prop_map(|(n, p, k, own)| Step::Encounter(n, p, k, own)),
        3 => (patient.clone(), labels).prop_map(|(p, label)| Step::Flag(p, label)),
        2 => (name.clone(), patient.clone(), any::<bool>()).prop_map(|(n, p, own)| Step::Order(n, p, own)),
        2 => (name.clone(), patient.clone(), status).prop_map(|(n, p, status)| Step::Prescription(n, p, status)),
        1 => any::<bool>().prop_map(Step::Group),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(member, own)| Step::Team(member, own)),
        4 => (kinds, name).prop_map(|(kind, n)| Step::Gone(kind, n)),
        1 => (patient.clone(), 0..90_000_i64).prop_map(|(p, lasts)| Step::Emergency(p, lasts)),
        1 => patient.prop_map(Step::Registered),
        3 => prop_oneof![Just(10_i64), Just(29_999), Just(30_001), Just(86_400_000 * 28), Just(-40_000)].prop_map(Step::Later),
        1 => Just(Step::Forget),
    ]
}

fn take(care: &mut CareData, now: &mut Timestamp, step: &Step) {
    let own = |own: bool| own.then_some("d0");
    match step {
        Step::Consent(name, patient, kind) => put(care, &consent(*name, *patient, PROVISIONS[*kind]), None),
        Step::Encounter(name, patient, kind, alone) => {
            let (patient, rest) = (format!(r#""subject":{{"reference":"Patient/p{patient}"}}"#), ENCOUNTERS[*kind]);
            put(care, &format!(r#"{{"resourceType":"Encounter","id":"e{name}",{patient},{rest}}}"#), own(*alone));
        }
        Step::Flag(patient, label) => {
            let system = "https://tacet.invalid/CodeSystem/confidentiality";
            let label = match *label {
                "" => String::new(),
                code => format!(r#","meta":{{"security":[{{"system":"{system}","code":"{code}"}}]}}"#),
            };
            put(care, &format!(r#"{{"resourceType":"Patient","id":"p{patient}","active":true{label}}}"#), None);
        }
        Step::Order(name, patient, alone) => {
            let text = format!(
                r#"{{"resourceType":"ServiceRequest","id":"s{name}","status":"active","intent":"order","subject":{{"reference":"Patient/p{patient}"}},
                "authoredOn":"2026-03-02","category":[{{"coding":[{{"code":"LAB"}}]}}],"requester":{{"reference":"Practitioner/d0"}}}}"#
            );
            put(care, &text, own(*alone));
        }
        Step::Prescription(name, patient, status) => {
            let text = format!(
                r#"{{"resourceType":"MedicationRequest","id":"m{name}","status":"{status}","intent":"order","subject":{{"reference":"Patient/p{patient}"}},
                "authoredOn":"2026-02-02","requester":{{"reference":"Practitioner/d1"}}}}"#
            );
            put(care, &text, None);
        }
        Step::Group(member) => {
            let who = if *member { "d0" } else { "d9" };
            let text = format!(
                r#"{{"resourceType":"Group","id":"g","type":"practitioner","actual":true,"member":[{{"entity":{{"reference":"Practitioner/{who}"}}}}]}}"#
            );
            put(care, &text, None);
        }
        Step::Team(member, alone) => {
            let who = if *member { "d0" } else { "d9" };
            let text = format!(
                r#"{{"resourceType":"CareTeam","id":"t","status":"active","subject":{{"reference":"Patient/p1"}},"participant":[{{"member":{{"reference":"Practitioner/{who}"}}}}]}}"#
            );
            put(care, &text, own(*alone));
        }
        Step::Gone(kind, name) => {
            let letter = kind.chars().next().unwrap().to_ascii_lowercase();
            care.put((ResourceType::parse(kind).unwrap(), id(&format!("{letter}{name}"))), None);
        }
        Step::Emergency(patient, lasts) => care.put_break_glass(BreakGlass {
            id: format!("b{patient}"),
            account: "dr".into(),
            patient: id(&format!("p{patient}")),
            reason: BtgReason::Other,
            text: "t".into(),
            from: *now,
            until: now.plus_ms(*lasts),
        }),
        Step::Registered(patient) => care.put_registration(id(&format!("p{patient}")), id("d0"), *now),
        Step::Later(by) => *now = now.plus_ms(*by),
        Step::Forget => drop(care.forget(*now)),
    }
}

fn somebody(role: Role) -> Subject {
    let staff = !matches!(role, Role::Patient | Role::Integrator);
    Subject {
        account: "dr".into(),
        role,
        practitioner: staff.then(|| id("d0")),
        patients: if role == Role::Patient { vec![id("p0")] } else { Vec::new() },
        purpose: Purpose::usual(role).as_str(),
        strong: true,
        supplier: false,
        approved: None,
    }
}

fn subjects() -> Vec<(Subject, Act)> {
    let mut all: Vec<(Subject, Act)> = [
        (Role::Clinician, Act::Read),
        (Role::Clinician, Act::Relabel),
        (Role::Nurse, Act::Write),
        (Role::Pharmacist, Act::Read),
        (Role::Laboratory, Act::Read),
        (Role::Reception, Act::Read),
        (Role::Patient, Act::Read),
        (Role::Integrator, Act::Read),
        (Role::Auditor, Act::Read),
    ]
    .map(|(role, act)| (somebody(role), act))
    .into();
    all.push((Subject { practitioner: None, ..somebody(Role::Nurse) }, Act::Read));
    all.push((Subject { practitioner: Some(id("d1")), account: "d1".into(), ..somebody(Role::Clinician) }, Act::Read));
    all
}

/// The classes, whatever their order.
fn plain(visibility: &Visibility) -> Vec<String> {
    let ids = |ids: &HashSet<ResourceId>| {
        let mut ids: Vec<&str> = ids.iter().map(ResourceId::as_str).collect();
        ids.sort_unstable();
        ids.join(",")
    };
    let criteria = |criteria: &[tacet_types::Criterion]| {
        let text = |criterion: &tacet_types::Criterion| match criterion {
            tacet_types::Criterion::Is(kind, id) => format!("is {kind}/{}", id.as_str()),
            tacet_types::Criterion::RefersTo(kind, id) => format!("to {kind}/{}", id.as_str()),
            within => format!("{within:?}"),
        };
        criteria.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    let class = |class: &tacet_types::Class| {
        let patients = match &class.patients {
            PatientSet::Nobody => "nobody".to_owned(),
            PatientSet::Only(only) => format!("only {}", ids(only)),
            PatientSet::AllBut(but) => format!("all but {}", ids(but)),
        };
        let (only, except) = (criteria(&class.only), criteria(&class.except));
        format!("{patients} | {:?} {:?} [{only}] [{except}] {} {}", class.types, class.labels, class.told, class.basis)
    };
    let mut all: Vec<String> = visibility.classes.iter().map(class).collect();
    all.sort_unstable();
    all
}

fn rota(care: &mut CareData) {
    put(
        care,
        r#"{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/d0"},"organization":{"reference":"Organization/o"},
        "location":[{"reference":"Location/w"}]}"#,
        None,
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_follows_changes_is_what_is_made_from_nothing(
        steps in proptest::collection::vec((step(), any::<prop::sample::Index>()), 1..60),
    ) {
        let (policies, settings) = (Policies::built_in(), CareSettings::default());
        let maker = Maker::new(Arc::clone(&policies), settings.clone());
        let (mut care, mut now) = (CareData::new(), start());
        rota(&mut care);
        let subjects = subjects();
        let check = |care: &CareData, now: Timestamp, (subject, act): &(Subject, Act)| {
            let made = maker.visibility(care, subject, *act, now);
            let anew = crate::visibility(&policies, care, &settings, subject, *act, now);
            prop_assert_eq!(plain(&made.visibility), plain(&anew), "{} {}", subject.role, act);
            prop_assert_eq!(made.epoch, care.epoch());
            // It holds until the moment that was named.
            if let Some(last) = made.until.map(|until| until.plus_ms(-1)).filter(|last| *last > now) {
                let then = crate::visibility(&policies, care, &settings, subject, *act, last);
                let moment = |visibility: &Visibility| {
                    let within = |of: &str| of.contains("Within");
                    plain(visibility).into_iter().filter(|of| !within(of)).collect::<Vec<_>>()
                };
                prop_assert_eq!(moment(&made.visibility), moment(&then), "{} {} until {:?}", subject.role, act, last);
            }
            Ok(())
        };
        for (step, whom) in &steps {
            take(&mut care, &mut now, step);
            check(&care, now, whom.get(&subjects))?;
        }
        for subject in &subjects {
            check(&care, now, subject)?;
        }
    }
}

/// Care data that change whenever they are let go of: as a hospital does to whoever is making something.
struct Restless {
    care: Mutex<(CareData, usize)>,
}

impl CareAccess for Restless {
    fn with<R>(&self, ask: impl FnOnce(&CareData) -> R) -> R {
        let mut held = self.care.lock().unwrap();
        let (care, asked) = &mut *held;
        let answer = ask(care);
        *asked += 1;
        // Twice as many patients as changes are kept, so that whoever follows also falls behind.
        for number in 0..(*asked % 30) {
            put(care, &consent(number % 24, number % 24, PROVISIONS[(*asked + number) % 2]), None);
        }
        answer
    }
}

#[test]
fn changes_while_it_is_made_are_in_it_or_after_it() {
    let maker = Maker::new(Policies::built_in(), CareSettings::default());
    let restless = Restless { care: Mutex::new((CareData::new(), 0)) };
    for _ in 0..20 {
        for (subject, act) in subjects() {
            let made = maker.visibility(&restless, &subject, act, start());
            assert!(made.epoch <= restless.care.lock().unwrap().0.epoch());
        }
    }
    let quiet = restless.care.into_inner().unwrap().0;
    for (subject, act) in subjects() {
        let made = maker.visibility(&quiet, &subject, act, start());
        let anew = crate::visibility(&Policies::built_in(), &quiet, &CareSettings::default(), &subject, act, start());
        assert_eq!(plain(&made.visibility), plain(&anew), "{} {act}", subject.role);
    }
}

#[test]
fn bases_are_few() {
    let maker = Maker::new(Policies::built_in(), CareSettings::default());
    let care = CareData::new();
    for purpose in Purpose::all() {
        maker.visibility(&care, &Subject { purpose: purpose.as_str(), ..somebody(Role::Nurse) }, Act::Read, start());
    }
    assert_eq!(maker.bases.lock().unwrap().0.len(), BASES_MAX);
    for number in 0..50 {
        let subject = Subject { account: format!("a{number}"), ..somebody(Role::Nurse) };
        maker.visibility(&care, &subject, Act::Read, start());
    }
    assert_eq!(maker.bases.lock().unwrap().0.len(), BASES_MAX, "accounts share them");
}

/// Figures for docs/policy.md: `cargo test -p tacet-policy --release many_consents -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn many_consents() {
    use std::time::Instant;
    let count: usize = std::env::var("TACET_TEST_CONSENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let mut care = CareData::new();
    rota(&mut care);
    for number in 0..count {
        // Most sign what everybody signs; some refuse, all of it or one purpose; some name the hospital.
        let kind = [0, 0, 0, 0, 0, 0, 1, 3, 5, 7][number % 10];
        put(&mut care, &consent(number, number, PROVISIONS[kind]), None);
    }
    for number in 0..300 {
        take(&mut care, &mut start(), &Step::Encounter(number, number, 0, false));
    }
    let (policies, settings) = (Policies::built_in(), CareSettings::default());
    // As many as bases are kept in tests.
    let mut asked = subjects();
    asked.truncate(BASES_MAX - 1);
    for (subject, act) in &asked {
        // What Cedar is asked once is not what is measured.
        crate::visibility(&policies, &CareData::new(), &settings, subject, *act, start());
    }
    let maker_of = |what: &str, care: &CareData, maker: &Maker| {
        for (subject, act) in &asked {
            let begun = Instant::now();
            let made = maker.visibility(care, subject, *act, start());
            println!(
                "{what}: {} {act}: {:?}, {} classes",
                subject.role,
                begun.elapsed(),
                made.visibility.classes.len()
            );
        }
    };
    for (subject, act) in &asked {
        let begun = Instant::now();
        let made = crate::visibility(&policies, &care, &settings, subject, *act, start());
        println!("from nothing: {} {act}: {:?}, {} classes", subject.role, begun.elapsed(), made.classes.len());
    }
    let cold = Maker::new(Arc::clone(&policies), settings);
    maker_of("first of a role", &care, &cold);
    maker_of("again", &care, &cold);
    take(&mut care, &mut start(), &Step::Encounter(7, 900, 0, false));
    maker_of("after an admission", &care, &cold);
    put(&mut care, &consent(11, 11, PROVISIONS[1]), None);
    maker_of("after a consent", &care, &cold);
}
