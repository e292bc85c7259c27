//! What a server's headers say of where its answer ends. Where they say two things, the answer is none.

use super::Framing;
use crate::carrier::forward::chunks::Chunks;

/// What the headers say of the body's end and of the connection.
pub(super) struct Stated {
    pub(super) length: Option<u64>,
    chunked: bool,
    pub(super) keeps_connection: bool,
}

impl Stated {
    /// `None` where they contradict one another or name a coding that is not chunked.
    pub(super) fn of(headers: &[httparse::Header<'_>], is_http_11: bool) -> Option<Self> {
        let mut stated = Self {
            length: None,
            chunked: false,
            keeps_connection: is_http_11,
        };
        for header in headers {
            let name = header.name.as_bytes();
            match name.len() {
                10 if name.eq_ignore_ascii_case(b"connection") => stated.connection(header.value, is_http_11),
                14 if name.eq_ignore_ascii_case(b"content-length") => stated.length(header.value)?,
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    let is_chunked = header.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                    if stated.chunked || !is_chunked || !is_http_11 {
                        return None;
                    }
                    stated.chunked = true;
                }
                _ => {}
            }
        }
        if stated.chunked && stated.length.take().is_some() {
            // Which of the two the server meant shows only now: its connection is not trusted any further.
            stated.keeps_connection = false;
        }
        Some(stated)
    }

    fn connection(&mut self, value: &[u8], is_http_11: bool) {
        for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.keeps_connection = false;
            } else if !is_http_11 && token.eq_ignore_ascii_case(b"keep-alive") {
                self.keeps_connection = true;
            }
        }
    }

    fn length(&mut self, value: &[u8]) -> Option<()> {
        let digits = value.trim_ascii();
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let length: u64 = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
        if self.length.replace(length).is_some_and(|before| before != length) {
            None
        } else {
            Some(())
        }
    }

    pub(super) fn framing(&self, takes_trailers: bool) -> Framing {
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked(Chunks::default().with_trailers(takes_trailers)),
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        }
    }
}
