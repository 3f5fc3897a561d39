//! `CodeSystem/$subsumes` (<https://hl7.org/fhir/R4/codesystem-operation-subsumes.html>).

use crate::error::TerminologyError;
use crate::parameters::{Given, answer, parameter};
use crate::snapshot::Terminology;
use tacet_fhir::json::Json;

/// How code A relates to code B (R4 code system `concept-subsumption-outcome`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subsumption {
    /// They are the same.
    Equivalent,
    /// A is above B.
    Subsumes,
    /// A is below B.
    SubsumedBy,
    /// Neither is above the other.
    NotSubsumed,
}

impl Subsumption {
    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Subsumption::Equivalent => "equivalent",
            Subsumption::Subsumes => "subsumes",
            Subsumption::SubsumedBy => "subsumed-by",
            Subsumption::NotSubsumed => "not-subsumed",
        }
    }

    /// The `Parameters` that say it.
    pub fn to_parameters(self) -> Json<'static> {
        answer(vec![parameter("outcome", "valueCode", Json::from(self.as_str()))])
    }
}

/// System, version, and the two codes.
pub(super) type Request = (String, Option<String>, String, String);

pub(super) fn read(given: &Given<'_>, instance: Option<&Json<'_>>) -> Result<Request, TerminologyError> {
    let of_instance = |name| instance.and_then(|instance| instance.get_str(name)).map(str::to_owned);
    let mut system = of_instance("url").or(given.text("system")?);
    let mut version = of_instance("version").or(given.text("version")?);
    let mut side = |code: &str, coding: &str| -> Result<String, TerminologyError> {
        match (given.text(code)?, given.coding(coding)?) {
            (Some(code), None) => Ok(code),
            (None, Some(coding)) => {
                let other = coding.system.is_some() && system.is_some() && coding.system != system;
                if other {
                    return Err(TerminologyError::request("the codes are of different code systems"));
                }
                system = system.take().or(coding.system);
                version = version.take().or(coding.version);
                Ok(coding.code)
            }
            _ => Err(TerminologyError::request("give `codeA` and `codeB`, or `codingA` and `codingB`")),
        }
    };
    let (a, b) = (side("codeA", "codingA")?, side("codeB", "codingB")?);
    let system = system.ok_or_else(|| TerminologyError::request("name a code system: `system` is missing"))?;
    Ok((system, version, a, b))
}

impl Terminology {
    /// How code A relates to code B by the hierarchy of their system.
    ///
    /// # Errors
    /// The system, or one of the codes, is not known.
    pub fn subsumes(
        &self,
        system: &str,
        version: Option<&str>,
        a: &str,
        b: &str,
    ) -> Result<Subsumption, TerminologyError> {
        let found = self.system(system, version)?;
        let table = found.table();
        let concept = |code: &str| {
            table.find(code).ok_or_else(|| {
                TerminologyError::not_found(format!("code system `{system}` does not have one of the codes"))
            })
        };
        let (a, b) = (concept(a)?, concept(b)?);
        Ok(if a == b {
            Subsumption::Equivalent
        } else if table.is_above(a, b) {
            Subsumption::Subsumes
        } else if table.is_above(b, a) {
            Subsumption::SubsumedBy
        } else {
            Subsumption::NotSubsumed
        })
    }
}
