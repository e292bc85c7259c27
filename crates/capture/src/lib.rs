//! What a journal's records say: an exchange's beginning, its bytes in both directions, its end.
//!
//! Both planes write with it, whoever assembles exchanges reads with it. It knows the journal; it knows neither HTTP
//! servers nor SQLite.
//!
//! ```text
//!  a plane                                   a journal's folder                       a reader
//!  Recorder ── begin ───────────┐
//!           ── request_bytes ───┼─ flush ──▶ begun · request bytes        ──▶ decode ──▶ Entry
//!           ── response_head ───┤            (before they go to the server)
//!           ── response_bytes ──┼─ flush ──▶ response head · bytes · ended
//!           ── end ─────────────┘            (before they go to the client)
//! ```
//!
//! **A payload.** Begun, response head and ended: a version, then fields. A field is its tag and type in one byte, then
//! a varint, or a varint length and so many bytes; who does not know a tag skips it. Bytes of a body: a varint (µs since
//! the exchange began), then the bytes as they were, free of transfer coding, in pieces that each fit a frame.
//!
//! **What never enters.** Of the headers only those that [`Header`] lists; no credential, no cookie, no query string.
//! Bodies enter as they are, up to a bound.
//!
//! **Who died.** An exchange without an end whose segment's writer is not the one that writes now, or whose folder nobody
//! writes, was interrupted: the journal tells both.

mod entry;
mod fields;
mod folder;

mod latency;
mod ledger;
mod recorder;
mod terms;

pub use entry::{BadEntry, Begun, Ended, Entry, Header, Headers, Outcome, Piece, Plane, ResponseHead, VERSION, decode};
pub use folder::{folder_names, folder_of};
pub use latency::{LATENCY_BOUNDS_NS, Latency};
pub use ledger::{Ledger, Statistics, new_id};
pub use recorder::{End, NotKept, Recorder};
pub use terms::{BODY_BYTES_MAX, Mode, Terms};

// What callers need of the journal itself.
pub use journal::{Error, ExchangeId, Kind, LossPolicy, Options, Reason, SyncPolicy};
