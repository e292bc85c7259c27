//! Messages read strictly from a socket, for both ends: what a carrier sends must be plain HTTP/1.1.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use proptest::sample::Index;

use super::case::How;

/// Generous: it is only waited for when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// So that pieces arrive apart more often than not; no verdict depends on it.
const APART: Duration = Duration::from_micros(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Closed,
    Reset,
    /// Nothing came for as long as anyone would wait.
    Hung,
    Malformed(&'static str),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) start: String,
    /// Names in lower case, values as Latin-1.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    fn parse(bytes: &[u8]) -> Result<Self, Stop> {
        let text: String = bytes.iter().copied().map(char::from).collect();
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.map(header).collect::<Result<Vec<_>, _>>()?;
        let head = Self { start, headers };
        let count = |name: &str| head.headers.iter().filter(|(n, _)| n == name).count();
        if count("content-length") + count("transfer-encoding") > 1 {
            return Err(Stop::Malformed("its length is said twice"));
        }
        Ok(head)
    }

    /// `None` where the headers say nothing.
    fn framing(&self) -> Result<Option<Framing>, Stop> {
        match (self.get("content-length"), self.get("transfer-encoding")) {
            (Some(length), _) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                let length = length.parse().map_err(|_| Stop::Malformed("a length out of bounds"))?;
                Ok(Some(Framing::Length(length)))
            }
            (Some(_), _) => Err(Stop::Malformed("a length that is no number")),
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
            (None, Some(_)) => Err(Stop::Malformed("a transfer coding that is not chunked")),
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn request_body(&self) -> Result<Body, Stop> {
        Ok(Body::of(self.framing()?.unwrap_or(Framing::Length(0))))
    }

    pub(crate) fn answer_body(&self, is_empty: bool) -> Result<Body, Stop> {
        let framing = self.framing()?.unwrap_or(Framing::UntilClose);
        Ok(Body::of(if is_empty { Framing::Length(0) } else { framing }))
    }
}

fn header(line: &str) -> Result<(String, String), Stop> {
    let (name, value) = line
        .split_once(':')
        .ok_or(Stop::Malformed("a header without a colon"))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Stop::Malformed("a header name that is no token"));
    }
    if value.chars().any(|char| (char < ' ' && char != '\t') || char == '\x7f') {
        return Err(Stop::Malformed("a control character in a header"));
    }
    Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A body as it is read.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    /// Of the length, or of the current chunk.
    left: usize,
    chunk_begun: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) is_whole: bool,
}

impl Body {
    fn of(framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing {
            length
        } else {
            0
        };
        Self {
            framing,
            left,
            chunk_begun: false,
            payload: Vec::new(),
            trailers: Vec::new(),
            is_whole: framing == Framing::Length(0),
        }
    }

    /// Reads to its end, or until there is so much payload.
    pub(crate) fn read(&mut self, wire: &mut Wire, until: Option<usize>) -> Result<(), Stop> {
        while !self.is_whole && until.is_none_or(|bytes| self.payload.len() < bytes) {
            match self.framing {
                Framing::Length(_) => self.piece(wire)?,
                Framing::Chunked if self.left > 0 => self.piece(wire)?,
                Framing::Chunked => self.chunk_head(wire)?,
                Framing::UntilClose => {
                    self.payload.append(&mut wire.pending);
                    match wire.fill() {
                        Err(Stop::Closed) => self.is_whole = true,
                        filled => filled?,
                    }
                }
            }
        }
        Ok(())
    }

    fn piece(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        if wire.pending.is_empty() {
            wire.fill()?;
        }
        let taken = self.left.min(wire.pending.len());
        self.payload.extend(wire.pending.drain(..taken));
        self.left -= taken;
        self.is_whole = self.left == 0 && self.framing != Framing::Chunked;
        Ok(())
    }

    fn chunk_head(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        if std::mem::take(&mut self.chunk_begun) && !wire.line()?.is_empty() {
            return Err(Stop::Malformed("a chunk that is longer than its size"));
        }
        let line = wire.line()?;
        let size = line.split(';').next().unwrap_or_default();
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Stop::Malformed("a chunk size that is no number"));
        }
        self.left = usize::from_str_radix(size, 16).map_err(|_| Stop::Malformed("a chunk size out of bounds"))?;
        self.chunk_begun = true;
        if self.left == 0 {
            loop {
                match wire.line()? {
                    line if line.is_empty() => break,
                    line => self.trailers.push(header(&line)?),
                }
            }
            self.is_whole = true;
        }
        Ok(())
    }
}

pub(crate) struct Wire {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Wire {
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            pending: Vec::new(),
        }
    }

    /// Sends in pieces. The other side may have gone: what it saw is what counts.
    pub(crate) fn send(&mut self, bytes: &[u8], cuts: &[Index]) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut begin = 0;
        for end in ends {
            if end > begin {
                let _ = self.stream.write_all(&bytes[begin..end]);
                begin = end;
                if end < bytes.len() {
                    std::thread::sleep(APART);
                }
            }
        }
    }

    pub(crate) fn leave(&self, how: How) {
        if how == How::Reset {
            let no_time = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&self.stream, no_time).expect("an open socket");
        } else {
            // The other side may have closed first.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// A head, or `Closed` where not one byte of it came.
    pub(crate) fn head(&mut self) -> Result<Head, Stop> {
        loop {
            if let Some(end) = self.pending.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = Head::parse(&self.pending[..end]);
                self.pending.drain(..end + 4);
                return head;
            }
            let begun = !self.pending.is_empty();
            match self.fill() {
                Err(Stop::Closed | Stop::Reset) if begun => return Err(Stop::Malformed("a head that breaks off")),
                filled => filled?,
            }
        }
    }

    /// Reads and forgets until the other side closes.
    pub(crate) fn drain(&mut self) -> Stop {
        loop {
            self.pending.clear();
            if let Err(stop) = self.fill() {
                return stop;
            }
        }
    }

    fn line(&mut self) -> Result<String, Stop> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|window| window == b"\r\n") {
                let line = self.pending.drain(..end + 2).take(end).map(char::from).collect();
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Stop> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Stop::Closed),
            Ok(read) => {
                self.pending.extend_from_slice(&buffer[..read]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(Stop::Hung),
            Err(_) => Err(Stop::Reset),
        }
    }
}
