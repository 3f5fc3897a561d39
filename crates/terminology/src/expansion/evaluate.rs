//! From a value set's definition to its codes.
//!
//! R4, "Value Set Expansion": within one include all conditions must hold; several includes add up; every exclude takes
//! away. Codes keep the order in which they were included first.

use super::{Entry, Expansion, NONE, Problem, Slot};
use crate::bits::Bits;
use crate::error::{ErrorKind, TerminologyError};
use crate::limits::{EXPANSION_CODES_MAX, EXPANSION_STEPS_MAX, VALUE_SET_NESTING_MAX};
use crate::snapshot::Terminology;
use crate::system::{Steps, System};
use crate::value_set::{Part, Source, ValueSet, WrittenCode};
use std::collections::HashMap;
use std::sync::Arc;

/// Versions of code systems that the caller fixes, each `(system, version)`.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Pins {
    /// Used where the value set names no version (`system-version`).
    pub(crate) default: Vec<(String, String)>,
    /// The expansion fails where another one would be used (`check-system-version`).
    pub(crate) check: Vec<(String, String)>,
    /// Used whatever the value set says (`force-system-version`).
    pub(crate) force: Vec<(String, String)>,
}

impl Pins {
    pub(crate) fn is_empty(&self) -> bool {
        self.default.is_empty() && self.check.is_empty() && self.force.is_empty()
    }

    /// The version to look for.
    fn version<'p>(&'p self, system: &str, stated: Option<&'p str>) -> Option<&'p str> {
        let of = |pins: &'p [(String, String)]| {
            pins.iter().find(|(url, _)| url == system).map(|(_, version)| version.as_str())
        };
        of(&self.force).or(stated).or_else(|| of(&self.default)).or_else(|| of(&self.check))
    }

    fn refuses(&self, system: &str, version: Option<&str>) -> bool {
        self.check.iter().any(|(url, asked)| url == system && !crate::canonical::version_matches(version, asked))
    }
}

/// Works out a value set. Fails only where the whole of it is too much; other troubles are problems of the expansion.
pub(crate) fn evaluate(
    terminology: &Terminology,
    value_set: &ValueSet,
    pins: &Pins,
) -> Result<Expansion, TerminologyError> {
    let mut evaluation =
        Evaluation { terminology, pins, steps: Steps(EXPANSION_STEPS_MAX), open: Vec::new(), done: HashMap::new() };
    evaluation.value_set(value_set)
}

struct Evaluation<'t> {
    terminology: &'t Terminology,
    pins: &'t Pins,
    steps: Steps,
    /// The value sets that are being worked out right now, outermost first: one that comes again is a cycle.
    open: Vec<*const ValueSet>,
    /// Those that were, in this evaluation.
    done: HashMap<*const ValueSet, Arc<Expansion>>,
}

impl Evaluation<'_> {
    fn value_set(&mut self, value_set: &ValueSet) -> Result<Expansion, TerminologyError> {
        if self.open.len() >= VALUE_SET_NESTING_MAX {
            return Err(TerminologyError::too_costly(format!(
                "value sets stand in one another more than {VALUE_SET_NESTING_MAX} deep"
            )));
        }
        self.open.push(std::ptr::from_ref(value_set));
        let made = self.sources(&value_set.source);
        self.open.pop();
        made
    }

    fn sources(&mut self, source: &Source) -> Result<Expansion, TerminologyError> {
        let mut expansion = Expansion::default();
        let (include, exclude, inactive) = match source {
            Source::Composed { include, exclude, inactive } => (include.as_slice(), exclude.as_slice(), *inactive),
            Source::Stored(parts) => (parts.as_slice(), [].as_slice(), true),
        };
        let stored = matches!(source, Source::Stored(_));
        for part in include {
            let made = self.part(part, stored)?;
            self.steps.take(made.len() + expansion.slots.len())?;
            expansion.add(&made)?;
        }
        for part in exclude {
            let made = self.part(part, false)?;
            self.steps.take((expansion.len() + 1).saturating_mul(made.slots.len()))?;
            expansion.take_away(&made);
        }
        if !inactive {
            expansion.keep(|member| !member.is_inactive());
        }
        Ok(expansion)
    }

    /// The codes of one include or exclude.
    fn part(&mut self, part: &Part, stored: bool) -> Result<Expansion, TerminologyError> {
        if let Some(fault) = &part.fault {
            return Ok(Expansion::failed(part.system.clone(), fault.clone()));
        }
        let mut expansion = match part.system.as_deref() {
            Some(system) => self.of_system(part, system, stored)?,
            None => Expansion::default(),
        };
        for (at, canonical) in part.value_sets.iter().enumerate() {
            let nested = self.nested(canonical)?;
            if at == 0 && part.system.is_none() {
                self.steps.take(nested.len())?;
                expansion = (*nested).clone();
            } else {
                self.steps.take((expansion.len() + 1).saturating_mul(nested.slots.len()))?;
                expansion.intersect(&nested);
            }
        }
        Ok(expansion)
    }

    fn nested(&mut self, canonical: &str) -> Result<Arc<Expansion>, TerminologyError> {
        let Ok(value_set) = self.terminology.value_set(canonical) else {
            let error = TerminologyError::not_found(format!(
                "value set `{canonical}`, which another value set takes codes from, is not known here: store it first"
            ));
            return Ok(Arc::new(Expansion::failed(None, error)));
        };
        let address = Arc::as_ptr(&value_set);
        if self.open.contains(&address) {
            let error = TerminologyError::invalid(format!("value set `{canonical}` takes codes from itself: a cycle"));
            return Ok(Arc::new(Expansion::failed(None, error)));
        }
        if let Some(done) = self.done.get(&address) {
            return Ok(Arc::clone(done));
        }
        if self.pins.is_empty()
            && let Some(kept) = self.terminology.kept(&value_set)
        {
            return Ok(kept);
        }
        let made = Arc::new(self.value_set(&value_set)?);
        // INVARIANT: `done` keys are addresses of value sets that the snapshot holds as long as this evaluation lasts,
        // or of implicit ones, which live in the expansion's owner: those are not kept.
        if self.terminology.holds(&value_set) {
            self.done.insert(address, Arc::clone(&made));
        }
        Ok(made)
    }

    fn of_system(&mut self, part: &Part, url: &str, stored: bool) -> Result<Expansion, TerminologyError> {
        let version = self.pins.version(url, part.version.as_deref());
        let system = match self.terminology.system(url, version) {
            Ok(system) if !system.is_absent() => Some(system),
            Ok(_) => None,
            Err(error) if stored || !part.codes.is_empty() && version.is_none() => {
                debug_assert_eq!(error.kind, ErrorKind::NotFound);
                None
            }
            // An unknown version of a system: the codes that are written out are still what the author meant.
            Err(_) if !part.codes.is_empty() => None,
            Err(error) => return Ok(Expansion::failed(Some(url.into()), error)),
        };
        let used = system.as_ref().map_or(version, |system| system.header().version.as_deref()).map(str::to_owned);
        let used = used.as_deref();
        if self.pins.refuses(url, used) {
            let error = TerminologyError::invalid(format!(
                "the value set uses another version of code system `{url}` than `check-system-version` asks for"
            ));
            return Ok(Expansion::failed(Some(url.into()), error));
        }
        let mut expansion = Expansion::default();
        self.steps.take(1 + system.as_ref().map_or(0, |system| system.table().len() / 64))?;
        if !part.codes.is_empty() {
            self.steps.take(part.codes.len())?;
            expansion.open_slot(url, used, system.as_ref());
            for written in &part.codes {
                expansion.write(0, written)?;
            }
            return Ok(expansion);
        }
        let Some(system) = system else {
            let error = TerminologyError::not_found(format!(
                "the codes of code system `{url}` are not here: store it as a CodeSystem with its concepts"
            ));
            return Ok(Expansion::failed(Some(url.into()), error));
        };
        let mut bits = Bits::all(system.table().len());
        for filter in &part.filters {
            match system.filtered(filter, &mut self.steps) {
                Ok(fits) => bits.intersect(&fits),
                Err(crate::system::FilterError::Filter(error)) => {
                    return Ok(Expansion::failed(Some(url.into()), error));
                }
                Err(crate::system::FilterError::TooCostly(error)) => return Err(error),
            }
        }
        let count = bits.count();
        if count > EXPANSION_CODES_MAX {
            return Err(too_many());
        }
        self.steps.take(count)?;
        // A part of a system is known to be a part only: codes that are not in it may exist all the same.
        if !system.is_complete() {
            let error = TerminologyError::invalid(format!("only a part of code system `{url}` is here"));
            expansion.partial.push(Problem { system: Some(url.into()), error });
        }
        expansion.entries = bits.iter().map(|concept| Entry { slot: 0, concept, written: NONE }).collect();
        expansion.open_slot(url, used, Some(&system));
        if let Some(slot) = expansion.slots.first_mut() {
            slot.bits = bits;
        }
        Ok(expansion)
    }
}

fn too_many() -> TerminologyError {
    TerminologyError::too_costly(format!(
        "the value set has more than {EXPANSION_CODES_MAX} codes: ask for a narrower one"
    ))
}

impl Expansion {
    fn failed(system: Option<Box<str>>, error: TerminologyError) -> Self {
        Expansion { missing: vec![Problem { system, error }], ..Expansion::default() }
    }

    /// The place of a system and version, made if it is new.
    fn open_slot(&mut self, url: &str, version: Option<&str>, system: Option<&System>) -> u32 {
        let known = self.slots.iter().position(|slot| *slot.url == *url && slot.version.as_deref() == version);
        known.unwrap_or_else(|| {
            self.slots.push(Slot {
                url: url.into(),
                version: version.map(Into::into),
                system: system.cloned(),
                bits: Bits::none(system.map_or(0, |system| system.table().len())),
                loose: HashMap::new(),
            });
            self.slots.len() - 1
        }) as u32
    }

    /// Puts a code in that is written out. One that its complete system does not have is left out.
    fn write(&mut self, slot: u32, code: &WrittenCode) -> Result<(), TerminologyError> {
        let Some(place) = self.slots.get_mut(slot as usize) else { return Ok(()) };
        let concept = place.system.as_ref().and_then(|system| system.table().find(&code.code));
        let spelt: Box<str> = match (concept, &place.system) {
            (Some(concept), Some(system)) => system.table().code(concept).into(),
            (None, Some(system)) if system.is_complete() => return Ok(()),
            _ => code.code.clone(),
        };
        let new = match concept {
            Some(concept) => place.bits.insert(concept),
            None => !place.loose.contains_key(&spelt),
        };
        if !new {
            return Ok(());
        }
        if self.entries.len() >= EXPANSION_CODES_MAX {
            return Err(too_many());
        }
        // A concept of a table needs nothing more, unless the value set has words of its own for it.
        let says_more = code.display.is_some() || !code.designations.is_empty() || code.is_abstract || code.inactive;
        let written = if concept.is_none() || says_more {
            let at = self.written.len() as u32;
            place.loose.insert(spelt, at);
            self.written.push(code.clone());
            at
        } else {
            NONE
        };
        self.entries.push(Entry { slot, concept: concept.unwrap_or(NONE), written });
        Ok(())
    }

    /// Adds what another expansion has and this one has not.
    fn add(&mut self, other: &Expansion) -> Result<(), TerminologyError> {
        let slots: Vec<u32> = other
            .slots
            .iter()
            .map(|slot| self.open_slot(&slot.url, slot.version.as_deref(), slot.system.as_ref()))
            .collect();
        for entry in &other.entries {
            let slot = slots.get(entry.slot as usize).copied().unwrap_or_default();
            let Some(place) = self.slots.get_mut(slot as usize) else { continue };
            let words = other.written.get(entry.written as usize);
            let new = match (entry.concept, words) {
                (NONE, Some(words)) => !place.loose.contains_key(&words.code),
                (NONE, None) => false,
                (concept, _) => place.bits.insert(concept),
            };
            if !new {
                continue;
            }
            if self.entries.len() >= EXPANSION_CODES_MAX {
                return Err(too_many());
            }
            let written = match words {
                Some(words) => {
                    let at = self.written.len() as u32;
                    let table = place.system.as_ref().map(System::table);
                    let spelt = table.filter(|_| entry.concept != NONE).map(|table| table.code(entry.concept));
                    place.loose.insert(spelt.unwrap_or(&words.code).into(), at);
                    self.written.push(words.clone());
                    at
                }
                None => NONE,
            };
            self.entries.push(Entry { slot, concept: entry.concept, written });
        }
        self.missing.extend(other.missing.iter().cloned());
        self.doubtful.extend(other.doubtful.iter().cloned());
        self.partial.extend(other.partial.iter().cloned());
        self.settle_problems();
        Ok(())
    }

    /// Keeps what another expansion has as well.
    fn intersect(&mut self, other: &Expansion) {
        self.keep(|member| other.find(Some(&member.slot.url), None, member.code).is_some());
        self.missing.extend(other.missing.iter().cloned());
        self.doubtful.extend(other.doubtful.iter().cloned());
        self.partial.extend(other.partial.iter().cloned());
        self.settle_problems();
    }

    /// Takes away what another expansion has. What is in doubt there is in doubt here, the other way round.
    fn take_away(&mut self, other: &Expansion) {
        self.keep(|member| other.find(Some(&member.slot.url), None, member.code).is_none());
        self.doubtful.extend(other.missing.iter().chain(&other.partial).cloned());
        self.missing.extend(other.doubtful.iter().cloned());
        self.settle_problems();
    }

    /// Keeps the codes for which it holds.
    fn keep(&mut self, holds: impl Fn(&super::Member<'_>) -> bool) {
        let entries = std::mem::take(&mut self.entries);
        let (kept, gone): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| holds(&self.member(*entry)));
        for entry in gone {
            let Some(slot) = self.slots.get_mut(entry.slot as usize) else { continue };
            match (entry.concept, self.written.get(entry.written as usize)) {
                (NONE, Some(words)) => {
                    slot.loose.remove(&words.code);
                }
                (concept, _) => slot.bits.remove(concept),
            }
        }
        self.entries = kept;
    }

    /// Problems said once, however often they were met.
    fn settle_problems(&mut self) {
        for list in [&mut self.missing, &mut self.doubtful, &mut self.partial] {
            let mut kept: Vec<Problem> = Vec::new();
            for problem in list.drain(..) {
                if kept.len() < PROBLEMS_MAX && !kept.contains(&problem) {
                    kept.push(problem);
                } else if kept.len() == PROBLEMS_MAX {
                    // Which systems are concerned is no longer said one by one: all are.
                    kept.push(Problem { system: None, error: problem.error });
                }
            }
            *list = kept;
        }
    }
}

/// Most problems that an expansion lists; one more stands for all others.
const PROBLEMS_MAX: usize = 32;
