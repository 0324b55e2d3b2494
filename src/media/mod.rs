//! Files of messages, on their way between an account, this host and WhatsApp.
//!
//! A file is never whole in memory: it lies in a temporary file that has no name ([`spool`]) while it is on its way, and
//! on the [`shelf`] while it is kept. What is kept is the encrypted form, as WhatsApp keeps it ([`cipher`]); the key is
//! in the database, sealed, so that a shelf alone tells nothing, and whatever belonged to an erased instance is noise.
//! [`library`] puts them together for files that came in, [`mod@outgoing`] for those to send: [`fetch`] brings them from
//! addresses that callers name, [`sniff`] sees what they are; [`preview`] reads what a page says it is.

pub mod cipher;
pub mod fetch;
pub mod library;
pub mod outgoing;
pub mod preview;
pub mod shelf;
pub mod sniff;
pub mod spool;
pub mod upkeep;

/// How much of a file is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;
