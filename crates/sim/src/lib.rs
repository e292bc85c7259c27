//! A llama-server look-alike: slots with a prefix cache, prefill and decode times, loading, streams, errors
//! and faults, without a model. The demo, the tests and the benchmarks of Conclave run against it.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! let sim = sim::Sim::builder().model("TinyLlama_Chat").slots(2).decode_rate(50.0).start("127.0.0.1:0").await?;
//! println!("curl {}/v1/models", sim.url());
//! sim.wait_until(|stats| stats.generations_finished == 1, Duration::from_secs(5)).await.expect("one answer");
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! What one request passes through:
//!
//! ```text
//!  socket ── http::Conn ── connection ── api (pure: request → Reply) ──┬─ a finished body ──────────▶ socket
//!            bytes in,      fault, auth,   validate, count tokens,     │
//!            bytes out,     loading,       prepare the answer          └─ a Job ─ generation ─ slots ─▶ socket
//!            client gone?   keep-alive                                    waits for a slot, prefill, decode
//! ```
//!
//! It speaks HTTP/1.1 by its own small connection rather than through a server framework, because a test's backend
//! must be able to do on the wire what a framework prevents: cut a response at a byte, send a broken chunk size,
//! hang between head and body, and report a request's headers as they came, in order and in their own case.
//!
//! Not simulated: `n` > 1 and several prompts in one request (501), log-probabilities, `/v1/responses`, router mode,
//! and the host-memory cache that the real server swaps evicted slots to.

mod answer;
mod api;
mod auth;
mod connection;
mod dialect;
mod fault;
mod generation;
mod http;
mod observe;
mod route;
mod scheduler;
mod schema;
mod server;
mod settings;
mod slots;
mod state;
mod text;
mod wire;

pub use fault::{Cut, Faults, Hang, Malformed};
pub use observe::{Recorded, Stats, WaitTimeout};
pub use server::Sim;
pub use settings::Builder;
