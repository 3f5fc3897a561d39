//! The authorization server of SMART App Launch.
