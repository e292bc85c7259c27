//! Ollama's failures: one object with one text, as a body or as a line of a stream.

use bytes::Bytes;

use crate::error::Failure;
use crate::json::write;

pub use crate::failure::parse;

/// `{"error":"…"}`: a body; as a line of a stream it needs its line end.
pub fn render(failure: &Failure) -> Bytes {
    let body = write::object(|to| {
        to.field("error", &failure.message);
    });
    body.into()
}
