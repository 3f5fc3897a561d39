//! How long it takes to say that something is not there: the same work is done for what is hidden as for what is absent, counted; and,
//! for people to look at, the times.

use super::{APART, OTHER, both};
use crate::ward::Ward;
use tacet_types::{Rng, SeededRng};

/// Requests of each kind in the measurement.
const SAMPLES: usize = 400;

async fn gets_of(ward: &Ward, who: &str, path: &str) -> (u64, u16) {
    let before = ward.gets();
    let answer = ward.get(who, path).await;
    (ward.gets() - before, answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_costs_as_many_rows_as_what_is_absent() {
    let patients = [APART, &[OTHER]].concat();
    let [ward, _] = both(&patients).await;
    for who in ["ward-doctor", "nurse", "patient"] {
        for kind in ["Patient", "Observation", "Encounter"] {
            let prefix = match kind {
                "Patient" => "",
                "Observation" => "o-",
                _ => "e-",
            };
            // Once before, so that what is looked up once is looked up.
            gets_of(&ward, who, &format!("/{kind}/nobody")).await;
            for tail in ["", "/_history/1", "/_history", "/$meta"] {
                let absent = gets_of(&ward, who, &format!("/{kind}/nobody{tail}")).await;
                assert_eq!(absent.1, 404);
                for patient in &patients {
                    let path = format!("/{kind}/{prefix}{patient}{tail}");
                    assert_eq!(gets_of(&ward, who, &path).await, absent, "{who} {path}");
                }
            }
        }
    }
}

/// Which of two samples is the larger one: the share of pairs in which the first is, ties counted half (Mann and Whitney's U over n·m).
fn larger_share(first: &[u64], second: &[u64]) -> f64 {
    let mut wins = 0.0;
    for one in first {
        for other in second {
            wins += if one > other {
                1.0
            } else if one == other {
                0.5
            } else {
                0.0
            };
        }
    }
    wins / (first.len() * second.len()) as f64
}

fn median(samples: &mut [u64]) -> u64 {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// `cargo test -p tacet-server --release -- --ignored --nocapture times_of_nothing`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints a measurement"]
async fn times_of_nothing() {
    let patients = [APART, &[OTHER]].concat();
    let [ward, _] = both(&patients).await;
    let rng = SeededRng::new(1);
    for (name, absent, hidden) in [
        ("read", "/Patient/nobody", "/Patient/p-vip"),
        ("search by id", "/Observation?_id=nobody", "/Observation?_id=o-p-vip"),
        ("search by patient", "/Observation?patient=nobody", "/Observation?patient=p-vip"),
        ("history", "/Observation/nobody/_history", "/Observation/o-p-vip/_history"),
        ("everything", "/Patient/nobody/$everything", "/Patient/p-vip/$everything"),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..2 * SAMPLES {
            let mut byte = [0];
            rng.fill(&mut byte);
            let which = usize::from(byte[0] & 1);
            let started = now();
            let answer = ward.get("ward-doctor", [absent, hidden][which]).await;
            times[which].push(started.elapsed().as_nanos() as u64);
            assert!([200, 404].contains(&answer.status));
        }
        let share = larger_share(&times[1], &times[0]);
        let [mut absent, mut hidden] = times;
        let (absent, hidden) = (median(&mut absent), median(&mut hidden));
        eprintln!(
            "{name}: absent {} us, hidden {} us, hidden slower in {:.1} % of pairs",
            absent / 1000,
            hidden / 1000,
            share * 100.0
        );
        assert!((0.2..0.8).contains(&share), "{name}: {share}");
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long answers take; figures, not a test of speed")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
