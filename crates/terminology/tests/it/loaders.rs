//! Files of the shape that the owners of code systems give out, with invented rows.

use std::io::BufReader;
use tacet_fhir::json::{Limits, parse};
use tacet_terminology::loader::{LoadError, Loaded, Memory, Parts, Release, ccam, cim10, claml, loinc};
use tacet_terminology::{Builder, Membership, Terminology};

fn release(url: &str) -> Release {
    Release { url: url.to_owned(), version: Some("2026".to_owned()), name: "Invented".to_owned() }
}

type Load = dyn Fn(&mut dyn tacet_terminology::loader::Sink) -> Result<Loaded, LoadError>;

/// The same rows through memory and through resources.
fn both_ways(load: &Load) -> (Loaded, Terminology, Terminology) {
    let mut memory = Memory::default();
    let loaded = load(&mut memory).expect("rows");
    let mut direct = Builder::empty();
    direct.add_system(memory.finish().expect("a system")).expect("a place");
    let mut output = Vec::new();
    let mut parts = Parts::new(&mut output);
    assert_eq!(load(&mut parts).expect("rows"), loaded);
    parts.finish().expect("parts");
    let mut stored = Builder::empty();
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        stored.add_resource(&parse(line, &Limits::default()).expect("JSON")).expect("a resource");
    }
    (loaded, direct.build(), stored.build())
}

#[test]
fn loinc_rows_become_terms_with_their_properties() {
    let file = "\"LOINC_NUM\",\"COMPONENT\",\"PROPERTY\",\"CLASS\",\"STATUS\",\"SHORTNAME\",\"LONG_COMMON_NAME\"\r\n\
        \"00001-0\",\"Zorblax\",\"MCnc\",\"FANTASY\",\"ACTIVE\",\"Zorb MCnc\",\"Zorblax, \"\"pure\"\" [Mass/volume]\"\r\n\
        \"00002-8\",\"Quux\",\"\",\"FANTASY\",\"DEPRECATED\",\"\",\"Quux of old\"\r\n\"\",\"\",\"\",\"\",\"\",\"\",\"\"\r\n";
    let url = "http://example.org/lab";
    let (loaded, direct, stored) =
        both_ways(&move |sink| loinc(BufReader::new(file.as_bytes()), &release("http://example.org/lab"), sink));
    assert_eq!(loaded, Loaded { concepts: 2, passed_over: 1 });
    for terminology in [direct, stored] {
        assert_eq!(terminology.display_fits(url, "00001-0", "Zorblax, \"pure\" [Mass/volume]"), Some(true));
        assert_eq!(terminology.display_fits(url, "00001-0", "Zorb MCnc"), Some(true));
        assert_eq!(terminology.code_exists(url, None, "00009-9"), Membership::No);
        let mut builder = Builder::from(&terminology);
        let compose = r#"{"inactive":false,"include":[{"system":"http://example.org/lab","filter":[{"property":"CLASS","op":"=","value":"FANTASY"}]}]}"#;
        builder.add_resource(&crate::json(&crate::set("http://example.org/vs", compose))).expect("a set");
        let codes = builder.build().codes_of("http://example.org/vs").expect("codes");
        assert_eq!(codes, [(url.to_owned(), "00001-0".to_owned())]);
    }
    let mut memory = Memory::default();
    let wrong = loinc(BufReader::new(&b"a,b\n1,2\n"[..]), &release(url), &mut memory);
    assert!(matches!(wrong, Err(LoadError::Format { line: 1, .. })));
}

#[test]
fn the_french_icd_text_becomes_a_hierarchy() {
    let file = b"X01|0|0|0|Mal court|Mal de c\x9Cur invent\xE9\nX010|3|0|0|Mal 0|Mal invent\xE9, forme 0\nX0101|0|0|0|Mal 01|Mal, forme 01\nrien|x\n";
    let url = "http://example.org/icd";
    let (loaded, direct, stored) =
        both_ways(&move |sink| cim10(BufReader::new(&file[..]), &release("http://example.org/icd"), sink));
    assert_eq!(loaded, Loaded { concepts: 3, passed_over: 1 });
    for terminology in [direct, stored] {
        assert_eq!(terminology.below(url, "X01").unwrap(), ["X01", "X01.0", "X01.01"]);
        assert_eq!(terminology.display_fits(url, "X01", "Mal de cœur inventé"), Some(true));
        assert_eq!(terminology.display_fits(url, "X01", "mal court"), Some(true));
    }
}

#[test]
fn claml_classes_become_concepts() {
    let file = r#"<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE ClaML SYSTEM "ClaML.dtd">
        <ClaML version="2.0.0"><Title name="X"/>
        <Class code="I" kind="chapter"><SubClass code="X00-X09"/><Rubric id="1" kind="preferred"><Label xml:lang="fr">Chapitre</Label></Rubric></Class>
        <Class code="X00-X09" kind="block"><SuperClass code="I"/><Rubric kind="preferred"><Label>Bloc &amp; suite</Label></Rubric></Class>
        <Class code="X01" kind="category"><SuperClass code="X00-X09"/><Rubric kind="inclusion"><Label>no</Label></Rubric>
         <Rubric kind="preferred"><Label>Mal <Term class="italics">grave</Term>&#233;</Label></Rubric><Rubric kind="definition"><Label>Ce qu'il est</Label></Rubric></Class>
        <ModifierClass modifier="M" code=".0"/></ClaML>"#;
    let url = "http://example.org/icd";
    let (loaded, direct, stored) =
        both_ways(&move |sink| claml(BufReader::new(file.as_bytes()), &release("http://example.org/icd"), sink));
    assert_eq!(loaded, Loaded { concepts: 3, passed_over: 1 });
    for terminology in [direct, stored] {
        assert_eq!(terminology.above(url, "X01").unwrap(), ["I", "X00-X09", "X01"]);
        assert_eq!(terminology.display_fits(url, "X01", "Mal grave é"), Some(true));
        assert_eq!(terminology.display_fits(url, "X00-X09", "Bloc & suite"), Some(true));
    }
    for bad in [
        "<ClaML><Class code='a'>",
        "<ClaML/>",
        "<ClaML><Class code='a'><Rubric kind='preferred'><Label>&boom;</Label></Rubric></Class></ClaML>",
        "not xml",
    ] {
        let mut memory = Memory::default();
        assert!(claml(BufReader::new(bad.as_bytes()), &release(url), &mut memory).is_err(), "{bad}");
    }
    let deep = "<a>".repeat(100);
    let refused = claml(BufReader::new(deep.as_bytes()), &release(url), &mut Memory::default());
    assert!(matches!(refused, Err(LoadError::TooLarge(_))));
}

#[test]
fn ccam_rows_become_acts_under_their_chapters() {
    let file = "Titre;inventé\nCode;Phase;Libellé\n01;;SYSTÈME\n01.02.;;ACTES INVENTÉS\nZZQP001;0;Acte d'essai, par \"voie\" rêvée\n;;note\nZZQP002;0;Autre acte\n";
    let url = "http://example.org/acts";
    let (loaded, direct, stored) =
        both_ways(&move |sink| ccam(BufReader::new(file.as_bytes()), &release("http://example.org/acts"), sink));
    assert_eq!(loaded.concepts, 4);
    for terminology in [direct, stored] {
        assert_eq!(terminology.above(url, "ZZQP002").unwrap(), ["01", "01.02", "ZZQP002"]);
        assert_eq!(terminology.display_fits(url, "ZZQP001", "Acte d'essai, par \"voie\" rêvée"), Some(true));
    }
    let none = ccam(BufReader::new(&b"a;b\n"[..]), &release(url), &mut Memory::default());
    assert!(matches!(none, Err(LoadError::Format { .. })));
}
