//! A transfer: summaries of patients in one file, signed by the hospital that sends them and sealed to the one that receives them.
//!
//! ```text
//! Manifest {who, to whom, when, until when, hashes} + parts ── signed (Ed25519) ── sealed (age, X25519) ──> file
//! file ── opened by the receiver's key ── signature of a sender that is known ── is it for us? still good? ── hashes ──> Transfer
//! ```
//!
//! Data in, bytes out: no I/O, no clock, no records. The layout is in `docs/formats/transfer.md`. What is read may be hostile: nothing of it is believed before the
//! signature of a known sender holds, and everything has a bound.

mod file;
mod keys;
mod manifest;
#[cfg(test)]
mod tests;

pub use file::{CONTENT_BYTES_MAX, FILE_BYTES_MAX, Opened, Summary, open, seal};
pub use keys::{HospitalKeys, PublicKey, Recipient};
pub use manifest::{Holder, Manifest, PATIENTS_MAX, Part, PatientParts, TEXT_BYTES_MAX};

/// Why a transfer cannot be made or opened. Says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It is longer than any transfer.
    #[error("this file is longer than the {FILE_BYTES_MAX} bytes that a transfer may have: send fewer patients in one")]
    TooLong,
    /// It is no file of age.
    #[error("this file is no transfer, or its beginning was changed")]
    NoTransfer,
    /// It is sealed to another key.
    #[error(
        "this transfer is sealed to another hospital's key: send the sender your key (`tacet transfer key`) and ask for a new file"
    )]
    NotForUs,
    /// Some byte is not what was written, or is missing.
    #[error("this transfer was changed or cut off on its way: ask the sender for it again")]
    Changed,
    /// The key that signed it is not among those that are known.
    #[error(
        "this transfer is signed by the key {key}, which is none of the known senders: compare it with the sender by telephone, then \
         add it to `[transfer.senders]`"
    )]
    UnknownSender {
        /// The key that the file names, in hexadecimal digits.
        key: PublicKey,
    },
    /// What it says of itself is not of the form.
    #[error(
        "this transfer was made by a program that does not keep to the format: ask the sender which version made it"
    )]
    Form,
    /// Its time is over.
    #[error("this transfer was to be taken until {until}: ask the sender for a new one")]
    Expired {
        /// Its last moment.
        until: tacet_types::Timestamp,
    },
    /// It was made later than now.
    #[error("this transfer is dated in the future: compare the clocks of both machines")]
    Early,
    /// The recipient is no key.
    #[error("a recipient is a key such as `age1…`, as `tacet transfer key` prints it at the receiving hospital")]
    Recipient,
    /// There is too much to write.
    #[error("a transfer has at most {max} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        max: usize,
    },
    /// It could not be sealed.
    #[error("the transfer could not be sealed")]
    Sealing(#[source] Box<dyn std::error::Error + Send + Sync>),
}
