//! Extensions: is the definition known, may it stand here, and does the extension have its shape?

use super::base_walk::Owner;
use super::{Check, Scope};
use crate::base::{DEFINITION, base};
use crate::instance::Instance;
use crate::place::Place;
use crate::profile::{Context, ContextKind, Profile, ROOT};
use tacet_fhir::definitions::GroupKind;
use tacet_fhir::outcome::{IssueType, Severity};
use tacet_fhirpath::{Expression, Node};
use tacet_types::Timestamp;

/// Addresses of the standard begin so.
const FHIR: &str = "http://hl7.org/fhir/";
/// The other versions of FHIR, as addresses name them.
const OTHER_VERSIONS: [&str; 4] = ["1.0", "3.0", "4.3", "5.0"];
/// Elements of these versions that R4 does not have and that change the meaning of what they stand in.
const MODIFIERS_ELSEWHERE: [&str; 11] = [
    "Communication.notDone",
    "DeviceRequest.doNotPerform",
    "Immunization.notGiven",
    "Immunization.wasNotGiven",
    "MedicationAdministration.notGiven",
    "MedicationAdministration.wasNotGiven",
    "MedicationStatement.taken",
    "MedicationStatement.wasNotTaken",
    "Patient.animal",
    "Procedure.notDone",
    "Procedure.notPerformed",
];

impl<'v> Check<'v> {
    /// One extension, standing in `name` (`extension` or `modifierExtension`) of `owner`.
    pub(super) fn extension(
        &mut self,
        instance: Instance<'v>,
        name: &str,
        owner: Owner<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        if !self.is_full() {
            return;
        }
        let Some(url) = instance.value.and_then(|value| value.get_str("url")) else { return };
        let is_modifier = name == "modifierExtension";
        if owner.extension_url.is_some() && !url.contains(':') {
            // A part of a complex extension: the definition of the whole says what it is.
            return;
        }
        let Some(profile) = self.packages.profile(url).filter(|profile| profile.type_name == "Extension") else {
            return self.unknown_extension(url, is_modifier, place);
        };
        if is_modifier != profile.is_modifier {
            let message = if is_modifier {
                "this extension is defined as one that modifies nothing: it belongs in `extension`"
            } else {
                "this extension is defined as a modifier: it belongs in `modifierExtension`"
            };
            self.error(IssueType::Extension, place, || message);
        }
        let may_stand = profile.contexts.is_empty()
            || profile.contexts.iter().any(|context| self.is_context(context, owner, scope, place));
        if !may_stand {
            self.error(IssueType::Extension, place, || "the definition of this extension does not allow it here");
        }
        for rule in &profile.context_rules {
            self.rule(rule, owner.holder, scope, place);
        }
        self.profile(&profile, instance, scope, place);
        self.parts(&profile, instance, place);
    }

    /// The parts of a complex extension are those of its definition.
    fn parts(&mut self, profile: &Profile, instance: Instance<'v>, place: &Place<'_>) {
        let Some(part) = profile.child(ROOT, "extension") else { return };
        let slices = &profile.node(part).slices;
        for item in instance.children("extension") {
            let Some(url) = item.value.and_then(|value| value.get_str("url")) else { continue };
            let is_known = url.contains(':')
                || slices.iter().any(|slice| {
                    let fixed = profile.child(*slice, "url").and_then(|child| profile.node(child).fixed.as_ref());
                    fixed.and_then(|fixed| fixed.as_str()).unwrap_or(&profile.node(*slice).slice) == url
                });
            if !is_known {
                let here = place.child("extension", item.index);
                self.error(IssueType::Extension, &here, || "the definition of the extension has no such part");
            }
        }
    }

    fn unknown_extension(&mut self, url: &str, is_modifier: bool, place: &Place<'_>) {
        if let Some(path) = of_other_version(url) {
            if !is_modifier && MODIFIERS_ELSEWHERE.contains(&path) {
                let message = "stands for an element that is a modifier: it belongs in `modifierExtension`";
                return self.error(IssueType::Extension, place, || message);
            }
            let message = "stands for an element of another version of FHIR: it was not checked";
            return self.report(Severity::Information, IssueType::Extension, place, || message);
        }
        if is_modifier {
            return self.error(IssueType::Extension, place, || "a modifier extension whose definition is not known");
        }
        let severity = self.context.unknown_extensions;
        self.report(
            severity,
            IssueType::Extension,
            place,
            || "the definition of this extension is not known: it was not checked",
        );
    }
}

impl<'v> Check<'v> {
    /// Whether a context of the definition is that of the extension.
    fn is_context(&self, context: &Context, owner: Owner<'v>, scope: &Scope<'v>, place: &Place<'_>) -> bool {
        match context.kind {
            ContextKind::FhirPath => selects(&context.expression, owner.holder, scope, self.context.now),
            _ => is_named(context, owner, scope, place),
        }
    }
}

/// The path of the element of another version that an extension stands for: R4 gives each of them an address
/// (<https://hl7.org/fhir/R4/versions.html#extensions>).
fn of_other_version(url: &str) -> Option<&str> {
    let (version, name) = url.strip_prefix(FHIR)?.split_once("/StructureDefinition/extension-")?;
    let is_path = name.starts_with(|first: char| first.is_ascii_uppercase()) && name.contains('.');
    (OTHER_VERSIONS.contains(&version) && is_path).then_some(name)
}

/// Whether an expression, evaluated on the resource, gives the element that an extension stands in.
fn selects(expression: &str, holder: Instance<'_>, scope: &Scope<'_>, now: Timestamp) -> bool {
    // What cannot be evaluated says nothing against the extension.
    let Ok(expression) = Expression::compile(expression) else { return true };
    let context = tacet_fhirpath::Context::new(scope.resource, now);
    let Ok(found) = expression.evaluate_on(scope.resource, &context) else { return true };
    let is_holder = |node: &Node<'_>| match holder.value {
        Some(value) => std::ptr::eq(node.json, value),
        None => holder.twin.is_some_and(|twin| node.extra.is_some_and(|extra| std::ptr::eq(extra, twin))),
    };
    found.iter().any(|item| item.node().is_some_and(is_holder))
}

/// Whether an element or extension named by a context is the one that an extension stands in.
fn is_named(context: &Context, owner: Owner<'_>, scope: &Scope<'_>, place: &Place<'_>) -> bool {
    let expression = context.expression.as_str();
    match context.kind {
        ContextKind::FhirPath => true,
        ContextKind::Extension => {
            let url = expression.split('#').next().unwrap_or(expression);
            owner
                .extension_url
                .is_some_and(|own| own == expression || own == url || expression.ends_with(&format!("#{own}")))
        }
        ContextKind::Element => {
            let expression = expression.strip_prefix(DEFINITION).unwrap_or(expression);
            let bare = |text: &str| text.replace("[x]", "");
            // R4's own definitions say `Element` for anywhere, resources included.
            if base().is_a(owner.type_name, expression) || expression == "Element" {
                return true;
            }
            if matches!(expression, "CanonicalResource" | "MetadataResource") {
                return owner.element.is_none() && scope.resource.get("url").is_some();
            }
            // R4 defines structuredefinition-fhir-type for the code of a type, and puts it on the type itself in each of the
            // definitions that it publishes.
            if expression == "ElementDefinition.type.code"
                && owner.group.is_some_and(|group| group.path() == "ElementDefinition.type")
            {
                return true;
            }
            if owner.group.is_some_and(|group| group.kind() == GroupKind::Part && group.path() == expression) {
                return true;
            }
            // The element by its name in the type that has it, or in one that this type is derived from.
            if let Some((group, name)) = owner.element
                && let Some((parent, last)) = bare(expression).rsplit_once('.')
                && last == name
                && (group.path() == parent || base().is_a(group.path(), parent))
            {
                return true;
            }
            is_path(&bare(expression), place)
        }
    }
}

/// Whether a path such as `Patient.name.family` is that of the element around an extension.
fn is_path(expression: &str, place: &Place<'_>) -> bool {
    let written = place.to_string();
    let mut plain = String::new();
    let mut is_index = false;
    for letter in written.chars() {
        match letter {
            '[' => is_index = true,
            ']' => is_index = false,
            _ if !is_index => plain.push(letter),
            _ => {}
        }
    }
    let owner = plain.rsplit_once('.').map_or("", |(owner, _)| owner);
    owner == expression
        || owner.ends_with(&format!(
            ".resource{}",
            expression.find('.').map_or("", |at| expression.get(at..).unwrap_or(""))
        )) && owner.contains(".resource.")
}
