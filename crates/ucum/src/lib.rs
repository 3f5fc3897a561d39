//! Units of measure (UCUM): reading a unit code, and taking an amount to base units so that amounts compare.
