//! A generated conversation between one client and one server, and its bytes on both sides.

use proptest::sample::Index;

#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Faults, oddities and departures are the last one's: what comes after them would tell nothing.
    pub(crate) exchanges: Vec<Exchange>,
    /// All requests are sent before the first answer is read.
    pub(crate) pipelined: bool,
    /// Where the client's bytes are cut into writes.
    pub(crate) cuts: Vec<Index>,
    pub(crate) leaving: Option<Leaving>,
}

/// The client goes away during the last exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) when: When,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// After so many bytes of its request, never all of them.
    InRequest(Index),
    /// Its request is at the server, which has sent so much of its answer (possibly nothing).
    InAnswer(Index),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    HalfClose,
    Close,
    Reset,
}

#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    pub(crate) reply: Reply,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) is_http_10: bool,
    /// Whole header lines.
    pub(crate) lines: Vec<&'static str>,
    pub(crate) body: Body,
    pub(crate) expects_continue: bool,
    pub(crate) key_is_known: bool,
    pub(crate) oddity: Option<RequestOddity>,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    None,
    Length(usize),
    Chunked(Chunking),
    /// The server's alone: until it closes.
    UntilClose(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Chunking {
    pub(crate) sizes: Vec<usize>,
    pub(crate) has_extensions: bool,
    pub(crate) has_trailers: bool,
}

/// What is wrong, or unusual, in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestOddity {
    /// In place of `POST /… HTTP/1.1`.
    Start(&'static str),
    Line(&'static str),
    /// In place of the line that says how long the body is; `{}` is its length.
    Framing(&'static str),
    NoHost,
    Lines(usize),
    LongLine(usize),
    /// In place of the body of the last chunk's size line.
    ChunkSize(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) interims: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) is_http_10: bool,
    pub(crate) lines: Vec<&'static str>,
    pub(crate) body: Body,
    pub(crate) cuts: Vec<Index>,
    /// The answer comes when so much of the request's body has.
    pub(crate) early: Option<Early>,
    pub(crate) fault: Option<Fault>,
    /// A connection that served before is closed in place of an answer: once.
    pub(crate) is_stale_when_reused: bool,
    /// The connection is closed after the answer, unannounced.
    pub(crate) drops_idle: bool,
    pub(crate) oddity: Option<ReplyOddity>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Early {
    pub(crate) after: Index,
    /// Else the server closes once it has answered.
    pub(crate) reads_on: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// After so many bytes of the answer, never all of them.
    pub(crate) at: Index,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyOddity {
    Start(&'static str),
    Line(&'static str),
    Framing(&'static str),
    Lines(usize),
    LongLine(usize),
}

/// What a body of so many bytes consists of: every prefix tells its length.
pub(crate) fn text(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| b"abcdefghijklmnopqrstuvwxyz\n0123456789 \r"[at % 39])
        .collect()
}

impl Body {
    pub(crate) fn payload(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Length(bytes) | Self::UntilClose(bytes) => text(*bytes),
            Self::Chunked(chunking) => text(chunking.sizes.iter().sum()),
        }
    }

    fn framing(&self) -> String {
        match self {
            Self::None | Self::UntilClose(_) => String::new(),
            Self::Length(bytes) => format!("Content-Length: {bytes}\r\n"),
            Self::Chunked(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        }
    }

    pub(crate) fn wire(&self) -> Vec<u8> {
        match self {
            Self::Chunked(chunking) => chunking.wire(None),
            _ => self.payload(),
        }
    }
}

impl Chunking {
    fn wire(&self, last_size: Option<&str>) -> Vec<u8> {
        let payload = text(self.sizes.iter().sum());
        let extension = if self.has_extensions { ";name=\"va;lue\"" } else { "" };
        let (mut wire, mut at) = (Vec::new(), 0);
        for (index, size) in self.sizes.iter().enumerate() {
            // Capitals and a leading zero are as good as any.
            let size_line = match last_size.filter(|_| index + 1 == self.sizes.len()) {
                Some(odd) => odd.to_owned(),
                None if index % 2 == 1 => format!("0{size:X}"),
                None => format!("{size:x}"),
            };
            wire.extend_from_slice(format!("{size_line}{extension}\r\n").as_bytes());
            wire.extend_from_slice(&payload[at..at + size]);
            wire.extend_from_slice(b"\r\n");
            at += size;
        }
        let trailers = if self.has_trailers { "X-Trailer: t\r\n" } else { "" };
        wire.extend_from_slice(format!("0{extension}\r\n{trailers}\r\n").as_bytes());
        wire
    }

    /// How many bytes of payload lie in so many of the wire's.
    fn payload_in(&self, wire_bytes: usize) -> usize {
        let extension = if self.has_extensions { 14 } else { 0 };
        let (mut at, mut payload) = (0, 0);
        for (index, size) in self.sizes.iter().enumerate() {
            at += format!("{size:x}").len() + index % 2 + extension + 2;
            payload += wire_bytes.saturating_sub(at).min(*size);
            at += size + 2;
        }
        payload
    }
}

impl Request {
    pub(crate) fn head(&self, key: &str, tag: &str) -> Vec<u8> {
        let version = if self.is_http_10 { "1.0" } else { "1.1" };
        let mut head = match self.oddity {
            Some(RequestOddity::Start(start)) => format!("{start}\r\n"),
            _ => format!("{} /v1/things?tag={tag} HTTP/{version}\r\n", self.method),
        };
        if !matches!(self.oddity, Some(RequestOddity::NoHost)) {
            head.push_str("Host: edge.example\r\n");
        }
        let key = if self.key_is_known { key } else { "unknown" };
        head.push_str(&format!(
            "x-api-key: {key}\r\nX-Request-Id: request-{tag}\r\nX-Case: {tag}\r\n"
        ));
        for line in &self.lines {
            head.push_str(&format!("{line}\r\n"));
        }
        if self.expects_continue {
            head.push_str("Expect: 100-continue\r\n");
        }
        match self.oddity {
            Some(RequestOddity::Framing(framing)) => {
                head.push_str(&framing.replace("{}", &self.body.payload().len().to_string()));
            }
            _ => head.push_str(&self.body.framing()),
        }
        match self.oddity {
            Some(RequestOddity::Line(line)) => head.push_str(line),
            Some(RequestOddity::Lines(count)) => (0..count).for_each(|at| head.push_str(&format!("X-{at}: {at}\r\n"))),
            Some(RequestOddity::LongLine(bytes)) => head.push_str(&format!("X-Long: {}\r\n", "l".repeat(bytes))),
            _ => {}
        }
        head.push_str("\r\n");
        as_latin_1(&head)
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        match (&self.body, self.oddity) {
            (Body::Chunked(chunking), Some(RequestOddity::ChunkSize(odd))) => chunking.wire(Some(odd)),
            (body, _) => body.wire(),
        }
    }

    /// Where a body is held back until the answer has come: bytes of its wire form, and of its payload.
    pub(crate) fn held(&self, early: Early) -> (usize, usize) {
        let wire = self.body.wire().len();
        let held_at = if wire == 0 { 0 } else { early.after.index(wire) };
        match &self.body {
            Body::Chunked(chunking) => (held_at, chunking.payload_in(held_at)),
            _ => (held_at, held_at),
        }
    }
}

impl Exchange {
    /// Whether the answer has a body at all, whatever its head says.
    pub(crate) fn has_reply_body(&self) -> bool {
        self.request.method != "HEAD" && !matches!(self.reply.status, 204 | 304)
    }

    /// Whether the request's coding is broken: how much of it gets through is a question of when.
    pub(crate) fn breaks_chunks(&self) -> bool {
        matches!(self.request.oddity, Some(RequestOddity::ChunkSize(_)))
    }

    /// The server's answer: interim heads, the head, the body.
    pub(crate) fn reply_wire(&self) -> Vec<u8> {
        let mut wire = self.reply_head();
        if self.has_reply_body() {
            wire.extend(self.reply.body.wire());
        }
        wire
    }

    pub(crate) fn reply_head(&self) -> Vec<u8> {
        let reply = &self.reply;
        let interims = reply
            .interims
            .iter()
            .map(|status| format!("HTTP/1.1 {status} Interim\r\nLink: </{status}>\r\n\r\n"));
        let mut head: String = interims.collect();
        let version = if reply.is_http_10 { "1.0" } else { "1.1" };
        match reply.oddity {
            Some(ReplyOddity::Start(start)) => head.push_str(&format!("{start}\r\n")),
            _ => head.push_str(&format!("HTTP/{version} {} Some Reason\r\n", reply.status)),
        }
        for line in &reply.lines {
            head.push_str(&format!("{line}\r\n"));
        }
        match reply.oddity {
            Some(ReplyOddity::Framing(framing)) => {
                head.push_str(&framing.replace("{}", &reply.body.payload().len().to_string()));
            }
            _ if reply.status == 204 => {}
            _ => head.push_str(&reply.body.framing()),
        }
        match reply.oddity {
            Some(ReplyOddity::Line(line)) => head.push_str(line),
            Some(ReplyOddity::Lines(count)) => (0..count).for_each(|at| head.push_str(&format!("X-{at}: {at}\r\n"))),
            Some(ReplyOddity::LongLine(bytes)) => head.push_str(&format!("X-Long: {}\r\n", "l".repeat(bytes))),
            _ => {}
        }
        head.push_str("\r\n");
        as_latin_1(&head)
    }
}

/// So that a case can hold any byte in a text.
fn as_latin_1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?'))
        .collect()
}
