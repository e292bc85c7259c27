//! What drives every dialect's decoder: bytes → frames → events, up to the stream's end.
//!
//! ```text
//!  bytes ──Framer──▶ Frame ──Reader, the dialect's own part──▶ events ──▶ Open, then Done or Failed
//! ```
//! Owns when a stream is over and how. Refuses to know what a frame says. Invariant: once a stream is over nothing of it
//! is read, and only one that said [`Event::Done`] is whole.

use super::{Decoder, Identity};
use crate::chat::Event;
use crate::error::StreamError;
use crate::ndjson::Lines;
use crate::sse::{Frame, Frames};

/// A dialect's part: what its frames say.
pub trait Reader {
    type Framer: Framer;

    fn new(identity: Identity) -> Self;

    /// Appends what one frame says. [`Event::Done`] or [`Event::Error`] among it ends the stream.
    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError>;

    /// The bytes are at their end, and no frame said that the stream is. Where that is how the dialect's streams end,
    /// appends what is left to say and [`Event::Done`].
    fn end(&mut self, _framer: &Self::Framer, _events: &mut Vec<Event>) {}
}

/// Divides bytes into frames.
pub trait Framer: Default {
    fn divide(
        &mut self,
        bytes: &[u8],
        each: impl FnMut(Frame<'_>) -> Result<(), StreamError>,
    ) -> Result<(), StreamError>;
}

/// A decoder.
pub struct Driver<R: Reader> {
    framer: R::Framer,
    reader: R,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Done,
    Failed,
}

impl<R: Reader> Driver<R> {
    pub fn new(identity: Identity) -> Self {
        Self {
            framer: R::Framer::default(),
            reader: R::new(identity),
            stage: Stage::Open,
        }
    }
}

impl<R: Reader> Decoder for Driver<R> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        if self.stage != Stage::Open {
            return Ok(());
        }
        let (reader, stage) = (&mut self.reader, &mut self.stage);
        let outcome = self.framer.divide(bytes, |frame| {
            if *stage == Stage::Open {
                let before = events.len();
                reader.read(&frame, events)?;
                *stage = Stage::after(&events[before..]);
            }
            Ok(())
        });
        if outcome.is_err() {
            self.stage = Stage::Failed;
        }
        outcome
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if self.stage == Stage::Open {
            let before = events.len();
            self.reader.end(&self.framer, events);
            self.stage = Stage::after(&events[before..]);
        }
        match self.stage {
            Stage::Done => Ok(()),
            Stage::Failed => Err(StreamError::Failed),
            Stage::Open => Err(StreamError::Cut),
        }
    }
}

impl Stage {
    /// Where an open stream stands once it has said this.
    fn after(said: &[Event]) -> Self {
        let stage = |event: &Event| match event {
            Event::Done => Some(Self::Done),
            Event::Error(_) => Some(Self::Failed),
            _ => None,
        };
        said.iter().find_map(stage).unwrap_or(Self::Open)
    }
}

impl Framer for Frames {
    fn divide(
        &mut self,
        bytes: &[u8],
        each: impl FnMut(Frame<'_>) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        self.push(bytes, each)
    }
}

/// A line is a frame whose event has no name.
impl Framer for Lines {
    fn divide(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        self.push(bytes, |data| each(Frame { event: "", data }))
    }
}
