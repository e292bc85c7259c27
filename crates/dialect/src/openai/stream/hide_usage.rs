//! Takes the usage chunk out of a raw stream for a client that did not ask for it.
//!
//! For streams that pass through: backends are always asked for usage, and that adds one chunk with empty `choices`.
//! Every other byte passes as it came, at the end of its event. An event longer than [`HELD_BYTES_MAX`] is no usage
//! chunk and passes as it comes.

use memchr::memmem;

use crate::error::StreamError;
use crate::json::read::{Object, Problems};
use crate::sse::Frames;

/// A usage chunk is some 300 bytes.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// The filter.
pub struct HideUsage {
    /// The event so far, raw.
    held: Vec<u8>,
    /// The current line has no content yet; the end of an empty line ends the event.
    line_empty: bool,
    /// The last byte was CR; an LF now belongs to it and goes where it went.
    after_cr: Option<Verdict>,
    /// The event is too long to be a usage chunk.
    passing: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Undecided,
    Pass,
    Hide,
}

impl Default for HideUsage {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            line_empty: true,
            after_cr: None,
            passing: false,
        }
    }
}

impl HideUsage {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to `out` what of `bytes` the client shall see, as far as it is decided.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            match (self.after_cr.take(), byte) {
                (Some(Verdict::Undecided), b'\n') => self.held.push(b'\n'),
                (Some(Verdict::Pass), b'\n') => out.push(b'\n'),
                (Some(Verdict::Hide), b'\n') => {}
                _ => self.byte(*byte, out),
            }
        }
        if self.passing {
            out.append(&mut self.held);
        }
    }

    /// The bytes are at their end: what is left passes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.held.push(byte);
        self.passing |= self.held.len() > HELD_BYTES_MAX;
        let line_end = matches!(byte, b'\n' | b'\r');
        let mut verdict = Verdict::Undecided;
        if line_end && self.line_empty {
            verdict = if !self.passing && is_usage_chunk(&self.held) {
                Verdict::Hide
            } else {
                Verdict::Pass
            };
            if verdict == Verdict::Pass {
                out.extend_from_slice(&self.held);
            }
            self.held.clear();
            self.passing = false;
        }
        self.line_empty = line_end;
        self.after_cr = (byte == b'\r').then_some(verdict);
    }
}

/// Whether a raw event is a chunk with usage and no choices.
fn is_usage_chunk(event: &[u8]) -> bool {
    if memmem::find(event, b"\"usage\"").is_none() {
        return false;
    }
    let mut hide = false;
    let read: Result<(), StreamError> = Frames::new().push(event, |frame| {
        let problems = Problems::lenient();
        hide = Object::root(frame.data, &problems).is_some_and(|root| {
            root.node("choices")
                .is_some_and(|choices| choices.text().trim_matches(['[', ']']).trim().is_empty())
                && root.node("usage").is_some()
        });
        Ok(())
    });
    read.is_ok() && hide
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = r#"data: {"id":"c","choices":[ ],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    const TEXT: &str = r#"data: {"id":"c","choices":[{"delta":{"content":"\"usage\""}}],"usage":null}"#;

    fn filtered(stream: &str, step: usize) -> String {
        let (mut filter, mut out) = (HideUsage::new(), Vec::new());
        stream
            .as_bytes()
            .chunks(step)
            .for_each(|chunk| filter.push(chunk, &mut out));
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_usage_chunk_goes_however_the_stream_is_split() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = format!(": hi{end}{end}{TEXT}{end}{end}{USAGE}{end}{end}data: [DONE]{end}{end}");
            let expected = format!(": hi{end}{end}{TEXT}{end}{end}data: [DONE]{end}{end}");
            for step in 1..stream.len() {
                assert_eq!(filtered(&stream, step), expected, "end {end:?}, step {step}");
            }
        }
    }

    #[test]
    fn long_events_and_torn_ends_pass() {
        let long = format!(
            "data: {{\"choices\":[],\"usage\":{{}},\"x\":\"{}\"}}\n\ndata: torn",
            "x".repeat(40_000)
        );
        assert_eq!(filtered(&long, 1_000), long);
    }
}
