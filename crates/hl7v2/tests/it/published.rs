//! Messages that others have published. They are read where they are, and are no part of this project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use tacet_hl7v2::{Adt, Answer, Existing, MapError, Message, ParseError, Settings, acknowledge, decode, messages};

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Some(root) = tacet_testdata::folder(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind != "xml" && kind != "md"))
        .map(read)
        .collect()
}

fn settings() -> Settings {
    let names = ["M11", "test1", "AccMgr", "1", "CHU-X", "000897406", "AccMng", "AccMng", "test"];
    Settings {
        systems: BTreeMap::from(names.map(|name| (name.to_owned(), format!("urn:test:{name}")))),
        visit_system: Some("urn:test:visit".to_owned()),
        ward_system: Some("urn:test:ward".to_owned()),
        ..Settings::default()
    }
}

#[test]
fn every_published_message_is_read_and_answered() {
    let settings = settings();
    let (mut read, mut mapped, mut spoilt, mut events) = (0, 0, 0, BTreeMap::<String, usize>::new());
    for (path, bytes) in ["hl7v2/microsoft", "hl7v2/linuxforhealth", "fr/hl7v2"].iter().flat_map(|folder| files(folder))
    {
        let text = decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Ok(found) = messages(&text) else { continue };
        for text in found {
            let message = match Message::parse(text) {
                Ok(message) => message,
                // Some have delimiters that an editor has spoilt: a letter for `^`, an escape twice.
                Err(ParseError::Header) => {
                    spoilt += 1;
                    continue;
                }
                Err(error) => panic!("{}: {error}", path.display()),
            };
            read += 1;
            let ack = acknowledge(&message, &Answer::accepted(), "20260302100000+0000", "1");
            let ack = Message::parse(&ack).unwrap();
            assert_eq!(ack.field("MSA", 2).raw(), message.field("MSH", 10).raw());
            let adt = match Adt::of(&message, &settings) {
                Ok(adt) => adt,
                Err(error) => {
                    *events.entry(error.to_string()).or_default() += 1;
                    continue;
                }
            };
            match adt.bundle(&Existing { ward: Some("Location/w".to_owned()), ..Existing::default() }) {
                Ok(bundle) => {
                    mapped += 1;
                    let bundle = bundle.unwrap_or_else(|| panic!("{}", path.display()));
                    assert_eq!(bundle["entry"][0]["resource"]["resourceType"], "Patient");
                }
                Err(MapError::NoStay) => mapped += 1,
                Err(error) => *events.entry(format!("{}: {error}", path.display())).or_default() += 1,
            }
        }
    }
    eprintln!("{read} messages read, {mapped} mapped; not mapped: {events:#?}");
    assert!(read == 0 || (read >= 100 && mapped >= 15 && spoilt <= 5), "{read} read, {mapped} mapped, {spoilt} spoilt");
}

#[test]
fn the_french_examples_name_the_unit_where_ihe_pam_has_it() {
    for (path, bytes) in files("fr/hl7v2") {
        if !path.ends_with("SGL_admission.er7") {
            continue;
        }
        let text = decode(&bytes).unwrap();
        let (message, settings) = (Message::parse(&text).unwrap(), settings());
        let adt = Adt::of(&message, &settings).unwrap();
        assert_eq!(adt.ward().map(|ward| ward.value.as_str()), Some("6268"));
        let there = Existing { ward: Some("Location/chir".to_owned()), ..Existing::default() };
        let bundle = adt.bundle(&there).unwrap().unwrap();
        let stay = &bundle["entry"][1]["resource"];
        assert_eq!(stay["location"][0]["location"]["reference"], "Location/chir");
        assert_eq!(stay["period"]["start"], "2024-03-06T11:00:00+01:00");
        let ids: Vec<_> = bundle["entry"][0]["resource"]["identifier"].as_array().unwrap().clone();
        assert!(ids.iter().any(|id| id["system"] == "urn:oid:1.2.250.1.213.1.4.10"), "{ids:?}");
    }
}
