//! What one search may ask for.

/// Bounds of one search. What is beyond is refused with the name of the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryLimits {
    /// Bytes of all names and values together, decoded.
    pub bytes_max: usize,
    /// Parameters of one call.
    pub parameters_max: usize,
    /// Alternatives of one parameter (`a,b,c`).
    pub values_max: usize,
    /// References that one parameter follows, forward and backward.
    pub chain_depth_max: usize,
    /// Nesting of `_filter`: parentheses, `not` and brackets.
    pub filter_nesting_max: usize,
    /// Conditions that the whole search becomes, with all types that a chain may go over.
    pub conditions_max: usize,
    /// `_include` and `_revinclude` together.
    pub includes_max: usize,
    /// Keys of `_sort`.
    pub sort_keys_max: usize,
    /// Names in `_elements`.
    pub elements_max: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 10,
            parameters_max: 100,
            values_max: 1000,
            chain_depth_max: 5,
            filter_nesting_max: 8,
            conditions_max: 5000,
            includes_max: 50,
            sort_keys_max: 8,
            elements_max: 200,
        }
    }
}
