//! One patient's chapter.

use super::Pack;
use crate::dosage::Due;
use crate::read::{DAY_MS, When};
use crate::sheet::{Allergy, Gap, Identity, Known, Listed, Measure, Section, Sheet, Standing, Treatment};
use crate::words::Telling;
use tacet_paper::{Block, Chapter, Column, Grid, GridRow};
use tacet_types::{Timestamp, civil_from_days};

/// Rows for notes by hand on each sheet, and their height in points.
const NOTE_ROWS: usize = 9;
const NOTE_HEIGHT: u16 = 34;

/// What tells a sheet.
struct Teller<'a> {
    telling: &'a Telling,
    made: Timestamp,
}

pub(super) fn chapter(sheet: &Sheet, pack: &Pack, code: &str, (place, count): (usize, usize)) -> Chapter {
    let teller = Teller { telling: &pack.telling, made: pack.made };
    let telling = &pack.telling;
    let mut about = teller.about(&sheet.identity);
    let lies: Vec<String> = [
        sheet.stay.room.as_ref().map(|room| format!("{} {room}", telling.of("chambre", "room"))),
        sheet.stay.bed.clone(),
        Some(format!("{} {place}/{count}", telling.of("patient", "patient"))),
        Some(format!("{} {code}", telling.of("feuille", "sheet"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    about.push(lies.join(" · "));
    let mut blocks = Vec::new();
    teller.gaps(sheet, &mut blocks);
    if sheet.identity.dead {
        blocks.push(Block::Frame(vec![
            telling.of("Le dossier dit ce patient décédé", "The record says that this patient has died").to_owned(),
        ]));
    }
    teller.alerts(sheet, &mut blocks);
    teller.allergies(sheet, &mut blocks);
    teller.stay(sheet, &mut blocks);
    teller.problems(sheet, &mut blocks);
    teller.treatments(sheet, &mut blocks);
    teller.measures(("Constantes", "Vital signs"), &sheet.vitals, sheet, &mut blocks);
    teller.measures(("Derniers résultats", "Last results"), &sheet.results, sheet, &mut blocks);
    teller.orders(sheet, &mut blocks);
    teller.contacts(sheet, &mut blocks);
    teller.notes(code, &mut blocks);
    let bars = sheet.identity.ins.as_ref().map(|(number, _)| number.clone()).or_else(|| sheet.identity.number.clone());
    Chapter { title: String::new(), about, code: bars, blocks }
}

impl Teller<'_> {
    fn of<'t>(&self, words: (&'t str, &'t str)) -> &'t str {
        self.telling.of(words.0, words.1)
    }

    fn heading(&self, words: (&str, &str)) -> Block {
        Block::Heading(2, self.of(words).to_owned())
    }

    fn when(&self, when: Option<&When>) -> String {
        when.map(|when| self.telling.when(when, self.made)).unwrap_or_default()
    }

    fn column(&self, words: (&str, &str), share: u16, bold: bool) -> Column {
        Column { title: self.of(words).to_owned(), share, bold }
    }

    /// "and 3 more: ask", where there are more.
    fn more<T>(&self, listed: &Listed<T>) -> Option<String> {
        let text = self.of(("… et %n de plus : demander", "… and %n more: ask"));
        (listed.more > 0).then(|| text.replace("%n", &listed.more.to_string()))
    }

    fn about(&self, identity: &Identity) -> Vec<String> {
        let unknown = || self.of(("identité illisible", "identity unreadable")).to_owned();
        let mut name = identity.name.clone().unwrap_or_else(unknown);
        if let Some(used) = &identity.used {
            name = format!("{name} ({} {used})", self.of(("utilisé :", "used:")));
        }
        let sex = match identity.sex.as_deref() {
            Some("female") => self.of(("F", "F")),
            Some("male") => self.of(("M", "M")),
            Some("other") => self.of(("autre", "other")),
            _ => self.of(("sexe non enregistré", "sex not recorded")),
        };
        let born = match &identity.born {
            Some(born) => format!("{} {}{}", self.of(("né(e) le", "born")), self.when(Some(born)), self.age(born)),
            None => self.of(("date de naissance non enregistrée", "date of birth not recorded")).to_owned(),
        };
        let ins = match &identity.ins {
            Some((number, kind)) => {
                let qualified = if identity.validated == Some(false) {
                    self.of((", identité non validée", ", identity not validated"))
                } else {
                    ""
                };
                format!("INS {number} ({}{qualified})", kind.as_str())
            }
            None => self.of(("pas d’INS enregistré", "no INS recorded")).to_owned(),
        };
        let number = identity.number.as_ref().map(|number| format!(" · {} {number}", self.of(("IPP", "hospital no."))));
        vec![name, format!("{born} · {sex}"), format!("{ins}{}", number.unwrap_or_default())]
    }

    fn age(&self, born: &When) -> String {
        let When::Date(text) = born else { return String::new() };
        if text.len() != 10 {
            return String::new();
        }
        let (now_year, now_month, now_day) = civil_from_days(self.telling.zone.day(self.made));
        let (year, month, day) = civil_from_days(born.as_ms().div_euclid(DAY_MS));
        let years = now_year - year - i64::from((now_month, now_day) < (month, day));
        match years {
            ..0 => String::new(),
            0..3 => {
                let months =
                    (now_year - year) * 12 + i64::from(now_month) - i64::from(month) - i64::from(now_day < day);
                format!(" ({months} {})", self.of(("mois", "months")))
            }
            years => format!(" ({years} {})", self.of(("ans", "years"))),
        }
    }

    fn gaps(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        for gap in &sheet.gaps {
            blocks.push(Block::Frame(match gap {
                Gap::TooMuch => vec![
                    self.of(("FEUILLE INCOMPLÈTE", "SHEET NOT WHOLE")).to_owned(),
                    self.of(("Ce dossier est plus long que ce qu’une feuille peut lire : des éléments plus anciens manquent.", "This record is longer than what is read for a sheet: older parts are missing.")).to_owned(),
                ],
                Gap::Unreadable => {
                    let parts: Vec<&str> = sheet.missing.iter().map(|part| self.of(named(*part))).collect();
                    let mut lines = vec![
                        self.of(("FEUILLE INCOMPLÈTE", "SHEET NOT WHOLE")).to_owned(),
                        self.of(("Une partie de ce dossier n’a pas pu être lue : elle manque ici.", "A part of this record could not be read: it is missing here.")).to_owned(),
                    ];
                    if !parts.is_empty() {
                        let told = self.of(("Il manque au moins un élément de :", "At least one item is missing of:"));
                        lines.push(format!("{told} {}.", parts.join(", ")));
                    }
                    lines
                }
                Gap::Nothing => vec![
                    self.of(("DOSSIER ILLISIBLE", "RECORD UNREADABLE")).to_owned(),
                    self.of(("Ce patient est présent, mais son dossier n’a pas pu être lu. Rien de ce qui suit ne dit qu’il n’y a rien.", "This patient is present, but the record could not be read. Nothing below says that there is nothing.")).to_owned(),
                ],
            }));
        }
    }

    fn alerts(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        if sheet.alerts.items.is_empty() {
            let none = ("Alertes : aucune enregistrée.", "Alerts: none recorded.");
            blocks.push(match self.lacking(sheet, Section::Alerts) {
                Some(lacking) => Block::Frame(vec![self.of(("ALERTES", "ALERTS")).to_owned(), lacking]),
                None => Block::Text(self.of(none).to_owned()),
            });
            return;
        }
        let mut lines = vec![self.of(("ALERTES", "ALERTS")).to_owned()];
        lines.extend(sheet.alerts.items.iter().map(|alert| format!("! {alert}")));
        lines.extend(self.more(&sheet.alerts));
        lines.extend(self.lacking(sheet, Section::Alerts));
        blocks.push(Block::Frame(lines));
    }

    fn allergies(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        let lacking = self.lacking(sheet, Section::Allergies);
        let mut lines = match &sheet.allergies {
            // Something is recorded, and nobody knows what.
            _ if lacking.is_some() && !matches!(sheet.allergies, Known::Some(_)) => {
                vec![self.of(("ALLERGIES : À DEMANDER", "ALLERGIES: ASK")).to_owned()]
            }
            Known::NotRecorded => vec![
                self.of(("ALLERGIES : RIEN D’ENREGISTRÉ", "ALLERGIES: NOTHING RECORDED")).to_owned(),
                self.of((
                    "Ce n’est pas « pas d’allergie » : demander au patient.",
                    "This is not “no allergy”: ask the patient.",
                ))
                .to_owned(),
            ],
            Known::None(said) => {
                vec![self.of(("ALLERGIES : AUCUNE CONNUE", "ALLERGIES: NONE KNOWN")).to_owned(), said.join(" ; ")]
            }
            Known::Some(listed) => {
                let mut lines = vec![self.of(("ALLERGIES ET INTOLÉRANCES", "ALLERGIES AND INTOLERANCES")).to_owned()];
                lines.extend(listed.items.iter().map(|allergy| self.allergy(allergy)));
                lines.extend(self.more(listed));
                lines
            }
        };
        lines.extend(lacking);
        blocks.push(Block::Frame(lines));
    }

    fn allergy(&self, allergy: &Allergy) -> String {
        let grave = if allergy.grave { self.of(("!! GRAVE — ", "!! SEVERE — ")) } else { "• " };
        let doubt = if allergy.confirmed { "" } else { self.of((" (non confirmée)", " (unconfirmed)")) };
        let reactions = match allergy.reactions.is_empty() {
            true => String::new(),
            false => format!(" : {}", allergy.reactions.join(", ")),
        };
        format!("{grave}{}{doubt}{reactions}", allergy.what)
    }

    fn stay(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        let stay = &sheet.stay;
        let mut parts = Vec::new();
        parts.extend(
            stay.since
                .as_ref()
                .map(|since| format!("{} {}", self.of(("Présent depuis le", "Here since")), self.when(Some(since)))),
        );
        parts.push(match &stay.responsible {
            Some(name) => format!("{} {name}", self.of(("responsable :", "responsible:"))),
            None => self.of(("responsable non enregistré", "responsible clinician not recorded")).to_owned(),
        });
        parts.extend(stay.reason.as_ref().map(|reason| format!("{} {reason}", self.of(("motif :", "reason:")))));
        parts.extend(
            sheet.identity.speaks.as_ref().map(|language| format!("{} {language}", self.of(("langue :", "language:")))),
        );
        blocks.push(Block::Text(parts.join(" · ")));
    }

    /// That something of a part could not be read, where that is so.
    fn lacking(&self, sheet: &Sheet, section: Section) -> Option<String> {
        let text = (
            "!! Ce qui figure au dossier n’a pas pu être lu en entier : demander.",
            "!! What is on record could not be read as a whole: ask.",
        );
        sheet.may_lack(section).then(|| self.of(text).to_owned())
    }

    fn problems(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        blocks.push(self.heading(("Problèmes en cours", "Active problems")));
        match &sheet.problems {
            Known::NotRecorded => {
                blocks.push(Block::Text(self.of(("Rien d’enregistré.", "Nothing recorded.")).to_owned()))
            }
            Known::None(said) => blocks.push(Block::Text(said.join(" ; "))),
            Known::Some(listed) => {
                let told = listed.items.iter().map(|problem| {
                    let doubt = if problem.suspected { self.of((" (suspecté)", " (suspected)")) } else { "" };
                    let since = match &problem.since {
                        Some(since) => format!(" — {}", self.when(Some(since))),
                        None => String::new(),
                    };
                    format!("{}{doubt}{since}", problem.what)
                });
                blocks.push(Block::List(told.chain(self.more(listed)).collect()));
            }
        }
        blocks.extend(self.lacking(sheet, Section::Problems).map(Block::Text));
    }

    fn treatments(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        blocks.push(self.heading(("Traitements", "Treatments")));
        blocks.extend(self.lacking(sheet, Section::Treatments).map(Block::Text));
        let listed = match &sheet.treatments {
            Known::NotRecorded => {
                blocks.push(Block::Text(self.of(("Rien d’enregistré.", "Nothing recorded.")).to_owned()));
                return;
            }
            Known::None(said) => {
                blocks.push(Block::Text(said.join(" ; ")));
                return;
            }
            Known::Some(listed) => listed,
        };
        let columns = vec![
            self.column(("Traitement", "Treatment"), 8, true),
            self.column(("Dose", "Dose"), 11, false),
            self.column(("Dernière prise", "Last given"), 5, false),
            self.column(("Prochaine", "Next due"), 5, true),
        ];
        let rows = listed.items.iter().map(|one| GridRow { cells: self.treatment(one), ..GridRow::default() });
        blocks.push(Block::Grid(Grid { columns, rows: rows.collect(), boxed: false }));
        blocks.extend(self.more(listed).map(Block::Text));
    }

    fn treatment(&self, one: &Treatment) -> Vec<String> {
        let standing = match one.standing {
            Standing::Forbidden => self.of(("NE PAS DONNER : ", "DO NOT GIVE: ")),
            Standing::AtOnce => self.of(("IMMÉDIAT : ", "AT ONCE: ")),
            Standing::Ordered => "",
            Standing::Resting => self.of(("SUSPENDU : ", "ON HOLD: ")),
            Standing::Taken => self.of(("(habituel) ", "(at home) ")),
        };
        let dose = match one.doses.is_empty() {
            true => self.of(("dose non enregistrée", "dose not recorded")).to_owned(),
            false => one.doses.join("\n"),
        };
        let ended = match &one.ended {
            Some(end) => format!(
                "\n{} {}",
                self.of(("! fin prévue dépassée :", "! planned end has passed:")),
                self.when(Some(end))
            ),
            None => String::new(),
        };
        let given = match &one.last {
            Some(given) => {
                let refused = if given.refused { self.of((" NON DONNÉ", " NOT GIVEN")) } else { "" };
                let dose = given.dose.as_ref().map(|dose| format!(" ({})", whole(dose))).unwrap_or_default();
                format!("{}{dose}{refused}", self.when(Some(&given.at)))
            }
            None if one.standing == Standing::Taken => String::new(),
            None => self.of(("rien de noté", "none noted")).to_owned(),
        };
        let due = match one.due {
            Some(Due::At(at)) => self.telling.moment(at, self.made),
            Some(Due::Since(at)) => {
                format!("! {} {}", self.of(("en retard depuis", "overdue since")), self.telling.moment(at, self.made))
            }
            None if matches!(one.standing, Standing::Ordered | Standing::AtOnce) => {
                self.of(("selon la dose", "see dose")).to_owned()
            }
            None => "—".to_owned(),
        };
        vec![format!("{standing}{}", one.what), format!("{dose}{ended}"), given, due]
    }

    fn measures(&self, title: (&str, &str), listed: &Listed<Measure>, sheet: &Sheet, blocks: &mut Vec<Block>) {
        blocks.push(self.heading(title));
        blocks.extend(self.lacking(sheet, Section::Measures).map(Block::Text));
        if listed.items.is_empty() {
            blocks.push(Block::Text(self.of(("Rien d’enregistré récemment.", "Nothing recorded lately.")).to_owned()));
            return;
        }
        let columns = vec![
            self.column(("Examen", "What"), 18, false),
            self.column(("Valeur", "Value"), 13, true),
            self.column(("Écart", "Flag"), 7, true),
            self.column(("Usuel", "Range"), 8, false),
            self.column(("Quand", "When"), 11, false),
            self.column(("Avant", "Before"), 15, false),
        ];
        let rows = listed.items.iter().map(|one| {
            let value = one.value.clone().unwrap_or_else(|| self.of(("non rendu", "no value")).to_owned());
            let preliminary = if one.preliminary { self.of((" (provisoire)", " (preliminary)")) } else { "" };
            let before = one.before.as_ref().map(|(value, at)| match at {
                Some(at) => format!("{value} ({})", whole(&self.when(Some(at)))),
                None => value.clone(),
            });
            GridRow {
                cells: vec![
                    one.what.clone(),
                    format!("{value}{preliminary}"),
                    one.off.sign().to_owned(),
                    one.range.clone().unwrap_or_default(),
                    self.when(one.at.as_ref()),
                    before.unwrap_or_default(),
                ],
                ..GridRow::default()
            }
        });
        blocks.push(Block::Grid(Grid { columns, rows: rows.collect(), boxed: false }));
        blocks.extend(self.more(listed).map(Block::Text));
    }

    fn orders(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        blocks.push(self.heading(("Demandes en cours, rendez-vous du jour", "Open orders, appointments of the day")));
        blocks.extend(self.lacking(sheet, Section::Orders).map(Block::Text));
        if sheet.orders.items.is_empty() {
            blocks.push(Block::Text(self.of(("Rien d’enregistré.", "Nothing recorded.")).to_owned()));
            return;
        }
        let told = sheet.orders.items.iter().map(|order| {
            let kind = match (order.appointment, order.urgent) {
                (true, _) => self.of(("Rendez-vous : ", "Appointment: ")),
                (false, true) => self.of(("! URGENT : ", "! URGENT: ")),
                (false, false) => "",
            };
            match &order.at {
                Some(at) => format!("{kind}{} — {}", order.what, self.when(Some(at))),
                None => format!("{kind}{}", order.what),
            }
        });
        blocks.push(Block::List(told.chain(self.more(&sheet.orders)).collect()));
    }

    fn contacts(&self, sheet: &Sheet, blocks: &mut Vec<Block>) {
        blocks.push(self.heading(("À prévenir", "Contacts")));
        blocks.extend(self.lacking(sheet, Section::Contacts).map(Block::Text));
        if sheet.contacts.items.is_empty() {
            blocks.push(Block::Text(self.of(("Personne d’enregistré.", "Nobody recorded.")).to_owned()));
            return;
        }
        let told = sheet.contacts.items.iter().map(|contact| {
            let relation = match (&contact.relation, contact.doctor) {
                (_, true) => format!("{} : ", self.of(("Médecin traitant", "General practitioner"))),
                (Some(relation), false) => format!("{relation} : "),
                (None, false) => String::new(),
            };
            let phones = match contact.phones.is_empty() {
                true => self.of(("pas de téléphone enregistré", "no telephone recorded")).to_owned(),
                false => contact.phones.join(" ; "),
            };
            format!("{relation}{} — {phones}", contact.name)
        });
        blocks.push(Block::List(told.chain(self.more(&sheet.contacts)).collect()));
    }

    fn notes(&self, code: &str, blocks: &mut Vec<Block>) {
        let title = self.of(("Notes à la main — feuille %c", "Notes by hand — sheet %c")).replace("%c", code);
        blocks.push(Block::Heading(2, title));
        let columns = vec![
            self.column(("Date, heure", "Date, time"), 5, false),
            self.column(("Note, acte, traitement donné (dose)", "Note, act, treatment given (dose)"), 18, false),
            self.column(("Nom, signature", "Name, initials"), 6, false),
        ];
        let row = GridRow { cells: vec![String::new(); 3], height: NOTE_HEIGHT, page_of: None };
        blocks.push(Block::Grid(Grid { columns, rows: vec![row; NOTE_ROWS], boxed: true }));
    }
}

/// A text that no line ends within.
fn whole(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// What a part of a sheet is called.
fn named(section: Section) -> (&'static str, &'static str) {
    match section {
        Section::Identity => ("identité", "identity"),
        Section::Alerts => ("alertes et décisions", "alerts and decisions"),
        Section::Allergies => ("allergies", "allergies"),
        Section::Stay => ("séjour et lieu", "stay and place"),
        Section::Problems => ("problèmes", "problems"),
        Section::Treatments => ("traitements", "treatments"),
        Section::Measures => ("constantes et résultats", "vital signs and results"),
        Section::Orders => ("demandes et rendez-vous", "orders and appointments"),
        Section::Contacts => ("personnes à prévenir", "contacts"),
        Section::Names => ("noms de soignants ou de services", "names of staff or places"),
        Section::Unknown => ("nature inconnue (peut manquer partout)", "unknown kind (may be missing anywhere)"),
    }
}
