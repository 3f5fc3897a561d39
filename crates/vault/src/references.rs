//! References in their final form: whose a record is is told by them, so they are settled before it is sealed.

use crate::bundle::invalid;
use crate::error::VaultError;
use std::collections::HashMap;
use tacet_fhir::json::Json;
use tacet_fhir::reference::{self, Reference};

/// Puts the final ids in the place of references between entries, and makes references to this server relative.
pub(crate) fn resolve(resource: &mut Json<'_>, targets: &HashMap<String, String>, base_url: &str) {
    reference::rewrite_references(resource, &mut |text: &str| {
        if let Some(target) = targets.get(text) {
            return Some(target.clone());
        }
        let inside = (!base_url.is_empty()).then(|| text.strip_prefix(base_url)?.strip_prefix('/')).flatten()?;
        Reference::parse(inside).target().is_some().then(|| inside.to_owned())
    });
}

/// Makes the references of a resource that comes by itself final. A reference that is not seen for what it is would put the
/// record outside of its patient's compartment, under another key, where no erasure of the patient finds it.
///
/// A Bundle that is stored as a resource keeps the references inside of it: they hold among its own entries, and it is in
/// nobody's compartment.
pub(crate) fn resolve_alone(resource: &mut Json<'_>, base_url: &str) -> Result<(), VaultError> {
    if resource.get_str("resourceType") == Some("Bundle") {
        return Ok(());
    }
    resolve(resource, &HashMap::new(), base_url);
    refuse_unresolved(resource)
}

/// References that only make sense inside a bundle must have found their entry.
pub(crate) fn refuse_unresolved(resource: &Json<'_>) -> Result<(), VaultError> {
    let (mut unresolved, mut conditional) = (false, false);
    reference::for_each_reference(resource, &mut |text: &str| match Reference::parse(text) {
        Reference::Urn(urn) => unresolved |= urn.starts_with("urn:uuid:"),
        Reference::Conditional { .. } => conditional = true,
        _ => {}
    });
    if unresolved {
        return Err(invalid(
            "resource",
            "a `urn:uuid` reference is the `fullUrl` of no entry that a transaction writes",
        ));
    }
    if conditional {
        return Err(invalid("resource", "a conditional reference is resolved in a transaction only"));
    }
    Ok(())
}
