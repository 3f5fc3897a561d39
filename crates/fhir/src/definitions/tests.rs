//! The committed table is complete and agrees with itself and with the list of resource types.

use super::*;

#[test]
fn every_resource_type_has_its_members() {
    for resource_type in ResourceType::all() {
        let group = tables().resource(resource_type).expect("a group");
        assert_eq!(group.path(), resource_type.as_str());
        assert_eq!(group.kind(), GroupKind::Resource);
        assert!(group.member("id").is_some() && group.member("meta").is_some(), "{resource_type:?}");
    }
    let resources = tables().groups().iter().filter(|group| group.kind() == GroupKind::Resource).count();
    assert_eq!(resources, ResourceType::all().count());
}

#[test]
fn the_primitives_of_the_table_are_those_with_a_matcher() {
    let listed: Vec<&str> = STRUCTURE.lines().filter_map(|line| line.strip_prefix("primitive ")).collect();
    let known: Vec<&str> = Primitive::ALL.iter().map(|primitive| primitive.as_str()).collect();
    assert_eq!(listed, known);
    assert!(Primitive::ALL.iter().all(|primitive| Primitive::parse(primitive.as_str()) == Some(*primitive)));
}

#[test]
fn the_table_says_where_it_is_from() {
    let head: Vec<&str> = STRUCTURE.lines().take(3).collect();
    assert!(head[1].contains("hl7.fhir.r4.examples 4.0.1") && head[1].contains("CC0-1.0"));
    assert!(head[2].starts_with("# sha256 of the package: ") && head[2].len() == 25 + 64);
}

#[test]
fn members_are_found_by_name() {
    for group in tables().groups() {
        for member in group.members() {
            let found = group.member(member.name()).expect("found");
            assert_eq!(found.name(), member.name());
            assert!(found.name().starts_with(group.element(found).name()));
        }
        assert!(group.member("nonsense").is_none());
        assert_eq!(
            group.elements().iter().filter(|element| element.is_required()).count(),
            group.required().count_ones() as usize,
        );
    }
}

#[test]
fn known_facts_of_the_standard_are_there() {
    let observation = tables().find("Observation").expect("a resource");
    let status = observation.member("status").expect("a member");
    let element = observation.element(status);
    assert!(element.is_required() && !element.is_many());
    let codes = tables().code_set(element.codes().expect("a required binding"));
    assert!(codes.contains_code("final") && !codes.contains_code("Final"));
    assert!(codes.contains("http://hl7.org/fhir/observation-status", "entered-in-error"));
    assert!(!codes.contains("http://example.org", "final"));
    let quantity = observation.member("valueQuantity").expect("a choice");
    assert!(observation.element(quantity).is_choice());
    assert!(observation.member("value").is_none() && observation.member("valueMoney").is_none());
    let range =
        tables().find("Observation.component").and_then(|part| part.member("referenceRange")).expect("a member");
    let Kind::Group(id) = range.kind() else { panic!("a group") };
    assert_eq!(tables().group(id).path(), "Observation.referenceRange");
    let subject = observation.member("subject").and_then(Member::targets).expect("limited targets");
    assert!(ResourceType::parse("Patient").is_some_and(|patient| subject.contains(patient)));
    assert!(ResourceType::parse("Practitioner").is_some_and(|other| !subject.contains(other)));
    assert!(observation.member("focus").expect("a member").targets().is_none());
    assert!(!tables().find("Extension").and_then(|group| group.member("url")).expect("a member").is_extensible());
    assert!(tables().find("Age").and_then(|group| group.member("value")).is_some(), "inherited from Quantity");
}
