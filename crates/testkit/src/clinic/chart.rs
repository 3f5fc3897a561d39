//! One patient's chart: chance decides what happens, in order of time, and each event writes its resources.

use super::diagnoses::DIAGNOSES;
use super::standing::Standing;
use super::terms::{Diagnosis, Ward, Way};
use crate::Record;
use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::draw::{Draw, Stream};
use crate::identity::person::Person;
use crate::json::{JsonWriter, References, Uuid};
use crate::staff::{Practitioner, Staff, WardPlace};
use tacet_types::ResourceType;

/// How far back a chart goes, in days.
const CHART_DAYS: i64 = 8 * 365;

/// A chart in the making.
pub(crate) struct Chart<'a> {
    pub(crate) staff: &'a Staff,
    pub(crate) person: Person,
    pub(crate) standing: Standing,
    pub(crate) patient: Uuid,
    /// `Mme Marie Martin`
    pub(crate) display: String,
    pub(crate) draw: Draw,
    identifiers: Draw,
    pub(crate) references: References,
    pub(crate) records: Vec<Record>,
    /// Each diagnosis made, once.
    pub(crate) diagnosed: Vec<&'static Diagnosis>,
    /// Long illnesses with the Condition that tells of each.
    pub(crate) chronic: Vec<(&'static Diagnosis, Uuid)>,
    /// Which of the practitioners is the patient's general practitioner.
    pub(crate) family_doctor: u64,
}

/// One contact with the hospital.
#[derive(Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) encounter: Uuid,
    pub(crate) condition: Uuid,
    pub(crate) diagnosis: &'static Diagnosis,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Where it began, and where it went on.
    pub(crate) ward: Ward,
    pub(crate) way: Way,
    /// Chooses the practitioner within the ward.
    pub(crate) choice: u64,
    /// The patient is ill enough for measures to be off.
    pub(crate) disturbed: bool,
}

/// The id of patient number `n`.
pub(crate) fn patient_uuid(seed: u64, n: u64) -> Uuid {
    let draw = &mut Draw::new(seed, Stream::Identifier, n);
    Uuid::from_words(draw.next(), draw.next())
}

impl<'a> Chart<'a> {
    /// Draws and writes the chart of patient number `n`.
    pub(crate) fn write(staff: &'a Staff, seed: u64, n: u64, now_ms: i64, references: References) -> Self {
        let person = Person::draw(seed, n, now_ms);
        let mut identifiers = Draw::new(seed, Stream::Identifier, n);
        let patient = Uuid::from_words(identifiers.next(), identifiers.next());
        let mut draw = Draw::new(seed, Stream::Chart, n);
        let family_doctor = draw.next();
        let mut chart = Self {
            staff,
            display: person.display(),
            person,
            standing: Standing::draw(seed, n),
            patient,
            draw,
            identifiers,
            references,
            records: Vec::with_capacity(32),
            diagnosed: Vec::new(),
            chronic: Vec::new(),
            family_doctor,
        };
        chart.write_file();
        chart.write_visits();
        chart.write_prevention();
        chart.write_follow_up();
        chart.write_standing();
        chart
    }

    pub(crate) fn next_id(&mut self) -> Uuid {
        Uuid::from_words(self.identifiers.next(), self.identifiers.next())
    }

    /// Keeps a resource written by `body`, which may not need the chart itself.
    pub(crate) fn add(&mut self, name: &'static str, id: Uuid, body: impl FnOnce(&mut JsonWriter)) {
        let json = JsonWriter::resource(self.references, name, id, body);
        self.keep(name, id, json);
    }

    pub(crate) fn keep(&mut self, name: &'static str, id: Uuid, json: String) {
        // The names are constants of this crate; a test holds each to the list of types.
        if let Some(resource_type) = ResourceType::parse(name) {
            self.records.push(Record { resource_type, id: id.text(), json });
        }
    }

    pub(crate) fn doctor(&self, ward: Ward, choice: u64) -> Option<&'a Practitioner> {
        self.staff.of_ward(ward, true, choice)
    }

    pub(crate) fn place(&self, ward: Ward) -> Option<&'a WardPlace> {
        self.staff.place(ward)
    }

    /// When the chart begins: some years ago, but not before birth.
    pub(crate) fn start_ms(&self) -> i64 {
        (self.person.end_ms - CHART_DAYS * DAY_MS).max(self.person.birth * DAY_MS)
    }

    /// Most patients come once or twice; a few come again and again.
    fn visit_count(&mut self) -> usize {
        let age = self.person.age;
        let most = match self.draw.below(100) {
            0..56 => 1,
            56..80 => 2,
            80..92 => 3,
            92..98 => 6,
            _ => 15,
        };
        let more = if age > 70 && self.draw.chance(25) { 2 } else { 0 };
        self.draw.between(1, most + more) as usize
    }

    fn write_visits(&mut self) {
        let (from, to) = (self.start_ms(), self.person.end_ms);
        let count = self.visit_count();
        let mut moments: Vec<i64> = (0..count).map(|_| self.draw.between(from, to)).collect();
        moments.sort_unstable();
        let mut free_from = from;
        for moment in moments {
            let Some(diagnosis) = self.draw_diagnosis() else { continue };
            let mut visit = self.draw_visit(diagnosis, moment.max(free_from));
            if visit.start >= to {
                break;
            }
            if self.person.dead {
                visit.end = visit.end.min(to);
            }
            free_from = visit.end + HOUR_MS;
            self.write_visit(&visit);
        }
    }

    /// Why the patient comes: a long illness again, or something new that fits age and sex.
    fn draw_diagnosis(&mut self) -> Option<&'static Diagnosis> {
        if !self.chronic.is_empty() && self.draw.chance(55) {
            return Some(self.draw.pick_from(&self.chronic).0);
        }
        let (age, sex) = (self.person.age, self.person.sex);
        let fits = |diagnosis: &&'static Diagnosis| {
            (diagnosis.ages.0..=diagnosis.ages.1).contains(&age) && diagnosis.sex.is_none_or(|only| only == sex)
        };
        let count = DIAGNOSES.iter().filter(fits).count() as u64;
        let choice = self.draw.below(count) as usize;
        let diagnosis = DIAGNOSES.iter().filter(fits).nth(choice);
        // The table has more reasons to be admitted than life does.
        if diagnosis.is_some_and(|diagnosis| diagnosis.way == Way::Admission) && self.draw.chance(35) {
            let choice = self.draw.below(count) as usize;
            return DIAGNOSES.iter().filter(fits).nth(choice);
        }
        diagnosis
    }

    fn draw_visit(&mut self, diagnosis: &'static Diagnosis, moment: i64) -> Visit {
        // A known illness is mostly followed by appointment, whatever it began with.
        let known = self.chronic.iter().any(|(known, _)| std::ptr::eq(*known, diagnosis));
        let way = if known && self.draw.chance(75) { Way::Consultation } else { diagnosis.way };
        let start = match way {
            Way::Consultation | Way::Planned => {
                // In office hours: 7 to 16 UTC.
                moment - moment.rem_euclid(DAY_MS) + 7 * HOUR_MS + self.draw.between(0, 36) * 15 * MINUTE_MS
            }
            _ => moment - moment.rem_euclid(MINUTE_MS),
        };
        let stay = match way {
            Way::Consultation => self.draw.between(2, 8) * 5 * MINUTE_MS,
            Way::Emergency => self.draw.between(90, 560) * MINUTE_MS,
            Way::Planned => self.draw.between(8, 90) * HOUR_MS,
            Way::Admission if self.person.age > 75 => self.draw.around(1, 18) * DAY_MS + 5 * HOUR_MS,
            Way::Admission => self.draw.around(1, 9) * DAY_MS + 7 * HOUR_MS,
        };
        Visit {
            encounter: self.next_id(),
            condition: self.next_id(),
            diagnosis,
            start,
            end: start + stay,
            ward: if way == Way::Consultation && diagnosis.ward == Ward::Emergency {
                Ward::Outpatients
            } else {
                diagnosis.ward
            },
            way,
            choice: self.draw.next(),
            disturbed: matches!(way, Way::Emergency | Way::Admission),
        }
    }
}
