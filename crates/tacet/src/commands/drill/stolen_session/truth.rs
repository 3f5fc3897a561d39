//! What is so: which records the stolen account may read, and what must not be seen of the others. Asked of the rules themselves, beside
//! the ways that the thief goes, and held against the charts.

use crate::commands::drill::staged::{Known, Stage};
use crate::error::CliError;
use aho_corasick::AhoCorasick;
use std::collections::{BTreeSet, HashSet};
use tacet_policy::{Act, Verdict};
use tacet_testkit::{PlantedKind, StaffMember};
use tacet_types::{ResourceId, ResourceType};
use tacet_vault::Caller;

/// Physicians whose patients are counted to find one who has many: those who stand in the most charts.
const CANDIDATES: usize = 6;

/// Code of the French list of professions: a physician.
const PHYSICIAN: &str = "10";

/// What an account may read.
pub(super) struct Truth {
    /// Records that are open, by place.
    pub(super) open: HashSet<String>,
    /// Records of which the content decides: the drill takes no side.
    pub(super) undecided: HashSet<String>,
    /// Patients whose record is open, by number.
    pub(super) own: BTreeSet<u64>,
    /// The others.
    pub(super) closed: BTreeSet<u64>,
}

impl Truth {
    /// Asks the rules about every record.
    pub(super) fn of(stage: &Stage, caller: &Caller) -> Result<Self, CliError> {
        let mut truth =
            Self { open: HashSet::new(), undecided: HashSet::new(), own: BTreeSet::new(), closed: BTreeSet::new() };
        for record in &stage.records {
            let verdict = verdict(stage, caller, record)?;
            if let Some(n) = record.patient.filter(|_| record.resource_type.as_str() == "Patient") {
                let patients = if matches!(verdict, Verdict::Open(_)) { &mut truth.own } else { &mut truth.closed };
                patients.insert(n);
            }
            match verdict {
                Verdict::Open(_) => truth.open.insert(record.place()),
                Verdict::ContentDecides => truth.undecided.insert(record.place()),
                Verdict::Closed => false,
            };
        }
        Ok(truth)
    }

    /// Whether a record must stay hidden.
    pub(super) fn is_closed(&self, place: &str) -> bool {
        !self.open.contains(place) && !self.undecided.contains(place)
    }

    /// Closed records of closed patients.
    pub(super) fn closed_records<'a>(&'a self, stage: &'a Stage) -> impl Iterator<Item = &'a Known> {
        stage
            .records
            .iter()
            .filter(|record| record.patient.is_some_and(|n| self.closed.contains(&n)))
            .filter(|record| self.is_closed(&record.place()))
    }
}

/// What the rules say of one record.
pub(super) fn verdict(stage: &Stage, caller: &Caller, record: &Known) -> Result<Verdict, CliError> {
    Ok(stage.vault.explain(caller, Act::Read, record.resource_type, &record.id)?.verdict)
}

/// The same of a record by its place; closed where there is none.
pub(super) fn verdict_of(stage: &Stage, caller: &Caller, place: &str) -> Result<Verdict, CliError> {
    let parts =
        place.split_once('/').and_then(|(kind, id)| Some((ResourceType::parse(kind)?, ResourceId::parse(id).ok()?)));
    let Some((kind, id)) = parts else { return Ok(Verdict::Closed) };
    Ok(stage.vault.explain(caller, Act::Read, kind, &id)?.verdict)
}

/// A physician with many patients: whose session is worth stealing. And how many charts do not so much as name them or their ward.
pub(super) fn whom_to_rob(stage: &Stage) -> Result<StaffMember, CliError> {
    let mut physicians: Vec<(usize, StaffMember)> = stage
        .hospital
        .staff()
        .filter(|member| member.profession == PHYSICIAN)
        .map(|member| (stage.records.iter().filter(|record| record.json.contains(&member.id)).count(), member))
        .collect();
    physicians.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    let mut best: Option<(usize, StaffMember)> = None;
    for (_, member) in physicians.into_iter().take(CANDIDATES) {
        let caller = stage.physician("nobody", &id_of(&member)?);
        let mut patients = 0;
        for record in stage.records.iter().filter(|record| record.resource_type.as_str() == "Patient") {
            patients += usize::from(matches!(verdict(stage, &caller, record)?, Verdict::Open(_)));
        }
        if best.as_ref().is_none_or(|(most, _)| patients > *most) {
            best = Some((patients, member));
        }
    }
    match best {
        Some((1.., member)) => Ok(member),
        _ => Err(CliError::Usage(
            "the drill could not be played: no physician of this hospital has a patient today; take more patients, or another seed"
                .into(),
        )),
    }
}

/// The logical id of somebody's Practitioner.
pub(super) fn id_of(member: &StaffMember) -> Result<ResourceId, CliError> {
    ResourceId::parse(&member.id).map_err(|error| CliError::other("a member of the staff has no id", error))
}

/// Charts of patients that name neither the physician nor the ward: nothing could ever open them to this account, by whatever rule
/// of care. The rules must agree.
pub(super) fn strangers(stage: &Stage, member: &StaffMember) -> BTreeSet<u64> {
    let named = |n: u64| {
        let mut chart = stage.records.iter().filter(|record| record.patient == Some(n));
        chart.any(|record| record.json.contains(&member.id) || record.json.contains(&member.ward))
    };
    stage.roster.iter().copied().filter(|n| !named(*n)).collect()
}

/// The strings that stand in closed records and in no open one: each that turns up in an answer is a leak.
pub(super) struct Marks {
    automaton: AhoCorasick,
    /// Whose each string is.
    pub(super) strings: Vec<(u64, &'static str, String)>,
}

impl Marks {
    pub(super) fn of(stage: &Stage, truth: &Truth) -> Result<Self, CliError> {
        let mut strings: Vec<(u64, &'static str, String)> = Vec::new();
        for n in &truth.closed {
            for planted in stage.hospital.planted(*n) {
                if planted.kind.tells_one_patient() && planted.is_distinctive() {
                    strings.push((*n, planted.kind.as_str(), planted.text));
                }
            }
        }
        for record in truth.closed_records(stage) {
            if let Some(n) = record.patient {
                strings.push((n, "record id", record.id.as_str().to_owned()));
            }
        }
        strings.sort_by(|a, b| a.2.cmp(&b.2));
        strings.dedup_by(|a, b| a.2 == b.2);
        // Namesakes and what open records say of others are known to whoever may read those.
        let all = automaton(strings.iter().map(|(_, _, text)| text))?;
        let mut known = HashSet::new();
        for record in stage.records.iter().filter(|record| !truth.is_closed(&record.place())) {
            known.extend(all.find_overlapping_iter(&record.json).map(|found| found.pattern().as_usize()));
        }
        let mut place = 0;
        strings.retain(|_| {
            place += 1;
            !known.contains(&(place - 1))
        });
        Ok(Self { automaton: automaton(strings.iter().map(|(_, _, text)| text))?, strings })
    }

    /// The strings in these bytes, by place.
    pub(super) fn within<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        self.automaton.find_overlapping_iter(bytes).map(|found| found.pattern().as_usize())
    }
}

fn automaton<'a>(strings: impl Iterator<Item = &'a String>) -> Result<AhoCorasick, CliError> {
    AhoCorasick::new(strings).map_err(|error| CliError::other("the drill's scanner cannot be made", error))
}

/// What a kind of planted string tells.
trait Tells {
    /// Whether it leads to one patient by itself.
    fn tells_one_patient(self) -> bool;
}

impl Tells for PlantedKind {
    fn tells_one_patient(self) -> bool {
        matches!(
            self,
            Self::PatientId
                | Self::LocalNumber
                | Self::Nir
                | Self::Phone
                | Self::Email
                | Self::Display
                | Self::AddressLine
        )
    }
}
