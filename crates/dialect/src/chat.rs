//! The conversation as no dialect writes it: what every dialect is parsed into and rendered from.
//!
//! Owns the meaning of each field (units, whether absent differs from zero). Knows no dialect's spelling.
//!
//! It is a meeting point and not a union of all features: what it has no room for is noted in
//! [`ChatRequest::inexpressible`] when a request is parsed, and refused when it is rendered.

mod event;
mod message;
mod request;
mod response;

pub(crate) use event::merge;
pub use event::{Event, collect};
pub use message::{Image, Message, Part, Role, Signature};
pub use request::{ChatRequest, Effort, Policy, Reasoning, RenderOptions, ResponseFormat, Sampling, Tool, ToolChoice};
pub use response::{ChatResponse, Cost, Finish, Timings, TokenLogprob, TopLogprob, Usage};
