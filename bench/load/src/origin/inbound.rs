//! Requests as a proxy sends them: any framing, in any pieces. Of the body only what the origin needs is looked at.

use anyhow::Context;
use memchr::memmem;

use crate::answer::digits;
use crate::http::Chunked;

const HEADERS_MAX: usize = 64;
const NANOS_PER_MS: u64 = 1_000_000;

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Chat,
    Embedding,
    Stream { tokens: u64, interval_ns: u64 },
}

/// Bytes of one connection that are not yet a whole request.
#[derive(Default)]
pub(crate) struct Inbound {
    bytes: Vec<u8>,
}

impl Inbound {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole request, if it is there.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Asked>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(&self.bytes)? else {
            return Ok(None);
        };
        let embedding = request.path.is_some_and(|path| path.contains("embeddings"));
        let length = header(request.headers, "content-length");
        let mut decoded = Vec::new();
        let (body, end) = if header(request.headers, "transfer-encoding").is_some() {
            let mut rest = &self.bytes[head..];
            if !Chunked::default().take(&mut rest, &mut |part: &[u8]| decoded.extend_from_slice(part))? {
                return Ok(None);
            }
            (decoded.as_slice(), self.bytes.len() - rest.len())
        } else {
            let length: usize = match length {
                Some(value) => std::str::from_utf8(value)?.trim().parse().context("Content-Length")?,
                None => 0,
            };
            match self.bytes.get(head..head + length) {
                Some(body) => (body, head + length),
                None => return Ok(None),
            }
        };
        let asked = asked(embedding, body);
        self.bytes.drain(..end);
        Ok(Some(asked))
    }
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

fn asked(embedding: bool, body: &[u8]) -> Asked {
    if embedding {
        return Asked::Embedding;
    }
    if !value(body, br#""stream":"#).is_some_and(|value| value.starts_with(b"true")) {
        return Asked::Chat;
    }
    let number = |name: &[u8]| value(body, name).and_then(digits).map_or(0, |(number, _)| number);
    Asked::Stream {
        tokens: number(br#""max_tokens":"#),
        interval_ns: number(br#""seed":"#) * NANOS_PER_MS,
    }
}

/// What follows a name, in JSON of any spacing.
fn value<'b>(body: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let at = memmem::find(body, name)? + name.len();
    Some(body[at..].trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_whatever_their_framing_and_pieces() {
        let stream = r#"{"stream": true, "max_tokens":7,"seed": 50}"#;
        let chunked = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            9,
            &stream[..9],
            stream.len() - 9,
            &stream[9..]
        );
        let fixed = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{stream}",
            stream.len()
        );
        let wanted = Asked::Stream {
            tokens: 7,
            interval_ns: 50 * NANOS_PER_MS,
        };
        let cases = [
            (chunked, wanted),
            (
                fixed,
                Asked::Stream {
                    tokens: 7,
                    interval_ns: 50_000_000,
                },
            ),
            (
                "POST /v1/embeddings HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
                Asked::Embedding,
            ),
            ("GET /health HTTP/1.1\r\n\r\n".to_owned(), Asked::Chat),
        ];
        for (wire, wanted) in cases {
            for piece in 1..=wire.len() {
                let mut inbound = Inbound::default();
                let mut seen = None;
                for bytes in wire.as_bytes().chunks(piece) {
                    assert_eq!(seen, None, "before the end");
                    inbound.push(bytes);
                    seen = inbound.next().expect("parses");
                }
                assert_eq!(seen.as_ref(), Some(&wanted), "pieces of {piece}");
            }
        }
    }
}
