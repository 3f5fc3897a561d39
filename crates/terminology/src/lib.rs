//! Code systems, value sets and concept maps: expansion, lookup, validation of codes, subsumption, translation. No I/O.
