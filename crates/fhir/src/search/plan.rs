//! One tree of paths for each resource type, so that a resource is walked once for all its parameters.

use super::compile::{CompileError, CompiledPath, Elements, Filter, Kind, Program, Step, compile, compile_component};
use super::normalise::normalise;
use super::normalise::supports;
use super::table::{Table, Targets, is_a, table};
use super::{ParameterId, ParameterType, Token, TokenSystem, Value};
use crate::json::Json;
use crate::reference::Reference;
use std::sync::OnceLock;
use tacet_types::ResourceType;

/// Most values of one composite at one element: what has more is not a measurement with parts but an attack on the
/// index.
const COMPOSITE_VALUES_MAX: usize = 1024;

/// A path within a resource of known type.
pub(crate) struct Path {
    steps: Vec<Step>,
    pub(crate) kind: Kind,
}

impl Path {
    /// Visits each item at the end of the path. `resource` is where contained resources are looked up.
    pub(crate) fn walk<'v, 'a>(&self, from: &'v Json<'a>, resource: &'v Json<'a>, visit: &mut dyn FnMut(&'v Json<'a>)) {
        walk(&self.steps, from, resource, visit);
    }
}

fn walk<'v, 'a>(steps: &[Step], from: &'v Json<'a>, resource: &'v Json<'a>, visit: &mut dyn FnMut(&'v Json<'a>)) {
    match steps {
        [] => visit(from),
        [Step::Member(name), rest @ ..] => match (from.get(name), rest) {
            (Some(Json::Array(items)), [Step::Index(index), rest @ ..]) => {
                if let Some(item) = items.get(*index) {
                    walk(rest, item, resource, visit);
                }
            }
            (Some(Json::Array(items)), rest) => items.iter().for_each(|item| walk(rest, item, resource, visit)),
            (Some(item), rest) => walk(rest, item, resource, visit),
            (None, _) => {}
        },
        // Reached only by an item that is not in an array.
        [Step::Index(index), rest @ ..] => {
            if *index == 0 {
                walk(rest, from, resource, visit);
            }
        }
        [Step::Filter(filter), rest @ ..] => {
            if filter.holds(from, resource) {
                walk(rest, from, resource, visit);
            }
        }
    }
}

impl Filter {
    fn holds(&self, item: &Json<'_>, resource: &Json<'_>) -> bool {
        match self {
            Self::Equals(name, text) => item.get_str(name) == Some(text.as_str()),
            Self::Url(url) => item.get_str("url") == Some(url.as_str()),
            Self::HasExtension(url) => {
                let extensions = item.get("extension").map(Json::items).unwrap_or_default();
                extensions.iter().any(|extension| extension.get_str("url") == Some(url.as_str()))
            }
            Self::ResolvesTo(resource_type) => leads_to(item, *resource_type, resource),
        }
    }
}

/// Whether a reference leads to a resource of that type: by its text, its `type`, or the contained resource that it
/// names.
fn leads_to(item: &Json<'_>, resource_type: ResourceType, resource: &Json<'_>) -> bool {
    let named = || item.get_str("type") == Some(resource_type.as_str());
    match item.get_str("reference").map(Reference::parse) {
        Some(Reference::Fragment("")) => resource.get_str("resourceType") == Some(resource_type.as_str()),
        Some(Reference::Fragment(name)) => {
            let contained = resource.get("contained").map(Json::items).unwrap_or_default();
            contained
                .iter()
                .find(|one| one.get_str("id") == Some(name))
                .is_some_and(|one| one.get_str("resourceType") == Some(resource_type.as_str()))
        }
        Some(reference) => reference.resource_type().map_or_else(named, |found| found == resource_type),
        None => named(),
    }
}

/// What to do with an item that a path has reached.
enum Action {
    Value(ParameterType, Kind),
    Composite(Vec<Part>),
}

/// A component of a composite.
struct Part {
    parameter_type: ParameterType,
    paths: Vec<(Path, /* from the resource */ bool)>,
}

#[derive(Default)]
struct Node {
    actions: Vec<(ParameterId, Action)>,
    filters: Vec<(Filter, Node)>,
    /// Sorted by name.
    members: Vec<(String, Child)>,
}

/// What follows a member: for each of its items, and for the one at an index.
#[derive(Default)]
struct Child {
    each: Node,
    indexed: Vec<(usize, Node)>,
}

impl Node {
    fn add(&mut self, steps: &[Step], parameter: ParameterId, action: Action) {
        match steps {
            [] => self.actions.push((parameter, action)),
            [Step::Member(name), Step::Index(index), rest @ ..] => {
                let indexed = &mut self.child(name).indexed;
                if let Some((_, node)) = indexed.iter_mut().find(|(known, _)| known == index) {
                    node.add(rest, parameter, action);
                } else {
                    let mut node = Node::default();
                    node.add(rest, parameter, action);
                    indexed.push((*index, node));
                }
            }
            [Step::Member(name), rest @ ..] => self.child(name).each.add(rest, parameter, action),
            [Step::Filter(filter), rest @ ..] => {
                if let Some((_, node)) = self.filters.iter_mut().find(|(known, _)| known == filter) {
                    node.add(rest, parameter, action);
                } else {
                    let mut node = Node::default();
                    node.add(rest, parameter, action);
                    self.filters.push((filter.clone(), node));
                }
            }
            // An index of an item that is already one: the first is itself, others are not there.
            [Step::Index(0), rest @ ..] => self.add(rest, parameter, action),
            [Step::Index(_), ..] => {}
        }
    }

    fn child(&mut self, name: &str) -> &mut Child {
        let place = match self.members.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            Ok(place) => place,
            Err(place) => {
                self.members.insert(place, (name.to_owned(), Child::default()));
                place
            }
        };
        #[expect(clippy::indexing_slicing, reason = "found or inserted just above")]
        &mut self.members[place].1
    }

    fn visit<'v, 'a>(&self, item: &'v Json<'a>, resource: &'v Json<'a>, sink: &mut dyn FnMut(ParameterId, Value<'v>)) {
        for (parameter, action) in &self.actions {
            match action {
                Action::Value(parameter_type, kind) => {
                    normalise(*parameter_type, *kind, item, &mut |value| sink(*parameter, value));
                }
                Action::Composite(parts) => {
                    composite(parts, item, resource, &mut |value| sink(*parameter, value));
                }
            }
        }
        for (filter, node) in &self.filters {
            if filter.holds(item, resource) {
                node.visit(item, resource, sink);
            }
        }
        if self.members.is_empty() {
            return;
        }
        for (name, value) in item.members() {
            let Ok(place) = self.members.binary_search_by(|(known, _)| known.as_str().cmp(name)) else { continue };
            let Some((_, child)) = self.members.get(place) else { continue };
            let items = if let Json::Array(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
            items.iter().for_each(|item| child.each.visit(item, resource, sink));
            for (index, node) in &child.indexed {
                if let Some(item) = items.get(*index) {
                    node.visit(item, resource, sink);
                }
            }
        }
    }
}

/// Whether a value is found without a modifier: a composite takes none, so texts and identifiers of references are of
/// no use in it.
pub(super) fn compares_in_composite(value: &Value<'_>) -> bool {
    !matches!(value, Value::Token(Token { code: None, .. }) | Value::OfType { .. } | Value::ReferenceIdentifier { .. })
}

/// Each combination of the values of the parts; none if a part has no value.
fn composite<'v, 'a>(parts: &[Part], item: &'v Json<'a>, resource: &'v Json<'a>, push: &mut dyn FnMut(Value<'v>)) {
    // The last part first: it is the value, which has one type of many, and most composites end here for want of it.
    let mut columns: Vec<Vec<Value<'v>>> = Vec::new();
    for part in parts.iter().rev() {
        let mut values = Vec::new();
        for (path, from_resource) in &part.paths {
            path.walk(if *from_resource { resource } else { item }, resource, &mut |end| {
                normalise(part.parameter_type, path.kind, end, &mut |value| {
                    if compares_in_composite(&value) {
                        values.push(value);
                    }
                });
            });
        }
        if values.is_empty() {
            return;
        }
        columns.push(values);
    }
    let mut combinations: Vec<Vec<Value<'v>>> = vec![Vec::new()];
    for values in columns.iter().rev() {
        let with = |first: &Vec<Value<'v>>, value: &Value<'v>| first.iter().chain([value]).cloned().collect();
        let next = combinations.iter().flat_map(|first| values.iter().map(move |value| with(first, value)));
        combinations = next.take(COMPOSITE_VALUES_MAX).collect();
    }
    combinations.into_iter().for_each(|values| push(Value::Composite(values)));
}

/// A parameter that is true or false by whether an element is there: `Patient.deceased`.
struct Flag {
    parameter: ParameterId,
    paths: Vec<Path>,
    not: bool,
}

/// All that is searched in resources of one type.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) parameters: Vec<ParameterId>,
    root: Node,
    flags: Vec<Flag>,
}

impl Plan {
    pub(super) fn extract<'v, 'a>(&self, resource: &'v Json<'a>, sink: &mut dyn FnMut(ParameterId, Value<'v>)) {
        self.root.visit(resource, resource, sink);
        for flag in &self.flags {
            let mut is = false;
            for path in &flag.paths {
                path.walk(resource, resource, &mut |item| is |= !item.is_null() && item.as_bool() != Some(flag.not));
            }
            let code = Some(if is { "true" } else { "false" });
            sink(flag.parameter, Value::Token(Token { system: TokenSystem::Implied, code, text: None }));
        }
    }

    fn new(table: &Table, resource_type: ResourceType) -> Self {
        let mut plan = Self::default();
        for (place, parameter) in table.parameters.iter().enumerate() {
            let Ok(place) = u16::try_from(place) else { break };
            if !parameter.applies_to(resource_type) {
                continue;
            }
            let id = ParameterId(place);
            plan.parameters.push(id);
            let defined = |definition: &str| {
                table.parameters.iter().find(|parameter| parameter.id == definition).map(|known| known.parameter_type)
            };
            let components = parameter.components.iter().map(|component| {
                (defined(component.definition).unwrap_or(ParameterType::Special), component.expression)
            });
            let search = Search {
                parameter_type: parameter.parameter_type,
                targets: &parameter.targets,
                expression: parameter.expression,
                bases: &parameter.bases,
                components: &components.collect::<Vec<_>>(),
            };
            // Does not fail: a test compiles the whole table.
            let _ = plan.add(Elements::Table(table), resource_type, id, &search);
        }
        plan
    }

    /// Adds what a parameter finds in resources of the type. Returns whether its paths end in anything that it compares.
    pub(super) fn add(
        &mut self,
        elements: Elements<'_>,
        resource_type: ResourceType,
        id: ParameterId,
        search: &Search<'_>,
    ) -> Result<bool, CompileError> {
        let mut compares = false;
        match compile(elements, search.expression, search.bases)? {
            Program::Paths(paths) => {
                for path in paths.into_iter().filter(|path| is_a(resource_type, path.root)) {
                    let path = refine(search.targets, path);
                    let action = search.action(elements, &path, resource_type)?;
                    compares |= match &action {
                        Action::Value(parameter_type, kind) => supports(*parameter_type, *kind),
                        Action::Composite(parts) => parts.iter().all(|part| !part.paths.is_empty()),
                    };
                    self.root.add(&path.steps, id, action);
                }
            }
            Program::ExistsAndIsNot(paths, not) => {
                let paths: Vec<_> =
                    paths.into_iter().filter(|path| is_a(resource_type, path.root)).map(Path::from).collect();
                compares = !paths.is_empty() && search.parameter_type == ParameterType::Token;
                self.flags.push(Flag { parameter: id, paths, not });
            }
        }
        Ok(compares)
    }
}

/// What a parameter looks for, in the shape that plans are made from.
pub(super) struct Search<'e> {
    pub(super) parameter_type: ParameterType,
    pub(super) targets: &'e Targets,
    pub(super) expression: &'e str,
    pub(super) bases: &'e [&'e str],
    /// How each part of a composite compares, and its path.
    pub(super) components: &'e [(ParameterType, &'e str)],
}

impl Search<'_> {
    fn action(
        &self,
        elements: Elements<'_>,
        path: &CompiledPath<'_>,
        resource_type: ResourceType,
    ) -> Result<Action, CompileError> {
        if self.parameter_type != ParameterType::Composite {
            return Ok(Action::Value(self.parameter_type, Kind::of(path.end)));
        }
        let part = |(parameter_type, expression): &(ParameterType, &str)| {
            let paths = compile_component(elements, expression, path.end, resource_type.as_str())?;
            let paths = paths.into_iter().map(|path| {
                let from_resource = path.from_resource;
                (Path::from(path), from_resource)
            });
            Ok(Part { parameter_type: *parameter_type, paths: paths.collect() })
        };
        Ok(Action::Composite(self.components.iter().map(part).collect::<Result<_, CompileError>>()?))
    }
}

/// Adds what the expression leaves to the parameter: of the resources in a bundle, `composition` and `message` have
/// the same expression and mean their own target.
pub(super) fn refine<'e>(targets: &Targets, mut path: CompiledPath<'e>) -> CompiledPath<'e> {
    if path.end == "Resource"
        && let Targets::Types(types) = targets
        && let [target] = types.as_slice()
    {
        path.steps.push(Step::Filter(Filter::Equals("resourceType".to_owned(), target.as_str().to_owned())));
    }
    path
}

impl From<CompiledPath<'_>> for Path {
    fn from(path: CompiledPath<'_>) -> Self {
        Self { steps: path.steps, kind: Kind::of(path.end) }
    }
}

/// The plan of a type, made at its first use.
pub(super) fn plan(resource_type: ResourceType) -> Option<&'static Plan> {
    static PLANS: [OnceLock<Plan>; ResourceType::COUNT] = [const { OnceLock::new() }; ResourceType::COUNT];
    let plan = PLANS.get(usize::from(resource_type.code()))?;
    Some(plan.get_or_init(|| Plan::new(table(), resource_type)))
}

/// The paths of one parameter of a type, by its code; empty if there is none.
pub(crate) fn paths_of(resource_type: ResourceType, code: &str) -> Vec<Path> {
    let table = table();
    let mut found = Vec::new();
    for parameter in &table.parameters {
        if parameter.code == code
            && parameter.applies_to(resource_type)
            && let Ok(Program::Paths(paths)) = compile(Elements::Table(table), parameter.expression, &parameter.bases)
        {
            found.extend(paths.into_iter().filter(|path| is_a(resource_type, path.root)).map(Path::from));
        }
    }
    found
}
