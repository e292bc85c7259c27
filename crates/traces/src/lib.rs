//! Spans, on their way from both planes to a collector.
//!
//! ```text
//!  traceparent ──Context──▶ Tracer::begin ──▶ Begun ── end ──▶ queue (bounded) ──▶ Batches ──encode──▶ OTLP bytes
//!                              │ not sampled: None                │ full: dropped and counted
//! ```
//!
//! It owns what a span is and what becomes of it until it is bytes; whoever sends those is not its business. It refuses
//! text that came from a client or a model: an attribute's name is a constant of ours, and its value a name out of the
//! configuration, a number or a word of ours. Invariants: what is not sampled costs a few comparisons; nothing here waits,
//! takes a lock that is held for long, or grows.

mod context;
mod encode;
mod span;
mod tracer;

pub use context::Context;
pub use encode::encode;
pub use span::{Kind, Plane, Span, Value};
pub use tracer::{Batches, Begun, Counts, Sampling, Tracer};
