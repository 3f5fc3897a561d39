//! The operations of R4's terminology service, each as a plain function over a typed request, and all of them by name for
//! whoever speaks HTTP.

mod expand;
mod lookup;
mod subsumes;
mod translate;
mod validate;

use crate::error::TerminologyError;
use crate::parameters::{Given, Input};
use crate::snapshot::Terminology;
use tacet_fhir::json::Json;
use tacet_types::{Clock, Rng};

pub use expand::Expand;
pub use lookup::Lookup;
pub use subsumes::Subsumption;
pub use translate::{Translate, Translation};
pub use validate::{ValidateCode, Validation, Within};

/// Which type of resource an operation is called on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// CodeSystem: `$lookup`, `$validate-code`, `$subsumes`.
    CodeSystem,
    /// ValueSet: `$expand`, `$validate-code`.
    ValueSet,
    /// ConceptMap: `$translate`.
    ConceptMap,
}

/// A call of an operation, as it came over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// Its name, with or without `$`.
    pub name: &'a str,
    /// The type it is called on.
    pub kind: Kind,
    /// What it is given.
    pub input: Input<'a>,
    /// The resource it is called on, where it is called on one and not on the type.
    pub instance: Option<&'a Json<'a>>,
}

/// Where an expansion's time and identifier come from.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The time.
    pub clock: &'a dyn Clock,
    /// The randomness of identifiers.
    pub rng: &'a dyn Rng,
}

impl Terminology {
    /// Carries out an operation. The answer is a ValueSet for `$expand` and `Parameters` for the others.
    ///
    /// `$closure` and `$find-matches` are not done.
    ///
    /// # Errors
    /// Everything an operation may fail with; an operation or parameter that is not done is
    /// [`NotSupported`](crate::ErrorKind::NotSupported).
    pub fn operation(&self, call: &Operation<'_>, moment: Moment<'_>) -> Result<Json<'static>, TerminologyError> {
        let given = Given::read(call.input)?;
        match (call.name.trim_start_matches('$'), call.kind) {
            ("expand", Kind::ValueSet) => self.expand(&Expand::read(&given, call.instance)?, moment),
            ("validate-code", Kind::ValueSet | Kind::CodeSystem) => {
                Ok(self.validate_code(&ValidateCode::read(&given, call.kind, call.instance)?)?.to_parameters())
            }
            ("lookup", Kind::CodeSystem) => self.lookup(&Lookup::read(&given, call.instance)?),
            ("subsumes", Kind::CodeSystem) => {
                let (system, version, a, b) = subsumes::read(&given, call.instance)?;
                Ok(self.subsumes(&system, version.as_deref(), &a, &b)?.to_parameters())
            }
            ("translate", Kind::ConceptMap) => {
                Ok(self.translate(&Translate::read(&given, call.instance)?)?.to_parameters())
            }
            _ => Err(TerminologyError::not_supported("this operation is not supported on this type of resource")),
        }
    }
}
