//! Whether two kinds of answer can be told apart by how long they took.
//!
//! A machine is never quiet, and its speed drifts. So no time is held to a number: times are taken in *rounds*, in each of which both kinds
//! are asked for equally often, in an order drawn by chance, and are compared only with those of their own round. What comes out is the
//! share of pairs in which the first kind took longer, which is a half where time tells nothing, and how far off that may be.
//!
//! What a share means to somebody who listens at the door: [`Share::requests_to_tell`].

use tacet_types::Rng;

/// Requests of each kind in a round: few, so that a round is over before the machine's speed has drifted.
pub const OF_EACH: usize = 4;

/// Standard errors by which a share must lie beyond the tolerance before two kinds are said to be apart.
const APART_ERRORS: f64 = 3.0;

/// Standard errors by which it must lie within the tolerance before they are said to be alike.
const ALIKE_ERRORS: f64 = 2.0;

/// Standard errors to one side of which 99 of 100 lie.
const ONE_SIDE_99_ERRORS: f64 = 2.326;

/// Standard errors within which, to both sides, 99 of 100 lie.
const BOTH_SIDES_99_ERRORS: f64 = 2.576;

/// What is asked of two kinds, and how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Goal {
    /// How far from a half the share may lie.
    pub tolerance: f64,
    /// Rounds before the share is looked at: of fewer than 16 it is not known how much they vary.
    pub rounds_min: usize,
    /// Rounds after which it stays unclear.
    pub rounds_max: usize,
    /// How often kinds that were apart are measured anew before that is believed: something that fell into every second answer for a while falls
    /// into another one next time.
    pub repeats: usize,
}

/// Times of one round, each kind in whatever unit both have.
#[derive(Clone, Debug, Default)]
struct Round {
    first: Vec<f64>,
    second: Vec<f64>,
}

/// How often the first of two kinds took longer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Share {
    /// Of all pairs within a round, the share in which the first kind took longer, ties counted half (Mann and Whitney's U over their
    /// number).
    pub share: f64,
    /// The standard error of that, by how the rounds differ.
    pub error: f64,
    /// Requests of each kind.
    pub requests: usize,
}

/// What a share says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The kinds differ by no more than the bound.
    Alike,
    /// They differ by more than the bound, and that is no chance.
    Apart,
    /// Too few were asked to know.
    Unclear,
}

impl Share {
    /// The share of these rounds.
    fn of(rounds: &[Round]) -> Self {
        let shares: Vec<f64> = rounds.iter().map(|round| larger_share(&round.first, &round.second)).collect();
        let count = shares.len() as f64;
        let share = if shares.is_empty() { 0.5 } else { shares.iter().sum::<f64>() / count };
        let squares: f64 = shares.iter().map(|one| (one - share).powi(2)).sum();
        let error = if shares.len() < 2 { f64::INFINITY } else { (squares / (count - 1.0) / count).sqrt() };
        Self { share, error, requests: rounds.iter().map(|round| round.first.len()).sum() }
    }

    /// Between which shares the true one lies, in 99 of 100 measurements.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let off = BOTH_SIDES_99_ERRORS * self.error;
        ((self.share - off).max(0.0), (self.share + off).min(1.0))
    }

    /// Whether the share is within `tolerance` of a half.
    #[must_use]
    pub fn told(&self, tolerance: f64) -> Told {
        let off = (self.share - 0.5).abs();
        if off > tolerance + APART_ERRORS * self.error {
            Told::Apart
        } else if off + ALIKE_ERRORS * self.error <= tolerance {
            Told::Alike
        } else {
            Told::Unclear
        }
    }

    /// Requests of each kind after which somebody who compares them all is wrong in one of a hundred cases, to either side: the ranks of `n`
    /// times against those of `n` others vary by about `1 / sqrt(6 n)`. None where the share is a half.
    #[must_use]
    pub fn requests_to_tell(share: f64) -> Option<u64> {
        let off = (share - 0.5).abs();
        let needed = (2.0 * ONE_SIDE_99_ERRORS / off).powi(2) / 6.0;
        (needed < 1e15).then(|| needed.ceil() as u64)
    }
}

/// The times of two kinds, round by round.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    rounds: Vec<Round>,
}

impl Compared {
    /// Takes one round more. `time` makes a request of the first kind where it is given `true`, and gives how long it took.
    ///
    /// # Errors
    /// What `time` says.
    fn round<E>(&mut self, rng: &dyn Rng, mut time: impl FnMut(bool) -> Result<f64, E>) -> Result<(), E> {
        let mut round = Round::default();
        for is_first in order(rng) {
            let took = time(is_first)?;
            if is_first { round.first.push(took) } else { round.second.push(took) }
        }
        self.rounds.push(round);
        Ok(())
    }

    /// How often the first kind took longer.
    #[must_use]
    pub fn share(&self) -> Share {
        Share::of(&self.rounds)
    }

    /// All times of the first kind, and of the second.
    #[must_use]
    pub fn times(&self) -> (Vec<f64>, Vec<f64>) {
        let all = |of: fn(&Round) -> &Vec<f64>| self.rounds.iter().flat_map(of).copied().collect();
        (all(|round| &round.first), all(|round| &round.second))
    }
}

impl Goal {
    /// Takes rounds until it is known whether two kinds are within the tolerance of each other. Gives what the last measurement says, and all
    /// its times. `time` makes a request of the first kind where it is given `true`, and gives how long it took.
    ///
    /// # Errors
    /// What `time` says.
    pub fn measure<E>(
        &self,
        rng: &dyn Rng,
        mut time: impl FnMut(bool) -> Result<f64, E>,
    ) -> Result<(Told, Compared), E> {
        let mut again = 0;
        loop {
            let (told, compared) = self.measure_once(rng, &mut time)?;
            if told != Told::Apart || again >= self.repeats {
                return Ok((told, compared));
            }
            again += 1;
        }
    }

    fn measure_once<E>(
        &self,
        rng: &dyn Rng,
        time: &mut impl FnMut(bool) -> Result<f64, E>,
    ) -> Result<(Told, Compared), E> {
        let mut compared = Compared::default();
        loop {
            compared.round(rng, &mut *time)?;
            let (rounds, told) = (compared.rounds.len(), compared.share().told(self.tolerance));
            if rounds >= self.rounds_max || (rounds >= self.rounds_min && told != Told::Unclear) {
                return Ok((told, compared));
            }
        }
    }
}

/// An order for the requests of a round.
fn order(rng: &dyn Rng) -> Vec<bool> {
    let mut keyed: Vec<(u64, bool)> = (0..2 * OF_EACH).map(|at| (rng.next_u64(), at < OF_EACH)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, is_first)| is_first).collect()
}

/// In how many of all pairs the first is the larger one, ties counted half.
fn larger_share(first: &[f64], second: &[f64]) -> f64 {
    let against =
        |one: f64| move |other: &f64| if one > *other { 1.0 } else { f64::from(u8::from(one == *other)) / 2.0 };
    let wins: f64 = first.iter().flat_map(|one| second.iter().map(against(*one))).sum();
    wins / (first.len() * second.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tacet_types::SeededRng;

    /// What somebody takes who does half a millisecond of work, on a machine that is busy with other things: noise by which one time differs from
    /// the next, now and then a long wait, and a speed that drifts by the double.
    struct Busy {
        rng: SeededRng,
        at: f64,
    }

    impl Busy {
        fn new(seed: u64) -> Self {
            Self { rng: SeededRng::new(seed), at: 0.0 }
        }

        fn unit(&self) -> f64 {
            self.rng.next_u64() as f64 / u64::MAX as f64
        }

        /// The time of work that is `longer` by this share, in microseconds. The noise is two fifths of the work.
        fn took_us(&mut self, longer: f64) -> Result<f64, Infallible> {
            self.at += 1.0;
            let speed = 1.0 + (self.at / 300.0).sin().abs();
            let noise: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
            let wait = if self.unit() < 0.05 { 3000.0 * self.unit() } else { 0.0 };
            Ok(500.0 * speed * (1.0 + longer) + 200.0 * noise + wait)
        }
    }

    const TOLERANCE: f64 = 0.1;

    const GOAL: Goal = Goal { tolerance: TOLERANCE, rounds_min: 16, rounds_max: 400, repeats: 0 };

    fn compared(seed: u64, longer: f64, rounds: usize) -> Compared {
        let (mut busy, rng, mut compared) = (Busy::new(seed), SeededRng::new(seed + 1000), Compared::default());
        for _ in 0..rounds {
            let Ok(()) = compared.round(&rng, |first| busy.took_us(if first { longer } else { 0.0 }));
        }
        compared
    }

    fn told(seed: u64, longer: f64) -> Told {
        let (mut busy, rng) = (Busy::new(seed), SeededRng::new(seed + 1000));
        let Ok((told, _)) = GOAL.measure(&rng, |first| busy.took_us(if first { longer } else { 0.0 }));
        told
    }

    #[test]
    fn noise_alone_is_never_a_finding() {
        let told: Vec<Told> = (0..200).map(|seed| told(seed, 0.0)).collect();
        assert!(told.iter().all(|told| *told == Told::Alike), "{told:?}");
    }

    #[test]
    fn a_planted_difference_is_found() {
        // Three tenths more work, or a quarter less, in noise of two fifths.
        for longer in [0.3, -0.25] {
            let told: Vec<Told> = (0..50).map(|seed| told(seed, longer)).collect();
            assert!(told.iter().all(|told| *told == Told::Apart), "{longer} {told:?}");
        }
    }

    #[test]
    fn a_small_difference_is_measured_and_told_by_its_size() {
        // A twentieth more work. In such noise it is seen by who asks some thousand times, and is within the tolerance.
        let share = compared(1, 0.05, 2_000).share();
        let (from, to) = share.interval();
        assert!(from > 0.5 && to < 0.6, "{share:?}");
        // On a machine without noise it is seen at once.
        let (rng, mut at) = (SeededRng::new(1), 0.0);
        let took = |first: bool| {
            at += 1.0;
            Ok::<f64, Infallible>(if first { 525.0 } else { 500.0 } + at % 7.0)
        };
        let Ok((told, compared)) = GOAL.measure(&rng, took);
        assert_eq!(told, Told::Apart);
        assert_eq!((compared.share().share, compared.share().requests), (1.0, GOAL.rounds_min * OF_EACH));
    }

    #[test]
    fn a_drift_is_no_difference_and_hides_none() {
        // Each round is slower than the one before by more than the difference.
        let (rng, mut compared) = (SeededRng::new(2), Compared::default());
        for round in 0..50 {
            let took = |first: bool| Ok::<f64, Infallible>(f64::from(round) * 100.0 + f64::from(u8::from(first)));
            compared.round(&rng, took).unwrap();
        }
        assert_eq!(compared.share().share, 1.0);
        let (first, second) = compared.times();
        assert!((larger_share(&first, &second) - 0.5).abs() < 0.02, "what a comparison of all with all would say");
    }

    #[test]
    fn what_was_apart_once_is_measured_anew() {
        let rng = SeededRng::new(5);
        // Something else goes on while the first measurement lasts, and falls into every answer of one kind.
        let measure = |goal: Goal, lasts: usize| {
            let mut asked = 0;
            let Ok((told, _)) = goal.measure(&rng, |first| {
                asked += 1;
                Ok::<f64, Infallible>(f64::from(u8::from(first && asked <= lasts)))
            });
            (told, asked)
        };
        let (once, twice) = (GOAL.rounds_min * 2 * OF_EACH, Goal { repeats: 1, ..GOAL });
        assert_eq!(measure(GOAL, once), (Told::Apart, once));
        assert_eq!(measure(twice, once), (Told::Alike, 2 * once));
        assert_eq!(measure(twice, 2 * once), (Told::Apart, 2 * once));
    }

    #[test]
    fn few_rounds_say_nothing() {
        assert_eq!(Compared::default().share().told(TOLERANCE), Told::Unclear);
        assert_eq!(compared(3, 0.0, 1).share().told(TOLERANCE), Told::Unclear);
        let share = Share { share: 0.62, error: 0.02, requests: 100 };
        assert_eq!(
            (share.told(TOLERANCE), share.told(0.2), share.told(0.01)),
            (Told::Unclear, Told::Alike, Told::Apart)
        );
    }

    #[test]
    fn a_half_says_nothing() {
        assert_eq!(larger_share(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 0.5);
        assert_eq!((larger_share(&[4.0, 5.0], &[1.0]), larger_share(&[1.0], &[4.0, 5.0])), (1.0, 0.0));
        assert_eq!(Share::requests_to_tell(0.5), None);
        assert_eq!((Share::requests_to_tell(0.6), Share::requests_to_tell(0.3)), (Some(361), Some(91)));
    }

    #[test]
    fn each_order_of_a_round_has_as_many_of_each() {
        let rng = SeededRng::new(4);
        let orders: Vec<Vec<bool>> = (0..200).map(|_| order(&rng)).collect();
        assert!(orders.iter().all(|order| order.iter().filter(|first| **first).count() == OF_EACH));
        for at in 0..2 * OF_EACH {
            let first = orders.iter().filter(|order| order[at]).count();
            assert!((60..140).contains(&first), "{at}: {first}");
        }
    }
}
