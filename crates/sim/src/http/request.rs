//! Reading one request: head, then body, both bounded. Parsing of the head and of chunk sizes is httparse's.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::Conn;

/// As in the real server's HTTP library, within a small factor.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// A chunk's size line: 16 hex digits and the extensions nobody sends.
const CHUNK_LINE_BYTES_MAX: usize = 256;

pub(crate) struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub http_1_0: bool,
}

#[derive(Debug)]
pub(crate) enum ReadError {
    /// The client ended the connection, between requests or within one.
    Closed,
    /// What it sent is not HTTP, or larger than allowed: the status to answer with.
    Refused(u16),
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether the query holds `name=value`.
    pub(crate) fn query_has(&self, pair: &str) -> bool {
        self.target
            .split_once('?')
            .is_some_and(|(_, query)| query.split('&').any(|part| part == pair))
    }

    /// The first header of this name, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn wants_close(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        connection.eq_ignore_ascii_case("close") || (self.http_1_0 && !connection.eq_ignore_ascii_case("keep-alive"))
    }
}

impl Conn {
    /// Waits for the first byte of a request.
    pub(crate) async fn readable(&mut self) -> Result<(), ReadError> {
        if self.inbound.is_empty() {
            self.fill().await
        } else {
            Ok(())
        }
    }

    pub(crate) async fn read_request(&mut self, body_bytes_max: usize) -> Result<Request, ReadError> {
        let (mut request, head_bytes) = loop {
            if let Some(parsed) = parse_head(&self.inbound)? {
                break parsed;
            }
            if self.inbound.len() >= HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431));
            }
            self.fill().await?;
        };
        self.inbound.advance(head_bytes);
        if request
            .header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            self.set_fault(None);
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .map_err(|_| ReadError::Closed)?;
        }
        let chunked = request
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        request.body = match (chunked, request.header("content-length")) {
            (true, _) => self.chunked_body(body_bytes_max).await?,
            (false, Some(length)) => {
                let length = length.trim().parse().map_err(|_| ReadError::Refused(400))?;
                self.body(length, body_bytes_max).await?
            }
            (false, None) => Bytes::new(),
        };
        if self.inbound.is_empty() {
            // Ten thousand idle or streaming connections must not each keep the memory of their last prompt.
            self.inbound = BytesMut::new();
        }
        Ok(request)
    }

    async fn body(&mut self, length: usize, max: usize) -> Result<Bytes, ReadError> {
        if length > max {
            return Err(ReadError::Refused(413));
        }
        while self.inbound.len() < length {
            self.inbound.reserve(length - self.inbound.len());
            self.fill().await?;
        }
        Ok(self.inbound.split_to(length).freeze())
    }

    async fn chunked_body(&mut self, max: usize) -> Result<Bytes, ReadError> {
        let mut body = BytesMut::new();
        loop {
            let (line_bytes, size) = loop {
                match httparse::parse_chunk_size(&self.inbound) {
                    Ok(httparse::Status::Complete(parsed)) => break parsed,
                    Ok(httparse::Status::Partial) if self.inbound.len() < CHUNK_LINE_BYTES_MAX => self.fill().await?,
                    _ => return Err(ReadError::Refused(400)),
                }
            };
            let size = usize::try_from(size).map_err(|_| ReadError::Refused(413))?;
            self.inbound.advance(line_bytes);
            if size == 0 {
                self.skip_trailers().await?;
                return Ok(body.freeze());
            }
            let allowed = max - body.len();
            body.extend_from_slice(&self.body(size, allowed).await?);
            if &*self.body(2, 2).await? != b"\r\n" {
                return Err(ReadError::Refused(400));
            }
        }
    }

    async fn skip_trailers(&mut self) -> Result<(), ReadError> {
        loop {
            if let Some(end) = self.inbound.windows(2).position(|two| two == b"\r\n") {
                self.inbound.advance(end + 2);
                if end == 0 {
                    return Ok(());
                }
            } else if self.inbound.len() > HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431));
            } else {
                self.fill().await?;
            }
        }
    }

    async fn fill(&mut self) -> Result<(), ReadError> {
        if self.inbound.capacity() == self.inbound.len() {
            self.inbound.reserve(1024);
        }
        match self.stream.read_buf(&mut self.inbound).await {
            Ok(0) | Err(_) => Err(ReadError::Closed),
            Ok(_) => Ok(()),
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_bytes = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ReadError::Refused(431)),
        Err(_) => return Err(ReadError::Refused(400)),
    };
    let headers = parsed.headers.iter();
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: headers
            .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
            .collect(),
        body: Bytes::new(),
        http_1_0: parsed.version == Some(0),
    };
    Ok(Some((request, head_bytes)))
}
