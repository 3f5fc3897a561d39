//! How long it takes to say that something is not there: whoever has a clock learns no more than who has none.
//!
//! What is hidden, what is forbidden and what is absent are asked for in turns drawn by chance, on a connection that stays open, to a server
//! whose store is in memory: nearer to it, and with less besides, than anybody comes in earnest. Compared are ranks within a few requests,
//! never times with a number, and a difference has to show three times before it is one (`tacet_testkit::apart`).

use super::probes::{self, Probe};
use super::wire::Wire;
use super::{APART, OTHER, chart, leading_to};
use crate::ward::Ward;
use std::collections::HashSet;
use std::convert::Infallible;
use tacet_testkit::apart::{Compared, Goal, Share, Told};
use tacet_types::{Rng, SeededRng};

/// How many of 100 pairs may show what is hidden, or what is absent, to take longer: 70. Whoever compares 91 answers about a patient with 91 about
/// nobody is still wrong in one of a hundred cases. Most of a request's time is work of ours here, and none is the network's or a disk's.
const GOAL: Goal = Goal { tolerance: 0.2, rounds_min: 16, rounds_max: 100, repeats: 2 };

/// Ways whose time grows with the hidden records that they meet (docs/adr/0014-hidden-is-absent.md): measured, and not held to the goal. A chain over
/// references to anything asks for the patients of many types, some of which have none.
const GROWING: &[&str] = &["GET /List?item.patient={id} [] "];

/// Patients who are not there, for each who is: their names have the same length.
const ABSENT: [(&str, &str); 5] = [
    ("p-vip", "p-nip"),
    ("p-detained", "p-detonate"),
    ("p-staff", "p-stiff"),
    ("p-denied", "p-levied"),
    (OTHER, "p-utter"),
];

/// A way to ask, about those who are there and about as many who are not.
struct Way {
    name: String,
    there: Vec<Vec<u8>>,
    absent: Vec<Vec<u8>>,
}

/// A hospital with the hidden, and with records that lead to them and to the absent.
async fn hospital() -> Ward {
    let ward = Ward::open().await;
    let hidden = [APART, &[OTHER]].concat();
    for patient in &hidden {
        ward.put_all(&chart(patient)).await;
    }
    let absent = hidden.iter().map(|hidden| absent_for(hidden));
    ward.put_all(&leading_to(&hidden.iter().copied().chain(absent).collect::<Vec<_>>())).await;
    ward
}

fn absent_for(hidden: &str) -> &'static str {
    ABSENT.iter().find(|(known, _)| *known == hidden).map(|(_, absent)| *absent).unwrap()
}

/// The ways of `probes` to ask about each of `pairs`, who is there and who is not.
async fn ways(ward: &Ward, who: &str, pairs: &[(&str, &str)], probes: impl Fn(&str) -> Vec<Probe>) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for (at, (there, absent)) in pairs.iter().enumerate() {
        for (number, (probe, about_nobody)) in probes(there).into_iter().zip(probes(absent)).enumerate() {
            if at == 0 {
                let name = probe.to_string().replace(there, "{id}");
                ways.push(Way { name, there: Vec::new(), absent: Vec::new() });
            }
            ways[number].there.push(ward.by(who, probe.ask()).bytes().await);
            ways[number].absent.push(ward.by(who, about_nobody.ask()).bytes().await);
        }
    }
    // What was asked before is asked once.
    let mut known = HashSet::new();
    ways.retain(|way| known.insert(way.there.clone()));
    ways
}

/// One of these.
fn any<'a>(of: &'a [Vec<u8>], rng: &dyn Rng) -> &'a [u8] {
    &of[rng.below(of.len() as u64) as usize]
}

/// Measures one way.
fn measure(wire: &mut Wire, way: &Way, rng: &dyn Rng) -> (Told, Compared) {
    // Once before, so that what is looked up once is looked up; and nothing is compared that differs in words.
    for (there, absent) in way.there.iter().zip(&way.absent) {
        assert_eq!(wire.ask(there).0, wire.ask(absent).0, "{}", way.name);
    }
    let Ok(measured) = GOAL.measure(rng, |is_there| {
        Ok::<f64, Infallible>(wire.ask(any(if is_there { &way.there } else { &way.absent }, rng)).1)
    });
    measured
}

/// Measures all of these, and gives those that tell by their time.
#[expect(clippy::print_stderr, reason = "figures, for whoever asks for them by `--nocapture`")]
fn telling(ward: &Ward, ways: &[Way]) -> Vec<String> {
    tokio::task::block_in_place(|| {
        let (mut wire, rng, mut found) = (Wire::to(ward.address()), SeededRng::new(ways.len() as u64), Vec::new());
        for way in ways {
            let (told, compared) = measure(&mut wire, way, &rng);
            let line = described(&way.name, &compared);
            eprintln!("{told:?} {line}");
            if told == Told::Apart && !GROWING.contains(&way.name.as_str()) {
                found.push(line);
            }
        }
        found
    })
}

fn described(name: &str, compared: &Compared) -> String {
    let share = compared.share();
    let ((from, to), (there, absent)) = (share.interval(), compared.times());
    let needed = Share::requests_to_tell(share.share).map_or("no".to_owned(), |needed| needed.to_string());
    format!(
        "{:.1} % ({:.1} to {:.1}) of {} of each, {:.0} and {:.0} us, {needed} requests tell: {}",
        share.share * 100.0,
        from * 100.0,
        to * 100.0,
        share.requests,
        median(there),
        median(absent),
        name.chars().take(150).collect::<String>()
    )
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The ways that somebody takes first who wants to know whether a patient is there.
fn first_ways(patient: &str) -> Vec<Probe> {
    let record = format!("o-{patient}");
    let [of_patient, of_record] = [probes::of_record("Patient", patient), probes::of_record("Observation", &record)];
    let wanted = |probe: &Probe| {
        let name = probe.to_string();
        let id = if name.contains(&record) { &record } else { patient };
        [
            format!("GET /Patient/{id} [] "),
            format!("GET /Observation/{id} [] "),
            format!("GET /Observation/{id}/_history [] "),
            format!("GET /Patient/{id}/_history/1 [] "),
            format!("GET /Patient/{id}/$everything [] "),
            format!("GET /Patient?_id={id} [] "),
            format!("GET /Observation?_id={id}&_summary=count [] "),
            format!("GET /Observation?patient={id}&_summary=count [] "),
            format!("DELETE /Observation/{id} [] "),
        ]
        .contains(&name)
    };
    [of_patient, of_record, probes::beyond_records(patient)].concat().into_iter().filter(wanted).collect()
}

/// Of each patient by themselves: whatever hides them.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_ways_to_ask_tell_nothing_by_their_time() {
    let ward = hospital().await;
    let mut found = Vec::new();
    for pair in ABSENT {
        let ways = ways(&ward, "ward-doctor", &[pair], first_ways).await;
        assert_eq!(ways.len(), 9, "{:?}", ways.iter().map(|way| &way.name).collect::<Vec<_>>());
        found.extend(telling(&ward, &ways).into_iter().map(|line| format!("{} {line}", pair.0)));
    }
    assert!(found.is_empty(), "hidden is told from absent:\n{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_ask_tells_by_its_time_what_is_hidden() {
    let ward = hospital().await;
    let probes = |patient: &str| {
        let records =
            [probes::of_record("Patient", patient), probes::of_record("Observation", &format!("o-{patient}"))];
        [records.concat(), probes::beyond_records(patient)].concat()
    };
    let ways = ways(&ward, "ward-doctor", &ABSENT, probes).await;
    assert!(ways.len() > 150, "{}", ways.len());
    let found = telling(&ward, &ways);
    assert!(found.is_empty(), "hidden is told from absent, {} of {}:\n{}", found.len(), ways.len(), found.join("\n"));
}

/// A patient whom the desk sees, and whose measurements are not for the desk.
#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_ask_tells_by_its_time_what_is_forbidden() {
    let ward = hospital().await;
    assert_eq!(ward.get("desk", "/Patient/p-open").await.status, 200);
    assert_eq!(ward.get("desk", "/Observation/o-p-open").await.status, 404);
    let forbidden = [("o-p-open", "o-p-upon")];
    let ways = ways(&ward, "desk", &forbidden, |id| probes::of_record("Observation", id)).await;
    assert!(ways.len() > 30, "{}", ways.len());
    let found = telling(&ward, &ways);
    assert!(found.is_empty(), "forbidden is told from absent:\n{}", found.join("\n"));
}

/// The measurement is not blind: it tells what is shown from what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_is_told() {
    let ward = hospital().await;
    let ask = async |path: &str| ward.by("ward-doctor", crate::client::Ask::new("GET", path)).bytes().await;
    let (there, absent) = (ask("/Patient/p-open/$everything").await, ask("/Patient/p-upon/$everything").await);
    let told = tokio::task::block_in_place(|| {
        let (mut wire, rng) = (Wire::to(ward.address()), SeededRng::new(1));
        let Ok((told, compared)) =
            GOAL.measure(&rng, |is_there| Ok::<f64, Infallible>(wire.ask(if is_there { &there } else { &absent }).1));
        eprintln!("{}", described("shown", &compared));
        told
    });
    assert_eq!(told, Told::Apart);
}
