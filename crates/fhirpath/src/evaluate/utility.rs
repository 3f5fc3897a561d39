//! The tree of elements, references, extensions, time, and what the caller knows.

use super::{Evaluation, Result, Scope, boolean, single};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item, Node};
use crate::location::{Location, Step};
use crate::model::{NodeType, resource_type};
use crate::syntax::Call;
use crate::temporal::Moment;
use tacet_fhir::definitions::Primitive;
use tacet_fhir::json::Json;
use tacet_fhir::validate::is_well_formed;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn utility(
        &self,
        call: &'v Call,
        focus: Collection<'v>,
        scope: &Scope<'_, 'v>,
    ) -> Result<Collection<'v>> {
        use Function as F;
        let at = call.function.name();
        match call.function {
            F::Children | F::Descendants => {
                let mut out = Vec::new();
                for item in &focus {
                    if let Item::Node(node) = item {
                        self.children(node, &mut out)?;
                    }
                }
                let mut next = 0;
                while call.function == F::Descendants
                    && let Some(item) = out.get(next)
                {
                    next += 1;
                    if let Item::Node(node) = item.clone() {
                        self.children(&node, &mut out)?;
                    }
                }
                Ok(out)
            }
            F::Join => self.join(call, &focus, scope),
            F::Trace => {
                let name = self.text_argument(call, 0, scope, at)?;
                if let Some(trace) = self.context.trace {
                    let mut count = focus.len();
                    if let Some(projection) = call.args.get(1) {
                        count = 0;
                        for (index, item) in focus.iter().enumerate() {
                            count += self.on(projection, item, index, scope)?.len();
                        }
                    }
                    trace(name.as_deref().unwrap_or_default(), count);
                }
                Ok(focus)
            }
            F::Now => Ok(vec![Item::DateTime(Moment::from_timestamp(self.context.now))]),
            F::Today => Ok(vec![Item::Date(Moment::from_timestamp(self.context.now).date())]),
            F::TimeOfDay => Ok(vec![Item::Time(Moment::from_timestamp(self.context.now).time_of_day())]),
            F::Extension => {
                let Some(url) = self.text_argument(call, 0, scope, at)? else { return Ok(Vec::new()) };
                let mut found = self.member("extension", &focus)?;
                found.retain(|item| item.node().is_some_and(|node| node.json.get_str("url") == Some(url.as_ref())));
                Ok(found)
            }
            F::GetValue => match single(&focus, at)? {
                Some(Item::Node(node)) if node.has_value() => Ok(node.value().into_iter().collect()),
                Some(Item::Node(_)) | None => Ok(Vec::new()),
                Some(_) => Ok(focus),
            },
            F::CheckModifiers => {
                let mut known = Vec::new();
                for place in 0..call.args.len() {
                    known.extend(self.text_argument(call, place, scope, at)?);
                }
                for modifier in self.member("modifierExtension", &focus)? {
                    let url = modifier.node().and_then(|node| node.json.get_str("url")).unwrap_or_default();
                    if !known.iter().any(|known| known == url) {
                        return Err(EvaluationError::Argument { at, expected: "every modifier that the element has" });
                    }
                }
                Ok(focus)
            }
            F::Resolve => {
                let mut out = Vec::new();
                for item in &focus {
                    self.step(1)?;
                    out.extend(self.resolve(item)?);
                }
                Ok(out)
            }
            F::MemberOf => {
                let Some(item) = single(&focus, at)? else { return Ok(Vec::new()) };
                let Some(value_set) = self.text_argument(call, 0, scope, at)? else { return Ok(Vec::new()) };
                Ok(self.member_of(item, &value_set)?.map(Item::Boolean).into_iter().collect())
            }
            F::HtmlChecks => match single(&focus, at)? {
                None => Ok(Vec::new()),
                Some(item) => {
                    let text = item.as_text();
                    self.step(text.as_ref().map_or(0, |text| text.len()) / super::TEXT_BYTES_PER_STEP)?;
                    Ok(boolean(text.is_some_and(|text| is_well_formed(Primitive::Xhtml, &text))))
                }
            },
            // Handled where steps are followed: what it defines is known to later steps only.
            _ => Ok(focus),
        }
    }

    fn join(&self, call: &'v Call, focus: &[Item<'v>], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        const AT: &str = "join";
        if focus.is_empty() {
            return Ok(Vec::new());
        }
        let separator = self.text_argument(call, 0, scope, AT)?.unwrap_or_default();
        let mut out = String::new();
        for (index, item) in focus.iter().enumerate() {
            let part = item.as_text().ok_or(EvaluationError::Type { at: AT })?;
            if index > 0 {
                out.push_str(&separator);
            }
            out.push_str(&part);
            self.check_text(out.len().min(super::TEXT_BYTES_PER_STEP))?;
            if out.len() > super::TEXT_BYTES_MAX {
                return Err(EvaluationError::TooLarge);
            }
        }
        Ok(vec![self.text(out)?])
    }

    /// What a reference names: a contained resource, an entry of the bundle that is the root, or what the caller finds.
    fn resolve(&self, item: &Item<'v>) -> Result<Option<Item<'v>>> {
        let reference = match item {
            Item::Node(node) => {
                node.json.as_str().or_else(|| node.json.get_str("reference")).map(std::borrow::Cow::Borrowed)
            }
            other => other.as_text(),
        };
        let Some(reference) = reference else { return Ok(None) };
        let root = self.context.root_resource;
        let node = |json: &'v Json<'v>, location: Location<'v>| {
            Item::Node(Node { json, extra: None, kind: resource_type(json), location })
        };
        if let Some(id) = reference.strip_prefix('#') {
            if id.is_empty() {
                return Ok(Some(node(root, Location::ROOT)));
            }
            // In the whole, or in the resource at hand where the whole is a bundle.
            for holder in [root, self.context.resource] {
                let contained = holder.get("contained").map(Json::items).unwrap_or_default();
                self.step(contained.len())?;
                let found = contained.iter().enumerate().find(|(_, inner)| inner.get_str("id") == Some(id));
                if let Some((index, inner)) = found {
                    let step = Step { element: "contained", member: "contained", index: Some(index) };
                    return Ok(Some(node(inner, Location::ROOT.child(step))));
                }
            }
            return Ok(None);
        }
        if root.resource_type() == Some("Bundle") {
            let entries = root.get("entry").map(Json::items).unwrap_or_default();
            self.step(entries.len())?;
            let named = |url: &str| {
                url == reference || url.strip_suffix(reference.as_ref()).is_some_and(|base| base.ends_with('/'))
            };
            for (index, entry) in entries.iter().enumerate() {
                if entry.get_str("fullUrl").is_some_and(named)
                    && let Some(inner) = entry.get("resource")
                {
                    let place = Location::ROOT.child(Step { element: "entry", member: "entry", index: Some(index) });
                    let place = place.child(Step { element: "resource", member: "resource", index: None });
                    return Ok(Some(node(inner, place)));
                }
            }
        }
        let found = self.context.resolver.and_then(|resolver| resolver.resolve(&reference));
        Ok(found.map(|json| node(json, Location::ROOT)))
    }

    fn member_of(&self, item: &Item<'v>, value_set: &str) -> Result<Option<bool>> {
        const AT: &str = "memberOf()";
        let terminology = self.context.terminology.ok_or(EvaluationError::NotAvailable { at: AT })?;
        let of = |json: &Json<'_>| -> Option<bool> {
            terminology.member_of(value_set, json.get_str("system"), json.get_str("code")?)
        };
        match item {
            Item::Node(Node { json, kind: NodeType::Group(group), .. }) => match group.path() {
                "CodeableConcept" => {
                    let codings = json.get("coding").map(Json::items).unwrap_or_default();
                    self.step(codings.len())?;
                    let mut known = Some(false);
                    for coding in codings {
                        match of(coding) {
                            Some(true) => return Ok(Some(true)),
                            Some(false) => {}
                            None => known = None,
                        }
                    }
                    Ok(known)
                }
                _ => Ok(of(json)),
            },
            other => {
                let code = other.as_text().ok_or(EvaluationError::Type { at: AT })?;
                Ok(terminology.member_of(value_set, None, &code))
            }
        }
    }
}
