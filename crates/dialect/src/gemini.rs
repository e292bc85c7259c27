//! The Gemini dialect, as backends speak it: `generateContent`, `streamGenerateContent?alt=sse`, `batchEmbedContents`.
//!
//! What is particular here: turns alternate between `user` and `model`, a tool's result names the tool, thoughts are parts
//! that are marked, calls are signed and refused unsigned, and a stream has no event that says it is over: the last is the
//! one that carries a `finishReason`.

pub mod embeddings;
pub mod error;
pub mod request;
pub mod response;
pub mod stream;

mod candidate;

pub(crate) use candidate::usage as read_usage;
