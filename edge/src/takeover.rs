//! One edge takes over from another: a new version, or new flags, and no client notices.
//!
//! ```text
//!  predecessor                        DIR/takeover.sock (0600, in the 0700 state folder)               successor
//!   serves                ◀── hello ────────────────────────────────────────────────────────── reads its configuration
//!   serves                ─── offer, and the listening sockets (SCM_RIGHTS) ─────────────────▶ loads keys, certificates
//!   serves                ◀── ready ────────────────────────────────────────────────────────── could serve
//!   lets the state folder go ─ released, and the slots it holds ─────────────────────────────▶ locks it, reads, serves
//!   stops accepting       ◀── serving ──────────────────────────────────────────────────────── is the edge from here on
//!   finishes its streams  ─── owed: tokens, slots ──▶ ◀── noted ─────────────────────────────  counts them as its own
//!   ends                      twice a second, and once at its end
//! ```
//!
//! Owns the order of these steps and the wire between the two. Refuses peers of another user and other versions of the
//! wire. Invariants: until `serving` the predecessor serves, whatever becomes of the successor; the listening sockets are
//! open in one of the two at every moment; the state folder has one writer; each token is counted once.

mod doors;
mod estate;
mod giver;
mod line;
mod message;
mod remitter;
mod taker;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use doors::Sockets;
pub(crate) use doors::{Door, Doors, Role};
pub(crate) use estate::Estate;
pub(crate) use giver::Giver;
pub(crate) use remitter::Remitter;
pub use taker::Predecessor;

/// Where a successor knocks, in the state folder.
const SOCKET: &str = "takeover.sock";

fn socket_of(state: &Path) -> PathBuf {
    state.join(SOCKET)
}

/// Why an edge cannot take over. The one that runs goes on.
#[derive(Debug)]
pub enum TakeoverError {
    /// Without a state folder there is no place to meet.
    NoState,
    /// Nobody answers there.
    Nobody { path: PathBuf, error: io::Error },
    /// Whoever answers is another user's process.
    Stranger { path: PathBuf, uid: u32 },
    /// It said no.
    Refused(String),
    /// It speaks another version of the hand-over.
    Version { theirs: u32 },
    /// The connection broke or said what makes no sense.
    Broken { step: &'static str, error: io::Error },
}

impl fmt::Display for TakeoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState => f.write_str(
                "--upgrade needs the state folder of the edge that runs, and `--state none` has none; give both the same --state",
            ),
            Self::Nobody { path, error } => write!(
                f,
                "--upgrade: no edge answers at {}: {error}; give the --state of the edge that runs, or start without --upgrade",
                path.display()
            ),
            Self::Stranger { path, uid } => write!(
                f,
                "--upgrade: the process at {} belongs to user {uid}; upgrade as the same user that runs the edge",
                path.display()
            ),
            Self::Refused(reason) => write!(f, "--upgrade: the edge that runs refuses: {reason}"),
            Self::Version { theirs } => write!(
                f,
                "--upgrade: the edge that runs speaks version {theirs} of the hand-over and this one {}; stop it and start this one",
                message::VERSION
            ),
            Self::Broken { step, error } => write!(
                f,
                "--upgrade: the hand-over broke off ({step}): {error}; the edge that runs goes on, its log says more"
            ),
        }
    }
}

impl std::error::Error for TakeoverError {}
