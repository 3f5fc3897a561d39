//! Values of token parameters.

use super::compile::Kind;
use super::{Token, TokenSystem, Value};
use crate::json::Json;

/// Gives the tokens of an element.
pub(super) fn tokens<'v>(kind: Kind, item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    let mut plain = |system, code| push(Value::Token(Token { system, code: Some(code), text: None }));
    match (kind, item) {
        (Kind::Boolean, Json::Bool(flag)) => plain(TokenSystem::Implied, if *flag { "true" } else { "false" }),
        (Kind::Code, Json::String(code)) if !code.is_empty() => plain(TokenSystem::Implied, code),
        (Kind::Text | Kind::Uri | Kind::Canonical | Kind::Date, Json::String(code)) if !code.is_empty() => {
            plain(TokenSystem::Absent, code);
        }
        (Kind::Number, Json::Number(number)) => plain(TokenSystem::Absent, number),
        (Kind::Coding, Json::Object(_)) => coding(item, push),
        (Kind::CodeableConcept, Json::Object(_)) => {
            item.get("coding").map(Json::items).unwrap_or_default().iter().for_each(|one| coding(one, push));
            if let Some(text) = text(item, "text") {
                push(Value::Token(Token { system: TokenSystem::Absent, code: None, text: Some(text) }));
            }
        }
        (Kind::Identifier, Json::Object(_)) => identifier(item, push),
        (Kind::ContactPoint, Json::Object(_)) => {
            if let Some(value) = text(item, "value") {
                push(Value::Token(Token { system: TokenSystem::Absent, code: Some(value), text: None }));
            }
        }
        _ => {}
    }
}

/// A string member that says something.
pub(super) fn text<'v>(item: &'v Json<'_>, name: &str) -> Option<&'v str> {
    item.get_str(name).filter(|text| !text.is_empty())
}

fn system<'v>(item: &'v Json<'_>) -> TokenSystem<'v> {
    text(item, "system").map_or(TokenSystem::Absent, TokenSystem::Uri)
}

fn coding<'v>(item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    let token = Token { system: system(item), code: text(item, "code"), text: text(item, "display") };
    if token.code.is_some() || token.text.is_some() || token.system != TokenSystem::Absent {
        push(Value::Token(token));
    }
}

fn identifier<'v>(item: &'v Json<'_>, push: &mut dyn FnMut(Value<'v>)) {
    let kind = item.get("type");
    let token =
        Token { system: system(item), code: text(item, "value"), text: kind.and_then(|kind| text(kind, "text")) };
    if token.code.is_some() || token.text.is_some() || token.system != TokenSystem::Absent {
        push(Value::Token(token));
    }
    let Some(value) = token.code else { return };
    for one in kind.and_then(|kind| kind.get("coding")).map(Json::items).unwrap_or_default() {
        if let Some(code) = text(one, "code") {
            push(Value::OfType { system: text(one, "system"), code, value });
        }
    }
}
