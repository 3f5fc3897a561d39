//! Who lies on a ward now.

use super::relations::window_of_stay;
use super::{CareData, Moments};
use crate::facts::{Fact, Link, State};
use crate::situation::CareSettings;
use std::collections::BTreeMap;
use tacet_types::{ResourceId, ResourceType, Timestamp};

impl CareData {
    /// The patients who are at this place, or in a part of it, at this moment, with the encounter by which they are there: Locations, or the Organization that
    /// provides the stay. Those who have left are not among them, and a stay that nobody ended counts no longer than `encounter_days_max`.
    pub fn on_ward(
        &self,
        place: (ResourceType, &ResourceId),
        now: Timestamp,
        settings: &CareSettings,
    ) -> Vec<(ResourceId, ResourceId)> {
        let mut moments = Moments::at(now);
        let mut found: BTreeMap<ResourceId, (i64, ResourceId)> = BTreeMap::new();
        for place in self.with_parts(&[Link::new(place.0, place.1.as_str())]) {
            for record in self.by_place.get(&place).into_iter().flatten() {
                let Some(Fact::Stay { patient, state, during, places, provider, .. }) =
                    self.records.get(record).map(Box::as_ref)
                else {
                    continue;
                };
                // One that says when it ends is kept as ended, and goes on until then.
                let here = match state {
                    State::Going => moments.within(window_of_stay(*state, *during, settings)),
                    State::Ended => moments.within(*during),
                    State::Ahead => false,
                };
                let at = places.iter().filter(|part| part.who == place && moments.within(part.during));
                let since = at.map(|part| part.during.0).max();
                let since = since.or((provider.as_ref() == Some(&place)).then_some(during.0));
                if let (true, Some(since), Some(patient), Some(id)) =
                    (here, since, patient.resource_id(), record.resource_id())
                {
                    let latest = found.entry(patient).or_insert((since, id.clone()));
                    if since > latest.0 {
                        *latest = (since, id);
                    }
                }
            }
        }
        found.into_iter().map(|(patient, (_, encounter))| (patient, encounter)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::tests::put;

    #[test]
    fn those_who_are_there_now_and_no_others() {
        let mut care = CareData::new();
        put(&mut care, "Location", "bed", r#""partOf":{"reference":"Location/ward"}"#);
        let mut stay = |id: &str, status: &str, period: &str, place: &str, at: &str| {
            let json = format!(
                r#""status":"{status}","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/p-{id}"}},"period":{{{period}}},"location":[{{"location":{{"reference":"Location/{place}"}},"period":{{{at}}}}}],"serviceProvider":{{"reference":"Organization/unit"}}"#
            );
            put(&mut care, "Encounter", id, &json);
        };
        let begun = r#""start":"2026-03-01T08:00:00Z""#;
        stay("here", "in-progress", begun, "ward", begun);
        stay("bed", "in-progress", begun, "bed", begun);
        stay("moved", "in-progress", begun, "ward", r#""start":"2026-03-01T08:00:00Z","end":"2026-03-01T09:00:00Z""#);
        stay("left", "finished", r#""start":"2026-03-01T08:00:00Z","end":"2026-03-02T08:00:00Z""#, "ward", begun);
        stay("until", "in-progress", r#""start":"2026-03-01T08:00:00Z","end":"2026-03-05T08:00:00Z""#, "ward", begun);
        stay("other", "in-progress", begun, "elsewhere", begun);
        stay("forgotten", "in-progress", r#""start":"2019-01-01""#, "ward", r#""start":"2019-01-01""#);
        stay("planned", "planned", begun, "ward", begun);
        let now = Timestamp::parse("2026-03-02T12:00:00Z").unwrap();
        let settings = CareSettings::default();
        let of = |kind: &str, id: &str| -> Vec<String> {
            let place = (ResourceType::parse(kind).unwrap(), ResourceId::parse(id).unwrap());
            let found = care.on_ward((place.0, &place.1), now, &settings);
            found.into_iter().map(|(_, encounter)| encounter.as_str().to_owned()).collect()
        };
        assert_eq!(of("Location", "ward"), ["bed", "here", "until"]);
        assert_eq!(of("Location", "bed"), ["bed"]);
        assert_eq!(of("Organization", "unit"), ["bed", "here", "moved", "other", "until"]);
        assert!(of("Location", "nowhere").is_empty());
    }
}
