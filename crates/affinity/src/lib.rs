//! Where a conversation's KV cache is, and which server should therefore get its next turn.
//!
//! ```text
//!   tools │ system │ user │ assistant │ user            pieces, in the order in which the model reads them
//!  ───┬───┴──┬──┬──┴──┬───┴────┬──────┴──┬───
//!     ▼      ▼  ▼     ▼        ▼         ▼              Trail: a point after each piece and after each 512 bytes of
//!     p1 ──▶ p2▶p3 ──▶ p4 ───▶ p5 ─────▶ p6             a long one; each point's hash holds all that came before it
//!     │      │  │     │        │
//!     ▼      ▼  ▼     ▼        ▼         (unknown)      Index: point → the servers that were sent it, and when
//!    A,B,C  A,B,C A,B  A       A
//!                                                       Known: A holds 5 points, B 3, C 2
//!   + work in flight, slots, weight                     Policy::choose: the longest prefix, unless that server is
//!     ▼                                                 too far ahead of the least busy one
//!     A: Hit { bytes }  ──note──▶ Index                 the index learns the choice
//! ```
//!
//! One exchange is four calls: [`Index::trail`] and [`Trail::piece`] for what was asked, [`Index::known`] for who has seen
//! it, [`Policy::choose`] for where it goes, [`Index::note`] for what that teaches.
//!
//! ```
//! use affinity::{Candidate, Capacity, Index, Policy, Reason};
//!
//! let now = std::time::Instant::now();
//! let index = Index::new(Capacity::default(), now); // One for all services and threads.
//! let servers = [index.enrol(), index.enrol()]; // Each kept with its server's other state.
//! let ask = |prompt: &[&str], turn| {
//!     let mut trail = index.trail(&[b"router", b"model"]);
//!     prompt.iter().for_each(|text| trail.piece(b"user", text.as_bytes()));
//!     let known = index.known(&trail, now);
//!     let candidates = servers.each_ref().map(|server| Candidate {
//!         in_flight: 0,
//!         slots: Some(4),
//!         weight: 1,
//!         held: known.of(server),
//!     });
//!     let choice = Policy::default().choose(&candidates, turn).expect("there are servers");
//!     index.note(&trail, &servers[choice.position], now);
//!     choice
//! };
//! let question = "?".repeat(1000);
//! let first = ask(&[&question], 1);
//! assert_eq!((first.position, first.reason), (1, Reason::Miss));
//! let second = ask(&[&question, "answer", "and then?"], 2);
//! assert_eq!((second.position, second.reason), (1, Reason::Hit { bytes: 1000, session: false }));
//! ```
//!
//! The crate is pure: no I/O, no clock (`now` is an argument), no async runtime, no plane. Text is hashed and never kept;
//! a wrong entry can cost a server the work of reading a prompt anew, and nothing else. All of it is bounded:
//! see [`Capacity`] for memory and [`Trail`] for the work done for one request.

mod choice;
mod conversation;
mod index;
mod trail;
mod volatile;

pub use choice::{Candidate, Choice, Policy, Reason};
pub use conversation::{LOOKED_AT_MAX, Parts, SESSION_HEADERS, session};
pub use index::{Capacity, Held, Index, Known, Server, Usage};
pub use trail::{BLOCK_BYTES, POINTS_MAX, Trail};
pub use volatile::{Escaping, VOLATILE_LINES_MAX, VolatileLines};
