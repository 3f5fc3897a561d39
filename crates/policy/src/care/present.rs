//! Who is in care now: whose records are wanted first when a store comes back piece by piece.

use super::CareData;
use crate::facts::{DAY_MS, Fact, Link, Span, State};
use std::collections::HashMap;
use tacet_types::{ResourceId, Timestamp};

/// Hours around now in which an appointment counts as one of the day, in milliseconds: half a day to each side, whatever the zone.
const DAY_AROUND_MS: i64 = DAY_MS / 2;

/// Why somebody's record is wanted now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Urgency {
    /// Is here and has no bed: a consultation under way.
    Here,
    /// Has a bed, or waits for one: on a ward, on the emergency ward.
    Ward,
    /// Has an appointment, or is expected, within half a day.
    Today,
}

impl CareData {
    /// The patients in care now, each once: who came last comes first, so that the emergency ward, whose patients came in the last hours, is before the wards;
    /// then who is expected today.
    pub fn present(&self, now: Timestamp) -> Vec<(Urgency, ResourceId)> {
        let now_ms = now.as_ms();
        let around = Span(now_ms.saturating_sub(DAY_AROUND_MS), now_ms.saturating_add(DAY_AROUND_MS));
        // The most urgent of what a patient has: whether it is only expected, and when it began, the latest first.
        let mut found: HashMap<Link, (bool, i64, Urgency)> = HashMap::new();
        let mut note = |patient: &Link, urgency: Urgency, began: i64| {
            let rank = (urgency == Urgency::Today, began.saturating_neg(), urgency);
            let known = found.entry(patient.clone()).or_insert(rank);
            *known = (*known).min(rank);
        };
        for fact in self.records.values() {
            match fact.as_ref() {
                Fact::Stay { patient, state, inpatient, during, .. } => match state {
                    State::Going if during.0 <= now_ms => {
                        note(patient, if *inpatient { Urgency::Ward } else { Urgency::Here }, during.0);
                    }
                    State::Ahead | State::Going if *during != Span::ALWAYS && during.meet(around).is_some() => {
                        note(patient, Urgency::Today, during.0);
                    }
                    _ => {}
                },
                Fact::Meeting { patients, during, .. } if during.meet(around).is_some() => {
                    patients.iter().for_each(|patient| note(patient, Urgency::Today, during.0));
                }
                _ => {}
            }
        }
        let mut present: Vec<_> = found.into_iter().collect();
        // By name last, so that the same data give the same order.
        present.sort_unstable_by(|(one, rank), (other, other_rank)| rank.cmp(other_rank).then_with(|| one.cmp(other)));
        present.into_iter().filter_map(|(link, (_, _, urgency))| Some((urgency, link.resource_id()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::tests::put;

    fn stay(care: &mut CareData, id: &str, patient: &str, status: &str, class: &str, period: &str) {
        let json = format!(
            r#""status":"{status}","class":{{"code":"{class}"}},"subject":{{"reference":"Patient/{patient}"}},"period":{{{period}}}"#
        );
        put(care, "Encounter", id, &json);
    }

    #[test]
    fn the_emergency_ward_comes_first_then_the_wards_then_the_day() {
        let mut care = CareData::new();
        let begun = |at: &str| format!(r#""start":"{at}""#);
        stay(&mut care, "e1", "ward", "in-progress", "IMP", &begun("2026-03-01T10:00:00Z"));
        stay(&mut care, "e2", "emergency", "in-progress", "AMB", &begun("2026-03-02T08:00:00Z"));
        stay(&mut care, "e3", "emergency-later", "in-progress", "AMB", &begun("2026-03-02T09:00:00Z"));
        stay(&mut care, "e4", "gone", "finished", "IMP", r#""start":"2026-02-01","end":"2026-02-03""#);
        stay(&mut care, "e5", "ward", "in-progress", "AMB", &begun("2026-03-02T07:00:00Z"));
        // Class EMER counts as a stay on a ward for access. Here it comes by when it began.
        stay(&mut care, "e6", "arrived", "in-progress", "EMER", &begun("2026-03-02T08:30:00Z"));
        let meeting = |patient: &str, start: &str| {
            format!(
                r#""status":"booked","start":"{start}","end":"{start}","participant":[{{"status":"accepted","actor":{{"reference":"Patient/{patient}"}}}},{{"status":"accepted","actor":{{"reference":"Practitioner/d"}}}}]"#
            )
        };
        put(&mut care, "Appointment", "a1", &meeting("today", "2026-03-02T15:00:00Z"));
        put(&mut care, "Appointment", "a2", &meeting("next-week", "2026-03-09T15:00:00Z"));
        let now = Timestamp::parse("2026-03-02T10:00:00Z").unwrap();
        let names: Vec<String> =
            care.present(now).iter().map(|(urgency, id)| format!("{urgency:?} {}", id.as_str())).collect();
        assert_eq!(names, ["Here emergency-later", "Ward arrived", "Here emergency", "Here ward", "Today today"]);
        stay(
            &mut care,
            "e5",
            "ward",
            "finished",
            "AMB",
            r#""start":"2026-03-02T07:00:00Z","end":"2026-03-02T08:00:00Z""#,
        );
        assert_eq!(care.present(now)[3], (Urgency::Ward, ResourceId::parse("ward").unwrap()));
        assert!(CareData::new().present(now).is_empty());
    }
}
