//! New resources for load: what a busy hospital adds to charts that are there already.

use crate::clinic::chart::patient_uuid;
use crate::clinic::measures::{Context, draw_value, write_blood_pressure, write_number};
use crate::clinic::terms::{DIASTOLIC, SYSTOLIC, VITAL_SIGNS};
use crate::draw::{Draw, Stream};
use crate::json::{JsonWriter, References, Uuid};
use crate::{Hospital, Record};
use tacet_types::ResourceType;

/// How far apart two measures of the same patient lie, in milliseconds.
const MEASURE_MS: i64 = 900_000;

impl Hospital {
    /// Vital sign number `k` of patient `n`, which is not part of the patient's chart: a body to create or, under its id, to
    /// update. Another `k` is another Observation.
    pub fn vital_sign(&self, n: u64, k: u64) -> Option<Record> {
        let seed = self.options().seed;
        let draw = &mut Draw::new(seed, Stream::Load, n.wrapping_mul(1_000_003).wrapping_add(k));
        let id = Uuid::from_words(draw.next(), draw.next());
        let resource_type = ResourceType::parse("Observation")?;
        let context = Context {
            patient: patient_uuid(seed, n),
            encounter: None,
            moment: self.options().now.as_ms() - (k % 100_000) as i64 * MEASURE_MS,
            sensitive: None,
            performer: None,
        };
        let json = JsonWriter::resource(References::Relative, "Observation", id, |w| {
            if draw.chance(25) {
                let systolic = draw_value(draw, &SYSTOLIC, true);
                let diastolic = draw_value(draw, &DIASTOLIC, true).min(systolic - 15);
                write_blood_pressure(w, &context, systolic, diastolic);
            } else {
                let measure = *draw.pick_from(&VITAL_SIGNS);
                let value = draw_value(draw, measure, true);
                write_number(w, &context, "vital-signs", measure, value);
            }
        });
        Some(Record { resource_type, id: id.text(), json })
    }
}
