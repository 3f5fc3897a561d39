//! SearchParameter resources (<https://hl7.org/fhir/R4/searchparameter.html>), read and checked.

use super::{standard_by_id, update};
use crate::request::named;
use aws_lc_rs::digest;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{Issue, IssueType, Severity};
use tacet_fhir::search::{Custom, CustomParameter, PARAMETER_COUNT, ParameterId, ParameterType, Targets};
use tacet_types::ResourceType;

/// Most parameters beyond those of R4. An implementation guide has some hundreds.
pub const CUSTOM_MAX: usize = 2000;

/// Longest code, in bytes (R4, datatype `code`; those of R4 are below 40).
const CODE_BYTES_MAX: usize = 64;

/// Most parts of a composite.
const COMPONENTS_MAX: usize = 8;

/// Where the urls of the standard's own parameters begin.
const STANDARD_URL: &str = "http://hl7.org/fhir/SearchParameter/";

/// A parameter that a SearchParameter resource defines.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Defined {
    pub(super) url: String,
    pub(super) code: String,
    pub(super) search: CustomParameter,
    /// What says how each part of a composite compares.
    pub(super) components: Vec<ParameterId>,
    /// The same by url, before ids are given.
    definitions: Vec<String>,
}

impl Defined {
    /// All that decides what it finds.
    pub(super) fn digest(&self, context: &mut digest::Context) {
        update(context, &self.url);
        update(context, &self.code);
        update(context, self.search.parameter_type.as_str());
        update(context, &self.search.expression);
        context.update(&(self.search.bases.len() as u64).to_be_bytes());
        self.search.bases.iter().for_each(|base| update(context, base.as_str()));
        context.update(&(self.search.components.len() as u64).to_be_bytes());
        for (kind, expression) in &self.search.components {
            update(context, kind.as_str());
            update(context, expression);
        }
    }
}

/// Those there were and those of the resources, in the order of their urls; and why others are left out.
pub(super) fn read(before: &[Defined], resources: &[Json<'_>]) -> (Vec<Defined>, Vec<Issue>) {
    let mut issues = Vec::new();
    let mut all = before.to_vec();
    for resource in resources {
        match one(resource) {
            Ok(Some(defined)) => {
                // A later resource of the same url is the newer one.
                all.retain(|known| known.url != defined.url);
                all.push(defined);
            }
            Ok(None) => {}
            Err(issue) => issues.push(issue),
        }
    }
    all.sort_by(|one, other| one.url.cmp(&other.url));
    if all.len() > CUSTOM_MAX {
        all.truncate(CUSTOM_MAX);
        issues.push(issue(
            IssueType::TooCostly,
            format!("there are more than {CUSTOM_MAX} SearchParameters; the last are not used"),
        ));
    }
    // What a composite is made of may be among the others, so their types are known only now; dropping one may drop another.
    loop {
        let count = all.len();
        let known: Vec<_> = all.iter().map(|defined| (defined.url.clone(), defined.search.parameter_type)).collect();
        all.retain_mut(|defined| match check(defined, &known) {
            Ok(()) => true,
            Err(problem) => {
                issues.push(problem);
                false
            }
        });
        if all.len() == count {
            break;
        }
    }
    let mut taken: Vec<(ResourceType, String)> = Vec::new();
    all.retain(|defined| {
        let pairs = || defined.search.bases.iter().map(|base| (*base, defined.code.clone()));
        let free = !pairs().any(|pair| taken.contains(&pair));
        if free {
            taken.extend(pairs());
        } else {
            issues.push(problem(&defined.code, "has the code of another SearchParameter for the same type"));
        }
        free
    });
    let ids: Vec<_> =
        (PARAMETER_COUNT..).map_while(|place| u16::try_from(place).ok()).map(ParameterId::from_index).collect();
    let urls: Vec<_> = all.iter().map(|defined| defined.url.clone()).zip(ids.iter().copied()).collect();
    for (defined, id) in all.iter_mut().zip(&ids) {
        defined.search.id = *id;
        let by_url = |url: &String| {
            let own = urls.iter().find(|(known, _)| known == url).map(|(_, id)| *id);
            own.or_else(|| standard_by_id(url.strip_prefix(STANDARD_URL)?))
        };
        defined.components = defined.definitions.iter().filter_map(by_url).collect();
    }
    // A part may have gone with a code that was taken twice.
    all.retain(|defined| {
        let whole = defined.components.len() == defined.definitions.len();
        if !whole {
            issues.push(problem(&defined.code, "has a part whose definition is not used"));
        }
        whole
    });
    for (place, defined) in all.iter_mut().enumerate() {
        if let Some(id) = ids.get(place) {
            defined.search.id = *id;
        }
    }
    (all, issues)
}

fn issue(code: IssueType, message: String) -> Issue {
    Issue { severity: Severity::Warning, code, location: String::new(), message }
}

fn problem(code: &str, what: &str) -> Issue {
    issue(IssueType::NotSupported, format!("the SearchParameter with the code {} is not used: it {what}", named(code)))
}

/// Reads one resource. None for one that is not to be used: retired, or the standard's own.
fn one(resource: &Json<'_>) -> Result<Option<Defined>, Issue> {
    if resource.resource_type() != Some("SearchParameter") {
        return Err(issue(IssueType::Invalid, "a resource that is no SearchParameter defines no search".to_owned()));
    }
    let text = |name: &str| resource.get_str(name).unwrap_or_default();
    let (url, code, expression) = (text("url"), text("code"), text("expression"));
    let fail = |what: &str| Err(problem(code, what));
    if text("status") == "retired" || url.strip_prefix(STANDARD_URL).and_then(standard_by_id).is_some() {
        return Ok(None);
    }
    if url.is_empty() {
        return fail("has no url");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !code.starts_with(|c: char| c.is_ascii_alphabetic()) || code.len() > CODE_BYTES_MAX || !code.bytes().all(plain) {
        return fail("has a code that cannot stand in a query: letters, digits, `-` and `_` after a first letter");
    }
    let Some(parameter_type) = ParameterType::parse(text("type")) else { return fail("has no type") };
    if parameter_type == ParameterType::Special {
        return fail("is special: only the server itself could know what it means");
    }
    if expression.is_empty() {
        return fail("has no expression");
    }
    let mut bases = Vec::new();
    for base in resource.get("base").map(Json::items).unwrap_or_default() {
        match base.as_str().unwrap_or_default() {
            "Resource" => bases.extend(ResourceType::all()),
            "DomainResource" => {
                let domain = |one: &ResourceType| !matches!(one.as_str(), "Bundle" | "Binary" | "Parameters");
                bases.extend(ResourceType::all().filter(domain));
            }
            name => match ResourceType::parse(name) {
                Some(base) => bases.push(base),
                None => return fail("names a base that is no type of resource"),
            },
        }
    }
    bases.sort_unstable();
    bases.dedup();
    if bases.is_empty() {
        return fail("has no base");
    }
    let targets = resource.get("target").map(Json::items).unwrap_or_default();
    let targets: Vec<_> = targets.iter().filter_map(|name| ResourceType::parse(name.as_str()?)).collect();
    let targets = match parameter_type {
        ParameterType::Reference if targets.is_empty() => Targets::Any,
        _ => Targets::Types(targets),
    };
    let parts = resource.get("component").map(Json::items).unwrap_or_default();
    if (parameter_type == ParameterType::Composite) == parts.is_empty() || parts.len() > COMPONENTS_MAX {
        return fail("must have components if it is a composite, not more than eight, and none otherwise");
    }
    let mut components = Vec::new();
    let mut definitions = Vec::new();
    for part in parts {
        let (Some(definition), Some(expression)) = (part.get_str("definition"), part.get_str("expression")) else {
            return fail("has a component without definition or expression");
        };
        // The type is filled in when all are known.
        components.push((ParameterType::Special, expression.to_owned()));
        definitions.push(definition.to_owned());
    }
    let search = CustomParameter {
        id: ParameterId::from_index(0),
        parameter_type,
        bases,
        targets,
        expression: expression.to_owned(),
        components,
    };
    Ok(Some(Defined { url: url.to_owned(), code: code.to_owned(), search, components: Vec::new(), definitions }))
}

/// Fills in how the parts compare, and whether the expression can be used.
fn check(defined: &mut Defined, known: &[(String, ParameterType)]) -> Result<(), Issue> {
    for ((kind, _), url) in defined.search.components.iter_mut().zip(&defined.definitions) {
        let own = known.iter().find(|(known, _)| known == url).map(|(_, kind)| *kind);
        let standard = || Some(standard_by_id(url.strip_prefix(STANDARD_URL)?)?.parameter().parameter_type);
        match own.or_else(standard) {
            Some(ParameterType::Composite | ParameterType::Special) | None => {
                return Err(problem(&defined.code, "has a part whose definition is not known, or has no simple type"));
            }
            Some(found) => *kind = found,
        }
    }
    Custom::check(&defined.search).map_err(|error| problem(&defined.code, &format!("cannot be compiled: {error}")))
}
