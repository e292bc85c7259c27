//! A client's request head: parsed once, strictly, and kept as the bytes that came.
//!
//! RFC 9112 where it leaves no choice, and the strict side where it does: what two readers could take for two requests
//! is refused here, so that no server behind us is asked.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::chunks::Chunks;
use super::client::Terms;
use super::inbound::{Framing, Inbound};
use crate::config::HeadBounds;
use crate::exchange::Head;

pub(super) struct Request {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) terms: Terms,
    pub(super) body: Inbound,
    pub(super) wants_websocket: bool,
    bytes: Bytes,
    target: Range<usize>,
    lines: Vec<Line>,
}

/// Where a header stands in the head's bytes.
struct Line {
    name: Range<u32>,
    value: Range<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed,
    TooLarge,
    /// A tunnel through the edge would carry anything past every rule.
    Connect,
}

impl Request {
    /// Reads one head from the front of `bytes` and takes it off; what follows stays. `None`: more must come.
    pub(super) fn take(bytes: &mut Bytes, bounds: &HeadBounds) -> Result<Option<Self>, HeadError> {
        let mut headers = [const { MaybeUninit::uninit() }; HeadBounds::FIELDS_MAX];
        let fields_max = bounds.fields_max.min(HeadBounds::FIELDS_MAX);
        let mut parsed = httparse::Request::new(&mut []);
        let head_bytes = match parsed.parse_with_uninit_headers(bytes, &mut headers[..fields_max]) {
            Ok(httparse::Status::Complete(head_bytes)) if head_bytes <= bounds.bytes_max => head_bytes,
            Ok(httparse::Status::Partial) if bytes.len() < bounds.bytes_max => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(_) => return Err(HeadError::Malformed),
        };
        if has_longer_line(&bytes[..head_bytes], bounds.line_bytes_max) {
            return Err(HeadError::TooLarge);
        }
        let request = Self::of(&parsed, bytes, head_bytes)?;
        bytes.advance(head_bytes);
        if bytes.is_empty() {
            // An empty rest would keep the head in memory for as long as the connection waits.
            *bytes = Bytes::new();
        }
        Ok(Some(request))
    }

    fn of(parsed: &httparse::Request<'_, '_>, bytes: &Bytes, head_bytes: usize) -> Result<Self, HeadError> {
        let head = bytes.slice(..head_bytes);
        if has_bare_line_feed(&head) {
            return Err(HeadError::Malformed);
        }
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Malformed)?;
        if method == Method::CONNECT {
            return Err(HeadError::Connect);
        }
        let is_http_10 = parsed.version == Some(0);
        let (headers, lines) = fields(parsed.headers, &head)?;
        check_host(&headers, is_http_10)?;
        let connection = Connection::of(&headers);
        let terms = Terms {
            keep_alive: !connection.close && (!is_http_10 || connection.keep_alive),
            is_http_10,
            is_head: method == Method::HEAD,
            takes_trailers: false,
        };
        Ok(Self {
            body: Inbound::new(
                framing(&headers, is_http_10)?,
                !is_http_10 && expects_continue(&headers),
            ),
            wants_websocket: !is_http_10 && connection.upgrade && asks_for_websocket(&headers),
            terms,
            target: span(&head, target.as_bytes()),
            bytes: head,
            method,
            headers,
            lines,
        })
    }

    /// As an exchange sees it.
    pub(super) fn head(&self, client: std::net::SocketAddr, tls: bool) -> Head<'_> {
        Head {
            client,
            tls,
            method: &self.method,
            target: self.target(),
            headers: &self.headers,
            content_length: match self.body.framing() {
                Framing::Length(length) => Some(*length),
                _ => None,
            },
        }
    }

    /// For a client that can tell them apart.
    pub(super) fn asks_for_trailers(&self) -> bool {
        let asked = self.headers.get(header::TE);
        asked.is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"))
    }

    /// As it came.
    pub(super) fn target(&self) -> &[u8] {
        &self.bytes[self.target.clone()]
    }

    /// Every header as it came, in its order and spelling.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let part = |range: &Range<u32>| &self.bytes[range.start as usize..range.end as usize];
        self.lines.iter().map(move |line| (part(&line.name), part(&line.value)))
    }
}

/// A line that ends in LF alone is one line to some readers and the middle of one to others.
fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

fn has_longer_line(head: &[u8], bytes_max: usize) -> bool {
    let mut begin = 0;
    head.len() > bytes_max
        && memchr::memchr_iter(b'\n', head).any(|end| end + 1 - std::mem::replace(&mut begin, end + 1) > bytes_max)
}

fn fields(parsed: &[httparse::Header<'_>], head: &Bytes) -> Result<(HeaderMap, Vec<Line>), HeadError> {
    let mut map = HeaderMap::with_capacity(parsed.len());
    let mut lines = Vec::with_capacity(parsed.len());
    for field in parsed {
        let (name, value) = (span(head, field.name.as_bytes()), span(head, field.value));
        let key = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Malformed)?;
        let text = HeaderValue::from_maybe_shared(head.slice(value.clone())).map_err(|_| HeadError::Malformed)?;
        map.append(key, text);
        lines.push(Line {
            name: narrow(name),
            value: narrow(value),
        });
    }
    Ok((map, lines))
}

/// Where `part` lies in `whole`, which it is a part of. (An empty value may be a slice of nothing: it has no place.)
fn span(whole: &[u8], part: &[u8]) -> Range<usize> {
    let begin = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    if part.is_empty() || begin > whole.len() {
        0..0
    } else {
        begin..begin + part.len()
    }
}

/// Heads are bounded far below 4 GiB.
fn narrow(range: Range<usize>) -> Range<u32> {
    let small = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    small(range.start)..small(range.end)
}

fn check_host(headers: &HeaderMap, is_http_10: bool) -> Result<(), HeadError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (None, _) if is_http_10 => Ok(()),
        _ => Err(HeadError::Malformed),
    }
}

/// A name or address, and a port where there is one. A list, a path or a user in it is one host to some readers and
/// another to others.
fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.strip_prefix(b"[") {
        Some(rest) => {
            let end = memchr::memchr(b']', rest).unwrap_or(0);
            let is_address =
                std::str::from_utf8(&rest[..end]).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            (is_address, rest.get(end + 1..).unwrap_or_default())
        }
        None => {
            let (name, port) = value.split_at(memchr::memchr(b':', value).unwrap_or(value.len()));
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
            (!name.is_empty() && name.iter().all(is_plain), port)
        }
    };
    let is_port = |digits: &[u8]| digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    name && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port))
}

fn framing(headers: &HeaderMap, is_http_10: bool) -> Result<Framing, HeadError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Framing::None),
        (None, Some(length)) if lengths.next().is_none() => {
            let digits = length.as_bytes();
            let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            let length = length.to_str().ok().filter(|_| is_plain);
            let length = length
                .and_then(|length| length.parse().ok())
                .ok_or(HeadError::Malformed)?;
            Ok(Framing::Length(length))
        }
        (Some(coding), None)
            if codings.next().is_none() && !is_http_10 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Framing::Chunked(Chunks::default()))
        }
        // Two lengths, a length and a coding, or a coding that we cannot see the end of.
        _ => Err(HeadError::Malformed),
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    let expect = headers.get(header::EXPECT);
    expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// No other upgrade is passed on: what is upgraded is a tunnel, and one that speaks HTTP (`h2c`) would carry requests
/// past every rule.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let only = protocols.next().filter(|_| protocols.next().is_none());
    only.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What the `Connection` lines say about this connection.
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Connection {
    fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        for line in headers.get_all(header::CONNECTION) {
            for token in line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                said.close |= token.eq_ignore_ascii_case(b"close");
                said.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                said.upgrade |= token.eq_ignore_ascii_case(b"upgrade");
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Option<(Request, String)>, HeadError> {
        let mut bytes = Bytes::copy_from_slice(text.as_bytes());
        let request = Request::take(&mut bytes, &HeadBounds::default())?;
        Ok(request.map(|request| (request, String::from_utf8_lossy(&bytes).into_owned())))
    }

    #[test]
    fn a_head_is_taken_off_and_its_lines_keep_their_spelling() {
        let (request, rest) =
            take("POST /v1/x?y HTTP/1.1\r\nHost: a\r\nX-ApI-key:  k \r\nX-Empty:\r\nContent-Length: 3\r\n\r\nabcGET")
                .expect("well-formed")
                .expect("whole");
        assert_eq!(rest, "abcGET");
        let lines: Vec<_> = request
            .lines()
            .map(|(name, value)| [name, value].map(|part| String::from_utf8_lossy(part).into_owned()))
            .collect();
        let lines: Vec<[&str; 2]> = lines
            .iter()
            .map(|[name, value]| [name.as_str(), value.as_str()])
            .collect();
        assert_eq!(
            lines,
            [
                ["Host", "a"],
                ["X-ApI-key", "k"],
                ["X-Empty", ""],
                ["Content-Length", "3"]
            ]
        );
        let head = request.head(([127, 0, 0, 1], 1).into(), false);
        assert_eq!((head.target, head.content_length), (&b"/v1/x?y"[..], Some(3)));
        assert!(request.terms.keep_alive && !request.terms.is_http_10);
    }

    #[test]
    fn a_head_is_incomplete_until_its_last_byte() {
        let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..whole.len() {
            assert!(
                take(&whole[..cut]).expect("well-formed so far").is_none(),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let with = |lines: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        for bad in [
            with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
            with("Content-Length: 3, 3\r\n"),
            with("Content-Length: 3\r\nContent-Length: 3\r\n"),
            with("Content-Length: +3\r\n"),
            with("Content-Length: 99999999999999999999\r\n"),
            with("Transfer-Encoding: gzip, chunked\r\n"),
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            with("Transfer-Encoding: xchunked\r\n"),
            with("Transfer-Encoding : chunked\r\n"),
            with("Host: b\r\n"),
            with("X: a\r\n folded\r\n"),
            with("X: a\nY: b\r\n"),
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\n\n".to_owned(),
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(),
            "\u{16}\u{3}\u{1}".to_owned(),
        ] {
            assert_eq!(take(&bad).err(), Some(HeadError::Malformed), "{bad:?}");
        }
        assert_eq!(
            take("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").err(),
            Some(HeadError::Connect)
        );
    }

    #[test]
    fn heads_are_bounded() {
        let bounds = HeadBounds::default();
        let many = "X: y\r\n".repeat(bounds.fields_max);
        let long = "x".repeat(bounds.bytes_max);
        let line = "x".repeat(bounds.line_bytes_max);
        for head in [
            format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"),
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /{line} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {line}\r\n\r\n"),
        ] {
            assert_eq!(take(&head).err(), Some(HeadError::TooLarge), "{}", &head[..30]);
        }
    }

    #[test]
    fn whether_the_connection_goes_on() {
        for (version, line, keeps) in [
            ("1.1", "", true),
            ("1.1", "Connection: Close\r\n", false),
            ("1.1", "Connection: x, close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
        ] {
            let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n");
            let (request, _) = take(&head).expect("well-formed").expect("whole");
            assert_eq!(request.terms.keep_alive, keeps, "{version} {line}");
        }
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        for (lines, asks) in [
            ("Connection: upgrade\r\nUpgrade: WebSocket\r\n", true),
            ("Upgrade: websocket\r\n", false),
            ("Connection: upgrade\r\nUpgrade: h2c\r\n", false),
            ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let (request, _) = take(&head).expect("well-formed").expect("whole");
            assert_eq!(request.wants_websocket, asks, "{lines}");
        }
    }
}
