//! The code systems and value sets that FHIR R4 itself defines.
//!
//! The committed table holds codes, displays and hierarchy, without definitions and designations; see
//! `definitions/README.md` for what is in and what is left out. It is read once, when first asked for.

use crate::snapshot::Layer;
use crate::system::{Concept, Content, Filter, FilterOperator, SystemBuilder, SystemHeader};
use crate::value_set::{Part, Source, ValueSet, WrittenCode};
use std::sync::{Arc, LazyLock};

const TABLE: &str = include_str!("../definitions/terminology.txt");

/// The definitions of the standard.
pub(crate) fn layer() -> &'static Layer {
    static LAYER: LazyLock<Layer> = LazyLock::new(|| read(TABLE));
    &LAYER
}

/// A field that is not empty.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// What is being read.
enum Open {
    Nothing,
    System(Box<SystemBuilder>, Vec<String>),
    ValueSet(ValueSet),
}

impl Open {
    fn close(&mut self, layer: &mut Layer) {
        match std::mem::replace(self, Open::Nothing) {
            Open::Nothing => {}
            // The table was made from definitions that were checked when it was made; the tests read all of it.
            Open::System(builder, _) => {
                let _kept = builder.finish().and_then(|system| layer.put_system(system));
            }
            Open::ValueSet(value_set) => {
                let (url, version) = (value_set.url.clone().unwrap_or_default(), value_set.version.clone());
                layer.value_sets.put(&url, version.as_deref(), Arc::new(value_set));
            }
        }
    }
}

fn read(table: &str) -> Layer {
    let mut layer = Layer::default();
    let mut open = Open::Nothing;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        match (fields.next().unwrap_or_default(), &mut open) {
            ("system", open) => {
                open.close(&mut layer);
                let mut header = SystemHeader::complete(fields.next().unwrap_or_default(), None);
                header.version = given(fields.next()).map(str::to_owned);
                header.name = given(fields.next()).map(str::to_owned);
                header.content = given(fields.next()).and_then(Content::of).unwrap_or(Content::Complete);
                header.case_sensitive = fields.next() != Some("i");
                header.value_set = given(fields.next()).map(str::to_owned);
                *open = Open::System(Box::new(SystemBuilder::new(header)), Vec::new());
            }
            ("set", open) => {
                open.close(&mut layer);
                *open = Open::ValueSet(ValueSet {
                    url: given(fields.next()).map(Into::into),
                    version: given(fields.next()).map(Into::into),
                    name: given(fields.next()).map(Into::into),
                    source: Source::Composed { include: Vec::new(), exclude: Vec::new(), inactive: true },
                    resource: None,
                });
            }
            (depth, Open::System(builder, above)) => concept(builder, above, depth, fields),
            (kind, Open::ValueSet(value_set)) => clause(value_set, kind, fields),
            _ => {}
        }
    }
    open.close(&mut layer);
    layer
}

/// `depth code display flags further-parents`.
fn concept<'l>(
    builder: &mut SystemBuilder,
    above: &mut Vec<String>,
    depth: &str,
    mut fields: impl Iterator<Item = &'l str>,
) {
    let depth: usize = depth.parse().unwrap_or_default();
    let code = fields.next().unwrap_or_default();
    let display = given(fields.next()).unwrap_or(code);
    let flags = fields.next().unwrap_or_default();
    above.truncate(depth);
    let parent = above.last().cloned();
    let further: Vec<&'l str> = fields.collect();
    let parents: Vec<&str> = parent.as_deref().into_iter().chain(further.iter().copied()).collect();
    let concept = Concept {
        code,
        display,
        parents: &parents,
        is_abstract: flags.contains('a'),
        inactive: flags.contains('i'),
        ..Concept::default()
    };
    let _kept = builder.add(&concept);
    above.push(code.to_owned());
}

/// `+` or `-` system, version, value sets; then its codes (`=`) or filters (`?`).
fn clause<'l>(value_set: &mut ValueSet, kind: &str, mut fields: impl Iterator<Item = &'l str>) {
    let Source::Composed { include, exclude, inactive } = &mut value_set.source else { return };
    match kind {
        "+" | "-" => {
            let part = Part {
                system: given(fields.next()).map(Into::into),
                version: given(fields.next()).map(Into::into),
                value_sets: fields.filter(|url| !url.is_empty()).map(Into::into).collect(),
                ..Part::default()
            };
            if kind == "+" { include.push(part) } else { exclude.push(part) }
        }
        "active" => *inactive = false,
        "=" | "?" => {
            // Excludes come after all includes.
            let last = if exclude.is_empty() { include.last_mut() } else { exclude.last_mut() };
            let Some(part) = last else { return };
            let first = fields.next().unwrap_or_default();
            if kind == "=" {
                let display = given(fields.next()).map(Into::into);
                part.codes.push(WrittenCode { code: first.into(), display, ..WrittenCode::default() });
            } else if let (Some(operator), Some(value)) = (fields.next().and_then(FilterOperator::of), fields.next()) {
                part.filters.push(Filter { property: first.into(), operator, value: value.into() });
            }
        }
        _ => {}
    }
}
