//! What a key may use: how often, how many at once, how many tokens, and until when.
//!
//! ```text
//!  route ──first use──▶ Limits ──┬─ Rate      one atomic word: the theoretical arrival time (GCRA)
//!    (Attachment)                ├─ InFlight  one atomic word: slots taken
//!                                └─ Budget    one atomic word: period and tokens used
//!                                     ▲
//!             Registry: (router, middleware) → word; it outlives tables, and `state` writes it down
//! ```
//!
//! Owns the arithmetic, which is pure: time comes in as a [`clock::Instant64`]. Refuses all input and output, and locks
//! nothing on a request's way. Invariant: however many threads ask, never is one more let through than configured, and
//! a refused request leaves every word as it would have been without it.

pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod fair;
pub(crate) mod in_flight;
pub(crate) mod rate;
pub(crate) mod registry;
pub(crate) mod remit;
pub(crate) mod set;
pub(crate) mod standing;
