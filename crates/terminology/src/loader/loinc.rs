//! `Loinc.csv` of a LOINC release (folder `LoincTable`), which has a header row.
//!
//! Columns by the guide "LOINC Users' Guide", appendix A; properties by R4, "Using LOINC with FHIR".

use super::csv::{Rows, column};
use super::{LoadError, Loaded, Release, Sink};
use crate::system::{Concept, PropertyDefinition};
use crate::table::PropertyKind;
use std::io::BufRead;

/// The columns that become properties, under their own names. Those that a file does not have are passed over.
const PROPERTIES: [&str; 11] = [
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "STATUS",
    "ORDER_OBS",
    "EXAMPLE_UCUM_UNITS",
];

/// Reads `Loinc.csv`. The display is the long common name, the short name a designation; a term whose status is
/// `DEPRECATED` is inactive. LOINC codes have no hierarchy in this file.
///
/// # Errors
/// The header has no `LOINC_NUM` or `LONG_COMMON_NAME`; or reading or writing fails.
pub fn loinc(input: impl BufRead, release: &Release, sink: &mut dyn Sink) -> Result<Loaded, LoadError> {
    let mut rows = Rows::open(input)?;
    let header = rows.next()?.unwrap_or_default();
    let at = |name: &str| header.iter().position(|known| known.eq_ignore_ascii_case(name));
    let (Some(number), Some(long)) = (at("LOINC_NUM"), at("LONG_COMMON_NAME")) else {
        return Err(LoadError::format(1, "no columns LOINC_NUM and LONG_COMMON_NAME: give the file Loinc.csv"));
    };
    let short = column(&header, &["shortname"]);
    let status = at("STATUS");
    let held: Vec<(&str, usize)> = PROPERTIES.iter().filter_map(|name| Some((*name, at(name)?))).collect();
    let mut head = release.header(false);
    head.properties = held
        .iter()
        .map(|(name, _)| PropertyDefinition {
            code: (*name).to_owned(),
            uri: Some(format!("http://loinc.org/property/{name}")),
            kind: PropertyKind::String,
        })
        .collect();
    sink.begin(head)?;
    let mut loaded = Loaded::default();
    while let Some(row) = rows.next()? {
        let field = |at: usize| row.get(at).map_or("", String::as_str);
        let code = field(number);
        if code.is_empty() {
            loaded.passed_over += 1;
            continue;
        }
        let properties: Vec<(u16, &str)> = held
            .iter()
            .enumerate()
            .map(|(name, (_, at))| (name as u16, field(*at)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let short = short.map(field).filter(|text| !text.is_empty()).map(|text| ("en", text));
        sink.concept(&Concept {
            code,
            display: field(long),
            properties: &properties,
            designations: short.as_slice(),
            inactive: status.map(field) == Some("DEPRECATED"),
            ..Concept::default()
        })?;
        loaded.concepts += 1;
    }
    Ok(loaded)
}
