//! Chunked transfer coding, read strictly: where it ends, and which of its bytes are payload.
//!
//! A well-formed coding can be passed on byte for byte, but for its trailers, which go no further; what is not well-formed
//! is an error, since a client that reads it differently than we do would see another message.

/// Longer sizes are no chunk of any server; they would overflow arithmetic somewhere.
const SIZE_DIGITS_MAX: u8 = 15;

/// Extensions and trailers in one message: nobody sends more than a few dozen bytes.
const LINE_BYTES_MAX: u32 = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// Of the chunk being read.
    left: u64,
    digits: u8,
    /// Bytes of extensions and trailers so far.
    line_bytes: u32,
    /// Where in what was last read the trailers began; they began before it at 0.
    trailers_at: Option<usize>,
    keeps_trailers: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Blanks after a size: an extension may follow.
    Blank,
    Extension,
    SizeLf,
    Payload,
    PayloadCr,
    PayloadLf,
    /// At the start of a trailer line.
    TrailerStart,
    TrailerName,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunks {
    /// For a reader that is not misled by trailers.
    pub(super) fn with_trailers(self, keeps_trailers: bool) -> Self {
        Self { keeps_trailers, ..self }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Another chunk could begin here.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Size && self.digits == 0
    }

    /// How many of the `taken` bytes that were last read come before the trailers, and what stands for the line that ends
    /// those. A trailer could say anything, also what only a head may say, to a client that mixes the two.
    pub(super) fn without_trailers(&self, taken: usize) -> (usize, &'static [u8]) {
        match self.trailers_at.filter(|_| !self.keeps_trailers) {
            None => (taken, b""),
            Some(at) if self.is_done() => (at, b"\r\n"),
            Some(at) => (at, b""),
        }
    }

    /// Reads on. Returns how many bytes belong to this message: all of them, unless it ended among them.
    pub(super) fn feed(&mut self, bytes: &[u8], mut payload: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        self.trailers_at = self.trailers_at.map(|_| 0);
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Payload {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let piece = &bytes[at..bytes.len().min(at.saturating_add(left))];
                payload(piece);
                at += piece.len();
                self.left -= piece.len() as u64;
                if self.left == 0 {
                    self.state = State::PayloadCr;
                }
            } else {
                self.state = self.step(bytes[at])?;
                if self.state == State::TrailerName && self.trailers_at.is_none() {
                    self.trailers_at = Some(at);
                }
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        match (self.state, byte) {
            (State::Size, _) => self.size(byte),
            (State::Blank | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Blank, b' ' | b'\t') => self.line(byte, State::Blank),
            (State::Blank, b';') => self.line(byte, State::Extension),
            (State::Extension, _) => self.line(byte, State::Extension),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::TrailerStart),
            (State::SizeLf, b'\n') => Ok(State::Payload),
            (State::PayloadCr, b'\r') => Ok(State::PayloadLf),
            (State::PayloadLf, b'\n') => {
                (self.left, self.digits) = (0, 0);
                Ok(State::Size)
            }
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => self.line(byte, State::TrailerName),
            (State::TrailerName, b':') | (State::Trailer, _) => self.line(byte, State::Trailer),
            _ => Err(Malformed),
        }
    }

    fn size(&mut self, byte: u8) -> Result<State, Malformed> {
        match (byte, char::from(byte).to_digit(16)) {
            (_, Some(digit)) if self.digits < SIZE_DIGITS_MAX => {
                self.left = self.left * 16 + u64::from(digit);
                self.digits += 1;
                Ok(State::Size)
            }
            (b'\r', _) if self.digits > 0 => Ok(State::SizeLf),
            (b';', _) if self.digits > 0 => Ok(State::Extension),
            (b' ' | b'\t', _) if self.digits > 0 => Ok(State::Blank),
            _ => Err(Malformed),
        }
    }

    fn line(&mut self, byte: u8, next: State) -> Result<State, Malformed> {
        self.line_bytes += 1;
        let allowed = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if allowed && self.line_bytes <= LINE_BYTES_MAX {
            Ok(next)
        } else {
            Err(Malformed)
        }
    }
}

/// What a field's name is made of (RFC 9110, 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<(String, usize, bool), Malformed> {
        let (mut chunks, mut text, mut taken) = (Chunks::default(), Vec::new(), 0);
        for piece in pieces {
            taken += chunks.feed(piece, |payload| text.extend_from_slice(payload))?;
        }
        Ok((String::from_utf8_lossy(&text).into_owned(), taken, chunks.is_done()))
    }

    #[test]
    fn the_payload_and_the_end_are_found_however_the_bytes_are_cut() {
        let whole = b"5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nA: b\r\n\r\nnext";
        let end = whole.len() - 4;
        for cut in 0..whole.len() {
            let read = read(&[&whole[..cut], &whole[cut..]]);
            assert_eq!(read, Ok(("hello world".to_owned(), end, true)), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(&bytes), Ok(("hello world".to_owned(), end, true)));
    }

    #[test]
    fn trailers_are_told_apart_however_the_bytes_are_cut() {
        let whole = b"2\r\nhi\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\n";
        for cut in 0..whole.len() {
            let (mut chunks, mut passed) = (Chunks::default(), Vec::new());
            for piece in [&whole[..cut], &whole[cut..]] {
                let taken = chunks.feed(piece, |_| ()).expect("well-formed");
                let (shown, closing) = chunks.without_trailers(taken);
                passed.extend_from_slice(&piece[..shown]);
                passed.extend_from_slice(closing);
            }
            assert_eq!(String::from_utf8_lossy(&passed), "2\r\nhi\r\n0\r\n\r\n", "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_strict_is_malformed() {
        for bad in [
            &b"\r\n"[..],
            b"g\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"1000000000000000\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\nC",
            b"5;\x00\r\n",
            b"5 x\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\n: no name\r\n\r\n",
            b"0\r\nA: b\r\n folded\r\n\r\n",
        ] {
            assert_eq!(read(&[bad]), Err(Malformed), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn an_unfinished_coding_is_not_done() {
        let whole = b"3\r\nabc\r\n0\r\n\r\n";
        for cut in 0..whole.len() {
            assert!(read(&[&whole[..cut]]).is_ok_and(|(_, _, done)| !done), "cut at {cut}");
        }
    }
}
