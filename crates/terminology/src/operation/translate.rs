//! `ConceptMap/$translate` (<https://hl7.org/fhir/R4/conceptmap-operation-translate.html>).

use crate::canonical::split;
use crate::concept_map::{ConceptMap, Equivalence, Group, Product, Target, Unmapped};
use crate::error::TerminologyError;
use crate::limits::{MAPS_TRIED_MAX, TRANSLATION_MATCHES_MAX};
use crate::parameters::{CodingRequest, Given, answer, parameter, parts, string};
use crate::snapshot::Terminology;
use std::sync::Arc;
use tacet_fhir::json::Json;

/// A code to translate.
#[derive(Clone, Debug, Default)]
pub struct Translate<'a> {
    /// The concept map's address; without one, all that fit are tried.
    pub url: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The concept map itself.
    pub map: Option<&'a Json<'a>>,
    /// The codes.
    pub codings: Vec<CodingRequest>,
    /// The value set that the code comes from.
    pub source: Option<String>,
    /// The value set that a translation is wanted in.
    pub target: Option<String>,
    /// The code system that a translation is wanted in.
    pub target_system: Option<String>,
    /// Whether the map is read backwards: what may be translated into this code.
    pub reverse: bool,
}

impl<'a> Translate<'a> {
    pub(super) fn read(given: &'a Given<'a>, instance: Option<&'a Json<'a>>) -> Result<Self, TerminologyError> {
        given.refuse(&["dependency"])?;
        let codings = match (given.text("code")?, given.coding("coding")?, given.codings("codeableConcept")) {
            (Some(code), None, None) => vec![CodingRequest {
                system: Some(
                    given
                        .text("system")?
                        .ok_or_else(|| TerminologyError::request("`code` needs `system` beside it"))?,
                ),
                version: given.text("version")?,
                code,
                display: None,
            }],
            (None, Some(coding), None) => vec![coding],
            (None, None, Some(codings)) => codings,
            _ => return Err(TerminologyError::request("give one of `code`, `coding` and `codeableConcept`")),
        };
        Ok(Self {
            url: given.text("url")?,
            version: given.text("conceptMapVersion")?,
            map: instance.or_else(|| given.get("conceptMap")),
            codings,
            source: given.text("source")?,
            target: given.text("target")?,
            target_system: given.text("targetsystem")?,
            reverse: given.flag("reverse")?.unwrap_or(false),
        })
    }
}

/// One translation.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Match {
    equivalence: Equivalence,
    system: Option<Box<str>>,
    version: Option<Box<str>>,
    code: Option<Box<str>>,
    display: Option<Box<str>>,
    products: Vec<Product>,
    /// The map it comes from.
    source: Option<Box<str>>,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Translation {
    matches: Vec<Match>,
    conditional: bool,
}

impl Translation {
    /// Whether there is a translation.
    pub fn result(&self) -> bool {
        self.matches.iter().any(|one| one.equivalence.is_match())
    }

    /// The translations: how each relates to the code, its system and its code.
    pub fn codes(&self) -> impl Iterator<Item = (Equivalence, Option<&str>, Option<&str>)> {
        self.matches.iter().map(|one| (one.equivalence, one.system.as_deref(), one.code.as_deref()))
    }

    /// The `Parameters` that say it.
    pub fn to_parameters(&self) -> Json<'static> {
        let mut list = vec![parameter("result", "valueBoolean", Json::from(self.result()))];
        if !self.result() {
            let message = if self.conditional {
                "translations exist, but only under conditions that were not given"
            } else {
                "no concept map that is known here translates the code"
            };
            list.push(parameter("message", "valueString", Json::from(message)));
        }
        list.extend(self.matches.iter().map(Match::to_parameter));
        answer(list)
    }

    fn push(&mut self, one: Match) -> Result<(), TerminologyError> {
        if self.matches.len() >= TRANSLATION_MATCHES_MAX {
            return Err(TerminologyError::too_costly(format!("more than {TRANSLATION_MATCHES_MAX} translations")));
        }
        if !self.matches.contains(&one) {
            self.matches.push(one);
        }
        Ok(())
    }
}

impl Match {
    fn to_parameter(&self) -> Json<'static> {
        let mut list = vec![parameter("equivalence", "valueCode", Json::from(self.equivalence.as_str()))];
        if self.code.is_some() {
            let mut coding = Json::Object(Vec::new());
            for (name, text) in
                [("system", &self.system), ("version", &self.version), ("code", &self.code), ("display", &self.display)]
            {
                if let Some(text) = text {
                    coding.set(name, string(text));
                }
            }
            list.push(parameter("concept", "valueCoding", coding));
        }
        for product in &self.products {
            let mut coding = Json::Object(Vec::new());
            if let Some(system) = &product.system {
                coding.set("system", string(system));
            }
            coding.set("code", string(&product.value));
            if let Some(display) = &product.display {
                coding.set("display", string(display));
            }
            list.push(parts(
                "product",
                vec![
                    parameter("element", "valueUri", string(&product.property)),
                    parameter("concept", "valueCoding", coding),
                ],
            ));
        }
        if let Some(source) = &self.source {
            list.push(parameter("source", "valueUri", string(source)));
        }
        parts("match", list)
    }
}

/// The maps that are still to be tried.
struct Tried(usize);

impl Tried {
    fn next(&mut self) -> Result<(), TerminologyError> {
        self.0 += 1;
        match self.0 > MAPS_TRIED_MAX {
            true => Err(TerminologyError::too_costly(format!(
                "more than {MAPS_TRIED_MAX} concept maps to try: name one with `url`"
            ))),
            false => Ok(()),
        }
    }
}

impl Terminology {
    /// The codes that a code stands for by a concept map, or by any that fits.
    ///
    /// # Errors
    /// The named map is not known or not valid; or there are too many translations.
    pub fn translate(&self, request: &Translate<'_>) -> Result<Translation, TerminologyError> {
        let maps = match (request.map, &request.url) {
            (Some(resource), _) => vec![Arc::new(ConceptMap::of(resource)?)],
            (None, Some(url)) => vec![Arc::clone(match request.version.as_ref().filter(|_| !url.contains('|')) {
                Some(version) => self.map(&format!("{url}|{version}"))?,
                None => self.map(url)?,
            })],
            (None, None) => self.maps().into_iter().filter(|map| fits(map, request)).cloned().collect(),
        };
        let mut translation = Translation::default();
        let mut tried = Tried(0);
        for coding in &request.codings {
            for map in &maps {
                self.by_map(map, request, coding, &mut tried, &mut translation)?;
            }
        }
        Ok(translation)
    }

    fn by_map(
        &self,
        map: &ConceptMap,
        request: &Translate<'_>,
        coding: &CodingRequest,
        tried: &mut Tried,
        translation: &mut Translation,
    ) -> Result<(), TerminologyError> {
        // Maps that send on to other maps are followed one after the other; `tried` ends a circle of them.
        let mut waiting: Vec<Arc<ConceptMap>> = Vec::new();
        let mut current = Some(map);
        loop {
            let held;
            let map = match current.take() {
                Some(map) => map,
                None => match waiting.pop() {
                    Some(next) => {
                        tried.next()?;
                        held = next;
                        held.as_ref()
                    }
                    None => return Ok(()),
                },
            };
            for group in &map.groups {
                let (from, to) =
                    if request.reverse { (&group.target, &group.source) } else { (&group.source, &group.target) };
                let wrong_system = |asked: &Option<String>, group: &Option<Box<str>>| {
                    asked.as_deref().zip(group.as_deref()).is_some_and(|(asked, group)| split(asked).0 != group)
                };
                if wrong_system(&coding.system, from) || wrong_system(&request.target_system, to) {
                    continue;
                }
                let found = if request.reverse {
                    reversed(map, group, &coding.code, translation)?
                } else {
                    straight(map, group, &coding.code, translation)?
                };
                match &group.unmapped {
                    Some(unmapped) if !found && !request.reverse => match unmapped {
                        Unmapped::Provided => {
                            translation.push(plain(map, group, &coding.code, None, Equivalence::Equal))?
                        }
                        Unmapped::Fixed { code, display } => {
                            let display = display.as_deref();
                            translation.push(plain(map, group, code, display, Equivalence::RelatedTo))?;
                        }
                        Unmapped::OtherMap(url) => {
                            if let Ok(other) = self.map(url) {
                                waiting.push(Arc::clone(other));
                            }
                        }
                    },
                    _ => {}
                }
            }
        }
    }
}

fn fits(map: &ConceptMap, request: &Translate<'_>) -> bool {
    let (source, target) = if request.reverse { (&map.target, &map.source) } else { (&map.source, &map.target) };
    let same = |asked: &Option<String>, known: &Option<Box<str>>| {
        asked.as_deref().is_none_or(|asked| known.as_deref().map(|known| split(known).0) == Some(split(asked).0))
    };
    same(&request.source, source) && same(&request.target, target)
}

fn plain(map: &ConceptMap, group: &Group, code: &str, display: Option<&str>, equivalence: Equivalence) -> Match {
    Match {
        equivalence,
        system: group.target.clone(),
        version: group.target_version.clone(),
        code: Some(code.into()),
        display: display.map(Into::into),
        products: Vec::new(),
        source: map.url.clone(),
    }
}

/// Whether the group lists the code; its targets are added.
fn straight(
    map: &ConceptMap,
    group: &Group,
    code: &str,
    translation: &mut Translation,
) -> Result<bool, TerminologyError> {
    let mut found = false;
    for element in group.elements_of(code) {
        found = true;
        for Target { code, display, equivalence, products, depends } in &element.targets {
            if *depends {
                translation.conditional = true;
                continue;
            }
            translation.push(Match {
                equivalence: *equivalence,
                system: group.target.clone(),
                version: group.target_version.clone(),
                code: code.clone(),
                display: display.clone(),
                products: products.clone(),
                source: map.url.clone(),
            })?;
        }
    }
    Ok(found)
}

/// The other way round: whether the group lists the code as a target.
fn reversed(
    map: &ConceptMap,
    group: &Group,
    code: &str,
    translation: &mut Translation,
) -> Result<bool, TerminologyError> {
    let mut found = false;
    for element in group.elements_to(code) {
        found = true;
        for target in element.targets.iter().filter(|target| target.code.as_deref() == Some(code)) {
            if target.depends {
                translation.conditional = true;
                continue;
            }
            translation.push(Match {
                equivalence: target.equivalence.reversed(),
                system: group.source.clone(),
                version: group.source_version.clone(),
                code: Some(element.code.clone()),
                display: element.display.clone(),
                products: Vec::new(),
                source: map.url.clone(),
            })?;
        }
    }
    Ok(found)
}
