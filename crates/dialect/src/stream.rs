//! What every dialect's stream converters have in common.
//!
//! A decoder is fed bytes as they come, split anywhere, and yields the same events however they are split. It ends
//! cleanly only after the dialect's own final event: [`Decoder::finish`] refuses every other end.

mod driver;

pub use driver::{Driver, Framer, Reader};

use crate::chat::{Event, Signature};
use crate::error::{Failure, StreamError};

/// The longest SSE event or NDJSON line that is taken: Ollama's own client takes lines of 8 MB.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Tool calls in one answer: more is a backend gone wrong.
pub const CALLS_MAX: usize = 1_024;

/// What a conversion needs of the world and may not make up itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Unique, of letters, digits, `-` and `_`. Ids that the other dialect lacks are made from it.
    pub id: String,
    /// Now, in seconds since 1970.
    pub created: u64,
}

impl Identity {
    pub fn new(id: impl Into<String>, created: u64) -> Self {
        Self { id: id.into(), created }
    }

    /// An id for the tool call at `index` of this answer.
    pub fn call_id(&self, index: usize) -> String {
        format!("call_{}_{index}", self.id)
    }

    /// The events of the call at `index`, which came whole. Its id is made up where the backend gave none.
    pub(crate) fn whole_call(
        &self,
        index: usize,
        id: String,
        name: String,
        signature: Option<Signature>,
        arguments: String,
    ) -> [Event; 2] {
        let id = if id.is_empty() { self.call_id(index) } else { id };
        let start = Event::ToolCallStart {
            index,
            id,
            name,
            signature,
        };
        let fragment = arguments;
        [start, Event::ToolCallArguments { index, fragment }]
    }
}

/// How a client is to be answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncoderOptions {
    pub identity: Identity,
    /// The model as the client shall see it.
    pub model: String,
    /// The client asked for the stream's usage. Matters to OpenAI alone; the others always tell.
    pub include_usage: bool,
}

/// Backend's bytes → events.
pub trait Decoder {
    /// Appends what `bytes` complete. After an error, or after [`Event::Error`] or [`Event::Done`], nothing more comes.
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError>;

    /// The bytes are at their end. `Ok` only if the dialect's final event has come.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError>;
}

/// Events → client's bytes.
pub trait Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>);

    /// The dialect's own error event; the caller cuts the connection after it.
    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>);

    /// What may be sent while there is nothing to say; empty where clients of the dialect take nothing.
    fn heartbeat(&self) -> &'static [u8];
}

/// So that a caller can hold any dialect's.
impl<E: Encoder + ?Sized> Encoder for Box<E> {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        (**self).push(event, out);
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        (**self).error(failure, out);
    }

    fn heartbeat(&self) -> &'static [u8] {
        (**self).heartbeat()
    }
}
