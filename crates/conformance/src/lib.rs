//! Profiles: packages of definitions, snapshots, and validation of a resource against them. No I/O.
