//! HL7 version 2: messages of admissions, transfers and discharges (ADT) read from their text, made into FHIR transactions, and acknowledged.
//!
//! ```text
//! bytes ──decode──> text ──batch──> Message ──Adt──> keys ──(what the store has)──> transaction Bundle
//!                                      └────────────── Answer ──> ACK
//! ```
//!
//! No I/O, no store, no clock. What it is not: a reader of all of version 2. It takes the vertical-bar form (ER7) of versions 2.3 to 2.8 and maps
//! the events that say where a patient is.
//!
//! HL7 v2.5.1, chapters 2 (control) and 3 (patient administration); <https://www.hl7.eu/HL7v2x/v251/std251/hl7.html>.

mod ack;
mod adt;
mod batch;
mod decode;
mod escape;
mod message;
mod patch;
mod person;
mod settings;
mod stay;
mod time;

pub use ack::{Answer, Code, acknowledge, acknowledge_unreadable};
pub use adt::{Adt, Existing, Key, MapError, Trigger};
pub use batch::{MESSAGES_MAX, messages};
pub use decode::{DecodeError, decode};
pub use message::{Field, MESSAGE_BYTES_MAX, Message, PARTS_MAX, ParseError, REPETITIONS_MAX, SEGMENTS_MAX, Segment};
pub use settings::Settings;
pub use time::{Moment, TimeError};
