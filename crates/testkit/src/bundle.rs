//! Bundles and NDJSON made of generated resources.

use crate::json::JsonWriter;
use crate::json::References;
use crate::{Hospital, PatientFile, Record};
use std::io::{self, Write};
use std::ops::Range;
use tacet_types::ResourceType;

/// How a transaction asks for its resources to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// `POST`: the server gives the ids, and references go by `urn:uuid:`.
    Post,
    /// `PUT`: the resources keep the ids that they were generated with.
    Put,
}

/// A transaction bundle of these records, each with a `urn:uuid:` full URL.
pub(crate) fn transaction(records: &[Record], method: Method) -> String {
    let mut w = JsonWriter::new(References::Urn);
    w.element(|w| {
        w.text("resourceType", "Bundle");
        w.text("type", "transaction");
        w.array("entry", |w| {
            for record in records {
                w.element(|w| {
                    w.text("fullUrl", &format!("urn:uuid:{}", record.id));
                    w.raw("resource", &record.json);
                    w.object("request", |w| match method {
                        Method::Post => {
                            w.text("method", "POST");
                            w.text("url", record.resource_type.as_str());
                        }
                        Method::Put => {
                            w.text("method", "PUT");
                            w.text("url", &format!("{}/{}", record.resource_type, record.id));
                        }
                    });
                });
            }
        });
    });
    w.into_text()
}

fn write_lines(records: &[Record], out: &mut dyn Write) -> io::Result<()> {
    for record in records {
        out.write_all(record.json.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

impl Hospital {
    /// Writes the hospital itself and these patients as NDJSON, types mixed, one resource a line. Constant memory.
    pub fn write_ndjson(&self, patients: Range<u64>, out: &mut dyn Write) -> io::Result<()> {
        write_lines(&self.foundation(), out)?;
        for n in patients {
            write_lines(&self.patient(n).resources, out)?;
        }
        Ok(())
    }

    /// Writes the hospital itself and these patients as NDJSON, one file a type as bulk exports have it: `open` gives the
    /// writer of each type when its first resource comes. Constant memory.
    pub fn write_ndjson_by_type<W: Write>(
        &self,
        patients: Range<u64>,
        mut open: impl FnMut(ResourceType) -> io::Result<W>,
    ) -> io::Result<()> {
        let mut writers = std::collections::BTreeMap::new();
        let mut write = |records: Vec<Record>| -> io::Result<()> {
            for record in records {
                let out = match writers.entry(record.resource_type) {
                    std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::btree_map::Entry::Vacant(new) => new.insert(open(record.resource_type)?),
                };
                out.write_all(record.json.as_bytes())?;
                out.write_all(b"\n")?;
            }
            Ok(())
        };
        write(self.foundation())?;
        for n in patients {
            write(self.patient(n).resources)?;
        }
        writers.into_values().try_for_each(|mut out| out.flush())
    }
}

impl PatientFile {
    /// The size of all its resources together, in bytes of JSON.
    pub fn bytes(&self) -> usize {
        self.resources.iter().map(|record| record.json.len()).sum()
    }
}
