//! Writing responses: a body in one piece, or an event stream in chunks, each in a single write. Header names, case
//! and order are the real server's. Malformed framing is made here, where framing is made.

use std::io::Write;

use super::{Conn, Gone};
use crate::fault::Malformed;
use crate::settings::KeepAlive;

pub(crate) struct Head<'a> {
    pub status: u16,
    pub content_type: &'a str,
    /// Echoed in the CORS header, as the real server does.
    pub origin: &'a str,
    /// `None` closes the connection after the response.
    pub keep_alive: Option<KeepAlive>,
    pub extra: &'a [(&'a str, String)],
}

impl Conn {
    /// Sends a whole response; of a HEAD request's, only the head.
    pub(crate) async fn respond(&mut self, head: &Head<'_>, body: &[u8], head_only: bool) -> Result<(), Gone> {
        let short = self.malformed(Malformed::ShortBody);
        self.write_head(head, Some(body.len() + if short { 10 } else { 0 }));
        if self.hangs(crate::fault::Hang::AfterHead) {
            self.send_outbound().await?;
            return Err(self.gone(super::Watch::Always).await);
        }
        if !head_only {
            self.outbound.extend_from_slice(body);
        }
        self.send_outbound().await?;
        if short { Err(Gone) } else { Ok(()) }
    }

    /// Sends the head of an event stream. Where the client cannot take chunks the stream ends with the connection.
    pub(crate) async fn begin_stream(&mut self, head: &Head<'_>, chunked: bool) -> Result<(), Gone> {
        self.chunked = chunked;
        self.write_head(head, None);
        self.send_outbound().await?;
        if self.hangs(crate::fault::Hang::AfterHead) {
            return Err(self.gone(super::Watch::Always).await);
        }
        Ok(())
    }

    pub(crate) async fn chunk(&mut self, data: &[u8]) -> Result<(), Gone> {
        if data.is_empty() {
            return Ok(());
        }
        if !self.chunked {
            return self.send(data).await;
        }
        if self.malformed(Malformed::ChunkSize) {
            self.outbound.extend_from_slice(b"zz\r\n");
        } else {
            write(&mut self.outbound, format_args!("{:x}\r\n", data.len()));
        }
        self.outbound.extend_from_slice(data);
        self.outbound.extend_from_slice(b"\r\n");
        self.send_outbound().await
    }

    /// Sends the last chunk, if there is one, and the stream's end.
    pub(crate) async fn end_stream(&mut self, last: &[u8]) -> Result<(), Gone> {
        self.chunk(last).await?;
        if self.chunked {
            self.send(b"0\r\n\r\n").await
        } else {
            Ok(())
        }
    }

    fn write_head(&mut self, head: &Head<'_>, body_bytes: Option<usize>) {
        let version = if self.malformed(Malformed::StatusLine) {
            "HTPP!1.1"
        } else {
            "HTTP/1.1"
        };
        let malformed_header = self.malformed(Malformed::HeaderLine);
        let chunked = self.chunked;
        let out = &mut self.outbound;
        write(
            out,
            format_args!(
                "{version} {} {}\r\nServer: llama.cpp\r\n",
                head.status,
                reason(head.status)
            ),
        );
        if malformed_header {
            out.extend_from_slice(b"A header without its colon\r\n");
        }
        write(out, format_args!("Access-Control-Allow-Origin: {}\r\n", head.origin));
        for (name, value) in head.extra {
            write(out, format_args!("{name}: {value}\r\n"));
        }
        write(out, format_args!("Content-Type: {}\r\n", head.content_type));
        match body_bytes {
            Some(bytes) => write(out, format_args!("Content-Length: {bytes}\r\n")),
            None if chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            None => {}
        }
        match head.keep_alive {
            Some(KeepAlive { idle, requests_max }) => {
                write(
                    out,
                    format_args!("Keep-Alive: timeout={}, max={requests_max}\r\n\r\n", idle.as_secs()),
                );
            }
            None => out.extend_from_slice(b"Connection: close\r\n\r\n"),
        }
    }

    fn malformed(&self, how: Malformed) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.malformed == Some(how))
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}
