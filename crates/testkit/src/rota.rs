//! Who is on duty when: shifts of those who work in shifts, and the list of physicians on call for each ward.

use crate::Record;
use crate::calendar::{DAY_MS, HOUR_MS};
use crate::draw::{Draw, Stream};
use crate::json::{JsonWriter, References, Uuid};
use crate::staff::Staff;
use tacet_types::ResourceType;

/// Nights of the on-call list before today.
const NIGHTS_BEFORE: i64 = 1;
/// Nights of the on-call list from today on.
const NIGHTS_AFTER: i64 = 7;
/// When a night on call begins, after midnight UTC, and how long it lasts.
const NIGHT: (i64, i64) = (18 * HOUR_MS, 14 * HOUR_MS);

/// What FHIR has no code for.
const SERVICE: &str = "https://tacet.invalid/CodeSystem/service";

/// The three shifts of a ward, local time as the rota has it: first and last minute. They overlap, as handing over takes time.
const SHIFTS: [(&str, &str); 3] = [("06:30:00", "14:15:00"), ("13:45:00", "21:30:00"), ("21:00:00", "07:00:00")];

/// Writes when somebody of this number works. A night goes past midnight, so it is written as two spans.
pub(crate) fn write_shift(w: &mut JsonWriter, number: u64) {
    let Some((start, end)) = SHIFTS.get((number % 3) as usize) else { return };
    let spans: &[(&str, &str)] = if start < end { &[(start, end)] } else { &[(start, "23:59:59"), ("00:00:00", end)] };
    w.array("availableTime", |w| {
        for (start, end) in spans {
            w.element(|w| {
                w.text("availableStartTime", start);
                w.text("availableEndTime", end);
            });
        }
    });
}

/// The on-call list around `now_ms`: for each ward a Schedule of each physician who takes nights, and a busy Slot a night.
pub(crate) fn on_call(staff: &Staff, seed: u64, now_ms: i64) -> Vec<Record> {
    let mut records = Vec::new();
    let mut keep = |name: &str, id: Uuid, body: &dyn Fn(&mut JsonWriter)| {
        let Some(resource_type) = ResourceType::parse(name) else { return };
        let json = JsonWriter::resource(References::Relative, name, id, body);
        records.push(Record { resource_type, id: id.text(), json });
    };
    let physicians: Vec<_> = staff.physicians().collect();
    let today = now_ms - now_ms.rem_euclid(DAY_MS);
    for (ward, place) in staff.wards.iter().enumerate() {
        let draw = &mut Draw::new(seed, Stream::Rota, ward as u64);
        // Two physicians share the nights of a ward; they need not belong to it by day.
        let pair =
            [draw.next(), draw.next()].map(|choice| physicians.get((choice % physicians.len().max(1) as u64) as usize));
        let schedules = [0, 1].map(|_| Uuid::from_words(draw.next(), draw.next()));
        for (schedule, person) in schedules.iter().zip(pair) {
            let Some(person) = person else { continue };
            keep("Schedule", *schedule, &|w| {
                w.boolean("active", true);
                w.array("serviceType", |w| w.element(|w| w.concept_members(SERVICE, "on-call", "", "Garde")));
                w.array("actor", |w| {
                    w.element(|w| w.standing_members("Practitioner", person.id, &person.display));
                    w.element(|w| w.standing_members("Location", place.id, place.name));
                });
            });
        }
        for night in -NIGHTS_BEFORE..NIGHTS_AFTER {
            // The same night has the same Slot whenever it is written, so a later start changes nothing of it.
            let day = today / DAY_MS + night;
            let of_night = &mut Draw::new(seed, Stream::Rota, (day as u64) << 8 | ward as u64);
            let (id, schedule) =
                (Uuid::from_words(of_night.next(), of_night.next()), schedules.get((day % 2) as usize));
            let (Some(schedule), Some(_)) = (schedule, pair.get((day % 2) as usize).copied().flatten()) else {
                continue;
            };
            let start = day * DAY_MS + NIGHT.0;
            keep("Slot", id, &|w| {
                w.array("serviceType", |w| w.element(|w| w.concept_members(SERVICE, "on-call", "", "Garde")));
                w.standing("schedule", "Schedule", *schedule, "");
                w.text("status", "busy");
                w.instant("start", start);
                w.instant("end", start + NIGHT.1);
            });
        }
    }
    records
}
