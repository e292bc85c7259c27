//! The end of a stream that broke off, in the words of the client's dialect.
//!
//! A client must not take a broken stream for a whole one: several take any clean end for that. So it gets its dialect's own
//! error event, and then the connection is cut. Only at an event's border, and only in streams of events or lines: an event
//! put into the middle of another would be garbage, and one put into a JSON body too.

use crate::response_facts::ResponseFacts;

const MESSAGE: &str = "The server broke off while it answered. What came before is incomplete.";

/// Which error a client of this stream understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
    /// Ollama's, one JSON object a line.
    Lines,
}

/// How a stream ended so far. Nothing, where it is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tail {
    dialect: Option<Dialect>,
    /// The last bytes of it, the latest lowest; at the start, as after an event.
    last: u32,
}

impl Tail {
    pub(super) fn of(status: u16, facts: &ResponseFacts<'_>, path: &str) -> Self {
        let dialect = (status == 200)
            .then(|| facts.text("content-type"))
            .flatten()
            .and_then(|kind| Dialect::of(kind, path))
            // What is compressed has no borders that could be seen.
            .filter(|_| facts.text("content-encoding").is_none_or(|coding| coding == "identity"));
        Self {
            dialect,
            last: u32::from_be_bytes(*b"\n\n\n\n"),
        }
    }

    pub(super) fn note(&mut self, payload: &[u8]) {
        if self.dialect.is_some() {
            let new = &payload[payload.len().saturating_sub(4)..];
            self.last = new.iter().fold(self.last, |last, byte| last << 8 | u32::from(*byte));
        }
    }

    /// An event stream stands where another event, or a comment, may begin.
    pub(super) fn is_between_events(&self) -> bool {
        let last = self.last.to_be_bytes();
        let is_events = self.dialect.is_some_and(|dialect| dialect != Dialect::Lines);
        is_events && (last.ends_with(b"\n\n") || last.ends_with(b"\r\n\r\n"))
    }

    /// What is sent before the cut; `None` where nothing can be.
    pub(super) fn error_event(&self) -> Option<String> {
        let dialect = self.dialect?;
        let is_at_border = match dialect {
            Dialect::Lines => self.last.to_be_bytes().ends_with(b"\n"),
            _ => self.is_between_events(),
        };
        is_at_border.then(|| dialect.event())
    }
}

impl Dialect {
    fn of(content_type: &str, path: &str) -> Option<Self> {
        let is = |kind: &str| {
            content_type
                .get(..kind.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(kind))
        };
        if is("application/x-ndjson") {
            return Some(Self::Lines);
        }
        if !is("text/event-stream") {
            return None;
        }
        Some(match path {
            path if path.ends_with("/messages") => Self::Anthropic,
            path if path.ends_with("/responses") => Self::Responses,
            path if path.ends_with(":streamGenerateContent") => Self::Gemini,
            _ => Self::OpenAi,
        })
    }

    fn event(self) -> String {
        match self {
            Self::OpenAi => format!(
                "data: {{\"error\":{{\"message\":\"{MESSAGE}\",\"type\":\"server_error\",\"param\":null,\
                 \"code\":\"upstream_failed\"}}}}\n\n"
            ),
            Self::Responses => format!(
                "event: error\ndata: {{\"type\":\"error\",\"code\":\"upstream_failed\",\"message\":\"{MESSAGE}\",\
                 \"param\":null,\"sequence_number\":0}}\n\n"
            ),
            Self::Anthropic => format!(
                "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"api_error\",\"message\":\"{MESSAGE}\"}}}}\n\n"
            ),
            Self::Gemini => format!(
                "data: {{\"error\":{{\"code\":502,\"message\":\"{MESSAGE}\",\"status\":\"UNAVAILABLE\"}}}}\r\n\r\n"
            ),
            Self::Lines => format!("{{\"error\":\"{MESSAGE}\"}}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSE: &str = "text/event-stream; charset=utf-8";

    fn tail(kind: &str, path: &str, pieces: &[&str]) -> Option<String> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n");
        let mut tail = Tail::of(200, &ResponseFacts::Wire(head.as_bytes()), path);
        pieces.iter().for_each(|piece| tail.note(piece.as_bytes()));
        tail.error_event()
    }

    #[test]
    fn an_event_is_sent_at_a_border_alone() {
        for (kind, pieces, expected) in [
            (SSE, &["data: 1\n\n"][..], true),
            (SSE, &["data: 1\n", "\n"], true),
            (SSE, &["data: 1\r\n\r", "\n"], true),
            (SSE, &[], true),
            (SSE, &["data: 1\n"], false),
            (SSE, &["data: 1\n\ndata"], false),
            ("application/x-ndjson", &["{}\n"], true),
            ("application/x-ndjson", &["{}"], false),
            ("application/json", &["{}\n\n"], false),
        ] {
            let event = tail(kind, "/v1/chat/completions", pieces);
            assert_eq!(event.is_some(), expected, "{kind} {pieces:?}");
        }
    }

    #[test]
    fn it_is_the_clients_own_error() {
        for (path, kind, pointer, begin) in [
            ("/v1/chat/completions", SSE, "/error/code", "data: "),
            ("/v1/messages", SSE, "/error/type", "event: error\ndata: "),
            ("/v1/responses", SSE, "/code", "event: error\ndata: "),
            ("/v1beta/models/m:streamGenerateContent", SSE, "/error/status", "data: "),
            ("/api/chat", "application/x-ndjson", "/error", ""),
        ] {
            let event = tail(kind, path, &[]).expect("at a border");
            let json = event.strip_prefix(begin).expect("as its dialect begins");
            let json: serde_json::Value = serde_json::from_str(json.trim_end()).expect("JSON");
            assert!(json.pointer(pointer).is_some(), "{path}: {json}");
        }
    }

    #[test]
    fn what_is_compressed_or_refused_is_left_alone() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";
        assert!(Tail::of(200, &ResponseFacts::Wire(head), "/").error_event().is_none());
        let head = b"HTTP/1.1 400 Bad\r\nContent-Type: text/event-stream\r\n\r\n";
        assert!(Tail::of(400, &ResponseFacts::Wire(head), "/").error_event().is_none());
        assert!(Tail::default().error_event().is_none());
    }
}
