//! Reading the `.tgz` of a FHIR package (<https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>): JSON
//! resources in the folder `package`.

use super::{PackageError, Packages, Report, is_definition, is_terminology};
use flate2::read::GzDecoder;
use std::io::Read;
use tacet_fhir::json::{self, Json};

/// Most bytes that a package may unpack to. The largest published ones have some 600 MB.
const UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most bytes of one file of a package.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most files of one package.
const FILES_MAX: u64 = 100_000;
/// Most names of unreadable files that are reported.
const UNREADABLE_MAX: usize = 20;

/// Adds the definitions of a package.
pub(super) fn read(packages: &mut Packages, bytes: &[u8]) -> Result<Report, PackageError> {
    let mut report = Report::default();
    let passed_over = each_file(bytes, &mut |name, text| match name {
        "package.json" | ".index.json" => {
            report.passed_over += 1;
            Ok(())
        }
        name => add(packages, &format!("package/{name}"), text, &mut report),
    })?;
    report.passed_over += passed_over;
    Ok(report)
}

/// What is done with each file of a package: it is given the name and the text.
pub type EachFile<'a> = dyn FnMut(&str, &[u8]) -> Result<(), PackageError> + 'a;

/// Calls `each` with the name and text of every JSON file in the folder `package` of a `.tgz`, in their order; gives how many other
/// files there are. `package.json` says which package it is.
///
/// # Errors
/// [`PackageError`], or what `each` fails with.
pub fn each_file(bytes: &[u8], each: &mut EachFile<'_>) -> Result<usize, PackageError> {
    let unpacked = GzDecoder::new(bytes).take(UNPACKED_BYTES_MAX + 1);
    let mut archive = tar::Archive::new(unpacked);
    let (mut files, mut total, mut passed_over) = (0_u64, 0_u64, 0);
    for entry in archive.entries().map_err(PackageError::Archive)? {
        let mut entry = entry.map_err(PackageError::Archive)?;
        files += 1;
        total = total.saturating_add(entry.size());
        if files > FILES_MAX {
            return Err(PackageError::TooLarge { max: FILES_MAX, unit: "files" });
        }
        if total > UNPACKED_BYTES_MAX {
            return Err(PackageError::TooLarge { max: UNPACKED_BYTES_MAX, unit: "bytes" });
        }
        let path = entry.path().map_err(PackageError::Archive)?.to_string_lossy().into_owned();
        let name = path.strip_prefix("package/").filter(|name| name.ends_with(".json") && !name.contains('/'));
        let Some(name) = name.filter(|_| entry.size() <= FILE_BYTES_MAX) else {
            passed_over += 1;
            continue;
        };
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(PackageError::Archive)?;
        each(name, &text)?;
    }
    Ok(passed_over)
}

fn add(packages: &mut Packages, path: &str, text: &[u8], report: &mut Report) -> Result<(), PackageError> {
    let limits = json::Limits::default();
    let Ok(resource) = json::parse(text, &limits) else {
        if report.unreadable.len() < UNREADABLE_MAX {
            report.unreadable.push(path.to_owned());
        }
        return Ok(());
    };
    let kind = resource.resource_type().unwrap_or_default();
    let counted = match kind {
        "StructureDefinition" => &mut report.profiles,
        kind if is_terminology(kind) => &mut report.terminology,
        kind if is_definition(kind) => &mut report.others,
        _ => &mut report.passed_over,
    };
    if is_definition(kind) && resource.get("url").and_then(Json::as_str).is_some() {
        packages.add_resource(&resource)?;
    }
    *counted += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn package(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, text.as_bytes()).expect("appended");
        }
        builder.into_inner().expect("a tar").finish().expect("gzip")
    }

    #[test]
    fn definitions_are_read_and_the_rest_is_counted() {
        let profile = r#"{"resourceType":"StructureDefinition","url":"http://a.example/p","type":"Patient",
            "derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
            "differential":{"element":[{"path":"Patient.name","min":1}]}}"#;
        let bytes = package(&[
            ("package/package.json", "{}"),
            ("package/StructureDefinition-p.json", profile),
            ("package/ValueSet-v.json", r#"{"resourceType":"ValueSet","url":"http://a.example/v","status":"active"}"#),
            ("package/Patient-x.json", r#"{"resourceType":"Patient"}"#),
            ("package/bad.json", "{"),
            ("package/other/x.json", "{}"),
        ]);
        let mut packages = Packages::standard();
        let report = packages.add_package(&bytes).expect("a package");
        assert_eq!((report.profiles, report.terminology, report.passed_over), (1, 1, 3));
        assert_eq!(report.unreadable, ["package/bad.json"]);
        assert!(packages.has_profile("http://a.example/p"));
        assert_eq!(packages.terminology().count(), 1);
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(Packages::standard().add_package(b"not gzip").is_err());
        let mut cut = package(&[("package/a.json", "{}")]);
        cut.truncate(cut.len() / 2);
        assert!(Packages::standard().add_package(&cut).is_err());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&[7; 2000]).expect("written");
        assert!(Packages::standard().add_package(&gzip.finish().expect("gzip")).is_err());
    }
}
