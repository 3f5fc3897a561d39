//! Which places inside of the data directory the settings name: packs, a backup's folder, certificates. What lies there is the operator's, and the
//! tripwires do not take it for foreign.

use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Most places, and how deep settings are nested.
const PLACES_MAX: usize = 256;
const DEPTH_MAX: usize = 8;

/// Every text in the settings that is a path into the data directory, relative to it, its parts joined by `/`.
pub(super) fn inside(text: &str, data: &Path) -> Vec<String> {
    let (mut texts, mut places) = (Vec::new(), Vec::new());
    for value in toml::from_str::<Table>(text).unwrap_or_default().values() {
        collect(value, 0, &mut texts);
    }
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let real = std::fs::canonicalize(data).unwrap_or_else(|_| absolute.clone());
    for text in texts {
        let Ok(path) = std::path::absolute(&text) else { continue };
        let inside = path.strip_prefix(&absolute).or_else(|_| path.strip_prefix(&real)).map(joined);
        places.extend(inside.ok().flatten());
        if places.len() >= PLACES_MAX {
            break;
        }
    }
    places
}

fn collect(value: &Value, depth: usize, texts: &mut Vec<PathBuf>) {
    if depth >= DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) if !text.is_empty() => texts.push(text.into()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, depth + 1, texts)),
        Value::Table(table) => table.values().for_each(|value| collect(value, depth + 1, texts)),
        _ => {}
    }
}

/// Its parts joined by `/`; none for the directory itself, and for a path that goes up again.
fn joined(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    parts.filter(|parts| !parts.is_empty() && !parts.contains(&"..")).map(|parts| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_settings_name_inside_of_the_data_directory_is_found() {
        let text = r#"
            [packs]
            folders = ["/var/lib/tacet/ward packs", "/mnt/share"]
            [backup.target]
            kind = "folder"
            path = "/var/lib/tacet/./deep/backups/"
            [server.tls]
            certificate = "/var/lib/tacet/tls/cert.pem"
            key = "/var/lib/tacet/../tacet/key.pem"
            [access]
            name = "/var/lib/tacet"
        "#;
        let mut found = inside(text, Path::new("/var/lib/tacet"));
        found.sort();
        assert_eq!(found, ["deep/backups", "tls/cert.pem", "ward packs"]);
        assert!(inside("no settings", Path::new("/var/lib/tacet")).is_empty());
    }
}
