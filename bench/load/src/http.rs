//! HTTP/1.1 as far as a load generator needs it: response heads, fixed, chunked and close-delimited bodies, read from
//! whatever pieces the socket gives. What does not parse is an error, never a guess.

mod chunked;

pub(crate) use chunked::Chunked;

use anyhow::{Context, bail};

const HEADERS_MAX: usize = 64;
/// No proxy here adds that much; a head that grows beyond is a broken one.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// A response head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The connection may serve another request.
    pub(crate) reusable: bool,
    framing: Framing,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// One response after another on one connection.
#[derive(Default)]
pub(crate) struct Responses {
    /// The bytes of a head that has not come whole.
    partial: Vec<u8>,
    current: Option<(Head, Body)>,
}

enum Body {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// What a piece brought.
#[derive(Debug)]
pub(crate) enum Progress {
    More,
    /// The response is whole.
    Whole(Head),
}

impl Responses {
    /// Takes in what the socket gave, hands body bytes on, and stops at the end of a response; a load generator
    /// never pipelines, so bytes beyond it are an error.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut on_body: impl FnMut(&[u8])) -> anyhow::Result<Progress> {
        loop {
            let Some((head, body)) = &mut self.current else {
                match self.head(bytes)? {
                    Some(rest) => bytes = rest,
                    None => return Ok(Progress::More),
                }
                continue;
            };
            let whole = match body {
                Body::Length(left) => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    on_body(&bytes[..here]);
                    *left -= here as u64;
                    bytes = &bytes[here..];
                    *left == 0
                }
                Body::Chunked(chunked) => chunked.take(&mut bytes, &mut on_body)?,
                Body::UntilClose => {
                    on_body(bytes);
                    bytes = &[];
                    false
                }
            };
            if !whole {
                return Ok(Progress::More);
            }
            let head = *head;
            self.current = None;
            if !bytes.is_empty() {
                bail!("{} bytes after the end of a response", bytes.len());
            }
            return Ok(Progress::Whole(head));
        }
    }

    /// The connection has been closed: whether that ended a response properly, and its head.
    pub(crate) fn closed(&mut self) -> Option<Head> {
        match self.current.take() {
            Some((head, Body::UntilClose)) => Some(head),
            _ => None,
        }
    }

    /// Reads a head from what was kept and `bytes`; gives what follows it, or `None` as long as it is not whole.
    fn head<'b>(&mut self, bytes: &'b [u8]) -> anyhow::Result<Option<&'b [u8]>> {
        let kept = self.partial.len();
        let parsed = if kept == 0 {
            parse_head(bytes)?
        } else {
            self.partial.extend_from_slice(bytes);
            parse_head(&self.partial)?
        };
        let Some((head, len)) = parsed else {
            if kept == 0 {
                self.partial.extend_from_slice(bytes);
            }
            if self.partial.len() > HEAD_BYTES_MAX {
                bail!("a response head of more than {HEAD_BYTES_MAX} bytes");
            }
            return Ok(None);
        };
        self.partial.clear();
        // An interim response is followed by the one that counts.
        if head.status >= 200 {
            let body = match head.framing {
                Framing::Length(bytes) => Body::Length(bytes),
                Framing::Chunked => Body::Chunked(Chunked::default()),
                Framing::UntilClose => Body::UntilClose,
            };
            self.current = Some((head, body));
        }
        Ok(Some(&bytes[len - kept..]))
    }
}

fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = response.parse(bytes).context("a response head that does not parse")? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or(0);
    let mut head = Head {
        status,
        reusable: response.version == Some(1),
        framing: Framing::UntilClose,
    };
    if status == 204 || status == 304 {
        head.framing = Framing::Length(0);
    }
    for header in response.headers.iter() {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(value)?;
            head.framing = Framing::Length(text.parse().context("a Content-Length that is no number")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.reusable = if value.eq_ignore_ascii_case(b"close") {
                false
            } else {
                head.reusable || value.eq_ignore_ascii_case(b"keep-alive")
            };
        }
    }
    head.reusable &= !matches!(head.framing, Framing::UntilClose);
    Ok(Some((head, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds in pieces of every size; gives status and body.
    fn read(wire: &str, piece: usize) -> anyhow::Result<Option<(u16, String)>> {
        let mut responses = Responses::default();
        let mut body = Vec::new();
        for bytes in wire.as_bytes().chunks(piece) {
            if let Progress::Whole(head) = responses.take(bytes, |part| body.extend_from_slice(part))? {
                return Ok(Some((head.status, String::from_utf8(body)?)));
            }
        }
        Ok(responses
            .closed()
            .map(|head| (head.status, String::from_utf8_lossy(&body).into_owned())))
    }

    #[test]
    fn every_framing_is_read_whatever_the_pieces() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
            ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", 401, ""),
            ("HTTP/1.1 204 None\r\n\r\n", 204, ""),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                200,
                "x",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n",
                200,
                "hello",
            ),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ];
        for (wire, status, body) in cases {
            for piece in 1..=wire.len() {
                let seen = read(wire, piece).expect("parses");
                assert_eq!(seen, Some((status, body.to_owned())), "pieces of {piece}: {wire:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_not_whole() {
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 7).expect("parses"),
            None
        );
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        assert_eq!(read(chunked, 9).expect("parses"), None);
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", 99).is_err());
        assert!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 99).is_err());
    }
}
