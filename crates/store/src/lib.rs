//! An ordered key-value store with atomic commits, preconditions and a change feed. See CONTRACT in the workspace notes.
