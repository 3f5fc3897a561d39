//! Changes to a resource by patch: JSON Patch (RFC 6902) and FHIRPath Patch (FHIR R4). No I/O.
