//! What anybody can make this engine do at most.

/// Most codes in one expansion. LOINC has some 110,000 and the French ICD-10 some 43,000.
pub const EXPANSION_CODES_MAX: usize = 250_000;

/// Most concepts looked at to make one expansion, nested value sets included: whoever writes a thousand includes of a
/// large system gets an error and not the processor.
pub const EXPANSION_STEPS_MAX: usize = 8_000_000;

/// Most value sets inside one another.
pub const VALUE_SET_NESTING_MAX: usize = 32;

/// Most codes that the expansions kept in a snapshot hold together, at 12 bytes or more each.
pub const CACHED_CODES_MAX: usize = 2_000_000;

/// Most expansions kept in a snapshot.
pub const CACHED_EXPANSIONS_MAX: usize = 4_096;

/// Most concepts in one code system. SNOMED CT has some 360,000 active ones.
pub const SYSTEM_CONCEPTS_MAX: usize = 2_000_000;

/// Most text in one code system (codes, displays, definitions, values of properties), in bytes.
pub const SYSTEM_TEXT_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Longest regular expression of a filter, in bytes.
pub const REGEX_BYTES_MAX: usize = 1_000;

/// Largest program a regular expression may compile to, in bytes. Matching is linear in the text, whatever it says.
pub const REGEX_PROGRAM_BYTES_MAX: usize = 256 * 1024;

/// Most codes in a list filter (`in`, `not-in`).
pub const LIST_ITEMS_MAX: usize = 10_000;

/// Most codes on one page of an expansion when nobody asks for fewer. Larger expansions are asked for by page.
pub const EXPANSION_PAGE_CODES_MAX: usize = 50_000;

/// Most elements of a concept map that are looked at to answer one translation.
pub const TRANSLATION_MATCHES_MAX: usize = 1_000;

/// Most codings of one CodeableConcept that are looked at.
pub const CONCEPT_CODINGS_MAX: usize = 100;

/// Most concept maps that are tried for one translation, `unmapped` ones included.
pub const MAPS_TRIED_MAX: usize = 64;
