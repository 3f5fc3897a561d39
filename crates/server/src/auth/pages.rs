//! The pages for people: plain HTML, one stylesheet and one script of our own, nothing from elsewhere.

use super::words::Words;
use crate::reply::Reply;
use hyper::StatusCode;
use hyper::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS};
use std::fmt::Write;
use tacet_smart::{Consent, PatientNeed};
use tacet_types::escaped_html as escaped;

/// The script of the pages.
pub(super) const SCRIPT: &str = include_str!("files/pages.js");

/// The script of the page of consent.
pub(super) const CONSENT_SCRIPT: &str = include_str!("files/consent.js");

/// Their stylesheet.
pub(super) const STYLE: &str = include_str!("files/pages.css");

/// What a page may do: its own script and style, requests and forms to this server, and no place in another's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A page. `data`: attributes of `main`, for the script.
fn page(status: StatusCode, words: &Words, prefix: &str, title: &str, data: &[(&str, &str)], body: &str) -> Reply {
    let mut attributes = String::new();
    for (name, value) in data {
        let _ = write!(attributes, " data-{name}=\"{}\"", escaped(value));
    }
    let script = if data.contains(&("page", "consent")) { "consent.js" } else { "pages.js" };
    let html = format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <link rel=\"stylesheet\" href=\"{prefix}/auth/files/pages.css\">\
         <script src=\"{prefix}/auth/files/{script}\" defer></script></head>\
         <body><main data-base=\"{prefix}\"{attributes}><h1>{title}</h1>\n{body}\n\
         <p role=\"status\" aria-live=\"polite\"></p></main></body></html>\n",
        lang = words.lang,
        title = escaped(title),
        prefix = escaped(prefix),
    );
    shown(Reply::text(status, HTML, html), words)
}

/// Puts on what every page wears. `same-origin`: the codes in an address go to nobody else, and our own forms say where they come from.
fn shown(reply: Reply, words: &Words) -> Reply {
    reply
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, HeaderValue::from_static("same-origin"))
        .header(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"))
        .header(CONTENT_LANGUAGE, HeaderValue::from_static(words.lang))
}

/// Where people show their passkey. `next`: where they were going.
pub(super) fn login(
    words: &Words,
    prefix: &str,
    next: &str,
    fresh: bool,
    known: Option<&str>,
    providers: &[(&str, &str)],
) -> Reply {
    let mut body = String::new();
    if let Some(name) = known {
        let _ = write!(
            body,
            "<p>{} <strong>{}</strong></p>\
             <label for=\"label\">{}</label><input type=\"text\" id=\"label\" maxlength=\"60\" autocomplete=\"off\">\
             <button id=\"further\" type=\"button\">{}</button><button id=\"logout\" type=\"button\">{}</button>",
            words.known,
            escaped(name),
            words.label,
            words.further,
            words.logout
        );
    }
    if known.is_none() || fresh {
        let _ =
            write!(body, "<p>{}</p><button id=\"login\" type=\"button\" autofocus>{}</button>", words.ask, words.login);
        for (id, name) in providers {
            let _ = write!(
                body,
                "<form method=\"post\" action=\"{}/auth/foreign/start\"><input type=\"hidden\" name=\"provider\" value=\"{}\">\
                 <input type=\"hidden\" name=\"next\" value=\"{}\"><button>{} {}</button></form>",
                escaped(prefix),
                escaped(id),
                escaped(next),
                words.elsewhere,
                escaped(name)
            );
        }
    }
    let data = [
        ("page", "login"),
        ("next", next),
        ("fresh", if fresh { "yes" } else { "" }),
        ("known", if known.is_some() { "yes" } else { "" }),
        ("working", words.working),
        ("failed", words.failed),
        ("locked", words.locked),
        ("done", words.done),
    ];
    page(StatusCode::OK, words, prefix, words.login_title, &data, &body)
}

/// Where people get their first passkey.
pub(super) fn enrol(words: &Words, prefix: &str) -> Reply {
    let body = format!(
        "<p>{}</p>\
         <label for=\"first\">{}</label><input type=\"text\" id=\"first\" autocomplete=\"off\" spellcheck=\"false\">\
         <label for=\"second\">{}</label><input type=\"text\" id=\"second\" autocomplete=\"off\" spellcheck=\"false\">\
         <label for=\"label\">{}</label><input type=\"text\" id=\"label\" maxlength=\"60\" autocomplete=\"off\" value=\"{}\">\
         <button id=\"enrol\" type=\"button\">{}</button>",
        words.enrol_ask, words.first, words.second, words.label, words.label_default, words.enrol
    );
    let data = [
        ("page", "enrol"),
        ("working", words.working),
        ("failed", words.failed),
        ("locked", words.locked),
        ("done", words.done),
    ];
    page(StatusCode::OK, words, prefix, words.enrol_title, &data, &body)
}

/// Where people decide what an app is given.
pub(super) fn consent(words: &Words, prefix: &str, consent: &Consent, who: &str) -> Reply {
    let mut body = format!(
        "<p>{} <strong>{}</strong></p><p><strong>{}</strong> {} <code>{}</code></p>\
         <form method=\"post\" action=\"{}/oauth/consent\"><input type=\"hidden\" name=\"ticket\" value=\"{}\">\
         <fieldset><legend>{}</legend>",
        words.known,
        escaped(who),
        escaped(&consent.client_name),
        words.app_asks,
        escaped(&consent.redirect_host),
        escaped(prefix),
        escaped(&consent.ticket),
        words.scopes
    );
    for (number, scope) in consent.scopes.iter().enumerate() {
        let _ = write!(
            body,
            "<label class=\"choice\"><input type=\"checkbox\" name=\"scope{number}\" value=\"{0}\" checked>\
             <span>{1}<code>{0}</code></span></label>",
            escaped(scope),
            words.scope(scope)
        );
    }
    body.push_str("</fieldset>");
    match &consent.patient {
        PatientNeed::None => {}
        PatientNeed::Known(patient) => {
            let id = escaped(patient.as_str());
            let _ = write!(body, "<p>{} <span data-patient=\"{id}\"><code>{id}</code></span></p>", words.patient);
            if consent.encounter {
                let _ = write!(body, "<input type=\"hidden\" name=\"patient\" value=\"{id}\">");
            }
        }
        PatientNeed::OneOf(patients) => {
            let _ = write!(body, "<fieldset><legend>{}</legend>", words.patient);
            for patient in patients {
                let _ = write!(
                    body,
                    "<label class=\"choice\"><input type=\"radio\" name=\"patient\" required value=\"{0}\">\
                     <span data-patient=\"{0}\"><code>{0}</code></span></label>",
                    escaped(patient.as_str())
                );
            }
            body.push_str("</fieldset>");
        }
        PatientNeed::Any => {
            // Looking is the script's: without it only the id can be typed.
            let _ = write!(
                body,
                "<fieldset><legend>{}</legend><div id=\"finding\" hidden>\
                 <label for=\"search\">{}</label>\
                 <input type=\"text\" id=\"search\" maxlength=\"100\" autocomplete=\"off\" spellcheck=\"false\">\
                 <label for=\"born\">{}</label><input type=\"date\" id=\"born\">\
                 <button id=\"find\" type=\"button\">{}</button>\
                 <div id=\"found\" role=\"radiogroup\" aria-label=\"{}\"></div></div>\
                 <label for=\"patient\">{}</label><input type=\"text\" id=\"patient\" name=\"patient\" maxlength=\"64\" \
                 autocomplete=\"off\" spellcheck=\"false\"></fieldset>",
                words.patient, words.search, words.born, words.find, words.patient, words.patient_id
            );
        }
    }
    if consent.encounter && consent.patient != PatientNeed::None {
        let _ = write!(
            body,
            "<fieldset><legend>{0}</legend><div id=\"encounters\" role=\"radiogroup\" aria-label=\"{0}\"></div></fieldset>",
            words.encounter
        );
    }
    let _ = write!(
        body,
        "<button id=\"allow\" name=\"decision\" value=\"allow\">{}</button>\
         <button id=\"deny\" name=\"decision\" value=\"deny\">{}</button></form>",
        words.allow, words.deny
    );
    let data = [
        ("page", "consent"),
        ("working", words.working),
        ("failed", words.failed_to_look),
        ("nobody", words.nobody),
        ("more", words.more),
        ("narrow", words.narrow),
        ("none", words.none),
        ("male", words.male),
        ("female", words.female),
    ];
    page(StatusCode::OK, words, prefix, words.consent_title, &data, &body)
}

/// Sends the browser on with a page instead of a redirect: a browser counts a redirect after a form as part of it, which the page's
/// policy keeps to this server.
pub(super) fn onward(words: &Words, prefix: &str, url: &str) -> Reply {
    let body = format!("<p><a class=\"button\" href=\"{}\" rel=\"noreferrer\">{}</a></p>", escaped(url), words.back);
    page(StatusCode::OK, words, prefix, words.back, &[("page", "onward")], &body).header(
        hyper::header::REFRESH,
        HeaderValue::try_from(format!("0;url={url}")).unwrap_or(HeaderValue::from_static("")),
    )
}

/// Says what is wrong.
pub(super) fn error(words: &Words, prefix: &str, status: StatusCode, what: &str) -> Reply {
    let body = format!("<p>{}</p><p>{}</p>", escaped(what), words.again);
    page(status, words, prefix, words.error_title, &[("page", "error")], &body)
}
