//! Placeholder.
use tacet_fhir::search::ParameterId;
/// One key of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SortKey {
    /// By what.
    pub parameter: SortBy,
    /// Largest first.
    pub descending: bool,
}
/// What an order goes by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SortBy {
    /// When it was stored.
    LastUpdated,
    /// Logical id.
    Id,
    /// A parameter: its id for each type of the search.
    Parameter(Vec<ParameterId>),
}
/// Whether the number of all matches is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Total {
    /// No.
    None,
    /// If cheap.
    Estimate,
    /// Yes.
    Accurate,
}
