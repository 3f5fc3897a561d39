//! From entries to a report: who somebody is, what is alike, how many.

use crate::{Access, AccessReport, Actor, Gaps, Line, Names, ReportSettings, Standing, Subject, Summary, What};
use std::collections::HashMap;
use tacet_ledger::{Entry, EventKind, Outcome};
use tacet_policy::Category;
use tacet_types::{Role, Timestamp};

/// Most accesses of one report: some 50 MB while it is made. A record with more is told in several, each of a shorter time.
pub const ACCESSES_MAX: usize = 100_000;

/// Why there is no report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReportError {
    /// There is too much to tell.
    #[error("there are more than {ACCESSES_MAX} accesses in this time: ask for a shorter one")]
    TooMany,
}

/// What an account is called; none where nobody knows.
type NameOf<'a> = Box<dyn Fn(&str) -> Option<String> + Send + 'a>;

/// A report that is being made. Entries come the oldest first.
pub struct Builder<'a> {
    settings: &'a ReportSettings,
    name_of: NameOf<'a>,
    report: AccessReport,
    /// Actors by account or name, role, and for whom a machine asked.
    known: HashMap<(String, String, Option<String>), usize>,
}

impl<'a> Builder<'a> {
    /// A report without any access. `name_of` tells what an account is called, by its id.
    pub fn new(
        settings: &'a ReportSettings,
        subject: Subject,
        name_of: impl Fn(&str) -> Option<String> + Send + 'a,
    ) -> Self {
        let report = AccessReport {
            subject,
            actors: Vec::new(),
            accesses: Vec::new(),
            lines: Vec::new(),
            summary: Summary::default(),
            gaps: Gaps::default(),
        };
        Self { settings, name_of: Box::new(name_of), report, known: HashMap::new() }
    }

    /// Takes an entry about this patient.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, index: u64, entry: &Entry) -> Result<(), ReportError> {
        if self.report.accesses.len() >= ACCESSES_MAX {
            return Err(ReportError::TooMany);
        }
        let actor = self.actor(entry);
        let what = What {
            kind: entry.kind,
            outcome: entry.outcome,
            purpose: entry.purpose,
            ground: entry.basis.clone(),
            place: self.settings.place(&entry.origin),
            app: app_of(entry).map(str::to_owned),
            reason: reason_of(entry),
        };
        let categories = entry.categories.iter().map(|kind| Category::of(*kind)).collect();
        let records = entry.records.len();
        self.report.accesses.push(Access { index, at: entry.at, actor, what, categories, records });
        Ok(())
    }

    /// Takes note of an access past its retention.
    pub fn expired(&mut self) {
        self.report.gaps.expired += 1;
    }

    /// Takes note of an access that does not open.
    pub fn damaged(&mut self) {
        self.report.gaps.damaged += 1;
    }

    /// The report. `began`: when the ledger begins, if that is known; `kept_since`: from when on entries can be read, where not all can; `unread`: entries of the ledger of which nobody knows about whom they are.
    pub fn finish(mut self, began: Option<Timestamp>, kept_since: Option<Timestamp>, unread: u64) -> AccessReport {
        self.report.gaps.began = began;
        self.report.gaps.kept_since = kept_since;
        self.report.gaps.unread = unread;
        let mut report = self.report;
        // Who asks with a patient's account and never reached anything is not this patient: whose account it is, is nobody else's business.
        for (place, actor) in report.actors.iter_mut().enumerate() {
            if actor.standing == Standing::Own {
                let own = |access: &Access| access.actor == place && access.what.outcome == Outcome::Success;
                if !report.accesses.iter().any(own) {
                    (actor.standing, actor.name) = (Standing::Unknown, None);
                }
            }
        }
        report.lines = lines(&report.accesses, self.settings);
        report.summary = summary(&report);
        report
    }

    fn actor(&mut self, entry: &Entry) -> usize {
        let behalf = behalf_of(entry);
        let who = entry.account.as_ref().unwrap_or(&entry.agent.owner).clone();
        let key = (who, entry.agent.role.clone(), behalf.map(str::to_owned));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let place = self.report.actors.len();
        self.report.actors.push(self.described(entry, behalf));
        self.known.insert(key, place);
        place
    }

    fn described(&self, entry: &Entry, behalf: Option<&str>) -> Actor {
        let owner = entry.agent.owner.clone();
        let role = Role::parse(&entry.agent.role);
        let machine = role.is_some_and(Role::is_of_machines);
        if let (true, Some(person)) = (machine, behalf) {
            let name = (self.settings.names == Names::Full).then(|| person.to_owned());
            return Actor { standing: Standing::Person, name, role: String::new(), said_by: Some(owner) };
        }
        let role_name = entry.agent.role.clone();
        if machine {
            let name = app_of(entry).map_or(owner, str::to_owned);
            return Actor { standing: Standing::Machine, name: Some(name), role: role_name, said_by: None };
        }
        let standing = if role == Some(Role::Patient) { Standing::Own } else { Standing::Person };
        let display = || entry.account.as_deref().and_then(|account| (self.name_of)(account)).unwrap_or(owner);
        let told = standing == Standing::Own || self.settings.names == Names::Full;
        Actor { standing, name: told.then(display), role: role_name, said_by: None }
    }
}

/// The app through which it was asked; the server writes apps where a machine names a person.
fn app_of(entry: &Entry) -> Option<&str> {
    entry.on_behalf_of.as_deref().and_then(|name| name.strip_prefix("app "))
}

/// The person for whom a machine asked.
fn behalf_of(entry: &Entry) -> Option<&str> {
    entry.on_behalf_of.as_deref().filter(|name| !name.starts_with("app "))
}

/// The reason of an emergency: `break-glass ID until WHEN, CODE: TEXT`.
fn reason_of(entry: &Entry) -> Option<String> {
    if entry.kind != EventKind::BreakGlass {
        return None;
    }
    let detail = entry.detail.as_deref()?;
    let given = match detail.strip_prefix("break-glass ") {
        Some(rest) => rest.split_once(", ")?.1,
        None => detail,
    };
    Some(given.to_owned())
}

fn lines(accesses: &[Access], settings: &ReportSettings) -> Vec<Line> {
    type Alike<'a> = (usize, i64, [u8; 3], Option<crate::Place>, [Option<&'a str>; 3]);
    let mut lines: Vec<Line> = Vec::new();
    let mut known: HashMap<Alike<'_>, usize> = HashMap::new();
    for access in accesses {
        let (day, what) = (settings.zone.day(access.at), &access.what);
        let codes = [what.kind.byte(), what.outcome.byte(), what.purpose.byte()];
        let texts = [what.ground.as_deref(), what.app.as_deref(), what.reason.as_deref()];
        let place = *known.entry((access.actor, day, codes, what.place, texts)).or_insert(lines.len());
        match lines.get_mut(place) {
            Some(line) => {
                (line.first, line.last) = (line.first.min(access.at), line.last.max(access.at));
                line.categories.extend(&access.categories);
                line.accesses += 1;
                line.records += access.records;
            }
            None => lines.push(Line {
                actor: access.actor,
                day,
                first: access.at,
                last: access.at,
                what: what.clone(),
                categories: access.categories.clone(),
                accesses: 1,
                records: access.records,
            }),
        }
    }
    lines.sort_by_key(|line| (line.actor, line.day, line.first));
    lines
}

fn summary(report: &AccessReport) -> Summary {
    let mut summary = Summary { accesses: report.accesses.len(), ..Summary::default() };
    let others = |actor: &&Actor| matches!(actor.standing, Standing::Person | Standing::Unknown);
    summary.persons = report.actors.iter().filter(others).count();
    for access in &report.accesses {
        match report.actors.get(access.actor).map(|actor| actor.standing) {
            Some(Standing::Machine) => summary.by_machines += 1,
            Some(Standing::Own) => summary.by_patient += 1,
            Some(Standing::Person | Standing::Unknown) | None => summary.by_persons += 1,
        }
        summary.emergencies += usize::from(access.what.is_emergency());
        summary.exports += usize::from(access.what.is_export());
        summary.refused += usize::from(access.what.outcome == Outcome::Refused);
    }
    summary
}
