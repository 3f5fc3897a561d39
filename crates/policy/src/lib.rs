//! Who may see and change which record, and why. No I/O.
