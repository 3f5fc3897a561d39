//! Visibilities against a plain reading of what they should be: each patient, type and set of labels asked of Cedar alone.

use super::*;
use crate::category::Category;
use crate::explain::{Verdict, explain};
use crate::situation::{ConsentRuling, Label, PatientFlags, Purpose, RecordScope, Situation};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tacet_types::{Basis, Criterion, Labels, ResourceType, Sight, TypeSet};

mod figures;

const NOW_MS: i64 = 1_700_000_000_000;

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn kind(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

/// Care data as a test says them.
#[derive(Clone, Default, Debug)]
struct Said {
    relations: BTreeMap<ResourceId, RelationSet>,
    hospital: BTreeMap<ResourceId, RelationSet>,
    flags: BTreeMap<ResourceId, PatientFlags>,
    consents: BTreeMap<ResourceId, Vec<ConsentRuling>>,
    emergencies: Vec<ResourceId>,
    plans: BTreeMap<ResourceId, Vec<ResourceId>>,
}

impl CareView for Said {
    fn relations(&self, _: &ResourceId, _: Timestamp, _: &CareSettings) -> HashMap<ResourceId, RelationSet> {
        self.relations.clone().into_iter().collect()
    }

    fn hospital(&self, _: Timestamp, _: &CareSettings) -> HashMap<ResourceId, RelationSet> {
        self.hospital.clone().into_iter().collect()
    }

    fn flags(&self, patient: &ResourceId) -> PatientFlags {
        self.flags.get(patient).copied().unwrap_or_default()
    }

    fn each_flagged(&self, _: Timestamp, each: &mut dyn FnMut(&ResourceId)) {
        let all: std::collections::BTreeSet<_> =
            self.flags.keys().chain(self.consents.keys()).chain(self.plans.keys()).collect();
        all.into_iter().for_each(each);
    }

    fn consents(&self, patient: &ResourceId, _: &Subject, _: Timestamp) -> Vec<ConsentRuling> {
        self.consents.get(patient).cloned().unwrap_or_default()
    }

    fn break_glass(&self, _: &str, _: Timestamp) -> Vec<ResourceId> {
        self.emergencies.clone()
    }

    fn plans(&self, patient: &ResourceId, _: Timestamp) -> Vec<ResourceId> {
        self.plans.get(patient).cloned().unwrap_or_default()
    }
}

fn somebody(role: Role) -> Subject {
    Subject {
        account: "somebody".into(),
        role,
        practitioner: Some(id("doc")),
        patients: vec![id("p0")],
        purpose: Purpose::usual(role).as_str(),
        strong: true,
        supplier: false,
        approved: None,
    }
}

/// A record as the index knows it.
#[derive(Clone, Debug)]
struct Record {
    resource_type: ResourceType,
    id: ResourceId,
    patients: Vec<ResourceId>,
    labels: Labels,
    date_ms: i64,
    encounter: ResourceId,
}

impl Record {
    fn meets(&self, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Is(kind, id) => *kind == self.resource_type && *id == self.id,
            Criterion::RefersTo(_, to) => *to == self.encounter,
            Criterion::Within(from, until) => (*from..=*until).contains(&self.date_ms),
        }
    }

    /// Whether the visibility shows it.
    fn shown(&self, visibility: &Visibility) -> bool {
        let by = |class: &Class| {
            class.types.has(self.resource_type)
                && self.labels.within(class.labels)
                && (class.only.is_empty() || class.only.iter().any(|criterion| self.meets(criterion)))
                && !class.except.iter().any(|criterion| self.meets(criterion))
        };
        let open = |has: &dyn Fn(&Class) -> bool| visibility.classes.iter().any(|class| has(class) && by(class));
        match self.patients.as_slice() {
            [] => open(&|class| class.patients == PatientSet::Nobody),
            patients => patients.iter().all(|patient| open(&|class| class.patients.has(patient))),
        }
    }

    fn in_scope(&self, scope: &RecordScope, permit: bool) -> bool {
        scope.types.has(self.resource_type)
            && scope.labels.is_none_or(|labels| match permit {
                true => self.labels.within(labels),
                false => self.labels.meets(labels),
            })
            && (scope.any_of.is_empty() || scope.any_of.iter().any(|criterion| self.meets(criterion)))
            && scope.within.is_none_or(|(from, until)| self.meets(&Criterion::Within(from, until)))
    }

    fn ruled(&self, ruling: &ConsentRuling) -> bool {
        self.in_scope(&ruling.scope, ruling.permit)
            && !ruling.unless.iter().any(|scope| self.in_scope(scope, !ruling.permit))
    }

    /// Whether it should be shown: asked of the policies for each patient and label.
    fn allowed(&self, policies: &Policies, said: &Said, subject: &Subject, act: Act) -> bool {
        let category = Category::of(self.resource_type);
        let asked = |patient: Option<&ResourceId>| {
            let none = Vec::new();
            let rulings = patient.and_then(|patient| said.consents.get(patient)).unwrap_or(&none);
            let of = |map: &BTreeMap<ResourceId, RelationSet>| {
                patient.and_then(|patient| map.get(patient)).copied().unwrap_or_default()
            };
            let mut relations = of(&said.relations).and(of(&said.hospital));
            if subject.role == Role::Patient && patient.is_some_and(|patient| subject.patients.contains(patient)) {
                relations.insert(Relation::OwnRecord);
            }
            let emergency = patient.is_some_and(|patient| said.emergencies.contains(patient));
            let tied = emergency || !relations.is_empty();
            let planned = self.resource_type == kind("Encounter")
                && patient.and_then(|patient| said.plans.get(patient)).is_some_and(|plans| plans.contains(&self.id));
            let says = |permit: bool| {
                rulings
                    .iter()
                    .any(|ruling| ruling.permit == permit && (!permit || ruling.named || tied) && self.ruled(ruling))
            };
            let consent = match (says(false), says(true)) {
                (true, _) => ConsentSays::Deny,
                (false, true) => ConsentSays::Permit,
                (false, false) => ConsentSays::Nothing,
            };
            let carried = Label::all().filter(|label| label.bits().meets(self.labels)).map(Some);
            std::iter::once(None).chain(carried).all(|label| {
                let situation = Situation {
                    role: subject.role,
                    act,
                    purpose: Purpose::of(subject.purpose),
                    strong: subject.strong,
                    supplier: subject.supplier,
                    category,
                    of_patient: patient.is_some(),
                    upcoming: category.is_planned() && (self.date_ms >= NOW_MS || planned),
                    relations,
                    flags: patient.map(|patient| said.flags(patient)).unwrap_or_default(),
                    label,
                    break_glass: emergency,
                    consent,
                    approved: false,
                };
                policies.decide(&situation).permit
            })
        };
        match self.patients.as_slice() {
            [] => asked(None),
            patients => patients.iter().all(|patient| asked(Some(patient))),
        }
    }
}

fn see(said: &Said, subject: &Subject, act: Act) -> Visibility {
    let now = Timestamp::from_ms(NOW_MS);
    visibility(&Policies::built_in(), said, &CareSettings::default(), subject, act, now)
}

fn patient() -> impl Strategy<Value = ResourceId> {
    (0..8).prop_map(|number| id(&format!("p{number}")))
}

fn a_type() -> impl Strategy<Value = ResourceType> {
    let often = ["Patient", "Observation", "Appointment", "Encounter", "Condition", "Consent", "Group", "Location"];
    prop_oneof![
        proptest::sample::select(often.to_vec()).prop_map(kind),
        proptest::sample::select(ResourceType::all().collect::<Vec<_>>()),
    ]
}

fn some_labels() -> impl Strategy<Value = Labels> {
    let all: Vec<Labels> = Label::all().map(Label::bits).collect();
    proptest::collection::vec(proptest::sample::select(all), 0..3)
        .prop_map(|labels| labels.into_iter().fold(Labels::NONE, Labels::and))
}

fn span() -> impl Strategy<Value = (i64, i64)> {
    (-4..4_i64, 0..5_i64).prop_map(|(from, length)| (NOW_MS + from * 10, NOW_MS + (from + length) * 10))
}

fn scope() -> impl Strategy<Value = RecordScope> {
    let types = prop_oneof![Just(TypeSet::EVERY), proptest::collection::vec(a_type(), 1..4).prop_map(TypeSet::of),];
    let encounter = (0..3).prop_map(|number| Criterion::RefersTo(kind("Encounter"), id(&format!("e{number}"))));
    let any_of = prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(encounter, 1..3)];
    let labels = proptest::option::weighted(0.3, some_labels());
    (types, labels, any_of, proptest::option::weighted(0.3, span()))
        .prop_map(|(types, labels, any_of, within)| RecordScope { types, labels, any_of, within })
}

fn ruling() -> impl Strategy<Value = ConsentRuling> {
    let unless = proptest::collection::vec(scope(), 0..2);
    (any::<bool>(), any::<bool>(), scope(), unless).prop_map(|(permit, named, scope, unless)| ConsentRuling {
        consent: id("c"),
        permit,
        named,
        scope,
        unless,
    })
}

fn relation_set(relations: &'static [Relation]) -> impl Strategy<Value = RelationSet> {
    proptest::collection::vec(proptest::sample::select(relations), 1..3).prop_map(RelationSet::of)
}

fn some_flags() -> impl Strategy<Value = PatientFlags> {
    let names =
        proptest::collection::vec(proptest::sample::select(vec!["detained", "vip", "staff", "restricted"]), 1..3);
    names.prop_map(|names| {
        let mut flags = PatientFlags::NONE;
        names.into_iter().for_each(|name| assert!(flags.set(name)));
        flags
    })
}

fn said() -> impl Strategy<Value = Said> {
    let own = &Relation::ALL[1..10];
    let map = proptest::collection::btree_map(patient(), relation_set(own), 0..5);
    let hospital = proptest::collection::btree_map(patient(), relation_set(&Relation::OF_THE_HOSPITAL), 0..4);
    let flags = proptest::collection::btree_map(patient(), some_flags(), 0..4);
    let consents = proptest::collection::btree_map(patient(), proptest::collection::vec(ruling(), 1..4), 0..4);
    let emergencies = proptest::collection::vec(patient(), 0..2);
    let encounter = (0..3).prop_map(|number| id(&format!("e{number}")));
    let plans = proptest::collection::btree_map(patient(), proptest::collection::vec(encounter, 1..3), 0..4);
    (map, hospital, flags, consents, emergencies, plans).prop_map(
        |(relations, hospital, flags, consents, emergencies, plans)| Said {
            relations,
            hospital,
            flags,
            consents,
            emergencies,
            plans,
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let date = (-6..6_i64).prop_map(|step| NOW_MS + step * 10);
    let encounter = (0..3).prop_map(|number| id(&format!("e{number}")));
    let patients = proptest::collection::btree_set(patient(), 0..3).prop_map(|set| set.into_iter().collect());
    (a_type(), patients, some_labels(), date, encounter).prop_map(
        |(resource_type, patients, labels, date_ms, encounter)| Record {
            id: encounter.clone(),
            resource_type,
            patients,
            labels,
            date_ms,
            encounter,
        },
    )
}

fn subject() -> impl Strategy<Value = Subject> {
    let roles = Role::ALL.into_iter().filter(|role| role.may_read_records()).collect::<Vec<_>>();
    let others = ["TREAT", "HOPERAT", "HPAYMT", "HRESCH", "CURIOSITY"].map(Some);
    let purpose = prop_oneof![5 => Just(None), 3 => proptest::sample::select(others.to_vec())];
    (proptest::sample::select(roles), purpose, prop::bool::weighted(0.9), prop::bool::weighted(0.1)).prop_map(
        |(role, purpose, strong, supplier)| {
            let purpose = purpose.unwrap_or(Purpose::usual(role).as_str());
            Subject { purpose, strong, supplier, ..somebody(role) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn visibility_agrees_with_each_decision(
        said in said(),
        subject in subject(),
        act in proptest::sample::select(vec![Act::Read, Act::Write, Act::Relabel, Act::Export, Act::BreakGlass]),
        records in proptest::collection::vec(record(), 40),
    ) {
        let policies = Policies::built_in();
        let visibility = see(&said, &subject, act);
        for record in records {
            let (shown, allowed) = (record.shown(&visibility), record.allowed(&policies, &said, &subject, act));
            prop_assert!(allowed || !shown, "shown and not allowed: {record:?}\n{visibility:?}");
            // Two rulings of content on one patient are cut smaller than they need be; one is exact, but for content and a span at once.
            let both = |scope: &RecordScope| !scope.any_of.is_empty() && scope.within.is_some();
            let exact = record.patients.iter().all(|patient| {
                let rulings = said.consents.get(patient).map_or(&[][..], Vec::as_slice);
                rulings.len() < 2 && !rulings.iter().any(|ruling| both(&ruling.scope) || ruling.unless.iter().any(both))
            });
            if exact {
                prop_assert_eq!(shown, allowed, "{:?}\n{:?}", record, visibility);
            }
            match visibility.sight(record.resource_type, &record.patients, record.labels) {
                Sight::Seen(_) => prop_assert!(shown),
                Sight::Hidden => prop_assert!(!shown),
                Sight::AskIndex => {}
            }
        }
    }
}

fn ward_of(count: usize) -> Said {
    let relations = (0..count).map(|number| (id(&format!("w{number}")), RelationSet::of([Relation::WardEncounter])));
    Said { relations: relations.collect(), ..Said::default() }
}

#[test]
fn a_machine_sees_everything_though_patients_are_set_apart_and_refuse() {
    let mut said = ward_of(3);
    said.flags.insert(id("w1"), PatientFlags { vip: true, detained: true, ..PatientFlags::NONE });
    let denied = RecordScope { types: TypeSet::EVERY, labels: None, any_of: Vec::new(), within: None };
    let ruling = ConsentRuling { consent: id("c"), permit: false, named: false, scope: denied, unless: Vec::new() };
    said.consents.insert(id("w2"), vec![ruling]);
    let visibility = see(&said, &somebody(Role::Integrator), Act::Read);
    assert!(visibility.is_everything(), "{visibility:?}");
    let Sight::Seen(basis) = visibility.sight(kind("Observation"), &[id("w1")], Labels::EVERY) else {
        panic!("hidden")
    };
    assert_eq!(basis, &Basis { ground: "whole-store".into(), policy: "machine-whole-store".into() });
}

#[test]
fn who_keeps_the_system_sees_nothing() {
    let said = ward_of(3);
    for role in Role::ALL.into_iter().filter(|role| !role.may_read_records()) {
        for act in Act::ALL {
            assert_eq!(see(&said, &somebody(role), *act), Visibility::nothing(), "{role}");
        }
    }
}

#[test]
fn patients_of_a_ward_are_few_classes_and_a_colleague_is_not_among_them() {
    let mut said = ward_of(300);
    said.flags.insert(id("w7"), PatientFlags { staff: true, ..PatientFlags::NONE });
    said.relations.insert(id("w8"), RelationSet::of([Relation::CareTeam, Relation::WardEncounter]));
    let nurse = somebody(Role::Nurse);
    let visibility = see(&said, &nurse, Act::Read);
    assert!(visibility.classes.len() <= 4, "{}", visibility.classes.len());
    let sees = |patient: &str, labels| match visibility.sight(kind("Observation"), &[id(patient)], labels) {
        Sight::Seen(basis) => Some(basis.to_string()),
        _ => None,
    };
    assert_eq!(sees("w6", Labels::NONE).as_deref(), Some("ward-encounter by nurse-care"));
    assert_eq!((sees("w6", Labels::HIV), sees("w7", Labels::NONE), sees("w999", Labels::NONE)), (None, None, None));
    assert_eq!(sees("w8", Labels::HIV).as_deref(), Some("care-team by nurse-care"));
    assert!(!visibility.cleared(kind("Observation"), &[id("w6")]).1);
    assert!(visibility.cleared(kind("Observation"), &[id("w8")]).1);
    assert_eq!(see(&said, &Subject { strong: false, ..nurse.clone() }, Act::Read), Visibility::nothing());
    assert_eq!(see(&said, &Subject { purpose: "HRESCH", ..nurse }, Act::Read), Visibility::nothing());
}

#[test]
fn a_detained_patient_does_not_see_what_lies_ahead() {
    let mut said = Said::default();
    let own = somebody(Role::Patient);
    let record = |name: &str, date_ms, labels| Record {
        id: id("e0"),
        resource_type: kind(name),
        patients: vec![id("p0")],
        labels,
        date_ms,
        encounter: id("e0"),
    };
    let free = see(&said, &own, Act::Read);
    assert!(record("Appointment", NOW_MS + 1, Labels::NONE).shown(&free));
    assert!(record("Encounter", NOW_MS + 1, Labels::DETAINED).shown(&free));
    said.flags.insert(id("p0"), PatientFlags { detained: true, ..PatientFlags::NONE });
    let visibility = see(&said, &own, Act::Read);
    for (name, date_ms, labels, shown) in [
        ("Observation", NOW_MS - 1, Labels::NONE, true),
        ("Observation", NOW_MS - 1, Labels::TRANSPORT, false),
        ("Encounter", NOW_MS - 1, Labels::NONE, true),
        ("Encounter", NOW_MS, Labels::NONE, false),
        ("Appointment", NOW_MS + 1, Labels::NONE, false),
        ("Appointment", NOW_MS - 1, Labels::NONE, false),
        ("ServiceRequest", NOW_MS - 1, Labels::NONE, false),
    ] {
        assert_eq!(record(name, date_ms, labels).shown(&visibility), shown, "{name} {date_ms}");
    }
    assert_eq!(visibility.sight(kind("Encounter"), &[id("p0")], Labels::NONE), Sight::AskIndex);
    // Planned, without saying for when.
    said.plans.insert(id("p0"), vec![id("e0")]);
    let planned = see(&said, &own, Act::Read);
    assert!(!record("Encounter", NOW_MS - 1, Labels::NONE).shown(&planned));
    assert!(Record { id: id("e1"), ..record("Encounter", NOW_MS - 1, Labels::NONE) }.shown(&planned));
    assert_eq!(visibility.sight(kind("Appointment"), &[id("p0")], Labels::NONE), Sight::Hidden);
    assert_eq!(visibility.sight(kind("Observation"), &[id("p1")], Labels::NONE), Sight::Hidden);
}

#[test]
fn an_emergency_opens_one_patient_and_says_so() {
    let mut said = ward_of(2);
    said.flags.insert(id("far"), PatientFlags { vip: true, ..PatientFlags::NONE });
    said.emergencies.push(id("far"));
    let doctor = somebody(Role::Clinician);
    let visibility = see(&said, &doctor, Act::Read);
    let Sight::Seen(basis) = visibility.sight(kind("Condition"), &[id("far")], Labels::PSYCHIATRY) else {
        panic!("closed")
    };
    assert_eq!(basis.to_string(), "break-glass by break-glass-read");
    assert_eq!(visibility.sight(kind("Condition"), &[id("far")], Labels::TRANSPORT), Sight::Hidden);
    assert_eq!(visibility.sight(kind("Condition"), &[id("other")], Labels::NONE), Sight::Hidden);
    let declare = see(&Said::default(), &doctor, Act::BreakGlass);
    assert!(matches!(declare.sight(kind("Patient"), &[id("anybody")], Labels::NONE), Sight::Seen(_)));
}

#[test]
fn an_explanation_names_relations_policies_and_reasons() {
    let mut said = ward_of(2);
    said.flags.insert(id("w1"), PatientFlags { vip: true, ..PatientFlags::NONE });
    let (policies, settings, now) = (Policies::built_in(), CareSettings::default(), Timestamp::from_ms(NOW_MS));
    let nurse = somebody(Role::Nurse);
    let ask = |patients: &[ResourceId], labels| {
        explain(&policies, &said, &settings, &nurse, Act::Read, now, kind("Observation"), patients, labels)
    };
    let open = ask(&[id("w0")], Labels::NONE);
    assert_eq!(open.verdict, Verdict::Open(Basis { ground: "ward-encounter".into(), policy: "nurse-care".into() }));
    let closed = ask(&[id("w1")], Labels::HIV);
    assert_eq!(closed.verdict, Verdict::Closed);
    let text = closed.to_string();
    for part in [
        "somebody (nurse, strong login, purpose TREAT): read Observation",
        "closed: looks as if it were not there",
        "Patient/w1\n  relations: ward-encounter\n  special: vip\n",
        "  without a label: denied by set-apart\n",
        "  with label hiv: denied by sensitive-to-carers, set-apart\n",
        "set-apart: known persons, staff,",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(ask(&[], Labels::NONE).to_string().contains("of no patient"));
    assert!(ask(&[id("x")], Labels::NONE).to_string().contains("denied, since no policy allows it"));
}

#[test]
fn what_is_kept_is_bounded() {
    let memo = crate::decide::Memo::new(8);
    for number in 0..100_u32 {
        assert_eq!(memo.get_or(number % 40, |key| key * 2), number % 40 * 2);
        assert!(memo.len() <= 8);
    }
}
