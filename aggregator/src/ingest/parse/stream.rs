//! Reads a stream piece by piece, each with its time, and goes on behind what it cannot read.
//!
//! The dialect crate's own driver stops at the first frame that is not the dialect's, since it must never pass on half an
//! answer as a whole one. What is kept here is kept whatever it is: a broken frame is counted and left out.

use dialect::chat::Event;
use dialect::sse::Frame;
use dialect::stream::{Driver, Framer, Reader};
use dialect::{Identity, StreamError};

use super::body::Body;
use super::gathered::Gathered;
use super::trouble::Trouble;
use super::{Answer, first_choice};

/// The frames' reader that a dialect's decoder is made of.
pub(super) trait Reading {
    type Reader: Reader;
}

impl<R: Reader> Reading for Driver<R> {
    type Reader = R;
}

/// What a stream says. `ends_lines`: its last line needs no end.
pub(super) fn read<R: Reader>(body: &Body, only_first: bool, ends_lines: bool, answer: &mut Answer) {
    let mut stream = Stream::<R>::new(only_first);
    for piece in body.pieces() {
        if piece.after_hole {
            // Ends the frame that is torn here; what is left of the torn one behind the hole has no name and is skipped.
            stream.push(b"\n\n", answer);
        }
        if !stream.push(piece.bytes, answer) {
            answer.broken_frames += 1;
            break;
        }
        answer.gathered.take(&mut stream.events, piece.elapsed_us);
    }
    let last_us = body.pieces().last().map_or(0, |piece| piece.elapsed_us);
    if ends_lines {
        stream.push(b"\n", answer);
    }
    stream.reader.end(&stream.framer, &mut stream.events);
    answer.gathered.take(&mut stream.events, last_us);
    answer.gathered.end();
}

/// What one document says that has the shape of a frame. `is_whole`: it ends where its writer ended it.
pub(super) fn read_documents<R: Reader>(documents: &[&[u8]], is_whole: bool, answer: &mut Answer) {
    let mut stream = Stream::<R>::new(false);
    for data in documents {
        stream.read(&Frame { event: "", data }, answer);
    }
    if is_whole {
        stream.reader.end(&R::Framer::default(), &mut stream.events);
    }
    let mut gathered = Gathered::default();
    gathered.take(&mut stream.events, 0);
    gathered.end();
    // It came at once: there is no first token.
    (gathered.first_token_us, gathered.last_token_us) = (None, None);
    if !is_whole {
        gathered.finish = None;
    }
    answer.gathered = gathered;
}

struct Stream<R: Reader> {
    framer: R::Framer,
    reader: R,
    events: Vec<Event>,
    /// Of several answers in one stream only the first is read.
    only_first: bool,
}

impl<R: Reader> Stream<R> {
    fn new(only_first: bool) -> Self {
        Self {
            framer: R::Framer::default(),
            // Ids that are made up are unique within their answer, and that is all they are used for.
            reader: R::new(Identity::default()),
            events: Vec::new(),
            only_first,
        }
    }

    /// False where a frame outgrows its bound: then nothing behind it can be found.
    fn push(&mut self, bytes: &[u8], answer: &mut Answer) -> bool {
        let Self {
            framer,
            reader,
            events,
            only_first,
        } = self;
        let outcome = framer.divide(bytes, |frame| -> Result<(), StreamError> {
            if !(*only_first && first_choice::is_other(frame.data)) {
                read_frame(reader, events, &frame, answer);
            }
            Ok(())
        });
        outcome.is_ok()
    }

    fn read(&mut self, frame: &Frame<'_>, answer: &mut Answer) {
        read_frame(&mut self.reader, &mut self.events, frame, answer);
    }
}

fn read_frame<R: Reader>(reader: &mut R, events: &mut Vec<Event>, frame: &Frame<'_>, answer: &mut Answer) {
    let before = events.len();
    if reader.read(frame, events).is_err() {
        answer.broken_frames += 1;
    }
    for event in &events[before..] {
        if let (Event::Error(failure), None) = (event, &answer.trouble) {
            answer.trouble = Some(Trouble::of(frame.data, failure));
        }
    }
}
