//! What a decision depends on, and nothing else: who asks, by which relation, what kind of record of what kind of patient.
//!
//! A [`Situation`] names no patient and no record. There are finitely many of them, so what the policies say of one is kept.

use crate::category::Category;
use std::fmt;
use tacet_types::{Criterion, Labels, ResourceId, Role, TypeSet, Zone};

/// Makes an enumeration with the names that policies and the ledger use.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $name:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type { $($(#[$variant_doc])* $name,)+ }

        impl $type {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in policies, entries and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The one of this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What somebody has to do with a patient at a moment. Those that say more stand first: the first that suffices is what the
    /// ledger names as ground.
    Relation {
        /// The record is their own, or that of somebody for whom they act: set from the account, not from care data.
        OwnRecord = "own-record",
        /// A participant of an encounter that is going on or has just ended.
        EncounterParticipant = "encounter-participant",
        /// A member of a care team, or the keeper of a care plan or an episode of care.
        CareTeam = "care-team",
        /// An appointment with them a few days before or ahead.
        Appointment = "appointment",
        /// They ordered something, or are to carry an order out.
        Order = "order",
        /// A referral to them.
        Referral = "referral",
        /// The patient's general practitioner.
        GeneralPractitioner = "general-practitioner",
        /// They put the patient on file a few hours ago.
        Registered = "registered",
        /// The patient is in a ward, or in a unit, in which they work.
        WardEncounter = "ward-encounter",
        /// The patient is in a ward, or in a unit, for which they are on call now.
        OnCall = "on-call",
        /// They take part in something that nobody but they themselves wrote down: no more than a ward has.
        SelfDeclared = "self-declared",
        /// Of the hospital, not of a person: the patient is in the hospital now.
        Inpatient = "inpatient",
        /// Of the hospital, not of a person: the patient has a prescription in force.
        Prescription = "prescription",
        /// Of the hospital, not of a person: the patient has an open order for the laboratory or for imaging.
        OpenOrder = "open-order",
    }
}

impl Relation {
    /// Those that hold between a patient and the hospital, whoever asks: `CareData::hospital` gives them.
    pub const OF_THE_HOSPITAL: [Self; 3] = [Self::Inpatient, Self::Prescription, Self::OpenOrder];
}

/// A set of relations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelationSet(u32);

impl RelationSet {
    /// No relation.
    pub const NONE: Self = Self(0);

    /// These relations.
    pub fn of(relations: impl IntoIterator<Item = Relation>) -> Self {
        relations.into_iter().fold(Self::NONE, Self::with)
    }

    /// This set and one more.
    #[must_use]
    pub fn with(self, relation: Relation) -> Self {
        Self(self.0 | 1 << relation as u32)
    }

    /// Both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Adds one.
    pub fn insert(&mut self, relation: Relation) {
        *self = self.with(relation);
    }

    /// Whether the relation is in the set.
    pub fn has(self, relation: Relation) -> bool {
        self.0 & (1 << relation as u32) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, those that say more first.
    pub fn iter(self) -> impl Iterator<Item = Relation> {
        Relation::ALL.iter().copied().filter(move |relation| self.has(*relation))
    }
}

impl fmt::Debug for RelationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Relation::as_str)).finish()
    }
}

/// What makes a whole patient confidential.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct PatientFlags {
    /// Detained: comes from prison or is under guard.
    pub detained: bool,
    /// A known person.
    pub vip: bool,
    /// Works here.
    pub staff: bool,
    /// The whole record is restricted, for another reason.
    pub restricted: bool,
}

impl PatientFlags {
    /// Nothing special.
    pub const NONE: Self = Self { detained: false, vip: false, staff: false, restricted: false };

    /// Whether nothing is special.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all =
            [(self.detained, "detained"), (self.vip, "vip"), (self.staff, "staff"), (self.restricted, "restricted")];
        all.into_iter().filter_map(|(set, name)| set.then_some(name))
    }

    /// The labels that say the same of a record.
    pub fn labels(self) -> Labels {
        self.names().filter_map(Labels::parse).fold(Labels::NONE, Labels::and)
    }

    /// Sets the flag of this name; `false` if there is none of this name.
    pub fn set(&mut self, name: &str) -> bool {
        let flag = match name {
            "detained" => &mut self.detained,
            "vip" => &mut self.vip,
            "staff" => &mut self.staff,
            "restricted" => &mut self.restricted,
            _ => return false,
        };
        *flag = true;
        true
    }
}

/// For how long something makes a relation. Every span is from the record's own dates.
#[derive(Clone, PartialEq, Debug)]
pub struct CareSettings {
    /// Days before an appointment from which on it is a relation.
    pub appointment_days_before: u32,
    /// Days after an appointment until which it is one.
    pub appointment_days_after: u32,
    /// Days after the end of an encounter until which it is one.
    pub encounter_days_after: u32,
    /// Days after an order or a referral was written until which it is one, where it names no other end.
    pub order_days: u32,
    /// Hours after a patient was put on file until which whoever did it has a relation.
    pub registered_hours: u32,
    /// Days after a prescription was written until which it counts, where it names no other end.
    pub prescription_days: u32,
    /// Days without an end after which an encounter that nobody closed is a relation no more.
    pub encounter_days_max: u32,
    /// Minutes before and after their hours during which somebody is at work too, to hand over.
    pub shift_margin_minutes: u32,
    /// By which clock working hours are written.
    pub rota_zone: Zone,
}

impl Default for CareSettings {
    fn default() -> Self {
        Self {
            appointment_days_before: 7,
            appointment_days_after: 7,
            encounter_days_after: 3,
            order_days: 30,
            registered_hours: 24,
            prescription_days: 30,
            encounter_days_max: 365,
            shift_margin_minutes: 30,
            rota_zone: Zone::Paris,
        }
    }
}

/// Whoever asks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Subject {
    /// The account's name.
    pub account: String,
    /// What it is for.
    pub role: Role,
    /// The Practitioner that it stands for.
    pub practitioner: Option<ResourceId>,
    /// The account's own record as a patient, and the records of those for whom it acts.
    pub patients: Vec<ResourceId>,
    /// What for: a code of `http://terminology.hl7.org/CodeSystem/v3-ActReason` below PurposeOfUse.
    pub purpose: &'static str,
    /// Whether the login withstands phishing: a passkey, a certificate, or what another provider vouches for.
    pub strong: bool,
    /// Whether the account is a supplier's.
    pub supplier: bool,
    /// What a second person has allowed for this one request, with the labels that they were told of. `None`: nothing.
    pub approved: Option<Labels>,
}

named! {
    /// What somebody wants to do.
    Act {
        /// See, find, count.
        Read = "read",
        /// Create, change, delete.
        Write = "write",
        /// Change security labels of a record.
        Relabel = "relabel",
        /// Take many records away at once.
        Export = "export",
        /// Declare an emergency for a patient, to see what is not open otherwise.
        BreakGlass = "break-glass",
        /// Be told that something within a record is withheld.
        KnowWithheld = "know-withheld",
    }
}

named! {
    /// What the patient's consents say of a record.
    ConsentSays {
        /// Nothing.
        Nothing = "nothing",
        /// It is to be open to whoever asks.
        Permit = "permit",
        /// It is to be withheld from whoever asks.
        Deny = "deny",
    }
}

/// Records of one patient that one provision of a Consent is about: those for which all of this holds.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordScope {
    /// Of these types.
    pub types: TypeSet,
    /// Where something is denied: records that carry one of these labels. Where something is permitted: records that carry no others.
    /// `None`: whatever labels.
    pub labels: Option<Labels>,
    /// One of these holds; empty: none need.
    pub any_of: Vec<Criterion>,
    /// The clinical date meets this span, milliseconds since 1970 UTC, both ends included.
    pub within: Option<(i64, i64)>,
}

/// What one rule of one Consent says for one subject, purpose and moment, which were looked at already.
#[derive(Clone, PartialEq, Debug)]
pub struct ConsentRuling {
    /// The Consent.
    pub consent: ResourceId,
    /// Whether it permits; else it denies.
    pub permit: bool,
    /// Whether it names those whom it is about: persons, groups, organisations. A permit that names nobody is for those who give care, and
    /// opens nothing to who has nothing to do with the patient.
    pub named: bool,
    /// Which records.
    pub scope: RecordScope,
    /// Exceptions: of these records it says nothing. They are of the contrary kind, and so are their labels.
    pub unless: Vec<RecordScope>,
}

impl ConsentRuling {
    /// Whether it says something to somebody of these relations, or with an emergency declared.
    pub(crate) fn concerns(&self, relations: RelationSet, break_glass: bool) -> bool {
        !self.permit || self.named || break_glass || !relations.is_empty()
    }
}

/// All that a decision depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Situation {
    /// Who.
    pub role: Role,
    /// What they want to do.
    pub act: Act,
    /// What for.
    pub purpose: Purpose,
    /// Whether the login withstands phishing.
    pub strong: bool,
    /// Whether the account is a supplier's.
    pub supplier: bool,
    /// What kind of record.
    pub category: Category,
    /// Whether the record is in a patient's compartment.
    pub of_patient: bool,
    /// Whether the record lies ahead. Said only of categories that plan ([`Category::is_planned`]).
    pub upcoming: bool,
    /// By which relations.
    pub relations: RelationSet,
    /// What is special about the patient.
    pub flags: PatientFlags,
    /// The one label that the record carries, if it does. A record of several labels is open if it is with each one of them.
    pub label: Option<Label>,
    /// Whether an emergency is declared, by this account for this patient.
    pub break_glass: bool,
    /// What consents say.
    pub consent: ConsentSays,
    /// Whether a second person has allowed this request, knowing of this label and of what is special about this patient.
    pub approved: bool,
}

/// One security label as policies name it: one of [`Labels::ALL`], or `unknown` for bits that have no name in this version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(u8);

impl Label {
    /// The name of the label that stands for every one without a name.
    pub const UNKNOWN: &'static str = "unknown";

    /// Every label, the unknown one last.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Labels::ALL.len()).filter_map(|place| u8::try_from(place).ok().map(Self))
    }

    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        Labels::ALL.get(usize::from(self.0)).map_or(Self::UNKNOWN, |(_, name)| name)
    }

    /// The label of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|label| label.as_str() == name)
    }

    /// The bits that it stands for.
    pub fn bits(self) -> Labels {
        let known = Labels::ALL.iter().fold(Labels::NONE, |all, (label, _)| all.and(*label));
        Labels::ALL.get(usize::from(self.0)).map_or(Labels::EVERY.without(known), |(label, _)| *label)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A purpose of use, by its place in [`Purpose::CODES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purpose(u8);

impl Purpose {
    /// Codes of v3-ActReason below PurposeOfUse that policies can name
    /// (<https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html>). Others are [`Purpose::OTHER`].
    pub const CODES: [&'static str; 24] = [
        "TREAT",
        "ETREAT",
        "BTG",
        "CAREMGT",
        "CLINTRCH",
        "COC",
        "HPAYMT",
        "HOPERAT",
        "HDIRECT",
        "HSYSADMIN",
        "HQUALIMP",
        "HLEGAL",
        "HACCRED",
        "HCOMPL",
        "HMARKT",
        "HRESCH",
        "RESEARCH",
        "PATADMIN",
        "PATRQT",
        "FAMRQT",
        "PWATRNY",
        "SUPNWK",
        "PUBHLTH",
        "TRAIN",
    ];

    /// Care, where nothing else is said.
    pub const TREAT: Self = Self(0);

    /// What has no code among [`Purpose::CODES`].
    pub const OTHER: Self = Self(Self::CODES.len() as u8);

    /// What somebody of a role asks for who says nothing: care, the running of the hospital, or that they are the patient.
    pub fn usual(role: Role) -> Self {
        Self::of(match role {
            Role::Clinician | Role::Nurse | Role::Pharmacist | Role::Laboratory | Role::Integrator | Role::Feed => {
                "TREAT"
            }
            Role::Patient => "PATRQT",
            Role::Reception | Role::Auditor | Role::SecurityOfficer | Role::Administrator | Role::Operator => "HOPERAT",
        })
    }

    /// The purpose of a code.
    pub fn of(code: &str) -> Self {
        let place = Self::CODES.iter().position(|known| *known == code);
        place.and_then(|place| u8::try_from(place).ok()).map_or(Self::OTHER, Self)
    }

    /// Its code, or `other`.
    pub fn as_str(self) -> &'static str {
        Self::CODES.get(usize::from(self.0)).copied().unwrap_or("other")
    }

    /// Every purpose, the other one last.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::CODES.len()).filter_map(|place| u8::try_from(place).ok().map(Self))
    }
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
