//! Ollama's streams: one JSON object a line, the last with `done: true`; a failure is a line with `error`.
//!
//! ```text
//! {"model",…,"message":{"content":"He"},"done":false}␊ … {"message":{…},"done":true,"done_reason",counts}␊
//! ```
//!
//! A last line that lacks its line end is a cut, even where its JSON is whole: every server ends its lines.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;
