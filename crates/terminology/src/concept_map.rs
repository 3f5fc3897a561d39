//! A concept map: which codes of one system stand for which of another.

use crate::error::TerminologyError;
use std::collections::HashMap;
use tacet_fhir::json::Json;

/// How a target relates to its source (R4 code system `concept-map-equivalence`), seen from the target: `wider` says
/// that the target is wider than the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Equivalence {
    /// Related somehow.
    RelatedTo,
    /// The same meaning.
    Equivalent,
    /// The same concept.
    Equal,
    /// The target is wider.
    Wider,
    /// The target subsumes the source.
    Subsumes,
    /// The target is narrower.
    Narrower,
    /// The target is subsumed by the source.
    Specializes,
    /// They overlap.
    Inexact,
    /// There is no target.
    Unmatched,
    /// They have nothing in common.
    Disjoint,
}

impl Equivalence {
    const ALL: [(Equivalence, &'static str); 10] = [
        (Equivalence::RelatedTo, "relatedto"),
        (Equivalence::Equivalent, "equivalent"),
        (Equivalence::Equal, "equal"),
        (Equivalence::Wider, "wider"),
        (Equivalence::Subsumes, "subsumes"),
        (Equivalence::Narrower, "narrower"),
        (Equivalence::Specializes, "specializes"),
        (Equivalence::Inexact, "inexact"),
        (Equivalence::Unmatched, "unmatched"),
        (Equivalence::Disjoint, "disjoint"),
    ];

    /// The code.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, code)| code)
    }

    fn of(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == code).map(|(equivalence, _)| *equivalence)
    }

    /// The relation seen from the other side.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Equivalence::Wider => Equivalence::Narrower,
            Equivalence::Narrower => Equivalence::Wider,
            Equivalence::Subsumes => Equivalence::Specializes,
            Equivalence::Specializes => Equivalence::Subsumes,
            other => other,
        }
    }

    /// Whether it says that there is a translation.
    pub(crate) fn is_match(self) -> bool {
        !matches!(self, Equivalence::Unmatched | Equivalence::Disjoint)
    }
}

/// A code that goes with a mapping (`dependsOn`, `product`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Product {
    pub(crate) property: Box<str>,
    pub(crate) system: Option<Box<str>>,
    pub(crate) value: Box<str>,
    pub(crate) display: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) code: Option<Box<str>>,
    pub(crate) display: Option<Box<str>>,
    pub(crate) equivalence: Equivalence,
    pub(crate) products: Vec<Product>,
    /// It holds only where other things hold too.
    pub(crate) depends: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) code: Box<str>,
    pub(crate) display: Option<Box<str>>,
    pub(crate) targets: Vec<Target>,
}

/// What happens to codes that a group does not list.
#[derive(Clone, Debug)]
pub(crate) enum Unmapped {
    Provided,
    Fixed { code: Box<str>, display: Option<Box<str>> },
    OtherMap(Box<str>),
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) source: Option<Box<str>>,
    pub(crate) source_version: Option<Box<str>>,
    pub(crate) target: Option<Box<str>>,
    pub(crate) target_version: Option<Box<str>>,
    pub(crate) elements: Vec<Element>,
    /// Elements by code, and by the code of a target.
    by_source: HashMap<Box<str>, Vec<u32>>,
    by_target: HashMap<Box<str>, Vec<u32>>,
    pub(crate) unmapped: Option<Unmapped>,
}

impl Group {
    pub(crate) fn elements_of(&self, code: &str) -> impl Iterator<Item = &Element> {
        let places = self.by_source.get(code).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|at| self.elements.get(*at as usize))
    }

    pub(crate) fn elements_to(&self, code: &str) -> impl Iterator<Item = &Element> {
        let places = self.by_target.get(code).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|at| self.elements.get(*at as usize))
    }
}

/// A concept map.
#[derive(Debug)]
pub(crate) struct ConceptMap {
    pub(crate) url: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) source: Option<Box<str>>,
    pub(crate) target: Option<Box<str>>,
    pub(crate) groups: Vec<Group>,
}

fn boxed(json: &Json<'_>, name: &str) -> Option<Box<str>> {
    json.get_str(name).filter(|text| !text.is_empty()).map(Into::into)
}

fn items<'v, 'j>(json: &'v Json<'j>, name: &str) -> &'v [Json<'j>] {
    json.get(name).map(Json::items).unwrap_or_default()
}

impl ConceptMap {
    /// Reads a ConceptMap resource.
    pub(crate) fn of(resource: &Json<'_>) -> Result<Self, TerminologyError> {
        if resource.resource_type() != Some("ConceptMap") {
            return Err(TerminologyError::request("the resource given as a concept map is not a ConceptMap"));
        }
        let either = |a, b| boxed(resource, a).or_else(|| boxed(resource, b));
        let mut groups = Vec::new();
        for group in items(resource, "group") {
            groups.push(read_group(group)?);
        }
        Ok(ConceptMap {
            url: boxed(resource, "url"),
            version: boxed(resource, "version"),
            source: either("sourceUri", "sourceCanonical"),
            target: either("targetUri", "targetCanonical"),
            groups,
        })
    }
}

fn read_group(json: &Json<'_>) -> Result<Group, TerminologyError> {
    let elements: Vec<Element> = items(json, "element").iter().filter_map(read_element).collect();
    let mut by_source: HashMap<Box<str>, Vec<u32>> = HashMap::new();
    let mut by_target: HashMap<Box<str>, Vec<u32>> = HashMap::new();
    for (at, element) in elements.iter().enumerate() {
        by_source.entry(element.code.clone()).or_default().push(at as u32);
        for code in element.targets.iter().filter_map(|target| target.code.as_ref()) {
            let places = by_target.entry(code.clone()).or_default();
            if places.last() != Some(&(at as u32)) {
                places.push(at as u32);
            }
        }
    }
    let unmapped = match json.get("unmapped") {
        None => None,
        Some(unmapped) => Some(match (unmapped.get_str("mode"), boxed(unmapped, "code"), boxed(unmapped, "url")) {
            (Some("provided"), _, _) => Unmapped::Provided,
            (Some("fixed"), Some(code), _) => Unmapped::Fixed { code, display: boxed(unmapped, "display") },
            (Some("other-map"), _, Some(url)) => Unmapped::OtherMap(url),
            _ => {
                return Err(TerminologyError::invalid(
                    "a group's `unmapped` needs a `mode` of R4, and what goes with it",
                ));
            }
        }),
    };
    Ok(Group {
        source: boxed(json, "source"),
        source_version: boxed(json, "sourceVersion"),
        target: boxed(json, "target"),
        target_version: boxed(json, "targetVersion"),
        elements,
        by_source,
        by_target,
        unmapped,
    })
}

fn read_element(json: &Json<'_>) -> Option<Element> {
    let targets = items(json, "target").iter().map(|target| Target {
        code: boxed(target, "code"),
        display: boxed(target, "display"),
        equivalence: target.get_str("equivalence").and_then(Equivalence::of).unwrap_or(Equivalence::RelatedTo),
        depends: !items(target, "dependsOn").is_empty(),
        products: items(target, "product")
            .iter()
            .filter_map(|product| {
                Some(Product {
                    property: boxed(product, "property")?,
                    system: boxed(product, "system"),
                    value: boxed(product, "value")?,
                    display: boxed(product, "display"),
                })
            })
            .collect(),
    });
    Some(Element { code: boxed(json, "code")?, display: boxed(json, "display"), targets: targets.collect() })
}
