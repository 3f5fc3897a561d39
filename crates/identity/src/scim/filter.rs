//! Filters of lists (RFC 7644, section 3.4.2.2): `eq`, `ne`, `co`, `sw`, `ew`, `pr`, `and`, `or`, `not` and parentheses.
//!
//! What is not needed to find an account (ordering, value paths) is refused by name.

use super::error::{ScimError, ScimType};

/// Longest filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 2000;

/// Deepest nesting of parentheses.
const DEPTH_MAX: usize = 16;

/// Most comparisons in a filter.
const TERMS_MAX: usize = 64;

/// A filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// All of these.
    All(Vec<Filter>),
    /// Any of these.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// One comparison.
    Compare(Attribute, Operator, Value),
    /// The attribute has a value.
    Present(Attribute),
}

/// What a filter can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// `id`: exact.
    Id,
    /// `userName`: whatever its case (RFC 7643, section 4.1.1).
    UserName,
    /// `externalId`: exact (RFC 7643, section 3.1).
    ExternalId,
    /// `displayName`: whatever its case.
    DisplayName,
    /// `active`.
    Active,
}

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
}

/// What is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// `null`.
    Null,
}

/// What a filter is held against.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `id`.
    pub id: &'a str,
    /// `userName`.
    pub user_name: &'a str,
    /// `externalId`.
    pub external_id: Option<&'a str>,
    /// `displayName`.
    pub display_name: &'a str,
    /// `active`.
    pub active: bool,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `invalidFilter`, with what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(refused("the filter is longer than 2000 bytes"));
        }
        let mut parser = Parser { rest: text, depth: 0, terms: 0 };
        let filter = parser.any()?;
        parser.skip_space();
        if parser.rest.is_empty() { Ok(filter) } else { Err(refused("the filter goes on where it should end")) }
    }

    /// Whether these facts fit.
    pub fn fits(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.fits(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(facts)),
            Self::Not(part) => !part.fits(facts),
            Self::Present(attribute) => match attribute {
                Attribute::ExternalId => facts.external_id.is_some(),
                _ => true,
            },
            Self::Compare(attribute, operator, value) => compare(*attribute, *operator, value, facts),
        }
    }
}

fn compare(attribute: Attribute, operator: Operator, value: &Value, facts: &Facts<'_>) -> bool {
    let (held, exact) = match attribute {
        Attribute::Active => {
            let same = *value == Value::Flag(facts.active);
            return if operator == Operator::Ne { !same } else { same };
        }
        Attribute::Id => (Some(facts.id), true),
        Attribute::UserName => (Some(facts.user_name), false),
        Attribute::ExternalId => (facts.external_id, true),
        Attribute::DisplayName => (Some(facts.display_name), false),
    };
    let form = |text: &str| if exact { text.to_owned() } else { text.to_lowercase() };
    match (held, value) {
        (Some(held), Value::Text(wanted)) => {
            let (held, wanted) = (form(held), form(wanted));
            match operator {
                Operator::Eq => held == wanted,
                Operator::Ne => held != wanted,
                Operator::Co => held.contains(&wanted),
                Operator::Sw => held.starts_with(&wanted),
                Operator::Ew => held.ends_with(&wanted),
            }
        }
        (None, Value::Null) => operator == Operator::Eq,
        _ => operator == Operator::Ne,
    }
}

pub(super) fn refused(detail: &'static str) -> ScimError {
    ScimError::bad(ScimType::InvalidFilter, detail)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Takes a word if it comes next and ends there, whatever its case.
    fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let Some((head, tail)) = self.rest.split_at_checked(word.len()) else { return false };
        let ends = tail.chars().next().is_none_or(|next| !next.is_ascii_alphanumeric());
        let found = head.eq_ignore_ascii_case(word) && ends;
        if found {
            self.rest = tail;
        }
        found
    }

    fn sign(&mut self, sign: char) -> bool {
        self.skip_space();
        let tail = self.rest.strip_prefix(sign);
        self.rest = tail.unwrap_or(self.rest);
        tail.is_some()
    }

    fn any(&mut self) -> Result<Filter, ScimError> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, ScimError> {
        let mut parts = vec![self.one()?];
        while self.word("and") {
            parts.push(self.one()?);
        }
        Ok(single(parts, Filter::All))
    }

    fn one(&mut self) -> Result<Filter, ScimError> {
        let not = self.word("not");
        if self.sign('(') {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(refused("the filter is nested deeper than 16"));
            }
            let inner = self.any()?;
            if !self.sign(')') {
                return Err(refused("a parenthesis is not closed"));
            }
            self.depth -= 1;
            return Ok(if not { Filter::Not(Box::new(inner)) } else { inner });
        }
        if not {
            return Err(refused("`not` needs parentheses"));
        }
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(refused("the filter has more than 64 comparisons"));
        }
        let attribute = self.attribute()?;
        if self.word("pr") {
            return Ok(Filter::Present(attribute));
        }
        let operators = [
            ("eq", Operator::Eq),
            ("ne", Operator::Ne),
            ("co", Operator::Co),
            ("sw", Operator::Sw),
            ("ew", Operator::Ew),
        ];
        let operator = operators.into_iter().find(|(word, _)| self.word(word)).map(|(_, operator)| operator);
        let operator = operator.ok_or_else(|| refused("the comparison must be eq, ne, co, sw, ew or pr"))?;
        let value = self.value()?;
        let fits = match (attribute, &value) {
            (Attribute::Active, Value::Flag(_)) => matches!(operator, Operator::Eq | Operator::Ne),
            (Attribute::Active, _) | (_, Value::Flag(_)) => false,
            (_, Value::Null) => matches!(operator, Operator::Eq | Operator::Ne),
            (_, Value::Text(_)) => true,
        };
        if fits {
            Ok(Filter::Compare(attribute, operator, value))
        } else {
            Err(refused("the value does not fit the attribute and the comparison"))
        }
    }

    fn attribute(&mut self) -> Result<Attribute, ScimError> {
        self.skip_space();
        let end = self.rest.find([' ', '(', ')', '"', '[']).unwrap_or(self.rest.len());
        let (name, tail) = self.rest.split_at_checked(end).ok_or_else(|| refused("an attribute is missing"))?;
        let attribute = attribute(name).ok_or_else(|| {
            refused("filters name id, userName, externalId, displayName and active, and nothing else")
        })?;
        self.rest = tail;
        Ok(attribute)
    }

    fn value(&mut self) -> Result<Value, ScimError> {
        self.skip_space();
        for (word, value) in [("true", Value::Flag(true)), ("false", Value::Flag(false)), ("null", Value::Null)] {
            if self.word(word) {
                return Ok(value);
            }
        }
        if !self.rest.starts_with('"') {
            return Err(refused("the value must be a string in double quotes, true, false or null"));
        }
        // A JSON string: read as one, up to its closing quote.
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text = match values.next() {
            Some(Ok(text)) => text,
            _ => return Err(refused("the string in the filter does not end, or is no JSON string")),
        };
        self.rest = self.rest.get(values.byte_offset()..).unwrap_or_default();
        Ok(Value::Text(text))
    }
}

/// The attribute of this name, with or without the schema before it (RFC 7644, section 3.10).
pub(super) fn attribute(name: &str) -> Option<Attribute> {
    let schema = super::USER_SCHEMA;
    let name = match name.get(..schema.len()) {
        Some(head) if head.eq_ignore_ascii_case(schema) => name.get(schema.len()..)?.strip_prefix(':')?,
        _ => name,
    };
    let names = [
        ("id", Attribute::Id),
        ("username", Attribute::UserName),
        ("externalid", Attribute::ExternalId),
        ("displayname", Attribute::DisplayName),
        ("active", Attribute::Active),
    ];
    let name = name.to_ascii_lowercase();
    names.into_iter().find(|(known, _)| *known == name).map(|(_, attribute)| attribute)
}

fn single(mut parts: Vec<Filter>, of: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            of(parts)
        }
        (_, None) => of(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FACTS: Facts<'_> = Facts {
        id: "a1",
        user_name: "z.aubrac@hospital.example",
        external_id: Some("HR-7"),
        display_name: "Dr Zélie \"Z\" Aubrac",
        active: true,
    };

    #[test]
    fn filters_of_the_rfc_find_what_they_say() {
        for (filter, fits) in [
            ("userName eq \"Z.Aubrac@hospital.example\"", true),
            ("userName Eq \"other\"", false),
            ("USERNAME sw \"z.\"", true),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"Z.\"", true),
            ("externalId eq \"HR-7\"", true),
            ("externalId eq \"hr-7\"", false),
            ("externalId eq null", false),
            ("externalId pr", true),
            ("not (externalId pr)", false),
            ("active eq true", true),
            ("active ne true", false),
            ("displayName co \"\\\"z\\\"\"", true),
            ("id ne \"a1\" or userName ew \".example\" and active eq true", true),
            ("(id ne \"a1\" or userName ew \".example\") and active eq false", false),
            ("(userName sw \"z\" and (active eq true))", true),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().fits(&FACTS), fits, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "",
            "userName",
            "userName eq",
            "userName eq x",
            "userName eq \"x",
            "userName eq \"x\" and",
            "userName eq \"x\" active eq true",
            "(userName eq \"x\"",
            "userName eq \"x\")",
            "not userName eq \"x\"",
            "userName gt \"x\"",
            "userName eq true",
            "active eq \"true\"",
            "active co true",
            "emails[type eq \"work\"]",
            "emails.value eq \"x\"",
            "password eq \"x\"",
            "userName eq \"\\ud800\"",
            "é eq \"x\"",
        ] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
        let deep = format!("{}id pr{}", "(".repeat(17), ")".repeat(17));
        assert!(Filter::parse(&deep).is_err());
        assert!(Filter::parse(&deep[1..deep.len() - 1]).is_ok());
        assert!(Filter::parse(&vec!["id pr"; 65].join(" or ")).is_err());
        assert!(Filter::parse(&vec!["id pr"; 64].join(" or ")).is_ok());
        assert!(Filter::parse(&format!("id eq \"{}\"", "x".repeat(2000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-zA-Z ()\"\\\\é\\[\\].:]{0,60}") {
            if let Ok(filter) = Filter::parse(&text) {
                prop_assert_eq!(filter.fits(&FACTS), Filter::parse(&text).unwrap().fits(&FACTS));
            }
        }
    }
}
