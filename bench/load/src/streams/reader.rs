//! The server-sent events of one stream, from pieces of any size: every token once, in order, to the end.

use anyhow::{bail, ensure};

use crate::answer::{Event, read_event};

/// A line longer than this is not one of the origin's events.
const LINE_BYTES_MAX: usize = 16 << 10;

pub(crate) struct Reader {
    /// A line whose end has not come.
    partial: Vec<u8>,
    expected: u64,
    next: u64,
    done: bool,
    /// The first token that was not the next one.
    out_of_order: Option<u64>,
}

impl Reader {
    pub(crate) fn new(expected: u64) -> Self {
        Self {
            partial: Vec::new(),
            expected,
            next: 0,
            done: false,
            out_of_order: None,
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.next
    }

    /// Hands on each token's number and the time it was sent.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut on_token: impl FnMut(u64, u64)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            let event = if self.partial.is_empty() {
                read_event(line)
            } else {
                self.partial.extend_from_slice(line);
                let event = read_event(&self.partial);
                self.partial.clear();
                event
            };
            match event {
                Event::Token { number, sent_ns } => {
                    if number != self.next && self.out_of_order.is_none() {
                        self.out_of_order = Some(number);
                    }
                    self.next += 1;
                    on_token(number, sent_ns);
                }
                Event::Done => self.done = true,
                Event::Other => {}
            }
        }
        if self.partial.len() < LINE_BYTES_MAX {
            self.partial.extend_from_slice(bytes);
        }
    }

    /// What went wrong so far.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(number) = self.out_of_order {
            bail!("token {number} came where another was due");
        }
        ensure!(
            self.partial.len() < LINE_BYTES_MAX,
            "a line of more than {LINE_BYTES_MAX} bytes"
        );
        Ok(())
    }

    /// The response has ended: was it all?
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        ensure!(self.next == self.expected, "{} tokens of {}", self.next, self.expected);
        ensure!(self.done, "no [DONE] at the end");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{write_end, write_role, write_token};

    fn stream(tokens: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        write_role(&mut out);
        for &number in tokens {
            write_token(&mut out, number, 1_000 + number);
        }
        write_end(&mut out);
        out
    }

    fn read(bytes: &[u8], piece: usize) -> (Vec<(u64, u64)>, bool) {
        let mut reader = Reader::new(3);
        let mut seen = Vec::new();
        for part in bytes.chunks(piece) {
            reader.take(part, |number, sent_ns| seen.push((number, sent_ns)));
        }
        (seen, reader.check().and_then(|()| reader.finish()).is_ok())
    }

    #[test]
    fn tokens_are_read_from_pieces_of_any_size() {
        let bytes = stream(&[0, 1, 2]);
        for piece in 1..bytes.len() {
            assert_eq!(
                read(&bytes, piece),
                (vec![(0, 1_000), (1, 1_001), (2, 1_002)], true),
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn what_is_missing_doubled_or_cut_is_seen() {
        for tokens in [&[0, 1][..], &[0, 2, 1], &[0, 1, 1], &[0, 1, 2, 3]] {
            assert!(!read(&stream(tokens), 64).1, "{tokens:?}");
        }
        let whole = stream(&[0, 1, 2]);
        assert!(!read(&whole[..whole.len() - 20], 64).1, "no end");
    }
}
