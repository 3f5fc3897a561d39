//! A second reading of the expressions, slow and without types: it splits the text of the expression for each resource
//! again and finds choices by the names of members. It shares nothing with the compiler, so that both must be wrong
//! alike to agree.

use crate::json::Json;

/// Datatypes that follow the name of a choice element.
const DATATYPES: [&str; 34] = [
    "Address",
    "Age",
    "Annotation",
    "Attachment",
    "Boolean",
    "Canonical",
    "Code",
    "CodeableConcept",
    "Coding",
    "ContactPoint",
    "Count",
    "Date",
    "DateTime",
    "Decimal",
    "Distance",
    "Duration",
    "HumanName",
    "Identifier",
    "Instant",
    "Integer",
    "Markdown",
    "Money",
    "Period",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "SampledData",
    "String",
    "Time",
    "Timing",
    "Uri",
    "Url",
    "PositiveInt",
];

/// An item and, if it was reached through a choice, the type that its name told.
#[derive(Clone)]
pub(super) struct Item<'v, 'a> {
    pub(super) json: &'v Json<'a>,
    choice: Option<&'v str>,
}

/// What the expression reaches from these items of a resource.
pub(super) fn items<'v, 'a>(expression: &str, from: &'v Json<'a>, resource: &'v Json<'a>) -> Vec<&'v Json<'a>> {
    union(expression, from, resource).into_iter().map(|item| item.json).collect()
}

/// Whether `X.exists() and X != false` holds.
pub(super) fn flag(expression: &str, resource: &Json<'_>) -> bool {
    let (exists, differs) = expression.split_once(" and ").unwrap();
    let path = exists.strip_suffix(".exists()").unwrap();
    assert_eq!(differs, format!("{path} != false"));
    let found = items(path, resource, resource);
    // A null stands for a value that is not there, as in JSON of FHIR.
    found.iter().any(|item| !matches!(item, Json::Null | Json::Bool(false)))
}

fn union<'v, 'a>(expression: &str, from: &'v Json<'a>, resource: &'v Json<'a>) -> Vec<Item<'v, 'a>> {
    split(expression, '|').into_iter().flat_map(|part| path(part.trim(), from, resource)).collect()
}

/// Splits at a character that is not within brackets or quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut begin) = (Vec::new(), 0, false, 0);
    for (place, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if c == at && depth == 0 => {
                parts.push(&text[begin..place]);
                begin = place + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn path<'v, 'a>(text: &str, from: &'v Json<'a>, resource: &'v Json<'a>) -> Vec<Item<'v, 'a>> {
    let mut current = vec![Item { json: from, choice: None }];
    for (place, segment) in split(text, '.').into_iter().enumerate() {
        let (head, arguments) = match segment.split_once('(') {
            Some((head, rest)) => (head, Some(rest.strip_suffix(')').unwrap())),
            None => (segment, None),
        };
        current = match (head, arguments) {
            ("", Some(inner)) => match inner.rsplit_once(" as ") {
                Some((inner, name)) => cast(union(inner, from, resource), name),
                None => union(inner, from, resource),
            },
            ("as" | "ofType", Some(name)) => cast(current, name),
            ("where", Some(condition)) => {
                current.into_iter().filter(|item| holds(condition, item.json, resource)).collect()
            }
            ("extension", Some(url)) => {
                let url = url.trim_matches('\'');
                let extensions = current.into_iter().flat_map(|item| child(item.json, "extension"));
                extensions.filter(|item| item.json.get_str("url") == Some(url)).collect()
            }
            ("%resource", None) => vec![Item { json: resource, choice: None }],
            (name, None) if place == 0 && name.starts_with(char::is_uppercase) => {
                let is = name == "Resource" || resource.get_str("resourceType") == Some(name);
                if is { vec![Item { json: resource, choice: None }] } else { Vec::new() }
            }
            (name, None) => match name.split_once('[') {
                Some((name, index)) => {
                    let index: usize = index.strip_suffix(']').unwrap().parse().unwrap();
                    current.iter().flat_map(|item| child(item.json, name)).skip(index).take(1).collect()
                }
                None => current.iter().flat_map(|item| child(item.json, name)).collect(),
            },
            (name, Some(_)) => panic!("unknown function {name}"),
        };
    }
    current
}

fn cast<'v, 'a>(items: Vec<Item<'v, 'a>>, name: &str) -> Vec<Item<'v, 'a>> {
    items
        .into_iter()
        .filter(|item| item.choice.is_some_and(|choice| choice.eq_ignore_ascii_case(name.trim())))
        .collect()
}

fn child<'v, 'a>(parent: &'v Json<'a>, name: &str) -> Vec<Item<'v, 'a>> {
    let mut found = Vec::new();
    let plain = parent.get(name).is_some();
    for (member, value) in parent.members() {
        let choice = match member.strip_prefix(name) {
            Some("") => None,
            // `statusDate` beside `status` is an element of its own.
            Some(rest) if !plain && DATATYPES.contains(&rest) => Some(rest),
            _ => continue,
        };
        match value {
            Json::Array(items) => found.extend(items.iter().map(|json| Item { json, choice })),
            json => found.push(Item { json, choice }),
        }
    }
    found
}

fn holds(condition: &str, item: &Json<'_>, resource: &Json<'_>) -> bool {
    if let Some((name, text)) = condition.split_once('=') {
        return item.get(name.trim()).and_then(Json::as_str) == Some(text.trim().trim_matches('\''));
    }
    if let Some(wanted) = condition.strip_prefix("resolve() is ") {
        let reference = item.get_str("reference").unwrap_or_default();
        if let Some(name) = reference.strip_prefix('#') {
            let contained = resource.get("contained").map(Json::items).unwrap_or_default();
            let found = if name.is_empty() {
                Some(resource)
            } else {
                contained.iter().find(|one| one.get_str("id") == Some(name))
            };
            return found.and_then(|one| one.get_str("resourceType")) == Some(wanted);
        }
        let reference = reference.split("/_history/").next().unwrap();
        let reference = reference.split('?').next().unwrap().split('#').next().unwrap();
        let mut parts = reference.rsplit('/');
        let (last, before) = (parts.next().unwrap(), parts.next());
        let known = |name: &str| tacet_types::ResourceType::parse(name).is_some();
        let named = [before, Some(last)].into_iter().flatten().find(|name| known(name));
        return named.or_else(|| item.get_str("type")) == Some(wanted);
    }
    let url = condition.strip_prefix("hasExtension('").and_then(|rest| rest.strip_suffix("')")).unwrap();
    child(item, "extension").iter().any(|one| one.json.get_str("url") == Some(url))
}
