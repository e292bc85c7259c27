//! Tokens of an answer that passes through, read from its bytes without parsing what they say.
//!
//! ```text
//!  answer's bytes ──push──▶ UsageReader ──finish──▶ Usage     (the bytes go on to the client untouched)
//! ```
//! Only the outermost level of a body, a frame or a line is looked at, and only where it holds the word. The last
//! non-null value wins; llama.cpp's `timings` count where there is no `usage`; what nobody told stays `None`.

#[cfg(test)]
mod tests;
mod told;

use told::Told;

use crate::Dialect;
use crate::chat::Usage;
use crate::error::StreamError;
use crate::ndjson::Lines;
use crate::sse::Frames;
use crate::stream::FRAME_BYTES_MAX;

/// How the bytes are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document.
    Json,
    Sse,
    Ndjson,
}

impl Framing {
    /// By the answer's `Content-Type`.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Self::Json),
            "text/event-stream" => Some(Self::Sse),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// Reads along.
pub struct UsageReader {
    framing: Framing,
    parts: Parts,
    told: Told,
    /// Something was too long to be read: what is known by then stays.
    lost: bool,
}

enum Parts {
    Json(Vec<u8>),
    Sse(Frames),
    Ndjson(Lines),
}

impl Parts {
    fn of(framing: Framing) -> Self {
        match framing {
            Framing::Json => Self::Json(Vec::new()),
            Framing::Sse => Self::Sse(Frames::new()),
            Framing::Ndjson => Self::Ndjson(Lines::new()),
        }
    }
}

impl UsageReader {
    pub fn new(dialect: Dialect, framing: Framing) -> Self {
        Self {
            framing,
            parts: Parts::of(framing),
            told: Told::new(dialect),
            lost: false,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.lost {
            return;
        }
        let told = &mut self.told;
        let outcome: Result<(), StreamError> = match &mut self.parts {
            Parts::Json(body) if body.len() + bytes.len() > FRAME_BYTES_MAX => Err(StreamError::TooLong),
            Parts::Json(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            Parts::Sse(frames) => frames.push(bytes, |frame| {
                told.read_frame(&frame);
                Ok(())
            }),
            Parts::Ndjson(lines) => lines.push(bytes, |line| {
                told.read(line);
                Ok(())
            }),
        };
        if outcome.is_err() {
            self.lost = true;
            // What was gathered is of no use any more.
            self.parts = Parts::of(self.framing);
        }
    }

    /// Whether a stream's final event has come: bytes that end without it are a cut, however cleanly they end, and the
    /// client is to be told so. One JSON document is whole when its bytes are, which is HTTP's to know.
    pub fn has_ended(&self) -> bool {
        self.told.has_ended() || self.framing == Framing::Json
    }

    /// What a stream has told so far.
    pub fn usage(&self) -> Usage {
        self.told.usage()
    }

    /// What was told so far; of one JSON document, once it is whole.
    pub fn finish(mut self) -> Usage {
        match &mut self.parts {
            Parts::Json(body) => self.told.read(body),
            Parts::Ndjson(lines) => {
                let told = &mut self.told;
                let _: Result<(), StreamError> = lines.finish(|line| {
                    told.read(line);
                    Ok(())
                });
            }
            Parts::Sse(_) => {}
        }
        self.told.usage()
    }
}

/// The usage of one whole body.
pub fn of_body(dialect: Dialect, body: &[u8]) -> Usage {
    let mut reader = UsageReader::new(dialect, Framing::Json);
    reader.push(body);
    reader.finish()
}
