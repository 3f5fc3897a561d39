//! Why somebody sees a record, or why not, in words. For whoever keeps policies, never for whoever was refused.

use crate::care_view::CareView;
use crate::category::Category;
use crate::decide::Decision;
use crate::openings::Standing;
use crate::policies::Policies;
use crate::situation::{Act, CareSettings, ConsentRuling, ConsentSays, Label, PatientFlags, RelationSet, Subject};
use crate::visibility::{ties, visibility};
use std::collections::HashMap;
use std::fmt;
use tacet_types::{Basis, Labels, ResourceId, ResourceType, Sight, Timestamp};

/// What comes out for a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Open, for this reason.
    Open(Basis),
    /// Its content decides: what consents are about, or when it is of.
    ContentDecides,
    /// Closed: as if it were not there.
    Closed,
}

/// One question to the policies, and the answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered {
    /// The label that the record carries, or none.
    pub label: Option<Label>,
    /// What consents were taken to say.
    pub consent: ConsentSays,
    /// The answer.
    pub decision: Decision,
}

/// One patient of the record, or none where it is of no patient.
#[derive(Clone, PartialEq, Debug)]
pub struct Towards {
    /// Who.
    pub patient: Option<ResourceId>,
    /// The relations that policies about the role look at.
    pub relations: RelationSet,
    /// What is special.
    pub flags: PatientFlags,
    /// Whether an emergency is declared.
    pub break_glass: bool,
    /// What consents say to this subject.
    pub rulings: Vec<ConsentRuling>,
    /// What was asked: without a label, and for each label; again for each that a consent may say.
    pub answered: Vec<Answered>,
}

/// The whole answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// Who.
    pub subject: Subject,
    /// What they want to do.
    pub act: Act,
    /// To which type.
    pub resource_type: ResourceType,
    /// With which labels.
    pub labels: Labels,
    /// What comes out.
    pub verdict: Verdict,
    /// Each patient of the record: all must be open.
    pub towards: Vec<Towards>,
    /// The reasons of the policies that answered, by id.
    pub reasons: Vec<(String, String)>,
}

/// Care data of some patients only: an explanation looks at no others.
struct OnlyOf<'a, C> {
    care: &'a C,
    patients: &'a [ResourceId],
}

impl<C: CareView> OnlyOf<'_, C> {
    fn of(&self, mut related: HashMap<ResourceId, RelationSet>) -> HashMap<ResourceId, RelationSet> {
        related.retain(|patient, _| self.patients.contains(patient));
        related
    }
}

impl<C: CareView> CareView for OnlyOf<'_, C> {
    fn relations(
        &self,
        practitioner: &ResourceId,
        now: Timestamp,
        settings: &CareSettings,
    ) -> HashMap<ResourceId, RelationSet> {
        self.of(self.care.relations(practitioner, now, settings))
    }

    fn hospital(&self, now: Timestamp, settings: &CareSettings) -> HashMap<ResourceId, RelationSet> {
        self.of(self.care.hospital(now, settings))
    }

    fn flags(&self, patient: &ResourceId) -> PatientFlags {
        self.care.flags(patient)
    }

    fn each_flagged(&self, _: Timestamp, each: &mut dyn FnMut(&ResourceId)) {
        let mut patients = self.patients.to_vec();
        patients.sort_unstable();
        patients.dedup();
        patients.iter().for_each(each);
    }

    fn consents(&self, patient: &ResourceId, subject: &Subject, now: Timestamp) -> Vec<ConsentRuling> {
        self.care.consents(patient, subject, now)
    }

    fn break_glass(&self, account: &str, now: Timestamp) -> Vec<ResourceId> {
        self.care.break_glass(account, now)
    }

    fn plans(&self, patient: &ResourceId, now: Timestamp) -> Vec<ResourceId> {
        self.care.plans(patient, now)
    }
}

/// Why the subject may, or may not, do `act` to a record of this type, in the compartment of these patients, with these labels.
#[expect(clippy::too_many_arguments, reason = "who, what and when: each is a part of the question")]
pub fn explain<C: CareView>(
    policies: &Policies,
    care: &C,
    settings: &CareSettings,
    subject: &Subject,
    act: Act,
    now: Timestamp,
    resource_type: ResourceType,
    patients: &[ResourceId],
    labels: Labels,
) -> Explanation {
    let care = &OnlyOf { care, patients };
    let visibility = visibility(policies, care, settings, subject, act, now);
    let verdict = match visibility.sight(resource_type, patients, labels) {
        Sight::Seen(basis) => Verdict::Open(basis.clone()),
        Sight::AskIndex => Verdict::ContentDecides,
        Sight::Hidden => Verdict::Closed,
    };
    let ties = ties(policies, care, settings, subject, now);
    let category = Category::of(resource_type);
    let asked = |standing: Standing| -> Vec<Answered> {
        let carried = Label::all().filter(|label| label.bits().meets(labels)).map(Some);
        let answer = |label| Answered {
            label,
            consent: standing.consent,
            decision: policies.decide(&standing.situation(category, label, false)),
        };
        std::iter::once(None).chain(carried).map(answer).collect()
    };
    let bare = Standing::of(subject, act);
    let towards = |patient: &ResourceId| {
        let known = ties.get(patient).copied().unwrap_or_default();
        let flags = care.flags(patient);
        let standing = Standing { relations: known.relations, break_glass: known.break_glass, flags, ..bare };
        let mut rulings = care.consents(patient, subject, now);
        rulings.retain(|ruling| ruling.concerns(known.relations, known.break_glass));
        let mut answered = asked(standing);
        for (permit, consent) in [(true, ConsentSays::Permit), (false, ConsentSays::Deny)] {
            if rulings.iter().any(|ruling| ruling.permit == permit) {
                answered.extend(asked(Standing { consent, ..standing }));
            }
        }
        Towards {
            patient: Some(patient.clone()),
            relations: known.relations,
            flags,
            break_glass: known.break_glass,
            rulings,
            answered,
        }
    };
    let towards: Vec<Towards> = match patients {
        [] => {
            let standing = Standing { of_patient: false, ..bare };
            let (relations, flags) = (standing.relations, standing.flags);
            let answered = asked(standing);
            vec![Towards { patient: None, relations, flags, break_glass: false, rulings: Vec::new(), answered }]
        }
        patients => patients.iter().map(towards).collect(),
    };
    let mut reasons: Vec<(String, String)> = Vec::new();
    for id in
        towards.iter().flat_map(|towards| &towards.answered).flat_map(|answered| answered.decision.policies.iter())
    {
        if let (Some(info), false) = (policies.info(id), reasons.iter().any(|(known, _)| **known == **id)) {
            reasons.push((id.to_string(), info.reason.to_string()));
        }
    }
    Explanation { subject: subject.clone(), act, resource_type, labels, verdict, towards, reasons }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label {
            Some(label) => write!(f, "with label {}", label.as_str())?,
            None => f.write_str("without a label")?,
        }
        match self.consent {
            ConsentSays::Nothing => {}
            says => write!(f, ", where a consent says {says}")?,
        }
        let word = if self.decision.permit { "allowed" } else { "denied" };
        if self.decision.policies.is_empty() {
            return write!(f, ": {word}, since no policy allows it");
        }
        write!(f, ": {word} by {}", self.decision.policies.join(", "))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { account, role, purpose, strong, .. } = &self.subject;
        let login = if *strong { "strong" } else { "weak" };
        writeln!(f, "{account} ({role}, {login} login, purpose {purpose}): {} {}", self.act, self.resource_type)?;
        match &self.verdict {
            Verdict::Open(basis) => writeln!(f, "open: {basis}")?,
            Verdict::ContentDecides => writeln!(f, "open or closed by what the record holds")?,
            Verdict::Closed => writeln!(f, "closed: looks as if it were not there")?,
        }
        for towards in &self.towards {
            match &towards.patient {
                Some(patient) => writeln!(f, "Patient/{}", patient.as_str())?,
                None => writeln!(f, "of no patient")?,
            }
            let relations: Vec<&str> = towards.relations.iter().map(|relation| relation.as_str()).collect();
            let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            writeln!(f, "  relations: {}", list(&relations))?;
            let mut special: Vec<&str> = towards.flags.names().collect();
            special.extend(towards.break_glass.then_some("emergency declared"));
            writeln!(f, "  special: {}", list(&special))?;
            for ruling in &towards.rulings {
                let says = if ruling.permit { "permits" } else { "denies" };
                writeln!(f, "  Consent/{} {says} some records", ruling.consent.as_str())?;
            }
            for answered in &towards.answered {
                writeln!(f, "  {answered}")?;
            }
        }
        for (id, reason) in &self.reasons {
            writeln!(f, "{id}: {reason}")?;
        }
        Ok(())
    }
}
