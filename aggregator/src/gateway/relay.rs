//! What turns a backend's bytes into the client's, piece by piece. Pure but for the memory of signatures.
//!
//! ```text
//!  same dialect:     bytes ──▶ whole frames ──▶ [usage taken out] ──▶ the same bytes     (UsageReader watches for the end)
//!  across dialects:  bytes ──Decoder──▶ Event* ──Encoder──▶ the client's bytes
//! ```
//!
//! Invariants: a stream is whole only after its dialect's final event; what was torn off in mid-frame is never passed
//! on, so that an error event can follow.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dialect::chat::{Finish, Usage, collect};
use dialect::openai::stream::HideUsage;
use dialect::signatures::Signatures;
use dialect::usage::{Framing, UsageReader};
use dialect::{Decoder, Dialect, Encoder, Event, Failure, FailureKind};

/// A frame that is longer passes as it comes: none of a model's is, and holding it back would only cost memory.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// Signed thinking that is remembered of one answer.
const RECORDED_BYTES_MAX: usize = 1024 * 1024;

/// What a piece came to.
#[derive(Default)]
pub(super) struct Step {
    /// For the client; may be empty.
    pub(super) bytes: Bytes,
    /// The backend told of a failure: nothing more comes.
    pub(super) failed: Option<Failure>,
}

pub(super) enum Relay {
    Passing(Box<Passing>),
    Converting(Box<Converting>),
}

impl Relay {
    pub(super) fn push(&mut self, bytes: Bytes) -> Step {
        match self {
            Self::Passing(passing) => Step {
                bytes: passing.push(bytes),
                failed: None,
            },
            Self::Converting(converting) => converting.step(|decoder, events| decoder.push(&bytes, events)),
        }
    }

    /// The backend's bytes are at their end.
    pub(super) fn finish(&mut self) -> Step {
        match self {
            Self::Passing(passing) => passing.finish(),
            Self::Converting(converting) => converting.step(|decoder, events| decoder.finish(events)),
        }
    }

    /// What the backend has told of its tokens so far.
    pub(super) fn usage(&self) -> Usage {
        match self {
            Self::Passing(passing) => passing.reader.usage(),
            Self::Converting(converting) => converting.usage,
        }
    }

    /// The client's dialect's own error event; nothing where an answer is no stream.
    pub(super) fn fail(&mut self, failure: &Failure) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Passing(passing) => passing.fail(failure, &mut out),
            Self::Converting(converting) => converting.encoder.error(failure, &mut out),
        }
        out
    }
}

/// Bytes as they came.
pub(super) struct Passing {
    framing: Framing,
    reader: UsageReader,
    hide: Option<HideUsage>,
    /// The beginning of a frame whose end has not come.
    held: Vec<u8>,
    /// What was passed on last ends in mid-frame.
    is_torn: bool,
    /// Spells the error event.
    encoder: Box<dyn Encoder + Send>,
}

impl Passing {
    pub(super) fn new(dialect: Dialect, framing: Framing, hides: bool, encoder: Box<dyn Encoder + Send>) -> Self {
        Self {
            framing,
            reader: UsageReader::new(dialect, framing),
            hide: (hides && framing == Framing::Sse).then(HideUsage::new),
            held: Vec::new(),
            is_torn: false,
            encoder,
        }
    }

    fn push(&mut self, bytes: Bytes) -> Bytes {
        if self.framing == Framing::Json {
            return bytes;
        }
        self.reader.push(&bytes);
        if let Some(hide) = &mut self.hide {
            let mut out = Vec::with_capacity(bytes.len());
            hide.push(&bytes, &mut out);
            return out.into();
        }
        self.whole_frames(bytes)
    }

    /// All up to the last frame's end; the rest waits for its own.
    fn whole_frames(&mut self, bytes: Bytes) -> Bytes {
        let mut all = match self.held.is_empty() {
            true => bytes,
            false => {
                self.held.extend_from_slice(&bytes);
                std::mem::take(&mut self.held).into()
            }
        };
        let end = frames_end(self.framing, &all);
        if all.len() - end > HELD_BYTES_MAX {
            self.is_torn = true;
            return all;
        }
        let rest = all.split_off(end);
        if !rest.is_empty() {
            self.held = rest.into();
        }
        self.is_torn &= all.is_empty();
        all
    }

    fn finish(&mut self) -> Step {
        // The last line of a stream of lines may lack its end, and the reader looks at it only then.
        if self.framing == Framing::Ndjson && !self.held.is_empty() {
            self.reader.push(b"\n");
        }
        if !self.reader.has_ended() {
            return Step {
                bytes: Bytes::new(),
                failed: Some(Failure::cut()),
            };
        }
        let mut out = std::mem::take(&mut self.held);
        if let Some(hide) = &mut self.hide {
            hide.finish(&mut out);
        }
        Step {
            bytes: out.into(),
            failed: None,
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        match self.framing {
            // Half a document cannot be mended.
            Framing::Json => return,
            // Ends what may have been passed on of a long frame; blank lines alone mean nothing.
            Framing::Sse if self.is_torn || self.hide.is_some() => out.extend_from_slice(b"\n\n"),
            Framing::Ndjson if self.is_torn => out.push(b'\n'),
            _ => {}
        }
        self.encoder.error(failure, out);
    }
}

/// Where the last whole frame ends.
fn frames_end(framing: Framing, bytes: &[u8]) -> usize {
    if framing == Framing::Ndjson {
        return memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    }
    let mut end = bytes.len();
    // From line end to line end, backwards: a frame ends where an empty line does.
    while let Some(at) = memchr::memrchr2(b'\n', b'\r', &bytes[..end]) {
        let before = match (bytes[at], at.checked_sub(1).map(|i| bytes[i])) {
            (b'\n', Some(b'\r')) => at - 1,
            _ => at,
        };
        if before > 0 && matches!(bytes[before - 1], b'\n' | b'\r') {
            return at + 1;
        }
        end = before;
    }
    0
}

/// Said anew in the client's dialect.
pub(super) struct Converting {
    decoder: Box<dyn Decoder + Send>,
    encoder: Box<dyn Encoder + Send>,
    events: Vec<Event>,
    usage: Usage,
    recorder: Option<Recorder>,
}

impl Converting {
    pub(super) fn new(
        decoder: Box<dyn Decoder + Send>,
        encoder: Box<dyn Encoder + Send>,
        recorder: Option<Recorder>,
    ) -> Self {
        Self {
            decoder,
            encoder,
            events: Vec::new(),
            usage: Usage::default(),
            recorder,
        }
    }

    fn step(
        &mut self,
        decode: impl FnOnce(&mut dyn Decoder, &mut Vec<Event>) -> Result<(), dialect::StreamError>,
    ) -> Step {
        let decoded = decode(&mut *self.decoder, &mut self.events);
        let mut out = Vec::new();
        let mut failed = None;
        for event in self.events.drain(..) {
            match event {
                Event::Error(failure) => failed = Some(failure),
                Event::Finish {
                    finish: Finish::Error, ..
                } => failed = Some(Failure::new(FailureKind::Api, "the model broke off with an error")),
                event => {
                    if let Event::Usage(usage) = &event {
                        self.usage.update(usage);
                    }
                    self.encoder.push(&event, &mut out);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.record(event);
                    }
                    continue;
                }
            }
            break;
        }
        if failed.is_none()
            && let Err(error) = decoded
        {
            tracing::debug!(%error, "a backend's stream cannot be read on");
            failed = Some(Failure::from(&error));
        }
        Step {
            bytes: out.into(),
            failed,
        }
    }
}

/// Keeps what a stream signs until it is whole, then leaves it to the memory of signatures.
pub(super) struct Recorder {
    caller: u64,
    memory: Arc<Mutex<Signatures>>,
    events: Vec<Event>,
    bytes: usize,
}

impl Recorder {
    pub(super) fn new(caller: u64, memory: Arc<Mutex<Signatures>>) -> Self {
        Self {
            caller,
            memory,
            events: Vec::new(),
            bytes: 0,
        }
    }

    fn record(&mut self, event: Event) {
        let bytes = match &event {
            Event::Thinking(text) | Event::RedactedThinking(text) => text.len(),
            Event::Signature(_) | Event::ToolCallStart { .. } | Event::Done => 0,
            _ => return,
        };
        self.bytes += bytes;
        if self.bytes > RECORDED_BYTES_MAX {
            self.events.clear();
            return;
        }
        let is_done = event == Event::Done;
        self.events.push(event);
        if is_done && let Ok(response) = collect(&self.events) {
            super::locked(&self.memory).remember(self.caller, &response);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::endpoint::Endpoint;
    use dialect::EncoderOptions;

    fn passing(framing: Framing, dialect: Dialect) -> Relay {
        let encoder = Endpoint::ChatCompletions.encoder(EncoderOptions::default(), None);
        Relay::Passing(Box::new(Passing::new(dialect, framing, false, encoder)))
    }

    #[test]
    fn bytes_are_the_same_however_they_come_and_frames_whole() {
        for (framing, dialect, stream) in [
            (
                Framing::Sse,
                Dialect::OpenAi,
                ": hi\n\ndata: {\"a\":1}\r\n\r\ndata: b\r\rdata: [DONE]\n\n",
            ),
            (Framing::Sse, Dialect::Anthropic, "event: message_stop\ndata: {}\n\n"),
            (Framing::Ndjson, Dialect::Ollama, "{\"a\":1}\n{\"done\":true}\n"),
            (Framing::Ndjson, Dialect::Ollama, "{\"a\":1}\n{\"done\":true}"),
        ] {
            for step in 1..=stream.len() {
                let mut relay = passing(framing, dialect);
                let mut out = Vec::new();
                for chunk in stream.as_bytes().chunks(step) {
                    out.extend_from_slice(&relay.push(Bytes::copy_from_slice(chunk)).bytes);
                }
                let last = relay.finish();
                assert!(last.failed.is_none(), "{stream:?} by {step}");
                out.extend_from_slice(&last.bytes);
                assert_eq!(out, stream.as_bytes(), "by {step}");
            }
        }
    }

    #[test]
    fn a_cut_anywhere_is_no_end_and_leaves_no_half_a_frame() {
        let stream = "data: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: [DONE]\n\n";
        for cut in 0..stream.len() {
            let mut relay = passing(Framing::Sse, Dialect::OpenAi);
            let passed = relay.push(Bytes::copy_from_slice(&stream.as_bytes()[..cut])).bytes;
            assert!(passed.is_empty() || passed.ends_with(b"\n\n"), "{cut}");
            assert!(relay.finish().failed.is_some(), "{cut}");
            assert!(relay.fail(&Failure::cut()).starts_with(b"data: {\"error\""));
        }
    }

    #[test]
    fn a_frame_that_is_too_long_passes_as_it_comes() {
        let mut relay = passing(Framing::Sse, Dialect::OpenAi);
        let long = Bytes::from(format!("data: {}", "x".repeat(2 * HELD_BYTES_MAX)));
        assert_eq!(relay.push(long.clone()).bytes, long);
        assert!(relay.fail(&Failure::cut()).starts_with(b"\n\n"));
    }
}
