//! `cargo xtask definitions`: makes the tables of `crates/fhir/definitions` from the official package of FHIR R4.
//!
//! The package is CC0 and comes from the npm registry: `npm pack hl7.fhir.r4.examples@4.0.1` leaves
//! `hl7.fhir.r4.examples-4.0.1.tgz` in the working folder, which is what `--package` wants. The tables keep what a
//! program needs and leave the prose of the standard out. Same package, same bytes: each table is sorted, and its head
//! names the package and the SHA-256 it was made from.

mod conformance;
mod search;
mod structure;
mod summary;
mod terminology;

use crate::Outcome;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;

/// The package the tables are made from.
const PACKAGE_NAME: &str = "hl7.fhir.r4.examples";
/// Its version, which is also that of FHIR R4.
const PACKAGE_VERSION: &str = "4.0.1";
/// Where the tables go, from the root of the repository.
const TABLES_FOLDER: &str = "crates/fhir/definitions";
/// The resource types of the package that any table is made from; the examples in it are skipped.
const WANTED: [&str; 5] = ["StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "CompartmentDefinition"];
/// Most bytes read from the unpacked package, so that a crafted archive cannot fill the memory. It holds about 400 MB.
const UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What `cargo xtask definitions` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The package of FHIR R4: get it by `npm pack hl7.fhir.r4.examples@4.0.1`
    #[arg(long, value_name = "FILE.tgz")]
    package: PathBuf,
    /// Write nothing, and fail if a committed table is not what the package gives
    #[arg(long)]
    check: bool,
}

/// One table: its file name and its lines, without the head.
pub(crate) struct Table {
    pub(crate) file: &'static str,
    /// What the lines mean, for the head: lines without the leading mark.
    pub(crate) format: &'static str,
    pub(crate) text: String,
}

/// Makes the tables and writes or compares them.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let package = Package::read(&arguments.package)?;
    let folder = crate::workspace::root().join(TABLES_FOLDER);
    let mut tables = vec![structure::table(&package)?];
    tables.extend(search::tables(&package)?);
    tables.push(summary::table(&package)?);
    tables.extend(conformance::tables(&package)?);
    tables.push(terminology::table(&package)?);
    tables.sort_by_key(|table| table.file);
    std::fs::create_dir_all(&folder)?;
    for table in tables {
        let path = folder.join(table.file);
        let text = package.head(&table) + &table.text;
        if arguments.check {
            if std::fs::read_to_string(&path)? != text {
                return Err(format!("{} is not what the package gives: run without --check", table.file).into());
            }
        } else {
            std::fs::write(&path, &text)?;
        }
        println!("{}: {} lines, {} bytes", table.file, text.lines().count(), text.len());
    }
    Ok(())
}

/// The definitions of the package, by resource type and file name, each read when asked for.
pub(crate) struct Package {
    sha256: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Package {
    fn read(path: &std::path::Path) -> Outcome<Self> {
        let packed = std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        let mut sha256 = String::new();
        for byte in aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &packed).as_ref() {
            write!(sha256, "{byte:02x}")?;
        }
        let mut archive = tar::Archive::new(GzDecoder::new(packed.as_slice()).take(UNPACKED_BYTES_MAX));
        let mut files = BTreeMap::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let Some(name) = entry.path()?.to_str().and_then(|path| path.strip_prefix("package/")).map(str::to_owned)
            else {
                continue;
            };
            let wanted = name.split_once('-').is_some_and(|(kind, _)| WANTED.contains(&kind));
            if wanted || name == "package.json" {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                files.insert(name, bytes);
            }
        }
        let about = files.remove("package.json").ok_or("the archive holds no package.json: is it an npm package?")?;
        let about: Value = serde_json::from_slice(&about)?;
        if (text(&about, "name"), text(&about, "version")) != (PACKAGE_NAME, PACKAGE_VERSION) {
            return Err(format!("not {PACKAGE_NAME} {PACKAGE_VERSION}: get it by `npm pack`").into());
        }
        Ok(Package { sha256, files })
    }

    /// All definitions of one resource type (one of [`WANTED`]), in the order of their file names.
    pub(crate) fn resources<'p>(&'p self, resource_type: &'p str) -> impl Iterator<Item = Outcome<Value>> + 'p {
        self.files
            .iter()
            .filter(move |(name, _)| name.split_once('-').is_some_and(|(kind, _)| kind == resource_type))
            .map(|(name, bytes)| serde_json::from_slice(bytes).map_err(|error| format!("{name}: {error}").into()))
    }

    fn head(&self, table: &Table) -> String {
        let mut head = format!(
            "# Made by `cargo xtask definitions`; do not edit.\n\
             # From {PACKAGE_NAME} {PACKAGE_VERSION} (FHIR R4, HL7 International, CC0-1.0)\n\
             # sha256 of the package: {}\n#\n",
            self.sha256
        );
        for line in table.format.lines() {
            head.push_str(format!("# {line}").trim_end());
            head.push('\n');
        }
        head
    }
}

/// A string member, or the empty string.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of an array member, or none.
pub(crate) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
