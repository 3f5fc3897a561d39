//! Which elements of a version carry security labels of their own, in a few bytes beside it.
//!
//! An earlier version is cut by its own labels, and a label that was set later stands in none of them. So where two versions are labelled in
//! different places, the earlier one is for those alone from whom nothing of either is withheld.

use aws_lc_rs::digest;
use tacet_fhir::json::Json;
use tacet_fhir::security;
use tacet_types::Labels;

/// Bytes that it takes in a row.
pub(crate) const INLINE_BYTES: usize = 8;

/// The labels of a version's elements.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Inline {
    /// All of them.
    labels: Labels,
    /// The start of a hash over the places and the labels of each; zeros where there are none.
    places: [u8; 4],
}

impl Inline {
    /// Of a resource with these labels.
    pub(crate) fn of(resource: &Json<'_>, of_record: Labels) -> Self {
        if !of_record.meets(Labels::INLINE) {
            return Self::default();
        }
        let (mut labels, mut context) = (Labels::NONE, digest::Context::new(&digest::SHA256));
        security::each_inline(resource, &mut |place, of_element| {
            labels = labels.and(of_element);
            context.update(&(place.len() as u64).to_be_bytes());
            context.update(place.as_bytes());
            context.update(&of_element.bits().to_be_bytes());
        });
        let places = context.finish().as_ref().first_chunk().copied().unwrap_or([u8::MAX; 4]);
        Self { labels: known(labels), places }
    }

    /// The labels for which somebody must be cleared to see a version labelled like this beside one that is labelled like the other. None:
    /// they are labelled in the same places, so that each is cut by its own labels.
    pub(crate) fn beside(self, other: Self) -> Option<Labels> {
        (self != other).then(|| self.labels.and(other.labels))
    }

    pub(crate) fn encode(self) -> [u8; INLINE_BYTES] {
        let mut bytes = [0; INLINE_BYTES];
        let labels = u32::try_from(self.labels.bits()).unwrap_or(u32::MAX).to_be_bytes();
        bytes.iter_mut().zip(labels.into_iter().chain(self.places)).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(crate) fn decode(bytes: [u8; INLINE_BYTES]) -> Self {
        let [a, b, c, d, places @ ..] = bytes;
        Self { labels: Labels::from_bits(u32::from_be_bytes([a, b, c, d]).into()), places }
    }
}

/// Labels that have room in a row. There are fewer than 32 so far; one beyond that is the strictest.
fn known(labels: Labels) -> Labels {
    let room = Labels::from_bits(u32::MAX.into());
    if labels.within(room) { labels } else { labels.common(room).and(Labels::OTHER) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disclose::json_limits;
    use tacet_fhir::json;

    fn of(text: &str) -> Inline {
        let label = |code: &str| {
            format!(
                r#"{{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"{code}"}}}}"#
            )
        };
        let text = text.replace("<HIV>", &label("HIV")).replace("<PSY>", &label("PSY"));
        let value = json::parse(text.as_bytes(), &json_limits()).unwrap();
        Inline::of(&value, security::labels_of(&value))
    }

    #[test]
    fn places_and_labels_tell_versions_apart_and_content_does_not() {
        let plain = of(r#"{"resourceType":"Basic","code":{"text":"a"},"language":"fr"}"#);
        let first = of(r#"{"resourceType":"Basic","code":{"extension":[<HIV>],"text":"a"},"language":"fr"}"#);
        let same = of(r#"{"resourceType":"Basic","language":"en","code":{"extension":[<HIV>],"text":"other"}}"#);
        let other =
            of(r#"{"resourceType":"Basic","code":{"text":"a"},"language":"fr","_language":{"extension":[<HIV>]}}"#);
        let psychiatry = of(r#"{"resourceType":"Basic","code":{"extension":[<PSY>],"text":"a"},"language":"fr"}"#);
        let second = of(
            r#"{"resourceType":"Basic","code":{"extension":[<HIV>],"text":"a"},"language":"fr","_language":{"extension":[<PSY>]}}"#,
        );
        assert_eq!((plain, first), (Inline::default(), same));
        assert_eq!(first.beside(same), None);
        assert_eq!(plain.beside(first), Some(Labels::HIV));
        assert_eq!(first.beside(other), Some(Labels::HIV));
        assert_eq!(psychiatry.beside(first), Some(Labels::HIV.and(Labels::PSYCHIATRY)));
        assert_eq!(first.beside(second), Some(Labels::HIV.and(Labels::PSYCHIATRY)));
        for inline in [plain, first, other, psychiatry, second] {
            assert_eq!(Inline::decode(inline.encode()), inline);
        }
        assert_eq!(known(Labels::from_bits(1 << 40)), Labels::OTHER);
    }
}
