//! Server-sent events out of bytes that come split anywhere, and into bytes.
//!
//! Follows the HTML standard's parser: LF, CR and CRLF end lines, `:` begins a comment, several `data:` lines are joined
//! by LF, a leading byte order mark is skipped, an event that lacks its blank line when the bytes end is discarded.
//! `id` and `retry` are read over. One event is at most [`FRAME_BYTES_MAX`], counted while it grows.

use crate::error::StreamError;
use crate::stream::FRAME_BYTES_MAX;

/// One event, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field; empty where there is none.
    pub event: &'a str,
    /// The `data:` lines, joined.
    pub data: &'a [u8],
}

/// The parser.
#[derive(Default)]
pub struct Frames {
    /// An unfinished line.
    line: Vec<u8>,
    event: String,
    data: Vec<u8>,
    /// A `data:` line was seen: an event with empty data is none.
    has_data: bool,
    /// The last byte was CR, so that an LF belongs to it.
    after_cr: bool,
    /// The first line is past, so that a byte order mark is content.
    begun: bool,
}

/// A comment: clients read over it.
pub(crate) const HEARTBEAT: &[u8] = b": keep-alive\n\n";

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Frames {
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `each` with every event that `bytes` complete; stops at its first error.
    pub fn push<E: From<StreamError>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if bytes.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.after_cr) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let line = &bytes[..end];
            let ended_by_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if ended_by_cr {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            self.end_line(line, &mut each)?;
        }
        self.bounded(bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether bytes have come that belong to an event which never ended.
    pub fn is_torn(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    /// Whether the last byte that came was CR.
    pub fn ends_in_cr(&self) -> bool {
        self.after_cr
    }

    fn end_line<E: From<StreamError>>(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bounded(line.len())?;
        if self.line.is_empty() {
            self.take_line(line, each)
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            let outcome = self.take_line(&whole, each);
            whole.clear();
            self.line = whole;
            outcome
        }
    }

    fn take_line<E>(&mut self, line: &[u8], each: &mut impl FnMut(Frame<'_>) -> Result<(), E>) -> Result<(), E> {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = if first {
            line.strip_prefix(BOM).unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            return self.dispatch(each);
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        Ok(())
    }

    fn dispatch<E>(&mut self, each: &mut impl FnMut(Frame<'_>) -> Result<(), E>) -> Result<(), E> {
        let outcome = match self.has_data {
            true => each(Frame {
                event: &self.event,
                data: &self.data,
            }),
            false => Ok(()),
        };
        self.event.clear();
        self.data.clear();
        self.has_data = false;
        outcome
    }

    fn bounded(&self, more: usize) -> Result<(), StreamError> {
        let bytes = self.line.len() + self.data.len() + self.event.len() + more;
        if bytes > FRAME_BYTES_MAX {
            Err(StreamError::TooLong)
        } else {
            Ok(())
        }
    }
}

/// Appends one event. `data` must be one line, as compact JSON is; `event` may be empty.
pub fn write(out: &mut Vec<u8>, event: &str, data: &[u8]) {
    debug_assert!(memchr::memchr2(b'\n', b'\r', data).is_none());
    if !event.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8], step: usize) -> Result<Vec<(String, String)>, StreamError> {
        let (mut parser, mut frames) = (Frames::new(), Vec::new());
        for chunk in bytes.chunks(step.max(1)) {
            parser.push(chunk, |frame| -> Result<(), StreamError> {
                frames.push((frame.event.to_owned(), String::from_utf8_lossy(frame.data).into_owned()));
                Ok(())
            })?;
        }
        Ok(frames)
    }

    #[test]
    fn the_standard_s_rules_however_the_bytes_are_split() {
        let cases: [(&str, &[(&str, &str)]); 13] = [
            ("data: a\n\n", &[("", "a")]),
            (
                "data:a\r\rdata: b\r\n\r\ndata:  c\n\n",
                &[("", "a"), ("", "b"), ("", " c")],
            ),
            ("event: x\ndata: a\ndata: b\n\ndata: c\n\n", &[("x", "a\nb"), ("", "c")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
            (": a comment\n\n: data: b\ndata: c\n\n", &[("", "c")]),
            ("event: alone\n\ndata: a\n\n", &[("", "a")]),
            ("id: 1\nretry: 5\ndata: a\nnonsense\n\n", &[("", "a")]),
            ("data\n\ndata:\n\n", &[("", ""), ("", "")]),
            ("data: torn\n", &[]),
            ("data: torn", &[]),
            ("\n\n\r\n\r\r\n", &[]),
            (
                "event: a\nevent: b\ndata: {\"x\": \"é🦙\"}\n\n",
                &[("b", "{\"x\": \"é🦙\"}")],
            ),
            ("data: a: b\n\n", &[("", "a: b")]),
        ];
        for (stream, expected) in cases {
            for step in 1..=stream.len() {
                let found = frames(stream.as_bytes(), step).expect("short");
                let found: Vec<(&str, &str)> = found
                    .iter()
                    .map(|(event, data)| (event.as_str(), data.as_str()))
                    .collect();
                assert_eq!(found, expected, "{stream:?} by {step}");
            }
        }
    }

    #[test]
    fn an_event_is_bounded_whatever_it_grows_by() {
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        for piece in [line.as_str(), &line[..line.len() - 1]] {
            let mut parser = Frames::new();
            let mut grow = || parser.push(piece.as_bytes(), |_| -> Result<(), StreamError> { Ok(()) });
            assert_eq!((0..9).find_map(|_| grow().err()), Some(StreamError::TooLong));
        }
        // Whole events of any number are not one event.
        let event = format!("{line}\n").repeat(20);
        assert_eq!(frames(event.as_bytes(), 1 << 16).map(|frames| frames.len()), Ok(20));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        write(&mut out, "ping", b"{}");
        write(&mut out, "", b"[DONE]");
        assert_eq!(out, b"event: ping\ndata: {}\n\ndata: [DONE]\n\n");
        assert_eq!(frames(&out, 3).map(|frames| frames.len()), Ok(2));
    }
}
