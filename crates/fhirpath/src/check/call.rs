//! What functions take and give.

use super::kinds::{Kind, Kinds};
use super::{Checker, Result, kinds, narrow};
use crate::error::SemanticError;
use crate::function::Function;
use crate::model::{NodeType, SystemType, TypeName};
use crate::syntax::Call;

impl Checker<'_> {
    /// What a function of `focus` gives where it is called with `$this` being one of `this`.
    pub(super) fn call(&self, call: &Call, focus: &Kinds, this: &Kinds) -> Result<Kinds> {
        use Function as F;
        let at = call.function.name();
        // These evaluate their arguments on the items, the others where they are called.
        let on_items = matches!(
            call.function,
            F::Where | F::Select | F::All | F::Exists | F::Repeat | F::Iif | F::Aggregate | F::Sort | F::Trace
        );
        if call.function == F::Iif {
            return self.iif(call, focus);
        }
        if call.function == F::Repeat {
            // What the projection gives is what it is evaluated on next: only the first round is known.
            let first = call.args.first().map(|projection| self.expr(projection, focus)).transpose()?;
            return Ok(Kinds::any_like(&first.unwrap_or_else(Kinds::any)));
        }
        let mut arguments = Vec::with_capacity(call.args.len());
        for (index, argument) in call.args.iter().enumerate() {
            let on_item = on_items && (index == 0 && call.function != F::Trace || call.function == F::Sort)
                || index == 1 && call.function == F::Trace;
            arguments.push(self.expr(argument, if on_item { focus } else { this })?);
        }
        let argument = || arguments.first().cloned().unwrap_or_else(Kinds::any);
        let text = || Kinds::system(SystemType::String);
        Ok(match call.function {
            F::Where => match call.args.first() {
                Some(criteria) => narrow(criteria, focus, true)?,
                None => focus.clone(),
            },
            F::Select => Kinds { ordered: focus.ordered, ..argument() },
            F::OfType | F::As => focus.narrowed(call.type_name.unwrap_or(TypeName::Unknown), true, true)?,
            F::Is => {
                kinds::check_name(call.type_name.unwrap_or(TypeName::Unknown))?;
                Kinds::system(SystemType::Boolean)
            }
            F::First | F::Last | F::Tail | F::Skip | F::Take => {
                self.in_order(focus, at)?;
                focus.clone()
            }
            F::Single | F::Distinct | F::Intersect | F::Exclude | F::Trace | F::CheckModifiers | F::DefineVariable => {
                focus.clone()
            }
            F::Sort => Kinds { ordered: true, ..focus.clone() },
            F::Union | F::Combine => focus.merged(&argument()),
            F::Children | F::Descendants => Kinds { ordered: false, ..Kinds::any() },
            F::Extension => match NodeType::find("Extension") {
                Some(kind) => Kinds { ordered: focus.ordered, ..Kinds::of([Kind::Node(kind)]) },
                None => Kinds::any(),
            },
            F::ToString => {
                if focus.cannot_be(Kind::has_text) {
                    return Err(SemanticError::Type { at });
                }
                text()
            }
            F::IndexOf
            | F::LastIndexOf
            | F::Substring
            | F::StartsWith
            | F::EndsWith
            | F::Contains
            | F::Upper
            | F::Lower
            | F::Replace
            | F::Matches
            | F::MatchesFull
            | F::ReplaceMatches
            | F::Length
            | F::ToChars
            | F::Encode
            | F::Decode
            | F::Escape
            | F::Unescape
            | F::Trim
            | F::Split => {
                if focus.cannot_be(Kind::is_text) {
                    return Err(SemanticError::Type { at });
                }
                match call.function {
                    F::IndexOf | F::LastIndexOf | F::Length => Kinds::system(SystemType::Integer),
                    F::StartsWith | F::EndsWith | F::Contains | F::Matches | F::MatchesFull => {
                        Kinds::system(SystemType::Boolean)
                    }
                    _ => text(),
                }
            }
            F::Join => text(),
            F::Count => Kinds::system(SystemType::Integer),
            F::ToInteger => Kinds::system(SystemType::Integer),
            F::ToDecimal => Kinds::system(SystemType::Decimal),
            F::ToDate | F::Today => Kinds::system(SystemType::Date),
            F::ToDateTime | F::Now => Kinds::system(SystemType::DateTime),
            F::ToTime | F::TimeOfDay => Kinds::system(SystemType::Time),
            F::ToQuantity => Kinds::system(SystemType::Quantity),
            F::Empty
            | F::Exists
            | F::All
            | F::AllTrue
            | F::AnyTrue
            | F::AllFalse
            | F::AnyFalse
            | F::SubsetOf
            | F::SupersetOf
            | F::IsDistinct
            | F::Not
            | F::HasValue
            | F::ToBoolean
            | F::ConvertsToBoolean
            | F::ConvertsToInteger
            | F::ConvertsToDecimal
            | F::ConvertsToDate
            | F::ConvertsToDateTime
            | F::ConvertsToTime
            | F::ConvertsToQuantity
            | F::ConvertsToString
            | F::Comparable
            | F::ConformsTo
            | F::MemberOf
            | F::HtmlChecks => Kinds::system(SystemType::Boolean),
            _ => Kinds::any(),
        })
    }

    fn iif(&self, call: &Call, focus: &Kinds) -> Result<Kinds> {
        let Some(criterion) = call.args.first() else { return Ok(Kinds::any()) };
        if self.expr(criterion, focus)?.cannot_be(Kind::is_boolean) {
            return Err(SemanticError::Type { at: "iif" });
        }
        let mut found = Kinds::none();
        for (place, truth) in [(1, true), (2, false)] {
            if let Some(branch) = call.args.get(place) {
                found = found.merged(&self.expr(branch, &narrow(criterion, focus, truth)?)?);
            }
        }
        Ok(found)
    }
}
