//! Lines of JSON out of bytes that come split anywhere.
//!
//! Yields each line without its end (LF or CRLF), blank lines left out. A line over [`FRAME_BYTES_MAX`] is refused
//! while it grows, so memory is bounded. What is left without an end when the bytes end is a line too (see
//! [`Lines::finish`]): whether it is whole is for JSON to say.

use crate::error::StreamError;
use crate::stream::FRAME_BYTES_MAX;

/// The splitter.
#[derive(Default)]
pub struct Lines {
    /// An unfinished line.
    partial: Vec<u8>,
}

impl Lines {
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `each` with every line that `bytes` complete; stops at its first error.
    pub fn push<E: From<StreamError>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.partial.is_empty() {
                bounded(line.len())?;
                yield_line(line, &mut each)?;
            } else {
                bounded(self.partial.len() + line.len())?;
                self.partial.extend_from_slice(line);
                let line = std::mem::take(&mut self.partial);
                yield_line(&line, &mut each)?;
            }
        }
        bounded(self.partial.len() + bytes.len())?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// The bytes are at their end: the last line, if it lacked its end.
    pub fn finish<E: From<StreamError>>(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let line = std::mem::take(&mut self.partial);
        yield_line(&line, &mut each)
    }
}

fn yield_line<E>(line: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let line = line.trim_ascii();
    if line.is_empty() { Ok(()) } else { each(line) }
}

fn bounded(bytes: usize) -> Result<(), StreamError> {
    if bytes > FRAME_BYTES_MAX {
        Err(StreamError::TooLong)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, step: usize) -> Vec<String> {
        let (mut splitter, mut lines) = (Lines::new(), Vec::new());
        let mut each = |line: &[u8]| -> Result<(), StreamError> {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(())
        };
        text.as_bytes()
            .chunks(step)
            .for_each(|chunk| splitter.push(chunk, &mut each).expect("short"));
        splitter.finish(&mut each).expect("short");
        lines
    }

    #[test]
    fn lines_come_whole_however_the_bytes_are_split() {
        let text = "{\"a\":1}\n\n  \r\n{\"é\":2}\r\n{\"last\":3}";
        for step in 1..=text.len() {
            assert_eq!(
                lines(text, step),
                ["{\"a\":1}", "{\"é\":2}", "{\"last\":3}"],
                "by {step}"
            );
        }
    }

    #[test]
    fn a_line_is_bounded_and_lines_are_not() {
        let megabyte = "x".repeat(1 << 20);
        let mut splitter = Lines::new();
        let mut push = |text: &str| splitter.push(text.as_bytes(), |_| -> Result<(), StreamError> { Ok(()) });
        assert!((0..20).all(|_| push(&format!("{megabyte}\n")).is_ok()));
        assert_eq!((0..9).find_map(|_| push(&megabyte).err()), Some(StreamError::TooLong));
    }
}
