//! Accounts, passkeys, sessions, second persons.
