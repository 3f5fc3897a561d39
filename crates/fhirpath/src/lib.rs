//! FHIRPath for R4 over raw JSON: expressions compiled once, evaluated many times. No I/O.
