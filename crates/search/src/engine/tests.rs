//! The engine over small indexes in memory: what the differential test does not reach.

use super::{Superseded, count, key_term, matching, references, schema, search, to_document};
use crate::document::{Document, Key, System, Value};
use crate::error::SearchError;
use crate::filter::{Filter, Test};
use crate::index::{Page, SORT_KEYS_MAX};
use crate::request::{SortBy, SortKey, Total};
use std::collections::HashSet;
use tacet_fhir::search::{ParameterId, fold, parameter};
use tacet_types::{Labels, ResourceId, ResourceType, Timestamp, VersionId};
use tantivy::{Index, IndexWriter, Searcher, TantivyDocument};

fn key(id: &str) -> Key {
    Key { resource_type: ResourceType::parse("Patient").unwrap(), id: ResourceId::parse(id).unwrap() }
}

fn of(code: &str) -> ParameterId {
    parameter(ResourceType::parse("Patient").unwrap(), code).unwrap()
}

fn document(id: &str, values: Vec<(ParameterId, Value)>) -> Document {
    let (version, last_updated) = (VersionId(1), Timestamp::from_ms(0));
    let patients = [ResourceId::parse(id).unwrap()].into();
    let (labels, contained, narrative, content) = (Labels::NONE, Vec::new(), Vec::new(), Vec::new());
    Document { key: key(id), version, last_updated, patients, labels, values, contained, narrative, content }
}

fn name(text: &str) -> (ParameterId, Value) {
    (of("name"), Value::String { exact: text.into(), folded: fold(text).into() })
}

fn writer() -> IndexWriter {
    Index::create_in_ram(schema()).writer_with_num_threads(1, 15_000_000).unwrap()
}

/// What there is after each document replaced the one of the same key.
fn indexed(documents: &[Document]) -> Searcher {
    let mut writer = writer();
    for (place, document) in documents.iter().enumerate() {
        writer.delete_term(key_term(&document.key));
        writer.add_document(to_document(document, place as u64)).unwrap();
        writer.commit().unwrap();
    }
    writer.index().reader().unwrap().searcher()
}

fn found(searcher: &Searcher, filter: &Filter) -> Vec<String> {
    let page = Page { sort: Vec::new(), count: 100, after: None, total: Total::Accurate };
    let found = search(searcher, filter, &page, &Superseded::default()).unwrap();
    assert_eq!(found.total, Some(found.hits.len() as u64));
    found.hits.into_iter().map(|(position, _)| position.key.id.as_str().to_owned()).collect()
}

#[test]
fn texts_longer_than_any_term_are_searched_exactly() {
    // Longer than the library's longest term (65,530 bytes), alike but for the end.
    let long = "É".repeat(50_000);
    let searcher = indexed(&[
        document("a", vec![name(&format!("{long} one"))]),
        document("b", vec![name(&format!("{long} two")), name("short")]),
        document("c", vec![name("short")]),
    ]);
    let folded: Box<str> = "e".repeat(50_000).into();
    let asks = |test: Test| found(&searcher, &Filter::Value(of("name"), test));
    assert_eq!(asks(Test::StringStarts(folded.clone())), ["a", "b"]);
    assert_eq!(asks(Test::StringStarts(format!("{folded} t").into())), ["b"]);
    assert_eq!(asks(Test::StringIs(format!("{long} one").into())), ["a"]);
    assert_eq!(asks(Test::StringIs(format!("{folded} one").into())), Vec::<String>::new());
    assert_eq!(asks(Test::StringEnds("two".into())), ["b"]);
    assert_eq!(asks(Test::StringText(vec!["one".into()])), ["a"]);
    assert_eq!(asks(Test::StringText(vec!["two".into(), "short".into()])), Vec::<String>::new(), "not the same text");
    assert_eq!(asks(Test::StringContains("short".into())), ["b", "c"]);
}

#[test]
fn what_is_superseded_or_replaced_does_not_count() {
    let managing = |id: &str| (of("organization"), Value::Reference { target: key(id), version: None });
    let searcher = indexed(&[
        document("a", vec![managing("x"), managing("y"), managing("x")]),
        document("b", vec![managing("x")]),
        document("c", Vec::new()),
        document("b", vec![managing("z")]),
    ]);
    assert_eq!(found(&searcher, &Filter::Everything), ["a", "c", "b"]);
    let refers = Filter::Value(of("organization"), Test::ReferenceIs(key("x")));
    assert_eq!(found(&searcher, &refers), ["a"]);
    let superseded = Superseded::of(&searcher, [&key("a"), &key("nobody")]).unwrap();
    assert_eq!(superseded.count(), 1);
    assert_eq!(count(&searcher, &Filter::Everything, &superseded).unwrap(), 2);
    assert_eq!(count(&searcher, &refers, &superseded).unwrap(), 0);
    let keys = matching(&searcher, &Filter::Everything, &superseded).unwrap();
    assert_eq!(keys, HashSet::from([key("b"), key("c")]));
    let parameters = [of("organization")];
    assert_eq!(references(&searcher, &key("a"), &parameters).unwrap(), Some(vec![key("x"), key("y")]));
    assert_eq!(references(&searcher, &key("b"), &parameters).unwrap(), Some(vec![key("z")]));
    assert_eq!(references(&searcher, &key("c"), &parameters).unwrap(), Some(Vec::new()));
    assert_eq!(references(&searcher, &key("d"), &parameters).unwrap(), None);
}

#[test]
fn ids_are_in_the_order_of_their_texts_page_by_page() {
    let texts = ["0b3c5f7e-90ad-4e21-8f00-ffeeddccbba", "0B3C5F7E-90ad-4e21-8f00-ffeeddccbba", "0b3c5f7e.", "z", "-"];
    let mut ids: Vec<String> = texts.iter().flat_map(|text| (0..6).map(move |n| format!("{text}{n}"))).collect();
    let documents: Vec<Document> = ids.iter().map(|id| document(id, vec![name("n")])).collect();
    let searcher = indexed(&documents);
    let patients = Filter::Types(vec![key("a").resource_type]);
    let superseded = Superseded::of(&searcher, [&key("z3")]).unwrap();
    ids.retain(|id| id != "z3");
    ids.sort();
    for descending in [false, true] {
        let mut found = Vec::new();
        let sort = vec![SortKey { parameter: SortBy::Id, descending }];
        let mut page = Page { sort, count: 4, after: None, total: Total::None };
        loop {
            let hits = search(&searcher, &patients, &page, &superseded).unwrap().hits;
            found.extend(hits.iter().take(4).map(|(position, _)| position.key.id.as_str().to_owned()));
            let Some((position, _)) = hits.get(3).filter(|_| hits.len() > 4) else { break };
            page.after = Some(position.clone());
        }
        assert_eq!(found, ids);
        ids.reverse();
    }
}

#[test]
fn what_costs_too_much_or_was_not_prepared_is_refused() {
    let token = Value::Token { system: System::Absent, code: Some("a".into()), text: None };
    let searcher = indexed(&[document("a", vec![(of("identifier"), token)])]);
    let superseded = Superseded::default();
    let mut deep = Filter::Everything;
    for _ in 0..1000 {
        deep = Filter::Not(Box::new(deep));
    }
    assert!(matches!(count(&searcher, &deep, &superseded), Err(SearchError::TooCostly { .. })));
    let chain = Filter::Chain { parameter: of("organization"), target: Box::new(Filter::Everything) };
    assert!(matches!(count(&searcher, &chain, &superseded), Err(SearchError::Engine(_))));
    let by = SortKey { parameter: SortBy::LastUpdated, descending: false };
    let page = |keys| Page { sort: vec![by.clone(); keys], count: 1, after: None, total: Total::None };
    assert!(search(&searcher, &Filter::Everything, &page(SORT_KEYS_MAX), &superseded).is_ok());
    let refused = search(&searcher, &Filter::Everything, &page(SORT_KEYS_MAX + 1), &superseded);
    assert!(matches!(refused, Err(SearchError::TooCostly { .. })));
}

#[test]
fn documents_hold_terms_columns_and_long_values_only_where_they_must() {
    let empty: TantivyDocument = to_document(&document("a", Vec::new()), 1);
    let full = to_document(&document("a", vec![name(&"x".repeat(1000)), name("y")]), 1);
    let fields = |document: &TantivyDocument| document.field_values().map(|(field, _)| field).collect::<HashSet<_>>();
    assert!(!fields(&empty).contains(&super::encode::field::LONG));
    assert!(fields(&full).contains(&super::encode::field::LONG));
}
