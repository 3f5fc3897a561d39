//! The codes of a value set, worked out.
//!
//! An expansion is a list in the order of its definition and a set at the same time: for each code system, which of its
//! concepts are in (a bit each), and which codes that are only written out, because their system is not here.
//!
//! What cannot be worked out (a system that is not here, a cycle, a filter that is wrong) is kept as a [`Problem`] and the
//! rest goes on: `$expand` then fails with the first problem, and a question about one code is answered where the
//! problem does not touch it.

mod evaluate;

use crate::bits::Bits;
use crate::error::TerminologyError;
use crate::system::System;
use crate::table::{ABSTRACT, INACTIVE};
use crate::value_set::{WrittenCode, WrittenDesignation};
use std::collections::HashMap;

pub(crate) use evaluate::{Pins, evaluate};

/// A part that could not be worked out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    /// The system whose codes are concerned; `None` for any.
    pub(crate) system: Option<Box<str>>,
    pub(crate) error: TerminologyError,
}

impl Problem {
    fn touches(&self, system: Option<&str>) -> bool {
        match (&self.system, system) {
            (Some(mine), Some(asked)) => **mine == *asked,
            _ => true,
        }
    }
}

/// The codes of one system, of one version, that are in an expansion.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) url: Box<str>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) system: Option<System>,
    bits: Bits,
    /// Codes without a concept in the table, with their place in `written`.
    loose: HashMap<Box<str>, u32>,
}

/// No concept of a table, or nothing written about it.
const NONE: u32 = u32::MAX;

/// One code of an expansion.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: u32,
    concept: u32,
    written: u32,
}

/// A code, with what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'e> {
    pub(crate) slot: &'e Slot,
    pub(crate) code: &'e str,
    concept: Option<u32>,
    written: Option<&'e WrittenCode>,
}

impl<'e> Member<'e> {
    /// The display: what the value set says, in no language, before the system's own.
    pub(crate) fn display(&self, language: Option<&str>) -> Option<&'e str> {
        let translated = language.and_then(|language| {
            let mut found = self.designations().filter(|(tag, _, _)| crate::language::matches(tag, language));
            found.next().map(|(_, _, value)| value)
        });
        translated.or_else(|| self.written.and_then(|written| written.display.as_deref())).or_else(|| {
            let (system, concept) = self.place()?;
            system.display_in(concept, None)
        })
    }

    fn place(&self) -> Option<(&'e System, u32)> {
        Some((self.slot.system.as_ref()?, self.concept?))
    }

    /// Language, `use` as JSON, and text of each designation.
    pub(crate) fn designations(&self) -> impl Iterator<Item = (&'e str, &'e str, &'e str)> {
        let written = self.written.map(|written| written.designations.as_slice()).unwrap_or_default();
        let of_value_set = written.iter().map(|WrittenDesignation { language, purpose, value }| {
            (language.as_ref(), purpose.as_ref(), value.as_ref())
        });
        let of_system = self.place().into_iter().flat_map(|(system, concept)| {
            system.designations(concept).map(|one| (one.language, one.purpose, one.value))
        });
        of_value_set.chain(of_system)
    }

    /// Whether a text is one of its names.
    pub(crate) fn has_display(&self, text: &str) -> bool {
        let same = |other: &str| crate::language::same_text(other, text);
        self.written.and_then(|written| written.display.as_deref()).is_some_and(same)
            || self.designations().any(|(_, _, value)| same(value))
            || self.place().is_some_and(|(system, concept)| system.has_display(concept, text))
    }

    /// Whether any name is known for it: without one, no text can be judged.
    pub(crate) fn has_a_name(&self) -> bool {
        self.display(None).is_some()
    }

    fn flag(&self, flag: u8, written: bool) -> bool {
        written || self.place().is_some_and(|(system, concept)| system.table().is(concept, flag))
    }

    pub(crate) fn is_abstract(&self) -> bool {
        self.flag(ABSTRACT, self.written.is_some_and(|written| written.is_abstract))
    }

    pub(crate) fn is_inactive(&self) -> bool {
        self.flag(INACTIVE, self.written.is_some_and(|written| written.inactive))
    }
}

/// Whether a code is in a value set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Nobody can say: the value set, or a system that it takes codes from, is not here.
    Unknown,
}

/// The codes of a value set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expansion {
    slots: Vec<Slot>,
    written: Vec<WrittenCode>,
    entries: Vec<Entry>,
    /// What may be missing.
    missing: Vec<Problem>,
    /// What may be too many: an `exclude` that could not be worked out.
    doubtful: Vec<Problem>,
    /// Systems of which only a part is here. That is no failure, but a code that is not found may exist.
    partial: Vec<Problem>,
}

impl Expansion {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first problem, if any.
    pub(crate) fn problem(&self) -> Option<&TerminologyError> {
        self.missing.iter().chain(&self.doubtful).map(|problem| &problem.error).next()
    }

    /// The systems and versions that were used.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The codes, in order.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = Member<'_>> {
        self.entries.iter().map(|entry| self.member(*entry))
    }

    fn member(&self, entry: Entry) -> Member<'_> {
        static NOWHERE: std::sync::LazyLock<Slot> = std::sync::LazyLock::new(|| Slot {
            url: "".into(),
            version: None,
            system: None,
            bits: Bits::none(0),
            loose: HashMap::new(),
        });
        let slot = self.slots.get(entry.slot as usize).unwrap_or(&NOWHERE);
        let written = self.written.get(entry.written as usize);
        let concept = Some(entry.concept).filter(|concept| *concept != NONE);
        let code = match (concept, &slot.system) {
            (Some(concept), Some(system)) => system.table().code(concept),
            _ => written.map_or("", |written| &written.code),
        };
        Member { slot, code, concept, written }
    }

    /// The code in it, if it is there. Without a system: of any.
    pub(crate) fn find(&self, system: Option<&str>, version: Option<&str>, code: &str) -> Option<Member<'_>> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| system.is_none_or(|system| *slot.url == *system))
            .filter(|(_, slot)| {
                version.is_none_or(|asked| {
                    slot.version.is_none() || crate::canonical::version_matches(slot.version.as_deref(), asked)
                })
            })
            .find_map(|(at, slot)| {
                let concept = slot.system.as_ref().and_then(|system| system.table().find(code));
                let entry = match concept.filter(|concept| slot.bits.contains(*concept)) {
                    // What is written about a concept of a table is found by its code as the table writes it.
                    Some(concept) => {
                        let spelt = slot.system.as_ref().map_or(code, |system| system.table().code(concept));
                        Entry { slot: at as u32, concept, written: slot.loose.get(spelt).copied().unwrap_or(NONE) }
                    }
                    None if concept.is_none() => {
                        Entry { slot: at as u32, concept: NONE, written: *slot.loose.get(code)? }
                    }
                    None => return None,
                };
                Some(self.member(entry))
            })
    }

    /// Whether a code is in it.
    pub(crate) fn membership(&self, system: Option<&str>, version: Option<&str>, code: &str) -> Membership {
        let found = self.find(system, version, code).is_some();
        let touched = |problems: &[Problem]| problems.iter().any(|problem| problem.touches(system));
        let in_doubt = if found { touched(&self.doubtful) } else { touched(&self.missing) || touched(&self.partial) };
        match (in_doubt, found) {
            (true, _) => Membership::Unknown,
            (false, true) => Membership::Yes,
            (false, false) => Membership::No,
        }
    }
}
