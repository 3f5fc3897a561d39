//! One patient as a person, drawn whole before anything is written down.

use super::names::{Origin, draw_origin};
use super::nir::nir_key;
use super::places::{COMMUNES, COMMUNES_NEAR, COMPLEMENTS, Commune, Country, STREETS};
use crate::calendar::{DAY_MS, civil_from_days, day_of, days_from_civil, years_between};
use crate::draw::{Draw, Stream};

/// Sex as the civil register has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sex {
    Female,
    Male,
}

impl Sex {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }
}

/// Where somebody was born.
pub(crate) enum BirthPlace {
    France(&'static Commune),
    Abroad(Country),
}

impl BirthPlace {
    /// Code of the official geographic code, five places.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::France(commune) => commune.code,
            Self::Abroad(country) => country.code,
        }
    }
}

/// A patient's civil and social facts.
pub(crate) struct Person {
    pub(crate) sex: Sex,
    /// Name at birth, the one that identifies.
    pub(crate) family: String,
    /// Name used in life where it is another.
    pub(crate) used: Option<String>,
    pub(crate) given: Vec<&'static str>,
    /// Days since 1970-01-01.
    pub(crate) birth: i64,
    pub(crate) birth_place: BirthPlace,
    /// The national identity number with its key, 15 places; absent for those not registered or not yet identified.
    pub(crate) nir: Option<String>,
    /// The hospital's own permanent number of the patient, unique.
    pub(crate) local_number: String,
    pub(crate) address: Vec<String>,
    pub(crate) commune: &'static Commune,
    pub(crate) mobile: Option<String>,
    pub(crate) landline: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) contact: Option<Contact>,
    /// Code of the value set of marital status.
    pub(crate) marital: &'static str,
    pub(crate) language: (&'static str, &'static str),
    pub(crate) dead: bool,
    /// Age in years on the last day of the chart.
    pub(crate) age: i64,
    /// The last moment of the chart: death, or the present.
    pub(crate) end_ms: i64,
}

/// Whom to call.
pub(crate) struct Contact {
    pub(crate) family: String,
    pub(crate) given: &'static str,
    pub(crate) sex: Sex,
    pub(crate) mobile: String,
    /// Code of the v3 RoleCode system, and French for it.
    pub(crate) relation: (&'static str, &'static str),
}

impl Person {
    /// Draws patient number `n`.
    pub(crate) fn draw(seed: u64, n: u64, now_ms: i64) -> Self {
        let draw = &mut Draw::new(seed, Stream::Person, n);
        let origin = draw_origin(draw);
        let sex = if draw.chance(53) { Sex::Female } else { Sex::Male };
        let dead = draw.chance(3);
        let end_ms = if dead { now_ms - draw.between(1, 1500) * DAY_MS - draw.between(0, DAY_MS) } else { now_ms };
        let age = draw_age(draw, dead);
        let birth = day_of(end_ms) - age * 1461 / 4 - draw.between(1, 364);
        let birth_place = draw_birth_place(draw, origin);
        let family = draw_family(draw, origin);
        let given = draw_given(draw, origin, sex);
        let married = age >= 22 && draw.chance(45);
        let used = (married && sex == Sex::Female && draw.chance(55)).then(|| {
            let of_spouse = draw_family(draw, origin);
            if draw.chance(25) { format!("{family}-{of_spouse}") } else { of_spouse }
        });
        let registered = match birth_place {
            BirthPlace::France(_) => draw.chance(97),
            BirthPlace::Abroad(_) => draw.chance(80),
        };
        let nir = registered.then(|| draw_nir(draw, sex, birth, &birth_place));
        let commune = if draw.chance(70) {
            draw.pick_from(COMMUNES.get(..COMMUNES_NEAR).unwrap_or(COMMUNES))
        } else {
            draw.pick_from(COMMUNES)
        };
        let mobile = (age >= 12 && draw.chance(88)).then(|| draw_mobile(draw));
        let contact = (age < 18 || draw.chance(60)).then(|| draw_contact(draw, origin, &family, age, married));
        Self {
            sex,
            email: (age >= 14 && draw.chance(60)).then(|| draw_email(draw, given.first().copied(), &family)),
            nir,
            local_number: local_number(n),
            address: draw_address(draw),
            commune,
            mobile,
            landline: draw.chance(35).then(|| draw_landline(draw, commune)),
            contact,
            marital: match (married, age) {
                (true, 70..) if draw.chance(40) => "W",
                (true, _) => "M",
                (false, 30..) if draw.chance(40) => "D",
                (false, 25..) if draw.chance(20) => "T",
                _ => "S",
            },
            language: origin.language,
            dead,
            age: years_between(birth, day_of(end_ms)),
            end_ms,
            family,
            used,
            given,
            birth,
            birth_place,
        }
    }

    /// The first given name.
    pub(crate) fn first_given(&self) -> &'static str {
        self.given.first().copied().unwrap_or_default()
    }

    /// The family name of every day.
    pub(crate) fn daily_family(&self) -> &str {
        self.used.as_deref().unwrap_or(&self.family)
    }

    /// `Mme Marie Martin`, as letters and references show it.
    pub(crate) fn display(&self) -> String {
        let title = match self.sex {
            Sex::Female => "Mme",
            Sex::Male => "M.",
        };
        format!("{title} {} {}", self.first_given(), self.daily_family())
    }
}

/// The hospital's own number of a patient, each once in 10^10 patients. Its digits look drawn, the first patient's too: a drill that greps
/// for it would find a row of zeros anywhere.
fn local_number(n: u64) -> String {
    const NUMBERS: u64 = 10_000_000_000;
    // Prime to the count, so that no number comes twice.
    const STEP: u64 = 7_919;
    const FIRST: u64 = 4_820_157_936;
    format!("8{:010}", (n % NUMBERS * STEP + FIRST) % NUMBERS)
}

/// Hospitals see the old and the newborn more than the street does.
fn draw_age(draw: &mut Draw, dead: bool) -> i64 {
    match draw.below(100) {
        _ if dead => draw.around(40, 104),
        0..4 => draw.between(0, 1),
        4..14 => draw.between(2, 17),
        14..56 => draw.between(18, 64),
        56..98 => draw.between(60, 92),
        _ => draw.between(90, 104),
    }
}

fn draw_birth_place(draw: &mut Draw, origin: &Origin) -> BirthPlace {
    if draw.chance(origin.born_abroad_percent) {
        BirthPlace::Abroad(*draw.pick_from(origin.countries))
    } else {
        BirthPlace::France(draw.pick_from(COMMUNES))
    }
}

fn draw_family(draw: &mut Draw, origin: &Origin) -> String {
    let first = draw.pick(origin.family);
    // Double names have been lawful since 2005, written with a space.
    if draw.chance(4) { format!("{first} {}", draw.pick(origin.family)) } else { first.to_owned() }
}

fn draw_given(draw: &mut Draw, origin: &Origin, sex: Sex) -> Vec<&'static str> {
    let names = match sex {
        Sex::Female => origin.female,
        Sex::Male => origin.male,
    };
    let mut given = vec![draw.pick(names)];
    for _ in 0..draw.below(4).saturating_sub(1) {
        let next = draw.pick(names);
        if !given.contains(&next) {
            given.push(next);
        }
    }
    given
}

fn draw_nir(draw: &mut Draw, sex: Sex, birth: i64, place: &BirthPlace) -> String {
    let (year, month, _) = civil_from_days(birth);
    let sex = match sex {
        Sex::Male => 1,
        Sex::Female => 2,
    };
    // Corsica had the number 20 until 1976.
    let place = match place.code() {
        code if birth < days_from_civil(1976, 1, 1) && (code.starts_with("2A") || code.starts_with("2B")) => {
            format!("20{}", code.get(2..).unwrap_or_default())
        }
        code => code.to_owned(),
    };
    let number = format!("{sex}{:02}{month:02}{place}{:03}", year.rem_euclid(100), draw.between(1, 999));
    let key = nir_key(&number).unwrap_or_default();
    format!("{number}{key:02}")
}

/// A mobile number of the range that the regulator keeps for fiction: 06 39 98 00 00 to 06 39 98 99 99 (ARCEP).
pub(crate) fn draw_mobile(draw: &mut Draw) -> String {
    format!("06 39 98 {:02} {:02}", draw.below(100), draw.below(100))
}

/// A landline of the ranges that the regulator keeps for fiction, one for each of the five zones (ARCEP).
fn draw_landline(draw: &mut Draw, commune: &Commune) -> String {
    let zone = match commune.postal_code.get(..2) {
        Some("75" | "77" | "78" | "91" | "92" | "93" | "94" | "95") => "01 99 00",
        Some("14" | "22" | "29" | "35" | "37" | "44" | "45" | "49" | "56" | "72" | "76" | "18" | "97") => "02 61 91",
        Some("08" | "10" | "21" | "25" | "51" | "54" | "57" | "58" | "59" | "62" | "67" | "68" | "80") => "03 53 01",
        Some("12" | "16" | "17" | "31" | "33" | "64" | "79" | "81" | "86" | "87") => "05 36 49",
        _ => "04 65 71",
    };
    format!("{zone} {:02} {:02}", draw.below(100), draw.below(100))
}

/// An address at a domain kept for examples (RFC 2606).
fn draw_email(draw: &mut Draw, given: Option<&str>, family: &str) -> String {
    let mut out = String::new();
    push_plain(&mut out, given.unwrap_or_default());
    out.push('.');
    push_plain(&mut out, family);
    format!("{out}{}@example.org", draw.below(1000))
}

/// Appends the plain letters of a name in lower case: accents off, all else dropped.
fn push_plain(out: &mut String, name: &str) {
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' => out.push(letter),
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ă' | 'ạ' | 'ầ' => out.push('a'),
            'ç' | 'č' => out.push('c'),
            'è' | 'é' | 'ê' | 'ë' | 'ě' | 'ễ' | 'ệ' => out.push('e'),
            'ì' | 'í' | 'î' | 'ï' | 'ı' => out.push('i'),
            'ñ' | 'ń' => out.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ő' | 'ọ' => out.push('o'),
            'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ư' => out.push('u'),
            'ý' | 'ÿ' => out.push('y'),
            'š' | 'ş' | 'ș' | 'ś' => out.push('s'),
            'ž' | 'ż' => out.push('z'),
            'ł' => out.push('l'),
            'đ' => out.push('d'),
            'ř' => out.push('r'),
            'ğ' => out.push('g'),
            'œ' => out.push_str("oe"),
            'æ' => out.push_str("ae"),
            _ => {}
        }
    }
}

fn draw_address(draw: &mut Draw) -> Vec<String> {
    let number = draw.between(1, 189);
    let suffix = match draw.below(12) {
        0 => " bis",
        1 => " ter",
        _ => "",
    };
    let mut lines = vec![format!("{number}{suffix} {}", draw.pick(STREETS))];
    if draw.chance(25) {
        lines.push(draw.pick(COMPLEMENTS).to_owned());
    }
    lines
}

fn draw_contact(draw: &mut Draw, origin: &'static Origin, family: &str, age: i64, married: bool) -> Contact {
    let sex = if draw.chance(50) { Sex::Female } else { Sex::Male };
    let relation = match (age, sex) {
        (..18, Sex::Female) => ("MTH", "mère"),
        (..18, Sex::Male) => ("FTH", "père"),
        (_, Sex::Female) if married => ("WIFE", "épouse"),
        (_, Sex::Male) if married => ("HUSB", "époux"),
        (65.., Sex::Female) => ("DAUC", "fille"),
        (65.., Sex::Male) => ("SONC", "fils"),
        (_, Sex::Female) => ("SIS", "sœur"),
        (_, Sex::Male) => ("BRO", "frère"),
    };
    let names = match sex {
        Sex::Female => origin.female,
        Sex::Male => origin.male,
    };
    let family = if draw.chance(70) { family.to_owned() } else { draw_family(draw, origin) };
    Contact { family, given: draw.pick(names), sex, mobile: draw_mobile(draw), relation }
}

#[cfg(test)]
mod tests {
    use super::super::nir::nir_is_valid;
    use super::*;

    fn people() -> impl Iterator<Item = Person> {
        (0..3000).map(|n| Person::draw(5, n, 1_780_000_000_000))
    }

    #[test]
    fn identity_numbers_agree_with_the_person() {
        let mut numbered = 0;
        let mut corsican = 0;
        for person in people() {
            let Some(nir) = &person.nir else { continue };
            numbered += 1;
            assert!(nir_is_valid(nir), "{nir}");
            assert_eq!(nir.starts_with('2'), person.sex == Sex::Female);
            let (year, month, _) = civil_from_days(person.birth);
            assert_eq!(nir[1..5], format!("{:02}{month:02}", year % 100));
            corsican += usize::from(nir[5..7] == *"2A" || nir[5..7] == *"2B");
        }
        assert!(numbered > 2500 && numbered < 3000, "{numbered}");
        assert!(corsican > 0);
    }

    #[test]
    fn people_are_alive_within_their_dates_and_reachable_by_nobody() {
        for person in people() {
            assert!((0..=106).contains(&person.age), "{}", person.age);
            assert!(day_of(person.end_ms) >= person.birth);
            for phone in person.mobile.iter().chain(&person.landline) {
                let ranges = ["06 39 98 ", "01 99 00 ", "02 61 91 ", "03 53 01 ", "04 65 71 ", "05 36 49 "];
                assert!(ranges.iter().any(|range| phone.starts_with(range)), "{phone}");
                assert_eq!(phone.len(), 14);
            }
            if let Some(email) = &person.email {
                assert!(email.ends_with("@example.org") && email.is_ascii(), "{email}");
            }
        }
    }

    #[test]
    fn local_numbers_are_unique() {
        let mut numbers: Vec<String> = people().map(|person| person.local_number).collect();
        assert!(numbers.iter().all(|number| number.len() == 11 && !number.contains("00000")));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 3000);
    }
}
