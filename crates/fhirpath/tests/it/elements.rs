//! What the official suite does not ask: places of elements, what stands beside primitives, and what callers give.

use std::cell::{Cell, RefCell};
use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_fhirpath::{
    ARENA_MAX, Arena, CheckOptions, ConformsTo, Context, EvaluationError, Expression, Item, MemberOf, Node, NodeType,
    Resolver,
};
use tacet_types::Timestamp;

const NOW_MS: i64 = 1_767_225_600_000;

fn read(text: &str) -> Json<'_> {
    parse_str(text, &Limits::default()).expect("JSON")
}

fn patient() -> Json<'static> {
    read(
        r##"{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Organization","id":"o","name":"Ward"}],
            "name":[{"family":"One","given":["A",null],"_given":[null,{"id":"g","extension":[{"url":"u","valueCode":"c"}]}]},
                    {"family":"Two"}],
            "birthDate":"1970-03","_birthDate":{"extension":[{"url":"t","valueDateTime":"1970-03-30T10:00:00+01:00"}]},
            "_gender":{"extension":[{"url":"absent","valueBoolean":true}]},
            "deceasedBoolean":false,"multipleBirthInteger":2,
            "managingOrganization":{"reference":"#o"},
            "generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"Practitioner/2"}],
            "maritalStatus":{"coding":[{"system":"s","code":"M"},{"system":"s","code":"X"}]}}"##,
    )
    .into_owned()
}

fn texts(text: &str, context: &Context<'_>) -> Result<Vec<String>, EvaluationError> {
    let expression = Expression::compile(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let result = expression.evaluate_on(context.resource, context)?;
    Ok(result.iter().map(|item| item.to_text().map_or_else(|| "-".to_owned(), String::from)).collect())
}

fn on_patient(text: &str) -> Vec<String> {
    let patient = patient();
    texts(text, &Context::new(&patient, Timestamp::from_ms(NOW_MS))).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_element_knows_its_place() {
    let patient = patient();
    let context = Context::new(&patient, Timestamp::from_ms(NOW_MS));
    let places = |text: &str| -> Vec<String> {
        let expression = Expression::compile(text).expect("an expression");
        let found = expression.evaluate_on(&patient, &context).expect("a result");
        found.iter().filter_map(Item::node).map(|node| node.location.to_fhirpath("Patient")).collect()
    };
    assert_eq!(places("name.given"), ["Patient.name[0].given[0]", "Patient.name[0].given[1]"]);
    assert_eq!(places("name.given.extension.value"), ["Patient.name[0].given[1].extension[0].value"]);
    assert_eq!(places("deceased"), ["Patient.deceased"]);
    assert_eq!(places("managingOrganization.resolve().name"), ["Patient.contained[0].name"]);
    assert_eq!(places("$this"), ["Patient"]);
    let expression = Expression::compile("deceased").expect("an expression");
    let found = expression.evaluate_on(&patient, &context).expect("a result");
    let steps = found[0].node().expect("an element").location.steps();
    assert_eq!((steps[0].element, steps[0].member, steps[0].index), ("deceased", "deceasedBoolean", None));
    // Each element is met once, and no two have the same place.
    let all = places("descendants()");
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(all.len(), distinct.len());
}

#[test]
fn a_primitive_has_its_value_and_what_stands_beside_it() {
    assert_eq!(on_patient("name.given.count()"), ["2"]);
    assert_eq!(on_patient("name.given.select(hasValue())"), ["true", "false"]);
    assert_eq!(on_patient("name.given.id"), ["g"]);
    assert_eq!(on_patient("name.given.extension('u').value is code"), ["true"]);
    assert_eq!(on_patient("birthDate.extension('t').value"), ["1970-03-30T10:00:00+01:00"]);
    assert_eq!(on_patient("birthDate.getValue() is Date"), ["true"]);
    assert_eq!(on_patient("gender.exists() and gender.hasValue().not()"), ["true"]);
    assert_eq!(on_patient("{}.hasValue()"), ["false"]);
    assert_eq!(on_patient("name.given.hasValue()"), ["false"]);
    assert_eq!(on_patient("gender.extension.value"), ["true"]);
    assert_eq!(on_patient("children().where($this is code).count()"), ["1"]);
    assert_eq!(on_patient("gender = 'male'"), ["false"]);
    assert_eq!(on_patient("gender > 'a'"), Vec::<String>::new());
    assert_eq!(on_patient("gender & 'x'"), ["x"]);
    assert_eq!(on_patient("gender.length() | 'abc'.indexOf(gender) | gender + 'x'"), Vec::<String>::new());
}

#[test]
fn choices_are_found_by_their_element_only() {
    assert_eq!(on_patient("deceased"), ["false"]);
    assert_eq!(on_patient("multipleBirth is integer and multipleBirth.is(boolean).not()"), ["true"]);
    assert_eq!(on_patient("deceasedBoolean").len(), 0);
    assert_eq!(on_patient("multiple").len(), 0);
    assert_eq!(on_patient("resourceType").len(), 0);
}

#[test]
fn what_r4_means_differs_from_what_n1_says_only_when_asked() {
    let patient = patient();
    let context = Context::new(&patient, Timestamp::from_ms(NOW_MS));
    let strict = Context { strict: true, ..context.clone() };
    assert_eq!(texts("name.as(HumanName).family", &context), Ok(vec!["One".to_owned(), "Two".to_owned()]));
    assert_eq!(texts("name.as(HumanName).family", &strict), Err(EvaluationError::NotSingle { at: "as" }));
    assert_eq!(texts("deceased is Boolean", &context), Ok(vec!["true".to_owned()]));
    assert_eq!(texts("deceased is Boolean", &strict), Ok(vec!["false".to_owned()]));
}

/// A caller that knows one practitioner, one value set and one profile.
#[derive(Default)]
struct Caller {
    kept: Arena,
    asked: RefCell<Vec<String>>,
}

impl Resolver for Caller {
    fn resolve(&self, reference: &str) -> Option<&Json<'_>> {
        self.asked.borrow_mut().push(reference.to_owned());
        let json = read(r#"{"resourceType":"Practitioner","active":true}"#).into_owned();
        if reference == "Practitioner/1" { self.kept.keep(json).map(|json| json as &Json<'_>) } else { None }
    }
}

impl MemberOf for Caller {
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        (value_set == "vs").then(|| system != Some("t") && matches!(code, "X" | "c"))
    }
}

impl ConformsTo for Caller {
    fn conforms_to(&self, node: &Node<'_>, profile: &str) -> Option<bool> {
        (profile == "profile").then(|| node.json.get("family").is_some())
    }
}

#[test]
fn what_the_caller_knows_is_asked_for() {
    let patient = patient();
    let caller = Caller::default();
    let traced = Cell::new(0);
    let trace = |name: &str, count: usize| {
        assert_eq!(name, "names");
        traced.set(traced.get() + count);
    };
    let given = [("limit", vec![Item::Integer(1)]), ("names", vec![Item::text("One"), Item::text("Three")])];
    let context = Context {
        resolver: Some(&caller),
        terminology: Some(&caller),
        profiles: Some(&caller),
        trace: Some(&trace),
        variables: &given,
        ..Context::new(&patient, Timestamp::from_ms(NOW_MS))
    };
    let one = |text: &str| texts(text, &context).unwrap_or_else(|error| panic!("{error}: {text}")).join(",");
    assert_eq!(one("generalPractitioner.resolve().active"), "true");
    assert_eq!(one("generalPractitioner.where(resolve() is Practitioner).reference"), "Practitioner/1");
    assert_eq!(caller.asked.borrow().len(), 4);
    assert_eq!(one("managingOrganization.resolve().name"), "Ward");
    assert_eq!(caller.asked.borrow().len(), 4);
    assert_eq!(one("maritalStatus.memberOf('vs')"), "true");
    assert_eq!(one("maritalStatus.coding.select(memberOf('vs'))"), "false,true");
    assert_eq!(one("maritalStatus.memberOf('other')"), "");
    assert_eq!(one("name.given.extension.value.memberOf('vs')"), "true");
    assert_eq!(one("name.select(conformsTo('profile'))"), "true,true");
    assert_eq!(one("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')"), "true");
    assert_eq!(one("name.where(family in %names).family"), "One");
    assert_eq!(one("name.skip(%limit).family"), "Two");
    assert_eq!(one("name.trace('names').trace('names', given).count()"), "2");
    assert_eq!(traced.get(), 4);
    assert_eq!(one("now()"), "2026-01-01T00:00:00.000Z");
    assert_eq!(one("today() = @2026-01-01 and timeOfDay() = @T00:00:00"), "true");
    assert_eq!(texts("%unknown", &context), Err(EvaluationError::UnknownVariable));
    assert_eq!(texts("conformsTo('elsewhere')", &context), Err(EvaluationError::NotAvailable { at: "conformsTo()" }));
}

#[test]
fn variables_defined_on_the_way_are_known_to_the_steps_after() {
    assert_eq!(on_patient("name.first().defineVariable('f', family).given.first() & %resource.id").len(), 1);
    assert_eq!(
        on_patient("name.defineVariable('all').family.first().select($this & %all.count().toString())"),
        ["One2"]
    );
    assert_eq!(on_patient("defineVariable('x', 'a').select(%x & 'b')"), ["ab"]);
    let patient = patient();
    let context = Context::new(&patient, Timestamp::from_ms(NOW_MS));
    let outside = texts("(defineVariable('x', 'a').select(%x)) | %x", &context);
    assert_eq!(outside, Err(EvaluationError::UnknownVariable));
}

#[test]
fn entries_of_a_bundle_find_each_other() {
    let bundle = read(
        r#"{"resourceType":"Bundle","entry":[
            {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner/7"}]}},
            {"fullUrl":"http://example.org/fhir/Practitioner/7","resource":{"resourceType":"Practitioner","id":"7","active":true}},
            {"fullUrl":"http://example.org/fhir/Practitioner/17","resource":{"resourceType":"Practitioner","id":"17"}}]}"#,
    );
    let context = Context::new(&bundle, Timestamp::from_ms(0));
    let found = texts("entry.resource.ofType(Patient).generalPractitioner.resolve().active", &context);
    assert_eq!(found, Ok(vec!["true".to_owned()]));
    assert_eq!(texts("'urn:uuid:1'.resolve() is Patient", &context), Ok(vec!["true".to_owned()]));
    let patient = patient();
    let within = Context { resource: &patient, ..context };
    assert_eq!(texts("managingOrganization.resolve().name", &within), Ok(vec!["Ward".to_owned()]));
}

#[test]
fn an_arena_keeps_what_it_is_given_up_to_its_bound() {
    let arena = Arena::default();
    for at in 0..ARENA_MAX {
        assert_eq!(arena.keep(Json::from(at as u64)), Some(&Json::from(at as u64)));
    }
    assert_eq!(arena.keep(Json::Null), None);
}

#[test]
fn the_check_follows_names_and_types() {
    let check = |text: &str, kind: &str| {
        let expression = Expression::compile(text).expect("an expression");
        expression.check(&[NodeType::find(kind).expect("a type")], &CheckOptions::default()).is_ok()
    };
    assert!(check("name.given.first().length() > 1", "Patient"));
    assert!(check("contact.name.family", "Patient"));
    assert!(check("Patient.contact.where(name.exists()).telecom.value", "Patient"));
    assert!(!check("contact.nam", "Patient"));
    assert!(!check("contact.where(nam.exists())", "Patient"));
    assert!(!check("contact.exists(nam.exists())", "Patient"));
    assert!(!check("contact.select(name.given.nothing)", "Patient"));
    assert!(check("entry.resource.name.anything", "Bundle"));
    assert!(check("entry.resource.ofType(Patient).birthDate", "Bundle"));
    assert!(!check("entry.resource.ofType(Patient).birthdate", "Bundle"));
    assert!(check("repeat(item).linkId", "Questionnaire"));
    assert!(check("value.unit", "Observation") && !check("valueQuantity.unit", "Observation"));
    assert!(check("component.value.ofType(Quantity).value", "Observation"));
    assert!(!check("name.upper()", "Patient"));
    assert!(!check("birthDate + 1", "Patient"));
    assert!(check("birthDate + 1 day", "Patient"));
    assert!(check("extension('x').value.extension.url", "Patient.contact"));
    assert!(check("text.div", "DomainResource"));
}

#[test]
fn quantities_compare_in_any_unit_and_only_where_they_measure_the_same() {
    let empty = read("{}");
    let context = Context::new(&empty, Timestamp::from_ms(0));
    for (text, wanted) in [
        ("1 'g' = 1000 'mg'", "true"),
        ("0.3 'g/L' = 300 'ug/mL'", "true"),
        ("1 'g' > 999.999 'mg'", "true"),
        ("1 'g' = 1 'm'", ""),
        ("1 'g' < 1 'm'", ""),
        ("1 'nonsense' = 1 'nonsense'", "true"),
        ("1 'nonsense' = 1 'g'", ""),
        ("1 'h' = 60 minutes", "true"),
        ("12 months = 1 year", ""),
        ("1 year ~ 1 'a'", "true"),
        ("(1 'g' + 5 'mg') = 1.005 'g'", "true"),
        ("1 'g' + 1 'm'", ""),
        ("2 'g' * 3", "6 'g'"),
        ("6 'g' / 3 'g'", "2 '1'"),
        ("6 'g' / 0 'g'", ""),
        ("37 'Cel' = 310.15 'K'", "true"),
        ("1 day.toString()", "1 day"),
        ("'2 days'.toQuantity()", "2 days"),
        ("'2days'.toQuantity()", ""),
        ("'1 \\'mg'.toQuantity()", ""),
        ("'1000 \\'mg\\''.toQuantity('g') = 1 'g'", "true"),
    ] {
        assert_eq!(texts(text, &context).map(|found| found.join(",")), Ok(wanted.to_owned()), "{text}");
    }
}
