//! Small texts, each for one rule.

use super::*;
use crate::json::{parse_str, write as write_json};

fn read(text: &str) -> Result<String, XmlErrorKind> {
    parse(text.as_bytes(), &Limits::default())
        .map(|resource| String::from_utf8(write_json(&resource)).unwrap())
        .map_err(|error| error.kind)
}

fn written(text: &str) -> Result<String, WriteError> {
    let resource = parse_str(text, &Limits::default()).unwrap();
    let text = write(&resource).map(|text| String::from_utf8(text).unwrap())?;
    Ok(text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap().to_owned())
}

fn patient(inner: &str) -> String {
    format!("<Patient xmlns=\"http://hl7.org/fhir\">{inner}</Patient>")
}

#[test]
fn both_forms_say_the_same() {
    for (json, xml) in [
        (r#""active":true"#, r#"<active value="true"/>"#),
        (r#""id":"a","birthDate":"1970-01""#, r#"<id value="a"/><birthDate value="1970-01"/>"#),
        (r#""multipleBirthInteger":2"#, r#"<multipleBirthInteger value="2"/>"#),
        (
            r#""name":[{"id":"n","family":"\"<&>'\n\té","given":["a","b"]}]"#,
            r#"<name id="n"><family value="&quot;&lt;&amp;&gt;'&#10;&#9;é"/><given value="a"/><given value="b"/></name>"#,
        ),
        (
            r#""name":[{"given":["a",null,"c"],"_given":[null,{"id":"g","extension":[{"url":"u","valueCode":"x"}]},null]}]"#,
            r#"<name><given value="a"/><given id="g"><extension url="u"><valueCode value="x"/></extension></given><given value="c"/></name>"#,
        ),
        (
            r#""_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]}"#,
            r#"<birthDate><extension url="u"><valueDecimal value="1.00"/></extension></birthDate>"#,
        ),
        (
            r##""contained":[{"resourceType":"Organization","id":"o"},{"resourceType":"Basic","id":"p"}],"managingOrganization":{"reference":"#o"}"##,
            r##"<contained><Organization><id value="o"/></Organization></contained><contained><Basic><id value="p"/></Basic></contained><managingOrganization><reference value="#o"/></managingOrganization>"##,
        ),
        (
            r#""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" class='x'>a &lt; b<br />&#233; <!-- c --></div>"}"#,
            r#"<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml" class='x'>a &lt; b<br />&#233; <!-- c --></div></text>"#,
        ),
    ] {
        let (json, xml) = (format!(r#"{{"resourceType":"Patient",{json}}}"#), patient(xml));
        assert_eq!(read(&xml).as_deref(), Ok(json.as_str()));
        assert_eq!(written(&json).as_deref(), Ok(xml.as_str()));
    }
    assert_eq!(written(r#"{"resourceType":"Patient"}"#).as_deref(), Ok(r#"<Patient xmlns="http://hl7.org/fhir"/>"#));
}

#[test]
fn resources_stand_inside_of_resources() {
    let json = r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Basic","id":"c"}}]}]}}]}"#;
    let xml = r#"<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/><entry><resource><Parameters><parameter><name value="a"/><part><name value="b"/><resource><Basic><id value="c"/></Basic></resource></part></parameter></Parameters></resource></entry></Bundle>"#;
    assert_eq!(written(json).as_deref(), Ok(xml));
    assert_eq!(read(xml).as_deref(), Ok(json));
}

#[test]
fn members_are_written_in_the_order_of_the_definition() {
    let json = r#"{"birthDate":"1970","name":[{"given":["b"],"text":"t","id":"i"}],"resourceType":"Patient","id":"a","_birthDate":{"id":"d"}}"#;
    let xml = patient(
        r#"<id value="a"/><name id="i"><text value="t"/><given value="b"/></name><birthDate value="1970" id="d"/>"#,
    );
    assert_eq!(written(json), Ok(xml));
    let pretty = write_pretty(&parse_str(json, &Limits::default()).unwrap()).unwrap();
    let pretty = String::from_utf8(pretty).unwrap();
    assert!(pretty.contains("\n  <name id=\"i\">\n    <text value=\"t\"/>\n"), "{pretty}");
    assert_eq!(read(&pretty), read(&written(json).unwrap()));
}

#[test]
fn what_xml_leaves_free_is_read() {
    let plain = read(&patient(r#"<id value="a"/><active value="true"/>"#)).unwrap();
    for text in [
        "\u{FEFF}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\r\n<!-- c --><?style x?>\n<Patient xmlns='http://hl7.org/fhir'>\r\n  <id value='a'/><!-- d -->\n <active\n value = 'true' ></active>\n</Patient>\n<!-- e -->\n",
        r#"<f:Patient xmlns:f="http://hl7.org/fhir"><f:id value="a"/><f:active value="true"/></f:Patient>"#,
        r#"<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="x y"><id value="&#97;"/><active value="tru&#x65;"/></Patient>"#,
        r#"<Patient xmlns="http://hl7.org/fhir"><f:id xmlns:f="http://hl7.org/fhir" value="a"/><active value="true"/></Patient>"#,
    ] {
        assert_eq!(read(text).as_ref(), Ok(&plain), "{text}");
    }
    let spaced = read(&patient("<name><text value=\"a\r\nb\tc&#13;\"/></name>")).unwrap();
    assert!(spaced.contains(r#""text":"a b c\r""#), "{spaced}");
}

#[test]
fn narratives_of_other_prefixes_are_written_anew() {
    let anew = "<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\"><p title=\\\"&quot;\\\">a &lt; b<br></br></p></div>";
    let text = r#"<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text><h:div><h:p title='"'>a &lt; <![CDATA[b]]><h:br/></h:p><!-- c --></h:div></f:text></f:Patient>"#;
    assert_eq!(read(text), Ok(format!(r#"{{"resourceType":"Patient","text":{{"div":"{anew}"}}}}"#)));
    let without = r#"{"resourceType":"Patient","text":{"status":"empty","div":" <div>a&nbsp;&amp;&mdash;</div> "}}"#;
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\">a\u{A0}&amp;—</div>";
    assert_eq!(written(without), Ok(patient(&format!("<text><status value=\"empty\"/>{div}</text>"))));
}

#[test]
fn malformed_texts_are_refused() {
    use XmlErrorKind as Kind;
    let div = |inner: &str| patient(&format!("<text><div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div></text>"));
    for (text, kind) in [
        (String::new(), Kind::UnexpectedEnd),
        ("  ".into(), Kind::UnexpectedEnd),
        ("{}".into(), Kind::Malformed),
        ("<Patient".into(), Kind::UnexpectedEnd),
        ("<Patient xmlns=\"http://hl7.org/fhir\">".into(), Kind::UnexpectedEnd),
        ("<Patient/>".into(), Kind::Namespace),
        ("<Patient xmlns=\"http://hl7.org/fhir/\"/>".into(), Kind::Namespace),
        ("<f:Patient/>".into(), Kind::Namespace),
        ("<f:Patient xmlns:f=\"\"/>".into(), Kind::Namespace),
        ("<a:b:Patient xmlns:a=\"http://hl7.org/fhir\"/>".into(), Kind::Malformed),
        ("<Patent xmlns=\"http://hl7.org/fhir\"/>".into(), Kind::NotAResource),
        ("<Resource xmlns=\"http://hl7.org/fhir\"/>".into(), Kind::NotAResource),
        (patient("") + "<x/>", Kind::Malformed),
        (patient("") + "x", Kind::Malformed),
        (" <?xml version=\"1.0\"?>".to_owned() + &patient(""), Kind::Malformed),
        ("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>".to_owned() + &patient(""), Kind::Encoding),
        ("<!DOCTYPE Patient>".to_owned() + &patient(""), Kind::DocumentType),
        (patient("<!ELEMENT x>"), Kind::Malformed),
        (patient("text"), Kind::UnexpectedText),
        (patient("<![CDATA[x]]>"), Kind::UnexpectedText),
        (patient("<!-- a -- b -->"), Kind::Malformed),
        (patient("<!-- a"), Kind::UnexpectedEnd),
        (patient("<active value=\"true\">"), Kind::Unbalanced),
        (patient("<active value=\"true\"/></Patient>"), Kind::Unbalanced),
        (patient("</active>"), Kind::Unbalanced),
        (patient("<active value=\"true\"></Active>"), Kind::Unbalanced),
        (patient("<active value=true/>"), Kind::Malformed),
        (patient("<active value/>"), Kind::Malformed),
        (patient("<active value=\"true/>"), Kind::UnexpectedEnd),
        (patient("<active value=\"true\"id=\"a\"/>"), Kind::Malformed),
        (patient("<active value=\"true\" value=\"true\"/>"), Kind::RepeatedAttribute),
        (patient("<active value=\"true\" other=\"a\"/>"), Kind::UnknownAttribute),
        (patient("<active x:value=\"true\"/>"), Kind::UnknownAttribute),
        (patient("<active/>"), Kind::Empty),
        (patient("<active value=\"1\"/>"), Kind::Value),
        (patient("<multipleBirthInteger value=\"01\"/>"), Kind::Value),
        (patient("<multipleBirthInteger value=\" 1\"/>"), Kind::Value),
        (patient("<multipleBirthInteger value=\"true\"/>"), Kind::Value),
        (patient("<active value=\"true\"/><active value=\"true\"/>"), Kind::Repeated),
        (patient("<activ value=\"true\"/>"), Kind::UnknownElement),
        (patient("<resourceType value=\"Patient\"/>"), Kind::UnknownElement),
        (patient("<active xmlns=\"\" value=\"true\"/>"), Kind::Namespace),
        (patient("<name><id value=\"a\"/></name>"), Kind::UnknownElement),
        (patient("<name url=\"a\"/>"), Kind::UnknownAttribute),
        (patient("<id value=\"a\"><extension url=\"b\"/></id>"), Kind::UnknownAttribute),
        (patient("<contained/>"), Kind::NotOneResource),
        (patient("<contained><Basic/><Basic/></contained>"), Kind::NotOneResource),
        (patient("<contained><Basi/></contained>"), Kind::NotAResource),
        (patient("<language value=\"&nbsp;\"/>"), Kind::Entity),
        (patient("<language value=\"&a\"/>"), Kind::Malformed),
        (patient("<language value=\"&#0;\"/>"), Kind::Character),
        (patient("<language value=\"&#xD800;\"/>"), Kind::Character),
        (patient("<language value=\"&#x110000;\"/>"), Kind::Character),
        (patient("<language value=\"&#99999999999;\"/>"), Kind::Character),
        (patient("<language value=\"\u{1}\"/>"), Kind::Character),
        (patient("<language value=\"<\"/>"), Kind::Malformed),
        (patient("<text><div>a</div></text>"), Kind::Narrative),
        (patient("<text><p xmlns=\"http://www.w3.org/1999/xhtml\">a</p></text>"), Kind::UnknownElement),
        (div("<p>"), Kind::Unbalanced),
        (div("&copy;"), Kind::Entity),
        (div("a ]]> b"), Kind::Malformed),
        (div("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), Kind::Namespace),
        (div("<p xlink:href=\"a\"/>"), Kind::UnknownAttribute),
    ] {
        assert_eq!(read(&text), Err(kind), "{text}");
    }
    assert_eq!(parse(b"<Patient \xFF>", &Limits::default()).map_err(|error| error.kind), Err(Kind::Encoding));
}

#[test]
fn entities_that_grow_or_fetch_are_refused() {
    let mut laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">".to_owned();
    for level in 1..10 {
        laughs += &format!("<!ENTITY lol{level} \"{}\">", format!("&lol{};", level - 1).repeat(10));
    }
    laughs += "]>";
    laughs += &patient("<language value=\"&lol9;\"/>");
    assert_eq!(read(&laughs), Err(XmlErrorKind::DocumentType));
    let outside =
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>".to_owned() + &patient("<language value=\"&e;\"/>");
    assert_eq!(read(&outside), Err(XmlErrorKind::DocumentType));
}

#[test]
fn bounds_hold() {
    use XmlErrorKind as Kind;
    let with = |text: &str, limits: Limits| parse(text.as_bytes(), &limits).map(|_| ()).map_err(|error| error.kind);
    let nested =
        |depth: usize| patient(&format!("{}{}", "<extension url=\"a\">".repeat(depth), "</extension>".repeat(depth)));
    // Each level is a list and an object, and the address stands one deeper than its object.
    let fits = nested(31);
    assert_eq!(with(&fits, Limits::default()), Ok(()));
    let json = read(&fits).unwrap();
    assert!(parse_str(&json, &Limits::default()).is_ok(), "what is read can be read again");
    assert_eq!(with(&nested(32), Limits::default()), Err(Kind::TooDeep));
    let deepest = Limits { depth_max: usize::MAX, ..Limits::default() };
    assert_eq!(with(&nested(5_000), deepest), Err(Kind::TooDeep));
    let paragraphs = format!("{}{}", "<p>".repeat(5_000), "</p>".repeat(5_000));
    let text = patient(&format!("<text><div xmlns=\"http://www.w3.org/1999/xhtml\">{paragraphs}</div></text>"));
    assert_eq!(with(&text, deepest), Err(Kind::TooDeep));
    let many = patient(&"<name id=\"a\"/>".repeat(100));
    assert_eq!(with(&many, Limits::default()), Ok(()));
    assert_eq!(with(&many, Limits { values_max: 100, ..Limits::default() }), Err(Kind::TooManyValues));
    assert_eq!(with(&many, Limits { bytes_max: 100, ..Limits::default() }), Err(Kind::TooLarge));
    let attributes: String = (0..100).map(|at| format!(" a{at}=\"\"")).collect();
    assert_eq!(with(&patient(&format!("<name{attributes}/>")), Limits::default()), Err(Kind::TooManyAttributes));
    let spaces: String = (0..20).map(|at| format!(" xmlns:a{at}=\"x\"")).collect();
    assert_eq!(
        with(&patient(&format!("<extension url=\"a\"{spaces}>").repeat(10)), Limits::default()),
        Err(Kind::TooManyAttributes)
    );
}

#[test]
fn errors_say_where() {
    let text = format!("<?xml version=\"1.0\"?>\n{}", patient("\n  <activ value=\"true\"/>"));
    let error = parse(text.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!((error.kind, error.line), (XmlErrorKind::UnknownElement, 3));
    assert!(!error.to_string().contains("activ"), "{error}");
}

#[test]
fn trees_that_are_no_resources_are_not_written() {
    for (json, error) in [
        ("[]", WriteError::NotAResource),
        (r#"{"resourceType":"Nobody"}"#, WriteError::NotAResource),
        (r#"{"resourceType":"Patient","nickname":"x"}"#, WriteError::UnknownElement),
        (r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#, WriteError::UnknownElement),
        (r#"{"resourceType":"Patient","active":"true"}"#, WriteError::Shape),
        (r#"{"resourceType":"Patient","name":{"text":"x"}}"#, WriteError::Shape),
        (r#"{"resourceType":"Patient","name":["x"]}"#, WriteError::Shape),
        (r#"{"resourceType":"Patient","birthDate":1970}"#, WriteError::Shape),
        (r#"{"resourceType":"Patient","name":[{"given":[null]}]}"#, WriteError::Shape),
        (r#"{"resourceType":"Patient","name":[{"text":"\u0001"}]}"#, WriteError::Character),
        (r#"{"resourceType":"Patient","text":{"div":"<div>a"}}"#, WriteError::Narrative),
        (r#"{"resourceType":"Patient","text":{"div":"<div>a</div><div>b</div>"}}"#, WriteError::Narrative),
        (r#"{"resourceType":"Patient","text":{"div":"<p>a</p>"}}"#, WriteError::Narrative),
        (r#"{"resourceType":"Patient","text":{"div":"<div>&unknown;</div>"}}"#, WriteError::Narrative),
        (r#"{"resourceType":"Patient","text":{"div":"</text><active value='false'/><text>"}}"#, WriteError::Narrative),
    ] {
        assert_eq!(written(json), Err(error), "{json}");
    }
}

#[test]
fn no_part_of_a_text_is_a_text() {
    let text = patient(
        r#"<id value="a&#98;"/><text><status value="empty"/><div xmlns="http://www.w3.org/1999/xhtml">a<br/></div></text><!-- c --><name id="é"><given value='b'/></name>"#,
    );
    assert!(read(&text).is_ok());
    for (at, _) in text.char_indices() {
        assert!(read(text.get(..at).unwrap()).is_err(), "the first {at} bytes");
    }
}
