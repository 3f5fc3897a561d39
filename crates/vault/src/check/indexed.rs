//! Whether the search index holds the current records, each in its version, and nothing else.

use super::Check;
use crate::error::VaultError;
use crate::index::IndexState;
use crate::layout::RowKey;
use std::collections::HashSet;
use tacet_search::filter::Filter;
use tacet_search::request::Total;
use tacet_search::{PAGE_COUNT_MAX, Page};
use tacet_types::Sequence;

/// What to do about it. The records are not concerned.
const REMEDY: &str = "run `tacet index rebuild`";

impl Check<'_> {
    /// Compares the index with the heads that were seen, if nothing was written since `begun`. Without an index there is nothing to compare.
    pub(super) fn index(&mut self, begun: Sequence, state: Option<IndexState>) -> Result<(), VaultError> {
        let Some((indexing, state)) = self.inner.indexing().zip(state) else { return Ok(()) };
        if state != IndexState::Ready {
            self.found(super::INDEX_PLACE, format!("it could not be brought up to date: {REMEDY}"));
            return Ok(());
        }
        let everything = Filter::All(Vec::new());
        let mut page = Page { sort: Vec::new(), count: PAGE_COUNT_MAX, after: None, total: Total::None };
        // Row keys are keyed hashes: what is counted here names nobody.
        let (mut seen, mut strange, mut outdated) = (HashSet::<RowKey>::new(), 0_u64, 0_u64);
        let mut twice = 0_u64;
        loop {
            let hits = match indexing.index.search(&everything, &page) {
                Ok(hits) => hits,
                Err(error) => {
                    self.found(super::INDEX_PLACE, format!("it does not answer ({error}): {REMEDY}"));
                    return Ok(());
                }
            };
            for (key, version) in &hits.keys {
                let row = self.inner.head_row(key.resource_type, &key.id);
                match self.heads.get(&row).filter(|_| !self.deleted.contains(&row)) {
                    None => strange += 1,
                    Some(_) if !seen.insert(row) => twice += 1,
                    Some(current) if current != version => outdated += 1,
                    Some(_) => {}
                }
            }
            page.after = hits.next;
            if page.after.is_none() {
                break;
            }
        }
        if self.inner.store.last_sequence() != begun {
            // Written to meanwhile: the heads that were seen are not those that the index has now.
            return Ok(());
        }
        self.report.indexed = Some(seen.len() as u64);
        let missing = (self.heads.len() - self.deleted.len()).saturating_sub(seen.len()) as u64;
        for (count, what) in [
            (missing, "current records are missing from it"),
            (strange, "resources are in it that are deleted or were never there"),
            (outdated, "resources are in it in another version"),
            (twice, "resources are in it twice"),
        ] {
            if count > 0 {
                self.found(super::INDEX_PLACE, format!("{count} {what}: {REMEDY}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::in_memory::{self, caller};
    use pollster::block_on;
    use tacet_search::Change;
    use tacet_search::document::Key;
    use tacet_types::{ResourceId, ResourceType, Timestamp, VersionId};

    #[test]
    fn every_difference_is_found() {
        let (vault, _) = in_memory::vault(Some(crate::IndexSettings::default()));
        let patient = ResourceType::parse("Patient").unwrap();
        let id = |text: &str| ResourceId::parse(text).unwrap();
        for name in ["a", "b", "c"] {
            let body = format!(r#"{{"resourceType":"Patient","id":"{name}"}}"#);
            block_on(vault.update(&caller(Role::Clinician), patient, &id(name), body.as_bytes(), "", None, false))
                .unwrap();
        }
        block_on(vault.delete(&caller(Role::Clinician), patient, &id("c"), None)).unwrap();
        let check = || block_on(vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
        let sound = check();
        assert_eq!((sound.findings, sound.indexed), (Vec::new(), Some(2)));

        let indexing = vault.0.indexing().unwrap();
        let last = || vault.0.store.last_sequence();
        let key = |name: &str| Key { resource_type: patient, id: id(name) };
        let document = |name: &str, version| {
            let resource = tacet_fhir::json::parse_str(r#"{"resourceType":"Patient"}"#, &Default::default()).unwrap();
            let at = Timestamp::from_ms(0);
            let parameters = indexing.parameters();
            tacet_search::document::Document::of(&resource, key(name), VersionId(version), at, &parameters)
        };
        let tell = |name: &str, version, document| {
            indexing
                .index
                .amend(last(), vec![Change { key: key(name), version: VersionId(version), document }])
                .unwrap();
            let mut problems = check().findings;
            assert!(problems.iter().all(|found| found.place == crate::INDEX_PLACE), "{problems:?}");
            assert_eq!(problems.len(), 1, "{problems:?}");
            problems.remove(0).problem
        };
        assert!(tell("a", 7, Some(document("a", 7))).starts_with("1 resources are in it in another version"));
        assert!(tell("a", 8, None).starts_with("1 current records are missing"));
        let again = Some(document("a", 9));
        indexing.index.amend(last(), vec![Change { key: key("a"), version: VersionId(9), document: again }]).unwrap();
        assert!(check().findings.iter().any(|found| found.problem.contains("another version")));
        vault.rebuild_index().unwrap();
        assert_eq!(check().findings, []);
        assert!(tell("c", 9, Some(document("c", 9))).starts_with("1 resources are in it that are deleted"));
    }
}
