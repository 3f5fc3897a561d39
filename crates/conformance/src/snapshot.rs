//! From a StructureDefinition to a [`Profile`]: the elements of its differential laid over the profile of its base.
//!
//! ```text
//! StructureDefinition ── elements in order ──> nodes of the tree, found by id or by path and slice name
//!        base ── its own Profile, copied ──────^
//! ```
//!
//! Elements are found by their `id` where it has the slices, and otherwise as R4 describes differentials without ids: an
//! element belongs to the last one named before it that its path continues
//! (<https://hl7.org/fhir/R4/elementdefinition.html#id>). A path such as `Observation.valueQuantity` is a slice of
//! `Observation.value[x]` by its type (<https://hl7.org/fhir/R4/profiling.html#slicing>).

use crate::profile::{
    Binding, Context, ContextKind, Discriminator, DiscriminatorKind, Node, NodeId, Profile, ROOT, Slicing,
    SlicingRules, Strength, TypeRule,
};
use crate::rule::Rule;
use std::collections::HashMap;
use std::sync::Arc;
use tacet_fhir::definitions::{Group, Kind, tables};
use tacet_fhir::json::Json;
use tacet_fhir::outcome::Severity;

/// Most nodes of one profile. The largest snapshot of R4 has fewer than 500 elements.
pub(crate) const NODES_MAX: usize = 20_000;
/// Deepest nesting of elements in a path.
const PATH_DEPTH_MAX: usize = 64;
/// Longest expression of a constraint, in bytes.
const EXPRESSION_BYTES_MAX: usize = 32 * 1024;

/// The extension by which a binding names the set that no code may be outside of.
const VALUE_SET_MAX: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";

/// The extension that gives the least length of a text.
const LENGTH_MIN: &str = "http://hl7.org/fhir/StructureDefinition/minLength";

/// The extension that says which languages a narrative has.
const LANGUAGES: &str = "http://hl7.org/fhir/StructureDefinition/narrative-language-control";

/// What later versions say in `ElementDefinition.mustHaveValue`, as R4 has it.
const VALUE_NEEDED: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue";
/// What later versions say in `ElementDefinition.valueAlternatives`, as R4 has it.
const VALUE_ALTERNATIVES: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.valueAlternatives";

/// What a profile cannot be made from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the profile has more than {NODES_MAX} elements")]
    TooLarge,
    #[error("the profile has an element without a usable path")]
    Path,
}

/// Lays elements over a base.
pub(crate) fn build(definition: &Json<'_>, base: Profile, elements: &[Json<'_>]) -> Result<Profile, SnapshotError> {
    let mut profile = base;
    profile.url = definition.get_str("url").unwrap_or_default().to_owned();
    if let Some(type_name) = definition.get_str("type") {
        type_name.clone_into(&mut profile.type_name);
    }
    let contexts = contexts(definition);
    if !contexts.is_empty() {
        profile.contexts = contexts;
    }
    for expression in texts(definition, "contextInvariant") {
        let words = "the definition of the extension does not allow it in this case";
        profile.context_rules.push(Arc::new(Rule::new("context", Severity::Error, words, &expression)));
    }
    let type_name = profile.type_name.clone();
    profile.node_mut(ROOT).name = type_name;
    let mut builder = Builder { profile, last: HashMap::new() };
    for element in elements {
        builder.element(element)?;
    }
    Ok(builder.profile)
}

fn contexts(definition: &Json<'_>) -> Vec<Context> {
    let contexts = definition.get("context").map(Json::items).unwrap_or_default();
    contexts
        .iter()
        .filter_map(|context| {
            let kind = match context.get_str("type")? {
                "element" => ContextKind::Element,
                "extension" => ContextKind::Extension,
                _ => ContextKind::FhirPath,
            };
            Some(Context { kind, expression: context.get_str("expression")?.to_owned() })
        })
        .collect()
}

struct Builder {
    profile: Profile,
    /// The node that was last named at each path.
    last: HashMap<String, NodeId>,
}

impl Builder {
    fn element(&mut self, element: &Json<'_>) -> Result<(), SnapshotError> {
        let path = element.get_str("path").ok_or(SnapshotError::Path)?;
        let names: Vec<&str> = path.split('.').collect();
        if names.len() > PATH_DEPTH_MAX || names.iter().any(|name| name.is_empty()) {
            return Err(SnapshotError::Path);
        }
        let slice = element.get_str("sliceName").filter(|slice| !slice.is_empty());
        let node = match by_id(element, &names) {
            Some(steps) => self.walk(&steps)?,
            None => self.by_path(&names, slice)?,
        };
        self.last.retain(|known, _| {
            !(known.starts_with(path) && known.get(path.len()..).is_some_and(|rest| rest.starts_with('.')))
        });
        self.last.insert(path.to_owned(), node);
        self.apply(node, element);
        Ok(())
    }

    /// The node of an element whose id tells each slice on the way.
    fn walk(&mut self, steps: &[(&str, Option<&str>)]) -> Result<NodeId, SnapshotError> {
        let mut node = ROOT;
        let mut path = String::new();
        for (at, (name, slice)) in steps.iter().enumerate() {
            if at > 0 {
                path.push('.');
                node = self.child(node, name)?;
            }
            path.push_str(name);
            if let Some(slice) = slice {
                node = self.slice(node, slice)?;
            }
        }
        Ok(node)
    }

    /// The node of an element by its path: below the last one named on the way.
    fn by_path(&mut self, names: &[&str], slice: Option<&str>) -> Result<NodeId, SnapshotError> {
        let mut node = ROOT;
        let mut path = String::new();
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                path.push('.');
            }
            path.push_str(name);
            if at == 0 {
                continue;
            }
            let is_last = at + 1 == names.len();
            node = match self.last.get(&path) {
                Some(known) if !is_last => *known,
                _ => self.child(node, name)?,
            };
        }
        match slice {
            Some(slice) if names.len() > 1 && self.profile.node(node).slice != slice => self.slice(node, slice),
            _ => Ok(node),
        }
    }

    /// The child of a name, made where it is not there yet; `valueQuantity` becomes a slice of `value`.
    fn child(&mut self, parent: NodeId, name: &str) -> Result<NodeId, SnapshotError> {
        let bare = name.strip_suffix("[x]").unwrap_or(name);
        if let Some(child) = self.profile.child(parent, bare) {
            return Ok(child);
        }
        if bare.len() == name.len()
            && let Some((choice, type_name)) = self.choice(parent, bare)
        {
            let element = self.plain_child(parent, choice)?;
            if self.profile.node(element).slicing.is_none() {
                self.profile.node_mut(element).slicing = Some(by_type());
            }
            let slice = self.slice(element, bare)?;
            if self.profile.node(slice).types.is_empty() {
                self.profile.node_mut(slice).types = vec![TypeRule {
                    code: type_name.to_owned(),
                    profiles: Vec::new(),
                    targets: Vec::new(),
                    aggregation: Vec::new(),
                }];
            }
            return Ok(slice);
        }
        self.plain_child(parent, bare)
    }

    fn plain_child(&mut self, parent: NodeId, name: &str) -> Result<NodeId, SnapshotError> {
        if let Some(child) = self.profile.child(parent, name) {
            return Ok(child);
        }
        let id = self.push(Node { name: name.to_owned(), ..Node::default() })?;
        self.profile.node_mut(parent).children.push(id);
        Ok(id)
    }

    fn push(&mut self, node: Node) -> Result<NodeId, SnapshotError> {
        if self.profile.nodes.len() >= NODES_MAX {
            return Err(SnapshotError::TooLarge);
        }
        self.profile.nodes.push(node);
        Ok(self.profile.nodes.len() - 1)
    }

    /// The slice of a name; `a/b` is the slice `b` of the slice `a`.
    fn slice(&mut self, element: NodeId, name: &str) -> Result<NodeId, SnapshotError> {
        let mut node = element;
        let mut end = 0;
        for part in name.split('/').take(PATH_DEPTH_MAX) {
            end += part.len();
            let full = name.get(..end).unwrap_or(name);
            end += 1;
            let known =
                self.profile.node(node).slices.iter().copied().find(|slice| self.profile.node(*slice).slice == full);
            node = match known {
                Some(known) => known,
                None => {
                    let element_name = self.profile.node(element).name.clone();
                    let id = self.push(Node { name: element_name, slice: full.to_owned(), ..Node::default() })?;
                    self.profile.node_mut(node).slices.push(id);
                    id
                }
            };
        }
        Ok(node)
    }

    /// The choice that a name such as `valueQuantity` is one type of.
    fn choice(&self, parent: NodeId, name: &str) -> Option<(&'static str, &'static str)> {
        let group = self.group(parent)?;
        let member = group.member(name)?;
        let element = group.element(member);
        if !element.is_choice() {
            return None;
        }
        Some((element.name(), kind_name(member.kind())))
    }

    /// What R4 says about the members of a node: found by walking from the root again, since nodes know no parents.
    fn group(&self, node: NodeId) -> Option<&'static Group> {
        let mut trail = Vec::new();
        self.trail(ROOT, node, &mut trail, 0);
        let mut group = tables().find(&self.profile.type_name)?;
        for id in trail.iter().rev() {
            let step = self.profile.node(*id);
            if !step.slice.is_empty() || *id == ROOT {
                if let [only] = step.types.as_slice()
                    && let Some(found) = tables().find(&only.code)
                    && *id != ROOT
                    && found.path() != "BackboneElement"
                    && found.path() != "Element"
                {
                    group = found;
                }
                continue;
            }
            let member = group.members().iter().find(|member| group.element(member).name() == step.name)?;
            group = match (member.kind(), step.types.as_slice()) {
                (Kind::Group(id), _) if !group.element(member).is_choice() => tables().group(id),
                (_, [only]) => tables().find(&only.code)?,
                (Kind::Primitive(_), _) if !group.element(member).is_choice() => tables().element(),
                // A choice or a resource whose slice, next on the trail, says the type.
                _ => group,
            };
        }
        Some(group)
    }

    /// The nodes from `at` down to `wanted`, the last one first.
    fn trail(&self, at: NodeId, wanted: NodeId, out: &mut Vec<NodeId>, depth: usize) -> bool {
        if at == wanted {
            out.push(at);
            return true;
        }
        if depth > PATH_DEPTH_MAX * 2 {
            return false;
        }
        let node = self.profile.node(at);
        for next in node.children.iter().chain(&node.slices) {
            if self.trail(*next, wanted, out, depth + 1) {
                out.push(at);
                return true;
            }
        }
        false
    }

    fn apply(&mut self, id: NodeId, element: &Json<'_>) {
        if id == ROOT && element.get("isModifier").and_then(Json::as_bool) == Some(true) {
            self.profile.is_modifier = true;
        }
        let node = self.profile.node_mut(id);
        if id != ROOT {
            if let Some(min) = element.get("min").and_then(Json::as_i64) {
                node.min = u32::try_from(min).ok();
            }
            if let Some(max) = element.get_str("max") {
                node.max = max.parse().ok();
            }
        }
        if let Some(types) = element.get("type") {
            node.types = types.items().iter().map(type_rule).collect();
        }
        for (name, value) in element.members() {
            if name.starts_with("fixed") {
                node.fixed = Some(value.clone().into_owned());
            } else if name.starts_with("pattern") {
                node.pattern = Some(value.clone().into_owned());
            } else if name.starts_with("minValue") {
                node.value_min = Some(value.clone().into_owned());
            } else if name.starts_with("maxValue") {
                node.value_max = Some(value.clone().into_owned());
            }
        }
        if let Some(length) = element.get("maxLength").and_then(Json::as_i64) {
            node.length_max = usize::try_from(length).ok();
        }
        let extensions = element.get("extension").map(Json::items).unwrap_or_default();
        if let Some(length) = extensions.iter().find(|extension| extension.get_str("url") == Some(LENGTH_MIN)) {
            node.length_min =
                length.get("valueInteger").and_then(Json::as_i64).and_then(|length| usize::try_from(length).ok());
        }
        for extension in extensions {
            match extension.get_str("url") {
                Some(VALUE_NEEDED) => {
                    node.is_value_needed = extension.get("valueBoolean").and_then(Json::as_bool) == Some(true);
                }
                Some(LANGUAGES) => node.languages.extend(extension.get_str("valueCode").map(str::to_owned)),
                Some(VALUE_ALTERNATIVES) => node.value_alternatives.extend(
                    extension.get_str("valueCanonical").or_else(|| extension.get_str("valueUri")).map(str::to_owned),
                ),
                _ => {}
            }
        }
        if let Some(binding) = element.get("binding") {
            // A weaker strength in a derived profile cannot be; nothing said leaves the base's.
            if let Some(binding) = read_binding(binding) {
                node.binding = Some(binding);
            }
        }
        if let Some(slicing) = element.get("slicing") {
            node.slicing = Some(read_slicing(slicing));
        }
        for constraint in element.get("constraint").map(Json::items).unwrap_or_default() {
            add_rule(node, constraint);
        }
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Primitive(primitive) => primitive.as_str(),
        Kind::Group(id) => tables().group(id).path(),
        Kind::Resource => "Resource",
    }
}

fn by_type() -> Slicing {
    Slicing {
        discriminators: vec![Discriminator { kind: DiscriminatorKind::Type, path: "$this".to_owned() }],
        rules: SlicingRules::Open,
        ordered: false,
    }
}

/// The steps of an id, where it goes along the path; `None` where it does not, or tells less than the path.
fn by_id<'e>(element: &'e Json<'_>, names: &[&'e str]) -> Option<Vec<(&'e str, Option<&'e str>)>> {
    let id = element.get_str("id")?;
    let steps: Vec<(&str, Option<&str>)> = id
        .split('.')
        .map(|step| step.split_once(':').map_or((step, None), |(name, slice)| (name, Some(slice))))
        .collect();
    if steps.len() != names.len() || !steps.iter().zip(names).all(|((name, _), known)| name == known) {
        return None;
    }
    let has_slice = element.get_str("sliceName").is_some_and(|slice| !slice.is_empty());
    if has_slice && steps.last().is_some_and(|(_, slice)| slice.is_none()) && names.len() > 1 {
        return None;
    }
    Some(steps)
}

fn texts(value: &Json<'_>, name: &str) -> Vec<String> {
    let items = value.get(name).map(Json::items).unwrap_or_default();
    items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn type_rule(value: &Json<'_>) -> TypeRule {
    let code = value.get_str("code").unwrap_or_default();
    let code = code.strip_prefix(crate::base::DEFINITION).unwrap_or(code);
    TypeRule {
        code: code.to_owned(),
        profiles: texts(value, "profile"),
        targets: texts(value, "targetProfile"),
        aggregation: texts(value, "aggregation"),
    }
}

fn read_binding(value: &Json<'_>) -> Option<Binding> {
    let extensions = value.get("extension").map(Json::items).unwrap_or_default();
    let value_set_max = extensions
        .iter()
        .find(|extension| extension.get_str("url") == Some(VALUE_SET_MAX))
        .and_then(|extension| extension.get_str("valueCanonical").or_else(|| extension.get_str("valueUri")))
        .map(str::to_owned);
    let strength = match value.get_str("strength") {
        Some("required") => Strength::Required,
        Some("extensible") => Strength::Extensible,
        _ if value_set_max.is_some() => Strength::Extensible,
        _ => return None,
    };
    let value_set = value.get_str("valueSet").unwrap_or_default().to_owned();
    Some(Binding { strength, value_set, value_set_max })
}

fn read_slicing(value: &Json<'_>) -> Slicing {
    let discriminators = value.get("discriminator").map(Json::items).unwrap_or_default();
    Slicing {
        discriminators: discriminators.iter().filter_map(read_discriminator).collect(),
        rules: match value.get_str("rules") {
            Some("closed") => SlicingRules::Closed,
            Some("openAtEnd") => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        },
        ordered: value.get("ordered").and_then(Json::as_bool) == Some(true),
    }
}

fn read_discriminator(value: &Json<'_>) -> Option<Discriminator> {
    let kind = match value.get_str("type")? {
        "value" => DiscriminatorKind::Value,
        "pattern" => DiscriminatorKind::Pattern,
        "exists" => DiscriminatorKind::Exists,
        "type" => DiscriminatorKind::Type,
        "profile" => DiscriminatorKind::Profile,
        _ => return None,
    };
    Some(Discriminator { kind, path: value.get_str("path").unwrap_or("$this").to_owned() })
}

/// Adds a constraint, unless the node has it already: snapshots repeat those of their bases.
fn add_rule(node: &mut Node, constraint: &Json<'_>) {
    let (Some(key), Some(expression)) = (constraint.get_str("key"), constraint.get_str("expression")) else { return };
    if expression.len() > EXPRESSION_BYTES_MAX || key.starts_with("dom-") || matches!(key, "ele-1" | "ext-1") {
        return;
    }
    if node.rules.iter().any(|rule| rule.key == key) {
        return;
    }
    let severity = if constraint.get_str("severity") == Some("warning") { Severity::Warning } else { Severity::Error };
    let words = constraint.get_str("human").unwrap_or_default();
    node.rules.push(Arc::new(Rule::new(key, severity, words, expression)));
}
