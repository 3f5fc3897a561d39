//! A value set as it is defined: what it includes, what it excludes, or the expansion that stands in it.

use crate::error::TerminologyError;
use crate::system::{Filter, FilterOperator};
use tacet_fhir::json::{Json, write};

/// A designation that a value set gives a code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WrittenDesignation {
    pub(crate) language: Box<str>,
    /// The `use` as JSON, or empty.
    pub(crate) purpose: Box<str>,
    pub(crate) value: Box<str>,
}

/// A code that a value set writes out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct WrittenCode {
    pub(crate) code: Box<str>,
    pub(crate) display: Option<Box<str>>,
    pub(crate) designations: Vec<WrittenDesignation>,
    /// Only in stored expansions.
    pub(crate) is_abstract: bool,
    pub(crate) inactive: bool,
}

/// One `include` or `exclude`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) system: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) codes: Vec<WrittenCode>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) value_sets: Vec<Box<str>>,
    /// What cannot be done with it, found while reading.
    pub(crate) fault: Option<TerminologyError>,
}

/// Where the codes of a value set come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// `compose`.
    Composed {
        include: Vec<Part>,
        exclude: Vec<Part>,
        /// `compose.inactive`: whether codes that are not to be used any more count. Not given: they do.
        inactive: bool,
    },
    /// The expansion that stands in the resource, each code with its system and version, when there is no `compose`.
    Stored(Vec<Part>),
}

/// A value set.
#[derive(Debug)]
pub(crate) struct ValueSet {
    pub(crate) url: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) source: Source,
    /// The resource without its narrative, to be shown with the expansion. Not kept for those of the standard.
    pub(crate) resource: Option<Json<'static>>,
}

fn boxed(json: &Json<'_>, name: &str) -> Option<Box<str>> {
    json.get_str(name).filter(|text| !text.is_empty()).map(Into::into)
}

fn items<'v, 'j>(json: &'v Json<'j>, name: &str) -> &'v [Json<'j>] {
    json.get(name).map(Json::items).unwrap_or_default()
}

impl ValueSet {
    /// Reads a ValueSet resource.
    pub(crate) fn of(resource: &Json<'_>) -> Result<Self, TerminologyError> {
        if resource.resource_type() != Some("ValueSet") {
            return Err(TerminologyError::request("the resource given as a value set is not a ValueSet"));
        }
        let source = match (resource.get("compose"), resource.get("expansion")) {
            (Some(compose), _) => Source::Composed {
                include: items(compose, "include").iter().map(part).collect(),
                exclude: items(compose, "exclude").iter().map(part).collect(),
                inactive: compose.get("inactive").and_then(Json::as_bool).unwrap_or(true),
            },
            (None, Some(expansion)) => Source::Stored(stored(expansion)),
            (None, None) => Source::Composed { include: Vec::new(), exclude: Vec::new(), inactive: true },
        };
        let mut kept = resource.clone().into_owned();
        for name in ["text", "expansion", "contained"] {
            kept.remove(name);
        }
        Ok(ValueSet {
            url: boxed(resource, "url"),
            version: boxed(resource, "version"),
            name: boxed(resource, "name"),
            source,
            resource: Some(kept),
        })
    }

    /// The value set of all codes of a system.
    pub(crate) fn all_of(url: &str, system: &str, version: Option<&str>, filter: Option<Filter>) -> Self {
        let part = Part {
            system: Some(system.into()),
            version: version.map(Into::into),
            filters: filter.into_iter().collect(),
            ..Part::default()
        };
        ValueSet {
            url: Some(url.into()),
            version: version.map(Into::into),
            name: None,
            source: Source::Composed { include: vec![part], exclude: Vec::new(), inactive: true },
            resource: None,
        }
    }

    /// What it is called in an error text.
    pub(crate) fn title(&self) -> &str {
        self.url.as_deref().unwrap_or("without an address")
    }
}

fn designations(json: &Json<'_>) -> Vec<WrittenDesignation> {
    items(json, "designation")
        .iter()
        .filter_map(|designation| {
            let purpose = designation.get("use").map(|purpose| String::from_utf8_lossy(&write(purpose)).into_owned());
            Some(WrittenDesignation {
                language: boxed(designation, "language").unwrap_or_default(),
                purpose: purpose.unwrap_or_default().into(),
                value: boxed(designation, "value")?,
            })
        })
        .collect()
}

fn written(json: &Json<'_>) -> Option<WrittenCode> {
    let flag = |name| json.get(name).and_then(Json::as_bool).unwrap_or(false);
    Some(WrittenCode {
        code: boxed(json, "code")?,
        display: boxed(json, "display"),
        designations: designations(json),
        is_abstract: flag("abstract"),
        inactive: flag("inactive"),
    })
}

fn part(json: &Json<'_>) -> Part {
    let mut part = Part {
        system: boxed(json, "system"),
        version: boxed(json, "version"),
        codes: items(json, "concept").iter().filter_map(written).collect(),
        value_sets: items(json, "valueSet").iter().filter_map(|one| one.as_str().map(Into::into)).collect(),
        ..Part::default()
    };
    for filter in items(json, "filter") {
        let operator = filter.get_str("op").and_then(FilterOperator::of);
        match (boxed(filter, "property"), operator, filter.get_str("value")) {
            (Some(property), Some(operator), Some(value)) => {
                part.filters.push(Filter { property, operator, value: value.into() });
            }
            _ => part.fault = Some(TerminologyError::invalid("a filter needs `property`, `value` and an `op` of R4")),
        }
    }
    // R4, invariants vsd-1 to vsd-3 of ValueSet.
    if part.system.is_none() && part.value_sets.is_empty() {
        part.fault = Some(TerminologyError::invalid("an include or exclude names neither a system nor a value set"));
    }
    if part.system.is_none() && !(part.codes.is_empty() && part.filters.is_empty()) {
        part.fault = Some(TerminologyError::invalid("an include or exclude has codes or filters without a system"));
    }
    if !part.codes.is_empty() && !part.filters.is_empty() {
        part.fault = Some(TerminologyError::invalid("an include or exclude has both codes and filters"));
    }
    part
}

/// The codes of an expansion, however nested; neighbours of one system and version in one part.
fn stored(expansion: &Json<'_>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut waiting: Vec<&Json<'_>> = items(expansion, "contains").iter().rev().collect();
    while let Some(entry) = waiting.pop() {
        waiting.extend(items(entry, "contains").iter().rev());
        let (Some(code), Some(system)) = (written(entry), boxed(entry, "system")) else { continue };
        let version = boxed(entry, "version");
        match parts.last_mut() {
            Some(last) if last.system.as_ref() == Some(&system) && last.version == version => last.codes.push(code),
            _ => parts.push(Part { system: Some(system), version, codes: vec![code], ..Part::default() }),
        }
    }
    parts
}
