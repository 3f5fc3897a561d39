//! `Patient/$match`: looking for a patient as the French rules for the national identity have it
//! (<https://hl7.org/fhir/R4/patient-operation-match.html>; Référentiel national d'identitovigilance, volet 1, EXI SI 01 and 02).
//!
//! A patient is found by a whole identifier, or by the birth date, narrowed if wished by the first letters, three at most, of a family
//! name or of the first given name. Nothing else finds a patient. What else is known of them says only how well those that were found
//! match, and takes nobody in.

mod grade;

pub use grade::{Graded, MatchGrade};

use crate::caller::Caller;
use crate::disclose::{Located, SHOWN_BYTES_MAX, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::index::Indexing;
use crate::search::{SearchEntry, SearchMode, query_text};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use grade::Traits;
use std::collections::BTreeMap;
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_policy::Act;
use tacet_search::Page;
use tacet_search::document::Key;
use tacet_search::request::{Handling, Scope, Total};
use tacet_types::{ResourceType, VersionId};

/// Most patients that one look-up may find before it is refused as too wide.
pub const MATCH_CANDIDATES_MAX: usize = 200;

/// Most patients that one look-up shows.
pub const MATCH_COUNT_MAX: usize = 50;

/// Patients that one look-up shows where it does not say.
const MATCH_COUNT_DEFAULT: usize = 10;

/// First letters of a name that a look-up goes by. The French rules have no search by more.
const NAME_LETTERS_MAX: usize = 3;

/// What finding a patient by the identifier, the family name and the given name counts for when it is chosen who is opened.
const BY_IDENTIFIER: u32 = 4;
const BY_FAMILY: u32 = 2;
const BY_GIVEN: u32 = 1;

/// A look-up as the server has it.
#[derive(Clone, Debug, Default)]
pub struct MatchCall {
    /// A Parameters resource with `resource`, `onlyCertainMatches` and `count`; or a Patient.
    pub body: Vec<u8>,
    /// `onlyCertainMatches`, where the body does not say.
    pub only_certain: Option<bool>,
    /// `count`, where the body does not say.
    pub count: Option<usize>,
    /// The address of this server, without `/` at the end.
    pub base_url: String,
}

/// What a look-up found.
pub struct MatchPage {
    /// The patients, the best first, each with [`SearchEntry::graded`].
    pub entries: Vec<SearchEntry>,
}

/// A look-up that was understood.
struct Asked {
    traits: Traits,
    only_certain: bool,
    count: usize,
}

impl Vault {
    /// Looks for a patient. Whoever is opened to be weighed is in the ledger, and so is a look-up that finds nobody.
    pub async fn match_patients(&self, caller: &Caller, call: &MatchCall) -> Result<MatchPage, VaultError> {
        if !caller.role.may_read_records() {
            return Err(VaultError::Forbidden);
        }
        let inner = &self.0;
        let asked = inner.asked(call)?;
        let (found, query) = inner.candidates(caller, &asked, &call.base_url)?;
        let mut located: Vec<Located> = Vec::new();
        for (key, version) in found {
            let there = inner.locate_version(key.resource_type, &key.id, version)?;
            located.extend(there.filter(|found| found.meta.method != Method::Delete));
        }
        if located.is_empty() {
            inner.disclose_nothing(caller, EventKind::Search, &query, Outcome::Success, None).await?;
            return Ok(MatchPage { entries: Vec::new() });
        }
        let shown = inner.disclose_all(caller, EventKind::Search, Some(&query), located).await?;
        if shown.cut.is_some() {
            return Err(VaultError::TooCostly {
                what: "bytes in the records of those who might be the one",
                max: SHOWN_BYTES_MAX,
            });
        }
        let mut entries = Vec::with_capacity(shown.disclosed.len());
        for (_, disclosed) in shown.disclosed {
            let graded = asked.traits.grade(&json::parse(&disclosed.body, &json_limits())?);
            entries.push(SearchEntry { disclosed, mode: SearchMode::Match, graded: Some(graded) });
        }
        // FHIR R4: who is certainly not the one is no match, and several who might be are none that is certain.
        let is = |entry: &SearchEntry, grade| entry.graded.is_some_and(|graded| graded.grade == grade);
        entries.retain(|entry| !is(entry, MatchGrade::CertainlyNot));
        if asked.only_certain {
            entries.retain(|entry| is(entry, MatchGrade::Certain));
            if entries.len() > 1 {
                entries.clear();
            }
        }
        let score = |entry: &SearchEntry| entry.graded.map_or(0.0, |graded| graded.score);
        entries.sort_by(|left, right| {
            let by_score = score(right).total_cmp(&score(left));
            by_score.then_with(|| left.disclosed.record.id.cmp(&right.disclosed.record.id))
        });
        entries.truncate(asked.count);
        Ok(MatchPage { entries })
    }
}

impl Inner {
    /// Understands a look-up.
    fn asked(&self, call: &MatchCall) -> Result<Asked, VaultError> {
        let body = json::parse(&call.body, &self.limits.json)?;
        let (mut patient, mut only_certain, mut count) = (None, call.only_certain, call.count);
        match body.resource_type() {
            Some("Patient") => patient = Some(&body),
            Some("Parameters") => {
                for (place, parameter) in body.get("parameter").map(Json::items).unwrap_or_default().iter().enumerate()
                {
                    let at = |what| refused(&format!("Parameters.parameter[{place}]"), what);
                    match parameter.get_str("name") {
                        Some("resource") if patient.is_none() => {
                            let given = parameter.get("resource").filter(|it| it.resource_type() == Some("Patient"));
                            patient = Some(given.ok_or_else(|| at("`resource` must hold a Patient"))?);
                        }
                        Some("onlyCertainMatches") => {
                            let given = parameter.get("valueBoolean").and_then(Json::as_bool);
                            only_certain = Some(given.ok_or_else(|| at("`onlyCertainMatches` must be a boolean"))?);
                        }
                        Some("count") => {
                            let given = parameter.get("valueInteger").and_then(Json::as_i64);
                            let given = given.and_then(|count| usize::try_from(count).ok());
                            count = Some(given.ok_or_else(|| at("`count` must be a number from 1"))?);
                        }
                        _ => return Err(at("only one `resource`, `onlyCertainMatches` and `count` are known here")),
                    }
                }
            }
            _ => {}
        }
        let patient =
            patient.ok_or_else(|| refused("Parameters", "a Patient is needed, in the parameter `resource`"))?;
        let count = count.unwrap_or(MATCH_COUNT_DEFAULT).min(MATCH_COUNT_MAX);
        if count == 0 {
            return Err(refused("Parameters", "`count` must be a number from 1"));
        }
        Ok(Asked { traits: Traits::asked(patient)?, only_certain: only_certain.unwrap_or(false), count })
    }

    /// Who may be meant, as the index knows: those to open, the most promising first; and how the ledger names the look-up.
    fn candidates(
        &self,
        caller: &Caller,
        asked: &Asked,
        base_url: &str,
    ) -> Result<(Vec<(Key, VersionId)>, String), VaultError> {
        let indexing = self.answering()?;
        let traits = &asked.traits;
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut searches = Vec::new();
        if !traits.identifiers.is_empty() {
            let all: Vec<String> = traits
                .identifiers
                .iter()
                .map(|(system, value)| format!("{}|{}", escaped(system), escaped(value)))
                .collect();
            searches.push((BY_IDENTIFIER, vec![pair("identifier", all.join(","))]));
        }
        if let Some(birth) = &traits.birth_date {
            let families: Vec<String> = traits.families.iter().filter_map(|name| first_letters(name)).collect();
            let given = traits.given.as_deref().and_then(first_letters);
            let names = [(BY_FAMILY, "family", families), (BY_GIVEN, "given", given.into_iter().collect())];
            let mut named = false;
            for (weight, name, values) in names {
                if !values.is_empty() {
                    named = true;
                    searches.push((weight, vec![pair("birthdate", birth.clone()), pair(name, values.join(","))]));
                }
            }
            if !named {
                searches.push((BY_FAMILY, vec![pair("birthdate", birth.clone())]));
            }
        }
        let mut weights: BTreeMap<Key, (u32, VersionId)> = BTreeMap::new();
        let mut said: Vec<(String, String)> = Vec::new();
        for (weight, parameters) in searches {
            for (key, version) in self.found_by(caller, indexing, &parameters, base_url)? {
                let known = weights.entry(key).or_insert((0, version));
                *known = (known.0.saturating_add(weight), version);
            }
            said.extend(parameters.into_iter().filter(|pair| !said.contains(pair)).collect::<Vec<_>>());
        }
        let mut found: Vec<(Key, (u32, VersionId))> = weights.into_iter().collect();
        found.sort_by_key(|(_, (weight, _))| std::cmp::Reverse(*weight));
        // Whether a match is certain is told by all that may be one; else no more are opened than are shown.
        let open = if asked.only_certain { MATCH_COUNT_MAX } else { asked.count };
        if asked.only_certain {
            found.retain(|(_, (weight, _))| *weight >= BY_FAMILY + BY_GIVEN);
            if found.len() > open {
                return Err(VaultError::TooCostly { what: "patients who might be the one", max: open });
            }
        }
        found.truncate(open);
        let query = query_text(&Scope::System, &said).replacen('?', "Patient/$match?", 1);
        Ok((found.into_iter().map(|(key, (_, version))| (key, version)).collect(), query))
    }

    fn found_by(
        &self,
        caller: &Caller,
        indexing: &Indexing,
        parameters: &[(String, String)],
        base_url: &str,
    ) -> Result<Vec<(Key, VersionId)>, VaultError> {
        let patient = ResourceType::parse("Patient").ok_or(VaultError::NotFound)?;
        // This is the look-up to which the settings hold everybody, so they do not hold it.
        let compiled =
            self.compile_any_search(indexing, &Scope::Type(patient), parameters, Handling::Strict, base_url)?;
        let compiled = self.for_caller(caller, Act::Read, compiled)?;
        let count = MATCH_CANDIDATES_MAX + 1;
        let page = Page { sort: Vec::new(), count, after: None, total: Total::None };
        let hits = self.ask_index(indexing, &compiled.request, &page)?;
        if hits.keys.len() > MATCH_CANDIDATES_MAX {
            return Err(VaultError::TooCostly { what: "patients who might be the one", max: MATCH_CANDIDATES_MAX });
        }
        Ok(hits.keys)
    }
}

/// The first letters of a name, as a value of a search; none of what has no letter.
fn first_letters(name: &str) -> Option<String> {
    let folded = tacet_fhir::search::fold(name);
    let letters: String = folded.chars().take(NAME_LETTERS_MAX).collect();
    let letters = letters.trim_end();
    letters.chars().any(char::is_alphanumeric).then(|| escaped(letters))
}

/// A text with what separates values of a search escaped (<https://hl7.org/fhir/R4/search.html#escaping>).
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        if matches!(char, '\\' | ',' | '|' | '$') {
            out.push('\\');
        }
        out.push(char);
        out
    })
}

fn refused(location: &str, message: &str) -> VaultError {
    VaultError::Search(vec![Issue::error(IssueType::Invalid, location, message)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_three_letters_of_a_name_are_looked_for() {
        for (name, letters) in [
            ("Ménard", Some("men")),
            ("Ly", Some("ly")),
            ("Œuvrard", Some("oeu")),
            ("De La Tour", Some("de")),
            ("a|b,c", Some("a\\|b")),
            ("  ", None),
            ("--", None),
            ("", None),
        ] {
            assert_eq!(first_letters(name).as_deref(), letters, "{name}");
        }
    }
}
